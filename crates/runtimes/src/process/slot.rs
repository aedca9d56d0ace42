//! All that is known in memory of one instance. Its turn is held by the verb that changes it; what
//! is known can be looked at meanwhile, so that an observer never waits for a slow stop.

use super::{
    held::Held,
    procs,
    record::{Phase, Record},
};
use mainstay_drivers::runtime::{Instance, InstanceId, InstanceState};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::{
    sync::{Mutex as Turn, OwnedMutexGuard},
    task::AbortHandle,
};

pub(crate) struct Slot {
    pub id: InstanceId,
    turn: Arc<Turn<()>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whether the record was read from disk and settled.
    loaded: bool,
    record: Option<Record>,
    /// The main process while it lives, and a moment longer until its end was noted.
    held: Option<Arc<Held>>,
    watcher: Option<AbortHandle>,
}

impl Slot {
    pub fn new(id: InstanceId) -> Self {
        Slot { id, turn: Arc::default(), known: Mutex::default() }
    }

    pub async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    pub fn is_loaded(&self) -> bool {
        self.known().loaded
    }

    pub fn loaded(&self, record: Option<Record>) {
        let mut known = self.known();
        known.record = record;
        known.loaded = true;
    }

    pub fn record(&self) -> Option<Record> {
        self.known().record.clone()
    }

    pub fn know(&self, record: Record) {
        self.known().record = Some(record);
    }

    pub fn forget(&self) {
        let mut known = self.known();
        known.record = None;
        known.held = None;
    }

    pub fn held(&self) -> Option<Arc<Held>> {
        self.known().held.clone()
    }

    /// Whether `held` is the process of now and not one that was dealt with.
    pub fn holds(&self, held: &Arc<Held>) -> bool {
        self.known().held.as_ref().is_some_and(|now| Arc::ptr_eq(now, held))
    }

    pub fn hold(&self, held: Arc<Held>) {
        self.known().held = Some(held);
    }

    pub fn watched_by(&self, watcher: AbortHandle) {
        self.known().watcher = Some(watcher);
    }

    pub fn let_go(&self) {
        self.known().held = None;
    }

    pub fn unwatch(&self) {
        if let Some(watcher) = self.known().watcher.take() {
            watcher.abort();
        }
    }

    /// What a caller is shown. An instance that is between a crash and its next start counts as
    /// running, without a pid.
    pub fn view(&self) -> Instance {
        let known = self.known();
        let main = known.held.as_ref().filter(|held| !held.is_over()).map(|held| &held.main);
        let state = match known.record.as_ref().map(|r| &r.phase) {
            None | Some(Phase::Stopped) => InstanceState::Stopped,
            Some(Phase::Crashed { detail }) => InstanceState::Crashed { detail: detail.clone() },
            Some(_) => InstanceState::Running,
        };
        Instance {
            id: self.id.clone(),
            state,
            pid: main.map(|m| m.pid),
            started_at: main.map(|m| m.started_at),
            restarted: known.record.as_ref().map_or(0, |r| r.restarted),
            is_offline: main.is_some_and(|m| procs::is_offline(m.pid)),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|e| e.into_inner())
    }
}
