//! Migrations: numbered files, applied in order, each store remembering how far it got.
//!
//! They only go forward. A store that is ahead of this binary is left exactly as it is: an older
//! Mainstay would not understand what it reads and might write what the newer one cannot. Because
//! there is no way back in the store itself, one in a file is copied before it is changed.

use crate::{Kind, changes, error::error, sqlite};
use mainstay_model::{Error, Result};
use sqlx::{AnyConnection, AnyPool, Connection};

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "first", sql: include_str!("../migrations/0001_first.sql") },
    Migration { version: 2, name: "backups", sql: include_str!("../migrations/0002_backups.sql") },
    Migration { version: 3, name: "drills", sql: include_str!("../migrations/0003_drills.sql") },
    Migration { version: 4, name: "many", sql: include_str!("../migrations/0004_many.sql") },
    Migration { version: 5, name: "people", sql: include_str!("../migrations/0005_people.sql") },
    Migration { version: 6, name: "changes", sql: include_str!("../migrations/0006_changes.sql") },
    Migration { version: 7, name: "logs", sql: include_str!("../migrations/0007_logs.sql") },
    Migration { version: 8, name: "proof", sql: include_str!("../migrations/0008_proof.sql") },
];

/// Held while migrating, so that of two control planes that start at once one waits. The number
/// is an arbitrary one of ours.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7240115)";

const VERSIONS: &str = "CREATE TABLE IF NOT EXISTS store_schema (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)";

pub(crate) async fn migrate(pool: &AnyPool, kind: Kind) -> Result<()> {
    migrate_to(pool, kind, MIGRATIONS).await?;
    let mut conn = pool.acquire().await.map_err(error)?;
    let mut tx = conn.begin().await.map_err(error)?;
    changes::watch(&mut tx, kind).await?;
    tx.commit().await.map_err(error)
}

async fn migrate_to(pool: &AnyPool, kind: Kind, known: &[Migration]) -> Result<()> {
    let mut conn = pool.acquire().await.map_err(error)?;
    let newest = known.last().map_or(0, |m| m.version);
    let present = version(&mut conn, kind).await?;
    refuse_newer(present, newest)?;
    if present == newest {
        return Ok(());
    }
    if present > 0 && kind == Kind::Sqlite {
        let copy = sqlite::copy(&mut conn, &format!("before-version-{newest}")).await?;
        tracing::info!("copied the store to {} before bringing it from version {present} to {newest}", copy.display());
    }
    apply(&mut conn, kind, known).await
}

/// In one transaction: both databases roll table definitions back as well.
async fn apply(conn: &mut AnyConnection, kind: Kind, known: &[Migration]) -> Result<()> {
    let begin = match kind {
        Kind::Sqlite => "BEGIN IMMEDIATE",
        Kind::Postgres => "BEGIN",
    };
    let mut tx = conn.begin_with(begin).await.map_err(error)?;
    if kind == Kind::Postgres {
        sqlx::raw_sql(MIGRATION_LOCK).execute(&mut *tx).await.map_err(error)?;
    }
    sqlx::raw_sql(VERSIONS).execute(&mut *tx).await.map_err(error)?;
    // Read again under the lock: another control plane may just have done it.
    let present = version(&mut tx, kind).await?;
    refuse_newer(present, known.last().map_or(0, |m| m.version))?;
    for m in known.iter().filter(|m| m.version > present) {
        sqlx::raw_sql(m.sql).execute(&mut *tx).await.map_err(|e| error(e).context(format!("migration {} ({})", m.version, m.name)))?;
        record(&mut tx, m).await?;
    }
    tx.commit().await.map_err(error)
}

async fn record(conn: &mut AnyConnection, m: &Migration) -> Result<()> {
    sqlx::query("INSERT INTO store_schema (version, name, applied_at) VALUES ($1, $2, $3)")
        .bind(m.version)
        .bind(m.name)
        .bind(jiff::Timestamp::now().as_microsecond())
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}

/// 0 for an empty store.
async fn version(conn: &mut AnyConnection, kind: Kind) -> Result<i64> {
    let exists = match kind {
        Kind::Sqlite => "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'store_schema'",
        Kind::Postgres => "SELECT count(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = 'store_schema'",
    };
    if sqlx::query_scalar::<_, i64>(exists).fetch_one(&mut *conn).await.map_err(error)? == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM store_schema").fetch_one(conn).await.map_err(error)
}

fn refuse_newer(present: i64, newest: i64) -> Result<()> {
    if present <= newest {
        return Ok(());
    }
    let message = format!(
        "the store's schema has version {present} and this mainstay knows none after {newest}: start the newer mainstay that made it, \
         or go back to the copy of the store that was made before the upgrade; nothing was changed"
    );
    Err(Error::failed("schema_too_new", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sealer, Store, open};
    use std::os::unix::fs::PermissionsExt;

    /// One after what this binary knows, whatever that is.
    fn next(sql: &'static str) -> Migration {
        Migration { version: NEWEST + 1, name: "next", sql }
    }
    const NEWEST: i64 = MIGRATIONS.len() as i64;
    const LATER: &str = "CREATE TABLE later (n BIGINT); INSERT INTO later VALUES (1);";

    async fn count(pool: &AnyPool, sql: &'static str) -> Result<i64> {
        sqlx::query_scalar(sql).fetch_one(pool).await.map_err(error)
    }

    #[tokio::test]
    async fn an_old_store_is_copied_and_brought_forward_and_then_refuses_to_go_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a b%.db");
        let url = sqlite::url(&file).unwrap();
        drop(Store::open(&url, Sealer::from_key([1; 32])).await.unwrap());

        let pool = open::writer(&url, Kind::Sqlite).await.unwrap();
        for _ in 0..2 {
            migrate_to(&pool, Kind::Sqlite, &[next(LATER)]).await.unwrap();
            assert_eq!(count(&pool, "SELECT count(*) FROM later").await, Ok(1));
        }
        pool.close().await;

        let copy = dir.path().join(format!("a b%.db.before-version-{}", NEWEST + 1));
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        let old = open::writer(&sqlite::url(&copy).unwrap(), Kind::Sqlite).await.unwrap();
        assert_eq!(count(&old, "SELECT max(version) FROM store_schema").await, Ok(NEWEST));
        old.close().await;

        let before = std::fs::read(&file).unwrap();
        let e = Store::open(&url, Sealer::from_key([1; 32])).await.expect_err("newer");
        assert_eq!(e.code, "schema_too_new");
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }

    #[tokio::test]
    async fn a_failed_migration_leaves_the_store_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite::url(&dir.path().join("store.db")).unwrap();
        drop(Store::open(&url, Sealer::from_key([1; 32])).await.unwrap());
        let pool = open::writer(&url, Kind::Sqlite).await.unwrap();
        let sql = "CREATE TABLE half (n BIGINT); CREATE TABLE projects (n BIGINT)";
        let broken = Migration { version: NEWEST + 2, name: "broken", sql };
        assert!(migrate_to(&pool, Kind::Sqlite, &[next(LATER), broken]).await.is_err());
        assert_eq!(count(&pool, "SELECT max(version) FROM store_schema").await, Ok(NEWEST));
        assert_eq!(count(&pool, "SELECT count(*) FROM sqlite_master WHERE name IN ('half', 'later')").await, Ok(0));
        pool.close().await;
        assert!(Store::open(&url, Sealer::from_key([1; 32])).await.is_ok());
    }

    #[test]
    fn migrations_are_numbered_from_one() {
        for (i, m) in MIGRATIONS.iter().enumerate() {
            assert_eq!(m.version, i as i64 + 1, "{}", m.name);
        }
    }
}
