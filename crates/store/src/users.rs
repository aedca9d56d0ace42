//! Users, and beside each the hash of the password: it is in no document.

use crate::{
    doc,
    error::{error, taken},
};
use mainstay_model::{
    Error, Result, UserId,
    user::{User, key},
};
use sqlx::{AnyConnection, Row};

pub async fn insert(conn: &mut AnyConnection, user: &User, password: &str) -> Result<()> {
    let sql = "INSERT INTO users (id, name_key, email_key, created_at, password, doc) VALUES ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(user.id.as_str())
        .bind(key(&user.name))
        .bind(key(&user.email))
        .bind(user.created_at.micros())
        .bind(password)
        .bind(doc::write(user)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "user_taken", || "somebody has this name or e-mail address already".into()))
}

/// All but the password.
pub async fn update(conn: &mut AnyConnection, user: &User) -> Result<()> {
    let sql = "UPDATE users SET name_key = $2, email_key = $3, doc = $4 WHERE id = $1";
    let update = sqlx::query(sql).bind(user.id.as_str()).bind(key(&user.name)).bind(key(&user.email)).bind(doc::write(user)?);
    let done = update.execute(conn).await;
    let done = done.map_err(|e| taken(e, "user_taken", || "somebody has this name or e-mail address already".into()))?;
    one(done.rows_affected(), &user.id)
}

pub async fn set_password(conn: &mut AnyConnection, id: &UserId, password: &str) -> Result<()> {
    let update = sqlx::query("UPDATE users SET password = $2 WHERE id = $1").bind(id.as_str()).bind(password);
    one(update.execute(conn).await.map_err(error)?.rows_affected(), id)
}

/// With it go memberships, sessions and links.
pub async fn delete(conn: &mut AnyConnection, id: &UserId) -> Result<()> {
    let gone = sqlx::query("DELETE FROM users WHERE id = $1").bind(id.as_str()).execute(conn).await.map_err(error)?;
    one(gone.rows_affected(), id)
}

fn one(rows: u64, id: &UserId) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(missing(id.as_str())) }
}

fn missing(what: &str) -> Error {
    Error::not_found("user", what)
}

pub async fn get(conn: &mut AnyConnection, id: &UserId) -> Result<User> {
    let row = sqlx::query("SELECT doc FROM users WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| missing(id.as_str()))?)
}

/// By name or e-mail address, with the password's hash.
pub async fn named(conn: &mut AnyConnection, name: &str) -> Result<Option<(User, String)>> {
    let sql = "SELECT doc, password FROM users WHERE name_key = $1 OR email_key = $1";
    let row = sqlx::query(sql).bind(key(name)).fetch_optional(conn).await.map_err(error)?;
    row.map(|row| Ok((doc::read(&row)?, row.try_get(1).map_err(error)?))).transpose()
}

pub async fn password(conn: &mut AnyConnection, id: &UserId) -> Result<String> {
    let found = sqlx::query_scalar("SELECT password FROM users WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await;
    found.map_err(error)?.ok_or_else(|| missing(id.as_str()))
}

/// All, oldest first.
pub async fn list(conn: &mut AnyConnection) -> Result<Vec<User>> {
    doc::read_all(&sqlx::query("SELECT doc FROM users ORDER BY created_at, id").fetch_all(conn).await.map_err(error)?)
}

pub async fn count(conn: &mut AnyConnection) -> Result<i64> {
    sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(conn).await.map_err(error)
}
