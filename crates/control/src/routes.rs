//! What the gateway is told of a cluster, computed from what is recorded; and the telling.

use crate::{App, app::act, topology::Topology};
use mainstay_model::{
    NodeId, Result,
    cluster::SocketAddress,
    node::Node,
    route::{ClusterRoute, Route, RouteStatus, Target},
};
use mainstay_operations::Cx;
use mainstay_rpc::verbs::{RemoveRoute, SetRoute};

/// Where a cluster's endpoints lead for the moment.
#[derive(Debug, Clone, PartialEq)]
pub enum Lead {
    /// `read_write` to the primary, `read_only` to the replicas but those in `without`.
    Roles {
        without: Vec<NodeId>,
    },
    /// New connections to `read_write` wait; open sessions stay; `read_only` goes on.
    Hold,
    /// As `Hold`, and open sessions on `read_write` end.
    HoldAndCutWriters,
    /// New connections wait, open sessions end, on both endpoints.
    HoldAndCut,
    /// Only the primary, while the replicas are seeded again.
    PrimaryOnly,
    Closed,
}

/// The route of a cluster under `lead`. Pure.
pub fn route(topology: &Topology, lead: &Lead, generation: i64, hold_ms: u64) -> ClusterRoute {
    let cluster = &topology.cluster;
    let primary: Vec<SocketAddress> = topology.primary().ok().map(|n| n.address.clone()).into_iter().collect();
    let replicas = |without: &[NodeId]| -> Vec<SocketAddress> {
        topology.replicas().filter(|n| serves(n) && !without.contains(&n.id)).map(|n| n.address.clone()).collect()
    };
    let (read_write, read_only) = match lead {
        Lead::Roles { without } => (Target::To(primary), to_or_hold(replicas(without))),
        Lead::Hold => (Target::Hold, to_or_hold(replicas(&[]))),
        Lead::HoldAndCutWriters => (Target::HoldAndCut, to_or_hold(replicas(&[]))),
        Lead::HoldAndCut => (Target::HoldAndCut, Target::HoldAndCut),
        Lead::PrimaryOnly => (Target::To(primary), Target::HoldAndCut),
        Lead::Closed => (Target::Closed, Target::Closed),
    };
    ClusterRoute {
        cluster: cluster.id.clone(),
        generation,
        allow_list: cluster.allow_list.clone(),
        read_write: Route { listen: cluster.read_write.clone(), target: read_write },
        read_only: cluster.read_only.clone().map(|listen| Route { listen, target: read_only }),
        hold_ms,
    }
}

fn serves(node: &Node) -> bool {
    node.phase.is_none()
}

fn to_or_hold(targets: Vec<SocketAddress>) -> Target {
    if targets.is_empty() { Target::HoldAndCut } else { Target::To(targets) }
}

/// Tells the gateway, for a step.
pub(crate) async fn lead(cx: &Cx<App>, topology: &Topology, lead: &Lead) -> Result<RouteStatus> {
    let route = route(topology, lead, cx.generation, cx.world.options.hold_ms);
    act(cx, SetRoute { route }).await
}

/// Leads by role, as recorded right now: the end of most operations and the undo of most steps.
pub(crate) async fn lead_by_role(cx: &Cx<App>, cluster: &mainstay_model::ClusterId) -> Result<RouteStatus> {
    let topology = Topology::load(&cx.world, cluster).await?;
    lead(cx, &topology, &Lead::Roles { without: vec![] }).await
}

pub(crate) async fn close(cx: &Cx<App>, cluster: &mainstay_model::ClusterId) -> Result<()> {
    act(cx, RemoveRoute { cluster: cluster.clone() }).await.map(drop)
}
