//! `kill -9` of `mainstay up` right after each named step of the verbs that move data began, and at
//! moments in between. Whatever the moment: what was begun comes to an end after the next start, nothing
//! is published half, nothing good is gone, nothing is left over, and what is called completed restores.
//!
//! A few moments of each verb here; every step and several moments in each with `MAINSTAY_KILLS=all`.

use crate::{
    servers::Bucket,
    support::{Mainstay, files, said, until},
};
use mainstay_model::backup::{BackupStatus, Deleting};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

/// When to kill: so long after the step began.
struct Moment {
    step: String,
    after: Duration,
}

fn moments(m: &Mainstay, verb: &[&str], few: &[(&str, u64)]) -> Vec<Moment> {
    let moment = |step: &str, ms: u64| Moment { step: step.into(), after: Duration::from_millis(ms) };
    if std::env::var("MAINSTAY_KILLS").as_deref() != Ok("all") {
        return few.iter().map(|(step, ms)| moment(step, *ms)).collect();
    }
    let plan = m.cli(&[verb, &["--dry-run"]].concat());
    let steps: Vec<&str> = plan["steps"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    steps.iter().flat_map(|step| [0, 70, 400].map(|ms| moment(step, ms))).collect()
}

/// Begins the verb, kills `up` at the moment, starts it again, and waits for the operation's end.
fn killed(m: &mut Mainstay, verb: &[&str], moment: &Moment) -> Value {
    let begun = m.say(&[verb, &["--no-wait"]].concat());
    assert_eq!(begun.code, 0, "{verb:?}: {}", begun.err);
    let operation = begun.json()["id"].as_str().unwrap().to_string();
    let seen = follow(m, &operation, &moment.step);
    std::thread::sleep(moment.after);
    m.kill();
    m.up();
    let ended = end(m, &operation);
    let why = ended["error"]["message"].as_str().unwrap_or_default();
    eprintln!("{} killed {:?} after {} ({seen}): {} {why}", verb[..2].join(" "), moment.after, moment.step, ended["status"]);
    ended
}

/// Reads the operation's events until the step has begun, or the operation is over.
fn follow(m: &Mainstay, operation: &str, step: &str) -> String {
    let token = std::fs::read_to_string(m.data().join("admin.token")).unwrap();
    let host = m.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let ask = format!(
        "GET /api/v1/operations/{operation}/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        token.trim()
    );
    stream.write_all(ask.as_bytes()).unwrap();
    let mut last = String::from("nothing seen");
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        let Some(event) = line.strip_prefix("data: ").and_then(|d| serde_json::from_str::<Value>(d).ok()) else { continue };
        last = event["step"].as_str().unwrap_or("no step").to_string();
        let begun = |s: &Value| s["name"] == step && !s["started_at"].is_null();
        if event["step"] == step || event["steps"].as_array().unwrap().iter().any(begun) || !event["finished_at"].is_null() {
            break;
        }
    }
    last
}

fn end(m: &Mainstay, operation: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
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

/// The backups that are called good, as the catalogue has it.
fn good(m: &Mainstay, storage: &str) -> BTreeSet<String> {
    let all = m.cli(&["backup", "list"]);
    let is_good = |b: &&Value| {
        let copies = b["copies"].as_array().unwrap();
        copies.iter().any(|c| c["storage"] == storage && c["status"] == "completed")
    };
    all.as_array().unwrap().iter().filter(is_good).map(|b| b["id"].as_str().unwrap().to_string()).collect()
}

fn key(m: &Mainstay) -> PathBuf {
    let key = m.dir.join("recovery.key");
    if !key.exists() {
        m.cli(&["project", "recovery-key", "default", "--file", key.to_str().unwrap()]);
    }
    key
}

/// What `restic` finds in the storage `local`, every repository checked, Mainstay's own left out.
fn published(m: &Mainstay) -> BTreeSet<String> {
    let (mut all, key) = (BTreeSet::new(), key(m));
    for config in files(&m.data().join("storages/local")).into_iter().filter(|f| f.ends_with("config")) {
        let restic = |args: &[&str]| {
            let mut c = Command::new("restic");
            said(c.arg("-r").arg(config.parent().unwrap()).args(["--no-cache", "--password-file"]).arg(&key).args(args).output().unwrap())
        };
        let check = restic(&["check"]);
        assert!(check.code == 0 && check.out.contains("no errors were found"), "{} {}", check.out, check.err);
        let snapshots = restic(&["snapshots", "--json"]).json();
        for snapshot in snapshots.as_array().unwrap() {
            let tag = |name: &str| snapshot["tags"].as_array().unwrap().iter().find_map(|t| t.as_str()?.strip_prefix(name));
            if tag("kind=") != Some("control_plane") {
                all.insert(tag("backup=").unwrap().to_string());
            }
        }
    }
    all
}

/// Engines and directories for exactly the nodes there are, and nothing under way or on its way out.
fn nothing_left_over(m: &Mainstay) {
    let nodes: usize = m.cli(&["cluster", "list"]).as_array().unwrap().iter().map(|c| c["nodes"].as_array().unwrap().len()).sum();
    let left = || {
        let all = m.remnants();
        (all.iter().filter(|n| n.starts_with("nodes/")).count(), all.iter().filter(|n| n.starts_with("tmp/")).count())
    };
    until("as many directories as nodes", || left() == (nodes, 0));
    let mut strange: Vec<PathBuf> = vec![];
    for node in std::fs::read_dir(m.data().join("nodes")).unwrap().flatten() {
        for entry in std::fs::read_dir(node.path()).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = ["data", "run", "log", "identity.json", "captures.json"].contains(&name.as_str()) || name.starts_with("previous-");
            if !known {
                strange.push(entry.path());
            }
        }
    }
    assert!(strange.is_empty(), "{strange:?}");
    for below in ["control-plane", "agent/borg/runs", "recovering"] {
        let dir = m.data().join(below);
        until("temporary files are gone", || std::fs::read_dir(&dir).into_iter().flatten().count() == 0);
    }
    let is_tool =
        |line: &str| ["restic", "borg ", "pg_basebackup", "initdb"].iter().any(|t| line.contains(t)) && !line.contains("mainstay up");
    let tools: Vec<_> = m.processes().into_iter().filter(|(_, line)| is_tool(line)).collect();
    assert!(tools.is_empty(), "{tools:?}");
    let open = m.cli(&["operation", "list"]);
    let open: Vec<&Value> = open.as_array().unwrap().iter().filter(|o| o["finished_at"].is_null()).collect();
    assert!(open.is_empty(), "{open:?}");
}

