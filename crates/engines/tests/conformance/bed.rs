//! One installed version of one engine on a bed of its own: the real runtime, a real repository, and
//! the verbs of an agent in an agent's order. Whatever a case starts ends with its bed.

use crate::probes::{self, Probe, Session};
use mainstay_drivers::{
    engine::*,
    progress::Progress,
    runtime::{InstanceId, InstanceState, Runtime, StopMode},
    storage::{Place, RepositoryKeys, RepositoryRef, Storage, StorageSpec, Storages},
};
use mainstay_model::{
    ClusterId, ClusterName, NodeId, ProjectId, Result, Secret, StorageId, Time,
    credentials::Accounts,
    node::{EngineState, NodeRole, Observed},
};
use mainstay_runtimes::{Options, ProcessRuntime};
use mainstay_storages::OpenStorages;
pub use mainstay_testkit::skipped;
use std::{
    net::{IpAddr, Ipv4Addr, TcpListener},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

/// How long anything may take that has no bound of its own.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// As the agent has it: a replica of a busy primary is always a little behind.
const CAUGHT_UP_BYTES: u64 = 64 * 1024;
/// What was acknowledged this long ago outlives a crash of the process: engines that hand their log to
/// the disk once a second say that they may lose as much, and a look behind that is no fault.
pub const DURABLE_AFTER: Duration = Duration::from_secs(3);
const USER_PASSWORD: &str = "pä'ss \"w\\ord#1";
pub const RECOVERY: &str = "recovery-key";

pub struct Bed {
    pub engine: Arc<dyn Engine>,
    pub installed: Installed,
    pub probe: &'static Probe,
    pub runtime: Arc<dyn Runtime>,
    pub storage: Arc<dyn Storage>,
    pub repository: RepositoryRef,
    /// Every version of this engine here.
    pub versions: Vec<Installed>,
    pub dir: tempfile::TempDir,
    sockets: AtomicU32,
}

impl Drop for Bed {
    /// Instances outlive whoever started them: that is what the runtime is for.
    fn drop(&mut self) {
        let end = end_all(self.runtime.clone());
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(end));
    }
}

/// Names a bed's directory, with the process it belongs to.
const BED: &str = "mainstay-bed-";

/// A run that was killed could not end what it started. The next one does, by the records that run
/// left: never by a name.
async fn end_what_killed_runs_left() {
    static ONCE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let sweep = async {
        for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(pid) = name.strip_prefix(BED).and_then(|rest| rest.split('.').next()) else { continue };
            if Path::new("/proc").join(pid).exists() {
                continue;
            }
            end_all(ProcessRuntime::new(entry.path().join("runtime"), Options::default()).unwrap()).await;
            let _ = std::fs::remove_dir_all(entry.path());
        }
    };
    ONCE.get_or_init(|| sweep).await;
}

async fn end_all(runtime: Arc<dyn Runtime>) {
    for instance in runtime.list().await.unwrap_or_default() {
        let _ = runtime.stop(&instance.id, StopMode::Kill).await;
    }
}

/// Runs a case for every version of every engine that is installed here.
pub async fn everywhere(case: impl AsyncFn(&Bed)) {
    end_what_killed_runs_left().await;
    let mut ran = false;
    for engine in mainstay_engines::all() {
        let versions = discovered(engine.as_ref()).await;
        for installed in &versions {
            // Shown where the case fails.
            eprintln!("{} {}", engine.info().title, installed.version);
            let bed = Bed::new(engine.clone(), installed.clone(), versions.clone()).await;
            let begun = Instant::now();
            case(&bed).await;
            eprintln!("{} took {:?}", engine.info().title, begun.elapsed());
            ran = true;
        }
    }
    assert!(ran, "no engine of the list is installed here");
}

async fn discovered(engine: &dyn Engine) -> Vec<Installed> {
    let scratch = tempfile::tempdir().unwrap();
    let runtime = ProcessRuntime::new(scratch.path().join("runtime"), Options::default()).unwrap();
    engine.discover(runtime.as_ref(), &extra_dirs()).await
}

/// Says once which engines of the list are not tried, past the capture of tests that succeed.
pub async fn tell_absent() {
    for engine in mainstay_engines::all() {
        if discovered(engine.as_ref()).await.is_empty() {
            let info = engine.info();
            skipped(&format!("{}: no version of it is installed here; {}", info.name, info.install_hint));
        }
    }
}

