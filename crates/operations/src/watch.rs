//! Watching: the journal is the truth, and a broadcast only says when to read it again.
//!
//! So a watcher that was slow misses nothing that matters, and one in another process than the
//! run sees the same, a poll later.

use crate::{
    runner::Runner,
    view::{Status, View},
};
use futures::{Stream, StreamExt, stream};
use mainstay_model::{Error, Kind, OperationId, Result};
use std::time::Duration;
use tokio::{
    sync::broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
    time::Instant,
};

/// The least time between two reads: talkative steps are not worth a read for each word.
const SPACING: Duration = Duration::from_millis(50);

struct Watch<W> {
    runner: Runner<W>,
    id: OperationId,
    changes: broadcast::Receiver<OperationId>,
    last: Option<View>,
    read_at: Option<Instant>,
}

impl<W: Send + Sync + 'static> Runner<W> {
    /// The current view, then one whenever something changed; ends after a final one. A stuck
    /// operation is not final. Ends at once where there is no such operation.
    pub fn watch(&self, id: &OperationId) -> impl Stream<Item = View> + Send + use<W> {
        let start = Watch { runner: self.clone(), id: id.clone(), changes: self.inner.changes.subscribe(), last: None, read_at: None };
        stream::unfold(start, |mut watch| async move { watch.next().await.map(|view| (view, watch)) })
    }

    /// Waits until the operation has ended or is stuck.
    pub async fn wait(&self, id: &OperationId) -> Result<View> {
        self.get(id).await?;
        let mut views = Box::pin(self.watch(id));
        while let Some(view) = views.next().await {
            if view.status.is_final() || view.status == Status::Stuck {
                return Ok(view);
            }
        }
        Err(Error::not_found("operation", id.as_str()))
    }
}

impl<W: Send + Sync + 'static> Watch<W> {
    async fn next(&mut self) -> Option<View> {
        if self.last.as_ref().is_some_and(|last| last.status.is_final()) {
            return None;
        }
        loop {
            match self.read().await {
                Ok(view) if self.last.as_ref() != Some(&view) => {
                    self.last = Some(view.clone());
                    return Some(view);
                }
                Err(e) if e.kind == Kind::NotFound => return None,
                // A store that does not answer for a while is not the end of the operation.
                Ok(_) | Err(_) => self.change().await,
            }
        }
    }

    /// One read answers for everything that was said until then.
    async fn read(&mut self) -> Result<View> {
        if let Some(at) = self.read_at {
            tokio::time::sleep_until(at + SPACING.min(self.runner.options().poll)).await;
        }
        while matches!(self.changes.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        self.read_at = Some(Instant::now());
        self.runner.get(&self.id).await
    }

    async fn change(&mut self) {
        let poll = tokio::time::sleep(self.runner.options().poll);
        tokio::pin!(poll);
        loop {
            tokio::select! {
                () = &mut poll => return,
                change = self.changes.recv() => match change {
                    Ok(id) if id != self.id => {}
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    // The runner is gone; only the poll is left.
                    Err(RecvError::Closed) => return (&mut poll).await,
                },
            }
        }
    }
}
