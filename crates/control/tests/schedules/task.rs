//! The standing task: exactly once, whatever is killed, held, stopped or turned.

use crate::{
    plan::{at, timing},
    world::{World, wish},
};
use mainstay_control::{App, clusters, ops, schedules, schedules::SetSchedule, tasks};
use mainstay_model::{
    Time,
    backup::{BackupKind, BackupStatus},
    cluster::{Cluster, Wanted},
    retention::{Gfs, Retention},
    schedule::{Overlap, RunStatus, Schedule, Timing},
};
use mainstay_operations::Lock;
use mainstay_store as store;

const NOON: &str = "2026-11-20T12:00:00Z";

fn daily() -> Timing {
    timing(&[], &[3], "UTC")
}

async fn world() -> (World, Cluster) {
    let world = World::at(at(NOON)).await;
    let cluster = world.cluster("shop").await;
    (world, cluster)
}

async fn set(world: &World, cluster: &Cluster, name: &str, timing: &Timing) -> Schedule {
    schedules::set(&world.app, cluster, wish(name, timing)).await.unwrap().schedule
}

/// What became of each time, oldest first.
async fn runs(world: &World, schedule: &Schedule) -> Vec<(String, RunStatus)> {
    let mut conn = world.app.store.read().await.unwrap();
    let mut runs = store::schedules::runs(&mut conn, &schedule.id, 500).await.unwrap();
    runs.reverse();
    runs.into_iter().map(|r| (r.nominal.to_string()[5..16].into(), r.status)).collect()
}

async fn reason(world: &World, schedule: &Schedule) -> String {
    let mut conn = world.app.store.read().await.unwrap();
    store::schedules::runs(&mut conn, &schedule.id, 1).await.unwrap().remove(0).reason.unwrap()
}

async fn at_tick(world: &World, time: &str) -> Option<Time> {
    world.set(at(time));
    world.tick().await
}

fn started(slot: &str) -> (String, RunStatus) {
    (slot.into(), RunStatus::Started)
}
fn missed(slot: &str) -> (String, RunStatus) {
    (slot.into(), RunStatus::Missed)
}
fn skipped(slot: &str) -> (String, RunStatus) {
    (slot.into(), RunStatus::Skipped)
}

#[tokio::test]
async fn a_run_makes_a_backup_that_says_whose_it_is() {
    let (world, cluster) = world().await;
    let week = SetSchedule {
        retention: Some(Retention { days: Some(7), keep_last: Some(3), ..Retention::default() }),
        ..wish("nightly", &daily())
    };
    let nightly = schedules::set(&world.app, &cluster, week).await.unwrap();
    assert_eq!(nightly.next_runs.len(), 5);
    assert_eq!(world.tick().await, Some(at("2026-11-21T03:00:00Z")), "it sleeps until then");
    assert_eq!(at_tick(&world, "2026-11-21T03:00:00Z").await, Some(at("2026-11-22T03:00:00Z")));
    let backups = world.backups(&cluster).await;
    let b = &backups[0];
    assert_eq!((backups.len(), b.kind, b.schedule.as_ref()), (1, BackupKind::Scheduled, Some(&nightly.schedule.id)));
    assert_eq!((b.retention.as_ref(), b.copies.len()), (Some(&nightly.schedule.retention), 1));
    let operation = world.app.runner.holder(cluster.id.as_str()).await.unwrap().unwrap();
    assert_eq!((operation.kind.as_str(), operation.requested_by.as_str()), ("back_up", "schedule nightly"));
    let run = schedules::view(&world.app, nightly.schedule).await.unwrap().last_runs.remove(0);
    assert_eq!((run.0.backup.as_ref(), run.1), (Some(&b.id), Some(BackupStatus::Running)));
}

