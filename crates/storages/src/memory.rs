//! Storages that live in memory: for tests that need a storage with a state and no disk. The same
//! promises are kept, the same guards are held; nothing is deduplicated or encrypted.

use crate::{
    KINDS,
    record::Record,
    source::{Counted, Order, Pending, Tally, Ticket, admit_label, cancelled},
};
use async_trait::async_trait;
use mainstay_drivers::{
    progress::Progress,
    storage::{
        Base, Depth, EntryKind, Held, Keep, RepositoryKeys, RepositoryRef, Sink, Snapshot, SnapshotEntry, SnapshotEntryKind, SnapshotLabel,
        Source, Spot, Storage, StorageReport, StorageSpec, StorageUsage, Storages, Stored,
    },
};
use mainstay_model::{
    ClusterId, Error, ProjectId, Result, Secret, StorageId, Time,
    backup::{Check, Facts},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Nothing is cut here; what builds on it may think so.
const PIECE: u64 = 64 << 10;

type Address = (StorageId, ProjectId, ClusterId, u32);

/// See the module.
#[derive(Default)]
pub struct MemoryStorages {
    repositories: Mutex<HashMap<Address, Arc<Memory>>>,
}

/// One repository.
#[derive(Default)]
pub struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    keys: Vec<Secret>,
    snapshots: BTreeMap<String, Kept>,
}

#[derive(Clone)]
struct Kept {
    record: Record,
    stored: Stored,
    entries: Vec<(SnapshotEntry, Arc<Vec<u8>>, [u8; 32])>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address(r: &RepositoryRef) -> Address {
    (r.storage.id.clone(), r.project.clone(), r.cluster.clone(), r.storage.edition)
}

#[async_trait]
impl Storages for MemoryStorages {
    fn kinds(&self) -> Vec<&'static str> {
        KINDS.to_vec()
    }

    async fn check(&self, _spec: &StorageSpec) -> Result<StorageReport> {
        Ok(StorageReport { rows: vec![Check::new("writable", true, "kept in memory")], free_bytes: None, total_bytes: None })
    }

    async fn discover(&self, spec: &StorageSpec) -> Result<Vec<Spot>> {
        let all = lock(&self.repositories);
        let here = all.keys().filter(|(storage, ..)| *storage == spec.id).map(|(_, p, c, e)| (p.clone(), c.clone(), *e)).collect();
        Ok(here)
    }

    async fn open(&self, repository: &RepositoryRef, create: bool) -> Result<Arc<dyn Storage>> {
        let mut all = lock(&self.repositories);
        if let Some(found) = all.get(&address(repository)) {
            return match lock(&found.state).keys.contains(&repository.keys.own) {
                true => Ok(found.clone()),
                false => Err(Error::forbidden("the repository does not open with this key").with_code("wrong_key")),
            };
        }
        if !create {
            return Err(Error::not_found("repository", repository.cluster.as_str()));
        }
        let made = Arc::new(Memory::default());
        lock(&made.state).keys = all_keys(&repository.keys);
        all.insert(address(repository), made.clone());
        Ok(made)
    }

    async fn remove(&self, repository: &RepositoryRef) -> Result<()> {
        lock(&self.repositories).remove(&address(repository));
        Ok(())
    }
}

fn all_keys(keys: &RepositoryKeys) -> Vec<Secret> {
    std::iter::once(&keys.own).chain(&keys.recovery).cloned().collect()
}

impl Memory {
    fn find(&self, snapshot: &str) -> Result<Kept> {
        lock(&self.state).snapshots.get(snapshot).cloned().ok_or_else(|| Error::not_found("snapshot", snapshot))
    }

    fn known(&self, label: &SnapshotLabel) -> Option<Stored> {
        lock(&self.state).snapshots.values().find(|k| k.record.label.backup == label.backup).map(|k| k.stored.clone())
    }
}

