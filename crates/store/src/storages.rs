//! Storages. Where one lies is the business of its driver and is kept as JSON; what it needs to
//! log in is kept with the secrets, under the storage's id.

use crate::{
    doc,
    error::{error, taken},
};
use mainstay_model::{Error, Name, ProjectId, Result, StorageId, Time, backup::LastCheck, limits::Limits};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StorageRow {
    pub id: StorageId,
    pub project: ProjectId,
    pub name: Name,
    /// `local`, `s3`, `borg`, `sftp`: a driver's name.
    pub kind: String,
    /// A label, for choosing places far apart.
    pub region: Option<String>,
    pub place: serde_json::Value,
    pub created_at: Time,
    #[serde(default)]
    pub limits: Limits,
    /// Which of the repositories that lie beside each other in the place are meant.
    #[serde(default = "first")]
    pub edition: u32,
    /// What holds the backups since, where new ones go to others beside these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed_by: Option<StorageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_check: Option<LastCheck>,
}

fn first() -> u32 {
    1
}

fn name_taken(e: sqlx::Error, storage: &StorageRow) -> Error {
    taken(e, "name_taken", || format!("there is a storage \"{}\" in this project already", storage.name))
}

pub async fn insert(conn: &mut AnyConnection, storage: &StorageRow) -> Result<()> {
    sqlx::query("INSERT INTO storages (id, project, name, doc) VALUES ($1, $2, $3, $4)")
        .bind(storage.id.as_str())
        .bind(storage.project.as_str())
        .bind(storage.name.as_str())
        .bind(doc::write(storage)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| name_taken(e, storage))
}

pub async fn get(conn: &mut AnyConnection, id: &StorageId) -> Result<StorageRow> {
    let row = sqlx::query("SELECT doc FROM storages WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("storage", id.as_str()))?)
}

pub async fn by_name(conn: &mut AnyConnection, project: &ProjectId, name: &str) -> Result<StorageRow> {
    let select = sqlx::query("SELECT doc FROM storages WHERE project = $1 AND name = $2").bind(project.as_str()).bind(name);
    let row = select.fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("storage", name))?)
}

/// Of all projects.
pub async fn all(conn: &mut AnyConnection) -> Result<Vec<StorageRow>> {
    doc::read_all(&sqlx::query("SELECT doc FROM storages ORDER BY id").fetch_all(conn).await.map_err(error)?)
}

/// Of one project, oldest first.
pub async fn list(conn: &mut AnyConnection, project: &ProjectId) -> Result<Vec<StorageRow>> {
    let sql = "SELECT doc FROM storages WHERE project = $1 ORDER BY id";
    doc::read_all(&sqlx::query(sql).bind(project.as_str()).fetch_all(conn).await.map_err(error)?)
}

pub async fn update(conn: &mut AnyConnection, storage: &StorageRow) -> Result<()> {
    let done = sqlx::query("UPDATE storages SET project = $2, name = $3, doc = $4 WHERE id = $1")
        .bind(storage.id.as_str())
        .bind(storage.project.as_str())
        .bind(storage.name.as_str())
        .bind(doc::write(storage)?)
        .execute(conn)
        .await
        .map_err(|e| name_taken(e, storage))?;
    if done.rows_affected() == 0 { Err(Error::not_found("storage", storage.id.as_str())) } else { Ok(()) }
}

/// Done as well when there is none. Whether copies still lie in it is for the caller to ask
/// ([`crate::backups::BackupFilter::storage`]).
pub async fn delete(conn: &mut AnyConnection, id: &StorageId) -> Result<()> {
    sqlx::query("DELETE FROM storages WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}
