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
