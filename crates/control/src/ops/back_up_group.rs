//! Back up a group: one backup of each member, all of one point.
//!
//! The parts are operations of their own, each under its cluster's lock, submitted in the write that
//! submitted this one: either all members are taken or none. The agent brings their captures together
//! at one point. This operation waits for them, stops the others when one fails, and says what became
//! of the whole.

use super::together;
use crate::{App, groups, schedules};
use async_trait::async_trait;
use futures::future::{select_all, try_join_all};
use mainstay_model::{
    Error, GroupBackupId, Result,
    group::{GroupBackup, GroupBackupStatus, Part},
};
use mainstay_operations::{Cx, End, Operation, Status, Step, Tx, Undo, View, unknown_step};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub backup: GroupBackupId,
}

pub struct BackUpGroup;

/// How often all members are begun.
const ROUNDS: u32 = 3;
/// How a part ends that was right itself and met nobody.
const MISSED: [&str; 3] = ["group_incomplete", "group_broken", "hold_lost"];

#[async_trait]
impl Operation for BackUpGroup {
    type World = App;
    type State = State;
    const KIND: &'static str = "back_up_group";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("parts", "Back up every member at one point", Undo::With),
        Step::db("record", "Record the group's backup", Undo::Nothing("its row says how it ended")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "parts" => parts(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => record(cx, tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "parts" => end_all(cx, &load(cx, s).await?).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        let why = match end {
            End::Succeeded => return Ok(()),
            End::Failed(e) | End::Stuck(e) => e.message.clone(),
            End::Cancelled => "cancelled".into(),
            End::Abandoned => "abandoned".into(),
        };
        settle(cx, tx, s, Some(why)).await
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "group_backup": s.backup })
    }
}

async fn load(cx: &Cx<App>, s: &State) -> Result<GroupBackup> {
    store::groups::backup(&mut *cx.world.store.read().await?, &s.backup).await
}

/// Waits for all, and begins anew with all where they could not meet: a part that was stored before
/// Mainstay was killed has no other part of its point.
async fn parts(cx: &Cx<App>, s: &State) -> Result<()> {
    let mut whole = load(cx, s).await?;
    loop {
        let members: Vec<_> = whole.parts.iter().map(|part| part.operation.clone()).collect();
        let Err(e) = together::waiting(cx, &members, together(cx, &whole)).await else { return Ok(()) };
        end_all(cx, &whole).await?;
        if !MISSED.contains(&e.code.as_str()) || whole.round + 1 >= ROUNDS {
            return Err(Error::failed("part_failed", e.message));
        }
        whole = groups::begin_anew(&cx.world, &whole, cx.operation.as_str()).await?;
    }
}

/// The first that does not succeed is the error: the others would only wait for it.
async fn together(cx: &Cx<App>, whole: &GroupBackup) -> Result<()> {
    let mut left: Vec<_> = whole.parts.iter().map(|part| Box::pin(outcome(cx, part))).collect();
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

async fn outcome(cx: &Cx<App>, part: &Part) -> Result<()> {
    let view = cx.world.runner.wait(&part.operation).await?;
    if view.status == Status::Succeeded {
        return Ok(());
    }
    let code = view.error.as_ref().map_or("part_failed", |e| e.code.as_str());
    Err(Error::failed(code, format!("the backup of {} ended {}: {}", part.cluster_name, word(&view), view.sentence)))
}

fn word(view: &View) -> &'static str {
    match view.status {
        Status::Stuck => "stuck",
        Status::Cancelled => "cancelled",
        _ => "failed",
    }
}

/// None of the parts works on after this.
async fn end_all(cx: &Cx<App>, whole: &GroupBackup) -> Result<()> {
    try_join_all(whole.parts.iter().map(|part| together::end(cx, &part.operation))).await.map(drop)
}

async fn record(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    settle(cx, tx, s, None).await
}

/// Complete only when each part is.
async fn settle(cx: &Cx<App>, tx: &mut Tx, s: &State, why: Option<String>) -> Result<()> {
    let mut whole = store::groups::backup(tx, &s.backup).await?;
    (whole.status, whole.finished_at) = (GroupBackupStatus::Failed, Some(cx.world.now()));
    (whole.met, whole.error) = (why.is_none(), why);
    let whole = groups::judged(tx, whole).await?.whole;
    store::groups::update_backup(tx, &whole).await?;
    schedules::let_go(&cx.world, tx, whole.schedule.as_ref()).await
}
