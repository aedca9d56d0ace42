//! Follows what changes and renders it.

use super::{Feed, objects};
use crate::Shared;
use mainstay_model::{OperationId, ProjectId, Result};
use mainstay_store::changes;
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    sync::broadcast::error::{RecvError, TryRecvError},
    time::Instant,
};

/// How often the notes are looked at: one small read.
const LOOK: Duration = Duration::from_millis(250);
/// How long it goes on for nobody: whoever reloads a page or changes networks comes back within it.
const LINGER: Duration = Duration::from_secs(60);
/// Changes that are read at once.
const BATCH: i64 = 500;

type Dirty = BTreeSet<(String, String, String)>;

pub async fn run(s: Shared) {
    let shutdown = s.shutdown.clone();
    let _ = shutdown
        .run_until_cancelled(async {
            loop {
                listen(&s).await
            }
        })
        .await;
}

/// From the first listener until the last one has been gone for a while.
async fn listen(s: &Shared) {
    s.feed.heard.notified().await;
    let Ok(mut seq) = start(s).await else { return tokio::time::sleep(LOOK).await };
    let mut operations = s.app.runner.changes();
    let mut observed = s.app.looks.subscribe();
    let mut alone_since = None;
    let mut moved: BTreeSet<OperationId> = BTreeSet::new();
    s.feed.following.send_replace(true);
    while !is_over(&s.feed, &mut alone_since) {
        let mut dirty = Dirty::new();
        if let Err(e) = noted(s, &mut seq, &mut dirty).await {
            tracing::debug!("what changed could not be read: {e}");
        }
        loop {
            match operations.try_recv() {
                Ok(id) => drop(moved.insert(id)),
                Err(TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        if let Ok(running) = s.app.runner.list(objects::active(), None, 500).await {
            moved.extend(running.items.into_iter().map(|v| v.id));
        }
        while let Ok((cluster, project)) = observed.try_recv() {
            dirty.insert(("cluster".into(), cluster.to_string(), project.to_string()));
        }
        for id in std::mem::take(&mut moved) {
            objects::operation(s, &id).await;
        }
        for (noun, id, project) in dirty {
            if let Some(project) = ProjectId::parse(&project) {
                objects::tell(s, &noun, &id, &project).await;
            }
        }
        wait(&mut operations, &mut moved).await;
    }
    s.feed.following.send_replace(false);
    s.feed.forget();
}

async fn start(s: &Shared) -> Result<i64> {
    changes::head(&mut *s.app.store.read().await?).await
}

/// An operation that moves is told of at once; everything else at the next look.
async fn wait(operations: &mut tokio::sync::broadcast::Receiver<OperationId>, moved: &mut BTreeSet<OperationId>) {
    match tokio::time::timeout(LOOK, operations.recv()).await {
        Ok(Ok(id)) => {
            moved.insert(id);
            // What moves fast is told of a few times a second.
            tokio::time::sleep(LOOK / 4).await;
        }
        Ok(Err(RecvError::Closed)) => tokio::time::sleep(LOOK).await,
        Ok(Err(RecvError::Lagged(_))) | Err(_) => {}
    }
}

async fn noted(s: &Shared, seq: &mut i64, dirty: &mut Dirty) -> Result<()> {
    let mut conn = s.app.store.read().await?;
    if changes::head(&mut conn).await? == *seq {
        return Ok(());
    }
    loop {
        let batch = changes::since(&mut conn, *seq, BATCH).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        *seq = last.seq;
        dirty.extend(batch.into_iter().map(|c| (c.noun, c.id, c.project)));
    }
}

fn is_over(feed: &Feed, alone_since: &mut Option<Instant>) -> bool {
    if feed.listeners() > 0 {
        *alone_since = None;
        return false;
    }
    alone_since.get_or_insert_with(Instant::now).elapsed() > LINGER
}
