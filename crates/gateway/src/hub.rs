//! All clusters of this gateway, and the order in which changes to them happen.

use crate::{
    cluster::{Cluster, locked},
    policy::validate,
    saved::Saved,
};
use mainstay_model::{
    ClusterId, Error, Result,
    route::{ClusterRoute, RouteStatus},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::sync::Semaphore;

pub(crate) struct Hub {
    clusters: Mutex<BTreeMap<ClusterId, Arc<Cluster>>>,
    /// Its lock makes changes happen one after another; looking needs none of it.
    saved: tokio::sync::Mutex<Saved>,
    permits: Arc<Semaphore>,
}

impl Hub {
    pub(crate) fn new(saved: Saved, max_sessions: usize) -> Self {
        let permits = Arc::new(Semaphore::new(max_sessions.min(Semaphore::MAX_PERMITS)));
        Hub { clusters: Mutex::default(), saved: tokio::sync::Mutex::new(saved), permits }
    }

    /// Serves what the state file held.
    pub(crate) async fn restore(&self, routes: Vec<ClusterRoute>) {
        for route in routes {
            self.open(route).await;
        }
    }

    /// Puts `route` in force. When it returns, listeners are where it says and every session it
    /// does not admit has ended.
    pub(crate) async fn set(&self, route: ClusterRoute) -> Result<RouteStatus> {
        validate(&route)?;
        let cluster = self.change(route).await?;
        cluster.settle().await?;
        Ok(cluster.status())
    }

    async fn change(&self, route: ClusterRoute) -> Result<Arc<Cluster>> {
        let mut saved = self.saved.lock().await;
        let Some(cluster) = self.find(&route.cluster) else {
            saved.put(&route).await?;
            return Ok(self.open(route).await);
        };
        let now = cluster.route();
        if now == route {
            return Ok(cluster);
        }
        if route.generation < now.generation {
            let text = format!("generation {} of {} is older than {}, which is in force", route.generation, now.cluster, now.generation);
            return Err(Error::conflict("stale_generation", text));
        }
        saved.put(&route).await?;
        tracing::info!("{} is led by generation {} now", route.cluster, route.generation);
        cluster.apply(route).await;
        Ok(cluster)
    }

    /// Forgets a cluster and ends its sessions. One that is not known is forgotten already.
    pub(crate) async fn remove(&self, id: &ClusterId) -> Result<()> {
        let mut saved = self.saved.lock().await;
        saved.remove(id).await?;
        let Some(cluster) = locked(&self.clusters).remove(id) else { return Ok(()) };
        cluster.close().await;
        drop(saved);
        tracing::info!("{id} is no longer served");
        cluster.settle().await
    }

    pub(crate) fn status(&self) -> BTreeMap<ClusterId, RouteStatus> {
        locked(&self.clusters).iter().map(|(id, cluster)| (id.clone(), cluster.status())).collect()
    }

    /// Ends all sessions and listeners; what is saved stays.
    pub(crate) async fn close(&self) {
        let _no_changes = self.saved.lock().await;
        let clusters = std::mem::take(&mut *locked(&self.clusters));
        for cluster in clusters.values() {
            cluster.close().await;
        }
        for cluster in clusters.values() {
            if let Err(error) = cluster.settle().await {
                tracing::warn!("{error}");
            }
        }
    }

    async fn open(&self, route: ClusterRoute) -> Arc<Cluster> {
        let id = route.cluster.clone();
        tracing::info!("{id} is served at {}", route.read_write.listen);
        let cluster = Cluster::open(route, self.permits.clone()).await;
        locked(&self.clusters).insert(id, cluster.clone());
        cluster
    }

    fn find(&self, id: &ClusterId) -> Option<Arc<Cluster>> {
        locked(&self.clusters).get(id).cloned()
    }
}
