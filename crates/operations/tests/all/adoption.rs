//! What happens when runners die, disagree, lose their store or meet another version's journal.

use crate::{
    support::{Bench, MS, Store, on_both, quick},
    toys::Act,
};
use mainstay_model::{Error, Kind};
use mainstay_operations::{Database, Journal, Lock, Point, RunnerOptions, Status, StepStatus, Verdict, When};
use sqlx::Executor;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

on_both!(
    a_shutdown_leaves_its_step_to_be_adopted,
    a_lost_operation_cannot_be_written_about,
    a_lease_that_expires_is_taken_over,
    a_cancel_reaches_another_runner,
    a_commit_that_fails_is_not_repeated_blindly,
    a_store_that_is_away_is_waited_for,
    what_the_commit_refuses_is_the_steps_failure,
    generations_grow_even_over_an_older_store,
    a_newer_journal_is_refused_unchanged,
    what_is_not_known_is_stuck,
    a_golden_journal_goes_on,
    a_dead_runner_acknowledges_nothing,
);

async fn a_shutdown_leaves_its_step_to_be_adopted(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("tune", Act::Hang);
    let id = bench.submit("draft").await;
    bench.until("tune", |w| w.saw("tune")).await;
    bench.stop().await;
    let left = bench.runner.get(&id).await.unwrap();
    assert_eq!((left.status, left.step.as_deref()), (Status::Running, Some("tune")));
    bench.world.calm();
    let next = Bench::with(&store, bench.world.clone(), RunnerOptions { exclusive: false, ..quick() }).await;
    assert_eq!(next.wait(&id).await.status, Status::Succeeded);
    assert_eq!(bench.world.times("make"), 1, "only the unfinished step is repeated");
    assert_eq!(bench.world.times("tune"), 2);
}

async fn a_lost_operation_cannot_be_written_about(store: Arc<Store>) {
    let one = Bench::new(&store).await;
    one.world.when("tune", Act::Talk(60));
    let id = one.submit("draft").await;
    one.until("tune", |w| w.saw("tune")).await;
    // The second believes to be alone, and takes it while the first still works on it.
    let two = Bench::with(&store, Arc::default(), quick()).await;
    assert_eq!(two.wait(&id).await.status, Status::Succeeded);
    tokio::time::sleep(MS(500)).await;
    assert!(!one.world.saw("switch"), "the first noticed and stopped: {:?}", one.world.log());
    assert_eq!(store.toys().await, ["a chosen", "a recorded"]);
}

async fn a_lease_that_expires_is_taken_over(store: Arc<Store>) {
    let options = || RunnerOptions { exclusive: false, lease: MS(3_600_000), ..quick() };
    let one = Bench::with(&store, Arc::default(), options()).await;
    one.world.when("tune", Act::Hang);
    let id = one.submit("draft").await;
    one.until("tune", |w| w.saw("tune")).await;
    let two = Bench::with(&store, Arc::default(), options()).await;
    tokio::time::sleep(MS(150)).await;
    assert!(two.world.log().is_empty(), "the lease holds");
    two.clock.0.store(2 * 3_600_000_000, Ordering::Relaxed);
    assert_eq!(two.wait(&id).await.status, Status::Succeeded);
    assert!(!two.world.saw("make") && two.world.saw("tune"));
}

async fn a_cancel_reaches_another_runner(store: Arc<Store>) {
    let options = || RunnerOptions { exclusive: false, lease: MS(300), ..quick() };
    let one = Bench::with(&store, Arc::default(), options()).await;
    one.world.when("tune", Act::UntilCancelled);
    let id = one.submit("draft").await;
    one.until("tune", |w| w.saw("tune")).await;
    let two = Bench::with(&store, Arc::default(), options()).await;
    tokio::time::sleep(MS(700)).await;
    assert!(two.world.log().is_empty(), "a heart that beats keeps its lease");
    two.runner.cancel(&id, "bob").await.unwrap();
    assert_eq!(two.wait(&id).await.status, Status::Cancelled);
    assert!(one.world.saw("undo tune") && two.world.log().is_empty());
}

