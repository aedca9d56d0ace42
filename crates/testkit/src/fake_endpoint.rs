//! An endpoint that remembers its routes and keeps the gateway's promises about generations.

use crate::{Faults, lock};
use async_trait::async_trait;
use mainstay_drivers::{Result, endpoint::Endpoint};
use mainstay_model::{
    ClusterId, Error,
    route::{ClusterRoute, RouteStatus},
};
use std::{collections::BTreeMap, sync::Mutex};

pub struct FakeEndpoint {
    faults: Faults,
    routes: Mutex<BTreeMap<ClusterId, ClusterRoute>>,
}

impl FakeEndpoint {
    pub fn new(faults: Faults) -> Self {
        FakeEndpoint { faults, routes: Mutex::default() }
    }

    /// What is in force.
    pub fn routes(&self) -> BTreeMap<ClusterId, ClusterRoute> {
        lock(&self.routes).clone()
    }

    pub(crate) fn put_back(&self, routes: BTreeMap<ClusterId, ClusterRoute>) {
        *lock(&self.routes) = routes;
    }
}

fn status(route: &ClusterRoute) -> RouteStatus {
    RouteStatus { generation: route.generation, ..RouteStatus::default() }
}

#[async_trait]
impl Endpoint for FakeEndpoint {
    async fn set(&self, route: &ClusterRoute) -> Result<RouteStatus> {
        self.faults.before("endpoint.set").await?;
        {
            let mut routes = lock(&self.routes);
            match routes.get(&route.cluster) {
                Some(now) if now.generation > route.generation => {
                    return Err(Error::conflict("stale_generation", "a newer route is in force"));
                }
                _ => routes.insert(route.cluster.clone(), route.clone()),
            };
        }
        self.faults.after("endpoint.set")?;
        Ok(status(route))
    }

    async fn remove(&self, cluster: &ClusterId) -> Result<()> {
        self.faults.before("endpoint.remove").await?;
        lock(&self.routes).remove(cluster);
        self.faults.after("endpoint.remove")
    }

    async fn statuses(&self) -> Result<BTreeMap<String, RouteStatus>> {
        self.faults.before("endpoint.statuses").await?;
        Ok(lock(&self.routes).values().map(|r| (r.cluster.to_string(), status(r))).collect())
    }
}
