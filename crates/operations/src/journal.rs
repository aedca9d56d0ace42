//! The journal: what was begun, how far it is and who works on it, in SQL.
//!
//! Every write of a run is one `UPDATE … WHERE generation = mine`. A runner that lost an operation
//! to another one therefore cannot write about it any more, however late its write comes; the
//! lease only decides when others may take over, never whether a write is good.

use crate::{lock::Lock, record::Record, schema, view::Filter};
use async_trait::async_trait;
use mainstay_model::{Error, Kind, OperationId, Result, Time};
use sqlx::{Any, AnyConnection, Row, Transaction, error::ErrorKind};
use std::sync::Arc;

/// The store as the journal needs it.
#[async_trait]
pub trait Database: Send + Sync {
    fn pool(&self) -> &sqlx::AnyPool;
    /// Starts a write: immediate on SQLite, serializable on PostgreSQL. What shared and exclusive
    /// locks promise each other rests on this.
    async fn begin_write(&self) -> Result<Transaction<'static, Any>>;
}

/// What an error of the store means for the transaction it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another write came first; nothing happened and the whole transaction may be done again.
    Again,
    /// A constraint was violated; nothing happened, and doing it again would not help.
    Constraint,
    /// No space; nothing happened.
    NoSpace,
    /// Not known whether it happened.
    Broken,
    /// The disk under the store failed. What was acknowledged before may not be there any more,
    /// and a second fsync that succeeds would prove nothing.
    Fatal,
}

pub(crate) fn trouble(e: &sqlx::Error) -> Trouble {
    let sqlx::Error::Database(d) = e else { return Trouble::Broken };
    let code = d.code().unwrap_or_default();
    // SQLSTATEs have five characters, SQLite's extended codes at most four.
    match code.parse::<u32>() {
        Ok(sqlite) if code.len() < 5 => sqlite_trouble(sqlite & 0xff),
        _ if matches!(&*code, "40001" | "40P01") => Trouble::Again,
        _ if code == "53100" => Trouble::NoSpace,
        _ if !matches!(d.kind(), ErrorKind::Other) => Trouble::Constraint,
        _ => Trouble::Broken,
    }
}

fn sqlite_trouble(primary: u32) -> Trouble {
    match primary {
        5 | 6 => Trouble::Again,
        10 | 11 | 26 => Trouble::Fatal, // I/O error, corrupt, not a database
        13 => Trouble::NoSpace,
        19 => Trouble::Constraint,
        _ => Trouble::Broken,
    }
}

/// The code of [`Trouble::Again`] as an [`Error`].
pub(crate) const BUSY: &str = "store_busy";

pub(crate) fn store_error(e: sqlx::Error) -> Error {
    match trouble(&e) {
        Trouble::Again => Error::unavailable(BUSY, "the store is busy with other writes; try again").with_inside(e),
        Trouble::NoSpace => Error::new(Kind::NoSpace, "no_space", "no space left for the store; free some and try again").with_inside(e),
        Trouble::Broken if !matches!(e, sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_)) => {
            Error::unavailable("store_unavailable", "the store does not answer; see whether it runs and is reachable").with_inside(e)
        }
        _ => Error::internal(e),
    }
}

macro_rules! columns {
    () => {
        "id, kind, version, project, cluster, cluster_key, lock_kind, parent, child_key, status, ending, past_return, \
         cancelled_by, state, steps, percent, sentence, requested_by, created_at, finished_at, error, stuck_error, output, \
         generation, owner, lease_until"
    };
}

type Sql<T> = std::result::Result<T, sqlx::Error>;

/// What [`Journal::save`] came back with: the operation is still ours, and whether somebody wants
/// it cancelled.
pub(crate) struct Saved {
    pub cancelled_by: Option<String>,
}

/// An operation somebody should work on.
pub(crate) struct Ready {
    pub id: OperationId,
    pub is_child: bool,
    pub is_cancelled: bool,
}

/// What a heartbeat learns of an operation this runner owns.
pub(crate) struct Owned {
    pub id: OperationId,
    pub is_cancelled: bool,
}

