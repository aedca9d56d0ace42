//! An engine whose database is two files: `log`, one written id a line, and `db.json`, which says
//! what the database is (history, role, accounts, slots) and is written last, so that a directory
//! with it is complete.
//!
//! Replication is what a real engine's users see of it: a running replica has every row its running
//! upstream has, at once, unless the switch `engine.replication_stopped` is on; it follows only a
//! history its own log is the beginning of; promotion begins a new one. Two styles stand for the two
//! ways engines hand over: one pauses writes ([`Style::Pausing`]), one stops ([`Style::Halting`]).

mod capture;
mod console;
mod database;
mod handover;
mod hold;
mod segments;

pub use database::Database;
use hold::HELD;

use crate::{FakeRuntime, Faults, fake_runtime, lock};
use async_trait::async_trait;
use database::{position_of, write_db, write_log};
pub(crate) use database::{read_db, read_log};
use mainstay_drivers::{
    Result,
    console::Console,
    engine::{
        AccountKeeper, Backups, Chunking, Configured, Consistency, Engine, Exposure, Failover, Incremental, Info, Installed, Node,
        Questions, Service, Upstream,
    },
    progress::Progress,
    runtime::{FileSpec, InstanceId, InstanceSpec, Runtime, Signal},
    segments::Segments,
};
use mainstay_model::{
    ClusterName, Error, NodeId, Secret, Time,
    cluster::Mode,
    credentials::Credentials,
    engine::{Parameter, ParameterKind},
    node::{EngineState, NodeRole, Observed},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Writes pause in the running process. Named `memo`, downloaded as one file.
    Pausing,
    /// Writes end with the process. Named `ledger`, downloaded as a tar.
    Halting,
}

#[derive(Clone)]
pub struct FakeEngine {
    style: Style,
    faults: Faults,
    runtime: Arc<FakeRuntime>,
    /// One look or write at a time: files are read and written whole.
    world: Arc<Mutex<()>>,
}

const VERSION: &str = "3.1.4";
const PROGRAM: &str = "/fake/bin";
/// What keeps a process from taking writes.
pub(crate) const PAUSES: [&str; 2] = ["paused", HELD];
/// While it is there, only an isolated start is right.
const RECOVERY: &str = "recovery";

/// Two engines on one runtime: one of each style.
pub fn both(runtime: &Arc<FakeRuntime>, faults: &Faults) -> [Arc<FakeEngine>; 2] {
    let world = Arc::new(Mutex::new(()));
    [Style::Pausing, Style::Halting].map(|style| {
        let engine = FakeEngine { style, faults: faults.clone(), runtime: Arc::clone(runtime), world: Arc::clone(&world) };
        let machine = Arc::downgrade(runtime);
        let program = move |spec: &InstanceSpec| match machine.upgrade() {
            Some(machine) => comes_up(&machine, spec),
            None => Err("no machine".into()),
        };
        runtime.install(engine.program(), Arc::new(program));
        Arc::new(engine)
    })
}

/// Whether a server started like this serves: its data must be there and whole, its address free.
fn comes_up(machine: &FakeRuntime, spec: &InstanceSpec) -> Result<(), String> {
    let data = PathBuf::from(fake_runtime::argument(spec, "--data").unwrap_or_default());
    read_db(&data).map_err(|e| format!("no database in {}: {e}", data.display()))?;
    let address = fake_runtime::argument(spec, "--listen");
    if address.is_some() && data.join(RECOVERY).exists() {
        return Err("recovery of this data was never ended".into());
    }
    let others: Vec<_> = machine.processes().into_values().filter(|p| p.runs()).collect();
    if others.iter().any(|p| address.is_some() && p.argument("--listen") == address) {
        return Err(format!("address {} is in use", address.unwrap_or_default()));
    }
    if others.iter().any(|p| p.argument("--data") == data.to_str()) {
        return Err(format!("{} is in use by another server", data.display()));
    }
    Ok(())
}

/// A running server of this engine and what it serves.
struct Server {
    id: InstanceId,
    data: PathBuf,
    paused: bool,
    starting: bool,
    /// Reaches nobody, whoever its data says it replicated from.
    isolated: bool,
}

