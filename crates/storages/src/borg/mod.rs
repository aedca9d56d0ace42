//! Real Borg repositories, written and read by the real `borg`, on this host or over ssh.
//!
//! There is no library here, only a program, and a program is worth what is checked of its work. It
//! is told nothing through a shell and nothing secret through arguments or environment: the
//! passphrase goes to its standard input (`BORG_PASSPHRASE_FD=0`), all data through named pipes in a
//! private directory that is removed after each run. A backup is written as `pending-<id>`, read back
//! whole, each file's hash compared with what was fed, and only then renamed to its id: that one
//! rename is what makes it exist. An archive under any other name is nobody's backup.
//!
//! What Borg cannot carry through pipes (modes and times of the source, and hashes of our own)
//! lies beside the data in `mainstay.files`; it is what Mainstay itself restores by. Borg's own
//! `extract` gives the same bytes.
//!
//! Borg has one passphrase for a repository: Mainstay's own key of it. A project's recovery key
//! does not open it, so the passphrase has to be in the recovery kit.

mod address;
mod archives;
mod check;
mod child;
mod pipe;
mod put;
mod read;
mod room;
mod trouble;
mod upkeep;

pub use child::Borg;

use crate::{
    place::quoted,
    pool::{Lane, Pool},
};
use address::Address;
use async_trait::async_trait;
use child::QUICK;
use mainstay_drivers::{
    engine::Chunking,
    progress::Progress,
    storage::{
        BorgPlace, Depth, Described, RepositoryKeys, RepositoryRef, Sink, Snapshot, SnapshotEntry, SnapshotLabel, Source, Storage,
        StorageReport, StorageSpec, StorageUsage, Stored,
    },
};
use mainstay_model::{ClusterId, Error, Kind, ProjectId, Result, Secret, backup::Facts};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OnceCell, RwLock};

/// All Borg repositories of this process.
pub struct Shelf {
    borg: Arc<Borg>,
    pool: Pool,
    sites: Mutex<HashMap<String, Arc<Site>>>,
}

/// What all users of one repository in this process share. Borg's own lock keeps other processes
/// away; this one keeps our own from waiting on it.
#[derive(Default)]
struct Site {
    gate: Arc<RwLock<()>>,
    /// Ways in that were found to open it.
    opened: Mutex<HashSet<[u8; 32]>>,
    append_only: OnceCell<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One repository.
#[derive(Clone)]
struct Repo {
    borg: Arc<Borg>,
    pool: Pool,
    site: Arc<Site>,
    address: Arc<Address>,
    /// As Borg is told it.
    url: String,
    passphrase: Secret,
    login: Option<Secret>,
    chunking: Chunking,
}

impl Shelf {
    pub fn new(borg: Borg, pool: Pool) -> Self {
        Shelf { borg: Arc::new(borg), pool, sites: Mutex::default() }
    }

    pub fn is_here(&self) -> bool {
        self.borg.is_here()
    }

    pub async fn check(&self, spec: &StorageSpec, place: &BorgPlace) -> Result<StorageReport> {
        check::check(&self.borg, &self.pool, spec, place).await
    }

    /// What lies on another host is behind `borg serve`, which lists nothing.
    pub async fn discover(&self, place: &BorgPlace) -> Result<Vec<(ProjectId, ClusterId)>> {
        match Address::parse(place)? {
            Address::Local(path) => self.pool.run(Lane::Ask, move |_| crate::place::local::repositories(&path)).await,
            Address::Ssh { .. } => Err(Error::conflict(
                "not_listable",
                "which repositories lie on another host cannot be asked of borg there; name the cluster",
            )),
        }
    }

    fn repo(&self, repository: &RepositoryRef, place: &BorgPlace) -> Result<Repo> {
        let address = Address::parse(place)?;
        if let Address::Local(root) = &address {
            crate::directory(root, repository)?;
        }
        let url = address.url(&format!("{}/{}", repository.project, repository.cluster));
        let site = lock(&self.sites).entry(url.clone()).or_default().clone();
        Ok(Repo {
            borg: self.borg.clone(),
            pool: self.pool.clone(),
            site,
            address: Arc::new(address),
            url,
            passphrase: repository.keys.own.clone(),
            login: repository.storage.secret.clone(),
            chunking: repository.chunking,
        })
    }

