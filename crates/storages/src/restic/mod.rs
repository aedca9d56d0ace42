//! One repository in the restic format, version 2, written with `rustic_core` and readable by
//! restic itself with any of its keys.
//!
//! The library is kept at arm's length: it chunks, packs and prunes. When a backup counts as one,
//! what is read back, and what a reader believes, is decided here.

mod backend;
mod base;
mod blobs;
mod feed;
mod get;
mod keys;
mod lock;
mod nodes;
mod put;
mod seal;
mod snapshots;
mod survey;
mod trees;
mod upkeep;
mod verify;
mod window;

pub(crate) use crate::place::quoted;
use crate::{
    place::{Manual, Objects},
    pool::{Lane, Pool},
};
use async_trait::async_trait;
use backend::{Backend, unwrapped};
use bytesize::ByteSize;
use mainstay_drivers::{
    engine::Chunking,
    progress::Progress,
    storage::{
        Base, Depth, Described, RepositoryKeys, Sink, Snapshot, SnapshotEntry, SnapshotLabel, Source, Storage, StorageUsage, Stored,
    },
};
use mainstay_model::{Error, Result, Secret, Time, backup::Facts};
use rustic_core::{
    ConfigOptions, Credentials, FileType, Id, OpenStatus, Repository, RepositoryBackends, RepositoryOptions, RusticError, repofile::Chunker,
};
use seal::Seal;
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};
use tokio::sync::RwLock;

/// What all users of one repository in this process share.
#[derive(Default)]
pub struct Site {
    /// Backups hold it together, deleting and pruning alone.
    gate: Arc<RwLock<()>>,
    /// One record is published at a time, so that a backup cannot be published twice.
    publishing: Mutex<()>,
    /// Packs whose bytes were found to be wrong.
    damaged: Mutex<HashSet<Id>>,
}

/// An opened repository.
pub(crate) struct Repo {
    objects: Arc<dyn Objects>,
    seal: Seal,
    site: Arc<Site>,
    keep_delete: Duration,
    /// The fingerprint of the password it was opened with, and its key file.
    opened: (String, Option<Id>),
}

/// Left by an interrupted write and older than this: nobody is still writing it.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// Whole packs are held in memory, several at a time.
const PACK_BYTES: u64 = 16 << 20;

fn options() -> RepositoryOptions {
    RepositoryOptions::default().no_cache(true)
}

impl Repo {
    fn library(&self) -> Result<Repository<OpenStatus>> {
        self.library_with(&Backend::sound(self)?)
    }

    /// Opened with the master key: without the key derivation, which costs half a second.
    fn library_with(&self, backends: &RepositoryBackends) -> Result<Repository<OpenStatus>> {
        let open = || Repository::new(&options(), backends)?.open(&Credentials::Masterkey(self.seal.master()));
        open().map_err(|e| unwrapped("opening the repository", e))
    }
}

pub struct Restic {
    repo: Arc<Repo>,
    pool: Pool,
}

/// How a repository is opened; `keep_delete` is how long unused packs are kept.
pub struct Opening {
    pub objects: Arc<dyn Objects>,
    pub keys: RepositoryKeys,
    pub chunking: Chunking,
    pub site: Arc<Site>,
    pub keep_delete: Duration,
}

impl Opening {
    pub fn exists(objects: &dyn Objects) -> Result<bool> {
        Ok(!objects.list(FileType::Config)?.is_empty())
    }

    /// Opens what is there, or makes it. Blocks for the key derivation.
    pub fn run(self, create: bool, pool: Pool) -> Result<Restic> {
        let backends = Backend::plain(&self.objects);
        let library = match Self::exists(self.objects.as_ref())? {
            true => self.open(&backends)?,
            false if create => self.create(&backends)?,
            false => return Err(Error::not_found("repository", &self.objects.location())),
        };
        let seal = Seal::new(library.key());
        let opened = (seal.fingerprint(self.keys.own.reveal()), library.key_id().map(|id| id.into_inner()));
        let repo = Repo { objects: self.objects, seal, site: self.site, keep_delete: self.keep_delete, opened };
        if create {
            keys::ensure(&repo, &self.keys, false)?;
        }
        if let Err(e) = repo.objects.sweep(STALE) {
            tracing::warn!("{e}");
        }
        Ok(Restic { repo: Arc::new(repo), pool })
    }

