//! At start: every cluster that is wanted running and is not, is started; every route is told to
//! the gateway again. Engines that run are left alone, whoever started them.

use crate::{App, ops, topology::Topology};
use mainstay_model::{Error, Kind, Result, cluster::Cluster, cluster::Wanted, node::EngineState};
use mainstay_operations::Lock;
use mainstay_rpc::verbs::RouteStatuses;
use mainstay_store as store;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Runs until it has succeeded once.
pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        match once(&app).await {
            Ok(()) => return,
            Err(e) => tracing::warn!(inside = e.inside, "clusters could not be looked at after the start, trying again: {e}"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}

pub async fn once(app: &Arc<App>) -> Result<()> {
    let clusters = {
        let mut conn = app.store.read().await?;
        store::clusters::all_alive(&mut conn).await?
    };
    let routed = app.agent.look(&RouteStatuses {}).await?;
    for cluster in clusters.iter().filter(|c| c.wanted == Wanted::Running && c.phase.is_none()) {
        let topology = Topology::load(app, &cluster.id).await?;
        let looks = super::observe::look(app, &topology).await?;
        let seen = topology.nodes.iter().zip(&looks).filter(|(n, _)| !n.is_fenced());
        let down = seen.into_iter().any(|(_, l)| matches!(l.state, EngineState::Stopped | EngineState::Crashed));
        if down || !routed.contains_key(cluster.id.as_str()) {
            submit(app, cluster).await?;
        }
    }
    Ok(())
}

/// A cluster that some operation holds is that operation's business.
async fn submit(app: &Arc<App>, cluster: &Cluster) -> Result<()> {
    let state = ops::start_cluster::State { cluster: cluster.id.clone(), wanted_before: None };
    let submit = ops::submission::<ops::start_cluster::StartCluster>(&state, Some(ops::subject(cluster)), Lock::Exclusive, "mainstay")?;
    match app.runner.submit(submit).await {
        Ok(id) => {
            tracing::info!("cluster {} is not running as it should: starting it ({id})", cluster.name);
            Ok(())
        }
        Err(Error { kind: Kind::Conflict, .. }) => Ok(()),
        Err(e) => Err(e),
    }
}
