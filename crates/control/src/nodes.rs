//! Nodes: validation in front of their verbs, and how one looks now.

use crate::{
    Actor, App, app, clusters,
    clusters::NodeView,
    engines,
    ops::{add_node, force_promote, promote, remove_node, restart_node},
    plan::candidate::{self, Loss},
    tasks::observe,
    topology::Topology,
};
use mainstay_model::{Error, NodeId, OperationId, Result, cluster::Cluster, error::shown, node::Node};
use mainstay_rpc::verbs::{NodeLogs, NodeUsage, NodeUsageReply};

/// Most lines `node logs` returns at once.
pub const MAX_LOG_LINES: u64 = 5_000;

/// By id or name within a cluster.
pub fn find<'a>(topology: &'a Topology, id_or_name: &str) -> Result<&'a Node> {
    let fits = |n: &&Node| n.id.as_str() == id_or_name || n.name == id_or_name;
    topology.nodes.iter().find(fits).ok_or_else(|| {
        let names: Vec<&str> = topology.nodes.iter().map(|n| n.name.as_str()).collect();
        Error::not_found("node", id_or_name).context(format!("cluster {} has {}", topology.cluster.name, names.join(", ")))
    })
}

pub async fn list(app: &App, cluster: &Cluster) -> Result<Vec<NodeView>> {
    Ok(clusters::show(app, cluster).await?.nodes)
}

pub async fn show(app: &App, cluster: &Cluster, id_or_name: &str) -> Result<NodeView> {
    let topology = Topology::load(app, &cluster.id).await?;
    let node = find(&topology, id_or_name)?.clone();
    observe::look(app, &topology).await?;
    Ok(clusters::node_view(app, cluster, node))
}

pub async fn add(app: &App, by: &Actor, cluster: &Cluster) -> Result<(NodeId, OperationId)> {
    clusters::running(cluster)?;
    let topology = Topology::load(app, &cluster.id).await?;
    if topology.nodes.len() as u32 > clusters::MAX_REPLICAS {
        return Err(Error::conflict("too_many_nodes", format!("a cluster has at most {} replicas", clusters::MAX_REPLICAS)));
    }
    let entry = engines::get(app, &cluster.engine).await?;
    let node = NodeId::new();
    let state = add_node::State {
        cluster: cluster.id.clone(),
        node: node.clone(),
        default_port: entry.default_port,
        placing: Default::default(),
        mode_before: cluster.mode,
        had_read_only: cluster.read_only.is_some(),
    };
    Ok((node, clusters::submit::<add_node::AddNode>(app, by, cluster, &state).await?))
}

pub async fn remove(app: &App, by: &Actor, cluster: &Cluster, node: &str, confirm: Option<&str>) -> Result<OperationId> {
    clusters::running(cluster)?;
    let topology = Topology::load(app, &cluster.id).await?;
    let node = find(&topology, node)?;
    if topology.is_primary(node) {
        return Err(Error::conflict("is_primary", format!("{} is the primary; promote another node first", node.name)));
    }
    app::confirmed(confirm, &node.name)?;
    let state = remove_node::State { cluster: cluster.id.clone(), node: node.id.clone(), peer: topology.peer(node)? };
    clusters::submit::<remove_node::RemoveNode>(app, by, cluster, &state).await
}

/// How a node would take over.
#[derive(Debug, Clone, PartialEq)]
pub enum Promotion {
    /// By a hand-over that loses nothing; it is so many bytes behind now.
    Planned(u64),
    /// Without the primary, at the price of what it alone holds.
    Forced(Loss),
}

/// The hand-over wherever it is possible: giving up writes is for where nothing else is left.
pub async fn promotion(app: &App, topology: &Topology, node: &Node, allow_data_loss: bool) -> Result<Promotion> {
    match promote::may_promote(app, topology, &node.id).await {
        Ok(lag) => Ok(Promotion::Planned(lag)),
        Err(e) if allow_data_loss && candidate::is_about_loss(&e) => {
            force_promote::may_force(app, topology, &node.id).await.map(Promotion::Forced)
        }
        Err(e) => Err(e),
    }
}

pub async fn promote(
    app: &App,
    by: &Actor,
    cluster: &Cluster,
    node: &str,
    allow_data_loss: bool,
    confirm: Option<&str>,
) -> Result<OperationId> {
    clusters::running(cluster)?;
    let topology = Topology::load(app, &cluster.id).await?;
    let node = find(&topology, node)?;
    if topology.is_primary(node) {
        return Err(Error::conflict("is_primary", format!("{} is the primary already", node.name)));
    }
    app::confirmed(confirm, &node.name)?;
    if let Promotion::Forced(expected) = promotion(app, &topology, node, allow_data_loss).await? {
        let state = force_promote::State {
            cluster: cluster.id.clone(),
            node: node.id.clone(),
            old: topology.primary()?.id.clone(),
            expected,
            lost: None,
            ran: false,
            ahead: vec![],
            held_at: None,
            opened_at: None,
            backup: None,
        };
        return clusters::submit::<force_promote::ForcePromote>(app, by, cluster, &state).await;
    }
    let state = promote::State {
        cluster: cluster.id.clone(),
        node: node.id.clone(),
        old: topology.primary()?.id.clone(),
        position: None,
        held_at: None,
        opened_at: None,
        with_backup: true,
        backup: None,
    };
    clusters::submit::<promote::Promote>(app, by, cluster, &state).await
}

pub async fn reboot(app: &App, by: &Actor, cluster: &Cluster, node: &str) -> Result<OperationId> {
    clusters::running(cluster)?;
    let topology = Topology::load(app, &cluster.id).await?;
    let node = find(&topology, node)?;
    if node.is_fenced() {
        return Err(Error::conflict("fenced", format!("{} is fenced and does not start again; resync it", node.name)));
    }
    let state = restart_node::State { cluster: cluster.id.clone(), node: node.id.clone() };
    clusters::submit::<restart_node::RestartNode>(app, by, cluster, &state).await
}

pub async fn logs(app: &App, cluster: &Cluster, node: &str, lines: u64) -> Result<Vec<String>> {
    if !(1..=MAX_LOG_LINES).contains(&lines) {
        return Err(Error::invalid("lines", format!("1 to {MAX_LOG_LINES}")));
    }
    let topology = Topology::load(app, &cluster.id).await?;
    let node = find(&topology, node)?.id.clone();
    let lines = app.agent.look(&NodeLogs { node, lines }).await?;
    Ok(lines.iter().map(|l| printable(l)).collect())
}

/// Engine output as text: no control bytes reach a terminal or a page.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

pub async fn usage(app: &App, cluster: &Cluster, node: &str) -> Result<NodeUsageReply> {
    let topology = Topology::load(app, &cluster.id).await?;
    let node = find(&topology, node).map_err(|e| e.context(shown(node)))?.id.clone();
    app.agent.look(&NodeUsage { node }).await
}
