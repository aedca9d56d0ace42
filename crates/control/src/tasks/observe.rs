//! Looks at every node and keeps the latest look. What cannot be seen is noted as unknown.

use crate::{App, topology::Topology};
use mainstay_model::{
    Result,
    cluster::Wanted,
    node::{NodeRole, Observed},
};
use mainstay_rpc::verbs::Probe;
use mainstay_store as store;
use std::collections::HashSet;

/// One look at every node of every cluster.
pub async fn all(app: &App) -> Result<()> {
    let clusters = {
        let mut conn = app.store.read().await?;
        store::clusters::all_alive(&mut conn).await?
    };
    let mut alive = HashSet::new();
    for cluster in clusters.iter().filter(|c| c.wanted != Wanted::Deleted) {
        let topology = match Topology::load(app, &cluster.id).await {
            Ok(t) => t,
            Err(e) if e.kind == mainstay_model::Kind::NotFound => continue,
            Err(e) => return Err(e),
        };
        alive.extend(topology.nodes.iter().map(|n| n.id.clone()));
        look(app, &topology).await?;
    }
    app.forget_observed(|n| alive.contains(n));
    Ok(())
}

/// Looks at the nodes of one cluster now, notes what was seen, and returns it in the order of the
/// topology's nodes.
pub async fn look(app: &App, topology: &Topology) -> Result<Vec<Observed>> {
    let plans = topology.nodes.iter().filter(|n| !n.address.host.is_empty()).map(|n| topology.plan(n)).collect::<Result<Vec<_>>>()?;
    let now = app.now();
    let mut seen = match app.agent.look(&Probe { plans }).await {
        Ok(seen) => seen,
        Err(e) => topology.nodes.iter().map(|n| (n.id.to_string(), Observed::unknown(now, e.message.clone()))).collect(),
    };
    let looks: Vec<Observed> = topology
        .nodes
        .iter()
        .map(|n| seen.remove(n.id.as_str()).unwrap_or_else(|| Observed::unknown(now, "the agent said nothing of it")))
        .collect();
    let looks = with_lag(topology, looks);
    let mut is_other = false;
    for (node, look) in topology.nodes.iter().zip(&looks) {
        is_other |= app.note_observed(node.id.clone(), look.clone());
    }
    if is_other {
        // An error only says that nobody wants to know.
        let _ = app.looks.send((topology.cluster.id.clone(), topology.cluster.project.clone()));
    }
    Ok(looks)
}

/// Lag as the distance to the primary's position in the same look, where the engine itself could
/// not say.
fn with_lag(topology: &Topology, mut looks: Vec<Observed>) -> Vec<Observed> {
    let primary = topology.nodes.iter().position(|n| topology.is_primary(n)).and_then(|i| looks[i].position.clone());
    let Some(primary) = primary else { return looks };
    for look in looks.iter_mut().filter(|l| l.role == Some(NodeRole::Replica) && l.lag_bytes.is_none()) {
        look.lag_bytes = look.position.as_ref().and_then(|p| p.behind(&primary));
    }
    looks
}
