//! A control plane and an agent in the fake world, each of which can be killed and started again.
//!
//! The halves are what they are in production: the control plane has a real store, journal and
//! runner, and reaches the agent through its contract, over a Unix socket. The store and everything
//! outside (processes, directories, repositories, routes) outlive both. An agent runs in an async
//! runtime of its own, so that killing it drops its work wherever it stands; a control plane dies
//! with its runner.

mod clients;
mod facts;
mod snapshot;

pub use clients::{Ack, Clients};

use crate::{FakeNotifiers, FakeWorld, fake_engine::read_log, lock};
use mainstay_agent::{Agent, Parts as AgentParts};
use mainstay_control::{Actor, App, Options, Parts, backups, clusters, clusters::NewCluster, projects, topology::Topology};
use mainstay_model::{Error, NodeId, OperationId, Result, backup::Backup, cluster::Cluster, project::Project};
use mainstay_operations::{Clock, Retry, Runner, RunnerOptions, Status, SystemClock, View};
use mainstay_store::{Sealer, Store};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

pub struct World {
    pub outside: Arc<FakeWorld>,
    pub clients: Arc<Clients>,
    pub notifiers: Arc<FakeNotifiers>,
    store: Mutex<Store>,
    clock: Mutex<Arc<dyn Clock>>,
    agent: Mutex<Option<tokio::runtime::Runtime>>,
}

/// A world at one moment, the store included.
pub struct Saved(crate::fake_world::Saved);

/// A control plane that runs.
pub struct Desk {
    pub app: Arc<App>,
    shutdown: CancellationToken,
}

/// Tries again soon, and looks often.
pub fn hasty() -> RunnerOptions {
    let ms = Duration::from_millis;
    RunnerOptions {
        retry: Retry { tries: 3, base: ms(1), max: ms(4) },
        grace: ms(100),
        cancel_grace: ms(200),
        poll: ms(10),
        ..RunnerOptions::default()
    }
}

impl World {
    /// An empty store, and an agent that runs.
    pub async fn new() -> Result<World> {
        let outside = Arc::new(FakeWorld::new());
        let store = Mutex::new(open_store(&outside).await?);
        let clients = Arc::new(Clients::new(outside.clone()));
        let world =
            World { outside, clients, notifiers: Arc::default(), store, clock: Mutex::new(Arc::new(SystemClock)), agent: Mutex::default() };
        world.start_agent().await?;
        Ok(world)
    }

    /// Stops agent and store, and keeps all there is. Go on with [`World::put_back`].
    pub async fn save(&self) -> Result<Saved> {
        self.kill_agent().await;
        self.store().close().await;
        Ok(Saved(self.outside.save()?))
    }

    /// All is as it was when it was saved, and nobody remembers anything else.
    pub async fn put_back(&self, saved: &Saved) -> Result<()> {
        self.kill_agent().await;
        self.store().close().await;
        self.outside.put_back(&saved.0)?;
        *lock(&self.store) = open_store(&self.outside).await?;
        self.clients.forget();
        self.start_agent().await
    }

