//! The loops every operation must survive.
//!
//! Each loop plays an operation again and again on a fresh stage, with one thing going wrong at
//! one place after the other, and compares the world at the end with what it must be: that of an
//! undisturbed run, or the clean slate from before. The places are those the runner asks about
//! ([`crate::faults`]), so a loop finds them all without knowing the operation.
//!
//! A loop that finds nothing wrong says how many places it tried; one that does names the place.

use crate::{
    faults::{Faults, Point, Verdict, When},
    operation::{Step, StepKind, Undo},
    runner::{Retry, Runner, RunnerOptions},
    view::{Status, View},
};
use async_trait::async_trait;
use mainstay_model::{Error, OperationId, Result};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// One way of submitting one operation.
#[async_trait]
pub trait Scenario: Send + Sync {
    type World: Send + Sync + 'static;

    fn kind(&self) -> &'static str;

    /// A fresh world with everything the operation needs, and nothing of it done. Two fresh
    /// stages have equal snapshots.
    async fn stage(&self) -> Result<Box<dyn Stage<Self::World>>>;
}

/// One world, with its journal. It outlives the runners that are started and die in it.
#[async_trait]
pub trait Stage<W>: Send + Sync {
    /// What a started process builds: a new runner over the same journal and the same world
    /// outside. It is not started yet; `options` are taken as they are.
    async fn boot(&self, options: RunnerOptions) -> Result<Booted<W>>;

    async fn submit(&self, runner: &Runner<W>) -> Result<OperationId>;

    /// The world outside, and the rows that matter, as text that can be compared: without ids,
    /// times and what else differs from run to run.
    async fn snapshot(&self) -> Result<String>;
}

pub struct Booted<W> {
    pub runner: Runner<W>,
    /// Kept alive as long as the runner works; the runner itself only holds it weakly.
    pub world: Arc<W>,
}

/// What a loop did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub kind: &'static str,
    pub check: &'static str,
    /// Places at which something went wrong, one after the other.
    pub points: usize,
}

/// Every loop, one after the other.
pub async fn all<S: Scenario>(scenario: &S) -> Result<Vec<Report>> {
    Ok(vec![
        fail_each_step(scenario).await?,
        run_twice(scenario).await?,
        crash_everywhere(scenario).await?,
        lost_reply(scenario).await?,
        undo_fails(scenario).await?,
    ])
}

/// Each step fails, once before it did anything and once after. Before the point of no return the
/// slate is clean afterwards; in it and after it the operation is stuck, and a retry ends it well.
pub async fn fail_each_step<S: Scenario>(scenario: &S) -> Result<Report> {
    let reference = reference(scenario).await?;
    let mut points = 0;
    for (at, step) in reference.plan.iter().enumerate() {
        for when in failing_whens(step) {
            let place = format!("fail_each_step: {} fails {when:?}", step.name);
            let (kind, name) = (reference.kind, step.name);
            let script = Script::new(move |p, _| fails(p, kind, name, false, when));
            let mut play = Play::begin(scenario, script).await?;
            let view = play.finish(&place).await?;
            if reference.plan[..=at].iter().any(|s| s.point_of_no_return) {
                play.is_stuck_with_its_lock(&view, &place).await?;
                play.retry(&place, Status::Succeeded, &reference.after).await?;
            } else {
                play.ended(&view, &place, Status::Failed, &reference.before).await?;
            }
            play.leave().await;
            points += 1;
        }
    }
    Ok(reference.report("fail_each_step", points))
}

/// Every effect, and then every undo, happens twice in a row, and the end is the same.
pub async fn run_twice<S: Scenario>(scenario: &S) -> Result<Report> {
    let reference = reference(scenario).await?;
    let mut play = Play::begin(scenario, Script::new(twice)).await?;
    let view = play.finish("run_twice: forward").await?;
    play.ended(&view, "run_twice: every effect twice", Status::Succeeded, &reference.after).await?;
    let mut points = play.script.fired();
    play.leave().await;
    if let Some(deep) = reference.deepest() {
        let script = Script::new(move |p: &Point, n| if deep.is_at(p) { deep.fail() } else { twice(p, n) });
        let mut play = Play::begin(scenario, script).await?;
        let view = play.finish("run_twice: back").await?;
        play.ended(&view, "run_twice: every effect and every undo twice", Status::Failed, &reference.before).await?;
        points += play.script.fired();
        play.leave().await;
    }
    Ok(reference.report("run_twice", points))
}

