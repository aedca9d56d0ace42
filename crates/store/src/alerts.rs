//! Alerts. A condition is open at most once: the index over kind and object of what is not cleared
//! decides, whoever sees it at the same moment.

use crate::{
    Page, Paging, doc,
    error::{error, taken},
    select::Select,
};
use mainstay_model::{
    AlertId, ClusterId, Error, ProjectId, Result, Time,
    alert::{Alert, AlertKind},
};
use sqlx::AnyConnection;

const LIST: &str = "alerts";

/// What is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    pub project: Option<ProjectId>,
    pub cluster: Option<ClusterId>,
    /// Only those that hold, or only those that no longer do.
    pub open: Option<bool>,
}

pub async fn insert(conn: &mut AnyConnection, alert: &Alert) -> Result<()> {
    let c = &alert.condition;
    let sql = "INSERT INTO alerts (id, project, cluster, kind, object, raised_at, cleared_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(sql)
        .bind(alert.id.as_str())
        .bind(c.project.as_str())
        .bind(c.cluster.as_ref().map(ClusterId::as_str))
        .bind(c.kind.as_str())
        .bind(c.object.as_str())
        .bind(alert.raised_at.micros())
        .bind(alert.cleared_at.map(Time::micros))
        .bind(doc::write(alert)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "already_raised", || format!("{} of {} is raised already", c.kind.as_str(), c.object_name)))
}

pub async fn get(conn: &mut AnyConnection, id: &AlertId) -> Result<Alert> {
    let row = sqlx::query("SELECT doc FROM alerts WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("alert", id.as_str()))?)
}

/// The alert of a condition, while it holds.
pub async fn open(conn: &mut AnyConnection, kind: AlertKind, object: &str) -> Result<Option<Alert>> {
    let sql = "SELECT doc FROM alerts WHERE kind = $1 AND object = $2 AND cleared_at IS NULL";
    let row = sqlx::query(sql).bind(kind.as_str()).bind(object).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}

/// Every condition that holds, of every project, oldest first.
pub async fn all_open(conn: &mut AnyConnection) -> Result<Vec<Alert>> {
    let sql = "SELECT doc FROM alerts WHERE cleared_at IS NULL ORDER BY id";
    doc::read_all(&sqlx::query(sql).fetch_all(conn).await.map_err(error)?)
}

/// Writes what may change: what it is about stays.
pub async fn update(conn: &mut AnyConnection, alert: &Alert) -> Result<()> {
    let update = sqlx::query("UPDATE alerts SET cleared_at = $2, doc = $3 WHERE id = $1").bind(alert.id.as_str());
    let done = update.bind(alert.cleared_at.map(Time::micros)).bind(doc::write(alert)?).execute(conn).await.map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::not_found("alert", alert.id.as_str())) } else { Ok(()) }
}

/// Newest first.
pub async fn list(conn: &mut AnyConnection, filter: &AlertFilter, paging: &Paging) -> Result<Page<Alert>> {
    let select = Select::new("SELECT doc FROM alerts")
        .and_if("project = ?", filter.project.as_ref().map(ToString::to_string))?
        .and_if("cluster = ?", filter.cluster.as_ref().map(ToString::to_string))?
        .after("(raised_at, id) < (?, ?)", paging.after(LIST)?)?;
    let select = match filter.open {
        None => select,
        Some(true) => select.and("cleared_at IS NULL"),
        Some(false) => select.and("cleared_at IS NOT NULL"),
    };
    let items = select.docs(conn, " ORDER BY raised_at DESC, id DESC", paging.rows()?).await?;
    Ok(Page::of(items, paging, LIST, |a: &Alert| (a.raised_at.micros(), a.id.to_string())))
}

/// Forgets what was cleared before an instant.
pub async fn prune(conn: &mut AnyConnection, before: Time) -> Result<u64> {
    let delete = sqlx::query("DELETE FROM alerts WHERE cleared_at IS NOT NULL AND cleared_at < $1").bind(before.micros());
    Ok(delete.execute(conn).await.map_err(error)?.rows_affected())
}
