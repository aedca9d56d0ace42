//! Promotion under load through the endpoint, adding, removing, resyncing and rebooting nodes.

use crate::support::{Load, Mainstay, redis_load, sql_load};
use std::time::Duration;

/// Every acknowledged write is there afterwards.
fn none_lost(acked: &[u64], present: &std::collections::HashSet<u64>) {
    let lost: Vec<&u64> = acked.iter().filter(|n| !present.contains(n)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged writes lost: {lost:?}", lost.len(), acked.len());
}

fn sql_present(m: &Mainstay) -> std::collections::HashSet<u64> {
    m.psql("pg-one", "select n from w").lines().map(|l| l.parse().unwrap()).collect()
}

fn promote_under(m: &Mainstay, cluster: &str, node: &str, load: Load) -> Vec<u64> {
    std::thread::sleep(Duration::from_millis(800));
    let said = m.say(&["node", "promote", cluster, node, "--yes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("gap") || said.err.contains("held"), "the gap is not printed: {}", said.err);
    std::thread::sleep(Duration::from_millis(500));
    load.end()
}

fn promoted(m: &Mainstay, cluster: &str, node: &str) {
    let nodes = m.nodes(cluster);
    for n in &nodes {
        let expected = if n["name"] == node { "primary" } else { "replica" };
        assert_eq!((n["role"].as_str(), n["status"].as_str()), (Some(expected), Some("running")), "{nodes:?}");
    }
    let backups = m.cli(&["backup", "list", cluster]);
    let newest = &backups[0];
    assert_eq!((newest["kind"].as_str(), newest["status"].as_str()), (Some("promotion"), Some("completed")), "{newest}");
}

#[test]
fn a_promotion_of_postgres_loses_no_acknowledged_write() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres", "--replicas", "2"]);
    m.psql("pg-one", "create table w(n bigint primary key)");
    let acked = promote_under(&m, "pg-one", "pg-one-2", sql_load(m.credentials("pg-one")));
    assert!(acked.len() > 50, "the load did nothing: {}", acked.len());
    none_lost(&acked, &sql_present(&m));
    promoted(&m, "pg-one", "pg-one-2");
    // And back again: the old primary is a replica like any other.
    m.cli(&["node", "promote", "pg-one", "pg-one-1", "--yes"]);
    promoted(&m, "pg-one", "pg-one-1");
    none_lost(&acked, &sql_present(&m));
    let refused = m.say(&["node", "promote", "pg-one", "pg-one-1", "--yes"]);
    assert_eq!(refused.code, 4, "{}", refused.err);
}

#[test]
fn a_promotion_of_the_redis_family_loses_no_acknowledged_write() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv(), "--replicas", "2"]);
    let acked = promote_under(&m, "kv-one", "kv-one-3", redis_load(m.credentials("kv-one")));
    assert!(acked.len() > 100, "the load did nothing: {}", acked.len());
    let keys = m.redis("kv-one", &["keys", "w:*"]);
    let present = keys.lines().filter_map(|l| l.strip_prefix("w:")?.parse().ok()).collect();
    none_lost(&acked, &present);
    promoted(&m, "kv-one", "kv-one-3");
}

#[test]
fn nodes_come_and_go() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
    m.psql("pg-one", "create table w(n bigint primary key); insert into w values (1)");
    let node = m.cli(&["node", "add", "pg-one"]);
    assert_eq!(
        (node["name"].as_str(), node["role"].as_str(), node["status"].as_str()),
        (Some("pg-one-2"), Some("replica"), Some("running"))
    );
    assert_eq!(m.cli(&["cluster", "show", "pg-one"])["mode"], "primary-replica");
    m.cli(&["cluster", "resync", "pg-one", "--yes"]);
    m.cli(&["node", "reboot", "pg-one", "pg-one-2", "--yes"]);
    assert_eq!(m.say(&["node", "remove", "pg-one", "pg-one-1", "--yes"]).code, 4, "the primary is not removed");
    m.cli(&["node", "remove", "pg-one", "pg-one-2", "--yes"]);
    assert_eq!(m.nodes("pg-one").len(), 1);
    assert_eq!(m.psql("pg-one", "select count(*) from w"), "1");
    // A number is never given twice.
    assert_eq!(m.cli(&["node", "add", "pg-one"])["name"], "pg-one-3");
    m.cli(&["cluster", "restart", "pg-one", "--yes"]);
    m.cli(&["cluster", "stop", "pg-one", "--yes"]);
    assert_eq!(m.cli(&["cluster", "show", "pg-one"])["status"], "stopped");
    m.cli(&["cluster", "start", "pg-one"]);
    assert_eq!(m.psql("pg-one", "select count(*) from w"), "1");
    m.cli(&["cluster", "rotate", "pg-one", "--yes"]);
    assert_eq!(m.psql("pg-one", "select count(*) from w"), "1");
}

