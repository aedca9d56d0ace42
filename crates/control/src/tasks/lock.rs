//! Backups and the parts of logs are locked where their storage can do that, so that nobody who got hold of
//! the access key removes them before.
//!
//! One that is to be kept until a day is locked until then. One without a day (a pinned one, one that a rule
//! by count keeps) is locked for [`SPAN_SECONDS`] and again before that is over, for as long as something else
//! than its lock keeps it: so it can go soon after it may, and a stranger has to keep Mainstay from renewing
//! it for days. The same for a part of a log, which is locked for as long as its window reaches back first.
//!
//! The storage counts the time, by its own clock. A lock follows the backup's time when that is put off,
//! and is never shortened: what is locked is kept, whatever the rules say by then. One that could not be made
//! is said at the copy and tried again.

use super::keep_log::is_grown;
use crate::{App, backups, log, retention};
use mainstay_drivers::storage::RepositoryRef;
use mainstay_model::{
    BackupId, ClusterId, Kind, Result, StorageId, Time,
    backup::{Backup, BackupStatus, Copy, CopyLock},
    cluster::Cluster,
    log::Part,
};
use mainstay_rpc::verbs::LockSnapshot;
use mainstay_store::{self as store, Paging, backups::BackupFilter, storages::StorageRow};
use std::collections::{HashMap, HashSet};

/// After a lock that could not be made.
const AGAIN_SECONDS: f64 = 600.0;
/// What has no day is locked for so long: no longer than a deletion is announced before it is done.
pub const SPAN_SECONDS: i64 = retention::GRACE_SECONDS;
/// And locked again when there is less than this left.
const RENEW_SECONDS: i64 = SPAN_SECONDS / 2;

/// Every backup there is, a page at a time: times are put off for old ones too.
pub async fn all(app: &App) -> Result<()> {
    let able = able(app).await?;
    let mut kept = Kept::default();
    for storage in &able {
        let mut paging = Paging::default();
        while let Some(next) = page(app, storage, &mut kept, &paging).await? {
            paging.cursor = Some(next);
        }
    }
    parts(app, &able).await
}

/// The newest, which wait for their lock since they were made.
pub async fn newest(app: &App) -> Result<()> {
    let able = able(app).await?;
    let mut kept = Kept::default();
    for storage in &able {
        page(app, storage, &mut kept, &Paging::default()).await?;
    }
    parts(app, &able).await
}

async fn able(app: &App) -> Result<HashSet<StorageId>> {
    let rows = store::storages::all(&mut *app.store.read().await?).await?;
    Ok(rows.iter().filter(|row| can_lock(row)).map(|row| row.id.clone()).collect())
}

async fn parts(app: &App, able: &HashSet<StorageId>) -> Result<()> {
    if able.is_empty() {
        return Ok(());
    }
    for cluster in store::log::with_parts(&mut *app.store.read().await?).await? {
        all_parts(app, &cluster, able).await?;
    }
    Ok(())
}

/// Where the next one begins.
async fn page(app: &App, storage: &StorageId, kept: &mut Kept, paging: &Paging) -> Result<Option<String>> {
    let filter = BackupFilter { storage: Some(storage.clone()), ..Default::default() };
    let page = store::backups::list(&mut *app.store.read().await?, &filter, paging).await?;
    for backup in &page.items {
        let copy = backup.copies.iter().find(|c| &c.storage == storage);
        let Some((copy, due)) = copy.and_then(|c| Some((c, due(backup, c, app.now())?))) else { continue };
        if due.has_day || kept.is_kept(app, backup).await? {
            lock(app, backup, copy, due.until).await?;
        }
    }
    Ok(page.next)
}

/// What retention keeps, asked once for a cluster.
#[derive(Default)]
struct Kept(HashMap<ClusterId, HashSet<BackupId>>);

