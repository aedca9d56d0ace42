//! When the data in each storage was last read again: one row for a cluster and a storage.

use crate::{doc, error::error};
use mainstay_model::{ClusterId, Result, StorageId, reading::Reading};
use sqlx::AnyConnection;

/// In place of the last one.
pub async fn put(conn: &mut AnyConnection, reading: &Reading) -> Result<()> {
    let sql = "INSERT INTO readings (cluster, storage, doc) VALUES ($1, $2, $3) \
        ON CONFLICT (cluster, storage) DO UPDATE SET doc = excluded.doc";
    let query = sqlx::query(sql).bind(reading.cluster.as_str()).bind(reading.storage.as_str());
    query.bind(doc::write(reading)?).execute(conn).await.map(drop).map_err(error)
}

pub async fn get(conn: &mut AnyConnection, cluster: &ClusterId, storage: &StorageId) -> Result<Option<Reading>> {
    let sql = "SELECT doc FROM readings WHERE cluster = $1 AND storage = $2";
    let row = sqlx::query(sql).bind(cluster.as_str()).bind(storage.as_str()).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}

/// Cluster by cluster.
pub async fn all(conn: &mut AnyConnection) -> Result<Vec<Reading>> {
    doc::read_all(&sqlx::query("SELECT doc FROM readings ORDER BY cluster, storage").fetch_all(conn).await.map_err(error)?)
}

/// Done as well when there is none.
pub async fn remove(conn: &mut AnyConnection, reading: &Reading) -> Result<()> {
    let query = sqlx::query("DELETE FROM readings WHERE cluster = $1 AND storage = $2").bind(reading.cluster.as_str());
    query.bind(reading.storage.as_str()).execute(conn).await.map(drop).map_err(error)
}
