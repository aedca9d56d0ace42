//! One backup in a directory, a bucket and a Borg repository behind ssh at once: two of them break, the
//! third is as good as ever, people are told once, and what was missed is made good for. In the end a
//! person with `restic` and `borg` and nothing of Mainstay gets it all back.

use crate::{
    servers::{Bucket, SECRET, SshHost, by_hand},
    support::{Mainstay, Said, files, said, until},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

const SUM: &str = "select count(*), md5(string_agg(i::text || b, ',' order by i)) from t";
const EVERYWHERE: [&str; 6] = ["--storage", "local", "--storage", "cloud", "--storage", "vault"];

fn add(m: &Mainstay, name: &str, flags: &[String]) {
    let args: Vec<&str> = ["storage", "add", name].into_iter().chain(flags.iter().map(String::as_str)).collect();
    m.cli(&args);
}

fn back_up(cluster: &str) -> Vec<&str> {
    ["backup", "create", cluster].into_iter().chain(EVERYWHERE).collect()
}

fn copies(backup: &Value) -> BTreeMap<&str, &str> {
    let all = backup["copies"].as_array().unwrap();
    all.iter().map(|c| (c["storage"].as_str().unwrap(), c["status"].as_str().unwrap())).collect()
}

fn alerts(m: &Mainstay) -> Vec<(String, String)> {
    let all = m.cli(&["alert", "list"]);
    let text = |a: &Value, k: &str| a[k].as_str().unwrap_or_default().to_string();
    all.as_array().unwrap().iter().map(|a| (text(a, "kind"), text(a, "object_name"))).collect()
}

/// Both at once, so that the wait for what does not answer is spent once.
fn both(m: &Mainstay) -> [Said; 2] {
    let begun = ["shop", "memo"].map(|cluster| {
        let mut c = m.command(&back_up(cluster));
        c.args(["--output", "json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    begun.map(|child| said(child.wait_with_output().unwrap()))
}

/// Everything below, apart from what Mainstay notes beside the data.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let ours = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with("mainstay.");
    let all = files(dir).into_iter().filter(|p| !ours(p));
    all.map(|p| (p.strip_prefix(dir).unwrap().to_path_buf(), std::fs::read(&p).unwrap())).collect()
}

/// What `backup show` prints for a storage, up to where the engine's own steps begin.
fn printed(m: &Mainstay, backup: &str, storage: &str) -> Vec<String> {
    let shown = said(m.command(&["backup", "show", backup]).output().unwrap());
    assert_eq!(shown.code, 0, "{}", shown.err);
    let title = format!("Without Mainstay, from storage {storage}:");
    let lines: Vec<&str> = shown.out.lines().skip_while(|l| *l != title).skip(1).take_while(|l| l.starts_with("  ")).collect();
    let last = lines.iter().rposition(|l| l.contains("restic ") || l.contains("borg ")).unwrap_or_else(|| panic!("{}", shown.out));
    lines[..=last].iter().map(|l| l.trim().to_string()).collect()
}

#[test]
fn a_bucket_and_a_host_break_and_nothing_is_lost() {
    let mut m = Mainstay::start_with(&["--copy-again-after", "15"]);
    let (Some(bucket), Some(mut host)) = (Bucket::start(&m.dir), SshHost::start(&m.dir)) else { return };
    add(&m, "cloud", &bucket.flags());
    add(&m, "vault", &host.borg_flags());
    m.cli(&["cluster", "create", "shop", "--engine", "postgres"]);
    m.cli(&["cluster", "create", "memo", "--engine", m.kv()]);
    m.psql("shop", "create table t as select g i, md5(g::text) || md5((g + 1)::text) b from generate_series(1, 60000) g");
    m.redis("memo", &["mset", "a", "1", "b", "2"]);
    for whole in both(&m).map(|s| s.json()) {
        assert_eq!(whole["status"], "completed", "{whole}");
        assert_eq!(copies(&whole), [("cloud", "completed"), ("local", "completed"), ("vault", "completed")].into(), "{whole}");
    }
    assert_eq!(alerts(&m), []);

    // The bucket is gone for everybody; in the middle of it the other host goes too.
    m.psql("shop", "insert into t select g, md5(g::text) from generate_series(60001, 90000) g");
    let point = m.psql("shop", SUM);
    bucket.shut();
    let [shop, memo] = both(&m);
    for said in [&shop, &memo] {
        assert!(said.code == 1 && said.err.contains("cloud"), "{} {}", said.code, said.err);
        assert_eq!(copies(&said.json()), [("cloud", "failed"), ("local", "completed"), ("vault", "completed")].into(), "{}", said.out);
        assert_eq!(said.json()["status"], "partial");
    }
    // One matter, however many clusters it costs a copy.
    until("it is told", || alerts(&m) == [("backup_partial".to_string(), "cloud".to_string())]);

    // By hand for one, by itself for the other.
    bucket.reopen();
    let (shop, memo) = (shop.json()["id"].as_str().unwrap().to_string(), memo.json()["id"].as_str().unwrap().to_string());
    let copied = m.cli(&["backup", "copy", &shop, "--storage", "cloud"]);
    assert_eq!((&copied["status"], &copied["error"]), (&"completed".into(), &Value::Null), "{copied}");
    until("the other is completed by itself", || m.cli(&["backup", "show", &memo])["status"] == "completed");
    until("nothing is said any more", || alerts(&m).is_empty());

    host.stop();
    let failed = m.say(&back_up("memo"));
    assert_eq!(
        (failed.code, copies(&failed.json())["vault"], copies(&failed.json())["cloud"]),
        (1, "failed", "completed"),
        "{}",
        failed.err
    );
    until("it is told", || alerts(&m).contains(&("backup_partial".into(), "vault".into())));
    m.kill();
    assert!(host.listen());
    m.up();
    let id = failed.json()["id"].as_str().unwrap().to_string();
    until("it is completed after a kill, too", || m.cli(&["backup", "show", &id])["status"] == "completed");
    until("nothing is said any more", || alerts(&m).is_empty());
    for name in ["cloud", "vault"] {
        let restored = format!("shop-{name}");
        m.cli(&["restore", "run", &shop, "--new", &restored, "--storage", name]);
        assert_eq!(m.psql(&restored, SUM), point);
    }
    assert_eq!(bucket.unfinished_uploads(), 0);
    a_person_gets_it_back(&m, &host, &shop);
}

fn a_person_gets_it_back(m: &Mainstay, host: &SshHost, backup: &str) {
    let key = m.dir.join("recovery-key");
    m.cli(&["project", "recovery-key", "default", "--file", key.to_str().unwrap()]);
    let mut trees = vec![];
    for storage in ["local", "cloud", "vault"] {
        let dir = m.dir.join(format!("by-hand-from-{storage}"));
        let fill = |line: String| {
            let (key, dir) = (key.to_str().unwrap(), dir.to_str().unwrap());
            line.replace("RECOVERY-KEY-FILE", key).replace("DIR", dir).replace("SSH_KEY_FILE", &host.identity("borg"))
        };
        let commands: Vec<String> = printed(m, backup, storage).into_iter().map(fill).collect();
        let done = by_hand(&m.dir.join("person"), &commands, SECRET);
        assert_eq!(done.code, 0, "{commands:?}\n{}\n{}", done.out, done.err);
        let checked = if storage == "vault" { "borg check --verify-data" } else { "check --read-data" };
        assert!(commands.iter().any(|c| c.contains(checked)), "{commands:?}");
        trees.push(tree(&dir));
    }
    assert!(trees[0].keys().any(|p| p.ends_with("PG_VERSION")) && trees[0].len() > 500, "{} files", trees[0].len());
    for other in &trees[1..] {
        assert!(other == &trees[0], "the copies do not hold the same");
    }
}
