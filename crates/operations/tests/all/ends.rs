//! How operations end: well, undone, stuck, cancelled, chosen about.

use crate::{
    support::{Bench, MS, Store, on_both, quick},
    toys::Act,
};
use futures::StreamExt;
use mainstay_model::{Error, Kind, OperationId};
use mainstay_operations::{RunnerOptions, Status, StepStatus, View};
use std::sync::Arc;

on_both!(
    succeeds_and_is_watched,
    unwinds_in_reverse,
    transient_failures_are_retried,
    past_the_return_it_is_stuck_until_chosen,
    a_stuck_step_can_be_skipped,
    a_stuck_operation_can_be_abandoned,
    a_stuck_undo_can_be_retried_and_skipped,
    a_cancel_before_the_return_unwinds,
    a_cancel_drops_a_deaf_step,
    a_cancel_past_the_return_is_refused,
    a_queued_operation_is_cancelled_at_once,
    a_panic_is_a_failure,
    a_stall_is_a_timeout,
    the_last_note_may_fail,
    what_is_not_there_is_not_found,
);

fn broken() -> Error {
    Error::failed("broken", "the toy broke").with_inside("a secret reason")
}

fn away() -> Error {
    Error::unavailable("away", "the toy is away")
}

fn statuses(view: &View) -> Vec<StepStatus> {
    view.steps.iter().map(|s| s.status).collect()
}

async fn succeeds_and_is_watched(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("tune", Act::Talk(60));
    let id = bench.submit("build").await;
    let views: Vec<View> = bench.runner.watch(&id).collect().await;
    assert!(views.windows(2).all(|w| w[0].percent <= w[1].percent), "{:?}", views.iter().map(|v| v.percent).collect::<Vec<_>>());
    assert!(views.iter().any(|v| v.step.as_deref() == Some("tune") && v.sentence.starts_with("part ") && v.percent > 40));
    let last = views.last().unwrap();
    assert_eq!((last.status, last.percent, last.sentence.as_str()), (Status::Succeeded, 100, "done"));
    assert_eq!(last.output, serde_json::json!({ "thing": "a" }));
    assert_eq!((last.requested_by.as_str(), last.cluster.as_deref(), last.project.as_deref()), ("ann", Some("cluster-k1"), Some("shop")));
    assert!(last.steps.iter().all(|s| s.status == StepStatus::Done && s.started_at.is_some() && s.finished_at >= s.started_at));
    let tune = &last.steps[2];
    assert!(tune.finished_at.unwrap().seconds_since(tune.started_at.unwrap()) >= 0.3, "as long as it talked: {tune:?}");
    assert!(last.finished_at.unwrap() >= last.created_at && last.point_of_no_return_passed);
    assert_eq!(bench.world.log(), ["choose", "make", "tune", "switch", "record", "finished", "finished succeeded"]);
    assert_eq!(store.toys().await, ["a chosen", "a recorded"]);
    assert_eq!(bench.runner.watch(&id).collect::<Vec<_>>().await, std::slice::from_ref(last), "a finished one is shown once");
}

async fn unwinds_in_reverse(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("switch", Act::Fail(broken()));
    let view = bench.play("draft").await;
    assert_eq!((view.status, view.step.as_deref()), (Status::Failed, Some("switch")));
    let error = view.error.clone().unwrap();
    assert_eq!((error.code.as_str(), error.inside), ("broken", None), "what is for the log is not shown");
    let log = bench.world.log();
    let undone = ["undo switch", "undo tune", "undo make", "undo choose", "finished", "finished failed"];
    assert_eq!(log[4..], undone, "the failed effect is undone too, and first");
    use StepStatus::*;
    assert_eq!(statuses(&view), [Undone, Undone, Undone, Undone, Pending]);
    assert!(store.toys().await.is_empty() && bench.world.things().is_empty());
    assert!(bench.runner.holder("k1").await.unwrap().is_none());
}

async fn transient_failures_are_retried(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("make", Act::FailTimes(2, away()));
    bench.world.when("record", Act::FailTimes(2, away()));
    assert_eq!(bench.play("draft").await.status, Status::Succeeded);
    assert_eq!((bench.world.times("make"), bench.world.times("record")), (3, 3));
    assert_eq!(store.toys().await, ["a chosen", "a recorded"], "a db step that failed left nothing");
    bench.world.when("make", Act::Fail(away()));
    let view = bench.play("draft").await;
    assert_eq!((view.status, view.error.unwrap().kind), (Status::Failed, Kind::Unavailable));
    assert_eq!(bench.world.times("make"), 6, "three tries and no more");
}