/// Folders with unpacked packages: those that are named, and those that scripts fetched.
fn extra_dirs() -> Vec<PathBuf> {
    let named = std::env::var_os("MAINSTAY_ENGINE_DIRS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|p| p.is_dir()).filter_map(|p| p.canonicalize().ok());
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps");
    let fetched = std::fs::read_dir(fetched).into_iter().flatten().flatten().filter_map(|e| e.path().canonicalize().ok());
    let mut all: Vec<_> = named.chain(fetched).collect();
    all.sort();
    all.dedup();
    all
}

impl Bed {
    async fn new(engine: Arc<dyn Engine>, installed: Installed, versions: Vec<Installed>) -> Bed {
        let dir = tempfile::Builder::new().prefix(&format!("{BED}{}.", std::process::id())).tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let runtime = ProcessRuntime::new(dir.path().join("runtime"), Options::default()).unwrap();
        let place = Place::Local { path: dir.path().join("backups") };
        let repository = RepositoryRef {
            storage: StorageSpec {
                id: StorageId::new(),
                name: "local".into(),
                place,
                secret: None,
                limits: Default::default(),
                edition: 1,
            },
            project: ProjectId::new(),
            cluster: ClusterId::new(),
            chunking: engine.info().chunking,
            keys: RepositoryKeys { own: Secret::new("own-key"), recovery: vec![Secret::new(RECOVERY)] },
        };
        let storage = OpenStorages::new().open(&repository, true).await.unwrap();
        let probe = probes::of(engine.info().url_scheme);
        Bed { engine, installed, probe, runtime, storage, repository, versions, dir, sockets: AtomicU32::new(0) }
    }

    pub fn failover(&self) -> &dyn Failover {
        self.engine.failover().expect("an engine with replicas hands over")
    }
    pub fn backups(&self) -> &dyn Backups {
        self.engine.backups().expect("an engine is backed up")
    }
    pub fn keeper(&self) -> &dyn AccountKeeper {
        self.engine.accounts().expect("an engine has accounts")
    }

    /// The first node of a new cluster. Nothing of it exists yet.
    pub fn node(&self, cluster: &str) -> Node {
        let name = ClusterName::parse(cluster).unwrap();
        let plan = NodePlan {
            id: NodeId::new(),
            name: format!("{cluster}-1"),
            cluster: ClusterId::new(),
            cluster_name: name.clone(),
            engine: self.engine.info().name.into(),
            version: self.installed.version.clone(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            settings: Default::default(),
            keeps_log: false,
            accounts: Accounts {
                user: self.keeper().credentials_for(&name, Secret::new(format!("{USER_PASSWORD}{cluster}"))),
                admin: Secret::new("admin-secret"),
                replication: Secret::new("repl:\"\\secret"),
            },
        };
        self.placed(plan)
    }

    /// A further node of the same cluster.
    pub fn sibling(&self, of: &Node, number: u32) -> Node {
        let name = format!("{}-{number}", of.plan.cluster_name);
        self.placed(NodePlan { id: NodeId::new(), name, ..of.plan.clone() })
    }

    fn placed(&self, mut plan: NodePlan) -> Node {
        (plan.address, plan.port) = free_address();
        let root = self.dir.path().join("nodes").join(plan.id.as_str());
        let paths = Paths { data: root.join("data"), run: root.join("run"), log: root.join("log"), sockets: self.new_sockets(), root };
        Node { plan, paths, installed: self.installed.clone(), exposure: Exposure::Served, runtime: self.runtime.clone() }
    }

    pub fn new_sockets(&self) -> PathBuf {
        self.dir.path().join(format!("s{}", self.sockets.fetch_add(1, Ordering::Relaxed)))
    }

    /// A directory of the engine's user, as every verb finds it.
    pub async fn own_dir(&self, dir: &Path) {
        self.runtime.put_dir(self.installed.user.as_deref(), dir, 0o700).await.unwrap();
    }

    pub async fn prepare(&self, node: &Node) {
        std::fs::create_dir_all(self.dir.path().join("nodes")).unwrap();
        for dir in [&node.paths.root, &node.paths.run, &node.paths.log, &node.paths.data, &node.paths.sockets] {
            self.own_dir(dir).await;
        }
    }

    pub async fn bootstrap(&self, node: &Node) {
        self.prepare(node).await;
        self.engine.bootstrap(node).await.unwrap();
        self.run(node, is_ready).await;
        self.keeper().ensure(node).await.unwrap();
    }

    /// A running primary of a new cluster.
    pub async fn primary(&self, cluster: &str) -> Node {
        let node = self.node(cluster);
        self.bootstrap(&node).await;
        node
    }

    pub async fn join(&self, node: &Node, primary: &Node) {
        self.prepare(node).await;
        self.engine.join(node, &upstream(primary), &Progress::default()).await.unwrap();
        self.run(node, is_in_step).await;
    }

    /// A running replica, in step.
    pub async fn replica(&self, primary: &Node, number: u32) -> Node {
        let node = self.sibling(primary, number);
        self.join(&node, primary).await;
        node
    }

    /// Makes a served node run, as often as asked.
    pub async fn run(&self, node: &Node, good: impl Fn(&Observed) -> bool) -> Observed {
        self.launch(node, &served(node), None).await;
        self.wait(node, &served(node), is_ready).await;
        self.engine.started(node).await.unwrap();
        self.wait(node, &served(node), good).await
    }

    pub async fn start(&self, node: &Node) {
        self.run(node, is_ready).await;
    }

    pub async fn follow(&self, node: &Node, primary: &Node) {
        self.failover().follow(node, &upstream(primary)).await.unwrap();
        self.run(node, follows).await;
    }

    /// Files first, then the process; what runs is left alone.
    pub async fn launch(&self, node: &Node, instance: &InstanceId, restarts: Option<u32>) {
        if self.runtime.inspect(instance).await.unwrap().state == InstanceState::Running {
            return;
        }
        let mut service = self.engine.service(node);
        service.spec.restarts = restarts.unwrap_or(service.spec.restarts);
        self.runtime.put_files(node.installed.user.as_deref(), service.files).await.unwrap();
        self.runtime.ensure(instance, &service.spec).await.unwrap();
    }

    pub async fn try_wait(
        &self,
        node: &Node,
        instance: &InstanceId,
        good: impl Fn(&Observed) -> bool,
    ) -> std::result::Result<Observed, String> {
        let begun = Instant::now();
        loop {
            let seen = self.look(node).await;
            if good(&seen) {
                return Ok(seen);
            }
            let state = self.runtime.inspect(instance).await.unwrap().state;
            if state != InstanceState::Running || begun.elapsed() > PATIENCE {
                let log = self.runtime.logs(instance, 15).await.unwrap_or_default().join("\n");
                return Err(format!("{} does not get there: {state:?}, {seen:?}\n{log}", node.plan.name));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn wait(&self, node: &Node, instance: &InstanceId, good: impl Fn(&Observed) -> bool) -> Observed {
        self.try_wait(node, instance, good).await.unwrap_or_else(|e| panic!("{e}"))
    }

    pub async fn look(&self, node: &Node) -> Observed {
        self.engine.probe(node, Time::default()).await
    }

    pub async fn stop(&self, node: &Node) {
        self.runtime.stop(&served(node), StopMode::Graceful).await.unwrap();
    }

    /// Signals the main process behind the runtime's back.
    pub async fn signal(&self, node: &Node, signal: rustix::process::Signal) {
        let pid = self.runtime.inspect(&served(node)).await.unwrap().pid.and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("it runs"), signal).unwrap();
    }

    /// The customer's own session.
    pub async fn client(&self, node: &Node) -> Box<dyn Session> {
        self.probe.login(node, &node.plan.accounts.user).await.unwrap_or_else(|e| panic!("{}: {e}", node.plan.name))
    }

    /// A session that may look at everything.
    pub async fn admin(&self, node: &Node) -> Box<dyn Session> {
        self.probe.admin(node).await.unwrap_or_else(|e| panic!("{}: {e}", node.plan.name))
    }

    pub async fn numbers(&self, node: &Node) -> std::collections::BTreeSet<u64> {
        self.client(node).await.numbers().await.unwrap()
    }

    /// Waits until the node shows exactly what its primary has.
    pub async fn same_numbers(&self, node: &Node, as_on: &Node) {
        eventually(&format!("{} holds what {} holds", node.plan.name, as_on.plan.name), async || {
            // What was made a moment ago may not be there yet at all.
            let here = self.client(node).await.numbers().await;
            here.is_ok() && here == self.client(as_on).await.numbers().await
        })
        .await;
    }
}

pub fn served(node: &Node) -> InstanceId {
    InstanceId(node.plan.id.to_string())
}

pub fn upstream(node: &Node) -> Upstream {
    Upstream { node: node.plan.id.clone(), name: node.plan.name.clone(), address: node.plan.address, port: node.plan.port }
}

pub fn is_ready(seen: &Observed) -> bool {
    seen.state == EngineState::Ready
}

pub fn is_primary(seen: &Observed) -> bool {
    is_ready(seen) && seen.role == Some(NodeRole::Primary)
}

pub fn follows(seen: &Observed) -> bool {
    is_ready(seen) && seen.role == Some(NodeRole::Replica) && seen.link_up == Some(true)
}

pub fn is_in_step(seen: &Observed) -> bool {
    follows(seen) && seen.lag_bytes.is_none_or(|b| b <= CAUGHT_UP_BYTES)
}

/// Each node has a network of its own in 127/8.
pub fn free_address() -> (IpAddr, u16) {
    let b: [u8; 3] = rand::random();
    let address = Ipv4Addr::new(127, 64 + b[0] % 64, b[1], 1 + b[2] % 250);
    (address.into(), free_port(address.into()))
}

pub fn free_port(address: IpAddr) -> u16 {
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port()
}

/// Gives a path to the engine's user, where we may.
pub fn give(path: &Path, user: Option<&str>) {
    let Some(user) = user.filter(|_| rustix::process::geteuid().is_root()) else { return };
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|l| l.split(':').next() == Some(user)).expect("the user exists");
    let ids: Vec<u32> = line.split(':').skip(2).take(2).map(|n| n.parse().unwrap()).collect();
    chown(path, Some(ids[0]), Some(ids[1])).unwrap();
}

/// Calls until it is true or the time is over.
pub async fn eventually(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is().await {
        assert!(begun.elapsed() < PATIENCE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// A verb that must fail, and say why in a sentence.
pub fn refused<T>(done: Result<T>, what: &str) -> mainstay_model::Error {
    let e = done.err().unwrap_or_else(|| panic!("{what} was not refused"));
    assert!(e.kind != mainstay_model::Kind::Internal && e.message.len() > 20, "{what}: {e:?}");
    e
}
