//! Backup storage: a place that holds snapshots of one cluster in one repository.
//!
//! A snapshot exists when its record is published, which happens last, after everything it refers
//! to was written, read back and checked. Before that no reader sees anything of it.

use crate::{Result, engine::Chunking, progress::Progress};
pub use crate::{
    edition::{Spot, directory_name, first, parse_directory},
    place::{BorgPlace, PathStyle, Place, S3Place, SNAPSHOT, SftpPlace},
};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, ClusterId, Error, Kind, ProjectId, Secret, StorageId, Time,
    backup::{Check, Facts},
    limits::Limits,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// One storage as configured by a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StorageSpec {
    pub id: StorageId,
    pub name: String,
    pub place: Place,
    /// What logs in: the secret access key of `s3`, the private key (OpenSSH, PEM) of `sftp` and of
    /// `borg` over ssh. Kept sealed by the control plane, on the agent only in memory or in a file
    /// of mode 0600 for as long as a child needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Other ones make it no other storage: what is open stays open, and goes at the new pace.
    #[serde(default)]
    pub limits: Limits,
    /// Which of the repositories that lie beside each other in the place are meant: 1 are those it began
    /// with, and every other master key has a number of its own.
    #[serde(default = "first")]
    pub edition: u32,
}

/// Whether the place lets nobody delete here, until somebody there changes that: an append-only
/// repository, an access key without that right, a lock. What was to go is given up and stays; nothing
/// that is only tidied up by it fails because of that. A login that is refused altogether is no such case.
pub fn refuses_deletion(e: &Error) -> bool {
    matches!(e.code.as_str(), "append_only" | "object_locked") || e.kind == Kind::Forbidden && e.code == "forbidden"
}

/// One repository: `<prefix>/<project id>/<cluster id>/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepositoryRef {
    pub storage: StorageSpec,
    pub project: ProjectId,
    pub cluster: ClusterId,
    pub chunking: Chunking,
    pub keys: RepositoryKeys,
}

impl RepositoryRef {
    /// `<project>/<directory>`, below the place.
    pub fn below(&self) -> String {
        format!("{}/{}", self.project, directory_name(&self.cluster, self.storage.edition))
    }
}

/// Who can open a repository. Each is one restic key file in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepositoryKeys {
    /// Mainstay's own, a restic password.
    pub own: Secret,
    /// The project's recovery keys, restic passwords too.
    pub recovery: Vec<Secret>,
}

/// One entry of a source, paths relative and in path order (`a`, `a/b`, `b`), directories before
/// what they hold.
pub struct Entry {
    pub path: PathBuf,
    pub mode: u32,
    pub mtime: Time,
    pub kind: EntryKind,
}

pub enum EntryKind {
    Dir,
    Symlink {
        target: PathBuf,
    },
    File {
        /// `None` for streams.
        size: Option<u64>,
        /// A file that is gone when opened is left out instead of failing the backup. Only for files
        /// whose absence the engine's log repairs.
        may_vanish: bool,
        open: Opener,
        keep: Keep,
    },
}

/// What of a file the storage takes over from the base (see [`Base`]), where the file is the same.
/// Where every storage holds the base ([`Known::everywhere`]) the reader gives the rest, in order; else
/// it gives the whole file, and whoever hands it on sees to it that each storage gets what it lacks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keep {
    #[default]
    Nothing,
    Whole,
    /// All but these stretches of bytes, where every storage holds the base: in order, apart from each
    /// other, each beginning and ending at the end of a piece ([`Held::piece`]) or of the file.
    Except(Vec<Range<u64>>),
}

impl Keep {
    /// Bytes of a file of `size` that come from the base.
    pub fn bytes(&self, size: u64) -> u64 {
        match self {
            Keep::Nothing => 0,
            Keep::Whole => size,
            Keep::Except(changed) => size.saturating_sub(changed.iter().map(|r| r.end - r.start).sum()),
        }
    }
}

pub type Opener = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

/// A storage that can keep a plain file by sharing its blocks, at once and without reading it.
pub trait Keeper: Send + Sync {
    /// Keeps `file`, which was opened just now, as the entry `path` with `size` bytes (cut, or filled
    /// with zeros). Gives back what is to be read from then on: what was kept, so that what is read and
    /// what is stored are the same; or `file` itself where it could not be kept, which is the storage's
    /// own matter and fails nobody else.
    fn keep(&self, path: &Path, file: File, size: u64) -> File;
}

/// What a backup reads. Synchronous: it runs on the storage's own threads.
///
/// The storage counts the bytes of every reader and remembers every error of `next` and of every
/// reader: one error fails the backup, whatever the library underneath makes of it.
pub trait Source: Send {
    /// The next entry, or `None` at the end. May block until earlier files were read and dropped.
    fn next(&mut self) -> Option<Result<Entry>>;
    /// Called once after the last entry was read to its end. Children are waited for, footers
    /// checked; an error fails the backup.
    fn finish(&mut self) -> Result<Facts>;
    /// Bytes expected, where known, for the progress bar.
    fn expected_bytes(&self) -> Option<u64>;
    /// Said before the first entry is taken. A source that reads plain files passes each of them
    /// through the keeper when it opens it; one that does not is read and stored as ever.
    fn offer(&mut self, keeper: Arc<dyn Keeper>) {
        drop(keeper);
    }
    /// The snapshot, in the storage this is put into, that [`Keep`] speaks of.
    fn base(&self) -> Option<&str> {
        None
    }
}