#[derive(Clone)]
pub struct Journal {
    db: Arc<dyn Database>,
}

impl Journal {
    /// Creates or upgrades the tables; refuses, unchanged, those of a newer version.
    pub async fn open(db: Arc<dyn Database>) -> Result<Journal> {
        schema::migrate(&*db).await?;
        Ok(Journal { db })
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Any>> {
        self.db.begin_write().await
    }

    pub(crate) fn pool(&self) -> &sqlx::AnyPool {
        self.db.pool()
    }

    pub(crate) async fn get(&self, id: &OperationId) -> Result<Option<Record>> {
        let mut connection = self.pool().acquire().await.map_err(store_error)?;
        load(&mut connection, id).await.map_err(store_error)
    }

    /// Who holds the key's lock; the exclusive holder where there is one.
    pub(crate) async fn holder(&self, key: &str) -> Result<Option<Record>> {
        let mut connection = self.pool().acquire().await.map_err(store_error)?;
        blocker(&mut connection, key, Lock::Exclusive).await.map_err(store_error)
    }

    /// What could be worked on now: nobody's, our own, or those whose runner let its lease expire.
    pub(crate) async fn ready(&self, me: &str, now: Time) -> Result<Vec<Ready>> {
        let text = "SELECT id, parent, cancelled_by FROM operations
            WHERE finished_at IS NULL AND status <> 'stuck' AND (owner IS NULL OR owner = $1 OR lease_until < $2)
            ORDER BY CASE status WHEN 'queued' THEN 1 ELSE 0 END, id";
        let rows = sqlx::query(text).bind(me).bind(now.micros()).fetch_all(self.pool()).await.map_err(store_error)?;
        let read = |row: &sqlx::any::AnyRow| {
            let is_child = row.try_get::<Option<String>, _>("parent")?.is_some();
            let is_cancelled = row.try_get::<Option<String>, _>("cancelled_by")?.is_some();
            Ok(Ready { id: read_id(row)?, is_child, is_cancelled })
        };
        rows.iter().map(read).collect::<Sql<_>>().map_err(store_error)
    }

    /// Extends the leases of everything `me` owns, and says what that is.
    pub(crate) async fn beat(&self, me: &str, until: Time) -> Result<Vec<Owned>> {
        let mut tx = self.begin().await?;
        let text = "UPDATE operations SET lease_until = $2 WHERE owner = $1 AND finished_at IS NULL RETURNING id, cancelled_by";
        let rows = sqlx::query(text).bind(me).bind(until.micros()).fetch_all(&mut *tx).await.map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        let read = |row: &sqlx::any::AnyRow| {
            let is_cancelled = row.try_get::<Option<String>, _>("cancelled_by")?.is_some();
            Ok(Owned { id: read_id(row)?, is_cancelled })
        };
        rows.iter().map(read).collect::<Sql<_>>().map_err(store_error)
    }

    /// Gives up what `me` owns (`others`: what everybody else owns), so that it may be adopted at once.
    pub(crate) async fn release(&self, me: &str, others: bool) -> Result<u64> {
        let mut tx = self.begin().await?;
        let text = match others {
            true => "UPDATE operations SET owner = NULL, lease_until = 0 WHERE owner <> $1 AND finished_at IS NULL",
            false => "UPDATE operations SET owner = NULL, lease_until = 0 WHERE owner = $1 AND finished_at IS NULL",
        };
        let done = sqlx::query(text).bind(me).execute(&mut *tx).await.map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(done.rows_affected())
    }

    /// Notes how far a running step is. `false`: the operation is no longer of this generation.
    pub(crate) async fn progress(&self, id: &OperationId, generation: i64, percent: u8, sentence: &str) -> Result<bool> {
        let mut tx = self.begin().await?;
        let text = "UPDATE operations SET percent = $3, sentence = $4 WHERE id = $1 AND generation = $2";
        let query = sqlx::query(text).bind(id.as_str()).bind(generation).bind(i64::from(percent)).bind(sentence);
        let done = query.execute(&mut *tx).await.map_err(store_error)?;
        tx.commit().await.map_err(store_error)?;
        Ok(done.rows_affected() > 0)
    }

    /// Newest first, those before `before`.
    pub(crate) async fn list(&self, filter: &Filter, before: Option<&OperationId>, limit: usize) -> Result<Vec<Record>> {
        let text = concat!(
            "SELECT ",
            columns!(),
            " FROM operations
            WHERE ($1 = '' OR project = $1) AND ($2 = '' OR cluster_key = $2) AND ($3 = '' OR kind = $3) AND ($4 = '' OR status = $4)
              AND ($5 = 0 OR finished_at IS NULL) AND ($6 = '' OR id < $6)
            ORDER BY id DESC LIMIT $7"
        );
        sqlx::query_as(text)
            .bind(filter.project.as_deref().unwrap_or_default())
            .bind(filter.cluster_key.as_deref().unwrap_or_default())
            .bind(filter.kind.as_deref().unwrap_or_default())
            .bind(filter.status.map_or("", |s| s.as_str()))
            .bind(i64::from(filter.active_only))
            .bind(before.map_or("", |id| id.as_str()))
            .bind(limit as i64)
            .fetch_all(self.pool())
            .await
            .map_err(store_error)
    }

    pub(crate) async fn active_children(&self, parent: &OperationId) -> Result<Vec<Record>> {
        let text = concat!("SELECT ", columns!(), " FROM operations WHERE parent = $1 AND finished_at IS NULL ORDER BY id");
        sqlx::query_as(text).bind(parent.as_str()).fetch_all(self.pool()).await.map_err(store_error)
    }
}

fn read_id(row: &sqlx::any::AnyRow) -> Sql<OperationId> {
    let text: String = row.try_get("id")?;
    OperationId::parse(&text).ok_or_else(|| sqlx::Error::ColumnDecode { index: "id".into(), source: text.into() })
}

fn json(value: &impl serde::Serialize) -> Sql<String> {
    serde_json::to_string(value).map_err(|e| sqlx::Error::Encode(e.into()))
}

fn maybe_json(value: &Option<Error>) -> Sql<Option<String>> {
    value.as_ref().map(json).transpose()
}

pub(crate) async fn load(tx: &mut AnyConnection, id: &OperationId) -> Sql<Option<Record>> {
    let text = concat!("SELECT ", columns!(), " FROM operations WHERE id = $1");
    sqlx::query_as(text).bind(id.as_str()).fetch_optional(tx).await
}

/// An active operation that does not let `lock` be taken on `key`.
pub(crate) async fn blocker(tx: &mut AnyConnection, key: &str, lock: Lock) -> Sql<Option<Record>> {
    let text = concat!(
        "SELECT ",
        columns!(),
        " FROM operations
        WHERE cluster_key = $1 AND finished_at IS NULL
          AND (lock_kind = 'exclusive' AND $2 <> 'none' OR lock_kind = 'shared' AND $2 = 'exclusive')
        ORDER BY lock_kind, id LIMIT 1"
    );
    sqlx::query_as(text).bind(key).bind(lock.as_str()).fetch_optional(tx).await
}

/// The parent's child of that key that lives or succeeded.
pub(crate) async fn child(tx: &mut AnyConnection, parent: &OperationId, key: &str) -> Sql<Option<OperationId>> {
    let text = "SELECT id FROM operations WHERE parent = $1 AND child_key = $2 AND status NOT IN ('failed', 'cancelled')";
    let row = sqlx::query(text).bind(parent.as_str()).bind(key).fetch_optional(tx).await?;
    row.as_ref().map(read_id).transpose()
}

pub(crate) async fn insert(tx: &mut AnyConnection, r: &Record) -> Sql<()> {
    let text = "INSERT INTO operations (id, kind, version, project, cluster, cluster_key, lock_kind, parent, child_key, status,
            past_return, state, steps, percent, sentence, requested_by, created_at, output, generation, lease_until)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, 0, $13, $14, $15, $16, 0, 0)";
    sqlx::query(text)
        .bind(r.id.as_str())
        .bind(&r.kind)
        .bind(r.version)
        .bind(&r.project)
        .bind(&r.cluster)
        .bind(&r.cluster_key)
        .bind(r.lock.as_str())
        .bind(r.parent.as_ref().map(|p| p.as_str().to_string()))
        .bind(&r.child_key)
        .bind(r.status.as_str())
        .bind(json(&r.state)?)
        .bind(json(&r.steps)?)
        .bind(&r.sentence)
        .bind(&r.requested_by)
        .bind(r.created_at.micros())
        .bind(json(&r.output)?)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes everything that changes in an operation's life, if it is still of `generation`; `None`
