//! Notifiers. What one sends to and with lies sealed with the secrets, under the notifier's id: the
//! address of a webhook alone is often enough to post to it.

use crate::{
    Sealer, doc,
    error::{error, taken},
    secrets,
};
use mainstay_model::{Error, Name, NotifierId, ProjectId, Result, Secret, Time, notice::Events};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

const SPEC: &str = "notifier";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifierRow {
    pub id: NotifierId,
    pub project: ProjectId,
    pub name: Name,
    /// A driver's name.
    pub kind: String,
    /// Where it sends to, as it may be shown.
    pub target: String,
    pub events: Events,
    /// Nothing new is given to one that is not; what waits, waits.
    pub enabled: bool,
    pub created_at: Time,
    pub delivered_at: Option<Time>,
    /// What its newest attempt came to, where it failed.
    pub failing: Option<Failing>,
}

/// A row of failed attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failing {
    pub since: Time,
    pub failures: u32,
    pub error: String,
    /// When it is tried again.
    pub next_at: Time,
}

fn name_taken(e: sqlx::Error, row: &NotifierRow) -> Error {
    taken(e, "name_taken", || format!("there is a notifier \"{}\" in this project already", row.name))
}

/// `spec` is kept sealed.
pub async fn insert(conn: &mut AnyConnection, sealer: &Sealer, row: &NotifierRow, spec: &Secret) -> Result<()> {
    sqlx::query("INSERT INTO notifiers (id, project, name, doc) VALUES ($1, $2, $3, $4)")
        .bind(row.id.as_str())
        .bind(row.project.as_str())
        .bind(row.name.as_str())
        .bind(doc::write(row)?)
        .execute(&mut *conn)
        .await
        .map_err(|e| name_taken(e, row))?;
    set_spec(conn, sealer, &row.id, spec).await
}

pub async fn set_spec(conn: &mut AnyConnection, sealer: &Sealer, id: &NotifierId, spec: &Secret) -> Result<()> {
    secrets::put(conn, sealer, id.as_str(), SPEC, spec).await
}

pub async fn spec(conn: &mut AnyConnection, sealer: &Sealer, id: &NotifierId) -> Result<Secret> {
    let found = secrets::get(conn, sealer, id.as_str(), SPEC).await?;
    found.ok_or_else(|| Error::integrity(format!("notifier {id} has lost where it sends to; remove it and add it again")))
}

pub async fn get(conn: &mut AnyConnection, id: &NotifierId) -> Result<NotifierRow> {
    let row = sqlx::query("SELECT doc FROM notifiers WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("notifier", id.as_str()))?)
}

pub async fn by_name(conn: &mut AnyConnection, project: &ProjectId, name: &str) -> Result<NotifierRow> {
    let select = sqlx::query("SELECT doc FROM notifiers WHERE project = $1 AND name = $2").bind(project.as_str()).bind(name);
    let row = select.fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("notifier", name))?)
}

/// Of one project, oldest first.
pub async fn list(conn: &mut AnyConnection, project: &ProjectId) -> Result<Vec<NotifierRow>> {
    let sql = "SELECT doc FROM notifiers WHERE project = $1 ORDER BY id";
    doc::read_all(&sqlx::query(sql).bind(project.as_str()).fetch_all(conn).await.map_err(error)?)
}

/// Those with something to deliver.
pub async fn waiting(conn: &mut AnyConnection) -> Result<Vec<NotifierRow>> {
    let sql = "SELECT doc FROM notifiers WHERE id IN (SELECT notifier FROM outbox WHERE status = 'pending') ORDER BY id";
    doc::read_all(&sqlx::query(sql).fetch_all(conn).await.map_err(error)?)
}

/// Writes what may change: the project stays.
pub async fn update(conn: &mut AnyConnection, row: &NotifierRow) -> Result<()> {
    let update = sqlx::query("UPDATE notifiers SET name = $2, doc = $3 WHERE id = $1").bind(row.id.as_str());
    let done = update.bind(row.name.as_str()).bind(doc::write(row)?).execute(conn).await.map_err(|e| name_taken(e, row))?;
    if done.rows_affected() == 0 { Err(Error::not_found("notifier", row.id.as_str())) } else { Ok(()) }
}

/// With what waits for it. Done as well when there is none.
pub async fn delete(conn: &mut AnyConnection, id: &NotifierId) -> Result<()> {
    secrets::delete_owner(conn, id.as_str()).await?;
    sqlx::query("DELETE FROM notifiers WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}