#[test]
fn plans_say_what_they_come_to() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres", "--replicas", "2"]);
    m.psql("pg-one", "create table w as select generate_series(1, 50000) n");
    for _ in 0..2 {
        m.cli(&["backup", "create", "pg-one"]);
    }
    let credentials = m.credentials("pg-one");
    let mut open: Vec<_> = (0..3).map(|_| credentials.session()).collect();
    for session in &mut open {
        assert_eq!(session.ask("select 1").as_deref(), Some("1"));
    }
    let numbers = |args: &[&str]| m.cli(&[args, &["--dry-run"]].concat())["numbers"].clone();
    let is = |n: &serde_json::Value, name: &str, value: u64| assert_eq!(n[name].as_u64(), Some(value), "{name}: {n}");

    let deleted = numbers(&["cluster", "delete", "pg-one"]);
    is(&deleted, "connections_cut", 3);
    is(&deleted, "backups_left", 3);
    is(&deleted, "backups_removed", 0);
    let erased = numbers(&["cluster", "delete", "pg-one", "--skip-final-backup"]);
    is(&erased, "backups_left", 0);
    is(&erased, "backups_removed", 2);
    let promoted = numbers(&["node", "promote", "pg-one", "pg-one-2"]);
    is(&promoted, "connections_cut", 3);
    is(&promoted, "bytes_lost", 0);
    is(&promoted, "replicas_left", 1);
    let removed = numbers(&["node", "remove", "pg-one", "pg-one-3"]);
    is(&removed, "replicas_left", 1);
    is(&removed, "backups_left", 2);
    assert!(removed["connections_cut"].is_u64(), "{removed}");
    let (one, all) = (numbers(&["cluster", "resync", "pg-one", "--node", "pg-one-2"]), numbers(&["cluster", "resync", "pg-one"]));
    let bytes = |n: &serde_json::Value| n["bytes_to_copy"].as_u64().unwrap();
    assert!(bytes(&one) > 1_000_000 && bytes(&all) > bytes(&one), "{one} {all}");
    is(&numbers(&["cluster", "allow", "pg-one", "--set", "10.0.0.0/8"]), "connections_cut", 3);
    is(&numbers(&["cluster", "allow", "pg-one", "--set", "127.0.0.0/8"]), "connections_cut", 0);
    // What a person reads.
    let said = crate::support::said(m.command(&["node", "promote", "pg-one", "pg-one-2", "--dry-run"]).output().unwrap());
    assert!(said.out.contains("connections cut: 3") && said.out.contains("replicas left: 1"), "{}", said.out);
    // None of it was done, and what cannot be asked is not known rather than none.
    for session in &mut open {
        assert_eq!(session.ask("select 2").as_deref(), Some("2"));
    }
    let gateway = m.processes().into_iter().find(|(_, line)| line.contains(" gateway")).unwrap().0;
    signal(&[rustix::process::Pid::from_raw(gateway).unwrap()], rustix::process::Signal::KILL);
    let deleted = numbers(&["cluster", "delete", "pg-one"]);
    assert!(deleted.as_object().unwrap().contains_key("connections_cut"), "{deleted}");
}

/// Every process that works in the node's data directory.
fn family(m: &Mainstay, node: &serde_json::Value) -> Vec<rustix::process::Pid> {
    let data = m.data().join("nodes").join(node["id"].as_str().unwrap()).join("data");
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_string_lossy().parse::<i32>().ok());
    let works_there = |pid: &i32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
    let found: Vec<_> = pids.filter(works_there).filter_map(rustix::process::Pid::from_raw).collect();
    assert!(!found.is_empty(), "nothing works in {}", data.display());
    found
}

fn signal(family: &[rustix::process::Pid], signal: rustix::process::Signal) {
    for pid in family {
        let _ = rustix::process::kill_process(*pid, signal);
    }
}

