//! Restores. They outlive the backup they came from and the cluster they went to.

use crate::{
    Page, Paging, doc,
    error::{error, taken},
    select::Select,
};
use mainstay_model::{
    BackupId, ClusterId, Error, ProjectId, RestoreId, Result, Time,
    restore::{Restore, RestoreStatus},
};
use sqlx::AnyConnection;

const LIST: &str = "restores";

/// What is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct RestoreFilter {
    pub project: Option<ProjectId>,
    /// The cluster that was restored to.
    pub target: Option<ClusterId>,
    pub backup: Option<BackupId>,
    pub status: Option<RestoreStatus>,
}

/// For the column: only where there is data aside.
fn previous_until(restore: &Restore) -> Option<i64> {
    restore.previous_label.as_ref().and(restore.previous_until).map(Time::micros)
}

pub async fn insert(conn: &mut AnyConnection, restore: &Restore) -> Result<()> {
    sqlx::query("INSERT INTO restores (id, project, backup, target, status, started_at, previous_until, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
        .bind(restore.id.as_str())
        .bind(restore.project.as_str())
        .bind(restore.backup.as_str())
        .bind(restore.target.as_str())
        .bind(doc::word(&restore.status)?)
        .bind(restore.started_at.micros())
        .bind(previous_until(restore))
        .bind(doc::write(restore)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "already_exists", || format!("there is a restore {} already", restore.id)))
}

pub async fn get(conn: &mut AnyConnection, id: &RestoreId) -> Result<Restore> {
    let row = sqlx::query("SELECT doc FROM restores WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("restore", id.as_str()))?)
}

pub async fn update(conn: &mut AnyConnection, restore: &Restore) -> Result<()> {
    let sql = "UPDATE restores SET project = $2, backup = $3, target = $4, status = $5, started_at = $6, previous_until = $7, doc = $8 WHERE id = $1";
    let done = sqlx::query(sql)
        .bind(restore.id.as_str())
        .bind(restore.project.as_str())
        .bind(restore.backup.as_str())
        .bind(restore.target.as_str())
        .bind(doc::word(&restore.status)?)
        .bind(restore.started_at.micros())
        .bind(previous_until(restore))
        .bind(doc::write(restore)?)
        .execute(conn)
        .await
        .map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::not_found("restore", restore.id.as_str())) } else { Ok(()) }
}

/// Those whose data put aside has stood its time, the longest overdue first.
pub async fn previous_due(conn: &mut AnyConnection, now: Time) -> Result<Vec<Restore>> {
    let sql = "SELECT doc FROM restores WHERE previous_until <= $1 ORDER BY previous_until, id";
    doc::read_all(&sqlx::query(sql).bind(now.micros()).fetch_all(conn).await.map_err(error)?)
}

/// Backups that are being restored from.
pub async fn in_use(conn: &mut AnyConnection) -> Result<Vec<BackupId>> {
    let sql = "SELECT DISTINCT backup FROM restores WHERE status = 'running'";
    let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(conn).await.map_err(error)?;
    rows.into_iter().map(BackupId::try_from).collect()
}

/// Newest first.
pub async fn list(conn: &mut AnyConnection, filter: &RestoreFilter, paging: &Paging) -> Result<Page<Restore>> {
    let select = Select::new("SELECT doc FROM restores")
        .and_if("project = ?", filter.project.as_ref().map(ToString::to_string))?
        .and_if("target = ?", filter.target.as_ref().map(ToString::to_string))?
        .and_if("backup = ?", filter.backup.as_ref().map(ToString::to_string))?
        .and_if("status = ?", filter.status.map(|s| doc::word(&s)).transpose()?)?
        .after("(started_at, id) < (?, ?)", paging.after(LIST)?)?;
    let items = select.docs(conn, " ORDER BY started_at DESC, id DESC", paging.rows()?).await?;
    Ok(Page::of(items, paging, LIST, |r: &Restore| (r.started_at.micros(), r.id.to_string())))
}
