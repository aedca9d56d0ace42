//! What a verb comes to in numbers, for its plan. What cannot be known right now is `None`: a plan is
//! shown all the same.

use crate::{App, nodes, tasks::observe, topology::Topology};
use mainstay_model::{ClusterId, NodeId, Result, backup::BackupStatus, route::RouteStatus};
use mainstay_rpc::verbs::RouteStatuses;
use mainstay_store as store;

/// What the gateway says of the cluster's clients.
pub async fn route(app: &App, cluster: &ClusterId) -> Option<RouteStatus> {
    app.agent.look(&RouteStatuses {}).await.ok()?.remove(cluster.as_str())
}

/// Sessions on both endpoints, or on the one that leads to the primary.
pub async fn sessions(app: &App, cluster: &ClusterId, writers_only: bool) -> Option<u64> {
    let status = route(app, cluster).await?;
    Some(status.read_write_sessions + if writers_only { 0 } else { status.read_only_sessions })
}

/// How much is copied to seed so many nodes from the primary.
pub async fn seed_bytes(app: &App, topology: &Topology, nodes: usize) -> Option<u64> {
    let primary = topology.primary().ok()?;
    let usage = nodes::usage(app, &topology.cluster, primary.id.as_str()).await.ok()?;
    Some(usage.data_bytes * nodes as u64)
}

/// Clients on these nodes, as their engines count them.
pub async fn clients(app: &App, topology: &Topology, nodes: &[NodeId]) -> Option<u64> {
    observe::look(app, topology).await.ok()?;
    nodes.iter().map(|n| app.observed(n).connections).sum()
}

/// Replicas that follow, without one of them.
pub fn replicas_without(topology: &Topology, node: &NodeId) -> u64 {
    topology.replicas().filter(|n| &n.id != node).count() as u64
}

/// Backups of the cluster that a restore may start from.
pub async fn restorable(app: &App, cluster: &ClusterId) -> Result<u64> {
    let all = store::backups::of_cluster(&mut *app.store.read().await?, cluster).await?;
    Ok(all.iter().filter(|b| b.is_restorable() && b.status != BackupStatus::Deleting).count() as u64)
}
