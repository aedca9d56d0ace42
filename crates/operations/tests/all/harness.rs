//! The loops: sound toys pass all of them, and each known fault is caught by the loop it is for.

use crate::{
    support::{Bench, Store, on_both},
    toys::{self, World},
};
use async_trait::async_trait;
use mainstay_model::{OperationId, Result};
use mainstay_operations::{
    Journal, Lock, Runner, RunnerOptions, Subject, Submit,
    harness::{self, Booted, Scenario, Stage},
};
use std::sync::Arc;

on_both!(sound_operations_survive_everything, families_survive_everything, known_faults_are_caught);

struct Toy {
    kind: &'static str,
    store: Arc<Store>,
}

struct Set {
    kind: &'static str,
    store: Arc<Store>,
    world: Arc<World>,
}

#[async_trait]
impl Scenario for Toy {
    type World = World;
    fn kind(&self) -> &'static str {
        self.kind
    }
    async fn stage(&self) -> Result<Box<dyn Stage<World>>> {
        Journal::open(self.store.clone()).await?;
        self.store.run("DELETE FROM toys").await;
        self.store.run("DELETE FROM operations").await;
        Ok(Box::new(Set { kind: self.kind, store: self.store.clone(), world: Arc::default() }))
    }
}

#[async_trait]
impl Stage<World> for Set {
    async fn boot(&self, options: RunnerOptions) -> Result<Booted<World>> {
        let bench = Bench::idle(&self.store, self.world.clone(), options).await;
        Ok(Booted { runner: bench.runner.clone(), world: self.world.clone() })
    }
    async fn submit(&self, runner: &Runner<World>) -> Result<OperationId> {
        let subject = Subject { project: "shop".into(), cluster: "one".into(), key: "k1".into() };
        let state = toys::state("a");
        runner.submit(Submit { kind: self.kind, state, subject: Some(subject), lock: Lock::Exclusive, requested_by: "ann".into() }).await
    }
    async fn snapshot(&self) -> Result<String> {
        Ok(format!("{:?} {:?}", self.world.things(), self.store.toys().await))
    }
}

fn toy(kind: &'static str, store: &Arc<Store>) -> Toy {
    Toy { kind, store: store.clone() }
}

async fn sound_operations_survive_everything(store: Arc<Store>) {
    for (kind, failures, undos) in [("build", 8, 3), ("draft", 8, 4)] {
        let reports = harness::all(&toy(kind, &store)).await.unwrap();
        let points = |check: &str| reports.iter().find(|r| r.check == check).unwrap().points;
        assert_eq!(points("fail_each_step"), failures, "{kind}");
        assert_eq!(points("undo_fails"), undos, "{kind}");
        assert!(points("crash_everywhere") > 50, "{reports:?}");
        assert!(points("lost_reply") > 20 && points("run_twice") > 5, "{reports:?}");
    }
}

async fn families_survive_everything(store: Arc<Store>) {
    let reports = harness::all(&toy("family", &store)).await.unwrap();
    assert!(reports.iter().any(|r| r.check == "crash_everywhere" && r.points > 100), "{reports:?}");
}

async fn known_faults_are_caught(store: Arc<Store>) {
    let message = |caught: Result<harness::Report>| caught.expect_err("the fault is caught").message;
    let forgetful = message(harness::fail_each_step(&toy("draft_forgetful", &store)).await);
    assert!(forgetful.contains("draft_forgetful") && forgetful.contains("make fails") && forgetful.contains("--- found"), "{forgetful}");

    let counting = toy("build_counting", &store);
    let twice = message(harness::run_twice(&counting).await);
    assert!(twice.contains("every effect twice") && twice.contains("a×2"), "{twice}");
    let crash = message(harness::crash_everywhere(&counting).await);
    assert!(crash.contains("(make AfterEffectBeforeRecord)"), "{crash}");
    let lost = message(harness::lost_reply(&counting).await);
    assert!(lost.contains("(make AfterEffectBeforeRecord)"), "{lost}");

    let fragile = toy("draft_fragile", &store);
    assert!(message(harness::run_twice(&fragile).await).contains("every undo twice"));
    let early = message(harness::fail_each_step(&fragile).await);
    assert!(early.contains("tune fails BeforeStep"), "{early}");
}
