//! Recovering on a machine that has nothing: what a storage holds, the control plane from a copy of
//! itself, and a Mainstay in this process for as long as a cluster is brought back.
//!
//! A copy is fetched into a directory beside, opened and put right there, and its database is moved in
//! last: a data directory either has no control plane or a whole one, whenever this is interrupted.

use super::{data_dir, up};
use mainstay_agent::{DATABASE, INSTALLATION, KEY, recovery};
use mainstay_control::recovered::{self, Origin, Settled};
use mainstay_drivers::{
    progress::Progress,
    storage::{FileSink, FoundBackup, FoundRepository, Holds, Sink, SnapshotEntry, StorageSpec, Storages},
};
use mainstay_model::{Error, Result, Secret, StorageId, error::shown};
use mainstay_storages::{Borg, OpenStorages};
use mainstay_store::{Sealer, Store};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::oneshot, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A copy on its way in, below the data directory.
const STAGING: &str = "recovering";
/// How long the server in this process may take to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every kind of storage, without a data directory: what a tool needs of one is in a temporary place.
struct Opened {
    storages: OpenStorages,
    _scratch: tempfile::TempDir,
}

fn open_storages() -> Result<Opened> {
    let scratch = tempfile::Builder::new().prefix("mainstay-recover-").tempdir()?;
    let borg = Borg::new(up::open_runtime(scratch.path())?, scratch.path().join("borg"));
    Ok(Opened { storages: OpenStorages::new().with_borg(borg), _scratch: scratch })
}

pub async fn look(spec: &StorageSpec, key: &Secret) -> Result<Vec<FoundRepository>> {
    recovery::survey(&open_storages()?.storages, spec, key, up::now()).await
}

/// What came back.
pub struct Rebuilt {
    pub data_dir: PathBuf,
    pub backup: FoundBackup,
    pub settled: Settled,
}

/// Brings the control plane back into a data directory that has none.
pub async fn rebuild(spec: &StorageSpec, key: &Secret, backup: Option<&str>, dir: &Path) -> Result<Rebuilt> {
    let opened = open_storages()?;
    let storages = &opened.storages;
    let found = recovery::survey(storages, spec, key, up::now()).await?;
    let (repository, backup) = choose(&found, backup)?;
    let dir = data_dir::prepare(dir)?;
    let _lock = data_dir::Lock::take(&dir)?;
    refuse_another(&dir)?;
    let staging = empty(&dir.join(STAGING))?;
    let there = StorageSpec { edition: repository.edition, ..spec.clone() };
    let open = storages.open(&recovery::reference(&there, &repository.project, &repository.cluster, key), false).await?;
    open.get(&backup.snapshot, Arc::new(Files { dir: staging.clone() }), &Progress::default()).await?;
    let settled = settle(storages, spec, backup, &staging, &dir).await?;
    publish(&staging, &dir)?;
    Ok(Rebuilt { data_dir: dir, backup: backup.clone(), settled })
}

/// The newest copy of the one control plane there is; with several in the place one has to be named.
fn choose<'a>(found: &'a [FoundRepository], backup: Option<&str>) -> Result<(&'a FoundRepository, &'a FoundBackup)> {
    let good = found.iter().filter(|r| r.holds == Holds::ControlPlane).flat_map(|r| r.backups.iter().map(move |b| (r, b)));
    let good: Vec<_> = good.filter(|(_, b)| b.error.is_none()).collect();
    if let Some(id) = backup {
        return good.into_iter().find(|(_, b)| b.backup.as_str() == id).ok_or_else(|| Error::not_found("backup", id));
    }
    let mut newest: Vec<(&FoundRepository, &FoundBackup)> = Vec::new();
    for one in good {
        newest.retain(|(r, _)| r.cluster != one.0.cluster);
        newest.push(one);
    }
    match newest.as_slice() {
        [one] => Ok(*one),
        [] => {
            let locked = found.iter().filter(|r| !r.opens).count();
            let also = if locked > 0 { format!("; {locked} of its repositories do not open with this key") } else { String::new() };
            let mut e = Error::not_found("control plane", "any");
            e.message = format!("the storage holds no copy of a control plane that this key opens{also}");
            Err(e)
        }
        several => {
            let named: Vec<String> = several.iter().map(|(_, b)| format!("{} (of {})", b.backup, b.created_at)).collect();
            let why = format!("the storage holds copies of {} control planes; name one with --backup: {}", named.len(), named.join(", "));
            Err(Error::invalid("backup", why).with_code("ambiguous"))
        }
    }
}

/// Directories of nodes may be there, their engines running: they are found again. A store is not
/// written over.
fn refuse_another(dir: &Path) -> Result<()> {
    if !dir.join(DATABASE).exists() {
        return Ok(());
    }
    let why = format!("{} has a control plane already and it is not written over; name an empty --data-dir", dir.display());
    Err(Error::conflict("data_dir_used", why))
}

