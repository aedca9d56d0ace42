//! The command line from outside: help, usage, exit codes, and that it never panics when nobody
//! reads. What needs engines is in the end-to-end suite.
#![allow(clippy::disallowed_methods, reason = "tests play the part of a person at a terminal")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

const BIN: &str = env!("CARGO_BIN_EXE_mainstay");

/// Every verb there is, with arguments that parse.
const VERBS: &[&str] = &[
    "engine list",
    "engine show x",
    "cluster create abc --engine x",
    "cluster list",
    "cluster show abc",
    "cluster delete abc --yes",
    "cluster delete abc --now --yes",
    "cluster undelete abc",
    "cluster backup-policy abc",
    "cluster backup-policy abc --manual-keep-last 3 --yes",
    "cluster assertions abc",
    "cluster assertions abc --add rows --query x --expect y",
    "cluster assertions abc --try",
    "cluster assertions abc --remove rows",
    "cluster stop abc --yes",
    "cluster start abc",
    "cluster restart abc",
    "cluster credentials abc",
    "cluster connect abc",
    "cluster connect abc --node abc-1",
    "cluster rotate abc",
    "cluster settings abc",
    "cluster allow abc",
    "cluster pitr on abc",
    "cluster protect abc on",
    "cluster failover abc off",
    "cluster resync abc --yes",
    "node list abc",
    "node add abc",
    "node remove abc abc-1 --yes",
    "node promote abc abc-1 --yes",
    "node reboot abc abc-1",
    "node logs abc abc-1",
    "node metrics abc abc-1",
    "backup create abc",
    "backup list",
    "backup show bk",
    "backup verify bk",
    "backup drill bk",
    "backup drills abc",
    "backup download bk --file /tmp/mainstay-cli-nowhere/x",
    "backup delete bk --yes",
    "backup undelete bk",
    "backup pin bk",
    "backup copy bk --storage abc",
    "backup control-plane",
    "backup unpin bk",
    "restore plan bk --new abc",
    "restore run bk --to abc --yes",
    "restore list",
    "restore show rs",
    "restore undo rs --yes",
    "schedule set abc",
    "schedule show abc",
    "schedule list",
    "schedule pause abc",
    "schedule resume abc",
    "schedule preview abc",
    "schedule remove abc",
    "group create abc one two",
    "group set abc --add three",
    "group pin gb",
    "group unpin gb",
    "group list",
    "group show abc",
    "group backups abc",
    "group backup abc",
    "group restore gb --new-suffix -copy",
    "group delete abc --yes",
    "project create abc",
    "member list",
    "member invite a@db.example --role viewer",
    "member invitations",
    "member withdraw ln_x",
    "member add abc --role viewer",
    "member role abc admin",
    "member remove abc",
    "user list",
    "user show abc",
    "user me",
    "user administrator abc on",
    "user disable abc",
    "user enable abc",
    "user remove abc --yes",
    "user reset-password abc",
    "user first-link",
    "storage add abc --kind local --path /x",
    "storage set abc --bandwidth 20MB/s",
    "storage rekey abc --yes",
    "storage list",
    "storage show local",
    "storage check local",
    "storage remove abc",
    "notifier add abc --kind webhook --url http://127.0.0.1:9/",
    "notifier list",
    "notifier show abc",
    "notifier test abc",
    "notifier set abc --pause",
    "notifier remove abc",
    "alert list",
    "alert show al",
    "alert acknowledge al",
    "operation list",
    "operation show op",
    "operation watch op",
    "operation cancel op",
    "operation retry op",
    "operation skip op",
    "operation abandon op",
    "project list",
    "project show default",
    "project recovery-key default --file /tmp/mainstay-cli-nowhere/x",
    "project recovery-key default --file /tmp/mainstay-cli-nowhere/x --with-storages",
    "token create abc --role viewer",
    "token list",
    "token revoke tk",
    "audit list",
    "audit verify",
    "audit export --file /tmp/mainstay-cli-nowhere/audit.csv",
];

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn said(output: &Output) -> Said {
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// No server, no token, no files of this machine's user.
fn command(home: &Path) -> Command {
    let mut c = Command::new(BIN);
    c.env_clear().env("HOME", home).env("XDG_CONFIG_HOME", home).env("XDG_DATA_HOME", home).stdin(Stdio::null());
    c
}

fn run(args: &[&str]) -> Said {
    let home = tempfile::tempdir().unwrap();
    said(&command(home.path()).args(args).output().unwrap())
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// An address nobody listens on.
fn nobody() -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}")
}

