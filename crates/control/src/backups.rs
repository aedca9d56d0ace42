//! Backups: asking for one, finding one, and what a repository is made of.

use crate::{
    Actor, App, app,
    ops::{self, back_up, delete_backup, drill, verify},
    projects, storages,
};
use mainstay_drivers::storage::{RepositoryKeys, RepositoryRef, SnapshotLabel};
use mainstay_model::{
    BackupId, ClusterId, Error, NodeId, OperationId, ProjectId, Result, StorageId,
    backup::{Backup, BackupKind, BackupStatus, Copy, Proof},
    cluster::Cluster,
    schedule::Schedule,
};
use mainstay_operations::{Cx, Lock, Tx};
use mainstay_rpc::{
    Chunks,
    verbs::{DownloadSnapshot, ManualCommands},
};
use mainstay_store::{self as store, Page, Paging, backups::BackupFilter};

/// What `backup create` was given.
#[derive(Debug, Clone, Default)]
pub struct NewBackup {
    pub description: String,
    /// `None` keeps it until it is deleted.
    pub retention_days: Option<i64>,
    /// Names or ids; empty means the storage `local`.
    pub storages: Vec<String>,
}

/// Days a manual backup is kept where nothing was said.
pub const DEFAULT_RETENTION_DAYS: i64 = 7;

impl NewBackup {
    fn check(&self) -> Result<()> {
        if self.description.chars().count() > 500 || self.description.chars().any(char::is_control) {
            return Err(Error::invalid("description", "at most 500 characters, no control characters"));
        }
        if self.retention_days.is_some_and(|d| !(1..=36_500).contains(&d)) {
            return Err(Error::invalid("retention_days", "1 to 36500 days, or keep"));
        }
        Ok(())
    }
}

pub async fn create(app: &App, by: &Actor, cluster: &Cluster, new: NewBackup) -> Result<(Backup, OperationId)> {
    new.check()?;
    let named = if new.storages.is_empty() { vec![storages::DEFAULT.to_string()] } else { new.storages };
    let mut copies = Vec::new();
    for name in &named {
        let row = storages::resolve(app, &cluster.project, name).await.map_err(|e| e.with_field("storage"))?;
        if copies.iter().any(|c: &Copy| c.storage == row.id) {
            return Err(Error::invalid("storage", format!("storage {} is named twice", row.name)));
        }
        copies.push(copy(&row));
    }
    let backup = row(app, cluster, BackupKind::Manual, new.description, new.retention_days, copies);
    let mut tx = app.store.begin_write().await?;
    let operation = begin(app, &mut tx, cluster, &backup, &by.name).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok((backup, operation))
}

/// A backup that a schedule asks for, within the write that marks its time as used.
pub(crate) async fn begin_scheduled(app: &App, tx: &mut Tx, cluster: &Cluster, schedule: &Schedule) -> Result<BackupId> {
    let mut copies = Vec::new();
    for id in &schedule.storages {
        copies.push(copy(&store::storages::get(tx, id).await?));
    }
    let description = format!("schedule {}", schedule.name);
    let mut backup = row(app, cluster, BackupKind::Scheduled, description, schedule.retention.days, copies);
    (backup.schedule, backup.retention) = (Some(schedule.id.clone()), Some(schedule.retention.clone()));
    begin(app, tx, cluster, &backup, &format!("schedule {}", schedule.name)).await?;
    Ok(backup.id)
}

/// The row and the operation that fills it, born together. The caller wakes the runner after its
/// commit.
async fn begin(app: &App, tx: &mut Tx, cluster: &Cluster, backup: &Backup, by: &str) -> Result<OperationId> {
    let state = back_up::State {
        cluster: cluster.id.clone(),
        backup: backup.id.clone(),
        from: back_up::From::Replica,
        source: None,
        tries: 0,
        results: vec![],
    };
    let submit = ops::submission::<back_up::BackUp>(&state, Some(ops::subject(cluster)), Lock::Shared, by)?;
    store::backups::insert(tx, backup).await?;
    app.runner.submit_in(tx, submit).await
}

fn copy(row: &store::storages::StorageRow) -> Copy {
    Copy {
        storage: row.id.clone(),
        storage_name: row.name.to_string(),
        status: BackupStatus::Running,
        snapshot: None,
        added_bytes: None,
        verified_at: None,
        error: None,
    }
}

