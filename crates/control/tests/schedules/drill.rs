//! Drills by themselves: when, of what, one at a time, and what is remembered.

use crate::plan::at;
use mainstay_control::{
    plan::drill::{Rules, candidate, due, no_room, turn},
    tasks,
};
use mainstay_model::{
    BackupId, ClusterId, DrillId, ProjectId, StorageId, Time,
    backup::{Backup, BackupStatus, Proof},
    cluster::Cluster,
    drill::{DrillRecord, DrillResult},
};
use mainstay_operations::{Filter, View};
use mainstay_store::{self as store, Paging};
use mainstay_testkit::{
    World,
    world::{Desk, ended},
};

const RULES: Rules = Rules { interval_days: 7, quiet_seconds: 3600, again_seconds: 86_400 };
const DAY: i64 = 86_400;

struct Scene {
    world: World,
    desk: Desk,
    cluster: Cluster,
}

impl Scene {
    /// A cluster with a backup that is some hours old.
    async fn open() -> Scene {
        let world = World::new().await.unwrap();
        let desk = world.desk().await.unwrap();
        let cluster = desk.deploy("shop", "ledger", 0).await.unwrap();
        world.write(&cluster, "a").unwrap();
        desk.back_up(&cluster).await.unwrap();
        let scene = Scene { world, desk, cluster };
        scene.change(|b| b.finished_at = Some(b.created_at.plus_seconds(-9_000))).await;
        scene
    }

    async fn change(&self, change: impl Fn(&mut Backup)) {
        let mut backup = self.world.backups().await.unwrap().pop().unwrap();
        change(&mut backup);
        let mut tx = self.desk.app.store.begin_write().await.unwrap();
        store::backups::update(&mut tx, &backup).await.unwrap();
        store::commit(tx).await.unwrap();
    }

    /// What the task begins.
    async fn once(&self) -> Option<View> {
        let before = self.drills().await;
        tasks::drill::once(&self.desk.app).await.unwrap();
        let id = self.drills().await.into_iter().find(|id| !before.contains(id))?;
        Some(ended(&self.desk.app.runner, &id).await.unwrap())
    }

    async fn drills(&self) -> Vec<mainstay_model::OperationId> {
        let filter = Filter { kind: Some("drill".into()), ..Filter::default() };
        self.desk.app.runner.list(filter, None, 100).await.unwrap().items.into_iter().map(|v| v.id).collect()
    }

