//! The client endpoint: routes are passed on to the gateway, a process of its own that outlives the
//! agent like an engine does.

use crate::{Agent, dispatch::Act};
use async_trait::async_trait;
use mainstay_drivers::runtime::{InstanceId, InstanceSpec, InstanceState, Runtime, Signal};
use mainstay_gateway::Client;
use mainstay_model::{
    ClusterId, Result,
    route::{ClusterRoute, RouteStatus},
};
use mainstay_rpc::verbs::{Done, RemoveRoute, RouteStatuses, SetRoute};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

pub use mainstay_drivers::endpoint::Endpoint;

/// The gateway of this data directory, spoken to over its control socket.
pub struct Gateway(pub Client);

#[async_trait]
impl Endpoint for Gateway {
    async fn set(&self, route: &ClusterRoute) -> Result<RouteStatus> {
        self.0.set(route).await
    }
    async fn remove(&self, cluster: &ClusterId) -> Result<()> {
        self.0.remove(cluster).await
    }
    async fn statuses(&self) -> Result<BTreeMap<String, RouteStatus>> {
        Ok(self.0.status().await?.into_iter().map(|(id, status)| (id.to_string(), status)).collect())
    }
}

impl Agent {
    pub(crate) async fn set_route(&self, verb: SetRoute, _: &Act) -> Result<RouteStatus> {
        self.parts.endpoint.set(&verb.route).await
    }

    pub(crate) async fn remove_route(&self, verb: RemoveRoute, _: &Act) -> Result<Done> {
        self.parts.endpoint.remove(&verb.cluster).await.map(|()| Done {})
    }

    pub(crate) async fn route_statuses(&self, _: RouteStatuses, _: &Act) -> Result<BTreeMap<String, RouteStatus>> {
        self.parts.endpoint.statuses().await
    }
}

/// Makes the gateway of this data directory run. One that runs is left alone even where the
/// program has changed since: clients are connected through it, and its successor is started only
/// when it is gone.
pub async fn ensure_gateway(runtime: &dyn Runtime, exe: PathBuf, data_dir: &Path) -> Result<()> {
    let id = InstanceId("gateway".into());
    if runtime.inspect(&id).await?.state == InstanceState::Running {
        return Ok(());
    }
    let spec = InstanceSpec {
        program: exe,
        args: vec!["gateway".into(), "--data-dir".into(), data_dir.to_string_lossy().into_owned()],
        env: BTreeMap::new(),
        working_dir: data_dir.into(),
        user: None,
        log_file: data_dir.join("agent/gateway.log"),
        stop_signal: Signal::Term,
        grace: Duration::from_secs(5),
        // Every cluster is reached through it: it is never given up.
        restarts: u32::MAX,
        offline: false,
        background: false,
    };
    runtime.ensure(&id, &spec).await.map(drop)
}
