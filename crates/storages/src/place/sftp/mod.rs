//! A directory on another machine, reached over SFTP, laid out as restic lays out its own.
//!
//! Every object is written to `tmp/`, synced where the server can, and renamed to its name, which SFTP
//! refuses where the name is taken. The protocol has no way to sync a directory; that a name is durable
//! is up to the server's file system, and what a backup wrote is read back before it counts.

mod doctor;
mod link;

pub use link::Link;

use super::{Manual, Object, Objects, path_of};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use link::{Outcome, Said, Session, said};
use mainstay_drivers::storage::{Spot, StorageReport, parse_directory};
use mainstay_model::{Error, Kind, ProjectId, Result};
use russh_sftp::{
    client::error::Error as Fault,
    extensions::FSYNC,
    protocol::{File, FileAttributes, OpenFlags},
};
use rustic_core::{FileType, Id};
use sha2::{Digest, Sha256};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

pub struct Sftp {
    link: Arc<Link>,
    root: String,
}

const TMP: &str = "tmp";
/// What every server takes in one packet, and how many are on their way at a time.
const PACKET: usize = 32 << 10;
const AT_ONCE: usize = 64;

/// What became of a write.
enum Put {
    Written,
    Taken,
}

impl Sftp {
    pub fn new(link: Arc<Link>, below: &str) -> Self {
        let root = format!("{}/{below}", link.place.path.trim_end_matches('/'));
        Sftp { link, root: root.trim_end_matches('/').to_owned() }
    }

    pub fn check(link: Arc<Link>) -> Result<StorageReport> {
        let sftp = Sftp::new(link, "");
        sftp.link.wait(doctor::check(&sftp))
    }

    /// The repositories in the place, complete enough to have a config.
    pub fn repositories(link: Arc<Link>) -> Result<Vec<Spot>> {
        let sftp = Sftp::new(link, "");
        sftp.link.wait(async {
            let mut found = Vec::new();
            for project in sftp.entries(&sftp.root).await?.unwrap_or_default() {
                let Some(id) = ProjectId::parse(&project.filename) else { continue };
                let inside = format!("{}/{}", sftp.root, project.filename);
                for entry in sftp.entries(&inside).await?.unwrap_or_default() {
                    let Some((cluster, edition)) = parse_directory(&entry.filename) else { continue };
                    if sftp.stat(&format!("{inside}/{}/config", entry.filename)).await?.is_some() {
                        found.push((id.clone(), cluster, edition));
                    }
                }
            }
            Ok(found)
        })
    }

    fn path(&self, kind: FileType, id: &Id) -> String {
        format!("{}/{}", self.root, path_of(kind, id))
    }

    fn shown(&self, path: &str) -> String {
        let p = &self.link.place;
        let host = if p.host.contains(':') { format!("[{}]", p.host) } else { p.host.clone() };
        format!("sftp://{}@{host}:{}/{path}", p.user, p.port)
    }

    /// What a refusal means and what to do about it.
    fn refusal(&self, doing: &str, path: &str, fault: &Fault) -> Error {
        let head = format!("{doing} {} in storage {}", self.shown(path), self.link.name);
        match said(fault) {
            Some(Said::NoSuchFile) => Error::integrity(format!(
                "{head}: it is not there; if a disk is not mounted there, mount it, else the backups that need it are damaged"
            )),
            Some(Said::Denied) => {
                Error::forbidden(format!("{head}: the user {} may not do this; give it write access there", self.link.place.user))
            }
            // SFTP has no word for a full disk; servers put it into the text, or say only "Failure".
            _ if fault.to_string().contains("No space") => {
                Error::new(Kind::NoSpace, "no_space", format!("{head}: no space left there; free some, or use a larger disk"))
            }
            _ => Error::failed("storage_refused", format!("{head}: the server answered \"{fault}\"; look whether its disk is full")),
        }
    }

    async fn must<T>(&self, doing: &str, path: &str, work: impl AsyncFn(&Session) -> Outcome<T>) -> Result<T> {
        self.link.with(work).await?.map_err(|fault| self.refusal(doing, path, &fault))
    }

    /// The same, where what is not there is no error.
    async fn maybe<T>(&self, doing: &str, path: &str, work: impl AsyncFn(&Session) -> Outcome<T>) -> Result<Option<T>> {
        match self.link.with(work).await? {
            Ok(done) => Ok(Some(done)),
            Err(fault) if said(&fault) == Some(Said::NoSuchFile) => Ok(None),
            Err(fault) => Err(self.refusal(doing, path, &fault)),
        }
    }

    async fn stat(&self, path: &str) -> Result<Option<FileAttributes>> {
        Ok(self.maybe("looking at", path, async |s| s.sftp.lstat(path).await).await?.map(|a| a.attrs))
    }

