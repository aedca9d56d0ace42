//! The files a node runs with. They lie in `run` and are written anew before every start; the
//! server is never asked to rewrite its configuration. What must outlive a start without us is one
//! thing, the role, and it lies in the data directory.

use super::{
    Flavour,
    accounts::{REPLICATION, access_list},
    connect::admin,
    parameters, role,
};
use mainstay_drivers::{
    Result,
    engine::{Configured, Exposure, Node, Service},
    runtime::{FileSpec, InstanceSpec, Signal},
};
use redis::cmd;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

pub(super) use super::accounts::ADMIN;

pub(super) const DUMP: &str = "dump.rdb";

/// Names of the files of one exposure, so that a check beside a served node overwrites nothing.
fn stem(node: &Node) -> &'static str {
    match node.exposure {
        Exposure::Served => "served",
        Exposure::Isolated => "isolated",
    }
}

pub(super) fn socket(node: &Node) -> PathBuf {
    node.paths.sockets.join(format!("{}.sock", stem(node)))
}

fn main_file(node: &Node) -> PathBuf {
    node.paths.run.join(format!("{}.conf", stem(node)))
}

fn access_file(node: &Node) -> PathBuf {
    node.paths.run.join(format!("{}.acl", stem(node)))
}

pub(super) fn private(path: PathBuf, content: String) -> FileSpec {
    FileSpec { path, content: content.into_bytes(), mode: 0o600 }
}

/// What an isolated instance had been given, to be removed when it is done with.
pub(super) fn isolated_files(node: &Node) -> Vec<PathBuf> {
    let node = Node { exposure: Exposure::Isolated, ..node.clone() };
    vec![main_file(&node), access_file(&node), socket(&node)]
}

pub(super) fn service(flavour: &Flavour, node: &Node) -> Service {
    let served = node.exposure == Exposure::Served;
    Service {
        files: files(node),
        spec: InstanceSpec {
            program: node.installed.bin_dir.join(format!("{}-server", flavour.name)),
            args: vec![text(&main_file(node))],
            env: environment(node),
            working_dir: node.paths.root.clone(),
            user: node.installed.user.clone(),
            log_file: node.paths.log.join(if served { format!("{}.log", flavour.name) } else { "isolated.log".into() }),
            stop_signal: Signal::Term,
            grace: Duration::from_secs(60),
            restarts: if served { 5 } else { 0 },
            offline: !served,
            background: false,
        },
        ready_within: Duration::from_secs(15),
    }
}

pub(super) fn files(node: &Node) -> Vec<FileSpec> {
    vec![private(main_file(node), configuration(node)), private(access_file(node), access_list(&node.plan.accounts))]
}

/// Messages are read by people and code alike: English and UTC whatever the host speaks.
pub(super) fn environment(node: &Node) -> BTreeMap<String, String> {
    let mut env = node.installed.env.clone();
    env.insert("LC_ALL".into(), "C".into());
    env.insert("TZ".into(), "UTC".into());
    env
}

fn configuration(node: &Node) -> String {
    let mut lines = common_lines(node);
    match node.exposure {
        Exposure::Served => lines.extend(served_lines(node)),
        Exposure::Isolated => lines.extend(isolated_lines()),
    }
    let head = "# Written by Mainstay before every start. Change settings with Mainstay, not here.\n";
    lines.iter().fold(head.to_string(), |all, (name, value)| format!("{all}{name} {value}\n"))
}