/// An earlier snapshot that a new one may be built on, as one storage holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    pub facts: Facts,
    /// The files whose content is there to be taken over: every piece of it is in the storage now.
    pub files: HashMap<PathBuf, Held>,
    /// The whole content of the files that were asked for.
    pub lists: HashMap<PathBuf, Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub size: u64,
    pub mtime: Time,
    /// The size of the pieces it is stored in, all but the last, where parts of it can be taken over.
    pub piece: Option<u64>,
}

/// What is known of an earlier backup while a new one is captured: what the storages that hold it
/// agree on.
#[derive(Debug, Clone)]
pub struct Known {
    pub backup: BackupId,
    pub base: Base,
    /// Whether each storage of this capture holds it. Then nobody needs the bytes of what is kept,
    /// and the source gives empty readers for them.
    pub everywhere: bool,
}

/// What is recorded with a snapshot, in its tags and in the file `mainstay.json` at its end, enough
/// to rebuild the catalogue from the storage alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotLabel {
    pub backup: BackupId,
    pub cluster: ClusterId,
    pub cluster_name: String,
    pub kind: String,
    pub description: String,
    pub created_at: Time,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The repository's own id of the snapshot.
    pub id: String,
    pub label: SnapshotLabel,
    pub time: Time,
}

/// What a snapshot says of itself. Said by whoever held the key: not to be believed before it is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Described {
    pub label: SnapshotLabel,
    pub facts: Facts,
    pub data_bytes: u64,
}

/// The kind of the snapshots that hold a part of a cluster's log. They are no backups.
pub const LOG: &str = "log";

/// The kind of the snapshots the control plane makes of itself.
pub const CONTROL_PLANE: &str = "control_plane";

/// A repository found in a place by somebody who has only a recovery key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundRepository {
    pub project: ProjectId,
    pub cluster: ClusterId,
    #[serde(default = "first")]
    pub edition: u32,
    /// Whether the key opens it.
    pub opens: bool,
    pub holds: Holds,
    /// What its newest backup calls it.
    pub name: String,
    /// Oldest first.
    pub backups: Vec<FoundBackup>,
    /// The parts of its log, where they were asked for.
    #[serde(default)]
    pub log: Vec<crate::segments::FoundLog>,
    /// Why there is no more to say of it.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    Cluster,
    ControlPlane,
    /// No backup that could be believed.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundBackup {
    pub snapshot: String,
    pub backup: BackupId,
    pub kind: String,
    pub description: String,
    pub created_at: Time,
    pub data_bytes: u64,
    pub facts: Facts,
    /// Why it is not to be used.
    pub error: Option<String>,
}

/// What `put` did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    pub snapshot: String,
    pub facts: Facts,
    /// Bytes read from the source.
    pub data_bytes: u64,
    /// Bytes this backup added to the storage.
    pub added_bytes: u64,
    pub files: u64,
    pub checks: Vec<Check>,
    pub verified_at: Time,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    pub path: PathBuf,
    pub mode: u32,
    pub mtime: Time,
    pub kind: SnapshotEntryKind,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SnapshotEntryKind {
    Dir,
    Symlink { target: PathBuf },
    File { size: u64 },
}

/// Where `get` writes. Called from several threads; entries of one directory come after it.
pub trait Sink: Send + Sync {
    /// `false` leaves the entry out.
    fn wants(&self, entry: &SnapshotEntry) -> bool {
        let _ = entry;
        true
    }
    fn dir(&self, entry: &SnapshotEntry) -> io::Result<()>;
    fn symlink(&self, entry: &SnapshotEntry, target: &Path) -> io::Result<()>;
    /// A writer for one file; bytes come in order, dropped after `finish`.
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>>;
}