#[test]
fn every_verb_has_help_with_an_example() {
    for line in VERBS {
        let verb: Vec<&str> = words(line)[..2].to_vec();
        let s = run(&[&verb[..], &["--help"]].concat());
        assert_eq!(s.code, 0, "{line}: {}", s.err);
        assert!(s.out.contains("Usage: mainstay") && s.out.contains("--output") && s.err.is_empty(), "{line}: {}", s.out);
        assert!(s.out.contains("Example"), "{line} has no example: {}", s.out);
    }
    for line in ["--help", "--version", "up --help", "down --help", "demo --help", "cluster --help"] {
        assert_eq!(run(&words(line)).code, 0, "{line}");
    }
}

#[test]
fn the_list_of_verbs_is_whole() {
    let commands = |help: &str| -> Vec<String> {
        let section = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
        section.lines().filter_map(|l| l.split_whitespace().next()).filter(|v| *v != "help").map(String::from).collect()
    };
    // Those without verbs run something here instead of asking a server.
    let nouns = commands(&run(&["--help"]).out);
    assert!(nouns.len() > 12, "{nouns:?}");
    for noun in &nouns {
        for verb in commands(&run(&[noun, "--help"]).out) {
            assert!(VERBS.iter().any(|l| l.starts_with(&format!("{noun} {verb}"))), "{noun} {verb} is not tried here");
        }
    }
}

#[test]
fn wrong_usage_is_2_and_says_so_on_standard_error() {
    let wrong = [
        "",
        "cluster",
        "cluster lst",
        "cluster list --bogus",
        "cluster create abc",
        "cluster create abc --engine x --mode bogus",
        "cluster create abc --engine x --replicas -1",
        "cluster create -rf --engine x",
        "cluster list --output xml",
        "cluster list --wait --no-wait",
        "cluster list --timeout 1d",
        "cluster delete abc --keep-backups",
        "cluster delete abc --now --skip-final-backup",
        "cluster backup-policy abc --manual-limit maybe",
        "cluster backup-policy abc --apply --min-keep 3",
        "cluster assertions abc --add rows",
        "cluster assertions abc --add rows --remove rows --query x --expect y",
        "cluster assertions abc --try --list",
        "cluster allow abc --clear --add 10.0.0.0/8",
        "cluster settings abc --set novalue",
        "schedule set abc --days monday",
        "schedule set abc --hours 24",
        "backup create abc --keep --retention-days 3",
        "restore run bk",
        "restore run --to a",
        "restore run bk --from-cluster b --to a",
        "cluster pitr maybe abc",
        "restore run bk --to a --new b",
        "token create abc --role king",
        "up --listen nonsense",
        "--server http://127.0.0.1:1 up",
        "schedule list",
        "server",
    ];
    for line in wrong {
        let args: Vec<&str> = if line.is_empty() { vec![] } else { words(line) };
        let s = run(&args);
        assert!(s.code == 2 && s.out.is_empty() && !s.err.is_empty(), "{line}: {} {} {}", s.code, s.out, s.err);
    }
}

#[test]
fn what_is_echoed_steers_no_terminal() {
    let s = run(&["cluster", "\x1b[31mevil\u{202e}"]);
    assert!(s.code == 2 && !s.err.contains('\x1b') && !s.err.contains('\u{202e}'), "{:?}", s.err);
}

#[test]
fn without_a_server_or_a_token_it_says_what_to_give() {
    let s = run(&["cluster", "list"]);
    // As root another Mainstay of this machine may be the default one.
    if !Path::new("/var/lib/mainstay/server.json").exists() {
        assert!(s.code == 2 && s.err.contains("MAINSTAY_SERVER"), "{} {}", s.code, s.err);
    }
    for bad in ["127.0.0.1:8420", "nonsense", "http://", "ftp://127.0.0.1"] {
        let s = run(&["cluster", "list", "--server", bad, "--token", "t"]);
        assert!(s.code == 2 && s.err.contains("not an address"), "{bad}: {} {}", s.code, s.err);
    }
}

#[test]
fn an_unreachable_server_is_7_for_every_verb() {
    let server = nobody();
    for line in VERBS {
        let s = run(&[&words(line)[..], &["--server", &server, "--token", "t", "--output", "json"]].concat());
        assert!([7, 2].contains(&s.code), "{line}: {} {}", s.code, s.err);
        assert!(s.code == 7 || line.contains("mainstay-cli-nowhere"), "{line}: {} {}", s.code, s.err);
        assert!(s.out.is_empty() && s.err.contains("error: "), "{line}: {} {}", s.out, s.err);
    }
}

/// A server that gives every request one answer.
fn answering(status: u16, code: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = format!(
        r#"{{"type":"about:blank#{code}","title":"t","status":{status},"detail":"it is so\u001b[31m","code":"{code}","request_id":"r"}}"#
    );
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            respond(stream, status, &body);
        }
    });
    format!("http://{address}")
}

fn respond(mut stream: TcpStream, status: u16, body: &str) {
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0usize;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
    }
    let mut sent = vec![0u8; length];
    let _ = reader.read_exact(&mut sent);
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/problem+json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
}

