//! One backup in two places, one of which breaks in the middle.

use crate::support::{Mainstay, files, until};
use serde_json::Value;
use std::{
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

const SUM: &str = "select count(*), md5(string_agg(i::text || encode(b, 'hex'), ',' order by i)) from t";

fn packs(storage: &Path) -> usize {
    files(storage).iter().filter(|f| f.to_string_lossy().contains("/data/")).count()
}

fn place(m: &Mainstay, name: &str) -> PathBuf {
    let path = m.dir.join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
    m.cli(&["storage", "add", name, "--kind", "local", "--path", path.to_str().unwrap()]);
    path
}

fn copy<'a>(backup: &'a Value, storage: &str) -> &'a Value {
    backup["copies"].as_array().unwrap().iter().find(|c| c["storage"] == storage).unwrap()
}

/// Three packs' worth of bytes that no compressor makes smaller.
fn fill(m: &Mainstay, cluster: &str, seed: &str) {
    let md5 = (0..8).map(|n| format!("md5('{seed}{n}' || g)")).collect::<Vec<_>>().join(" || ");
    m.psql(cluster, &format!("insert into t select g, decode({md5}, 'hex') from generate_series(1, 300000) g"));
}

#[test]
fn a_storage_that_breaks_in_the_middle_costs_one_copy_and_gets_it_later() {
    let m = Mainstay::start();
    let second = place(&m, "second");
    place(&m, "third");
    m.cli(&["cluster", "create", "shop", "--engine", "postgres"]);
    m.psql("shop", "create table t (i bigint, b bytea)");
    const EVERYWHERE: [&str; 9] = ["backup", "create", "shop", "--storage", "local", "--storage", "second", "--storage", "third"];
    let whole = m.cli(&EVERYWHERE);
    assert_eq!((&whole["status"], whole["copies"].as_array().unwrap().len()), (&"completed".into(), 3), "{whole}");

    // The place is gone as soon as the first new pack lies in it; most of the data is still to come.
    fill(&m, "shop", "a");
    let (before, aside) = (packs(&second), m.dir.join("aside"));
    let mut making = m.command(&EVERYWHERE);
    let mut making =
        making.args(["--output", "json"]).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    until("the second storage takes data", || packs(&second) > before || making.try_wait().unwrap().is_some());
    std::fs::rename(&second, &aside).unwrap();
    std::fs::write(&second, "not a directory").unwrap();
    let said = crate::support::said(making.wait_with_output().unwrap());
    assert_eq!(said.code, 1, "{} {}", said.out, said.err);
    assert!(said.err.contains("second"), "the sentence names the storage: {}", said.err);
    let partial = said.json();
    assert_eq!((&partial["status"], &copy(&partial, "local")["status"]), (&"partial".into(), &"completed".into()), "{partial}");
    assert!(copy(&partial, "second")["error"].is_string(), "{partial}");
    assert_eq!(copy(&partial, "third")["status"], "completed", "{partial}");
    eprintln!("peak with three storages: {} MiB", m.peak_mib());
    assert!(m.peak_mib() < 384, "{} MiB for three storages", m.peak_mib());

    // Well again, it is given the same point, whatever was written since.
    std::fs::remove_file(&second).unwrap();
    std::fs::rename(&aside, &second).unwrap();
    let point = m.psql("shop", SUM);
    fill(&m, "shop", "b");
    let id = partial["id"].as_str().unwrap();
    let copied = m.cli(&["backup", "copy", id, "--storage", "second"]);
    assert_eq!((&copied["status"], &copied["error"]), (&"completed".into(), &Value::Null), "{copied}");
    assert_eq!((&copied["position"], &copied["created_at"]), (&partial["position"], &partial["created_at"]));
    assert_eq!(m.say(&["backup", "copy", id, "--storage", "second"]).code, m.say(&["backup", "copy", id, "--storage", "local"]).code);
    for (name, storage) in [("one", "local"), ("two", "second"), ("three", "third")] {
        let name = format!("shop-{name}");
        m.cli(&["restore", "run", id, "--new", &name, "--storage", storage]);
        assert_eq!(m.psql(&name, SUM), point, "{storage}");
    }
    m.cli(&["backup", "verify", id]);
    let sentence = m.cli(&["cluster", "show", "shop"])["recoverability"]["three_two_one"].as_str().unwrap().to_string();
    assert!(sentence.contains("not a disaster copy"), "{sentence}");
    assert_eq!(
        m.say(&["backup", "create", "shop", "--dual-region"]).code,
        m.say(&["backup", "create", "shop", "--retention-days", "0"]).code
    );
}

