//! Backups with their copies. The copies lie in the backup's document; a table beside it repeats
//! which storages hold one, so that a storage can be asked what is in it.

use crate::{
    Page, Paging, doc,
    error::{error, taken},
    select::Select,
};
use mainstay_model::{
    BackupId, ClusterId, Error, ProjectId, Result, ScheduleId, StorageId, Time,
    backup::{Backup, BackupKind, BackupStatus},
};
use sqlx::{AnyConnection, Row, any::AnyRow};

const LIST: &str = "backups";
const NEWEST_FIRST: &str = " ORDER BY created_at DESC, id DESC";

/// What is `None` is not asked for.
#[derive(Debug, Clone, Default)]
pub struct BackupFilter {
    pub project: Option<ProjectId>,
    pub cluster: Option<ClusterId>,
    pub status: Option<BackupStatus>,
    pub kind: Option<BackupKind>,
    /// With a copy there that neither failed nor expired.
    pub storage: Option<StorageId>,
}

pub async fn insert(conn: &mut AnyConnection, backup: &Backup) -> Result<()> {
    let sql = "INSERT INTO backups (id, project, cluster, kind, status, good, created_at, lapses_at, doc, schedule) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    sqlx::query(sql)
        .bind(backup.id.as_str())
        .bind(backup.project.as_str())
        .bind(backup.cluster.as_str())
        .bind(doc::word(&backup.kind)?)
        .bind(doc::word(&backup.status)?)
        .bind(i64::from(backup.is_good()))
        .bind(backup.created_at.micros())
        .bind(lapses(backup))
        .bind(doc::write(backup)?)
        .bind(schedule(backup))
        .execute(&mut *conn)
        .await
        .map_err(|e| taken(e, "already_exists", || format!("there is a backup {} already", backup.id)))?;
    insert_copies(conn, backup).await
}

fn lapses(backup: &Backup) -> i64 {
    backup.lapses_at().map_or(i64::MAX, Time::micros)
}

fn schedule(backup: &Backup) -> &str {
    backup.schedule.as_ref().map_or("", |s| s.as_str())
}

async fn insert_copies(conn: &mut AnyConnection, backup: &Backup) -> Result<()> {
    for copy in &backup.copies {
        sqlx::query("INSERT INTO backup_copies (backup, storage, status) VALUES ($1, $2, $3)")
            .bind(backup.id.as_str())
            .bind(copy.storage.as_str())
            .bind(doc::word(&copy.status)?)
            .execute(&mut *conn)
            .await
            .map_err(|e| taken(e, "copy_exists", || format!("backup {} has two copies in storage {}", backup.id, copy.storage_name)))?;
    }
    Ok(())
}

