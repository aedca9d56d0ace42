//! Deploy: addresses, directories, the primary, its replicas, the endpoint.
//!
//! The cluster's rows are written together with the operation, so that a taken name is refused at
//! once; if anything fails they go again, and nothing is left of it.

use super::placing::{self, Placing};
use crate::{App, app::act, routes, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{ClusterId, NodeId, Result};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{BootstrapNode, JoinNode, PrepareNode, RemoveNode};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub default_port: u16,
    pub placing: Placing,
    pub with_read_only: bool,
}

pub struct CreateCluster;

#[async_trait]
impl Operation for CreateCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "create_cluster";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("take_addresses", "Take an address for each node and endpoint", Undo::Nothing("given back when the operation ends")),
        Step::effect("find_ports", "Find free ports", Undo::Nothing("only looks")),
        Step::db("record_addresses", "Record the addresses", Undo::Nothing("removed when the operation ends")),
        Step::effect("prepare_nodes", "Make the nodes' directories", Undo::With),
        Step::effect("start_primary", "Set up and start the primary", Undo::Nothing("removed with the node")),
        Step::effect("seed_replicas", "Seed the replicas from the primary", Undo::Nothing("removed with the node")),
        Step::effect("open_endpoint", "Open the endpoint", Undo::With),
        Step::db("ready", "Mark the cluster as running", Undo::Nothing("removed when the operation ends")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "find_ports" => s.placing.find_ports(cx).await,
            "prepare_nodes" => prepare(cx, &s.cluster).await,
            "start_primary" => start_primary(cx, s).await,
            "seed_replicas" => seed_replicas(cx, &s.cluster).await,
            "open_endpoint" => open_endpoint(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "take_addresses" => take(cx, tx, s).await,
            "record_addresses" => record(tx, s).await,
            "ready" => ready(tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "prepare_nodes" => remove_nodes(cx, s).await,
            "open_endpoint" => routes::close(cx, &s.cluster).await,
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
        serde_json::json!({ "cluster": s.cluster })
    }
}

pub(super) async fn take(cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
    let nodes = store::nodes::of_cluster(tx, &s.cluster).await?;
    s.placing.nodes = nodes.into_iter().map(|n| (n.id, None)).collect();
    let endpoints: &[&str] = if s.with_read_only { &["rw", "ro"] } else { &["rw"] };
    s.placing.take(cx, tx, &s.cluster, s.default_port, endpoints).await
}

pub(super) async fn record(tx: &mut Tx, s: &State) -> Result<()> {
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    for mut node in store::nodes::of_cluster(tx, &s.cluster).await? {
        node.address = s.placing.address_of(&node.id)?;
        store::nodes::update(tx, &node).await?;
    }
    if let Some(rw) = &s.placing.read_write {
        cluster.read_write = rw.clone();
    }
    cluster.read_only = s.placing.read_only.clone();
    store::clusters::update(tx, &cluster).await
}

pub(super) async fn prepare(cx: &Cx<App>, cluster: &ClusterId) -> Result<()> {
    for plan in Topology::load(&cx.world, cluster).await?.plans()? {
        act(cx, PrepareNode { plan }).await?;
    }
    Ok(())
}

async fn start_primary(cx: &Cx<App>, s: &State) -> Result<()> {
    let plan = Topology::load(&cx.world, &s.cluster).await?.primary_plan()?;
    act(cx, BootstrapNode { plan }).await.map(drop)
}

pub(super) async fn seed_replicas(cx: &Cx<App>, cluster: &ClusterId) -> Result<()> {
    let topology = Topology::load(&cx.world, cluster).await?;
    let upstream = topology.peer(topology.primary()?)?;
    let joins = topology.replicas().map(|n| Ok(JoinNode { plan: topology.plan(n)?, upstream: upstream.clone() }));
    let joins = joins.collect::<Result<Vec<_>>>()?;
    futures::future::try_join_all(joins.into_iter().map(|j| act(cx, j))).await.map(drop)
}

/// The endpoint leads to nodes without a phase; those of a cluster being created get theirs taken
/// away only in `ready`, so the route is made from a copy without.
pub(super) async fn open_endpoint(cx: &Cx<App>, s: &State) -> Result<()> {
    let mut topology = Topology::load(&cx.world, &s.cluster).await?;
    topology.nodes.iter_mut().for_each(|n| n.phase = None);
    routes::lead(cx, &topology, &routes::Lead::Roles { without: vec![] }).await?;
    crate::tasks::observe::look(&cx.world, &topology).await.map(drop)
}

pub(super) async fn ready(tx: &mut Tx, s: &State) -> Result<()> {
    for mut node in store::nodes::of_cluster(tx, &s.cluster).await? {
        node.phase = None;
        store::nodes::update(tx, &node).await?;
    }
    super::serving::set_phase(tx, &s.cluster, None).await
}

async fn remove_nodes(cx: &Cx<App>, s: &State) -> Result<()> {
    let nodes: Vec<NodeId> = s.placing.nodes.iter().map(|(n, _)| n.clone()).collect();
    for node in nodes {
        act(cx, RemoveNode { node }).await?;
    }
    Ok(())
}

/// Every row of the cluster that did not come to be.
pub(super) async fn forget(tx: &mut Tx, s: &State) -> Result<()> {
    let nodes: Vec<NodeId> = s.placing.nodes.iter().map(|(n, _)| n.clone()).collect();
    placing::release(tx, &s.cluster, &nodes, &["rw", "ro"]).await?;
    store::schedules::delete_of_cluster(tx, &s.cluster).await?;
    store::assertions::delete_of_cluster(tx, &s.cluster).await?;
    store::clusters::remove_unborn(tx, &s.cluster).await?;
    store::secrets::delete_owner(tx, s.cluster.as_str()).await
}
