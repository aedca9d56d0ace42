//! Restores: beside, in place, and back again. Each time exactly what the backup holds, and nothing
//! of what was there before is lost.

use crate::{
    backups::oldest,
    scene::{Shop, Story, wrong},
};
use async_trait::async_trait;
use mainstay_control::{
    App, clusters,
    ops::{recover_cluster::RecoverCluster, restore_in_place::RestoreInPlace, restore_new::RestoreNew, undo_restore::UndoRestore},
    projects, recovery,
    restores::{self, RestoreRequest},
    storages,
};
use mainstay_model::{NodeId, OperationId, Result, backup::BackupKind, cluster::Wanted, restore::Restore};
use mainstay_operations::Operation;
use mainstay_store::{Paging, restores::RestoreFilter};
use mainstay_testkit::{
    World,
    world::{Ack, Desk, project, somebody, topology},
};

async fn request(app: &App, request: RestoreRequest) -> Result<OperationId> {
    let project = project(app).await?.id;
    let request = RestoreRequest { backup: Some(oldest(app).await?.id.to_string()), ..request };
    let hash = restores::plan(app, &project, &request).await?.hash;
    Ok(restores::run(app, &somebody(), &project, &request, &hash).await?.1)
}

fn into(name: &str) -> RestoreRequest {
    RestoreRequest { to: Some(name.into()), confirm: Some(name.into()), ..RestoreRequest::default() }
}

async fn latest(app: &App) -> Result<Option<Restore>> {
    Ok(restores::list(app, &RestoreFilter::default(), &Paging::new(None, None)?).await?.items.into_iter().next())
}

/// The rows below `begin` in `rows` are those that clients wrote to this very database.
fn is(rows: &[String], begin: &[&str], acks: impl Iterator<Item = Ack>) -> bool {
    let wanted: Vec<String> = begin.iter().map(|r| r.to_string()).chain(acks.map(|a| a.row)).collect();
    rows == wanted
}

/// A cluster's own backup, or another's.
#[derive(Clone)]
pub struct InPlace(pub Shop, pub &'static str);

/// As it has to be where the data is so damaged that it does not start any more.
#[derive(Clone)]
pub struct InPlaceStopped(pub Shop);

#[async_trait]
impl Story for InPlaceStopped {
    fn kind(&self) -> &'static str {
        RestoreInPlace::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await?;
        let shop = clusters::resolve(&desk.app, &project(&desk.app).await?.id, "shop").await?;
        desk.done(&clusters::stop(&desk.app, &somebody(), &shop).await?).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        request(app, into("shop")).await
    }
    fn gives_up(&self, world: &World, ack: &Ack) -> bool {
        !world.is_live(ack)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let shop = topology(app, "shop").await?;
        let wanted = if succeeded { Wanted::Running } else { Wanted::Stopped };
        if shop.cluster.wanted != wanted {
            return wrong(format!("wanted {:?}", shop.cluster.wanted));
        }
        let primary = &shop.primary()?.id;
        let (rows, acks) = (world.rows(primary), world.clients.acks(&shop.cluster.id));
        let (new, old): (Vec<_>, Vec<_>) = acks.into_iter().partition(|a| world.is_live(a));
        if !succeeded {
            return if is(&rows, &["a", "b"], old.into_iter().chain(new)) { Ok(()) } else { wrong(format!("not undone: {rows:?}")) };
        }
        if !is(&rows, &["a"], new.into_iter()) {
            return wrong(format!("restored {rows:?}"));
        }
        let aside = world.rows_aside(primary, latest(app).await?.and_then(|r| r.previous_label).unwrap_or_default().as_str());
        if is(&aside, &["a", "b"], old.into_iter()) { Ok(()) } else { wrong(format!("aside stands {aside:?}")) }
    }
}

#[async_trait]
impl Story for InPlace {
    fn kind(&self) -> &'static str {
        RestoreInPlace::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await?;
        if self.1 != "shop" {
            let other = desk.deploy(self.1, self.0.engine, self.0.replicas).await?;
            for row in ["a", "b"] {
                world.write(&other, row)?;
            }
        }
        Ok(())
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        request(app, into(self.1)).await
    }
    fn leaves(&self) -> Option<BackupKind> {
        Some(BackupKind::PreRestore)
    }
    fn gives_up(&self, world: &World, ack: &Ack) -> bool {
        !world.is_live(ack)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let target = topology(app, self.1).await?;
        let (primary, acks) = (target.primary()?.id.clone(), world.clients.acks(&target.cluster.id));
        let rows = world.rows(&primary);
        if !succeeded {
            return if is(&rows, &["a", "b"], acks.into_iter()) { Ok(()) } else { wrong(format!("not undone: {rows:?}")) };
        }
        let (new, old): (Vec<_>, Vec<_>) = acks.into_iter().partition(|a| world.is_live(a));
        if !is(&rows, &["a"], new.into_iter()) {
            return wrong(format!("restored {rows:?}"));
        }
        let aside = world.rows_aside(&primary, latest(app).await?.and_then(|r| r.previous_label).unwrap_or_default().as_str());
        if !is(&aside, &["a", "b"], old.into_iter()) {
            return wrong(format!("aside stands {aside:?}"));
        }
        safety(world, &primary).await
    }
}

