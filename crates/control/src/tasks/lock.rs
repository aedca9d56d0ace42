//! Backups that are to be kept until a day are locked until then where their storage can do that, so that
//! nobody who got hold of the access key removes them before.
//!
//! The storage counts the time, by its own clock. A lock follows the backup's time when that is put off,
//! and is never shortened: what is locked is kept, whatever the rules say by then. One that could not be made
//! is said at the copy and tried again.

use crate::{App, backups};
use mainstay_drivers::storage::RepositoryRef;
use mainstay_model::{
    Result, StorageId, Time,
    backup::{Backup, BackupStatus, Copy, CopyLock},
};
use mainstay_rpc::verbs::LockSnapshot;
use mainstay_store::{self as store, Paging, storages::StorageRow};
use std::collections::HashSet;

/// After a lock that could not be made.
const AGAIN_SECONDS: f64 = 600.0;

/// Every backup there is, a page at a time: times are put off for old ones too.
pub async fn all(app: &App) -> Result<()> {
    for storage in able(app).await? {
        let mut paging = Paging::default();
        while let Some(next) = page(app, &storage, &paging).await? {
            paging.cursor = Some(next);
        }
    }
    Ok(())
}

/// The newest, which wait for their lock since they were made.
pub async fn newest(app: &App) -> Result<()> {
    for storage in able(app).await? {
        page(app, &storage, &Paging::default()).await?;
    }
    Ok(())
}

async fn able(app: &App) -> Result<HashSet<StorageId>> {
    let rows = store::storages::all(&mut *app.store.read().await?).await?;
    Ok(rows.iter().filter(|row| can_lock(row)).map(|row| row.id.clone()).collect())
}

/// Where the next one begins.
async fn page(app: &App, storage: &StorageId, paging: &Paging) -> Result<Option<String>> {
    let filter = store::backups::BackupFilter { storage: Some(storage.clone()), ..Default::default() };
    let page = store::backups::list(&mut *app.store.read().await?, &filter, paging).await?;
    for backup in &page.items {
        let copy = backup.copies.iter().find(|c| c.storage == *storage);
        if let Some((copy, until)) = copy.and_then(|c| Some((c, due(backup, c, app.now())?))) {
            lock(app, backup, copy, until).await?;
        }
    }
    Ok(page.next)
}

/// As the latest look found it.
fn can_lock(row: &StorageRow) -> bool {
    row.last_check.iter().flat_map(|l| &l.rows).any(|r| r.name == "object_lock" && r.ok)
}

/// Until when it is to be locked, where it is not by now.
fn due(backup: &Backup, copy: &Copy, now: Time) -> Option<Time> {
    let settled = matches!(backup.status, BackupStatus::Completed | BackupStatus::Partial);
    let until = backup.expires_at.filter(|t| settled && copy.is_good() && *t > now)?;
    let waits = |l: &CopyLock| match l.error {
        None => l.wanted >= until,
        Some(_) => l.tried_at <= now && now.seconds_since(l.tried_at) < AGAIN_SECONDS,
    };
    (!copy.lock.as_ref().is_some_and(waits)).then_some(until)
}

async fn lock(app: &App, backup: &Backup, copy: &Copy, until: Time) -> Result<()> {
    let tried_at = app.now();
    let made = make(app, backup, copy, until).await;
    if let Err(e) = &made {
        tracing::warn!(inside = e.inside, "backup {} could not be locked in storage {}: {e}", backup.id, copy.storage_name);
    }
    let mut tx = app.store.begin_write().await?;
    let mut fresh = store::backups::get(&mut tx, &backup.id).await?;
    if let Some(kept) = fresh.copies.iter_mut().find(|c| c.storage == copy.storage && c.snapshot == copy.snapshot) {
        let before = kept.lock.as_ref().and_then(|l| l.until);
        let error = made.as_ref().err().map(|e| e.message.clone());
        kept.lock = Some(CopyLock { until: made.ok().flatten().max(before), wanted: until, tried_at, error });
        store::backups::update(&mut tx, &fresh).await?;
    }
    store::commit(tx).await
}

async fn make(app: &App, backup: &Backup, copy: &Copy, until: Time) -> Result<Option<Time>> {
    let (repository, snapshot): (RepositoryRef, String) = backups::good_copy(app, backup, Some(&copy.storage)).await?;
    let keep_seconds = until.seconds_since(app.now()).ceil().max(0.0) as u64;
    Ok(app.agent.look(&LockSnapshot { repository, snapshot, keep_seconds }).await?.until)
}
