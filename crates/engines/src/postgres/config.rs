//! The files a node runs with. They lie in `run`, outside the data directory, and are written anew
//! before every start, so that a data directory can be copied, restored or handed to a person
//! without carrying addresses, accounts or limits of the node it came from.
//!
//! One thing must live in the data directory: whom a replica follows. It stays in
//! `postgresql.auto.conf`, which the server reads last, beside `standby.signal`.

use super::{parameters, tools::environment};
use crate::common::version_key;
use mainstay_drivers::{
    Result,
    engine::{Exposure, Node, Service, Upstream},
    runtime::{FileSpec, InstanceSpec, Signal},
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Mainstay's superuser: private socket only.
pub(super) const ADMIN: &str = "mainstay";
/// What replicas log in as.
pub(super) const REPLICATION: &str = "mainstay_replication";

/// The port an isolated instance's socket is named by: never that of a served one, should both
/// share a directory.
const ISOLATED_PORT: u16 = 1;

/// The first version that keeps summaries of its log.
const SUMMARIES_SINCE: u32 = 17;

/// Twice what PostgreSQL's own walsenders need for a deploy with two replicas and two backups.
const MAX_WAL_SENDERS: u32 = 16;

pub(super) fn port(node: &Node) -> u16 {
    match node.exposure {
        Exposure::Served => node.plan.port,
        Exposure::Isolated => ISOLATED_PORT,
    }
}

/// Names of the files of one exposure, so that a check beside a served node overwrites nothing.
struct Files {
    main: PathBuf,
    access: PathBuf,
    idents: PathBuf,
}

impl Files {
    fn of(node: &Node) -> Files {
        let stem = match node.exposure {
            Exposure::Served => "postgresql",
            Exposure::Isolated => "isolated",
        };
        let file = |kind: &str| node.paths.run.join(format!("{stem}{kind}.conf"));
        Files { main: file(""), access: file(".hba"), idents: file(".ident") }
    }
}

/// Where a replica finds the replication password: never in the data directory, which is backed up.
pub(super) fn pass_file(node: &Node) -> PathBuf {
    node.paths.run.join("replication.pgpass")
}

pub(super) fn pass_file_spec(node: &Node) -> FileSpec {
    let password = node.plan.accounts.replication.reveal().replace('\\', "\\\\").replace(':', "\\:");
    private(pass_file(node), format!("*:*:*:{REPLICATION}:{password}\n"))
}

pub(super) fn private(path: PathBuf, content: String) -> FileSpec {
    FileSpec { path, content: content.into_bytes(), mode: 0o600 }
}

pub(super) fn service(node: &Node) -> Service {
    let files = Files::of(node);
    let args = vec!["-D".into(), text(&node.paths.data), "-c".into(), format!("config_file={}", text(&files.main))];
    let served = node.exposure == Exposure::Served;
    let log = if served { "postgresql.log" } else { "isolated.log" };
    Service {
        files: config_files(node),
        spec: InstanceSpec {
            program: node.installed.bin_dir.join("postgres"),
            args,
            env: environment(node),
            working_dir: node.paths.root.clone(),
            user: node.installed.user.clone(),
            log_file: node.paths.log.join(log),
            // Fast shutdown: sessions are cut, replicas receive the last checkpoint.
            stop_signal: Signal::Int,
            grace: Duration::from_secs(60),
            restarts: if served { 5 } else { 0 },
            offline: !served,
            background: false,
        },
        ready_within: Duration::from_secs(15),
    }
}

pub(super) fn config_files(node: &Node) -> Vec<FileSpec> {
    let files = Files::of(node);
    let mut all = vec![
        private(files.main.clone(), main_file(node, &files)),
        private(files.access.clone(), access_file(node).into()),
        private(files.idents, String::new()),
    ];
    if node.exposure == Exposure::Served {
        all.push(pass_file_spec(node));
    }
    all
}

/// Removes what [`config_files`] wrote for an isolated instance.
pub(super) fn isolated_files(node: &Node) -> Vec<PathBuf> {
    let files = Files::of(&Node { exposure: Exposure::Isolated, ..node.clone() });
    vec![files.main, files.access, files.idents]
}

fn main_file(node: &Node, files: &Files) -> String {
    let mut lines = common_lines(node, files);
    match node.exposure {
        Exposure::Served => lines.extend(served_lines(node)),
        Exposure::Isolated => lines.extend(isolated_lines()),
    }
    let head = "# Written by Mainstay before every start. Change settings with Mainstay, not here.\n";
    lines.iter().fold(head.to_string(), |all, (name, value)| format!("{all}{name} = {}\n", quoted(value)))
}

type Line = (&'static str, String);

fn common_lines(node: &Node, files: &Files) -> Vec<Line> {
    vec![
        ("hba_file", text(&files.access)),
        ("ident_file", text(&files.idents)),
        ("port", port(node).to_string()),
        ("unix_socket_directories", text(&node.paths.sockets)),
        ("unix_socket_permissions", "0700".into()),
        ("cluster_name", node.plan.name.clone()),
        ("password_encryption", "scram-sha-256".into()),
        ("fsync", "on".into()),
        ("full_page_writes", "on".into()),
        ("wal_level", "replica".into()),
        ("log_destination", "stderr".into()),
        ("logging_collector", "off".into()),
        ("log_line_prefix", "%m [%p] %q%u@%d ".into()),
        ("log_timezone", "UTC".into()),
        ("timezone", "UTC".into()),
        ("lc_messages", "C".into()),
    ]
}

fn served_lines(node: &Node) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![
        ("listen_addresses", node.plan.address.to_string()),
        ("hot_standby", "on".into()),
        // A former primary may be rewound without checksums too.
        ("wal_log_hints", "on".into()),
        ("max_wal_senders", MAX_WAL_SENDERS.to_string()),
        ("max_replication_slots", MAX_WAL_SENDERS.to_string()),
        ("wal_sender_timeout", "20s".into()),
        ("wal_receiver_timeout", "20s".into()),
        ("wal_receiver_status_interval", "1s".into()),
        // How soon a replica looks again for its primary, and so how long it stands after a hand-over.
        ("wal_retrieve_retry_interval", "200ms".into()),
        ("tcp_keepalives_idle", "30".into()),
        ("tcp_keepalives_interval", "5".into()),
        ("tcp_keepalives_count", "4".into()),
    ];
    if version_key(&node.installed.version).first().is_some_and(|major| *major >= SUMMARIES_SINCE) {
        // So that a backup can ask which blocks changed since the one before.
        lines.push(("summarize_wal", "on".into()));
    }
    lines.extend(parameters::lines(&node.plan.version, &node.plan.settings));
    lines
}

/// Nobody can reach it, nothing leaves it, and nothing runs in it by itself. Limits are small, so
/// read-only sessions during recovery are off: those would demand the source's limits.
fn isolated_lines() -> Vec<Line> {
    vec![
        ("listen_addresses", String::new()),
        ("hot_standby", "off".into()),
        ("archive_mode", "off".into()),
        // With this and recovery.signal the server ends recovery at the end of the backup's own log and
        // opens a new timeline; without a new one it would reuse log names of the source.
        ("restore_command", "/bin/false".into()),
        ("recovery_target_timeline", "current".into()),
        // Makes the restored files durable with one call instead of one fsync each.
        ("recovery_init_sync_method", "syncfs".into()),
        ("primary_conninfo", String::new()),
        ("primary_slot_name", String::new()),
        ("synchronous_standby_names", String::new()),
        ("max_wal_senders", "0".into()),
        ("max_logical_replication_workers", "0".into()),
        ("shared_preload_libraries", String::new()),
        ("session_preload_libraries", String::new()),
        ("autovacuum", "off".into()),
        ("max_connections", "20".into()),
        ("shared_buffers", "32MB".into()),
        // What is asked of it must not fill the disk that everybody lives on.
        ("temp_file_limit", "1GB".into()),
        // Replaying a busy backup with few checkpoints is faster; there is nothing to recover twice.
        ("max_wal_size", "8GB".into()),
    ]
}

/// Who may come in how. Nothing on TCP is trusted; the administrator is not let in there at all.
fn access_file(node: &Node) -> &'static str {
    match node.exposure {
        Exposure::Isolated => "local all mainstay trust\nlocal all all scram-sha-256\n",
        Exposure::Served => {
            "local all mainstay scram-sha-256\n\
             local all all reject\n\
             host replication mainstay_replication all scram-sha-256\n\
             host postgres mainstay_replication all scram-sha-256\n\
             host all mainstay,mainstay_replication all reject\n\
             host replication all all reject\n\
             host all all all scram-sha-256\n"
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A value in PostgreSQL's configuration language: quotes doubled, backslashes and line ends escaped.
pub(super) fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n").replace('\r', "\\r");
    format!("'{escaped}'")
}

/// The slot a node holds on its primary. Node names are lower-case letters, digits and dashes.
pub(super) fn slot_name(node_name: &str) -> String {
    node_name.replace('-', "_")
}

/// Settings in `postgresql.auto.conf` that say whom to follow, where to stop and where to archive:
/// never inherited from another node or another life.
const INHERITED: [&str; 16] = [
    "primary_conninfo",
    "primary_slot_name",
    "synchronous_standby_names",
    "promote_trigger_file",
    "restore_command",
    "archive_command",
    "archive_cleanup_command",
    "recovery_end_command",
    "recovery_target",
    "recovery_target_name",
    "recovery_target_time",
    "recovery_target_xid",
    "recovery_target_lsn",
    "recovery_target_action",
    "recovery_target_inclusive",
    "recovery_target_timeline",
];

/// `postgresql.auto.conf` without what must not be inherited.
pub(super) fn cleaned(auto_conf: &str) -> String {
    let name = |line: &str| line.split(['=', ' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
    auto_conf.lines().filter(|line| !INHERITED.contains(&name(line.trim()).as_str())).map(|l| format!("{l}\n")).collect()
}

/// `postgresql.auto.conf` of a replica of `upstream`.
pub(super) fn following(auto_conf: &str, node: &Node, upstream: &Upstream) -> String {
    let link = conninfo(node, upstream.address, upstream.port);
    let slot = slot_name(&node.plan.name);
    format!("{}primary_conninfo = {}\nprimary_slot_name = {}\n", cleaned(auto_conf), quoted(&link), quoted(&slot))
}

fn conninfo(node: &Node, address: IpAddr, port: u16) -> String {
    let value = |v: &str| format!("'{}'", v.replace('\\', "\\\\").replace('\'', "\\'"));
    format!(
        "host={} port={port} user={REPLICATION} application_name={} passfile={} connect_timeout=5 gssencmode=disable",
        value(&address.to_string()),
        value(&node.plan.name),
        value(&text(&pass_file(node))),
    )
}

pub(super) fn auto_conf(data: &Path) -> PathBuf {
    data.join("postgresql.auto.conf")
}

pub(super) async fn read_auto_conf(data: &Path) -> Result<String> {
    match tokio::fs::read_to_string(auto_conf(data)).await {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_quotes() {
        assert_eq!(quoted("it's \\ here\nport = 1"), "'it''s \\\\ here\\nport = 1'");
    }

    #[test]
    fn what_must_not_be_inherited_is_taken_out() {
        let text = "# c\nprimary_conninfo = 'host=x'\nwork_mem = '4MB'\nPrimary_Slot_Name='a'\nrestore_command 'cp x'\n";
        assert_eq!(cleaned(text), "# c\nwork_mem = '4MB'\n");
    }

    #[test]
    fn a_slot_is_named_after_its_node() {
        assert_eq!(slot_name("pg-one-12"), "pg_one_12");
    }
}
