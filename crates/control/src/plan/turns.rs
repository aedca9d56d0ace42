//! Whose turn it is to write to a storage, when more want to than may at once.
//!
//! First come, first served, by the ids of the operations, which outlive any process; what somebody waits
//! for comes before what a schedule asked for. A backup takes its places in all of its storages together
//! or waits, so no two wait for each other; and one that waits for a slow storage does not keep those from
//! the others that have no business there.

use mainstay_model::StorageId;
use std::collections::{HashMap, HashSet};

/// What one host writes to at a time.
pub const HOST: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// Nobody waits for it.
    pub by_itself: bool,
    /// Of the operation, or of the party it belongs to.
    pub id: String,
}

#[derive(Debug, Clone)]
pub struct Ticket {
    pub storages: Vec<StorageId>,
    pub taken: bool,
}

impl Ticket {
    fn weight(&self) -> usize {
        self.storages.len().clamp(1, HOST)
    }
}

/// What somebody waits for, and how many come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// `None` is the host.
    pub storage: Option<StorageId>,
    pub before: usize,
}

/// Those of `tickets` whose turn has come, by their places. `tickets` are in order; `limit` says how many
/// may write to a storage at once.
pub fn next(tickets: &[Ticket], limit: impl Fn(&StorageId) -> Option<u32>) -> Vec<usize> {
    let mut used: HashMap<&StorageId, u32> = HashMap::new();
    let mut host = 0;
    for ticket in tickets.iter().filter(|t| t.taken) {
        host += ticket.weight();
        ticket.storages.iter().for_each(|s| *used.entry(s).or_default() += 1);
    }
    let (mut reserved, mut come) = (HashSet::new(), vec![]);
    for (at, ticket) in tickets.iter().enumerate().filter(|(_, t)| !t.taken) {
        let limited: Vec<_> = ticket.storages.iter().filter_map(|s| Some((s, limit(s)?))).collect();
        if limited.iter().any(|(s, most)| reserved.contains(s) || used.get(s).copied().unwrap_or(0) >= *most) {
            reserved.extend(limited.into_iter().map(|(s, _)| s));
            continue;
        }
        if host + ticket.weight() > HOST {
            break;
        }
        host += ticket.weight();
        ticket.storages.iter().for_each(|s| *used.entry(s).or_default() += 1);
        come.push(at);
    }
    come
}

/// What the one at `at`, which is not taken, waits for.
pub fn waits(tickets: &[Ticket], at: usize, limit: impl Fn(&StorageId) -> Option<u32>) -> Waits {
    let first = |wanted: &dyn Fn(&Ticket) -> bool| {
        let comes_first = |(n, t): &(usize, &Ticket)| *n != at && (t.taken || *n < at) && wanted(t);
        tickets.iter().enumerate().filter(comes_first).count()
    };
    let of = |s: &StorageId| first(&|t: &Ticket| t.storages.contains(s));
    let full = tickets[at].storages.iter().filter(|s| limit(s).is_some_and(|most| of(s) >= most as usize));
    match full.map(|s| (of(s), s)).max_by_key(|(before, _)| *before) {
        Some((before, storage)) => Waits { storage: Some(storage.clone()), before },
        None => Waits { storage: None, before: first(&|_| true) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ticket(storages: &[&StorageId], taken: bool) -> Ticket {
        Ticket { storages: storages.iter().map(|s| (*s).clone()).collect(), taken }
    }

    #[test]
    fn one_that_waits_for_a_slow_storage_holds_up_only_those_that_want_it_too() {
        let (slow, quick) = (StorageId::new(), StorageId::new());
        let limit = |s: &StorageId| (*s == slow).then_some(1);
        let tickets = [ticket(&[&slow], true), ticket(&[&slow, &quick], false), ticket(&[&slow], false), ticket(&[&quick], false)];
        assert_eq!(next(&tickets, limit), [3]);
        assert_eq!(waits(&tickets, 1, limit), Waits { storage: Some(slow.clone()), before: 1 });
        assert_eq!(waits(&tickets, 2, limit), Waits { storage: Some(slow), before: 2 });
    }

    #[test]
    fn a_host_writes_to_three_at_a_time() {
        let (a, b) = (StorageId::new(), StorageId::new());
        let limit = |_: &StorageId| None;
        let tickets = [ticket(&[&a, &b], true), ticket(&[&a, &b], false), ticket(&[&a], false)];
        assert_eq!(next(&tickets, limit), Vec::<usize>::new(), "the larger one is not passed by the smaller for ever");
        assert_eq!(waits(&tickets, 2, limit), Waits { storage: None, before: 2 });
        assert_eq!(next(&tickets[1..], limit), [0, 1]);
    }

    proptest! {
        /// Whatever is asked for: no limit is ever passed, the first that waits for a storage gets it first, and
        /// all come to their turn.
        #[test]
        fn limits_hold_and_everybody_has_a_turn(
            wants in prop::collection::vec(prop::collection::vec(0usize..4, 1..4), 1..40),
            limits in prop::collection::vec(prop::option::of(1u32..4), 4),
            ends in prop::collection::vec(0usize..3, 200),
        ) {
            let storages: Vec<StorageId> = (0..4).map(|_| StorageId::new()).collect();
            let limit = |s: &StorageId| storages.iter().position(|o| o == s).and_then(|n| limits[n]);
            let mut left: Vec<(usize, Ticket)> = wants.iter().map(|of| {
                let mut of: Vec<_> = of.iter().map(|n| storages[*n].clone()).collect();
                of.sort();
                of.dedup();
                Ticket { storages: of, taken: false }
            }).enumerate().collect();
            let (mut begun, mut round) = (vec![], 0);
            while !left.is_empty() {
                let tickets: Vec<Ticket> = left.iter().map(|(_, t)| t.clone()).collect();
                for at in next(&tickets, limit) {
                    left[at].1.taken = true;
                    begun.push(left[at].0);
                }
                let running: Vec<usize> = (0..left.len()).filter(|n| left[*n].1.taken).collect();
                prop_assert!(!running.is_empty(), "nobody has a turn");
                for s in &storages {
                    let writing = running.iter().filter(|n| left[**n].1.storages.contains(s)).count();
                    prop_assert!(limit(s).is_none_or(|most| writing <= most as usize));
                }
                prop_assert!(running.iter().map(|n| left[*n].1.weight()).sum::<usize>() <= HOST);
                left.remove(running[ends[round % ends.len()] % running.len()]);
                round += 1;
            }
            for s in storages.iter().filter(|s| limit(s).is_some()) {
                let of: Vec<usize> = begun.iter().copied().filter(|n| wants[*n].iter().any(|w| &storages[*w] == s)).collect();
                prop_assert!(of.is_sorted(), "{of:?}");
            }
        }
    }
}
