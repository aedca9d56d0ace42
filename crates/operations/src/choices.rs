//! What people may decide about an operation: cancel it while it can be undone, and retry, skip
//! or abandon once it is stuck.

use crate::{
    handle::StepHandle,
    journal,
    next::{to_do, to_undo},
    operation::{Cx, End},
    progress::Progress,
    record::{Ending, Record},
    recovery::fitting,
    runner::{Runner, lock},
    step::within,
    view::{Status, StepStatus, View},
};
use futures::FutureExt;
use mainstay_model::{Error, OperationId, Result};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

impl<W: Send + Sync + 'static> Runner<W> {
    /// Asks for the operation to be undone. A second time it changes nothing.
    pub async fn cancel(&self, id: &OperationId, requested_by: &str) -> Result<View> {
        let (wanted, by) = (id.clone(), requested_by.to_string());
        self.write(move |tx| {
            let (id, by) = (wanted.clone(), by.clone());
            async move {
                cancellable(&read(tx, &id).await?)?;
                journal::set_cancelled(tx, &id, &by).await.map_err(journal::store_error)
            }
            .boxed()
        })
        .await?;
        if let Some(run) = lock(&self.inner.local).get(id) {
            run.cancel.cancel();
        }
        tracing::info!(operation = %id, requested_by, "operation is to be cancelled");
        self.changed(id).await
    }

    /// Runs the stuck step, or undo, again.
    pub async fn retry(&self, id: &OperationId, requested_by: &str) -> Result<View> {
        let by = requested_by.to_string();
        self.choose(id, move |runner, r| {
            fitting(r, runner.entry(&r.kind))?;
            go_on(r, format!("tried again by {by}"));
            Ok(())
        })
        .await
    }

    /// Goes on as if the stuck step, or undo, were done: somebody did it by hand.
    pub async fn skip(&self, id: &OperationId, requested_by: &str) -> Result<View> {
        let by = requested_by.to_string();
        self.choose(id, move |runner, r| {
            let entry = fitting(r, runner.entry(&r.kind))?;
            let at = if r.ending.is_some() { to_undo(r, entry.steps()) } else { to_do(r) };
            let nothing =
                || Error::conflict("nothing_to_skip", format!("{} ({}) has no step left to skip; retry or abandon it", r.kind, r.id));
            let step = &mut r.steps[at.ok_or_else(nothing)?];
            (step.status, step.finished_at) = (StepStatus::Skipped, Some(runner.now()));
            let sentence = format!("{} skipped by {by}", step.name);
            go_on(r, sentence);
            Ok(())
        })
        .await
    }

    async fn choose(
        &self,
        id: &OperationId,
        choice: impl Fn(&Runner<W>, &mut Record) -> Result<()> + Send + Sync + Clone + 'static,
    ) -> Result<View> {
        let (me, wanted) = (self.clone(), id.clone());
        self.write(move |tx| {
            let (me, id, choice) = (me.clone(), wanted.clone(), choice.clone());
            async move {
                let mut record = stuck(read(tx, &id).await?)?;
                choice(&me, &mut record)?;
                me.replace(tx, record.generation, &record).await
            }
            .boxed()
        })
        .await?;
        let view = self.changed(id).await?;
        tracing::info!(operation = %id, "{}", view.sentence);
        Ok(view)
    }

    /// Gives a stuck operation up: it ends as failed, leaves the world as it is, and its lock is free.
    pub async fn abandon(&self, id: &OperationId, requested_by: &str) -> Result<View> {
        if let Some(child) = self.inner.journal.active_children(id).await?.first() {
            let why = format!("its child {} ({}) has not ended; abandon that first", child.kind, child.id);
            return Err(Error::conflict("child_active", why).with_operation(child.id.as_str()));
        }
        let (me, wanted, by) = (self.clone(), id.clone(), requested_by.to_string());
        self.write(move |tx| {
            let (me, id, by) = (me.clone(), wanted.clone(), by.clone());
            async move { me.abandon_in(tx, &id, &by).await }.boxed()
        })
        .await?;
        tracing::warn!(operation = %id, requested_by, "operation was abandoned");
        self.changed(id).await
    }

    async fn abandon_in(&self, tx: &mut crate::Tx, id: &OperationId, by: &str) -> Result<()> {
        let mut record = stuck(read(tx, id).await?)?;
        let generation = record.generation;
        record.generation = journal::next_generation(tx, self.now()).await.map_err(journal::store_error)?;
        // An operation nobody can read has nothing to note, and must not hold its lock for ever.
        if let Ok(entry) = fitting(&record, self.entry(&record.kind)) {
            let cx = self.bare_cx(&record)?;
            within(self.options().stall, "finished", entry.finished(End::Abandoned, &cx, tx, &mut record.state)).await?;
        }
        let why = record.stuck_error.take().map_or_else(String::new, |e| format!(": {e}"));
        record.error = Some(Error::failed("abandoned", format!("abandoned by {by} while it was stuck{why}")));
        record.status = Status::Failed;
        record.sentence = format!("abandoned by {by}");
        record.finished_at = Some(self.now());
        self.replace(tx, generation, &record).await
    }

    async fn replace(&self, tx: &mut crate::Tx, generation: i64, record: &Record) -> Result<()> {
        let saved = journal::save(tx, generation, record).await.map_err(|e| self.write_error(e))?;
        saved.map(|_| ()).ok_or_else(|| Error::unavailable(journal::BUSY, "the operation was changed by somebody else; try again"))
    }

    fn bare_cx(&self, record: &Record) -> Result<Cx<W>> {
        let world = self.world().ok_or_else(|| Error::unavailable("stopping", "Mainstay is starting or stopping; try again"))?;
        Ok(Cx {
            world,
            operation: record.id.clone(),
            generation: record.generation,
            requested_by: record.requested_by.clone(),
            handle: Arc::new(StepHandle {
                runner: self.clone(),
                operation: record.id.clone(),
                progress: Arc::new(Progress::default()),
                cancel: CancellationToken::new(),
                may_have_children: false,
            }),
        })
    }

    async fn changed(&self, id: &OperationId) -> Result<View> {
        self.publish(id);
        self.wake();
        self.get(id).await
    }
}