/// Reads the source, one file after the other.
fn read(label: &SnapshotLabel, mut source: Box<dyn Source>, base: Option<Kept>, progress: &Progress) -> Result<Kept> {
    admit_label(label)?;
    progress.say("reading");
    progress.total(source.expected_bytes().unwrap_or(0));
    let tally = Tally::new(progress, Arc::default());
    let (mut order, mut entries) = (Order::on_a_base(base.is_some()), Vec::new());
    while let Some(entry) = source.next() {
        let entry = entry?;
        order.admit(&entry)?;
        tally.verdict()?;
        let mut bytes = Vec::new();
        let kind = match entry.kind {
            EntryKind::Dir => SnapshotEntryKind::Dir,
            EntryKind::Symlink { target } => SnapshotEntryKind::Symlink { target },
            EntryKind::File { may_vanish, open, size, keep } => {
                let kept = keep.bytes(size.unwrap_or_default());
                let pending = Pending { path: entry.path.clone(), may_vanish, open, kept, ticket: Ticket::new(&tally) };
                let Some(mut reader) = opened(pending, &tally)? else { continue };
                reader.read_to_end(&mut bytes).map_err(|e| tally.verdict().err().unwrap_or_else(|| e.into()))?;
                if keep != Keep::Nothing {
                    bytes = woven(base.as_ref(), &entry.path, &keep, &bytes, size.unwrap_or_default())?;
                }
                SnapshotEntryKind::File { size: bytes.len() as u64 }
            }
        };
        let hash = Sha256::digest(&bytes).into();
        entries.push((SnapshotEntry { path: entry.path, mode: entry.mode & 0o7777, mtime: entry.mtime, kind }, Arc::new(bytes), hash));
    }
    tally.verdict()?;
    let facts = source.finish()?;
    tally.verdict()?;
    Ok(kept(label, facts, &tally, entries))
}

/// What is kept, from the base, with what is new between.
fn woven(base: Option<&Kept>, path: &Path, keep: &Keep, fresh: &[u8], size: u64) -> Result<Vec<u8>> {
    let lost = || Error::failed("base_lost", format!("{} is gone from the backup to build on", path.display()));
    let (_, old, _) = base.and_then(|b| b.entries.iter().find(|(e, ..)| e.path == path)).ok_or_else(lost)?;
    let (mut out, mut fresh) = (old.to_vec(), fresh);
    let changed = if let Keep::Except(changed) = keep { &changed[..] } else { &[] };
    // Beyond the old end all is new.
    let grown = changed.last().is_some_and(|r| r.start <= old.len() as u64 && r.end == size);
    if old.len() as u64 != size && !grown && !(matches!(keep, Keep::Except(_)) && size < old.len() as u64) {
        return Err(lost());
    }
    out.resize(usize::try_from(size).map_err(Error::internal)?, 0);
    for range in changed {
        let at = range.start as usize..range.end as usize;
        let (new, rest) = fresh.split_at_checked(at.len()).ok_or_else(lost)?;
        out.get_mut(at).ok_or_else(lost)?.copy_from_slice(new);
        fresh = rest;
    }
    Ok(out)
}

fn opened(pending: Pending, tally: &Tally) -> Result<Option<Counted>> {
    pending.open().map_err(|e| tally.verdict().err().unwrap_or_else(|| e.into()))
}

fn kept(label: &SnapshotLabel, facts: Facts, tally: &Tally, entries: Vec<(SnapshotEntry, Arc<Vec<u8>>, [u8; 32])>) -> Kept {
    let (data_bytes, files) = (tally.bytes(), tally.files());
    let record = Record { version: 1, label: label.clone(), facts, data_bytes, files, checks: tally.checks() };
    let mut checks = record.checks.clone();
    checks.push(Check::new("read_back", true, "kept in memory"));
    let stored = Stored {
        snapshot: hex::encode(Sha256::digest(label.backup.as_str())),
        facts: record.facts.clone(),
        data_bytes,
        added_bytes: data_bytes,
        files,
        checks,
        verified_at: Time::from(jiff::Timestamp::now()),
    };
    Kept { record, stored, entries }
}

#[async_trait]
impl Storage for Memory {
    async fn put(&self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
        if let Some(stored) = self.known(label) {
            return Ok(stored);
        }
        let (label, progress) = (label.clone(), progress.clone());
        let lost = |e: Error| Error::failed("base_lost", e.message);
        let base = source.base().map(|id| self.find(id)).transpose().map_err(lost)?;
        let kept = tokio::task::spawn_blocking(move || read(&label, source, base, &progress)).await.map_err(Error::internal)??;
        let stored = kept.stored.clone();
        Ok(lock(&self.state).snapshots.entry(stored.snapshot.clone()).or_insert(kept).stored.clone())
    }

