//! Restores: a plan, then exactly that plan.

use super::{Would, accepted, backups::confirmed, clusters::find, etag, if_match, page, still, with_etag};
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
use mainstay_control::{
    ops::{restore_in_place, restore_new, undo_restore},
    restores::{self, RestoreRequest},
};
use mainstay_model::{Error, Kind, Result, restore::Restore, role::Role};
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
            Endpoint::new(Get, "/restores", "listRestores", "Restores of a project, newest first", VIEWER)
                .list::<dto::Restore>()
                .query(&[("cluster", "Only into this cluster.")]),
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
            .operation()
            .dry()
            .precondition("The hash of the plan that is confirmed. Needed but for a dry run: 428 where it is absent, 412 where the plan would be another one now."),
            run,
        )
        .route(Endpoint::new(Get, "/restores/{id}", "showRestore", "One restore", VIEWER).reply::<dto::Restore>(), show)
        .route(
            Endpoint::new(Post, "/restores/{id}/undo", "undoRestore", "Bring the replaced data back", ADMIN)
                .body::<dto::Confirm>()
                .operation()
                .dry()
                .guarded(),
            undo,
        )
}

fn request(b: dto::RestoreRequest) -> RestoreRequest {
    let dto::RestoreRequest { backup, until, from_cluster, to, new, storage, confirm } = b;
    RestoreRequest { backup, until, from_cluster, to, new, storage, confirm }
}

async fn plan(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::RestoreRequest>) -> Answer {
    let planned = restores::plan(&s.app, &c.project.id, &request(b)).await?;
    Ok(Json(views::plan(planned)).into_response())
}

async fn run(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::RestoreRequest>,
) -> Answer {
    if b.to.is_some() {
        c.require(Role::Admin)?;
    }
    let request = request(b);
    if q.is_true("dry_run") {
        let plan = restores::plan(&s.app, &c.project.id, &request).await?.plan;
        let moment = plan.until.map(|t| format!(" as of {t}")).unwrap_or_default();
        let summary = format!("backup {} is restored to {}{moment}", plan.backup, plan.target);
        let would = match request.to {
            Some(_) => Would::of::<restore_in_place::RestoreInPlace>(summary),
            None => Would::of::<restore_new::RestoreNew>(summary),
        };
        return would.warning(plan.loses).warning(plan.warnings).planned(&s).await;
    }
    let missing = || {
        let why = "send the hash of the plan you confirm as If-Match; POST /restores/plan makes one";
        Error::new(Kind::PreconditionRequired, "plan_required", why)
    };
    let hashes = if_match(&headers).ok_or_else(missing)?;
    let hash = hashes.first().copied().unwrap_or_default();
    let (restore, operation) = restores::run(&s.app, &c.actor, &c.project.id, &request, hash).await?;
    c.on("cluster", restore.target.as_str(), &restore.target_name);
    accepted(&s, &operation, Some(("restore", restore.id.as_str()))).await
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let target = match q.get("cluster") {
        Some(name) => Some(find(&s, &c, name).await?.id),
        None => None,
    };
    let filter = RestoreFilter { project: Some(c.project.id.clone()), target, ..Default::default() };
    Ok(page(restores::list(&s.app, &filter, &q.paging()?).await?, views::restore).into_response())
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<Restore> {
    let restore = restores::resolve(&s.app, &c.project.id, id).await?;
    c.on("restore", restore.id.as_str(), &restore.target_name);
    Ok(restore)
}

fn tag(r: &Restore) -> String {
    etag(&(&r.id, r.status, &r.previous_label))
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let restore = get(&s, &c, &id).await?;
    Ok(with_etag(&tag(&restore), Json(views::restore(restore))))
}

async fn undo(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let restore = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&restore)])?;
    if q.is_true("dry_run") {
        let summary = format!("the data {} had before this restore comes back", restore.target_name);
        let would = Would::of::<undo_restore::UndoRestore>(summary).also("what was written since the restore is put aside");
        return would.locking(restore.target.as_str()).planned(&s).await;
    }
    confirmed(b.confirm.as_deref(), "name", &restore.target_name)?;
    accepted(&s, &restores::undo(&s.app, &c.actor, &restore).await?, None).await
}
