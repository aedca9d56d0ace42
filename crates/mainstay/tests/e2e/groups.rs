//! Groups: a bank whose money moves between two clusters is backed up while it works, and comes back
//! as of one point.

use crate::support::{Load, Mainstay, Resp, files};
use serde_json::Value;
use std::time::Duration;

/// Two tellers. One takes from `shop` and then gives to `cache`, the other the other way round; each
/// step is acknowledged before the next. Of both counters of a teller, at every moment, the second is
/// what the first is, or one less.
struct Bank([Load; 2]);

impl Bank {
    fn open(m: &Mainstay) -> Bank {
        m.psql("shop", "create table bank(taken bigint, given bigint); insert into bank values (0, 0)");
        m.redis("cache", &["mset", "taken", "0", "given", "0"]);
        let (sql, kv) = (m.credentials("shop"), m.credentials("cache"));
        let tellers = [true, false].map(|from_shop| {
            let (mut sql, mut kv) = (sql.session(), Resp::connect(&kv).unwrap());
            Load::start(move |_| {
                let mut shop = |column: &str| {
                    let step = sql.ask(&format!("update bank set {column} = {column} + 1 returning {column}"));
                    assert!(step.is_some_and(|s| s.parse::<u64>().is_ok()), "shop gave an error");
                };
                let mut cache = |key: &str| {
                    let step = kv.call(&["INCR", key]).unwrap();
                    assert!(step.starts_with(':'), "cache gave an error: {step}");
                };
                if from_shop {
                    shop("taken");
                    cache("given");
                } else {
                    cache("taken");
                    shop("given");
                }
                true
            })
        });
        Bank(tellers)
    }

    /// Rounds each teller went. They had no error.
    fn close(self) -> Vec<usize> {
        self.0.into_iter().map(|teller| teller.end().len()).collect()
    }
}

fn balanced(m: &Mainstay, shop: &str, cache: &str) -> [u64; 2] {
    let sql = m.psql(shop, "select taken, given from bank");
    let (shop_taken, shop_given) = sql.split_once('|').unwrap();
    let [shop_taken, shop_given] = [shop_taken, shop_given].map(|n| n.parse::<u64>().unwrap());
    let [taken, given] = ["taken", "given"].map(|key| m.redis(cache, &["get", key]).parse::<u64>().unwrap());
    for (first, second) in [(shop_taken, given), (taken, shop_given)] {
        assert!(second == first || second + 1 == first, "no point of both: {first} were taken and {second} given");
    }
    [shop_taken, taken]
}

fn group(m: &Mainstay) {
    m.cli(&["cluster", "create", "shop", "--engine", "postgres", "--replicas", "1"]);
    m.cli(&["cluster", "create", "cache", "--engine", m.kv()]);
    let group = m.cli(&["group", "create", "store", "shop", "cache"]);
    assert_eq!(group["members"], serde_json::json!(["shop", "cache"]));
}

#[test]
fn a_working_bank_comes_back_at_one_point() {
    let m = Mainstay::start();
    group(&m);
    let bank = Bank::open(&m);
    std::thread::sleep(Duration::from_millis(300));
    let made: Vec<Value> = (0..3).map(|n| m.cli(&["group", "backup", "store", "--description", &format!("round {n}")])).collect();
    for backup in &made {
        assert_eq!((backup["status"].as_str(), backup["restorable"].as_bool()), (Some("completed"), Some(true)), "{backup}");
        assert_eq!(backup["parts"].as_array().unwrap().len(), 2);
    }
    let rounds = bank.close();
    assert!(rounds.iter().all(|n| *n > 20), "the bank did nothing: {rounds:?}");
    let end = balanced(&m, "shop", "cache");

    let id = made[1]["id"].as_str().unwrap();
    m.cli(&["group", "restore", id, "--new-suffix", "-copy"]);
    let then = balanced(&m, "shop-copy", "cache-copy");
    assert!(then.iter().zip(end).all(|(then, end)| *then > 0 && *then <= end), "{then:?} {end:?}");
    m.cli(&["group", "restore", id, "--in-place", "--yes"]);
    assert_eq!(balanced(&m, "shop", "cache"), then, "both ways back lead to the same point");

    let listed = m.cli(&["group", "backups", "store"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    // A part that is deleted takes the whole with it, and that is said.
    let part = made[2]["parts"][0]["backup_id"].as_str().unwrap();
    m.cli(&["backup", "delete", part, "--yes"]);
    let broken = m.cli(&["group", "show", made[2]["id"].as_str().unwrap()]);
    assert_eq!(broken["restorable"], false, "{broken}");
    let refused = m.say(&["group", "restore", made[2]["id"].as_str().unwrap(), "--in-place", "--yes"]);
    assert_eq!(refused.code, 4, "{}", refused.err);
    m.cli(&["group", "delete", "store", "--yes"]);
    assert_eq!(m.cli(&["group", "list"]), serde_json::json!([]));
}

/// Both members or none: the one that could be restored is not left over.
#[test]
fn new_clusters_come_together_or_not_at_all() {
    let m = Mainstay::start();
    group(&m);
    m.psql("shop", "create table t as select generate_series(1, 1000) n");
    m.redis("cache", &["set", "a", "1"]);
    let id = m.cli(&["group", "backup", "store"])["id"].as_str().unwrap().to_string();
    let cache = m.cli(&["cluster", "show", "cache"])["id"].as_str().unwrap().to_string();
    let packs = files(&m.data().join("storages/local")).into_iter().filter(|f| f.to_string_lossy().contains(&format!("{cache}/data/")));
    for pack in packs {
        let mut bytes = std::fs::read(&pack).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, bytes).unwrap();
    }
    let refused = m.say(&["group", "restore", &id, "--new-suffix", "-new"]);
    assert!(refused.code != 0 && refused.err.contains("cache"), "{} {}", refused.code, refused.err);
    for name in ["shop-new", "cache-new"] {
        assert_eq!(m.say(&["cluster", "show", name]).code, 3, "{name} is left over");
    }
    assert_eq!(m.remnants().iter().filter(|n| n.starts_with("nodes/")).count(), 3);
}

#[test]
fn killed_in_the_middle_nothing_stays_held() {
    let mut m = Mainstay::start();
    group(&m);
    let bank = Bank::open(&m);
    for pause in [30, 120, 300, 600] {
        let started = m.say(&["group", "backup", "store", "--no-wait"]);
        assert_eq!(started.code, 0, "{}", started.err);
        std::thread::sleep(Duration::from_millis(pause));
        m.kill();
        m.up();
        let operation = started.json()["id"].as_str().unwrap().to_string();
        let ended = m.say(&["operation", "watch", &operation]);
        assert!(ended.code == 0 || ended.code == 1, "{}", ended.err);
    }
    let last = m.cli(&["group", "backup", "store"]);
    assert_eq!(last["status"], "completed", "{last}");
    let rounds = bank.close();
    assert!(rounds.iter().all(|n| *n > 20), "the bank stood still: {rounds:?}");
    // Whatever was recorded as whole is whole.
    let all = m.cli(&["group", "backups", "store"]);
    for (n, backup) in all.as_array().unwrap().iter().enumerate().filter(|(_, b)| b["restorable"] == true) {
        m.cli(&["group", "restore", backup["id"].as_str().unwrap(), "--new-suffix", &format!("-{n}")]);
        balanced(&m, &format!("shop-{n}"), &format!("cache-{n}"));
    }
}
