//! Giving up snapshots and the space they took.

use super::{Repo, backend::unwrapped, snapshots};
use mainstay_drivers::storage::StorageUsage;
use mainstay_model::Result;
use rustic_core::{ALL_FILE_TYPES, FileType, Id, PruneOptions, jiff::Span};
use std::collections::HashSet;

pub fn delete(repo: &Repo, ids: &[String]) -> Result<()> {
    for id in ids {
        if let Ok(id) = snapshots::parse_id(id) {
            repo.objects.remove(FileType::Snapshot, &id)?;
        }
    }
    Ok(())
}

/// Two-phase: what nothing refers to is marked now and removed by a later prune, `keep_delete`
/// after that, so that another process that is writing a backup at this moment may still build on it.
pub fn prune(repo: &Repo) -> Result<u64> {
    let doing = "pruning the repository";
    let before = usage(repo)?.repository_bytes;
    let library = repo.library()?;
    let keep = Span::new().seconds(i64::try_from(repo.keep_delete.as_secs()).unwrap_or(i64::MAX / 2));
    let options = PruneOptions::default().keep_delete(keep);
    let plan = library.prune_plan(&options).map_err(|e| unwrapped(doing, e))?;
    library.prune(&options, plan).map_err(|e| unwrapped(doing, e))?;
    strays(repo)?;
    Ok(before.saturating_sub(usage(repo)?.repository_bytes))
}

/// Packs that no index ever named, left by a backup that was killed. The library marks them only
/// when it has an index to rewrite anyway; by age they are found always.
fn strays(repo: &Repo) -> Result<()> {
    let mut named: HashSet<Id> = HashSet::new();
    let packs = repo.objects.list(FileType::Pack)?;
    for index in repo.objects.list(FileType::Index)? {
        named.extend(snapshots::index_packs(repo.objects.as_ref(), &repo.seal, &index.id)?);
    }
    for pack in packs.iter().filter(|p| !named.contains(&p.id)) {
        if pack.modified.elapsed().is_ok_and(|age| age >= repo.keep_delete) {
            match repo.objects.remove(FileType::Pack, &pack.id) {
                Err(e) if e.code == "object_locked" => tracing::info!("{e}"),
                other => other?,
            }
        }
    }
    Ok(())
}

pub fn usage(repo: &Repo) -> Result<StorageUsage> {
    let mut usage = StorageUsage::default();
    for kind in ALL_FILE_TYPES.into_iter().chain([FileType::Config]) {
        let objects = repo.objects.list(kind)?;
        usage.repository_bytes += objects.iter().map(|o| o.size).sum::<u64>();
        if kind == FileType::Snapshot {
            usage.snapshots = objects.len() as u64;
        }
    }
    Ok(usage)
}
