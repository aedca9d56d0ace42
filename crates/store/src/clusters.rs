//! Clusters. Deleted ones stay as rows, for their backups and the recycle bin; their names are
//! free again.

use crate::{
    Page, Paging, doc,
    error::{error, taken},
    select::Select,
};
use mainstay_model::{ClusterId, Error, ProjectId, Result, cluster::Cluster};
use sqlx::AnyConnection;

const LIST: &str = "clusters";

fn name_taken(e: sqlx::Error, cluster: &Cluster) -> Error {
    taken(e, "name_taken", || format!("there is a cluster \"{}\" in this project already; choose another name", cluster.name))
}

pub async fn insert(conn: &mut AnyConnection, cluster: &Cluster) -> Result<()> {
    sqlx::query("INSERT INTO clusters (id, project, name, created_at, deleted_at, doc) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(cluster.id.as_str())
        .bind(cluster.project.as_str())
        .bind(cluster.name.as_str())
        .bind(cluster.created_at.micros())
        .bind(cluster.deleted_at.map(|t| t.micros()))
        .bind(doc::write(cluster)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| name_taken(e, cluster))
}

/// Deleted or not.
pub async fn get(conn: &mut AnyConnection, id: &ClusterId) -> Result<Cluster> {
    let row = sqlx::query("SELECT doc FROM clusters WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("cluster", id.as_str()))?)
}

/// Among those not deleted.
pub async fn by_name(conn: &mut AnyConnection, project: &ProjectId, name: &str) -> Result<Cluster> {
    let row = sqlx::query("SELECT doc FROM clusters WHERE project = $1 AND name = $2 AND deleted_at IS NULL")
        .bind(project.as_str())
        .bind(name)
        .fetch_optional(conn)
        .await
        .map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("cluster", name))?)
}

/// Writes the whole row. A deleted cluster that is brought back may find its name taken.
pub async fn update(conn: &mut AnyConnection, cluster: &Cluster) -> Result<()> {
    let done = sqlx::query("UPDATE clusters SET project = $2, name = $3, created_at = $4, deleted_at = $5, doc = $6 WHERE id = $1")
        .bind(cluster.id.as_str())
        .bind(cluster.project.as_str())
        .bind(cluster.name.as_str())
        .bind(cluster.created_at.micros())
        .bind(cluster.deleted_at.map(|t| t.micros()))
        .bind(doc::write(cluster)?)
        .execute(conn)
        .await
        .map_err(|e| name_taken(e, cluster))?;
    if done.rows_affected() == 0 { Err(Error::not_found("cluster", cluster.id.as_str())) } else { Ok(()) }
}

/// Oldest first.
pub async fn list(conn: &mut AnyConnection, project: &ProjectId, include_deleted: bool, paging: &Paging) -> Result<Page<Cluster>> {
    let mut select = Select::new("SELECT doc FROM clusters").and_if("project = ?", Some(project.to_string()))?;
    if !include_deleted {
        select = select.and("deleted_at IS NULL");
    }
    let select = select.after("(created_at, id) > (?, ?)", paging.after(LIST)?)?;
    let items = select.docs(conn, " ORDER BY created_at, id", paging.rows()?).await?;
    Ok(Page::of(items, paging, LIST, |c: &Cluster| (c.created_at.micros(), c.id.to_string())))
}

/// Of all projects, those not deleted, oldest first.
pub async fn all_alive(conn: &mut AnyConnection) -> Result<Vec<Cluster>> {
    let sql = "SELECT doc FROM clusters WHERE deleted_at IS NULL ORDER BY created_at, id";
    doc::read_all(&sqlx::query(sql).fetch_all(conn).await.map_err(error)?)
}

/// All there are rows of, deleted ones too.
pub async fn ids(conn: &mut AnyConnection) -> Result<Vec<ClusterId>> {
    let rows: Vec<String> = sqlx::query_scalar("SELECT id FROM clusters ORDER BY id").fetch_all(conn).await.map_err(error)?;
    rows.into_iter().map(ClusterId::try_from).collect()
}

/// Those deleted whose backups were kept, of all projects.
pub async fn in_bin(conn: &mut AnyConnection) -> Result<Vec<Cluster>> {
    let sql = "SELECT doc FROM clusters WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id";
    let deleted: Vec<Cluster> = doc::read_all(&sqlx::query(sql).fetch_all(conn).await.map_err(error)?)?;
    Ok(deleted.into_iter().filter(|c| c.bin.is_some()).collect())
}

/// Deleted ones that had this name, the last deleted first.
pub async fn deleted_by_name(conn: &mut AnyConnection, project: &ProjectId, name: &str) -> Result<Vec<Cluster>> {
    let sql = "SELECT doc FROM clusters WHERE project = $1 AND name = $2 AND deleted_at IS NOT NULL ORDER BY deleted_at DESC, id DESC";
    doc::read_all(&sqlx::query(sql).bind(project.as_str()).bind(name).fetch_all(conn).await.map_err(error)?)
}

/// Removes a cluster that never came to be, with its nodes. Done as well when there is none.
pub async fn remove_unborn(conn: &mut AnyConnection, id: &ClusterId) -> Result<()> {
    for sql in ["DELETE FROM nodes WHERE cluster = $1", "DELETE FROM clusters WHERE id = $1"] {
        sqlx::query(sql).bind(id.as_str()).execute(&mut *conn).await.map_err(error)?;
    }
    Ok(())
}