async fn a_commit_that_fails_is_not_repeated_blindly(store: Arc<Store>) {
    for (when, verdict) in [
        (When::BeforeCommit, Verdict::Fail(Error::unavailable("cut", "the line was cut"))),
        (When::AfterCommit, Verdict::LoseReply),
        (When::BeforeCommit, Verdict::LoseReply),
    ] {
        store.run("DELETE FROM toys").await;
        let hits = AtomicUsize::new(0);
        let lost = verdict.clone();
        let faults = move |p: Point| {
            let hit = p.step == "choose" && p.when == when && hits.fetch_add(1, Ordering::SeqCst) == 0;
            if hit { lost.clone() } else { Verdict::Go }
        };
        let bench = Bench::with(&store, Arc::default(), RunnerOptions { faults: Arc::new(faults), ..quick() }).await;
        assert_eq!(bench.play("draft").await.status, Status::Succeeded);
        assert_eq!(store.toys().await, ["a chosen", "a recorded"], "exactly once, whatever was heard of the commit");
        let committed = verdict == Verdict::LoseReply;
        assert_eq!(bench.world.times("choose"), if committed { 1 } else { 2 }, "{when:?}");
        let generations = bench.world.generations.lock().unwrap().clone();
        assert!(generations.last() > generations.first(), "it was adopted anew");
        bench.stop().await;
    }
}

async fn a_store_that_is_away_is_waited_for(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.world.when("make", Act::Talk(10));
    let id = bench.submit("draft").await;
    bench.until("make", |w| w.saw("make")).await;
    store.away.store(8, Ordering::SeqCst);
    assert_eq!(bench.wait(&id).await.status, Status::Succeeded);
    assert_eq!((store.away.load(Ordering::SeqCst), bench.world.times("make")), (0, 1), "the effect is not repeated for that");
}

async fn what_the_commit_refuses_is_the_steps_failure(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    let view = bench.play("late").await;
    assert_eq!((view.status, view.error.unwrap().kind), (Status::Failed, Kind::Internal));
    assert_eq!(store.number("SELECT COUNT(*) FROM late").await, 0);
}

async fn generations_grow_even_over_an_older_store(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.play("draft").await;
    let first = bench.world.generations.lock().unwrap()[0];
    store.run("UPDATE operation_counters SET value = 7").await;
    bench.play("draft").await;
    let later = *bench.world.generations.lock().unwrap().last().unwrap();
    assert!(later > first, "{first} then {later}: the clock does not go back with the store");
    store.run("UPDATE operation_counters SET value = 4000000000000000000").await;
    bench.play("draft").await;
    assert!(*bench.world.generations.lock().unwrap().last().unwrap() > 4_000_000_000_000_000_000);
}

async fn a_newer_journal_is_refused_unchanged(store: Arc<Store>) {
    let bench = Bench::new(&store).await;
    bench.play("draft").await;
    bench.stop().await;
    Journal::open(store.clone()).await.expect("its own version opens again and again");
    store.run("UPDATE operation_schema SET version = 1000").await;
    let refused = Journal::open(store.clone()).await.err().expect("a newer one is refused");
    assert_eq!(refused.code, "store_too_new");
    assert!(refused.message.contains("1000") && refused.message.contains("newer Mainstay"), "{refused}");
    assert_eq!(store.number("SELECT version FROM operation_schema").await, 1000);
}

async fn what_is_not_known_is_stuck(store: Arc<Store>) {
    let changes = [
        ("UPDATE operations SET kind = 'unheard_of' WHERE status = 'queued'", "unheard_of"),
        ("UPDATE operations SET version = 9 WHERE status = 'queued'", "version 9"),
        ("UPDATE operations SET steps = REPLACE(steps, '\"tune\"', '\"polish\"') WHERE status = 'queued'", "polish"),
        ("UPDATE operations SET state = '{}' WHERE status = 'queued'", "not readable"),
    ];
    for (change, word) in changes {
        let idle = Bench::idle(&store, Arc::default(), quick()).await;
        let id = idle.submit("draft").await;
        store.run(change).await;
        idle.start().await;
        let view = idle.wait(&id).await;
        assert_eq!(view.status, Status::Stuck, "{word}");
        assert!(view.error.clone().unwrap().message.contains(word), "{word}: {:?}", view.error);
        assert!(idle.world.log().is_empty(), "none of its code ran");
        assert!(idle.try_submit("draft", "k1", Lock::Exclusive).await.is_err(), "the lock is held");
        assert_eq!(idle.runner.retry(&id, "ann").await.unwrap_err().code, "unknown_operation");
        assert_eq!(idle.runner.abandon(&id, "ann").await.unwrap().status, Status::Failed);
        assert!(idle.world.log().is_empty());
        idle.stop().await;
    }
}

