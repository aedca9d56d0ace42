//! Sources, sinks and places for the storage tests.
#![allow(dead_code)]

pub mod borg;
pub mod moto;
pub mod s3;
pub mod sftp;

use mainstay_drivers::{Result, engine::Chunking, progress::Progress, storage::*};
use mainstay_model::{BackupId, ClusterId, Error, ProjectId, Secret, StorageId, Time, backup::Facts};
use mainstay_storages::OpenStorages;
use std::{
    collections::BTreeMap,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A source from a list, with a hook for each way it can go wrong.
#[derive(Default)]
pub struct List {
    pub entries: std::collections::VecDeque<Step>,
    pub finish: Option<Error>,
    /// The snapshot that kept files are taken from.
    pub base: Option<String>,
}

pub enum Step {
    Entry(Entry),
    Error(Error),
    /// Runs before the step after it: may block.
    Wait(Box<dyn FnOnce() + Send>),
}

impl Source for List {
    fn next(&mut self) -> Option<Result<Entry>> {
        loop {
            match self.entries.pop_front()? {
                Step::Entry(e) => return Some(Ok(e)),
                Step::Error(e) => return Some(Err(e)),
                Step::Wait(f) => f(),
            }
        }
    }
    fn finish(&mut self) -> Result<Facts> {
        match self.finish.take() {
            Some(e) => Err(e),
            None => Ok(facts()),
        }
    }
    fn expected_bytes(&self) -> Option<u64> {
        None
    }
    fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }
}

/// A file of which only `fresh` is read.
pub fn kept(path: &str, size: u64, keep: Keep, fresh: Vec<u8>) -> Step {
    let open: Opener = Box::new(move || Ok(Box::new(io::Cursor::new(fresh))));
    let kind = EntryKind::File { size: Some(size), may_vanish: false, open, keep };
    Step::Entry(Entry { path: path.into(), mode: 0o640, mtime: MTIME, kind })
}

pub fn on(base: &str, steps: impl IntoIterator<Item = Step>) -> Box<dyn Source> {
    Box::new(List { entries: steps.into_iter().collect(), base: Some(base.into()), ..List::default() })
}

pub fn facts() -> Facts {
    Facts { engine: "test".into(), engine_version: "1".into(), exact: [("rows.t".into(), 42)].into(), ..Facts::default() }
}

pub const MTIME: Time = Time(1_700_000_000_123_456);

pub fn dir(path: &str) -> Step {
    Step::Entry(Entry { path: path.into(), mode: 0o700, mtime: MTIME, kind: EntryKind::Dir })
}

pub fn link(path: &str, target: &str) -> Step {
    Step::Entry(Entry { path: path.into(), mode: 0o777, mtime: MTIME, kind: EntryKind::Symlink { target: target.into() } })
}

pub fn file_with(path: &str, size: Option<u64>, may_vanish: bool, open: Opener) -> Step {
    Step::Entry(Entry {
        path: path.into(),
        mode: 0o640,
        mtime: MTIME,
        kind: EntryKind::File { size, may_vanish, open, keep: Keep::Nothing },
    })
}

pub fn file(path: &str, bytes: Vec<u8>) -> Step {
    file_with(path, Some(bytes.len() as u64), false, Box::new(move || Ok(Box::new(io::Cursor::new(bytes)))))
}

pub fn stream(path: &str, bytes: Vec<u8>) -> Step {
    file_with(path, None, false, Box::new(move || Ok(Box::new(io::Cursor::new(bytes)))))
}

pub fn list(steps: impl IntoIterator<Item = Step>) -> Box<dyn Source> {
    Box::new(List { entries: steps.into_iter().collect(), ..List::default() })
}

/// Bytes no compressor and no deduplication can do anything with.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut reader = Noise { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, left: len as u64 };
    let mut out = Vec::with_capacity(len);
    reader.read_to_end(&mut out).unwrap();
    out
}

pub struct Noise {
    pub state: u64,
    pub left: u64,
}

impl Read for Noise {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(self.left as usize);
        for chunk in buf[..n].chunks_mut(8) {
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            chunk.copy_from_slice(&self.state.to_le_bytes()[..chunk.len()]);
        }
        self.left -= n as u64;
        Ok(n)
    }
}

/// Fails after `good` bytes.
pub struct Breaks(pub Noise);

impl Read for Breaks {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::Error::other("the disk went away")),
            n => Ok(n),
        }
    }
}

/// Tells when it is dropped.
pub struct Told<R>(pub R, pub Arc<AtomicUsize>);

