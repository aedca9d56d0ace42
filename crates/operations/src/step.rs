//! Running one step, or its undo, until it is done or has failed for good, and writing it down.

use crate::{
    faults::{Verdict, When},
    handle::StepHandle,
    journal::{self, Trouble, trouble},
    operation::{Cx, End, Ended, Step, StepKind, Tx},
    record::Record,
    run::{Outcome, Run, Spot, Work, count},
    runner::{NotCommitted, Stop, WRITES, collision},
};
use futures::FutureExt;
use mainstay_model::{Error, Result};
use serde_json::Value;
use sqlx::Transaction;
use std::{
    any::Any,
    future::Future,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Why an effect was dropped before its end.
enum Dropped {
    Stalled,
    Cancelled,
    /// The journal says that the operation is somebody else's.
    Lost,
}

impl<W: Send + Sync + 'static> Run<W> {
    /// Tries a step until it is done, or it does not make sense to try again. Where there is no
    /// way back every failure is tried again, otherwise only those that may pass by themselves.
    pub async fn attempts(&mut self, at: usize, undo: bool) -> Result<Outcome, Stop> {
        let step = self.plan()[at];
        let back = self.may_turn_back(&step);
        let mut failures = 0;
        loop {
            match self.attempt(at, Spot { step: step.name, undo }).await? {
                Outcome::Failed(e) => {
                    failures += 1;
                    let passes = !back || e.is_transient() && !self.progress.child_failed() && !self.cancel.is_cancelled();
                    if failures >= self.runner.options().retry.tries || !passes {
                        return Ok(Outcome::Failed(e));
                    }
                    self.pause(failures, &e, back).await?;
                    if back && self.cancel.is_cancelled() {
                        return Ok(Outcome::Failed(e));
                    }
                    self.progress.again();
                }
                other => return Ok(other),
            }
        }
    }

    async fn attempt(&mut self, at: usize, spot: Spot) -> Result<Outcome, Stop> {
        if let Verdict::Fail(e) = self.verdict(spot, When::BeforeStep).await {
            return Ok(Outcome::Failed(e));
        }
        if self.plan()[at].kind == StepKind::Db {
            let work = Work::Step { name: spot.step, undo: spot.undo };
            return self.write(spot, work, !spot.undo, self.passed(at, spot.undo)).await;
        }
        let (result, state) = self.perform(at, spot).await?;
        if let Err(e) = result {
            self.record.state = state;
            return Ok(Outcome::Failed(e));
        }
        match self.verdict(spot, When::AfterEffectBeforeRecord).await {
            Verdict::Fail(e) => return Ok(Outcome::Failed(e)),
            Verdict::LoseReply => return Ok(Outcome::Failed(Error::unavailable("reply_lost", "the reply was lost"))),
            Verdict::Go | Verdict::Crash => {}
        }
        let passed = self.passed(at, spot.undo);
        let note = |r: &mut Record| {
            r.state.clone_from(&state);
            passed(r);
        };
        self.write(spot, Work::Nothing, false, note).await
    }

    /// Waits before the next try and says why.
    pub async fn pause(&self, failures: u32, e: &Error, may_cancel: bool) -> Result<(), Stop> {
        let retry = self.runner.options().retry;
        tracing::warn!(operation = %self.record.id, kind = self.record.kind, step = self.progress.seen().step, failures, error = %e, inside = e.inside, "trying again");
        self.progress.say(None, &format!("try {} of {} follows: {e}", failures + 1, retry.tries));
        self.runner.publish(&self.record.id);
        tokio::select! {
            () = tokio::time::sleep(retry.delay(failures)) => Ok(()),
            () = self.cancel.cancelled(), if may_cancel => Ok(()),
            () = self.runner.inner.stopping.cancelled() => Err(Stop::Shutdown),
        }
    }

    /// Runs the effect under watch. The state that comes back is the one before where the effect
    /// did not return.
    async fn perform(&mut self, at: usize, spot: Spot) -> Result<(Result<()>, Value), Stop> {
        let step = self.plan()[at];
        let may_cancel = self.may_turn_back(&step);
        let before = self.record.state.clone();
        let (cx, entry, mut state) = (self.cx(may_cancel, true), self.entry.clone(), before.clone());
        let ended = tokio::select! {
            biased;
            result = caught(spot.step, entry.effect(spot.step, spot.undo, &cx, &mut state)) => Ok(result),
            dropped = self.watchdog(may_cancel) => Err(dropped),
        };
        let error = match ended {
            Ok(Caught::Returned(result)) => return Ok((result, state)),
            Ok(Caught::Panicked(e)) => return Ok((Err(e), before)),
            Err(Dropped::Lost) => return Err(Stop::Lost),
            Err(Dropped::Stalled) => self.stalled(&step),
            Err(Dropped::Cancelled) => {
                Error::conflict("cancelled", format!("{} was interrupted because the operation was cancelled", step.name))
            }
        };
        self.write_surely(spot, Work::Renew, |_| {}).await?;
        Ok((Err(error), before))
    }

    fn stalled(&self, step: &Step) -> Error {
        let stall = self.runner.options().stall;
        Error::timed_out(format!("{} made no progress for {stall:?} and was interrupted", step.name))
    }

    /// Looks after a running effect: passes on its progress, and says when it must be dropped.
    async fn watchdog(&self, may_cancel: bool) -> Dropped {
        let options = self.runner.options();
        let tick = Duration::from_millis(500).min(options.stall / 4).min(options.cancel_grace / 2).max(Duration::from_millis(5));
        let mut asked: Option<Instant> = None;
        loop {
            tokio::time::sleep(tick).await;
            if self.progress.idle() >= options.stall {
                return Dropped::Stalled;
            }
            if may_cancel && self.cancel.is_cancelled() && asked.get_or_insert_with(Instant::now).elapsed() >= options.cancel_grace {
                return Dropped::Cancelled;
            }
            if let Some(seen) = self.progress.take() {
                let noted = self.runner.inner.journal.progress(&self.record.id, self.record.generation, seen.percent, &seen.sentence);
                match noted.await {
                    Ok(true) => {}
                    Ok(false) => return Dropped::Lost,
                    Err(e) => tracing::warn!(operation = %self.record.id, error = %e, inside = e.inside, "progress was not noted"),
                }
            }
        }
    }

    fn cx(&self, may_cancel: bool, may_have_children: bool) -> Cx<W> {
        let cancel = if may_cancel { self.cancel.clone() } else { CancellationToken::new() };
        Cx {
            world: self.world.clone(),
            operation: self.record.id.clone(),
            generation: self.record.generation,
            requested_by: self.record.requested_by.clone(),
            handle: Arc::new(StepHandle {
                runner: self.runner.clone(),
                operation: self.record.id.clone(),
                progress: self.progress.clone(),
                cancel,
                may_have_children,
            }),
        }
    }

    /// A write that cannot be refused by what it carries.
    pub async fn write_surely(&mut self, spot: Spot, work: Work<'_>, edit: impl Fn(&mut Record) + Send + Sync) -> Result<(), Stop> {
        match self.write(spot, work, false, edit).await? {
            Outcome::Failed(e) => Err(Stop::Journal(e)),
            Outcome::Done | Outcome::Cancelled => Ok(()),
        }
    }

    /// Does `work` and writes the record, edited, in one transaction. With `yields`, a cancel that
    /// came first wins over the write.
    pub async fn write(
        &mut self,
        spot: Spot,
        work: Work<'_>,
        yields: bool,
        edit: impl Fn(&mut Record) + Send + Sync,
    ) -> Result<Outcome, Stop> {
        for _ in 0..WRITES {
            let mut tx = self.begin().await?;
            let mut next = self.record.clone();
            next.sentence = self.progress.seen().sentence;
            match self.work(work, &mut tx, &mut next).await {
                Ok(()) => {}
                // The transaction is rolled back when it is dropped.
                Err(e) if e.code == journal::BUSY => {
                    drop(tx);
                    collision().await;
                    continue;
                }
                Err(e) => return Ok(Outcome::Failed(e)),
            }
            edit(&mut next);
            count(&mut next, self.runner.lease_until());
            let saved = match journal::save(&mut tx, self.record.generation, &next).await {
                Ok(Some(saved)) => saved,
                Ok(None) => return Err(Stop::Lost),
                Err(e) if trouble(&e) == Trouble::Again => {
                    drop(tx);
                    collision().await;
                    continue;
                }
                Err(e) => return Err(Stop::of(e)),
            };
            next.cancelled_by = saved.cancelled_by;
            if yields && next.cancelled_by.is_some() && !self.record.past_return {
                self.record.cancelled_by = next.cancelled_by;
                return Ok(Outcome::Cancelled);
            }
            match self.runner.commit(tx, self.point(spot, When::BeforeCommit)).await {
                Ok(()) => {
                    self.record = next;
                    self.runner.publish(&self.record.id);
                    return Ok(Outcome::Done);
                }
                Err(NotCommitted::Again) => collision().await,
                Err(NotCommitted::Refused(e)) => return Ok(Outcome::Failed(e)),
                Err(NotCommitted::Stop(stop)) => return Err(stop),
            }
        }
        Err(Stop::Journal(Error::unavailable(journal::BUSY, "the store is busy with other writes")))
    }

    /// Nothing is lost yet while a write cannot even begin, so what an effect brought is held until
    /// the store is back, rather than the effect repeated.
    async fn begin(&self) -> Result<Transaction<'static, sqlx::Any>, Stop> {
        for failures in 1.. {
            let e = match self.runner.inner.journal.begin().await {
                Err(e) if e.is_transient() => e,
                begun => return Ok(begun?),
            };
            tracing::warn!(operation = %self.record.id, failures, error = %e, inside = e.inside, "waiting for the store");
            tokio::select! {
                () = tokio::time::sleep(self.runner.options().retry.delay(failures)) => {}
                () = self.runner.inner.stopping.cancelled() => break,
            }
        }
        Err(Stop::Shutdown)
    }

    async fn work(&self, work: Work<'_>, tx: &mut Tx, next: &mut Record) -> Result<()> {
        let stall = self.runner.options().stall;
        let cx = self.cx(false, false);
        match work {
            Work::Nothing => Ok(()),
            Work::Renew => {
                next.generation = journal::next_generation(tx, self.runner.now()).await.map_err(journal::store_error)?;
                Ok(())
            }
            Work::Step { name, undo } => within(stall, name, self.entry.db(name, undo, &cx, tx, &mut next.state)).await,
            Work::Finished(end) => {
                within(stall, "finished", self.entry.finished(end, &cx, tx, &mut next.state)).await?;
                if let Some(listener) = self.runner.inner.registry.listener() {
                    within(stall, "finished", listener.ended(&ended(next, end), &self.world, tx)).await?;
                }
                if end == End::Succeeded {
                    next.output = self.entry.output(&next.state)?;
                }
                Ok(())
            }
        }
    }
}

fn ended<'a>(r: &'a Record, end: End<'a>) -> Ended<'a> {
    Ended {
        id: &r.id,
        kind: &r.kind,
        project: r.project.as_deref(),
        cluster: r.cluster.as_deref(),
        key: r.cluster_key.as_deref(),
        parent: r.parent.as_ref(),
        requested_by: &r.requested_by,
        state: &r.state,
        end,
    }
}

enum Caught {
    Returned(Result<()>),
    Panicked(Error),
}

/// A panic is a bug of one step, not the end of the runner.
async fn caught(step: &str, work: impl Future<Output = Result<()>>) -> Caught {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(result) => Caught::Returned(result),
        Err(panic) => Caught::Panicked(Error::internal(format!("{step} panicked: {}", panic_text(&*panic)))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

pub(crate) async fn within(stall: Duration, step: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
    match tokio::time::timeout(stall, caught(step, work)).await {
        Ok(Caught::Returned(result)) => result,
        Ok(Caught::Panicked(e)) => Err(e),
        Err(_) => Err(Error::timed_out(format!("{step} did not end within {stall:?} and was interrupted"))),
    }
}