/// The runner dies at every place in turn, forward and, with the last step that can fail, back;
/// a new one must reach the same end.
pub async fn crash_everywhere<S: Scenario>(scenario: &S) -> Result<Report> {
    let reference = reference(scenario).await?;
    let crash = |_: &Point| Verdict::Crash;
    let mut points = each_point(scenario, &reference, None, "crash_everywhere", crash, |_| true).await?;
    if let Some(deep) = reference.deepest() {
        points += each_point(scenario, &reference, Some(deep), "crash_everywhere, unwinding", crash, |_| true).await?;
    }
    Ok(reference.report("crash_everywhere", points))
}

/// Each effect, undo and commit in turn happens but is reported as failed; the end is the same.
pub async fn lost_reply<S: Scenario>(scenario: &S) -> Result<Report> {
    let reference = reference(scenario).await?;
    let lose = |_: &Point| Verdict::LoseReply;
    let replies = |p: &Point| matches!(p.when, When::AfterEffectBeforeRecord | When::AfterCommit);
    let mut points = each_point(scenario, &reference, None, "lost_reply", lose, replies).await?;
    if let Some(deep) = reference.deepest() {
        points += each_point(scenario, &reference, Some(deep), "lost_reply, unwinding", lose, replies).await?;
    }
    Ok(reference.report("lost_reply", points))
}

/// Each undo in turn does not work: the operation is stuck, visibly, with its lock, and a retry
/// cleans the slate.
pub async fn undo_fails<S: Scenario>(scenario: &S) -> Result<Report> {
    let reference = reference(scenario).await?;
    let mut points = 0;
    let Some(deep) = reference.deepest() else { return Ok(reference.report("undo_fails", 0)) };
    for step in reference.plan[..=deep.at].iter().filter(|s| s.undo == Undo::With && (s.name != deep.step || s.kind == StepKind::Effect)) {
        let place = format!("undo_fails: undo of {} fails", step.name);
        let (kind, name) = (reference.kind, step.name);
        let script =
            Script::new(move |p: &Point, _| if deep.is_at(p) { deep.fail() } else { fails(p, kind, name, true, When::BeforeStep) });
        let mut play = Play::begin(scenario, script).await?;
        let view = play.finish(&place).await?;
        play.is_stuck_with_its_lock(&view, &place).await?;
        play.retry(&place, Status::Failed, &reference.before).await?;
        play.leave().await;
        points += 1;
    }
    Ok(reference.report("undo_fails", points))
}

/// Lets the N-th of the points that count go wrong, for N = 1, 2, … until there are no more.
async fn each_point<S: Scenario>(
    scenario: &S,
    reference: &Reference,
    deep: Option<Deepest>,
    name: &str,
    verdict: impl Fn(&Point) -> Verdict + Send + Sync + Clone + 'static,
    counts: impl Fn(&Point) -> bool + Send + Sync + Clone + 'static,
) -> Result<usize> {
    let (status, world) = match deep {
        None => (Status::Succeeded, &reference.after),
        Some(_) => (Status::Failed, &reference.before),
    };
    for wanted in 1.. {
        let (verdict, counts, seen) = (verdict.clone(), counts.clone(), AtomicUsize::new(0));
        let script = Script::new(move |p: &Point, _| {
            if counts(p) && seen.fetch_add(1, Ordering::SeqCst) + 1 == wanted {
                return verdict(p);
            }
            deep.filter(|d| d.is_at(p)).map_or(Verdict::Go, |d| d.fail())
        });
        let mut play = Play::begin(scenario, script).await?;
        let place = format!("{name}: point {wanted}");
        let view = play.finish(&place).await?;
        let hit = play.script.last().filter(|(_, v)| !matches!(v, Verdict::Fail(_)));
        let Some((point, _)) = hit else {
            play.leave().await;
            return Ok(wanted - 1);
        };
        let place = format!("{place} ({} {}{:?})", point.step, if point.undo { "undo " } else { "" }, point.when);
        play.ended(&view, &place, status, world).await?;
        play.leave().await;
    }
    Ok(0)
}

fn failure() -> Error {
    Error::failed("injected", "the fault harness let it fail")
}

fn fails(p: &Point, kind: &str, step: &str, undo: bool, when: When) -> Verdict {
    if p.kind == kind && p.step == step && p.undo == undo && p.when == when { Verdict::Fail(failure()) } else { Verdict::Go }
}

