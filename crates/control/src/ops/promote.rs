//! Planned promotion: stop writes, wait for the position, promote, follow, back up.
//!
//! Never promote first: from the moment writes stop on the old primary until the new one holds its
//! last position nothing can be acknowledged that would be lost. Until `promote` everything can be
//! taken back; after it the way is forward only, and the way back is another promotion.

use super::serving;
use crate::{
    App,
    app::act,
    backups, plan,
    routes::{self, Lead},
    tasks::observe,
    topology::Topology,
};
use async_trait::async_trait;
use mainstay_model::{
    ClusterId, NodeId, Result, Time,
    backup::{BackupKind, ReadFrom},
    node::Position,
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{Follow, Promote as PromoteVerb, ResumeWrites, StopWrites, WaitFor};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub old: NodeId,
    pub position: Option<Position>,
    pub held_at: Option<Time>,
    pub opened_at: Option<Time>,
    /// A hand-over inside another operation needs no backup of its own.
    pub with_backup: bool,
    pub backup: Option<mainstay_model::BackupId>,
}

pub struct Promote;

const FORWARD: Undo = Undo::Nothing("past the point of no return; promote the old primary to go back");

#[async_trait]
impl Operation for Promote {
    type World = App;
    type State = State;
    const KIND: &'static str = "promote";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("check", "Check that the node is healthy, connected and close enough", Undo::Nothing("only looks")),
        Step::effect("hold", "Hold new connections at the endpoint", Undo::With),
        Step::effect("stop_writes", "Stop writes on the old primary and note its position", Undo::With),
        Step::effect("wait_for_position", "Wait until the node holds that position", Undo::Nothing("only waits")),
        Step::effect("promote", "Make the node the primary", FORWARD).no_return(),
        Step::db("record", "Record the new primary", FORWARD),
        Step::effect("open_endpoint", "Lead clients to the new primary", FORWARD),
        Step::effect("follow", "Make every other node follow it", FORWARD),
        Step::effect("wait_running", "Wait until every node runs", FORWARD),
        Step::effect("back_up", "Back up the new primary", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "check" => check(cx, s).await,
            "hold" => hold(cx, s).await,
            "stop_writes" => stop_writes(cx, s).await,
            "wait_for_position" => wait_for_position(cx, s).await,
            "promote" => promote(cx, s).await,
            "open_endpoint" => open(cx, s).await,
            "follow" => follow(cx, s).await,
            "wait_running" => serving::wait_running(cx, &s.cluster).await,
            "back_up" => back_up(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => {
                let mut cluster = store::clusters::get(tx, &s.cluster).await?;
                cluster.primary = Some(s.node.clone());
                store::clusters::update(tx, &cluster).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        match step {
            "hold" => routes::lead(cx, &topology, &Lead::Roles { without: vec![] }).await.map(drop),
            "stop_writes" => act(cx, ResumeWrites { plan: topology.plan(topology.node(&s.old)?)? }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        let gap = s.opened_at.zip(s.held_at).map(|(o, h)| o.seconds_since(h));
        serde_json::json!({ "cluster": s.cluster, "node": s.node, "gap_seconds": gap, "backup": s.backup })
    }
}

async fn check(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    may_promote(&cx.world, &topology, &s.node).await.map(drop)
}

/// The preflight, also asked before the operation is submitted. The answer is the lag in bytes.
pub async fn may_promote(app: &App, topology: &Topology, node: &NodeId) -> Result<u64> {
    observe::look(app, topology).await?;
    let candidate = topology.node(node)?;
    let primary = topology.primary()?;
    plan::candidate::may_promote(
        &candidate.name,
        &app.observed(&candidate.id),
        &app.observed(&primary.id),
        app.options.promote_max_lag_bytes,
    )
}

async fn hold(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    s.held_at.get_or_insert(cx.world.now());
    routes::lead(cx, &topology, &Lead::Hold).await.map(drop)
}

/// Clients are cut off first: engines forget in time, or with a restart, that writes were stopped,
/// and this operation may be interrupted for longer than that.
async fn stop_writes(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    routes::lead(cx, &topology, &Lead::HoldAndCutWriters).await?;
    let stopped = act(cx, StopWrites { plan: topology.plan(topology.node(&s.old)?)? }).await?;
    s.position = Some(stopped.position);
    Ok(())
}

async fn wait_for_position(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let position = s.position.clone().ok_or_else(|| mainstay_model::Error::internal("no position was noted"))?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    act(cx, WaitFor { plan, position, timeout_ms: cx.world.options.catch_up_ms }).await.map(drop)
}

async fn promote(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    act(cx, PromoteVerb { plan, replicas: topology.others(&s.node)? }).await.map(drop)
}

async fn open(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    // The old primary does not follow yet: readers are led past it until it does.
    routes::lead(cx, &topology, &Lead::Roles { without: vec![s.old.clone()] }).await?;
    s.opened_at.get_or_insert(cx.world.now());
    Ok(())
}

async fn follow(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let upstream = topology.peer(topology.node(&s.node)?)?;
    let follows = topology.replicas().map(|n| Ok(Follow { plan: topology.plan(n)?, upstream: upstream.clone() }));
    let follows = follows.collect::<Result<Vec<_>>>()?;
    futures::future::try_join_all(follows.into_iter().map(|f| act(cx, f))).await?;
    routes::lead_by_role(cx, &s.cluster).await.map(drop)
}

async fn back_up(cx: &Cx<App>, s: &mut State) -> Result<()> {
    if !s.with_backup {
        return Ok(());
    }
    let description = "after the promotion".to_string();
    let id = backups::child(
        cx,
        &s.cluster,
        "backup",
        BackupKind::Promotion,
        description,
        Some(backups::DEFAULT_RETENTION_DAYS),
        ReadFrom::Primary,
    )
    .await?;
    s.backup = Some(id);
    Ok(())
}
