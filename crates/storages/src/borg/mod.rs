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
//! Borg has one passphrase for a repository: Mainstay's own key of it. How a recovery key opens it
//! all the same is told in [`keys`].

mod address;
mod archives;
mod check;
mod child;
mod index;
mod keys;
mod pipe;
mod plain;
mod put;
mod read;
mod room;
mod trouble;
mod upkeep;

pub use child::Borg;

use crate::{
    pace::Pace,
    place::{local, quoted},
    pool::{Lane, Pool},
};
use address::Address;
use async_trait::async_trait;
use child::QUICK;
use index::Index;
use mainstay_drivers::{
    engine::Chunking,
    progress::Progress,
    storage::{
        BorgPlace, Depth, Described, RepositoryKeys, RepositoryRef, Sink, Snapshot, SnapshotEntry, SnapshotLabel, Source, Spot, Storage,
        StorageReport, StorageSpec, StorageUsage, Stored,
    },
};
use mainstay_model::{ClusterId, Kind, Result, Secret, backup::Facts};
use plain::Plain;
use std::{
    collections::HashMap,
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
    /// Ways in that were found to open it, and the passphrase they lead to.
    opened: Mutex<HashMap<[u8; 32], Secret>>,
    append_only: OnceCell<bool>,
}

fn spot(repository: &RepositoryRef) -> Spot {
    (repository.project.clone(), repository.cluster.clone(), repository.storage.edition)
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
    cluster: ClusterId,
    /// As Borg is told it.
    url: String,
    passphrase: Secret,
    login: Option<Secret>,
    chunking: Chunking,
    pace: Arc<Pace>,
    /// How many runs at once have the bandwidth together.
    shares: u32,
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

    pub async fn discover(&self, spec: &StorageSpec, place: &BorgPlace) -> Result<Vec<Spot>> {
        let address = Address::parse(place)?;
        if let Address::Local(path) = address {
            return self.pool.run(Lane::Ask, move |_| crate::place::local::repositories(&path)).await;
        }
        let url = address.url("");
        let plain = Plain { borg: self.borg.clone(), pool: self.pool.clone(), address: Arc::new(address), login: spec.secret.clone(), url };
        match Index::of(&plain) {
            Some(index) => index.list().await,
            None => Ok(vec![]),
        }
    }

    fn repo(&self, repository: &RepositoryRef, place: &BorgPlace, pace: Arc<Pace>) -> Result<Repo> {
        let address = Address::parse(place)?;
        if let Address::Local(root) = &address {
            crate::directory(root, repository)?;
        }
        let url = address.url(&repository.below());
        let site = lock(&self.sites).entry(url.clone()).or_default().clone();
        Ok(Repo {
            borg: self.borg.clone(),
            pool: self.pool.clone(),
            site,
            address: Arc::new(address),
            cluster: repository.cluster.clone(),
            url,
            passphrase: repository.keys.own.clone(),
            login: repository.storage.secret.clone(),
            chunking: repository.chunking,
            pace,
            shares: repository.storage.limits.parallel.unwrap_or(1),
        })
    }

    pub async fn open(&self, repository: &RepositoryRef, place: &BorgPlace, pace: Arc<Pace>, create: bool) -> Result<Arc<dyn Storage>> {
        let repo = self.repo(repository, place, pace)?;
        let way = crate::handle_of(repository)?;
        let keys = repository.keys.clone();
        let known = lock(&repo.site.opened).get(&way).cloned();
        if let Some(passphrase) = known.filter(|_| repo.address.may_hold(&repo.url)) {
            return Ok(Arc::new(BorgStorage { repo: Repo { passphrase, ..repo }, keys }));
        }
        let alone = repo.site.gate.clone().write_owned().await;
        let repo = repo.opened(&keys, create).await?;
        if create {
            self.noted(&repo, repository).await;
        }
        lock(&repo.site.opened).insert(way, repo.passphrase.clone());
        drop(alone);
        Ok(Arc::new(BorgStorage { repo, keys }))
    }

    /// A backup without its place in the index is a backup all the same: it is only harder to find for
    /// whoever has lost everything else. The next opening tries again, and `storage check` says it.
    async fn noted(&self, repo: &Repo, repository: &RepositoryRef) {
        let Some(index) = Index::of(&repo.plain()) else { return };
        if let Err(e) = index.note(&spot(repository)).await {
            tracing::warn!(inside = e.inside, "the repository at {} was not noted in the index of its place: {e}", repo.url);
        }
    }

    pub async fn remove(&self, repository: &RepositoryRef, place: &BorgPlace, pace: Arc<Pace>) -> Result<()> {
        let repo = self.repo(repository, place, pace)?;
        let _alone = repo.site.gate.clone().write_owned().await;
        lock(&repo.site.opened).clear();
        let index = Index::of(&repo.plain());
        upkeep::destroy(repo, &repository.keys).await?;
        // A name that leads nowhere misleads nobody.
        if let Some(index) = index
            && let Err(e) = index.forget(&spot(repository)).await
        {
            tracing::warn!(inside = e.inside, "a removed repository is still in the index of its place: {e}");
        }
        Ok(())
    }
}

