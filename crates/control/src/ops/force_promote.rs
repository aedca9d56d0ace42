//! Promotion of a node that may lack what was acknowledged: the primary is gone, hangs, or is too far ahead,
//! and a person gave up what it alone holds.
//!
//! The old primary is fenced first, by the agent and in the store: killed, and started by nothing before its
//! data was replaced. So there is no moment with two that take writes, and nothing it holds comes back
//! unasked. Fencing can be taken back, until the new primary takes writes; from then on the way is forward
//! only. A replica that has more than the new primary cannot follow it, and is fenced as well.

use super::serving;
use crate::{
    App,
    app::act,
    backups, plan,
    plan::candidate::Loss,
    routes::{self, Lead},
    tasks::observe,
    topology::Topology,
};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, ClusterId, NodeId, Result, Time,
    backup::{BackupKind, ReadFrom},
    node::{EngineState, Node, NodeStatus},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{FenceNode, Follow, Promote as PromoteVerb, ReleaseFence, StartNode};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub old: NodeId,
    /// What the plan said may be lost.
    pub expected: Loss,
    /// What is known to be lost, measured when the old primary could take nothing any more.
    pub lost: Option<Loss>,
    /// Whether the old primary ran.
    pub ran: bool,
    /// Replicas that have more than the new primary.
    pub ahead: Vec<NodeId>,
    pub held_at: Option<Time>,
    pub opened_at: Option<Time>,
    pub backup: Option<BackupId>,
}

pub struct ForcePromote;

const FORWARD: Undo = Undo::Nothing("past the point of no return; the old primary is let back by a resync");

#[async_trait]
impl Operation for ForcePromote {
    type World = App;
    type State = State;
    const KIND: &'static str = "force_promote";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("check", "Check that the node can take over", Undo::Nothing("only looks")),
        Step::effect("hold", "Hold connections at the endpoint and cut open ones", Undo::With),
        Step::effect("fence", "Kill the old primary, and keep it from starting", Undo::With),
        Step::effect("measure", "Note what the other nodes hold", Undo::Nothing("only looks")),
        Step::effect("promote", "Make the node the primary", FORWARD).no_return(),
        Step::db("record", "Record the new primary and who is fenced", FORWARD),
        Step::effect("open_endpoint", "Lead clients to the new primary", FORWARD),
        Step::effect("follow", "Make the other nodes follow it", FORWARD),
        Step::effect("wait_running", "Wait until every node runs that is not fenced", FORWARD),
        Step::effect("back_up", "Back up the new primary", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "check" => check(cx, s).await,
            "hold" => hold(cx, s).await,
            "fence" => fence(cx, s).await,
            "measure" => measure(cx, s).await,
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
            "record" => record(tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        match step {
            "hold" => routes::lead(cx, &topology, &Lead::Roles { without: vec![] }).await.map(drop),
            "fence" => unfence(cx, &topology, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        let gap = s.opened_at.zip(s.held_at).map(|(o, h)| o.seconds_since(h));
        serde_json::json!({
            "cluster": s.cluster, "node": s.node, "gap_seconds": gap, "backup": s.backup,
            "fenced": std::iter::once(&s.old).chain(&s.ahead).collect::<Vec<_>>(),
            "lost": s.lost.as_ref().unwrap_or(&s.expected),
        })
    }
}

/// What may be lost by it, as far as that is known; refused where the node cannot take over at all. Also
/// asked before the operation is submitted.
pub async fn may_force(app: &App, topology: &Topology, node: &NodeId) -> Result<Loss> {
    observe::look(app, topology).await?;
    let candidate = topology.node(node)?;
    plan::candidate::may_force(candidate, &app.observed(node), app.last_position(&topology.primary()?.id).as_ref(), app.now())
}

async fn check(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    s.expected = may_force(&cx.world, &topology, &s.node).await?;
    s.ran = !matches!(cx.world.observed(&s.old).state, EngineState::Stopped | EngineState::Crashed);
    Ok(())
}

async fn hold(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    s.held_at.get_or_insert(cx.world.now());
    routes::lead(cx, &topology, &Lead::HoldAndCutWriters).await.map(drop)
}

/// One last look: if the old primary still answers, where it stands is known to the end.
async fn fence(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    observe::look(&cx.world, &topology).await?;
    act(cx, FenceNode { node: s.old.clone() }).await.map(drop)
}

/// As it was: whoever ran runs again, whoever did not is left to what brings clusters up.
async fn unfence(cx: &Cx<App>, topology: &Topology, s: &State) -> Result<()> {
    act(cx, ReleaseFence { node: s.old.clone() }).await?;
    if s.ran {
        act(cx, StartNode { plan: topology.plan(topology.node(&s.old)?)? }).await?;
    }
    Ok(())
}

/// The old primary takes nothing any more: what its last look showed and this node lacks is lost for sure.
async fn measure(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    s.lost = Some(may_force(&cx.world, &topology, &s.node).await?);
    let here = cx.world.observed(&s.node).position;
    let ahead = |n: &&Node| {
        let theirs = cx.world.observed(&n.id).position;
        here.as_ref().zip(theirs.as_ref()).is_some_and(|(here, theirs)| here.behind(theirs).is_none_or(|bytes| bytes > 0))
    };
    s.ahead = topology.replicas().filter(|n| n.id != s.node).filter(ahead).map(|n| n.id.clone()).collect();
    Ok(())
}

async fn promote(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    let follow = |n: &NodeId| n != &s.old && !s.ahead.contains(n);
    let replicas = topology.others(&s.node)?.into_iter().filter(|peer| follow(&peer.node)).collect();
    act(cx, PromoteVerb { plan, replicas }).await.map(drop)
}

async fn record(tx: &mut Tx, s: &State) -> Result<()> {
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    cluster.primary = Some(s.node.clone());
    store::clusters::update(tx, &cluster).await?;
    for id in std::iter::once(&s.old).chain(&s.ahead) {
        let node = store::nodes::get(tx, id).await?;
        store::nodes::update(tx, &Node { phase: Some(NodeStatus::Fenced), ..node }).await?;
    }
    Ok(())
}

async fn open(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    // Readers are led past the others until they follow.
    let without = topology.replicas().map(|n| n.id.clone()).collect();
    routes::lead(cx, &topology, &Lead::Roles { without }).await?;
    s.opened_at.get_or_insert(cx.world.now());
    Ok(())
}

async fn follow(cx: &Cx<App>, s: &State) -> Result<()> {
    for node in &s.ahead {
        act(cx, FenceNode { node: node.clone() }).await?;
    }
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let upstream = topology.peer(topology.node(&s.node)?)?;
    let follows = topology.replicas().map(|n| Ok(Follow { plan: topology.plan(n)?, upstream: upstream.clone() }));
    let follows = follows.collect::<Result<Vec<_>>>()?;
    futures::future::try_join_all(follows.into_iter().map(|f| act(cx, f))).await?;
    routes::lead_by_role(cx, &s.cluster).await.map(drop)
}

async fn back_up(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let (days, what) = (Some(backups::DEFAULT_RETENTION_DAYS), "after a promotion that may have lost writes".to_string());
    let id = backups::child(cx, &s.cluster, "backup", BackupKind::Promotion, what, days, ReadFrom::Primary).await?;
    s.backup = Some(id);
    Ok(())
}