/// The old primary holds what nobody else may have: nothing lets it back but a resync.
fn fenced_until_resynced(m: &mut Mainstay, cluster: &str, old: &str) {
    let status = |m: &Mainstay| m.nodes(cluster).into_iter().find(|n| n["name"] == old).unwrap();
    let node = status(m);
    assert_eq!(node["status"], "fenced", "{node}");
    assert!(node["status_reason"].as_str().unwrap().contains("resync"), "{node}");
    m.kill();
    m.up();
    m.cli(&["cluster", "restart", cluster, "--yes"]);
    assert_eq!(status(m)["status"], "fenced");
    assert_eq!(m.say(&["node", "reboot", cluster, old, "--yes"]).code, 4);
    assert_eq!(m.say(&["node", "promote", cluster, old, "--allow-data-loss", "--yes"]).code, 4);
    m.cli(&["cluster", "resync", cluster, "--yes"]);
    let nodes = m.nodes(cluster);
    assert!(nodes.iter().all(|n| n["status"] == "running"), "{nodes:?}");
}

fn given_up(m: &Mainstay, cluster: &str, node: &str) {
    let refused = m.say(&["node", "promote", cluster, node, "--yes"]);
    assert!(refused.code == 4 && refused.err.contains("--allow-data-loss"), "{} {}", refused.code, refused.err);
    let forced = ["node", "promote", cluster, node, "--allow-data-loss"];
    let plan = m.cli(&[&forced[..], &["--dry-run"]].concat());
    assert_eq!(plan["kind"], "force_promote", "{plan}");
    assert!(plan["numbers"]["seconds_unseen"].is_u64() && plan["warnings"].as_array().unwrap().len() == 1, "{plan}");
    let without_a_yes = m.say(&forced);
    assert_eq!(without_a_yes.code, 2, "{}", without_a_yes.err);
    let done = m.say(&[&forced[..], &["--yes"]].concat());
    assert!(done.code == 0 && done.err.contains("lost:") && done.err.contains("fenced"), "{} {}", done.code, done.err);
    let audit = m.cli(&["audit", "list", "--action", "promoteNode"]);
    assert!(audit.to_string().contains("allow_data_loss"), "{audit}");
}

#[test]
fn a_postgres_that_hangs_is_given_up_only_when_that_is_said() {
    let mut m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres", "--replicas", "1"]);
    m.psql("pg-one", "create table w(n bigint primary key)");
    let load = sql_load(m.credentials("pg-one"));
    std::thread::sleep(Duration::from_millis(800));
    let old = family(&m, &m.nodes("pg-one")[0]);
    signal(&old, rustix::process::Signal::STOP);
    given_up(&m, "pg-one", "pg-one-2");
    // Woken up, nothing of it is there to answer anybody.
    signal(&old, rustix::process::Signal::CONT);
    std::thread::sleep(Duration::from_millis(500));
    let (acked, present) = (load.end(), sql_present(&m));
    assert!(acked.len() > 50, "the load did nothing: {}", acked.len());
    // What was acknowledged by the new primary is there; what is lost is the old one's tail.
    let lost: Vec<u64> = acked.iter().copied().filter(|n| !present.contains(n)).collect();
    let kept_before = acked.iter().filter(|n| present.contains(n) && lost.first().is_some_and(|first| *n > first)).count();
    assert!(present.contains(acked.last().unwrap()), "{lost:?}");
    assert!(lost.windows(2).all(|pair| pair[1] == pair[0] + 1), "a hole of {lost:?}, {kept_before} kept after it");
    fenced_until_resynced(&mut m, "pg-one", "pg-one-1");
    assert_eq!(sql_present(&m), present);
}

#[test]
fn a_dead_engine_of_the_redis_family_is_given_up_only_when_that_is_said() {
    let mut m = Mainstay::start();
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv(), "--replicas", "1"]);
    m.redis("kv-one", &["set", "before", "1"]);
    let node = m.nodes("kv-one")[0].clone();
    crate::support::until("the replica follows", || m.nodes("kv-one")[1]["lag_bytes"] == 0);
    // It dies, and what would bring it up again finds that it cannot.
    let data = m.data().join("nodes").join(node["id"].as_str().unwrap()).join("data");
    let old = family(&m, &node);
    std::fs::rename(&data, data.with_file_name("elsewhere")).unwrap();
    signal(&old, rustix::process::Signal::KILL);
    crate::support::until("it is seen to be gone", || m.nodes("kv-one")[0]["status"] != "running");
    given_up(&m, "kv-one", "kv-one-2");
    assert_eq!(m.redis("kv-one", &["get", "before"]), "1");
    m.redis("kv-one", &["set", "after", "1"]);
    std::fs::rename(data.with_file_name("elsewhere"), &data).unwrap();
    fenced_until_resynced(&mut m, "kv-one", "kv-one-1");
    assert_eq!(m.redis("kv-one", &["get", "after"]), "1");
}