pub async fn get(conn: &mut AnyConnection, id: &BackupId) -> Result<Backup> {
    let row = sqlx::query("SELECT doc FROM backups WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("backup", id.as_str()))?)
}

/// Writes the whole backup, copies included.
pub async fn update(conn: &mut AnyConnection, backup: &Backup) -> Result<()> {
    let sql = "UPDATE backups SET project = $2, cluster = $3, kind = $4, status = $5, good = $6, created_at = $7, \
        lapses_at = $8, doc = $9, schedule = $10 WHERE id = $1";
    let done = sqlx::query(sql)
        .bind(backup.id.as_str())
        .bind(backup.project.as_str())
        .bind(backup.cluster.as_str())
        .bind(doc::word(&backup.kind)?)
        .bind(doc::word(&backup.status)?)
        .bind(i64::from(backup.is_good()))
        .bind(backup.created_at.micros())
        .bind(lapses(backup))
        .bind(doc::write(backup)?)
        .bind(schedule(backup))
        .execute(&mut *conn)
        .await
        .map_err(error)?;
    if done.rows_affected() == 0 {
        return Err(Error::not_found("backup", backup.id.as_str()));
    }
    let delete = sqlx::query("DELETE FROM backup_copies WHERE backup = $1").bind(backup.id.as_str());
    delete.execute(&mut *conn).await.map_err(error)?;
    insert_copies(conn, backup).await
}

/// Done as well when there is none.
pub async fn delete(conn: &mut AnyConnection, id: &BackupId) -> Result<()> {
    sqlx::query("DELETE FROM backups WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}

/// Newest first.
pub async fn list(conn: &mut AnyConnection, filter: &BackupFilter, paging: &Paging) -> Result<Page<Backup>> {
    let in_storage = "id IN (SELECT backup FROM backup_copies WHERE storage = ? AND status NOT IN ('failed', 'expired'))";
    let select = Select::new("SELECT doc FROM backups")
        .and_if("project = ?", filter.project.as_ref().map(ToString::to_string))?
        .and_if("cluster = ?", filter.cluster.as_ref().map(ToString::to_string))?
        .and_if("status = ?", filter.status.map(|s| doc::word(&s)).transpose()?)?
        .and_if("kind = ?", filter.kind.map(|k| doc::word(&k)).transpose()?)?
        .and_if(in_storage, filter.storage.as_ref().map(ToString::to_string))?
        .after("(created_at, id) < (?, ?)", paging.after(LIST)?)?;
    let items = select.docs(conn, NEWEST_FIRST, paging.rows()?).await?;
    Ok(Page::of(items, paging, LIST, |b: &Backup| (b.created_at.micros(), b.id.to_string())))
}

/// The newest one a restore may start from without a doubt ([`Backup::is_good`]).
pub async fn last_good(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Option<Backup>> {
    let sql = "SELECT doc FROM backups WHERE cluster = $1 AND good = 1 ORDER BY created_at DESC, id DESC LIMIT 1";
    let row = sqlx::query(sql).bind(cluster.as_str()).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}

/// All of one cluster, newest first.
pub async fn of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Vec<Backup>> {
    let sql = "SELECT doc FROM backups WHERE cluster = $1 ORDER BY created_at DESC, id DESC";
    doc::read_all(&sqlx::query(sql).bind(cluster.as_str()).fetch_all(conn).await.map_err(error)?)
}

/// So many of one cluster, newest first.
pub async fn newest(conn: &mut AnyConnection, cluster: &ClusterId, limit: i64) -> Result<Vec<Backup>> {
    let sql = "SELECT doc FROM backups WHERE cluster = $1 ORDER BY created_at DESC, id DESC LIMIT $2";
    doc::read_all(&sqlx::query(sql).bind(cluster.as_str()).bind(limit).fetch_all(conn).await.map_err(error)?)
}

/// So many of its good ones ([`Backup::is_good`]), newest first.
pub async fn newest_good(conn: &mut AnyConnection, cluster: &ClusterId, limit: i64) -> Result<Vec<Backup>> {
    let sql = "SELECT doc FROM backups WHERE cluster = $1 AND good = 1 ORDER BY created_at DESC, id DESC LIMIT $2";
    doc::read_all(&sqlx::query(sql).bind(cluster.as_str()).bind(limit).fetch_all(conn).await.map_err(error)?)
}

/// Storages with a good copy of a good backup of the cluster.
pub async fn storages_with_good(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Vec<StorageId>> {
    let sql = "SELECT DISTINCT c.storage FROM backups b JOIN backup_copies c ON c.backup = b.id \
        WHERE b.cluster = $1 AND b.good = 1 AND c.status = 'completed' ORDER BY c.storage";
    let rows: Vec<String> = sqlx::query_scalar(sql).bind(cluster.as_str()).fetch_all(conn).await.map_err(error)?;
    rows.into_iter().map(StorageId::try_from).collect()
}

/// The newest good one with a good copy in the storage.
pub async fn last_good_in(conn: &mut AnyConnection, cluster: &ClusterId, storage: &StorageId) -> Result<Option<Backup>> {
    let sql = "SELECT b.doc FROM backups b JOIN backup_copies c ON c.backup = b.id AND c.storage = $2 AND c.status = 'completed' \
        WHERE b.cluster = $1 AND b.good = 1 ORDER BY b.created_at DESC, b.id DESC LIMIT 1";
    let row = sqlx::query(sql).bind(cluster.as_str()).bind(storage.as_str()).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}

/// Clusters with a backup that could be restored and does not count: suspicious, or not looked at yet.
pub async fn with_doubtful(conn: &mut AnyConnection) -> Result<Vec<ClusterId>> {
    let sql = "SELECT DISTINCT cluster FROM backups WHERE good = 0 AND status IN ('completed', 'partial') ORDER BY cluster";
    let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(conn).await.map_err(error)?;
    rows.into_iter().map(ClusterId::try_from).collect()
}

/// Clusters with a backup that time alone may let go by now ([`Backup::lapses_at`]).
pub async fn lapsed(conn: &mut AnyConnection, now: Time) -> Result<Vec<ClusterId>> {
    let sql = "SELECT DISTINCT cluster FROM backups WHERE lapses_at <= $1 ORDER BY cluster";
    let rows: Vec<String> = sqlx::query_scalar(sql).bind(now.micros()).fetch_all(conn).await.map_err(error)?;
    rows.into_iter().map(ClusterId::try_from).collect()
}

/// Of each cluster that is not deleted its last good one, where there is one. One that does not read is
/// that cluster's alone.
pub async fn last_good_of_all(conn: &mut AnyConnection) -> Result<Vec<(ClusterId, Result<Backup>)>> {
    let sql = "SELECT b.doc, b.cluster FROM clusters c JOIN backups b ON b.id = (SELECT n.id FROM backups n \
        WHERE n.cluster = c.id AND n.good = 1 ORDER BY n.created_at DESC, n.id DESC LIMIT 1) WHERE c.deleted_at IS NULL";
    of_clusters(sqlx::query(sql).fetch_all(conn).await.map_err(error)?)
}

/// Of each schedule when its last good one was made that lies in all its storages, where there is one.
pub async fn last_whole_of_schedules(conn: &mut AnyConnection) -> Result<Vec<(ScheduleId, Time)>> {
    let sql = "SELECT s.id, (SELECT MAX(b.created_at) FROM backups b WHERE b.schedule = s.id AND b.good = 1 AND b.status = 'completed') \
        FROM schedules s";
    let rows = sqlx::query(sql).fetch_all(conn).await.map_err(error)?;
    let read = |row: &AnyRow| {
        let at: Option<i64> = row.try_get(1).map_err(error)?;
        let id = ScheduleId::try_from(row.try_get::<String, _>(0).map_err(error)?)?;
        Ok(at.map(|at| (id, Time::from_micros(at))))
    };
    rows.iter().filter_map(|row| read(row).transpose()).collect()
}

/// Of each cluster that is not deleted its newest one that has ended and was not removed since, where
/// that one is not completed.
pub async fn newest_bad_of_all(conn: &mut AnyConnection) -> Result<Vec<(ClusterId, Result<Backup>)>> {
    let sql = "SELECT b.doc, b.cluster FROM clusters c JOIN backups b ON b.id = (SELECT n.id FROM backups n \
        WHERE n.cluster = c.id AND n.status IN ('completed', 'partial', 'failed') ORDER BY n.created_at DESC, n.id DESC LIMIT 1) \
        WHERE c.deleted_at IS NULL AND b.status <> 'completed'";
    of_clusters(sqlx::query(sql).fetch_all(conn).await.map_err(error)?)
}

fn of_clusters(rows: Vec<AnyRow>) -> Result<Vec<(ClusterId, Result<Backup>)>> {
    let of = |row: &AnyRow| Ok((ClusterId::try_from(row.try_get::<String, _>(1).map_err(error)?)?, doc::read(row)));
    rows.iter().map(of).collect()
}

/// The newest one made by hand since then that neither failed nor is going away.
pub async fn manual_since(conn: &mut AnyConnection, cluster: &ClusterId, since: Time) -> Result<Option<Backup>> {
    let sql = "SELECT doc FROM backups WHERE cluster = $1 AND created_at > $2 AND kind = 'manual' \
        AND status NOT IN ('failed', 'deleting', 'expired') ORDER BY created_at DESC, id DESC LIMIT 1";
    let row = sqlx::query(sql).bind(cluster.as_str()).bind(since.micros()).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}
