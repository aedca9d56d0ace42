//! Storages that keep repositories in memory, outside any agent's life. A snapshot is there when its
//! record is, which is written last; bytes can be damaged to see who notices.

use crate::{Faults, lock, now};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    progress::Progress,
    storage::{
        Base, Depth, EntryKind, Held, Keep, RepositoryKeys, RepositoryRef, Sink, Snapshot, SnapshotEntry, SnapshotEntryKind, SnapshotLabel,
        Source, Spot, Storage, StorageReport, StorageSpec, StorageUsage, Storages, Stored, parse_directory,
    },
};
use mainstay_model::{
    Error, ProjectId, Secret, Time,
    backup::{Check, Facts},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// All repositories of the world, by `<storage>/<project>/<cluster>`.
pub struct FakeStorages {
    faults: Faults,
    repositories: Mutex<BTreeMap<String, Arc<Repository>>>,
}

#[derive(Default)]
struct Repository {
    keys: Mutex<Vec<Secret>>,
    snapshots: Mutex<BTreeMap<String, Kept>>,
}

/// Everything in the storages at one moment.
#[derive(Clone, Default)]
pub(crate) struct Saved(BTreeMap<String, (Vec<Secret>, BTreeMap<String, Kept>)>);

#[derive(Clone)]
struct Kept {
    /// Until when nobody removes it.
    locked: Option<Time>,
    label: SnapshotLabel,
    stored: Stored,
    entries: Vec<Piece>,
}

#[derive(Clone)]
struct Piece {
    entry: SnapshotEntry,
    bytes: Arc<Vec<u8>>,
    hash: Vec<u8>,
}

/// An opened repository.
struct FakeStorage {
    faults: Faults,
    /// The storage it lies in: `storage.gone.<name>`, `storage.stalls.<name>`, `storage.breaks.<name>`
    /// and `storage.append_only.<name>` are switches for one storage among others; with `storage.crawls.<name>` it
    /// says that it moves, whatever else it does, with `storage.locks.<name>` it can lock what it has, and with
    /// `storage.full.<name>` it has a mebibyte left.
    name: String,
    looked: AtomicU64,
    repository: Arc<Repository>,
}

/// Stands for where the storage lies. One that came after it with another master key lies there too.
fn place(spec: &StorageSpec) -> &str {
    spec.name.split("-edition-").next().unwrap_or_default()
}

fn address(r: &RepositoryRef) -> String {
    format!("{}/{}", place(&r.storage), r.below())
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

impl FakeStorages {
    pub fn new(faults: Faults) -> Self {
        FakeStorages { faults, repositories: Mutex::default() }
    }

    /// Backup ids by repository.
    pub fn published(&self) -> BTreeMap<String, Vec<String>> {
        let backups = |r: &Repository| lock(&r.snapshots).values().map(|k| k.label.backup.to_string()).collect();
        lock(&self.repositories).iter().map(|(address, r)| (address.clone(), backups(r))).collect()
    }

    pub(crate) fn save(&self) -> Saved {
        let of = |r: &Repository| (lock(&r.keys).clone(), lock(&r.snapshots).clone());
        Saved(lock(&self.repositories).iter().map(|(address, r)| (address.clone(), of(r))).collect())
    }

    pub(crate) fn put_back(&self, saved: Saved) {
        let of = |(keys, snapshots)| Arc::new(Repository { keys: Mutex::new(keys), snapshots: Mutex::new(snapshots) });
        *lock(&self.repositories) = saved.0.into_iter().map(|(address, kept)| (address, of(kept))).collect();
    }

    /// A file as a backup holds it.
    pub fn file(&self, backup: &str, path: &str) -> Option<Vec<u8>> {
        let held = |r: &Repository| {
            let snapshots = lock(&r.snapshots);
            let kept = snapshots.values().find(|k| k.label.backup.as_str() == backup)?;
            let piece = kept.entries.iter().find(|p| p.entry.path == std::path::Path::new(path))?;
            Some(piece.bytes.to_vec())
        };
        lock(&self.repositories).values().find_map(|r| held(r))
    }

    /// Flips a bit in the largest file of a snapshot.
    pub fn damage(&self, snapshot: &str) {
        self.damage_in("", snapshot);
    }

    /// The same in one storage only.
    pub fn damage_in(&self, storage: &str, snapshot: &str) {
        for (_, repository) in lock(&self.repositories).iter().filter(|(address, _)| address.starts_with(storage)) {
            let mut snapshots = lock(&repository.snapshots);
            let Some(kept) = snapshots.get_mut(snapshot) else { continue };
            if let Some(piece) = kept.entries.iter_mut().max_by_key(|p| p.bytes.len()) {
                let mut bytes = piece.bytes.to_vec();
                bytes[0] ^= 1;
                piece.bytes = Arc::new(bytes);
            }
        }
    }

    /// Adds an entry to a snapshot, as somebody with the key could.
    pub fn smuggle(&self, snapshot: &str, entry: SnapshotEntry, bytes: &[u8]) {
        for repository in lock(&self.repositories).values() {
            if let Some(kept) = lock(&repository.snapshots).get_mut(snapshot) {
                kept.entries.push(piece(entry.clone(), bytes.to_vec()));
            }
        }
    }
}

#[async_trait]
impl Storages for FakeStorages {
    fn kinds(&self) -> Vec<&'static str> {
        vec!["local"]
    }

    async fn check(&self, spec: &StorageSpec) -> Result<StorageReport> {
        self.faults.before("storage.check").await?;
        if self.faults.is_on(&format!("storage.gone.{}", spec.name)) {
            return Err(Error::unavailable("storage_gone", format!("storage {} does not answer", spec.name)));
        }
        let mut rows = vec![Check::new("writable", true, format!("{} takes files", spec.name))];
        if self.faults.is_on(&format!("storage.locks.{}", spec.name)) {
            rows.push(Check::new("object_lock", true, "objects can be locked"));
        }
        Ok(StorageReport { rows, free_bytes: Some(100 << 30), total_bytes: Some(200 << 30) })
    }

    async fn discover(&self, spec: &StorageSpec) -> Result<Vec<Spot>> {
        self.faults.before("storage.discover").await?;
        let ids = |address: &String| {
            let mut parts = address.strip_prefix(place(spec))?.split('/').skip(1);
            let project = ProjectId::parse(parts.next()?)?;
            parse_directory(parts.next()?).map(|(cluster, edition)| (project, cluster, edition))
        };
        Ok(lock(&self.repositories).keys().filter_map(ids).collect())
    }

    async fn open(&self, repository: &RepositoryRef, create: bool) -> Result<Arc<dyn Storage>> {
        self.faults.before("storage.open").await?;
        let name = repository.storage.name.clone();
        if self.faults.is_on(&format!("storage.gone.{name}")) {
            return Err(Error::unavailable("storage_gone", format!("storage {name} does not answer")));
        }
        let mut all = lock(&self.repositories);
        let address = address(repository);
        if !all.contains_key(&address) {
            if !create {
                return Err(Error::not_found("repository", &address));
            }
            let made = Repository { keys: Mutex::new(all_keys(&repository.keys)), ..Repository::default() };
            all.insert(address.clone(), Arc::new(made));
        }
        let found = Arc::clone(&all[&address]);
        if !lock(&found.keys).contains(&repository.keys.own) {
            return Err(Error::forbidden("the key does not open the repository").with_code("wrong_key"));
        }
        Ok(Arc::new(FakeStorage { faults: self.faults.clone(), name, looked: AtomicU64::new(0), repository: found }))
    }

    async fn remove(&self, repository: &RepositoryRef) -> Result<()> {
        self.faults.before("storage.remove").await?;
        append_only(&self.faults, &repository.storage.name)?;
        lock(&self.repositories).remove(&address(repository));
        self.faults.after("storage.remove")
    }
}

fn append_only(faults: &Faults, name: &str) -> Result<()> {
    match faults.is_on(&format!("storage.append_only.{name}")) {
        true => Err(Error::conflict("append_only", format!("storage {name} is append-only: nothing can be deleted from it"))),
        false => Ok(()),
    }
}

fn all_keys(keys: &RepositoryKeys) -> Vec<Secret> {
    std::iter::once(&keys.own).chain(&keys.recovery).cloned().collect()
}

fn piece(entry: SnapshotEntry, bytes: Vec<u8>) -> Piece {
    Piece { entry, hash: Sha256::digest(&bytes).to_vec(), bytes: Arc::new(bytes) }
}

/// Reads a source to its end. Any error of it is the error of the backup.
fn read(
    mut source: Box<dyn Source>,
    base: Option<&Kept>,
    progress: &Progress,
    pace: impl Fn() -> Result<()>,
) -> Result<(Vec<Piece>, Facts)> {
    let mut pieces = vec![];
    progress.total(source.expected_bytes().unwrap_or(0));
    while let Some(entry) = source.next() {
        let entry = entry?;
        pace()?;
        if progress.is_cancelled() {
            return Err(Error::conflict("cancelled", "the backup was cancelled"));
        }
        let mut bytes = vec![];
        let kind = match entry.kind {
            EntryKind::Dir => SnapshotEntryKind::Dir,
            EntryKind::Symlink { target } => SnapshotEntryKind::Symlink { target },
            EntryKind::File { open, keep: Keep::Whole, .. } => {
                open()?.read_to_end(&mut bytes)?;
                assert!(bytes.is_empty(), "what is kept was read all the same");
                let lost = || Error::failed("base_lost", format!("{} is gone", entry.path.display()));
                let old = base.and_then(|b| b.entries.iter().find(|p| p.entry.path == entry.path)).ok_or_else(lost)?;
                bytes = old.bytes.to_vec();
                SnapshotEntryKind::File { size: bytes.len() as u64 }
            }
            EntryKind::File { open, may_vanish, .. } => match open().and_then(|mut reader| reader.read_to_end(&mut bytes)) {
                Ok(_) => SnapshotEntryKind::File { size: bytes.len() as u64 },
                Err(e) if may_vanish && e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::from(e).context(entry.path.display())),
            },
        };
        progress.add(bytes.len() as u64);
        pieces.push(piece(SnapshotEntry { path: entry.path, mode: entry.mode, mtime: entry.mtime, kind }, bytes));
    }
    let facts = source.finish()?;
    Ok((pieces, facts))
}

