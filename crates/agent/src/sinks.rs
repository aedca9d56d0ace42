//! Where a restored snapshot is written: one directory, and nothing outside it.
//!
//! A snapshot may have been made by anybody who held the key. Paths are plain names below the
//! directory, walked one by one without following links; links that lead out are refused; a name
//! that comes twice is refused; modes are cut down to what an engine needs.

use crate::owner::Owner;
use mainstay_drivers::storage::{FileSink, Sink, SnapshotEntry};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Where a captured path belongs; `None` leaves it out.
type Place = Box<dyn Fn(&Path) -> Option<PathBuf> + Send + Sync>;

/// Writes below one opened directory. No file is synced by itself: [`DirectorySink::sync`] makes all
/// of it durable at once.
pub(crate) struct DirectorySink {
    root: OwnedFd,
    owner: Option<Owner>,
    place: Place,
    refused: Mutex<Option<String>>,
}

impl DirectorySink {
    pub fn new(root: OwnedFd, owner: Option<Owner>, place: impl Fn(&Path) -> Option<PathBuf> + Send + Sync + 'static) -> Self {
        DirectorySink { root, owner, place: Box::new(place), refused: Mutex::default() }
    }

    /// The entry that was refused, and why: a storage need not know why its sink failed.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does something with the path an entry belongs at.
    fn at<T>(&self, entry: &SnapshotEntry, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let path = (self.place)(&entry.path).ok_or_else(|| io::Error::other("an entry came that is left out"))?;
        let done = act(&path);
        if let Err(e) = done.as_ref().map(drop)
            && e.kind() == io::ErrorKind::InvalidData
        {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(e.to_string());
        }
        done
    }

    pub fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    /// The opened directory an entry lies in, and the entry's own name.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let names = plain_names(path)?;
        let (name, parents) = names.split_last().ok_or_else(|| unsafe_entry(path, "has no name"))?;
        let mut dir = rustix::fs::openat(&self.root, c".", DIRECTORY, Mode::empty())?;
        for parent in parents {
            dir = match rustix::fs::openat(&dir, *parent, DIRECTORY, Mode::empty()) {
                // Snapshots name a directory before what it holds; a plain copy of one file may not.
                Err(Errno::NOENT) => self.make_dir(&dir, parent)?,
                Err(Errno::LOOP | Errno::NOTDIR) => return Err(unsafe_entry(path, "lies behind a link")),
                other => other?,
            };
        }
        Ok((dir, name))
    }

    fn make_dir(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        crate::volumes::make_dir(parent, name, self.owner.as_ref())
    }

    fn own(&self, fd: &OwnedFd) -> io::Result<()> {
        let Some(owner) = &self.owner else { return Ok(()) };
        let (uid, gid) = owner.ids();
        Ok(rustix::fs::fchown(fd, uid, gid)?)
    }
}

/// The names of a relative path; anything else in it is refused.
fn plain_names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let name = |c| match c {
        Component::Normal(name) => Ok(name),
        _ => Err(unsafe_entry(path, "is not a path below the directory")),
    };
    path.components().filter(|c| *c != Component::CurDir).map(name).collect()
}

fn unsafe_entry(path: &Path, why: &str) -> io::Error {
    let name = mainstay_model::error::shown(&path.to_string_lossy());
    io::Error::new(io::ErrorKind::InvalidData, format!("the entry \"{name}\" {why}"))
}

