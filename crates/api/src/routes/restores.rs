//! Restores: a plan, then exactly that plan.

use super::{accepted, clusters::find, dry_run, if_match, page};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, OPERATOR, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::restores::{self, RestoreRequest};
use mainstay_model::{Error, Kind, role::Role};
use mainstay_store::restores::RestoreFilter;

pub fn routes() -> Noun {
    Noun::new("restores")
        .route(
            Endpoint::new(Post, "/restores/plan", "planRestore", "What a restore would do", VIEWER)
                .body::<dto::RestoreRequest>()
                .reply::<dto::RestorePlan>()
                .silent(),
            plan,
        )
        .route(
            Endpoint::new(Get, "/restores", "listRestores", "Restores of a project, newest first", VIEWER).list::<dto::Restore>().query(&[
                ("cluster", "Only into this cluster."),
                ("limit", "1 to 500"),
                ("cursor", "`next` of the page before"),
            ]),
            list,
        )
        .route(
            Endpoint::new(
                Post,
                "/restores",
                "runRestore",
                "Restore; the plan's hash goes into If-Match. Into an existing cluster it needs the role admin",
                OPERATOR,
            )
            .body::<dto::RestoreRequest>()
            .operation(),
            run,
        )
        .route(Endpoint::new(Get, "/restores/{id}", "showRestore", "One restore", VIEWER).reply::<dto::Restore>(), show)
        .route(
            Endpoint::new(Post, "/restores/{id}/undo", "undoRestore", "Bring the replaced data back", ADMIN)
                .body::<dto::Confirm>()
                .operation()
                .query(&[("dry_run", "`true` answers with the plan and does nothing.")]),
            undo,
        )
}

fn request(b: dto::RestoreRequest) -> RestoreRequest {
    RestoreRequest { backup: b.backup, to: b.to, new: b.new, storage: b.storage, confirm: b.confirm }
}

async fn plan(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::RestoreRequest>) -> Answer {
    let planned = restores::plan(&s.app, &c.project.id, &request(b)).await?;
    Ok(Json(views::plan(planned)).into_response())
}

async fn run(State(s): State<Shared>, Extension(c): Extension<Caller>, h: HeaderMap, Body(b): Body<dto::RestoreRequest>) -> Answer {
    if b.to.is_some() {
        c.require(Role::Admin)?;
    }
    let missing = || {
        Error::new(
            Kind::PreconditionRequired,
            "plan_required",
            "send the hash of the plan you confirm as If-Match; POST /restores/plan makes one",
        )
    };
    let hash = if_match(&h).ok_or_else(missing)?;
    let (_, operation) = restores::run(&s.app, &c.actor, &c.project.id, &request(b), &hash).await?;
    accepted(&s, &operation).await
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let target = match q.get("cluster") {
        Some(name) => Some(find(&s, &c, name).await?.id),
        None => None,
    };
    let filter = RestoreFilter { project: Some(c.project.id.clone()), target, ..Default::default() };
    Ok(page(restores::list(&s.app, &filter, &q.paging()?).await?, views::restore).into_response())
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    Ok(Json(views::restore(restores::resolve(&s.app, &c.project.id, &id).await?)).into_response())
}

async fn undo(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let restore = restores::resolve(&s.app, &c.project.id, &id).await?;
    let summary = vec![format!("the data {} had before this restore comes back; what was written since is put aside", restore.target_name)];
    if let Some(answer) = dry_run(&s, &q, "undo_restore", summary, vec![])? {
        return Ok(answer);
    }
    if b.confirm.as_deref() != Some(restore.target_name.as_str()) {
        return Err(Error::invalid("confirm", format!("type the name \"{}\" to confirm", restore.target_name))
            .with_code("confirmation_mismatch")
            .into());
    }
    accepted(&s, &restores::undo(&s.app, &c.actor, &restore).await?).await
}