/// A step can fail before it did anything and, if its work is not rolled back with it, after.
fn failing_whens(step: &Step) -> Vec<When> {
    match step.kind {
        StepKind::Db => vec![When::BeforeStep],
        StepKind::Effect => vec![When::BeforeStep, When::AfterEffectBeforeRecord],
    }
}

/// Loses the first reply of each effect and each undo.
fn twice(p: &Point, times: usize) -> Verdict {
    if p.when == When::AfterEffectBeforeRecord && times == 0 { Verdict::LoseReply } else { Verdict::Go }
}

/// The last step whose failure is undone: everything that can be undone then is.
#[derive(Debug, Clone, Copy)]
struct Deepest {
    kind: &'static str,
    at: usize,
    step: &'static str,
    when: When,
}

impl Deepest {
    fn is_at(&self, p: &Point) -> bool {
        p.kind == self.kind && p.step == self.step && !p.undo && p.when == self.when
    }
    fn fail(&self) -> Verdict {
        Verdict::Fail(failure())
    }
}

/// The undisturbed run.
struct Reference {
    kind: &'static str,
    plan: &'static [Step],
    before: String,
    after: String,
}

impl Reference {
    fn report(&self, check: &'static str, points: usize) -> Report {
        Report { kind: self.kind, check, points }
    }
    fn deepest(&self) -> Option<Deepest> {
        let end = self.plan.iter().position(|s| s.point_of_no_return).unwrap_or(self.plan.len());
        let at = end.checked_sub(1)?;
        let step = &self.plan[at];
        Some(Deepest { kind: self.kind, at, step: step.name, when: *failing_whens(step).last()? })
    }
}

async fn reference<S: Scenario>(scenario: &S) -> Result<Reference> {
    let kind = scenario.kind();
    let mut play = Play::begin(scenario, Script::new(|_, _| Verdict::Go)).await?;
    let before = play.before.clone();
    let view = play.finish("undisturbed").await?;
    let after = play.stage.snapshot().await?;
    play.ended(&view, "undisturbed", Status::Succeeded, &after).await?;
    let plan = play.booted.runner.plan(kind).ok_or_else(|| mismatch(kind, "undisturbed", "the kind is not registered"))?;
    play.leave().await;
    Ok(Reference { kind, plan, before, after })
}

fn mismatch(kind: &str, place: &str, what: impl std::fmt::Display) -> Error {
    Error::failed("harness", format!("{kind}, {place}: {what}"))
}

type Rule = Box<dyn Fn(&Point, usize) -> Verdict + Send + Sync>;

/// Faults by a rule over the point and how often it has come by.
struct Script {
    rule: Mutex<Rule>,
    seen: Mutex<Vec<Point>>,
    hits: Mutex<Vec<(Point, Verdict)>>,
}

impl Script {
    fn new(rule: impl Fn(&Point, usize) -> Verdict + Send + Sync + 'static) -> Arc<Script> {
        Arc::new(Script { rule: Mutex::new(Box::new(rule)), seen: Mutex::default(), hits: Mutex::default() })
    }
    fn calm(&self) {
        *crate::runner::lock(&self.rule) = Box::new(|_, _| Verdict::Go);
    }
    fn fired(&self) -> usize {
        crate::runner::lock(&self.hits).len()
    }
    /// The last hit that was not a plain failure, or else the last.
    fn last(&self) -> Option<(Point, Verdict)> {
        let hits = crate::runner::lock(&self.hits);
        hits.iter().rfind(|(_, v)| !matches!(v, Verdict::Fail(_))).or(hits.last()).cloned()
    }
}

#[async_trait]
impl Faults for Script {
    async fn at(&self, point: Point) -> Verdict {
        let times = {
            let mut seen = crate::runner::lock(&self.seen);
            let times = seen.iter().filter(|p| **p == point).count();
            seen.push(point.clone());
            times
        };
        let verdict = (*crate::runner::lock(&self.rule))(&point, times);
        if verdict != Verdict::Go {
            crate::runner::lock(&self.hits).push((point, verdict.clone()));
        }
        verdict
    }
}

/// How long one play may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// One operation on one stage, through as many runners as it takes.
struct Play<W> {
    kind: &'static str,
    stage: Box<dyn Stage<W>>,
    /// The clean slate: the world before the operation was even submitted.
    before: String,
    script: Arc<Script>,
    booted: Booted<W>,
    shutdown: CancellationToken,
    id: OperationId,
}

