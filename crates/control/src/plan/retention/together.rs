//! Several clusters at once: a group backup is kept as a whole or goes as a whole.
//!
//! Each cluster is planned by itself, as if it had no group backups; what its rules, floors, holds and doubts
//! keep of one then keeps its other parts as well. That may keep what such a part needs, which may be a part of
//! an older one, so it goes on until nothing is added. Keeping only ever adds, so it ends, and what every
//! cluster's own plan promises still holds.

use super::{Clock, Item, Kept, Pins, Plan, Policy, plan};
use mainstay_model::GroupBackupId;
use std::collections::{BTreeSet, HashMap};

/// One cluster, as the planner is asked about it.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    pub policy: &'a Policy,
    pub catalogue: &'a [Item],
    pub pins: &'a Pins,
    /// A person said yes to however much goes at once. Without it a plan that would have to be asked about
    /// lets nothing go, and so no other part of its group backups either.
    pub confirmed: bool,
}

/// One plan for each, in their order.
pub fn together(asked: &[Asked], clock: Clock) -> Vec<Plan> {
    let mut staying: BTreeSet<GroupBackupId> = BTreeSet::new();
    loop {
        let plans: Vec<Plan> = asked.iter().map(|a| planned(a, &staying, clock)).collect();
        let now: BTreeSet<GroupBackupId> = asked.iter().zip(&plans).flat_map(|(a, p)| stay(a, p)).collect();
        if now.is_subset(&staying) {
            return plans;
        }
        staying.extend(now);
    }
}

fn planned(asked: &Asked, staying: &BTreeSet<GroupBackupId>, clock: Clock) -> Plan {
    let mut pins = asked.pins.clone();
    pins.groups.extend(staying.iter().cloned());
    plan(asked.policy, asked.catalogue, &pins, clock)
}

/// The group backups of which a part stays here. One that is leaving already keeps no other.
fn stay(asked: &Asked, plan: &Plan) -> Vec<GroupBackupId> {
    let items: HashMap<_, &Item> = asked.catalogue.iter().map(|i| (&i.id, i)).collect();
    let waits = plan.brake.is_some() && !asked.confirmed;
    let held = plan.delete.iter().filter(|_| waits).map(|(id, _)| id);
    let kept = plan.keep.iter().filter(|(_, why)| *why != Kept::Leaving).map(|(id, _)| id);
    kept.chain(held).filter_map(|id| items.get(id)?.group.clone()).collect()
}
