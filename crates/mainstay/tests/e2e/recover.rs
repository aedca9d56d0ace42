//! The worst day: the machine's data is gone, and what is left is a storage and a recovery key.

use crate::support::{BIN, Mainstay, Said, lose, said, until};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const SUM: &str = "select count(*), md5(string_agg(v, ',' order by i)) from t";

/// A storage beside the data directory, and the key to it.
struct Kept {
    storage: PathBuf,
    key: PathBuf,
}

impl Kept {
    fn of(m: &Mainstay) -> Kept {
        let kept = Kept { storage: m.dir.join("elsewhere"), key: m.dir.join("recovery.key") };
        m.cli(&["storage", "add", "second", "--kind", "local", "--path", kept.storage.to_str().unwrap()]);
        m.cli(&["project", "recovery-key", "default", "--file", kept.key.to_str().unwrap()]);
        kept
    }

    /// `recover`, where no server is known.
    fn recover(&self, data: &Path, args: &[&str]) -> Command {
        let mut c = Command::new(BIN);
        c.arg("recover").arg("--from").arg(&self.storage).arg("--key").arg(&self.key).arg("--data-dir").arg(data).args(args);
        c.args(["--output", "json"]).env_remove("MAINSTAY_SERVER").env_remove("MAINSTAY_TOKEN").stdin(Stdio::null());
        c
    }

    fn recovered(&self, data: &Path, args: &[&str]) -> Said {
        said(self.recover(data, args).output().unwrap())
    }
}

/// Has the control plane copy itself, and looks that it is said where.
fn copied(m: &Mainstay) {
    let all = m.cli(&["backup", "control-plane", "--now"]);
    let second = all.as_array().unwrap().iter().find(|s| s["storage"] == "second").unwrap_or_else(|| panic!("{all}"));
    assert!(second["last_at"].is_string() && second["error"].is_null() && second["late"] == false, "{second}");
}

/// Two clusters with data, and a backup of each in the storage that will be left.
fn filled(m: &Mainstay) -> (String, [String; 2]) {
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres", "--replicas", "1"]);
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
    m.psql("pg-one", "create table t(i int primary key, v text); insert into t select g, md5(g::text) from generate_series(1, 5000) g");
    for i in 0..20 {
        m.redis("kv-one", &["set", &format!("k{i}"), &format!("v{i}")]);
    }
    let backups = ["pg-one", "kv-one"].map(|name| {
        let backup = m.cli(&["backup", "create", name, "--storage", "second", "--description", "before it all went"]);
        backup["id"].as_str().unwrap().to_string()
    });
    (m.psql("pg-one", SUM), backups)
}

