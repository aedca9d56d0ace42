//! Add a replica: it is seeded from the primary, catches up, and only then serves.

use super::placing::{self, Placing};
use crate::{App, app::act, routes, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{
    ClusterId, NodeId, Result,
    cluster::{Mode, SocketAddress},
    node::{Node, NodeStatus},
};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{JoinNode, LeaveNode, PrepareNode, RemoveNode};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub default_port: u16,
    pub placing: Placing,
    /// What the cluster was before, for an undo.
    pub mode_before: Mode,
    pub had_read_only: bool,
}

pub struct AddNode;

#[async_trait]
impl Operation for AddNode {
    type World = App;
    type State = State;
    const KIND: &'static str = "add_node";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("reserve", "Give the node its number and address", Undo::Nothing("given back when the operation ends")),
        Step::effect("find_ports", "Find free ports", Undo::Nothing("only looks")),
        Step::db("record_addresses", "Record the addresses", Undo::Nothing("removed when the operation ends")),
        Step::effect("prepare_node", "Make the node's directory", Undo::With),
        Step::effect("seed", "Seed the node from the primary and let it catch up", Undo::With),
        Step::db("ready", "Mark the node as serving", Undo::With),
        Step::effect("open_endpoint", "Lead readers to the node", Undo::With),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "find_ports" => s.placing.find_ports(cx).await,
            "prepare_node" => prepare(cx, s).await,
            "seed" => seed(cx, s).await,
            "open_endpoint" => open(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "reserve" => reserve(cx, tx, s).await,
            "record_addresses" => record(tx, s).await,
            "ready" => set_node_phase(tx, s, None).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "prepare_node" => act(cx, RemoveNode { node: s.node.clone() }).await.map(drop),
            "seed" => leave(cx, s).await,
            "open_endpoint" => close(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        let _ = cx;
        match step {
            "ready" => set_node_phase(tx, s, Some(NodeStatus::Seeding)).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match end {
            End::Failed(_) | End::Cancelled | End::Abandoned => forget(tx, s).await,
            End::Succeeded | End::Stuck(_) => Ok(()),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "node": s.node })
    }
}

async fn reserve(cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    (s.mode_before, s.had_read_only) = (cluster.mode, cluster.read_only.is_some());
    s.placing.nodes = vec![(s.node.clone(), None)];
    let endpoints: &[&str] = if s.had_read_only { &[] } else { &["ro"] };
    s.placing.take(cx, tx, &s.cluster, s.default_port, endpoints).await?;
    let number = cluster.next_node;
    cluster.next_node += 1;
    cluster.mode = Mode::PrimaryReplica;
    store::clusters::update(tx, &cluster).await?;
    let node = Node {
        id: s.node.clone(),
        cluster: s.cluster.clone(),
        name: format!("{}-{number}", cluster.name),
        number,
        address: s.placing.address_of(&s.node)?,
        phase: Some(NodeStatus::Creating),
        created_at: cx.world.now(),
    };
    store::nodes::insert(tx, &node).await
}

async fn record(tx: &mut Tx, s: &State) -> Result<()> {
    let mut node = store::nodes::get(tx, &s.node).await?;
    node.address = s.placing.address_of(&s.node)?;
    node.phase = Some(NodeStatus::Seeding);
    store::nodes::update(tx, &node).await?;
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    cluster.read_only = cluster.read_only.or(s.placing.read_only.clone());
    store::clusters::update(tx, &cluster).await
}

async fn prepare(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    act(cx, PrepareNode { plan }).await.map(drop)
}

async fn seed(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    let upstream = topology.peer(topology.primary()?)?;
    act(cx, JoinNode { plan, upstream }).await.map(drop)
}

async fn leave(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let leaving = topology.peer(topology.node(&s.node)?)?;
    act(cx, RemoveNode { node: s.node.clone() }).await?;
    act(cx, LeaveNode { primary: topology.primary_plan()?, leaving }).await.map(drop)
}

async fn open(cx: &Cx<App>, s: &State) -> Result<()> {
    routes::lead_by_role(cx, &s.cluster).await?;
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    crate::tasks::observe::look(&cx.world, &topology).await.map(drop)
}

/// The route as it was without the node, before the node goes.
async fn close(cx: &Cx<App>, s: &State) -> Result<()> {
    let mut topology = Topology::load(&cx.world, &s.cluster).await?;
    if !s.had_read_only {
        topology.cluster.read_only = None;
    }
    routes::lead(cx, &topology, &routes::Lead::Roles { without: vec![s.node.clone()] }).await.map(drop)
}

async fn set_node_phase(tx: &mut Tx, s: &State, phase: Option<NodeStatus>) -> Result<()> {
    let mut node = store::nodes::get(tx, &s.node).await?;
    node.phase = phase;
    store::nodes::update(tx, &node).await
}

/// The number stays used up: numbers are never given twice.
async fn forget(tx: &mut Tx, s: &State) -> Result<()> {
    let endpoints: &[&str] = if s.had_read_only { &[] } else { &["ro"] };
    placing::release(tx, &s.cluster, std::slice::from_ref(&s.node), endpoints).await?;
    store::nodes::delete(tx, &s.node).await?;
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    cluster.mode = s.mode_before;
    if !s.had_read_only {
        cluster.read_only = None::<SocketAddress>;
    }
    store::clusters::update(tx, &cluster).await
}
