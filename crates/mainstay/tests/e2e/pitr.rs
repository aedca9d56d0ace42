//! Any moment: a canary is written each second with the second it was written in, and a restore to a
//! moment holds all from before it and none from after, to the second.

use crate::{
    servers::{Bucket, SshHost},
    support::{Credentials, Load, Mainstay},
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// Writes a row every tenth of a second through the endpoint; the server's own clock says when. What is
/// acknowledged is kept with that time, in microseconds.
struct Canary {
    load: Load,
    seen: Arc<Mutex<Vec<(u64, i64)>>>,
}

impl Canary {
    fn start(c: Credentials, first: u64) -> Self {
        let seen: Arc<Mutex<Vec<(u64, i64)>>> = Arc::default();
        let (kept, mut session) = (seen.clone(), None);
        let load = Load::start(move |n| {
            std::thread::sleep(Duration::from_millis(100));
            let n = first + n;
            let s = session.get_or_insert_with(|| c.session());
            let insert = format!("insert into canary values ({n}, clock_timestamp()) returning (extract(epoch from at) * 1000000)::bigint");
            match s.ask(&insert).and_then(|line| line.parse().ok()) {
                Some(at) => kept.lock().unwrap().push((n, at)),
                None => session = None,
            }
            true
        });
        Canary { load, seen }
    }

    /// The moment right after the newest acknowledged row.
    fn moment(&self) -> i64 {
        std::thread::sleep(Duration::from_millis(300));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        now.as_micros() as i64
    }

    fn end(self) -> Vec<(u64, i64)> {
        self.load.end();
        self.seen.lock().unwrap().clone()
    }
}

/// A backup, its check and perhaps a drill lie on the way, on a machine that has other things to do.
fn until(what: &str, holds: impl FnMut() -> bool) {
    crate::support::until_within(300, what, holds);
}

fn text(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).unwrap().to_string()
}

fn window(m: &Mainstay, cluster: &str) -> Value {
    m.cli(&["cluster", "pitr", "show", cluster])
}

/// Waits until this moment can be restored.
fn reaches(m: &Mainstay, cluster: &str, moment: i64) {
    let wanted: jiff::Timestamp = text(moment).parse().unwrap();
    until("the window reaches the moment", || {
        let to = window(m, cluster)["to"].as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
        to.is_some_and(|to| to >= wanted)
    });
}

/// All rows acknowledged before the moment, and none begun after it.
fn holds_exactly(m: &Mainstay, cluster: &str, written: &[(u64, i64)], moment: i64) {
    let rows = m.psql(cluster, "select n, (extract(epoch from at) * 1000000)::bigint from canary order by n");
    let there: std::collections::BTreeSet<u64> = rows.lines().map(|l| l.split('|').next().unwrap().parse().unwrap()).collect();
    let missing: Vec<_> = written.iter().filter(|(n, at)| *at < moment - 100_000 && !there.contains(n)).collect();
    assert!(missing.is_empty(), "written before {} and not there: {missing:?}", text(moment));
    let after: Vec<&str> = rows.lines().filter(|l| l.split('|').nth(1).unwrap().parse::<i64>().unwrap() > moment).collect();
    assert!(after.is_empty(), "written after {} and there: {after:?}", text(moment));
    assert!(there.len() >= 3, "there are only {} rows", there.len());
}

fn start(replicas: &str) -> Mainstay {
    begin(Mainstay::start(), replicas)
}

fn begin(m: Mainstay, replicas: &str) -> Mainstay {
    m.cli(&["cluster", "create", "shop", "--engine", "postgres", "--replicas", replicas]);
    m.psql("shop", "create table canary(n bigint primary key, at timestamptz not null)");
    let on = m.cli(&["cluster", "pitr", "on", "shop"]);
    assert_eq!((on["on"].as_bool(), on["keep_days"].as_i64()), (Some(true), Some(7)), "{on}");
    m
}

fn code(m: &Mainstay, args: &[&str]) -> String {
    let said = m.say(args);
    assert_ne!(said.code, 0, "{args:?} was not refused: {}", said.out);
    said.err
}