/// A journal as version 1 wrote it, in the middle of an effect. Later versions must go on from it.
const GOLDEN: &str = r#"INSERT INTO operations (id, kind, version, project, cluster, cluster_key, lock_kind, parent, child_key, status,
    ending, past_return, cancelled_by, state, steps, percent, sentence, requested_by, created_at, finished_at, error, stuck_error,
    output, generation, owner, lease_until) VALUES ('op_06fqbd2xg1zwk5h8sstbqm4f7w', 'draft', 1, 'shop', 'pg-one', 'cl_1', 'exclusive',
    NULL, NULL, 'running', NULL, 0, NULL, '{"name":"a","tuned":false}',
    '[{"name":"choose","title":"Chooses a name","status":"done","started_at":"2026-11-20T10:00:00.000000Z","finished_at":"2026-11-20T10:00:00.000100Z","error":null},{"name":"make","title":"Makes the thing","status":"done","started_at":"2026-11-20T10:00:01.000000Z","finished_at":"2026-11-20T10:00:02.000000Z","error":null},{"name":"tune","title":"Tunes the thing","status":"running","started_at":"2026-11-20T10:00:02.000000Z","finished_at":null,"error":null},{"name":"switch","title":"Switches to the thing","status":"pending","started_at":null,"finished_at":null,"error":null},{"name":"record","title":"Records the thing","status":"pending","started_at":null,"finished_at":null,"error":null}]',
    40, 'Tunes the thing', 'ann', 1795168800000000, NULL, NULL, NULL, 'null', 1795168800000001, 'a-runner-long-gone', 1795168830000000)"#;

async fn a_golden_journal_goes_on(store: Arc<Store>) {
    let bench = Bench::idle(&store, Arc::default(), quick()).await;
    store.pool().execute(GOLDEN).await.unwrap();
    let id = bench.runner.holder("cl_1").await.unwrap().expect("it holds its lock").id;
    bench.start().await;
    let view = bench.wait(&id).await;
    assert_eq!(view.status, Status::Succeeded, "{:?}", view.error);
    assert_eq!(bench.world.log(), ["tune", "switch", "record", "finished", "finished succeeded"]);
    assert!(view.steps.iter().all(|s| s.status == StepStatus::Done));
    assert!(bench.world.generations.lock().unwrap().iter().all(|g| *g > 1_795_168_800_000_001));
}

async fn a_dead_runner_acknowledges_nothing(store: Arc<Store>) {
    let faults = |p: Point| if p.step == "make" && p.when == When::BeforeCommit { Verdict::Crash } else { Verdict::Go };
    let bench = Bench::with(&store, Arc::default(), RunnerOptions { faults: Arc::new(faults), ..quick() }).await;
    let id = bench.submit("draft").await;
    assert_eq!(bench.runner.died().await, None);
    bench.runner.stopped().await;
    assert!(bench.try_submit("draft", "k2", Lock::Exclusive).await.is_err());
    assert!(bench.runner.cancel(&id, "ann").await.is_err());
    assert_eq!(bench.runner.get(&id).await.unwrap().status, Status::Running);
    assert!(!bench.world.saw("make"));
}

const INSIDE: &str = "MAINSTAY_TEST_FAILING_DISK";

/// Runs the test below in a process whose fsyncs fail from some moment on.
#[test]
#[allow(clippy::disallowed_methods, reason = "a test of itself under strace")]
fn a_failed_disk_is_fatal() {
    let done = std::process::Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=12+"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "adoption::under_a_failing_disk", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("strace is installed");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("died of the disk"), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_failing_disk() {
    if std::env::var_os(INSIDE).is_none() {
        return;
    }
    let store = Store::sqlite().await;
    let bench = Bench::with(&store, Arc::default(), quick()).await;
    let (mut refused, mut round) = (None, 0);
    while refused.is_none() && round < 200 {
        round += 1;
        refused = bench.try_submit("draft", &format!("k{round}"), Lock::Exclusive).await.err();
        tokio::time::sleep(MS(10)).await;
    }
    let why = tokio::time::timeout(MS(10_000), bench.runner.died()).await.expect("the runner dies").expect("and says why");
    assert_eq!(why.code, "store_failed");
    assert_eq!(refused.expect("what was not written is not acknowledged").code, "store_failed");
    bench.runner.stopped().await;
    assert_eq!(bench.try_submit("draft", "later", Lock::Exclusive).await.unwrap_err().code, "store_failed");
    println!("died of the disk after {round} submits");
}
