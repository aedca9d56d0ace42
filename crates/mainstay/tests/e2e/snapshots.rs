//! Snapshots on a real Btrfs and a real XFS: taken under load through the engine, back in place in a
//! moment, and a storage like every other for all that is done with backups.

use crate::support::{Mainstay, files, sql_load, until};
use mainstay_testkit::Disk;
use serde_json::{Value, json};

const SUM: &str = "select count(*), md5(string_agg(v, ',' order by i)) from t";
/// Bytes of the table, none of which a snapshot may write again. The log is written.
const SHARED: u64 = 80 << 20;

fn is_good(backup: &Value, copies: usize) {
    assert_eq!((&backup["status"], &backup["proof"]), (&json!("completed"), &json!("verified")), "{backup}");
    assert_eq!(backup["copies"].as_array().unwrap().len(), copies, "{backup}");
}

fn says(backup: &Value, check: &str, words: &str) {
    let all = backup["checks"].as_array().unwrap();
    let found = all.iter().any(|c| c["name"] == check && c["detail"].as_str().unwrap().contains(words));
    assert!(found, "{check} {words}: {all:?}");
}

#[test]
fn btrfs() {
    on("btrfs");
}

#[test]
fn xfs() {
    on("xfs");
}

fn on(kind: &str) {
    let Some(disk) = Disk::mount(kind, 2048) else { return };
    let m = Mainstay::start_in(&disk.path());
    let quick = m.cli(&["storage", "add", "quick", "--kind", "snapshot"]);
    assert!(quick["location"].as_str().unwrap().ends_with("/storages/quick"), "{quick}");
    let rows = quick["last_check"]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|r| r["name"] == "reflink" && r["ok"] == true), "{quick}");
    m.cli(&["cluster", "create", "shop", "--engine", "postgres"]);
    m.psql("shop", "create table w(n bigint primary key); create table t(i int primary key, v text)");
    m.psql("shop", "insert into t select g, repeat(md5(g::text), 16) from generate_series(1, 160000) g");

    under_load(&m);
    with_another_storage(&m);
    as_every_backup(&m);
    redis_family(&m);
}

/// What was acknowledged before is in it, whatever is written meanwhile.
fn under_load(m: &Mainstay) {
    let point = m.psql("shop", SUM);
    let load = sql_load(m.credentials("shop"));
    until("the load writes", || m.psql("shop", "select count(*) > 20 from w") == "t");
    let acked = m.psql("shop", "select max(n) from w").parse::<u64>().unwrap();
    let backup = m.cli(&["backup", "create", "shop", "--storage", "quick"]);
    load.end();
    is_good(&backup, 1);
    says(&backup, "read_back", "kept by sharing their blocks");
    assert_eq!(backup["method"], "Manual snapshot");
    let (data, added) = (backup["data_bytes"].as_u64().unwrap(), backup["copies"][0]["added_bytes"].as_u64().unwrap());
    assert!(added + SHARED <= data, "{added} bytes were written for {data}");
    let sentence = m.cli(&["cluster", "show", "shop"])["recoverability"]["three_two_one"].as_str().unwrap().to_string();
    assert!(sentence.contains("only snapshots on the disk of the data"), "{sentence}");

    m.psql("shop", "drop table t; truncate w");
    let begun = std::time::Instant::now();
    let restore = m.cli(&["restore", "run", backup["id"].as_str().unwrap(), "--to", "shop", "--yes"]);
    eprintln!("restored {} bytes in {:?}", backup["data_bytes"], begun.elapsed());
    assert_eq!(restore["status"], "completed", "{restore}");
    assert_eq!(m.psql("shop", SUM), point);
    assert_eq!(m.psql("shop", &format!("select count(*) from w where n <= {acked}")), (acked + 1).to_string());
    assert_eq!(m.psql("shop", "select count(*) = max(n) + 1 from w"), "t", "one moment, without holes");
    m.cli(&["restore", "undo", restore["id"].as_str().unwrap(), "--yes"]);
    assert_eq!(m.psql("shop", "select count(*) from w"), "0");
    m.cli(&["restore", "run", backup["id"].as_str().unwrap(), "--to", "shop", "--yes"]);
}

