//! What the loops do not tell: faults outside of Mainstay, and what people do about them.

use crate::scene::Shop;
use async_trait::async_trait;
use mainstay_control::{
    App,
    assertions::{self, Wish},
    backups::{self, NewBackup},
    clusters::{self, Deletion},
    drills,
    nodes::{self, Promotion},
    restores::{self, RestoreRequest},
    retention,
    schedules::{self, SetSchedule},
    storages::{self, NewStorage},
    tasks,
};
use mainstay_drivers::{runtime::InstanceId, storage::Place};
use mainstay_model::{
    Error, Kind, OperationId,
    backup::{Backup, BackupKind, BackupStatus, Check, Proof, ReadFrom},
    cluster::Cluster,
    drill::DrillResult,
    retention::BackupPolicy,
};
use mainstay_operations::{Faults, Point, Retry, RunnerOptions, Status, Verdict, View};
use mainstay_store::Paging;
use mainstay_testkit::{
    FakeWorld, World,
    world::{Desk, ended, hasty, project, somebody, topology},
};
use std::sync::Arc;

/// A pair with a row and a backup.
struct Stand {
    world: World,
    desk: Desk,
    cluster: Cluster,
    backup: Backup,
}

async fn stand(engine: &'static str, replicas: u32) -> Stand {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    world.clients.stay_away(true);
    let (cluster, backup) = Shop { engine, replicas }.open(&world, &desk).await.unwrap();
    world.clients.stay_away(false);
    Stand { world, desk, cluster, backup }
}

impl Stand {
    fn app(&self) -> &App {
        &self.desk.app
    }
    async fn end(&self, id: &OperationId) -> View {
        ended(&self.app().runner, id).await.unwrap()
    }
    async fn is_sound(&self) {
        assert_eq!(self.world.faults(|_| false).await.unwrap(), Vec::<String>::new());
    }
    async fn look(&self, backup: &Backup) -> Backup {
        backups::get(self.app(), &backup.id).await.unwrap()
    }
    async fn promote(&self) -> OperationId {
        nodes::promote(self.app(), &somebody(), &self.cluster, "shop-2", false, Some("shop-2")).await.unwrap()
    }
}

fn broken() -> Error {
    Error::failed("broken", "it is broken")
}

fn away() -> Error {
    Error::unavailable("away", "it does not answer")
}

#[tokio::test]
async fn nothing_is_deleted_when_the_final_backup_fails() {
    let s = stand("ledger", 1).await;
    s.world.outside.faults.fail("storage.put", 1, broken());
    let how = Deletion { confirm: Some("shop".into()), ..Deletion::default() };
    let id = clusters::delete(s.app(), &somebody(), &s.cluster, how).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Failed);
    s.is_sound().await;
    let all = s.world.backups().await.unwrap();
    assert_eq!(
        all.iter().map(|b| (b.kind, b.status)).collect::<Vec<_>>(),
        [(BackupKind::Manual, BackupStatus::Completed), (BackupKind::Final, BackupStatus::Failed)]
    );
}

#[tokio::test]
async fn a_backup_that_failed_within_an_operation_has_a_successor() {
    let s = stand("memo", 1).await;
    s.world.outside.faults.fail("storage.put", 3, broken());
    let id = s.promote().await;
    assert_eq!(s.end(&id).await.status, Status::Stuck);
    s.app().runner.retry(&id, "somebody").await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Succeeded);
    s.is_sound().await;
    let made: Vec<_> = s.world.backups().await.unwrap().into_iter().filter(|b| b.kind == BackupKind::Promotion).collect();
    assert!(made.last().unwrap().is_good() && made.iter().rev().skip(1).all(|b| b.status == BackupStatus::Failed), "{made:?}");
}

async fn add_second(s: &Stand) {
    let new = NewStorage {
        name: "second".into(),
        place: Place::Local { path: "/srv/second".into() },
        region: None,
        secret: None,
        limits: Default::default(),
    };
    storages::add(s.app(), &project(s.app()).await.unwrap().id, new).await.unwrap();
}

