//! The worst day, with the backups where they belong: on another machine. A bucket, a directory behind
//! SFTP, Borg repositories behind ssh; the data directory and every process are gone, and what is left
//! is the way to one of these and a recovery key.

use crate::{
    servers::{Bucket, SshHost},
    support::{BIN, Mainstay, Said, lose, said, until, until_within},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

const SUM: &str = "select count(*), md5(string_agg(v, ',' order by i)) from t";

/// Everything people entrusted to Mainstay, by what they would recognise it by.
fn memory(m: &Mainstay) -> BTreeMap<&'static str, Vec<Value>> {
    let verbs: [(&str, &[&str], &[&str]); 7] = [
        ("clusters", &["cluster", "list"], &["id", "name", "engine", "allow_list"]),
        ("schedules", &["schedule", "list"], &["id", "name", "cluster", "hours", "time_zone", "retention", "enabled"]),
        ("storages", &["storage", "list"], &["id", "kind"]),
        ("tokens", &["token", "list"], &["name", "role"]),
        ("groups", &["group", "list"], &["id", "name", "members"]),
        ("notifiers", &["notifier", "list"], &["id", "name", "kind", "target"]),
        ("backups", &["backup", "list"], &["id", "cluster", "description", "position", "created_at"]),
    ];
    let told = |(what, verb, fields): (&'static str, &[&str], &[&str])| {
        let all = m.cli(verb);
        let mut rows: Vec<Value> = all.as_array().unwrap().iter().map(|o| fields.iter().map(|f| o[f].clone()).collect()).collect();
        rows.retain(|r| what != "tokens" || r[0] != "administrator");
        rows.sort_by_key(Value::to_string);
        (what, rows)
    };
    verbs.into_iter().map(told).collect()
}

struct Day {
    m: Mainstay,
    flags: Vec<String>,
    key: PathBuf,
    kit: PathBuf,
    token: String,
}

impl Day {
    /// `recover`, where no server is known and nothing else is: the address typed, and the key.
    fn recover(&self, args: &[&str]) -> Said {
        self.asked(self.flags.iter().map(String::as_str).chain(["--key", self.key.to_str().unwrap()]).chain(args.iter().copied()).collect())
    }

    /// With the kit, which knows all of that.
    fn recover_by_kit(&self, args: &[&str]) -> Said {
        self.asked(["--key", self.kit.to_str().unwrap()].into_iter().chain(args.iter().copied()).collect())
    }

    fn asked(&self, args: Vec<&str>) -> Said {
        let mut c = Command::new(BIN);
        c.arg("recover").arg("--data-dir").arg(self.m.data()).args(args);
        c.args(["--output", "json"]).env_remove("MAINSTAY_SERVER").env_remove("MAINSTAY_TOKEN").stdin(Stdio::null());
        said(c.output().unwrap())
    }

    /// Two clusters and all that belongs to them, backed up to the far storage alone.
    fn before(m: Mainstay, flags: Vec<String>) -> (Day, [String; 2], String) {
        let add: Vec<&str> = ["storage", "add", "far"].into_iter().chain(flags.iter().map(String::as_str)).collect();
        m.cli(&add);
        m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
        m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
        m.cli(&["cluster", "allow", "kv-one", "--set", "127.0.0.0/8"]);
        m.cli(&[
            "schedule",
            "set",
            "pg-one",
            "--name",
            "nightly",
            "--days",
            "mon,thu",
            "--hours",
            "4",
            "--time-zone",
            "Europe/Berlin",
            "--retention-days",
            "9",
            "--storage",
            "far",
        ]);
        m.cli(&["schedule", "pause", "pg-one", "--name", "nightly"]);
        m.cli(&["group", "create", "shop", "pg-one", "kv-one"]);
        m.cli(&["notifier", "add", "ops", "--kind", "webhook", "--url", "http://127.0.0.1:9/hook", "--events", "restore_done"]);
        let token = m.cli(&["token", "create", "robot", "--role", "viewer"])["token"].as_str().unwrap().to_string();
        m.psql("pg-one", "create table t(i int primary key, v text); insert into t select g, md5(g::text) from generate_series(1, 5000) g");
        m.redis("kv-one", &["mset", "a", "1", "b", "2"]);
        let backups = ["pg-one", "kv-one"].map(|name| {
            let made = m.cli(&["backup", "create", name, "--storage", "far", "--description", "before it all went"]);
            made["id"].as_str().unwrap().to_string()
        });
        let sum = m.psql("pg-one", SUM);
        let key = m.dir.join("recovery.key");
        m.cli(&["project", "recovery-key", "default", "--file", key.to_str().unwrap()]);
        let kit = m.dir.join("recovery.kit");
        m.cli(&["project", "recovery-key", "default", "--file", kit.to_str().unwrap(), "--with-storages"]);
        (Day { m, flags, key, kit, token }, backups, sum)
    }
}

