//! The copies of a backup: which storages it goes to, and one more later.

use crate::{
    Actor, App, backups,
    ops::{self, copy_backup},
    plan, storages,
};
use mainstay_drivers::storage::SNAPSHOT;
use mainstay_model::{
    Error, OperationId, ProjectId, Result, StorageId,
    backup::{Backup, BackupStatus},
};
use mainstay_operations::{Lock, Submit};
use mainstay_store::storages::StorageRow;

/// The storages a backup goes to, by name or id: those that were named, else `local`; with
/// `dual_region` those that were named if they lie in two regions, else two that do.
pub async fn places(app: &App, project: &ProjectId, named: &[String], dual_region: bool) -> Result<Vec<String>> {
    if !dual_region {
        return Ok(if named.is_empty() { vec![storages::DEFAULT.to_string()] } else { named.to_vec() });
    }
    let mut rows = vec![];
    for name in named {
        rows.push(storages::resolve(app, project, name).await.map_err(|e| e.with_field("storage"))?);
    }
    let all = if named.is_empty() { storages::list(app, project).await? } else { rows };
    // Snapshots are where the data is, whatever their label says.
    let regions: Vec<_> = all
        .iter()
        .filter(|row| row.kind != SNAPSHOT && row.followed_by.is_none())
        .map(|row| (row.name.as_str(), row.region.as_deref()))
        .collect();
    let (one, other) = plan::regions::two(&regions)?;
    Ok(if named.is_empty() { vec![one.into(), other.into()] } else { named.to_vec() })
}

/// One copy more, in the storage named.
pub async fn add(app: &App, by: &Actor, backup: &Backup, storage: &str) -> Result<OperationId> {
    let row = wanted(app, backup, storage).await?;
    app.runner.submit(submission(backup, &row.id, &by.name)?).await
}

/// The storage, if a copy of the backup can be made there.
pub async fn wanted(app: &App, backup: &Backup, storage: &str) -> Result<StorageRow> {
    let row = storages::resolve(app, &backup.project, storage).await.map_err(|e| e.with_field("storage"))?;
    may_add(backup, &row)?;
    Ok(row)
}

pub(crate) fn submission(backup: &Backup, storage: &StorageId, by: &str) -> Result<Submit> {
    let state = copy_backup::State { backup: backup.id.clone(), storage: storage.clone(), before: None, stored: None };
    let subject = ops::subject_of(&backup.project, backup.cluster_name.as_str(), backup.id.as_str());
    ops::submission::<copy_backup::CopyBackup>(&state, Some(subject), Lock::Exclusive, by)
}

/// There is a good copy to make it of, and none in that storage yet.
pub(crate) fn may_add(backup: &Backup, row: &StorageRow) -> Result<()> {
    storages::takes_backups(row)?;
    if !backup.is_restorable() {
        return Err(backups::not_restorable(backup));
    }
    match backup.copies.iter().find(|c| c.storage == row.id) {
        Some(c) if c.is_good() => {
            Err(Error::conflict("copy_exists", format!("storage {} holds a good copy of backup {} already", row.name, backup.id)))
        }
        Some(c) if c.status == BackupStatus::Running => {
            Err(Error::conflict("copy_running", format!("a copy of backup {} is being made in storage {}", backup.id, row.name)))
        }
        _ => Ok(()),
    }
}
