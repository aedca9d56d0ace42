//! Backups: made, verified, tried, deleted.

use crate::scene::Story;
use async_trait::async_trait;
use mainstay_control::{
    App,
    backups::{self, NewBackup},
    ops::back_up,
};
use mainstay_model::{Error, OperationId, Result};
use mainstay_operations::Operation;
use mainstay_testkit::{
    World,
    world::{Desk, cluster, somebody},
};

#[derive(Clone)]
pub struct BackUp {
    pub engine: &'static str,
    pub replicas: u32,
}

#[async_trait]
impl Story for BackUp {
    fn kind(&self) -> &'static str {
        back_up::BackUp::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let cluster = desk.deploy("shop", self.engine, self.replicas).await?;
        world.write(&cluster, "a")?;
        desk.back_up(&cluster).await?;
        world.write(&cluster, "b")
    }
    async fn submit(&self, _: &World, app: &App) -> Result<OperationId> {
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
            return Err(Error::failed("backup", format!("{good:?} holds {newest:?}")));
        }
        Ok(())
    }
}