/// Removes what a recovery that was killed left in a data directory that is locked: there are keys in it.
pub fn tidy(dir: &Path) -> Result<()> {
    remove(&dir.join(STAGING))
}

fn remove(staging: &Path) -> Result<()> {
    match std::fs::remove_dir_all(staging) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::from(e).context(staging.display())),
        _ => Ok(()),
    }
}

/// What an interrupted attempt left there is of no use.
fn empty(staging: &Path) -> Result<PathBuf> {
    remove(staging)?;
    DirBuilder::new().mode(0o700).create(staging)?;
    Ok(staging.into())
}

/// Opens the copy where it lies, which checks that its key is its own, and ends what it believes to be
/// under way.
async fn settle(storages: &dyn Storages, spec: &StorageSpec, backup: &FoundBackup, staging: &Path, dir: &Path) -> Result<Settled> {
    let key: [u8; 32] = std::fs::read(staging.join(KEY))?.try_into().map_err(|_| Error::integrity("the copy's key is not one"))?;
    let store = Store::open(&mainstay_store::sqlite_url(&staging.join(DATABASE))?, Sealer::from_key(key)).await?;
    let origin = Origin {
        storage: backup.facts.names.get("storage").and_then(|id| StorageId::parse(id)),
        place: &spec.place,
        local: &up::local_storage(dir),
    };
    let settled = recovered::settle(&store, storages, &origin, up::now()).await;
    store.close().await;
    settled
}

/// The database last: with it the control plane is there.
fn publish(staging: &Path, dir: &Path) -> Result<()> {
    let agent = dir.join("agent");
    DirBuilder::new().recursive(true).mode(0o700).create(&agent)?;
    // Of a data directory whose nodes are there, its own says whose they are.
    if !agent.join(INSTALLATION).exists() {
        std::fs::rename(staging.join(INSTALLATION), agent.join(INSTALLATION))?;
    }
    if dir.join(KEY).exists() && std::fs::read(dir.join(KEY))? != std::fs::read(staging.join(KEY))? {
        std::fs::rename(dir.join(KEY), dir.join("key.before-recovery"))?;
    }
    std::fs::copy(staging.join(KEY), staging.join("key.new"))?;
    for (from, to) in [(staging.join("key.new"), dir.join(KEY)), (staging.join(DATABASE), dir.join(DATABASE))] {
        File::open(&from)?.sync_all()?;
        std::fs::rename(&from, &to)?;
        File::open(dir)?.sync_all()?;
    }
    std::fs::remove_dir_all(staging)?;
    Ok(())
}

/// Takes the files a copy consists of and nothing else, whoever wrote it.
struct Files {
    dir: PathBuf,
}

struct Writing(File);

impl FileSink for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.sync_all()
    }
}

fn foreign(entry: &SnapshotEntry) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("\"{}\" is no part of a control plane", shown(&entry.path.to_string_lossy())))
}

impl Sink for Files {
    fn dir(&self, entry: &SnapshotEntry) -> io::Result<()> {
        Err(foreign(entry))
    }
    fn symlink(&self, entry: &SnapshotEntry, _: &Path) -> io::Result<()> {
        Err(foreign(entry))
    }
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        let known = [INSTALLATION, KEY, DATABASE].into_iter().find(|name| entry.path == Path::new(name));
        let path = self.dir.join(known.ok_or_else(|| foreign(entry))?);
        Ok(Box::new(Writing(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?)))
    }
}

/// A Mainstay in this process, on a free port.
pub struct Server {
    pub address: String,
    pub token: String,
    shutdown: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl Server {
    pub async fn start(dir: &Path) -> Result<Server> {
        let config = up::Config {
            data_dir: dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            endpoint_address: None,
            log_spool_bytes: 4 << 30,
            engine_user: None,
            engine_dirs: vec![],
            public_url: None,
            tls: None,
            copy_again_after: 600,
        };
        let shutdown = CancellationToken::new();
        let (tell, told) = oneshot::channel();
        let serving = up::serve(config, shutdown.clone(), move |ready| {
            let _ = tell.send(ready.address);
        });
        let task = tokio::spawn(serving);
        let Ok(address) = told.await else {
            return Err(task.await.map_err(Error::internal)?.err().unwrap_or_else(|| Error::internal("the server ended at once")));
        };
        let token = std::fs::read_to_string(up::token_path(dir))?.trim().to_string();
        Ok(Server { address: format!("http://{address}"), token, shutdown, task })
    }

    /// Databases and their endpoints go on.
    pub async fn stop(self) -> Result<()> {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        ended.map_err(|_| Error::timed_out("the server does not stop"))?.map_err(Error::internal)?
    }
}
