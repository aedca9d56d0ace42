//! Restore a group: clients see every member at the point of the group's backup, or every member as
//! it was.
//!
//! The restores are operations of their own, each under its cluster's lock, submitted in the write
//! that submitted this one. They keep step ([`super::together`]): until this operation has written
//! down that all go on, each of them can turn back and none has let a client in. New clusters wait with
//! their endpoints closed, and are gone again where another one fails.

use super::together::{self, GATHER, MEET};
use crate::App;
use async_trait::async_trait;
use futures::future::try_join_all;
use mainstay_model::{Error, GroupBackupId, OperationId, RestoreId, Result};
use mainstay_operations::{Cx, End, Operation, Status, Step, Tx, Undo, unknown_step};
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
    /// Under which the members know each other.
    pub party: String,
    pub restores: Vec<One>,
}

pub struct RestoreGroup;

const DECIDED: Undo = Undo::Nothing("members turn back with the step before");

#[async_trait]
impl Operation for RestoreGroup {
    type World = App;
    type State = State;
    const KIND: &'static str = "restore_group";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("beside", "Restore every member beside its live data", Undo::With),
        Step::db("may_swap", "Let all swap their data in, clients held", DECIDED),
        Step::effect("swapped", "Wait until every member has", Undo::With),
        Step::db("go_on", "Let clients of all in", DECIDED).no_return(),
        Step::effect("members", "Wait until every member runs", Undo::Nothing("past the point of no return")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "beside" => together::all_at(cx, &operations(s), GATHER).await,
            "swapped" => together::all_at(cx, &operations(s), MEET).await,
            "members" => {
                let all = try_join_all(s.restores.iter().map(|one| outcome(cx, one)));
                together::waiting(cx, &operations(s), all).await.map(drop)
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "may_swap" => together::may_swap(tx, &s.party).await,
            "go_on" => together::must_go_on(tx, &s.party).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "beside" | "swapped" => try_join_all(s.restores.iter().map(|one| turn_back(cx, one))).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, _: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match end {
            // What is stuck may be tried again: its members wait.
            End::Succeeded | End::Stuck(_) => Ok(()),
            End::Failed(_) | End::Cancelled | End::Abandoned => together::give_up(tx, &s.party).await,
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "group_backup": s.backup, "restores": s.restores.iter().map(|r| &r.restore).collect::<Vec<_>>() })
    }
}

fn operations(s: &State) -> Vec<OperationId> {
    s.restores.iter().map(|one| one.operation.clone()).collect()
}

async fn outcome(cx: &Cx<App>, one: &One) -> Result<()> {
    let view = cx.world.runner.wait(&one.operation).await?;
    if view.status == Status::Succeeded {
        return Ok(());
    }
    let sentence = format!("the restore to {} ({}) did not succeed: {}", one.target, one.operation, view.sentence);
    Err(Error::failed("member_failed", sentence))
}

async fn turn_back(cx: &Cx<App>, one: &One) -> Result<()> {
    let view = together::end(cx, &one.operation).await?;
    if view.status != Status::Stuck {
        return Ok(());
    }
    let sentence =
        format!("the restore to {} ({}) is stuck: {}; choose for it first, then retry this", one.target, one.operation, view.sentence);
    Err(Error::failed("member_stuck", sentence))
}
