//! Giving up archives and the space they took, as far as the repository lets go of it.
//!
//! In an append-only repository a deletion is only another entry: the archive vanishes from lists,
//! its record and its data stay until somebody compacts on the other side, and until then they can
//! be brought back. Calling that a deletion would be untrue in both directions, so it is refused.

use super::{
    Repo,
    address::Address,
    archives::Archive,
    child::{LONG, QUICK},
    trouble,
};
use crate::{
    place::{Local, Objects},
    pool::Lane,
};
use mainstay_drivers::{
    runtime::ExecOutput,
    storage::{RepositoryKeys, StorageUsage},
};
use mainstay_model::{Error, Kind, Result, Time};
use serde::Deserialize;
use std::{collections::HashSet, ffi::OsStr, fs, path::Path, sync::Arc};

/// A provisional archive older than this is being written by nobody.
const STALE_MICROS: i64 = 24 * 3600 * 1_000_000;

pub async fn delete(repo: &Repo, ids: &[String]) -> Result<()> {
    let wanted: HashSet<&String> = ids.iter().collect();
    let there: Vec<String> =
        repo.archives().await?.into_iter().filter(|a| a.backup().is_some() && wanted.contains(&a.name)).map(|a| a.name).collect();
    if there.is_empty() {
        return Ok(());
    }
    if is_append_only(repo).await? {
        return Err(append_only(repo, "no backup can be deleted from it here"));
    }
    drop_archives(repo, &there).await
}

pub async fn drop_archives(repo: &Repo, names: &[String]) -> Result<()> {
    for some in names.chunks(50) {
        let tail: Vec<String> = std::iter::once(repo.url.clone()).chain(some.iter().cloned()).collect();
        repo.run(&["delete"], &tail, LONG).await?;
    }
    Ok(())
}

pub fn append_only(repo: &Repo, what: &str) -> Error {
    Error::conflict(
        "append_only",
        format!(
            "the Borg repository at {} is append-only: {what}, for records and space stay until they are removed on its own host with borg delete and borg compact",
            repo.url
        ),
    )
}

/// A local repository says so in its configuration. A server does not say it, but it does not
/// compact either.
pub async fn is_append_only(repo: &Repo) -> Result<bool> {
    if let Address::Local(_) = *repo.address {
        return Ok(says_append_only(Path::new(&repo.url)));
    }
    let found = repo.site.append_only.get_or_try_init(|| async { compact(repo).await.map(|freed| freed.is_none()) }).await?;
    Ok(*found)
}

fn says_append_only(path: &Path) -> bool {
    let config = fs::read_to_string(path.join("config")).unwrap_or_default();
    let value = config.lines().find_map(|line| line.strip_prefix("append_only")?.trim_start().strip_prefix('='));
    value.is_some_and(|v| matches!(v.trim().to_ascii_lowercase().as_str(), "1" | "yes" | "true" | "on"))
}

/// Bytes given back; `None` where nothing was compacted because that is not allowed.
async fn compact(repo: &Repo) -> Result<Option<u64>> {
    let out = repo.run(&["compact", "--info"], std::slice::from_ref(&repo.url), LONG).await?;
    Ok(freed(&out))
}

fn freed(out: &ExecOutput) -> Option<u64> {
    trouble::notes(out).iter().find_map(|note| {
        let (_, rest) = note.split_once("compaction freed about ")?;
        let mut words = rest.split_whitespace();
        let number: f64 = words.next()?.parse().ok()?;
        let factor = match words.next()? {
            "B" => 1.0,
            "kB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            _ => 1e15,
        };
        Some((number * factor).max(0.0) as u64)
    })
}

/// Whole-repository upkeep: what failed backups left, then the space.
pub async fn prune(repo: &Repo) -> Result<u64> {
    if is_append_only(repo).await? {
        return Err(append_only(repo, "no space comes back"));
    }
    let now = Time::from(jiff::Timestamp::now());
    let stale = |a: &Archive| a.is_pending() && a.time().is_ok_and(|t| now.micros() - t.micros() > STALE_MICROS);
    let left: Vec<String> = repo.archives().await?.into_iter().filter(stale).map(|a| a.name).collect();
    drop_archives(repo, &left).await?;
    compact(repo).await?.ok_or_else(|| append_only(repo, "no space comes back"))
}

#[derive(Deserialize)]
struct Info {
    cache: Cache,
}

#[derive(Deserialize)]
struct Cache {
    stats: CacheStats,
}

#[derive(Deserialize)]
struct CacheStats {
    unique_csize: u64,
}

pub async fn usage(repo: &Repo) -> Result<StorageUsage> {
    let out = repo.run(&["info", "--json"], std::slice::from_ref(&repo.url), QUICK).await?;
    let info: Info = serde_json::from_slice(&out.stdout).map_err(Error::internal)?;
    let snapshots = repo.archives().await?.iter().filter(|a| a.backup().is_some()).count() as u64;
    Ok(StorageUsage { repository_bytes: info.cache.stats.unique_csize, snapshots })
}

/// Removes the whole repository, its further keys first. On this host that needs no key, and each is
/// renamed before it is removed.
pub async fn destroy(repo: Repo, keys: &RepositoryKeys) -> Result<()> {
    if let Address::Local(_) = *repo.address {
        let path = Path::new(&repo.url).to_owned();
        if says_append_only(&path) {
            return Err(append_only(&repo, "it is not removed"));
        }
        return repo.pool.run(Lane::Ask, move |_| remove_directories(&path)).await;
    }
    let repo = match repo.opened(keys, false).await {
        Err(e) if e.kind == Kind::NotFound => return Ok(()),
        other => other?,
    };
    if is_append_only(&repo).await? {
        return Err(append_only(&repo, "it is not removed"));
    }
    repo.drop_keys().await?;
    match repo.run(&["delete"], std::slice::from_ref(&repo.url), LONG).await {
        Err(e) if e.kind == Kind::NotFound => Ok(()),
        done => done.map(drop),
    }
}

fn remove_directories(path: &Path) -> Result<()> {
    let named = |name: &OsStr| path.with_file_name(name);
    let mark = format!("{}.key-", path.file_name().unwrap_or_default().to_string_lossy());
    let beside = path.parent().and_then(|dir| fs::read_dir(dir).ok()).into_iter().flatten().flatten().map(|e| e.file_name());
    for name in beside.filter(|name| name.to_string_lossy().starts_with(&mark)) {
        Local::new(named(&name), Arc::default()).destroy()?;
    }
    Local::new(path.to_owned(), Arc::default()).destroy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_space_is_read_from_what_borg_says() {
        let out = |text: &str| ExecOutput { status: 0, stdout: vec![], stderr: text.into() };
        let line = r#"{"message":"compaction freed about 12.50 MB repository space.","levelname":"INFO"}"#;
        assert_eq!(freed(&out(line)), Some(12_500_000));
        assert_eq!(freed(&out("")), None);
    }
}