impl FakeStorage {
    fn find(&self, snapshot: &str) -> Result<Kept> {
        lock(&self.repository.snapshots).get(snapshot).cloned().ok_or_else(|| Error::not_found("snapshot", snapshot))
    }

    /// What the storage does before it takes the next entry.
    fn pace(&self, progress: &Progress) -> impl Fn() -> Result<()> + Send + 'static {
        let (faults, name, progress) = (self.faults.clone(), self.name.clone(), progress.clone());
        move || {
            while faults.is_on(&format!("storage.stalls.{name}")) && !progress.is_cancelled() {
                std::thread::sleep(Duration::from_millis(2));
            }
            match faults.is_on(&format!("storage.breaks.{name}")) {
                true => Err(Error::failed("storage_broken", format!("storage {name} broke"))),
                false => Ok(()),
            }
        }
    }

    fn stored(&self, label: &SnapshotLabel) -> Option<Stored> {
        lock(&self.repository.snapshots).values().find(|k| k.label.backup == label.backup).map(|k| k.stored.clone())
    }
}

fn good(piece: &Piece) -> Result<()> {
    if Sha256::digest(piece.bytes.as_slice()).to_vec() == piece.hash {
        return Ok(());
    }
    Err(Error::integrity(format!("{} is damaged in the storage", piece.entry.path.display())))
}

