//! What came of each drill, so that there is a history of how long restores take.

use crate::{Page, Paging, doc, error::error, select::Select};
use mainstay_model::{ClusterId, Result, drill::DrillRecord};
use sqlx::AnyConnection;

const LIST: &str = "drills";
/// How many a cluster remembers.
const REMEMBERED: i64 = 200;

/// Forgets the oldest beyond those that are remembered.
pub async fn insert(conn: &mut AnyConnection, drill: &DrillRecord) -> Result<()> {
    sqlx::query("INSERT INTO drills (id, cluster, at, doc) VALUES ($1, $2, $3, $4)")
        .bind(drill.id.as_str())
        .bind(drill.cluster.as_str())
        .bind(drill.at.micros())
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
