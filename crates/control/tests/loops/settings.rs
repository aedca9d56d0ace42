//! What is set on a cluster: settings, list of who may come, password.

use crate::{
    clusters::Is,
    scene::{Shop, Story, wrong},
};
use async_trait::async_trait;
use mainstay_control::{
    App, clusters,
    ops::{configure, rotate, set_allow_list},
};
use mainstay_model::{AllowEntry, OperationId, Result};
use mainstay_operations::Operation;
use mainstay_testkit::{
    World,
    world::{Desk, cluster, somebody, topology},
};
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub struct Configure(pub Shop);

#[async_trait]
impl Story for Configure {
    fn kind(&self) -> &'static str {
        configure::Configure::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let (cluster, _) = self.0.open(world, desk).await?;
        let before = [("pages".to_string(), Some("50".to_string()))].into();
        desk.done(&clusters::configure(&desk.app, &somebody(), &cluster, before).await?).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let changes = [("pages".to_string(), None), ("shelves".to_string(), Some("20".to_string()))].into();
        clusters::configure(app, &somebody(), &cluster(app, "shop").await?, changes).await
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let wanted = if succeeded { "shelves = 20\n" } else { "pages = 50\n" };
        for node in topology(app, "shop").await?.nodes {
            let file = world.outside.data_dir().join("nodes").join(node.id.as_str()).join("run/fake.conf");
            let has = std::fs::read_to_string(file)?;
            if has != wanted {
                return wrong(format!("{} has {has:?}", node.name));
            }
        }
        Ok(())
    }
}

#[derive(Clone)]
pub struct SetAllowList(pub Shop, pub Is);

fn entry(cidr: &str) -> AllowEntry {
    AllowEntry::parse(cidr, "", 0).unwrap()
}

#[async_trait]
impl Story for SetAllowList {
    fn kind(&self) -> &'static str {
        set_allow_list::SetAllowList::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let (cluster, _) = self.0.open(world, desk).await?;
        desk.done(&clusters::set_allow_list(&desk.app, &somebody(), &cluster, vec![entry("10.0.0.0/8")]).await?).await?;
        if self.1 == Is::Stopped {
            desk.done(&clusters::stop(&desk.app, &somebody(), &cluster).await?).await?;
        }
        Ok(())
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let list = vec![entry("127.0.0.0/8"), entry("10.1.0.0/16")];
        clusters::set_allow_list(app, &somebody(), &cluster(app, "shop").await?, list).await
    }
}

/// Remembers the password from before.
#[derive(Clone)]
pub struct Rotate(pub Shop, pub Arc<Mutex<String>>);

#[async_trait]
impl Story for Rotate {
    fn kind(&self) -> &'static str {
        rotate::Rotate::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await?;
        *self.1.lock().unwrap() = topology(&desk.app, "shop").await?.accounts.user.password.reveal().into();
        Ok(())
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        clusters::rotate(app, &somebody(), &cluster(app, "shop").await?).await
    }
    /// That today's password opens the primary is true of every world.
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let shop = topology(app, "shop").await?;
        let before = self.1.lock().unwrap().clone();
        for node in &shop.nodes {
            let opens = |password: &str| world.outside.engine(self.0.engine).log_in(&node.id, &shop.accounts.user.user, password);
            if opens(&before)? == succeeded || !opens(shop.accounts.user.password.reveal())? {
                return wrong(format!("the old password opens {} {}, the new one {}", node.name, opens(&before)?, !succeeded));
            }
        }
        Ok(())
    }
}
