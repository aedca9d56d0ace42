//! API tokens, by the hash of what the caller shows.

use crate::error::{error, taken};
use mainstay_model::{Error, ProjectId, Result, Time, TokenId, UserId, role::Role};
use sqlx::{AnyConnection, Row, any::AnyRow};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    pub id: TokenId,
    pub name: String,
    /// The project it is bound to; `None` reaches all.
    pub project: Option<ProjectId>,
    pub role: Role,
    pub is_administrator: bool,
    pub hash: String,
    pub created_at: Time,
    pub expires_at: Option<Time>,
    pub last_used_at: Option<Time>,
    pub revoked_at: Option<Time>,
    /// The person who made it, where it was one: with the person it goes.
    pub made_by: Option<UserId>,
}

impl TokenRow {
    /// Whether it lets anybody in at `now`.
    pub fn is_valid(&self, now: Time) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|t| now < t)
    }
}

/// `last_used_at` is exact to a minute: otherwise each request would be a write.
const TOUCH_SECONDS: i64 = 60;

fn read(row: &AnyRow) -> Result<TokenRow> {
    let text = |i: usize| row.try_get::<Option<String>, _>(i).map_err(error);
    let time = |i: usize| row.try_get::<Option<i64>, _>(i).map(|t| t.map(Time::from_micros)).map_err(error);
    let damaged = || Error::integrity("a token in the store does not read");
    Ok(TokenRow {
        id: text(0)?.and_then(|t| TokenId::parse(&t)).ok_or_else(damaged)?,
        name: text(1)?.ok_or_else(damaged)?,
        // Read strictly: a project that got lost must not make a bound token an unbound one.
        project: text(2)?.map(|t| ProjectId::parse(&t).ok_or_else(damaged)).transpose()?,
        role: text(3)?.and_then(|t| Role::parse(&t)).ok_or_else(damaged)?,
        is_administrator: row.try_get::<i64, _>(4).map_err(error)? == 1,
        hash: text(5)?.ok_or_else(damaged)?,
        created_at: time(6)?.ok_or_else(damaged)?,
        expires_at: time(7)?,
        last_used_at: time(8)?,
        revoked_at: time(9)?,
        made_by: text(10)?.map(|t| UserId::parse(&t).ok_or_else(damaged)).transpose()?,
    })
}

pub async fn insert(conn: &mut AnyConnection, token: &TokenRow) -> Result<()> {
    let sql = "INSERT INTO tokens (id, name, project, role, is_administrator, hash, created_at, expires_at, last_used_at, revoked_at, made_by) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    sqlx::query(sql)
        .bind(token.id.as_str())
        .bind(token.name.as_str())
        .bind(token.project.as_ref().map(ProjectId::as_str))
        .bind(token.role.as_str())
        .bind(i64::from(token.is_administrator))
        .bind(token.hash.as_str())
        .bind(token.created_at.micros())
        .bind(token.expires_at.map(Time::micros))
        .bind(token.last_used_at.map(Time::micros))
        .bind(token.revoked_at.map(Time::micros))
        .bind(token.made_by.as_ref().map(UserId::as_str))
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "already_exists", || format!("there is a token {} already", token.id)))
}

/// Whatever its state; see [`TokenRow::is_valid`].
pub async fn by_hash(conn: &mut AnyConnection, hash: &str) -> Result<Option<TokenRow>> {
    let sql = "SELECT id, name, project, role, is_administrator, hash, created_at, expires_at, last_used_at, revoked_at, made_by \
               FROM tokens WHERE hash = $1";
    let row = sqlx::query(sql).bind(hash).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(read).transpose()
}

/// All, oldest first, revoked ones included.
pub async fn list(conn: &mut AnyConnection) -> Result<Vec<TokenRow>> {
    let sql = "SELECT id, name, project, role, is_administrator, hash, created_at, expires_at, last_used_at, revoked_at, made_by \
               FROM tokens ORDER BY created_at, id";
    sqlx::query(sql).fetch_all(conn).await.map_err(error)?.iter().map(read).collect()
}

/// A second call keeps the time of the first.
pub async fn revoke(conn: &mut AnyConnection, id: &TokenId, now: Time) -> Result<()> {
    let update = sqlx::query("UPDATE tokens SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1").bind(id.as_str()).bind(now.micros());
    let done = update.execute(conn).await.map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::not_found("token", id.as_str())) } else { Ok(()) }
}

/// Those a person made in a project that may more than `role`; all of them where there is none.
pub async fn revoke_above(conn: &mut AnyConnection, project: &ProjectId, made_by: &UserId, role: Option<Role>, now: Time) -> Result<()> {
    for token in list(conn).await? {
        let too_much = role.is_none_or(|r| token.role > r);
        if token.made_by.as_ref() == Some(made_by) && token.project.as_ref() == Some(project) && too_much {
            revoke(conn, &token.id, now).await?;
        }
    }
    Ok(())
}

pub async fn revoke_made_by(conn: &mut AnyConnection, made_by: &UserId, now: Time) -> Result<()> {
    let sql = "UPDATE tokens SET revoked_at = coalesce(revoked_at, $2) WHERE made_by = $1";
    sqlx::query(sql).bind(made_by.as_str()).bind(now.micros()).execute(conn).await.map(drop).map_err(error)
}

/// Whether [`touch`] would write anything: ask before a write is begun for it.
pub fn needs_touch(token: &TokenRow, now: Time) -> bool {
    token.last_used_at.is_none_or(|t| t.plus_seconds(TOUCH_SECONDS) <= now)
}

/// Notes that the token was used.
pub async fn touch(conn: &mut AnyConnection, id: &TokenId, now: Time) -> Result<()> {
    sqlx::query("UPDATE tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $3)")
        .bind(id.as_str())
        .bind(now.micros())
        .bind(now.plus_seconds(-TOUCH_SECONDS).micros())
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}
