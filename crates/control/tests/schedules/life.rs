//! Schedules from a cluster's birth to its end, with a real runner and agent in a fake world.

use crate::world::wish;
use mainstay_control::{
    clusters::{self, Deletion},
    groups,
    restores::{self, RestoreRequest},
    schedules,
    storages::{self, NewStorage},
    tasks,
};
use mainstay_drivers::storage::Place;
use mainstay_model::{
    Error, Time,
    backup::{BackupKind, BackupStatus},
    cluster::Cluster,
    schedule::{Overlap, Schedule, Timing},
};
use mainstay_store as store;
use mainstay_testkit::{
    World,
    world::{Desk, ended, project, somebody, wish as cluster_wish},
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

async fn of(desk: &Desk, cluster: &Cluster) -> Vec<Schedule> {
    store::schedules::of_cluster(&mut desk.app.store.read().await.unwrap(), &cluster.id).await.unwrap()
}

async fn scene() -> (World, Desk, Cluster) {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    world.write(&cluster, "a").unwrap();
    (world, desk, cluster)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheduled_backup_is_a_good_one() {
    let (world, desk, cluster) = scene().await;
    let hourly = Timing::new(Timing::every_day(), Timing::every_hour(), "UTC").unwrap();
    let mut schedule = schedules::set(&desk.app, &cluster, wish("hourly", &hourly)).await.unwrap().schedule;
    // As if it had been set two hours ago.
    (schedule.done_until, schedule.next_at) = (desk.app.now().plus_seconds(-7200), Some(desk.app.now()));
    let mut tx = desk.app.store.begin_write().await.unwrap();
    store::schedules::update(&mut tx, &schedule).await.unwrap();
    store::commit(tx).await.unwrap();
    tasks::schedule::tick(&desk.app).await.unwrap();
    let operation = desk.app.runner.list(Default::default(), None, 1).await.unwrap().items.remove(0);
    ended(&desk.app.runner, &operation.id).await.unwrap();
    let backup = world.backups().await.unwrap().pop().unwrap();
    assert_eq!(
        (backup.kind, backup.status, backup.schedule.as_ref()),
        (BackupKind::Scheduled, BackupStatus::Completed, Some(&schedule.id))
    );
    assert!(backup.is_good() && world.rows_in(&backup).contains(&"a".into()), "{backup:?} {:?}", world.rows_in(&backup));
}

/// As if it had been set two hours ago, and the clock came to its time.
async fn comes_due(desk: &Desk, schedule: &Schedule) {
    let mut tx = desk.app.store.begin_write().await.unwrap();
    let mut row = store::schedules::get(&mut tx, &schedule.id).await.unwrap();
    (row.done_until, row.next_at) = (desk.app.now().plus_seconds(-7200), Some(desk.app.now()));
    store::schedules::update(&mut tx, &row).await.unwrap();
    store::commit(tx).await.unwrap();
    tasks::schedule::tick(&desk.app).await.unwrap();
}

struct Hand(AtomicI64);

impl mainstay_operations::Clock for Hand {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A time that waits is looked at when the backup before has ended, well or not, and not half a minute later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_that_waits_begins_when_the_backup_before_has_ended() {
    let world = World::new().await.unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(Time::parse("2026-11-20T12:30:00Z").unwrap().micros())));
    world.set_clock(clock.clone());
    let desk = world.desk().await.unwrap();
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    let hourly = Timing::new(Timing::every_day(), Timing::every_hour(), "UTC").unwrap();
    let queue = schedules::SetSchedule { overlap: Some(Overlap::Queue), ..wish("hourly", &hourly) };
    let schedule = schedules::set(&desk.app, &cluster, queue).await.unwrap().schedule;
    let begun = async || {
        let runs = store::schedules::runs(&mut desk.app.store.read().await.unwrap(), &schedule.id, 10).await.unwrap();
        runs.into_iter().filter_map(|run| run.backup).collect::<Vec<_>>()
    };
    let later = async |seconds: i64| {
        clock.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        tasks::schedule::tick(&desk.app).await.unwrap();
    };
    for breaks in [false, true] {
        let before = begun().await.len();
        world.outside.faults.switch("storage.stalls.local", true);
        later(3600).await;
        assert_eq!(begun().await.len(), before + 1);
        later(3600).await;
        assert_eq!(begun().await.len(), before + 1, "it waits");
        world.outside.faults.switch("storage.breaks.local", breaks);
        world.outside.faults.switch("storage.stalls.local", false);
        for operation in desk.app.runner.list(Default::default(), None, 50).await.unwrap().items {
            ended(&desk.app.runner, &operation.id).await.unwrap();
        }
        world.outside.faults.switch("storage.breaks.local", false);
        later(0).await;
        let now = begun().await;
        assert_eq!(now.len(), before + 2, "breaks: {breaks}");
        for operation in desk.app.runner.list(Default::default(), None, 50).await.unwrap().items {
            ended(&desk.app.runner, &operation.id).await.unwrap();
        }
        let all = store::backups::of_cluster(&mut desk.app.store.read().await.unwrap(), &cluster.id).await.unwrap();
        assert!(all.iter().find(|b| b.id == now[0]).unwrap().is_good(), "{all:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_groups_schedule_makes_one_point_of_all_members() {
    let (world, desk, _) = scene().await;
    let other = desk.deploy("store", "ledger", 0).await.unwrap();
    world.write(&other, "b").unwrap();
    let project = project(&desk.app).await.unwrap().id;
    let group = groups::create(&desk.app, &project, "both", &["shop".to_string(), "store".to_string()]).await.unwrap().group;
    let hourly = Timing::new(Timing::every_day(), Timing::every_hour(), "UTC").unwrap();
    let schedule = schedules::set(&desk.app, &group, wish("hourly", &hourly)).await.unwrap().schedule;
    comes_due(&desk, &schedule).await;
    let holder = desk.app.runner.holder(group.id.as_str()).await.unwrap().expect("it is begun");
    assert_eq!(ended(&desk.app.runner, &holder.id).await.unwrap().status, mainstay_operations::Status::Succeeded);
    let made = groups::backups(&desk.app, &project, Some(&group.id), &store::Paging::default()).await.unwrap().items.remove(0);
    assert!(made.is_restorable() && made.whole.schedule.as_ref() == Some(&schedule.id), "{made:?}");
    let rows: Vec<Vec<String>> = made.parts.iter().map(|(_, b)| world.rows_in(b.as_ref().unwrap())).collect();
    assert!(rows[0].contains(&"a".into()) && rows[1].contains(&"b".into()), "{rows:?}");
    // The same time is not used again.
    comes_due(&desk, &schedule).await;
    let runs = store::schedules::runs(&mut desk.app.store.read().await.unwrap(), &schedule.id, 10).await.unwrap();
    let begun = runs.iter().filter(|r| r.group_backup.is_some()).count();
    assert_eq!(begun, 1, "{runs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_born_copied_and_gone_with_their_cluster() {
    let (_world, desk, cluster) = scene().await;
    let app = &desk.app;
    let born = of(&desk, &cluster).await;
    assert_eq!((born.len(), born[0].name.as_str(), born[0].enabled, born[0].retention.days), (1, "default", true, Some(7)));
    assert_eq!((born[0].timing.is_every_day(), born[0].timing.hours.first(), born[0].next_at.is_some()), (true, Some(&3), true));

    let backup = desk.back_up(&cluster).await.unwrap();
    let copied = restore(&desk, backup.id.as_str(), "copy").await;
    let copies = of(&desk, &copied).await;
    assert_eq!((copies.len(), &copies[0].timing, copies[0].enabled, copies[0].next_at), (1, &born[0].timing, false, None));
    assert!(copies[0].id != born[0].id && copies[0].owner.name() == "copy");

    let how = Deletion { skip_final_backup: true, keep_backups: true, confirm: Some("shop".into()) };
    desk.done(&clusters::delete(app, &somebody(), &cluster, how).await.unwrap()).await.unwrap();
    // It rests in the bin with its cluster, and nobody wakes it there.
    let binned = of(&desk, &cluster).await;
    assert_eq!((binned.len(), binned[0].next_at), (1, None));
    assert_eq!(schedules::set_enabled(app, &binned[0], true).await.unwrap_err().code, "cluster_deleted");
    assert_eq!(of(&desk, &copied).await.len(), 1);
    // Of a cluster that is gone there is nothing to copy, and nobody else backs its data up.
    let last = of(&desk, &restore(&desk, backup.id.as_str(), "last").await).await;
    assert_eq!((last.len(), last[0].enabled), (1, true));
}

async fn restore(desk: &Desk, backup: &str, new: &str) -> Cluster {
    let (app, project) = (&desk.app, project(&desk.app).await.unwrap().id);
    let request = RestoreRequest { backup: Some(backup.into()), new: Some(new.into()), ..RestoreRequest::default() };
    let hash = restores::plan(app, &project, &request).await.unwrap().hash;
    let (_, id) = restores::run(app, &somebody(), &project, &request, &hash).await.unwrap();
    desk.done(&id).await.unwrap();
    clusters::resolve(app, &project, new).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_never_came_to_be_leaves_none() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    world.outside.faults.fail("engine.bootstrap", 100, Error::failed("broken", "it does not start"));
    let project = project(&desk.app).await.unwrap();
    let (cluster, id) = clusters::create(&desk.app, &somebody(), &project, cluster_wish("shop", "memo", 0)).await.unwrap();
    assert_eq!(of(&desk, &cluster).await.len(), 1);
    assert_eq!(ended(&desk.app.runner, &id).await.unwrap().status, mainstay_operations::Status::Failed);
    assert_eq!(of(&desk, &cluster).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_a_schedule_goes_to_stays() {
    let (world, desk, cluster) = scene().await;
    let place = Place::Local { path: world.outside.scratch().join("second") };
    let new = NewStorage { name: "second".into(), place, region: None, secret: None, limits: Default::default() };
    let second = storages::add(&desk.app, &cluster.project, new).await.unwrap().0;
    let there = schedules::SetSchedule { storages: Some(vec!["local".into(), "second".into()]), ..Default::default() };
    schedules::set(&desk.app, &cluster, there).await.unwrap();
    let refused = storages::remove(&desk.app, &second).await.unwrap_err();
    assert!(refused.code == "storage_in_use" && refused.message.contains("schedule default of cluster shop"), "{refused:?}");
    let back = schedules::SetSchedule { storages: Some(vec!["local".into()]), ..Default::default() };
    schedules::set(&desk.app, &cluster, back).await.unwrap();
    storages::remove(&desk.app, &second).await.unwrap();
}
