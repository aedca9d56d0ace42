//! Consoles against the real servers: what they say, how they are interrupted, and what they cannot reach.

mod postgres;
mod redis_family;
#[path = "../support/mod.rs"]
mod support;

use async_trait::async_trait;
use mainstay_drivers::{
    console::{Conversation, Listener},
    engine::*,
    progress::Progress,
    runtime::{InstanceId, Runtime, StopMode},
};
use mainstay_model::{
    ClusterId, ClusterName, Kind, NodeId, Result, Secret, Time,
    console::{ConsoleDone, ConsoleError, ConsoleSaid, ConsoleValue},
    credentials::Accounts,
    node::{EngineState, NodeRole},
};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use support::{TestRuntime, free_port};

pub struct Bed {
    dir: tempfile::TempDir,
    pub runtime: Arc<TestRuntime>,
    pub engine: Arc<dyn Engine>,
    installed: Installed,
}

fn extra_dirs() -> Vec<PathBuf> {
    let named = std::env::var_os("MAINSTAY_ENGINE_DIRS").unwrap_or_default();
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps/valkey");
    std::env::split_paths(&named).filter(|p| p.is_dir()).chain(fetched.canonicalize()).collect()
}

/// One a version of the engine that this machine has, at most two; none where it has none.
pub async fn beds(engine: &str) -> Vec<Bed> {
    let engine = mainstay_engines::by_name(engine).unwrap();
    let found = engine.discover(&TestRuntime::default(), &extra_dirs()).await;
    if found.is_empty() {
        mainstay_testkit::skipped(&format!("consoles of {}: not on this machine", engine.info().name));
    }
    let bed = |installed| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Bed { dir, runtime: Arc::default(), engine: engine.clone(), installed }
    };
    found.into_iter().take(2).map(bed).collect()
}

impl Bed {
    async fn node(&self, cluster: &str, number: u32) -> Node {
        let (address, port) = free_port();
        let name = ClusterName::parse(cluster).unwrap();
        let plan = NodePlan {
            id: NodeId::new(),
            name: format!("{cluster}-{number}"),
            cluster: ClusterId::new(),
            cluster_name: name.clone(),
            engine: self.engine.info().name.into(),
            version: self.installed.version.clone(),
            address,
            port,
            settings: Default::default(),
            keeps_log: false,
            accounts: Accounts {
                user: self.engine.accounts().unwrap().credentials_for(&name, Secret::new("pä'ss:w\\ord")),
                admin: Secret::new("admin-secret"),
                replication: Secret::new("repl-secret"),
            },
        };
        let root = self.dir.path().join(format!("{cluster}{number}"));
        let paths =
            Paths { data: root.join("data"), run: root.join("run"), log: root.join("log"), sockets: root.join("s"), root: root.clone() };
        for dir in [&root, &paths.run, &paths.log, &paths.sockets] {
            self.runtime.put_dir(self.installed.user.as_deref(), dir, 0o700).await.unwrap();
        }
        Node { plan, paths, installed: self.installed.clone(), exposure: Exposure::Served, runtime: self.runtime.clone() }
    }

    async fn start(&self, node: &Node) {
        let service = self.engine.service(node);
        self.runtime.put_files(node.installed.user.as_deref(), service.files.clone()).await.unwrap();
        self.runtime.ensure(&InstanceId(node.plan.id.to_string()), &service.spec).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.engine.probe(node, Time::default()).await;
            if seen.state == EngineState::Ready && (seen.role == Some(NodeRole::Primary) || seen.link_up == Some(true)) {
                break;
            }
            assert!(Instant::now() < deadline, "{} is not ready: {seen:?}", node.plan.name);
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        self.engine.started(node).await.unwrap();
    }

    pub async fn stop(&self, node: &Node) {
        self.runtime.stop(&InstanceId(node.plan.id.to_string()), StopMode::Graceful).await.unwrap();
    }

    pub async fn primary(&self, cluster: &str) -> Node {
        let node = self.node(cluster, 1).await;
        self.engine.bootstrap(&node).await.unwrap();
        self.start(&node).await;
        self.engine.accounts().unwrap().ensure(&node).await.unwrap();
        node
    }

    pub async fn replica(&self, of: &Node) -> Node {
        let node = self.node(of.plan.cluster_name.as_str(), 2).await;
        let upstream = Upstream { node: of.plan.id.clone(), name: of.plan.name.clone(), address: of.plan.address, port: of.plan.port };
        self.engine.join(&node, &upstream, &Progress::default()).await.unwrap();
        self.start(&node).await;
        node
    }

    pub async fn open(&self, node: &Node) -> Talk {
        Talk(self.engine.console().unwrap().open(node).await.unwrap())
    }
}

#[derive(Default)]
struct Heard(Vec<ConsoleSaid>);

#[async_trait]
impl Listener for Heard {
    async fn say(&mut self, said: ConsoleSaid) -> Result<()> {
        self.0.push(said);
        Ok(())
    }
}

pub struct Talk(pub Box<dyn Conversation>);

/// What one statement came to.
#[derive(Debug)]
pub struct Answer {
    pub said: Vec<ConsoleSaid>,
}

impl Answer {
    pub fn rows(&self) -> Vec<Vec<Option<String>>> {
        let of = |s: &ConsoleSaid| if let ConsoleSaid::Rows { rows } = s { rows.clone() } else { vec![] };
        self.said.iter().flat_map(of).collect()
    }
    /// The first value of the first row.
    pub fn one(&self) -> String {
        self.rows().first().and_then(|r| r[0].clone()).unwrap_or_else(|| panic!("no value: {:?}", self.said))
    }
    pub fn error(&self) -> &ConsoleError {
        match self.said.last() {
            Some(ConsoleSaid::Error(e)) => e,
            other => panic!("no error: {other:?}"),
        }
    }
    pub fn done(&self) -> &ConsoleDone {
        match self.said.last() {
            Some(ConsoleSaid::Done(done)) => done,
            other => panic!("not done: {other:?}"),
        }
    }
    pub fn value(&self) -> &ConsoleValue {
        self.done();
        match self.said.first() {
            Some(ConsoleSaid::Reply { value }) => value,
            other => panic!("no reply: {other:?}"),
        }
    }
}

impl Talk {
    pub async fn run(&mut self, statement: &str) -> Answer {
        let mut heard = Heard::default();
        self.0.run(statement, &mut heard).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
        assert_eq!(heard.0.iter().filter(|s| s.ends_statement()).count(), 1, "{statement}: {:?}", heard.0);
        Answer { said: heard.0 }
    }

    /// Runs it and interrupts it again and again until it has ended.
    pub async fn interrupted(&mut self, statement: &str) -> Answer {
        let interrupter = self.0.interrupter();
        let mut heard = Heard::default();
        {
            let running = self.0.run(statement, &mut heard);
            tokio::pin!(running);
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            ticks.tick().await;
            loop {
                tokio::select! {
                    end = &mut running => break end.unwrap(),
                    _ = ticks.tick() => interrupter.interrupt().await.unwrap(),
                }
            }
        }
        Answer { said: heard.0 }
    }
}

/// A console that is told of the end of its server notices by itself.
pub async fn ends_with_its_server(bed: &Bed, node: &Node, mut talk: Talk) {
    bed.stop(node).await;
    let end = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Err(e) = talk.0.idle().await {
                return e;
            }
        }
    });
    assert_eq!(end.await.expect("it is noticed").kind, Kind::Unavailable);
    let opened = bed.engine.console().unwrap().open(node).await;
    assert_eq!(opened.err().expect("nobody is there").kind, Kind::Unavailable);
}