impl FakeEngine {
    pub fn name(&self) -> &'static str {
        match self.style {
            Style::Pausing => "memo",
            Style::Halting => "ledger",
        }
    }

    fn program(&self) -> PathBuf {
        Path::new(PROGRAM).join(self.name())
    }

    /// Writes one row as a client of that node would.
    pub fn write(&self, node: &NodeId, row: &str) -> Result<()> {
        let _world = lock(&self.world);
        let server = self.serving(node)?;
        let db = read_db(&server.data)?;
        if db.upstream.is_some() || server.paused {
            return Err(Error::conflict("read_only", format!("{node} takes no writes")));
        }
        let mut rows = read_log(&server.data);
        rows.push(row.into());
        write_log(&server.data, &rows)?;
        self.replicate()
    }

    /// The rows a client of that node sees.
    pub fn read(&self, node: &NodeId) -> Result<Vec<String>> {
        let _world = lock(&self.world);
        self.replicate()?;
        Ok(read_log(&self.serving(node)?.data))
    }

    /// Whether a client of that node gets in.
    pub fn log_in(&self, node: &NodeId, user: &str, password: &str) -> Result<bool> {
        let db = read_db(&self.serving(node)?.data)?;
        Ok(db.accounts.get(user).is_some_and(|p| p == password))
    }

    fn serving(&self, node: &NodeId) -> Result<Server> {
        let id = InstanceId(node.to_string());
        self.servers().into_iter().find(|s| s.id == id).ok_or_else(|| Error::unavailable("connect", format!("{node}: connection refused")))
    }

    fn servers(&self) -> Vec<Server> {
        let program = self.program();
        let startup = self.faults.delay_of("engine.startup");
        let of = |(id, p): (InstanceId, fake_runtime::Process)| {
            let ours = p.runs() && p.spec.program == program;
            let data = PathBuf::from(p.argument("--data")?);
            let isolated = p.argument("--listen").is_none();
            let (paused, starting) = (PAUSES.iter().any(|key| p.memory.contains_key(*key)), p.since.elapsed() < startup);
            ours.then_some(Server { id, data, paused, starting, isolated })
        };
        self.runtime.processes().into_iter().filter_map(of).collect()
    }

    fn server_on(&self, data: &Path) -> Option<Server> {
        self.servers().into_iter().find(|s| s.data == data)
    }

    fn listening(&self, upstream: &Upstream) -> Option<Server> {
        let address = listen(upstream.address, upstream.port);
        let found = self.runtime.processes().into_iter().find(|(_, p)| p.runs() && p.argument("--listen") == Some(&address));
        found.and_then(|(id, _)| self.servers().into_iter().find(|s| s.id == id))
    }

    /// Brings every running replica to where its running upstream is. Chains need a turn a link.
    fn replicate(&self) -> Result<()> {
        if self.faults.is_on("engine.replication_stopped") {
            return Ok(());
        }
        let servers = self.servers();
        for _ in 0..servers.len() {
            for server in servers.iter().filter(|s| !s.isolated) {
                let mut db = read_db(&server.data)?;
                let Some(source) = db.upstream.as_ref().and_then(|u| self.listening(u)) else { continue };
                let (rows, theirs) = (read_log(&server.data), read_log(&source.data));
                if theirs.starts_with(&rows) {
                    let upstream = read_db(&source.data)?;
                    if rows.len() < theirs.len() {
                        write_log(&server.data, &theirs)?;
                    }
                    (db.history, db.timeline, db.name) = (upstream.history, upstream.timeline, upstream.name);
                    if self.style == Style::Halting {
                        db.accounts = upstream.accounts;
                    }
                    write_db(&server.data, &db)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the link of a replica is up: its upstream runs and its own log is no other history.
    fn linked(&self, data: &Path, upstream: &Upstream) -> Option<u64> {
        let source = self.listening(upstream)?;
        let (rows, theirs) = (read_log(data), read_log(&source.data));
        theirs.starts_with(&rows).then(|| (theirs.len() - rows.len()) as u64)
    }

    fn observe(&self, node: &Node, now: Time) -> Result<Observed> {
        let _world = lock(&self.world);
        self.replicate()?;
        let Some(server) = self.server_on(&node.paths.data) else { return Ok(Observed::unknown(now, "connection refused")) };
        let db = read_db(&server.data)?;
        let lag = db.upstream.as_ref().map(|u| self.linked(&server.data, u));
        let mut seen = Observed::unknown(now, "");
        seen.detail = (lag == Some(None)).then(|| "its upstream does not answer or has another history".into());
        seen.state = if server.starting { EngineState::Starting } else { EngineState::Ready };
        seen.role = Some(if db.upstream.is_some() { NodeRole::Replica } else { NodeRole::Primary });
        seen.position = Some(position_of(&db, read_log(&server.data).len()));
        seen.link_up = lag.map(|l| l.is_some());
        seen.lag_bytes = lag.flatten();
        seen.connections = Some(0);
        seen.replicas = self.followers(node);
        Ok(seen)
    }

    fn followers(&self, node: &Node) -> Vec<String> {
        let follows = |s: &Server| read_db(&s.data).ok()?.upstream.filter(|u| u.node == node.plan.id).map(|_| s.id.0.clone());
        self.servers().iter().filter_map(follows).collect()
    }

    /// Changes `db.json` of a node, running or not.
    fn change(&self, data: &Path, change: impl FnOnce(&mut Database)) -> Result<()> {
        let _world = lock(&self.world);
        let mut db = read_db(data)?;
        change(&mut db);
        write_db(data, &db)?;
        self.replicate()
    }

    fn change_upstream(&self, upstream: &Upstream, change: impl FnOnce(&mut Database)) -> Result<()> {
        match self.listening(upstream) {
            Some(source) => self.change(&source.data, change),
            None => Err(Error::unavailable("upstream", format!("{} does not answer", upstream.name))),
        }
    }
}

fn listen(address: std::net::IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

fn settings_file(node: &Node) -> FileSpec {
    let content: String = node.plan.settings.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
    FileSpec { path: node.paths.run.join("fake.conf"), content: content.into_bytes(), mode: 0o600 }
}

/// Accounts of a new database of this plan.
fn accounts_of(node: &Node) -> BTreeMap<String, String> {
    let a = &node.plan.accounts;
    [(a.user.user.as_str(), &a.user.password), ("admin", &a.admin)].map(|(u, p)| (u.into(), p.reveal().into())).into()
}

#[async_trait]
impl Engine for FakeEngine {
    fn info(&self) -> Info {
        let pausing = self.style == Style::Pausing;
        Info {
            name: self.name(),
            title: if pausing { "Memo" } else { "Ledger" },
            default_port: if pausing { 7001 } else { 7002 },
            modes: &[Mode::Single, Mode::PrimaryReplica],
            install_hint: "it comes with the testkit",
            chunking: Chunking::Fixed(64 * 1024),
            url_scheme: self.name(),
            download_extension: if pausing { "log" } else { "tar.zst" },
        }
    }

    async fn discover(&self, _: &dyn Runtime, _: &[PathBuf]) -> Vec<Installed> {
        if self.faults.before("engine.discover").await.is_err() {
            return vec![];
        }
        vec![Installed { version: VERSION.into(), bin_dir: PROGRAM.into(), user: None, env: BTreeMap::new() }]
    }

    fn parameters(&self, _: &str) -> Vec<Parameter> {
        let integer = |name: &str, default: &str, needs_restart| Parameter {
            name: name.into(),
            kind: ParameterKind::Integer { min: 1, max: 1_000_000 },
            default: default.into(),
            needs_restart,
            description: format!("the number of {name}"),
        };
        vec![integer("pages", "100", false), integer("shelves", "10", true)]
    }

    fn service(&self, node: &Node) -> Service {
        let mut args = vec!["--data".into(), node.paths.data.to_string_lossy().into_owned()];
        match node.exposure {
            Exposure::Served => args.extend(["--listen".into(), listen(node.plan.address, node.plan.port)]),
            Exposure::Isolated => args.push("--isolated".into()),
        }
        let spec = InstanceSpec {
            program: self.program(),
            args,
            env: BTreeMap::new(),
            working_dir: node.paths.root.clone(),
            user: node.installed.user.clone(),
            log_file: node.paths.log.join("fake.log"),
            stop_signal: Signal::Term,
            grace: Duration::from_secs(5),
            restarts: 3,
            offline: node.exposure == Exposure::Isolated,
            background: false,
        };
        Service { files: vec![settings_file(node)], spec, ready_within: Duration::from_secs(5) }
    }

    async fn bootstrap(&self, node: &Node) -> Result<()> {
        self.faults.before("engine.bootstrap").await?;
        if node.paths.data.join("db.json").exists() {
            return Ok(());
        }
        write_log(&node.paths.data, &[])?;
        self.faults.before("engine.bootstrap.half").await?;
        let db = Database {
            history: node.plan.id.to_string(),
            timeline: 1,
            upstream: None,
            accounts: [("admin".to_string(), node.plan.accounts.admin.reveal().to_string())].into(),
            name: node.plan.accounts.user.database.clone(),
            slots: BTreeSet::new(),
        };
        write_db(&node.paths.data, &db)?;
        self.faults.after("engine.bootstrap")
    }

    async fn join(&self, node: &Node, upstream: &Upstream, progress: &Progress) -> Result<()> {
        self.faults.before("engine.join").await?;
        let filled = std::fs::read_dir(&node.paths.data).is_ok_and(|mut d| d.next().is_some());
        if filled {
            return Err(Error::internal("join was given a directory that is not empty"));
        }
        std::fs::create_dir_all(&node.paths.data)?;
        self.change_upstream(upstream, |db| {
            db.slots.insert(node.plan.name.clone());
        })?;
        let source = self.listening(upstream).ok_or_else(|| Error::unavailable("upstream", "it went away"))?;
        write_log(&node.paths.data, &read_log(&source.data))?;
        self.faults.before("engine.join.half").await?;
        if progress.is_cancelled() {
            return Err(Error::conflict("cancelled", "the copy was cancelled"));
        }
        let mut db = Database { upstream: Some(upstream.clone()), slots: BTreeSet::new(), ..read_db(&source.data)? };
        db.accounts = accounts_of(node);
        write_db(&node.paths.data, &db)?;
        self.faults.after("engine.join")
    }

    async fn leave(&self, node: &Node, leaving: &Upstream) -> Result<()> {
        self.faults.before("engine.leave").await?;
        self.change(&node.paths.data, |db| {
            db.slots.remove(&leaving.name);
        })?;
        self.faults.after("engine.leave")
    }

    async fn probe(&self, node: &Node, now: Time) -> Observed {
        if let Err(e) = self.faults.before("engine.probe").await {
            return Observed::unknown(now, e.message);
        }
        self.observe(node, now).unwrap_or_else(|e| Observed::unknown(now, e.message))
    }

    async fn configure(&self, node: &Node) -> Result<Configured> {
        self.faults.before("engine.configure").await?;
        let wanted = settings_file(node);
        let old = std::fs::read_to_string(&wanted.path).unwrap_or_default();
        let new = String::from_utf8_lossy(&wanted.content).into_owned();
        if old == new {
            return Ok(Configured::Unchanged);
        }
        node.runtime.put_files(node.installed.user.as_deref(), vec![wanted]).await?;
        let shelves = |text: &str| text.lines().find(|l| l.starts_with("shelves")).map(String::from);
        if shelves(&old) != shelves(&new) {
            return Ok(Configured::RestartNeeded);
        }
        node.runtime.reload(&InstanceId(node.plan.id.to_string())).await?;
        self.faults.after("engine.configure")?;
        Ok(Configured::Reloaded)
    }

    async fn started(&self, _: &Node) -> Result<()> {
        self.faults.before("engine.started").await
    }

    fn failover(&self) -> Option<&dyn Failover> {
        Some(self)
    }
    fn backups(&self) -> Option<&dyn Backups> {
        Some(self)
    }
    fn accounts(&self) -> Option<&dyn AccountKeeper> {
        Some(self)
    }
    fn incremental(&self) -> Option<&dyn Incremental> {
        Some(self)
    }
    fn consistency(&self) -> Option<&dyn Consistency> {
        Some(self)
    }
    fn segments(&self) -> Option<&dyn Segments> {
        (self.style == Style::Halting).then_some(self as &dyn Segments)
    }
    fn questions(&self) -> Option<&dyn Questions> {
        Some(self)
    }
    fn console(&self) -> Option<&dyn Console> {
        Some(self)
    }
}

#[async_trait]
impl Questions for FakeEngine {
    fn form(&self) -> &'static str {
        "`count`, or the beginning of rows"
    }

    async fn ask(&self, node: &Node, question: &str, _: Duration) -> Result<String> {
        self.faults.before("engine.ask").await?;
        let server = self.server_on(&node.paths.data).ok_or_else(|| Error::unavailable("connect", "connection refused"))?;
        let rows = read_log(&server.data);
        match question {
            "count" => Ok(rows.len().to_string()),
            "?" => Err(Error::failed("engine_refused", "what is that?")),
            begin => Ok(rows.into_iter().filter(|r| r.starts_with(begin)).collect::<Vec<_>>().join("\n")),
        }
    }
}

#[async_trait]
impl AccountKeeper for FakeEngine {
    fn credentials_for(&self, cluster: &ClusterName, password: Secret) -> Credentials {
        match self.style {
            Style::Pausing => Credentials { user: "default".into(), password, database: None },
            Style::Halting => Credentials { user: cluster.identifier(), password, database: Some(cluster.identifier()) },
        }
    }

    async fn ensure(&self, node: &Node) -> Result<()> {
        self.faults.before("engine.accounts").await?;
        let server = self.server_on(&node.paths.data).ok_or_else(|| Error::unavailable("connect", "connection refused"))?;
        self.change(&server.data, |db| {
            if db.upstream.is_none() || self.style == Style::Pausing {
                db.accounts = accounts_of(node);
            }
        })?;
        self.faults.after("engine.accounts")
    }
}