/// The cluster's backups go to `local` and, by another schedule, to `second`.
async fn scheduled_into_both(s: &Stand) {
    add_second(s).await;
    let wish = SetSchedule { name: Some("elsewhere".into()), storages: Some(vec!["second".into()]), ..SetSchedule::default() };
    schedules::set(s.app(), &s.cluster, wish).await.unwrap();
}

fn in_storages(backup: &Backup) -> Vec<&str> {
    backup.copies.iter().filter(|c| c.is_good()).map(|c| c.storage_name.as_str()).collect()
}

#[tokio::test]
async fn a_backup_within_an_operation_goes_to_the_first_storage_that_answers() {
    let s = stand("memo", 1).await;
    scheduled_into_both(&s).await;
    let newest = async || s.world.backups().await.unwrap().into_iter().rfind(|b| b.kind == BackupKind::Promotion && b.is_good()).unwrap();
    let promote = async |to: &str| {
        let shop = mainstay_testkit::world::cluster(s.app(), "shop").await.unwrap();
        let id = nodes::promote(s.app(), &somebody(), &shop, to, false, Some(to)).await.unwrap();
        assert_eq!(s.end(&id).await.status, Status::Succeeded);
    };
    s.world.outside.faults.switch("storage.gone.local", true);
    promote("shop-2").await;
    assert_eq!(in_storages(&newest().await), ["second"]);
    // One that answers and then breaks is no better.
    s.world.outside.faults.switch("storage.gone.local", false);
    s.world.outside.faults.switch("storage.breaks.local", true);
    promote("shop-1").await;
    assert_eq!(in_storages(&newest().await), ["second"]);
    s.world.outside.faults.switch("storage.breaks.local", false);
    promote("shop-2").await;
    assert_eq!(in_storages(&newest().await), ["local"]);
    s.is_sound().await;
}

#[tokio::test]
async fn the_final_backup_goes_everywhere_or_nothing_is_deleted() {
    let s = stand("ledger", 0).await;
    scheduled_into_both(&s).await;
    let delete = async || {
        let how = Deletion { confirm: Some("shop".into()), ..Deletion::default() };
        s.end(&clusters::delete(s.app(), &somebody(), &s.cluster, how).await.unwrap()).await
    };
    s.world.outside.faults.switch("storage.gone.second", true);
    let refused = delete().await;
    assert!(refused.status == Status::Failed && refused.error.unwrap().message.contains("second"));
    s.is_sound().await;
    s.world.outside.faults.switch("storage.gone.second", false);
    assert_eq!(delete().await.status, Status::Succeeded);
    let last = s.world.backups().await.unwrap().pop().unwrap();
    assert_eq!((last.kind, in_storages(&last)), (BackupKind::Final, vec!["local", "second"]));
}

#[tokio::test]
async fn a_storage_that_does_not_answer_is_done_without() {
    let s = stand("memo", 0).await;
    add_second(&s).await;
    // Each try goes to both: after two faults both have it, and of five the last leaves one without.
    for (times, status) in [(2, BackupStatus::Completed), (5, BackupStatus::Partial)] {
        s.world.outside.faults.fail("storage.put", times, away());
        let new = NewBackup { storages: vec!["local".into(), "second".into()], ..NewBackup::default() };
        let (backup, id) = backups::create(s.app(), &somebody(), &s.cluster, new).await.unwrap();
        assert_eq!(s.end(&id).await.status, Status::Succeeded);
        let made = s.look(&backup).await;
        assert_eq!((made.status, made.is_restorable()), (status, true), "{made:?}");
        s.is_sound().await;
    }
}

