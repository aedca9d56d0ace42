//! A directory on this host, laid out as restic lays out a local repository.
//!
//! Every object is written to `tmp/`, synced, linked under its name without replacing, and its
//! directory synced: after a power cut a name either does not exist or holds the whole object.

use super::{Object, Objects};
use crate::pace::{PIECE, Pace};
use bytes::Bytes;
use mainstay_drivers::storage::{Spot, parse_directory};
use mainstay_model::{Error, Kind, ProjectId, Result};
use rustic_core::{FileType, Id};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

pub struct Local {
    root: PathBuf,
    pace: Arc<Pace>,
}

const TMP: &str = "tmp";

impl Local {
    pub fn new(root: PathBuf, pace: Arc<Pace>) -> Self {
        Local { root, pace }
    }

    fn path(&self, kind: FileType, id: &Id) -> PathBuf {
        let hex = id.to_hex();
        match kind {
            FileType::Config => self.root.join("config"),
            FileType::Pack => self.root.join("data").join(&hex[..2]).join(&*hex),
            other => self.root.join(other.dirname()).join(&*hex),
        }
    }

    fn scan(dir: &Path, into: &mut Vec<Object>) -> Result<()> {
        for entry in fs::read_dir(dir).map_err(|e| trouble("listing", dir, e))? {
            let entry = entry.map_err(|e| trouble("listing", dir, e))?;
            let Some(id) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
            let meta = match entry.metadata() {
                Ok(meta) => meta,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(trouble("looking at", &entry.path(), e)),
            };
            into.push(Object { id, size: meta.len(), modified: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH) });
        }
        Ok(())
    }

    fn stage(&self, content: &[Bytes]) -> Result<PathBuf> {
        let path = self.root.join(TMP).join(format!("{:032x}", rand::random::<u128>()));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            for piece in content.iter().flat_map(|c| c.chunks(PIECE)) {
                self.pace.pass_blocking(piece.len());
                file.write_all(piece)?;
            }
            file.sync_all()
        };
        write().map_err(|e| {
            let _ = fs::remove_file(&path);
            trouble("writing", &path, e)
        })?;
        Ok(path)
    }

    fn publish(&self, staged: &Path, path: &Path, content: &[Bytes]) -> Result<()> {
        let parent = path.parent().unwrap_or(&self.root);
        match rename_new(staged, path) {
            Err(e) if e.kind() == ErrorKind::NotFound && !parent.exists() => {
                make_dir(parent)?;
                parent.parent().map_or(Ok(()), sync_dir)?;
                rename_new(staged, path).map_err(|e| trouble("naming", path, e))?;
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let _ = fs::remove_file(staged);
                same_content(path, content)?;
            }
            other => other.map_err(|e| trouble("naming", path, e))?,
        }
        sync_dir(parent)
    }
}

impl Objects for Local {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn name(&self, kind: FileType, id: &Id) -> String {
        self.path(kind, id).display().to_string()
    }

    fn create(&self) -> Result<()> {
        make_dir(&self.root)?;
        for dir in ["keys", "snapshots", "index", "data", "locks", TMP] {
            make_dir(&self.root.join(dir))?;
        }
        for n in 0..=255u8 {
            make_dir(&self.root.join("data").join(format!("{n:02x}")))?;
        }
        sync_dir(&self.root.join("data"))?;
        sync_dir(&self.root)?;
        self.root.parent().map_or(Ok(()), sync_dir)
    }

    fn list(&self, kind: FileType) -> Result<Vec<Object>> {
        let mut found = Vec::new();
        match kind {
            FileType::Config => match fs::metadata(self.root.join("config")) {
                Ok(m) => found.push(Object { id: Id::default(), size: m.len(), modified: m.modified().unwrap_or(SystemTime::UNIX_EPOCH) }),
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(trouble("looking at", &self.root.join("config"), e)),
            },
            FileType::Pack => {
                let data = self.root.join("data");
                for entry in fs::read_dir(&data).map_err(|e| trouble("listing", &data, e))? {
                    let entry = entry.map_err(|e| trouble("listing", &data, e))?;
                    if entry.file_type().is_ok_and(|t| t.is_dir()) {
                        Self::scan(&entry.path(), &mut found)?;
                    }
                }
            }
            other => Self::scan(&self.root.join(other.dirname()), &mut found)?,
        }
        Ok(found)
    }

    fn read(&self, kind: FileType, id: &Id) -> Result<Bytes> {
        let path = self.path(kind, id);
        let bytes = fs::read(&path).map(Bytes::from).map_err(|e| trouble("reading", &path, e))?;
        self.pace.pass_blocking(bytes.len());
        Ok(bytes)
    }

