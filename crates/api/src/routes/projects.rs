//! Projects and their recovery keys.

use super::{etag, part, with_etag};
use crate::{
    Shared,
    auth::{self, Caller},
    body::Query,
    endpoint::{Endpoint, Method::*, Noun, OWNER, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use mainstay_api_types as dto;
use mainstay_control::projects;
use mainstay_model::{ProjectId, Result, project::Project};
use mainstay_store as store;

pub fn routes() -> Noun {
    Noun::new("projects")
        .route(Endpoint::new(Get, "/projects", "listProjects", "Projects you can see", VIEWER).list::<dto::Project>(), list)
        .route(Endpoint::new(Get, "/projects/{id}", "showProject", "One project", VIEWER).reply::<dto::Project>(), show)
        .route(
            Endpoint::new(
                Post,
                "/projects/{id}/recovery-key",
                "exportRecoveryKey",
                "A restic password that opens every repository of the project",
                OWNER,
            )
            .reply::<dto::RecoveryKey>(),
            recovery_key,
        )
}

fn exported_mark(project: &ProjectId) -> String {
    format!("recovery_key_exported/{project}")
}

async fn view(s: &Shared, project: Project) -> Result<dto::Project> {
    let mark = store::kv::get(&mut *s.app.store.read().await?, &exported_mark(&project.id)).await?;
    Ok(views::project(project, mark.is_some()))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let mut items = Vec::new();
    for project in projects::list(&s.app).await? {
        if c.actor.project.as_ref().is_none_or(|own| own == &project.id) {
            items.push(view(&s, project).await?);
        }
    }
    Ok(part(&q, items, |p| &p.id)?.into_response())
}

async fn seen(s: &Shared, c: &Caller, id: &str) -> Result<Project> {
    let project = auth::seen(&s.app, &c.actor, id).await?;
    c.on("project", project.id.as_str(), project.name.as_str());
    Ok(project)
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let project = seen(&s, &c, &id).await?;
    Ok(with_etag(&etag(&project), Json(view(&s, project).await?)))
}

async fn recovery_key(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer<Response> {
    let project = seen(&s, &c, &id).await?;
    let key = projects::recovery_key(&s.app, &project.id).await?;
    let mut tx = s.app.store.begin_write().await?;
    store::kv::put(&mut tx, &exported_mark(&project.id), &s.app.now().to_string()).await?;
    store::commit(tx).await?;
    Ok(Json(dto::RecoveryKey { project: project.name.to_string(), key: key.reveal().into() }).into_response())
}
