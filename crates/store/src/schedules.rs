//! Schedules, and what became of their times.
//!
//! A time of a schedule is used by [`claim`], once: the key of its row decides between two control
//! planes, and between one and itself before it was killed. What was only missed may still be used,
//! should the clock come back to it.
//!
//! The column `cluster` holds the id of what a schedule backs up, which may be a group: ids of different
//! kinds never look alike.

use crate::{
    Page, Paging, doc,
    error::{error, taken},
    select::Select,
};
use mainstay_model::{
    ClusterId, Error, GroupId, ProjectId, Result, ScheduleId, StorageId, Time,
    schedule::{RunStatus, Schedule, ScheduleRun},
};
use sqlx::{AnyConnection, Row};

const LIST: &str = "schedules";
/// How many runs a schedule remembers.
const RUNS: i64 = 500;

pub async fn insert(conn: &mut AnyConnection, schedule: &Schedule) -> Result<()> {
    let sql = "INSERT INTO schedules (id, project, cluster, name, done_until, next_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(sql)
        .bind(schedule.id.as_str())
        .bind(schedule.project.as_str())
        .bind(schedule.owner.id())
        .bind(schedule.name.as_str())
        .bind(schedule.done_until.micros())
        .bind(schedule.next_at.map(Time::micros))
        .bind(doc::write(schedule)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "name_taken", || format!("{} has a schedule \"{}\" already", schedule.owner, schedule.name)))
}