    async fn history(&self) -> Vec<DrillRecord> {
        let mut conn = self.desk.app.store.read().await.unwrap();
        store::drills::list(&mut conn, &self.cluster.id, &Paging::default()).await.unwrap().items
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_backup_is_tried_once_and_remembered() {
    let scene = Scene::open().await;
    let drill = scene.once().await.expect("it is due");
    assert_eq!((drill.status, drill.requested_by.as_str()), (mainstay_operations::Status::Succeeded, "mainstay"));
    let history = scene.history().await;
    let backup = scene.world.backups().await.unwrap().pop().unwrap();
    assert_eq!((history.len(), history[0].result, &history[0].backup), (1, DrillResult::Passed, &backup.id));
    assert_eq!((history[0].seconds, backup.proof), (backup.drill.map(|d| d.seconds), Proof::Drilled));
    assert!(scene.once().await.is_none(), "and not again at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_finds_damage_and_one_that_has_no_room() {
    let scene = Scene::open().await;
    scene.change(|b| b.data_bytes = Some(u64::MAX / 4)).await;
    assert!(scene.once().await.is_none());
    let history = scene.history().await;
    assert_eq!((history.len(), history[0].result), (1, DrillResult::NotDone));
    let why = history[0].reason.clone().unwrap();
    assert!(why.contains("no room") && why.contains("no drill of this cluster has passed yet"), "{why}");
    assert!(scene.once().await.is_none() && scene.history().await.len() == 1, "it is said once a day");
}

fn backup() -> Backup {
    let now = at("2026-11-20T12:00:00Z");
    let copy = serde_json::json!({ "storage": StorageId::new(), "storage_name": "local", "status": "completed", "snapshot": "abc",
        "added_bytes": 1, "verified_at": now, "error": null });
    let backup = serde_json::json!({
        "id": BackupId::new(), "project": ProjectId::new(), "cluster": ClusterId::new(), "cluster_name": "shop", "kind": "manual",
        "status": "completed", "proof": "verified", "description": "", "engine": "memo", "engine_version": "15.4", "created_at": now,
        "finished_at": now, "expires_at": null, "pinned": false, "data_bytes": 1, "facts": null, "checks": [], "drill": null,
        "error": null, "copies": [copy],
    });
    serde_json::from_value(backup).unwrap()
}

fn record(when: Time, result: DrillResult, version: &str) -> DrillRecord {
    let b = backup();
    let id = DrillId::new();
    DrillRecord {
        id,
        project: b.project,
        cluster: b.cluster,
        backup: b.id,
        storage: None,
        engine_version: version.into(),
        at: when,
        result,
        seconds: None,
        reason: None,
        checks: vec![],
    }
}

#[test]
fn when_it_is_due() {
    use DrillResult::*;
    let (now, b) = (at("2026-11-20T12:00:00Z"), backup());
    let is_due = |history: &[DrillRecord]| due(now, &b, history, None, RULES).is_some();
    let ago = |days: i64, result, version| record(now.plus_seconds(-days * DAY), result, version);
    assert!(is_due(&[]), "the first");
    assert!(!is_due(&[ago(6, Passed, "15.4")]) && is_due(&[ago(7, Passed, "15.4")]), "weekly");
    assert!(is_due(&[ago(2, Passed, "15.3")]) && !is_due(&[ago(0, Passed, "15.3")]), "after an upgrade");
    assert!(!is_due(&[ago(0, NotDone, "15.4")]) && is_due(&[ago(1, NotDone, "15.4"), ago(2, Passed, "15.4")]), "tried again the next day");
    assert!(is_due(&[ago(1, Failed, "15.4")]) && !is_due(&[ago(0, Failed, "15.4")]), "until one passes nothing is known");
    assert!(is_due(&[ago(-400, Passed, "15.4"), ago(8, Passed, "15.4")]), "what a wrong clock dated is not believed");
    assert_eq!(due(now, &b, &[], None, Rules { interval_days: 0, ..RULES }), None, "switched off");
    let keys = |hours: i64, last: DrillRecord| due(now, &b, &[last], Some(now.plus_seconds(-hours * 3600)), RULES).is_some();
    assert!(keys(1, ago(1, Passed, "15.4")) && !keys(30, ago(1, Passed, "15.4")), "after other keys, once");
    assert!(keys(1, record(now.plus_seconds(-7200), Passed, "15.4")), "and at once");
}

#[test]
fn a_suspicious_one_is_due_at_once_and_tried_again_the_next_day() {
    let (now, b) = (at("2026-11-20T12:00:00Z"), Backup { proof: Proof::Suspicious, ..backup() });
    let of = |hours: i64, result| DrillRecord { backup: b.id.clone(), ..record(now.plus_seconds(-hours * 3600), result, "15.4") };
    let is_due = |history: &[DrillRecord]| due(now, &b, history, None, RULES).is_some();
    assert!(is_due(&[]) && is_due(&[record(now.plus_seconds(-60), DrillResult::Passed, "15.4")]), "whatever was drilled before");
    assert!(!is_due(&[of(1, DrillResult::NotDone)]) && is_due(&[of(24, DrillResult::NotDone)]));
    assert_eq!(due(now, &b, &[], None, Rules { interval_days: 0, ..RULES }), None, "switched off");
}

/// Most of the data was deleted on purpose. The doubt ends with a drill, by itself, and what comes after is
/// measured by what there is now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspicious_backup_is_drilled_and_becomes_the_measure() {
    let scene = Scene::open().await;
    scene.change(|b| b.data_bytes = Some(1 << 40)).await;
    for _ in 0..2 {
        scene.desk.back_up(&scene.cluster).await.unwrap();
    }
    let proofs = async || scene.world.backups().await.unwrap().iter().map(|b| b.proof).collect::<Vec<_>>();
    assert_eq!(proofs().await, [Proof::Verified, Proof::Suspicious, Proof::Suspicious]);
    let drill = scene.once().await.expect("it is due at once");
    assert_eq!(drill.status, mainstay_operations::Status::Succeeded);
    assert_eq!(proofs().await, [Proof::Verified, Proof::Suspicious, Proof::Drilled], "the newest");
    scene.desk.back_up(&scene.cluster).await.unwrap();
    assert_eq!(proofs().await[3], Proof::Verified);
    assert!(scene.once().await.is_none());
}

#[test]
fn which_backup_and_whether_there_is_room() {
    let now = at("2026-11-20T12:00:00Z");
    let of = |hours: i64, proof| Backup { finished_at: Some(now.plus_seconds(-hours * 3600)), proof, ..backup() };
    let all = [of(0, Proof::Verified), of(1, Proof::Suspicious), of(2, Proof::Verified), of(3, Proof::Drilled)];
    assert_eq!(candidate(now, &all, RULES), Some(&all[2]), "a doubt that a newer good one ended is none");
    assert_eq!(candidate(now, &all[1..], RULES), Some(&all[1]), "suspicious, and none that counts is newer");
    assert_eq!(candidate(now, &[of(0, Proof::Suspicious)], RULES).map(|b| b.proof), Some(Proof::Suspicious), "at once");
    assert_eq!(candidate(now, &all[..1], RULES), None, "left in peace for a while");
    let failed = Backup { status: BackupStatus::Failed, ..of(1, Proof::Suspicious) };
    assert_eq!(candidate(now, &[failed, all[2].clone()], RULES), Some(&all[2]));
    let b = Backup { data_bytes: Some(10 << 30), ..backup() };
    assert_eq!(no_room(now, &b, 12 << 30, &[]), None);
    let passed = record(now.plus_days(-9), DrillResult::Passed, "15.4");
    assert!(no_room(now, &b, 10 << 30, &[passed]).unwrap().ends_with("the last drill that passed was 9 days ago"));
}

#[test]
fn each_copy_is_tried_in_turn() {
    let mut b = backup();
    let two = mainstay_model::backup::Copy { storage: StorageId::new(), storage_name: "far".into(), ..b.copies[0].clone() };
    b.copies.push(two);
    let mut history: Vec<DrillRecord> = vec![];
    let mut names = vec![];
    for _ in 0..4 {
        let copy = turn(&b, &history).unwrap();
        names.push(copy.storage_name.clone());
        let storage = Some((copy.storage.clone(), copy.storage_name.clone()));
        history.insert(0, DrillRecord { storage, ..record(b.created_at, DrillResult::Passed, "15.4") });
    }
    assert_eq!(names, ["local", "far", "local", "far"]);
    b.copies[1].verified_at = None;
    assert_eq!(turn(&b, &history).unwrap().storage_name, "local", "only those that are good");
    b.copies.clear();
    assert_eq!(turn(&b, &history), None);
}
