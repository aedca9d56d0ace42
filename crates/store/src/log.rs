//! How keeping the log of a cluster stands, and the parts of it that lie in storages.

use crate::{doc, error::error};
use mainstay_model::{
    BackupId, ClusterId, Result, StorageId,
    log::{Archive, Part},
};
use sqlx::{AnyConnection, Row};

/// `None` where its log is not kept and nothing has to be ended.
pub async fn archive(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Option<Archive>> {
    let row = sqlx::query("SELECT doc FROM log_archives WHERE cluster = $1").bind(cluster.as_str()).fetch_optional(conn).await;
    row.map_err(error)?.as_ref().map(doc::read).transpose()
}

pub async fn put_archive(conn: &mut AnyConnection, cluster: &ClusterId, archive: &Archive) -> Result<()> {
    let sql = "INSERT INTO log_archives (cluster, doc) VALUES ($1, $2) ON CONFLICT (cluster) DO UPDATE SET doc = excluded.doc";
    sqlx::query(sql).bind(cluster.as_str()).bind(doc::write(archive)?).execute(conn).await.map(drop).map_err(error)
}

pub async fn remove_archive(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<()> {
    sqlx::query("DELETE FROM log_archives WHERE cluster = $1").bind(cluster.as_str()).execute(conn).await.map(drop).map_err(error)
}

/// Clusters whose log is kept, or was until now.
pub async fn clusters(conn: &mut AnyConnection) -> Result<Vec<ClusterId>> {
    let rows = sqlx::query("SELECT cluster FROM log_archives ORDER BY cluster").fetch_all(conn).await.map_err(error)?;
    Ok(rows.iter().filter_map(|row| ClusterId::parse(row.try_get::<&str, _>(0).ok()?)).collect())
}

/// Clusters of whose log something lies in storages.
pub async fn with_parts(conn: &mut AnyConnection) -> Result<Vec<ClusterId>> {
    let rows = sqlx::query("SELECT DISTINCT cluster FROM log_parts ORDER BY cluster").fetch_all(conn).await.map_err(error)?;
    Ok(rows.iter().filter_map(|row| ClusterId::parse(row.try_get::<&str, _>(0).ok()?)).collect())
}

/// Clusters of whose log something lies in this storage.
pub async fn clusters_in(conn: &mut AnyConnection, storage: &StorageId) -> Result<Vec<ClusterId>> {
    let sql = "SELECT DISTINCT cluster FROM log_parts WHERE storage = $1 ORDER BY cluster";
    let rows = sqlx::query(sql).bind(storage.as_str()).fetch_all(conn).await.map_err(error)?;
    Ok(rows.iter().filter_map(|row| ClusterId::parse(row.try_get::<&str, _>(0).ok()?)).collect())
}

/// Oldest first, storage by storage.
pub async fn parts(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Vec<Part>> {
    let sql = "SELECT doc FROM log_parts WHERE cluster = $1 ORDER BY storage, until, id";
    doc::read_all(&sqlx::query(sql).bind(cluster.as_str()).fetch_all(conn).await.map_err(error)?)
}

pub async fn put_part(conn: &mut AnyConnection, part: &Part) -> Result<()> {
    let sql = "INSERT INTO log_parts (id, cluster, storage, until, doc) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (id) DO UPDATE SET until = excluded.until, doc = excluded.doc";
    let query = sqlx::query(sql).bind(part.id.as_str()).bind(part.cluster.as_str()).bind(part.storage.as_str());
    query.bind(part.until.micros()).bind(doc::write(part)?).execute(conn).await.map(drop).map_err(error)
}

pub async fn remove_part(conn: &mut AnyConnection, id: &BackupId) -> Result<()> {
    sqlx::query("DELETE FROM log_parts WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}

/// With the cluster they belong to. Done as well when there is nothing.
pub async fn delete_of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<()> {
    for sql in ["DELETE FROM log_archives WHERE cluster = $1", "DELETE FROM log_parts WHERE cluster = $1"] {
        sqlx::query(sql).bind(cluster.as_str()).execute(&mut *conn).await.map_err(error)?;
    }
    Ok(())
}
