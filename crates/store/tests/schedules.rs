//! Schedules, their runs, and drills, on SQLite and on PostgreSQL.

#[allow(dead_code)]
mod support;

use mainstay_model::{
    BackupId, ClusterId, DrillId, Kind as ErrorKind, Name, ProjectId, ScheduleId, StorageId, Time,
    cluster::Cluster,
    drill::{DrillRecord, DrillResult},
    retention::Retention,
    schedule::{RunStatus, Schedule, ScheduleRun, Timing},
};
use mainstay_store::{Paging, Sealer, Store, backups, commit, drills, schedules, sqlite_url};
use support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["queries", "claims", "claims_of_two", "drills_of_a_cluster"] {
        run(name, &sqlite_url(&dir.path().join(name)).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    for name in ["queries", "claims", "claims_of_two", "drills_of_a_cluster"] {
        run(name, &server.url(name).await).await;
    }
}

async fn open(url: &str) -> Store {
    Store::open(url, Sealer::from_key([9; 32])).await.unwrap()
}

async fn run(name: &str, url: &str) {
    let store = open(url).await;
    match name {
        "queries" => queries(&store).await,
        "claims" => claims(&store).await,
        "drills_of_a_cluster" => drills_of_a_cluster(&store).await,
        _ => claims_of_two(&store, &open(url).await).await,
    }
    store.close().await;
}

fn schedule(cluster: &Cluster, name: &str, next_at: Option<Time>) -> Schedule {
    Schedule {
        id: ScheduleId::new(),
        project: cluster.project.clone(),
        owner: cluster.into(),
        name: Name::parse(name).unwrap(),
        enabled: next_at.is_some(),
        timing: Timing::new(Timing::every_day(), [3].into(), "UTC").unwrap(),
        retention: Retention::days(7),
        storages: vec![],
        copy_retention: Default::default(),
        done_until: at(0),
        next_at,
        overlap: Default::default(),
        waiting: None,
        created_at: at(0),
    }
}

fn slot(schedule: &Schedule, nominal: Time, status: RunStatus) -> ScheduleRun {
    ScheduleRun { schedule: schedule.id.clone(), nominal, status, reason: None, backup: None, group_backup: None, recorded_at: nominal }
}

async fn insert(store: &Store, all: &[&Schedule]) {
    let mut tx = store.begin_write().await.unwrap();
    for schedule in all {
        schedules::insert(&mut tx, schedule).await.unwrap();
    }
    commit(tx).await.unwrap();
}

/// The last good and whole one counts.
async fn what_they_made(store: &Store, shop: &Cluster, early: &Schedule) {
    let place = storage(&shop.project, "near");
    let made = |seconds| mainstay_model::backup::Backup { schedule: Some(early.id.clone()), ..backup(shop, at(seconds), &[&place]) };
    let (whole, mut later) = (made(1), made(2));
    later.status = mainstay_model::backup::BackupStatus::Partial;
    let mut tx = store.begin_write().await.unwrap();
    for one in [&whole, &later, &backup(shop, at(3), &[&place])] {
        backups::insert(&mut tx, one).await.unwrap();
    }
    assert_eq!(backups::last_whole_of_schedules(&mut tx).await.unwrap(), [(early.id.clone(), at(1))]);
    later.status = mainstay_model::backup::BackupStatus::Completed;
    backups::update(&mut tx, &later).await.unwrap();
    assert_eq!(backups::last_whole_of_schedules(&mut tx).await.unwrap(), [(early.id.clone(), at(2))]);
    commit(tx).await.unwrap();
}

async fn queries(store: &Store) {
    let (shop, other) = (stored_cluster(store, "shop").await, stored_cluster(store, "other").await);
    let mut early = schedule(&shop, "early", Some(at(10)));
    early.storages = vec![StorageId::new()];
    let (late, paused, elsewhere) =
        (schedule(&shop, "late", Some(at(20))), schedule(&shop, "paused", None), schedule(&other, "early", Some(at(15))));
    insert(store, &[&early, &late, &paused, &elsewhere]).await;
    let mut conn = store.read().await.unwrap();
    assert_eq!(schedules::get(&mut conn, &early.id).await.unwrap(), early);
    assert_eq!(schedules::by_name(&mut conn, other.id.as_str(), "early").await.unwrap(), elsewhere);
    assert_eq!(schedules::of_cluster(&mut conn, &shop.id).await.unwrap(), [early.clone(), late.clone(), paused.clone()]);
    assert_eq!(schedules::next_at(&mut conn).await.unwrap(), Some(at(10)));
    assert_eq!(schedules::due(&mut conn, at(9), 10).await.unwrap(), []);
    assert_eq!(schedules::due(&mut conn, at(15), 10).await.unwrap(), [early.id.clone(), elsewhere.id.clone()]);
    assert_eq!(schedules::due(&mut conn, at(99), 1).await.unwrap(), [early.id.clone()]);
    // The clock was put back behind what they have done; a paused one is left alone.
    assert_eq!(schedules::due(&mut conn, at(-1), 10).await.unwrap().len(), 3);
    let all = schedules::list(&mut conn, &shop.project, None, &Paging::default()).await.unwrap();
    assert_eq!((all.items.len(), all.next), (4, None));
    let first = schedules::list(&mut conn, &shop.project, Some(shop.id.as_str()), &Paging { limit: 2, cursor: None }).await.unwrap();
    let rest = schedules::list(&mut conn, &shop.project, Some(shop.id.as_str()), &Paging { limit: 2, cursor: first.next }).await.unwrap();
    assert_eq!((first.items, rest.items, rest.next), (vec![early.clone(), late], vec![paused], None));
    assert_eq!(schedules::list(&mut conn, &ProjectId::new(), None, &Paging::default()).await.unwrap().items, []);
    assert_eq!(schedules::of_storage(&mut conn, &shop.project, &early.storages[0]).await.unwrap(), [early.clone()]);
    assert_eq!(schedules::of_storage(&mut conn, &shop.project, &StorageId::new()).await.unwrap(), []);
    drop(conn);
    what_they_made(store, &shop, &early).await;

    let mut tx = store.begin_write().await.unwrap();
    (early.done_until, early.next_at, early.waiting) = (at(10), Some(at(30)), Some(HOSTILE[0].into()));
    schedules::update(&mut tx, &early).await.unwrap();
    schedules::claim(&mut tx, &slot(&early, at(10), RunStatus::Started)).await.unwrap();
    assert_eq!(schedules::get(&mut tx, &early.id).await.unwrap(), early);
    assert_eq!(schedules::next_at(&mut tx).await.unwrap(), Some(at(15)));
    let unknown = schedule(&shop, "unknown", None);
    assert_eq!(schedules::update(&mut tx, &unknown).await.unwrap_err().kind, ErrorKind::NotFound);
    schedules::delete(&mut tx, &early.id).await.unwrap();
    schedules::delete_of_cluster(&mut tx, &other.id).await.unwrap();
    assert_eq!(schedules::get(&mut tx, &early.id).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(schedules::runs(&mut tx, &early.id, 10).await.unwrap(), []);
    assert_eq!(schedules::of_cluster(&mut tx, &other.id).await.unwrap(), []);
    assert_eq!(schedules::of_cluster(&mut tx, &ClusterId::new()).await.unwrap(), []);
    commit(tx).await.unwrap();
    let mut tx = store.begin_write().await.unwrap();
    let taken = schedules::insert(&mut tx, &schedule(&shop, "late", None)).await.unwrap_err();
    assert_eq!((taken.kind, taken.code.as_str()), (ErrorKind::Conflict, "name_taken"));
}

async fn claims(store: &Store) {
    let shop = stored_cluster(store, "shop").await;
    let one = schedule(&shop, "one", None);
    insert(store, &[&one]).await;
    let mut tx = store.begin_write().await.unwrap();
    for (seconds, status, claimed) in [
        (1, RunStatus::Started, true),
        (1, RunStatus::Started, false),
        (1, RunStatus::Missed, false),
        (1, RunStatus::Skipped, false),
        (2, RunStatus::Skipped, true),
        (2, RunStatus::Started, false),
        (3, RunStatus::Missed, true),
        (3, RunStatus::Missed, false),
        (3, RunStatus::Started, true),
        (3, RunStatus::Missed, false),
    ] {
        let done = schedules::claim(&mut tx, &slot(&one, at(seconds), status)).await.unwrap();
        assert_eq!(done, claimed, "{seconds} {status:?}");
    }
    let run = ScheduleRun { backup: Some(BackupId::new()), ..slot(&one, at(3), RunStatus::Started) };
    schedules::set_run(&mut tx, &run).await.unwrap();
    assert_eq!(schedules::last_started(&mut tx, &one.id).await.unwrap(), Some(run.clone()));
    let all = schedules::runs(&mut tx, &one.id, 10).await.unwrap();
    assert_eq!(all, [run, slot(&one, at(2), RunStatus::Skipped), slot(&one, at(1), RunStatus::Started)]);
    for seconds in 4..=503 {
        schedules::claim(&mut tx, &slot(&one, at(seconds), RunStatus::Missed)).await.unwrap();
    }
    let all = schedules::runs(&mut tx, &one.id, 1000).await.unwrap();
    assert_eq!((all.len(), all.last().map(|r| r.nominal)), (500, Some(at(4))), "the newest are remembered");
    commit(tx).await.unwrap();
}

/// Both find the time unused, and one of them uses it.
async fn claims_of_two(a: &Store, b: &Store) {
    let shop = stored_cluster(a, "shop").await;
    let one = schedule(&shop, "one", None);
    insert(a, &[&one]).await;
    let claim = |store: &Store, seconds| {
        let (store, run) = (store.clone(), slot(&one, at(seconds), RunStatus::Started));
        async move {
            let mut tx = store.begin_write().await.unwrap();
            let done = schedules::claim(&mut tx, &run).await.unwrap();
            commit(tx).await.unwrap();
            done
        }
    };
    for seconds in 0..20 {
        let (x, y) = tokio::join!(tokio::spawn(claim(a, seconds)), tokio::spawn(claim(b, seconds)));
        assert!(x.unwrap() != y.unwrap(), "{seconds}");
    }
}

async fn drills_of_a_cluster(store: &Store) {
    let (shop, other) = (stored_cluster(store, "shop").await, stored_cluster(store, "other").await);
    let drill = |cluster: &Cluster, seconds| DrillRecord {
        storage: None,
        id: DrillId::new(),
        project: cluster.project.clone(),
        cluster: cluster.id.clone(),
        backup: BackupId::new(),
        engine_version: "15.4".into(),
        at: at(seconds),
        result: DrillResult::NotDone,
        seconds: None,
        reason: Some(HOSTILE[0].into()),
        checks: vec![],
    };
    let mut tx = store.begin_write().await.unwrap();
    let all: Vec<DrillRecord> = (0..205).map(|i| drill(&shop, i)).collect();
    for one in &all {
        drills::insert(&mut tx, one).await.unwrap();
    }
    drills::insert(&mut tx, &drill(&other, 0)).await.unwrap();
    let first = drills::list(&mut tx, &shop.id, &Paging { limit: 2, cursor: None }).await.unwrap();
    assert_eq!(first.items, [all[204].clone(), all[203].clone()], "newest first");
    let rest = drills::list(&mut tx, &shop.id, &Paging { limit: 500, cursor: first.next }).await.unwrap();
    assert_eq!((rest.items.len(), rest.items.last()), (198, Some(&all[5])), "the newest two hundred are remembered");
    assert_eq!(drills::list(&mut tx, &other.id, &Paging::default()).await.unwrap().items.len(), 1);
    let tries = drills::last_tries(&mut tx).await.unwrap();
    assert!(tries.len() == 2 && tries.contains(&(shop.id.clone(), at(204))) && tries.contains(&(other.id.clone(), at(0))), "{tries:?}");

    assert_eq!(drills::failed_since(&mut tx, &shop.id).await.unwrap(), None, "what was not done says nothing");
    let ended = |seconds, result| DrillRecord { result, ..drill(&shop, seconds) };
    let (passed, failed, later) = (ended(300, DrillResult::Passed), ended(301, DrillResult::Failed), ended(302, DrillResult::NotDone));
    for one in [&passed, &failed, &later] {
        drills::insert(&mut tx, one).await.unwrap();
    }
    assert_eq!(drills::last_passed(&mut tx, &shop.id).await.unwrap(), Some(passed));
    assert_eq!(drills::failed_since(&mut tx, &shop.id).await.unwrap(), Some(failed));
    assert_eq!(drills::failed_since(&mut tx, &other.id).await.unwrap(), None);
    assert_eq!(drills::with_failures(&mut tx).await.unwrap(), std::slice::from_ref(&shop.id));
    drills::insert(&mut tx, &ended(303, DrillResult::Passed)).await.unwrap();
    assert_eq!(drills::failed_since(&mut tx, &shop.id).await.unwrap(), None, "it passed since");
    commit(tx).await.unwrap();
}
