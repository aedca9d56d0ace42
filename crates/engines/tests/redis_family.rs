//! Redis and Valkey against the real servers: deploy, accounts, replicate, hand over, back up, restore.
//!
//! Every test runs for each member of the family that this machine has, also in the folders named
//! by `MAINSTAY_ENGINE_DIRS` and where `scripts/fetch-valkey.sh` unpacks.

mod support;

use mainstay_drivers::{
    engine::*,
    progress::Progress,
    runtime::{InstanceId, InstanceState, Runtime, StopMode},
    storage::{EntryKind, Source},
};
use mainstay_model::{
    ClusterId, ClusterName, Kind, NodeId, Secret, Time,
    backup::{Check, Facts},
    credentials::Accounts,
    node::{EngineState, NodeRole, Observed},
};
use redis::{FromRedisValue, RedisResult, aio::MultiplexedConnection, cmd};
use std::{
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use support::{TestRuntime, eventually, free_port};

const USER_PASSWORD: &str = "pä'ss \"w\\ord#1";

struct Bed {
    dir: tempfile::TempDir,
    runtime: Arc<TestRuntime>,
    engine: Arc<dyn Engine>,
    installed: Installed,
}

fn extra_dirs() -> Vec<PathBuf> {
    let named = std::env::var_os("MAINSTAY_ENGINE_DIRS").unwrap_or_default();
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps/valkey");
    std::env::split_paths(&named).filter(|p| p.is_dir()).chain(fetched.canonicalize()).collect()
}

/// One bed a member of the family; the absent ones are told.
async fn beds() -> Vec<Bed> {
    let mut all = vec![];
    for name in ["redis", "valkey"] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let runtime = Arc::new(TestRuntime::default());
        let engine = mainstay_engines::by_name(name).unwrap();
        match engine.discover(runtime.as_ref(), &extra_dirs()).await.first().cloned() {
            Some(installed) => all.push(Bed { dir, runtime, engine, installed }),
            None => mainstay_testkit::skipped(&format!("{name}: not on this machine; scripts/fetch-valkey.sh fetches Valkey")),
        }
    }
    assert!(!all.is_empty(), "neither Redis nor Valkey is on this machine");
    all
}

