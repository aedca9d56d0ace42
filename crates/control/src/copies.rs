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
    retention::Retention,
};
use mainstay_operations::{Lock, Submit};
use mainstay_store::storages::StorageRow;
use std::collections::BTreeMap;

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

/// Days that copies may be kept by themselves, where a retention keeps by days alone: theirs end before.
pub(crate) fn at_most(of: &Retention) -> Option<i64> {
    (*of == Retention { days: of.days, ..Retention::default() }).then_some(of.days).flatten()
}

/// Days the copies in some of `places` are kept, by the names or ids that were `named`, where that is shorter
/// than `of` keeps the backup; of that nothing is known beforehand where a cluster's policy decides.
pub(crate) fn shorter(places: &[&StorageRow], named: &BTreeMap<String, i64>, of: Option<&Retention>) -> Result<BTreeMap<StorageId, i64>> {
    let refuse = |why: String| Err(Error::invalid("copy_retention", why));
    let most = of.and_then(at_most);
    let mut days_of: BTreeMap<StorageId, i64> = BTreeMap::new();
    for (name, days) in named {
        let Some(row) = places.iter().find(|r| r.name.as_str() == name || r.id.as_str() == name) else {
            return refuse(format!("storage {} is none of those the backups go to", mainstay_model::error::shown(name)));
        };
        if !(1..=36_500).contains(days) {
            return refuse(format!("storage {}: 1 to 36500 days", row.name));
        }
        if most.is_some_and(|most| *days > most) {
            let kept = most.unwrap_or_default();
            return refuse(format!("storage {}: no copy is kept longer than its backup, which is kept {kept} days", row.name));
        }
        if days_of.insert(row.id.clone(), *days).is_some() {
            return refuse(format!("storage {} is named twice", row.name));
        }
    }
    days_of.retain(|_, days| most != Some(*days));
    let stays = |r: &&&StorageRow| r.kind != SNAPSHOT && !days_of.contains_key(&r.id);
    if !days_of.is_empty() && !places.iter().any(|r| stays(&r)) {
        return refuse("in one storage at least, which keeps no snapshots, copies stay as long as their backup: leave that one out".into());
    }
    Ok(days_of)
}

/// Each copy lapses by itself where that was said of its storage.
pub(crate) fn lapse(backup: &mut Backup, days_of: &BTreeMap<StorageId, i64>) {
    let made = backup.created_at;
    for copy in &mut backup.copies {
        copy.expires_at = days_of.get(&copy.storage).map(|days| made.plus_days(*days));
    }
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
        Some(c) if c.status == BackupStatus::Deleting => {
            let why = format!("the copy of backup {} in storage {} is being removed, for its time there is over", backup.id, row.name);
            Err(Error::conflict("copy_deleting", format!("{why}; `backup undelete` brings it back while it can")))
        }
        _ => Ok(()),
    }
}
