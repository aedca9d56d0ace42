//! The recycle bin: a cluster that was deleted comes back, or goes for good.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App,
    clusters::{self, Deletion},
    ops::{purge_cluster::PurgeCluster, undelete_cluster::UndeleteCluster},
    recycle_bin,
};
use mainstay_model::{OperationId, Result, cluster::Cluster};
use mainstay_operations::Operation;
use mainstay_testkit::{
    World,
    world::{Ack, Desk, cluster, project, somebody},
};

/// The cluster `shop`, with its final backup in the bin.
async fn throw_away(shop: Shop, world: &World, desk: &Desk) -> Result<()> {
    let (shop, _) = shop.open(world, desk).await?;
    let how = Deletion { confirm: Some("shop".into()), ..Deletion::default() };
    desk.done(&clusters::delete(&desk.app, &somebody(), &shop, how).await?).await.map(drop)
}

async fn thrown_away(app: &App) -> Result<Cluster> {
    recycle_bin::resolve(app, &project(app).await?.id, "shop").await
}

#[derive(Clone)]
pub struct Undelete(pub Shop);

#[async_trait]
impl Story for Undelete {
    fn kind(&self) -> &'static str {
        UndeleteCluster::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        throw_away(self.0, world, desk).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        Ok(recycle_bin::undelete(app, &somebody(), &thrown_away(app).await?, None).await?.1)
    }
    fn gives_up(&self, _: &World, _: &Ack) -> bool {
        false
    }
    /// With its rows and as many nodes as it had; or back in the bin, from where it can still come.
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        if !succeeded {
            let deleted = thrown_away(app).await?;
            return recycle_bin::source(app, &deleted).await.map(drop);
        }
        let back = cluster(app, "shop").await?;
        let nodes = mainstay_store::nodes::of_cluster(&mut *app.store.read().await?, &back.id).await?;
        let rows = back.primary.as_ref().map(|p| world.rows(p)).unwrap_or_default();
        if nodes.len() == self.0.replicas as usize + 1 && rows.starts_with(&["a".into(), "b".into()]) && back.bin.is_none() {
            return Ok(());
        }
        wrong(format!("{back:?} with {nodes:?} holds {rows:?}"))
    }
}

#[derive(Clone)]
pub struct Purge(pub Shop);

#[async_trait]
impl Story for Purge {
    fn kind(&self) -> &'static str {
        PurgeCluster::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        throw_away(self.0, world, desk).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        recycle_bin::purge(app, &somebody(), &thrown_away(app).await?, Some("shop")).await
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let (all, published) = (world.backups().await?, world.outside.storages.published());
        if succeeded && all.is_empty() && published.is_empty() {
            return Ok(());
        }
        if !succeeded {
            return recycle_bin::source(app, &thrown_away(app).await?).await.map(drop);
        }
        wrong(format!("{all:?} and {published:?} are left"))
    }
}