impl Kept {
    async fn is_kept(&mut self, app: &App, backup: &Backup) -> Result<bool> {
        if !self.0.contains_key(&backup.cluster) {
            let catalogue = retention::Catalogue::load(&mut *app.store.read().await?, &backup.cluster, app.now()).await;
            let ids = match catalogue {
                Ok(catalogue) => catalogue.kept_without_locks(app.now()),
                Err(e) if e.kind == Kind::NotFound => HashSet::new(),
                Err(e) => return Err(e),
            };
            self.0.insert(backup.cluster.clone(), ids);
        }
        Ok(self.0.get(&backup.cluster).is_some_and(|ids| ids.contains(&backup.id)))
    }
}

/// As the latest look found it.
fn can_lock(row: &StorageRow) -> bool {
    row.last_check.iter().flat_map(|l| &l.rows).any(|r| r.name == "object_lock" && r.ok)
}

/// A lock that is to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Due {
    until: Time,
    /// The backup's own, and not one that is put off again and again.
    has_day: bool,
}

/// Until when it is to be locked, where it is not by now.
fn due(backup: &Backup, copy: &Copy, now: Time) -> Option<Due> {
    let settled = matches!(backup.status, BackupStatus::Completed | BackupStatus::Partial);
    if !settled || !copy.is_good() {
        return None;
    }
    // One whose own time is over stays for others' sake only, and not by a lock.
    if copy.expires_at.is_some_and(|t| t <= now) {
        return None;
    }
    match copy.expires_at.or(backup.expires_at.filter(|t| *t > now)) {
        Some(until) => is_due(copy.lock.as_ref(), until, now).then_some(Due { until, has_day: true }),
        None => {
            let least = now.plus_seconds(RENEW_SECONDS);
            is_due(copy.lock.as_ref(), least, now).then_some(Due { until: now.plus_seconds(SPAN_SECONDS), has_day: false })
        }
    }
}

/// Whether what is locked is not locked until `until`, and it is time to try.
fn is_due(lock: Option<&CopyLock>, until: Time, now: Time) -> bool {
    !lock.is_some_and(|l| match l.error {
        None => l.wanted >= until,
        Some(_) => l.tried_at <= now && now.seconds_since(l.tried_at) < AGAIN_SECONDS,
    })
}

async fn lock(app: &App, backup: &Backup, copy: &Copy, until: Time) -> Result<()> {
    let (repository, snapshot): (RepositoryRef, String) = backups::good_copy(app, backup, Some(&copy.storage)).await?;
    let made = make(app, repository, snapshot, until).await;
    if let Some(e) = &made.error {
        tracing::warn!("backup {} could not be locked in storage {}: {e}", backup.id, copy.storage_name);
    }
    let mut tx = app.store.begin_write().await?;
    let mut fresh = store::backups::get(&mut tx, &backup.id).await?;
    if let Some(kept) = fresh.copies.iter_mut().find(|c| c.storage == copy.storage && c.snapshot == copy.snapshot) {
        kept.lock = Some(made.after(kept.lock.as_ref()));
        store::backups::update(&mut tx, &fresh).await?;
    }
    store::commit(tx).await
}

async fn make(app: &App, repository: RepositoryRef, snapshot: String, until: Time) -> CopyLock {
    let tried_at = app.now();
    let keep_seconds = until.seconds_since(tried_at).ceil().max(0.0) as u64;
    let made = app.agent.look(&LockSnapshot { repository, snapshot, keep_seconds }).await;
    let error = made.as_ref().err().map(|e| e.message.clone());
    CopyLock { until: made.ok().and_then(|m| m.until), wanted: until, tried_at, error }
}

/// Makes what nobody can shorten last.
trait After {
    fn after(self, before: Option<&CopyLock>) -> CopyLock;
}

impl After for CopyLock {
    fn after(self, before: Option<&CopyLock>) -> CopyLock {
        CopyLock { until: self.until.max(before.and_then(|l| l.until)), ..self }
    }
}

// ---- parts of logs ----

