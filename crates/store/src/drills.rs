//! What came of each drill, so that there is a history of how long restores take.

use crate::{Page, Paging, doc, error::error, select::Select};
use mainstay_model::{
    ClusterId, Result, Time,
    drill::{DrillRecord, DrillResult},
};
use sqlx::{AnyConnection, Row};

const LIST: &str = "drills";
/// How many a cluster remembers.
const REMEMBERED: i64 = 200;

/// Forgets the oldest beyond those that are remembered.
pub async fn insert(conn: &mut AnyConnection, drill: &DrillRecord) -> Result<()> {
    sqlx::query("INSERT INTO drills (id, cluster, at, result, doc) VALUES ($1, $2, $3, $4, $5)")
        .bind(drill.id.as_str())
        .bind(drill.cluster.as_str())
        .bind(drill.at.micros())
        .bind(doc::word(&drill.result)?)
        .bind(doc::write(drill)?)
        .execute(&mut *conn)
        .await
        .map_err(error)?;
    let old =
        "DELETE FROM drills WHERE cluster = $1 AND at < (SELECT at FROM drills WHERE cluster = $1 ORDER BY at DESC LIMIT 1 OFFSET $2)";
    sqlx::query(old).bind(drill.cluster.as_str()).bind(REMEMBERED - 1).execute(conn).await.map(drop).map_err(error)
}

/// Newest first.
pub async fn list(conn: &mut AnyConnection, cluster: &ClusterId, paging: &Paging) -> Result<Page<DrillRecord>> {
    let select = Select::new("SELECT doc FROM drills")
        .and_if("cluster = ?", Some(cluster.to_string()))?
        .after("(at, id) < (?, ?)", paging.after(LIST)?)?;
    let items = select.docs(conn, " ORDER BY at DESC, id DESC", paging.rows()?).await?;
    Ok(Page::of(items, paging, LIST, |d: &DrillRecord| (d.at.micros(), d.id.to_string())))
}

/// The newest one that passed.
pub async fn last_passed(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Option<DrillRecord>> {
    newest(conn, cluster, DrillResult::Passed).await
}

async fn newest(conn: &mut AnyConnection, cluster: &ClusterId, result: DrillResult) -> Result<Option<DrillRecord>> {
    let sql = "SELECT doc FROM drills WHERE result = $1 AND cluster = $2 ORDER BY at DESC, id DESC LIMIT 1";
    let row = sqlx::query(sql).bind(doc::word(&result)?).bind(cluster.as_str()).fetch_optional(conn).await.map_err(error)?;
    row.as_ref().map(doc::read).transpose()
}

/// The newest one that failed, unless one has passed since. What could not be done says nothing.
pub async fn failed_since(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Option<DrillRecord>> {
    let Some(failed) = newest(conn, cluster, DrillResult::Failed).await? else { return Ok(None) };
    let passed = last_passed(conn, cluster).await?;
    Ok(passed.is_none_or(|p| (p.at, &p.id) < (failed.at, &failed.id)).then_some(failed))
}

/// Clusters that ever had a failed one.
pub async fn with_failures(conn: &mut AnyConnection) -> Result<Vec<ClusterId>> {
    let sql = "SELECT DISTINCT cluster FROM drills WHERE result = $1 ORDER BY cluster";
    let rows = sqlx::query(sql).bind(doc::word(&DrillResult::Failed)?).fetch_all(conn).await.map_err(error)?;
    rows.iter().map(|row| ClusterId::try_from(row.try_get::<String, _>(0).map_err(error)?)).collect()
}

/// When each cluster was last drilled or should have been, whatever came of it.
pub async fn last_tries(conn: &mut AnyConnection) -> Result<Vec<(ClusterId, Time)>> {
    let rows = sqlx::query("SELECT cluster, MAX(at) FROM drills GROUP BY cluster").fetch_all(conn).await.map_err(error)?;
    let read = |row: &sqlx::any::AnyRow| {
        let cluster = ClusterId::try_from(row.try_get::<String, _>(0).map_err(error)?)?;
        Ok((cluster, Time::from_micros(row.try_get(1).map_err(error)?)))
    };
    rows.iter().map(read).collect()
}

/// Of each cluster that is not deleted when its newest drill of this result was.
pub async fn newest_of_all(conn: &mut AnyConnection, result: DrillResult) -> Result<Vec<(ClusterId, Time)>> {
    let sql = "SELECT c.id, (SELECT MAX(d.at) FROM drills d WHERE d.result = $1 AND d.cluster = c.id) \
        FROM clusters c WHERE c.deleted_at IS NULL";
    let rows = sqlx::query(sql).bind(doc::word(&result)?).fetch_all(conn).await.map_err(error)?;
    let read = |row: &sqlx::any::AnyRow| {
        let at: Option<i64> = row.try_get(1).map_err(error)?;
        let cluster = ClusterId::try_from(row.try_get::<String, _>(0).map_err(error)?)?;
        Ok(at.map(|at| (cluster, Time::from_micros(at))))
    };
    rows.iter().filter_map(|row| read(row).transpose()).collect()
}