    fn open(&self, backends: &RepositoryBackends) -> Result<Repository<OpenStatus>> {
        let password = Credentials::password(self.keys.own.reveal());
        let open = || Repository::new(&options(), backends)?.open(&password);
        open().map_err(|e| self.refused(e))
    }

    fn refused(&self, e: Box<RusticError>) -> Error {
        let location = self.objects.location();
        match e.is_incorrect_password() {
            true => Error::forbidden(format!(
                "the repository at {location} does not open with Mainstay's key; it belongs to another installation, or its own key was removed: add it again with a recovery key (restic -r {location} key add)"
            ))
            .with_code("wrong_key"),
            false => unwrapped(&format!("opening the repository at {location}"), e),
        }
    }

    /// Key first, config last: without the config it is no repository yet, and what an interrupted
    /// creation left is thrown away, for its key belongs to a master key nobody has.
    fn create(&self, backends: &RepositoryBackends) -> Result<Repository<OpenStatus>> {
        self.objects.create()?;
        for kind in [FileType::Snapshot, FileType::Pack, FileType::Index] {
            if !self.objects.list(kind)?.is_empty() {
                let location = self.objects.location();
                return Err(Error::integrity(format!(
                    "{location} holds data of a repository but no config file; put the file back, or move the directory away"
                )));
            }
        }
        for key in self.objects.list(FileType::Key)? {
            self.objects.remove(FileType::Key, &key.id)?;
        }
        let password = Credentials::password(self.keys.own.reveal());
        let init = || Repository::new(&options(), backends)?.init(&password, &keys::options(None), &self.config());
        init().map_err(|e| unwrapped("creating the repository", e))
    }

    /// The chunker is chosen once: blobs cut otherwise would not be found again.
    fn config(&self) -> ConfigOptions {
        let mut config =
            ConfigOptions::default().set_version(2).set_compression(1).set_datapack_size(ByteSize(PACK_BYTES)).set_datapack_growfactor(0);
        if let Chunking::Fixed(bytes) = self.chunking {
            config = config.set_chunker(Chunker::FixedSize).set_chunk_size(ByteSize(bytes.into()));
        }
        config
    }
}

impl Restic {
    pub async fn is_there(&self) -> Result<bool> {
        self.run(Lane::Ask, |repo, _| Opening::exists(repo.objects.as_ref())).await
    }

    async fn run<T, F>(&self, lane: Lane, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Repo, Arc<AtomicBool>) -> Result<T> + Send + 'static,
    {
        let repo = self.repo.clone();
        self.pool.run(lane, move |abandoned| work(&repo, abandoned)).await
    }

    /// Like `run`, with nobody else at work on the repository.
    async fn alone<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Repo) -> Result<T> + Send + 'static,
    {
        self.alone_on(Lane::Ask, work).await
    }

    async fn alone_on<T, F>(&self, lane: Lane, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Repo) -> Result<T> + Send + 'static,
    {
        let held = self.repo.site.gate.clone().write_owned().await;
        self.run(lane, move |repo, _| {
            let _held = held;
            work(repo)
        })
        .await
    }
}

#[async_trait]
impl Storage for Restic {
    async fn put(&self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
        let (label, progress) = (label.clone(), progress.clone());
        let held = self.repo.site.gate.clone().read_owned().await;
        self.run(Lane::Write, move |repo, abandoned| {
            // Held to the end of the work, not of the call: a caller may go away earlier.
            let _held = held;
            put::put(repo, &label, source, &progress, abandoned)
        })
        .await
    }

    async fn base(&self, snapshot: &str, lists: &[&str]) -> Result<Option<Base>> {
        let (snapshot, lists) = (snapshot.to_owned(), lists.iter().map(ToString::to_string).collect::<Vec<_>>());
        self.run(Lane::Ask, move |repo, _| base::base(repo, &snapshot, &lists)).await.map(Some)
    }