/// where it is not. Whether it is cancelled is not written here but read.
pub(crate) async fn save(tx: &mut AnyConnection, generation: i64, r: &Record) -> Sql<Option<Saved>> {
    let text = "UPDATE operations SET status = $3, ending = $4, past_return = $5, state = $6, steps = $7, percent = $8, sentence = $9,
            finished_at = $10, error = $11, stuck_error = $12, output = $13, generation = $14, owner = $15, lease_until = $16
        WHERE id = $1 AND generation = $2 RETURNING cancelled_by";
    let row = sqlx::query(text)
        .bind(r.id.as_str())
        .bind(generation)
        .bind(r.status.as_str())
        .bind(r.ending.map(|e| e.as_str()))
        .bind(i64::from(r.past_return))
        .bind(json(&r.state)?)
        .bind(json(&r.steps)?)
        .bind(i64::from(r.percent))
        .bind(&r.sentence)
        .bind(r.finished_at.map(Time::micros))
        .bind(maybe_json(&r.error)?)
        .bind(maybe_json(&r.stuck_error)?)
        .bind(json(&r.output)?)
        .bind(r.generation)
        .bind(&r.owner)
        .bind(r.lease_until.micros())
        .fetch_optional(tx)
        .await?;
    row.map(|row| Ok(Saved { cancelled_by: row.try_get("cancelled_by")? })).transpose()
}

