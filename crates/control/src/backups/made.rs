//! Backups that nobody asked for by name: parts of other operations, and those a window begins with.

use super::{DEFAULT_RETENTION_DAYS, begin, copies_in, copy, get, row};
use crate::{
    App,
    ops::{self, back_up},
    storages,
};
use mainstay_model::{
    BackupId, ClusterId, Error, Result, StorageId,
    backup::{BackupKind, BackupStatus, ReadFrom},
    cluster::Cluster,
    log::Keeping,
};
use mainstay_operations::{Cx, Tx};
use mainstay_store as store;

/// What a backup is called that a window begins with.
pub(crate) const BEGINS_WINDOW: &str = "begins a window to restore to any moment";

/// A backup for a window of the log to begin with, into the storages that keep it.
pub(crate) async fn begin_for_log(app: &App, tx: &mut Tx, cluster: &Cluster, keeping: &Keeping) -> Result<BackupId> {
    let copies = copies_in(tx, &keeping.storages).await?;
    let days = keeping.keep_days.max(DEFAULT_RETENTION_DAYS);
    let backup = row(app, cluster, BackupKind::Scheduled, BEGINS_WINDOW.into(), Some(days), copies);
    begin(app, tx, cluster, &backup, "mainstay").await?;
    Ok(backup.id)
}

/// A backup that another operation makes.
pub(crate) struct Child {
    pub kind: BackupKind,
    pub description: String,
    pub days: Option<i64>,
    /// Empty is the storage `local`.
    pub storages: Vec<StorageId>,
}

/// A backup as part of another operation, into the storage `local`. `key` makes it one backup
/// however often the step runs. Anything but a completed backup is an error.
pub(crate) async fn child(
    cx: &Cx<App>,
    cluster: &ClusterId,
    key: &str,
    kind: BackupKind,
    description: String,
    days: Option<i64>,
    from: ReadFrom,
) -> Result<BackupId> {
    child_into(cx, cluster, key, Child { kind, description, days, storages: vec![] }, from).await
}

/// The same, into other storages.
pub(crate) async fn child_into(cx: &Cx<App>, cluster: &ClusterId, key: &str, new: Child, from: ReadFrom) -> Result<BackupId> {
    let id = reserve_child(cx, cluster, key, new).await?;
    let state = back_up::State::new(cluster, &id, from);
    ops::child::<back_up::BackUp>(cx, key, &state).await?;
    let backup = get(&cx.world, &id).await?;
    match backup.status {
        BackupStatus::Completed => Ok(id),
        _ => Err(Error::failed("backup_failed", backup.error.unwrap_or_else(|| "the backup did not complete".into()))),
    }
}

/// The child's row. One that failed before (the step is tried again by a person) gets a successor.
async fn reserve_child(cx: &Cx<App>, cluster: &ClusterId, key: &str, new: Child) -> Result<BackupId> {
    let app = &cx.world;
    let owner = format!("child/{}/{key}", cx.operation);
    let mut tx = app.store.begin_write().await?;
    if let Some(id) = store::kv::get(&mut tx, &owner).await?.as_deref().and_then(BackupId::parse)
        && store::backups::get(&mut tx, &id).await?.status != BackupStatus::Failed
    {
        return Ok(id);
    }
    let cluster = store::clusters::get(&mut tx, cluster).await?;
    let copies = match new.storages.is_empty() {
        true => vec![copy(&store::storages::by_name(&mut tx, &cluster.project, storages::DEFAULT).await?)],
        false => copies_in(&mut tx, &new.storages).await?,
    };
    let backup = row(app, &cluster, new.kind, new.description, new.days, copies);
    store::backups::insert(&mut tx, &backup).await?;
    store::kv::put(&mut tx, &owner, backup.id.as_str()).await?;
    store::commit(tx).await?;
    Ok(backup.id)
}