/// Clients get in and write, at once: nothing is held, paused or in the way.
fn serves(m: &Mainstay, sql: &str, kv: &str) {
    let begun = Instant::now();
    m.psql(sql, "create table if not exists beat(n int); insert into beat values (1)");
    m.redis(kv, &["set", "beat", "1"]);
    assert!(begun.elapsed() < Duration::from_secs(6), "clients waited {:?}", begun.elapsed());
    let replicas = m.nodes(sql).len() - 1;
    assert_eq!(m.psql(sql, "select count(*) from pg_replication_slots"), replicas.to_string());
}

/// All of it, after a kill.
fn sound(m: &Mainstay, sql: &str, kv: &str) {
    serves(m, sql, kv);
    nothing_left_over(m);
    assert_eq!(published(m), good(m, "local"), "what lies there is what is listed");
}

fn fill(m: &Mainstay, sql: &str, kv: &str) {
    m.cli(&["cluster", "create", sql, "--engine", "postgres"]);
    m.cli(&["cluster", "create", kv, "--engine", m.kv()]);
    m.psql(sql, "create table t as select g i, md5(g::text) || md5((g + 1)::text) b from generate_series(1, 40000) g");
    m.redis(kv, &["mset", "a", "1", "b", "2"]);
}

const SUM: &str = "select count(*), md5(string_agg(i::text || b, ',' order by i)) from t";

#[test]
fn of_backups_copies_and_deletions() {
    let mut m = Mainstay::start();
    let Some(bucket) = Bucket::start(&m.dir) else { return };
    let flags = bucket.flags();
    m.cli(&["storage", "add", "cloud"].into_iter().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>());
    fill(&m, "shop", "memo");
    let sum = m.psql("shop", SUM);
    let first = m.cli(&["backup", "create", "shop", "--keep"])["id"].as_str().unwrap().to_string();

    let create = ["backup", "create", "shop", "--storage", "local", "--storage", "cloud"];
    for moment in moments(&m, &create, &[("choose_source", 0), ("capture", 30), ("capture", 500), ("record", 0)]) {
        m.psql("shop", "update t set b = md5(b) where i % 7 = 0; update t set b = md5(i::text) || md5((i + 1)::text)");
        let o = killed(&mut m, &create, &moment);
        assert_eq!(o["status"], "succeeded", "{o}");
        let newest = &m.cli(&["backup", "list", "shop"])[0];
        assert_eq!(newest["status"], "completed", "{newest}");
    }
    sound(&m, "shop", "memo");

    for moment in moments(&m, &["backup", "copy", &first, "--storage", "cloud"], &[("copy", 20), ("copy", 300)]) {
        let id = m.cli(&["backup", "create", "shop"])["id"].as_str().unwrap().to_string();
        let o = killed(&mut m, &["backup", "copy", &id, "--storage", "cloud"], &moment);
        assert_eq!(o["status"], "succeeded", "{o}");
        assert!(good(&m, "cloud").contains(&id) && good(&m, "local").contains(&id));
    }
    for moment in moments(&m, &["backup", "delete", &first], &[("mark", 0), ("remove", 20)]) {
        let id = m.cli(&["backup", "create", "shop", "--storage", "local", "--storage", "cloud"])["id"].as_str().unwrap().to_string();
        let before = good(&m, "local");
        let o = killed(&mut m, &["backup", "delete", &id, "--yes"], &moment);
        let gone = o["status"] == "succeeded";
        let left: BTreeSet<String> = before.into_iter().filter(|b| !gone || *b != id).collect();
        assert_eq!(good(&m, "local"), left, "{o}");
    }
    sound(&m, "shop", "memo");
    assert_eq!(bucket.unfinished_uploads(), 0);
    let copied = good(&m, "cloud");
    assert!(copied.len() >= 3, "{copied:?}");
    for (n, (id, storage)) in [(first.as_str(), "local"), (copied.last().unwrap().as_str(), "cloud")].into_iter().enumerate() {
        m.cli(&["backup", "verify", id]);
        let name = format!("back-{n}");
        m.cli(&["restore", "run", id, "--new", &name, "--storage", storage]);
        assert_eq!(m.psql(&name, SUM), sum, "{id} from {storage}");
    }
}