/// Writes one entry, a few bytes at a time.
fn deliver(piece: &Piece, sink: &dyn Sink, pace: Duration) -> Result<()> {
    good(piece)?;
    match &piece.entry.kind {
        SnapshotEntryKind::Dir => sink.dir(&piece.entry)?,
        SnapshotEntryKind::Symlink { target } => sink.symlink(&piece.entry, target)?,
        SnapshotEntryKind::File { .. } => {
            let mut file = sink.file(&piece.entry)?;
            for chunk in piece.bytes.chunks(1_000) {
                std::thread::sleep(pace);
                file.write(chunk)?;
            }
            file.finish()?;
        }
    }
    Ok(())
}

#[async_trait]
impl Storage for FakeStorage {
    async fn put(&self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
        self.faults.before("storage.put").await?;
        if let Some(there) = self.stored(label) {
            return Ok(there);
        }
        let (reading, label, pace) = (progress.clone(), label.clone(), self.pace(progress));
        let lost = |e: Error| Error::failed("base_lost", e.message);
        let base = source.base().map(|id| self.find(id)).transpose().map_err(lost)?;
        let (entries, facts) = on_a_thread(move || read(source, base.as_ref(), &reading, pace)).await?;
        let data_bytes = entries.iter().map(|p| p.bytes.len() as u64).sum();
        let snapshot = hex::encode(&Sha256::digest(format!("{}/{}", label.backup, label.cluster))[..8]);
        let stored = Stored {
            snapshot: snapshot.clone(),
            facts,
            data_bytes,
            added_bytes: data_bytes,
            files: entries.len() as u64,
            checks: vec![Check::new("read_back", true, "every byte was read back")],
            verified_at: now(),
        };
        self.faults.before("storage.publish").await?;
        lock(&self.repository.snapshots).insert(snapshot, Kept { locked: None, label, stored: stored.clone(), entries });
        self.faults.after("storage.publish")?;
        Ok(stored)
    }

