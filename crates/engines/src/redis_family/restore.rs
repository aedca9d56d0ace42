//! From a snapshot file to a directory that a node serves.
//!
//! A server that keeps a log reads the log at its start and ignores the snapshot file: with the
//! file alone it comes up empty, and soon overwrites the file with that. So the isolated instance
//! starts without a log, loads the file, and is then told to keep one, which makes it write all it
//! holds. Only a directory with such a log gets a role, and without a role nothing starts from it.

use super::{
    RedisFamily,
    capture::capture,
    config::{DUMP, environment, isolated_files, text},
    connect::{Session, admin},
    info::Info,
    replicate::make_directories,
    role::{self, LOG_DIR, Role},
    walk::read_all,
};
use crate::common::{give_to, version_key};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{Backups, Node},
    progress::Progress,
    runtime::Exec,
    storage::Source,
};
use mainstay_model::{
    Error,
    backup::{Check, Facts},
};
use redis::cmd;
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// As long as a very large file takes to be read once.
const LONG: Duration = Duration::from_secs(2 * 3600);
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[async_trait]
impl Backups for RedisFamily {
    async fn capture(&self, node: &Node, progress: &Progress) -> Result<Box<dyn Source>> {
        capture(self.flavour, node, None, progress).await
    }

    async fn prepare(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>> {
        not_newer(node, facts)?;
        let data = &node.paths.data;
        if !data.join(DUMP).is_file() {
            return Err(Error::integrity(format!("{} has no {DUMP}: it is not a whole backup", data.display())));
        }
        // A log of other data beside it would be believed rather than the file.
        remove_log(data).await?;
        make_directories(node).await?;
        give_to(node.installed.user.as_deref(), data).await?;
        Ok(vec![read_through(self.flavour.name, node).await?])
    }

    async fn check(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>> {
        let mut session = admin(node).await?;
        let info = session.info().await?;
        if !info.is("loading", "0") {
            let sentence = format!("{} is still loading the backup; check it when it is ready", node.plan.name);
            return Err(Error::unavailable("engine_starting", sentence));
        }
        Ok(vec![loaded(&info, facts), counted(&info, facts), write_log(&mut session, node).await?])
    }

    async fn prove(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>> {
        Ok(vec![read_all(node, facts).await?])
    }

    fn is_alarm(&self, line: &str) -> bool {
        const DAMAGE: [&str; 6] =
            ["REDIS BUG REPORT", "VALKEY BUG REPORT", "Bad file format", "RDB CRC error", "Internal error in RDB", "Guru Meditation"];
        DAMAGE.iter().any(|words| line.contains(words))
    }

    async fn settle(&self, node: &Node) -> Result<()> {
        if !has_log(&node.paths.data) {
            let sentence = format!("{} has no log: a server would start from it without any data", node.paths.data.display());
            return Err(Error::integrity(format!("{sentence}; check the backup again before it is put into service")));
        }
        for file in isolated_files(node) {
            remove_file(&file).await?;
        }
        role::write(node, Role::Primary).await
    }

    fn download_file(&self) -> Option<&'static str> {
        Some(DUMP)
    }

    fn restored_path(&self, captured: &Path) -> Option<PathBuf> {
        (captured == Path::new(DUMP)).then(|| DUMP.into())
    }

    fn manual_steps(&self, version: &str) -> Vec<String> {
        let name = self.flavour.name;
        vec![
            format!("# {} {version} or later; DIR is the folder that {DUMP} was restored to", self.flavour.title),
            format!("{name}-check-rdb DIR/{DUMP}"),
            format!("chown -R {name}: DIR"),
            "# With 'appendonly yes' at the start the file is ignored and the server comes up empty: load it first.".into(),
            format!("{name}-server --dir DIR --dbfilename {DUMP} --appendonly no --save '' --bind 127.0.0.1 --port 6379"),
            format!("{name}-cli DBSIZE"),
            format!("# To keep a log from now on, wait for aof_rewrite_in_progress:0 in '{name}-cli INFO persistence' after:"),
            format!("{name}-cli CONFIG SET appendonly yes"),
        ]
    }
}

/// A file's format grows with the server's version: an older server cannot read a newer one's.
fn not_newer(node: &Node, facts: &Facts) -> Result<()> {
    let (theirs, ours) = (version_key(&facts.engine_version), version_key(&node.installed.version));
    let major_minor = |v: &[u32]| [v.first().copied().unwrap_or(0), v.get(1).copied().unwrap_or(0)];
    if major_minor(&theirs) <= major_minor(&ours) {
        return Ok(());
    }
    let sentence = format!("the backup is of {} {}, installed is {}", facts.engine, facts.engine_version, node.installed.version);
    Err(Error::failed("version_too_old", format!("{sentence}; install {} or later", facts.engine_version)))
}

/// The server's own tool reads every value of the file, without a server.
async fn read_through(name: &str, node: &Node) -> Result<Check> {
    let tool = format!("{name}-check-rdb");
    let exec = Exec {
        program: node.installed.bin_dir.join(&tool),
        args: vec![text(&node.paths.data.join(DUMP))],
        env: environment(node),
        working_dir: node.paths.root.clone(),
        user: node.installed.user.clone(),
        stdin: vec![],
        timeout: LONG,
        background: false,
    };
    let out = node.runtime.exec(exec).await.map_err(|e| e.context(format!("running {tool}")))?;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let keys = said.lines().find_map(|line| line.strip_prefix("[info] ")?.strip_suffix(" keys read"));
    Ok(match (out.status, keys) {
        (0, Some(keys)) => Check::new("snapshot_file", true, format!("{tool} read {keys} keys")),
        (status, _) => {
            let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Check::new("snapshot_file", false, format!("{tool} ended with {status}: {}", mainstay_model::error::shown(last)))
        }
    })
}

/// Every key of the file was either loaded or had expired meanwhile: a server drops the latter
/// while it reads, and counts them.
fn loaded(info: &Info, facts: &Facts) -> Check {
    let number = |key| info.number::<u64>(key);
    let (Some(loaded), Some(expired)) = (number("rdb_last_load_keys_loaded"), number("rdb_last_load_keys_expired")) else {
        return Check::new("keys_loaded", false, "the server does not say what it loaded");
    };
    let known: Option<u64> = is_total(facts).then(|| facts.exact.values().sum());
    match known {
        Some(keys) if loaded + expired != keys => {
            Check::new("keys_loaded", false, format!("{loaded} keys loaded and {expired} expired, of {keys} that the source had"))
        }
        _ => Check::new("keys_loaded", true, format!("{loaded} keys loaded, {expired} expired since the backup")),
    }
}

/// Whether every database that the source had is counted exactly.
fn is_total(facts: &Facts) -> bool {
    let databases = facts.estimates.keys().filter(|k| k.starts_with("keys."));
    !facts.exact.is_empty() && databases.into_iter().all(|k| facts.exact.contains_key(k))
}

/// Database by database: as many keys as in the source, less at most those that were to expire.
/// Keys that expire go on doing so in the checked instance, so fewer is no fault up to there.
fn counted(info: &Info, facts: &Facts) -> Check {
    let now = info.keyspace();
    let mut wrong = vec![];
    for (name, source) in &facts.exact {
        let Some(db) = name.strip_prefix("keys.db").and_then(|db| db.parse::<u32>().ok()) else { continue };
        let keys = now.get(&db).map_or(0, |k| k.keys);
        let may_expire = facts.estimates.get(&format!("expires.db{db}")).copied().unwrap_or(0);
        if keys > *source || keys + may_expire < *source {
            wrong.push(format!("db{db} has {keys} keys, the source had {source}, {may_expire} of them with an expiry"));
        }
    }
    let total: u64 = now.values().map(|k| k.keys).sum();
    let before: u64 = facts.estimates.iter().filter(|(name, _)| name.starts_with("keys.")).map(|(_, n)| n).sum();
    let expires: u64 = facts.estimates.iter().filter(|(name, _)| name.starts_with("expires.")).map(|(_, n)| n).sum();
    if total == 0 && before > expires {
        wrong.push(format!("nothing was restored, the source had about {before} keys"));
    }
    match wrong.is_empty() {
        true => Check::new("key_counts", true, format!("{total} keys in {} databases", now.len())),
        false => Check::new("key_counts", false, wrong.join("; ")),
    }
}

/// Has the server write all it holds into a log, and waits until that is on disk.
async fn write_log(session: &mut Session, node: &Node) -> Result<Check> {
    let mut keep = cmd("CONFIG");
    keep.arg("SET").arg("appendonly").arg("yes");
    session.ask::<()>("starting its log", &keep).await?;
    let deadline = Instant::now() + LONG;
    loop {
        let info = session.info().await?;
        let is = |key, value| info.is(key, value);
        if is("aof_enabled", "1") && is("aof_rewrite_in_progress", "0") && is("aof_rewrite_scheduled", "0") {
            let ok = is("aof_last_bgrewrite_status", "ok") && is("aof_last_write_status", "ok") && has_log(&node.paths.data);
            let detail = if ok {
                "all data is in the log that a normal start reads"
            } else {
                "the server could not write its log: look at the disk"
            };
            return Ok(Check::new("log_written", ok, detail));
        }
        if Instant::now() >= deadline {
            return Err(Error::timed_out(format!("{} did not finish writing its log within {LONG:?}", node.plan.name)));
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The list of the log's parts is written when all of them are.
fn has_log(data: &Path) -> bool {
    data.join(LOG_DIR).join("appendonly.aof.manifest").is_file()
}

async fn remove_log(data: &Path) -> Result<()> {
    let dir = data.join(LOG_DIR);
    match tokio::fs::remove_dir_all(&dir).await {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::from(e).context(format!("removing {}", dir.display()))),
        _ => Ok(()),
    }
}

async fn remove_file(file: &Path) -> Result<()> {
    match tokio::fs::remove_file(file).await {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::from(e).context(format!("removing {}", file.display()))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn facts(keys: u64, expires: u64) -> Facts {
        let both = |n, e| BTreeMap::from([("keys.db0".to_string(), n), ("expires.db0".to_string(), e)]);
        Facts { exact: BTreeMap::from([("keys.db0".to_string(), keys)]), estimates: both(keys, expires), ..Facts::default() }
    }

    fn info(loaded: u64, expired: u64, keys: u64) -> Info {
        let db = if keys > 0 { format!("db0:keys={keys},expires=0,avg_ttl=0\r\n") } else { String::new() };
        Info::parse(&format!("rdb_last_load_keys_loaded:{loaded}\r\nrdb_last_load_keys_expired:{expired}\r\n{db}"))
    }

    #[test]
    fn expired_keys_are_allowed_and_lost_ones_are_not() {
        assert!(loaded(&info(8, 2, 8), &facts(10, 2)).ok);
        assert!(!loaded(&info(8, 1, 8), &facts(10, 2)).ok);
        assert!(counted(&info(8, 2, 8), &facts(10, 2)).ok);
        assert!(!counted(&info(7, 2, 7), &facts(10, 2)).ok);
        assert!(!counted(&info(11, 0, 11), &facts(10, 2)).ok);
    }

    #[test]
    fn nothing_where_something_was_is_wrong() {
        let vague = Facts { exact: BTreeMap::new(), ..facts(10, 2) };
        assert!(!counted(&info(0, 0, 0), &vague).ok);
        assert!(counted(&info(9, 0, 9), &vague).ok);
        assert!(counted(&info(0, 2, 0), &facts(2, 2)).ok);
    }
}
