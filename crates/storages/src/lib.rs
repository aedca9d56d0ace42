//! Storages: where backups are kept, and the list of the kinds of places there are.
//!
//! A storage is a place ([`place`]) holding one repository for each cluster, at
//! `<place>/<project id>/<cluster id>/`: damage, deletion and pruning stay within one cluster, and
//! its keys open nothing else. A new kind of place is an implementation of [`place::Objects`] and
//! its lines in [`KINDS`], `objects`, `check` and `discover` below. Borg ([`borg`]) has a format and a
//! program of its own, and snapshots ([`snapshot`]) are the files themselves, so these are
//! implementations of the whole contract.

#![allow(clippy::result_large_err, reason = "the product's one error is as large as it is; it is rare and boxed nowhere")]

mod borg;
mod memory;
mod pace;
mod place;
mod pool;
mod record;
mod restic;
mod snapshot;
mod source;

pub use borg::Borg;
pub use memory::MemoryStorages;
pub use record::{NAME as RECORD_FILE, Record};

use async_trait::async_trait;
use mainstay_drivers::storage::{
    Place, RepositoryRef, S3Place, SftpPlace, Spot, Storage, StorageReport, StorageSpec, Storages, directory_name,
};
use mainstay_model::{Error, Result, StorageId};
use pace::Paces;
use place::{
    Local, Objects, S3, Sftp, check, local,
    s3::{self, Limits},
    sftp,
};
use pool::{Lane, Pool};
use restic::{Opening, Restic, Site};
use sha2::{Digest, Sha256};
use snapshot::Snapshots;
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// THE LIST.
pub const KINDS: &[&str] = &["local", "s3", "sftp", "snapshot"];

/// Of a kind that a newer Mainstay wrote down.
fn unknown_kind(place: &Place) -> Error {
    Error::invalid("kind", format!("this agent keeps no backups in storages of kind {}", place.kind()))
}

/// How long what nothing refers to stays before a prune removes it: longer than any backup takes
/// that may have begun to build on it.
const KEEP_DELETE: Duration = Duration::from_secs(23 * 3600);

/// Opens storages and keeps what it opened: deriving a repository's key from a password takes half
/// a second, by design.
pub struct OpenStorages {
    pool: Pool,
    keep_delete: Duration,
    limits: Limits,
    repositories: Mutex<HashMap<String, Arc<Repository>>>,
    /// One for each storage as it is configured: what bounds its requests must see all of them.
    buckets: Mutex<HashMap<StorageId, (StorageSpec, Arc<s3::Client>)>>,
    /// The same for connections to SFTP servers.
    links: Mutex<HashMap<StorageId, (StorageSpec, Arc<sftp::Link>)>>,
    paces: Paces,
    uploads: Option<s3::Notes>,
    borg: Option<borg::Shelf>,
    /// Where the databases' files lie, which snapshots share blocks with.
    nodes: Option<PathBuf>,
}

/// All of this process's users of one repository, and its open handles by the hash of the key.
#[derive(Default)]
struct Repository {
    site: Arc<Site>,
    open: tokio::sync::Mutex<HashMap<[u8; 32], Arc<Restic>>>,
}

impl Default for OpenStorages {
    fn default() -> Self {
        OpenStorages::with_keep_delete(KEEP_DELETE)
    }
}

impl OpenStorages {
    pub fn new() -> Self {
        Self::default()
    }

    /// With another time than 23 hours between a pack's falling out of use and its removal. Less
    /// than the longest backup takes is safe only while no other process writes to the repositories.
    pub fn with_keep_delete(keep_delete: Duration) -> Self {
        let limits = Limits::default();
        let (repositories, buckets, links, paces) = Default::default();
        OpenStorages {
            pool: Pool::default(),
            keep_delete,
            limits,
            repositories,
            buckets,
            links,
            paces,
            uploads: None,
            borg: None,
            nodes: None,
        }
    }

    /// With another time than a minute that a far storage may be without a good answer.
    pub fn with_patience(self, patience: Duration) -> Self {
        OpenStorages { limits: Limits { patience, ..self.limits }, ..self }
    }

    /// With another size than 32 MiB beyond which an object goes up in parts of that size.
    pub fn with_parts(self, part: usize) -> Self {
        OpenStorages { limits: Limits { part, ..self.limits }, ..self }
    }

    /// Notes large uploads in this directory, which no other process uses, so that what a killed process
    /// was in the middle of is found and taken back.
    pub fn with_uploads(self, dir: PathBuf) -> Self {
        OpenStorages { uploads: Some(s3::Notes::new(dir)), ..self }
    }