#[tokio::test]
async fn a_damaged_copy_stops_counting_and_one_that_cannot_be_read_today_does_not() {
    let s = stand("ledger", 0).await;
    s.world.outside.faults.fail("storage.verify", 1, broken());
    let id = backups::verify(s.app(), &somebody(), &s.backup).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Failed);
    assert!(s.look(&s.backup).await.is_good());

    s.world.outside.storages.damage(s.backup.copies[0].snapshot.as_ref().unwrap());
    let id = backups::verify(s.app(), &somebody(), &s.backup).await.unwrap();
    assert_eq!(s.end(&id).await.error.unwrap().kind, Kind::Integrity);
    let found = s.look(&s.backup).await;
    assert_eq!((found.status, found.is_restorable()), (BackupStatus::Failed, false), "{found:?}");
}

#[tokio::test]
async fn a_drill_that_finds_loss_fails_the_backup_and_one_that_cannot_be_done_does_not() {
    let s = stand("memo", 0).await;
    s.world.outside.faults.fail("engine.prepare", 1, broken());
    let id = backups::drill(s.app(), &somebody(), &s.backup).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Failed);
    assert_eq!(s.look(&s.backup).await.proof, Proof::Verified);
    s.is_sound().await;

    s.world.outside.faults.switch("engine.check_finds_loss", true);
    let id = backups::drill(s.app(), &somebody(), &s.backup).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Failed);
    let found = s.look(&s.backup).await;
    assert!(!found.is_restorable() && found.drill.is_some_and(|d| !d.ok));

    // That its copies read well is no news. That a drill passes is.
    let id = backups::verify(s.app(), &somebody(), &s.backup).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Succeeded);
    let found = s.look(&s.backup).await;
    assert!(!found.is_restorable() && found.proof == Proof::None && found.error.unwrap().starts_with("the drill failed"));
    s.world.outside.faults.switch("engine.check_finds_loss", false);
    let id = backups::drill(s.app(), &somebody(), &s.backup).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Succeeded);
    let found = s.look(&s.backup).await;
    assert!(found.is_good() && found.proof == Proof::Drilled && found.error.is_none(), "{found:?}");
}

#[tokio::test]
async fn what_users_assert_is_asked_of_each_drill() {
    let s = stand("memo", 0).await;
    let asserted = |all: &[(&str, &str, &str)]| -> Vec<Wish> {
        all.iter().map(|(name, query, expect)| Wish { name: (*name).into(), query: (*query).into(), expect: (*expect).into() }).collect()
    };
    let set = async |all: &[(&str, &str, &str)]| {
        let all = assertions::checked(s.app(), &s.cluster, &asserted(all)).await.unwrap();
        assertions::set(s.app(), &s.cluster, &all).await.unwrap();
        all
    };
    let drilled = async || {
        let id = backups::drill(s.app(), &somebody(), &s.backup).await.unwrap();
        let (end, found) = (s.end(&id).await, s.look(&s.backup).await);
        let record = drills::list(s.app(), &s.cluster, &Paging::default()).await.unwrap().items.remove(0);
        let asked = |checks: &[Check]| -> Vec<(String, bool)> {
            checks.iter().filter(|c| c.name.starts_with("assertion:")).map(|c| (c.name.clone(), c.ok)).collect()
        };
        assert_eq!(asked(&found.checks), asked(&record.checks));
        (end, asked(&found.checks), found, record)
    };

    // The backup has one row, and the live data another since.
    let all = set(&[("one-row", "count", "equals 1"), ("a-is-there", "a", "not empty")]).await;
    let live = assertions::try_now(s.app(), &s.cluster, all).await.unwrap();
    assert_eq!(live.iter().map(|c| c.ok).collect::<Vec<_>>(), [false, true], "{live:?}");
    let (end, asked, found, record) = drilled().await;
    assert_eq!((end.status, found.proof, record.result), (Status::Succeeded, Proof::Drilled, DrillResult::Passed));
    assert_eq!(asked, [("assertion:one-row".to_string(), true), ("assertion:a-is-there".to_string(), true)]);

    // One that cannot be answered now says nothing of the backup.
    s.world.outside.faults.fail("engine.ask", 9, away());
    let id = backups::drill(s.app(), &somebody(), &s.backup).await.unwrap();
    let (end, found) = (s.end(&id).await, s.look(&s.backup).await);
    s.world.outside.faults.clear();
    assert_eq!((end.status, found.is_good()), (Status::Failed, true), "{end:?}");
    let record = drills::list(s.app(), &s.cluster, &Paging::default()).await.unwrap().items.remove(0);
    assert_eq!(record.result, DrillResult::NotDone);

    // Neither holds, and both are told.
    set(&[("two-rows", "count", "at least 2"), ("understood", "?", "not empty")]).await;
    let (end, asked, found, record) = drilled().await;
    assert_eq!((end.status, found.status, record.result), (Status::Failed, BackupStatus::Failed, DrillResult::Failed));
    assert_eq!(asked, [("assertion:two-rows".to_string(), false), ("assertion:understood".to_string(), false)]);
    assert!(record.reason.unwrap().contains("expected: at least 2; the answer is 1"));

    // It was the question that was wrong.
    set(&[]).await;
    let (end, asked, found, _) = drilled().await;
    assert_eq!((end.status, found.is_good(), asked.len()), (Status::Succeeded, true, 0));
}

