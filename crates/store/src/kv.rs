//! Single facts about the installation: its id, its address block.

use crate::error::error;
use mainstay_model::Result;
use sqlx::AnyConnection;

pub async fn get(conn: &mut AnyConnection, key: &str) -> Result<Option<String>> {
    sqlx::query_scalar("SELECT value FROM kv WHERE name = $1").bind(key).fetch_optional(conn).await.map_err(error)
}

/// In place of the value there.
pub async fn put(conn: &mut AnyConnection, key: &str, value: &str) -> Result<()> {
    let sql = "INSERT INTO kv (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    sqlx::query(sql).bind(key).bind(value).execute(conn).await.map(drop).map_err(error)
}