    async fn base(&self, snapshot: &str, lists: &[&str]) -> Result<Option<Base>> {
        let found = self.find(snapshot)?;
        let mut base = Base { facts: found.record.facts, files: HashMap::new(), lists: HashMap::new() };
        for (entry, bytes, _) in found.entries {
            let SnapshotEntryKind::File { size } = entry.kind else { continue };
            if lists.iter().any(|list| entry.path == Path::new(list)) {
                base.lists.insert(entry.path.clone(), bytes.to_vec());
            }
            base.files.insert(entry.path, Held { size, mtime: entry.mtime, piece: Some(PIECE) });
        }
        Ok(Some(base))
    }

    async fn entries(&self, snapshot: &str) -> Result<Vec<SnapshotEntry>> {
        Ok(self.find(snapshot)?.entries.into_iter().map(|(e, _, _)| e).collect())
    }

    async fn get(&self, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()> {
        progress.say("restoring");
        for (entry, bytes, _) in self.find(snapshot)?.entries {
            if progress.is_cancelled() {
                return Err(cancelled());
            }
            if !sink.wants(&entry) {
                continue;
            }
            match &entry.kind {
                SnapshotEntryKind::Dir => sink.dir(&entry)?,
                SnapshotEntryKind::Symlink { target } => sink.symlink(&entry, target)?,
                SnapshotEntryKind::File { .. } => {
                    let mut out = sink.file(&entry)?;
                    out.write(&bytes)?;
                    out.finish()?;
                    progress.add(bytes.len() as u64);
                }
            }
        }
        Ok(())
    }

    async fn facts(&self, snapshot: &str) -> Result<(SnapshotLabel, Facts)> {
        let record = self.find(snapshot)?.record;
        Ok((record.label, record.facts))
    }

    async fn list(&self) -> Result<Vec<Snapshot>> {
        let one = |(id, k): (&String, &Kept)| Snapshot { id: id.clone(), label: k.record.label.clone(), time: k.stored.verified_at };
        let mut list: Vec<_> = lock(&self.state).snapshots.iter().map(one).collect();
        list.sort_by(|a, b| (a.label.created_at, &a.label.backup).cmp(&(b.label.created_at, &b.label.backup)));
        Ok(list)
    }

    async fn verify(&self, snapshot: &str, _depth: Depth, _progress: &Progress) -> Result<u64> {
        let kept = self.find(snapshot)?;
        match kept.entries.iter().find(|(_, bytes, hash)| Sha256::digest(bytes.as_slice()).as_slice() != hash.as_slice()) {
            None => Ok(kept.entries.iter().map(|(_, bytes, _)| bytes.len() as u64).sum()),
            Some((entry, ..)) => Err(Error::integrity(format!("{} changed in memory", entry.path.display()))),
        }
    }

    async fn delete(&self, snapshots: &[String]) -> Result<()> {
        lock(&self.state).snapshots.retain(|id, _| !snapshots.contains(id));
        Ok(())
    }

    async fn prune(&self) -> Result<u64> {
        Ok(0)
    }

    async fn ensure_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        lock(&self.state).keys = all_keys(keys);
        Ok(())
    }

    async fn try_key(&self, key: &Secret) -> Result<()> {
        match lock(&self.state).keys.contains(key) {
            true => Ok(()),
            false => Err(Error::forbidden("the repository does not open with this key").with_code("wrong_key")),
        }
    }

    async fn add_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        let mut state = lock(&self.state);
        let missing: Vec<Secret> = all_keys(keys).into_iter().filter(|k| !state.keys.contains(k)).collect();
        state.keys.extend(missing);
        Ok(())
    }

    async fn usage(&self) -> Result<StorageUsage> {
        let state = lock(&self.state);
        let repository_bytes = state.snapshots.values().map(|k| k.stored.added_bytes).sum();
        Ok(StorageUsage { repository_bytes, snapshots: state.snapshots.len() as u64 })
    }

    fn manual_commands(&self, _snapshot: &str, _key_file: &str, _target: &str) -> Vec<String> {
        Vec::new()
    }
}
