//! A run: one runner's work on one operation, from its adoption until it ends, is stuck, or is
//! left to be adopted again.
//!
//! The loop asks [`next`] what to do, does it, writes it down, and asks again. What the journal
//! holds is copied into `record` only after the commit, so the two never differ, and a write that
//! may or may not have happened ends the run: the next one starts from what the journal says.

use crate::{
    faults::{Point, Verdict, When},
    next::{Next, next},
    operation::{End, Erased, Step, StepKind},
    progress::Progress,
    record::{Ending, Record},
    runner::{Runner, Stop},
    view::{Status, StepStatus},
};
use futures::StreamExt;
use mainstay_model::{Error, Time};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(crate) struct Run<W> {
    pub runner: Runner<W>,
    pub entry: Arc<dyn Erased<W>>,
    pub world: Arc<W>,
    pub record: Record,
    pub progress: Arc<Progress>,
    pub cancel: CancellationToken,
    /// No child is alive that would work against what is being undone.
    pub settled: bool,
}

/// How an attempt, or a write, came out.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    /// Nothing was written; for an effect, it is not known how much of it happened.
    Failed(Error),
    /// Nothing was written, because somebody cancelled first.
    Cancelled,
}

/// What happens in the same transaction as a journal write.
#[derive(Clone, Copy)]
pub(crate) enum Work<'a> {
    Nothing,
    Step {
        name: &'static str,
        undo: bool,
    },
    Finished(End<'a>),
    /// Takes a new generation, so that an effect that was dropped, but perhaps not ended, is fenced.
    Renew,
}

/// Where a write belongs: a step's name, and whether it is being undone.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    pub step: &'static str,
    pub undo: bool,
}

pub(crate) const FINISH: Spot = Spot { step: Point::FINISH, undo: false };

