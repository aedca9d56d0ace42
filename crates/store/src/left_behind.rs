//! What was given up and lies in storages still.

use crate::{doc, error::error};
use mainstay_model::{ClusterId, Result, StorageId, Time, left_behind::LeftBehind};
use sqlx::AnyConnection;

/// How much of it is looked after at a time.
const SOME: i64 = 1000;

/// In place of what was known of it.
pub async fn put(conn: &mut AnyConnection, left: &LeftBehind) -> Result<()> {
    let sql = "INSERT INTO left_behind (storage, cluster, snapshot, tried_at, doc) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (storage, cluster, snapshot) DO UPDATE SET tried_at = excluded.tried_at, doc = excluded.doc";
    sqlx::query(sql)
        .bind(left.storage.as_str())
        .bind(left.cluster.as_str())
        .bind(left.snapshot.as_deref().unwrap_or_default())
        .bind(left.tried_at.micros())
        .bind(doc::write(left)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(error)
}

/// Done as well when it is not there.
pub async fn remove(conn: &mut AnyConnection, left: &LeftBehind) -> Result<()> {
    let sql = "DELETE FROM left_behind WHERE storage = $1 AND cluster = $2 AND snapshot = $3";
    let query = sqlx::query(sql).bind(left.storage.as_str()).bind(left.cluster.as_str());
    query.bind(left.snapshot.as_deref().unwrap_or_default()).execute(conn).await.map(drop).map_err(error)
}

/// With the storage it lies in: nobody looks after it any more.
pub async fn remove_of_storage(conn: &mut AnyConnection, storage: &StorageId) -> Result<()> {
    sqlx::query("DELETE FROM left_behind WHERE storage = $1").bind(storage.as_str()).execute(conn).await.map(drop).map_err(error)
}

/// Cluster by cluster, what was tried the longest ago first.
pub async fn of_storage(conn: &mut AnyConnection, storage: &StorageId) -> Result<Vec<LeftBehind>> {
    let sql = "SELECT doc FROM left_behind WHERE storage = $1 ORDER BY cluster, tried_at, snapshot";
    doc::read_all(&sqlx::query(sql).bind(storage.as_str()).fetch_all(conn).await.map_err(error)?)
}

pub async fn of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Vec<LeftBehind>> {
    let sql = "SELECT doc FROM left_behind WHERE cluster = $1 ORDER BY storage, tried_at, snapshot";
    doc::read_all(&sqlx::query(sql).bind(cluster.as_str()).fetch_all(conn).await.map_err(error)?)
}

/// Some of what was last tried by then, that which waits the longest first.
pub async fn tried_before(conn: &mut AnyConnection, then: Time) -> Result<Vec<LeftBehind>> {
    let sql = "SELECT doc FROM left_behind WHERE tried_at <= $1 ORDER BY tried_at, storage, cluster, snapshot LIMIT $2";
    doc::read_all(&sqlx::query(sql).bind(then.micros()).bind(SOME).fetch_all(conn).await.map_err(error)?)
}
