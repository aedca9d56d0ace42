//! What was given up in storages that let nobody delete: an append-only repository, an access key without
//! that right. The act that gave it up is done; that its space stays is remembered, said where the storage is
//! looked at, and tried again once a day ([`crate::tasks::left_behind`]).

use crate::App;
use mainstay_model::{
    BackupId, ClusterId, Result, StorageId, Time,
    backup::{Backup, BackupStatus, Check},
    left_behind::LeftBehind,
    log::Part,
};
use mainstay_operations::Tx;
use mainstay_rpc::verbs::Deleted;
use mainstay_store as store;
use std::collections::BTreeMap;

/// Where what was given up stays, and why.
pub type Stays = BTreeMap<StorageId, String>;

/// Writes down what was heard of one storage.
pub(crate) fn heard(stays: &mut Stays, storage: &StorageId, deleted: Deleted) {
    match deleted.stays {
        Some(why) => drop(stays.insert(storage.clone(), why)),
        None => drop(stays.remove(storage)),
    }
}

/// Forgets the backup, but not what stays of it.
pub(crate) async fn forget(tx: &mut Tx, backup: &Backup, stays: &Stays, now: Time) -> Result<()> {
    for copy in &backup.copies {
        if let (Some(snapshot), Some(why)) = (&copy.snapshot, stays.get(&copy.storage)) {
            store::left_behind::put(tx, &of_backup(backup, &copy.storage, snapshot, why, now)).await?;
        }
    }
    store::backups::delete(tx, &backup.id).await
}

/// Forgets what lay in one storage of a backup that stays, but not what stays of it there.
pub(crate) async fn forget_copy(tx: &mut Tx, backup: &mut Backup, storage: &StorageId, stays: &Stays, now: Time) -> Result<()> {
    let Some(at) = backup.copies.iter().position(|c| &c.storage == storage && c.status == BackupStatus::Deleting) else { return Ok(()) };
    if let (Some(snapshot), Some(why)) = (&backup.copies[at].snapshot, stays.get(storage)) {
        store::left_behind::put(tx, &of_backup(backup, storage, snapshot, why, now)).await?;
    }
    let copy = &mut backup.copies[at];
    (copy.status, copy.snapshot, copy.lock, copy.deleting_until) = (BackupStatus::Expired, None, None, None);
    Ok(())
}

fn of_backup(backup: &Backup, storage: &StorageId, snapshot: &str, why: &str, now: Time) -> LeftBehind {
    LeftBehind {
        storage: storage.clone(),
        cluster: backup.cluster.clone(),
        cluster_name: backup.cluster_name.to_string(),
        snapshot: Some(snapshot.into()),
        backup: Some(backup.id.clone()),
        data_bytes: backup.data_bytes.unwrap_or_default(),
        at: now,
        tried_at: now,
        why: why.into(),
    }
}

/// What a backup that did not come about had published already.
pub(crate) async fn note_published(app: &App, backup: &Backup, storage: &StorageId, published: &[String], deleted: Deleted) -> Result<()> {
    let Some(why) = deleted.stays else { return Ok(()) };
    let mut tx = app.store.begin_write().await?;
    for snapshot in published {
        store::left_behind::put(&mut tx, &of_backup(backup, storage, snapshot, &why, app.now())).await?;
    }
    store::commit(tx).await
}

/// A part of the log that nobody needs any more.
pub(crate) fn of_part(part: &Part, cluster_name: &str, why: &str, now: Time) -> LeftBehind {
    LeftBehind {
        storage: part.storage.clone(),
        cluster: part.cluster.clone(),
        cluster_name: cluster_name.into(),
        snapshot: Some(part.snapshot.clone()),
        backup: Some(part.id.clone()),
        data_bytes: part.bytes,
        at: now,
        tried_at: now,
        why: why.into(),
    }
}

/// Repositories that were to go as a whole: what was known of their snapshots goes up in that. `true`
/// where something stays, and the key that opens it is kept with it.
pub(crate) async fn forget_all(tx: &mut Tx, cluster: &ClusterId, cluster_name: &str, stays: &Stays, now: Time) -> Result<bool> {
    for left in store::left_behind::of_cluster(tx, cluster).await? {
        store::left_behind::remove(tx, &left).await?;
    }
    for (storage, why) in stays {
        let left = LeftBehind {
            storage: storage.clone(),
            cluster: cluster.clone(),
            cluster_name: cluster_name.into(),
            snapshot: None,
            backup: None,
            data_bytes: 0,
            at: now,
            tried_at: now,
            why: why.clone(),
        };
        store::left_behind::put(tx, &left).await?;
    }
    Ok(!stays.is_empty())
}

/// Backups that nobody remembers and whose snapshots are no surprise.
pub(crate) async fn backups(tx: &mut Tx, cluster: &ClusterId) -> Result<Vec<BackupId>> {
    Ok(store::left_behind::of_cluster(tx, cluster).await?.into_iter().filter_map(|l| l.backup).collect())
}

/// What is to be said of it where the storage is looked at: no fault of the storage's.
pub(crate) fn row(left: &[LeftBehind], control_plane: Option<&str>) -> Option<Check> {
    let (whole, snapshots): (Vec<&LeftBehind>, Vec<&LeftBehind>) = left.iter().partition(|l| l.snapshot.is_none());
    let mut parts = vec![];
    if !snapshots.is_empty() {
        let bytes: u64 = snapshots.iter().map(|l| l.data_bytes).sum();
        let oldest = snapshots.iter().map(|l| l.at).min().unwrap_or_default();
        parts.push(format!("{} of {bytes} bytes of data, the first since {oldest}", count(snapshots.len(), "snapshot")));
    }
    if !whole.is_empty() {
        let names: Vec<&str> = whole.iter().map(|l| l.cluster_name.as_str()).collect();
        parts.push(format!("all backups of deleted {} {}", if names.len() == 1 { "cluster" } else { "clusters" }, names.join(", ")));
    }
    if control_plane.is_some() {
        parts.push("older copies of Mainstay itself".into());
    }
    let why = left.iter().max_by_key(|l| l.tried_at).map(|l| l.why.as_str()).or(control_plane)?;
    Some(Check::absent(
        "left_behind",
        format!("given up, but the space stays taken by {}: {why}; tried again every day", parts.join(", and by ")),
    ))
}

fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}