pub(crate) async fn set_cancelled(tx: &mut AnyConnection, id: &OperationId, by: &str) -> Sql<()> {
    let text = "UPDATE operations SET cancelled_by = $2 WHERE id = $1 AND cancelled_by IS NULL";
    sqlx::query(text).bind(id.as_str()).bind(by).execute(tx).await?;
    Ok(())
}

/// The next generation: above every one given out, and above every one an older copy of the
/// store could have given out, because it is never below the clock.
pub(crate) async fn next_generation(tx: &mut AnyConnection, now: Time) -> Sql<i64> {
    let text = "UPDATE operation_counters SET value = CASE WHEN value + 1 > $1 THEN value + 1 ELSE $1 END
        WHERE name = 'generation' RETURNING value";
    sqlx::query(text).bind(now.micros()).fetch_one(tx).await?.try_get("value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[derive(Debug)]
    struct Fake(&'static str, bool);
    impl std::fmt::Display for Fake {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }
    impl std::error::Error for Fake {}
    impl sqlx::error::DatabaseError for Fake {
        fn message(&self) -> &str {
            self.0
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }
        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }
        fn kind(&self) -> ErrorKind {
            if self.1 { ErrorKind::UniqueViolation } else { ErrorKind::Other }
        }
    }

    #[test]
    fn errors_of_both_stores_are_told_apart() {
        let cases = [
            ("5", false, Trouble::Again),
            ("517", false, Trouble::Again),
            ("1034", false, Trouble::Fatal),
            ("778", false, Trouble::Fatal),
            ("13", false, Trouble::NoSpace),
            ("2067", true, Trouble::Constraint),
            ("40001", false, Trouble::Again),
            ("40P01", false, Trouble::Again),
            ("23505", true, Trouble::Constraint),
            ("53100", false, Trouble::NoSpace),
            ("57P01", false, Trouble::Broken),
        ];
        for (code, unique, expected) in cases {
            assert_eq!(trouble(&sqlx::Error::Database(Box::new(Fake(code, unique)))), expected, "{code}");
        }
        assert_eq!(trouble(&sqlx::Error::PoolTimedOut), Trouble::Broken);
        assert_eq!(store_error(sqlx::Error::PoolTimedOut).code, "store_unavailable");
    }
}