pub async fn get(conn: &mut AnyConnection, id: &ScheduleId) -> Result<Schedule> {
    let row = sqlx::query("SELECT doc FROM schedules WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("schedule", id.as_str()))?)
}

/// `owner` is the id of a cluster or of a group.
pub async fn by_name(conn: &mut AnyConnection, owner: &str, name: &str) -> Result<Schedule> {
    let select = sqlx::query("SELECT doc FROM schedules WHERE cluster = $1 AND name = $2").bind(owner).bind(name);
    doc::read(&select.fetch_optional(conn).await.map_err(error)?.ok_or_else(|| Error::not_found("schedule", name))?)
}

/// Writes what may change: owner and name stay.
pub async fn update(conn: &mut AnyConnection, schedule: &Schedule) -> Result<()> {
    let done = sqlx::query("UPDATE schedules SET done_until = $2, next_at = $3, doc = $4 WHERE id = $1")
        .bind(schedule.id.as_str())
        .bind(schedule.done_until.micros())
        .bind(schedule.next_at.map(Time::micros))
        .bind(doc::write(schedule)?)
        .execute(conn)
        .await
        .map_err(error)?;
    if done.rows_affected() == 0 { Err(Error::not_found("schedule", schedule.id.as_str())) } else { Ok(()) }
}

/// With its runs. Done as well when there is none.
pub async fn delete(conn: &mut AnyConnection, id: &ScheduleId) -> Result<()> {
    sqlx::query("DELETE FROM schedules WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}

/// With the cluster they belong to.
pub async fn delete_of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<()> {
    delete_of(conn, cluster.as_str()).await
}

/// With the group they belong to.
pub async fn delete_of_group(conn: &mut AnyConnection, group: &GroupId) -> Result<()> {
    delete_of(conn, group.as_str()).await
}

async fn delete_of(conn: &mut AnyConnection, owner: &str) -> Result<()> {
    sqlx::query("DELETE FROM schedules WHERE cluster = $1").bind(owner).execute(conn).await.map(drop).map_err(error)
}

/// Of one cluster, oldest first; those of its groups are theirs.
pub async fn of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Vec<Schedule>> {
    of(conn, cluster.as_str()).await
}

/// Of the cluster or the group with that id, oldest first.
pub async fn of(conn: &mut AnyConnection, owner: &str) -> Result<Vec<Schedule>> {
    let sql = "SELECT doc FROM schedules WHERE cluster = $1 ORDER BY id";
    doc::read_all(&sqlx::query(sql).bind(owner).fetch_all(conn).await.map_err(error)?)
}

/// Of all groups, oldest first.
pub async fn of_groups(conn: &mut AnyConnection) -> Result<Vec<Schedule>> {
    let sql = "SELECT s.doc FROM backup_groups g JOIN schedules s ON s.cluster = g.id ORDER BY s.id";
    doc::read_all(&sqlx::query(sql).fetch_all(conn).await.map_err(error)?)
}

/// Of all clusters that are not deleted, oldest first.
pub async fn of_all(conn: &mut AnyConnection) -> Result<Vec<Schedule>> {
    let sql = "SELECT s.doc FROM clusters c JOIN schedules s ON s.cluster = c.id WHERE c.deleted_at IS NULL ORDER BY s.id";
    doc::read_all(&sqlx::query(sql).fetch_all(conn).await.map_err(error)?)
}

/// Of schedules whose newest time was missed, that time.
pub async fn newest_missed(conn: &mut AnyConnection) -> Result<Vec<ScheduleRun>> {
    let sql = "SELECT r.doc FROM schedules s JOIN schedule_runs r ON r.schedule = s.id \
        AND r.nominal = (SELECT MAX(n.nominal) FROM schedule_runs n WHERE n.schedule = s.id) WHERE r.status = $1";
    doc::read_all(&sqlx::query(sql).bind(doc::word(&RunStatus::Missed)?).fetch_all(conn).await.map_err(error)?)
}

/// Of groups, and of clusters that are there, those that go to a storage.
pub async fn of_storage(conn: &mut AnyConnection, project: &ProjectId, storage: &StorageId) -> Result<Vec<Schedule>> {
    let sql = "SELECT s.doc FROM schedules s WHERE s.project = $1 AND (s.cluster IN (SELECT id FROM backup_groups) \
        OR s.cluster IN (SELECT id FROM clusters WHERE deleted_at IS NULL))";
    let mut all: Vec<Schedule> = doc::read_all(&sqlx::query(sql).bind(project.as_str()).fetch_all(conn).await.map_err(error)?)?;
    all.retain(|s| s.storages.contains(storage));
    Ok(all)
}

/// Of one project, oldest first; of one cluster or one group where its id is given.
pub async fn list(conn: &mut AnyConnection, project: &ProjectId, owner: Option<&str>, paging: &Paging) -> Result<Page<Schedule>> {
    let select = Select::new("SELECT doc FROM schedules")
        .and_if("project = ?", Some(project.to_string()))?
        .and_if("cluster = ?", owner.map(ToString::to_string))?
        .after("(0, id) > (?, ?)", paging.after(LIST)?)?;
    let items = select.docs(conn, " ORDER BY id", paging.rows()?).await?;
    Ok(Page::of(items, paging, LIST, |s: &Schedule| (0i64, s.id.to_string())))
}

/// Those to be looked at now, at most `limit`: their time has come, or the clock was put back
/// behind what they have done.
pub async fn due(conn: &mut AnyConnection, now: Time, limit: i64) -> Result<Vec<ScheduleId>> {
    let come = "SELECT id FROM schedules WHERE next_at IS NOT NULL AND next_at <= $1 ORDER BY next_at, id LIMIT $2";
    let ahead = "SELECT id FROM schedules WHERE next_at IS NOT NULL AND done_until > $1 ORDER BY done_until, id LIMIT $2";
    let mut ids = Vec::new();
    for sql in [come, ahead] {
        let rows = sqlx::query(sql).bind(now.micros()).bind(limit).fetch_all(&mut *conn).await.map_err(error)?;
        for row in rows {
            let id = ScheduleId::try_from(row.try_get::<String, _>(0).map_err(error)?)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }
    Ok(ids)
}

/// When the first of all is to be looked at.
pub async fn next_at(conn: &mut AnyConnection) -> Result<Option<Time>> {
    let sql = "SELECT next_at FROM schedules WHERE next_at IS NOT NULL ORDER BY next_at, id LIMIT 1";
    let first: Option<i64> = sqlx::query_scalar(sql).fetch_optional(conn).await.map_err(error)?;
    Ok(first.map(Time::from_micros))
}

/// Writes down what became of a time. `false`: it was used before, and nothing is changed. A time
/// that was only missed may be used later.
pub async fn claim(conn: &mut AnyConnection, run: &ScheduleRun) -> Result<bool> {
    let sql = "INSERT INTO schedule_runs (schedule, nominal, status, doc) VALUES ($1, $2, $3, $4)
        ON CONFLICT (schedule, nominal) DO UPDATE SET status = excluded.status, doc = excluded.doc
        WHERE schedule_runs.status = 'missed' AND excluded.status <> 'missed'";
    let done = write(sql, conn, run).await?;
    let old = "DELETE FROM schedule_runs WHERE schedule = $1 AND nominal <
        (SELECT nominal FROM schedule_runs WHERE schedule = $1 ORDER BY nominal DESC LIMIT 1 OFFSET $2)";
    sqlx::query(old).bind(run.schedule.as_str()).bind(RUNS - 1).execute(conn).await.map_err(error)?;
    Ok(done > 0)
}

/// Completes what [`claim`] wrote.
pub async fn set_run(conn: &mut AnyConnection, run: &ScheduleRun) -> Result<()> {
    let sql = "UPDATE schedule_runs SET status = $3, doc = $4 WHERE schedule = $1 AND nominal = $2";
    write(sql, conn, run).await.map(drop)
}

async fn write(sql: &'static str, conn: &mut AnyConnection, run: &ScheduleRun) -> Result<u64> {
    let query = sqlx::query(sql).bind(run.schedule.as_str()).bind(run.nominal.micros()).bind(doc::word(&run.status)?);
    Ok(query.bind(doc::write(run)?).execute(conn).await.map_err(error)?.rows_affected())
}

/// Newest first.
pub async fn runs(conn: &mut AnyConnection, schedule: &ScheduleId, limit: i64) -> Result<Vec<ScheduleRun>> {
    let sql = "SELECT doc FROM schedule_runs WHERE schedule = $1 ORDER BY nominal DESC LIMIT $2";
    doc::read_all(&sqlx::query(sql).bind(schedule.as_str()).bind(limit).fetch_all(conn).await.map_err(error)?)
}

/// The latest run that began a backup.
pub async fn last_started(conn: &mut AnyConnection, schedule: &ScheduleId) -> Result<Option<ScheduleRun>> {
    let sql = "SELECT doc FROM schedule_runs WHERE schedule = $1 AND status = $2 ORDER BY nominal DESC LIMIT 1";
    let row = sqlx::query(sql).bind(schedule.as_str()).bind(doc::word(&RunStatus::Started)?).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}