impl Repo {
    fn plain(&self) -> Plain {
        Plain {
            borg: self.borg.clone(),
            pool: self.pool.clone(),
            address: self.address.clone(),
            login: self.login.clone(),
            url: self.url.clone(),
        }
    }

    /// Whatever is found missing makes the next opening look afresh.
    fn noticed<T>(&self, outcome: Result<T>) -> Result<T> {
        if outcome.as_ref().is_err_and(|e| e.kind == Kind::NotFound && e.code == trouble::NO_REPOSITORY) {
            lock(&self.site.opened).clear();
        }
        outcome
    }

    /// Opened with its passphrase or with a key that leads there, or made.
    async fn opened(self, keys: &RepositoryKeys, create: bool) -> Result<Repo> {
        let (repo, there) = match self.archives().await {
            Err(e) if e.kind == Kind::NotFound && create => {
                self.create().await?;
                (self, Vec::new())
            }
            Err(e) if e.code == trouble::WRONG_KEY => {
                let repo = self.opened_by(&keys.own).await.map_err(|by| if by.code == trouble::WRONG_KEY { e } else { by })?;
                let there = repo.archives().await?;
                (repo, there)
            }
            other => {
                let there = other?;
                (self, there)
            }
        };
        if create {
            repo.add(keys, &there).await?;
        }
        Ok(repo)
    }

    async fn create(&self) -> Result<()> {
        self.run(&["init", "--make-parent-dirs", "--encryption=repokey-blake2"], std::slice::from_ref(&self.url), QUICK).await.map(|_| ())
    }

    fn archive(&self, name: &str) -> String {
        format!("{}::{name}", self.url)
    }
}

struct BorgStorage {
    repo: Repo,
    /// As it was opened with.
    keys: RepositoryKeys,
}

#[async_trait]
impl Storage for BorgStorage {
    async fn put(&self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
        let _alone = self.repo.site.gate.write().await;
        self.repo.noticed(put::put(&self.repo, label, source, progress).await)
    }

    async fn entries(&self, snapshot: &str) -> Result<Vec<SnapshotEntry>> {
        let _with_others = self.repo.site.gate.read().await;
        let held = self.repo.noticed(read::contents(&self.repo, snapshot).await)?;
        Ok(held.files.into_iter().map(|f| f.entry).collect())
    }

