//! Terminals: `cluster connect` for scripts and by hand, and what is left of one when Mainstay dies.

use crate::support::{Mainstay, Said, said, until};
use serde_json::Value;
use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Runs the statements as a script would.
fn script(m: &Mainstay, args: &[&str], input: &str) -> Said {
    let mut child = m
        .command(&[&["cluster", "connect"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that was turned away reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    said(child.wait_with_output().unwrap())
}

fn answers(s: &Said) -> Vec<Value> {
    s.out.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

/// A person at a terminal: `script` gives the command one.
struct Person {
    child: Child,
    seen: Arc<Mutex<String>>,
}

impl Person {
    fn connect(m: &Mainstay, cluster: &str) -> Person {
        // A shell that waited for the command would get the typed interrupt too, and end as interrupted.
        let line = format!("exec {} cluster connect {cluster}", crate::support::BIN);
        let token = std::fs::read_to_string(m.data().join("admin.token")).unwrap();
        let mut command = Command::new("script");
        command.args(["-qefc", &line, "/dev/null"]).env("TERM", "xterm");
        command.env("MAINSTAY_SERVER", &m.url).env("MAINSTAY_TOKEN", token.trim());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (seen, mut out) = (Arc::new(Mutex::new(String::new())), child.stdout.take().unwrap());
        let into = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = out.read(&mut buffer) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        Person { child, seen }
    }
    fn types(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).and_then(|()| stdin.flush()).unwrap();
    }
    /// Waits for it in what came since the last time.
    fn sees(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mut seen = self.seen.lock().unwrap();
            if let Some(at) = seen.find(what) {
                seen.drain(..at + what.len());
                return;
            }
            assert!(Instant::now() < deadline, "never seen: {what:?} in {seen:?}");
            drop(seen);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    fn leaves(&mut self, keys: &str) -> i32 {
        self.types(keys);
        self.ends()
    }
    fn ends(&mut self) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "it goes on: {:?}", self.seen.lock().unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Statements of terminals that PostgreSQL still runs.
fn running(m: &Mainstay) -> String {
    m.psql("shop", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mainstay terminal'")
}

#[test]
fn sql_for_scripts_and_by_hand() {
    let mut m = Mainstay::start();
    m.cli(&["cluster", "create", "shop", "--engine", "postgres", "--replicas", "1"]);

    let made =
        script(&m, &["shop"], "CREATE TABLE t (a int,\n  b text);\nINSERT INTO t VALUES (1, 'ä'), (2, NULL);\nSELECT * FROM t ORDER BY a");
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(made.out, "CREATE TABLE\nINSERT 0 2\n a | b\n---+------\n 1 | ä\n 2 | NULL\n(2 rows)\n");

    let failed = script(&m, &["shop", "--output", "json"], "SELECT 1 AS one;\nSELECT 1/0;\nINSERT INTO t VALUES (3);\n");
    assert_eq!(failed.code, 1, "{}", failed.err);
    let all = answers(&failed);
    assert!(all.len() == 2 && all[0]["rows"][0][0] == "1" && all[0]["columns"][0]["type"] == "int4", "{all:?}");
    assert!(all[1]["error"]["code"] == "22012" && failed.err.contains("division by zero"), "{all:?} {}", failed.err);
    assert_eq!(m.psql("shop", "SELECT count(*) FROM t"), "2", "what comes after an error is not run");

    let open = script(&m, &["shop"], "BEGIN;\nINSERT INTO t VALUES (9);\n");
    assert_eq!((open.code, m.psql("shop", "SELECT count(*) FROM t").as_str()), (0, "2"), "an open transaction ends with the terminal");
    let unfinished = script(&m, &["shop"], "SELECT 'x");
    assert!(unfinished.code == 2 && unfinished.err.contains("has no end"), "{} {}", unfinished.code, unfinished.err);
    let replica = script(&m, &["shop", "--node", "shop-2"], "INSERT INTO t VALUES (4);");
    assert!(replica.code == 1 && replica.err.contains("read-only transaction"), "{} {}", replica.code, replica.err);
    let refused = script(&m, &["shop"], "ALTER SYSTEM SET work_mem = '1GB';");
    assert!(refused.code == 4 && refused.err.contains("mainstay cluster settings shop"), "{} {}", refused.code, refused.err);
    assert_eq!(script(&m, &["nobody"], "").code, 3);
    assert_eq!(script(&m, &["shop", "--node", "shop-9"], "").code, 3);
    let token = m.cli(&["token", "create", "reader", "--role", "operator"])["token"].as_str().unwrap().to_string();
    let lacking = script(&m, &["shop", "--token", &token], "SELECT 1;");
    assert!(lacking.code == 5 && lacking.err.contains("admin"), "{} {}", lacking.code, lacking.err);

    let mut ada = Person::connect(&m, "shop");
    ada.sees("writes go here");
    ada.sees("shop=> ");
    ada.types("SELECT a,\r");
    ada.sees("shop-> ");
    ada.types("b FROM t ORDER BY a;\r");
    ada.sees("(2 rows)");
    ada.sees("shop=> ");
    ada.types("SELECT pg_sleep(3600);\r");
    until("it runs", || m.psql("shop", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(3600)%'") == "1");
    ada.types("\x03");
    ada.sees("canceling statement due to user request");
    // The arrow brings back what was typed before.
    ada.types("\x1b[A\x1b[A\x15SELECT 'again';\r");
    ada.sees("(1 row)");
    ada.sees("shop=> ");
    assert_eq!(ada.leaves("\x04"), 0);
    until("nothing of it is left", || running(&m) == "0");

    let mut bob = Person::connect(&m, "shop");
    bob.sees("shop=> ");
    bob.types("BEGIN; LOCK TABLE t; SELECT pg_sleep(3600);\r");
    until("it runs", || m.psql("shop", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(3600)%'") == "1");
    let credentials = m.credentials("shop");
    m.kill();
    assert_eq!(bob.ends(), 7);
    // The endpoint outlives Mainstay. What waits for the lock gets it when the server notices who is gone.
    let count = credentials.psql("SELECT count(*) FROM t");
    assert_eq!((count.code, count.out.trim()), (0, "2"), "{}", count.err);
    m.up();
    let rows = m.cli(&["audit", "list", "--object", "shop"]);
    let text = rows.to_string();
    assert!(text.contains("openTerminal") && text.contains("closeTerminal") && !text.contains("pg_sleep"), "{text}");
}

#[test]
fn commands_for_scripts() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
    let made = script(&m, &["kv-one"], "SET a 'b c'\n\nRPUSH l 1 2\nLRANGE l 0 -1\nGET nothing\n");
    assert_eq!((made.code, made.out.as_str()), (0, "OK\n(integer) 2\n1) \"1\"\n2) \"2\"\n(nil)\n"), "{}", made.err);
    let json = script(&m, &["kv-one", "--output", "json"], "GET a\nLRANGE l 0 -1\nINCR a\nGET a\n");
    let all = answers(&json);
    assert!(json.code == 1 && all.len() == 3, "{all:?}");
    assert_eq!((&all[0]["value"], &all[1]["value"]), (&"b c".into(), &serde_json::json!(["1", "2"])));
    assert!(all[2]["error"]["message"].as_str().unwrap().contains("not an integer"), "{all:?}");
    let refused = script(&m, &["kv-one"], "CONFIG SET maxmemory 1\n");
    assert!(refused.code == 4 && refused.err.contains("mainstay cluster settings kv-one"), "{} {}", refused.code, refused.err);
    let mut ada = Person::connect(&m, "kv-one");
    ada.sees("kv-one-1> ");
    ada.types("BLPOP never 0\r");
    std::thread::sleep(Duration::from_millis(300));
    ada.types("\x03");
    ada.sees("UNBLOCKED");
    // Stopping the cluster ends it, with a word.
    m.cli(&["cluster", "stop", "kv-one", "--yes"]);
    assert_eq!(ada.ends(), 1);
    ada.sees("no longer reachable");
}
