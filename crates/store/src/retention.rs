//! What was said about a cluster's backups as a whole, and what retention last had to say of them.

use crate::{doc, error::error};
use mainstay_model::{ClusterId, Result, Time, retention::BackupPolicy};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

/// The default where nothing was said.
pub async fn policy(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<BackupPolicy> {
    let row = sqlx::query("SELECT doc FROM backup_policies WHERE cluster = $1").bind(cluster.as_str()).fetch_optional(conn).await;
    Ok(row.map_err(error)?.as_ref().map(doc::read).transpose()?.unwrap_or_default())
}

pub async fn put_policy(conn: &mut AnyConnection, cluster: &ClusterId, policy: &BackupPolicy) -> Result<()> {
    let sql = "INSERT INTO backup_policies (cluster, doc) VALUES ($1, $2) ON CONFLICT (cluster) DO UPDATE SET doc = excluded.doc";
    sqlx::query(sql).bind(cluster.as_str()).bind(doc::write(policy)?).execute(conn).await.map(drop).map_err(error)
}

/// Why something that should be deleted is not, for people to read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Notes {
    pub at: Time,
    pub warnings: Vec<String>,
}

pub async fn notes(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Notes> {
    let row = sqlx::query("SELECT doc FROM retention_notes WHERE cluster = $1").bind(cluster.as_str()).fetch_optional(conn).await;
    Ok(row.map_err(error)?.as_ref().map(doc::read).transpose()?.unwrap_or_default())
}

/// Of every cluster that was ever looked at.
pub async fn all_notes(conn: &mut AnyConnection) -> Result<Vec<(ClusterId, Notes)>> {
    let rows = sqlx::query("SELECT doc, cluster FROM retention_notes").fetch_all(conn).await.map_err(error)?;
    let read = |row: &sqlx::any::AnyRow| Ok((ClusterId::try_from(row.try_get::<String, _>(1).map_err(error)?)?, doc::read(row)?));
    rows.iter().map(read).collect()
}

pub async fn put_notes(conn: &mut AnyConnection, cluster: &ClusterId, notes: &Notes) -> Result<()> {
    let sql = "INSERT INTO retention_notes (cluster, doc) VALUES ($1, $2) ON CONFLICT (cluster) DO UPDATE SET doc = excluded.doc";
    sqlx::query(sql).bind(cluster.as_str()).bind(doc::write(notes)?).execute(conn).await.map(drop).map_err(error)
}

/// With the cluster they belong to. Done as well when there is nothing.
pub async fn delete_of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<()> {
    for sql in ["DELETE FROM backup_policies WHERE cluster = $1", "DELETE FROM retention_notes WHERE cluster = $1"] {
        sqlx::query(sql).bind(cluster.as_str()).execute(&mut *conn).await.map_err(error)?;
    }
    Ok(())
}