/// What `backup control-plane --now` left in the far storage.
fn copied(m: &Mainstay) {
    let all = m.cli(&["backup", "control-plane", "--now"]);
    let far = all.as_array().unwrap().iter().find(|s| s["storage"] == "far").unwrap_or_else(|| panic!("{all}"));
    assert!(far["last_at"].is_string() && far["error"].is_null() && far["late"] == false, "{far}");
}

fn the_kit_is_for_its_owner(day: &Day) {
    assert_eq!(day.kit.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let kit: Value = serde_json::from_slice(&std::fs::read(&day.kit).unwrap()).unwrap();
    let far = kit["storages"].as_array().unwrap().iter().find(|s| s["name"] == "far").unwrap();
    assert!(far["secret_key"].is_string() || far["ssh_key"].is_string(), "{:?}", far.as_object().unwrap().keys());
    if far["kind"] == "borg" {
        let exported = |k: &Value| k["key_export"].as_str().is_some_and(|e| e.starts_with("BORG_KEY ")) && k["error"].is_null();
        assert!(kit["borg"].as_array().unwrap().iter().filter(|k| exported(k)).count() >= 2);
    }
    assert_eq!(kit["by_hand"].as_array().unwrap().len(), 2);
    let acts = day.m.cli(&["audit", "list"]);
    assert!(acts.as_array().unwrap().iter().any(|a| a["action"] == "exportRecoveryKit" && a["result"] == "done"));
    assert!(!acts.to_string().contains(kit["key"].as_str().unwrap()) && !day.m.log().contains(kit["key"].as_str().unwrap()));
    let again = day.m.say(&["project", "recovery-key", "default", "--file", day.kit.to_str().unwrap(), "--with-storages"]);
    assert_eq!(again.code, 4, "no file is overwritten: {}", again.err);
    let robot = day
        .m
        .command(&["project", "recovery-key", "default", "--file", "/nowhere/x", "--with-storages"])
        .env("MAINSTAY_TOKEN", &day.token)
        .output();
    assert_eq!(said(robot.unwrap()).code, 5);
}

fn the_whole_way_back(m: Mainstay, flags: Vec<String>) {
    let (mut day, [pg, kv], sum) = Day::before(m, flags);
    the_kit_is_for_its_owner(&day);
    let before = memory(&day.m);
    copied(&day.m);
    lose(&mut day.m);

    let found = day.recover(&[]);
    assert_eq!(found.code, 0, "{}", found.err);
    let mut held: Vec<(String, bool)> = vec![];
    for f in found.json().as_array().unwrap() {
        held.push((f["cluster"].as_str().unwrap_or("-").to_string(), f["opens"] == true));
    }
    held.sort();
    assert_eq!(held, [("control-plane".to_string(), true), ("kv-one".into(), true), ("pg-one".into(), true)], "{}", found.out);

    let by_kit = day.recover_by_kit(&[]);
    assert_eq!(by_kit.code, 0, "{}", by_kit.err);
    let from = |f: &&Value| f["storage"] == "far" && f["opens"] == true;
    assert_eq!(by_kit.json().as_array().unwrap().iter().filter(from).count(), 3, "{}", by_kit.out);
    let back = day.recover_by_kit(&["--control-plane"]);
    assert_eq!(back.code, 0, "{}", back.err);
    assert_eq!((&back.json()["clusters"], &back.json()["lost_copies"]), (&json!(["kv-one", "pg-one"]), &json!(0)), "{}", back.out);
    day.m.up();
    let m = &day.m;
    until("what is lost is said", || m.cli(&["cluster", "show", "pg-one"])["status"] == "unreachable");
    let after = memory(m);
    for (what, rows) in &before {
        assert_eq!(&after[what], rows, "{what}");
    }
    let as_robot = m.command(&["cluster", "list", "--output", "json"]).env("MAINSTAY_TOKEN", &day.token).output().unwrap();
    assert!(as_robot.status.success(), "a token of before still lets in");
    for (name, backup) in [("pg-one", &pg), ("kv-one", &kv)] {
        let restored = m.cli(&["restore", "run", backup, "--to", name, "--yes"]);
        assert_eq!(restored["status"], "completed", "{restored}");
    }
    assert_eq!(m.psql("pg-one", SUM), sum);
    assert_eq!(m.redis("kv-one", &["get", "b"]), "2");
    // And it goes on as if nothing had been.
    assert_eq!(m.cli(&["backup", "create", "pg-one", "--storage", "far"])["status"], "completed");
    copied(m);
}

/// The server's clock, in words that `--until` takes.
fn moment(m: &Mainstay, cluster: &str) -> String {
    std::thread::sleep(std::time::Duration::from_millis(300));
    let now = m.psql(cluster, "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    std::thread::sleep(std::time::Duration::from_millis(300));
    now
}

fn reaches(m: &Mainstay, cluster: &str, moment: &str) {
    let wanted: jiff::Timestamp = moment.parse().unwrap();
    until_within(300, "the window reaches the moment", || {
        let window = m.cli(&["cluster", "pitr", "show", cluster]);
        window["to"].as_str().is_some_and(|to| to.parse::<jiff::Timestamp>().unwrap() >= wanted)
    });
}

/// The log went on after the last copy of the control plane, and every moment of it comes back.
fn any_moment_before_the_end(m: Mainstay, flags: Vec<String>) {
    let add: Vec<&str> = ["storage", "add", "far"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    m.cli(&add);
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
    m.psql("pg-one", "create table t(i int primary key)");
    m.cli(&["cluster", "assertions", "pg-one", "--add", "rows", "--query", "select count(*) from t", "--expect", "at least 1"]);
    m.cli(&["cluster", "pitr", "on", "pg-one", "--storage", "far", "--keep-days", "3"]);
    m.psql("pg-one", "insert into t values (1)");
    let first = moment(&m, "pg-one");
    reaches(&m, "pg-one", &first);
    let kit = m.dir.join("recovery.kit");
    m.cli(&["project", "recovery-key", "default", "--file", kit.to_str().unwrap(), "--with-storages"]);
    copied(&m);
    m.psql("pg-one", "insert into t values (2)");
    let second = moment(&m, "pg-one");
    m.psql("pg-one", "insert into t values (3)");
    let third = moment(&m, "pg-one");
    reaches(&m, "pg-one", &third);
    let (assertions, key) = (m.cli(&["cluster", "assertions", "pg-one"]), kit.clone());
    let mut day = Day { m, flags, key, kit, token: String::new() };
    lose(&mut day.m);

    let back = day.recover_by_kit(&["--control-plane"]);
    assert_eq!(back.code, 0, "{}", back.err);
    assert!(back.json()["log_parts"].as_u64().unwrap() >= 1 && back.json()["unseen"] == json!([]), "{}", back.out);
    day.m.up();
    let m = &day.m;
    let window = m.cli(&["cluster", "pitr", "show", "pg-one"]);
    let at = |field: &str| window[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(at("from") <= first.parse().unwrap() && at("to") >= third.parse().unwrap(), "{window}");
    assert_eq!((window["keep_days"].as_i64(), &window["gaps"]), (Some(3), &json!([])), "{window}");
    assert_eq!(m.cli(&["cluster", "assertions", "pg-one"]), assertions);
    until("what is lost is said", || m.cli(&["cluster", "show", "pg-one"])["status"] == "unreachable");
    let restored = m.cli(&["restore", "run", "--until", &second, "--to", "pg-one", "--yes"]);
    assert_eq!(restored["status"], "completed", "{restored}");
    assert_eq!(m.psql("pg-one", "select string_agg(i::text, ',' order by i) from t"), "1,2");
    for (name, moment, rows) in [("pg-first", &first, "1"), ("pg-third", &third, "1,2,3")] {
        m.cli(&["restore", "run", "--until", moment, "--from-cluster", "pg-one", "--new", name]);
        assert_eq!(m.psql(name, "select string_agg(i::text, ',' order by i) from t"), rows, "{moment}");
    }
    // What was between the end and the restore is shown as what it is.
    until_within(300, "a new window begins", || {
        m.cli(&["cluster", "pitr", "show", "pg-one"])["gaps"].as_array().is_some_and(|g| g.len() == 1)
    });
}

#[test]
fn any_moment_from_a_bucket() {
    let m = Mainstay::start();
    let Some(bucket) = Bucket::start(&m.dir) else { return };
    any_moment_before_the_end(m, bucket.flags());
    assert_eq!(bucket.unfinished_uploads(), 0);
}

#[test]
fn any_moment_from_a_directory_behind_sftp() {
    let m = Mainstay::start();
    let Some(host) = SshHost::start(&m.dir) else { return };
    any_moment_before_the_end(m, host.sftp_flags());
}

#[test]
fn any_moment_from_borg_repositories_behind_ssh() {
    let m = Mainstay::start();
    let Some(host) = SshHost::start(&m.dir) else { return };
    any_moment_before_the_end(m, host.borg_flags());
}

#[test]
fn from_a_bucket() {
    let m = Mainstay::start();
    let Some(bucket) = Bucket::start(&m.dir) else { return };
    the_whole_way_back(m, bucket.flags());
    assert_eq!(bucket.unfinished_uploads(), 0);
}

#[test]
fn from_a_directory_behind_sftp() {
    let m = Mainstay::start();
    let Some(host) = SshHost::start(&m.dir) else { return };
    the_whole_way_back(m, host.sftp_flags());
}

#[test]
fn from_borg_repositories_behind_ssh() {
    let m = Mainstay::start();
    let Some(host) = SshHost::start(&m.dir) else { return };
    the_whole_way_back(m, host.borg_flags());
}