    async fn get(&self, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()> {
        let _with_others = self.repo.site.gate.read().await;
        self.repo.noticed(read::get(&self.repo, snapshot, sink, progress).await)
    }

    async fn facts(&self, snapshot: &str) -> Result<(SnapshotLabel, Facts)> {
        let _with_others = self.repo.site.gate.read().await;
        let record = self.repo.noticed(read::contents(&self.repo, snapshot).await)?.record;
        Ok((record.label, record.facts))
    }

    async fn describe(&self, snapshot: &str) -> Result<Described> {
        let _with_others = self.repo.site.gate.read().await;
        let record = self.repo.noticed(read::contents(&self.repo, snapshot).await)?.record;
        Ok(Described { label: record.label, facts: record.facts, data_bytes: record.data_bytes })
    }

    async fn list(&self) -> Result<Vec<Snapshot>> {
        let _with_others = self.repo.site.gate.read().await;
        archives::published(&self.repo.noticed(self.repo.archives().await)?)
    }

    async fn verify(&self, snapshot: &str, depth: Depth, progress: &Progress) -> Result<u64> {
        let _alone = self.repo.site.gate.write().await;
        self.repo.noticed(read::verify(&self.repo, snapshot, depth, progress).await)
    }

    async fn delete(&self, snapshots: &[String]) -> Result<()> {
        let _alone = self.repo.site.gate.write().await;
        self.repo.noticed(upkeep::delete(&self.repo, snapshots).await)
    }

    async fn prune(&self) -> Result<u64> {
        let _alone = self.repo.site.gate.write().await;
        self.repo.noticed(upkeep::prune(&self.repo).await)
    }

    async fn ensure_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        let _alone = self.repo.site.gate.write().await;
        self.repo.noticed(self.repo.keep_only(keys).await)?;
        // Whoever comes with a key that was taken away is looked at afresh.
        lock(&self.repo.site.opened).clear();
        Ok(())
    }

    async fn add_keys(&self, keys: &RepositoryKeys) -> Result<()> {
        let _alone = self.repo.site.gate.write().await;
        let there = self.repo.noticed(self.repo.archives().await)?;
        self.repo.add(keys, &there).await
    }

    async fn try_key(&self, key: &Secret) -> Result<()> {
        let _with_others = self.repo.site.gate.read().await;
        if *key == self.repo.passphrase {
            return self.repo.noticed(self.repo.archives().await).map(drop);
        }
        self.repo.opened_by(key).await?.archives().await.map(drop)
    }

    async fn usage(&self) -> Result<StorageUsage> {
        let _with_others = self.repo.site.gate.read().await;
        self.repo.noticed(upkeep::usage(&self.repo).await)
    }

    async fn key_export(&self) -> Result<Option<Secret>> {
        let _with_others = self.repo.site.gate.read().await;
        self.repo.noticed(self.repo.key_export().await).map(Some)
    }

    /// Of a repository on another host nothing is known: Borg has no word for it.
    async fn free(&self) -> Result<Option<u64>> {
        match *self.repo.address {
            Address::Local(_) => {
                let place = std::path::PathBuf::from(&self.repo.url);
                self.repo.pool.run(Lane::Ask, move |_| local::free(&place)).await.map(Some)
            }
            Address::Ssh { .. } => Ok(None),
        }
    }

    fn moved(&self) -> u64 {
        self.repo.pace.moved()
    }

    /// Of several recovery keys, for the first.
    fn manual_commands(&self, snapshot: &str, key_file: &str, target: &str) -> Vec<String> {
        let (repo, target) = (&self.repo, quoted(target));
        let open_with = |file: &str| format!("export BORG_PASSCOMMAND={}", quoted(&format!("cat {}", quoted(file))));
        let mut lines = match repo.address.login() {
            // The key file is the user's own.
            Some(_) => vec!["export BORG_RSH='ssh -i SSH_KEY_FILE'".to_owned()],
            None => vec![],
        };
        lines.push(open_with(key_file));
        if let Some(recovery) = self.keys.recovery.first() {
            let passphrase = format!("{key_file}.borg");
            let from = quoted(&repo.passphrase_for(recovery));
            lines.push(format!("(umask 077 && borg extract --stdout {from} {} > {})", keys::FILE, quoted(&passphrase)));
            lines.push(open_with(&passphrase));
        }
        lines.push(format!("borg check --verify-data {}", quoted(&repo.url)));
        lines.push(format!("mkdir -p {target} && (cd {target} && borg extract {})", quoted(&repo.archive(snapshot))));
        lines
    }
}