#[test]
fn of_restores_in_place_and_to_a_new_cluster() {
    let mut m = Mainstay::start();
    fill(&m, "shop", "memo");
    m.cli(&["node", "add", "shop"]);
    let sum = m.psql("shop", SUM);
    let id = m.cli(&["backup", "create", "shop", "--keep"])["id"].as_str().unwrap().to_string();
    let in_place = ["restore", "run", &id, "--to", "shop", "--yes"];
    for moment in moments(&m, &in_place, &[("restore", 200), ("stop", 0), ("swap", 0), ("start", 50), ("reseed", 100)]) {
        m.psql("shop", "insert into t values (-1, 'later')");
        let o = killed(&mut m, &in_place, &moment);
        // All or nothing, and never a mixture.
        match o["status"].as_str().unwrap() {
            "succeeded" => assert_eq!(m.psql("shop", SUM), sum, "{o}"),
            _ => assert_eq!(m.psql("shop", "select count(*) from t"), "40001", "{o}"),
        }
        m.psql("shop", "delete from t where i = -1");
        until("every node runs", || m.nodes("shop").iter().all(|n| n["status"] == "running"));
        let restores = m.cli(&["restore", "list", "shop"]);
        assert!(restores.as_array().unwrap().iter().all(|r| r["status"] != "running"), "{restores}");
    }
    sound(&m, "shop", "memo");
    for (n, moment) in moments(
        &m,
        &["restore", "run", &id, "--new", "copy-x"],
        &[("prepare_node", 0), ("restore", 250), ("start", 30), ("open_endpoint", 0)],
    )
    .iter()
    .enumerate()
    {
        let name = format!("copy-{n}");
        let o = killed(&mut m, &["restore", "run", &id, "--new", &name], moment);
        match o["status"].as_str().unwrap() {
            "succeeded" => assert_eq!(m.psql(&name, SUM), sum, "{o}"),
            _ => assert_eq!(m.say(&["cluster", "show", &name]).code, 3, "{o}"),
        }
    }
    sound(&m, "shop", "memo");
}

#[test]
fn of_recoveries_and_group_backups() {
    let mut m = Mainstay::start();
    fill(&m, "shop", "memo");
    m.cli(&["group", "create", "store", "shop", "memo"]);
    let (sum, key) = (m.psql("shop", SUM), key(&m));
    let group = ["group", "backup", "store"];
    for moment in moments(&m, &group, &[("parts", 40), ("parts", 400), ("parts", 900)]) {
        let o = killed(&mut m, &group, &moment);
        serves(&m, "shop", "memo");
        let newest = &m.cli(&["group", "backups", "store"])[0];
        assert_eq!(o["status"] == "succeeded", newest["restorable"] == true, "{o} {newest}");
    }
    sound(&m, "shop", "memo");
    // From another installation's storage, which is a copy of this one's.
    let other = m.dir.join("other");
    m.cli(&["cluster", "create", "lost", "--engine", "postgres"]);
    m.psql("lost", "create table t as select g i, md5(g::text) b from generate_series(1, 9000) g");
    m.cli(&["backup", "create", "lost"]);
    let lost = m.psql("lost", SUM);
    copy_tree(&m.data().join("storages/local"), &other);
    let recover = |name: &str| -> Vec<String> {
        ["recover", "--from", other.to_str().unwrap(), "--key", key.to_str().unwrap(), "--cluster", "lost", "--as", name]
            .map(String::from)
            .to_vec()
    };
    let plan = recover("back-x");
    for (n, moment) in moments(&m, &plan.iter().map(String::as_str).collect::<Vec<_>>(), &[("adopt", 30), ("restore", 150), ("start", 0)])
        .iter()
        .enumerate()
    {
        let (name, verb) = (format!("back-{n}"), recover(&format!("back-{n}")));
        let o = killed(&mut m, &verb.iter().map(String::as_str).collect::<Vec<_>>(), moment);
        match o["status"].as_str().unwrap() {
            "succeeded" => assert_eq!(m.psql(&name, SUM), lost, "{o}"),
            _ => assert_eq!(m.say(&["cluster", "show", &name]).code, 3, "{o}"),
        }
    }
    nothing_left_over(&m);
    assert_eq!(m.psql("shop", SUM), sum);
}

