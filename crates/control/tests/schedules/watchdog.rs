//! That a backup is overdue is seen from the backups there are, whatever the scheduler does or believes.

use crate::{
    plan::{at, timing},
    world::{World, wish},
};
use mainstay_control::{schedules, tasks::overdue};
use mainstay_model::{
    Time,
    alert::AlertKind,
    backup::{BackupStatus, Proof},
    schedule::RunStatus,
};
use mainstay_store::{self as store, Paging, backups::BackupFilter};

const HOUR: i64 = 3600;

impl World {
    /// Every backup that is being made ends, read back and good.
    pub async fn end_well(&self) {
        let running = BackupFilter { status: Some(BackupStatus::Running), ..Default::default() };
        let mut tx = self.app.store.begin_write().await.unwrap();
        for mut backup in store::backups::list(&mut tx, &running, &Paging::default()).await.unwrap().items {
            let now = Some(self.app.now());
            (backup.status, backup.proof, backup.finished_at) = (BackupStatus::Completed, Proof::Verified, now);
            for copy in &mut backup.copies {
                (copy.status, copy.snapshot, copy.verified_at) = (BackupStatus::Completed, Some("abc".into()), now);
            }
            assert!(backup.is_good());
            store::backups::update(&mut tx, &backup).await.unwrap();
        }
        store::commit(tx).await.unwrap();
    }

    /// Looks, and says which alerts are open.
    pub async fn watchdog(&self) -> Vec<AlertKind> {
        overdue::all(&self.app).await.unwrap();
        let open = store::alerts::all_open(&mut self.app.store.read().await.unwrap()).await.unwrap();
        open.into_iter().map(|a| a.condition.kind).collect()
    }
}

/// Three good days; then the scheduler is dead, and every row it left says that all is well.
#[tokio::test]
async fn a_dead_scheduler_is_noticed_by_what_is_missing() {
    let mut world = World::at(at("2026-03-01T00:00:00Z")).await;
    let cluster = world.cluster("shop").await;
    let schedule = schedules::set(&world.app, &cluster, wish("nightly", &timing(&[], &[3], "UTC"))).await.unwrap().schedule;
    for day in 1..=3 {
        world.set(Time::parse(&format!("2026-03-0{day}T03:00:01Z")).unwrap());
        world.tick().await;
        world.end_well().await;
        assert_eq!(world.watchdog().await, [], "day {day}");
    }
    // From here on nothing ticks. A restart in between changes nothing, nor does who asks.
    let last = at("2026-03-03T03:00:01Z");
    for hours in [12, 24, 47, 48] {
        world.set(last.plus_seconds(hours * HOUR));
        assert_eq!(world.watchdog().await, [], "{hours} hours after the last good one");
    }
    world.restart().await;
    world.set(last.plus_seconds(48 * HOUR + 2));
    assert_eq!(world.watchdog().await, [AlertKind::BackupOverdue], "two intervals without a good one");
    let runs = store::schedules::runs(&mut world.app.store.read().await.unwrap(), &schedule.id, 10).await.unwrap();
    assert!(runs.len() == 3 && runs.iter().all(|r| r.status == RunStatus::Started), "no row says that anything is wrong");

    // One that is begun is none yet; one that failed is none either; a good one ends it.
    world.tick().await;
    assert!(world.watchdog().await.contains(&AlertKind::BackupOverdue));
    world.end_backups(BackupStatus::Failed).await;
    let open = world.watchdog().await;
    assert!(open.contains(&AlertKind::BackupOverdue) && open.contains(&AlertKind::BackupFailed), "{open:?}");
    world.set(last.plus_seconds(72 * HOUR));
    world.tick().await;
    world.end_well().await;
    assert_eq!(world.watchdog().await, []);
}

/// Hourly backups are good all along; those of another schedule fail, and nobody is told that all is well.
#[tokio::test]
async fn one_schedule_hides_no_other() {
    let world = World::at(at("2026-03-01T00:00:00Z")).await;
    let cluster = world.cluster("shop").await;
    let (hours, nights) = (timing(&[], &[], "UTC"), timing(&[], &[3], "UTC"));
    schedules::set(&world.app, &cluster, wish("hourly", &hours)).await.unwrap();
    let nightly = schedules::set(&world.app, &cluster, wish("nightly", &nights)).await.unwrap().schedule;
    for hour in 1..=52 {
        world.set(at("2026-03-01T00:00:01Z").plus_seconds(hour * HOUR));
        world.tick().await;
        let mut tx = world.app.store.begin_write().await.unwrap();
        for mut backup in world.backups(&cluster).await.into_iter().filter(|b| b.schedule.as_ref() == Some(&nightly.id)) {
            (backup.status, backup.error, backup.finished_at) = (BackupStatus::Failed, Some("no".into()), Some(backup.created_at));
            store::backups::update(&mut tx, &backup).await.unwrap();
        }
        store::commit(tx).await.unwrap();
        world.end_well().await;
        let late = world.watchdog().await.contains(&AlertKind::BackupOverdue);
        assert_eq!(late, hour >= 48, "after {hour} hours");
    }
    let open = store::alerts::all_open(&mut world.app.store.read().await.unwrap()).await.unwrap();
    let overdue = open.iter().find(|a| a.condition.kind == AlertKind::BackupOverdue).unwrap();
    assert!(overdue.condition.object == nightly.id.as_str() && overdue.condition.sentence.contains("nightly"), "{overdue:?}");
}

/// A scheduler that marks its times as used and makes nothing of them.
#[tokio::test]
async fn a_scheduler_that_lies_is_noticed_too() {
    let world = World::at(at("2026-03-01T00:00:00Z")).await;
    let cluster = world.cluster("shop").await;
    let schedule = schedules::set(&world.app, &cluster, wish("hourly", &timing(&[], &[], "UTC"))).await.unwrap().schedule;
    for hour in 1..=3 {
        let now = at("2026-03-01T00:00:01Z").plus_seconds(hour * HOUR);
        world.set(now);
        let run = mainstay_model::schedule::ScheduleRun {
            schedule: schedule.id.clone(),
            nominal: now.plus_seconds(-1),
            status: RunStatus::Started,
            reason: None,
            backup: None,
            group_backup: None,
            recorded_at: now,
        };
        let mut tx = world.app.store.begin_write().await.unwrap();
        assert!(store::schedules::claim(&mut tx, &run).await.unwrap());
        let done = mainstay_model::schedule::Schedule { done_until: now, next_at: Some(now.plus_seconds(HOUR)), ..schedule.clone() };
        store::schedules::update(&mut tx, &done).await.unwrap();
        store::commit(tx).await.unwrap();
        let expected: &[AlertKind] = if hour >= 2 { &[AlertKind::BackupOverdue] } else { &[] };
        assert_eq!(world.watchdog().await, expected, "after {hour} hours");
    }
}