impl<R: Read> Read for Told<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<R> Drop for Told<R> {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// A tree with everything in it, and what must come back.
pub fn sample() -> (Vec<Step>, BTreeMap<String, Vec<u8>>) {
    let files: BTreeMap<String, Vec<u8>> = [
        ("a/empty", vec![]),
        ("a/exact", noise(1, 128 << 10)),
        ("a/zeroes", vec![0; 1 << 20]),
        ("a-b/with space", b"hello".to_vec()),
        ("big", noise(2, 3 << 20 | 17)),
        ("q\"uote\\d", b"odd name".to_vec()),
        ("z/last", noise(3, 5000)),
    ]
    .into_iter()
    .map(|(p, b)| (p.to_owned(), b))
    .collect();
    let f = |p: &str| file(p, files[p].clone());
    let steps = vec![
        dir("a"),
        f("a/empty"),
        f("a/exact"),
        link("a/link", "exact"),
        stream("a/zeroes", files["a/zeroes"].clone()),
        dir("a-b"),
        f("a-b/with space"),
        stream("big", files["big"].clone()),
        f("q\"uote\\d"),
        dir("z"),
        f("z/last"),
    ];
    (steps, files)
}

pub fn label() -> SnapshotLabel {
    SnapshotLabel {
        backup: BackupId::new(),
        cluster: ClusterId::new(),
        cluster_name: "shop".into(),
        kind: "manual".into(),
        description: "before the sale, \"quoted\"".into(),
        created_at: Time(1_790_000_000_654_321),
    }
}

/// Collects what `get` gives.
#[derive(Default, Clone)]
pub struct Collect(pub Arc<Mutex<Got>>);

#[derive(Default, Debug)]
pub struct Got {
    pub order: Vec<SnapshotEntry>,
    pub files: BTreeMap<String, Vec<u8>>,
    pub links: BTreeMap<String, PathBuf>,
    pub finished: usize,
}

impl Sink for Collect {
    fn dir(&self, entry: &SnapshotEntry) -> io::Result<()> {
        self.0.lock().unwrap().order.push(entry.clone());
        Ok(())
    }
    fn symlink(&self, entry: &SnapshotEntry, target: &Path) -> io::Result<()> {
        let mut got = self.0.lock().unwrap();
        got.order.push(entry.clone());
        got.links.insert(entry.path.to_str().unwrap().into(), target.into());
        Ok(())
    }
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        let mut got = self.0.lock().unwrap();
        got.order.push(entry.clone());
        let path: String = entry.path.to_str().unwrap().into();
        got.files.insert(path.clone(), Vec::new());
        Ok(Box::new(CollectFile(self.clone(), path)))
    }
}

struct CollectFile(Collect, String);

impl FileSink for CollectFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.0.lock().unwrap().files.get_mut(&self.1).unwrap().extend_from_slice(bytes);
        Ok(())
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.0.lock().unwrap().finished += 1;
        Ok(())
    }
}

/// Throws everything away, counting.
#[derive(Default, Clone)]
pub struct Void(pub Arc<std::sync::atomic::AtomicU64>);

impl Sink for Void {
    fn dir(&self, _: &SnapshotEntry) -> io::Result<()> {
        Ok(())
    }
    fn symlink(&self, _: &SnapshotEntry, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn file(&self, _: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        Ok(Box::new(self.clone()))
    }
}

impl FileSink for Void {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

pub const OWN: &str = "own-password-of-the-test";
pub const RECOVERY: &str = "recovery password, with spaces";

pub fn reference(path: &Path, chunking: Chunking) -> RepositoryRef {
    RepositoryRef {
        storage: StorageSpec {
            id: StorageId::new(),
            name: "here".into(),
            place: Place::Local { path: path.into() },
            secret: None,
            limits: Default::default(),
            edition: 1,
        },
        project: ProjectId::new(),
        cluster: ClusterId::new(),
        chunking,
        keys: RepositoryKeys { own: Secret::new(OWN), recovery: vec![Secret::new(RECOVERY)] },
    }
}

/// A local repository in a directory of its own.
pub struct Place1 {
    pub dir: tempfile::TempDir,
    pub storages: OpenStorages,
    pub reference: RepositoryRef,
    pub storage: Arc<dyn Storage>,
}

pub async fn local(chunking: Chunking) -> Place1 {
    local_keeping(chunking, std::time::Duration::from_secs(23 * 3600)).await
}

pub async fn local_keeping(chunking: Chunking, keep: std::time::Duration) -> Place1 {
    let dir = tempfile::tempdir().unwrap();
    let reference = reference(&dir.path().join("place"), chunking);
    let storages = OpenStorages::with_keep_delete(keep);
    let storage = storages.open(&reference, true).await.unwrap();
    Place1 { dir, storages, reference, storage }
}

impl Place1 {
    pub fn repository(&self) -> PathBuf {
        repository_path(&self.reference)
    }

    /// All packs, largest first.
    pub fn packs(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for sub in std::fs::read_dir(self.repository().join("data")).unwrap().flatten() {
            found.extend(std::fs::read_dir(sub.path()).unwrap().flatten().map(|e| e.path()));
        }
        found.sort_by_key(|p| std::cmp::Reverse(p.metadata().unwrap().len()));
        found
    }

    pub fn count(&self, kind: &str) -> usize {
        std::fs::read_dir(self.repository().join(kind)).unwrap().count()
    }
}

pub fn repository_path(r: &RepositoryRef) -> PathBuf {
    let Place::Local { path } = &r.storage.place else { panic!("{:?} is no directory", r.storage.place) };
    path.join(r.project.as_str()).join(r.cluster.as_str())
}

pub fn quiet() -> Progress {
    Progress::default()
}