async fn read(tx: &mut crate::Tx, id: &OperationId) -> Result<Record> {
    let found = journal::load(tx, id).await.map_err(journal::store_error)?;
    found.ok_or_else(|| Error::not_found("operation", id.as_str()))
}

fn go_on(r: &mut Record, sentence: String) {
    r.status = if r.ending.is_some() { Status::Unwinding } else { Status::Running };
    r.stuck_error = None;
    r.sentence = sentence;
    r.release();
}

fn stuck(r: Record) -> Result<Record> {
    if r.status == Status::Stuck {
        return Ok(r);
    }
    let why = format!("{} ({}) is {}, and only a stuck operation can be retried, skipped or abandoned", r.kind, r.id, r.status.as_str());
    Err(Error::conflict("not_stuck", why))
}

fn cancellable(r: &Record) -> Result<()> {
    let name = format!("{} ({})", r.kind, r.id);
    let refuse = |code, why| Err(Error::conflict(code, why));
    match r.status {
        s if s.is_final() => refuse("already_finished", format!("{name} has already ended: it {}", past(s))),
        Status::Stuck => refuse("stuck", format!("{name} is stuck; choose retry, skip or abandon instead")),
        _ if r.ending == Some(Ending::Failed) => refuse("already_unwinding", format!("{name} failed and is being undone already")),
        _ if r.past_return => refuse("past_no_return", format!("{name} is past its point of no return and only goes forward")),
        _ => Ok(()),
    }
}

fn past(status: Status) -> &'static str {
    match status {
        Status::Succeeded => "succeeded",
        Status::Cancelled => "was cancelled",
        _ => "failed",
    }
}