    async fn entries(&self, dir: &str) -> Result<Option<Vec<File>>> {
        self.maybe("listing", dir, async |s| entries(s, dir).await).await
    }

    async fn make_dirs(&self, path: &str) -> Result<()> {
        self.must("creating", path, async |s| make_dirs(s, path).await).await
    }

    async fn remove_file(&self, path: &str) -> Result<()> {
        self.maybe("removing", path, async |s| s.sftp.remove(path).await).await.map(drop)
    }

    async fn put(&self, path: &str, content: &[Bytes]) -> Result<Put> {
        let staged = format!("{}/{TMP}/{:032x}", self.root, rand::random::<u128>());
        let written = self.link.with(async |s| stage(s, &staged, content).await).await;
        let done = match written {
            Ok(Ok(())) => self.publish(&staged, path).await,
            Ok(Err(fault)) => Err(self.refusal("writing", &staged, &fault)),
            Err(e) => Err(e),
        };
        if !matches!(done, Ok(Put::Written)) && !matches!(&done, Err(e) if e.is_transient()) {
            let _ = self.remove_file(&staged).await;
        }
        done
    }

    /// A rename fails where the name is taken, and with the same word for any other reason.
    async fn publish(&self, staged: &str, path: &str) -> Result<Put> {
        let rename = async || self.link.with(async |s| s.sftp.rename(staged, path).await).await;
        let mut renamed = rename().await?;
        if renamed.as_ref().is_err_and(|f| said(f) == Some(Said::NoSuchFile)) && self.stat(staged).await?.is_some() {
            self.make_dirs(path.rsplit_once('/').map_or("/", |(dir, _)| dir)).await?;
            renamed = rename().await?;
        }
        match renamed {
            Ok(_) => Ok(Put::Written),
            // Also where the reply to a rename was lost: then it is the same, which is looked at.
            Err(_) if self.stat(path).await?.is_some() => Ok(Put::Taken),
            Err(fault) => Err(self.refusal("naming", path, &fault)),
        }
    }

    async fn read_whole(&self, path: &str) -> Result<Bytes> {
        self.must("reading", path, async |s| {
            let size = s.sftp.stat(path).await?.attrs.size.unwrap_or(0);
            read(s, path, 0, size as usize).await
        })
        .await
    }

    async fn range(&self, path: &str, offset: u64, length: usize, exact: bool) -> Result<Bytes> {
        let bytes = self.must("reading", path, async |s| read(s, path, offset, length).await).await?;
        match bytes.len() == length || !exact {
            true => Ok(bytes),
            false => Err(Error::integrity(format!("{} is cut short: {length} bytes at {offset} are not all there", self.shown(path)))),
        }
    }

    async fn scan(&self, dir: &str) -> Result<Vec<Object>> {
        let files = self.must("listing", dir, async |s| entries(s, dir).await).await?;
        Ok(files.into_iter().filter_map(object).collect())
    }

    async fn packs(&self) -> Result<Vec<Object>> {
        let data = format!("{}/data", self.root);
        let dirs = self.must("listing", &data, async |s| entries(s, &data).await).await?;
        let dirs: Vec<_> = dirs.into_iter().filter(|d| d.attrs.is_dir()).map(|d| format!("{data}/{}", d.filename)).collect();
        let lists: Vec<Vec<Object>> = stream::iter(&dirs).map(|dir| self.scan(dir)).buffered(AT_ONCE / 4).try_collect().await?;
        Ok(lists.concat())
    }

    async fn lay_out(&self) -> Result<()> {
        for dir in ["keys", "snapshots", "index", "data", "locks", TMP] {
            self.make_dirs(&format!("{}/{dir}", self.root)).await?;
        }
        let dirs: Vec<String> = (0..=255u8).map(|n| format!("{}/data/{n:02x}", self.root)).collect();
        stream::iter(&dirs)
            .map(|dir| self.must("creating", dir, async |s| make_dir(s, dir).await))
            .buffered(AT_ONCE / 2)
            .try_collect()
            .await
    }

    /// Depth first; what is a link is removed and not followed.
    async fn remove_tree(&self, top: &str) -> Result<()> {
        let (mut open, mut dirs) = (vec![top.to_owned()], Vec::new());
        while let Some(dir) = open.pop() {
            for entry in self.entries(&dir).await?.unwrap_or_default() {
                let path = format!("{dir}/{}", entry.filename);
                match entry.attrs.is_dir() && !entry.attrs.is_symlink() {
                    true => open.push(path),
                    false => self.remove_file(&path).await?,
                }
            }
            dirs.push(dir);
        }
        for dir in dirs.iter().rev() {
            self.maybe("removing", dir, async |s| s.sftp.rmdir(dir).await).await?;
        }
        Ok(())
    }