    /// And Borg repositories, if `borg` is on this host.
    pub fn with_borg(self, borg: Borg) -> Self {
        OpenStorages { borg: Some(borg::Shelf::new(borg, self.pool.clone())), ..self }
    }

    /// Says where the databases' files lie, so that a look at a snapshot storage tries what it is for.
    pub fn with_nodes(self, nodes: PathBuf) -> Self {
        OpenStorages { nodes: Some(nodes), ..self }
    }

    async fn snapshots(&self, repository: &RepositoryRef, root: &Path, create: bool) -> Result<Arc<dyn Storage>> {
        let shelf = snapshot::Shelf::new(directory(root, repository)?);
        let pool = self.pool.clone();
        self.pool
            .run(Lane::Ask, move |_| match shelf.exists() {
                false if !create => Err(Error::not_found("repository", &shelf.location())),
                there => {
                    if !there {
                        shelf.create()?;
                    }
                    shelf.sweep()?;
                    Ok(Arc::new(Snapshots::new(shelf, pool)) as Arc<dyn Storage>)
                }
            })
            .await
    }

    fn borg(&self, place: &Place) -> Result<&borg::Shelf> {
        self.borg.as_ref().ok_or_else(|| unknown_kind(place))
    }

    /// The repository's objects in its place.
    fn objects(&self, repository: &RepositoryRef) -> Result<Arc<dyn Objects>> {
        let storage = &repository.storage;
        match &storage.place {
            Place::Local { path } => Ok(Arc::new(Local::new(directory(path, repository)?, self.paces.of(storage)))),
            Place::S3(place) => Ok(Arc::new(S3::new(self.bucket(storage, place)?, &repository.below()))),
            Place::Sftp(place) => Ok(Arc::new(Sftp::new(self.link(storage, place)?, &repository.below()))),
            other => Err(unknown_kind(other)),
        }
    }

    fn bucket(&self, spec: &StorageSpec, place: &S3Place) -> Result<Arc<s3::Client>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = self.paces.of(spec);
        if let Some((_, client)) = buckets.get(&spec.id).filter(|(known, _)| *known == unlimited(spec)) {
            return Ok(client.clone());
        }
        let client = s3::Client::new(&spec.name, place, spec.secret.as_ref(), self.limits, pace)?;
        let client = Arc::new(client.noting(self.uploads.as_ref().map(|notes| notes.of(&spec.id))));
        buckets.insert(spec.id.clone(), (unlimited(spec), client.clone()));
        Ok(client)
    }

    fn link(&self, spec: &StorageSpec, place: &SftpPlace) -> Result<Arc<sftp::Link>> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = self.paces.of(spec);
        if let Some((_, link)) = links.get(&spec.id).filter(|(known, _)| *known == unlimited(spec)) {
            return Ok(link.clone());
        }
        let link = Arc::new(sftp::Link::new(&spec.name, place, spec.secret.as_ref(), self.limits.patience, pace)?);
        links.insert(spec.id.clone(), (unlimited(spec), link.clone()));
        Ok(link)
    }

    fn shared(&self, location: &str) -> Arc<Repository> {
        let mut all = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(location.to_owned()).or_default().clone()
    }
}