/// The backup from before the restore holds what was there.
async fn safety(world: &World, primary: &NodeId) -> Result<()> {
    let all = world.backups().await?;
    let rows = all.iter().find(|b| b.kind == BackupKind::PreRestore && b.is_good()).map(|b| world.rows_in(b)).unwrap_or_default();
    if rows.starts_with(&["a".into(), "b".into()]) { Ok(()) } else { wrong(format!("the safety backup of {primary} holds {rows:?}")) }
}

#[derive(Clone)]
pub struct New(pub Shop);

#[async_trait]
impl Story for New {
    fn kind(&self) -> &'static str {
        RestoreNew::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        request(app, RestoreRequest { new: Some("copy".into()), ..RestoreRequest::default() }).await
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let copy = match topology(app, "copy").await {
            Ok(copy) if succeeded => copy,
            Err(_) if !succeeded => return Ok(()),
            other => return wrong(format!("the new cluster is there if and only if it succeeded: {other:?}")),
        };
        let rows = world.rows(&copy.primary()?.id);
        if is(&rows, &["a"], world.clients.acks(&copy.cluster.id).into_iter()) { Ok(()) } else { wrong(format!("restored {rows:?}")) }
    }
}

#[derive(Clone)]
pub struct Undo(pub Shop);

#[async_trait]
impl Story for Undo {
    fn kind(&self) -> &'static str {
        UndoRestore::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let (cluster, _) = self.0.open(world, desk).await?;
        desk.done(&request(&desk.app, into("shop")).await?).await?;
        world.write(&cluster, "c")
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let restore = latest(app).await?.expect("one was made");
        restores::undo(app, &somebody(), &restore).await
    }
    fn gives_up(&self, world: &World, ack: &Ack) -> bool {
        !world.is_live(ack)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let shop = topology(app, "shop").await?;
        let (primary, acks) = (shop.primary()?.id.clone(), world.clients.acks(&shop.cluster.id));
        let (new, old): (Vec<_>, Vec<_>) = acks.into_iter().partition(|a| world.is_live(a));
        let (live, set_aside): (&[&str], &[&str]) = if succeeded { (&["a", "b"], &["a", "c"]) } else { (&["a", "c"], &["a", "b"]) };
        let (rows, label) = (world.rows(&primary), latest(app).await?.and_then(|r| r.previous_label).unwrap_or_default());
        let aside = world.rows_aside(&primary, &label);
        if is(&rows, live, new.into_iter()) && is(&aside, set_aside, old.into_iter()) {
            return Ok(());
        }
        wrong(format!("live {rows:?}, aside {aside:?}"))
    }
}

/// From the storage alone: the key of its own is lost, the recovery key opens it.
#[derive(Clone)]
pub struct Recover(pub Shop);

async fn request_recovery(app: &App) -> Result<recovery::Request> {
    let project = project(app).await?;
    let storage = storages::resolve(app, &project.id, storages::DEFAULT).await?;
    let key = projects::recovery_key(app, &project.id).await?;
    let from = recovery::From::Storage(Box::new(storage));
    Ok(recovery::Request { from, key, cluster: "shop".into(), backup: None, name: Some("copy".into()) })
}

#[async_trait]
impl Story for Recover {
    fn kind(&self) -> &'static str {
        RecoverCluster::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let (shop, _) = self.0.open(world, desk).await?;
        let mut tx = desk.app.store.begin_write().await?;
        mainstay_store::secrets::delete_owner(&mut tx, &format!("{}/repository", shop.id)).await?;
        mainstay_store::commit(tx).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let asked = request_recovery(app).await?;
        Ok(recovery::recover(app, &somebody(), &project(app).await?.id, asked).await?.1)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let copy = match topology(app, "copy").await {
            Ok(copy) if succeeded => copy,
            Err(_) if !succeeded => return Ok(()),
            other => return wrong(format!("the new cluster is there if and only if it succeeded: {other:?}")),
        };
        let rows = world.rows(&copy.primary()?.id);
        if !is(&rows, &["a"], world.clients.acks(&copy.cluster.id).into_iter()) {
            return wrong(format!("recovered {rows:?}"));
        }
        // Asked for once more it is the same one.
        let (restore, _) = recovery::recover(app, &somebody(), &project(app).await?.id, request_recovery(app).await?).await?;
        if restore.target == copy.cluster.id { Ok(()) } else { wrong(format!("a second one was made: {restore:?}")) }
    }
}
