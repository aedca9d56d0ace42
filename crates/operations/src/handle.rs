//! What a running step can say to its runner, and ask of it.

use crate::{
    operation::Handle,
    progress::Progress,
    runner::{Runner, lock},
    view::{Status, View},
};
use async_trait::async_trait;
use futures::StreamExt;
use mainstay_model::{Error, OperationId, Result};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(crate) struct StepHandle<W> {
    pub runner: Runner<W>,
    pub operation: OperationId,
    pub progress: Arc<Progress>,
    /// Never cancelled where there is no way back.
    pub cancel: CancellationToken,
    /// `db` steps and `finished` run inside a write; a child would wait for that very write.
    pub may_have_children: bool,
}

#[async_trait]
impl<W: Send + Sync + 'static> Handle for StepHandle<W> {
    fn progress(&self, part: Option<f64>, sentence: &str) {
        self.progress.say(part, sentence);
        self.runner.publish(&self.operation);
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn set_aside(&self, aside: bool) {
        if let Some(local) = lock(&self.runner.inner.local).get_mut(&self.operation) {
            local.is_aside = aside;
        }
        self.runner.wake();
    }

    async fn cancelled(&self) {
        self.cancel.cancelled().await
    }

    async fn child(&self, key: &str, kind: &str, state: serde_json::Value) -> Result<serde_json::Value> {
        if !self.may_have_children {
            return Err(Error::internal(format!("operation {}: only effect steps may have children", self.operation)));
        }
        let id = self.runner.child_of(&self.operation, key, kind, state).await?;
        self.runner.wake();
        self.follow(&id).await
    }
}

impl<W: Send + Sync + 'static> StepHandle<W> {
    /// Waits for a child and passes on what it says. It has its own deadline, so while it lives
    /// the parent is not stalled; while it is stuck the parent waits with it.
    async fn follow(&self, child: &OperationId) -> Result<serde_json::Value> {
        let mut views = Box::pin(self.runner.watch(child));
        let mut asked = false;
        loop {
            tokio::select! {
                view = views.next() => {
                    let Some(view) = view else { return Err(Error::internal(format!("child operation {child} vanished"))) };
                    if view.status.is_final() {
                        return self.outcome(view);
                    }
                    self.progress(Some(f64::from(view.percent) / 100.0), &said_by(&view));
                }
                () = self.cancel.cancelled(), if !asked => {
                    asked = true;
                    // A child past its point of no return refuses, and is waited for.
                    let _ = self.runner.cancel(child, "its parent").await;
                }
                () = tokio::time::sleep(self.runner.options().poll) => self.progress.touch(),
            }
        }
    }

    fn outcome(&self, view: View) -> Result<serde_json::Value> {
        if view.status == Status::Succeeded {
            return Ok(view.output);
        }
        self.progress.set_child_failed();
        let cancelled = || Error::conflict("child_cancelled", format!("{} ({}) was cancelled", view.kind, view.id));
        Err(view.error.clone().map_or_else(cancelled, |e| e.context(&view.kind)))
    }
}

pub(crate) fn said_by(child: &View) -> String {
    match child.status {
        Status::Stuck => format!("waits for {} ({}), which is {}", child.kind, child.id, child.sentence),
        _ => format!("{}: {}", child.kind, child.sentence),
    }
}