#[async_trait]
impl Storages for OpenStorages {
    fn kinds(&self) -> Vec<&'static str> {
        let borg = self.borg.as_ref().is_some_and(borg::Shelf::is_here);
        KINDS.iter().copied().chain(borg.then_some("borg")).collect()
    }

    async fn check(&self, spec: &StorageSpec) -> Result<StorageReport> {
        match spec.place.clone() {
            Place::Local { path } => self.pool.run(Lane::Ask, move |_| Ok(check::check(&path))).await,
            Place::S3(place) => {
                // Somebody waits for it, so it is given up sooner than a backup is.
                let limits = Limits { patience: self.limits.patience / 4, ..self.limits };
                let pace = self.paces.of(spec);
                let client = s3::Client::new(&spec.name, &place, spec.secret.as_ref(), limits, pace)?;
                let client = Arc::new(client.noting(self.uploads.as_ref().map(|notes| notes.of(&spec.id))));
                self.pool.run(Lane::Ask, move |_| Ok(S3::check(client))).await
            }
            Place::Sftp(place) => {
                let pace = self.paces.of(spec);
                let link = Arc::new(sftp::Link::new(&spec.name, &place, spec.secret.as_ref(), self.limits.patience / 4, pace)?);
                self.pool.run(Lane::Ask, move |_| Sftp::check(link)).await
            }
            Place::Borg(place) => self.borg(&spec.place)?.check(spec, &place).await,
            Place::Snapshot { path } => {
                let nodes = self.nodes.clone().filter(|n| n.is_dir());
                self.pool.run(Lane::Ask, move |_| Ok(snapshot::check(&path, nodes.as_deref()))).await
            }
        }
    }

    async fn discover(&self, spec: &StorageSpec) -> Result<Vec<Spot>> {
        match spec.place.clone() {
            Place::Local { path } | Place::Snapshot { path } => self.pool.run(Lane::Ask, move |_| local::repositories(&path)).await,
            Place::S3(place) => {
                let client = self.bucket(spec, &place)?;
                self.pool.run(Lane::Ask, move |_| S3::repositories(client)).await
            }
            Place::Sftp(place) => {
                let link = self.link(spec, &place)?;
                self.pool.run(Lane::Ask, move |_| Sftp::repositories(link)).await
            }
            Place::Borg(place) => self.borg(&spec.place)?.discover(spec, &place).await,
        }
    }

    async fn open(&self, repository: &RepositoryRef, create: bool) -> Result<Arc<dyn Storage>> {
        if let Place::Borg(place) = &repository.storage.place {
            return self.borg(&repository.storage.place)?.open(repository, place, self.paces.of(&repository.storage), create).await;
        }
        if let Place::Snapshot { path } = &repository.storage.place {
            return self.snapshots(repository, path, create).await;
        }
        let objects = self.objects(repository)?;
        let shared = self.shared(&objects.location());
        let key = handle_of(repository)?;
        let mut open = shared.open.lock().await;
        if let Some(known) = open.get(&key) {
            if known.is_there().await? {
                return Ok(known.clone());
            }
            open.clear();
        }
        let opening = Opening {
            objects,
            keys: repository.keys.clone(),
            chunking: repository.chunking,
            site: shared.site.clone(),
            keep_delete: self.keep_delete,
        };
        let pool = self.pool.clone();
        let opened = Arc::new(self.pool.run(Lane::Ask, move |_| opening.run(create, pool)).await?);
        open.insert(key, opened.clone());
        Ok(opened)
    }

    fn limit(&self, spec: &StorageSpec) {
        self.paces.of(spec);
    }

    async fn remove(&self, repository: &RepositoryRef) -> Result<()> {
        if let Place::Borg(place) = &repository.storage.place {
            return self.borg(&repository.storage.place)?.remove(repository, place, self.paces.of(&repository.storage)).await;
        }
        if let Place::Snapshot { path } = &repository.storage.place {
            let shelf = snapshot::Shelf::new(directory(path, repository)?);
            return self.pool.run(Lane::Ask, move |_| shelf.destroy()).await;
        }
        let objects = self.objects(repository)?;
        let shared = self.shared(&objects.location());
        let mut open = shared.open.lock().await;
        let held = shared.site.alone().await;
        open.clear();
        self.pool
            .run(Lane::Ask, move |_| {
                let _held = held;
                objects.destroy()
            })
            .await
    }
}

/// The storage as far as it is the same one at another pace, and with other repositories in it.
fn unlimited(spec: &StorageSpec) -> StorageSpec {
    StorageSpec { limits: Default::default(), edition: 1, ..spec.clone() }
}

/// What an open repository is found again by: whoever comes with another key, or with another way
/// into the storage, opens it anew.
fn handle_of(repository: &RepositoryRef) -> Result<[u8; 32]> {
    let storage = serde_json::to_vec(&unlimited(&repository.storage)).map_err(Error::internal)?;
    let own = Sha256::digest(repository.keys.own.reveal());
    Ok(Sha256::new().chain_update(own).chain_update(storage).finalize().into())
}

/// `<root>/<project>/<cluster>`. Nothing on the way below the root may be a link: whoever can make
/// one there could lead a removal elsewhere.
fn directory(root: &Path, repository: &RepositoryRef) -> Result<PathBuf> {
    let project = root.join(repository.project.as_str());
    let cluster = project.join(directory_name(&repository.cluster, repository.storage.edition));
    for path in [&project, &cluster] {
        match fs::symlink_metadata(path) {
            Ok(meta) if !meta.is_dir() => {
                return Err(Error::forbidden(format!("{} is not a directory; nothing is done with it, move it away", path.display())));
            }
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(local::trouble("looking at", path, e)),
            _ => {}
        }
    }
    Ok(cluster)
}