impl Bed {
    fn node(&self, cluster: &str, number: u32) -> Node {
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
                user: self.engine.accounts().unwrap().credentials_for(&name, Secret::new(USER_PASSWORD)),
                admin: Secret::new("admin-secret"),
                replication: Secret::new("repl \"secret\\"),
            },
        };
        let root = self.dir.path().join(format!("{cluster}{number}"));
        let paths =
            Paths { data: root.join("data"), run: root.join("run"), log: root.join("log"), sockets: root.join("s"), root: root.clone() };
        for dir in [&root, &paths.run, &paths.log, &paths.sockets] {
            std::fs::create_dir_all(dir).unwrap();
            std::fs::set_permissions(dir, PermissionsExt::from_mode(0o700)).unwrap();
            if let Some((uid, gid)) = self.installed.user.as_deref().and_then(support::ids) {
                std::os::unix::fs::chown(dir, Some(uid), Some(gid)).unwrap();
            }
        }
        Node { plan, paths, installed: self.installed.clone(), exposure: Exposure::Served, runtime: self.runtime.clone() }
    }

    async fn launch(&self, node: &Node) -> Service {
        let service = self.engine.service(node);
        self.runtime.put_files(node.installed.user.as_deref(), service.files.clone()).await.unwrap();
        self.runtime.ensure(&instance(node), &service.spec).await.unwrap();
        service
    }

    async fn start(&self, node: &Node) {
        let service = self.launch(node).await;
        let deadline = Instant::now() + service.ready_within;
        loop {
            let seen = self.probe(node).await;
            if seen.state == EngineState::Ready && (seen.role == Some(NodeRole::Primary) || seen.link_up == Some(true)) {
                break;
            }
            let up = self.runtime.inspect(&instance(node)).await.unwrap().state == InstanceState::Running;
            let log = || std::fs::read_to_string(&service.spec.log_file).unwrap_or_default();
            assert!(up && Instant::now() < deadline, "{} is not ready: {seen:?}\n{}", node.plan.name, log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.engine.started(node).await.unwrap();
    }

    async fn stop(&self, node: &Node) {
        self.runtime.stop(&instance(node), StopMode::Graceful).await.unwrap();
    }

    async fn probe(&self, node: &Node) -> Observed {
        self.engine.probe(node, Time::default()).await
    }

    async fn primary(&self, cluster: &str) -> Node {
        let node = self.node(cluster, 1);
        self.engine.bootstrap(&node).await.unwrap();
        self.start(&node).await;
        self.engine.accounts().unwrap().ensure(&node).await.unwrap();
        node
    }

    async fn replica(&self, of: &Node, number: u32) -> Node {
        let node = self.node(of.plan.cluster_name.as_str(), number);
        self.engine.join(&node, &upstream(of), &Progress::default()).await.unwrap();
        self.start(&node).await;
        node
    }

    fn failover(&self) -> &dyn Failover {
        self.engine.failover().unwrap()
    }

    fn backups(&self) -> &dyn Backups {
        self.engine.backups().unwrap()
    }

    /// Captures as a storage does and lays the file out as an agent does.
    async fn capture(&self, node: &Node, into: &Path) -> mainstay_model::Result<Facts> {
        let source = self.backups().capture(node, &Progress::default()).await?;
        let into = into.to_owned();
        tokio::task::spawn_blocking(move || store(source, &into)).await.unwrap()
    }

    /// Brings a captured file up as the data of a new node and returns the node, stopped.
    async fn restore(&self, from: &Path, facts: &Facts, cluster: &str) -> (Node, Vec<Check>) {
        let node = self.node(cluster, 1);
        let beside = Node {
            exposure: Exposure::Isolated,
            paths: Paths { data: node.paths.root.join("restored"), ..node.paths.clone() },
            ..node.clone()
        };
        std::fs::create_dir_all(&beside.paths.data).unwrap();
        std::fs::copy(from.join("dump.rdb"), beside.paths.data.join("dump.rdb")).unwrap();
        let mut checks = self.backups().prepare(&beside, facts).await.unwrap();
        if checks.iter().all(|c| c.ok) {
            self.start(&beside).await;
            checks.extend(self.backups().check(&beside, facts).await.unwrap());
            let again = self.backups().check(&beside, facts).await.unwrap();
            assert!(checks.ends_with(&again), "a second check finds the same");
            checks.extend(self.backups().prove(&beside, facts).await.unwrap());
            self.stop(&beside).await;
            self.backups().settle(&beside).await.unwrap();
            std::fs::rename(&beside.paths.data, &node.paths.data).unwrap();
        }
        (node, checks)
    }
}

fn store(mut source: Box<dyn Source>, into: &Path) -> mainstay_model::Result<Facts> {
    let entry = source.next().unwrap()?;
    assert_eq!((entry.path.as_path(), entry.mode), (Path::new("dump.rdb"), 0o600));
    let EntryKind::File { size: None, may_vanish: false, open, .. } = entry.kind else { panic!("not a stream") };
    std::fs::create_dir_all(into).unwrap();
    let mut reader = open()?;
    let mut file = std::fs::File::create(into.join("dump.rdb")).unwrap();
    std::io::copy(&mut reader, &mut file)?;
    assert!(source.next().is_none());
    source.finish()
}

fn instance(node: &Node) -> InstanceId {
    match node.exposure {
        Exposure::Served => InstanceId(node.plan.id.to_string()),
        Exposure::Isolated => InstanceId(format!("{}.check", node.plan.id)),
    }
}

fn upstream(node: &Node) -> Upstream {
    Upstream { node: node.plan.id.clone(), name: node.plan.name.clone(), address: node.plan.address, port: node.plan.port }
}

async fn open(addr: redis::ConnectionAddr, user: &str, password: &str) -> RedisResult<MultiplexedConnection> {
    use redis::IntoConnectionInfo;
    let login = redis::RedisConnectionInfo::default().set_username(user).set_password(password);
    let client = redis::Client::open(addr.into_connection_info()?.set_redis_settings(login))?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
    client.get_multiplexed_async_connection_with_config(&config).await
}

async fn login(node: &Node, user: &str, password: &str) -> RedisResult<MultiplexedConnection> {
    open(redis::ConnectionAddr::Tcp(node.plan.address.to_string(), node.plan.port), user, password).await
}

async fn client(node: &Node) -> MultiplexedConnection {
    login(node, "default", node.plan.accounts.user.password.reveal()).await.unwrap()
}

async fn try_run<T: FromRedisValue>(link: &mut MultiplexedConnection, words: &str) -> RedisResult<T> {
    let mut words = words.split(' ');
    let mut c = cmd(words.next().unwrap());
    words.for_each(|w| {
        c.arg(w);
    });
    c.query_async(link).await
}

async fn run<T: FromRedisValue>(node: &Node, words: &str) -> T {
    try_run(&mut client(node).await, words).await.unwrap()
}

async fn admin<T: FromRedisValue>(node: &Node, words: &str) -> T {
    let mut link = login(node, "mainstay", node.plan.accounts.admin.reveal()).await.unwrap();
    try_run(&mut link, words).await.unwrap()
}

async fn info(node: &Node, key: &str) -> String {
    let text: String = admin(node, "INFO").await;
    text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).unwrap_or("").to_string()
}