    /// Control planes opened from now on live by this clock.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        *lock(&self.clock) = clock;
    }

    pub fn store(&self) -> Store {
        lock(&self.store).clone()
    }

    fn socket(&self) -> PathBuf {
        self.outside.scratch().join("agent.sock")
    }

    pub async fn start_agent(&self) -> Result<()> {
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (parts, socket) = (self.agent_parts(), self.socket());
        let opened = process.spawn(async move { Agent::open(parts).await }).await.map_err(Error::internal);
        let serving = socket.clone();
        match opened.and_then(|agent| agent) {
            Ok(agent) => drop(process.spawn(async move { mainstay_rpc::serve(&serving, agent, std::future::pending()).await })),
            Err(e) => {
                process.shutdown_background();
                return Err(e);
            }
        }
        *lock(&self.agent) = Some(process);
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn agent_parts(&self) -> AgentParts {
        AgentParts {
            data_dir: self.outside.data_dir(),
            engines: self.outside.engines(),
            runtime: self.outside.runtime.clone(),
            storages: self.outside.storages.clone(),
            endpoint: self.outside.endpoint.clone(),
            sockets_root: self.outside.sockets_root(),
            engine_dirs: vec![],
            engine_user: None,
            clock: crate::now,
            version: "0.0.0".into(),
        }
    }

    /// kill -9. What it was doing ends at its next await.
    pub async fn kill_agent(&self) {
        let process = lock(&self.agent).take();
        if let Some(process) = process {
            let end = move || process.shutdown_timeout(Duration::from_millis(500));
            let _ = tokio::task::spawn_blocking(end).await;
        }
    }

    /// What a starting control plane puts together, before its runner works.
    pub async fn open(&self, mut options: RunnerOptions) -> Result<Arc<App>> {
        options.faults = self.clients.watching(options.faults);
        let parts = Parts {
            store: self.store(),
            agent: mainstay_rpc::Agent::on_socket(self.socket())?,
            clock: lock(&self.clock).clone(),
            options: Options {
                catch_up_ms: 2_000,
                group_gather_ms: 1_000,
                default_storage: self.outside.scratch().join("storage"),
                ..Options::default()
            },
            runner_options: options,
            notifiers: self.notifiers.clone(),
        };
        App::open(parts).await
    }

    /// A control plane that works without disturbance.
    pub async fn desk(&self) -> Result<Desk> {
        self.desk_with(hasty()).await
    }

    pub async fn desk_with(&self, options: RunnerOptions) -> Result<Desk> {
        let (app, shutdown) = (self.open(options).await?, CancellationToken::new());
        app.runner.start(shutdown.clone()).await;
        Ok(Desk { app, shutdown })
    }

    /// Writes one row as a client of the cluster's endpoint that was let in.
    pub fn write(&self, cluster: &Cluster, row: &str) -> Result<()> {
        let primary = cluster.primary.as_ref().ok_or_else(|| Error::internal("no primary"))?;
        self.outside.engine(&cluster.engine).write(primary, row)
    }

    /// The rows a node has on its disk, whether it runs or not.
    pub fn rows(&self, node: &NodeId) -> Vec<String> {
        read_log(&self.outside.data_dir().join("nodes").join(node.as_str()).join("data"))
    }

    /// The rows in a directory beside a node's data.
    pub fn rows_aside(&self, node: &NodeId, label: &str) -> Vec<String> {
        read_log(&self.outside.data_dir().join("nodes").join(node.as_str()).join(label))
    }

    /// Whether the database that took this write is the one its cluster's clients are led to.
    pub fn is_live(&self, ack: &Ack) -> bool {
        self.clients.timeline(&ack.cluster) == Some(ack.timeline)
    }

    /// The rows a backup holds.
    pub fn rows_in(&self, backup: &Backup) -> Vec<String> {
        let bytes = self.outside.storages.file(backup.id.as_str(), "data/log").unwrap_or_default();
        String::from_utf8_lossy(&bytes).lines().map(String::from).collect()
    }
}

async fn open_store(outside: &FakeWorld) -> Result<Store> {
    let url = mainstay_store::sqlite_url(&outside.scratch().join("mainstay.db"))?;
    Store::open(&url, Sealer::from_key([7; 32])).await
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(process) = lock(&self.agent).take() {
            process.shutdown_background();
        }
    }
}

pub fn somebody() -> Actor {
    Actor { name: "token:test".into(), ..Actor::mainstay() }
}

pub async fn project(app: &App) -> Result<Project> {
    projects::resolve(app, projects::DEFAULT).await
}

pub async fn cluster(app: &App, name: &str) -> Result<Cluster> {
    clusters::resolve(app, &project(app).await?.id, name).await
}

pub async fn topology(app: &App, name: &str) -> Result<Topology> {
    Topology::load(app, &cluster(app, name).await?.id).await
}

/// What `cluster create` takes.
pub fn wish(name: &str, engine: &str, replicas: u32) -> NewCluster {
    NewCluster { name: name.into(), engine: engine.into(), replicas: Some(replicas), ..NewCluster::default() }
}

/// Until the operation has ended or is stuck.
pub async fn ended(runner: &Runner<App>, id: &OperationId) -> Result<View> {
    let over = |v: &View| v.status.is_final() || v.status == Status::Stuck;
    loop {
        let view = tokio::time::timeout(Duration::from_secs(30), runner.wait(id)).await.map_err(|_| Error::timed_out("an operation"))??;
        if over(&view) {
            return Ok(view);
        }
    }
}

impl Desk {
    /// Waits for the end, which must be a good one.
    pub async fn done(&self, id: &OperationId) -> Result<View> {
        let view = ended(&self.app.runner, id).await?;
        match view.status {
            Status::Succeeded => Ok(view),
            _ => Err(view.error.clone().unwrap_or_else(|| Error::internal("no error")).context(format!("{} {:?}", view.kind, view.status))),
        }
    }

    pub async fn deploy(&self, name: &str, engine: &str, replicas: u32) -> Result<Cluster> {
        let (_, id) = clusters::create(&self.app, &somebody(), &project(&self.app).await?, wish(name, engine, replicas)).await?;
        self.done(&id).await?;
        cluster(&self.app, name).await
    }

    pub async fn back_up(&self, cluster: &Cluster) -> Result<Backup> {
        let (backup, id) = backups::create(&self.app, &somebody(), cluster, backups::NewBackup::default()).await?;
        self.done(&id).await?;
        backups::get(&self.app, &backup.id).await
    }

    pub async fn close(self) {
        self.shutdown.cancel();
        self.app.runner.stopped().await;
    }
}
