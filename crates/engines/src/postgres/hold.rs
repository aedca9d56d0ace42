//! A hold on writes, for backups of several clusters at one point.
//!
//! One transaction in each database locks every table against writers, and nothing else: readers
//! go on, writers wait. First the catalogue of tables is locked, so that none comes into being
//! between the list and the locks. The server gives the locks back when the time is over or the
//! session ends, whoever is still alive.
//!
//! The locks are granted only when no other transaction has written and not ended; one that stays
//! open too long makes the hold fail, and is named.

use super::{
    Postgres,
    capture::capture,
    connect::{Session, admin, admin_in, ident, sql},
    survey::DATABASES,
};
use async_trait::async_trait;
use futures::future::try_join_all;
use mainstay_drivers::{
    Result,
    engine::{Consistency, Held, Node},
    gate::Gate,
    progress::Progress,
    storage::Source,
};
use mainstay_model::Error;
use std::{sync::Arc, time::Duration};
use tokio_postgres::error::SqlState;

/// How long writers that are in the middle of something are waited for, while new ones queue up.
const PATIENCE: Duration = Duration::from_secs(2);

/// DDL needs a stronger lock on it than this leaves.
const NO_NEW_TABLES: &str = "LOCK TABLE pg_catalog.pg_class IN SHARE MODE";

const TABLES: &str = "
SELECT n.nspname::text, c.relname::text
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%'
 ORDER BY 1, 2";

/// Large objects are no user's table and are written like one.
const LARGE_OBJECTS: &str = "LOCK TABLE pg_catalog.pg_largeobject IN EXCLUSIVE MODE";

/// Who has written and not ended, longest first.
const WRITERS: &str = "
SELECT string_agg(format('%s (process %s, %s s)', coalesce(nullif(application_name, ''), 'a client'), pid,
                         extract(epoch FROM now() - xact_start)::bigint), ', ' ORDER BY xact_start)
  FROM pg_stat_activity
 WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()";

#[async_trait]
impl Consistency for Postgres {
    fn waits_for_transactions(&self) -> bool {
        true
    }

    async fn hold(&self, node: &Node, at_most: Duration) -> Result<Box<dyn Held>> {
        let first = admin(node).await?;
        let databases = first.query(DATABASES, &[]).await.map_err(sql("listing the databases"))?;
        let names: Vec<String> = databases.iter().map(|row| row.get(0)).collect();
        let held = try_join_all(names.iter().map(|name| hold_database(node, name, at_most))).await;
        match held {
            Ok(sessions) => Ok(Box::new(Locked { node: node.plan.name.clone(), sessions: sessions.into_iter().flatten().collect() })),
            Err(e) if e.code == BUSY => Err(busy(node, &first).await),
            Err(e) => Err(e),
        }
    }

    async fn capture_at(&self, node: &Node, gate: Arc<dyn Gate>, progress: &Progress) -> Result<Box<dyn Source>> {
        capture(node, None, Some(gate), progress).await
    }
}

const BUSY: &str = "writers_busy";

/// `None` where the database is gone.
async fn hold_database(node: &Node, database: &str, at_most: Duration) -> Result<Option<Session>> {
    let Some(session) = admin_in(node, database).await? else { return Ok(None) };
    let limits = format!(
        "SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; BEGIN; {NO_NEW_TABLES}",
        PATIENCE.as_millis(),
        at_most.as_millis()
    );
    let doing = format!("holding the writes of {database}");
    session.batch_execute(&limits).await.map_err(refusal(&doing))?;
    let tables = session.query(TABLES, &[]).await.map_err(sql(&doing))?;
    let mut lock = LARGE_OBJECTS.to_string();
    if !tables.is_empty() {
        let all: Vec<String> = tables.iter().map(|t| format!("{}.{}", ident(t.get(0)), ident(t.get(1)))).collect();
        lock = format!("{lock}; LOCK TABLE ONLY {} IN EXCLUSIVE MODE", all.join(", ONLY "));
    }
    session.batch_execute(&lock).await.map_err(refusal(&doing))?;
    Ok(Some(session))
}

fn refusal(doing: &str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |e| match e.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED) => Error::unavailable(BUSY, doing.to_string()),
        Some(&SqlState::OUT_OF_MEMORY) => Error::failed(
            "too_many_tables",
            format!("{doing}: there are more tables than locks; raise max_locks_per_transaction and restart the cluster"),
        ),
        _ => sql(doing)(e),
    }
}

async fn busy(node: &Node, session: &Session) -> Error {
    let writers: Option<String> = session.query_one_scalar(WRITERS, &[]).await.unwrap_or_default();
    let writers = writers.unwrap_or_else(|| "a transaction that has ended by now".into());
    let sentence = format!("writes of {} did not pause within {PATIENCE:?}; writing and not ended: {writers}", node.plan.name);
    Error::unavailable(BUSY, sentence)
}

struct Locked {
    node: String,
    sessions: Vec<Session>,
}

#[async_trait]
impl Held for Locked {
    /// The locks live exactly as long as their transactions.
    async fn confirm(&mut self) -> Result<()> {
        let sessions = self.sessions.iter().map(|s| s.batch_execute("SELECT"));
        let lost = |_| Error::unavailable("hold_lost", format!("the hold on writes of {} ended before its time", self.node));
        try_join_all(sessions).await.map(drop).map_err(lost)
    }

    async fn release(self: Box<Self>) -> Result<()> {
        let sessions = self.sessions.iter().map(|s| s.batch_execute("ROLLBACK"));
        try_join_all(sessions).await.map(drop).map_err(sql("letting writers go on"))
    }
}
