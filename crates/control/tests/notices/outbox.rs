//! From the end of an operation to whoever wants to hear of it.

use super::*;
use mainstay_control::{backups, nodes, notifiers::Changes, restores, tasks::deliver};
use mainstay_model::{Kind, backup::BackupStatus};
use mainstay_store as store;
use mainstay_testkit::{Mood, World, world::somebody};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn ends_are_told_to_those_who_want_to_hear() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    notifier(&desk.app, "all", "ok", &["all"]).await;
    notifier(&desk.app, "some", "ok", &["promotion_done", "backup_failed"]).await;
    let cluster = desk.deploy("shop", "memo", 1).await.unwrap();
    assert_eq!(told(&world, &desk, "all").await, []);
    let backup = desk.back_up(&cluster).await.unwrap();
    assert_eq!(told(&world, &desk, "all").await, [NoticeKind::BackupSucceeded]);
    let notice = world.notifiers.sent("all").remove(0);
    assert_eq!((notice.object.as_str(), notice.cluster.as_deref(), notice.good), (backup.id.as_str(), Some("shop"), true));

    let id = nodes::promote(&desk.app, &somebody(), &cluster, "shop-2", false, Some("shop-2")).await.unwrap();
    desk.done(&id).await.unwrap();
    // The new primary's backup is told of, the other parts of the promotion are not.
    assert_eq!(told(&world, &desk, "all").await[1..], [NoticeKind::BackupSucceeded, NoticeKind::PromotionDone]);
    assert_eq!(told(&world, &desk, "some").await, [NoticeKind::PromotionDone]);
    assert!(world.notifiers.sent("some")[0].text.contains("promotion of shop-2"));
    desk.close().await;
}

#[tokio::test]
async fn a_backup_that_fails_is_told_with_its_reason() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    notifier(&desk.app, "ops", "ok", &["backup_failed"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    world.outside.faults.fail("storage.put", 1, mainstay_model::Error::failed("no_space", "the disk is full"));
    let (backup, id) = backups::create(&desk.app, &somebody(), &cluster, backups::NewBackup::default()).await.unwrap();
    assert!(desk.done(&id).await.is_err());
    assert_eq!(backups::get(&desk.app, &backup.id).await.unwrap().status, BackupStatus::Failed);
    assert_eq!(told(&world, &desk, "ops").await, [NoticeKind::BackupFailed]);
    let notice = world.notifiers.sent("ops").remove(0);
    assert!(!notice.good && notice.text.contains("the disk is full"), "{notice:?}");
    desk.close().await;
}

#[tokio::test]
async fn a_restore_is_told_once() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let cluster = desk.deploy("shop", "ledger", 0).await.unwrap();
    let backup = desk.back_up(&cluster).await.unwrap();
    notifier(&desk.app, "ops", "ok", &["restore_done"]).await;
    let project = project(&desk.app).await.unwrap().id;
    let (backup, to) = (Some(backup.id.to_string()), Some("shop".to_string()));
    let wish = restores::RestoreRequest { backup, confirm: to.clone(), to, ..Default::default() };
    let planned = restores::plan(&desk.app, &project, &wish).await.unwrap();
    let begun = restores::run(&desk.app, &somebody(), &project, &wish, &planned.hash).await.unwrap();
    desk.done(&begun.1).await.unwrap();
    assert_eq!(told(&world, &desk, "ops").await, [NoticeKind::RestoreDone]);
    desk.close().await;
}

#[tokio::test]
async fn a_dead_notifier_delays_nobody() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    let begun = Instant::now();
    desk.back_up(&cluster).await.unwrap();
    let alone = begun.elapsed();
    let hanging = notifier(&desk.app, "hanging", "hangs", &["all"]).await;
    notifier(&desk.app, "well", "ok", &["all"]).await;
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(deliver::run(desk.app.clone(), shutdown.clone()));
    for n in 1..=3 {
        let begun = Instant::now();
        desk.back_up(&cluster).await.unwrap();
        // Far less than a notifier is waited for, on however slow a machine.
        assert!(begun.elapsed() < alone * 20 + Duration::from_secs(50), "{:?} instead of {alone:?}", begun.elapsed());
        until("the well one hears of it", async || world.notifiers.sent("well").len() == n).await;
    }
    assert_eq!(view(&desk.app, &hanging).await.counts.pending, 3);
    shutdown.cancel();
    task.await.unwrap();
    desk.close().await;
}

