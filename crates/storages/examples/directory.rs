//! Backs a directory up into a local storage and restores it: the smallest source and sink there
//! are, and a stopwatch.
//!
//! The restore's target must be there, the backup's place is made.
//!
//! `directory backup PLACE DIR [chunk KiB]`, `directory restore PLACE TARGET`, `directory verify PLACE`

#![allow(clippy::result_large_err, reason = "the product's one error is as large as it is")]

use mainstay_drivers::{Result, engine::Chunking, progress::Progress, storage::*};
use mainstay_model::{BackupId, ClusterId, ProjectId, Secret, StorageId, Time, backup::Facts};
use mainstay_storages::OpenStorages;
use std::{
    fs, io,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

struct Directory {
    root: PathBuf,
    left: Vec<PathBuf>,
}

impl Directory {
    fn list(&mut self, dir: &Path) -> io::Result<()> {
        let mut names: Vec<_> = fs::read_dir(self.root.join(dir))?.map(|e| Ok(dir.join(e?.file_name()))).collect::<io::Result<_>>()?;
        names.sort();
        self.left.extend(names.into_iter().rev());
        Ok(())
    }

    fn entry(&mut self, path: PathBuf) -> io::Result<Entry> {
        let full = self.root.join(&path);
        let meta = full.symlink_metadata()?;
        let kind = if meta.is_dir() {
            self.list(&path)?;
            EntryKind::Dir
        } else if meta.is_symlink() {
            EntryKind::Symlink { target: fs::read_link(&full)? }
        } else {
            let open: Opener = Box::new(move || Ok(Box::new(fs::File::open(full)?)));
            EntryKind::File { size: Some(meta.len()), may_vanish: false, open, keep: Keep::Nothing }
        };
        let mtime = Time(meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1000);
        Ok(Entry { path, mode: meta.mode(), mtime, kind })
    }
}

impl Source for Directory {
    fn next(&mut self) -> Option<Result<Entry>> {
        let path = self.left.pop()?;
        Some(self.entry(path).map_err(Into::into))
    }
    fn finish(&mut self) -> Result<Facts> {
        Ok(Facts::default())
    }
    fn expected_bytes(&self) -> Option<u64> {
        None
    }
}

struct Target(PathBuf);

impl Sink for Target {
    fn dir(&self, entry: &SnapshotEntry) -> io::Result<()> {
        fs::create_dir_all(self.0.join(&entry.path))
    }
    fn symlink(&self, entry: &SnapshotEntry, target: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, self.0.join(&entry.path))
    }
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        Ok(Box::new(Plain(fs::File::create(self.0.join(&entry.path))?)))
    }
}

struct Plain(fs::File);

impl FileSink for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

fn fixed<T>(id: &str, parse: impl Fn(&str) -> Option<T>) -> T {
    parse(&format!("{id}_00000000000000000000000000")).expect("a well-formed id")
}

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [verb, place, rest @ ..] = args.as_slice() else { panic!("a verb and a place are needed") };
    let chunk = rest.get(1).and_then(|n| n.parse::<u32>().ok()).unwrap_or(64);
    let reference = RepositoryRef {
        storage: StorageSpec {
            id: StorageId::new(),
            name: "here".into(),
            place: Place::Local { path: place.into() },
            secret: None,
            limits: Default::default(),
            edition: 1,
        },
        project: fixed("pj", ProjectId::parse),
        cluster: fixed("cl", ClusterId::parse),
        chunking: if chunk == 0 { Chunking::ContentDefined } else { Chunking::Fixed(chunk << 10) },
        keys: RepositoryKeys { own: Secret::new("example"), recovery: Vec::new() },
    };
    let storage = OpenStorages::new().open(&reference, verb == "backup").await?;
    let (start, progress) = (Instant::now(), Progress::default());
    match (verb.as_str(), rest) {
        ("backup", [dir, ..]) => {
            let mut source = Directory { root: dir.into(), left: Vec::new() };
            source.list(Path::new(""))?;
            let label = SnapshotLabel {
                backup: BackupId::new(),
                cluster: reference.cluster.clone(),
                cluster_name: "example".into(),
                kind: "manual".into(),
                description: String::new(),
                created_at: Time(1_790_000_000_000_000 + i64::from(std::process::id())),
            };
            let stored = storage.put(&label, Box::new(source), &progress).await?;
            println!("{} files, {} bytes, {} added", stored.files, stored.data_bytes, stored.added_bytes);
        }
        (verb, rest) => {
            let latest = storage.list().await?.pop().expect("a backup").id;
            match (verb, rest) {
                ("restore", [target, ..]) => storage.get(&latest, Arc::new(Target(target.into())), &progress).await?,
                _ => println!("{} bytes good", storage.verify(&latest, Depth::Data, &progress).await?),
            }
        }
    }
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    println!("{:.2} s, {peak}", start.elapsed().as_secs_f64());
    Ok(())
}
