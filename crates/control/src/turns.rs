//! The places that backups and copies take in their storages while they write: see [`plan::turns`].
//!
//! Kept in memory. After a restart the operations that had a place, and those that waited, ask again, and
//! stand in the same order, for it is that of their ids; only who is the first to ask again goes at once.

use crate::{
    App,
    plan::{
        self,
        turns::{Order, Ticket},
    },
};
use mainstay_drivers::storage::Place;
use mainstay_model::{Error, Result, StorageId};
use mainstay_operations::Cx;
use mainstay_store::{self as store, storages::StorageRow};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::Notify;

/// Who waits says so now and then, and so is not taken to hang.
const SAY_EVERY: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Turns {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// With how many there are in it: a group's members have one place together.
    tickets: BTreeMap<Order, (Ticket, usize)>,
    limits: HashMap<StorageId, (String, Option<u32>)>,
}

impl State {
    fn listed(&self) -> Vec<Ticket> {
        self.tickets.values().map(|(ticket, _)| ticket.clone()).collect()
    }

    fn limit(&self, storage: &StorageId) -> Option<u32> {
        self.limits.get(storage).and_then(|(_, most)| *most)
    }

    fn advance(&mut self) {
        let come = plan::turns::next(&self.listed(), |s| self.limit(s));
        for (at, (ticket, _)) in self.tickets.values_mut().enumerate() {
            ticket.taken |= come.contains(&at);
        }
    }

    /// `None` when its turn has come.
    fn sentence(&self, order: &Order) -> Option<String> {
        let at = self.tickets.keys().position(|o| o == order)?;
        let listed = self.listed();
        if listed[at].taken {
            return None;
        }
        let waits = plan::turns::waits(&listed, at, |s| self.limit(s));
        let name = waits.storage.and_then(|s| self.limits.get(&s)).map(|(name, _)| name.as_str());
        Some(match name {
            Some(name) => format!("waits for storage {name}: {} before it", waits.before),
            None => format!("waits for other backups on this host: {} before it", waits.before),
        })
    }
}

/// Borg holds its limit for a run, not for a storage: with a bandwidth and no number, one run has it.
fn most(row: &StorageRow) -> Option<u32> {
    let alone = row.limits.bandwidth.is_some() && matches!(crate::storages::place_of(row), Ok(Place::Borg(_)));
    row.limits.parallel.or(alone.then_some(1))
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The storage's limits as they are now.
    pub fn limit(&self, row: &StorageRow) {
        let mut state = self.state();
        state.limits.insert(row.id.clone(), (row.name.to_string(), most(row)));
        state.advance();
        drop(state);
        self.changed.notify_waiters();
    }

    fn enter(&self, order: &Order, storages: &[StorageId]) {
        let mut state = self.state();
        let new = || (Ticket { storages: storages.to_vec(), taken: false }, 0);
        state.tickets.entry(order.clone()).or_insert_with(new).1 += 1;
        state.advance();
    }

    fn leave(&self, order: &Order) {
        let mut state = self.state();
        if let Some((_, inside)) = state.tickets.get_mut(order) {
            *inside -= 1;
            if *inside == 0 {
                state.tickets.remove(order);
            }
        }
        state.advance();
        drop(state);
        self.changed.notify_waiters();
    }
}

/// A place, until it is dropped.
pub(crate) struct Turn {
    app: Arc<App>,
    order: Order,
    /// It was not free at once.
    pub waited: bool,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.app.turns.leave(&self.order);
    }
}

/// Waits for a place in all of these storages. The members of a party share one: a member that waited here
/// while the others went on would hold up them all.
pub(crate) async fn take(cx: &Cx<App>, by_itself: bool, party: Option<&str>, storages: &[StorageId]) -> Result<Turn> {
    let turns = &cx.world.turns;
    for storage in storages {
        turns.limit(&store::storages::get(&mut *cx.world.store.read().await?, storage).await?);
    }
    let order = Order { by_itself, id: since(party.unwrap_or(cx.operation.as_str())) };
    turns.enter(&order, storages);
    let mut turn = Turn { app: cx.world.clone(), order, waited: false };
    let mut aside = None;
    loop {
        let changed = turns.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let Some(sentence) = turns.state().sentence(&turn.order) else { return Ok(turn) };
        turn.waited = true;
        aside.get_or_insert_with(|| cx.aside());
        cx.progress(None, &sentence);
        tokio::select! {
            () = &mut changed => {}
            () = tokio::time::sleep(SAY_EVERY) => {}
            () = cx.cancelled() => return Err(Error::conflict("cancelled", "cancelled")),
        }
    }
}

/// Ids of any kind sort by when they were made, but for what they begin with.
fn since(id: &str) -> String {
    id.split_once('_').map_or(id, |(_, made)| made).to_owned()
}