fn options(script: &Arc<Script>) -> RunnerOptions {
    let ms = Duration::from_millis;
    RunnerOptions {
        faults: script.clone(),
        retry: Retry { tries: 3, base: ms(1), max: ms(4) },
        grace: ms(100),
        cancel_grace: ms(200),
        poll: ms(10),
        ..RunnerOptions::default()
    }
}

async fn boot<W: Send + Sync + 'static>(stage: &dyn Stage<W>, script: &Arc<Script>) -> Result<(Booted<W>, CancellationToken)> {
    let booted = stage.boot(options(script)).await?;
    booted.runner.set_world(Arc::downgrade(&booted.world));
    Ok((booted, CancellationToken::new()))
}

impl<W: Send + Sync + 'static> Play<W> {
    async fn begin<S: Scenario<World = W>>(scenario: &S, script: Arc<Script>) -> Result<Play<W>> {
        let stage = scenario.stage().await?;
        let before = stage.snapshot().await?;
        let (booted, shutdown) = boot(&*stage, &script).await?;
        let id = stage.submit(&booted.runner).await?;
        booted.runner.start(shutdown.clone()).await;
        Ok(Play { kind: scenario.kind(), stage, before, script, booted, shutdown, id })
    }

    fn mismatch(&self, place: &str, what: impl std::fmt::Display) -> Error {
        mismatch(self.kind, place, what)
    }

    /// Until the operation has ended or is stuck, with a new runner whenever one died.
    async fn finish(&mut self, place: &str) -> Result<View> {
        match tokio::time::timeout(PATIENCE, self.play()).await {
            Ok(view) => view,
            Err(_) => Err(self.mismatch(place, format!("still {:?} after {PATIENCE:?}", self.booted.runner.get(&self.id).await?))),
        }
    }

    async fn play(&mut self) -> Result<View> {
        loop {
            let view = tokio::select! {
                biased;
                _ = self.booted.runner.died() => None,
                view = self.booted.runner.wait(&self.id) => Some(view?),
            };
            // The runner may have died in the commit that ended the operation.
            if let Some(view) = view.filter(|v| v.status.is_final() || v.status == Status::Stuck) {
                return Ok(view);
            }
            self.booted.runner.stopped().await;
            (self.booted, self.shutdown) = boot(&*self.stage, &self.script).await?;
            self.booted.runner.start(self.shutdown.clone()).await;
        }
    }

    async fn ended(&self, view: &View, place: &str, status: Status, world: &str) -> Result<()> {
        if view.status != status {
            let why = view.error.as_ref().map_or("no error".into(), |e| format!("{}: {e}", e.code));
            return Err(self.mismatch(place, format!("ended as {:?} instead of {status:?} ({why}; {})", view.status, view.sentence)));
        }
        let found = self.stage.snapshot().await?;
        if found != world {
            return Err(self.mismatch(place, format!("the world is not what it must be\n--- expected\n{world}\n--- found\n{found}")));
        }
        if let Some(key) = &view.cluster_key
            && let Some(holder) = self.booted.runner.holder(key).await?
        {
            return Err(self.mismatch(place, format!("{} ({}) still holds the lock", holder.kind, holder.id)));
        }
        Ok(())
    }

    async fn is_stuck_with_its_lock(&self, view: &View, place: &str) -> Result<()> {
        if view.status != Status::Stuck || view.error.is_none() {
            return Err(self.mismatch(place, format!("is {:?} ({}) instead of stuck with an error", view.status, view.sentence)));
        }
        let locks = self.booted.runner.locks(&self.id).await?;
        let Some(key) = view.cluster_key.as_ref().filter(|_| locks) else { return Ok(()) };
        match self.booted.runner.holder(key).await? {
            Some(holder) if holder.id == self.id => Ok(()),
            other => Err(self.mismatch(place, format!("stuck, but the lock is held by {:?}", other.map(|h| h.kind)))),
        }
    }

    /// The fault is mended and somebody chooses retry.
    async fn retry(&mut self, place: &str, status: Status, world: &str) -> Result<()> {
        self.script.calm();
        self.booted.runner.retry(&self.id, "harness").await?;
        let view = self.finish(place).await?;
        self.ended(&view, &format!("{place}, then retry"), status, world).await
    }

    async fn leave(self) {
        self.shutdown.cancel();
        self.booted.runner.stopped().await;
    }
}

impl<W> Drop for Play<W> {
    /// A play that went wrong leaves no runner behind.
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
