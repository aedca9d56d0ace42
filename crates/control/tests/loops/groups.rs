//! Groups: all members at one point, or nothing that is taken for it.

use crate::scene::{Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App,
    backups::NewBackup,
    groups::{self, Into},
    ops::{back_up_group::BackUpGroup, restore_group::RestoreGroup},
};
use mainstay_model::{OperationId, Result, backup::BackupKind, group::GroupBackupStatus};
use mainstay_operations::Operation;
use mainstay_store::Paging;
use mainstay_testkit::{
    World,
    world::{Ack, Desk, project, somebody, topology},
};

const MEMBERS: [(&str, &str); 2] = [("shop", "memo"), ("store", "ledger")];

/// A cluster of each engine with a row, and the group of them. Each has been backed up before, so that
/// a part that is ended early does not leave the cluster's repository as something new.
async fn open(world: &World, desk: &Desk) -> Result<()> {
    for (name, engine) in MEMBERS {
        let cluster = desk.deploy(name, engine, 0).await?;
        world.write(&cluster, "a")?;
        desk.back_up(&cluster).await?;
    }
    let project = project(&desk.app).await?.id;
    groups::create(&desk.app, &project, "both", &MEMBERS.map(|(name, _)| name.to_string())).await.map(drop)
}

async fn back_up(app: &App) -> Result<OperationId> {
    let group = groups::resolve(app, &project(app).await?.id, "both").await?;
    Ok(groups::back_up(app, &somebody(), &group, NewBackup::default()).await?.1)
}

async fn newest(app: &App) -> Result<groups::GroupBackupView> {
    let paging = Paging::new(None, None)?;
    let mut all = groups::backups(app, &project(app).await?.id, None, &paging).await?.items;
    Ok(all.remove(0))
}

#[derive(Clone)]
pub struct BackUp;

#[async_trait]
impl Story for BackUp {
    fn kind(&self) -> &'static str {
        BackUpGroup::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        open(world, desk).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        back_up(app).await
    }
    /// Parts, also of rounds in which not all met.
    fn leaves(&self) -> Option<BackupKind> {
        Some(BackupKind::Manual)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let made = newest(app).await?;
        if made.is_restorable() != succeeded || (made.whole.status == GroupBackupStatus::Completed) != succeeded {
            return wrong(format!("succeeded {succeeded}, and {made:?}"));
        }
        for backup in made.parts.iter().filter_map(|(_, b)| b.as_ref()).filter(|_| succeeded) {
            if world.rows_in(backup).first().map(String::as_str) != Some("a") {
                return wrong(format!("{backup:?} lacks what was acknowledged"));
            }
        }
        Ok(())
    }
}

/// Into the members themselves.
#[derive(Clone)]
pub struct Restore;

#[async_trait]
impl Story for Restore {
    fn kind(&self) -> &'static str {
        RestoreGroup::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        open(world, desk).await?;
        desk.done(&back_up(&desk.app).await?).await?;
        for (name, _) in MEMBERS {
            world.write(&topology(&desk.app, name).await?.cluster, "b")?;
        }
        Ok(())
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let (from, project) = (newest(app).await?, project(app).await?.id);
        let plans = groups::plan_restore(app, &project, &from, &Into::Members).await?;
        groups::restore(app, &somebody(), &from, plans).await
    }
    fn leaves(&self) -> Option<BackupKind> {
        Some(BackupKind::PreRestore)
    }
    /// What stood in the members before, also when they were brought back to it.
    fn gives_up(&self, world: &World, ack: &Ack) -> bool {
        !world.is_live(ack)
    }
    /// All at the point, or all as they were.
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        for (name, _) in MEMBERS {
            let primary = topology(app, name).await?.primary()?.id.clone();
            let rows = world.rows(&primary);
            let has_b = rows.iter().any(|r| r == "b");
            if rows.first().map(String::as_str) != Some("a") || has_b == succeeded {
                return wrong(format!("succeeded {succeeded}, and {name} holds {rows:?}"));
            }
        }
        Ok(())
    }
}