impl DirectorySink {
    fn put_dir(&self, path: &Path) -> io::Result<()> {
        if plain_names(path)?.is_empty() {
            return Ok(());
        }
        let (parent, name) = self.parent(path)?;
        match self.make_dir(&parent, name) {
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::LOOP | Errno::NOTDIR)) => Err(unsafe_entry(path, "comes twice")),
            other => other.map(drop),
        }
    }

    fn put_link(&self, path: &Path, target: &Path) -> io::Result<()> {
        if target.components().any(|c| !matches!(c, Component::Normal(_))) {
            return Err(unsafe_entry(path, "is a link that leads out of the directory"));
        }
        let (parent, name) = self.parent(path)?;
        rustix::fs::symlinkat(target, &parent, name).map_err(|e| twice(path, e))?;
        if let Some(owner) = &self.owner {
            let (uid, gid) = owner.ids();
            rustix::fs::chownat(&parent, name, uid, gid, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    fn put_file(&self, path: &Path) -> io::Result<Box<dyn FileSink>> {
        let (parent, name) = self.parent(path)?;
        let fd = rustix::fs::openat(&parent, name, NEW_FILE, Mode::RUSR | Mode::WUSR).map_err(|e| twice(path, e))?;
        self.own(&fd)?;
        Ok(Box::new(Plain(File::from(fd))))
    }
}

impl Sink for DirectorySink {
    fn wants(&self, entry: &SnapshotEntry) -> bool {
        (self.place)(&entry.path).is_some()
    }
    fn dir(&self, entry: &SnapshotEntry) -> io::Result<()> {
        self.at(entry, |path| self.put_dir(path))
    }
    fn symlink(&self, entry: &SnapshotEntry, target: &Path) -> io::Result<()> {
        self.at(entry, |path| self.put_link(path, target))
    }
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        self.at(entry, |path| self.put_file(path))
    }
}

fn twice(path: &Path, e: Errno) -> io::Error {
    if e == Errno::EXIST { unsafe_entry(path, "comes twice") } else { e.into() }
}

struct Plain(File);

impl FileSink for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
    /// A file system that cannot, or that lies elsewhere, gets the bytes.
    fn share(&mut self, file: &File) -> io::Result<Option<File>> {
        match rustix::fs::ioctl_ficlone(&self.0, file) {
            Ok(()) => self.0.try_clone().map(Some),
            Err(Errno::NOSPC | Errno::DQUOT) => Err(Errno::NOSPC.into()),
            Err(_) => Ok(None),
        }
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::storage::SnapshotEntryKind;
    use mainstay_model::Time;
    use std::os::unix::fs::PermissionsExt;

    fn sink(dir: &Path) -> DirectorySink {
        DirectorySink::new(rustix::fs::open(dir, DIRECTORY, Mode::empty()).unwrap(), None, |p| Some(p.into()))
    }

    fn entry(path: &str, kind: SnapshotEntryKind) -> SnapshotEntry {
        SnapshotEntry { path: path.into(), mode: 0o7777, mtime: Time::default(), kind }
    }

    fn file(sink: &DirectorySink, path: &str) -> io::Result<()> {
        let mut f = sink.file(&entry(path, SnapshotEntryKind::File { size: 1 }))?;
        f.write(b"x")?;
        f.finish()
    }

    fn link(sink: &DirectorySink, path: &str, target: &str) -> io::Result<()> {
        sink.symlink(&entry(path, SnapshotEntryKind::Symlink { target: target.into() }), Path::new(target))
    }

    #[test]
    fn hostile_entries_leave_nothing_outside() {
        let top = tempfile::tempdir().unwrap();
        let (inside, outside) = (top.path().join("in"), top.path().join("out"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&outside).unwrap();
        let s = sink(&inside);
        for bad in ["../out/a", "/etc/a", "a/../../out/b", "..", "", "."] {
            let e = file(&s, bad).expect_err(bad);
            assert_eq!(e.kind(), io::ErrorKind::InvalidData, "{bad}: {e}");
        }
        assert!(s.refused().is_some_and(|why| why.contains("has no name")));
        for target in ["/etc", "../out", "a/../../out", "."] {
            assert!(link(&s, "l", target).is_err(), "{target}");
        }
        std::os::unix::fs::symlink(&outside, inside.join("trap")).unwrap();
        assert!(file(&s, "trap/c").is_err() && file(&s, "trap").is_err());
        assert!(s.dir(&entry("trap", SnapshotEntryKind::Dir)).is_err());
        assert!(s.dir(&entry("trap/d", SnapshotEntryKind::Dir)).is_err());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn files_are_private_and_come_once() {
        let top = tempfile::tempdir().unwrap();
        let s = sink(top.path());
        s.dir(&entry("base", SnapshotEntryKind::Dir)).unwrap();
        file(&s, "base/1").unwrap();
        file(&s, "late/deep/2").unwrap();
        link(&s, "near", "base").unwrap();
        assert!(file(&s, "base/1").unwrap_err().to_string().contains("comes twice"));
        assert!(file(&s, "near/3").is_err(), "a link of the snapshot itself is no way either");
        let mode = |p: &str| top.path().join(p).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("base"), mode("base/1"), mode("late/deep/2")), (0o700, 0o600, 0o600));
        s.sync().unwrap();
    }
}
