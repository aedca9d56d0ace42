//! A cluster comes and goes.

use crate::scene::Story;
use async_trait::async_trait;
use mainstay_control::{App, clusters, ops::create_cluster::CreateCluster};
use mainstay_model::{OperationId, Result};
use mainstay_operations::Operation;
use mainstay_testkit::{
    World,
    world::{Desk, project, somebody, wish},
};

#[derive(Clone)]
pub struct Create {
    pub engine: &'static str,
    pub replicas: u32,
}

#[async_trait]
impl Story for Create {
    fn kind(&self) -> &'static str {
        CreateCluster::KIND
    }
    /// Beside another one, which must not notice.
    async fn prepare(&self, _: &World, desk: &Desk) -> Result<()> {
        desk.deploy("other", self.engine, 0).await.map(drop)
    }
    async fn submit(&self, _: &World, app: &App) -> Result<OperationId> {
        Ok(clusters::create(app, &somebody(), &project(app).await?, wish("shop", self.engine, self.replicas)).await?.1)
    }
}
