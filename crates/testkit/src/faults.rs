//! Faults on order. Every fake passes named points (`engine.promote`, `runtime.ensure`,
//! `storage.publish`): before its effect, and after it. A test sets a fault at a point, and the
//! next visitor meets it.

use crate::lock;
use mainstay_model::{Error, Result};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

/// Shared by all fakes of a world; clones are the same.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    before: BTreeMap<String, VecDeque<Error>>,
    after: BTreeMap<String, VecDeque<Error>>,
    delays: BTreeMap<String, Duration>,
    holds: BTreeSet<String>,
    held: BTreeMap<String, u64>,
    switches: BTreeSet<String>,
    visits: Vec<String>,
}

const LOOK_AGAIN: Duration = Duration::from_millis(2);

impl Faults {
    /// The next `times` visitors of `point` fail before they have done anything.
    pub fn fail(&self, point: &str, times: usize, error: Error) {
        lock(&self.0).before.entry(point.into()).or_default().extend(std::iter::repeat_n(error, times));
    }

    /// The next visitor does its work, and its caller does not hear of it.
    pub fn lose_reply(&self, point: &str) {
        let lost = Error::unavailable("reply_lost", format!("the reply of {point} was lost"));
        lock(&self.0).after.entry(point.into()).or_default().push_back(lost);
    }

    /// Every visitor takes this long from now on.
    pub fn delay(&self, point: &str, delay: Duration) {
        lock(&self.0).delays.insert(point.into(), delay);
    }

    pub fn delay_of(&self, point: &str) -> Duration {
        lock(&self.0).delays.get(point).copied().unwrap_or_default()
    }

    /// Visitors stop at `point`, before their effect, until [`Faults::release`].
    pub fn hold(&self, point: &str) {
        lock(&self.0).holds.insert(point.into());
    }

    pub fn release(&self, point: &str) {
        lock(&self.0).holds.remove(point);
    }

    /// Returns once a visitor is held at `point`.
    pub async fn reached(&self, point: &str) {
        while lock(&self.0).held.get(point).is_none_or(|n| *n == 0) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Sets a lasting condition, such as `engine.replication_stopped`.
    pub fn switch(&self, name: &str, on: bool) {
        let mut state = lock(&self.0);
        if on {
            state.switches.insert(name.into());
        } else {
            state.switches.remove(name);
        }
    }

    pub fn is_on(&self, name: &str) -> bool {
        lock(&self.0).switches.contains(name)
    }

    /// Forgets every fault that was ordered; what is held goes on.
    pub fn clear(&self) {
        let mut state = lock(&self.0);
        let visits = std::mem::take(&mut state.visits);
        let held = std::mem::take(&mut state.held);
        *state = State { visits, held, ..State::default() };
    }

    /// How often `point` was visited.
    pub fn visits(&self, point: &str) -> usize {
        lock(&self.0).visits.iter().filter(|v| *v == point).count()
    }

    /// All visits, in order: what a loop over fault points goes through.
    pub fn all_visits(&self) -> Vec<String> {
        lock(&self.0).visits.clone()
    }

    /// What a fake does first at `point`.
    pub async fn before(&self, point: &str) -> Result<()> {
        let delay = self.visit(point);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let _held = Held::at(self, point);
        while lock(&self.0).holds.contains(point) {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.planned(point)
    }

    /// The same on a thread that may block.
    pub fn before_blocking(&self, point: &str) -> Result<()> {
        std::thread::sleep(self.visit(point));
        let _held = Held::at(self, point);
        while lock(&self.0).holds.contains(point) {
            std::thread::sleep(LOOK_AGAIN);
        }
        self.planned(point)
    }

    /// What a fake does last at `point`.
    pub fn after(&self, point: &str) -> Result<()> {
        let planned = lock(&self.0).after.get_mut(point).and_then(VecDeque::pop_front);
        planned.map_or(Ok(()), Err)
    }

    fn visit(&self, point: &str) -> Duration {
        lock(&self.0).visits.push(point.into());
        self.delay_of(point)
    }

    fn planned(&self, point: &str) -> Result<()> {
        let planned = lock(&self.0).before.get_mut(point).and_then(VecDeque::pop_front);
        planned.map_or(Ok(()), Err)
    }
}

/// Counts a visitor as held for as long as it is, also where its future is dropped.
struct Held<'a>(&'a Faults, String);

impl<'a> Held<'a> {
    fn at(faults: &'a Faults, point: &str) -> Option<Held<'a>> {
        let mut state = lock(&faults.0);
        state.holds.contains(point).then(|| {
            *state.held.entry(point.into()).or_default() += 1;
            Held(faults, point.into())
        })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(n) = lock(&self.0.0).held.get_mut(&self.1) {
            *n = n.saturating_sub(1);
        }
    }
}