#[tokio::test]
async fn what_was_committed_is_delivered_after_a_death() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let ops = notifier(&desk.app, "ops", "ok", &["all"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    desk.back_up(&cluster).await.unwrap();
    // Dies before anything was sent.
    desk.close().await;
    let desk = world.desk().await.unwrap();
    // It is taken, and the control plane dies before it knows.
    world.notifiers.are(Mood::Mute);
    let dying = tokio::spawn(deliver::run(desk.app.clone(), CancellationToken::new()));
    until("it is sent", async || !world.notifiers.sent("ops").is_empty()).await;
    dying.abort();
    assert_eq!(view(&desk.app, &ops).await.counts.pending, 1);
    desk.close().await;
    let desk = world.desk().await.unwrap();
    world.notifiers.are(Mood::Fine);
    deliver::once(&desk.app).await.unwrap();
    // At least once: twice, under one id, by which it can be dropped.
    let sent = world.notifiers.sent("ops");
    let ids = ids(&sent);
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    deliver::once(&desk.app).await.unwrap();
    assert_eq!(world.notifiers.sent("ops").len(), 2, "and never again");
    assert_eq!(view(&desk.app, &ops).await.counts.pending, 0);
    desk.close().await;
}

#[tokio::test]
async fn a_refused_message_is_given_up_visibly_and_makes_way() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let proud = notifier(&desk.app, "proud", "refuses", &["backup_succeeded"]).await;
    let other = notifier(&desk.app, "other", "ok", &["alert_raised", "alert_cleared"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    desk.back_up(&cluster).await.unwrap();
    for tries in 1..=5u32 {
        // Nothing happens before its time; a change makes it try at once.
        notifiers::set(&desk.app, &proud, Changes::default()).await.unwrap();
        deliver::once(&desk.app).await.unwrap();
        deliver::once(&desk.app).await.unwrap();
        let v = view(&desk.app, &proud).await;
        assert_eq!((v.undelivered[0].tries, v.row.failing.as_ref().map(|f| f.failures)), (tries, Some(tries)));
        assert_eq!(v.counts.dead, i64::from(tries == 5));
    }
    let v = view(&desk.app, &proud).await;
    assert_eq!((v.counts.pending, v.counts.dead), (0, 1));
    assert_eq!(v.undelivered[0].error.as_deref(), Some("it does not want that"));
    // Others are told that it does not work, once.
    assert_eq!(told(&world, &desk, "other").await, [NoticeKind::AlertRaised]);
    assert!(world.notifiers.sent("other")[0].text.contains("proud"));
    desk.back_up(&cluster).await.unwrap();
    deliver::once(&desk.app).await.unwrap();
    assert_eq!(view(&desk.app, &proud).await.undelivered[0].tries, 1, "the next one has its own tries");
    notifiers::remove(&desk.app, &proud).await.unwrap();
    assert_eq!(told(&world, &desk, "other").await, [NoticeKind::AlertRaised, NoticeKind::AlertCleared]);
    assert_eq!(view(&desk.app, &other).await.counts, Default::default());
    desk.close().await;
}

#[tokio::test]
async fn nobody_there_keeps_all_in_order_until_somebody_is() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let ops = notifier(&desk.app, "ops", "ok", &["backup_succeeded"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    world.notifiers.are(Mood::Away);
    let mut made = vec![];
    for _ in 0..3 {
        made.push(desk.back_up(&cluster).await.unwrap().id.to_string());
        deliver::once(&desk.app).await.unwrap();
    }
    let v = view(&desk.app, &ops).await;
    assert_eq!((v.counts.pending, v.row.failing.map(|f| f.failures)), (3, Some(1)), "only the first is tried");
    world.notifiers.are(Mood::Fine);
    assert_eq!(notifiers::test(&desk.app, &ops).await.unwrap(), "taken");
    deliver::once(&desk.app).await.unwrap();
    let objects: Vec<String> = world.notifiers.sent("ops").into_iter().skip(1).map(|n| n.object).collect();
    assert_eq!(objects, made);
    assert_eq!(view(&desk.app, &ops).await.row.failing, None);
    desk.close().await;
}

#[tokio::test]
async fn a_paused_one_is_given_nothing_new() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let ops = notifier(&desk.app, "ops", "ok", &["all"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    notifiers::set(&desk.app, &ops, Changes { enabled: Some(false), ..Changes::default() }).await.unwrap();
    desk.back_up(&cluster).await.unwrap();
    notifiers::set(&desk.app, &ops, Changes { enabled: Some(true), ..Changes::default() }).await.unwrap();
    assert_eq!(told(&world, &desk, "ops").await, []);
    desk.close().await;
}

#[tokio::test]
async fn notices_that_go_wrong_take_nothing_with_them() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    let ops = notifier(&desk.app, "ops", "ok", &["all"]).await;
    let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
    let mut tx = desk.app.store.begin_write().await.unwrap();
    sqlx::query("UPDATE notifiers SET doc = 'damaged' WHERE id = $1").bind(ops.id.as_str()).execute(&mut *tx).await.unwrap();
    store::commit(tx).await.unwrap();
    let backup = desk.back_up(&cluster).await.unwrap();
    assert_eq!(backup.status, BackupStatus::Completed);
    assert_eq!(notifiers::list(&desk.app, &cluster.project).await.unwrap_err().kind, Kind::Integrity);
    desk.close().await;
}