#[tokio::test]
async fn a_restore_that_finds_loss_leaves_the_old_data_serving() {
    let s = stand("ledger", 1).await;
    s.world.outside.faults.switch("engine.check_finds_loss", true);
    let request = RestoreRequest {
        backup: Some(s.backup.id.to_string()),
        to: Some("shop".into()),
        confirm: Some("shop".into()),
        ..RestoreRequest::default()
    };
    let project = project(s.app()).await.unwrap().id;
    let hash = restores::plan(s.app(), &project, &request).await.unwrap().hash;
    let (restore, id) = restores::run(s.app(), &somebody(), &project, &request, &hash).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Failed);
    s.is_sound().await;
    let row = restores::resolve(s.app(), &project, restore.id.as_str()).await.unwrap();
    assert!(row.error.unwrap().contains("row_counts"));
}

#[tokio::test]
async fn a_plan_that_cannot_be_carried_out_is_refused_as_a_plan() {
    let s = stand("memo", 0).await;
    let project = project(s.app()).await.unwrap().id;
    let request = RestoreRequest { backup: Some(s.backup.id.to_string()), new: Some("copy".into()), ..RestoreRequest::default() };
    let plan = async || restores::plan(s.app(), &project, &request).await;
    plan().await.unwrap();
    s.world.outside.runtime.set_disk_free(0);
    let full = plan().await.unwrap_err();
    assert_eq!((full.code.as_str(), full.kind), ("no_space", Kind::NoSpace));
    s.world.outside.runtime.set_disk_free(100 << 30);
    s.world.outside.faults.fail("storage.facts", 1, Error::unavailable("storage_away", "it is away"));
    let away = plan().await.unwrap_err();
    assert!(away.code == "no_readable_copy" && away.message.contains("storage local: it is away"), "{away:?}");
    plan().await.unwrap();
    let both = RestoreRequest { to: Some("shop".into()), ..request.clone() };
    assert_eq!(restores::plan(s.app(), &project, &both).await.unwrap_err().field.as_deref(), Some("to"));
}

/// Lets writes go on again, as an engine does that was restarted or whose pause is over, while the
/// hand-over waits.
struct Forgetful(Arc<FakeWorld>);

#[async_trait]
impl Faults for Forgetful {
    async fn at(&self, point: Point) -> Verdict {
        if point.kind == "promote" && point.step == "wait_for_position" {
            for id in self.0.runtime.processes().keys() {
                self.0.runtime.remember(&InstanceId(id.to_string()), "paused", None);
            }
        }
        Verdict::Go
    }
}