    async fn destroy_all(&self) -> Result<()> {
        let Some((project, name)) = self.root.rsplit_once('/') else { return Ok(()) };
        let prefix = format!(".removed-{name}-");
        match self.stat(&self.root).await? {
            Some(attrs) if attrs.is_dir() => {
                let aside = format!("{project}/{prefix}{:016x}", rand::random::<u64>());
                self.must("removing", &self.root, async |s| s.sftp.rename(&self.root, &aside).await).await?;
            }
            Some(_) => {
                return Err(Error::forbidden(format!(
                    "{} is not a directory; nothing is done with it, move it away",
                    self.shown(&self.root)
                )));
            }
            None => {}
        }
        for left in self.entries(project).await?.unwrap_or_default() {
            if left.filename.starts_with(&prefix) {
                self.remove_tree(&format!("{project}/{}", left.filename)).await?;
            }
        }
        // The project's directory goes with its last repository.
        let _ = self.link.with(async |s| s.sftp.rmdir(project).await).await?;
        Ok(())
    }

    async fn sweep_tmp(&self, age: Duration) -> Result<()> {
        let dir = format!("{}/{TMP}", self.root);
        for entry in self.entries(&dir).await?.unwrap_or_default() {
            let old = entry.attrs.modified().is_ok_and(|t| t.elapsed().is_ok_and(|past| past > age));
            if old {
                self.remove_file(&format!("{dir}/{}", entry.filename)).await?;
            }
        }
        Ok(())
    }
}

fn mode(permissions: u32) -> FileAttributes {
    FileAttributes { size: None, uid: None, user: None, gid: None, group: None, permissions: Some(permissions), atime: None, mtime: None }
}

fn object(file: File) -> Option<Object> {
    let modified = file.attrs.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some(Object { id: file.filename.parse().ok()?, size: file.attrs.size.unwrap_or(0), modified })
}

/// What is in a directory, without the two that always are.
async fn entries(s: &Session, dir: &str) -> Outcome<Vec<File>> {
    let handle = s.sftp.opendir(dir).await?.handle;
    let mut found = Vec::new();
    let ended = loop {
        match s.sftp.readdir(handle.as_str()).await {
            Ok(names) => found.extend(names.files.into_iter().filter(|f| !matches!(f.filename.as_str(), "." | ".."))),
            Err(fault) => break fault,
        }
    };
    s.sftp.close(handle).await?;
    if said(&ended) == Some(Said::End) { Ok(found) } else { Err(ended) }
}

/// Done already is done; servers have no word for that either.
async fn make_dir(s: &Session, path: &str) -> Outcome<()> {
    match s.sftp.mkdir(path, mode(0o700)).await {
        Ok(_) => Ok(()),
        Err(fault) => match s.sftp.stat(path).await {
            Ok(there) if there.attrs.is_dir() => Ok(()),
            _ => Err(fault),
        },
    }
}

