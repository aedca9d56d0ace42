//! Every query, on SQLite and on PostgreSQL: the same bodies run over both.

mod support;

use futures::future::BoxFuture;
use mainstay_model::{
    AlertId, AuditResult, BackupId, ClusterId, Error, Kind as ErrorKind, LinkId, NoticeId, NotifierId, ProjectId, Secret, SessionId,
    StorageId, TokenId, UserId,
    alert::{Alert, AlertKind, Condition},
    backup::{Backup, BackupKind, BackupStatus, Deleting, Drill, Proof, ReadFrom},
    cluster::{Bin, Cluster},
    credentials::{Accounts, Credentials},
    left_behind::LeftBehind,
    log::{Archive, Line, Part},
    node::NodeStatus,
    notice::{Events, Notice, NoticeKind},
    reading::Reading,
    restore::RestoreStatus,
    retention::BackupPolicy,
    role::Role,
    user::{Link, LinkKind, Session, User},
};
use mainstay_store::{
    Kind, Page, Paging, Sealer, Store, accounts, addresses, alerts, audit, backups, clusters, commit, error, idempotency, kv, left_behind,
    links, log, members, nodes, notifiers, outbox, projects, readings, restores, retention, secrets, sessions, sqlite_url, storages,
    tokens, users,
};
use std::collections::BTreeSet;
use support::*;

/// What a body is given: an empty store and the way to open it again.
struct Place {
    store: Store,
    url: String,
}

type Body = fn(Place) -> BoxFuture<'static, ()>;

macro_rules! bodies {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), |p| Box::pin($name(p)))),*] };
}

const BODIES: &[(&str, Body)] = bodies![
    project_queries,
    cluster_queries,
    node_queries,
    address_queries,
    storage_queries,
    backup_queries,
    restore_queries,
    retention_queries,
    log_queries,
    left_behind_queries,
    reading_queries,
    secret_queries,
    token_queries,
    user_queries,
    session_queries,
    audit_queries,
    audit_tampering,
    idempotency_queries,
    kv_queries,
    notifier_queries,
    outbox_queries,
    alert_queries,
    pages_are_stable,
    hostile_strings,
    writers_take_turns,
    reads_cannot_write,
    dropped_writes_leave_nothing,
    a_conflict_is_run_again,
    wrong_key,
    newer_schema,
];

fn key() -> Sealer {
    Sealer::from_key([9; 32])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    for (name, body) in BODIES {
        let url = sqlite_url(&dir.path().join(format!("{name}.db"))).unwrap();
        run(name, *body, url, Kind::Sqlite).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let server = tokio::task::spawn_blocking(Server::start).await.unwrap();
    for (name, body) in BODIES {
        let url = server.url(name).await;
        run(name, *body, url, Kind::Postgres).await;
    }
}

async fn run(name: &str, body: Body, url: String, kind: Kind) {
    let store = Store::open(&url, key()).await.unwrap_or_else(|e| panic!("{name}: {e:?}"));
    assert_eq!(store.kind(), kind);
    let place = Place { store: store.clone(), url };
    tokio::spawn(body(place)).await.unwrap_or_else(|e| panic!("{name} on {kind:?}: {e}"));
    store.close().await;
}

/// Runs a few queries in one committed write.
macro_rules! write {
    ($store:expr, |$tx:ident| $body:expr) => {{
        let mut $tx = $store.begin_write().await.unwrap();
        let value = $body;
        commit($tx).await.unwrap();
        value
    }};
}

fn not_found<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert_eq!(result.expect_err("not found").kind, ErrorKind::NotFound);
}

fn conflict<T: std::fmt::Debug>(result: Result<T, Error>, code: &str) {
    let e = result.expect_err(code);
    assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Conflict, code), "{e:?}");
}

async fn project_queries(p: Place) {
    let default = project(&p.store).await;
    assert_eq!(project(&p.store).await, default, "a second call finds it");
    let shop = other_project("shop");
    write!(p.store, |tx| projects::insert(&mut tx, &shop).await.unwrap());
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(projects::get(&mut conn, &shop.id).await.unwrap(), shop);
    assert_eq!(projects::by_name(&mut conn, "shop").await.unwrap(), shop);
    assert_eq!(projects::list(&mut conn).await.unwrap(), [default, shop.clone()]);
    not_found(projects::by_name(&mut conn, "none").await);
    not_found(projects::get(&mut conn, &ProjectId::new()).await);
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(projects::insert(&mut tx, &other_project("shop")).await, "name_taken");
}

async fn cluster_queries(p: Place) {
    let project = project(&p.store).await.id;
    let mut first = cluster(&project, "shop", at(0));
    let second = cluster(&project, "desk", at(1));
    write!(p.store, |tx| {
        clusters::insert(&mut tx, &second).await.unwrap();
        clusters::insert(&mut tx, &first).await.unwrap();
    });
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(clusters::insert(&mut tx, &cluster(&project, "shop", at(2))).await, "name_taken");
    drop(tx);
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(clusters::insert(&mut tx, &cluster(&ProjectId::new(), "lost", at(2))).await, "reference");
    drop(tx);

    first.generation += 1;
    first.deleted_at = Some(at(5));
    write!(p.store, |tx| clusters::update(&mut tx, &first).await.unwrap());
    let reborn = cluster(&project, "shop", at(6));
    write!(p.store, |tx| clusters::insert(&mut tx, &reborn).await.unwrap());
    let mut back = first.clone();
    back.deleted_at = None;
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(clusters::update(&mut tx, &back).await, "name_taken");
    drop(tx);

    let mut conn = p.store.read().await.unwrap();
    assert_eq!(clusters::get(&mut conn, &first.id).await.unwrap(), first);
    assert_eq!(clusters::by_name(&mut conn, &project, "shop").await.unwrap(), reborn);
    not_found(clusters::by_name(&mut conn, &ProjectId::new(), "shop").await);
    assert_eq!(clusters::all_alive(&mut conn).await.unwrap(), [second.clone(), reborn.clone()]);
    let all = clusters::list(&mut conn, &project, true, &Paging::default()).await.unwrap();
    assert_eq!(all, Page { items: vec![first, second.clone(), reborn.clone()], next: None });
    let alive = clusters::list(&mut conn, &project, false, &Paging::default()).await.unwrap();
    assert_eq!(alive.items, [second, reborn.clone()]);
    drop(conn);

    let unborn = node(&reborn, 1);
    write!(p.store, |tx| {
        nodes::insert(&mut tx, &unborn).await.unwrap();
        for _ in 0..2 {
            clusters::remove_unborn(&mut tx, &reborn.id).await.unwrap();
        }
        not_found(clusters::get(&mut tx, &reborn.id).await);
        not_found(nodes::get(&mut tx, &unborn.id).await);
        not_found(clusters::update(&mut tx, &reborn).await);
    });
}