pub trait FileSink: Send {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Takes all of the content at once by sharing the blocks of `file`, and gives back what is to be
    /// read to check it. `None`: it cannot be done here, write the bytes. Called before any `write`.
    fn share(&mut self, file: &File) -> io::Result<Option<File>> {
        let _ = file;
        Ok(None)
    }
    fn finish(self: Box<Self>) -> io::Result<()>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Depth {
    /// The record, its trees, the index and the presence and size of every pack it needs.
    Structure,
    /// All of that, and every byte read, decrypted and hashed.
    Data,
}

/// What a check of the place found; each row says what to do when it is not good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StorageReport {
    pub rows: Vec<Check>,
    pub free_bytes: Option<u64>,
    pub total_bytes: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StorageUsage {
    pub repository_bytes: u64,
    pub snapshots: u64,
}

#[async_trait]
pub trait Storage: Send + Sync {
    /// Stores what `source` yields and publishes the snapshot last, after a read-back. On any error
    /// nothing is visible. A snapshot with the same `label.backup` that is already there is
    /// returned as it is (the reply of an earlier call was lost).
    async fn put(&self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored>;

    /// What a new snapshot can take over from this one, and the content of the files `lists`. `None`
    /// where this kind of storage reads everything anew. An error costs as much: nothing depends on it.
    async fn base(&self, snapshot: &str, lists: &[&str]) -> Result<Option<Base>> {
        let _ = (snapshot, lists);
        Ok(None)
    }

    /// The snapshot's entries, in path order.
    async fn entries(&self, snapshot: &str) -> Result<Vec<SnapshotEntry>>;

    /// Streams every wanted entry into `sink`; every byte's hash is checked on the way.
    async fn get(&self, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()>;

    /// The facts file of the snapshot.
    async fn facts(&self, snapshot: &str) -> Result<(SnapshotLabel, Facts)>;

    /// All that a catalogue needs to know of a snapshot it never heard of.
    async fn describe(&self, snapshot: &str) -> Result<Described> {
        let (label, facts) = self.facts(snapshot).await?;
        let size = |e: &SnapshotEntry| if let SnapshotEntryKind::File { size } = e.kind { size } else { 0 };
        let data_bytes = self.entries(snapshot).await?.iter().map(size).sum();
        Ok(Described { label, facts, data_bytes })
    }

    /// Published snapshots, oldest first.
    async fn list(&self) -> Result<Vec<Snapshot>>;

    /// Bytes that were read and found good; an [`Kind::Integrity`] error names what is not.
    async fn verify(&self, snapshot: &str, depth: Depth, progress: &Progress) -> Result<u64>;

    /// Keeps the snapshot, and all it needs, from being removed by anybody for so long, by the place's
    /// own clock. `None` where the place can do no such thing. Again makes it longer, never shorter.
    async fn lock(&self, snapshot: &str, keep: Duration) -> Result<Option<Time>> {
        let _ = (snapshot, keep);
        Ok(None)
    }

    /// Removes snapshot records. Absent ones are done. Space comes back with `prune`.
    async fn delete(&self, snapshots: &[String]) -> Result<()>;

    /// Gives back space no snapshot refers to; safe beside a running `put`.
    async fn prune(&self) -> Result<u64>;

    /// Makes exactly these keys able to open the repository.
    async fn ensure_keys(&self, keys: &RepositoryKeys) -> Result<()>;

    /// Makes these keys able to open the repository too; whoever else can still can.
    async fn add_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        let _ = keys;
        Err(Error::conflict("keys_fixed", "repositories of this kind take no further keys"))
    }

    /// Opens the repository anew with this key, from what lies in the place now.
    async fn try_key(&self, key: &Secret) -> Result<()> {
        let _ = key;
        Err(Error::conflict("keys_fixed", "repositories of this kind are opened in one way only"))
    }

    async fn usage(&self) -> Result<StorageUsage>;

    /// Bytes that may still be written there; `None` where the place does not say.
    async fn free(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Bytes that went to and from the storage since this process began, whoever moved them. As long as it
    /// grows the storage is alive, however slow.
    fn moved(&self) -> u64 {
        0
    }

    /// Whether `put` offers a [`Keeper`] to its source before it takes the first entry.
    fn keeps_files(&self) -> bool {
        false
    }

    /// What a repository of this kind needs besides a key, should its own copy of it be lost: Borg's key
    /// export. `None` where a key is enough.
    async fn key_export(&self) -> Result<Option<Secret>> {
        Ok(None)
    }

    /// `restic -r … ` commands for a person who has the recovery key in `key_file`.
    fn manual_commands(&self, snapshot: &str, key_file: &str, target: &str) -> Vec<String>;
}

/// Opens storages. One per process; keeps opened repositories.
#[async_trait]
pub trait Storages: Send + Sync {
    /// The kinds it can open: `local`, ...
    fn kinds(&self) -> Vec<&'static str>;
    /// Looks at the place itself: reachable, writable, space. Writes and removes a probe object.
    async fn check(&self, spec: &StorageSpec) -> Result<StorageReport>;
    /// The repositories that lie in the place, by their paths alone. Whether they are any, and open, is
    /// found out by opening them.
    async fn discover(&self, spec: &StorageSpec) -> Result<Vec<Spot>> {
        let kind = spec.place.kind();
        Err(Error::conflict("not_listable", format!("what lies in storages of kind {kind} cannot be listed here")))
    }
    /// Opens the repository. `create` makes a missing one (with all its keys); without it a missing
    /// one is `NotFound`.
    async fn open(&self, repository: &RepositoryRef, create: bool) -> Result<Arc<dyn Storage>>;
    /// From now on the storage is held to the limits of `spec`, what is under way included.
    fn limit(&self, spec: &StorageSpec) {
        let _ = spec;
    }
    /// Removes a whole repository, for a cluster whose backups are all given up. Absent is done.
    async fn remove(&self, repository: &RepositoryRef) -> Result<()>;
}