async fn make_dirs(s: &Session, path: &str) -> Outcome<()> {
    let mut missing = vec![path];
    while let Some(dir) = missing.pop() {
        match make_dir(s, dir).await {
            Ok(()) => {}
            Err(fault) if said(&fault) == Some(Said::NoSuchFile) => match dir.rsplit_once('/') {
                Some((parent, _)) if !parent.is_empty() && missing.len() < 64 => missing.extend([dir, parent]),
                _ => return Err(fault),
            },
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

async fn stage(s: &Session, path: &str, content: &[Bytes]) -> Outcome<()> {
    // Truncated: a connection that broke may have left the first half.
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let handle = s.sftp.open(path, flags, mode(0o600)).await?.handle;
    let written = fill(s, &handle, content).await;
    let synced = match written {
        Ok(()) if s.has(FSYNC) => s.sftp.fsync(handle.as_str()).await.map(drop),
        other => other,
    };
    let closed = s.sftp.close(handle).await;
    synced?;
    closed.map(drop)
}

async fn fill(s: &Session, handle: &str, content: &[Bytes]) -> Outcome<()> {
    let mut packets = Vec::new();
    let mut at = 0u64;
    for piece in content {
        for packet in piece.chunks(PACKET) {
            packets.push((at, packet));
            at += packet.len() as u64;
        }
    }
    let send = |(at, packet): (u64, &[u8])| {
        let packet = packet.to_vec();
        async move {
            s.pace.pass(packet.len(), || {}).await;
            s.sftp.write(handle, at, packet).await.map(drop)
        }
    };
    stream::iter(packets).map(send).buffered(AT_ONCE).try_collect().await
}

/// Up to `length` bytes: fewer where the file ends.
async fn read(s: &Session, path: &str, offset: u64, length: usize) -> Outcome<Bytes> {
    let handle = s.sftp.open(path, OpenFlags::READ, mode(0o600)).await?.handle;
    let pieces = (0..length.div_ceil(PACKET)).map(|n| {
        let from = n * PACKET;
        (offset + from as u64, PACKET.min(length - from))
    });
    let got: Outcome<Vec<Bytes>> = stream::iter(pieces).map(|(at, size)| piece(s, &handle, at, size)).buffered(AT_ONCE).try_collect().await;
    s.sftp.close(handle.as_str()).await?;
    let mut whole = BytesMut::with_capacity(length);
    for piece in got? {
        whole.extend_from_slice(&piece);
        if !whole.len().is_multiple_of(PACKET) {
            break;
        }
    }
    Ok(whole.freeze())
}

/// A server may answer with less than it was asked for without being at the end.
async fn piece(s: &Session, handle: &str, offset: u64, size: usize) -> Outcome<Bytes> {
    let mut bytes = BytesMut::with_capacity(size);
    s.pace.pass(size, || {}).await;
    while bytes.len() < size {
        match s.sftp.read(handle, offset + bytes.len() as u64, (size - bytes.len()) as u32).await {
            Ok(data) if data.data.is_empty() => break,
            Ok(data) => bytes.extend_from_slice(&data.data),
            Err(fault) if said(&fault) == Some(Said::End) => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(bytes.freeze())
}

impl Objects for Sftp {
    fn location(&self) -> String {
        self.shown(&self.root)
    }

    fn name(&self, kind: FileType, id: &Id) -> String {
        self.shown(&self.path(kind, id))
    }

    fn create(&self) -> Result<()> {
        self.link.wait(self.lay_out())
    }

    fn list(&self, kind: FileType) -> Result<Vec<Object>> {
        self.link.wait(async {
            match kind {
                FileType::Config => {
                    let there = self.stat(&self.path(kind, &Id::default())).await?;
                    let object = |a: FileAttributes| Object {
                        id: Id::default(),
                        size: a.size.unwrap_or(0),
                        modified: a.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                    };
                    Ok(there.map(object).into_iter().collect())
                }
                FileType::Pack => self.packs().await,
                other => self.scan(&format!("{}/{}", self.root, other.dirname())).await,
            }
        })
    }

    fn read(&self, kind: FileType, id: &Id) -> Result<Bytes> {
        let path = self.path(kind, id);
        let bytes = self.link.wait(self.read_whole(&path))?;
        if kind != FileType::Config && Id::new(Sha256::digest(&bytes).into()) != *id {
            return Err(Error::integrity(format!("{} is damaged: its content does not have the hash it is named by", self.shown(&path))));
        }
        Ok(bytes)
    }

    fn read_at(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> Result<Bytes> {
        self.link.wait(self.range(&self.path(kind, id), offset, length, true))
    }

    fn read_some(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> Result<Bytes> {
        self.link.wait(self.range(&self.path(kind, id), offset, length, false))
    }

    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> Result<()> {
        let path = self.path(kind, id);
        self.link.wait(async {
            match self.put(&path, content).await? {
                Put::Written => Ok(()),
                Put::Taken if self.read_whole(&path).await? == content.concat() => Ok(()),
                Put::Taken => Err(Error::integrity(format!(
                    "{} is there already and holds something else; move it away and try again",
                    self.shown(&path)
                ))),
            }
        })
    }

    fn remove(&self, kind: FileType, id: &Id) -> Result<()> {
        self.link.wait(self.remove_file(&self.path(kind, id)))
    }

    fn sweep(&self, age: Duration) -> Result<()> {
        self.link.wait(self.sweep_tmp(age))
    }

    fn destroy(&self) -> Result<()> {
        self.link.wait(self.destroy_all())
    }

    fn free(&self) -> Result<Option<u64>> {
        self.link.wait(async { Ok(doctor::room(self).await?.map(|(free, _)| free)) })
    }

    fn moved(&self) -> u64 {
        self.link.pace.moved()
    }

    fn is_far(&self) -> bool {
        true
    }

    /// The key file is the user's own. A whole command, for not every restic takes arguments for `ssh`.
    fn manual(&self) -> Manual {
        let p = &self.link.place;
        let ssh = format!("ssh -i SSH_KEY_FILE -p {} {}@{} -s sftp", p.port, p.user, p.host);
        Manual { before: vec![], options: format!(" -o sftp.command={}", super::quoted(&ssh)) }
    }
}