fn row(app: &App, cluster: &Cluster, kind: BackupKind, description: String, days: Option<i64>, copies: Vec<Copy>) -> Backup {
    let now = app.now();
    Backup {
        id: BackupId::new(),
        project: cluster.project.clone(),
        cluster: cluster.id.clone(),
        cluster_name: cluster.name.clone(),
        kind,
        schedule: None,
        status: BackupStatus::Running,
        proof: Proof::None,
        description,
        engine: cluster.engine.clone(),
        engine_version: cluster.version.clone(),
        created_at: now,
        finished_at: None,
        expires_at: days.map(|d| now.plus_days(d)),
        retention: None,
        pinned: false,
        deleting: None,
        data_bytes: None,
        facts: None,
        checks: vec![],
        drill: None,
        error: None,
        copies,
    }
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
    from: back_up::From,
) -> Result<BackupId> {
    let id = reserve_child(cx, cluster, key, kind, description, days).await?;
    let state = back_up::State { cluster: cluster.clone(), backup: id.clone(), from, source: None, tries: 0, results: vec![] };
    ops::child::<back_up::BackUp>(cx, key, &state).await?;
    let backup = get(&cx.world, &id).await?;
    match backup.status {
        BackupStatus::Completed => Ok(id),
        _ => Err(Error::failed("backup_failed", backup.error.unwrap_or_else(|| "the backup did not complete".into()))),
    }
}

/// The child's row. One that failed before (the step is tried again by a person) gets a successor.
async fn reserve_child(
    cx: &Cx<App>,
    cluster: &ClusterId,
    key: &str,
    kind: BackupKind,
    description: String,
    days: Option<i64>,
) -> Result<BackupId> {
    let app = &cx.world;
    let owner = format!("child/{}/{key}", cx.operation);
    let mut tx = app.store.begin_write().await?;
    if let Some(id) = store::kv::get(&mut tx, &owner).await?.as_deref().and_then(BackupId::parse)
        && store::backups::get(&mut tx, &id).await?.status != BackupStatus::Failed
    {
        return Ok(id);
    }
    let cluster = store::clusters::get(&mut tx, cluster).await?;
    let storage = store::storages::by_name(&mut tx, &cluster.project, storages::DEFAULT).await?;
    let backup = row(app, &cluster, kind, description, days, vec![copy(&storage)]);
    store::backups::insert(&mut tx, &backup).await?;
    store::kv::put(&mut tx, &owner, backup.id.as_str()).await?;
    store::commit(tx).await?;
    Ok(backup.id)
}

pub async fn get(app: &App, id: &BackupId) -> Result<Backup> {
    store::backups::get(&mut *app.store.read().await?, id).await
}

/// By id, seen from a project: another project's backup is not there.
pub async fn resolve(app: &App, project: &ProjectId, id: &str) -> Result<Backup> {
    let missing = || Error::not_found("backup", id);
    let backup = get(app, &BackupId::parse(id).ok_or_else(missing)?).await?;
    if &backup.project == project { Ok(backup) } else { Err(missing()) }
}

pub async fn list(app: &App, filter: &BackupFilter, paging: &Paging) -> Result<Page<Backup>> {
    store::backups::list(&mut *app.store.read().await?, filter, paging).await
}

pub async fn set_pinned(app: &App, backup: &Backup, pinned: bool) -> Result<Backup> {
    let mut tx = app.store.begin_write().await?;
    let mut row = store::backups::get(&mut tx, &backup.id).await?;
    row.pinned = pinned;
    store::backups::update(&mut tx, &row).await?;
    store::commit(tx).await?;
    Ok(row)
}

pub async fn verify(app: &App, by: &Actor, backup: &Backup) -> Result<OperationId> {
    restorable_or_failed(backup)?;
    let state = verify::State { backup: backup.id.clone(), results: vec![] };
    let subject = ops::subject_of(&backup.project, backup.cluster_name.as_str(), backup.id.as_str());
    let submit = ops::submission::<verify::Verify>(&state, Some(subject), Lock::Exclusive, &by.name)?;
    app.runner.submit(submit).await
}

pub async fn drill(app: &App, by: &Actor, backup: &Backup) -> Result<OperationId> {
    if !backup.is_restorable() {
        return Err(not_restorable(backup));
    }
    let state = drill::State { backup: backup.id.clone(), node: NodeId::new(), seconds: None, checks: vec![] };
    let subject = ops::subject_of(&backup.project, backup.cluster_name.as_str(), backup.id.as_str());
    let submit = ops::submission::<drill::Drill>(&state, Some(subject), Lock::Exclusive, &by.name)?;
    app.runner.submit(submit).await
}

pub async fn delete(app: &App, by: &Actor, backup: &Backup) -> Result<OperationId> {
    if backup.pinned {
        return Err(Error::conflict("backup_pinned", format!("backup {} is pinned; unpin it first", backup.id)));
    }
    if backup.status == BackupStatus::Running {
        return Err(Error::conflict("backup_running", format!("backup {} is being made; cancel its operation instead", backup.id)));
    }
    let state = delete_backup::State { backup: backup.id.clone(), status_before: backup.status };
    let subject = ops::subject_of(&backup.project, backup.cluster_name.as_str(), backup.id.as_str());
    let submit = ops::submission::<delete_backup::DeleteBackup>(&state, Some(subject), Lock::Exclusive, &by.name)?;
    app.runner.submit(submit).await
}

fn restorable_or_failed(backup: &Backup) -> Result<()> {
    if backup.copies.iter().any(|c| c.snapshot.is_some()) {
        return Ok(());
    }
    Err(not_restorable(backup))
}