    async fn base(&self, snapshot: &str, lists: &[&str]) -> Result<Option<Base>> {
        self.faults.before("storage.base").await?;
        let found = self.find(snapshot)?;
        let mut base = Base { facts: found.stored.facts, files: HashMap::new(), lists: HashMap::new() };
        for piece in found.entries.iter().filter(|p| good(p).is_ok()) {
            let SnapshotEntryKind::File { size } = piece.entry.kind else { continue };
            if lists.iter().any(|list| piece.entry.path == Path::new(list)) {
                base.lists.insert(piece.entry.path.clone(), piece.bytes.to_vec());
            }
            base.files.insert(piece.entry.path.clone(), Held { size, mtime: piece.entry.mtime, piece: None });
        }
        Ok(Some(base))
    }

    async fn entries(&self, snapshot: &str) -> Result<Vec<SnapshotEntry>> {
        Ok(self.find(snapshot)?.entries.into_iter().map(|p| p.entry).collect())
    }

    /// Directories first, then files from three threads.
    async fn get(&self, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()> {
        self.faults.before("storage.get").await?;
        let (kept, faults, progress) = (self.find(snapshot)?, self.faults.clone(), progress.clone());
        on_a_thread(move || {
            let (files, others): (Vec<_>, Vec<_>) = kept
                .entries
                .into_iter()
                .filter(|p| sink.wants(&p.entry))
                .partition(|p| matches!(p.entry.kind, SnapshotEntryKind::File { .. }));
            others.iter().try_for_each(|p| deliver(p, sink.as_ref(), Duration::ZERO))?;
            faults.before_blocking("storage.get.half")?;
            let pace = faults.delay_of("storage.get.chunk");
            let one = |worker: usize| files.iter().skip(worker).step_by(3).try_for_each(|p| deliver(p, sink.as_ref(), pace));
            let one = &one;
            let ends: Vec<Result<()>> = std::thread::scope(|s| {
                let workers: Vec<_> = (0..3).map(|n| s.spawn(move || one(n))).collect();
                workers.into_iter().map(|w| w.join().unwrap_or_else(|_| Err(Error::internal("a worker panicked")))).collect()
            });
            progress.add(files.iter().map(|p| p.bytes.len() as u64).sum());
            ends.into_iter().collect()
        })
        .await
    }

    async fn facts(&self, snapshot: &str) -> Result<(SnapshotLabel, Facts)> {
        self.faults.before("storage.facts").await?;
        let kept = self.find(snapshot)?;
        Ok((kept.label, kept.stored.facts))
    }

    async fn list(&self) -> Result<Vec<Snapshot>> {
        self.faults.before("storage.list").await?;
        let of = |(id, k): (&String, &Kept)| Snapshot { id: id.clone(), label: k.label.clone(), time: k.label.created_at };
        let mut all: Vec<_> = lock(&self.repository.snapshots).iter().map(of).collect();
        all.sort_by_key(|s| s.time);
        Ok(all)
    }

    async fn verify(&self, snapshot: &str, depth: Depth, _: &Progress) -> Result<u64> {
        self.faults.before("storage.verify").await?;
        let kept = self.find(snapshot)?;
        if depth == Depth::Data {
            kept.entries.iter().try_for_each(good)?;
        }
        Ok(kept.stored.data_bytes)
    }

    async fn lock(&self, snapshot: &str, keep: Duration) -> Result<Option<Time>> {
        self.faults.before("storage.lock").await?;
        if !self.faults.is_on(&format!("storage.locks.{}", self.name)) {
            return Ok(None);
        }
        let until = now().plus_seconds(keep.as_secs() as i64);
        let mut snapshots = lock(&self.repository.snapshots);
        let kept = snapshots.get_mut(snapshot).ok_or_else(|| Error::not_found("snapshot", snapshot))?;
        kept.locked = kept.locked.max(Some(until));
        Ok(kept.locked)
    }

    async fn delete(&self, snapshots: &[String]) -> Result<()> {
        self.faults.before("storage.delete").await?;
        append_only(&self.faults, &self.name)?;
        if lock(&self.repository.snapshots).iter().any(|(id, k)| snapshots.contains(id) && k.locked.is_some_and(|t| t > now())) {
            return Err(Error::forbidden("it is locked").with_code("object_locked"));
        }
        lock(&self.repository.snapshots).retain(|id, _| !snapshots.contains(id));
        self.faults.after("storage.delete")
    }

    async fn prune(&self) -> Result<u64> {
        self.faults.before("storage.prune").await?;
        append_only(&self.faults, &self.name)?;
        Ok(0)
    }

    async fn ensure_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        self.faults.before("storage.ensure_keys").await?;
        *lock(&self.repository.keys) = all_keys(keys);
        self.faults.after("storage.ensure_keys")
    }

