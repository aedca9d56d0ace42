//! Requests that carry a key are done once: the same request again gets the same answer.

use crate::error::error;
use mainstay_model::{Error, Result, Time};
use sqlx::{AnyConnection, Row};

/// How long an answer is kept.
pub const KEPT_DAYS: i64 = 1;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// Not seen before; noted as in progress. Ends with [`finish`] or [`abandon`].
    New,
    /// Done before, with this answer.
    Replay { status: i64, body: String },
    /// The first one has no answer yet.
    InProgress,
    /// The key was used for another request.
    Mismatch,
}

/// Notes that the request is being done, unless it was or is. Keys of different actors are
/// different keys.
pub async fn begin(conn: &mut AnyConnection, key: &str, actor: &str, request_hash: &str, now: Time) -> Result<Begin> {
    forget(conn, key, actor, now).await?;
    let row = sqlx::query("SELECT request_hash, status, body FROM idempotency WHERE actor = $1 AND name = $2")
        .bind(actor)
        .bind(key)
        .fetch_optional(&mut *conn)
        .await
        .map_err(error)?;
    let Some(row) = row else {
        insert(conn, key, actor, request_hash, now).await?;
        return Ok(Begin::New);
    };
    if row.try_get::<&str, _>(0).map_err(error)? != request_hash {
        return Ok(Begin::Mismatch);
    }
    let status: Option<i64> = row.try_get(1).map_err(error)?;
    let body: Option<String> = row.try_get(2).map_err(error)?;
    Ok(status.map_or(Begin::InProgress, |status| Begin::Replay { status, body: body.unwrap_or_default() }))
}

/// Drops this key if it is too old to count; the others are [`forget_old`]'s.
async fn forget(conn: &mut AnyConnection, key: &str, actor: &str, now: Time) -> Result<()> {
    let sql = "DELETE FROM idempotency WHERE actor = $1 AND name = $2 AND created_at < $3";
    let delete = sqlx::query(sql).bind(actor).bind(key).bind(now.plus_days(-KEPT_DAYS).micros());
    delete.execute(conn).await.map(drop).map_err(error)
}

async fn insert(conn: &mut AnyConnection, key: &str, actor: &str, request_hash: &str, now: Time) -> Result<()> {
    sqlx::query("INSERT INTO idempotency (actor, name, request_hash, created_at) VALUES ($1, $2, $3, $4)")
        .bind(actor)
        .bind(key)
        .bind(request_hash)
        .bind(now.micros())
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}

/// Keeps the answer for whoever asks again.
pub async fn finish(conn: &mut AnyConnection, key: &str, actor: &str, status: i64, body: &str) -> Result<()> {
    let done = sqlx::query("UPDATE idempotency SET status = $3, body = $4 WHERE actor = $1 AND name = $2")
        .bind(actor)
        .bind(key)
        .bind(status)
        .bind(body)
        .execute(conn)
        .await
        .map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::internal("an idempotency key was finished that was not begun")) } else { Ok(()) }
}

/// Gives the key free again: nothing was done, so the request may be sent once more.
pub async fn abandon(conn: &mut AnyConnection, key: &str, actor: &str) -> Result<()> {
    let sql = "DELETE FROM idempotency WHERE actor = $1 AND name = $2 AND status IS NULL";
    sqlx::query(sql).bind(actor).bind(key).execute(conn).await.map(drop).map_err(error)
}

/// Drops answers older than a day. How many.
pub async fn forget_old(conn: &mut AnyConnection, now: Time) -> Result<u64> {
    let delete = sqlx::query("DELETE FROM idempotency WHERE created_at < $1").bind(now.plus_days(-KEPT_DAYS).micros());
    delete.execute(conn).await.map(|d| d.rows_affected()).map_err(error)
}

/// At start: what a process that is gone had in progress will never be answered, and would be
/// "in progress" to all who ask until it is a day old.
pub async fn abandon_all(conn: &mut AnyConnection) -> Result<u64> {
    let delete = sqlx::query("DELETE FROM idempotency WHERE status IS NULL");
    delete.execute(conn).await.map(|d| d.rows_affected()).map_err(error)
}