#[tokio::test]
async fn two_control_planes_and_restarts_make_one() {
    let (mut world, cluster) = world().await;
    let schedule = set(&world, &cluster, "nightly", &daily()).await;
    let other = world.another().await;
    world.set(at("2026-11-21T03:00:00Z"));
    let tick = |app: &std::sync::Arc<App>| {
        let app = app.clone();
        async move { tasks::schedule::tick(&app).await }
    };
    let both = tokio::join!(tick(&world.app), tick(&other), tick(&world.app), tick(&other));
    assert!(both.0.is_ok() && both.1.is_ok() && both.2.is_ok() && both.3.is_ok(), "{both:?}");
    other.store.close().await;
    for _ in 0..3 {
        world.restart().await;
        world.tick().await;
    }
    assert_eq!((world.backups(&cluster).await.len(), runs(&world, &schedule).await), (1, vec![started("11-21T03:00")]));
}

#[tokio::test]
async fn after_a_downtime_one_is_made_and_the_others_are_written_down() {
    let (mut world, cluster) = world().await;
    let schedule = set(&world, &cluster, "nightly", &daily()).await;
    world.restart().await;
    at_tick(&world, "2026-11-24T08:00:00Z").await;
    let wanted = vec![missed("11-21T03:00"), missed("11-22T03:00"), missed("11-23T03:00"), started("11-24T03:00")];
    assert_eq!(runs(&world, &schedule).await, wanted);
    world.end_backups(BackupStatus::Failed).await;
    at_tick(&world, "2026-11-24T08:30:00Z").await;
    assert_eq!(world.backups(&cluster).await.len(), 1, "a failed one is not made again at once");
    world.restart().await;
    at_tick(&world, "2026-11-25T20:00:00Z").await;
    assert_eq!(runs(&world, &schedule).await[4..], [missed("11-25T03:00")], "too late");
    assert!(reason(&world, &schedule).await.contains("did not run"));
}

#[tokio::test]
async fn a_clock_that_is_turned_repeats_nothing_and_leaves_nothing_out() {
    let (world, cluster) = world().await;
    let schedule = set(&world, &cluster, "nightly", &daily()).await;
    at_tick(&world, "2026-11-21T03:00:00Z").await;
    world.end_backups(BackupStatus::Completed).await;
    at_tick(&world, "2026-11-21T02:59:59Z").await;
    at_tick(&world, "2026-11-21T03:00:00Z").await;
    assert_eq!(world.backups(&cluster).await.len(), 1, "back by a second");
    // Forward by a year by mistake: one run, and what lies between is written down.
    at_tick(&world, "2027-11-21T03:00:01Z").await;
    world.end_backups(BackupStatus::Completed).await;
    assert_eq!(world.backups(&cluster).await.len(), 2);
    // And back again: what has not run yet runs when its time really comes.
    at_tick(&world, "2026-11-21T12:00:00Z").await;
    for day in 22..25 {
        at_tick(&world, &format!("2026-11-{day}T03:00:05Z")).await;
        world.end_backups(BackupStatus::Completed).await;
    }
    assert_eq!(world.backups(&cluster).await.len(), 5);
    assert_eq!(runs(&world, &schedule).await[..4], ["21", "22", "23", "24"].map(|d| started(&format!("11-{d}T03:00"))));
}

#[tokio::test]
async fn what_was_written_down_as_missed_by_a_wrong_clock_still_runs() {
    let (world, cluster) = world().await;
    let schedule = set(&world, &cluster, "nightly", &daily()).await;
    at_tick(&world, "2026-11-24T12:00:00Z").await;
    assert_eq!(runs(&world, &schedule).await.len(), 4);
    at_tick(&world, "2026-11-20T13:00:00Z").await;
    for day in 21..25 {
        at_tick(&world, &format!("2026-11-{day}T03:00:00Z")).await;
        world.end_backups(BackupStatus::Completed).await;
    }
    assert_eq!(runs(&world, &schedule).await, ["21", "22", "23", "24"].map(|d| started(&format!("11-{d}T03:00"))));
}

