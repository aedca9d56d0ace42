//! Backups that nobody asked for by name: parts of other operations, and those a window begins with.

use super::{DEFAULT_RETENTION_DAYS, begin, copies_in, get, row};
use crate::{
    App,
    ops::{self, back_up},
    storages,
};
use mainstay_drivers::storage::SNAPSHOT;
use mainstay_model::{
    BackupId, ClusterId, Error, Kind, Result, StorageId,
    backup::{BackupKind, BackupStatus, ReadFrom},
    cluster::Cluster,
    log::Keeping,
};
use mainstay_operations::{Cx, Tx};
use mainstay_rpc::verbs::CheckStorage;
use mainstay_store::{self as store, storages::StorageRow};

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
#[derive(Clone)]
pub(crate) struct Child {
    pub kind: BackupKind,
    pub description: String,
    pub days: Option<i64>,
    pub storages: Vec<StorageId>,
}

/// A backup as part of another operation, into the first storage that takes it: those the cluster's
/// schedules go to, then `local`. `key` makes it one backup however often the step runs. Anything but a
/// completed backup is an error.
pub(crate) async fn child(
    cx: &Cx<App>,
    cluster: &ClusterId,
    key: &str,
    kind: BackupKind,
    description: String,
    days: Option<i64>,
    from: ReadFrom,
) -> Result<BackupId> {
    let places = first_places(&cx.world, cluster).await?;
    let child = |storage: &StorageRow| Child { kind, description: description.clone(), days, storages: vec![storage.id.clone()] };
    let own_key = |n: usize, row: &StorageRow| if n == 0 { key.to_string() } else { format!("{key}/{}", row.id) };
    // One that was begun before this step was interrupted is gone on with, and waited for to its end.
    let (mut begun, mut fresh) = (vec![], vec![]);
    for (n, row) in places.iter().enumerate() {
        let key = own_key(n, row);
        if is_begun(cx, &key).await? { begun.push((key, row)) } else { fresh.push((key, row)) }
    }
    let choice = if begun.is_empty() { places.len() } else { 1 };
    let mut failed: Vec<Error> = vec![];
    for (key, row) in begun.into_iter().chain(fresh) {
        let made = match answers(cx, row, choice).await {
            Ok(()) => child_into(cx, cluster, &key, child(row), from).await,
            Err(e) => Err(e),
        };
        match made {
            Err(e) if !cx.is_cancelled() => failed.push(e.context(format!("in storage {}", row.name))),
            made => return made,
        }
    }
    let all: Vec<String> = failed.iter().map(|e| e.message.clone()).collect();
    let last = failed.pop().unwrap_or_else(|| Error::conflict("no_storage", "there is no storage for a backup to go to"));
    Err(Error { message: format!("the backup was not made: {}", all.join("; ")), ..last })
}

/// Where there is a choice, one that does not answer is not waited for with a backup.
async fn answers(cx: &Cx<App>, row: &StorageRow, choice: usize) -> Result<()> {
    if choice < 2 {
        return Ok(());
    }
    let storage = storages::spec(&cx.world.store, row).await?;
    let report = cx.world.agent.look(&CheckStorage { storage }).await?;
    match report.rows.iter().find(|r| r.failed()) {
        None => Ok(()),
        Some(bad) => Err(Error::unavailable("storage_unwell", format!("it fails its check \"{}\": {}", bad.name, bad.detail))),
    }
}

async fn is_begun(cx: &Cx<App>, key: &str) -> Result<bool> {
    let mut conn = cx.world.store.read().await?;
    let kept = store::kv::get(&mut conn, &owner(cx, key)).await?;
    match kept.as_deref().and_then(BackupId::parse) {
        Some(id) => Ok(store::backups::get(&mut conn, &id).await?.status != BackupStatus::Failed),
        None => Ok(false),
    }
}

/// Storages the cluster's schedules go to, those that are on first, each once. Snapshots lie where the data
/// does: what is made for the day the data is lost does not go there.
async fn scheduled_places(tx: &mut Tx, cluster: &ClusterId) -> Result<Vec<StorageRow>> {
    let mut schedules = store::schedules::of_cluster(tx, cluster).await?;
    schedules.sort_by_key(|s| !s.enabled);
    let mut rows: Vec<StorageRow> = vec![];
    for id in schedules.iter().flat_map(|s| &s.storages) {
        if rows.iter().any(|row| row.id == *id) {
            continue;
        }
        match store::storages::get(tx, id).await {
            Ok(row) if row.kind != SNAPSHOT => rows.push(row),
            Err(e) if e.kind != Kind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(rows)
}

async fn first_places(app: &App, cluster: &ClusterId) -> Result<Vec<StorageRow>> {
    let mut conn = app.store.read().await?;
    let mut rows = scheduled_places(&mut conn, cluster).await?;
    let project = store::clusters::get(&mut conn, cluster).await?.project;
    let local = store::storages::by_name(&mut conn, &project, storages::DEFAULT).await?;
    if rows.iter().all(|row| row.id != local.id) {
        rows.push(local);
    }
    Ok(rows)
}

/// All storages the cluster's schedules go to, and `local` where they go nowhere.
pub(crate) async fn all_places(app: &App, cluster: &ClusterId) -> Result<Vec<StorageId>> {
    let mut rows = scheduled_places(&mut *app.store.read().await?, cluster).await?;
    if rows.is_empty() {
        rows = first_places(app, cluster).await?;
    }
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// A backup as part of another operation, into all of these storages.
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

fn owner(cx: &Cx<App>, key: &str) -> String {
    format!("child/{}/{key}", cx.operation)
}

/// The child's row. One that failed before (the step is tried again by a person) gets a successor.
async fn reserve_child(cx: &Cx<App>, cluster: &ClusterId, key: &str, new: Child) -> Result<BackupId> {
    let app = &cx.world;
    let owner = owner(cx, key);
    let mut tx = app.store.begin_write().await?;
    if let Some(id) = store::kv::get(&mut tx, &owner).await?.as_deref().and_then(BackupId::parse)
        && store::backups::get(&mut tx, &id).await?.status != BackupStatus::Failed
    {
        return Ok(id);
    }
    let cluster = store::clusters::get(&mut tx, cluster).await?;
    let copies = copies_in(&mut tx, &new.storages).await?;
    let backup = row(app, &cluster, new.kind, new.description, new.days, copies);
    store::backups::insert(&mut tx, &backup).await?;
    store::kv::put(&mut tx, &owner, backup.id.as_str()).await?;
    store::commit(tx).await?;
    Ok(backup.id)
}