type Line = (&'static str, String);

fn common_lines(node: &Node) -> Vec<Line> {
    vec![
        ("daemonize", "no".into()),
        ("supervised", "no".into()),
        // To standard output, and so to the file the runtime keeps.
        ("logfile", "\"\"".into()),
        ("always-show-logo", "no".into()),
        ("dir", quoted(&text(&node.paths.data))),
        ("dbfilename", DUMP.into()),
        ("appenddirname", role::LOG_DIR.into()),
        ("aclfile", quoted(&text(&access_file(node)))),
        ("unixsocket", quoted(&text(&socket(node)))),
        ("unixsocketperm", "700".into()),
        // It only guards servers without passwords; ours have them.
        ("protected-mode", "no".into()),
        // Dumped values that a client hands in are looked through before they are believed.
        ("sanitize-dump-payload", "clients".into()),
        ("rdbchecksum", "yes".into()),
        // The log is flushed at a stop and holds everything: to write a snapshot as well would only
        // make stops as slow as the data is large.
        ("shutdown-on-sigterm", "nosave".into()),
        ("shutdown-timeout", "5".into()),
    ]
}

fn served_lines(node: &Node) -> Vec<Line> {
    let address = node.plan.address.to_string();
    let mut lines: Vec<Line> = vec![
        ("bind", address.clone()),
        ("port", node.plan.port.to_string()),
        ("appendonly", "yes".into()),
        ("save", "3600 1 300 100 60 10000".into()),
        // Seen from its primary a replica has the address it connects from, on loopback always the same.
        ("replica-announce-ip", address),
        ("replica-announce-port", node.plan.port.to_string()),
        ("masteruser", REPLICATION.into()),
        ("masterauth", quoted(node.plan.accounts.replication.reveal())),
        ("repl-diskless-sync", "yes".into()),
        // Waiting for further replicas would cost each deploy and each backup five seconds.
        ("repl-diskless-sync-delay", "0".into()),
        // A replica keeps what it has until all of the new has arrived.
        ("repl-diskless-load", "disabled".into()),
        ("repl-backlog-size", "16mb".into()),
    ];
    lines.extend(parameters::chosen(&node.plan.settings).into_iter().map(|(name, value)| (name, quoted(&value))));
    lines.push(("include", quoted(&text(&role::file(&node.paths.data)))));
    lines
}

/// No network, no log yet, no snapshots of its own, no limit that would evict what was restored, and whoever is at
/// the socket may ask for digests of values.
fn isolated_lines() -> Vec<Line> {
    vec![
        ("port", "0".into()),
        ("appendonly", "no".into()),
        ("save", "\"\"".into()),
        ("maxmemory", "0".into()),
        ("maxmemory-policy", "noeviction".into()),
        ("enable-debug-command", "local".into()),
    ]
}

/// Paths of nodes are ours and UTF-8.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend(['\\', byte as char]),
            b' '..=b'~' => out.push(byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out + "\""
}

/// Writes the files for the next start, then tells the running server what differs.
pub(super) async fn configure(flavour: &Flavour, node: &Node) -> Result<Configured> {
    node.runtime.put_files(node.installed.user.as_deref(), files(node)).await?;
    let wanted = parameters::wanted(flavour.frees_lazily(&node.installed.version), &node.plan.settings)?;
    let mut session = admin(node).await?;
    let mut question = cmd("CONFIG");
    question.arg("GET").arg(wanted.iter().map(|w| w.name).collect::<Vec<_>>());
    let before: BTreeMap<String, String> = session.ask("reading its settings", &question).await?;
    let differs = |w: &&parameters::Wanted, now: &BTreeMap<String, String>| now.get(w.name).is_some_and(|v| *v != w.value);
    let changes: Vec<_> = wanted.iter().filter(|w| !w.needs_restart && differs(w, &before)).collect();
    if !changes.is_empty() {
        // All in one command, which takes every value or none.
        let mut change = cmd("CONFIG");
        change.arg("SET");
        changes.iter().for_each(|w| {
            change.arg(w.name).arg(&w.value);
        });
        session.ask::<()>("changing its settings", &change).await?;
    }
    let after: BTreeMap<String, String> = session.ask("reading its settings", &question).await?;
    let waits = wanted.iter().any(|w| w.needs_restart && differs(&w, &after));
    Ok(match (waits, before == after) {
        (true, _) => Configured::RestartNeeded,
        (false, false) => Configured::Reloaded,
        (false, true) => Configured::Unchanged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_quotes() {
        assert_eq!(quoted(r#"a"b\c"#), r#""a\"b\\c""#);
        assert_eq!(quoted("a\nappendonly no"), "\"a\\x0aappendonly no\"");
        assert_eq!(quoted("ä"), "\"\\xc3\\xa4\"");
    }
}