#[test]
fn a_moment_comes_back_to_the_second() {
    let mut m = start("0");
    let canary = Canary::start(m.credentials("shop"), 0);
    std::thread::sleep(Duration::from_secs(3));
    let first = canary.moment();
    std::thread::sleep(Duration::from_secs(2));
    // The keeper is nobody's child: it goes on while Mainstay is away, and is found again.
    let keepers = || m.processes().into_iter().filter(|(_, line)| line.contains("pg_receivewal")).map(|(pid, _)| pid).collect::<Vec<_>>();
    let keeper = keepers();
    assert_eq!(keeper.len(), 1, "one keeper");
    m.kill();
    std::thread::sleep(Duration::from_secs(2));
    let away = canary.moment();
    m.up();
    std::thread::sleep(Duration::from_secs(2));
    let second = canary.moment();
    std::thread::sleep(Duration::from_secs(1));
    let written = canary.end();
    reaches(&m, "shop", second);
    let keepers = m.processes().into_iter().filter(|(_, line)| line.contains("pg_receivewal")).map(|(pid, _)| pid).collect::<Vec<_>>();
    assert_eq!(keepers, keeper, "the same keeper went on");

    for (name, moment) in [("shop-first", first), ("shop-away", away)] {
        m.cli(&["restore", "run", "--until", &text(moment), "--from-cluster", "shop", "--new", name]);
        holds_exactly(&m, name, &written, moment);
    }
    let sentence = m.cli(&["cluster", "show", "shop"])["recoverability"]["to"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(sentence >= text(second).parse().unwrap(), "the sentence knows the window: {sentence}");

    // In place; then the moment after it, which the window still has, although the data went back.
    let restored = m.cli(&["restore", "run", "--until", &text(first), "--to", "shop", "--yes"]);
    assert_eq!(restored["status"], "completed", "{restored}");
    holds_exactly(&m, "shop", &written, first);
    refusals(&m, first);
    m.cli(&["restore", "run", "--until", &text(second), "--from-cluster", "shop", "--new", "shop-second"]);
    holds_exactly(&m, "shop-second", &written, second);

    // The restored data is another history, with a window of its own.
    let again = Canary::start(m.credentials("shop"), 1_000_000);
    until("a new window begins", || window(&m, "shop")["gaps"].as_array().is_some_and(|g| g.len() == 1));
    std::thread::sleep(Duration::from_secs(2));
    let third = again.moment();
    std::thread::sleep(Duration::from_secs(1));
    let mut all: Vec<(u64, i64)> = written.iter().filter(|(_, at)| *at < first - 100_000).copied().collect();
    all.extend(again.end());
    reaches(&m, "shop", third);
    m.cli(&["restore", "run", "--until", &text(third), "--to", "shop", "--yes"]);
    holds_exactly(&m, "shop", &all, third);
    m.cli(&["cluster", "pitr", "off", "shop"]);
    until("no keeper is left", || !m.processes().iter().any(|(_, line)| line.contains("pg_receivewal")));
    assert_eq!(m.psql("shop", "select count(*) from pg_replication_slots"), "0");
}

/// Each says why, and none does anything.
fn refusals(m: &Mainstay, first: i64) {
    let to = ["--to", "shop", "--yes"];
    let cases = [("2100-01-01T00:00:00Z", "future"), ("2020-01-01T00:00:00Z", "before the window"), ("yesterday", "no moment")];
    for (moment, why) in cases {
        let err = code(m, &[&["restore", "run", "--until", moment][..], &to].concat());
        assert!(err.contains(why), "{moment}: {err}");
    }
    let backups = m.cli(&["backup", "list", "shop"]);
    let newest = backups[0]["id"].as_str().unwrap();
    let err = code(m, &[&["restore", "run", newest, "--until", &text(first)][..], &to].concat());
    assert!(err.contains("before the end of backup") || err.contains("does not count") || err.contains("cannot be restored"), "{err}");
}

#[test]
fn through_a_promotion() {
    let m = start("1");
    let canary = Canary::start(m.credentials("shop"), 0);
    std::thread::sleep(Duration::from_secs(2));
    let before = canary.moment();
    m.cli(&["node", "promote", "shop", "shop-2", "--yes"]);
    std::thread::sleep(Duration::from_secs(2));
    let after = canary.moment();
    std::thread::sleep(Duration::from_secs(1));
    let written = canary.end();
    reaches(&m, "shop", after);
    let show = window(&m, "shop");
    assert_eq!((show["gaps"].as_array().map(Vec::len), show["breaks"].as_array().map(Vec::len)), (Some(0), Some(0)), "{show}");
    // From the backup that was there before the promotion, over it.
    let backups = m.cli(&["backup", "list", "shop"]);
    let first = backups.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_string();
    for (name, moment) in [("shop-before", before), ("shop-after", after)] {
        m.cli(&["restore", "run", &first, "--until", &text(moment), "--new", name]);
        holds_exactly(&m, name, &written, moment);
    }
    m.cli(&["restore", "run", "--until", &text(before), "--to", "shop", "--yes"]);
    holds_exactly(&m, "shop", &written, before);
}

#[test]
fn a_storage_that_is_away_for_a_while_leaves_no_gap() {
    let m = start("0");
    let canary = Canary::start(m.credentials("shop"), 0);
    std::thread::sleep(Duration::from_secs(2));
    let before = canary.moment();
    reaches(&m, "shop", before);
    let (place, gone) = (m.data().join("storages/local"), m.data().join("storages/away"));
    std::fs::rename(&place, &gone).unwrap();
    std::fs::write(&place, "not a directory").unwrap();
    until("it says that the storage is unwell", || window(&m, "shop")["storages"][0]["trouble"].is_string());
    let during = canary.moment();
    assert!(window(&m, "shop")["to"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() < text(during).parse().unwrap());
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&gone, &place).unwrap();
    reaches(&m, "shop", during);
    let show = window(&m, "shop");
    assert_eq!((show["gaps"].as_array().map(Vec::len), show["storages"][0]["trouble"].as_str()), (Some(0), None), "{show}");
    let written = canary.end();
    m.cli(&["restore", "run", "--until", &text(during), "--to", "shop", "--yes"]);
    holds_exactly(&m, "shop", &written, during);
}

/// Beyond what may wait for a storage the log is dropped, never the database held up; a new window
/// begins with a new backup, and the old one stays.
#[test]
fn a_storage_that_is_away_for_too_long_leaves_a_gap() {
    let m = begin(Mainstay::start_with(&["--log-spool", "32"]), "0");
    let canary = Canary::start(m.credentials("shop"), 0);
    std::thread::sleep(Duration::from_secs(2));
    let before = canary.moment();
    reaches(&m, "shop", before);
    let (place, gone) = (m.data().join("storages/local"), m.data().join("storages/away"));
    std::fs::rename(&place, &gone).unwrap();
    std::fs::write(&place, "not a directory").unwrap();
    until("it says that the storage is unwell", || window(&m, "shop")["storages"][0]["trouble"].is_string());
    let during = canary.moment();
    m.psql("shop", "create table bulk as select g, repeat(md5(g::text), 30) as t from generate_series(1, 150000) g");
    let spool = m.data().join("logs");
    let size = || crate::support::files(&spool).iter().map(|f| std::fs::metadata(f).map_or(0, |m| m.len())).sum::<u64>();
    until("the spool is kept small", || size() <= 48 << 20);
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(&gone, &place).unwrap();
    until("a new window begins", || window(&m, "shop")["gaps"].as_array().is_some_and(|g| g.len() == 1));
    let after = canary.moment();
    reaches(&m, "shop", after);
    let written = canary.end();
    let err = code(&m, &["restore", "plan", "--until", &text(during), "--to", "shop"]);
    assert!(err.contains("gap"), "{err}");
    for (name, moment) in [("shop-before", before), ("shop-after", after)] {
        m.cli(&["restore", "run", "--until", &text(moment), "--from-cluster", "shop", "--new", name]);
        holds_exactly(&m, name, &written, moment);
    }
}

/// With PostgreSQL 17, which says what of a relation changed: its unpacked packages, or `None` where they
/// are not here.
fn seventeen() -> Option<Mainstay> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps/postgresql17");
    let Ok(dir) = dir.canonicalize() else {
        mainstay_testkit::skipped("PostgreSQL 17: not here; scripts/fetch-postgres.sh unpacks one");
        return None;
    };
    Some(Mainstay::start_with(&["--engine-dir", dir.to_str().unwrap()]))
}

