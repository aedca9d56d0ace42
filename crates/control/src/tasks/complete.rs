//! Copies that failed while the backup's others are good are made good for when their storage is
//! well again, from a good one.
//!
//! Five tries, ten minutes after the failure and then four times as long each time, so that a
//! storage that is broken for good is not asked for ever; a storage that fails its check costs no
//! try. What was superseded stays as it is: a newer good copy of the cluster in that storage is
//! worth more than an older one. A copy that was found damaged is left for a person to judge.

use crate::{App, copies, storages};
use mainstay_model::{
    Kind, Result, Time,
    backup::{Backup, BackupStatus, Check, Copy},
};
use mainstay_store::{self as store, Paging};
use std::{sync::Arc, time::Duration};

const TRIES: u32 = 5;
/// How often is looked, where the first try is not asked for sooner.
const LOOK_SECONDS: i64 = 300;

pub(crate) fn period(app: &App) -> Duration {
    Duration::from_secs((app.options.copy_again_seconds / 3).clamp(1, LOOK_SECONDS) as u64)
}

pub async fn all(app: &Arc<App>) -> Result<()> {
    let filter = store::backups::BackupFilter { status: Some(BackupStatus::Partial), ..Default::default() };
    let mut paging = Paging::default();
    loop {
        let page = store::backups::list(&mut *app.store.read().await?, &filter, &paging).await?;
        for backup in &page.items {
            look(app, backup).await?;
        }
        match page.next {
            Some(next) => paging.cursor = Some(next),
            None => return Ok(()),
        }
    }
}

async fn look(app: &Arc<App>, backup: &Backup) -> Result<()> {
    let ended = backup.finished_at.unwrap_or(backup.created_at);
    let due: Vec<&Copy> = backup.copies.iter().filter(|c| is_due(c, ended, app.now(), app.options.copy_again_seconds)).collect();
    if due.is_empty() {
        return Ok(());
    }
    let others = store::backups::of_cluster(&mut *app.store.read().await?, &backup.cluster).await?;
    if let Some(copy) = due.into_iter().find(|c| !is_superseded(c, backup, &others))
        && let Err(e) = complete(app, backup, copy).await
        && !matches!(e.kind, Kind::Conflict | Kind::NotFound)
    {
        tracing::warn!(inside = e.inside, "the copy of backup {} in storage {} is still missing: {e}", backup.id, copy.storage_name);
    }
    Ok(())
}

fn is_due(copy: &Copy, ended: Time, now: Time, first_seconds: i64) -> bool {
    let wait = first_seconds * 4_i64.pow(copy.tries.min(TRIES));
    let wanted = copy.expires_at.is_none_or(|t| t > now);
    let open = wanted && copy.status == BackupStatus::Failed && copy.snapshot.is_none() && copy.tries < TRIES;
    open && now.seconds_since(copy.tried_at.unwrap_or(ended)) >= wait as f64
}

fn is_superseded(copy: &Copy, backup: &Backup, others: &[Backup]) -> bool {
    let newer = others.iter().filter(|o| o.created_at > backup.created_at && o.is_good());
    newer.flat_map(|o| &o.copies).any(|c| c.storage == copy.storage && c.is_good())
}

/// The try is counted in the write that begins it.
async fn complete(app: &Arc<App>, backup: &Backup, copy: &Copy) -> Result<()> {
    let row = store::storages::get(&mut *app.store.read().await?, &copy.storage).await?;
    if row.followed_by.is_some() {
        return Ok(());
    }
    if storages::check(app, &row).await?.rows.iter().any(Check::failed) {
        return Ok(());
    }
    let mut tx = app.store.begin_write().await?;
    let mut fresh = store::backups::get(&mut tx, &backup.id).await?;
    copies::may_add(&fresh, &row)?;
    if let Some(counted) = fresh.copies.iter_mut().find(|c| c.storage == row.id) {
        (counted.tries, counted.tried_at) = (counted.tries + 1, Some(app.now()));
    }
    store::backups::update(&mut tx, &fresh).await?;
    app.runner.submit_in(&mut tx, copies::submission(&fresh, &row.id, "mainstay")?).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::StorageId;

    fn failed(tries: u32, tried_at: Option<Time>) -> Copy {
        Copy {
            storage: StorageId::new(),
            storage_name: "second".into(),
            kind: "s3".into(),
            status: BackupStatus::Failed,
            snapshot: None,
            added_bytes: None,
            verified_at: None,
            error: Some("no space".into()),
            tries,
            tried_at,
            lock: None,
            expires_at: None,
            deleting_until: None,
        }
    }

    #[test]
    fn tries_come_later_and_later_and_end() {
        let minutes = |m: i64| Time(m * 60_000_000);
        let due = |copy: &Copy, now| is_due(copy, minutes(0), minutes(now), 600);
        assert!(!due(&failed(0, None), 9) && due(&failed(0, None), 10));
        let once = failed(1, Some(minutes(10)));
        assert!(!due(&once, 49) && due(&once, 50));
        assert!(!due(&failed(TRIES, Some(minutes(10))), 1_000_000));
        let damaged = Copy { snapshot: Some("x".into()), ..failed(0, None) };
        assert!(!due(&damaged, 1_000));
    }
}
