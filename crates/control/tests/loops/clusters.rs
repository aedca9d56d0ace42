//! A cluster comes, stops, starts and goes.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App,
    clusters::{self, Deletion},
    ops::{
        create_cluster::CreateCluster, delete_cluster::DeleteCluster, restart_cluster::RestartCluster, start_cluster::StartCluster,
        stop_cluster::StopCluster,
    },
};
use mainstay_model::{OperationId, Result, backup::BackupKind};
use mainstay_operations::Operation;
use mainstay_testkit::{
    World,
    world::{Desk, cluster, project, somebody, wish},
};

#[derive(Clone)]
pub struct Create(pub Shop);

#[async_trait]
impl Story for Create {
    fn kind(&self) -> &'static str {
        CreateCluster::KIND
    }
    /// Beside another one, which must not notice.
    async fn prepare(&self, _: &World, desk: &Desk) -> Result<()> {
        desk.deploy("other", self.0.engine, 0).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        Ok(clusters::create(app, &somebody(), &project(app).await?, wish("shop", self.0.engine, self.0.replicas)).await?.1)
    }
    async fn check(&self, _: &World, app: &App, succeeded: bool) -> Result<()> {
        if cluster(app, "shop").await.is_ok() != succeeded {
            return wrong("its row is there if and only if it succeeded");
        }
        Ok(())
    }
}

/// What a cluster is before.
#[derive(Clone, Copy, PartialEq)]
pub enum Is {
    Running,
    Stopped,
}

async fn prepare(shop: Shop, is: Is, world: &World, desk: &Desk) -> Result<()> {
    match is {
        Is::Running => shop.open(world, desk).await.map(drop),
        Is::Stopped => shop.close(world, desk).await,
    }
}

#[derive(Clone)]
pub struct Stop(pub Shop, pub Is);

#[async_trait]
impl Story for Stop {
    fn kind(&self) -> &'static str {
        StopCluster::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        prepare(self.0, self.1, world, desk).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        clusters::stop(app, &somebody(), &cluster(app, "shop").await?).await
    }
}

#[derive(Clone)]
pub struct Start(pub Shop, pub Is);

#[async_trait]
impl Story for Start {
    fn kind(&self) -> &'static str {
        StartCluster::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        prepare(self.0, self.1, world, desk).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        clusters::start(app, &somebody(), &cluster(app, "shop").await?).await
    }
}

#[derive(Clone)]
pub struct Restart(pub Shop);

#[async_trait]
impl Story for Restart {
    fn kind(&self) -> &'static str {
        RestartCluster::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        clusters::restart(app, &somebody(), &cluster(app, "shop").await?).await
    }
    fn leaves(&self) -> Option<BackupKind> {
        Some(BackupKind::Promotion)
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Backups {
    /// A final one is made, all are kept.
    Final,
    Kept,
    GivenUp,
}

#[derive(Clone)]
pub struct Delete(pub Shop, pub Is, pub Backups);

#[async_trait]
impl Story for Delete {
    fn kind(&self) -> &'static str {
        DeleteCluster::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        prepare(self.0, self.1, world, desk).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let how =
            Deletion { skip_final_backup: self.2 != Backups::Final, keep_backups: self.2 == Backups::Kept, confirm: Some("shop".into()) };
        clusters::delete(app, &somebody(), &cluster(app, "shop").await?, how).await
    }
    fn leaves(&self) -> Option<BackupKind> {
        (self.2 == Backups::Final).then_some(BackupKind::Final)
    }
    async fn check(&self, world: &World, _: &App, succeeded: bool) -> Result<()> {
        let all = world.backups().await?;
        let good = all.iter().filter(|b| b.is_good()).count();
        let wanted = match self.2 {
            _ if !succeeded => 1,
            Backups::Final => 2,
            Backups::Kept => 1,
            Backups::GivenUp => 0,
        };
        let published = world.outside.storages.published();
        if good < wanted || self.2 == Backups::GivenUp && succeeded && !(all.is_empty() && published.is_empty()) {
            return wrong(format!("{good} good backups of {all:?}, and {published:?}"));
        }
        let Some(last) = all.iter().find(|b| b.kind == BackupKind::Final && b.is_good()) else { return Ok(()) };
        let held = world.rows_in(last);
        let taken = ["a".to_string(), "b".into()].into_iter().chain(world.clients.acks(&last.cluster).into_iter().map(|a| a.row));
        if held.len() < 2 || !taken.collect::<Vec<_>>().starts_with(&held) {
            return wrong(format!("the final backup holds {held:?}"));
        }
        Ok(())
    }
}
