//! Deploy, write, back up, damage, restore in place and to a new cluster, with the tools of a
//! second terminal; and `restic` on the same storage.

use crate::support::{BIN, Mainstay, files, said};
use std::{path::PathBuf, process::Command};

#[test]
fn postgres() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres", "--mode", "primary-replica", "--replicas", "1"]);
    m.psql("pg-one", "create table t(i int primary key, v text); insert into t select g, md5(g::text) from generate_series(1, 20000) g");
    let sum = "select count(*), md5(string_agg(v, ',' order by i)) from t";
    let before = m.psql("pg-one", sum);
    let backup = m.cli(&["backup", "create", "pg-one", "--description", "before", "--retention-days", "3"]);
    assert_eq!((backup["status"].as_str(), backup["proof"].as_str()), (Some("completed"), Some("verified")), "{backup}");
    let id = backup["id"].as_str().unwrap().to_string();
    m.psql("pg-one", "delete from t where i > 100; insert into t values (99999999, 'later')");

    let restore = m.cli(&["restore", "run", &id, "--to", "pg-one", "--yes"]);
    assert_eq!(restore["status"], "completed", "{restore}");
    assert_eq!(m.psql("pg-one", sum), before);
    assert_roles(&m, "pg-one");

    m.cli(&["restore", "run", &id, "--new", "pg-two"]);
    assert_eq!(m.psql("pg-two", sum), before);
    assert_eq!(m.credentials("pg-two").database, "pg_two");

    m.cli(&["restore", "undo", restore["id"].as_str().unwrap(), "--yes"]);
    assert_eq!(m.psql("pg-one", "select count(*) from t"), "101");
    assert_roles(&m, "pg-one");

    let drilled = m.cli(&["backup", "drill", &id]);
    assert_eq!(drilled["proof"], "drilled", "{drilled}");
    let show = m.cli(&["cluster", "show", "pg-one"]);
    assert!(show["recoverability"]["sentence"].as_str().unwrap().contains("drill"), "{show}");
    m.cli(&["backup", "verify", &id]);
}

#[test]
fn redis_family() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "kv-one", "--engine", m.kv(), "--mode", "primary-replica", "--replicas", "1"]);
    for i in 0..50 {
        m.redis("kv-one", &["set", &format!("k{i}"), &format!("v{i}")]);
    }
    let backup = m.cli(&["backup", "create", "kv-one"]);
    let id = backup["id"].as_str().unwrap().to_string();
    m.redis("kv-one", &["flushall"]);
    m.cli(&["restore", "run", &id, "--to", "kv-one", "--yes"]);
    assert_eq!(m.redis("kv-one", &["dbsize"]), "50");
    assert_eq!(m.redis("kv-one", &["get", "k49"]), "v49");
    assert_roles(&m, "kv-one");
    m.cli(&["restore", "run", &id, "--new", "kv-two"]);
    assert_eq!(m.redis("kv-two", &["get", "k7"]), "v7");

    let file = m.dir.join("dump.rdb");
    let download = m.say(&["backup", "download", &id, "--file", file.to_str().unwrap()]);
    assert_eq!(download.code, 0, "{}", download.err);
    let check = said(Command::new(check_rdb(m.kv())).arg(&file).output().unwrap());
    assert!(check.code == 0 && check.out.contains("50 keys read"), "{}", check.out);
}

/// The judge that came with the server: an older one does not know a newer one's format.
fn check_rdb(engine: &str) -> PathBuf {
    let name = format!("{engine}-check-rdb");
    let dirs = std::env::var_os("MAINSTAY_ENGINE_DIRS").unwrap_or_default();
    let unpacked = std::env::split_paths(&dirs).map(|dir| dir.join("usr/bin").join(&name)).find(|path| path.is_file());
    unpacked.unwrap_or_else(|| name.into())
}

#[test]
fn restic_reads_what_mainstay_wrote() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
    m.psql("pg-one", "create table t as select g i, md5(g::text) v from generate_series(1, 5000) g");
    let backup = m.cli(&["backup", "create", "pg-one"]);
    let snapshot = backup["copies"][0]["snapshot"].as_str().unwrap().to_string();
    let key = m.dir.join("recovery.key");
    m.cli(&["project", "recovery-key", "default", "--file", key.to_str().unwrap()]);
    let again = m.say(&["project", "recovery-key", "default", "--file", key.to_str().unwrap()]);
    assert_ne!(again.code, 0, "an existing file is not overwritten");

    // Mainstay's own backups lie beside the cluster's.
    let cluster = m.cli(&["cluster", "show", "pg-one"])["id"].as_str().unwrap().to_string();
    let its = |f: &std::path::PathBuf| f.ends_with(format!("{cluster}/config"));
    let repository = files(&m.data().join("storages/local")).into_iter().find(its).unwrap();
    let repository = repository.parent().unwrap();
    let restic = |args: &[&str]| {
        let mut c = Command::new("restic");
        c.arg("-r").arg(repository).arg("--password-file").arg(&key).arg("--no-cache").args(args);
        let s = said(c.env("HOME", &m.dir).output().unwrap());
        assert_eq!(s.code, 0, "restic {args:?}: {}", s.err);
        s.out
    };
    restic(&["check", "--read-data"]);
    let target = m.dir.join("by-restic");
    restic(&["restore", &snapshot, "--target", target.to_str().unwrap()]);
    assert!(files(&target).iter().any(|f| f.ends_with("PG_VERSION")), "no data directory in what restic restored");
    assert!(files(&target).iter().any(|f| f.ends_with("backup_label")));
    // A person reads the same commands from `backup show`.
    let shown = said(m.command(&["backup", "show", backup["id"].as_str().unwrap()]).output().unwrap());
    assert!(shown.out.contains("restic") && shown.out.contains(&snapshot[..8]), "{}", shown.out);
    assert!(std::fs::metadata(BIN).is_ok());
}

fn assert_roles(m: &Mainstay, cluster: &str) {
    let nodes = m.nodes(cluster);
    let mut roles: Vec<&str> = nodes.iter().map(|n| n["role"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["primary", "replica"]);
    assert!(nodes.iter().all(|n| n["status"] == "running"), "{nodes:?}");
}