    pub async fn open(&self, repository: &RepositoryRef, place: &BorgPlace, create: bool) -> Result<Arc<dyn Storage>> {
        let repo = self.repo(repository, place)?;
        let way = crate::handle_of(repository)?;
        let known = lock(&repo.site.opened).contains(&way);
        if known && repo.address.may_hold(&repo.url) {
            return Ok(Arc::new(BorgStorage(repo)));
        }
        let _alone = repo.site.gate.write().await;
        match repo.archives().await {
            Err(e) if e.kind == Kind::NotFound && create => repo.create().await?,
            Err(e) => return Err(e),
            Ok(_) => {}
        }
        lock(&repo.site.opened).insert(way);
        drop(_alone);
        Ok(Arc::new(BorgStorage(repo)))
    }

    pub async fn remove(&self, repository: &RepositoryRef, place: &BorgPlace) -> Result<()> {
        let repo = self.repo(repository, place)?;
        let _alone = repo.site.gate.write().await;
        lock(&repo.site.opened).clear();
        upkeep::destroy(&repo).await
    }
}

impl Repo {
    /// Whatever is found missing makes the next opening look afresh.
    fn noticed<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.as_ref().is_err_and(|e| e.kind == Kind::NotFound && e.code == trouble::NO_REPOSITORY) {
            lock(&self.site.opened).clear();
        }
        outcome
    }

    async fn create(&self) -> Result<()> {
        self.run(&["init", "--make-parent-dirs", "--encryption=repokey-blake2"], std::slice::from_ref(&self.url), QUICK).await.map(|_| ())
    }

    fn archive(&self, name: &str) -> String {
        format!("{}::{name}", self.url)
    }
}

struct BorgStorage(Repo);

#[async_trait]
impl Storage for BorgStorage {
    async fn put(&self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
        let _alone = self.0.site.gate.write().await;
        self.0.noticed(put::put(&self.0, label, source, progress).await)
    }

    async fn entries(&self, snapshot: &str) -> Result<Vec<SnapshotEntry>> {
        let _with_others = self.0.site.gate.read().await;
        let held = self.0.noticed(read::contents(&self.0, snapshot).await)?;
        Ok(held.files.into_iter().map(|f| f.entry).collect())
    }

    async fn get(&self, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()> {
        let _with_others = self.0.site.gate.read().await;
        self.0.noticed(read::get(&self.0, snapshot, sink, progress).await)
    }

    async fn facts(&self, snapshot: &str) -> Result<(SnapshotLabel, Facts)> {
        let _with_others = self.0.site.gate.read().await;
        let record = self.0.noticed(read::contents(&self.0, snapshot).await)?.record;
        Ok((record.label, record.facts))
    }

    async fn describe(&self, snapshot: &str) -> Result<Described> {
        let _with_others = self.0.site.gate.read().await;
        let record = self.0.noticed(read::contents(&self.0, snapshot).await)?.record;
        Ok(Described { label: record.label, facts: record.facts, data_bytes: record.data_bytes })
    }

    async fn list(&self) -> Result<Vec<Snapshot>> {
        let _with_others = self.0.site.gate.read().await;
        archives::published(&self.0.noticed(self.0.archives().await)?)
    }

    async fn verify(&self, snapshot: &str, depth: Depth, progress: &Progress) -> Result<u64> {
        let _alone = self.0.site.gate.write().await;
        self.0.noticed(read::verify(&self.0, snapshot, depth, progress).await)
    }

    async fn delete(&self, snapshots: &[String]) -> Result<()> {
        let _alone = self.0.site.gate.write().await;
        self.0.noticed(upkeep::delete(&self.0, snapshots).await)
    }

    async fn prune(&self) -> Result<u64> {
        let _alone = self.0.site.gate.write().await;
        self.0.noticed(upkeep::prune(&self.0).await)
    }

    async fn ensure_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        match keys.own == self.0.passphrase {
            true => Ok(()),
            false => Err(Error::conflict(
                "one_passphrase",
                format!("the Borg repository at {} keeps the passphrase it was made with; begin a new repository for another", self.0.url),
            )),
        }
    }

    async fn usage(&self) -> Result<StorageUsage> {
        let _with_others = self.0.site.gate.read().await;
        self.0.noticed(upkeep::usage(&self.0).await)
    }

    /// `key_file` holds the repository's passphrase here: a recovery key does not open it.
    fn manual_commands(&self, snapshot: &str, key_file: &str, target: &str) -> Vec<String> {
        let (url, target) = (quoted(&self.0.url), quoted(target));
        let archive = quoted(&self.0.archive(snapshot));
        vec![
            format!("export BORG_PASSCOMMAND={}", quoted(&format!("cat {}", quoted(key_file)))),
            format!("borg check --verify-data {url}"),
            format!("mkdir -p {target} && (cd {target} && borg extract {archive})"),
        ]
    }
}
