//! Conditions that hold, and the watchdog that looks for them.

use super::*;
use mainstay_control::{alerts, schedules, tasks::overdue};
use mainstay_model::{
    ScheduleId,
    alert::{Alert, AlertKind, Condition},
    cluster::Cluster,
    schedule::{RunStatus, ScheduleRun, Timing},
};
use mainstay_store::{self as store, Paging, alerts::AlertFilter};
use mainstay_testkit::{World, world::somebody};

async fn all(app: &App, open: Option<bool>) -> Vec<Alert> {
    alerts::list(app, &AlertFilter { open, ..AlertFilter::default() }, &Paging::default()).await.unwrap().items
}

fn condition(cluster: &Cluster, sentence: &str) -> Condition {
    Condition {
        project: cluster.project.clone(),
        kind: AlertKind::StorageUnwell,
        object_kind: "storage".into(),
        object: "st_1".into(),
        object_name: "far".into(),
        cluster: None,
        cluster_name: None,
        sentence: sentence.into(),
    }
}

#[tokio::test]
async fn a_condition_is_one_alert_however_often_it_is_seen() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    notifier(&desk.app, "ops", "ok", &["all"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    let kinds = [AlertKind::StorageUnwell];
    for sentence in ["it is full", "it is full", "it is away"] {
        alerts::settle(&desk.app, &kinds, &[condition(&cluster, sentence)]).await.unwrap();
    }
    let open = all(&desk.app, Some(true)).await;
    assert_eq!((open.len(), open[0].condition.sentence.as_str()), (1, "it is away"));
    // Told under its own switch, once.
    assert_eq!(told(&world, &desk, "ops").await, [NoticeKind::StorageUnwell]);
    let seen = alerts::acknowledge(&desk.app, &somebody(), &open[0]).await.unwrap();
    assert_eq!(seen.acknowledged_by.as_deref(), Some("token:test"));
    assert_eq!(alerts::acknowledge(&desk.app, &somebody(), &open[0]).await.unwrap(), seen);
    alerts::settle(&desk.app, &kinds, &[condition(&cluster, "it is away")]).await.unwrap();
    assert_eq!(all(&desk.app, Some(true)).await, [seen]);
    // Others' kinds are left alone.
    alerts::settle(&desk.app, &[AlertKind::RunMissed], &[]).await.unwrap();
    assert_eq!(all(&desk.app, Some(true)).await.len(), 1);
    for _ in 0..2 {
        alerts::settle(&desk.app, &kinds, &[]).await.unwrap();
    }
    assert_eq!(told(&world, &desk, "ops").await, [NoticeKind::StorageUnwell, NoticeKind::AlertCleared]);
    assert_eq!((all(&desk.app, Some(true)).await.len(), all(&desk.app, Some(false)).await.len()), (0, 1));
    alerts::settle(&desk.app, &kinds, &[condition(&cluster, "again")]).await.unwrap();
    assert_eq!(all(&desk.app, None).await.len(), 2);
    desk.close().await;
}

/// An hourly schedule of the cluster that has been there for a day.
async fn hourly(desk: &Desk, cluster: &Cluster) -> ScheduleId {
    let wish = schedules::SetSchedule {
        name: Some("hourly".into()),
        days: Some(Timing::every_day()),
        hours: Some(Timing::every_hour()),
        time_zone: Some("UTC".into()),
        ..Default::default()
    };
    let mut schedule = schedules::set(&desk.app, cluster, wish).await.unwrap().schedule;
    let mut tx = desk.app.store.begin_write().await.unwrap();
    schedule.created_at = desk.app.now().plus_days(-1);
    store::schedules::update(&mut tx, &schedule).await.unwrap();
    store::commit(tx).await.unwrap();
    schedule.id
}

#[tokio::test]
async fn an_absent_backup_is_missed_and_a_good_one_ends_it() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    notifier(&desk.app, "ops", "ok", &["backup_overdue", "alert_cleared"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    overdue::all(&desk.app).await.unwrap();
    assert_eq!(all(&desk.app, None).await, []);
    let schedule = hourly(&desk, &cluster).await;
    for _ in 0..3 {
        overdue::all(&desk.app).await.unwrap();
    }
    let open = all(&desk.app, Some(true)).await;
    assert_eq!(open.len(), 1);
    assert!(open[0].condition.is(AlertKind::BackupOverdue, cluster.id.as_str()), "{open:?}");
    assert_eq!(told(&world, &desk, "ops").await, [NoticeKind::BackupOverdue]);

    // A missed run is another matter, and its own alert.
    let run = ScheduleRun {
        schedule,
        nominal: desk.app.now().plus_days(-1),
        status: RunStatus::Missed,
        reason: Some("Mainstay did not run".into()),
        group_backup: None,
        backup: None,
        recorded_at: desk.app.now(),
    };
    let mut tx = desk.app.store.begin_write().await.unwrap();
    assert!(store::schedules::claim(&mut tx, &run).await.unwrap());
    store::commit(tx).await.unwrap();
    overdue::all(&desk.app).await.unwrap();
    let kinds: Vec<_> = all(&desk.app, Some(true)).await.into_iter().map(|a| a.condition.kind).collect();
    assert_eq!(kinds, [AlertKind::RunMissed, AlertKind::BackupOverdue]);

    desk.back_up(&cluster).await.unwrap();
    overdue::all(&desk.app).await.unwrap();
    let kinds: Vec<_> = all(&desk.app, Some(true)).await.into_iter().map(|a| a.condition.kind).collect();
    assert_eq!(kinds, [AlertKind::RunMissed]);
    assert_eq!(told(&world, &desk, "ops").await, [NoticeKind::BackupOverdue, NoticeKind::AlertCleared]);
    desk.close().await;
}

#[tokio::test]
async fn what_the_store_cannot_say_is_not_good() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    let backup = desk.back_up(&cluster).await.unwrap();
    hourly(&desk, &cluster).await;
    overdue::all(&desk.app).await.unwrap();
    assert_eq!(all(&desk.app, None).await, []);
    let mut tx = desk.app.store.begin_write().await.unwrap();
    sqlx::query("UPDATE backups SET doc = 'damaged' WHERE id = $1").bind(backup.id.as_str()).execute(&mut *tx).await.unwrap();
    store::commit(tx).await.unwrap();
    overdue::all(&desk.app).await.unwrap();
    let open = all(&desk.app, Some(true)).await;
    assert!(open.len() == 1 && open[0].condition.sentence.contains("not known"), "{open:?}");
    desk.close().await;
}
