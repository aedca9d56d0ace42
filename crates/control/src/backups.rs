//! Backups: asking for one, finding one, and what a repository is made of.

mod made;
mod repositories;

pub(crate) use repositories::{OWN_KEY, keys_owner, own_key, path_of, repository_of_there, repository_there};
pub use repositories::{repository, repository_of};

pub(crate) use made::{BEGINS_WINDOW, Child, all_places, begin_for_log, child, child_into};

use crate::{
    Actor, App,
    app::act,
    copies, groups,
    left_behind::{self, Stays},
    ops::{self, back_up, delete_backup, drill, verify},
    storages,
};
use mainstay_drivers::storage::{FoundBackup, RepositoryRef, SnapshotLabel};
use mainstay_model::{
    BackupId, ClusterId, Error, Kind, NodeId, OperationId, ProjectId, Result, StorageId, Time,
    backup::{Backup, BackupKind, BackupStatus, Copy, Proof, ReadFrom},
    cluster::Cluster,
    retention::Retention,
    schedule::Schedule,
};
use mainstay_operations::{Cx, Lock, Tx};
use mainstay_rpc::{
    Chunks,
    verbs::{DownloadSnapshot, ManualCommands, Party, RemoveRepository},
};
use mainstay_store::{self as store, Page, Paging, backups::BackupFilter};
use std::collections::BTreeMap;

