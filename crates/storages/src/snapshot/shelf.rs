//! What lies on the disk: snapshots with their names, and what is on its way to have one.

use crate::{
    place::{
        Local, Objects,
        local::{free, make_dir, sync_dir, trouble},
    },
    record::{self, Listed, Record},
};
use mainstay_drivers::storage::{Snapshot, StorageUsage};
use mainstay_model::{Error, Kind, Result, Time, backup::Check};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, ResolveFlags, flock, openat2, renameat_with, statat};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
};

const NAMED: &str = "snapshots";
const TMP: &str = "tmp";
pub const FILES: &str = "files";
/// Written last before a snapshot gets its name: what record and list must hash to.
const SEAL: &str = "mainstay.published";

/// One cluster's directory.
#[derive(Clone)]
pub struct Shelf {
    root: PathBuf,
}

/// `mainstay.published`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Seal {
    pub version: u32,
    pub record_sha256: String,
    pub list_sha256: String,
    pub added_bytes: u64,
    pub verified_at: Time,
    pub checks: Vec<Check>,
}

/// A snapshot with all it says of itself.
pub struct Whole {
    pub record: Record,
    pub seal: Seal,
    /// In path order.
    pub files: Vec<Listed>,
}

impl Shelf {
    pub fn new(root: PathBuf) -> Self {
        Shelf { root }
    }

    pub fn exists(&self) -> bool {
        self.root.join(NAMED).is_dir()
    }

    /// Makes the empty layout. Done already is done.
    pub fn create(&self) -> Result<()> {
        make_dir(&self.root.join(NAMED))?;
        make_dir(&self.root.join(TMP))?;
        sync_dir(&self.root)?;
        self.root.parent().map_or(Ok(()), sync_dir)
    }

    pub fn location(&self) -> String {
        self.root.display().to_string()
    }

    pub fn free(&self) -> Result<u64> {
        free(&self.root)
    }

    pub fn destroy(&self) -> Result<()> {
        Local::new(self.root.clone(), Arc::default()).destroy()
    }

    pub fn snapshot(&self, id: &str) -> PathBuf {
        self.root.join(NAMED).join(id)
    }

    /// Its directory, for a snapshot that is there.
    pub fn found(&self, id: &str) -> Result<PathBuf> {
        let path = self.snapshot(id);
        match is_id(id) && path.is_dir() {
            true => Ok(path),
            false => Err(Error::not_found("snapshot", id)),
        }
    }

    /// The record as the seal has it.
    pub fn record(&self, id: &str) -> Result<Record> {
        self.sealed(&self.found(id)?).map(|(record, _)| record)
    }

    fn sealed(&self, dir: &Path) -> Result<(Record, Seal)> {
        let broken = |e| Error::integrity(format!("{} is not readable: {e}", dir.join(SEAL).display()));
        let seal: Seal = serde_json::from_slice(&read(&dir.join(SEAL))?).map_err(broken)?;
        let record = Record::from_json(&hashed(&dir.join(record::NAME), &seal.record_sha256)?)?;
        Ok((record, seal))
    }

    pub fn whole(&self, id: &str) -> Result<Whole> {
        let dir = self.found(id)?;
        let (record, seal) = self.sealed(&dir)?;
        let files = record::from_lines(&hashed(&dir.join(record::LIST), &seal.list_sha256)?, id)?;
        match files.iter().find(|f| f.entry.path.components().any(|c| !matches!(c, Component::Normal(_)))) {
            Some(odd) => Err(Error::integrity(format!("snapshot {id} lists \"{}\", which is no path in it", odd.entry.path.display()))),
            None => Ok(Whole { record, seal, files }),
        }
    }

    /// Oldest first. One that cannot be read is not there for whoever looks for good ones.
    pub fn list(&self) -> Result<Vec<Snapshot>> {
        let mut found = Vec::new();
        for id in self.ids()? {
            match self.sealed(&self.snapshot(&id)) {
                Ok((record, _)) => found.push(Snapshot { id, time: record.label.created_at, label: record.label }),
                Err(e) => tracing::warn!("{e}"),
            }
        }
        found.sort_by(|a, b| (a.label.created_at, &a.label.backup).cmp(&(b.label.created_at, &b.label.backup)));
        Ok(found)
    }

