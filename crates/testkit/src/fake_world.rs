//! Everything outside Mainstay, in one place: a machine, two engines, a storage, an endpoint and a
//! directory. Agents and control planes come and go in it; [`FakeWorld::snapshot`] says what there
//! is, so that two ways to the same end can be compared.

use crate::{
    FakeEndpoint, FakeEngine, FakeRuntime, FakeStorages, Faults,
    fake_engine::{PAUSES, both, read_db, read_log},
    fake_runtime::Process,
    fake_storage,
};
use mainstay_drivers::{
    engine::{Chunking, Engine, NodePlan, Upstream},
    runtime::InstanceId,
    storage::{Place, RepositoryKeys, RepositoryRef, SnapshotLabel, StorageSpec},
};
use mainstay_model::{
    BackupId, ClusterId, ClusterName, NodeId, ProjectId, Secret, StorageId,
    credentials::{Accounts, Credentials},
    route::ClusterRoute,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

pub struct FakeWorld {
    pub faults: Faults,
    pub runtime: Arc<FakeRuntime>,
    /// Hands over by pausing: the engine `memo`.
    pub memo: Arc<FakeEngine>,
    /// Hands over by stopping: the engine `ledger`.
    pub ledger: Arc<FakeEngine>,
    pub storages: Arc<FakeStorages>,
    pub endpoint: Arc<FakeEndpoint>,
    storage: StorageSpec,
    project: ProjectId,
    dir: tempfile::TempDir,
}

/// A comparable description of the world. Pids, times and generations are not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// State and address of every recorded process.
    pub processes: BTreeMap<String, String>,
    /// What every complete database directory holds, by its path below the nodes.
    pub databases: BTreeMap<String, String>,
    /// Paths below the data directory, and sockets' directories.
    pub directories: BTreeSet<String>,
    /// Backups by repository.
    pub repositories: BTreeMap<String, Vec<String>>,
    /// Where each cluster's route leads.
    pub routes: BTreeMap<String, String>,
}

/// A world at one moment: tests that begin there again and again need not make it each time.
pub struct Saved {
    processes: BTreeMap<InstanceId, Process>,
    storages: fake_storage::Saved,
    routes: BTreeMap<ClusterId, ClusterRoute>,
    files: tempfile::TempDir,
}

impl Default for FakeWorld {
    fn default() -> Self {
        FakeWorld::new()
    }
}

