//! Links that let somebody in once, by the hash of what is in them.

use crate::{doc, error::error};
use mainstay_model::{LinkId, ProjectId, Result, Time, UserId, user::Link};
use sqlx::AnyConnection;

pub async fn insert(conn: &mut AnyConnection, link: &Link, hash: &str) -> Result<()> {
    let sql = "INSERT INTO links (id, hash, project, user_id, expires_at, doc) VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(link.id.as_str())
        .bind(hash)
        .bind(link.project.as_ref().map(ProjectId::as_str))
        .bind(link.user.as_ref().map(UserId::as_str))
        .bind(link.expires_at.micros())
        .bind(doc::write(link)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}

pub async fn by_hash(conn: &mut AnyConnection, hash: &str, now: Time) -> Result<Option<Link>> {
    let sql = "SELECT doc FROM links WHERE hash = $1 AND expires_at > $2";
    let row = sqlx::query(sql).bind(hash).bind(now.micros()).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}

/// Whether it was there: who uses one removes it first.
pub async fn remove(conn: &mut AnyConnection, id: &LinkId) -> Result<bool> {
    let gone = sqlx::query("DELETE FROM links WHERE id = $1").bind(id.as_str()).execute(conn).await.map_err(error)?;
    Ok(gone.rows_affected() == 1)
}

/// Of a project, the oldest first.
pub async fn of_project(conn: &mut AnyConnection, project: &ProjectId, now: Time) -> Result<Vec<Link>> {
    let sql = "SELECT doc FROM links WHERE project = $1 AND expires_at > $2 ORDER BY id";
    doc::read_all(&sqlx::query(sql).bind(project.as_str()).bind(now.micros()).fetch_all(conn).await.map_err(error)?)
}

/// Those that lead to no project: the first administrator's, and new passwords.
pub async fn of_nobody(conn: &mut AnyConnection) -> Result<Vec<Link>> {
    doc::read_all(&sqlx::query("SELECT doc FROM links WHERE project IS NULL ORDER BY id").fetch_all(conn).await.map_err(error)?)
}

pub async fn forget_expired(conn: &mut AnyConnection, now: Time) -> Result<u64> {
    let end = sqlx::query("DELETE FROM links WHERE expires_at <= $1").bind(now.micros());
    end.execute(conn).await.map(|done| done.rows_affected()).map_err(error)
}