#[test]
fn a_copy_goes_from_one_format_to_the_other_and_back() {
    let m = Mainstay::start();
    let vault = m.dir.join("vault");
    std::fs::DirBuilder::new().mode(0o700).create(&vault).unwrap();
    m.cli(&["storage", "add", "vault", "--kind", "borg", "--repository", vault.to_str().unwrap()]);
    m.cli(&["cluster", "create", "memo", "--engine", m.kv()]);
    let load: Vec<String> = (0..500).flat_map(|n| [format!("key{n}"), "some value ".repeat(n)]).collect();
    let load: Vec<&str> = std::iter::once("mset").chain(load.iter().map(String::as_str)).collect();
    m.redis("memo", &load);
    for (made_in, copied_to) in [("local", "vault"), ("vault", "local")] {
        let made = m.cli(&["backup", "create", "memo", "--storage", made_in]);
        let id = made["id"].as_str().unwrap();
        let copied = m.cli(&["backup", "copy", id, "--storage", copied_to]);
        assert_eq!((&copied["status"], &copy(&copied, copied_to)["status"]), (&"completed".into(), &"completed".into()), "{copied}");
        assert_eq!(copied["position"], made["position"]);
        let name = format!("from-{copied_to}");
        m.cli(&["restore", "run", id, "--new", &name, "--storage", copied_to]);
        assert_eq!((m.redis(&name, &["dbsize"]), m.redis(&name, &["get", "key7"])), ("500".into(), "some value ".repeat(7).trim().into()));
    }
    let both = m.cli(&["backup", "create", "memo", "--storage", "local", "--storage", "vault"]);
    assert_eq!((&both["status"], both["copies"].as_array().unwrap().len()), (&"completed".into(), 2), "{both}");
}

/// Real Borg, told to be append-only: what is deleted is given up, its archive stays, and that is said.
#[test]
fn an_append_only_vault_keeps_what_is_given_up() {
    let m = Mainstay::start();
    let vault = m.dir.join("vault");
    std::fs::DirBuilder::new().mode(0o700).create(&vault).unwrap();
    m.cli(&["storage", "add", "vault", "--kind", "borg", "--repository", vault.to_str().unwrap()]);
    m.cli(&["cluster", "create", "memo", "--engine", m.kv()]);
    m.redis("memo", &["set", "a", "1"]);
    let made: Vec<Value> = (0..2).map(|_| m.cli(&["backup", "create", "memo", "--storage", "vault"])).collect();
    let repositories: Vec<PathBuf> = files(&vault).into_iter().filter(|f| f.ends_with("config")).collect();
    for config in &repositories {
        let text = std::fs::read_to_string(config).unwrap().replace("append_only = 0", "append_only = 1");
        std::fs::write(config, text).unwrap();
    }
    m.cli(&["backup", "delete", made[0]["id"].as_str().unwrap(), "--yes"]);
    let left = m.cli(&["backup", "list", "memo"]).as_array().unwrap().clone();
    assert_eq!(left.iter().map(|b| &b["id"]).collect::<Vec<_>>(), [&made[1]["id"]]);
    let rows = m.cli(&["storage", "check", "vault"])["rows"].as_array().unwrap().clone();
    let said = rows.iter().find(|r| r["name"] == "left_behind").unwrap();
    assert!(said["detail"].as_str().unwrap().contains("1 snapshot") && said["detail"].as_str().unwrap().contains("append-only"), "{said}");
    m.cli(&["backup", "verify", made[1]["id"].as_str().unwrap()]);
}
