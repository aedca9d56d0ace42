//! The client endpoint as the agent sees it: a process of its own that is told whole routes.
//!
//! The gateway outlives the agent that speaks to it, so nothing here starts or stops anything:
//! routes are set, removed and looked at, and each of that may be done twice.

use crate::Result;
use async_trait::async_trait;
use mainstay_model::{
    ClusterId,
    route::{ClusterRoute, RouteStatus},
};
use std::collections::BTreeMap;

#[async_trait]
pub trait Endpoint: Send + Sync {
    /// Applies a cluster's route as a whole. A lower generation than the applied one is refused;
    /// the same one again is done already.
    async fn set(&self, route: &ClusterRoute) -> Result<RouteStatus>;

    /// Closes the cluster's listeners and sessions. Absent is done.
    async fn remove(&self, cluster: &ClusterId) -> Result<()>;

    /// Every route that is applied, by cluster id.
    async fn statuses(&self) -> Result<BTreeMap<String, RouteStatus>>;
}
