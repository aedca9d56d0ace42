//! Storages: where backups are kept, and the list of the kinds of places there are.
//!
//! A storage is a place ([`place`]) holding one repository for each cluster, at
//! `<place>/<project id>/<cluster id>/`: damage, deletion and pruning stay within one cluster, and
//! its keys open nothing else. A new kind of place is an implementation of [`place::Objects`] and
//! its lines in [`KINDS`], [`objects`] and `check` below.

#![allow(clippy::result_large_err, reason = "the product's one error is as large as it is; it is rare and boxed nowhere")]

mod memory;
mod place;
mod pool;
mod record;
mod restic;
mod source;

pub use memory::MemoryStorages;
pub use record::{NAME as RECORD_FILE, Record};

use async_trait::async_trait;
use mainstay_drivers::storage::{Place, RepositoryRef, Storage, StorageReport, StorageSpec, Storages};
use mainstay_model::{Error, Result};
use place::{Local, Objects, check, local};
use pool::{Lane, Pool};
use restic::{Opening, Restic, Site};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// THE LIST.
pub const KINDS: &[&str] = &["local"];

/// The repository's objects in its place.
fn objects(repository: &RepositoryRef) -> Result<Arc<dyn Objects>> {
    match &repository.storage.place {
        Place::Local { path } => Ok(Arc::new(Local::new(directory(path, repository)?))),
        other => Err(unknown_kind(other)),
    }
}

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
    repositories: Mutex<HashMap<String, Arc<Repository>>>,
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
        OpenStorages { pool: Pool::default(), keep_delete, repositories: Mutex::default() }
    }

    fn shared(&self, location: &str) -> Arc<Repository> {
        let mut all = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(location.to_owned()).or_default().clone()
    }
}

#[async_trait]
impl Storages for OpenStorages {
    fn kinds(&self) -> Vec<&'static str> {
        KINDS.to_vec()
    }

    async fn check(&self, spec: &StorageSpec) -> Result<StorageReport> {
        let place = spec.place.clone();
        self.pool
            .run(Lane::Ask, move |_| match place {
                Place::Local { path } => Ok(check::check(&path)),
                other => Err(unknown_kind(&other)),
            })
            .await
    }

    async fn open(&self, repository: &RepositoryRef, create: bool) -> Result<Arc<dyn Storage>> {
        let objects = objects(repository)?;
        let shared = self.shared(&objects.location());
        let key = Sha256::digest(repository.keys.own.reveal()).into();
        let mut open = shared.open.lock().await;
        if let Some(known) = open.get(&key) {
            if known.is_there()? {
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

    async fn remove(&self, repository: &RepositoryRef) -> Result<()> {
        let shared = self.shared(&objects(repository)?.location());
        let mut open = shared.open.lock().await;
        let held = shared.site.alone().await;
        open.clear();
        let repository = repository.clone();
        self.pool
            .run(Lane::Ask, move |_| {
                let _held = held;
                match &repository.storage.place {
                    Place::Local { path } => remove_directory(path, &repository),
                    other => Err(unknown_kind(other)),
                }
            })
            .await
    }
}

/// `<root>/<project>/<cluster>`. Nothing on the way below the root may be a link: whoever can make
/// one there could lead a removal elsewhere.
fn directory(root: &Path, repository: &RepositoryRef) -> Result<PathBuf> {
    let project = root.join(repository.project.as_str());
    let cluster = project.join(repository.cluster.as_str());
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

/// Renamed first: a removal that is interrupted never looks like a repository.
fn remove_directory(root: &Path, repository: &RepositoryRef) -> Result<()> {
    let path = directory(root, repository)?;
    let project = root.join(repository.project.as_str());
    let prefix = format!(".removed-{}-", repository.cluster);
    if path.exists() {
        let aside = project.join(format!("{prefix}{:016x}", rand::random::<u64>()));
        fs::rename(&path, &aside).map_err(|e| local::trouble("removing", &path, e))?;
        local::sync_dir(&project)?;
    }
    let left = match fs::read_dir(&project) {
        Ok(entries) => entries.flatten().filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(local::trouble("listing", &project, e)),
    };
    for aside in left {
        fs::remove_dir_all(aside.path()).map_err(|e| local::trouble("removing", &aside.path(), e))?;
    }
    // The project's directory goes with its last repository.
    let _ = fs::remove_dir(&project);
    Ok(())
}
