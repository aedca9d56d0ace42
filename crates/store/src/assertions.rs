//! What users want proven of a cluster's data, the whole list of a cluster in one row.

use crate::{doc, error::error};
use mainstay_model::{ClusterId, Result, assertion::Assertion};
use sqlx::AnyConnection;

/// In the order they were set; empty where nothing was said.
pub async fn of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Vec<Assertion>> {
    let row = sqlx::query("SELECT doc FROM assertions WHERE cluster = $1").bind(cluster.as_str()).fetch_optional(conn).await;
    Ok(row.map_err(error)?.as_ref().map(doc::read).transpose()?.unwrap_or_default())
}

pub async fn put(conn: &mut AnyConnection, cluster: &ClusterId, assertions: &[Assertion]) -> Result<()> {
    let sql = "INSERT INTO assertions (cluster, doc) VALUES ($1, $2) ON CONFLICT (cluster) DO UPDATE SET doc = excluded.doc";
    sqlx::query(sql).bind(cluster.as_str()).bind(doc::write(&assertions)?).execute(conn).await.map(drop).map_err(error)
}

/// With the cluster they belong to. Done as well when there is nothing.
pub async fn delete_of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<()> {
    sqlx::query("DELETE FROM assertions WHERE cluster = $1").bind(cluster.as_str()).execute(conn).await.map(drop).map_err(error)
}