#[test]
fn everything_from_a_storage_and_a_key() {
    let mut m = Mainstay::start();
    let kept = Kept::of(&m);
    let (before, [pg, kv]) = filled(&m);
    copied(&m);
    lose(&mut m);

    let found = kept.recovered(&m.data(), &[]);
    assert_eq!(found.code, 0, "{}", found.err);
    let found = found.json();
    let held = |holds: &str| found.as_array().unwrap().iter().filter(|f| f["holds"] == holds).count();
    assert_eq!((held("cluster"), held("control_plane")), (2, 1), "{found}");
    let shop = found.as_array().unwrap().iter().find(|f| f["cluster"] == "pg-one").unwrap();
    assert!(
        shop["opens"] == true && shop["engine"] == "postgres" && shop["backups"][0]["data_bytes"].as_u64().unwrap() > 1_000_000,
        "{shop}"
    );

    // Killed in the middle it has done nothing, and can be done again.
    let mut half = kept.recover(&m.data(), &["--control-plane"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    let _ = half.kill();
    half.wait().unwrap();
    if !m.data().join("mainstay.db").exists() {
        let back = kept.recovered(&m.data(), &["--control-plane"]);
        assert_eq!(back.code, 0, "{}", back.err);
        assert_eq!(back.json()["clusters"], serde_json::json!(["kv-one", "pg-one"]));
    }
    let again = kept.recovered(&m.data(), &["--control-plane"]);
    assert!(again.code == 4 && again.err.contains("not written over"), "{}", again.err);

    m.up();
    until("what is lost is said", || m.cli(&["cluster", "show", "pg-one"])["status"] == "unreachable");
    let lost = m.cli(&["cluster", "show", "pg-one"]);
    assert!(lost["status_reason"].as_str().unwrap().contains("restore run BACKUP --to pg-one"), "{lost}");
    until("nothing is under way", || m.cli(&["operation", "list"]).as_array().unwrap().iter().all(|o| !o["finished_at"].is_null()));
    for (name, backup) in [("pg-one", &pg), ("kv-one", &kv)] {
        let restored = m.cli(&["restore", "run", backup, "--to", name, "--yes"]);
        assert_eq!(restored["status"], "completed", "{restored}");
    }
    assert_eq!(m.psql("pg-one", SUM), before);
    assert_eq!(m.redis("kv-one", &["get", "k19"]), "v19");
    assert!(m.nodes("pg-one").iter().all(|n| n["status"] == "running"));
    let history = m.cli(&["backup", "list"]);
    assert!(history.as_array().unwrap().iter().any(|b| b["id"] == pg.as_str() && b["description"] == "before it all went"), "{history}");
}

#[test]
fn keys_come_and_go() {
    let m = Mainstay::start();
    let kept = Kept::of(&m);
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
    m.cli(&["backup", "create", "kv-one", "--storage", "second"]);
    let (safe, first) = (m.dir.join("safe.key"), m.dir.join("first.key"));
    let opens = |key: &Path| {
        let found = m.cli(&["recover", "--from", kept.storage.to_str().unwrap(), "--key", key.to_str().unwrap()]);
        let clusters: Vec<bool> = found.as_array().unwrap().iter().map(|f| f["opens"] == true).collect();
        clusters.iter().all(|o| *o)
    };
    m.cli(&["project", "recovery-key", "default", "--add", "safe", "--file", safe.to_str().unwrap()]);
    m.cli(&["project", "recovery-key", "default", "--rotate", "--file", first.to_str().unwrap()]);
    assert!(opens(&safe) && opens(&first) && !opens(&kept.key));
    let keys = m.cli(&["project", "recovery-key", "default", "--list"]);
    assert_eq!((&keys["in_place"], keys["items"].as_array().unwrap().len()), (&true.into(), 2), "{keys}");
    m.cli(&["project", "recovery-key", "default", "--remove", "safe"]);
    assert!(!opens(&safe) && opens(&first));
    assert_ne!(m.say(&["project", "recovery-key", "default", "--remove", "default"]).code, 0);
}

#[test]
fn one_cluster_without_anybodys_memory() {
    let mut m = Mainstay::start();
    let kept = Kept::of(&m);
    let (before, [pg, _]) = filled(&m);
    lose(&mut m);

    let args = ["--cluster", "pg-one", "--as", "pg-again"];
    let mut half = kept.recover(&m.data(), &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("it is under way", || m.data().join("nodes").exists() || half.try_wait().unwrap().is_some());
    let _ = half.kill();
    half.wait().unwrap();
    let back = kept.recovered(&m.data(), &args);
    assert_eq!(back.code, 0, "{}", back.err);
    assert_eq!(back.json()["name"], "pg-again", "{}", back.out);

    m.up();
    assert_eq!(m.psql("pg-again", SUM), before);
    let history = m.cli(&["backup", "list"]);
    let known = history.as_array().unwrap().iter().find(|b| b["id"] == pg.as_str()).unwrap_or_else(|| panic!("{history}"));
    assert_eq!((&known["status"], &known["proof"], &known["cluster"]), (&"completed".into(), &"none".into(), &"pg-one".into()));
    m.cli(&["backup", "verify", &pg]);
    assert_eq!(m.cli(&["backup", "show", &pg])["proof"], "verified");
    // The same through the server.
    let storage = kept.storage.to_str().unwrap();
    let key = kept.key.to_str().unwrap();
    let other = m.cli(&["recover", "--from", storage, "--key", key, "--cluster", "kv-one"]);
    assert_eq!(other["name"], "kv-one");
    assert_eq!(m.redis("kv-one", &["get", "k7"]), "v7");
    let wrong = m.dir.join("wrong.key");
    std::fs::write(&wrong, "not the key\n").unwrap();
    let closed = m.cli(&["recover", "--from", storage, "--key", wrong.to_str().unwrap()]);
    assert!(closed.as_array().unwrap().iter().all(|f| f["opens"] == false && f["cluster"].is_null()), "{closed}");
}

/// The log lies with the backups: a Mainstay that never heard of the cluster finds both.
#[test]
fn a_moment_of_a_cluster_that_nobody_remembers() {
    let mut m = Mainstay::start();
    let kept = Kept::of(&m);
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
    m.psql("pg-one", "create table t(i int primary key)");
    m.cli(&["cluster", "pitr", "on", "pg-one", "--storage", "second"]);
    m.psql("pg-one", "insert into t values (1)");
    let now = || jiff::Timestamp::now();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let moment = now();
    std::thread::sleep(std::time::Duration::from_millis(500));
    m.psql("pg-one", "insert into t values (2)");
    until("the window reaches beyond it", || {
        let to = m.cli(&["cluster", "pitr", "show", "pg-one"])["to"].as_str().map(|t| t.parse::<jiff::Timestamp>().unwrap());
        to.is_some_and(|to| to > moment + jiff::SignedDuration::from_secs(2))
    });
    lose(&mut m);
    let back = kept.recovered(&m.data(), &["--cluster", "pg-one", "--as", "pg-again"]);
    assert_eq!(back.code, 0, "{}", back.err);
    m.up();
    let history = m.cli(&["backup", "list"]);
    let base = history.as_array().unwrap().iter().find(|b| b["cluster"] == "pg-one").unwrap()["id"].as_str().unwrap().to_string();
    let moment = moment.to_string();
    let verb = ["restore", "run", &base, "--until", &moment, "--new", "pg-then"];
    let unproven = m.say(&verb);
    assert!(unproven.code != 0 && unproven.err.contains("does not count"), "{}", unproven.err);
    m.cli(&["backup", "verify", &base]);
    m.cli(&verb);
    assert_eq!(m.psql("pg-then", "select string_agg(i::text, ',') from t"), "1");
}

/// Under `strace`, which kills it right before the `n`th of the calls that make something count.
fn killed_before(kept: &Kept, data: &Path, calls: &str, n: usize) -> Said {
    let recover = kept.recover(data, &["--control-plane"]);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &format!("inject={calls}:signal=KILL:when={n}")]);
    traced.arg(recover.get_program()).args(recover.get_args());
    traced.env_remove("MAINSTAY_SERVER").env_remove("MAINSTAY_TOKEN").stdin(Stdio::null());
    said(traced.output().expect("strace is installed"))
}

#[test]
fn killed_before_anything_that_counts_a_recovery_is_none_or_whole() {
    let mut m = Mainstay::start();
    let kept = Kept::of(&m);
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv()]);
    m.cli(&["backup", "create", "kv-one", "--storage", "second"]);
    copied(&m);
    lose(&mut m);
    let mut fired = 0;
    for calls in ["rename,renameat,renameat2", "fsync,fdatasync", "unlink,unlinkat,rmdir"] {
        for n in 1.. {
            let data = m.dir.join(format!("data-{}-{n}", &calls[..6]));
            let first = killed_before(&kept, &data, calls, n);
            if first.code == 0 {
                break;
            }
            fired += 1;
            let there = data.join("mainstay.db").exists();
            let again = kept.recovered(&data, &["--control-plane"]);
            match there {
                // Whole: it is not done again, and everything is in it.
                true => assert!(again.code == 4 && again.err.contains("not written over"), "{calls} {n}: {}", again.err),
                false => assert_eq!(again.code, 0, "{calls} {n}: {}", again.err),
            }
            std::fs::rename(&data, m.data()).unwrap();
            m.up();
            let seen = m.cli(&["cluster", "list"]);
            assert_eq!(seen[0]["name"], "kv-one", "{calls} {n}: {seen}");
            assert!(!m.data().join("recovering").exists(), "{calls} {n}: what was on its way in is left over");
            lose(&mut m);
        }
    }
    assert!(fired >= 4, "it was killed {fired} times");
}
