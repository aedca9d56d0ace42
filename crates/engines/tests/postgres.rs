//! PostgreSQL's engine against the real server: deploy, replicate, hand over, back up, restore.

mod support;

use mainstay_drivers::{
    engine::*,
    progress::Progress,
    runtime::{InstanceId, InstanceState, Runtime, StopMode},
    storage::{EntryKind, Source},
};
use mainstay_model::{
    ClusterId, ClusterName, NodeId, Secret, Time,
    backup::{Check, Facts},
    credentials::Accounts,
    node::{EngineState, NodeRole, Observed},
};
use std::{
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use support::{TestRuntime, eventually, free_port};
use tokio_postgres::{Client, NoTls};

const USER_PASSWORD: &str = "pä'ss:w\\ord";

struct Bed {
    dir: tempfile::TempDir,
    runtime: Arc<TestRuntime>,
    engine: Arc<dyn Engine>,
    installed: Installed,
}

impl Bed {
    async fn new() -> Bed {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let runtime = Arc::new(TestRuntime::default());
        let engine = mainstay_engines::by_name("postgres").unwrap();
        let installed = engine.discover(runtime.as_ref(), &[]).await.first().expect("PostgreSQL is installed").clone();
        Bed { dir, runtime, engine, installed }
    }

    async fn node(&self, cluster: &str, number: u32) -> Node {
        let (address, port) = free_port();
        let name = ClusterName::parse(cluster).unwrap();
        let keeper = self.engine.accounts().unwrap();
        let plan = NodePlan {
            id: NodeId::new(),
            name: format!("{cluster}-{number}"),
            cluster: ClusterId::new(),
            cluster_name: name.clone(),
            engine: "postgres".into(),
            version: self.installed.version.clone(),
            address,
            port,
            settings: Default::default(),
            keeps_log: false,
            accounts: Accounts {
                user: keeper.credentials_for(&name, Secret::new(USER_PASSWORD)),
                admin: Secret::new("admin-secret"),
                replication: Secret::new("repl:\\secret"),
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
        self.runtime.ensure(&instance(node), &service.spec).await.unwrap();
        let log = service.spec.log_file.clone();
        let deadline = Instant::now() + service.ready_within;
        while self.probe(node).await.state != EngineState::Ready {
            let up = self.runtime.inspect(&instance(node)).await.unwrap().state == InstanceState::Running;
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(up && Instant::now() < deadline, "{} is not ready: {}", node.plan.name, log());
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        if node.exposure == Exposure::Served {
            self.engine.started(node).await.unwrap();
        }
    }

    async fn stop(&self, node: &Node) {
        self.runtime.stop(&instance(node), StopMode::Graceful).await.unwrap();
    }

    async fn probe(&self, node: &Node) -> Observed {
        self.engine.probe(node, Time::default()).await
    }

    async fn primary(&self, cluster: &str) -> Node {
        let node = self.node(cluster, 1).await;
        self.engine.bootstrap(&node).await.unwrap();
        self.start(&node).await;
        self.engine.accounts().unwrap().ensure(&node).await.unwrap();
        node
    }

    async fn replica(&self, of: &Node, number: u32) -> Node {
        let node = self.node(of.plan.cluster_name.as_str(), number).await;
        self.engine.join(&node, &upstream(of), &Progress::default()).await.unwrap();
        self.start(&node).await;
        node
    }

    /// Reads a source as a storage does and lays the entries out as an agent does.
    async fn store(&self, source: Box<dyn Source>, into: &Path) -> mainstay_model::Result<Facts> {
        let (into, engine) = (into.to_owned(), self.engine.clone());
        tokio::task::spawn_blocking(move || store(source, &into, engine.as_ref())).await.unwrap()
    }
}

fn store(mut source: Box<dyn Source>, into: &Path, engine: &dyn Engine) -> mainstay_model::Result<Facts> {
    let mut last = PathBuf::new();
    while let Some(entry) = source.next() {
        let entry = entry?;
        assert!(entry.path > last, "{} comes after {}", entry.path.display(), last.display());
        last = entry.path.clone();
        let target = engine.backups().unwrap().restored_path(&entry.path).map(|p| into.join(p));
        match (entry.kind, target) {
            (EntryKind::Dir, target) => std::fs::create_dir_all(target.unwrap_or(into.to_owned())).unwrap(),
            (EntryKind::Symlink { .. }, _) => panic!("a link"),
            (EntryKind::File { size, may_vanish, open, .. }, target) => {
                let mut reader = match open() {
                    Err(e) if may_vanish && e.kind() == std::io::ErrorKind::NotFound => continue,
                    other => other?,
                };
                let mut bytes = vec![];
                reader.read_to_end(&mut bytes)?;
                assert_eq!(size, Some(bytes.len() as u64), "{}", entry.path.display());
                std::fs::write(target.unwrap(), bytes).unwrap();
            }
        }
    }
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

async fn login(node: &Node, user: &str, password: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host(node.plan.address.to_string()).port(node.plan.port).user(user).password(password).dbname(database);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn client(node: &Node) -> Client {
    let user = &node.plan.accounts.user;
    login(node, &user.user, user.password.reveal(), user.database.as_deref().unwrap()).await.unwrap()
}

async fn count(node: &Node, table: &str) -> i64 {
    client(node).await.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.map(|r| r.get(0)).unwrap_or(-1)
}

fn all_good(checks: &[Check]) {
    assert!(!checks.is_empty() && checks.iter().all(|c| c.ok), "{checks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_primary_serves_its_user_and_nobody_else() {
    let bed = Bed::new().await;
    let begun = Instant::now();
    let node = bed.primary("pg-one").await;
    eprintln!("deployed in {:?}", begun.elapsed());
    // A second call of each finds its work done.
    bed.engine.bootstrap(&node).await.unwrap();
    bed.engine.accounts().unwrap().ensure(&node).await.unwrap();

    let user = client(&node).await;
    for sql in ["CREATE TABLE t (n int)", "CREATE ROLE app LOGIN PASSWORD 'x'", "CREATE DATABASE other"] {
        user.batch_execute(sql).await.unwrap();
    }
    login(&node, "app", "x", "other").await.unwrap();
    assert!(login(&node, "user_pg_one", "wrong", "pg_one").await.is_err());
    assert!(login(&node, "mainstay", "admin-secret", "postgres").await.is_err(), "the administrator has no business on TCP");
    for role in ["pg_execute_server_program", "pg_write_server_files", "pg_read_server_files", "mainstay"] {
        assert!(user.batch_execute(&format!("GRANT {role} TO user_pg_one")).await.is_err(), "{role}");
    }
    assert!(user.batch_execute("COPY t TO PROGRAM 'id'").await.is_err());

    let seen = bed.probe(&node).await;
    assert_eq!((seen.state, seen.role, seen.connections), (EngineState::Ready, Some(NodeRole::Primary), Some(1)));
    assert!(seen.position.unwrap().bytes > 0 && seen.detail.is_none());
    for file in ["run/postgresql.conf", "run/replication.pgpass"] {
        assert_eq!(std::fs::metadata(node.paths.root.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!node.paths.run.join("initdb.password").exists());
    // The password went in as a verifier and is nowhere in what the server wrote down.
    let log = std::fs::read_to_string(node.paths.log.join("postgresql.log")).unwrap();
    assert!(!log.contains("secret"), "{log}");

    bed.stop(&node).await;
    assert_eq!(bed.probe(&node).await.state, EngineState::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_taken_over_or_wait_for_a_restart() {
    let bed = Bed::new().await;
    let mut node = bed.primary("settings").await;
    let show = async |name: &str| client(&node).await.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get::<_, String>(0);
    assert_eq!(show("work_mem").await, "4MB");
    assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Unchanged);
    node.plan.settings.insert("work_mem".into(), "8MB".into());
    node.plan.settings.insert("statement_timeout".into(), "1234ms".into());
    assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Reloaded);
    let show = async |name: &str| client(&node).await.query_one(&format!("SHOW {name}"), &[]).await.unwrap().get::<_, String>(0);
    assert_eq!((show("work_mem").await.as_str(), show("statement_timeout").await.as_str()), ("8MB", "1234ms"));
    node.plan.settings.insert("max_connections".into(), "50".into());
    assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::RestartNeeded);
    assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::RestartNeeded);
    bed.stop(&node).await;
    bed.start(&node).await;
    assert_eq!(bed.engine.configure(&node).await.unwrap(), Configured::Unchanged);
    let max: String = client(&node).await.query_one("SHOW max_connections", &[]).await.unwrap().get(0);
    assert_eq!(max, "50");
    // Every default is one the server takes.
    for p in bed.engine.parameters(&node.plan.version) {
        node.plan.settings.insert(p.name, p.default);
    }
    bed.engine.configure(&node).await.unwrap();
    bed.stop(&node).await;
    bed.start(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planned_hand_over_loses_nothing_and_everybody_follows() {
    let bed = Bed::new().await;
    let begun = Instant::now();
    let (old, failover) = (bed.primary("hand-over").await, bed.engine.failover().unwrap());
    let new = bed.replica(&old, 2).await;
    eprintln!("primary and replica in {:?}", begun.elapsed());
    let other = bed.replica(&old, 3).await;
    client(&old).await.batch_execute("CREATE TABLE t AS SELECT generate_series(1, 1000) n").await.unwrap();
    eventually("the replicas stream", || async {
        let seen = bed.probe(&new).await;
        seen.link_up == Some(true) && seen.lag_bytes == Some(0) && count(&new, "t").await == 1000 && count(&other, "t").await == 1000
    })
    .await;
    let (p, r) = (bed.probe(&old).await, bed.probe(&new).await);
    assert_eq!(p.replicas, ["hand-over-2", "hand-over-3"]);
    assert_eq!(
        (r.role, r.lag_seconds, r.position.as_ref().unwrap().behind(p.position.as_ref().unwrap())),
        (Some(NodeRole::Replica), Some(0.0), Some(0))
    );

    let begun = Instant::now();
    let stopped = failover.stop_writes(&old).await.unwrap();
    assert!(stopped.stopped);
    assert_eq!(failover.position(&old).await.unwrap(), stopped.position);
    failover.wait_for(&new, &stopped.position, Duration::from_secs(5)).await.unwrap();
    failover.promote(&new, &[upstream(&old), upstream(&other)]).await.unwrap();
    eprintln!("handed over in {:?}", begun.elapsed());
    failover.promote(&new, &[upstream(&old), upstream(&other)]).await.unwrap();
    failover.wait_for(&new, &stopped.position, Duration::ZERO).await.unwrap();
    assert_eq!(failover.follow(&new, &upstream(&other)).await.unwrap_err().code, "running_primary");
    client(&new).await.batch_execute("INSERT INTO t VALUES (0)").await.unwrap();

    for _ in 0..2 {
        failover.follow(&other, &upstream(&new)).await.unwrap();
        failover.follow(&old, &upstream(&new)).await.unwrap();
    }
    bed.start(&old).await;
    eprintln!("followed in {:?}", begun.elapsed());
    eventually("all follow the new primary", || async { count(&old, "t").await == 1001 && count(&other, "t").await == 1001 }).await;
    eprintln!("caught up in {:?}", begun.elapsed());
    eventually("all are seen", || async { bed.probe(&new).await.replicas == ["hand-over-1", "hand-over-3"] }).await;
    let (p, r) = (bed.probe(&new).await, bed.probe(&old).await);
    assert_eq!(r.position.unwrap().behind(&p.position.unwrap()), Some(0));
    let held: i64 = admin(&old).await.query_one("SELECT count(*) FROM pg_replication_slots", &[]).await.unwrap().get(0);
    assert_eq!(held, 0, "a replica holds no slots of others");

    // A rotated replication password reaches the replicas' files before it is needed.
    rotate_and_leave(&bed, &new, &old, &other).await;
}

async fn rotate_and_leave(bed: &Bed, primary: &Node, stays: &Node, leaves: &Node) {
    let before = client(leaves).await;
    let (mut primary, mut stays) = (primary.clone(), stays.clone());
    for node in [&mut primary, &mut stays] {
        node.plan.accounts.replication = Secret::new("another");
        node.plan.accounts.user.password = Secret::new("new-one");
    }
    bed.engine.accounts().unwrap().ensure(&primary).await.unwrap();
    eventually("the new password came with the log", || async { login(&stays, "hand_over", "new-one", "hand_over").await.is_ok() }).await;
    bed.engine.accounts().unwrap().ensure(&stays).await.unwrap();
    before.query_one("SELECT 1", &[]).await.expect("open sessions stay");
    bed.stop(&stays).await;
    bed.start(&stays).await;
    eventually("it streams with the new password", || async { bed.probe(&stays).await.link_up == Some(true) }).await;

    bed.stop(leaves).await;
    for _ in 0..2 {
        bed.engine.leave(&primary, &upstream(leaves)).await.unwrap();
    }
    let slots = "SELECT string_agg(slot_name, ',') FROM pg_replication_slots";
    assert_eq!(admin(&primary).await.query_one(slots, &[]).await.unwrap().get::<_, &str>(0), "hand_over_1");
}

async fn admin(node: &Node) -> Client {
    let mut config = tokio_postgres::Config::new();
    config.host_path(&node.paths.sockets).port(node.plan.port).user("mainstay").dbname("postgres");
    config.password(node.plan.accounts.admin.reveal());
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Inserts pairs of rows until told to stop; returns how many pairs were acknowledged.
async fn write_pairs(client: Client, stop: Arc<AtomicBool>) -> i64 {
    let mut pairs = 0;
    while !stop.load(Ordering::Relaxed) {
        client
            .batch_execute(&format!("BEGIN; INSERT INTO a VALUES ({pairs}, repeat('x', 500)); INSERT INTO b VALUES ({pairs}); COMMIT"))
            .await
            .unwrap();
        pairs += 1;
    }
    pairs
}

/// Captures `from` while somebody writes to `primary`, restores into a node of another cluster.
async fn back_up_and_restore(bed: &Bed, primary: &Node, from: &Node, target: &str) {
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged: i64 = count(primary, "b").await;
    let client = client(primary).await;
    let writer = tokio::spawn(write_pairs(client, stop.clone()));
    tokio::time::sleep(Duration::from_millis(200)).await;

    let (backups, begun) = (bed.engine.backups().unwrap(), Instant::now());
    let mut node = bed.node(target, 1).await;
    let source = backups.capture(from, &Progress::default()).await.unwrap();
    assert!(source.expected_bytes().unwrap() > 1 << 20);
    let facts = bed.store(source, &node.paths.data).await.unwrap();
    eprintln!("captured in {:?}", begun.elapsed());
    stop.store(true, Ordering::Relaxed);
    let written = acknowledged + writer.await.unwrap();
    assert!(facts.stop.as_ref().unwrap().bytes > facts.start.as_ref().unwrap().bytes);
    assert_eq!((facts.exact["tables.source"], facts.names["role"].as_str()), (3, "source"));
    assert!(facts.estimates.contains_key("rows.source.public.a"), "{:?}", facts.estimates);

    let begun = Instant::now();
    node.exposure = Exposure::Isolated;
    for _ in 0..2 {
        all_good(&backups.prepare(&node, &facts).await.unwrap());
    }
    bed.start(&node).await;
    for _ in 0..2 {
        let checks = backups.check(&node, &facts).await.unwrap();
        all_good(&checks);
        assert!(checks[0].detail.contains("timeline 2"), "{checks:?}");
    }
    assert!(std::net::TcpStream::connect((node.plan.address, node.plan.port)).is_err());
    bed.stop(&node).await;
    backups.settle(&node).await.unwrap();
    eprintln!("restored in {:?}", begun.elapsed());

    node.exposure = Exposure::Served;
    bed.start(&node).await;
    assert_eq!(bed.probe(&node).await.role, Some(NodeRole::Primary));
    let (a, b) = (count(&node, "a").await, count(&node, "b").await);
    assert!(a == b && a > acknowledged && a <= written, "{a} {b} of {written}");
    assert_eq!(count(&node, "u").await, 0, "an unlogged table comes back empty");
    assert_eq!(
        admin(&node).await.query_one("SELECT count(*) FROM pg_database WHERE datname = 'source'", &[]).await.unwrap().get::<_, i64>(0),
        0
    );
    // It is a whole primary: a replica can join it.
    let replica = bed.replica(&node, 2).await;
    eventually("a replica of the restored primary has its rows", || async { count(&replica, "a").await == a }).await;
}

async fn filled(bed: &Bed) -> Node {
    let node = bed.primary("source").await;
    let sql = "CREATE TABLE a (n int PRIMARY KEY, t text); CREATE TABLE b (n int); CREATE UNLOGGED TABLE u (n int);
               INSERT INTO u SELECT generate_series(1, 1000); ANALYZE";
    client(&node).await.batch_execute(sql).await.unwrap();
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_comes_back_under_another_name() {
    let bed = Bed::new().await;
    let node = filled(&bed).await;
    back_up_and_restore(&bed, &node, &node, "target").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_a_replica_comes_back_too() {
    let bed = Bed::new().await;
    let node = filled(&bed).await;
    let replica = bed.replica(&node, 2).await;
    back_up_and_restore(&bed, &node, &replica, "target").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_server_dies_or_is_given_up_fails_and_leaves_nothing() {
    let bed = Bed::new().await;
    let node = filled(&bed).await;
    let backups = bed.engine.backups().unwrap();
    let slots = async || admin(&node).await.query_one("SELECT count(*) FROM pg_replication_slots", &[]).await.unwrap().get::<_, i64>(0);

    let mut given_up = backups.capture(&node, &Progress::default()).await.unwrap();
    assert!(given_up.next().unwrap().is_ok());
    assert_eq!(slots().await, 1);
    drop(given_up);
    eventually("the server forgot the backup", || async { slots().await == 0 }).await;

    let elsewhere = bed.dir.path().join("elsewhere");
    bed.runtime.put_dir(node.installed.user.as_deref(), &elsewhere, 0o700).await.unwrap();
    let create = format!("CREATE TABLESPACE aside LOCATION '{}'", elsewhere.display());
    admin(&node).await.batch_execute(&create).await.unwrap();
    let e = backups.capture(&node, &Progress::default()).await.err().unwrap();
    assert!(e.code == "tablespaces" && e.message.contains("aside"), "{e:?}");
    admin(&node).await.batch_execute("DROP TABLESPACE aside").await.unwrap();

    // A file that was handed out and not read fails the whole.
    let mut skipped = backups.capture(&node, &Progress::default()).await.unwrap();
    let skipped = tokio::task::spawn_blocking(move || {
        loop {
            match skipped.next() {
                Some(Ok(_)) => {}
                Some(Err(e)) => return (e, skipped.next().is_some_and(|e| e.is_err()), skipped.finish().is_err()),
                None => panic!("a backup without its files"),
            }
        }
    });
    let (e, again, at_the_end) = skipped.await.unwrap();
    assert!(e.code == "capture_incomplete" && again && at_the_end, "{e:?}");

    let source = backups.capture(&node, &Progress::default()).await.unwrap();
    bed.runtime.kill(&instance(&node)).await;
    let e = bed.store(source, &bed.dir.path().join("lost")).await.unwrap_err();
    assert_eq!(e.code, "engine_lost");
    assert!(matches!(bed.probe(&node).await.state, EngineState::Crashed));
    assert_eq!(bed.engine.failover().unwrap().position(&node).await.unwrap_err().code, "not_clean");
    assert!(backups.capture(&node, &Progress::default()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_before_a_restored_server_serves() {
    let bed = Bed::new().await;
    let node = filled(&bed).await;
    client(&node).await.batch_execute("INSERT INTO a SELECT n, repeat('y', 100) FROM generate_series(-5000, -1) n").await.unwrap();
    client(&node).await.batch_execute("CREATE DATABASE taken").await.unwrap();
    let backups = bed.engine.backups().unwrap();
    let mut target = bed.node("target", 1).await;
    target.exposure = Exposure::Isolated;
    let facts = bed.store(backups.capture(&node, &Progress::default()).await.unwrap(), &target.paths.data).await.unwrap();
    let path: String = client(&node).await.query_one("SELECT pg_relation_filepath('a')", &[]).await.unwrap().get(0);
    let file = target.paths.data.join(path);
    let good = std::fs::read(&file).unwrap();
    let mut bad = good.clone();
    bad[9000] ^= 1;
    std::fs::write(&file, &bad).unwrap();
    let checks = backups.prepare(&target, &facts).await.unwrap();
    assert!(!checks[0].ok && checks[0].detail.contains("checksum mismatch"), "{checks:?}");

    // Damage that came in with the source shows in the pages' own checksums.
    std::fs::write(&file, &good).unwrap();
    all_good(&backups.prepare(&target, &facts).await.unwrap());
    bed.start(&target).await;
    let mut clash = target.clone();
    clash.plan.accounts.user.database = Some("taken".into());
    assert_eq!(backups.check(&clash, &facts).await.unwrap_err().code, "name_taken");
    all_good(&backups.check(&target, &facts).await.unwrap());
    bed.stop(&target).await;
    let mut bad = std::fs::read(&file).unwrap();
    bad[9000] ^= 1;
    std::fs::write(&file, bad).unwrap();
    assert_eq!(backups.settle(&target).await.unwrap_err().code, "integrity");

    std::fs::remove_file(target.paths.data.join("backup_label")).ok();
    assert_eq!(backups.prepare(&target, &facts).await.unwrap_err().code, "integrity");
}