    fn read_at(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> Result<Bytes> {
        let path = self.path(kind, id);
        let file = File::open(&path).map_err(|e| trouble("reading", &path, e))?;
        let mut buffer = vec![0; length];
        self.pace.pass_blocking(length);
        file.read_exact_at(&mut buffer, offset).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => {
                Error::integrity(format!("{} is cut short: {length} bytes at {offset} are not all there", path.display()))
            }
            _ => trouble("reading", &path, e),
        })?;
        Ok(buffer.into())
    }

    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> Result<()> {
        let path = self.path(kind, id);
        let staged = self.stage(content)?;
        self.publish(&staged, &path, content).inspect_err(|_| {
            let _ = fs::remove_file(&staged);
        })
    }

    fn remove(&self, kind: FileType, id: &Id) -> Result<()> {
        let path = self.path(kind, id);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(path.parent().unwrap_or(&self.root)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(trouble("removing", &path, e)),
        }
    }

    fn free(&self) -> Result<Option<u64>> {
        free(&self.root).map(Some)
    }

    fn moved(&self) -> u64 {
        self.pace.moved()
    }

    fn sweep(&self, age: Duration) -> Result<()> {
        let dir = self.root.join(TMP);
        make_dir(&dir)?;
        for entry in fs::read_dir(&dir).map_err(|e| trouble("listing", &dir, e))?.flatten() {
            let modified = entry.metadata().and_then(|m| m.modified());
            let old = modified.is_ok_and(|t| t.elapsed().is_ok_and(|past| past > age));
            if old {
                tracing::info!("removing {}, left by a write that was interrupted", entry.path().display());
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Renamed first: a removal that is interrupted never looks like a repository.
    fn destroy(&self) -> Result<()> {
        let (Some(project), Some(name)) = (self.root.parent(), self.root.file_name()) else { return Ok(()) };
        let prefix = format!(".removed-{}-", name.to_string_lossy());
        if self.root.exists() {
            let aside = project.join(format!("{prefix}{:016x}", rand::random::<u64>()));
            fs::rename(&self.root, &aside).map_err(|e| trouble("removing", &self.root, e))?;
            sync_dir(project)?;
        }
        let left = match fs::read_dir(project) {
            Ok(entries) => entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(trouble("listing", project, e)),
        };
        for aside in left {
            fs::remove_dir_all(aside.path()).map_err(|e| trouble("removing", &aside.path(), e))?;
        }
        // The project's directory goes with its last repository.
        let _ = fs::remove_dir(project);
        Ok(())
    }
}

/// The repositories below `root`, by their paths, in order. Names that are no ids are somebody else's.
pub fn repositories(root: &Path) -> Result<Vec<Spot>> {
    let mut found = Vec::new();
    for project in names(root)?.iter().filter_map(|name| ProjectId::parse(name)) {
        let clusters = names(&root.join(project.as_str()))?;
        found
            .extend(clusters.iter().filter_map(|name| parse_directory(name)).map(|(cluster, edition)| (project.clone(), cluster, edition)));
    }
    found.sort();
    Ok(found)
}

/// Of the directories in `dir`; links are not followed.
fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(dir).map_err(|e| trouble("listing", dir, e))?;
    let name = |e: fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir()).then(|| e.file_name().into_string().ok()).flatten();
    Ok(entries.flatten().filter_map(name).collect())
}

/// What somebody who is not root may still write in the file system of `path`.
pub fn free(path: &Path) -> Result<u64> {
    let space = rustix::fs::statvfs(path).map_err(|e| trouble("asking for the space of", path, e.into()))?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Gives `from` the name `to` unless that is taken. Where the file system has no such rename, a
/// hard link does the same.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        other => Ok(other?),
    }
}

fn same_content(path: &Path, content: &[Bytes]) -> Result<()> {
    let there = fs::read(path).map_err(|e| trouble("reading", path, e))?;
    if there == content.concat() {
        return Ok(());
    }
    Err(Error::integrity(format!("{} is there already and holds something else; move it away and try again", path.display())))
}

/// A directory only its owner can enter, with its missing parents.
pub fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| trouble("creating", path, e))
}

pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|d| d.sync_all()).map_err(|e| trouble("syncing", path, e))
}

/// What went wrong with `path` and what to do about it.
pub fn trouble(doing: &str, path: &Path, e: io::Error) -> Error {
    let shown = path.display();
    match e.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::new(
            Kind::NoSpace,
            "no_space",
            format!("{doing} {shown}: no space left there; free some, or use a storage on a larger disk"),
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::forbidden(format!("{doing} {shown}: {e}; give the user Mainstay runs as write access to it"))
        }
        ErrorKind::NotFound => Error::integrity(format!(
            "{doing} {shown}: it is not there; if the disk is not mounted, mount it, else the backups that need it are damaged"
        )),
        _ => Error::failed("storage_io", format!("{doing} {shown}: {e}")),
    }
    .with_inside(e)
}
