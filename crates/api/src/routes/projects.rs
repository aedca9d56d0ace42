//! Projects and their recovery keys.

use super::{accepted, etag, part, with_etag};
use crate::{
    Shared,
    auth::{self, Caller, Visitor},
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Need, Noun, OWNER, VIEWER},
    kit,
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use mainstay_api_types as dto;
use mainstay_control::{projects, recovery_keys, recovery_kit};
use mainstay_model::{OperationId, ProjectId, Result, Secret, project::Project};
use mainstay_store as store;

pub fn routes() -> Noun {
    Noun::new("projects")
        .route(Endpoint::new(Get, "/projects", "listProjects", "Projects you can see", Need::Known).list::<dto::Project>(), list)
        .route(
            Endpoint::new(Post, "/projects", "createProject", "A new project; whoever makes it owns it", Need::Administrator)
                .body::<dto::CreateProject>()
                .created::<dto::Project>(),
            create,
        )
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
        .route(
            Endpoint::new(
                Post,
                "/projects/{id}/recovery-kit",
                "exportRecoveryKit",
                "The recovery key, and every storage with what logs in: all that a recovery from nothing needs",
                OWNER,
            )
            .reply::<dto::RecoveryKit>(),
            export_kit,
        )
        .route(
            Endpoint::new(Get, "/projects/{id}/recovery-keys", "listRecoveryKeys", "Who can open the backups without Mainstay", ADMIN)
                .reply::<dto::RecoveryKeys>(),
            keys,
        )
        .route(
            Endpoint::new(Post, "/projects/{id}/recovery-keys", "addRecoveryKey", "Add a recovery key; it is shown this once", OWNER)
                .body::<dto::AddRecoveryKey>()
                .reply::<dto::RecoveryKeyMade>(),
            add_key,
        )
        .route(
            Endpoint::new(
                Post,
                "/projects/{id}/recovery-keys/rotate",
                "rotateRecoveryKey",
                "Replace the first recovery key; the old one opens nothing from then on",
                OWNER,
            )
            .reply::<dto::RecoveryKeyMade>(),
            rotate_key,
        )
        .route(
            Endpoint::new(Delete, "/projects/{id}/recovery-keys/{name}", "removeRecoveryKey", "Take a recovery key away", OWNER)
                .operation(),
            remove_key,
        )
}

fn exported_mark(project: &ProjectId) -> String {
    format!("recovery_key_exported/{project}")
}

async fn mark_exported(s: &Shared, project: &ProjectId) -> Result<()> {
    let mut tx = s.app.store.begin_write().await?;
    store::kv::put(&mut tx, &exported_mark(project), &s.app.now().to_string()).await?;
    store::commit(tx).await
}

async fn view(s: &Shared, project: Project) -> Result<dto::Project> {
    let mark = store::kv::get(&mut *s.app.store.read().await?, &exported_mark(&project.id)).await?;
    Ok(views::project(project, mark.is_some()))
}

async fn create(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::CreateProject>) -> Answer {
    let project = projects::create(&s.app, &c.actor, &b.name).await?;
    c.on("project", project.id.as_str(), project.name.as_str());
    Ok((StatusCode::CREATED, Json(view(&s, project).await?)).into_response())
}

async fn list(State(s): State<Shared>, Extension(v): Extension<Visitor>, q: Query) -> Answer {
    let actor = v.known()?;
    let mut items = Vec::new();
    for project in projects::list(&s.app).await? {
        if actor.sees(&project.id) {
            items.push(view(&s, project).await?);
        }
    }
    Ok(part(&q, items, |p| &p.id)?.into_response())
}

pub(super) async fn seen(s: &Shared, c: &Caller, id: &str) -> Result<Project> {
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
    mark_exported(&s, &project.id).await?;
    Ok(Json(dto::RecoveryKey { project: project.name.to_string(), key: key.reveal().into() }).into_response())
}

async fn export_kit(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer<Response> {
    let project = seen(&s, &c, &id).await?;
    let made = recovery_kit::make(&s.app, &project).await?;
    mark_exported(&s, &project.id).await?;
    Ok(Json(kit::of(&project, made)).into_response())
}

async fn keys(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let project = seen(&s, &c, &id).await?;
    let view = recovery_keys::view(&s.app, &project.id).await?;
    let shown = dto::RecoveryKeys {
        items: view.names.into_iter().map(|(name, created_at)| dto::NamedKey { name, created_at }).collect(),
        in_place: view.in_place,
        check: view.checked.map(|c| dto::RecoveryCheck { at: c.at, ok: c.ok, detail: c.detail }),
    };
    Ok(Json(shown).into_response())
}

fn made(project: &Project, name: &str, (key, operation): (Secret, OperationId)) -> Response {
    let key = key.reveal().into();
    Json(dto::RecoveryKeyMade { project: project.name.to_string(), name: name.into(), key, operation: operation.to_string() })
        .into_response()
}

async fn add_key(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    Body(b): Body<dto::AddRecoveryKey>,
) -> Answer {
    let project = seen(&s, &c, &id).await?;
    Ok(made(&project, &b.name, recovery_keys::add(&s.app, &c.actor, &project, &b.name).await?))
}

async fn rotate_key(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let project = seen(&s, &c, &id).await?;
    let rotated = recovery_keys::rotate(&s.app, &c.actor, &project).await?;
    mark_exported(&s, &project.id).await?;
    Ok(made(&project, recovery_keys::FIRST, rotated))
}

async fn remove_key(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, name)): Path<(String, String)>) -> Answer {
    let project = seen(&s, &c, &id).await?;
    accepted(&s, &recovery_keys::remove(&s.app, &c.actor, &project, &name).await?, None).await
}
