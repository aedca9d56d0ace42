//! Backups: made, verified, tried, deleted.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App,
    backups::{self, NewBackup},
    ops::{
        self, back_up,
        delete_backup::DeleteBackup,
        drill,
        expire_backups::{self, ExpireBackups},
        verify,
    },
};
use mainstay_model::{
    Error, OperationId, Result,
    backup::{Backup, BackupStatus, Deleting, Proof},
};
use mainstay_operations::{Lock, Operation};
use mainstay_testkit::{
    World,
    world::{Desk, cluster, project, somebody},
};

#[derive(Clone)]
pub struct BackUp(pub Shop);

#[async_trait]
impl Story for BackUp {
    fn kind(&self) -> &'static str {
        back_up::BackUp::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        Ok(backups::create(app, &somebody(), &cluster(app, "shop").await?, NewBackup::default()).await?.1)
    }
    /// It holds all that was acknowledged before it was asked for, and if it failed the one before
    /// it is as good as ever.
    async fn check(&self, world: &World, _: &App, succeeded: bool) -> Result<()> {
        let all = world.backups().await?;
        let good: Vec<_> = all.iter().filter(|b| b.is_good()).collect();
        let newest = good.last().map(|b| world.rows_in(b)).unwrap_or_default();
        let wanted = if succeeded { (2, true) } else { (1, false) };
        if (good.len(), newest.contains(&"b".to_string())) != wanted || !newest.contains(&"a".to_string()) {
            return wrong(format!("{good:?} holds {newest:?}"));
        }
        Ok(())
    }
}

/// The cluster's oldest backup.
pub async fn oldest(app: &App) -> Result<Backup> {
    let filter = mainstay_store::backups::BackupFilter { project: Some(project(app).await?.id), ..Default::default() };
    let paging = mainstay_store::Paging::new(None, None)?;
    backups::list(app, &filter, &paging).await?.items.pop().ok_or_else(|| Error::not_found("backup", "any"))
}

/// Verified before, so that to find the same again changes nothing.
#[derive(Clone)]
pub struct Verify(pub Shop);

#[async_trait]
impl Story for Verify {
    fn kind(&self) -> &'static str {
        verify::Verify::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await?;
        desk.done(&self.submit(&desk.app).await?).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        backups::verify(app, &somebody(), &oldest(app).await?).await
    }
    async fn check(&self, _: &World, app: &App, _: bool) -> Result<()> {
        let backup = oldest(app).await?;
        if backup.is_good() && backup.proof == Proof::Verified { Ok(()) } else { wrong(format!("{backup:?}")) }
    }
}

#[derive(Clone)]
pub struct Drill(pub Shop);

#[async_trait]
impl Story for Drill {
    fn kind(&self) -> &'static str {
        drill::Drill::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        backups::drill(app, &somebody(), &oldest(app).await?).await
    }
    async fn check(&self, _: &World, app: &App, succeeded: bool) -> Result<()> {
        let backup = oldest(app).await?;
        let proof = if succeeded { Proof::Drilled } else { Proof::Verified };
        if backup.is_good() && backup.proof == proof { Ok(()) } else { wrong(format!("{backup:?}")) }
    }
}

/// The older of two.
#[derive(Clone)]
pub struct Delete(pub Shop);

#[async_trait]
impl Story for Delete {
    fn kind(&self) -> &'static str {
        DeleteBackup::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let (cluster, _) = self.0.open(world, desk).await?;
        desk.back_up(&cluster).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        backups::delete(app, &somebody(), &oldest(app).await?).await
    }
    async fn check(&self, world: &World, _: &App, succeeded: bool) -> Result<()> {
        let all = world.backups().await?;
        let wanted = if succeeded { 1 } else { 2 };
        if all.len() == wanted && all.iter().all(Backup::is_good) && world.rows_in(&all[wanted - 1]) == ["a", "b"] {
            return Ok(());
        }
        wrong(format!("{all:?}"))
    }
}

/// Of three by hand one is kept; the plan has let two go, and it is too late to bring them back.
#[derive(Clone)]
pub struct Expire(pub Shop);

#[async_trait]
impl Story for Expire {
    fn kind(&self) -> &'static str {
        ExpireBackups::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let (cluster, _) = self.0.open(world, desk).await?;
        desk.back_up(&cluster).await?;
        desk.back_up(&cluster).await?;
        announce(world, 2).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let shop = cluster(app, "shop").await?;
        let backups = mainstay_store::backups::of_cluster(&mut *app.store.read().await?, &shop.id).await?;
        let going = backups.into_iter().filter(|b| b.status == BackupStatus::Deleting).map(|b| b.id).collect();
        let state = expire_backups::State { backups: going, ..expire_backups::State::of(&shop.id) };
        let key = ops::subject_of(&shop.project, "shop", &format!("retention/{}", shop.id));
        app.runner.submit(ops::submission::<ExpireBackups>(&state, Some(key), Lock::Exclusive, "test")?).await
    }
    /// The last good one is there whatever happened, the others are gone or whole.
    async fn check(&self, world: &World, _: &App, succeeded: bool) -> Result<()> {
        let all = world.backups().await?;
        let left = all.iter().filter(|b| !b.is_good()).count();
        let last = all.iter().find(|b| b.is_good()).map(|b| world.rows_in(b));
        if last == Some(vec!["a".into(), "b".into()]) && left == if succeeded { 0 } else { 2 } {
            return Ok(());
        }
        wrong(format!("{all:?}"))
    }
}

/// Marks the oldest `count` as retention does, long ago.
async fn announce(world: &World, count: usize) -> Result<()> {
    let store = world.store();
    let mut tx = store.begin_write().await?;
    for mut backup in world.backups().await?.into_iter().take(count) {
        backup.deleting = Some(Deleting { until: backup.created_at, reason: "its time ended".into(), was: backup.status });
        backup.status = BackupStatus::Deleting;
        mainstay_store::backups::update(&mut tx, &backup).await?;
    }
    mainstay_store::commit(tx).await
}