#[test]
fn answers_have_their_exit_codes() {
    let table = [
        (400, "malformed", 2),
        (401, "unauthenticated", 5),
        (403, "forbidden", 5),
        (404, "not_found", 3),
        (409, "busy", 4),
        (412, "stale", 4),
        (422, "invalid_field", 2),
        (428, "plan_required", 4),
        (429, "too_many", 4),
        (500, "internal", 1),
        (500, "integrity", 8),
        (504, "timed_out", 6),
        (507, "no_space", 1),
    ];
    for (status, code, exit) in table {
        let server = answering(status, code);
        let s = run(&["audit", "verify", "--server", &server, "--token", "t", "--output", "json"]);
        assert_eq!(s.code, exit, "{status} {code}: {}", s.err);
        assert!(s.out.is_empty() && s.err.starts_with("error: it is so") && !s.err.contains('\x1b'), "{:?}", s.err);
        assert_eq!(s.err.lines().count(), 1, "one sentence: {:?}", s.err);
    }
}

#[test]
fn no_token_at_all_is_the_callers_mistake() {
    let server = answering(401, "unauthenticated");
    let s = run(&["cluster", "list", "--server", &server]);
    assert!(s.code == 2 && s.err.contains("MAINSTAY_TOKEN"), "{} {}", s.code, s.err);
}

#[test]
fn a_dangerous_verb_without_a_terminal_needs_yes() {
    let cluster = r#"{"id":"cl_1","name":"abc","project":"default","engine":"e","version":"1","mode":"single","status":"running","status_reason":null,"nodes":[],"protected":false,"auto_failover":true,"endpoints":{"read_write":{"host":"h","port":1,"url":"u"},"read_only":null},"allow_list":[],"created_at":"2026-01-01T00:00:00Z","deleted_at":null,"recoverability":{"to":null,"copies_verified":0,"copies":0,"last_drill_at":null,"last_drill_seconds":null,"sentence":"s"}}"#;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            respond(stream, 200, cluster);
        }
    });
    for line in ["cluster delete abc", "cluster stop abc", "cluster resync abc"] {
        let s = run(&[&words(line)[..], &["--server", &server, "--token", "t"]].concat());
        assert!(s.code == 2 && s.err.contains("--yes") && s.out.is_empty(), "{line}: {} {}", s.code, s.err);
    }
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let home = tempfile::tempdir().unwrap();
    let mut child = command(home.path()).arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let s = said(&output);
    assert!(s.code == 0 && s.err.is_empty(), "{} {}", s.code, s.err);
}

#[test]
fn openapi_prints_the_document() {
    let s = run(&["openapi"]);
    let document: serde_json::Value = serde_json::from_str(&s.out).unwrap();
    assert!(s.code == 0 && document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["paths"].as_object().unwrap().len() > 20);
}

#[test]
fn patience_ends_with_6_and_a_signal_with_130() {
    // Accepts and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let s = run(&["cluster", "list", "--server", &server, "--token", "t", "--timeout", "1"]);
    assert!(s.code == 6 && s.out.is_empty(), "{} {}", s.code, s.err);
    let home = tempfile::tempdir().unwrap();
    let mut c = command(home.path());
    c.args(["cluster", "list", "--server", &server, "--token", "t"]).stderr(Stdio::piped());
    let child = c.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let s = said(&child.wait_with_output().unwrap());
    assert!(s.code == 130 && s.err.contains("interrupted"), "{} {}", s.code, s.err);
}

/// `up` and its way out, whatever the test does.
struct Up {
    child: Child,
    data: PathBuf,
    _home: tempfile::TempDir,
}