/// Two bases, of which the newer read only what changed where the storage can, and moments after each.
fn from_bases_of_changed_pieces(m: &Mainstay, flags: &[String], takes_over: bool) {
    let add: Vec<&str> = ["storage", "add", "far"].into_iter().chain(flags.iter().map(String::as_str)).collect();
    m.cli(&add);
    let made = m.cli(&["cluster", "create", "shop", "--engine", "postgres", "--version", "17"]);
    assert!(made["version"].as_str().unwrap().starts_with("17"), "{made}");
    m.psql("shop", "create table canary(n bigint primary key, at timestamptz not null)");
    m.psql("shop", "create table bulk as select g, repeat(md5(g::text), 8) t from generate_series(1, 120000) g");
    // So long ago that a file's time says something.
    std::thread::sleep(Duration::from_secs(3));
    m.cli(&["cluster", "pitr", "on", "shop", "--storage", "far"]);
    let canary = Canary::start(m.credentials("shop"), 0);
    until("the first base", || window(m, "shop")["from"].is_string());
    std::thread::sleep(Duration::from_secs(2));
    let first = canary.moment();
    m.psql("shop", "update bulk set t = md5(t) where g % 20000 = 0");
    std::thread::sleep(Duration::from_secs(3));
    let newer = m.cli(&["backup", "create", "shop", "--storage", "far"]);
    let read = newer["checks"].as_array().unwrap().iter().find(|c| c["name"] == "source_read").unwrap_or_else(|| panic!("{newer}"));
    assert_eq!(read["detail"].as_str().unwrap().contains("taken over"), takes_over, "{read}");
    let sum = "select count(*), md5(string_agg(t, '' order by g)) from bulk";
    let bulk = m.psql("shop", sum);
    let second = canary.moment();
    m.psql("shop", "delete from bulk where g % 2 = 0");
    std::thread::sleep(Duration::from_secs(1));
    let third = canary.moment();
    std::thread::sleep(Duration::from_secs(1));
    let written = canary.end();
    reaches(m, "shop", third);
    let show = window(m, "shop");
    assert_eq!((show["gaps"].as_array().map(Vec::len), show["storages"][0]["trouble"].as_str()), (Some(0), None), "{show}");

    for (name, moment) in [("shop-first", first), ("shop-second", second)] {
        m.cli(&["restore", "run", "--until", &text(moment), "--from-cluster", "shop", "--new", name]);
        holds_exactly(m, name, &written, moment);
    }
    assert_eq!(m.psql("shop-second", sum), bulk, "of the newer base and what was replayed on it");
    let newer = newer["id"].as_str().unwrap();
    m.cli(&["backup", "drill", newer]);
    m.cli(&["restore", "run", newer, "--until", &text(third), "--to", "shop", "--yes"]);
    holds_exactly(m, "shop", &written, third);
    assert_eq!(m.psql("shop", "select count(*) from bulk"), "60000");
}

#[test]
fn seventeen_from_a_bucket() {
    let Some(m) = seventeen() else { return };
    let Some(bucket) = Bucket::start(&m.dir) else { return };
    from_bases_of_changed_pieces(&m, &bucket.flags(), true);
    assert_eq!(bucket.unfinished_uploads(), 0);
}

#[test]
fn seventeen_from_a_directory_behind_sftp() {
    let Some(m) = seventeen() else { return };
    let Some(host) = SshHost::start(&m.dir) else { return };
    from_bases_of_changed_pieces(&m, &host.sftp_flags(), true);
}

/// Borg keeps whole streams: it reads all and finds what it has.
#[test]
fn seventeen_from_borg_repositories_behind_ssh() {
    let Some(m) = seventeen() else { return };
    let Some(host) = SshHost::start(&m.dir) else { return };
    from_bases_of_changed_pieces(&m, &host.borg_flags(), false);
}
