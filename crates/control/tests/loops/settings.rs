//! What is set on a cluster: settings, list of who may come, password.

use crate::{
    backups::oldest,
    clusters::Is,
    scene::{Shop, Story, wrong},
};
use async_trait::async_trait;
use mainstay_control::{
    App, backups, clusters,
    ops::{configure, rotate, set_allow_list, set_recovery_keys::SetRecoveryKeys},
    projects, recovery_keys,
};
use mainstay_drivers::storage::RepositoryKeys;
use mainstay_model::{AllowEntry, OperationId, Result, Secret};
use mainstay_operations::Operation;
use mainstay_rpc::verbs::CheckKey;
use mainstay_testkit::{
    World,
    world::{Desk, cluster, project, somebody, topology},
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

/// The first recovery key replaced, with one beside it.
#[derive(Clone)]
pub struct Keys(pub Shop);

/// Whether the key alone opens the cluster's repository.
async fn opens(app: &App, key: &Secret) -> Result<bool> {
    let (mut repository, _) = backups::good_copy(app, &oldest(app).await?, None).await?;
    repository.keys = RepositoryKeys { own: key.clone(), recovery: vec![] };
    match app.agent.look(&CheckKey { repository }).await {
        Ok(_) => Ok(true),
        Err(e) if e.code == "wrong_key" => Ok(false),
        Err(e) => Err(e),
    }
}

#[async_trait]
impl Story for Keys {
    fn kind(&self) -> &'static str {
        SetRecoveryKeys::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await?;
        let (_, operation) = recovery_keys::add(&desk.app, &somebody(), &project(&desk.app).await?, "safe").await?;
        desk.done(&operation).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let project = project(app).await?;
        let old = projects::recovery_key(app, &project.id).await?;
        let mut tx = app.store.begin_write().await?;
        mainstay_store::kv::put(&mut tx, "test/old-key", old.reveal()).await?;
        mainstay_store::commit(tx).await?;
        Ok(recovery_keys::rotate(app, &somebody(), &project).await?.1)
    }
    async fn check(&self, _: &World, app: &App, succeeded: bool) -> Result<()> {
        let project = project(app).await?.id;
        let old = mainstay_store::kv::get(&mut *app.store.read().await?, "test/old-key").await?.unwrap_or_default();
        let mut all = vec![];
        for key in recovery_keys::all(app, &project).await? {
            all.push(opens(app, &key).await?);
        }
        let (view, old) = (recovery_keys::view(app, &project).await?, opens(app, &Secret::new(old)).await?);
        let wrongly = match succeeded {
            true => all != [true, true] || old || !view.in_place,
            // What was done of it stays done; that it is not everywhere is known.
            false => !all[1] || view.in_place,
        };
        if wrongly { wrong(format!("keys open {all:?}, the old one {old}, in place {}", view.in_place)) } else { Ok(()) }
    }
}