async fn past_the_return_it_is_stuck_until_chosen(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("record", Act::Fail(broken()));
    let stuck = bench.play("build").await;
    assert_eq!((stuck.status, stuck.step.as_deref(), stuck.point_of_no_return_passed), (Status::Stuck, Some("record"), true));
    assert!(stuck.sentence.contains("record") && stuck.sentence.contains("retry, skip or abandon"), "{}", stuck.sentence);
    assert_eq!(bench.world.times("record"), 3, "tried again although it is no passing error");
    assert_eq!(bench.runner.holder("k1").await.unwrap().map(|h| h.id), Some(stuck.id.clone()));
    let refused = bench.runner.cancel(&stuck.id, "ann").await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (Kind::Conflict, "stuck"));
    bench.runner.retry(&stuck.id, "ann").await.unwrap();
    assert_eq!(bench.wait(&stuck.id).await.status, Status::Stuck);
    bench.world.calm();
    bench.runner.retry(&stuck.id, "ann").await.unwrap();
    let done = bench.wait(&stuck.id).await;
    assert_eq!((done.status, done.error), (Status::Succeeded, None));
    assert_eq!(store.toys().await, ["a chosen", "a recorded"]);
    assert!(bench.world.saw("finished stuck") && bench.world.saw("finished succeeded"));
    for refused in [
        bench.runner.retry(&stuck.id, "ann").await,
        bench.runner.skip(&stuck.id, "ann").await,
        bench.runner.abandon(&stuck.id, "ann").await,
    ] {
        assert_eq!(refused.unwrap_err().code, "not_stuck");
    }
}

async fn a_stuck_step_can_be_skipped(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("switch", Act::Fail(broken()));
    let stuck = bench.play("build").await;
    assert_eq!((stuck.status, stuck.point_of_no_return_passed), (Status::Stuck, true), "in the point of no return counts");
    bench.runner.skip(&stuck.id, "ann").await.unwrap();
    let done = bench.wait(&stuck.id).await;
    assert_eq!((done.status, done.steps[3].status), (Status::Succeeded, StepStatus::Skipped));
    assert_eq!(store.toys().await, ["a chosen", "a recorded"]);
}

async fn a_stuck_operation_can_be_abandoned(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("switch", Act::Fail(broken()));
    let stuck = bench.play("build").await;
    let gone = bench.runner.abandon(&stuck.id, "bob").await.unwrap();
    assert_eq!(gone.status, Status::Failed);
    let error = gone.error.unwrap();
    assert_eq!(error.code, "abandoned");
    assert!(error.message.contains("bob") && error.message.contains("the toy broke"), "{error}");
    assert!(bench.world.saw("finished abandoned"));
    assert!(bench.runner.holder("k1").await.unwrap().is_none(), "the lock is free");
    assert_eq!(store.toys().await, ["a chosen"], "and the world is as it was left");
}

async fn a_stuck_undo_can_be_retried_and_skipped(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("switch", Act::Fail(broken()));
    bench.world.when("undo make", Act::Fail(away()));
    let stuck = bench.play("draft").await;
    assert_eq!((stuck.status, stuck.step.as_deref()), (Status::Stuck, Some("make")));
    assert_eq!(stuck.error.unwrap().code, "away", "what is to be mended now comes first");
    assert_eq!(bench.world.times("undo make"), 3);
    bench.world.calm();
    bench.runner.retry(&stuck.id, "ann").await.unwrap();
    let view = bench.wait(&stuck.id).await;
    assert_eq!((view.status, view.error.unwrap().code.as_str()), (Status::Failed, "broken"), "the cause is not forgotten");
    assert!(store.toys().await.is_empty() && bench.world.things().is_empty());

    bench.world.when("switch", Act::Fail(broken()));
    bench.world.when("undo make", Act::Fail(away()));
    let stuck = bench.play("draft").await;
    bench.runner.skip(&stuck.id, "ann").await.unwrap();
    let view = bench.wait(&stuck.id).await;
    assert_eq!((view.status, view.steps[1].status), (Status::Failed, StepStatus::Skipped));
    assert_eq!(bench.world.things(), ["a×1"]);
}

async fn a_cancel_before_the_return_unwinds(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("tune", Act::UntilCancelled);
    let id = bench.submit("build").await;
    bench.until("tune", |w| w.saw("tune")).await;
    bench.runner.cancel(&id, "bob").await.unwrap();
    let view = bench.wait(&id).await;
    assert_eq!((view.status, view.error.clone(), view.sentence.as_str()), (Status::Cancelled, None, "cancelled by bob"));
    assert!(bench.world.saw("undo tune") && bench.world.saw("finished cancelled"));
    assert!(store.toys().await.is_empty() && bench.world.things().is_empty());
    let again = bench.runner.cancel(&id, "bob").await.unwrap_err();
    assert_eq!(again.code, "already_finished");
}

