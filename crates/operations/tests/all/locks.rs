//! Locks, submitting inside somebody else's write, and lists.

use crate::{
    support::{Bench, Store, on_both},
    toys::{self, Act},
};
use mainstay_model::{Error, Kind};
use mainstay_operations::{Database, Filter, Lock, Status, Submit};
use std::sync::Arc;

on_both!(
    an_exclusive_lock_names_its_holder,
    shared_locks_share,
    of_many_at_once_one_gets_the_lock,
    shared_and_exclusive_never_meet,
    born_with_the_callers_row,
    bad_submits_are_refused,
    lists_are_filtered_and_paged,
);

fn broken() -> Error {
    Error::failed("broken", "the toy broke")
}

async fn an_exclusive_lock_names_its_holder(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("switch", Act::Fail(broken()));
    let stuck = bench.play("build").await;
    let refused = bench.try_submit("draft", "k1", Lock::Exclusive).await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (Kind::Conflict, "operation_in_progress"));
    assert_eq!(refused.operation.as_deref(), Some(stuck.id.as_str()));
    for part in ["cluster-k1", "build", stuck.id.as_str(), "is stuck", "abandon"] {
        assert!(refused.message.contains(part), "{part}: {refused}");
    }
    assert!(bench.try_submit("draft", "k2", Lock::Exclusive).await.is_ok(), "another cluster is free");
    assert!(bench.try_submit("draft", "k1", Lock::None).await.is_ok(), "no lock asks nobody");
}

async fn shared_locks_share(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("make", Act::UntilCancelled);
    let one = bench.try_submit("draft", "k1", Lock::Shared).await.unwrap();
    let two = bench.try_submit("draft", "k1", Lock::Shared).await.unwrap();
    let refused = bench.try_submit("draft", "k1", Lock::Exclusive).await.unwrap_err();
    assert_eq!(refused.operation.as_deref(), Some(one.as_str()));
    assert_eq!(bench.runner.holder("k1").await.unwrap().unwrap().id, one);
    for id in [&one, &two] {
        bench.runner.cancel(id, "ann").await.unwrap();
        assert_eq!(bench.wait(id).await.status, Status::Cancelled);
    }
    let alone = bench.try_submit("draft", "k1", Lock::Exclusive).await.unwrap();
    let refused = bench.try_submit("draft", "k1", Lock::Shared).await.unwrap_err();
    assert_eq!(refused.operation.as_deref(), Some(alone.as_str()));
}

async fn of_many_at_once_one_gets_the_lock(store: Arc<Store>) {
    let bench = Bench::idle(&store, Arc::default(), crate::support::quick()).await;
    let all = futures::future::join_all((0..12).map(|_| bench.try_submit("draft", "k1", Lock::Exclusive))).await;
    assert_eq!(all.iter().filter(|r| r.is_ok()).count(), 1);
    for refused in all.into_iter().filter_map(|r| r.err()) {
        assert_eq!(refused.code, "operation_in_progress", "{refused:?}");
    }
}

async fn shared_and_exclusive_never_meet(store: Arc<Store>) {
    let bench = Bench::idle(&store, Arc::default(), crate::support::quick()).await;
    for round in 0..5 {
        let key = format!("k{round}");
        let locks = (0..8).map(|i| if i % 2 == 0 { Lock::Shared } else { Lock::Exclusive });
        let all = futures::future::join_all(locks.map(|lock| bench.try_submit("draft", &key, lock))).await;
        let got: Vec<bool> = all.iter().map(|r| r.is_ok()).collect();
        let (shared, exclusive) = (got.iter().step_by(2).filter(|g| **g).count(), got.iter().skip(1).step_by(2).filter(|g| **g).count());
        assert!(exclusive <= 1 && (exclusive == 0) == (shared > 0), "{shared} shared beside {exclusive} exclusive");
    }
}

async fn born_with_the_callers_row(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    let submit = || Submit { kind: "draft", state: toys::state("a"), subject: None, lock: Lock::None, requested_by: "ann".into() };
    let mut tx = store.begin_write().await.unwrap();
    let lost = bench.runner.submit_in(&mut tx, submit()).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(bench.runner.get(&lost).await.unwrap_err().kind, Kind::NotFound);
    let mut tx = store.begin_write().await.unwrap();
    sqlx::query("INSERT INTO notes (id) VALUES ('born')").execute(&mut *tx).await.unwrap();
    let id = bench.runner.submit_in(&mut tx, submit()).await.unwrap();
    tx.commit().await.unwrap();
    bench.runner.wake();
    assert_eq!(bench.wait(&id).await.status, Status::Succeeded);
    assert_eq!(store.texts("SELECT id FROM notes").await, ["born"]);
}

async fn bad_submits_are_refused(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    let good = Submit { kind: "draft", state: toys::state("a"), subject: None, lock: Lock::None, requested_by: "ann".into() };
    let bad = [
        Submit { kind: "unheard_of", ..good.clone() },
        Submit { state: serde_json::json!({ "nom": 1 }), ..good.clone() },
        Submit { lock: Lock::Exclusive, ..good.clone() },
    ];
    for submit in bad {
        assert_eq!(bench.runner.submit(submit).await.unwrap_err().kind, Kind::Internal);
    }
    assert_eq!(bench.runner.plan("draft").unwrap().len(), 5);
    assert!(bench.runner.plan("unheard_of").is_none());
}

async fn lists_are_filtered_and_paged(store: Arc<Store>) {
    let bench = Bench::idle(&store, Arc::default(), crate::support::quick()).await;
    let mut ids = vec![];
    for i in 0..7 {
        let kind = if i % 2 == 0 { "draft" } else { "build" };
        ids.push(bench.try_submit(kind, &format!("k{}", i % 3), Lock::None).await.unwrap());
    }
    ids.reverse();
    let list = async |filter: Filter| {
        let page = bench.runner.list(filter, None, 100).await.unwrap();
        assert!(page.next.is_none());
        page.items.into_iter().map(|v| v.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Filter::default()).await, ids, "newest first");
    assert_eq!(list(Filter { kind: Some("build".into()), ..Filter::default() }).await.len(), 3);
    assert_eq!(list(Filter { cluster_key: Some("k0".into()), ..Filter::default() }).await.len(), 3);
    assert_eq!(list(Filter { project: Some("shop".into()), active_only: true, ..Filter::default() }).await.len(), 7);
    assert_eq!(list(Filter { project: Some("other".into()), ..Filter::default() }).await.len(), 0);
    assert_eq!(list(Filter { status: Some(Status::Succeeded), ..Filter::default() }).await.len(), 0);
    let (mut cursor, mut seen): (Option<String>, Vec<_>) = (None, vec![]);
    loop {
        let page = bench.runner.list(Filter::default(), cursor.as_deref(), 3).await.unwrap();
        seen.extend(page.items.into_iter().map(|v| v.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ids);
    assert_eq!(bench.runner.list(Filter::default(), Some("x"), 3).await.unwrap_err().kind, Kind::Malformed);
    bench.start().await;
    for id in &ids {
        assert_eq!(bench.wait(id).await.status, Status::Succeeded);
    }
    assert!(list(Filter { active_only: true, ..Filter::default() }).await.is_empty());
}