/// One pass for both: they hold the same point, and either brings it back.
fn with_another_storage(m: &Mainstay) {
    // A restored database knows no estimates of its rows; without them a backup of it is in doubt.
    m.psql("shop", "analyze t; analyze w");
    let point = m.psql("shop", SUM);
    let both = m.cli(&["backup", "create", "shop", "--storage", "local", "--storage", "quick"]);
    is_good(&both, 2);
    assert_eq!(both["method"], "Manual local, snapshot");
    let id = both["id"].as_str().unwrap();
    m.cli(&["backup", "verify", id]);
    for storage in ["local", "quick"] {
        let name = format!("from-{storage}");
        m.cli(&["restore", "run", id, "--new", &name, "--storage", storage]);
        assert_eq!(m.psql(&name, SUM), point, "{storage}");
        m.cli(&["cluster", "delete", &name, "--yes", "--skip-final-backup"]);
    }
    // In that order, too, the snapshot is not the one that is read twice.
    let other = m.cli(&["backup", "create", "shop", "--storage", "quick", "--storage", "local"]);
    is_good(&other, 2);
}

fn as_every_backup(m: &Mainstay) {
    let made = m.cli(&["backup", "create", "shop", "--storage", "quick", "--retention-days", "3"]);
    let id = made["id"].as_str().unwrap();
    let drilled = m.cli(&["backup", "drill", id]);
    assert_eq!(drilled["proof"], "drilled", "{drilled}");
    let copied = m.cli(&["backup", "copy", id, "--storage", "local"]);
    assert_eq!(copied["status"], "completed", "{copied}");
    let file = m.dir.join("shop.tar.zst");
    assert_eq!(m.say(&["backup", "download", id, "--file", file.to_str().unwrap()]).code, 0);
    assert!(std::fs::metadata(&file).unwrap().len() > 1 << 20);
    // A snapshot of a backup that was made elsewhere.
    let elsewhere = m.cli(&["backup", "create", "shop", "--storage", "local"]);
    let back = m.cli(&["backup", "copy", elsewhere["id"].as_str().unwrap(), "--storage", "quick"]);
    assert_eq!(back["status"], "completed", "{back}");
    m.cli(&["backup", "verify", elsewhere["id"].as_str().unwrap()]);
    let place = m.data().join("storages/quick");
    // Under its own name: a later backup may name it as what it was built on.
    let copies = m.cli(&["backup", "show", id])["copies"].clone();
    let quick = copies.as_array().unwrap().iter().find(|c| c["storage"] == "quick").unwrap();
    let snapshot = quick["snapshot"].as_str().unwrap().to_string();
    let there = || files(&place).iter().any(|f| f.to_string_lossy().contains(&snapshot));
    assert!(there());
    m.cli(&["backup", "delete", id, "--yes"]);
    assert!(!there(), "a deleted snapshot is gone from the disk");
    assert_eq!(m.cli(&["storage", "check", "quick"])["ok"], true);
}

fn redis_family(m: &Mainstay) {
    m.cli(&["cluster", "create", "memo", "--engine", m.kv()]);
    for n in 0..50 {
        m.redis("memo", &["set", &format!("k{n}"), "v"]);
    }
    let backup = m.cli(&["backup", "create", "memo", "--storage", "quick"]);
    is_good(&backup, 1);
    m.redis("memo", &["flushall"]);
    m.cli(&["restore", "run", backup["id"].as_str().unwrap(), "--to", "memo", "--yes"]);
    assert_eq!(m.redis("memo", &["dbsize"]), "50");
    m.cli(&["backup", "drill", backup["id"].as_str().unwrap()]);
}