pub(crate) fn not_restorable(backup: &Backup) -> Error {
    let why = backup.error.clone().unwrap_or_else(|| format!("it is {:?}", backup.status).to_lowercase());
    Error::invalid("backup", format!("backup {} cannot be restored: {why}", backup.id)).with_code("backup_not_restorable")
}

/// The backup as one file.
pub async fn download(app: &App, backup: &Backup) -> Result<Chunks> {
    let (repository, snapshot) = good_copy(app, backup, None).await?;
    app.agent.chunks(&DownloadSnapshot { engine: backup.engine.clone(), repository, snapshot }).await
}

/// What the downloaded file is called.
pub async fn file_name(app: &App, backup: &Backup) -> Result<String> {
    let facts = app.description().await?.facts;
    let extension = facts.get(&backup.engine).map_or("tar.zst", |f| f.download_extension.as_str());
    Ok(format!("{}-{}.{extension}", backup.cluster_name, backup.id))
}

/// What to type to restore without Mainstay, for each copy.
pub async fn commands(app: &App, backup: &Backup) -> Result<Vec<String>> {
    let (repository, snapshot) = good_copy(app, backup, None).await?;
    let verb = ManualCommands { engine: backup.engine.clone(), version: backup.engine_version.clone(), repository, snapshot };
    app.agent.look(&verb).await
}

// ---- repositories ----

const OWN_KEY: &str = "repository_key";

/// The cluster's repository in a storage, with the keys that open it.
pub async fn repository(app: &App, cluster: &Cluster, storage: &StorageId) -> Result<RepositoryRef> {
    repository_for(app, &cluster.project, &cluster.id, &cluster.engine, storage).await
}

pub async fn repository_of(app: &App, backup: &Backup, storage: &StorageId) -> Result<RepositoryRef> {
    repository_for(app, &backup.project, &backup.cluster, &backup.engine, storage).await
}

async fn repository_for(app: &App, project: &ProjectId, cluster: &ClusterId, engine: &str, storage: &StorageId) -> Result<RepositoryRef> {
    let facts = app.description().await?.facts;
    let chunking = facts.get(engine).map(|f| f.chunking).ok_or_else(|| Error::internal(format!("no facts of engine {engine}")))?;
    let row = store::storages::get(&mut *app.store.read().await?, storage).await?;
    let keys = RepositoryKeys { own: own_key(app, cluster).await?, recovery: vec![projects::recovery_key(app, project).await?] };
    Ok(RepositoryRef { storage: storages::spec(&row)?, project: project.clone(), cluster: cluster.clone(), chunking, keys })
}

/// Drawn at the first use and kept for good, also after the cluster is gone: its backups are not.
async fn own_key(app: &App, cluster: &ClusterId) -> Result<mainstay_model::Secret> {
    let owner = format!("{cluster}/repository");
    if let Some(key) = store::secrets::get(&mut *app.store.read().await?, app.store.sealer(), &owner, OWN_KEY).await? {
        return Ok(key);
    }
    let mut tx = app.store.begin_write().await?;
    if let Some(key) = store::secrets::get(&mut tx, app.store.sealer(), &owner, OWN_KEY).await? {
        return Ok(key);
    }
    let key = app::new_password();
    store::secrets::put(&mut tx, app.store.sealer(), &owner, OWN_KEY, &key).await?;
    store::commit(tx).await?;
    Ok(key)
}

/// A copy to restore from: the named storage's, or the first good one.
pub async fn good_copy(app: &App, backup: &Backup, storage: Option<&StorageId>) -> Result<(RepositoryRef, String)> {
    let fits = |c: &&Copy| c.is_good() && storage.is_none_or(|s| &c.storage == s);
    let copy = backup.copies.iter().find(fits).ok_or_else(|| not_restorable(backup))?;
    let snapshot = copy.snapshot.clone().ok_or_else(|| not_restorable(backup))?;
    Ok((repository_of(app, backup, &copy.storage).await?, snapshot))
}

/// Storages in which the cluster has, or had, copies.
pub(crate) async fn storages_used(app: &App, cluster: &ClusterId) -> Result<Vec<StorageId>> {
    let backups = store::backups::of_cluster(&mut *app.store.read().await?, cluster).await?;
    let mut used: Vec<StorageId> = backups.into_iter().flat_map(|b| b.copies).map(|c| c.storage).collect();
    used.sort();
    used.dedup();
    Ok(used)
}

pub(crate) fn label(backup: &Backup) -> SnapshotLabel {
    let kind = serde_json::to_value(backup.kind).ok().and_then(|v| v.as_str().map(String::from)).unwrap_or_default();
    SnapshotLabel {
        backup: backup.id.clone(),
        cluster: backup.cluster.clone(),
        cluster_name: backup.cluster_name.to_string(),
        kind,
        description: backup.description.clone(),
        created_at: backup.created_at,
    }
}
