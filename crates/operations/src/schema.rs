//! The journal's tables and their versions.
//!
//! One text for SQLite and PostgreSQL, so only TEXT and BIGINT columns: times are microseconds in
//! UTC, documents are JSON text. An operation is one row, its steps a document in it: every
//! journal write is then one compare-and-set update that either happened or did not.
//!
//! "Not ended" is `finished_at IS NULL`. The exclusive lock is a partial unique index over it, so
//! that no code path, and no second control plane, can get around it.

use crate::journal::{Database, store_error};
use mainstay_model::{Error, Result};
use sqlx::Row;

/// Statements of each version. What was released is never edited, only added to.
const MIGRATIONS: &[&[&str]] = &[&[
    "CREATE TABLE operations (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        version BIGINT NOT NULL,
        project TEXT,
        cluster TEXT,
        cluster_key TEXT,
        lock_kind TEXT NOT NULL,
        parent TEXT,
        child_key TEXT,
        status TEXT NOT NULL,
        ending TEXT,
        past_return BIGINT NOT NULL,
        cancelled_by TEXT,
        state TEXT NOT NULL,
        steps TEXT NOT NULL,
        percent BIGINT NOT NULL,
        sentence TEXT NOT NULL,
        requested_by TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        finished_at BIGINT,
        error TEXT,
        stuck_error TEXT,
        output TEXT NOT NULL,
        generation BIGINT NOT NULL,
        owner TEXT,
        lease_until BIGINT NOT NULL
    )",
    "CREATE UNIQUE INDEX operations_exclusive ON operations (cluster_key)
        WHERE lock_kind = 'exclusive' AND finished_at IS NULL",
    "CREATE UNIQUE INDEX operations_child ON operations (parent, child_key)
        WHERE parent IS NOT NULL AND status NOT IN ('failed', 'cancelled')",
    "CREATE INDEX operations_active ON operations (id) WHERE finished_at IS NULL",
    "CREATE INDEX operations_cluster ON operations (cluster_key, id)",
    "CREATE INDEX operations_project ON operations (project, id)",
    "CREATE TABLE operation_counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
    "INSERT INTO operation_counters (name, value) VALUES ('generation', 0)",
]];

/// The version this code reads and writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the tables to [`VERSION`], or refuses a newer store without touching it.
pub(crate) async fn migrate(db: &dyn Database) -> Result<()> {
    if is_current(db).await {
        return Ok(());
    }
    let mut tx = db.begin_write().await?;
    run(&mut tx, "CREATE TABLE IF NOT EXISTS operation_schema (version BIGINT NOT NULL)").await?;
    let row = sqlx::query("SELECT version FROM operation_schema").fetch_optional(&mut *tx).await.map_err(store_error)?;
    let found: Option<i64> = row.map(|r| r.try_get("version")).transpose().map_err(store_error)?;
    refuse_newer(found.unwrap_or(0))?;
    if found.is_none() {
        run(&mut tx, "INSERT INTO operation_schema (version) VALUES (0)").await?;
    }
    for statements in &MIGRATIONS[found.unwrap_or(0) as usize..] {
        for statement in *statements {
            run(&mut tx, statement).await?;
        }
    }
    let done = sqlx::query("UPDATE operation_schema SET version = $1").bind(VERSION).execute(&mut *tx).await;
    done.map_err(store_error)?;
    tx.commit().await.map_err(store_error)
}

/// The usual start writes nothing. Any error says no more than that there is something to do.
async fn is_current(db: &dyn Database) -> bool {
    let row = sqlx::query("SELECT version FROM operation_schema").fetch_one(db.pool()).await;
    row.is_ok_and(|r| r.try_get("version").is_ok_and(|v: i64| v == VERSION))
}

async fn run(tx: &mut sqlx::AnyConnection, statement: &'static str) -> Result<()> {
    sqlx::query(statement).execute(tx).await.map_err(store_error)?;
    Ok(())
}

fn refuse_newer(found: i64) -> Result<()> {
    if (0..=VERSION).contains(&found) {
        return Ok(());
    }
    Err(Error::failed(
        "store_too_new",
        format!(
            "the journal of operations in the store has version {found}, but this Mainstay knows only versions up to {VERSION}: \
             it was written by a newer Mainstay; start that one, or restore the copy of the store made before the upgrade"
        ),
    ))
}
