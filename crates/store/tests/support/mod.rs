//! A real PostgreSQL for the time of a test, and nouns to fill stores with.

#![allow(clippy::disallowed_methods)]

use mainstay_model::{
    AuditEntry, AuditId, AuditResult, BackupId, ClusterId, ClusterName, Name, NodeId, Project, ProjectId, RestoreId, StorageId, Time,
    backup::{Backup, BackupKind, BackupStatus, Copy, Proof},
    cluster::{Cluster, Mode, SocketAddress, Wanted},
    node::Node,
    restore::{Restore, RestoreStatus},
};
use mainstay_store::{Store, clusters, projects, storages::StorageRow};
use std::{
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// Stopped and removed when dropped, also by a panic.
pub struct Server {
    child: Child,
    port: u16,
    host: String,
    _dir: TempDir,
}

impl Server {
    pub fn start() -> Server {
        let owner = engine_user();
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), owner.map(|o| o.0), owner.map(|o| o.1)).unwrap();
        let data = dir.path().join("data");
        let made = as_user(BIN, "initdb", owner, dir.path())
            .args(["-U", "store", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .status();
        assert!(made.unwrap().success(), "initdb");
        let host = format!("127.{}.{}.{}", 64 + std::process::id() % 64, std::process::id() / 64 % 256, 7);
        let port = TcpListener::bind((host.as_str(), 0)).unwrap().local_addr().unwrap().port();
        let child = as_user(BIN, "postgres", owner, dir.path())
            .arg("-D")
            .arg(&data)
            .args(["-h", &host, "-p", &port.to_string(), "-c", "unix_socket_directories=", "-c", "max_connections=60"])
            .spawn()
            .unwrap();
        let mut server = Server { child, port, host, _dir: dir };
        server.wait_ready();
        server
    }

    fn wait_ready(&mut self) {
        let started = Instant::now();
        while !as_user(BIN, "pg_isready", None, self._dir.path())
            .args(["-q", "-h", &self.host, "-p", &self.port.to_string()])
            .status()
            .unwrap()
            .success()
        {
            assert!(self.child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(30), "postgres did not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A new database with this name.
    pub async fn url(&self, name: &str) -> String {
        use sqlx::{Connection, Executor};
        let url = |db: &str| format!("postgres://store@{}:{}/{db}", self.host, self.port);
        let mut conn = sqlx::postgres::PgConnection::connect(&url("postgres")).await.unwrap();
        conn.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        url(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // Immediate shutdown; killed outright it would leave its shared memory behind.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        let _ = self.child.wait();
    }
}

/// PostgreSQL refuses to run as root.
fn engine_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let fields: Vec<&str> = users.lines().find(|l| l.starts_with("postgres:")).expect("user postgres").split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn as_user(bin: &str, program: &str, user: Option<(u32, u32)>, dir: &Path) -> Command {
    let mut command = Command::new(Path::new(bin).join(program));
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

pub const NOW: Time = Time::from_micros(1_795_000_000_123_456);

/// Texts that break what quotes or escapes by hand.
pub const HOSTILE: [&str; 8] = [
    "'; DROP TABLE clusters; --",
    "\" OR \"\"=\"",
    "$1 ? :name @x %s {0} \\x00 \\",
    "line\r\nforged: entry\x1b[31m",
    "nul\0inside",
    "😀 naïve \u{202e}reversed \u{feff}",
    "",
    "{\"json\": [1, null]}",
];

pub fn at(seconds: i64) -> Time {
    NOW.plus_seconds(seconds)
}

pub async fn project(store: &Store) -> Project {
    let mut tx = store.begin_write().await.unwrap();
    let project = projects::ensure_default(&mut tx, NOW).await.unwrap();
    mainstay_store::commit(tx).await.unwrap();
    project
}

pub fn other_project(name: &str) -> Project {
    Project { id: ProjectId::new(), name: Name::parse(name).unwrap(), created_at: NOW }
}

pub fn cluster(project: &ProjectId, name: &str, created_at: Time) -> Cluster {
    Cluster {
        id: ClusterId::new(),
        project: project.clone(),
        name: ClusterName::parse(name).unwrap(),
        engine: "postgres".into(),
        version: "15".into(),
        mode: Mode::PrimaryReplica,
        wanted: Wanted::Running,
        phase: None,
        phase_reason: None,
        primary: None,
        protected: true,
        auto_failover: false,
        settings: [("work_mem".to_string(), "4MB".to_string())].into(),
        allow_list: vec![],
        read_write: SocketAddress { host: "127.70.1.2".into(), port: 5432 },
        read_only: None,
        next_node: 1,
        generation: 7,
        created_at,
        deleted_at: None,
        bin: None,
        log: None,
    }
}

pub async fn stored_cluster(store: &Store, name: &str) -> Cluster {
    let cluster = cluster(&project(store).await.id, name, NOW);
    let mut tx = store.begin_write().await.unwrap();
    clusters::insert(&mut tx, &cluster).await.unwrap();
    mainstay_store::commit(tx).await.unwrap();
    cluster
}

pub fn node(cluster: &Cluster, number: i64) -> Node {
    Node {
        id: NodeId::new(),
        cluster: cluster.id.clone(),
        name: format!("{}-{number}", cluster.name),
        number,
        address: SocketAddress { host: "127.70.1.3".into(), port: 5432 },
        phase: None,
        created_at: NOW,
    }
}

pub fn storage(project: &ProjectId, name: &str) -> StorageRow {
    StorageRow {
        id: StorageId::new(),
        project: project.clone(),
        name: Name::parse(name).unwrap(),
        kind: "local".into(),
        region: Some("north".into()),
        place: HOSTILE.into(),
        created_at: NOW,
        limits: Default::default(),
        edition: 1,
        followed_by: None,
        last_check: None,
    }
}

pub fn backup(cluster: &Cluster, created_at: Time, storages: &[&StorageRow]) -> Backup {
    let copy = |s: &&StorageRow| Copy {
        storage: s.id.clone(),
        storage_name: s.name.to_string(),
        kind: s.kind.clone(),
        status: BackupStatus::Completed,
        snapshot: Some("abc".into()),
        added_bytes: Some(u64::MAX),
        verified_at: Some(created_at),
        error: None,
        tries: 0,
        tried_at: None,
        lock: None,
        expires_at: None,
        deleting_until: None,
    };
    Backup {
        id: BackupId::new(),
        project: cluster.project.clone(),
        cluster: cluster.id.clone(),
        cluster_name: cluster.name.clone(),
        kind: BackupKind::Manual,
        schedule: None,
        part_of: None,
        status: BackupStatus::Completed,
        proof: Proof::Verified,
        description: HOSTILE[4].into(),
        engine: "postgres".into(),
        engine_version: "15".into(),
        created_at,
        finished_at: None,
        expires_at: None,
        retention: None,
        pinned: false,
        deleting: None,
        data_bytes: Some(1),
        facts: None,
        checks: vec![],
        drill: None,
        error: None,
        copies: storages.iter().map(copy).collect(),
    }
}

pub fn restore(backup: &Backup, started_at: Time) -> Restore {
    Restore {
        id: RestoreId::new(),
        project: backup.project.clone(),
        backup: backup.id.clone(),
        target: backup.cluster.clone(),
        target_name: backup.cluster_name.to_string(),
        in_place: true,
        status: RestoreStatus::Running,
        started_at,
        finished_at: None,
        previous_label: None,
        previous_node: None,
        previous_until: None,
        safety_backup: None,
        error: None,
        until: None,
    }
}

pub fn entry(project: Option<&ProjectId>, actor: &str, result: AuditResult) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(),
        at: NOW,
        actor: actor.into(),
        action: "cluster.delete".into(),
        project: project.cloned(),
        object_kind: "cluster".into(),
        object_id: Some("cl_1".into()),
        object_name: Some("shop".into()),
        result,
        from: Some("127.0.0.1".into()),
        detail: serde_json::json!({ "why": HOSTILE }),
    }
}