async fn a_cancel_drops_a_deaf_step(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("make", Act::Hang);
    let id = bench.submit("build").await;
    bench.until("make", |w| w.saw("make")).await;
    bench.runner.cancel(&id, "bob").await.unwrap();
    bench.runner.cancel(&id, "bob").await.unwrap();
    assert_eq!(bench.wait(&id).await.status, Status::Cancelled);
    let generations = bench.world.generations.lock().unwrap().clone();
    assert!(generations[2] > generations[1], "what was dropped is fenced before it is undone: {generations:?}");
}

async fn a_cancel_past_the_return_is_refused(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("switch", Act::Talk(40));
    let id = bench.submit("build").await;
    bench.until("switch", |w| w.saw("switch")).await;
    let refused = bench.runner.cancel(&id, "bob").await.unwrap_err();
    assert_eq!((refused.kind, refused.code.as_str()), (Kind::Conflict, "past_no_return"));
    assert_eq!(bench.wait(&id).await.status, Status::Succeeded);
}

async fn a_queued_operation_is_cancelled_at_once(store: Arc<Store>) {
    let bench = Bench::with(&store, Arc::default(), RunnerOptions { max_parallel: 1, ..quick() }).await;
    bench.world.when("make", Act::UntilCancelled);
    let first = bench.submit("draft").await;
    bench.until("make", |w| w.saw("make")).await;
    let second = bench.try_submit("draft", "k2", mainstay_operations::Lock::Exclusive).await.unwrap();
    tokio::time::sleep(MS(100)).await;
    assert_eq!(bench.runner.get(&second).await.unwrap().status, Status::Queued, "there is room for one");
    bench.runner.cancel(&second, "bob").await.unwrap();
    assert_eq!(bench.wait(&second).await.status, Status::Cancelled);
    assert_eq!(bench.runner.get(&first).await.unwrap().status, Status::Running);
    assert_eq!(bench.world.times("choose"), 1, "it never began");
}

async fn a_panic_is_a_failure(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    for step in ["make", "record"] {
        bench.world.calm();
        bench.world.when(step, Act::Panic);
        let view = bench.play("draft").await;
        assert_eq!((view.status, view.error.unwrap().kind), (Status::Failed, Kind::Internal), "{step}");
        assert!(store.toys().await.is_empty() && bench.world.things().is_empty());
    }
}

async fn a_stall_is_a_timeout(store: Arc<Store>) {
    let bench = Bench::with(&store, Arc::default(), RunnerOptions { stall: MS(150), ..quick() }).await;
    bench.world.when("make", Act::Hang);
    let view = bench.play("draft").await;
    assert_eq!((view.status, view.error.unwrap().kind), (Status::Failed, Kind::TimedOut));
    assert_eq!(bench.world.times("make"), 3, "a timeout may pass");
    let generations = bench.world.generations.lock().unwrap().clone();
    assert!(generations[1] < generations[2] && generations[2] < generations[3], "each try fences the one that was dropped");
    bench.world.when("make", Act::Talk(100));
    assert_eq!(bench.play("draft").await.status, Status::Succeeded, "half a second, but never silent");
}

async fn the_last_note_may_fail(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("finished", Act::FailTimes(1, broken()));
    let view = bench.play("draft").await;
    assert_eq!((view.status, view.error.unwrap().code.as_str()), (Status::Failed, "broken"));
    assert!(store.toys().await.is_empty() && bench.world.things().is_empty());
    bench.world.when("finished", Act::Fail(broken()));
    let view = bench.play("build").await;
    assert_eq!(view.status, Status::Stuck);
    let refused = bench.runner.skip(&view.id, "ann").await.unwrap_err();
    assert_eq!(refused.code, "nothing_to_skip");
    bench.world.calm();
    bench.runner.retry(&view.id, "ann").await.unwrap();
    assert_eq!(bench.wait(&view.id).await.status, Status::Succeeded);
}

async fn what_is_not_there_is_not_found(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    let id = OperationId::new();
    let runner = &bench.runner;
    for refused in [
        runner.get(&id).await,
        runner.wait(&id).await,
        runner.cancel(&id, "a").await,
        runner.retry(&id, "a").await,
        runner.abandon(&id, "a").await,
    ] {
        assert_eq!(refused.unwrap_err().kind, Kind::NotFound);
    }
    assert_eq!(runner.watch(&id).count().await, 0);
}
