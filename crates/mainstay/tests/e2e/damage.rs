//! A backup whose source dies or whose bytes are damaged raises no hope anywhere.

use crate::support::{Mainstay, files};
use std::{
    io::{Read, Seek, SeekFrom, Write},
    time::Duration,
};

#[test]
fn damaged_bytes_fail_the_backup_and_its_restore() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
    m.psql("pg-one", "create table t as select g i, md5(g::text) v from generate_series(1, 20000) g");
    let id = m.cli(&["backup", "create", "pg-one"])["id"].as_str().unwrap().to_string();
    let pack = files(&m.data().join("storages/local"))
        .into_iter()
        .filter(|f| f.to_string_lossy().contains("/data/"))
        .max_by_key(|f| f.metadata().unwrap().len())
        .unwrap();
    let mut file = std::fs::File::options().read(true).write(true).open(&pack).unwrap();
    let mut byte = [0u8; 1];
    file.seek(SeekFrom::Start(2000)).unwrap();
    file.read_exact(&mut byte).unwrap();
    file.seek(SeekFrom::Start(2000)).unwrap();
    file.write_all(&[byte[0] ^ 0xff]).unwrap();
    drop(file);

    let verify = m.say(&["backup", "verify", &id]);
    assert_eq!(verify.code, 8, "{}", verify.err);
    let shown = m.cli(&["backup", "show", &id]);
    assert_eq!(shown["status"], "failed", "{shown}");
    assert!(shown["error"].as_str().is_some_and(|e| !e.is_empty()));
    let cluster = m.cli(&["cluster", "show", "pg-one"]);
    assert!(cluster["recoverability"]["to"].is_null(), "{cluster}");
    let restore = m.say(&["restore", "run", &id, "--new", "pg-two"]);
    assert_ne!(restore.code, 0);
    assert_eq!(m.say(&["cluster", "show", "pg-two"]).code, 3, "nothing is left of the new cluster");
    assert_eq!(m.psql("pg-one", "select count(*) from t"), "20000");
    // The next backup stores what was lost again, and is good.
    let next = m.cli(&["backup", "create", "pg-one"]);
    assert_eq!(next["status"], "completed", "{next}");
    m.cli(&["backup", "drill", next["id"].as_str().unwrap()]);
}

#[test]
fn a_source_that_dies_half_way_fails_the_backup() {
    let m = Mainstay::start();
    m.cli(&["cluster", "create", "pg-one", "--engine", "postgres"]);
    m.psql("pg-one", "create table t as select g i, repeat(md5(g::text), 20) v from generate_series(1, 150000) g");
    let child = m
        .command(&["backup", "create", "pg-one", "--output", "json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // As soon as packs of the cluster appear the capture is under way.
    let data = format!("{}/data/", m.cli(&["cluster", "show", "pg-one"])["id"].as_str().unwrap());
    crate::support::until("packs appear", || files(&m.data().join("storages/local")).iter().any(|f| f.to_string_lossy().contains(&data)));
    for (pid, line) in m.processes() {
        if line.contains("postgres") && line.contains("-D") {
            let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
    let said = crate::support::said(child.wait_with_output().unwrap());
    let backups = m.cli(&["backup", "list", "pg-one"]);
    if said.code == 0 {
        // The capture was over before the engine died: then it must be whole.
        m.cli(&["backup", "drill", backups[0]["id"].as_str().unwrap()]);
    } else {
        assert_eq!(said.code, 1, "{}", said.err);
        assert_eq!(backups[0]["status"], "failed", "{backups}");
        assert!(backups[0]["error"].as_str().is_some_and(|e| e.len() > 10), "{backups}");
        assert!(m.cli(&["cluster", "show", "pg-one"])["recoverability"]["to"].is_null());
    }
    crate::support::until("the engine is back", || m.credentials("pg-one").psql("select 1").code == 0);
    std::thread::sleep(Duration::from_millis(100));
}
