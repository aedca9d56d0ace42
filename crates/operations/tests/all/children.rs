//! Operations that run operations.

use crate::{
    support::{Bench, Store, on_both, quick},
    toys::Act,
};
use mainstay_model::Error;
use mainstay_operations::{Filter, Lock, RunnerOptions, Status};
use std::sync::Arc;

on_both!(
    children_work_under_their_parents_lock,
    a_failed_child_is_the_steps_error,
    a_stuck_child_is_waited_for,
    a_cancelled_parent_cancels_its_children,
);

async fn one_at_a_time(store: &Arc<Store>) -> Bench {
    Bench::with(store, Arc::default(), RunnerOptions { max_parallel: 1, ..quick() }).await
}

async fn children_work_under_their_parents_lock(store: Arc<Store>) {
    let bench = one_at_a_time(&store).await;
    let view = bench.play("family").await;
    assert_eq!(view.status, Status::Succeeded, "{:?}", view.error);
    assert!(bench.world.saw("got \"one\"") && bench.world.saw("got \"two\""));
    let children = bench.runner.list(Filter { kind: Some("draft".into()), ..Filter::default() }, None, 10).await.unwrap().items;
    assert_eq!(children.len(), 2);
    for child in children {
        assert_eq!((child.parent, child.cluster, child.requested_by), (Some(view.id.clone()), view.cluster.clone(), "ann".into()));
    }
}

async fn a_failed_child_is_the_steps_error(store: Arc<Store>) {
    let bench = one_at_a_time(&store).await;
    bench.world.when("switch", Act::Fail(Error::unavailable("away", "the toy is away")));
    let view = bench.play("family").await;
    let error = view.error.unwrap();
    assert_eq!((view.status, error.code.as_str()), (Status::Failed, "away"));
    assert_eq!(error.message, "draft: the toy is away");
    assert_eq!(bench.world.times("children"), 1, "the child had its own retries");
    assert_eq!(bench.world.times("raze"), 1, "an undo may run a child too");
    assert!(store.toys().await.is_empty() && bench.world.things().is_empty());
}

async fn a_stuck_child_is_waited_for(store: Arc<Store>) {
    let bench = one_at_a_time(&store).await;
    bench.world.when("switch", Act::Fail(Error::failed("broken", "the toy broke")));
    bench.world.when("undo make", Act::Fail(Error::failed("jammed", "the toy jammed")));
    let parent = bench.submit("family").await;
    let stuck = Filter { status: Some(Status::Stuck), ..Filter::default() };
    bench.until("both undos", |w| w.times("undo make") == 6).await;
    let children = loop {
        let found = bench.runner.list(stuck.clone(), None, 10).await.unwrap().items;
        if found.len() == 2 {
            break found;
        }
        tokio::time::sleep(crate::support::MS(10)).await;
    };
    let above = bench.runner.get(&parent).await.unwrap();
    assert_eq!(above.status, Status::Running);
    let refused = bench.try_submit("draft", "k1", Lock::Exclusive).await.unwrap_err();
    assert_eq!(refused.operation.as_deref(), Some(parent.as_str()));
    bench.world.calm();
    for child in &children {
        bench.runner.retry(&child.id, "ann").await.unwrap();
    }
    assert_eq!(bench.wait(&parent).await.status, Status::Failed);
    assert!(store.toys().await.is_empty() && bench.world.things().is_empty());
}

async fn a_cancelled_parent_cancels_its_children(store: Arc<Store>) {
    let bench = one_at_a_time(&store).await;
    bench.world.when("make", Act::Hang);
    let parent = bench.submit("family").await;
    bench.until("make", |w| w.times("make") == 2).await;
    bench.runner.cancel(&parent, "ann").await.unwrap();
    assert_eq!(bench.wait(&parent).await.status, Status::Cancelled);
    assert_eq!(bench.world.times("undo make"), 2);
    let children = bench.runner.list(Filter { status: Some(Status::Cancelled), ..Filter::default() }, None, 10).await.unwrap().items;
    assert_eq!(children.len(), 3);
    assert!(store.toys().await.is_empty() && bench.world.things().is_empty());
}
