//! Nodes.

use crate::{
    doc,
    error::{error, taken},
};
use mainstay_model::{ClusterId, Error, NodeId, Result, node::Node};
use sqlx::AnyConnection;

fn number_taken(e: sqlx::Error, node: &Node) -> Error {
    taken(e, "number_taken", || format!("there is a node {} already; a number is never used twice", node.name))
}

pub async fn insert(conn: &mut AnyConnection, node: &Node) -> Result<()> {
    sqlx::query("INSERT INTO nodes (id, cluster, number, doc) VALUES ($1, $2, $3, $4)")
        .bind(node.id.as_str())
        .bind(node.cluster.as_str())
        .bind(node.number)
        .bind(doc::write(node)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| number_taken(e, node))
}

pub async fn get(conn: &mut AnyConnection, id: &NodeId) -> Result<Node> {
    let row = sqlx::query("SELECT doc FROM nodes WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("node", id.as_str()))?)
}

pub async fn update(conn: &mut AnyConnection, node: &Node) -> Result<()> {
    let done = sqlx::query("UPDATE nodes SET cluster = $2, number = $3, doc = $4 WHERE id = $1")
        .bind(node.id.as_str())
        .bind(node.cluster.as_str())
        .bind(node.number)
        .bind(doc::write(node)?)
        .execute(conn)
        .await
        .map_err(|e| number_taken(e, node))?;
    if done.rows_affected() == 0 { Err(Error::not_found("node", node.id.as_str())) } else { Ok(()) }
}

/// Done as well when there is none.
pub async fn delete(conn: &mut AnyConnection, id: &NodeId) -> Result<()> {
    sqlx::query("DELETE FROM nodes WHERE id = $1").bind(id.as_str()).execute(conn).await.map(drop).map_err(error)
}

/// By number.
pub async fn of_cluster(conn: &mut AnyConnection, cluster: &ClusterId) -> Result<Vec<Node>> {
    let sql = "SELECT doc FROM nodes WHERE cluster = $1 ORDER BY number";
    doc::read_all(&sqlx::query(sql).bind(cluster.as_str()).fetch_all(conn).await.map_err(error)?)
}

/// By cluster and number.
pub async fn all(conn: &mut AnyConnection) -> Result<Vec<Node>> {
    doc::read_all(&sqlx::query("SELECT doc FROM nodes ORDER BY cluster, number").fetch_all(conn).await.map_err(error)?)
}