    fn ids(&self) -> Result<Vec<String>> {
        let named = self.root.join(NAMED);
        let entries = fs::read_dir(&named).map_err(|e| trouble("listing", &named, e))?;
        Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).filter(|name| is_id(name)).collect())
    }

    /// Loses its name first: what is interrupted never looks like a snapshot. Absent is done.
    pub fn delete(&self, id: &str) -> Result<()> {
        let Ok(path) = self.found(id) else { return Ok(()) };
        let aside = self.root.join(TMP).join(format!("removed-{:016x}", rand::random::<u64>()));
        make_dir(&self.root.join(TMP))?;
        fs::rename(&path, &aside).map_err(|e| trouble("removing", &path, e))?;
        sync_dir(&self.root.join(NAMED))?;
        fs::remove_dir_all(&aside).map_err(|e| trouble("removing", &aside, e))
    }

    /// Removes what lies in `tmp` and is filled by nobody.
    pub fn sweep(&self) -> Result<()> {
        let tmp = self.root.join(TMP);
        let entries = match fs::read_dir(&tmp) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            other => other.map_err(|e| trouble("listing", &tmp, e))?,
        };
        for left in entries.flatten().map(|e| e.path()) {
            let Ok(held) = File::open(&left) else { continue };
            if flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok() {
                fs::remove_dir_all(&left).map_err(|e| trouble("removing", &left, e))?;
            }
        }
        Ok(())
    }

    /// What snapshots wrote. Blocks they share cost nothing until the database changes them, and how
    /// many those are only the file system knows.
    pub fn usage(&self) -> Result<StorageUsage> {
        let mut usage = StorageUsage::default();
        for id in self.ids()? {
            usage.snapshots += 1;
            usage.repository_bytes += self.sealed(&self.snapshot(&id)).map_or(0, |(_, seal)| seal.added_bytes);
        }
        Ok(usage)
    }

    /// A new directory to be filled, held so that no sweep takes it away.
    pub fn stage(&self) -> Result<Staging> {
        make_dir(&self.root.join(TMP))?;
        let path = self.root.join(TMP).join(format!("{:032x}", rand::random::<u128>()));
        let named = |e| trouble("creating", &path, e);
        DirBuilder::new().mode(0o700).create(&path).map_err(named)?;
        let held = File::open(&path).map_err(named)?;
        flock(&held, FlockOperation::NonBlockingLockExclusive).map_err(|e| named(e.into()))?;
        make_dir(&path.join(FILES))?;
        Ok(Staging { path, held, published: false })
    }

    /// Gives it its name; `false` where that is taken.
    pub fn publish(&self, mut staging: Staging, id: &str) -> Result<bool> {
        staging.sync()?;
        let path = self.snapshot(id);
        match renameat_with(CWD, &staging.path, CWD, &path, RenameFlags::NOREPLACE) {
            Ok(()) => staging.published = true,
            Err(rustix::io::Errno::EXIST) => return Ok(false),
            Err(e) => return Err(trouble("naming", &path, e.into())),
        }
        sync_dir(&self.root.join(NAMED)).map(|()| true)
    }
}

/// A snapshot on its way. Gone with its owner unless it was published.
pub struct Staging {
    pub path: PathBuf,
    held: File,
    published: bool,
}

impl Staging {
    pub fn files(&self) -> PathBuf {
        self.path.join(FILES)
    }

    pub fn sync(&self) -> Result<()> {
        rustix::fs::syncfs(&self.held).map_err(|e| trouble("syncing", &self.path, e.into()))
    }

    /// What the snapshot says of itself; the seal last.
    pub fn seal(&self, record: &[u8], list: &[u8], seal: &Seal) -> Result<()> {
        write(&self.path.join(record::NAME), record)?;
        write(&self.path.join(record::LIST), list)?;
        write(&self.path.join(SEAL), &serde_json::to_vec_pretty(seal).map_err(Error::internal)?)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published
            && let Err(e) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!("what an unfinished snapshot left stays until the next prune: {}", trouble("removing", &self.path, e));
        }
    }
}

/// A backup has one name, whoever stores it and however often.
pub fn id_of(backup: &str) -> String {
    hex::encode(Sha256::digest(backup))
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let named = |e| trouble("writing", path, e);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(named)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(named)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| trouble("reading", path, e))
}

fn hashed(path: &Path, sha256: &str) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    match hex::encode(Sha256::digest(&bytes)) == sha256 {
        true => Ok(bytes),
        false => Err(Error::integrity(format!("{} is damaged: it is not what was published", path.display()))),
    }
}

/// The directory a snapshot's files lie in, once, for many of them.
pub struct Tree {
    root: OwnedFd,
    shown: PathBuf,
}

impl Tree {
    pub fn open(path: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(&path, flags, Mode::empty()).map_err(|e| trouble("opening", &path, e.into()))?;
        Ok(Tree { root, shown: path })
    }

    /// A file of it, and no link on the way: whoever can write here shall not choose what is read.
    pub fn file(&self, path: &Path) -> Result<File> {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let opened = openat2(&self.root, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), beneath);
        opened.map(File::from).map_err(|e| self.trouble("reading", path, e.into()))
    }

    pub fn size(&self, path: &Path) -> Result<u64> {
        let stat = statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| self.trouble("looking at", path, e.into()))?;
        Ok(stat.st_size.unsigned_abs())
    }

    pub fn trouble(&self, doing: &str, path: &Path, e: io::Error) -> Error {
        trouble(doing, &self.shown.join(path), e)
    }

    pub fn damaged(&self, path: &Path, why: &str) -> Error {
        Error::integrity(format!("{} is damaged: {why}; delete this snapshot and take another", self.shown.join(path).display()))
    }
}

/// Whether a repository is not there, rather than unreadable.
pub fn missing(e: &Error) -> bool {
    e.kind == Kind::NotFound
}
