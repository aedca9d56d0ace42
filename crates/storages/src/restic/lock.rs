//! Locking a snapshot where the place can: everything that is needed to read it, and the record last,
//! so that a record that is locked is one whose data is.

use super::{Repo, snapshots, survey};
use mainstay_model::{Error, Result, Time};
use rustic_core::{FileType, Id};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Requests for locks on their way at a time.
const AT_ONCE: usize = 4;

/// Until when it is locked, by the place's clock; `None` where nothing can be.
pub fn lock(repo: &Repo, snapshot: &str, keep: Duration) -> Result<Option<Time>> {
    let Some(now) = repo.objects.lock_clock()? else { return Ok(None) };
    // Times in a lock have no fractions.
    let until = now + jiff::SignedDuration::from_secs(i64::try_from(keep.as_secs()).unwrap_or(i64::MAX / 4));
    let found = snapshots::get(repo, snapshot)?;
    let survey = survey::take(repo, &found.file.tree)?;
    let packs = survey.packs.iter().map(|id| (FileType::Pack, *id));
    let mut work: Vec<(FileType, Id)> = packs.collect();
    for kind in [FileType::Index, FileType::Key, FileType::Config] {
        work.extend(repo.objects.list(kind)?.into_iter().map(|o| (kind, o.id)));
    }
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None::<Error>));
    let first = || failed.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((kind, id)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if first().is_some() {
                        break;
                    }
                    if let Err(e) = repo.objects.lock(*kind, id, until) {
                        first().get_or_insert(e);
                    }
                }
            });
        }
    });
    if let Some(e) = first().take() {
        return Err(e);
    }
    repo.objects.lock(FileType::Snapshot, &found.id, until)?;
    Ok(Some(until.into()))
}