impl<W: Send + Sync + 'static> Run<W> {
    pub async fn drive(mut self) -> Result<(), Stop> {
        if self.record.cancelled_by.is_some() && !self.record.past_return {
            self.cancel.cancel();
        }
        while matches!(self.record.status, Status::Running | Status::Unwinding) {
            if self.runner.inner.stopping.is_cancelled() {
                return Err(Stop::Shutdown);
            }
            if self.record.ending.is_some() && !self.settled {
                self.settle().await?;
            }
            match next(&self.record, self.plan()) {
                Next::TurnBack => self.turn_back(None).await?,
                Next::Do(at) => self.forward(at).await?,
                Next::Undo(at) => self.back(at).await?,
                Next::End => self.end().await?,
            }
        }
        Ok(())
    }

    pub fn plan(&self) -> &'static [Step] {
        self.entry.steps()
    }

    /// Whether the operation can still turn back while this step runs.
    pub fn may_turn_back(&self, step: &Step) -> bool {
        self.record.ending.is_none() && !self.record.past_return && !step.point_of_no_return
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.record.cancelled_by.is_some()
    }

    pub async fn verdict(&self, spot: Spot, when: When) -> Verdict {
        self.runner.verdict(self.point(spot, when)).await
    }

    pub fn point(&self, spot: Spot, when: When) -> Point {
        Point { operation: self.record.id.clone(), kind: self.record.kind.clone(), step: spot.step.into(), undo: spot.undo, when }
    }

    async fn forward(&mut self, at: usize) -> Result<(), Stop> {
        let step = self.plan()[at];
        self.progress.begin(step.name, self.record.steps_done(), self.plan().len(), step.title);
        self.runner.publish(&self.record.id);
        let outcome = match self.start(at, step).await? {
            Outcome::Done => self.attempts(at, false).await?,
            other => other,
        };
        match outcome {
            // Cancelled: the next decision turns back.
            Outcome::Done | Outcome::Cancelled => Ok(()),
            Outcome::Failed(e) if self.record.past_return || step.point_of_no_return => self.stuck(Some(at), e).await,
            Outcome::Failed(e) => self.turn_back(Some((at, e))).await,
        }
    }

    /// Marks an effect as started before it is, so that whoever finds it knows it may have happened.
    async fn start(&mut self, at: usize, step: Step) -> Result<Outcome, Stop> {
        if step.kind == StepKind::Db || self.record.steps[at].status == StepStatus::Running {
            return Ok(Outcome::Done);
        }
        let now = self.runner.now();
        let edit = |r: &mut Record| {
            r.past_return |= step.point_of_no_return;
            let seen = &mut r.steps[at];
            (seen.status, seen.error) = (StepStatus::Running, None);
            seen.started_at = seen.started_at.or(Some(now));
        };
        self.write(Spot { step: step.name, undo: false }, Work::Nothing, true, edit).await
    }

    async fn back(&mut self, at: usize) -> Result<(), Stop> {
        let step = self.plan()[at];
        let sentence = format!("undoes: {}", step.title);
        self.progress.begin(step.name, self.record.steps_done(), self.plan().len(), &sentence);
        self.runner.publish(&self.record.id);
        if step.kind == StepKind::Effect && self.record.steps[at].status != StepStatus::Undoing {
            let edit = |r: &mut Record| r.steps[at].status = StepStatus::Undoing;
            self.write_surely(Spot { step: step.name, undo: true }, Work::Nothing, edit).await?;
        }
        match self.attempts(at, true).await? {
            Outcome::Failed(e) => self.stuck(Some(at), e).await,
            Outcome::Done | Outcome::Cancelled => Ok(()),
        }
    }

    /// From here on everything is undone. `failed` is the step at fault, or none for a cancel.
    async fn turn_back(&mut self, failed: Option<(usize, Error)>) -> Result<(), Stop> {
        let cancelled = failed.is_none() || self.is_cancelled();
        let ending = if cancelled { Ending::Cancelled } else { Ending::Failed };
        let spot = failed.as_ref().map_or(FINISH, |(at, _)| Spot { step: self.plan()[*at].name, undo: false });
        if let Some((at, e)) = &failed {
            tracing::warn!(operation = %self.record.id, kind = self.record.kind, step = self.plan()[*at].name, error = %e, inside = e.inside, "step failed; undoing");
        }
        let edit = |r: &mut Record| {
            r.status = Status::Unwinding;
            r.ending = Some(ending);
            if let Some((at, e)) = &failed {
                (r.steps[*at].status, r.steps[*at].error) = (StepStatus::Failed, Some(e.clone()));
                r.error = (!cancelled).then(|| e.clone());
                r.sentence = format!("failed, undoes what was done: {e}");
            }
            if cancelled {
                r.sentence = "cancelled, undoes what was done".into();
            }
        };
        self.write_surely(spot, Work::Nothing, edit).await
    }

    /// Neither forward nor back: a person must choose. The lock stays.
    pub async fn stuck(&mut self, at: Option<usize>, e: Error) -> Result<(), Stop> {
        let spot = at.map_or(FINISH, |at| Spot { step: self.plan()[at].name, undo: self.record.ending.is_some() });
        tracing::error!(operation = %self.record.id, kind = self.record.kind, step = spot.step, error = %e, inside = e.inside, "operation is stuck");
        let no_return = at.is_some_and(|at| self.plan()[at].point_of_no_return);
        let edit = |r: &mut Record| {
            r.status = Status::Stuck;
            r.sentence = stuck_sentence(spot, &e);
            r.stuck_error = Some(e.clone());
            r.past_return |= no_return && r.ending.is_none();
            if let Some(at) = at {
                r.steps[at].error = Some(e.clone());
                if r.ending.is_none() {
                    r.steps[at].status = StepStatus::Failed;
                }
            }
            r.release();
        };
        if let Outcome::Failed(hook) = self.write(spot, Work::Finished(End::Stuck(&e)), false, edit).await? {
            tracing::error!(operation = %self.record.id, error = %hook, inside = hook.inside, "what a stuck operation should note was not noted");
            self.write_surely(spot, Work::Nothing, edit).await?;
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Stop> {
        self.settle().await?;
        let mut failures = 0;
        loop {
            match self.finish().await? {
                Outcome::Done | Outcome::Cancelled => return Ok(()),
                Outcome::Failed(e) => {
                    failures += 1;
                    let back = self.record.ending.is_none() && !self.record.past_return;
                    let again = failures < self.runner.options().retry.tries && (e.is_transient() || !back);
                    match (again, back) {
                        (true, _) => self.pause(failures, &e, back).await?,
                        (false, true) => return self.fail_at_the_end(e).await,
                        (false, false) => return self.stuck(None, e).await,
                    }
                }
            }
        }
    }

    /// Nothing but the last note failed, and the way back is open.
    async fn fail_at_the_end(&mut self, e: Error) -> Result<(), Stop> {
        let edit = |r: &mut Record| {
            (r.status, r.ending, r.error) = (Status::Unwinding, Some(Ending::Failed), Some(e.clone()));
            r.sentence = format!("failed, undoes what was done: {e}");
        };
        self.write_surely(FINISH, Work::Nothing, edit).await
    }

    async fn finish(&mut self) -> Result<Outcome, Stop> {
        let error = self.record.error.clone().unwrap_or_else(|| Error::internal("failed without an error"));
        let (end, status, sentence) = match self.record.ending {
            None => (End::Succeeded, Status::Succeeded, "done".into()),
            Some(Ending::Failed) => (End::Failed(&error), Status::Failed, format!("failed: {error}")),
            Some(Ending::Cancelled) => (End::Cancelled, Status::Cancelled, cancelled_sentence(&self.record)),
        };
        let now = self.runner.now();
        let edit = |r: &mut Record| {
            r.status = status;
            r.sentence.clone_from(&sentence);
            r.finished_at = Some(now);
            r.release();
        };
        let yields = self.record.ending.is_none() && !self.record.past_return;
        let outcome = self.write(FINISH, Work::Finished(end), yields, edit).await?;
        if matches!(outcome, Outcome::Done) {
            tracing::info!(operation = %self.record.id, kind = self.record.kind, status = status.as_str(), "operation ended");
        }
        Ok(outcome)
    }

    /// Cancels the children that still live and waits for their end: nothing may work on while
    /// its work is being undone, or after its parent has let go of the lock.
    async fn settle(&mut self) -> Result<(), Stop> {
        for child in self.runner.inner.journal.active_children(&self.record.id).await? {
            // One that cannot be cancelled any more is waited for all the same.
            let _ = self.runner.cancel(&child.id, "its parent").await;
            let mut views = Box::pin(self.runner.watch(&child.id));
            loop {
                let view = tokio::select! {
                    view = views.next() => view,
                    () = self.runner.inner.stopping.cancelled() => return Err(Stop::Shutdown),
                };
                let Some(view) = view.filter(|v| v.status.is_active()) else { break };
                self.progress.say(None, &crate::handle::said_by(&view));
                self.runner.publish(&self.record.id);
            }
        }
        self.settled = true;
        Ok(())
    }

    /// Notes that a step is behind us, one way or the other.
    pub fn passed(&self, at: usize, undo: bool) -> impl Fn(&mut Record) + Send + Sync + use<W> {
        let (now, step) = (self.runner.now(), self.plan()[at]);
        move |r: &mut Record| {
            let seen = &mut r.steps[at];
            seen.status = if undo { StepStatus::Undone } else { StepStatus::Done };
            if !undo {
                (seen.finished_at, seen.error) = (Some(now), None);
                seen.started_at = seen.started_at.or(Some(now));
                r.past_return |= step.point_of_no_return;
            }
        }
    }
}

pub(crate) fn stuck_sentence(spot: Spot, e: &Error) -> String {
    let doing = if spot.undo { "undoing " } else { "" };
    match spot.step {
        Point::FINISH | Point::ADOPT => format!("stuck: {e}; choose retry, skip or abandon"),
        step => format!("stuck at {doing}{step}: {e}; choose retry, skip or abandon"),
    }
}

fn cancelled_sentence(record: &Record) -> String {
    format!("cancelled by {}", record.cancelled_by.as_deref().unwrap_or("somebody"))
}

/// The final touch of every write: numbers that follow from the steps.
pub(crate) fn count(r: &mut Record, lease_until: Time) {
    r.percent = match r.status {
        Status::Succeeded => 100,
        _ => r.percent_done().min(99),
    };
    if r.owner.is_some() {
        r.lease_until = lease_until;
    }
}
