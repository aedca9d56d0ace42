//! A year in four zones, with downtimes, restarts and a clock that jumps; and very many schedules.

use crate::{
    plan::{at, schedule as planned, timing},
    world::{World, wish},
};
use mainstay_control::{plan::schedule::slots, schedules, tasks};
use mainstay_model::{
    Time,
    backup::BackupStatus,
    schedule::{Overlap, RunStatus, Schedule, Timing, Weekday},
};
use mainstay_store as store;
use std::collections::BTreeMap;

const BEGIN: &str = "2026-01-01T00:00:00Z";
const DAYS: i64 = 365;
/// Clocks that change at two, at three, by half an hour, and at midnight.
const ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"];

/// One minute-by-minute life would take long, so time goes from one thing that happens to the next.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % n
    }
}

/// What was promised, found out apart from the task: at each moment it looks, the slots since the
/// last look; the newest runs if it is at most six hours old, the others are missed.
#[derive(Default)]
struct Promise {
    runs: BTreeMap<Time, RunStatus>,
    looked: Time,
}

impl Promise {
    fn look(&mut self, timing: &Timing, now: Time) {
        let due: Vec<Time> = slots(timing, self.looked.min(now)).unwrap().take_while(|s| *s <= now).collect();
        for slot in &due {
            let is_run = due.last() == Some(slot) && now.seconds_since(*slot) <= 6.0 * 3600.0;
            let known = self.runs.get(slot) == Some(&RunStatus::Started);
            if !known {
                self.runs.insert(*slot, if is_run { RunStatus::Started } else { RunStatus::Missed });
            }
        }
        self.looked = due.last().copied().unwrap_or(self.looked.min(now));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_exactly_the_runs_promised() {
    let mut world = World::at(at(BEGIN)).await;
    let mut all: Vec<(Schedule, Promise)> = Vec::new();
    for (i, zone) in ZONES.iter().enumerate() {
        let cluster = world.cluster(&format!("shop-{i}")).await;
        for (name, timing) in
            [("nightly", timing(&[], &[0, 2], zone)), ("work", timing(&[Weekday::Sun, Weekday::Wed], &[0, 1, 3, 23], zone))]
        {
            let schedule = schedules::set(&world.app, &cluster, wish(name, &timing)).await.unwrap().schedule;
            all.push((schedule, Promise { looked: at(BEGIN), ..Promise::default() }));
        }
    }
    let mut dice = Dice(2026);
    let (mut now, end) = (at(BEGIN), at(BEGIN).plus_days(DAYS));
    while now < end {
        now = match dice.below(100) {
            // Down for some hours or days.
            0..2 => {
                world.restart().await;
                now.plus_seconds(3600 * (1 + dice.below(80)))
            }
            // The clock is put back, by seconds or by hours.
            2..4 => now.plus_seconds(-1 - dice.below(9)),
            4 => now.plus_seconds(-3600 * (1 + dice.below(12))),
            // Forward by hours, and a restart without any time passing.
            5 => now.plus_seconds(3600 * dice.below(30)),
            6 => {
                world.restart().await;
                now
            }
            _ => next(&world, now).await,
        };
        world.set(now);
        world.tick().await;
        all.iter_mut().for_each(|(schedule, promise)| promise.look(&schedule.timing, now));
        world.end_backups(BackupStatus::Completed).await;
    }
    for (schedule, promise) in &all {
        kept(&world, schedule, promise).await;
    }
}

/// Backups that take hours, of which one is made at a time while one time at most waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_times_that_wait() {
    let mut world = World::at(at(BEGIN)).await;
    let cluster = world.cluster("shop").await;
    let timing = timing(&[], &[0, 1, 2, 5, 14], ZONES[0]);
    let queue = schedules::SetSchedule { overlap: Some(Overlap::Queue), ..wish("often", &timing) };
    let schedule = schedules::set(&world.app, &cluster, queue).await.unwrap().schedule;
    let mut promise = Promise { looked: at(BEGIN), ..Promise::default() };
    let mut dice = Dice(7);
    let (mut now, end, mut busy, mut waited) = (at(BEGIN), at(BEGIN).plus_days(DAYS), None::<Time>, 0);
    while now < end {
        let hours = now.plus_seconds(3600 * (1 + dice.below(5)));
        now = match (dice.below(40), busy) {
            (0, _) => {
                world.restart().await;
                now.plus_seconds(3600 * (1 + dice.below(20)))
            }
            (1..20, Some(until)) => until.max(now.plus_seconds(31)),
            (_, Some(_)) => hours,
            (_, None) => next(&world, now).await,
        };
        world.set(now);
        if busy.is_some_and(|until| until <= now) {
            world.end_backups(BackupStatus::Completed).await;
            busy = None;
        }
        let newest = slots(&timing, promise.looked).unwrap().take_while(|slot| *slot <= now).last();
        let waits = busy.is_some() && newest.is_some_and(|slot| now.seconds_since(slot) <= 6.0 * 3600.0);
        waited += i32::from(waits);
        if !waits {
            promise.look(&timing, now);
        }
        world.tick().await;
        let mut running = world.backups(&cluster).await;
        running.retain(|b| b.status == BackupStatus::Running);
        assert!(running.len() <= 1, "never two");
        if busy.is_none() && running.len() == 1 {
            busy = Some(now.plus_seconds(60 * dice.below(500)));
        }
    }
    assert!(waited > 100, "{waited}");
    kept(&world, &schedule, &promise).await;
}

/// As the task sleeps: until the next thing is due, and a day at most.
async fn next(world: &World, now: Time) -> Time {
    let next = store::schedules::next_at(&mut world.app.store.read().await.unwrap()).await.unwrap();
    next.map_or(now.plus_days(1), |at| at.max(now.plus_seconds(1)).min(now.plus_days(1)))
}

async fn kept(world: &World, schedule: &Schedule, promise: &Promise) {
    let mut conn = world.app.store.read().await.unwrap();
    let runs = store::schedules::runs(&mut conn, &schedule.id, 1000).await.unwrap();
    let told: BTreeMap<Time, RunStatus> = runs.iter().map(|r| (r.nominal, r.status)).collect();
    // It remembers its newest five hundred.
    let remembered: BTreeMap<Time, RunStatus> = promise.runs.iter().rev().take(500).map(|(t, s)| (*t, *s)).collect();
    assert_eq!(told, remembered, "{}", schedule.timing);
    let begun: Vec<_> = runs.iter().filter_map(|r| r.backup.clone()).collect();
    let of_this = store::backups::of_cluster(&mut conn, schedule.owner.cluster().unwrap()).await.unwrap();
    let of_this = of_this.iter().filter(|b| b.schedule.as_ref() == Some(&schedule.id)).count();
    let promised = promise.runs.values().filter(|s| **s == RunStatus::Started).count();
    assert_eq!(of_this, promised, "{}: as many backups as runs", schedule.timing);
    assert!(begun.len() <= of_this && promised > 150, "{}: {promised}", schedule.timing);
}

/// The planner's times against the wall clock itself, gone through half an hour by half an hour: an hour of
/// a day has its run when the clock there first shows it, or what comes after it where it is left out.
#[test]
fn a_year_by_the_wall_clock() {
    let hours: [u8; 4] = [0, 1, 2, 3];
    for zone in ZONES {
        let tz = jiff::tz::TimeZone::get(zone).unwrap();
        let wall = |t: Time| tz.to_datetime(jiff::Timestamp::from_microsecond(t.micros()).unwrap());
        let (begin, end) = (at(BEGIN), at(BEGIN).plus_days(DAYS));
        let half_hours: Vec<Time> = (0..DAYS * 48).map(|i| begin.plus_seconds(1800 * i)).collect();
        let mut expected: Vec<Time> = Vec::new();
        for day in wall(begin).date().series(jiff::Span::new().days(1)).take(DAYS as usize) {
            for hour in hours {
                let wanted = day.at(hour as i8, 0, 0, 0);
                // At most a day before and after in UTC.
                let near = half_hours.iter().filter(|t| (wall(**t).date().duration_since(day).as_hours()).abs() <= 48);
                expected.extend(near.copied().find(|t| wall(*t) >= wanted).filter(|t| *t > begin));
            }
        }
        expected.sort();
        expected.dedup();
        let planned: Vec<Time> = slots(&timing(&[], &hours, zone), begin).unwrap().take_while(|t| *t < end).collect();
        let differ: Vec<_> =
            expected.iter().filter(|t| !planned.contains(t)).chain(planned.iter().filter(|t| !expected.contains(t))).collect();
        // At the ends of the year a day is cut off.
        assert!(differ.iter().all(|t| **t < begin.plus_days(2) || **t > end.plus_days(-2)), "{zone}: {differ:?}");
        assert!(planned.len() > 1440, "{zone}: {}", planned.len());
    }
}

/// Ten thousand schedules, a hundred due at each of a hundred minutes: each look reads and writes
/// what is due and nothing else, so it is over long before the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_schedules_run_on_time() {
    const AT_ONCE: i64 = 25;
    let begin = at("2026-01-01T00:00:00Z");
    let world = World::at(begin).await;
    let cluster = world.cluster("shop").await;
    let local = mainstay_control::storages::resolve(&world.app, &cluster.project, "local").await.unwrap();
    let mut tx = world.app.store.begin_write().await.unwrap();
    for i in 0..10_000i64 {
        let hour = (i % 12) as u8;
        let day = Weekday::ALL[(i / 12 % 7) as usize];
        let mut schedule = planned(timing(&[day], &[hour], "UTC"), begin);
        (schedule.project, schedule.owner) = (cluster.project.clone(), (&cluster).into());
        schedule.name = mainstay_model::Name::parse(&format!("of-{i}")).unwrap();
        schedule.storages = vec![local.id.clone()];
        if i >= AT_ONCE * 12 {
            // All the others are due next year.
            schedule.done_until = begin;
            schedule.next_at = Some(begin.plus_days(366));
        }
        store::schedules::insert(&mut tx, &schedule).await.unwrap();
    }
    store::commit(tx).await.unwrap();
    let mut due = 0;
    for hour in 1..168 {
        let now = begin.plus_seconds(3600 * hour);
        world.set(now);
        let next = tasks::schedule::tick(&world.app).await.unwrap();
        assert!(next.is_some_and(|n| n > now), "nothing that is due is left over");
        world.end_backups(BackupStatus::Completed).await;
        due += 1;
    }
    let made = world.backups(&cluster).await.len();
    assert!(due == 167 && made > 250, "{made} of {}", AT_ONCE * 12);
}