fn failed(checks: &[Check]) -> Vec<&Check> {
    checks.iter().filter(|c| !c.ok).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_and_a_replica_are_there_at_once() {
    for bed in beds().await {
        let started = Instant::now();
        let primary = bed.primary("pair").await;
        let replica = bed.replica(&primary, 2).await;
        eprintln!("{} {}: primary and replica after {:?}", bed.engine.info().title, bed.installed.version, started.elapsed());
        run::<()>(&primary, "SET greeting hello").await;
        eventually("the key arrives", || async { run::<Option<String>>(&replica, "GET greeting").await.as_deref() == Some("hello") }).await;
        assert!(try_run::<()>(&mut client(&replica).await, "SET a b").await.unwrap_err().to_string().contains("ReadOnly"));

        let at = format!("{}:{}", replica.plan.address, replica.plan.port);
        eventually("the primary sees it", || async { bed.probe(&primary).await.replicas == [at.as_str()] }).await;
        let (p, r) = (bed.probe(&primary).await, bed.probe(&replica).await);
        assert_eq!((p.role, p.link_up, p.detail), (Some(NodeRole::Primary), None, None));
        assert_eq!((r.role, r.link_up, r.detail), (Some(NodeRole::Replica), Some(true), None));
        assert_eq!(p.position.as_ref().map(|p| &p.history), r.position.as_ref().map(|p| &p.history));

        bed.stop(&primary).await;
        eventually("the replica notices", || async { bed.probe(&replica).await.link_up == Some(false) }).await;
        let alone = bed.probe(&replica).await;
        assert_eq!((alone.state, bed.probe(&primary).await.state), (EngineState::Ready, EngineState::Stopped));
        assert!(alone.detail.unwrap().contains("no connection to its primary"));
        bed.engine.bootstrap(&primary).await.unwrap();
        bed.start(&primary).await;
        assert_eq!(run::<String>(&primary, "GET greeting").await, "hello", "a second bootstrap changes nothing");
    }
}

#[rustfmt::skip]
const ALLOWED: [&str; 32] = ["SET k v", "GET k", "KEYS *", "DBSIZE", "INFO", "SELECT 3", "FLUSHDB", "FLUSHALL",
    "SWAPDB 0 1", "CLIENT SETNAME me", "CLIENT LIST", "CLIENT ID", "EVAL return(1) 0", "SCRIPT FLUSH", "PUBLISH c m",
    "PUBSUB CHANNELS", "WAIT 0 10", "ACL WHOAMI", "LASTSAVE", "ROLE", "COMMAND COUNT", "OBJECT HELP", "SCAN 0",
    "XADD s * a b", "SORT nothing", "TIME", "SLOWLOG GET", "LATENCY LATEST", "MEMORY USAGE k", "DUMP k", "MULTI",
    "DISCARD"];
#[rustfmt::skip]
const DENIED: [&str; 29] = ["CONFIG GET *", "CONFIG SET dir /tmp", "CONFIG REWRITE", "REPLICAOF NO ONE",
    "SLAVEOF NO ONE", "SHUTDOWN", "SHUTDOWN NOSAVE", "DEBUG SLEEP 1", "MODULE LIST", "MODULE LOAD /tmp/x.so",
    "FAILOVER", "ACL LIST", "ACL SETUSER x on", "ACL GETUSER mainstay", "ACL SAVE", "ACL LOAD", "SAVE", "BGSAVE",
    "BGREWRITEAOF", "SYNC", "PSYNC ? -1", "REPLCONF capa eof", "MIGRATE 127.0.0.1 1 k 0 10", "CLUSTER RESET",
    "MONITOR", "CLIENT PAUSE 1", "CLIENT UNPAUSE", "CLIENT KILL ID 1", "EVAL return(redis.call('config','get','dir')) 0"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_own_the_data_and_not_the_server() {
    for bed in beds().await {
        let node = bed.primary("acl").await;
        let mut link = client(&node).await;
        for words in ALLOWED {
            assert!(try_run::<redis::Value>(&mut link, words).await.is_ok(), "{words} is refused");
        }
        for words in DENIED {
            let refusal = try_run::<redis::Value>(&mut link, words).await.expect_err(words).to_string();
            assert!(refusal.contains("permission") || refusal.contains("NOPERM") || refusal.contains("not allowed"), "{words}: {refusal}");
        }
        assert!(login(&node, "default", "wrong").await.is_err());
        let mut bare = redis::Client::open((node.plan.address.to_string(), node.plan.port)).unwrap().get_connection().unwrap();
        assert!(cmd("PING").query::<()>(&mut bare).unwrap_err().to_string().contains("uthentication"));
        let mut peer = login(&node, "mainstay-replication", node.plan.accounts.replication.reveal()).await.unwrap();
        assert!(try_run::<()>(&mut peer, "GET k").await.is_err() && try_run::<()>(&mut peer, "ACL LIST").await.is_err());

        let service = bed.engine.service(&node);
        for file in &service.files {
            assert_eq!(std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.path.display());
            let text = String::from_utf8_lossy(&file.content).into_owned();
            assert!(!text.contains("admin-secret") && !text.contains("ss \\\"w"), "{}", file.path.display());
        }
        let pid = bed.runtime.pid(&instance(&node)).unwrap();
        let said = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&said).contains("secret"));
        if let Some((uid, _)) = bed.installed.user.as_deref().and_then(support::ids) {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(std::fs::metadata(format!("/proc/{pid}")).unwrap().uid(), uid);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_passwords_leave_sessions_alone_and_outlive_a_crash() {
    for bed in beds().await {
        let mut primary = bed.primary("rotate").await;
        let mut replica = bed.replica(&primary, 2).await;
        let (mut old, old_password) = (client(&primary).await, USER_PASSWORD);
        let keeper = bed.engine.accounts().unwrap();
        for node in [&mut primary, &mut replica] {
            node.plan.accounts.user.password = Secret::new("new-password");
            node.plan.accounts.replication = Secret::new("new-replication");
            keeper.ensure(node).await.unwrap();
            keeper.ensure(node).await.unwrap();
            assert!(login(node, "default", old_password).await.is_err());
        }
        try_run::<()>(&mut old, "SET still here").await.expect("the old session goes on");
        assert!(try_run::<()>(&mut old, "CONFIG GET *").await.is_err(), "and gained nothing");
        for node in [&primary, &replica] {
            // The runtime brings a crashed server back without asking the engine for its files.
            bed.runtime.kill(&instance(node)).await;
            bed.runtime.ensure(&instance(node), &bed.engine.service(node).spec).await.unwrap();
        }
        eventually("both are back and in step", || async { bed.probe(&replica).await.link_up == Some(true) }).await;
        for node in [&primary, &replica] {
            assert!(login(node, "default", old_password).await.is_err());
            eventually("the write is there", || async { run::<Option<String>>(node, "GET still").await.as_deref() == Some("here") }).await;
        }
    }
}

/// One value of each type, whose dumped form is compared after a restore.
const EVERYTHING: [&str; 8] = [
    "SET string value",
    "RPUSH list a b c",
    "SADD set 1 2 3",
    "ZADD sorted 1 a 2.5 b",
    "HSET hash f v g w",
    "XADD stream 1-1 a b",
    "PFADD log a b c",
    "SETBIT bits 100 1",
];

async fn dumped(node: &Node, words: &str) -> Vec<u8> {
    run(node, &format!("DUMP {}", words.split(' ').nth(1).unwrap())).await
}

struct Load {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    transactions: Arc<AtomicU64>,
}

impl Load {
    /// Writers whose every transaction leaves `left` and `right` equal and adds a key.
    async fn on(node: &Node) -> Load {
        let (stop, transactions) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = vec![];
        for writer in 0..2 {
            let (mut link, stop, transactions) = (client(node).await, stop.clone(), transactions.clone());
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let n = transactions.fetch_add(1, Ordering::Relaxed);
                    let mut both = redis::pipe();
                    both.atomic().cmd("INCR").arg("left").cmd("SET").arg(format!("w{writer}:{n}")).arg("x").cmd("INCR").arg("right");
                    both.query_async::<()>(&mut link).await.unwrap();
                }
            }));
        }
        Load { stop, tasks, transactions }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.transactions.load(Ordering::Relaxed)
    }
}

