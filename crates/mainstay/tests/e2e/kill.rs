//! `kill -9` of `mainstay up` in the middle of everything: what was begun is finished or undone
//! after a new start, engines and open sessions go on, and nothing is left over.

use crate::support::Mainstay;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Kills at several moments of the verb, each on the same Mainstay; after each kill and new start
/// every operation has come to an end.
fn kill_during(m: &mut Mainstay, args: &[&str], after: Duration) -> Value {
    let said = m.say(&[args, &["--no-wait"]].concat());
    assert_eq!(said.code, 0, "{args:?}: {}", said.err);
    let operation = said.json()["id"].as_str().unwrap().to_string();
    std::thread::sleep(after);
    m.kill();
    m.up();
    ended(m, &operation)
}

fn ended(m: &Mainstay, operation: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let o = m.cli(&["operation", "show", operation]);
        match o["status"].as_str().unwrap() {
            "succeeded" | "failed" | "cancelled" => return o,
            "stuck" => panic!("stuck: {o}"),
            _ => assert!(Instant::now() < deadline, "never ends: {o}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn during_every_verb() {
    let mut m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres", "--replicas", "1"]);
    m.psql("pg-one", "create table w(n bigint primary key); insert into w select generate_series(1, 3000)");
    let mut session = m.credentials("pg-one").session();
    assert_eq!(session.ask("select pg_backend_pid() > 0").as_deref(), Some("t"));

    let kv = m.kv();
    for (i, ms) in [30u64, 400, 1200].into_iter().enumerate() {
        let name = format!("kv-{i}a");
        let o = kill_during(&mut m, &["cluster", "create", &name, "--engine", kv, "--replicas", "1"], Duration::from_millis(ms / 10));
        assert_eq!(o["status"], "succeeded", "{o}");
        assert_eq!(m.redis(&name, &["ping"]), "PONG");
        let o = kill_during(&mut m, &["backup", "create", "pg-one"], Duration::from_millis(ms / 3));
        assert_eq!(o["status"], "succeeded", "{o}");
        let o = kill_during(&mut m, &["node", "add", "pg-one"], Duration::from_millis(ms));
        assert_eq!(o["status"], "succeeded", "{o}");
        let o = kill_during(&mut m, &["cluster", "delete", &name, "--yes", "--skip-final-backup"], Duration::from_millis(ms / 10));
        assert_eq!(o["status"], "succeeded", "{o}");
        assert_eq!(m.say(&["cluster", "show", &name]).code, 3);
    }
    // The session of before all of that is still the same session.
    assert_eq!(session.ask("select count(*) from w").as_deref(), Some("3000"));
    nothing_left_over(&m, 5);
}

#[test]
fn during_promotion_and_restore() {
    let mut m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres", "--replicas", "1"]);
    m.psql("pg-one", "create table w(n bigint primary key); insert into w select generate_series(1, 3000)");
    let backup = m.cli(&["backup", "create", "pg-one"])["id"].as_str().unwrap().to_string();
    for (i, ms) in [60u64, 350, 900].into_iter().enumerate() {
        let node = format!("pg-one-{}", 2 - i % 2);
        let o = kill_during(&mut m, &["node", "promote", "pg-one", &node, "--yes"], Duration::from_millis(ms));
        if o["status"] == "succeeded" {
            assert!(m.nodes("pg-one").iter().any(|n| n["name"] == node.as_str() && n["role"] == "primary"));
        }
        assert_eq!(m.psql("pg-one", "select count(*) from w"), "3000");
        m.psql("pg-one", "insert into w values (9999)");
        let o = kill_during(&mut m, &["restore", "run", &backup, "--to", "pg-one", "--yes"], Duration::from_millis(ms * 2));
        let expected = if o["status"] == "succeeded" { "3000" } else { "3001" };
        assert_eq!(m.psql("pg-one", "select count(*) from w"), expected, "{o}");
        m.psql("pg-one", "delete from w where n = 9999");
    }
    assert!(m.nodes("pg-one").iter().all(|n| n["status"] == "running"));
    nothing_left_over(&m, 2);
}

/// As many node directories and engines as nodes, and nothing on its way out.
fn nothing_left_over(m: &Mainstay, expected: usize) {
    let nodes: Vec<String> = m.remnants();
    assert_eq!(nodes.iter().filter(|n| n.starts_with("nodes/")).count(), expected, "{nodes:?}");
    assert!(!nodes.iter().any(|n| n.starts_with("tmp/")), "{nodes:?}");
    let operations = m.cli(&["operation", "list"]);
    let unfinished: Vec<&Value> = operations.as_array().unwrap().iter().filter(|o| o["finished_at"].is_null()).collect();
    assert!(unfinished.is_empty(), "{unfinished:?}");
}