/// What `backup create` was given.
#[derive(Debug, Clone, Default)]
pub struct NewBackup {
    pub description: String,
    /// `None` keeps it until it is deleted.
    pub retention_days: Option<i64>,
    /// Nothing was said, and `retention_days` is only the default: the cluster's policy may say more.
    pub by_policy: bool,
    /// Names or ids; empty means the storage `local`.
    pub storages: Vec<String>,
    /// Into storages of two regions at least.
    pub dual_region: bool,
    /// Days the copies in some of the storages are kept, by name or id.
    pub copy_retention: BTreeMap<String, i64>,
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

/// The row of a backup that a person asked for, with a copy for each storage that was named.
pub(crate) async fn wanted(app: &App, cluster: &Cluster, new: &NewBackup) -> Result<Backup> {
    new.check()?;
    let (mut copies, mut rows) = (Vec::new(), Vec::new());
    for name in &copies::places(app, &cluster.project, &new.storages, new.dual_region).await? {
        let row = storages::resolve(app, &cluster.project, name).await.map_err(|e| e.with_field("storage"))?;
        storages::takes_backups(&row)?;
        if copies.iter().any(|c: &Copy| c.storage == row.id) {
            return Err(Error::invalid("storage", format!("storage {} is named twice", row.name)));
        }
        copies.push(copy(&row));
        rows.push(row);
    }
    let mut backup = row(app, cluster, BackupKind::Manual, new.description.clone(), new.retention_days, copies);
    backup.retention = (!new.by_policy).then(|| Retention { days: new.retention_days, ..Retention::default() });
    let shorter = copies::shorter(&rows.iter().collect::<Vec<_>>(), &new.copy_retention, backup.retention.as_ref())?;
    copies::lapse(&mut backup, &shorter);
    Ok(backup)
}

/// Refuses a second backup by hand within an hour, where the cluster's policy says so.
pub(crate) async fn within_limit(app: &App, tx: &mut Tx, cluster: &Cluster) -> Result<()> {
    const HOUR: i64 = 3600;
    if !store::retention::policy(tx, &cluster.id).await?.manual_limit {
        return Ok(());
    }
    let now = app.now();
    let Some(last) = store::backups::manual_since(tx, &cluster.id, now.plus_seconds(-HOUR)).await? else { return Ok(()) };
    let wait = last.created_at.plus_seconds(HOUR).seconds_since(now).ceil().clamp(1.0, HOUR as f64) as u64;
    let why = format!(
        "cluster {} is limited to one backup by hand an hour, and {} was made {}; the next can begin in {} minutes, or once that one is deleted",
        cluster.name,
        last.id,
        last.created_at,
        wait.div_ceil(60)
    );
    Err(Error::new(Kind::TooMany, "manual_limit", why).with_retry_after(wait))
}

pub async fn create(app: &App, by: &Actor, cluster: &Cluster, new: NewBackup) -> Result<(Backup, OperationId)> {
    let backup = wanted(app, cluster, &new).await?;
    let mut tx = app.store.begin_write().await?;
    within_limit(app, &mut tx, cluster).await?;
    let operation = begin(app, &mut tx, cluster, &backup, &by.name).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok((backup, operation))
}

/// A backup that a schedule asks for, within the write that marks its time as used.
pub(crate) async fn begin_scheduled(app: &App, tx: &mut Tx, cluster: &Cluster, schedule: &Schedule) -> Result<BackupId> {
    let backup = scheduled(app, tx, cluster, schedule).await?;
    begin(app, tx, cluster, &backup, &format!("schedule {}", schedule.name)).await?;
    Ok(backup.id)
}

/// The row of a backup that a schedule asks for, its cluster's or that of a group it is a member of.
pub(crate) async fn scheduled(app: &App, tx: &mut Tx, cluster: &Cluster, schedule: &Schedule) -> Result<Backup> {
    let copies = copies_in(tx, &schedule.storages).await?;
    let description = format!("schedule {}", schedule.name);
    let mut backup = row(app, cluster, BackupKind::Scheduled, description, schedule.retention.days, copies);
    (backup.schedule, backup.retention) = (Some(schedule.id.clone()), Some(schedule.retention.clone()));
    // By their places: a storage may have been followed by another one since.
    for (copy, storage) in backup.copies.iter_mut().zip(&schedule.storages) {
        copy.expires_at = schedule.copy_retention.get(storage).map(|days| backup.created_at.plus_days(*days));
    }
    Ok(backup)
}

/// A backup that Mainstay makes by itself because the drill of `failed` showed that one to be bad: one that
/// takes nothing over from any other, into the same places as far as they are still there.
pub(crate) async fn begin_after_drill(app: &App, tx: &mut Tx, cluster: &Cluster, failed: &Backup) -> Result<BackupId> {
    let mut copies = Vec::new();
    for place in &failed.copies {
        match store::storages::get(tx, &place.storage).await {
            Ok(row) => copies.push(copy(&row)),
            Err(e) if e.kind == Kind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    if copies.is_empty() {
        copies.push(copy(&store::storages::by_name(tx, &cluster.project, storages::DEFAULT).await?));
    }
    let description = format!("because the drill of {} failed", failed.id);
    let backup = row(app, cluster, BackupKind::Scheduled, description, Some(DEFAULT_RETENTION_DAYS), copies);
    let from = store::retention::policy(tx, &cluster.id).await?.from;
    // What the failed one was wrong about may have come from the ones before it.
    let state = back_up::State { full: true, ..back_up::State::new(&cluster.id, &backup.id, from) };
    write(app, tx, cluster, &backup, "mainstay", state).await?;
    Ok(backup.id)
}

/// The row and the operation that fills it, born together. The caller wakes the runner after its
/// commit.
async fn begin(app: &App, tx: &mut Tx, cluster: &Cluster, backup: &Backup, by: &str) -> Result<OperationId> {
    let from = store::retention::policy(tx, &cluster.id).await?.from;
    write(app, tx, cluster, backup, by, back_up::State::new(&cluster.id, &backup.id, from)).await
}

/// The same as a member of a party. Writes are held on primaries, so it reads there.
pub(crate) async fn begin_in_party(
    app: &App,
    tx: &mut Tx,
    cluster: &Cluster,
    backup: &Backup,
    by: &str,
    party: Party,
) -> Result<OperationId> {
    let state = back_up::State::new(&cluster.id, &backup.id, ReadFrom::Primary);
    write(app, tx, cluster, backup, by, back_up::State { party: Some(party), ..state }).await
}

async fn write(app: &App, tx: &mut Tx, cluster: &Cluster, backup: &Backup, by: &str, state: back_up::State) -> Result<OperationId> {
    let submit = ops::submission::<back_up::BackUp>(&state, Some(ops::subject(cluster)), Lock::Shared, by)?;
    store::backups::insert(tx, backup).await?;
    app.runner.submit_in(tx, submit).await
}

pub(crate) fn copy(row: &store::storages::StorageRow) -> Copy {
    Copy {
        storage: row.id.clone(),
        storage_name: row.name.to_string(),
        kind: row.kind.clone(),
        status: BackupStatus::Running,
        snapshot: None,
        added_bytes: None,
        verified_at: None,
        error: None,
        tries: 0,
        tried_at: None,
        lock: None,
        expires_at: None,
        deleting_until: None,
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
        part_of: None,
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

/// The check that says where a backup was found.
pub(crate) const ADOPTED: &str = "adopted";

/// A backup that was found in a storage. Its structure was looked at; that every byte is good is for
/// a verification to say, so it proves nothing yet.
pub(crate) fn adopted(app: &App, source: &Cluster, kind: BackupKind, found: &FoundBackup, storage: &store::storages::StorageRow) -> Backup {
    let now = app.now();
    let looked = format!("found in storage {}: its records are whole and every piece is there; `backup verify` reads it all", storage.name);
    let copy = Copy { status: BackupStatus::Completed, snapshot: Some(found.snapshot.clone()), verified_at: Some(now), ..copy(storage) };
    Backup {
        id: found.backup.clone(),
        status: BackupStatus::Completed,
        engine: found.facts.engine.clone(),
        engine_version: found.facts.engine_version.clone(),
        created_at: found.created_at,
        finished_at: Some(found.created_at),
        data_bytes: Some(found.data_bytes),
        facts: Some(found.facts.clone()),
        checks: vec![mainstay_model::backup::Check::new(ADOPTED, true, looked)],
        ..row(app, source, kind, found.description.clone(), None, vec![copy])
    }
}

async fn copies_in(tx: &mut Tx, storages: &[StorageId]) -> Result<Vec<Copy>> {
    let mut copies = Vec::new();
    for id in storages {
        let mut row = store::storages::get(tx, id).await?;
        // Rekeyed since it was named.
        while let Some(next) = row.followed_by.clone() {
            match store::storages::get(tx, &next).await {
                Err(e) if e.kind == Kind::NotFound => break,
                found => row = found?,
            }
        }
        copies.push(copy(&row));
    }
    Ok(copies)
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

/// Writes what was found out of a backup, also where it is a part of a group's.
pub(crate) async fn update(tx: &mut Tx, backup: &Backup) -> Result<()> {
    store::backups::update(tx, backup).await?;
    groups::part_changed(tx, backup).await
}

pub async fn list(app: &App, filter: &BackupFilter, paging: &Paging) -> Result<Page<Backup>> {
    store::backups::list(&mut *app.store.read().await?, filter, paging).await
}

pub async fn set_pinned(app: &App, backup: &Backup, pinned: bool) -> Result<Backup> {
    let mut tx = app.store.begin_write().await?;
    let row = store::backups::get(&mut tx, &backup.id).await?;
    let row = pin_in(&mut tx, row, pinned).await?;
    store::commit(tx).await?;
    Ok(row)
}

pub(crate) async fn pin_in(tx: &mut Tx, mut row: Backup, pinned: bool) -> Result<Backup> {
    staying(&row)?;
    row.pinned = pinned;
    if pinned {
        row.bring_copies_back();
    }
    store::backups::update(tx, &row).await?;
    Ok(row)
}

/// Refuses what is done to a backup that is going away.
fn staying(backup: &Backup) -> Result<()> {
    if backup.status != BackupStatus::Deleting {
        return Ok(());
    }
    let mend = if backup.deleting.is_some() { "; `backup undelete` brings it back" } else { "" };
    Err(Error::conflict("backup_deleting", format!("backup {} is being deleted{mend}", backup.id)))
}

pub async fn verify(app: &App, by: &Actor, backup: &Backup) -> Result<OperationId> {
    staying(backup)?;
    restorable_or_failed(backup)?;
    let state = verify::State::new(&backup.id, vec![]);
    submit_verify(app, backup, &state, &by.name).await
}

/// The copies in these storages only, as Mainstay does by itself.
pub(crate) async fn reread(app: &App, backup: &Backup, storages: Vec<StorageId>) -> Result<OperationId> {
    staying(backup)?;
    submit_verify(app, backup, &verify::State::new(&backup.id, storages), "mainstay").await
}

async fn submit_verify(app: &App, backup: &Backup, state: &verify::State, by: &str) -> Result<OperationId> {
    let subject = ops::subject_of(&backup.project, backup.cluster_name.as_str(), backup.id.as_str());
    let submit = ops::submission::<verify::Verify>(state, Some(subject), Lock::Exclusive, by)?;
    app.runner.submit(submit).await
}

pub async fn drill(app: &App, by: &Actor, backup: &Backup) -> Result<OperationId> {
    drill_to(app, by, backup, None).await
}

/// The same, with the log replayed to a moment.
pub(crate) async fn drill_to(app: &App, by: &Actor, backup: &Backup, until: Option<Time>) -> Result<OperationId> {
    // One that failed its drill may be tried again: what was wrong may have been what was asked of it.
    let condemned = backup.drill.as_ref().is_some_and(|d| !d.ok) && backup.status == BackupStatus::Failed;
    if !backup.is_restorable() && !condemned {
        return Err(not_restorable(backup));
    }
    let state = drill::State { backup: backup.id.clone(), node: NodeId::new(), seconds: None, checks: vec![], until, storage: None };
    let subject = ops::subject_of(&backup.project, backup.cluster_name.as_str(), backup.id.as_str());
    let submit = ops::submission::<drill::Drill>(&state, Some(subject), Lock::Exclusive, &by.name)?;
    app.runner.submit(submit).await
}

pub async fn delete(app: &App, by: &Actor, backup: &Backup) -> Result<OperationId> {
    if backup.pinned {
        return Err(Error::conflict("backup_pinned", format!("backup {} is pinned; unpin it first", backup.id)));
    }
    if let Some(until) = backup.locked_until(app.now()) {
        let why = format!("backup {} is locked until {until}: its storage lets nobody remove it before", backup.id);
        return Err(Error::conflict("backup_locked", why));
    }
    if backup.status == BackupStatus::Running {
        return Err(Error::conflict("backup_running", format!("backup {} is being made; cancel its operation instead", backup.id)));
    }
    let state =
        delete_backup::State { backup: backup.id.clone(), status_before: backup.status, deleting_before: None, stays: Default::default() };
    let subject = ops::subject_of(&backup.project, backup.cluster_name.as_str(), backup.id.as_str());
    let submit = ops::submission::<delete_backup::DeleteBackup>(&state, Some(subject), Lock::Exclusive, &by.name)?;
    app.runner.submit(submit).await
}

/// Whether nothing good of its cluster is left without it.
pub async fn is_last_good(app: &App, backup: &Backup) -> Result<bool> {
    let all = store::backups::of_cluster(&mut *app.store.read().await?, &backup.cluster).await?;
    Ok(backup.is_restorable() && all.iter().all(|b| b.id == backup.id || !b.is_good()))
}

pub fn last_good_warning(backup: &Backup) -> String {
    format!("this is the last good backup of {}: without it nothing can be brought back", backup.cluster_name)
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

/// What to type to restore without Mainstay from one copy, or why that cannot be said now.
pub struct ByHand {
    pub storage: String,
    pub commands: Result<Vec<String>>,
}

/// For each good copy: a storage that does not answer keeps nobody from the others.
pub async fn commands(app: &App, backup: &Backup) -> Result<Vec<ByHand>> {
    let mut all = Vec::new();
    for copy in backup.copies.iter().filter(|c| c.is_good()) {
        let commands = commands_for(app, backup, copy).await;
        all.push(ByHand { storage: copy.storage_name.clone(), commands });
    }
    if all.is_empty() { Err(not_restorable(backup)) } else { Ok(all) }
}

async fn commands_for(app: &App, backup: &Backup, copy: &Copy) -> Result<Vec<String>> {
    let (repository, snapshot) = good_copy(app, backup, Some(&copy.storage)).await?;
    let verb = ManualCommands { engine: backup.engine.clone(), version: backup.engine_version.clone(), repository, snapshot };
    app.agent.look(&verb).await
}

// ---- repositories ----

/// A copy to restore from: the named storage's, or the first good one.
pub async fn good_copy(app: &App, backup: &Backup, storage: Option<&StorageId>) -> Result<(RepositoryRef, String)> {
    let fits = |c: &&Copy| c.is_good() && storage.is_none_or(|s| &c.storage == s);
    let copy = backup.copies.iter().find(fits).ok_or_else(|| not_restorable(backup))?;
    let snapshot = copy.snapshot.clone().ok_or_else(|| not_restorable(backup))?;
    Ok((repository_of(app, backup, &copy.storage).await?, snapshot))
}

/// Storages in which the cluster has, or had, copies or parts of its log.
pub(crate) async fn storages_used(app: &App, cluster: &ClusterId) -> Result<Vec<StorageId>> {
    let mut conn = app.store.read().await?;
    let backups = store::backups::of_cluster(&mut conn, cluster).await?;
    let mut used: Vec<StorageId> = backups.into_iter().flat_map(|b| b.copies).map(|c| c.storage).collect();
    used.extend(store::log::parts(&mut conn, cluster).await?.into_iter().map(|p| p.storage));
    used.extend(store::log::archive(&mut conn, cluster).await?.into_iter().flat_map(|a| a.places.into_keys()));
    used.extend(store::left_behind::of_cluster(&mut conn, cluster).await?.into_iter().map(|l| l.storage));
    used.sort();
    used.dedup();
    Ok(used)
}

/// Removes all that lies of the cluster in any storage. One that was removed from the list of storages keeps
/// what is in it: nobody can log in there any more.
pub(crate) async fn remove_all(cx: &Cx<App>, cluster: &ClusterId, stays: &mut Stays) -> Result<()> {
    let row = store::clusters::get(&mut *cx.world.store.read().await?, cluster).await?;
    for storage in storages_used(&cx.world, cluster).await? {
        let Some(repository) = repository_there(&cx.world, &row, &storage).await? else { continue };
        left_behind::heard(stays, &storage, act(cx, RemoveRepository { repository }).await?);
    }
    Ok(())
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
