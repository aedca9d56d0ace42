//! More backups than a storage takes at once: they wait for their turn, in order, hold up nobody else, and
//! stand in the same order after Mainstay was killed.

use mainstay_control::{
    App,
    backups::{self, NewBackup},
    storages,
};
use mainstay_model::{OperationId, backup::BackupStatus, cluster::Cluster, limits::Limits};
use mainstay_operations::{RunnerOptions, Status};
use mainstay_testkit::{
    World,
    world::{Desk, hasty, project, somebody},
};
use std::time::Duration;

const MANY: usize = 6;

struct Stand {
    world: World,
    clusters: Vec<Cluster>,
}

/// Two at once are all that Mainstay works on, so that those that wait would hold up the rest.
fn narrow() -> RunnerOptions {
    RunnerOptions { max_parallel: 2, ..hasty() }
}

async fn limit(app: &App, parallel: Option<u32>) {
    let project = project(app).await.unwrap();
    let local = storages::resolve(app, &project.id, "local").await.unwrap();
    storages::set_limits(app, &local, |now| Limits { parallel, ..now }).await.unwrap();
}

async fn stand() -> (Stand, Desk) {
    let world = World::new().await.unwrap();
    let desk = world.desk_with(narrow()).await.unwrap();
    world.clients.stay_away(true);
    let mut all = vec![];
    for n in 0..MANY {
        all.push(desk.deploy(&format!("shop-{n}"), "memo", 0).await.unwrap());
    }
    limit(&desk.app, Some(1)).await;
    world.outside.faults.switch("storage.stalls.local", true);
    (Stand { world, clusters: all }, desk)
}

async fn begin(s: &Stand, desk: &Desk) -> Vec<OperationId> {
    let mut all = vec![];
    for cluster in &s.clusters {
        let (_, id) = backups::create(&desk.app, &somebody(), cluster, NewBackup::default()).await.unwrap();
        // Ids of the same millisecond sort as they please.
        tokio::time::sleep(Duration::from_millis(3)).await;
        all.push(id);
    }
    all
}

/// Until every operation but the first says how many come before it: as many as were asked for earlier.
async fn stand_in_order(desk: &Desk, all: &[OperationId], ahead: usize) {
    for (n, id) in all.iter().enumerate().skip(1) {
        let wanted = format!("waits for storage local: {} before it", n + ahead);
        let mut said = String::new();
        for _ in 0..3000 {
            said = desk.app.runner.get(id).await.unwrap().sentence;
            if said == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(said, wanted);
    }
}

async fn ends(s: &Stand, desk: &Desk, all: &[OperationId]) {
    for id in all {
        desk.done(id).await.unwrap();
    }
    let made = s.world.backups().await.unwrap();
    assert!(made.len() == MANY && made.iter().all(|b| b.status == BackupStatus::Completed), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_wait_in_order_and_hold_up_nobody() {
    let (s, desk) = stand().await;
    let all = begin(&s, &desk).await;
    stand_in_order(&desk, &all, 0).await;
    // Six wait or write, two are worked on at once, and something else has its turn all the same.
    desk.deploy("other", "memo", 0).await.unwrap();
    // One in the middle is given up: those behind it move up.
    desk.app.runner.cancel(&all[2], "somebody").await.unwrap();
    let view = mainstay_testkit::world::ended(&desk.app.runner, &all[2]).await.unwrap();
    assert_eq!(view.status, Status::Cancelled);
    stand_in_order(&desk, &all[2..], 1).await;
    s.world.outside.faults.switch("storage.stalls.local", false);
    for id in all.iter().enumerate().filter(|(n, _)| *n != 2).map(|(_, id)| id) {
        desk.done(id).await.unwrap();
    }
}

/// One of them has the place, who was the first to ask for it again, and the others stand behind it in the order
/// of before.
async fn stand_behind_one(desk: &Desk, all: &[OperationId]) {
    let said = async || {
        let mut said = vec![];
        for id in all {
            said.push(desk.app.runner.get(id).await.unwrap().sentence);
        }
        said
    };
    let mut last = vec![];
    for _ in 0..3000 {
        last = said().await;
        let waiting: Vec<&String> = last.iter().filter(|s| s.starts_with("waits for storage local: ")).collect();
        let wanted = (1..all.len()).map(|n| format!("waits for storage local: {n} before it"));
        if waiting.len() == all.len() - 1 && waiting.into_iter().eq(wanted.collect::<Vec<_>>().iter()) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{last:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_they_stand_as_before() {
    let (s, desk) = stand().await;
    let all = begin(&s, &desk).await;
    stand_in_order(&desk, &all, 0).await;
    desk.close().await;
    s.world.kill_agent().await;
    s.world.start_agent().await.unwrap();
    let desk = s.world.desk_with(narrow()).await.unwrap();
    stand_behind_one(&desk, &all).await;
    s.world.outside.faults.switch("storage.stalls.local", false);
    ends(&s, &desk, &all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_taken_away_lets_them_all_go() {
    let (s, desk) = stand().await;
    let all = begin(&s, &desk).await;
    stand_in_order(&desk, &all, 0).await;
    limit(&desk.app, None).await;
    // Three at a time are the host's own limit.
    for (n, id) in all.iter().enumerate().skip(3) {
        let wanted = format!("waits for other backups on this host: {n} before it");
        for _ in 0..3000 {
            if desk.app.runner.get(id).await.unwrap().sentence == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(desk.app.runner.get(id).await.unwrap().sentence, wanted);
    }
    s.world.outside.faults.switch("storage.stalls.local", false);
    ends(&s, &desk, &all).await;
}