#[tokio::test]
async fn an_engine_that_forgets_its_pause_takes_no_clients_writes() {
    let mut s = stand("memo", 1).await;
    let mut options = hasty();
    options.faults = Arc::new(Forgetful(s.world.outside.clone()));
    std::mem::replace(&mut s.desk, s.world.desk_with(options).await.unwrap()).close().await;
    let id = s.promote().await;
    assert_eq!(s.end(&id).await.status, Status::Succeeded);
    assert_eq!(topology(s.app(), "shop").await.unwrap().primary().unwrap().name, "shop-2");
    // Both would take writes for a while; only the new one is asked to.
    let faults = s.world.faults(|_| false).await.unwrap();
    assert!(!faults.is_empty() && faults.iter().all(|f| f.contains("take writes at promote")), "{faults:?}");
}

#[tokio::test]
async fn backups_are_read_from_where_the_cluster_says() {
    let s = stand("ledger", 1).await;
    let names = |b: &Backup| b.facts.as_ref().unwrap().node.clone();
    assert_eq!(names(&s.backup), "shop-2");
    let policy = BackupPolicy { from: ReadFrom::Primary, ..BackupPolicy::default() };
    retention::set_policy(s.app(), &s.cluster, &policy).await.unwrap();
    assert_eq!(names(&s.desk.back_up(&s.cluster).await.unwrap()), "shop-1");
    retention::set_policy(s.app(), &s.cluster, &BackupPolicy::default()).await.unwrap();
    assert_eq!(names(&s.desk.back_up(&s.cluster).await.unwrap()), "shop-2");
}

fn id_of(topology: &mainstay_control::topology::Topology, name: &str) -> mainstay_model::NodeId {
    nodes::find(topology, name).unwrap().id.clone()
}

#[tokio::test]
async fn a_dead_primary_is_given_up_only_when_that_is_said_and_comes_back_only_by_a_resync() {
    for engine in ["memo", "ledger"] {
        let s = stand(engine, 1).await;
        s.world.clients.stay_away(true);
        let shop = topology(s.app(), "shop").await.unwrap();
        tasks::observe::look(s.app(), &shop).await.unwrap();
        let old = id_of(&shop, "shop-1");
        // As often as it is brought up again, and once more.
        let instance = InstanceId(old.to_string());
        while s.world.outside.runtime.processes()[&instance].runs() {
            s.world.outside.runtime.crash(&instance);
        }
        // One write that no replica got.
        let log = s.world.outside.data_dir().join("nodes").join(old.as_str()).join("data/log");
        let held = std::fs::read_to_string(&log).unwrap();
        std::fs::write(&log, held + "only here\n").unwrap();
        assert!(s.world.rows(&old).contains(&"only here".to_string()));
        let refused = nodes::promote(s.app(), &somebody(), &s.cluster, "shop-2", false, Some("shop-2")).await.unwrap_err();
        assert!(refused.code == "primary_unreachable" && refused.message.contains("--allow-data-loss"), "{refused:?}");
        let typed = nodes::promote(s.app(), &somebody(), &s.cluster, "shop-2", true, Some("shop")).await.unwrap_err();
        assert_eq!(typed.code, "confirmation_mismatch");

        let node = nodes::find(&shop, "shop-2").unwrap();
        let Promotion::Forced(loss) = nodes::promotion(s.app(), &shop, node, true).await.unwrap() else { panic!("it was handed over") };
        assert!(loss.seconds.is_some() && loss.primary.is_some() && loss.node.is_some(), "{loss:?}");
        let id = nodes::promote(s.app(), &somebody(), &s.cluster, "shop-2", true, Some("shop-2")).await.unwrap();
        let done = s.end(&id).await;
        assert_eq!(done.status, Status::Succeeded, "{done:?}");
        assert!(done.output["lost"]["seconds"].is_number() && done.output["fenced"][0] == old.as_str(), "{}", done.output);
        s.is_sound().await;
        let shop = topology(s.app(), "shop").await.unwrap();
        assert!(shop.primary().unwrap().name == "shop-2" && nodes::find(&shop, "shop-1").unwrap().is_fenced());
        assert!(!s.world.rows(&shop.primary().unwrap().id).contains(&"only here".to_string()));

        // Nothing that starts clusters or nodes lets it back.
        tasks::boot::once(&s.desk.app).await.unwrap();
        if let Some(begun) = s.app().runner.holder(s.cluster.id.as_str()).await.unwrap() {
            s.end(&begun.id).await;
        }
        for verb in 0..3 {
            let now = topology(s.app(), "shop").await.unwrap().cluster;
            let id = match verb {
                0 => clusters::restart(s.app(), &somebody(), &now).await,
                1 => clusters::stop(s.app(), &somebody(), &now).await,
                _ => clusters::start(s.app(), &somebody(), &now).await,
            };
            assert_eq!(s.end(&id.unwrap()).await.status, Status::Succeeded, "{verb}");
        }
        assert_eq!(nodes::reboot(s.app(), &somebody(), &s.cluster, "shop-1").await.unwrap_err().code, "fenced");
        assert_eq!(
            nodes::promotion(s.app(), &shop, nodes::find(&shop, "shop-1").unwrap(), true).await.unwrap_err().code,
            "candidate_unhealthy"
        );
        assert!(s.world.rows(&old).contains(&"only here".to_string()), "what it alone holds is still there");
        s.is_sound().await;

        let now = topology(s.app(), "shop").await.unwrap().cluster;
        let id = clusters::resync(s.app(), &somebody(), &now, &[], Some("shop")).await.unwrap();
        assert_eq!(s.end(&id).await.status, Status::Succeeded);
        let shop = topology(s.app(), "shop").await.unwrap();
        assert!(shop.nodes.iter().all(|n| n.phase.is_none()), "it follows like any other");
        s.is_sound().await;
    }
}