#[tokio::test]
async fn one_still_being_made_is_not_overtaken() {
    let (world, cluster) = world().await;
    let schedule = set(&world, &cluster, "often", &timing(&[], &[], "UTC")).await;
    at_tick(&world, "2026-11-20T13:00:00Z").await;
    at_tick(&world, "2026-11-20T14:00:00Z").await;
    assert_eq!(runs(&world, &schedule).await, [started("11-20T13:00"), skipped("11-20T14:00")]);
    assert!(reason(&world, &schedule).await.contains("still being made"));
    world.end_backups(BackupStatus::Completed).await;
    at_tick(&world, "2026-11-20T15:00:00Z").await;
    assert_eq!(runs(&world, &schedule).await[2], started("11-20T15:00"));
}

/// One time waits, the newest; it is used when the backup before has ended, at once and once, and not after its
/// catching up.
#[tokio::test]
async fn a_time_that_is_queued_waits_for_the_backup_before() {
    let (mut world, cluster) = world().await;
    let often = SetSchedule { overlap: Some(Overlap::Queue), ..wish("often", &timing(&[], &[], "UTC")) };
    let schedule = schedules::set(&world.app, &cluster, often).await.unwrap().schedule;
    let waiting = async |world: &World| schedules::resolve(&world.app, &cluster.project, schedule.id.as_str()).await.unwrap().waiting;
    at_tick(&world, "2026-11-20T13:00:00Z").await;
    assert_eq!(at_tick(&world, "2026-11-20T14:00:00Z").await, Some(at("2026-11-20T14:00:30Z")));
    assert!(waiting(&world).await.is_some_and(|why| why.contains("still being made")));
    world.restart().await;
    at_tick(&world, "2026-11-20T15:10:00Z").await;
    assert_eq!(runs(&world, &schedule).await, [started("11-20T13:00")], "nothing is used, nothing is given up");
    world.end_backups(BackupStatus::Completed).await;
    at_tick(&world, "2026-11-20T15:10:30Z").await;
    at_tick(&world, "2026-11-20T15:10:31Z").await;
    assert_eq!(runs(&world, &schedule).await, [started("11-20T13:00"), missed("11-20T14:00"), started("11-20T15:00")]);
    assert_eq!((waiting(&world).await, world.backups(&cluster).await.len()), (None, 2));

    // One that waited too long is missed, while the backup before goes on.
    let nightly = SetSchedule { overlap: Some(Overlap::Queue), ..wish("nightly", &timing(&[], &[3, 4], "UTC")) };
    let schedule = schedules::set(&world.app, &cluster, nightly).await.unwrap().schedule;
    at_tick(&world, "2026-11-21T03:00:00Z").await;
    at_tick(&world, "2026-11-21T04:00:00Z").await;
    at_tick(&world, "2026-11-21T10:00:01Z").await;
    assert_eq!(runs(&world, &schedule).await, [started("11-21T03:00"), missed("11-21T04:00")]);
    assert!(reason(&world, &schedule).await.contains("still being made, and more than 360 minutes"));

    // Set to be left out again, it does not wait any longer.
    world.end_backups(BackupStatus::Completed).await;
    at_tick(&world, "2026-11-22T03:00:00Z").await;
    at_tick(&world, "2026-11-22T04:00:00Z").await;
    let skip = SetSchedule { overlap: Some(Overlap::Skip), ..wish("nightly", &timing(&[], &[3, 4], "UTC")) };
    schedules::set(&world.app, &cluster, skip).await.unwrap();
    at_tick(&world, "2026-11-22T04:00:30Z").await;
    assert_eq!(runs(&world, &schedule).await[2..], [started("11-22T03:00"), skipped("11-22T04:00")]);
}