/// Those that no other form will take the place of.
async fn all_parts(app: &App, id: &ClusterId, able: &HashSet<StorageId>) -> Result<()> {
    let now = app.now();
    let cluster = match store::clusters::get(&mut *app.store.read().await?, id).await {
        Err(e) if e.kind == Kind::NotFound => return Ok(()),
        cluster => cluster?,
    };
    let days = cluster.log.as_ref().map_or(0, |k| k.keep_days);
    let parts = store::log::parts(&mut *app.store.read().await?, id).await?;
    let due: Vec<(Part, Time)> =
        parts.into_iter().filter(|p| able.contains(&p.storage) && is_grown(p, now)).filter_map(|p| part_due(p, days, now)).collect();
    if due.is_empty() {
        return Ok(());
    }
    // What no backup goes on from any more is let go.
    let from = retention::Catalogue::load(&mut *app.store.read().await?, id, now).await?.log_from(now);
    for (part, until) in due.into_iter().filter(|(part, _)| from.is_none_or(|from| part.until >= from)) {
        lock_part(app, &cluster, &part, until).await?;
    }
    Ok(())
}

fn part_due(part: Part, days: i64, now: Time) -> Option<(Part, Time)> {
    let least = now.plus_seconds(RENEW_SECONDS);
    let until = part.until.plus_days(days).max(now.plus_seconds(SPAN_SECONDS));
    is_due(part.lock.as_ref(), least, now).then_some((part, until))
}

async fn lock_part(app: &App, cluster: &Cluster, part: &Part, until: Time) -> Result<()> {
    let repository = backups::repository(app, cluster, &part.storage).await?;
    let made = make(app, repository, part.snapshot.clone(), until).await;
    if let Some(e) = &made.error {
        tracing::warn!("a part of the log of {} could not be locked: {e}", cluster.name);
    }
    log::note_lock(app, part, made.after(part.lock.as_ref())).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::suspicious::tests::{backup, good_copy};
    use mainstay_model::backup::Facts;

    const HOUR: i64 = 3_600_000_000;

    #[test]
    fn a_copy_with_a_time_of_its_own_is_locked_until_then_and_not_beyond() {
        let mut backup = backup(1, Facts::default());
        (backup.status, backup.expires_at) = (BackupStatus::Completed, Some(Time(2000 * HOUR)));
        let mut copy = good_copy(&StorageId::new());
        let until = |copy: &Copy, now| due(&backup, copy, Time(now * HOUR)).map(|d| (d.until.0 / HOUR, d.has_day));
        assert_eq!(until(&copy, 100), Some((2000, true)));
        copy.expires_at = Some(Time(500 * HOUR));
        assert_eq!((until(&copy, 100), until(&copy, 500)), (Some((500, true)), None));
    }

    fn locked(wanted: i64) -> CopyLock {
        CopyLock { until: Some(Time(wanted)), wanted: Time(wanted), tried_at: Time(0), error: None }
    }

    #[test]
    fn what_has_no_day_is_locked_again_when_half_of_it_is_over() {
        let now = Time(1000 * HOUR);
        let due = |lock: Option<CopyLock>| is_due(lock.as_ref(), now.plus_seconds(RENEW_SECONDS), now);
        assert!(due(None) && due(Some(locked(1000 * HOUR))) && due(Some(locked(1035 * HOUR))));
        assert!(!due(Some(locked(1036 * HOUR))) && !due(Some(locked(2000 * HOUR))));
        let failed = |at: i64| CopyLock { error: Some("away".into()), tried_at: Time(at), ..locked(0) };
        assert!(!due(Some(failed(1000 * HOUR - 1))), "it was tried a moment ago");
        assert!(due(Some(failed(999 * HOUR))));
    }

    #[test]
    fn a_lock_is_never_said_to_be_shorter_than_it_was() {
        let away = CopyLock { until: None, error: Some("away".into()), ..locked(9) };
        assert_eq!(away.after(Some(&locked(5))).until, Some(Time(5)));
        assert_eq!(locked(3).after(Some(&locked(5))).until, Some(Time(5)));
        assert_eq!(locked(7).after(None).until, Some(Time(7)));
    }
}
