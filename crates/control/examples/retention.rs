//! How long it takes to plan a million backups of ten thousand clusters, as one hourly run does.
//!
//! `cargo run --release -p mainstay-control --example retention`

use mainstay_control::plan::retention::{Class, Clock, Item, Lane, Pins, Policy, Rules, ScheduleFacts, plan};
use mainstay_model::{
    BackupId, ScheduleId, StorageId, Time,
    retention::{Gfs, Retention},
};
use std::{collections::BTreeMap, time::Instant};

const CLUSTERS: usize = 10_000;
const EACH: i64 = 100;

fn cluster(now: Time, storage: &StorageId) -> (Policy, Vec<Item>) {
    let schedule = ScheduleId::new();
    let facts = ScheduleFacts { name: "default".into(), time_zone: "Europe/Berlin".into(), enabled: true };
    let gfs = Gfs { daily: 7, weekly: 4, monthly: 12, ..Gfs::default() };
    let rules = Retention { days: Some(30), gfs: Some(gfs), ..Retention::default() };
    let item = |n: i64| {
        let created_at = now.plus_days(-n);
        let manual = n % 10 == 0;
        Item {
            id: BackupId::new(),
            class: if manual { Class::Manual } else { Class::Schedule(schedule.clone()) },
            lane: if n % 17 == 0 { Lane::Failed } else { Lane::Good },
            drilled: n % 7 == 0,
            created_at,
            bytes: 1 << 30,
            parent: None,
            group: None,
            rules: if manual { Rules::of(&Retention::days(7), created_at) } else { Rules::of(&rules, created_at) },
            storages: vec![storage.clone()],
            places: vec![],
        }
    };
    let items = (0..EACH).map(item).collect();
    (Policy { schedules: BTreeMap::from([(schedule, facts)]), ..Policy::default() }, items)
}

fn main() {
    let now = Time::from_micros(1_795_000_000_000_000);
    let storage = StorageId::new();
    let clusters: Vec<_> = (0..CLUSTERS).map(|_| cluster(now, &storage)).collect();
    let begun = Instant::now();
    let (mut kept, mut gone) = (0, 0);
    for (policy, items) in &clusters {
        let plan = plan(policy, items, &Pins::default(), Clock { now, last: Some(now) });
        (kept, gone) = (kept + plan.keep.len(), gone + plan.delete.len());
    }
    println!("{} backups of {CLUSTERS} clusters in {:?}: {kept} kept, {gone} to go", kept + gone, begun.elapsed());
}
