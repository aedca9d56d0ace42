//! From a captured directory to one that a node serves.
//!
//! `prepare` makes it startable and has every byte judged against the list of files; the isolated
//! instance then recovers to the backup's end on a new timeline; `check` looks at what came up and
//! gives it this cluster's names and passwords; `settle` has every page's checksum verified and
//! leaves a directory that knows nothing of where it came from.

use super::{
    Postgres,
    capture::{MANIFEST, PIECES, capture},
    config::{auto_conf, cleaned, isolated_files, private, read_auto_conf},
    connect::{Session, admin, ident, sql, try_admin},
    probe::Standing,
    prove::{amcheck, is_alarm, point},
    survey::Survey,
    tools::{ControlData, LONG, Tool, arg, last_words, remove_file},
};
use crate::common::{give_to, version_key};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{AccountKeeper, Backups, Incremental, Node},
    gate::Gate,
    progress::Progress,
    storage::{Known, Source},
};
use mainstay_model::{
    Error,
    backup::{Check, Facts},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

/// Directories the server wants to find and a storage may not have kept, being empty.
const DIRECTORIES: [&str; 18] = [
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_multixact",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_wal/archive_status",
    "pg_xact",
];

#[async_trait]
impl Backups for Postgres {
    async fn capture(&self, node: &Node, progress: &Progress) -> Result<Box<dyn Source>> {
        capture(node, None, None, progress).await
    }

    async fn prepare(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>> {
        let data = &node.paths.data;
        same_major(node, facts).await?;
        if !data.join("backup_label").is_file() {
            // Without it the server starts happily and its data is corrupt.
            return Err(Error::integrity(format!("{} has no backup_label: it is not a whole backup", data.display())));
        }
        let user = node.installed.user.as_deref();
        for dir in std::iter::once(data.clone()).chain(DIRECTORIES.iter().map(|d| data.join(d))) {
            node.runtime.put_dir(user, &dir, 0o700).await?;
        }
        give_to(user, data).await?;
        for leftover in ["standby.signal", "postmaster.pid", "postmaster.opts"] {
            remove_file(&data.join(leftover)).await?;
        }
        let settings = cleaned(&read_auto_conf(data).await?);
        let files = vec![private(auto_conf(data), settings), private(data.join("recovery.signal"), String::new())];
        node.runtime.put_files(user, files).await?;
        Ok(vec![file_list(node).await?])
    }

    async fn check(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>> {
        let session = recovered(node).await?;
        let standing = Standing::look(&session).await.map_err(sql("asking for the history"))?;
        let mut checks = vec![identity(&standing, facts)];
        rename(&session, node, facts).await?;
        self.ensure(node).await?;
        let survey = Survey::take(node, &session).await?;
        if !facts.exact.is_empty() {
            checks.push(table_counts(&survey, node, facts));
        }
        session.batch_execute("CHECKPOINT").await.map_err(sql("writing a checkpoint"))?;
        Ok(checks)
    }

    async fn prove(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>> {
        let mut proof: Vec<Check> = point(node, facts).await?.into_iter().collect();
        proof.push(amcheck(node).await?);
        Ok(proof)
    }

    fn is_alarm(&self, line: &str) -> bool {
        is_alarm(line)
    }

    async fn settle(&self, node: &Node) -> Result<()> {
        let control = ControlData::read(node).await?;
        if control.state != "shut down" {
            let sentence =
                format!("the restored data of {} was not shut down cleanly ({}): run its check again", node.plan.name, control.state);
            return Err(Error::conflict("not_clean", sentence));
        }
        if control.data_checksums {
            page_checksums(node).await?;
        }
        let data = &node.paths.data;
        // Where a replay stopped must not stop it as a replica one day.
        let settings = cleaned(&read_auto_conf(data).await?);
        node.runtime.put_files(node.installed.user.as_deref(), vec![private(auto_conf(data), settings)]).await?;
        let leftovers =
            ["recovery.signal", "standby.signal", "backup_label.old", "tablespace_map.old", "backup_manifest", "postmaster.opts"];
        for file in leftovers.iter().map(|name| data.join(name)).chain(isolated_files(node)) {
            remove_file(&file).await?;
        }
        Ok(())
    }

    fn restored_path(&self, captured: &Path) -> Option<PathBuf> {
        let inside = captured.strip_prefix("data").or_else(|_| captured.strip_prefix("late")).ok()?;
        (inside != Path::new("")).then(|| inside.to_owned())
    }

    fn manual_steps(&self, version: &str) -> Vec<String> {
        let major = version.split('.').next().unwrap_or(version);
        let bin = format!("/usr/lib/postgresql/{major}/bin");
        vec![
            "cp -a DIR/late/. DIR/data/".into(),
            "touch DIR/data/recovery.signal".into(),
            "chown -R postgres: DIR/data".into(),
            "chmod 0700 DIR/data".into(),
            "# postgres must be able to enter DIR and every folder above it.".into(),
            "chmod 0711 DIR".into(),
            format!("sudo -u postgres {bin}/pg_verifybackup DIR/data"),
            "# Without hot_standby=off recovery would demand limits as high as those of the source.".into(),
            format!(
                "sudo -u postgres {bin}/postgres -D DIR/data -c hot_standby=off -c restore_command=/bin/false -c unix_socket_directories=/tmp"
            ),
        ]
    }
}

#[async_trait]
impl Incremental for Postgres {
    fn lists(&self) -> &'static [&'static str] {
        &[MANIFEST, PIECES]
    }

    async fn capture_on(
        &self,
        node: &Node,
        known: Arc<Known>,
        gate: Option<Arc<dyn Gate>>,
        progress: &Progress,
    ) -> Result<Box<dyn Source>> {
        capture(node, Some(known), gate, progress).await
    }
}

/// Data files of one major version mean nothing to another.
async fn same_major(node: &Node, facts: &Facts) -> Result<()> {
    let found = tokio::fs::read_to_string(node.paths.data.join("PG_VERSION")).await.unwrap_or_default();
    let here = version_key(&node.installed.version).first().copied().unwrap_or_default().to_string();
    if found.trim() == here {
        return Ok(());
    }
    let sentence = format!(
        "the backup was made by PostgreSQL {}, this node runs {}; choose a node with the same major version",
        facts.engine_version, node.installed.version
    );
    Err(Error::conflict("version_mismatch", sentence))
}

/// Every file's presence, size and checksum, and the log's own, by PostgreSQL's own tool.
async fn file_list(node: &Node) -> Result<Check> {
    let out =
        Tool { name: "pg_verifybackup", args: vec!["--quiet".into(), arg(&node.paths.data)], env: vec![], stdin: vec![], timeout: LONG }
            .run(node)
            .await?;
    Ok(match out.status {
        0 => Check::new("file_list", true, "pg_verifybackup found every file as it was read"),
        _ => Check::new("file_list", false, last_words(&out)),
    })
}

/// Waits until the instance has replayed the backup's log and taken up its new timeline.
pub(super) async fn recovered(node: &Node) -> Result<Session> {
    const IN_RECOVERY: &str = "SELECT pg_is_in_recovery()";
    let deadline = Instant::now() + LONG;
    loop {
        match try_admin(node).await {
            Ok(session) => {
                if !session.query_one_scalar::<bool, _>(IN_RECOVERY, &[]).await.map_err(sql("asking for recovery"))? {
                    return Ok(session);
                }
            }
            Err(e) if e.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => {}
            Err(_) => return admin(node).await,
        }
        if Instant::now() >= deadline {
            return Err(Error::timed_out(format!("the restored data of {} did not end recovery within {LONG:?}", node.plan.name)));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn identity(standing: &Standing, facts: &Facts) -> Check {
    let timeline = standing.timeline.map(|t| t.to_string()).unwrap_or_else(|| "unknown".into());
    let detail = format!("system {}, now on timeline {timeline}; the backup is of system {}", standing.system, facts.history);
    Check::new("identity", standing.system == facts.history, detail)
}

/// Gives the data the names it has in this cluster.
async fn rename(session: &Session, node: &Node, facts: &Facts) -> Result<()> {
    let user = &node.plan.accounts.user;
    let database = user.database.clone().unwrap_or_default();
    rename_one(session, "role", facts.names.get("role"), &user.user).await?;
    rename_one(session, "database", facts.names.get("database"), &database).await
}

async fn rename_one(session: &Session, noun: &str, old: Option<&String>, new: &str) -> Result<()> {
    let Some(old) = old.filter(|old| *old != new && !new.is_empty()) else { return Ok(()) };
    let doing = format!("renaming {noun} {old} to {new}");
    let known = match noun {
        "role" => "SELECT rolname::text FROM pg_roles WHERE rolname IN ($1, $2)",
        _ => "SELECT datname::text FROM pg_database WHERE datname IN ($1, $2)",
    };
    let rows = session.query(known, &[&old, &new]).await.map_err(sql(&doing))?;
    let has = |name: &str| rows.iter().any(|row| row.get::<_, &str>(0) == name);
    if !has(old) {
        return Ok(());
    }
    if has(new) {
        let sentence = format!("the backup holds {noun} {old} and also a {noun} named {new}, which this cluster's own must be called");
        return Err(Error::conflict("name_taken", sentence));
    }
    let statement = format!("ALTER {} {} RENAME TO {}", noun.to_uppercase(), ident(old), ident(new));
    session.batch_execute(&statement).await.map_err(sql(&doing))
}

/// Compares what was counted at the backup with what is here now, under the names of now.
fn table_counts(survey: &Survey, node: &Node, facts: &Facts) -> Check {
    let new = node.plan.accounts.user.database.as_deref().unwrap_or_default();
    let renamed = |key: &str| match (key.strip_prefix("tables."), facts.names.get("database")) {
        (Some(database), Some(old)) if database == old => format!("tables.{new}"),
        _ => key.to_string(),
    };
    let differs = |(key, wanted): (&String, &u64)| {
        let found = survey.tables.get(&renamed(key)).copied();
        (found != Some(*wanted)).then(|| format!("{key}: {wanted} at the backup, {} now", found.map_or("none".into(), |n| n.to_string())))
    };
    let wrong: Vec<_> = facts.exact.iter().filter_map(differs).collect();
    let detail = if wrong.is_empty() { format!("{} counts agree", facts.exact.len()) } else { wrong.join("; ") };
    Check::new("table_counts", wrong.is_empty(), detail)
}

/// Reads every page: what was damaged already when it was captured shows here at the latest.
async fn page_checksums(node: &Node) -> Result<()> {
    let args = vec!["--check".into(), "-D".into(), arg(&node.paths.data)];
    let out = Tool { name: "pg_checksums", args, env: vec![], stdin: vec![], timeout: LONG }.run(node).await?;
    if out.status == 0 {
        return Ok(());
    }
    Err(Error::integrity(format!("pages of the restored data of {} are damaged: {}", node.plan.name, last_words(&out))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captured_paths_find_their_place() {
        let place = |p: &str| Postgres.restored_path(Path::new(p));
        assert_eq!(place("data/base/1/2"), Some("base/1/2".into()));
        assert_eq!(place("late/pg_wal/0"), Some("pg_wal/0".into()));
        for out in ["data", "late", "mainstay.json"] {
            assert_eq!(place(out), None);
        }
    }
}