    async fn try_key(&self, key: &Secret) -> Result<()> {
        self.faults.before("storage.try_key").await?;
        match lock(&self.repository.keys).contains(key) {
            true => Ok(()),
            false => Err(Error::forbidden("the key does not open the repository").with_code("wrong_key")),
        }
    }

    async fn add_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        self.faults.before("storage.add_keys").await?;
        let mut all = lock(&self.repository.keys);
        let missing: Vec<Secret> = all_keys(keys).into_iter().filter(|k| !all.contains(k)).collect();
        all.extend(missing);
        drop(all);
        self.faults.after("storage.add_keys")
    }

    async fn usage(&self) -> Result<StorageUsage> {
        let snapshots = lock(&self.repository.snapshots);
        Ok(StorageUsage { repository_bytes: snapshots.values().map(|k| k.stored.data_bytes).sum(), snapshots: snapshots.len() as u64 })
    }

    async fn free(&self) -> Result<Option<u64>> {
        self.faults.before("storage.free").await?;
        Ok(Some(if self.faults.is_on(&format!("storage.full.{}", self.name)) { 1 << 20 } else { 100 << 30 }))
    }

    fn moved(&self) -> u64 {
        match self.faults.is_on(&format!("storage.crawls.{}", self.name)) {
            true => self.looked.fetch_add(1, Ordering::Relaxed),
            false => 0,
        }
    }

    fn manual_commands(&self, snapshot: &str, key_file: &str, target: &str) -> Vec<String> {
        vec![format!("fake-restore --password-file {key_file} {snapshot} --target {target}")]
    }
}