/// The replica fell too far behind while it was read: the next try reads the primary.
#[tokio::test]
async fn a_replica_that_cannot_bear_it_is_left_alone() {
    let s = stand("memo", 1).await;
    let read_from = |b: &Backup| b.facts.as_ref().map(|f| f.node.clone()).unwrap();
    assert_eq!(read_from(&s.look(&s.backup).await), "shop-2");
    s.world.outside.faults.fail("engine.capture", 1, Error::unavailable("source_behind", "it is too far behind"));
    let (backup, id) = backups::create(s.app(), &somebody(), &s.cluster, NewBackup::default()).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Succeeded);
    let made = s.look(&backup).await;
    assert!(made.is_good() && read_from(&made) == "shop-1", "{made:?}");
    s.is_sound().await;
}

/// Fifteen minutes each: three times, whatever the runner would allow.
#[tokio::test]
async fn what_is_stuck_is_tried_three_times() {
    let s = stand("ledger", 0).await;
    s.desk.close().await;
    let patient = RunnerOptions { retry: Retry { tries: 9, ..hasty().retry }, ..hasty() };
    let desk = s.world.desk_with(patient).await.unwrap();
    let before = s.world.outside.faults.visits("storage.put");
    s.world.outside.faults.fail("storage.put", 9, Error::unavailable("storage_stuck", "nothing moved for 15 minutes"));
    let (backup, id) = backups::create(&desk.app, &somebody(), &s.cluster, NewBackup::default()).await.unwrap();
    let view = ended(&desk.app.runner, &id).await.unwrap();
    assert_eq!((view.status, s.world.outside.faults.visits("storage.put") - before), (Status::Failed, 3));
    let made = backups::get(&desk.app, &backup.id).await.unwrap();
    assert!(made.status == BackupStatus::Failed && made.error.as_ref().unwrap().contains("3 times"), "{made:?}");
}
