//! Projects.

use crate::{
    doc,
    error::{error, taken},
};
use mainstay_model::{Error, Name, Project, ProjectId, Result, Time, project::DEFAULT};
use sqlx::AnyConnection;

pub async fn insert(conn: &mut AnyConnection, project: &Project) -> Result<()> {
    sqlx::query("INSERT INTO projects (id, name, doc) VALUES ($1, $2, $3)")
        .bind(project.id.as_str())
        .bind(project.name.as_str())
        .bind(doc::write(project)?)
        .execute(conn)
        .await
        .map(drop)
        .map_err(|e| taken(e, "name_taken", || format!("there is a project \"{}\" already", project.name)))
}

pub async fn get(conn: &mut AnyConnection, id: &ProjectId) -> Result<Project> {
    let row = sqlx::query("SELECT doc FROM projects WHERE id = $1").bind(id.as_str()).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("project", id.as_str()))?)
}

pub async fn by_name(conn: &mut AnyConnection, name: &str) -> Result<Project> {
    let row = sqlx::query("SELECT doc FROM projects WHERE name = $1").bind(name).fetch_optional(conn).await.map_err(error)?;
    doc::read(&row.ok_or_else(|| Error::not_found("project", name))?)
}

/// All, oldest first.
pub async fn list(conn: &mut AnyConnection) -> Result<Vec<Project>> {
    doc::read_all(&sqlx::query("SELECT doc FROM projects ORDER BY id").fetch_all(conn).await.map_err(error)?)
}

/// The project that is meant where none is named; created if it is missing.
pub async fn ensure_default(conn: &mut AnyConnection, now: Time) -> Result<Project> {
    match by_name(conn, DEFAULT).await {
        Err(e) if e.kind == mainstay_model::Kind::NotFound => {
            let project = Project { id: ProjectId::new(), name: Name::parse(DEFAULT)?, created_at: now };
            insert(conn, &project).await?;
            Ok(project)
        }
        found => found,
    }
}