impl Up {
    fn start() -> Up {
        let home = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir().unwrap();
        let data = home.path().join("data");
        let child = Up::spawn(home.path(), &data, "127.0.0.1:0");
        Up { child, data, _home: home }
    }
    /// Returns once it serves.
    fn spawn(home: &Path, data: &Path, listen: &str) -> Child {
        let mut c = command(home);
        c.args(["up", "--listen", listen, "--data-dir"]).arg(data).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = c.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("http://127.0.0.1:"), "{line:?}");
        child
    }
    /// Killed at once, away for a while, and back at the same address.
    fn fall_and_rise(&mut self, away: Duration) {
        let known: serde_json::Value = serde_json::from_slice(&std::fs::read(self.data.join("server.json")).unwrap()).unwrap();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::thread::sleep(away);
        self.child = Up::spawn(self._home.path(), &self.data, known["server"].as_str().unwrap().strip_prefix("http://").unwrap());
    }
    fn ask(&self, args: &[&str]) -> Said {
        said(&command(self._home.path()).args(args).arg("--data-dir").arg(&self.data).output().unwrap())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = Command::new(BIN).args(["down", "--engines", "--data-dir"]).arg(&self.data).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_server_of_this_machine_is_found_and_kept_to_one() {
    let up = Up::start();
    let s = up.ask(&["cluster", "list", "--output", "json"]);
    assert_eq!((s.code, s.out.trim()), (0, "[]"), "{}", s.err);
    let s = up.ask(&["cluster", "list"]);
    assert!(s.code == 0 && s.out.is_empty() && s.err.contains("no clusters"), "{} {}", s.out, s.err);
    for form in ["table", "json", "yaml"] {
        let s = up.ask(&["storage", "list", "--output", form]);
        assert!(s.code == 0 && s.out.contains("local"), "{form}: {} {}", s.out, s.err);
    }
    assert_eq!(up.ask(&["cluster", "show", "nobody"]).code, 3);
    assert_eq!(up.ask(&["cluster", "list", "--token", "mst_wrong"]).code, 5);
    let s = up.ask(&["cluster", "create", "abc", "--engine", "x\x1b[0m", "--output", "json"]);
    assert!(s.code == 2 && s.out.is_empty() && !s.err.contains('\x1b'), "{} {}", s.code, s.err);
    assert_eq!(up.ask(&["storage", "add", "Bad Name", "--kind", "local", "--path", "/x"]).code, 2);
    let s = up.ask(&["audit", "verify"]);
    assert_eq!(s.code, 0, "{}", s.err);

    let second = said(&command(up._home.path()).args(["up", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&up.data).output().unwrap());
    assert!(second.code == 4 && second.err.contains(&up.child.id().to_string()), "{} {}", second.code, second.err);
}

#[test]
fn a_token_is_shown_once_and_a_key_written_once() {
    let up = Up::start();
    let s = up.ask(&["token", "create", "nightly", "--role", "viewer", "--expires", "3", "--output", "json"]);
    let created: serde_json::Value = serde_json::from_str(&s.out).unwrap();
    let token = created["token"].as_str().unwrap();
    assert_eq!(up.ask(&["cluster", "list", "--token", token]).code, 0);
    assert_eq!(up.ask(&["storage", "add", "second", "--kind", "local", "--path", "/x", "--token", token]).code, 5);
    assert!(!up.ask(&["token", "list", "--output", "json"]).out.contains(token));
    assert_eq!(up.ask(&["token", "revoke", created["id"].as_str().unwrap()]).code, 0);
    assert_eq!(up.ask(&["cluster", "list", "--token", token]).code, 5);

    let file = up._home.path().join("recovery.key");
    let key = |up: &Up| up.ask(&["project", "recovery-key", "default", "--file", file.to_str().unwrap()]);
    assert_eq!(key(&up).code, 0);
    let first = std::fs::read(&file).unwrap();
    assert!(first.len() > 24);
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions()) & 0o777, 0o600);
    assert_eq!(key(&up).code, 4, "an existing file is not overwritten");
    assert_eq!(std::fs::read(&file).unwrap(), first);
}

#[test]
fn a_waiting_verb_outlives_its_server() {
    let mut up = Up::start();
    let engine = mainstay_engines::all()[0].info().name;
    // A deployment may be done before the server falls: then another one is tried.
    for name in ["one", "two", "three", "four"] {
        let mut c = command(up._home.path());
        c.args(["cluster", "create", name, "--replicas", "2", "--output", "json", "--engine", engine, "--data-dir"]).arg(&up.data);
        let waiting = c.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while !up.ask(&["operation", "list", "--output", "json"]).out.contains(name) {
            std::thread::sleep(Duration::from_millis(20));
        }
        up.fall_and_rise(Duration::from_millis(1500));
        let s = said(&waiting.wait_with_output().unwrap());
        let cluster: serde_json::Value = serde_json::from_str(&s.out).unwrap_or_else(|e| panic!("{e}: {} {}", s.code, s.err));
        assert!(s.code == 0 && cluster["status"] == "running", "{} {cluster}", s.code);
        if s.err.contains("connection to the server was lost") {
            return;
        }
    }
    panic!("no deployment was under way when its server fell");
}

#[test]
fn a_dry_run_does_nothing() {
    let up = Up::start();
    let s = up.ask(&["storage", "add", "second", "--kind", "local", "--path", "/x", "--dry-run", "--output", "json"]);
    assert!(s.code == 0 && s.out.contains("would add"), "{} {}", s.out, s.err);
    let s = up.ask(&["token", "create", "abc", "--role", "viewer", "--dry-run"]);
    assert_eq!(s.code, 0);
    assert!(!up.ask(&["storage", "list", "--output", "json"]).out.contains("second"));
    assert!(!up.ask(&["token", "list", "--output", "json"]).out.contains("abc"));
}
