//! Nodes come and go, restart, take over and are seeded again.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App, clusters, nodes,
    ops::{self, add_node::AddNode, force_promote, promote, remove_node::RemoveNode, restart_node::RestartNode, resync, resync_node},
};
use mainstay_model::{OperationId, Result, backup::BackupKind};
use mainstay_operations::{Lock, Operation};
use mainstay_testkit::{
    World,
    world::{Ack, Desk, cluster, somebody, topology},
};

#[derive(Clone)]
pub struct Add(pub Shop);

#[async_trait]
impl Story for Add {
    fn kind(&self) -> &'static str {
        AddNode::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        Ok(nodes::add(app, &somebody(), &cluster(app, "shop").await?).await?.1)
    }
}

#[derive(Clone)]
pub struct Remove(pub Shop);

#[async_trait]
impl Story for Remove {
    fn kind(&self) -> &'static str {
        RemoveNode::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        nodes::remove(app, &somebody(), &cluster(app, "shop").await?, "shop-2", Some("shop-2")).await
    }
}

#[derive(Clone)]
pub struct Restart(pub Shop, pub &'static str);

#[async_trait]
impl Story for Restart {
    fn kind(&self) -> &'static str {
        RestartNode::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        nodes::reboot(app, &somebody(), &cluster(app, "shop").await?, self.1).await
    }
}

#[derive(Clone)]
pub struct Promote(pub Shop);

#[async_trait]
impl Story for Promote {
    fn kind(&self) -> &'static str {
        promote::Promote::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        nodes::promote(app, &somebody(), &cluster(app, "shop").await?, "shop-2", false, Some("shop-2")).await
    }
    fn leaves(&self) -> Option<BackupKind> {
        Some(BackupKind::Promotion)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let (primary, wanted) = (topology(app, "shop").await?.primary()?.name.clone(), if succeeded { "shop-2" } else { "shop-1" });
        let made = world.backups().await?.iter().filter(|b| b.kind == BackupKind::Promotion && b.is_good()).count();
        if primary != wanted || made != usize::from(succeeded) {
            let all = world.backups().await?;
            return wrong(format!("{primary} leads, with {made} good backups after the promotion: {all:?}"));
        }
        Ok(())
    }
}

/// The primary is there, and is taken for one that is not: what is undone must leave it as it was.
#[derive(Clone)]
pub struct Force(pub Shop);

#[async_trait]
impl Story for Force {
    fn kind(&self) -> &'static str {
        force_promote::ForcePromote::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let shop = topology(app, "shop").await?;
        let state = force_promote::State {
            cluster: shop.cluster.id.clone(),
            node: nodes::find(&shop, "shop-2")?.id.clone(),
            old: shop.primary()?.id.clone(),
            expected: Default::default(),
            lost: None,
            ran: false,
            ahead: vec![],
            held_at: None,
            opened_at: None,
            backup: None,
        };
        let subject = Some(ops::subject(&shop.cluster));
        app.runner.submit(ops::submission::<force_promote::ForcePromote>(&state, subject, Lock::Exclusive, "test")?).await
    }
    fn leaves(&self) -> Option<BackupKind> {
        Some(BackupKind::Promotion)
    }
    fn gives_up(&self, world: &World, ack: &Ack) -> bool {
        !world.is_live(ack)
    }
    async fn check(&self, _: &World, app: &App, succeeded: bool) -> Result<()> {
        let shop = topology(app, "shop").await?;
        let (primary, wanted) = (shop.primary()?.name.as_str(), if succeeded { "shop-2" } else { "shop-1" });
        let fenced = nodes::find(&shop, "shop-1")?.is_fenced();
        if primary != wanted || fenced != succeeded {
            return wrong(format!("{primary} leads, and shop-1 is fenced: {fenced}"));
        }
        Ok(())
    }
}

#[derive(Clone)]
pub struct Resync(pub Shop);

#[async_trait]
impl Story for Resync {
    fn kind(&self) -> &'static str {
        resync::Resync::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        clusters::resync(app, &somebody(), &cluster(app, "shop").await?, &[], Some("shop")).await
    }
}

#[derive(Clone)]
pub struct ResyncNode(pub Shop);

#[async_trait]
impl Story for ResyncNode {
    fn kind(&self) -> &'static str {
        resync_node::ResyncNode::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let shop = topology(app, "shop").await?;
        let state =
            resync_node::State { cluster: shop.cluster.id.clone(), node: nodes::find(&shop, "shop-2")?.id.clone(), was_fenced: false };
        let subject = Some(ops::subject(&shop.cluster));
        app.runner.submit(ops::submission::<resync_node::ResyncNode>(&state, subject, Lock::Exclusive, "test")?).await
    }
}
