//! Steps that several operations share: wait until every node serves, change a phase.

use crate::{App, plan, routes, tasks::observe, topology::Topology};
use mainstay_model::{
    ClusterId, Error, NodeId, Result,
    cluster::{ClusterStatus, Wanted},
    node::{NodeRole, NodeStatus},
};
use mainstay_operations::{Cx, Tx};
use mainstay_store as store;
use std::time::Duration;

/// How long nodes may take until they run again after a hand-over or a restore.
const SETTLE: Duration = Duration::from_secs(60);

/// Returns when every node of the cluster but fenced ones is seen running in its role; an error names
/// those that are not.
pub async fn wait_running(cx: &Cx<App>, cluster: &ClusterId) -> Result<()> {
    let deadline = tokio::time::Instant::now() + SETTLE;
    let mut pause = Duration::from_millis(10);
    loop {
        let missing = not_running(cx, cluster).await?;
        if missing.is_empty() {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Error::timed_out(format!("not running after {} s: {}", SETTLE.as_secs(), missing.join(", "))));
        }
        cx.progress(None, &format!("waiting for {}", missing.join(", ")));
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(250));
    }
}

async fn not_running(cx: &Cx<App>, cluster: &ClusterId) -> Result<Vec<String>> {
    let topology = Topology::load(&cx.world, cluster).await?;
    let looks = observe::look(&cx.world, &topology).await?;
    let now = cx.world.now();
    let mut missing = Vec::new();
    for (node, seen) in topology.nodes.iter().zip(&looks).filter(|(n, _)| !n.is_fenced()) {
        let role = if topology.is_primary(node) { NodeRole::Primary } else { NodeRole::Replica };
        let (status, why) = plan::status::node_status(node, role, Wanted::Running, seen, now);
        if status != NodeStatus::Running {
            missing.push(format!("{} ({})", node.name, why.unwrap_or_else(|| format!("{status:?}").to_lowercase())));
        }
    }
    Ok(missing)
}

/// Gives the cluster a phase with its sentence, or takes it away.
pub async fn set_phase(tx: &mut Tx, cluster: &ClusterId, phase: Option<(ClusterStatus, &str)>) -> Result<()> {
    let mut row = store::clusters::get(tx, cluster).await?;
    row.phase = phase.map(|p| p.0);
    row.phase_reason = phase.map(|p| p.1.to_string());
    store::clusters::update(tx, &row).await
}

pub async fn set_wanted(tx: &mut Tx, cluster: &ClusterId, wanted: Wanted) -> Result<Wanted> {
    let mut row = store::clusters::get(tx, cluster).await?;
    let before = std::mem::replace(&mut row.wanted, wanted);
    store::clusters::update(tx, &row).await?;
    Ok(before)
}

/// Leads clients past `node` while it is worked on. The primary's node holds new connections.
pub async fn lead_past(cx: &Cx<App>, cluster: &ClusterId, node: &NodeId) -> Result<()> {
    let topology = Topology::load(&cx.world, cluster).await?;
    let lead = if topology.cluster.primary.as_ref() == Some(node) {
        routes::Lead::HoldAndCut
    } else {
        routes::Lead::Roles { without: vec![node.clone()] }
    };
    routes::lead(cx, &topology, &lead).await.map(drop)
}
