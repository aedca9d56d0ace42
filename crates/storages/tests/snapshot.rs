//! Snapshots on real file systems: what was kept is what the file was at that moment, it costs no
//! space, it comes back by sharing, and whatever goes wrong leaves nothing that looks like one.

mod common;

use common::*;
use mainstay_drivers::{Result, engine::Chunking, progress::Progress, storage::*};
use mainstay_model::{Kind, backup::Facts};
use mainstay_storages::OpenStorages;
use mainstay_testkit::Disk;
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const KINDS: [&str; 2] = ["btrfs", "xfs"];
const LARGE: usize = 48 << 20;

fn at(path: &Path) -> RepositoryRef {
    let mut r = reference(path, Chunking::ContentDefined);
    r.storage.place = Place::Snapshot { path: path.into() };
    r
}

/// Plain files of a directory, each changed as soon as it was passed to the keeper: whoever reads it after
/// that must not see the change.
struct Live {
    dir: PathBuf,
    names: VecDeque<&'static str>,
    keeper: Option<Arc<dyn Keeper>>,
}

impl Live {
    fn new(dir: &Path, names: &[&'static str]) -> Box<Live> {
        Box::new(Live { dir: dir.into(), names: names.iter().copied().collect(), keeper: None })
    }
}

impl Source for Live {
    fn next(&mut self) -> Option<Result<Entry>> {
        let name = self.names.pop_front()?;
        let (path, keeper) = (self.dir.join(name), self.keeper.clone());
        let size = fs::metadata(&path).unwrap().len();
        let open: Opener = Box::new(move || {
            let file = File::open(&path)?;
            let Some(keeper) = keeper else { return Ok(Box::new(file)) };
            let kept = keeper.keep(Path::new(name), file, size);
            fs::OpenOptions::new().write(true).open(&path)?.write_all(b"changed since")?;
            Ok(Box::new(io::Read::take(kept, size)))
        });
        Some(Ok(Entry {
            path: name.into(),
            mode: 0o600,
            mtime: MTIME,
            kind: EntryKind::File { size: Some(size), may_vanish: false, open, keep: Keep::Nothing },
        }))
    }
    fn finish(&mut self) -> Result<Facts> {
        Ok(facts())
    }
    fn expected_bytes(&self) -> Option<u64> {
        None
    }
    fn offer(&mut self, keeper: Arc<dyn Keeper>) {
        self.keeper = Some(keeper);
    }
}

/// Writes below a directory, sharing where it can.
struct Back(PathBuf);

impl Sink for Back {
    fn dir(&self, _: &SnapshotEntry) -> io::Result<()> {
        Ok(())
    }
    fn symlink(&self, _: &SnapshotEntry, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        let open = File::options().read(true).write(true).create_new(true).open(self.0.join(&entry.path))?;
        Ok(Box::new(BackFile(open)))
    }
}

struct BackFile(File);

impl FileSink for BackFile {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        panic!("this file system shares")
    }
    fn share(&mut self, file: &File) -> io::Result<Option<File>> {
        rustix::fs::ioctl_ficlone(&self.0, file)?;
        self.0.try_clone().map(Some)
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// What lies in the place beside the snapshots that have a name.
fn remnants(place: &Path) -> Vec<PathBuf> {
    let down = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    down(place).iter().flat_map(|project| down(project)).flat_map(|cluster| down(&cluster.join("tmp"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_the_moment_and_costs_no_space() {
    for kind in KINDS {
        let Some(disk) = Disk::mount(kind, 400) else { continue };
        let (live, place, back) = (disk.path().join("live"), disk.path().join("place"), disk.path().join("back"));
        fs::create_dir(&live).unwrap();
        fs::create_dir(&back).unwrap();
        let (large, small) = (noise(1, LARGE + 777), noise(2, 10));
        fs::write(live.join("large"), &large).unwrap();
        fs::write(live.join("small"), &small).unwrap();
        let before = disk.free();
        let storages = OpenStorages::new().with_nodes(live.clone());
        let storage = storages.open(&at(&place), true).await.unwrap();
        assert!(storage.keeps_files());
        let stored = storage.put(&label(), Live::new(&live, &["large", "small"]), &quiet()).await.unwrap();
        assert_eq!(stored.data_bytes, (large.len() + small.len()) as u64);
        assert!(stored.added_bytes < 10_000, "{kind}: {}", stored.added_bytes);
        assert!(stored.checks.iter().any(|c| c.detail.contains("2 files kept by sharing")), "{:?}", stored.checks);
        assert!(fs::read(live.join("large")).unwrap().starts_with(b"changed since"), "the live file went on");

        storage.get(&stored.snapshot, Arc::new(Back(back.clone())), &quiet()).await.unwrap();
        assert!(fs::read(back.join("large")).unwrap() == large && fs::read(back.join("small")).unwrap() == small, "{kind}: not the moment");
        let used = before.saturating_sub(disk.free());
        assert!(used < 16 << 20, "{kind}: a snapshot and a restore of {LARGE} bytes took {used}");
        storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();

        storage.delete(std::slice::from_ref(&stored.snapshot)).await.unwrap();
        assert!(storage.list().await.unwrap().is_empty() && remnants(&place).is_empty());
        assert!(fs::read(back.join("large")).unwrap() == large, "what was restored does not hang on it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_never_restored() {
    for kind in KINDS {
        let Some(disk) = Disk::mount(kind, 400) else { continue };
        let (live, place) = (disk.path().join("live"), disk.path().join("place"));
        fs::create_dir(&live).unwrap();
        for name in ["a", "b"] {
            fs::write(live.join(name), noise(7, 300_000)).unwrap();
        }
        let storage = OpenStorages::new().open(&at(&place), true).await.unwrap();
        let stored = storage.put(&label(), Live::new(&live, &["a", "b"]), &quiet()).await.unwrap();
        let good = storage.put(&label(), Live::new(&live, &["a", "b"]), &quiet()).await.unwrap();
        let here = PathBuf::from(storage.manual_commands(&stored.snapshot, "", "out")[1].split(' ').nth(3).unwrap());
        let damaged = here.join("b");
        let mut file = File::options().write(true).open(&damaged).unwrap();
        file.write_all(b"rot").unwrap();
        drop(file);
        storage.verify(&stored.snapshot, Depth::Structure, &quiet()).await.unwrap();
        let error = storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap_err();
        assert!(error.kind == Kind::Integrity && error.message.contains("/b is damaged"), "{error:?}");
        let error = storage.get(&stored.snapshot, Arc::new(Collect::default()), &quiet()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Integrity, "{error:?}");
        File::options().write(true).open(&damaged).unwrap().set_len(5).unwrap();
        assert_eq!(storage.verify(&stored.snapshot, Depth::Structure, &quiet()).await.unwrap_err().kind, Kind::Integrity);
        // Its own record, in another snapshot.
        let record = here.parent().unwrap().join("mainstay.files");
        fs::write(&record, fs::read_to_string(&record).unwrap().replace("\"a\"", "\"../../a\"")).unwrap();
        assert_eq!(storage.entries(&stored.snapshot).await.unwrap_err().kind, Kind::Integrity);
        storage.verify(&good.snapshot, Depth::Data, &quiet()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_could_not_be_kept() {
    for kind in KINDS {
        let Some(disk) = Disk::mount(kind, 400) else { continue };
        let (place, elsewhere) = (disk.path().join("place"), tempfile::tempdir().unwrap());
        fs::write(elsewhere.path().join("a"), noise(1, 1000)).unwrap();
        let storage = OpenStorages::new().open(&at(&place), true).await.unwrap();
        let error = storage.put(&label(), Live::new(elsewhere.path(), &["a"]), &quiet()).await.unwrap_err();
        assert!(error.code == "not_shared" && error.message.contains("another file system"), "{kind}: {error:?}");

        let older = storage.put(&label(), list([file("a", noise(3, 1000))]), &quiet()).await.unwrap();
        let endless = file_with("z", None, false, Box::new(|| Ok(Box::new(Noise { state: 5, left: 1 << 40 }))));
        let error = storage.put(&label(), list([endless]), &quiet()).await.unwrap_err();
        assert_eq!(error.kind, Kind::NoSpace, "{kind}: {error:?}");
        assert_eq!(storage.list().await.unwrap().len(), 1);
        storage.verify(&older.snapshot, Depth::Data, &quiet()).await.unwrap();
        assert_eq!(remnants(&place), Vec::<PathBuf>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_is_swept_and_what_is_filled_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("place");
    let (storages, reference) = (OpenStorages::new(), at(&place));
    let storage = storages.open(&reference, true).await.unwrap();
    storage.put(&label(), list([file("a", noise(3, 1000))]), &quiet()).await.unwrap();
    let tmp = place.join(reference.project.as_str()).join(reference.cluster.as_str()).join("tmp");
    fs::create_dir_all(tmp.join("0123/files")).unwrap();
    fs::write(tmp.join("0123/files/half"), "half").unwrap();
    // Somebody else looks while a snapshot is being filled.
    let (other, again) = (OpenStorages::new(), reference.clone());
    let swept = tokio::runtime::Handle::current();
    let step = Step::Wait(Box::new(move || {
        swept.block_on(async { other.open(&again, false).await.unwrap().prune().await.unwrap() });
    }));
    let stored = storage.put(&label(), list([file("a", noise(4, 1000)), step, file("b", noise(5, 1000))]), &quiet()).await.unwrap();
    storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    assert_eq!(remnants(&place), Vec::<PathBuf>::new());
    assert_eq!(storage.list().await.unwrap().len(), 2);
}

fn row<'a>(report: &'a StorageReport, name: &str) -> &'a mainstay_model::backup::Check {
    report.rows.iter().find(|r| r.name == name).unwrap_or_else(|| panic!("{name}: {report:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_it_between_the_databases_and_the_place() {
    let here = tempfile::tempdir().unwrap();
    for (kind, can) in [("btrfs", true), ("xfs", true), ("ext4", false)] {
        let Some(disk) = Disk::mount(kind, 2048) else { continue };
        let nodes = disk.path().join("nodes");
        fs::create_dir(&nodes).unwrap();
        let spec = at(&disk.path().join("place")).storage;
        let report = OpenStorages::new().with_nodes(nodes.clone()).check(&spec).await.unwrap();
        let reflink = row(&report, "reflink");
        assert_eq!(reflink.ok, can, "{reflink:?}");
        if !can {
            assert!(
                reflink.failed() && reflink.detail.contains("ext4 cannot share blocks") && reflink.detail.contains("Btrfs"),
                "{reflink:?}"
            );
            continue;
        }
        assert!(row(&report, "encryption").optional && row(&report, "disaster_copy").detail.contains("gone with it"));
        let report = OpenStorages::new().with_nodes(here.path().into()).check(&spec).await.unwrap();
        assert!(row(&report, "reflink").failed() && row(&report, "reflink").detail.contains("another file system"), "{report:#?}");
        let left: Vec<_> = fs::read_dir(&nodes).unwrap().chain(fs::read_dir(here.path()).unwrap()).flatten().map(|e| e.path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_one_is_gone() {
    let Some(disk) = Disk::mount("xfs", 400) else { return };
    let (live, place) = (disk.path().join("live"), disk.path().join("place"));
    fs::create_dir(&live).unwrap();
    fs::write(live.join("a"), noise(1, 1 << 20)).unwrap();
    let storage = OpenStorages::new().open(&at(&place), true).await.unwrap();
    let progress = Progress::default();
    progress.cancel();
    let error = storage.put(&label(), Live::new(&live, &["a"]), &progress).await.unwrap_err();
    assert_eq!(error.code, "cancelled");
    assert_eq!(remnants(&place), Vec::<PathBuf>::new());
}