/// As if the three days were over in which their deletion could have been undone.
fn lapse(m: &mut Mainstay, ids: &[String]) {
    m.kill();
    let key: [u8; 32] = std::fs::read(m.data().join("key")).unwrap().try_into().unwrap();
    let url = mainstay_store::sqlite_url(&m.data().join("mainstay.db")).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let store = mainstay_store::Store::open(&url, mainstay_store::Sealer::from_key(key)).await.unwrap();
        let mut tx = store.begin_write().await.unwrap();
        for id in ids {
            let mut backup = mainstay_store::backups::get(&mut tx, &id.clone().try_into().unwrap()).await.unwrap();
            let until = backup.created_at;
            backup.deleting = Some(Deleting { until, reason: "its time ended".into(), was: backup.status });
            backup.status = BackupStatus::Deleting;
            mainstay_store::backups::update(&mut tx, &backup).await.unwrap();
        }
        mainstay_store::commit(tx).await.unwrap();
        store.close().await;
    });
    m.up();
}

/// One answer of the API, without a process in between.
fn ask(m: &Mainstay, path: &str) -> Value {
    let token = std::fs::read_to_string(m.data().join("admin.token")).unwrap();
    let host = m.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let ask = format!("GET /api/v1{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", token.trim());
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    let body = &answer[answer.find("\r\n\r\n").unwrap() + 4..];
    let json = &body[body.find('{').unwrap()..=body.rfind('}').unwrap()];
    serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {answer}"))
}

#[test]
fn of_what_retention_removes_by_itself() {
    let mut m = Mainstay::start();
    let Some(bucket) = Bucket::start(&m.dir) else { return };
    let flags = bucket.flags();
    m.cli(&["storage", "add", "cloud"].into_iter().chain(flags.iter().map(String::as_str)).collect::<Vec<_>>());
    fill(&m, "shop", "memo");
    let create = ["backup", "create", "shop", "--keep", "--storage", "local", "--storage", "cloud"];
    let mut made: Vec<String> = vec![];
    let make = |m: &Mainstay| {
        m.psql("shop", "update t set b = md5(b) || md5(i::text)");
        m.cli(&create)["id"].as_str().unwrap().to_string()
    };
    let delays: &[u64] =
        if std::env::var("MAINSTAY_KILLS").as_deref() == Ok("all") { &[0, 20, 60, 120, 250, 500, 900] } else { &[0, 60, 250] };
    for delay in delays {
        made.extend((0..3).map(|_| make(&m)));
        let doomed: Vec<String> = made.drain(..2).collect();
        lapse(&mut m, &doomed);
        // Its end is what makes retention look.
        made.push(make(&m));
        let sum = m.psql("shop", SUM);
        let expiring = |m: &Mainstay| {
            let all = ask(m, "/operations?limit=20");
            all["items"].as_array().unwrap().iter().any(|o| o["kind"] == "expire_backups" && o["finished_at"].is_null())
        };
        let left = |m: &Mainstay| m.cli(&["backup", "list", "shop"]).to_string();
        let began = Instant::now();
        while !expiring(&m) && doomed.iter().any(|id| left(&m).contains(id)) {
            assert!(began.elapsed() < Duration::from_secs(90), "retention does not look: {}", left(&m));
        }
        std::thread::sleep(Duration::from_millis(*delay));
        m.kill();
        m.up();
        until("it ends what it began", || !expiring(&m) && doomed.iter().all(|id| !left(&m).contains(id)));
        for storage in ["local", "cloud"] {
            let good: BTreeSet<String> = good(&m, storage);
            assert!(made.iter().all(|id| good.contains(id)), "{delay} ms: of {made:?} only {good:?} are left in {storage}");
        }
        sound(&m, "shop", "memo");
        let newest = made.last().unwrap();
        m.cli(&["backup", "verify", newest]);
        let name = format!("back-{delay}");
        m.cli(&["restore", "run", newest, "--new", &name, "--storage", "cloud"]);
        assert_eq!(m.psql(&name, SUM), sum, "{delay} ms");
        m.cli(&["cluster", "delete", &name, "--skip-final-backup", "--yes"]);
    }
    assert_eq!(bucket.unfinished_uploads(), 0);
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}