#[tokio::test]
async fn a_held_cluster_is_waited_for() {
    let (world, cluster) = world().await;
    let schedule = set(&world, &cluster, "nightly", &daily()).await;
    let state = ops::start_cluster::State { cluster: cluster.id.clone(), wanted_before: None };
    let hold = ops::submission::<ops::start_cluster::StartCluster>(&state, Some(ops::subject(&cluster)), Lock::Exclusive, "test").unwrap();
    let holder = world.app.runner.submit(hold).await.unwrap();
    assert_eq!(at_tick(&world, "2026-11-21T03:00:00Z").await, Some(at("2026-11-21T03:00:30Z")));
    assert!(runs(&world, &schedule).await.is_empty() && world.backups(&cluster).await.is_empty());
    let waiting = schedules::resolve(&world.app, &cluster.project, schedule.id.as_str()).await.unwrap().waiting.unwrap();
    assert!(waiting.contains(holder.as_str()), "{waiting}");
    world.app.runner.cancel(&holder, "test").await.unwrap();
    at_tick(&world, "2026-11-21T03:00:30Z").await;
    // Whether the cancelled one lets go without a runner or not: it is one or none, never two.
    assert!(world.backups(&cluster).await.len() <= 1);
    at_tick(&world, "2026-11-21T09:30:00Z").await;
    let all = runs(&world, &schedule).await;
    assert_eq!(all.len(), 1);
    if all[0].1 == RunStatus::Missed {
        assert!(reason(&world, &schedule).await.contains(holder.as_str()), "it says who held it");
    }
}

#[tokio::test]
async fn a_stopped_cluster_is_left_alone() {
    let (world, cluster) = world().await;
    let schedule = set(&world, &cluster, "nightly", &daily()).await;
    world.want(&cluster, Wanted::Stopped).await;
    at_tick(&world, "2026-11-21T03:00:00Z").await;
    assert_eq!(reason(&world, &schedule).await, "the cluster is stopped");
    world.want(&cluster, Wanted::Running).await;
    at_tick(&world, "2026-11-22T03:00:00Z").await;
    assert_eq!(runs(&world, &schedule).await, [skipped("11-21T03:00"), started("11-22T03:00")]);
}

#[tokio::test]
async fn paused_it_does_nothing_and_resumed_it_makes_up_for_nothing() {
    let (world, cluster) = world().await;
    let schedule = set(&world, &cluster, "nightly", &daily()).await;
    let paused = schedules::set_enabled(&world.app, &schedule, false).await.unwrap();
    assert!(!paused.schedule.enabled && paused.next_runs.is_empty());
    assert_eq!(at_tick(&world, "2026-11-23T03:30:00Z").await, None);
    let resumed = schedules::set_enabled(&world.app, &schedule, true).await.unwrap();
    assert_eq!(resumed.next_runs[0], at("2026-11-24T03:00:00Z"));
    world.tick().await;
    assert!(runs(&world, &schedule).await.is_empty());
    at_tick(&world, "2026-11-24T03:00:00Z").await;
    assert_eq!(runs(&world, &schedule).await, [started("11-24T03:00")]);
}

#[tokio::test]
async fn several_schedules_do_not_touch_each_other() {
    let (world, cluster) = world().await;
    let other = world.cluster("other").await;
    let nightly = set(&world, &cluster, "nightly", &daily()).await;
    let hourly = set(&world, &cluster, "hourly", &timing(&[], &[], "UTC")).await;
    let elsewhere = set(&world, &other, "nightly", &daily()).await;
    at_tick(&world, "2026-11-21T02:00:00Z").await;
    // The hourly one is still being made, which is the hourly one's business alone.
    at_tick(&world, "2026-11-21T03:00:00Z").await;
    assert_eq!(runs(&world, &nightly).await, [started("11-21T03:00")]);
    assert_eq!(runs(&world, &hourly).await.last(), Some(&skipped("11-21T03:00")));
    assert_eq!(runs(&world, &elsewhere).await, [started("11-21T03:00")]);
    let before = world.backups(&cluster).await;
    let changed = SetSchedule { retention: Some(Retention::days(1)), hours: Some([5].into()), ..wish("nightly", &daily()) };
    let changed = schedules::set(&world.app, &cluster, changed).await.unwrap();
    assert_eq!((changed.schedule.id, changed.next_runs[0]), (nightly.id.clone(), at("2026-11-21T05:00:00Z")));
    schedules::remove(&world.app, &hourly).await.unwrap();
    assert_eq!(world.backups(&cluster).await, before, "what was made stays as it was made");
    at_tick(&world, "2026-11-21T05:00:00Z").await;
    assert_eq!(world.backups(&cluster).await.len(), before.len(), "its backup of 03:00 is still being made");
    assert_eq!(runs(&world, &nightly).await, [started("11-21T03:00"), skipped("11-21T05:00")]);
}

