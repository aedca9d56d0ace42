//! Restore a group: every member is brought to the point of the group's backup, or all keep what
//! they had.
//!
//! The restores are operations of their own, each under its cluster's lock, submitted in the write
//! that submitted this one. When one of them fails, those that had replaced a cluster's data are
//! undone: members at different points are what a group is there to rule out. New clusters that were
//! made stay, and are named.

use super::undo_restore::{self, UndoRestore};
use crate::App;
use async_trait::async_trait;
use futures::future::{select_all, try_join_all};
use mainstay_model::{
    Error, GroupBackupId, OperationId, RestoreId, Result,
    restore::{Restore, RestoreStatus},
};
use mainstay_operations::{Cx, Lock, Operation, Status, Step, Tx, Undo, unknown_step};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct One {
    pub restore: RestoreId,
    pub target: String,
    pub operation: OperationId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub backup: GroupBackupId,
    pub restores: Vec<One>,
}

pub struct RestoreGroup;

#[async_trait]
impl Operation for RestoreGroup {
    type World = App;
    type State = State;
    const KIND: &'static str = "restore_group";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[Step::effect("members", "Restore every member", Undo::With)];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "members" => members(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _: &Cx<App>, _: &mut Tx, _: &mut State) -> Result<()> {
        Err(unknown_step(Self::KIND, step))
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "members" => take_back(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "group_backup": s.backup, "restores": s.restores.iter().map(|r| &r.restore).collect::<Vec<_>>() })
    }
}

async fn members(cx: &Cx<App>, s: &State) -> Result<()> {
    let mut left: Vec<_> = s.restores.iter().map(|one| Box::pin(outcome(cx, one))).collect();
    while !left.is_empty() {
        let (ended, _, rest) = tokio::select! {
            ended = select_all(left) => ended,
            () = cx.cancelled() => return Err(Error::conflict("cancelled", "cancelled")),
        };
        ended?;
        left = rest;
    }
    Ok(())
}

async fn outcome(cx: &Cx<App>, one: &One) -> Result<()> {
    let view = cx.world.runner.wait(&one.operation).await?;
    if view.status == Status::Succeeded {
        return Ok(());
    }
    let sentence = format!("the restore to {} ({}) did not succeed: {}", one.target, one.operation, view.sentence);
    Err(Error::failed("member_failed", sentence))
}

async fn take_back(cx: &Cx<App>, s: &State) -> Result<()> {
    try_join_all(s.restores.iter().map(|one| end(cx, &one.operation))).await?;
    for one in &s.restores {
        let restore = store::restores::get(&mut *cx.world.store.read().await?, &one.restore).await?;
        if restore.in_place && restore.status == RestoreStatus::Completed {
            undo(cx, &restore).await?;
        }
    }
    Ok(())
}

/// Cancelled where it can be, waited for where it cannot.
async fn end(cx: &Cx<App>, operation: &OperationId) -> Result<()> {
    let _ = cx.world.runner.cancel(operation, cx.operation.as_str()).await;
    let view = cx.world.runner.wait(operation).await?;
    if view.status != Status::Stuck {
        return Ok(());
    }
    let sentence = format!("{operation} is stuck: {}; choose for it first, then retry this", view.sentence);
    Err(Error::failed("member_stuck", sentence))
}

async fn undo(cx: &Cx<App>, restore: &Restore) -> Result<()> {
    let (Some(aside), Some(node)) = (restore.previous_label.clone(), restore.previous_node.clone()) else {
        let sentence = format!("the data of {} from before the restore is gone; restore its safety backup", restore.target_name);
        return Err(Error::failed("nothing_aside", sentence));
    };
    let cluster = store::clusters::get(&mut *cx.world.store.read().await?, &restore.target).await?;
    let state = undo_restore::State { cluster: cluster.id.clone(), restore: restore.id.clone(), node, aside };
    let submit = super::submission::<UndoRestore>(&state, Some(super::subject(&cluster)), Lock::Exclusive, cx.operation.as_str())?;
    let operation = match cx.world.runner.submit(submit).await {
        Ok(operation) => operation,
        // Held, it may be by the one that an earlier try of this step began.
        Err(e) => e.operation.as_deref().and_then(OperationId::parse).ok_or(e)?,
    };
    let view = cx.world.runner.wait(&operation).await?;
    let now = store::restores::get(&mut *cx.world.store.read().await?, &restore.id).await?;
    if now.status == RestoreStatus::Undone {
        return Ok(());
    }
    Err(Error::failed("undo_failed", format!("the data of {} could not be brought back: {}", restore.target_name, view.sentence)))
}