impl FakeWorld {
    pub fn new() -> FakeWorld {
        let faults = Faults::default();
        let runtime = Arc::new(FakeRuntime::new(faults.clone()));
        let [memo, ledger] = both(&runtime, &faults);
        let dir = scratch();
        let storage = StorageSpec {
            id: StorageId::new(),
            name: "local".into(),
            place: Place::Local { path: dir.path().join("storage") },
            secret: None,
            limits: Default::default(),
            edition: 1,
        };
        FakeWorld {
            storages: Arc::new(FakeStorages::new(faults.clone())),
            endpoint: Arc::new(FakeEndpoint::new(faults.clone())),
            project: ProjectId::new(),
            storage,
            faults,
            runtime,
            memo,
            ledger,
            dir,
        }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn sockets_root(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// A directory of the test's own.
    pub fn scratch(&self) -> PathBuf {
        self.dir.path().into()
    }

    pub fn engines(&self) -> Vec<Arc<dyn Engine>> {
        vec![Arc::clone(&self.memo) as Arc<dyn Engine>, Arc::clone(&self.ledger) as Arc<dyn Engine>]
    }

    pub fn engine(&self, name: &str) -> &Arc<FakeEngine> {
        if name == self.memo.name() { &self.memo } else { &self.ledger }
    }

    /// The plan of a node of the cluster `cluster`, the `number`th.
    pub fn plan(&self, engine: &str, cluster: &ClusterId, number: u8) -> NodePlan {
        let user = Credentials { user: "app".into(), password: Secret::new("users-password"), database: Some("app".into()) };
        NodePlan {
            id: NodeId::new(),
            name: format!("shop-{number}"),
            cluster: cluster.clone(),
            cluster_name: ClusterName::parse("shop").expect("a name"),
            engine: engine.into(),
            version: "3.1".into(),
            address: IpAddr::V4(Ipv4Addr::new(127, 99, 0, number)),
            port: 7000,
            settings: BTreeMap::new(),
            accounts: Accounts { user, admin: Secret::new("admins-password"), replication: Secret::new("links-password") },
            keeps_log: false,
        }
    }

    pub fn upstream(&self, plan: &NodePlan) -> Upstream {
        Upstream { node: plan.id.clone(), name: plan.name.clone(), address: plan.address, port: plan.port }
    }

    /// The cluster's repository in the world's storage.
    pub fn repository(&self, cluster: &ClusterId) -> RepositoryRef {
        RepositoryRef {
            storage: self.storage.clone(),
            project: self.project.clone(),
            cluster: cluster.clone(),
            chunking: Chunking::Fixed(64 * 1024),
            keys: RepositoryKeys { own: Secret::new("repository-key"), recovery: vec![] },
        }
    }

    pub fn label(&self, cluster: &ClusterId) -> SnapshotLabel {
        SnapshotLabel {
            backup: BackupId::new(),
            cluster: cluster.clone(),
            cluster_name: "shop".into(),
            kind: "manual".into(),
            description: String::new(),
            created_at: crate::now(),
        }
    }

    /// Keeps everything there is, files included. Nothing may be working meanwhile.
    pub fn save(&self) -> std::io::Result<Saved> {
        let files = scratch();
        copy(self.dir.path(), files.path())?;
        Ok(Saved { processes: self.runtime.processes(), storages: self.storages.save(), routes: self.endpoint.routes(), files })
    }

    /// The world is again as it was, and nothing of what it was since is left.
    pub fn put_back(&self, saved: &Saved) -> std::io::Result<()> {
        self.faults.clear();
        for entry in std::fs::read_dir(self.dir.path())?.flatten() {
            let is_dir = entry.file_type()?.is_dir();
            if is_dir { std::fs::remove_dir_all(entry.path())? } else { std::fs::remove_file(entry.path())? }
        }
        copy(saved.files.path(), self.dir.path())?;
        self.runtime.put_back(saved.processes.clone());
        self.storages.put_back(saved.storages.clone());
        self.endpoint.put_back(saved.routes.clone());
        Ok(())
    }

    /// What there is outside Mainstay, and what Mainstay has on this machine.
    pub fn snapshot(&self) -> Snapshot {
        let mut all = Snapshot::default();
        for (id, process) in self.runtime.processes() {
            let at = process.argument("--listen").unwrap_or("isolated");
            let paused = if PAUSES.iter().any(|key| process.memory.contains_key(*key)) { ", writes paused" } else { "" };
            all.processes.insert(id.0, format!("{:?} {at}{paused}", process.state));
        }
        for top in [self.data_dir(), self.sockets_root()] {
            walk(&top, self.dir.path(), &mut all);
        }
        all.repositories = self.storages.published();
        let leads = |r: &ClusterRoute| format!("{:?} {:?} {:?}", r.read_write, r.read_only, r.allow_list);
        all.routes = self.endpoint.routes().into_iter().map(|(id, route)| (id.to_string(), leads(&route))).collect();
        all
    }
}

/// In memory where the machine has such a place: what tests sync to the disk has nobody to outlive.
fn scratch() -> tempfile::TempDir {
    let named = || tempfile::Builder::new().prefix("mk").to_owned();
    let made = named().tempdir_in("/dev/shm").or_else(|_| named().tempdir());
    made.expect("a temporary directory can be made")
}

/// Directories and plain files with their modes. Sockets are nobody's past.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            std::fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
            std::fs::set_permissions(&target, entry.metadata()?.permissions())?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn walk(dir: &Path, top: &Path, all: &mut Snapshot) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned();
        if let Ok(db) = read_db(&path) {
            let role = db.upstream.as_ref().map_or("primary".to_string(), |u| format!("replica of {}", u.name));
            let users: Vec<_> = db.accounts.keys().collect();
            let slots: Vec<_> = db.slots.iter().collect();
            let says = format!("{role}, database {:?}, users {users:?}, slots {slots:?}, rows {:?}", db.name, read_log(&path));
            all.databases.insert(name.clone(), says);
        }
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&path, top, all);
        }
        all.directories.insert(name);
    }
}
