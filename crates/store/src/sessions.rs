//! Sessions, by the hash of what the browser shows.

use crate::error::error;
use mainstay_model::{Error, Result, SessionId, Time, UserId, user::Session};
use sqlx::{AnyConnection, Row, any::AnyRow};

fn read(row: &AnyRow) -> Result<Session> {
    let text = |i: usize| row.try_get::<String, _>(i).map_err(error);
    let time = |i: usize| row.try_get::<i64, _>(i).map(Time::from_micros).map_err(error);
    let damaged = || Error::integrity("a session in the store does not read");
    Ok(Session {
        id: SessionId::parse(&text(0)?).ok_or_else(damaged)?,
        user: UserId::parse(&text(1)?).ok_or_else(damaged)?,
        created_at: time(2)?,
        last_seen_at: time(3)?,
        expires_at: time(4)?,
        from: text(5)?,
        agent: text(6)?,
    })
}

pub async fn insert(conn: &mut AnyConnection, session: &Session, hash: &str) -> Result<()> {
    let sql = "INSERT INTO sessions (id, hash, user_id, created_at, last_seen_at, expires_at, from_address, agent) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(session.id.as_str())
        .bind(hash)
        .bind(session.user.as_str())
        .bind(session.created_at.micros())
        .bind(session.last_seen_at.micros())
        .bind(session.expires_at.micros())
        .bind(session.from.as_str())
        .bind(session.agent.as_str())
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}

/// Whether it is still good is for the caller to say.
pub async fn by_hash(conn: &mut AnyConnection, hash: &str) -> Result<Option<Session>> {
    let sql = "SELECT id, user_id, created_at, last_seen_at, expires_at, from_address, agent FROM sessions WHERE hash = $1";
    sqlx::query(sql).bind(hash).fetch_optional(conn).await.map_err(error)?.as_ref().map(read).transpose()
}

pub async fn get(conn: &mut AnyConnection, id: &SessionId) -> Result<Option<Session>> {
    let sql = "SELECT id, user_id, created_at, last_seen_at, expires_at, from_address, agent FROM sessions WHERE id = $1";
    sqlx::query(sql).bind(id.as_str()).fetch_optional(conn).await.map_err(error)?.as_ref().map(read).transpose()
}

/// A user's, the newest first.
pub async fn of_user(conn: &mut AnyConnection, user: &UserId) -> Result<Vec<Session>> {
    let sql = "SELECT id, user_id, created_at, last_seen_at, expires_at, from_address, agent FROM sessions \
               WHERE user_id = $1 ORDER BY created_at DESC, id DESC";
    sqlx::query(sql).bind(user.as_str()).fetch_all(conn).await.map_err(error)?.iter().map(read).collect()
}

pub async fn touch(conn: &mut AnyConnection, id: &SessionId, now: Time) -> Result<()> {
    let sql = "UPDATE sessions SET last_seen_at = $2 WHERE id = $1";
    sqlx::query(sql).bind(id.as_str()).bind(now.micros()).execute(conn).await.map(drop).map_err(error)
}

pub async fn end(conn: &mut AnyConnection, id: &SessionId) -> Result<()> {
    sqlx::query("DELETE FROM sessions WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}

/// All of a user but `kept`. How many there were.
pub async fn end_of_user(conn: &mut AnyConnection, user: &UserId, kept: Option<&SessionId>) -> Result<u64> {
    let sql = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2";
    let end = sqlx::query(sql).bind(user.as_str()).bind(kept.map_or("", SessionId::as_str));
    end.execute(conn).await.map(|done| done.rows_affected()).map_err(error)
}

/// Those that ended by themselves: begun too long ago, or last seen before `idle_since`.
pub async fn forget_ended(conn: &mut AnyConnection, now: Time, idle_since: Time) -> Result<u64> {
    let end = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR last_seen_at <= $2").bind(now.micros()).bind(idle_since.micros());
    end.execute(conn).await.map(|done| done.rows_affected()).map_err(error)
}