    async fn entries(&self, snapshot: &str) -> Result<Vec<SnapshotEntry>> {
        let snapshot = snapshot.to_owned();
        self.run(Lane::Ask, move |repo, _| get::entries(repo, &snapshot)).await
    }

    async fn get(&self, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()> {
        let (snapshot, progress) = (snapshot.to_owned(), progress.clone());
        self.run(Lane::reading(&progress), move |repo, abandoned| get::get(repo, &snapshot, sink.as_ref(), &progress, &abandoned)).await
    }

    async fn facts(&self, snapshot: &str) -> Result<(SnapshotLabel, Facts)> {
        let snapshot = snapshot.to_owned();
        self.run(Lane::Ask, move |repo, _| {
            let found = snapshots::get(repo, &snapshot)?;
            let record = snapshots::record(&blobs::Blobs::open(repo)?, &found)?;
            Ok((record.label, record.facts))
        })
        .await
    }

    async fn describe(&self, snapshot: &str) -> Result<Described> {
        let snapshot = snapshot.to_owned();
        self.run(Lane::Ask, move |repo, _| {
            let found = snapshots::get(repo, &snapshot)?;
            let record = snapshots::record(&blobs::Blobs::open(repo)?, &found)?;
            Ok(Described { label: record.label, facts: record.facts, data_bytes: record.data_bytes })
        })
        .await
    }

    async fn list(&self) -> Result<Vec<Snapshot>> {
        self.run(Lane::Ask, |repo, _| snapshots::list(repo)).await
    }

    async fn verify(&self, snapshot: &str, depth: Depth, progress: &Progress) -> Result<u64> {
        let (snapshot, progress) = (snapshot.to_owned(), progress.clone());
        self.run(Lane::Quiet, move |repo, abandoned| verify::verify(repo, &snapshot, depth, &progress, abandoned)).await
    }

    async fn lock(&self, snapshot: &str, keep: Duration) -> Result<Option<Time>> {
        let snapshot = snapshot.to_owned();
        self.run(Lane::Ask, move |repo, _| lock::lock(repo, &snapshot, keep)).await
    }

    async fn delete(&self, snapshots: &[String]) -> Result<()> {
        let ids = snapshots.to_vec();
        self.alone(move |repo| upkeep::delete(repo, &ids)).await
    }

    async fn prune(&self) -> Result<u64> {
        self.alone_on(Lane::Write, upkeep::prune).await
    }

    async fn ensure_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        let keys = keys.clone();
        self.alone(move |repo| keys::ensure(repo, &keys, true)).await
    }

    async fn try_key(&self, key: &Secret) -> Result<()> {
        let key = key.clone();
        self.run(Lane::Ask, move |repo, _| keys::opens(repo, &key)).await
    }

    async fn add_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        let keys = keys.clone();
        self.alone(move |repo| keys::ensure(repo, &keys, false)).await
    }

    async fn usage(&self) -> Result<StorageUsage> {
        self.run(Lane::Ask, |repo, _| upkeep::usage(repo)).await
    }

    async fn free(&self) -> Result<Option<u64>> {
        self.run(Lane::Ask, |repo, _| repo.objects.free()).await
    }

    fn moved(&self) -> u64 {
        self.repo.objects.moved()
    }

    fn manual_commands(&self, snapshot: &str, key_file: &str, target: &str) -> Vec<String> {
        let Manual { mut before, options } = self.repo.objects.manual();
        let restic = format!("restic -r {}{options} --password-file {}", quoted(&self.repo.objects.location()), quoted(key_file));
        before.extend([
            format!("{restic} snapshots"),
            format!("{restic} check --read-data"),
            format!("{restic} restore {} --target {}", quoted(snapshot), quoted(target)),
        ]);
        before
    }
}

impl Site {
    fn damaged(&self) -> HashSet<Id> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on nothing is built on this pack. `false` when that was known.
    fn note_damaged(&self, pack: Id) -> bool {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(pack)
    }

    /// Waits until nobody works on the repository.
    pub async fn alone(&self) -> tokio::sync::OwnedRwLockWriteGuard<()> {
        self.gate.clone().write_owned().await
    }
}