#[tokio::test]
async fn what_is_set_is_checked_and_changed_by_name() {
    let (world, cluster) = world().await;
    let first = schedules::set(&world.app, &cluster, SetSchedule::default()).await.unwrap().schedule;
    assert_eq!((first.name.as_str(), first.timing.hours.len(), first.retention.days), ("default", 1, Some(7)));
    let again = SetSchedule { hours: Some([4].into()), ..SetSchedule::default() };
    let again = schedules::set(&world.app, &cluster, again).await.unwrap().schedule;
    assert_eq!((&again.id, again.timing.hours.first()), (&first.id, Some(&4)));
    assert_eq!((again.retention.days, again.retention.keep_last), (Some(7), None));
    let more = SetSchedule { keep_last: Some(48), ..SetSchedule::default() };
    let more = schedules::set(&world.app, &cluster, more).await.unwrap().schedule;
    assert_eq!((more.retention.days, more.retention.keep_last), (Some(7), Some(48)), "what is left out stays");
    let whole = SetSchedule { retention: Some(Retention { keep_last: Some(3), ..Retention::default() }), ..SetSchedule::default() };
    let whole = schedules::set(&world.app, &cluster, whole).await.unwrap().schedule;
    assert_eq!((whole.retention.days, whole.retention.keep_last), (None, Some(3)));
    let none = Retention { gfs: Some(Gfs::default()), ..Retention::default() };
    let nothing = Retention { max_bytes: Some(0), ..Retention::default() };
    let bad = [
        ("retention.gfs", SetSchedule { retention: Some(none), ..SetSchedule::default() }),
        ("retention.max_bytes", SetSchedule { retention: Some(nothing), ..SetSchedule::default() }),
        ("name", SetSchedule { name: Some("No".into()), ..SetSchedule::default() }),
        ("days", SetSchedule { days: Some([].into()), ..SetSchedule::default() }),
        ("hours", SetSchedule { hours: Some([24].into()), ..SetSchedule::default() }),
        ("time_zone", SetSchedule { time_zone: Some("Mars/Olympus".into()), ..SetSchedule::default() }),
        ("storages", SetSchedule { storages: Some(vec!["none".into()]), ..SetSchedule::default() }),
        ("storages", SetSchedule { storages: Some(vec!["local".into(), "local".into()]), ..SetSchedule::default() }),
        ("storages", SetSchedule { storages: Some(vec![]), ..SetSchedule::default() }),
        ("retention_days", SetSchedule { retention: Some(Retention::days(0)), ..SetSchedule::default() }),
    ];
    for (field, wish) in bad {
        let e = schedules::set(&world.app, &cluster, wish).await.unwrap_err();
        assert_eq!(e.field.as_deref(), Some(field), "{e:?}");
    }
    let short = |days: &[(&str, i64)]| SetSchedule {
        copy_retention: Some(days.iter().map(|(name, days)| (name.to_string(), *days)).collect()),
        retention: Some(Retention::days(90)),
        ..SetSchedule::default()
    };
    for (days, why) in [
        (&[("local", 7)][..], "in one storage at least"),
        (&[("none", 7)], "none of those"),
        (&[("local", 0)], "1 to 36500"),
        (&[("local", 91)], "kept 90 days"),
    ] {
        let e = schedules::set(&world.app, &cluster, short(days)).await.unwrap_err();
        assert!(e.field.as_deref() == Some("copy_retention") && e.message.contains(why), "{e:?}");
    }
    let same = schedules::set(&world.app, &cluster, short(&[("local", 90)])).await.unwrap();
    assert!(same.copy_retention.is_empty(), "as long as the backup is nothing of its own");
    let mut gone = clusters::resolve(&world.app, &cluster.project, "shop").await.unwrap();
    world.want(&cluster, Wanted::Deleted).await;
    gone.wanted = Wanted::Deleted;
    assert_eq!(schedules::set(&world.app, &gone, SetSchedule::default()).await.unwrap_err().code, "cluster_deleted");
}
