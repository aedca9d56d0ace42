//! Groups and their backups. A group's backup outlives the group: its parts do too.

use crate::{
    Page, Paging, doc,
    error::{error, taken},
    select::Select,
};
use mainstay_model::{
    Error, GroupBackupId, GroupId, ProjectId, Result,
    group::{Group, GroupBackup},
};
use sqlx::AnyConnection;

const BACKUPS: &str = "group_backups";

pub async fn insert(conn: &mut AnyConnection, group: &Group) -> Result<()> {
    sqlx::query("INSERT INTO backup_groups (id, project, name, doc) VALUES ($1, $2, $3, $4)")
        .bind(group.id.as_str())
        .bind(group.project.as_str())
        .bind(group.name.as_str())
        .bind(doc::write(group)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "name_taken", || format!("there is a group \"{}\" in this project already", group.name)))
}

pub async fn get(conn: &mut AnyConnection, id: &GroupId) -> Result<Group> {
    let row = sqlx::query("SELECT doc FROM backup_groups WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("group", id.as_str()))?)
}

pub async fn by_name(conn: &mut AnyConnection, project: &ProjectId, name: &str) -> Result<Group> {
    let select = sqlx::query("SELECT doc FROM backup_groups WHERE project = $1 AND name = $2").bind(project.as_str()).bind(name);
    let row = select.fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("group", name))?)
}

/// Writes what may change: the name stays.
pub async fn update(conn: &mut AnyConnection, group: &Group) -> Result<()> {
    let update = sqlx::query("UPDATE backup_groups SET doc = $2 WHERE id = $1").bind(group.id.as_str()).bind(doc::write(group)?);
    let done = update.execute(conn).await.map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::not_found("group", group.id.as_str())) } else { Ok(()) }
}

/// Of one project, by name.
pub async fn list(conn: &mut AnyConnection, project: &ProjectId) -> Result<Vec<Group>> {
    let sql = "SELECT doc FROM backup_groups WHERE project = $1 ORDER BY name";
    doc::read_all(&sqlx::query(sql).bind(project.as_str()).fetch_all(conn).await.map_err(error)?)
}

/// Done as well when there is none.
pub async fn delete(conn: &mut AnyConnection, id: &GroupId) -> Result<()> {
    sqlx::query("DELETE FROM backup_groups WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}

pub async fn insert_backup(conn: &mut AnyConnection, backup: &GroupBackup) -> Result<()> {
    sqlx::query("INSERT INTO group_backups (id, project, group_id, created_at, doc) VALUES ($1, $2, $3, $4, $5)")
        .bind(backup.id.as_str())
        .bind(backup.project.as_str())
        .bind(backup.group.as_str())
        .bind(backup.created_at.micros())
        .bind(doc::write(backup)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "already_exists", || format!("there is a group backup {} already", backup.id)))
}

pub async fn backup(conn: &mut AnyConnection, id: &GroupBackupId) -> Result<GroupBackup> {
    let row = sqlx::query("SELECT doc FROM group_backups WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("group backup", id.as_str()))?)
}

pub async fn update_backup(conn: &mut AnyConnection, backup: &GroupBackup) -> Result<()> {
    let update = sqlx::query("UPDATE group_backups SET doc = $2 WHERE id = $1").bind(backup.id.as_str()).bind(doc::write(backup)?);
    let done = update.execute(conn).await.map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::not_found("group backup", backup.id.as_str())) } else { Ok(()) }
}

/// Newest first; of one group where it is given.
pub async fn backups(conn: &mut AnyConnection, project: &ProjectId, group: Option<&GroupId>, paging: &Paging) -> Result<Page<GroupBackup>> {
    let select = Select::new("SELECT doc FROM group_backups")
        .and_if("project = ?", Some(project.to_string()))?
        .and_if("group_id = ?", group.map(ToString::to_string))?
        .after("(created_at, id) < (?, ?)", paging.after(BACKUPS)?)?;
    let items = select.docs(conn, " ORDER BY created_at DESC, id DESC", paging.rows()?).await?;
    Ok(Page::of(items, paging, BACKUPS, |b: &GroupBackup| (b.created_at.micros(), b.id.to_string())))
}