async fn fill(node: &Node, megabytes: usize) {
    let mut link = client(node).await;
    for n in 0..megabytes {
        let noise: Vec<u8> = (0..1 << 20).map(|_| rand::random()).collect();
        cmd("SET").arg(format!("noise:{n}")).arg(noise).query_async::<()>(&mut link).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_writes_is_one_moment_and_comes_back_for_good() {
    for bed in beds().await {
        let primary = bed.primary("busy").await;
        for words in EVERYTHING {
            run::<redis::Value>(&primary, words).await;
        }
        fill(&primary, 8).await;
        let load = Load::on(&primary).await;
        eventually("writes happen", || async { load.transactions.load(Ordering::Relaxed) > 200 }).await;
        let taken = bed.dir.path().join("taken");
        let facts = bed.capture(&primary, &taken).await.unwrap();
        let written = load.end().await;

        assert_eq!((facts.engine.as_str(), facts.engine_version.as_str()), (bed.engine.info().name, bed.installed.version.as_str()));
        assert_eq!((facts.role, facts.node.as_str()), (Some(NodeRole::Primary), "busy-1"));
        assert_eq!(facts.history, info(&primary, "master_replid").await);
        assert!(facts.stop.as_ref().unwrap().bytes >= facts.start.as_ref().unwrap().bytes);
        let file = std::fs::read(taken.join("dump.rdb")).unwrap();
        assert_eq!(file[file.len() - 9], 0xff, "the stream's own mark is stripped");

        let (node, checks) = bed.restore(&taken, &facts, "back").await;
        assert_eq!(failed(&checks), Vec::<&Check>::new());
        let mut seen = vec![];
        for (crash, round) in [(false, "first"), (true, "after a stop"), (false, "after a crash")] {
            bed.start(&node).await;
            let (left, right): (u64, u64) = (run(&node, "GET left").await, run(&node, "GET right").await);
            assert_eq!(left, right, "{round}: half a transaction");
            assert!(left > 0 && left <= written, "{round}");
            assert_eq!(run::<u64>(&node, "DBSIZE").await, facts.exact["keys.db0"], "{round}");
            assert_eq!(run::<u64>(&node, "DBSIZE").await, left + 2 + 8 + EVERYTHING.len() as u64, "{round}");
            for words in EVERYTHING {
                assert_eq!(dumped(&node, words).await, dumped(&primary, words).await, "{round}: {words}");
            }
            assert_eq!(run::<Vec<u8>>(&node, "GET noise:7").await, run::<Vec<u8>>(&primary, "GET noise:7").await, "{round}");
            seen.push(left);
            match crash {
                true => bed.runtime.kill(&instance(&node)).await,
                false => bed.stop(&node).await,
            }
        }
        assert!(seen.windows(2).all(|w| w[0] == w[1]));
        bed.start(&node).await;
        assert_eq!(bed.probe(&node).await.role, Some(NodeRole::Primary));
        let replica = bed.replica(&node, 2).await;
        eventually("a replica gets it all", || async { run::<u64>(&replica, "DBSIZE").await == facts.exact["keys.db0"] }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_empty_ones_and_several_databases_are_backed_up() {
    for bed in beds().await {
        let primary = bed.primary("kinds").await;
        let empty = bed.capture(&primary, &bed.dir.path().join("empty")).await.unwrap();
        assert_eq!(empty.exact["keys.db0"], 0);
        let (node, checks) = bed.restore(&bed.dir.path().join("empty"), &empty, "void").await;
        assert_eq!(failed(&checks), Vec::<&Check>::new());
        bed.start(&node).await;
        assert_eq!(run::<u64>(&node, "DBSIZE").await, 0);

        let mut link = client(&primary).await;
        for words in ["SET a 1", "SET gone soon PX 400", "SELECT 5", "SET b 2", "SET c 3 EX 1000"] {
            try_run::<()>(&mut link, words).await.unwrap();
        }
        let replica = bed.replica(&primary, 2).await;
        let taken = bed.dir.path().join("taken");
        let facts = bed.capture(&replica, &taken).await.unwrap();
        assert_eq!((facts.role, facts.exact["keys.db5"]), (Some(NodeRole::Replica), 2));
        assert_eq!(facts.history, info(&primary, "master_replid").await);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (node, checks) = bed.restore(&taken, &facts, "later").await;
        assert_eq!(failed(&checks), Vec::<&Check>::new(), "a key that expired meanwhile is no loss");
        bed.start(&node).await;
        let mut link = client(&node).await;
        assert_eq!(try_run::<u64>(&mut link, "DBSIZE").await.unwrap(), 1);
        try_run::<()>(&mut link, "SELECT 5").await.unwrap();
        assert_eq!(try_run::<u64>(&mut link, "DBSIZE").await.unwrap(), 2);
        assert!(try_run::<u64>(&mut link, "TTL c").await.unwrap() > 900);

        let mut lossy = facts.clone();
        lossy.exact.insert("keys.db5".into(), 9);
        let (_, checks) = bed.restore(&taken, &lossy, "lossy").await;
        assert_eq!(failed(&checks).len(), 3, "{checks:?}");
        assert!(failed(&checks).iter().any(|c| c.name == "values" && c.detail.contains("of db5 2 values were read")), "{checks:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capture_that_is_cut_is_no_backup() {
    for bed in beds().await {
        let primary = bed.primary("cut").await;
        fill(&primary, 24).await;
        let mut source = bed.backups().capture(&primary, &Progress::default()).await.unwrap();
        let EntryKind::File { open, .. } = source.next().unwrap().unwrap().kind else { panic!("not a file") };
        let mut reader = tokio::task::spawn_blocking(open).await.unwrap().unwrap();
        let mut some = vec![0; 100_000];
        reader.read_exact(&mut some).unwrap();
        bed.runtime.kill(&instance(&primary)).await;
        let rest = tokio::task::spawn_blocking(move || reader.read_to_end(&mut vec![])).await.unwrap();
        assert!(rest.is_err(), "the end of a connection is not the end of a file");
        assert_eq!(source.finish().unwrap_err().kind, Kind::Integrity);

        bed.start(&primary).await;
        let mut source = bed.backups().capture(&primary, &Progress::default()).await.unwrap();
        let EntryKind::File { open, .. } = source.next().unwrap().unwrap().kind else { panic!("not a file") };
        drop(tokio::task::spawn_blocking(open).await.unwrap().unwrap());
        assert!(source.finish().is_err(), "what nobody read is not captured");
        drop(source);
        eventually("the server is rid of it", || async { info(&primary, "rdb_bgsave_in_progress").await == "0" }).await;
        eventually("and of its link", || async { info(&primary, "connected_slaves").await == "0" }).await;

        let cancelled = Progress::default();
        let mut source = bed.backups().capture(&primary, &cancelled).await.unwrap();
        cancelled.cancel();
        let EntryKind::File { open, .. } = source.next().unwrap().unwrap().kind else { panic!("not a file") };
        assert!(tokio::task::spawn_blocking(open).await.unwrap().is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_never_reach_service() {
    for bed in beds().await {
        let primary = bed.primary("harm").await;
        fill(&primary, 1).await;
        let good = bed.dir.path().join("good");
        let facts = bed.capture(&primary, &good).await.unwrap();
        let bytes = std::fs::read(good.join("dump.rdb")).unwrap();
        let (mut flipped, half) = (bytes.clone(), bytes[..bytes.len() / 2].to_vec());
        flipped[bytes.len() / 2] ^= 1;
        for (name, content) in [("flipped", flipped), ("half", half), ("nothing", vec![])] {
            let bad = bed.dir.path().join(name);
            std::fs::create_dir_all(&bad).unwrap();
            std::fs::write(bad.join("dump.rdb"), content).unwrap();
            let (_, checks) = bed.restore(&bad, &facts, name).await;
            assert_eq!(failed(&checks).iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["snapshot_file"], "{name}: {checks:?}");
        }

        // A file beside a log of other data, and a file without a log: neither is served.
        let mut node = bed.node("stale", 1);
        node.exposure = Exposure::Isolated;
        bed.engine.bootstrap(&node).await.unwrap();
        let log = node.paths.data.join("appendonlydir");
        std::fs::write(log.join("appendonly.aof.manifest"), "file appendonly.aof.1.base.rdb seq 1 type b\n").unwrap();
        std::fs::copy(good.join("dump.rdb"), node.paths.data.join("dump.rdb")).unwrap();
        assert_eq!(failed(&bed.backups().prepare(&node, &facts).await.unwrap()), Vec::<&Check>::new());
        assert_eq!(std::fs::read_dir(&log).unwrap().count(), 0, "the stale log is gone");
        assert!(bed.backups().settle(&node).await.unwrap_err().message.contains("without any data"));
        let mut newer = facts.clone();
        newer.engine_version = "99.0.0".into();
        assert_eq!(bed.backups().prepare(&node, &newer).await.unwrap_err().code, "version_too_old");
        std::fs::remove_file(node.paths.data.join("dump.rdb")).unwrap();
        assert_eq!(bed.backups().prepare(&node, &facts).await.unwrap_err().kind, Kind::Integrity);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_instance_is_out_of_reach() {
    for bed in beds().await {
        let primary = bed.primary("isle").await;
        run::<()>(&primary, "SET a 1").await;
        let taken = bed.dir.path().join("taken");
        bed.capture(&primary, &taken).await.unwrap();
        // Beside the served instance of the same node, in the same folders.
        let beside = Node {
            exposure: Exposure::Isolated,
            paths: Paths { data: primary.paths.root.join("beside"), ..primary.paths.clone() },
            ..primary.clone()
        };
        std::fs::create_dir_all(&beside.paths.data).unwrap();
        std::fs::copy(taken.join("dump.rdb"), beside.paths.data.join("dump.rdb")).unwrap();
        bed.backups().prepare(&beside, &Facts::default()).await.unwrap();
        bed.start(&beside).await;
        let pid = bed.runtime.pid(&instance(&beside)).unwrap();
        let listening: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd"))
            .unwrap()
            .filter_map(|fd| {
                std::fs::read_link(fd.ok()?.path()).ok()?.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(String::from)
            })
            .collect();
        let tcp = ["tcp", "tcp6"].map(|f| std::fs::read_to_string(format!("/proc/net/{f}")).unwrap_or_default()).concat();
        assert!(!tcp.lines().any(|l| l.split_whitespace().nth(9).is_some_and(|inode| listening.iter().any(|i| i == inode))));
        assert_eq!(bed.probe(&beside).await.role, Some(NodeRole::Primary));
        assert_eq!(run::<String>(&primary, "GET a").await, "1", "the served one goes on");
        bed.runtime.kill(&instance(&beside)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_under_writes_loses_nothing_and_copies_nothing_anew() {
    for bed in beds().await {
        let old = bed.primary("hand-over").await;
        let (new, other) = (bed.replica(&old, 2).await, bed.replica(&old, 3).await);
        run::<()>(&old, "SET first 1").await;
        let mut writers = vec![];
        let next = Arc::new(AtomicU64::new(0));
        for _ in 0..4 {
            let (mut link, next) = (client(&old).await, next.clone());
            writers.push(tokio::spawn(async move {
                let mut acknowledged = vec![];
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    match try_run::<()>(&mut link, &format!("SET n:{n} {n}")).await {
                        Ok(()) => acknowledged.push(n),
                        Err(e) => return (acknowledged, e.to_string()),
                    }
                }
            }));
        }
        eventually("writes happen", || async { next.load(Ordering::Relaxed) > 300 }).await;
        let full = info(&new, "sync_full").await;
        let started = Instant::now();
        let stopped = bed.failover().stop_writes(&old).await.unwrap();
        assert!(!stopped.stopped);
        let position = bed.failover().position(&old).await.unwrap();
        assert!(position.behind(&stopped.position) == Some(0), "{position:?} {stopped:?}");
        bed.failover().wait_for(&new, &stopped.position, Duration::from_secs(5)).await.unwrap();
        bed.failover().promote(&new, &[upstream(&old), upstream(&other)]).await.unwrap();
        eprintln!("{}: writable again after {:?}", bed.engine.info().title, started.elapsed());
        // Lost replies: every verb once more.
        bed.failover().wait_for(&new, &stopped.position, Duration::from_secs(5)).await.unwrap();
        bed.failover().promote(&new, &[upstream(&old), upstream(&other)]).await.unwrap();
        for node in [&other, &old] {
            bed.failover().follow(node, &upstream(&new)).await.unwrap();
            bed.failover().follow(node, &upstream(&new)).await.unwrap();
        }
        let mut count = 0;
        for writer in writers {
            let (acknowledged, end) = writer.await.unwrap();
            assert!(end.contains("ReadOnly") || end.contains("UNBLOCKED"), "{end}");
            for n in acknowledged {
                assert_eq!(run::<Option<u64>>(&new, &format!("GET n:{n}")).await, Some(n), "an acknowledged write is lost");
                count += 1;
            }
        }
        assert!(count > 300);
        run::<()>(&new, "SET second 2").await;
        for node in [&old, &other] {
            eventually("it follows", || async { bed.probe(node).await.link_up == Some(true) }).await;
            eventually("new writes arrive", || async { run::<Option<String>>(node, "GET second").await.as_deref() == Some("2") }).await;
        }
        assert_eq!(info(&new, "sync_full").await, full, "nobody needed a copy of everything");
        assert!(info(&new, "sync_partial_ok").await.parse::<u32>().unwrap() >= 2);

        roles_outlive_restarts(&bed, &new, &old).await;
        assert_eq!(run::<u64>(&new, "GET second").await, 2);
        bed.engine.leave(&new, &upstream(&old)).await.unwrap();
    }
}

/// Also that of the promoted one, after a crash.
async fn roles_outlive_restarts(bed: &Bed, new: &Node, old: &Node) {
    bed.stop(old).await;
    bed.runtime.kill(&instance(new)).await;
    bed.start(new).await;
    bed.start(old).await;
    assert_eq!(bed.probe(new).await.role, Some(NodeRole::Primary));
    assert_eq!(bed.probe(old).await.role, Some(NodeRole::Replica));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_writes_stay_stopped_until_somebody_resumes_them() {
    for bed in beds().await {
        let primary = bed.primary("pause").await;
        let replica = bed.replica(&primary, 2).await;
        bed.failover().stop_writes(&primary).await.unwrap();
        let mut link = client(&primary).await;
        let waiting = tokio::spawn(async move { try_run::<()>(&mut link, "SET waited 1").await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!waiting.is_finished(), "writers wait");
        assert!(try_run::<()>(&mut client(&primary).await, "GET a").await.is_ok(), "readers do not");
        bed.failover().stop_writes(&primary).await.unwrap();
        bed.failover().resume_writes(&primary).await.unwrap();
        bed.failover().resume_writes(&primary).await.unwrap();
        waiting.await.unwrap().expect("a writer that waited goes on");
        run::<()>(&primary, "SET a 1").await;

        assert_eq!(bed.failover().stop_writes(&replica).await.unwrap_err().code, "not_a_primary");
        let mut far = bed.failover().position(&primary).await.unwrap();
        far.bytes += 1_000_000;
        let late = bed.failover().wait_for(&replica, &far, Duration::from_millis(50)).await.unwrap_err();
        assert!(late.kind == Kind::TimedOut && late.message.contains("bytes"), "{late}");
        far.history = "f".repeat(40);
        assert_eq!(bed.failover().wait_for(&replica, &far, Duration::from_secs(5)).await.unwrap_err().code, "other_history");

        // A stopped node learns its role for its next start.
        bed.stop(&primary).await;
        bed.failover().promote(&replica, &[]).await.unwrap();
        bed.failover().follow(&primary, &upstream(&replica)).await.unwrap();
        bed.start(&primary).await;
        assert_eq!(bed.probe(&primary).await.role, Some(NodeRole::Replica));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_lost_its_data_does_not_come_up_empty() {
    for bed in beds().await {
        let primary = bed.primary("lost").await;
        let replica = bed.replica(&primary, 2).await;
        run::<()>(&primary, "SET precious 1").await;
        eventually("the replica has it", || async { run::<u64>(&replica, "DBSIZE").await == 1 }).await;
        bed.runtime.kill(&instance(&primary)).await;
        std::fs::remove_dir_all(primary.paths.data.join("appendonlydir")).unwrap();
        let _ = std::fs::remove_file(primary.paths.data.join("dump.rdb"));
        bed.launch(&primary).await;
        eventually("it refuses", || async { bed.probe(&primary).await.state == EngineState::Crashed }).await;
        assert!(bed.probe(&primary).await.detail.unwrap().contains("does not start empty"));
        assert_eq!(run::<u64>(&replica, "DBSIZE").await, 1, "the replica keeps its data");
        bed.failover().promote(&replica, &[]).await.unwrap();
        assert_eq!(run::<u64>(&replica, "GET precious").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_changed_in_place_and_kept() {
    for bed in beds().await {
        let mut node = bed.primary("tuned").await;
        assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Unchanged);
        let given =
            [("maxmemory", "64MB"), ("maxmemory-policy", "allkeys-lru"), ("notify-keyspace-events", "KEA"), ("appendfsync", "always")];
        node.plan.settings = given.map(|(k, v)| (k.to_string(), v.to_string())).into();
        assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Reloaded);
        assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Unchanged);
        for _ in 0..2 {
            let now: Vec<String> = admin(&node, "CONFIG GET maxmemory").await;
            assert_eq!(now[1], (64 << 20).to_string());
            bed.stop(&node).await;
            bed.start(&node).await;
        }
        node.plan.settings.insert("io-threads".into(), "2".into());
        assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::RestartNeeded);
        bed.stop(&node).await;
        bed.start(&node).await;
        assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Unchanged);
        node.plan.settings.clear();
        bed.stop(&node).await;
        bed.start(&node).await;
        let all = bed.engine.parameters(&bed.installed.version);
        for p in &all {
            node.plan.settings.insert(p.name.clone(), p.default.clone());
            let known: Vec<String> = admin(&node, &format!("CONFIG GET {}", p.name)).await;
            assert_eq!(known.len(), 2, "{} is unknown to {}", p.name, bed.installed.version);
        }
        assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Unchanged, "our defaults are the server's");
    }
}