async fn node_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let (mut one, two) = (node(&cluster, 1), node(&cluster, 2));
    write!(p.store, |tx| {
        nodes::insert(&mut tx, &two).await.unwrap();
        nodes::insert(&mut tx, &one).await.unwrap();
        one.phase = Some(NodeStatus::Fenced);
        nodes::update(&mut tx, &one).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(nodes::get(&mut conn, &one.id).await.unwrap(), one);
    assert_eq!(nodes::of_cluster(&mut conn, &cluster.id).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(nodes::all(&mut conn).await.unwrap(), [one.clone(), two.clone()]);
    drop(conn);
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(nodes::insert(&mut tx, &node(&cluster, 2)).await, "number_taken");
    drop(tx);
    write!(p.store, |tx| {
        nodes::delete(&mut tx, &one.id).await.unwrap();
        nodes::delete(&mut tx, &one.id).await.unwrap();
        not_found(nodes::get(&mut tx, &one.id).await);
        not_found(nodes::update(&mut tx, &one).await);
        assert_eq!(nodes::of_cluster(&mut tx, &cluster.id).await.unwrap(), std::slice::from_ref(&two));
    });
}

async fn address_queries(p: Place) {
    write!(p.store, |tx| {
        assert_eq!(addresses::take(&mut tx, "a", 2).await, Ok(2));
        assert_eq!(addresses::take(&mut tx, "b", 2).await, Ok(3));
        assert_eq!(addresses::take(&mut tx, "a", 2).await, Ok(2), "the same owner, the same number");
        assert_eq!(addresses::take(&mut tx, "c", -5).await, Ok(1));
        addresses::release(&mut tx, "a").await.unwrap();
        addresses::release(&mut tx, "a").await.unwrap();
        assert_eq!(addresses::take(&mut tx, "d", 2).await, Ok(2));
        for n in 4..=addresses::LAST {
            assert_eq!(addresses::take(&mut tx, &format!("n{n}"), 2).await, Ok(n));
        }
        let e = addresses::take(&mut tx, "late", 1).await.expect_err("full");
        assert_eq!((e.kind, e.code.as_str()), (ErrorKind::NoSpace, "no_address"));
        assert_eq!(addresses::take(&mut tx, "d", 2).await, Ok(2), "whoever has one keeps it");
    });
}

async fn storage_queries(p: Place) {
    let project = project(&p.store).await.id;
    let (mut one, two) = (storage(&project, "one"), storage(&project, "two"));
    write!(p.store, |tx| {
        storages::insert(&mut tx, &one).await.unwrap();
        storages::insert(&mut tx, &two).await.unwrap();
        one.region = None;
        storages::update(&mut tx, &one).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(storages::get(&mut conn, &one.id).await.unwrap(), one);
    assert_eq!(storages::by_name(&mut conn, &project, "two").await.unwrap(), two);
    assert_eq!(storages::list(&mut conn, &project).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(storages::list(&mut conn, &ProjectId::new()).await.unwrap(), []);
    drop(conn);
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(storages::insert(&mut tx, &storage(&project, "two")).await, "name_taken");
    drop(tx);
    write!(p.store, |tx| {
        storages::delete(&mut tx, &one.id).await.unwrap();
        storages::delete(&mut tx, &one.id).await.unwrap();
        not_found(storages::get(&mut tx, &one.id).await);
        not_found(storages::update(&mut tx, &one).await);
        not_found(storages::by_name(&mut tx, &project, "one").await);
    });
}

async fn backup_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let (near, far) = (storage(&cluster.project, "near"), storage(&cluster.project, "far"));
    let good = backup(&cluster, at(1), &[&near, &far]);
    let mut newer = backup(&cluster, at(2), &[&near]);
    (newer.status, newer.kind, newer.proof) = (BackupStatus::Failed, BackupKind::Scheduled, Proof::None);
    newer.copies[0].status = BackupStatus::Running;
    let suspicious = backups_proof(backup(&cluster, at(3), &[&far]), Proof::Suspicious);
    write!(p.store, |tx| {
        for b in [&good, &newer, &suspicious] {
            backups::insert(&mut tx, b).await.unwrap();
        }
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(backups::get(&mut conn, &good.id).await.unwrap(), good);
    assert_eq!(backups::last_good(&mut conn, &cluster.id).await.unwrap(), Some(good.clone()));
    let all = [suspicious.clone(), newer.clone(), good.clone()];
    assert_eq!(backups::of_cluster(&mut conn, &cluster.id).await.unwrap(), all);
    assert_eq!(backups::newest(&mut conn, &cluster.id, 2).await.unwrap(), all[..2]);
    assert_eq!(backups::newest_good(&mut conn, &cluster.id, 2).await.unwrap(), std::slice::from_ref(&good));
    assert_eq!(backups::with_doubtful(&mut conn).await.unwrap(), std::slice::from_ref(&cluster.id));
    let both: BTreeSet<_> = [&near.id, &far.id].into_iter().cloned().collect();
    assert_eq!(backups::storages_with_good(&mut conn, &cluster.id).await.unwrap().into_iter().collect::<BTreeSet<_>>(), both);
    assert_eq!(backups::last_good_in(&mut conn, &cluster.id, &far.id).await.unwrap(), Some(good.clone()));
    assert_eq!(backups::last_good_in(&mut conn, &cluster.id, &StorageId::new()).await.unwrap(), None);
    assert_eq!(in_storage(&mut conn, &near.id).await, [newer.clone(), good.clone()]);
    let of_all =
        |found: Vec<(ClusterId, mainstay_model::Result<Backup>)>| found.into_iter().map(|(c, b)| (c, b.unwrap())).collect::<Vec<_>>();
    assert_eq!(of_all(backups::last_good_of_all(&mut conn).await.unwrap()), [(cluster.id.clone(), good.clone())]);
    assert_eq!(of_all(backups::newest_bad_of_all(&mut conn).await.unwrap()), []);
    assert_eq!(backups::lapsed(&mut conn, at(0)).await.unwrap(), []);
    assert_eq!(backups::lapsed(&mut conn, at(1 << 30)).await.unwrap(), std::slice::from_ref(&cluster.id));
    filtered_backups(&mut conn, &cluster, &far, &all).await;
    drop(conn);

    write!(p.store, |tx| {
        a_copy_that_may_go_before_its_backup(&mut tx, &good).await;
        newer.copies[0].status = BackupStatus::Failed;
        newer.drill = Some(Drill { at: at(4), ok: true, seconds: 1.5 });
        backups::update(&mut tx, &newer).await.unwrap();
        backups::delete(&mut tx, &suspicious.id).await.unwrap();
        assert_eq!(backups::with_doubtful(&mut tx).await.unwrap(), []);
        let bad = backups::newest_bad_of_all(&mut tx).await.unwrap();
        assert_eq!(bad, [(cluster.id.clone(), Ok(newer.clone()))], "now it is the newest");
        assert_eq!(in_storage(&mut tx, &near.id).await, std::slice::from_ref(&good));
        for _ in 0..2 {
            backups::delete(&mut tx, &good.id).await.unwrap();
        }
        assert_eq!(in_storage(&mut tx, &near.id).await, []);
        assert_eq!(backups::last_good(&mut tx, &cluster.id).await.unwrap(), None);
        not_found(backups::get(&mut tx, &good.id).await);
        not_found(backups::update(&mut tx, &good).await);
    });
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(backups::insert(&mut tx, &newer).await, "already_exists");
    drop(tx);
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(backups::insert(&mut tx, &backup(&cluster, at(9), &[&near, &near])).await, "copy_exists");
}

async fn a_copy_that_may_go_before_its_backup(tx: &mut sqlx::AnyConnection, good: &Backup) {
    let mut short = good.clone();
    short.copies[0].expires_at = Some(at(0));
    backups::update(tx, &short).await.unwrap();
    assert_eq!(backups::get(tx, &good.id).await.unwrap(), short);
    assert_eq!(backups::lapsed(tx, at(0)).await.unwrap(), std::slice::from_ref(&good.cluster));
    backups::update(tx, good).await.unwrap();
}

/// `all` are a suspicious one, a scheduled one that failed and a good one.
async fn filtered_backups(conn: &mut sqlx::AnyConnection, cluster: &Cluster, far: &storages::StorageRow, all: &[Backup; 3]) {
    let [suspicious, newer, good] = all;
    let none = backups::BackupFilter::default;
    let filters = [
        (none(), all.to_vec()),
        (backups::BackupFilter { project: Some(cluster.project.clone()), ..none() }, all.to_vec()),
        (backups::BackupFilter { project: Some(ProjectId::new()), ..none() }, vec![]),
        (backups::BackupFilter { cluster: Some(cluster.id.clone()), ..none() }, all.to_vec()),
        (backups::BackupFilter { status: Some(BackupStatus::Failed), ..none() }, vec![newer.clone()]),
        (backups::BackupFilter { kind: Some(BackupKind::Manual), ..none() }, vec![suspicious.clone(), good.clone()]),
        (backups::BackupFilter { storage: Some(far.id.clone()), ..none() }, vec![suspicious.clone(), good.clone()]),
        (backups::BackupFilter { storage: Some(StorageId::new()), ..none() }, vec![]),
    ];
    for (filter, expected) in filters {
        assert_eq!(backups::list(conn, &filter, &Paging::default()).await.unwrap().items, expected, "{filter:?}");
    }
}

async fn in_storage(conn: &mut sqlx::AnyConnection, storage: &StorageId) -> Vec<Backup> {
    let filter = backups::BackupFilter { storage: Some(storage.clone()), ..Default::default() };
    backups::list(conn, &filter, &Paging::default()).await.unwrap().items
}

fn backups_proof(mut backup: Backup, proof: Proof) -> Backup {
    backup.proof = proof;
    backup
}

async fn retention_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let (mut one, mut two) = (backup(&cluster, at(1), &[]), backup(&cluster, at(2), &[]));
    let policy = BackupPolicy { manual_keep_last: Some(3), manual_limit: true, min_keep: 4, from: ReadFrom::Primary };
    let notes = retention::Notes { at: at(5), warnings: vec!["a 'quoted' warning".into()] };
    write!(p.store, |tx| {
        backups::insert(&mut tx, &one).await.unwrap();
        backups::insert(&mut tx, &two).await.unwrap();
        for policy in [&BackupPolicy::default(), &policy] {
            retention::put_policy(&mut tx, &cluster.id, policy).await.unwrap();
        }
        for notes in [&retention::Notes::default(), &notes] {
            retention::put_notes(&mut tx, &cluster.id, notes).await.unwrap();
        }
        restores::insert(&mut tx, &restore(&one, at(3))).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(retention::policy(&mut conn, &cluster.id).await.unwrap(), policy);
    assert_eq!(retention::notes(&mut conn, &cluster.id).await.unwrap(), notes);
    assert_eq!(clusters::ids(&mut conn).await.unwrap(), std::slice::from_ref(&cluster.id));
    assert_eq!(restores::in_use(&mut conn).await.unwrap(), std::slice::from_ref(&one.id));
    assert_eq!(backups::manual_since(&mut conn, &cluster.id, at(0)).await.unwrap(), Some(two.clone()));
    assert_eq!(backups::manual_since(&mut conn, &cluster.id, at(2)).await.unwrap(), None);
    drop(conn);
    write!(p.store, |tx| {
        two.status = BackupStatus::Failed;
        one.status = BackupStatus::Deleting;
        one.deleting = Some(Deleting { until: at(9), reason: "its time ended".into(), was: BackupStatus::Completed });
        backups::update(&mut tx, &one).await.unwrap();
        backups::update(&mut tx, &two).await.unwrap();
        assert_eq!(backups::get(&mut tx, &one.id).await.unwrap(), one);
        assert_eq!(backups::manual_since(&mut tx, &cluster.id, at(0)).await.unwrap(), None, "neither failed nor leaving ones count");
        retention::delete_of_cluster(&mut tx, &cluster.id).await.unwrap();
        assert_eq!(retention::policy(&mut tx, &cluster.id).await.unwrap(), BackupPolicy::default());
        let mut gone = cluster.clone();
        (gone.deleted_at, gone.bin) = (Some(at(6)), Some(Bin { until: Some(at(7)), nodes: 2 }));
        clusters::update(&mut tx, &gone).await.unwrap();
        assert_eq!(clusters::in_bin(&mut tx).await.unwrap(), std::slice::from_ref(&gone));
        assert_eq!(clusters::deleted_by_name(&mut tx, &cluster.project, "shop").await.unwrap(), std::slice::from_ref(&gone));
        assert_eq!(clusters::deleted_by_name(&mut tx, &cluster.project, "other").await.unwrap(), []);
    });
}

async fn log_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let storage = StorageId::new();
    let part = |until| Part {
        id: BackupId::new(),
        cluster: cluster.id.clone(),
        storage: storage.clone(),
        snapshot: "it's".into(),
        line: "l".into(),
        line_started_at: at(0),
        history: "s/1".into(),
        from: 1,
        to: u64::from(u32::MAX) << 8,
        until,
        stored_at: until,
        first: "1".into(),
        last: "2".into(),
        pieces: 2,
        bytes: 32,
        lock: None,
    };
    let (old, mut new) = (part(at(1)), part(at(2)));
    let archive = Archive { line: Some(Line { id: "l".into(), started_at: at(0) }), ..Archive::default() };
    write!(p.store, |tx| {
        assert_eq!(log::archive(&mut tx, &cluster.id).await.unwrap(), None);
        for archive in [&Archive::default(), &archive] {
            log::put_archive(&mut tx, &cluster.id, archive).await.unwrap();
        }
        for part in [&new, &old] {
            log::put_part(&mut tx, part).await.unwrap();
        }
        new.until = at(3);
        log::put_part(&mut tx, &new).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(log::archive(&mut conn, &cluster.id).await.unwrap(), Some(archive));
    assert_eq!(log::clusters(&mut conn).await.unwrap(), std::slice::from_ref(&cluster.id));
    assert_eq!(log::parts(&mut conn, &cluster.id).await.unwrap(), [old.clone(), new.clone()]);
    assert_eq!(log::clusters_in(&mut conn, &storage).await.unwrap(), std::slice::from_ref(&cluster.id));
    assert_eq!(log::clusters_in(&mut conn, &StorageId::new()).await.unwrap(), []);
    drop(conn);
    write!(p.store, |tx| {
        log::remove_part(&mut tx, &old.id).await.unwrap();
        log::remove_part(&mut tx, &old.id).await.unwrap();
        assert_eq!(log::with_parts(&mut tx).await.unwrap(), std::slice::from_ref(&cluster.id));
        log::remove_archive(&mut tx, &cluster.id).await.unwrap();
        assert_eq!(log::clusters(&mut tx).await.unwrap(), []);
        log::delete_of_cluster(&mut tx, &cluster.id).await.unwrap();
        assert_eq!(log::parts(&mut tx, &cluster.id).await.unwrap(), []);
    });
}

async fn left_behind_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let (one, two) = (StorageId::new(), StorageId::new());
    let left = |storage: &StorageId, snapshot: Option<&str>, tried| LeftBehind {
        storage: storage.clone(),
        cluster: cluster.id.clone(),
        cluster_name: "shop".into(),
        snapshot: snapshot.map(Into::into),
        backup: None,
        data_bytes: 1,
        at: at(0),
        tried_at: at(tried),
        why: HOSTILE[3].into(),
    };
    let (whole, mut part, other) = (left(&one, None, 1), left(&one, Some("it's"), 2), left(&two, Some("it's"), 3));
    write!(p.store, |tx| {
        for all in [&part, &other, &whole] {
            left_behind::put(&mut tx, all).await.unwrap();
        }
        part.tried_at = at(5);
        left_behind::put(&mut tx, &part).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(left_behind::of_storage(&mut conn, &one).await.unwrap(), [whole.clone(), part.clone()]);
    assert_eq!(left_behind::of_cluster(&mut conn, &cluster.id).await.unwrap().len(), 3);
    assert_eq!(left_behind::of_cluster(&mut conn, &ClusterId::new()).await.unwrap(), []);
    assert_eq!(left_behind::tried_before(&mut conn, at(3)).await.unwrap(), [whole.clone(), other.clone()]);
    drop(conn);
    write!(p.store, |tx| {
        left_behind::remove(&mut tx, &whole).await.unwrap();
        left_behind::remove(&mut tx, &whole).await.unwrap();
        left_behind::remove_of_storage(&mut tx, &two).await.unwrap();
        assert_eq!(left_behind::of_cluster(&mut tx, &cluster.id).await.unwrap(), [part]);
    });
}

async fn reading_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let reading = |name: &str| Reading {
        project: cluster.project.clone(),
        cluster: cluster.id.clone(),
        cluster_name: "shop".into(),
        storage: StorageId::new(),
        storage_name: name.into(),
        backup: BackupId::new(),
        at: at(1),
        good_at: None,
        error: Some(HOSTILE[3].into()),
    };
    let (mut one, two) = (reading("one"), reading("two"));
    write!(p.store, |tx| {
        readings::put(&mut tx, &two).await.unwrap();
        readings::put(&mut tx, &one).await.unwrap();
        (one.at, one.error) = (at(2), None);
        readings::put(&mut tx, &one).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(readings::get(&mut conn, &cluster.id, &one.storage).await.unwrap(), Some(one.clone()));
    assert_eq!(readings::get(&mut conn, &cluster.id, &StorageId::new()).await.unwrap(), None);
    assert_eq!(readings::all(&mut conn).await.unwrap().len(), 2);
    drop(conn);
    write!(p.store, |tx| {
        for _ in 0..2 {
            readings::remove(&mut tx, &two).await.unwrap();
        }
        assert_eq!(readings::all(&mut tx).await.unwrap(), [one]);
    });
}

async fn restore_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let backup = backup(&cluster, at(0), &[]);
    let (mut one, two) = (restore(&backup, at(1)), restore(&backup, at(2)));
    write!(p.store, |tx| {
        restores::insert(&mut tx, &one).await.unwrap();
        restores::insert(&mut tx, &two).await.unwrap();
        one.status = RestoreStatus::Completed;
        (one.previous_label, one.previous_until) = (Some("before".into()), Some(at(10)));
        restores::update(&mut tx, &one).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(restores::get(&mut conn, &one.id).await.unwrap(), one);
    assert_eq!(restores::previous_due(&mut conn, at(9)).await.unwrap(), []);
    assert_eq!(restores::previous_due(&mut conn, at(10)).await.unwrap(), [one.clone()]);
    let none = restores::RestoreFilter::default;
    let filters = [
        (none(), vec![two.clone(), one.clone()]),
        (restores::RestoreFilter { project: Some(ProjectId::new()), ..none() }, vec![]),
        (restores::RestoreFilter { target: Some(cluster.id.clone()), ..none() }, vec![two.clone(), one.clone()]),
        (restores::RestoreFilter { backup: Some(backup.id.clone()), ..none() }, vec![two.clone(), one.clone()]),
        (restores::RestoreFilter { status: Some(RestoreStatus::Completed), ..none() }, vec![one.clone()]),
    ];
    for (filter, expected) in filters {
        assert_eq!(restores::list(&mut conn, &filter, &Paging::default()).await.unwrap().items, expected, "{filter:?}");
    }
    drop(conn);
    write!(p.store, |tx| {
        one.previous_label = None;
        restores::update(&mut tx, &one).await.unwrap();
        assert_eq!(restores::previous_due(&mut tx, at(99)).await.unwrap(), [], "nothing stands aside any more");
        not_found(restores::update(&mut tx, &restore(&backup, at(3))).await);
        not_found(restores::get(&mut tx, &mainstay_model::RestoreId::new()).await);
    });
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(restores::insert(&mut tx, &one).await, "already_exists");
}

async fn secret_queries(p: Place) {
    let sealer = p.store.sealer().clone();
    let cluster = stored_cluster(&p.store, "shop").await;
    let secret = |t: &str| Secret::new(format!("hunter2-{t}"));
    write!(p.store, |tx| {
        for (owner, kind) in [("a", "one"), ("a", "two"), ("b", "one")] {
            secrets::put(&mut tx, &sealer, owner, kind, &Secret::new("old")).await.unwrap();
            secrets::put(&mut tx, &sealer, owner, kind, &secret(owner)).await.unwrap();
        }
        assert_eq!(secrets::get(&mut tx, &sealer, "a", "two").await, Ok(Some(secret("a"))));
        assert_eq!(secrets::get(&mut tx, &sealer, "b", "two").await, Ok(None));
    });

    let found = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM secrets WHERE sealed LIKE '%hunter2%'").fetch_one(p.store.pool()).await;
    assert_eq!(found.unwrap(), 0, "only sealed text is stored");
    let swap = "UPDATE secrets SET sealed = (SELECT s.sealed FROM secrets s WHERE s.owner = 'a' AND s.kind = 'one') WHERE owner = 'b'";
    write!(p.store, |tx| sqlx::query(swap).execute(&mut *tx).await.unwrap());
    let mut conn = p.store.read().await.unwrap();
    let e = secrets::get(&mut conn, &sealer, "b", "one").await.expect_err("moved from another owner");
    assert_eq!(e.kind, ErrorKind::Integrity);
    assert!(!format!("{e:?}").contains("hunter2"));
    drop(conn);

    let user = Credentials { user: "shop".into(), password: secret("user"), database: Some("shop".into()) };
    let all = Accounts { user, admin: secret("admin"), replication: secret("replication") };
    write!(p.store, |tx| {
        secrets::delete_owner(&mut tx, "a").await.unwrap();
        secrets::delete_owner(&mut tx, "a").await.unwrap();
        assert_eq!(secrets::get(&mut tx, &sealer, "a", "two").await, Ok(None));
        not_found(accounts::get(&mut tx, &sealer, &cluster.id).await);
        accounts::put(&mut tx, &sealer, &cluster.id, &all).await.unwrap();
        assert_eq!(accounts::get(&mut tx, &sealer, &cluster.id).await, Ok(all.clone()));
        secrets::delete_owner(&mut tx, cluster.id.as_str()).await.unwrap();
        not_found(accounts::get(&mut tx, &sealer, &cluster.id).await);
    });
}

async fn token_queries(p: Place) {
    let project = project(&p.store).await.id;
    let row = |hash: &str, project: Option<ProjectId>, is_administrator| tokens::TokenRow {
        id: TokenId::new(),
        name: HOSTILE[0].into(),
        project,
        role: Role::Operator,
        is_administrator,
        hash: hash.into(),
        created_at: at(0),
        expires_at: Some(at(100)),
        last_used_at: None,
        revoked_at: None,
        made_by: None,
    };
    let (mut bound, free) = (row("h1", Some(project), false), row("h2", None, true));
    write!(p.store, |tx| {
        tokens::insert(&mut tx, &bound).await.unwrap();
        tokens::insert(&mut tx, &free).await.unwrap();
        assert_eq!(tokens::by_hash(&mut tx, "h1").await, Ok(Some(bound.clone())));
        assert_eq!(tokens::by_hash(&mut tx, "h2").await, Ok(Some(free.clone())));
        assert_eq!(tokens::by_hash(&mut tx, "h").await, Ok(None));
        assert_eq!(tokens::list(&mut tx).await, Ok(vec![bound.clone(), free.clone()]));
        assert!(tokens::needs_touch(&bound, at(1)));
        tokens::touch(&mut tx, &bound.id, at(1)).await.unwrap();
        tokens::touch(&mut tx, &bound.id, at(2)).await.unwrap();
        bound.last_used_at = Some(at(1));
        assert_eq!(tokens::by_hash(&mut tx, "h1").await, Ok(Some(bound.clone())), "not written again within a minute");
        assert!(!tokens::needs_touch(&bound, at(60)) && tokens::needs_touch(&bound, at(61)));
        tokens::touch(&mut tx, &bound.id, at(61)).await.unwrap();
        tokens::revoke(&mut tx, &bound.id, at(70)).await.unwrap();
        tokens::revoke(&mut tx, &bound.id, at(80)).await.unwrap();
        (bound.last_used_at, bound.revoked_at) = (Some(at(61)), Some(at(70)));
        assert_eq!(tokens::by_hash(&mut tx, "h1").await, Ok(Some(bound.clone())));
        not_found(tokens::revoke(&mut tx, &TokenId::new(), at(1)).await);
    });
    assert!(!bound.is_valid(at(1)) && free.is_valid(at(99)) && !free.is_valid(at(100)));
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(tokens::insert(&mut tx, &row("h2", None, false)).await, "already_exists");
}

fn user(name: &str) -> User {
    User {
        id: UserId::new(),
        name: name.into(),
        email: format!("{name}@db.example"),
        administrator: false,
        created_at: NOW,
        disabled_at: None,
        last_seen_at: None,
        preferences: Default::default(),
    }
}

fn session(user: &User) -> Session {
    Session {
        id: SessionId::new(),
        user: user.id.clone(),
        created_at: NOW,
        last_seen_at: NOW,
        expires_at: NOW.plus_days(7),
        from: "127.0.0.1".into(),
        agent: "x".into(),
    }
}

async fn user_queries(p: Place) {
    let project = project(&p.store).await;
    let (ada, bob) = (user("Ada"), user("Bob"));
    write!(p.store, |tx| {
        assert_eq!(users::count(&mut tx).await, Ok(0));
        users::insert(&mut tx, &ada, "hash-a").await.unwrap();
        users::insert(&mut tx, &bob, "hash-b").await.unwrap();
    });
    for twin in [user("ADA"), User { email: "BOB@DB.example".into(), ..user("Eve") }] {
        let mut tx = p.store.begin_write().await.unwrap();
        conflict(users::insert(&mut tx, &twin, "x").await, "user_taken");
    }
    let mut conn = p.store.read().await.unwrap();
    for named in ["ada", "ADA@db.example", " Ada "] {
        assert_eq!(users::named(&mut conn, named).await.unwrap(), Some((ada.clone(), "hash-a".into())), "{named}");
    }
    assert_eq!(users::named(&mut conn, "nobody").await, Ok(None));
    drop(conn);
    write!(p.store, |tx| {
        users::set_password(&mut tx, &ada.id, "hash-c").await.unwrap();
        users::update(&mut tx, &User { administrator: true, ..ada.clone() }).await.unwrap();
        members::put(&mut tx, &project.id, &ada.id, Role::Viewer, NOW).await.unwrap();
        members::put(&mut tx, &project.id, &ada.id, Role::Owner, NOW.plus_seconds(1)).await.unwrap();
        members::put(&mut tx, &project.id, &bob.id, Role::Viewer, NOW.plus_seconds(2)).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(users::password(&mut conn, &ada.id).await, Ok("hash-c".into()));
    assert_eq!(users::list(&mut conn).await.unwrap().len(), 2);
    let found = members::of_project(&mut conn, &project.id).await.unwrap();
    assert_eq!(found.iter().map(|m| (m.user.name.as_str(), m.role)).collect::<Vec<_>>(), [("Ada", Role::Owner), ("Bob", Role::Viewer)]);
    assert_eq!(members::of_user(&mut conn, &bob.id).await, Ok(vec![(project.id.clone(), Role::Viewer)]));
    drop(conn);
    write!(p.store, |tx| {
        members::remove(&mut tx, &project.id, &ada.id).await.unwrap();
        users::delete(&mut tx, &bob.id).await.unwrap();
        not_found(users::get(&mut tx, &bob.id).await);
        assert_eq!(members::of_project(&mut tx, &project.id).await, Ok(vec![]));
    });
}

async fn session_queries(p: Place) {
    let project = project(&p.store).await;
    let (ada, bob) = (user("Ada"), user("Bob"));
    let (one, two, other) = (session(&ada), session(&ada), session(&bob));
    let link = Link {
        id: LinkId::new(),
        kind: LinkKind::Invitation,
        project: Some(project.id.clone()),
        role: Some(Role::Viewer),
        email: Some("x@db.example".into()),
        user: None,
        created_at: NOW,
        expires_at: NOW.plus_days(1),
        made_by: "user:Ada".into(),
    };
    let reset = Link { id: LinkId::new(), kind: LinkKind::Password, project: None, user: Some(bob.id.clone()), ..link.clone() };
    write!(p.store, |tx| {
        users::insert(&mut tx, &ada, "a").await.unwrap();
        users::insert(&mut tx, &bob, "b").await.unwrap();
        for (s, hash) in [(&one, "h1"), (&two, "h2"), (&other, "h3")] {
            sessions::insert(&mut tx, s, hash).await.unwrap();
        }
        links::insert(&mut tx, &link, "l1").await.unwrap();
        links::insert(&mut tx, &reset, "l2").await.unwrap();
        assert_eq!(sessions::by_hash(&mut tx, "h3").await, Ok(Some(other.clone())));
        assert_eq!(sessions::of_user(&mut tx, &ada.id).await.unwrap().len(), 2);
        assert_eq!(links::by_hash(&mut tx, "l1", NOW).await, Ok(Some(link.clone())));
        assert_eq!(links::by_hash(&mut tx, "l1", NOW.plus_days(2)).await, Ok(None));
        assert_eq!(links::of_project(&mut tx, &project.id, NOW).await, Ok(vec![link.clone()]));
        assert_eq!(links::of_nobody(&mut tx).await, Ok(vec![reset.clone()]));

        sessions::touch(&mut tx, &one.id, NOW.plus_seconds(9)).await.unwrap();
        assert_eq!(sessions::end_of_user(&mut tx, &ada.id, Some(&one.id)).await, Ok(1));
        assert_eq!(links::remove(&mut tx, &link.id).await, Ok(true));
        assert_eq!(links::remove(&mut tx, &link.id).await, Ok(false), "used once");
        users::delete(&mut tx, &bob.id).await.unwrap();
    });
    write!(p.store, |tx| {
        assert_eq!(sessions::get(&mut tx, &one.id).await.unwrap().unwrap().last_seen_at, NOW.plus_seconds(9));
        assert_eq!(sessions::get(&mut tx, &other.id).await, Ok(None), "sessions go with the person");
        assert_eq!(links::of_nobody(&mut tx).await, Ok(vec![]));
        sessions::end(&mut tx, &two.id).await.unwrap();
        assert_eq!(sessions::forget_ended(&mut tx, NOW.plus_seconds(10), NOW.plus_seconds(9)).await, Ok(1));
        assert_eq!(links::forget_expired(&mut tx, NOW.plus_days(9)).await, Ok(0));
    });
}

async fn audit_queries(p: Place) {
    let project = project(&p.store).await.id;
    let mut odd = entry(None, HOSTILE[4], AuditResult::Failed);
    (odd.at, odd.action, odd.object_kind, odd.object_id) = (at(-3_600), "token.create".into(), "token".into(), None);
    let all = [entry(Some(&project), "token:a", AuditResult::Done), odd.clone(), entry(Some(&project), "token:b", AuditResult::Refused)];
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(audit::verify(&mut conn).await, Ok(0));
    write!(p.store, |tx| {
        for e in &all {
            audit::append(&mut tx, e).await.unwrap();
        }
    });
    assert_eq!(audit::verify(&mut conn).await, Ok(3));
    let head = audit::head(&mut conn).await.unwrap();
    assert_eq!((head.rows, head.hash.len()), (3, 64));
    let none = audit::AuditFilter::default;
    let newest = [all[2].clone(), odd.clone(), all[0].clone()];
    let filters = [
        (none(), newest.to_vec()),
        (audit::AuditFilter { project: Some(project.clone()), ..none() }, vec![all[2].clone(), all[0].clone()]),
        (audit::AuditFilter { actor: Some(HOSTILE[4].into()), ..none() }, vec![odd.clone()]),
        (audit::AuditFilter { action: Some("token.create".into()), ..none() }, vec![odd.clone()]),
        (audit::AuditFilter { object_kind: Some("token".into()), ..none() }, vec![odd.clone()]),
        (audit::AuditFilter { object_id: Some("cl_1".into()), ..none() }, vec![all[2].clone(), all[0].clone()]),
        (audit::AuditFilter { result: Some(AuditResult::Refused), ..none() }, vec![all[2].clone()]),
        (audit::AuditFilter { since: Some(at(0)), until: Some(at(1)), ..none() }, vec![all[2].clone(), all[0].clone()]),
        (audit::AuditFilter { until: Some(at(0)), ..none() }, vec![odd.clone()]),
    ];
    for (filter, expected) in filters {
        assert_eq!(audit::list(&mut conn, &filter, &Paging::default()).await.unwrap().items, expected, "{filter:?}");
    }
    let mut huge = entry(None, &"x".repeat(1_000_000), AuditResult::Refused);
    huge.detail = "y".repeat(1_000_000).into();
    write!(p.store, |tx| audit::append(&mut tx, &huge).await.unwrap());
    let first = audit::list(&mut conn, &none(), &Paging { limit: 1, cursor: None }).await.unwrap();
    assert!(serde_json::to_string(&first.items).unwrap().len() < 20_000, "cut to size");
    assert_eq!(audit::verify(&mut conn).await, Ok(4));
}

async fn audit_tampering(p: Place) {
    write!(p.store, |tx| {
        for n in 0..5 {
            audit::append(&mut tx, &entry(None, &format!("token:{n}"), AuditResult::Done)).await.unwrap();
        }
    });
    let forged = [
        ("UPDATE audit SET doc = replace(doc, 'token:1', 'token:9') WHERE seq = 2", 2),
        ("UPDATE audit SET actor = 'token:9' WHERE seq = 3", 3),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", 1),
        ("UPDATE audit SET object_id = NULL WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 5", 6 - 1),
        ("UPDATE audit SET seq = 6 WHERE seq = 5", 5),
        ("UPDATE audit_head SET seq = 4", 5),
        ("UPDATE audit_head SET hash = ''", 6),
        ("DELETE FROM audit", 1),
    ];
    for (sql, row) in forged {
        let mut tx = p.store.begin_write().await.unwrap();
        sqlx::query(sql).execute(&mut *tx).await.unwrap();
        let e = audit::verify(&mut tx).await.expect_err(sql);
        assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Integrity, "audit_broken"), "{sql}");
        assert!(e.message.contains(&format!("row {row} ")), "{sql}: {}", e.message);
        tx.rollback().await.unwrap();
    }
    assert_eq!(audit::verify(&mut p.store.read().await.unwrap()).await, Ok(5));
}

async fn idempotency_queries(p: Place) {
    use idempotency::Begin;
    write!(p.store, |tx| {
        assert_eq!(idempotency::begin(&mut tx, "k", "a", "h", at(0)).await, Ok(Begin::New));
        assert_eq!(idempotency::begin(&mut tx, "k", "a", "h", at(1)).await, Ok(Begin::InProgress));
        assert_eq!(idempotency::begin(&mut tx, "k", "a", "other", at(1)).await, Ok(Begin::Mismatch));
        assert_eq!(idempotency::begin(&mut tx, "k", "b", "h", at(1)).await, Ok(Begin::New), "another actor's key is another");
        idempotency::finish(&mut tx, "k", "a", 202, "{\"id\":1}").await.unwrap();
        idempotency::abandon(&mut tx, "k", "a").await.unwrap();
        let replay = Begin::Replay { status: 202, body: "{\"id\":1}".into() };
        assert_eq!(idempotency::begin(&mut tx, "k", "a", "h", at(2)).await, Ok(replay));
        assert_eq!(idempotency::begin(&mut tx, "k", "a", "other", at(2)).await, Ok(Begin::Mismatch));
        idempotency::abandon(&mut tx, "k", "b").await.unwrap();
        assert_eq!(idempotency::begin(&mut tx, "k", "b", "h", at(3)).await, Ok(Begin::New));
        assert_eq!(idempotency::abandon_all(&mut tx).await, Ok(1));
        assert_eq!(idempotency::finish(&mut tx, "k", "b", 200, "").await.expect_err("not begun").kind, ErrorKind::Internal);
        assert_eq!(idempotency::forget_old(&mut tx, at(0).plus_days(1)).await, Ok(0));
        assert_eq!(idempotency::begin(&mut tx, "k", "a", "new", at(1).plus_days(1)).await, Ok(Begin::New), "a day later it is free");
        assert_eq!(idempotency::forget_old(&mut tx, at(9).plus_days(2)).await, Ok(1));
    });

    let tries = (0..8).map(|_| {
        let store = p.store.clone();
        tokio::spawn(async move { write!(store, |tx| idempotency::begin(&mut tx, "once", "a", "h", NOW).await.unwrap()) })
    });
    let got: Vec<Begin> = futures::future::join_all(tries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(got.iter().filter(|b| **b == Begin::New).count(), 1, "{got:?}");
}

async fn kv_queries(p: Place) {
    write!(p.store, |tx| {
        assert_eq!(kv::get(&mut tx, "block").await, Ok(None));
        kv::put(&mut tx, "block", "127.70.1.0/24").await.unwrap();
        kv::put(&mut tx, "block", "127.71.2.0/24").await.unwrap();
        assert_eq!(kv::get(&mut tx, "block").await, Ok(Some("127.71.2.0/24".into())));
    });
}

/// Leafs through all lists while items come in on both sides of the cursor and one goes.
async fn pages_are_stable(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    // Three a moment, so that the id has to break ties.
    let all: Vec<_> = (0..30).map(|n| backup(&cluster, at(n / 3), &[])).collect();
    write!(p.store, |tx| {
        for b in &all {
            backups::insert(&mut tx, b).await.unwrap();
        }
    });
    let filter = backups::BackupFilter { cluster: Some(cluster.id.clone()), ..Default::default() };
    let mut paging = Paging { limit: 7, cursor: None };
    let mut seen = vec![];
    loop {
        let page = backups::list(&mut p.store.read().await.unwrap(), &filter, &paging).await.unwrap();
        assert!(page.items.len() <= 7);
        seen.extend(page.items.into_iter().map(|b| b.id));
        write!(p.store, |tx| {
            backups::insert(&mut tx, &backup(&cluster, at(1_000), &[])).await.unwrap();
            backups::delete(&mut tx, seen.last().unwrap()).await.unwrap();
        });
        paging.cursor = page.next;
        if paging.cursor.is_none() {
            break;
        }
    }
    let expected: BTreeSet<_> = all.iter().map(|b| b.id.clone()).collect();
    assert_eq!(seen.len(), 30, "none twice");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected, "none left out");

    other_pages(&p).await;
    for bad in ["x", "W10", "%00"] {
        let paging = Paging { cursor: Some(bad.into()), ..Paging::default() };
        let e = backups::list(&mut p.store.read().await.unwrap(), &filter, &paging).await.expect_err(bad);
        assert_eq!(e.kind, ErrorKind::Malformed);
    }
    let e = backups::list(&mut p.store.read().await.unwrap(), &filter, &Paging { limit: 501, cursor: None }).await.expect_err("limit");
    assert_eq!(e.field.as_deref(), Some("limit"));
}

async fn other_pages(p: &Place) {
    let project = project(&p.store).await.id;
    write!(p.store, |tx| {
        for n in 0..4 {
            clusters::insert(&mut tx, &cluster(&project, &format!("extra-{n}"), at(n))).await.unwrap();
            audit::append(&mut tx, &entry(None, &format!("token:{n}"), AuditResult::Done)).await.unwrap();
            let source = cluster(&project, "gone", NOW);
            restores::insert(&mut tx, &restore(&backup(&source, NOW, &[]), at(n))).await.unwrap();
        }
    });
    let mut conn = p.store.read().await.unwrap();
    let (mut names, mut actors, mut started) = (vec![], vec![], vec![]);
    let (mut a, mut b, mut c) = (Paging { limit: 2, cursor: None }, Paging { limit: 3, cursor: None }, Paging { limit: 3, cursor: None });
    for _ in 0..3 {
        let page = clusters::list(&mut conn, &project, false, &a).await.unwrap();
        names.extend(page.items.iter().map(|c| c.name.to_string()));
        a.cursor = page.next;
    }
    for _ in 0..2 {
        let page = audit::list(&mut conn, &Default::default(), &b).await.unwrap();
        actors.extend(page.items.iter().map(|e| e.actor.clone()));
        b.cursor = page.next;
        let page = restores::list(&mut conn, &Default::default(), &c).await.unwrap();
        started.extend(page.items.iter().map(|r| r.started_at));
        c.cursor = page.next;
    }
    assert_eq!((a.cursor, b.cursor, c.cursor), (None, None, None));
    assert_eq!(names, ["shop", "extra-0", "extra-1", "extra-2", "extra-3"]);
    assert_eq!(actors, ["token:3", "token:2", "token:1", "token:0"]);
    assert_eq!(started, [at(3), at(2), at(1), at(0)]);
}

async fn hostile_strings(p: Place) {
    let mut shop = stored_cluster(&p.store, "shop").await;
    for text in HOSTILE {
        shop.phase_reason = Some(text.into());
        write!(p.store, |tx| {
            clusters::update(&mut tx, &shop).await.unwrap();
            assert_eq!(clusters::get(&mut tx, &shop.id).await.unwrap().phase_reason.as_deref(), Some(text));
            audit::append(&mut tx, &entry(None, text, AuditResult::Refused)).await.unwrap();
            let secret = Secret::new(text);
            let sealer = p.store.sealer();
            secrets::put(&mut tx, sealer, "hostile", "text", &secret).await.unwrap();
            assert_eq!(secrets::get(&mut tx, sealer, "hostile", "text").await, Ok(Some(secret)));
        });
        if text.contains('\0') {
            continue;
        }
        write!(p.store, |tx| {
            kv::put(&mut tx, text, text).await.unwrap();
            assert_eq!(kv::get(&mut tx, text).await, Ok(Some(text.into())));
            not_found(clusters::by_name(&mut tx, &shop.project, text).await);
            assert_eq!(tokens::by_hash(&mut tx, text).await, Ok(None));
            addresses::take(&mut tx, text, 1).await.unwrap();
        });
    }
    let mut conn = p.store.read().await.unwrap();
    let actors: Vec<String> =
        audit::list(&mut conn, &Default::default(), &Paging::default()).await.unwrap().items.into_iter().rev().map(|e| e.actor).collect();
    assert_eq!(actors, HOSTILE);
    assert_eq!(audit::verify(&mut conn).await, Ok(HOSTILE.len() as u64));
}

/// Two stores on one database, as two control planes would be: read-modify-write never loses one.
async fn writers_take_turns(p: Place) {
    let other = Store::open(&p.url, key()).await.unwrap();
    write!(p.store, |tx| kv::put(&mut tx, "n", "0").await.unwrap());
    let tasks = (0..8).map(|n| {
        let store = if n % 2 == 0 { p.store.clone() } else { other.clone() };
        tokio::spawn(async move {
            for _ in 0..15 {
                write!(store, |tx| {
                    let n: u64 = kv::get(&mut tx, "n").await.unwrap().unwrap().parse().unwrap();
                    tokio::task::yield_now().await;
                    kv::put(&mut tx, "n", &(n + 1).to_string()).await.unwrap();
                    audit::append(&mut tx, &entry(None, "token:a", AuditResult::Done)).await.unwrap();
                });
            }
        })
    });
    futures::future::join_all(tasks).await.into_iter().for_each(|r| r.unwrap());
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(kv::get(&mut conn, "n").await, Ok(Some("120".into())));
    assert_eq!(audit::verify(&mut conn).await, Ok(120));

    // A read goes on beside a write and sees what was committed before it.
    let mut tx = other.begin_write().await.unwrap();
    kv::put(&mut tx, "n", "open").await.unwrap();
    assert_eq!(kv::get(&mut conn, "n").await, Ok(Some("120".into())));
    drop(tx);
    other.close().await;
}

async fn reads_cannot_write(p: Place) {
    let mut conn = p.store.read().await.unwrap();
    let e = kv::put(&mut conn, "a", "b").await.expect_err("a write that was not begun");
    assert_eq!(e.code, "store_read_only", "{e:?}");
    assert_eq!(kv::get(&mut conn, "a").await, Ok(None));
}

async fn dropped_writes_leave_nothing(p: Place) {
    let mut tx = p.store.begin_write().await.unwrap();
    kv::put(&mut tx, "a", "b").await.unwrap();
    drop(tx);
    let mut tx = p.store.begin_write().await.unwrap();
    assert_eq!(kv::get(&mut tx, "a").await, Ok(None));
    tx.rollback().await.unwrap();
}

async fn a_conflict_is_run_again(p: Place) {
    let (mut busy, mut refused) = (0, 0);
    let done = p.store.write(|conn| {
        busy += 1;
        let attempt = busy;
        Box::pin(async move {
            kv::put(conn, &format!("attempt-{attempt}"), "").await?;
            if attempt < 3 { Err(Error::unavailable("store_busy", "again")) } else { Ok(attempt) }
        })
    });
    assert_eq!(done.await, Ok(3));
    let done = p.store.write(|_| {
        refused += 1;
        Box::pin(async { Err::<(), _>(Error::conflict("held", "no")) })
    });
    conflict(done.await, "held");
    assert_eq!(refused, 1, "what would not help is not tried again");
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(kv::get(&mut conn, "attempt-2").await, Ok(None));
    assert_eq!(kv::get(&mut conn, "attempt-3").await, Ok(Some(String::new())));
}

async fn wrong_key(p: Place) {
    let e = Store::open(&p.url, Sealer::from_key([8; 32])).await.expect_err("another key");
    assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Integrity, "wrong_key"));
    Store::open(&p.url, key()).await.unwrap().close().await;
}

async fn newer_schema(p: Place) {
    let insert = "INSERT INTO store_schema (version, name, applied_at) VALUES (99, 'later', 0)";
    write!(p.store, |tx| sqlx::query(insert).execute(&mut *tx).await.map_err(error).unwrap());
    p.store.close().await;
    let e = Store::open(&p.url, key()).await.expect_err("newer");
    assert_eq!((e.kind, e.code.as_str()), (ErrorKind::Failed, "schema_too_new"));
    assert!(e.message.contains("99"), "{}", e.message);
}

// ---- notices ----

async fn stored_notifier(store: &Store, name: &str) -> notifiers::NotifierRow {
    let row = notifiers::NotifierRow {
        id: NotifierId::new(),
        project: project(store).await.id,
        name: mainstay_model::Name::parse(name).unwrap(),
        kind: "webhook".into(),
        target: HOSTILE[0].into(),
        events: Events::All,
        enabled: true,
        created_at: NOW,
        delivered_at: None,
        failing: None,
    };
    write!(store, |tx| notifiers::insert(&mut tx, &key(), &row, &Secret::new("https://hook/token")).await.unwrap());
    row
}

fn notice(project: &ProjectId) -> Notice {
    Notice {
        id: NoticeId::new(),
        project: project.clone(),
        kind: NoticeKind::BackupFailed,
        at: NOW,
        cluster: Some("shop".into()),
        object_kind: "backup".into(),
        object: "bk_1".into(),
        good: false,
        title: HOSTILE[0].into(),
        text: HOSTILE[3].into(),
    }
}

async fn notifier_queries(p: Place) {
    let mut row = stored_notifier(&p.store, "ops").await;
    let other = stored_notifier(&p.store, "boss").await;
    row.failing = Some(notifiers::Failing { since: NOW, failures: 3, error: HOSTILE[3].into(), next_at: at(10) });
    (row.events, row.enabled) = (Events::Only([NoticeKind::Failover].into()), false);
    write!(p.store, |tx| notifiers::update(&mut tx, &row).await.unwrap());
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(notifiers::get(&mut conn, &row.id).await.unwrap(), row);
    assert_eq!(notifiers::by_name(&mut conn, &row.project, "ops").await.unwrap(), row);
    assert_eq!(notifiers::list(&mut conn, &row.project).await.unwrap(), [row.clone(), other.clone()]);
    assert_eq!(notifiers::list(&mut conn, &ProjectId::new()).await.unwrap(), []);
    assert_eq!(notifiers::spec(&mut conn, &key(), &row.id).await.unwrap().reveal(), "https://hook/token");
    not_found(notifiers::by_name(&mut conn, &ProjectId::new(), "ops").await);
    not_found(notifiers::get(&mut conn, &NotifierId::new()).await);
    drop(conn);
    let mut tx = p.store.begin_write().await.unwrap();
    let twin = notifiers::NotifierRow { id: NotifierId::new(), ..row.clone() };
    conflict(notifiers::insert(&mut tx, &key(), &twin, &Secret::new("x")).await, "name_taken");
    drop(tx);
    write!(p.store, |tx| {
        outbox::add(&mut tx, &row.id, &notice(&row.project)).await.unwrap();
        notifiers::delete(&mut tx, &row.id).await.unwrap();
        notifiers::delete(&mut tx, &row.id).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(notifiers::list(&mut conn, &row.project).await.unwrap(), [other]);
    assert!(notifiers::spec(&mut conn, &key(), &row.id).await.is_err(), "what it sent to is gone with it");
    assert_eq!(outbox::head(&mut conn, &row.id).await.unwrap(), None, "and what waited for it");
}

async fn outbox_queries(p: Place) {
    let (one, two) = (stored_notifier(&p.store, "one").await, stored_notifier(&p.store, "two").await);
    let (first, second) = (notice(&one.project), notice(&one.project));
    write!(p.store, |tx| {
        for n in [&second, &first, &first] {
            outbox::add(&mut tx, &one.id, n).await.unwrap();
        }
        outbox::add(&mut tx, &two.id, &first).await.unwrap();
    });
    let mut conn = p.store.read().await.unwrap();
    let mut head = outbox::head(&mut conn, &one.id).await.unwrap().expect("something waits");
    assert_eq!((&head.notice, head.tries, head.status), (&first, 0, outbox::DeliveryStatus::Pending));
    assert_eq!(notifiers::waiting(&mut conn).await.unwrap(), [one.clone(), two.clone()]);
    drop(conn);
    // One notifier's end of a notice is no other's.
    (head.status, head.tries, head.ended_at) = (outbox::DeliveryStatus::Dead, 5, Some(at(1)));
    head.error = Some(HOSTILE[3].into());
    write!(p.store, |tx| outbox::update(&mut tx, &head).await.unwrap());
    let mut conn = p.store.read().await.unwrap();
    assert_eq!(outbox::head(&mut conn, &one.id).await.unwrap().expect("the next").notice, second);
    assert_eq!(outbox::head(&mut conn, &two.id).await.unwrap().expect("still").notice, first);
    assert_eq!(outbox::counts(&mut conn, &one.id).await.unwrap(), outbox::Counts { pending: 1, dead: 1 });
    assert_eq!(outbox::get(&mut conn, &one.id, &first.id).await.unwrap(), head);
    let shown: Vec<_> = outbox::undelivered(&mut conn, &one.id, 5).await.unwrap().into_iter().map(|d| d.notice.id).collect();
    assert_eq!(shown, [second.id.clone(), first.id.clone()]);
    drop(conn);
    // What is written again after its end stays ended.
    write!(p.store, |tx| outbox::add(&mut tx, &one.id, &first).await.unwrap());
    assert_eq!(write!(p.store, |tx| outbox::prune(&mut tx, at(1)).await.unwrap()), 0);
    assert_eq!(write!(p.store, |tx| outbox::prune(&mut tx, at(2)).await.unwrap()), 1);
    let mut tx = p.store.begin_write().await.unwrap();
    not_found(outbox::update(&mut tx, &head).await);
}

async fn alert_queries(p: Place) {
    let cluster = stored_cluster(&p.store, "shop").await;
    let alert = |kind, raised_at| Alert {
        id: AlertId::new(),
        condition: Condition {
            project: cluster.project.clone(),
            kind,
            object_kind: "cluster".into(),
            object: cluster.id.to_string(),
            object_name: "shop".into(),
            cluster: Some(cluster.id.clone()),
            cluster_name: Some("shop".into()),
            sentence: HOSTILE[3].into(),
        },
        raised_at,
        acknowledged_at: None,
        acknowledged_by: None,
        cleared_at: None,
    };
    let mut first = alert(AlertKind::BackupOverdue, at(0));
    let other = alert(AlertKind::DrillOverdue, at(1));
    write!(p.store, |tx| {
        alerts::insert(&mut tx, &first).await.unwrap();
        alerts::insert(&mut tx, &other).await.unwrap();
    });
    let mut tx = p.store.begin_write().await.unwrap();
    conflict(alerts::insert(&mut tx, &alert(AlertKind::BackupOverdue, at(2))).await, "already_raised");
    drop(tx);
    first.cleared_at = Some(at(5));
    write!(p.store, |tx| alerts::update(&mut tx, &first).await.unwrap());
    let again = alert(AlertKind::BackupOverdue, at(6));
    write!(p.store, |tx| alerts::insert(&mut tx, &again).await.unwrap());

    let mut conn = p.store.read().await.unwrap();
    assert_eq!(alerts::get(&mut conn, &first.id).await.unwrap(), first);
    not_found(alerts::get(&mut conn, &AlertId::new()).await);
    assert_eq!(alerts::open(&mut conn, AlertKind::BackupOverdue, cluster.id.as_str()).await.unwrap(), Some(again.clone()));
    assert_eq!(alerts::open(&mut conn, AlertKind::RunMissed, cluster.id.as_str()).await.unwrap(), None);
    assert_eq!(alerts::all_open(&mut conn).await.unwrap(), [other.clone(), again.clone()]);
    for (open, expected) in [
        (None, vec![again.clone(), other.clone(), first.clone()]),
        (Some(true), vec![again.clone(), other.clone()]),
        (Some(false), vec![first.clone()]),
    ] {
        let filter = alerts::AlertFilter { project: Some(cluster.project.clone()), cluster: Some(cluster.id.clone()), open };
        assert_eq!(alerts::list(&mut conn, &filter, &Paging::default()).await.unwrap().items, expected);
    }
    let elsewhere = alerts::AlertFilter { project: Some(ProjectId::new()), ..Default::default() };
    assert_eq!(alerts::list(&mut conn, &elsewhere, &Paging::default()).await.unwrap().items, []);
    let one = Paging { limit: 1, cursor: None };
    let page = alerts::list(&mut conn, &alerts::AlertFilter::default(), &one).await.unwrap();
    let page = alerts::list(&mut conn, &alerts::AlertFilter::default(), &Paging { cursor: page.next, ..one }).await.unwrap();
    assert_eq!(page.items, [other]);
    drop(conn);
    assert_eq!(write!(p.store, |tx| alerts::prune(&mut tx, at(6)).await.unwrap()), 1);
}
