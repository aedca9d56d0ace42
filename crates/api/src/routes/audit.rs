//! The audit.

use super::page;
use crate::{
    Shared,
    auth::Caller,
    body::Query,
    endpoint::{ADMIN, Endpoint, Method::*, Need, Noun},
    problem::Answer,
    views,
};
use axum::{Extension, Json, extract::State, response::IntoResponse};
use mainstay_api_types as dto;
use mainstay_model::AuditResult;
use mainstay_store::audit::{self, AuditFilter};

pub fn routes() -> Noun {
    Noun::new("audit")
        .route(
            Endpoint::new(Get, "/audit", "listAudit", "Who did what, newest first", ADMIN).list::<dto::AuditEntry>().query(&[
                ("actor", "Only by this one."),
                ("action", "Only this action."),
                ("object", "Only on this object, as it was named."),
                ("result", "done, refused or failed"),
                ("limit", "1 to 500"),
                ("cursor", "`next` of the page before"),
            ]),
            list,
        )
        .route(
            Endpoint::new(Post, "/audit/verify", "verifyAudit", "Check that no row was changed", Need::Administrator)
                .reply::<dto::AuditVerified>(),
            verify,
        )
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    // The administrator sees what belongs to no project as well.
    let project = if c.actor.administrator && q.get("project").is_none() { None } else { Some(c.project.id.clone()) };
    let filter = AuditFilter {
        project,
        actor: q.get("actor").map(String::from),
        action: q.get("action").map(String::from),
        object_id: q.get("object").map(String::from),
        result: q.word::<AuditResult>("result")?,
        ..AuditFilter::default()
    };
    let found = audit::list(&mut *s.app.store.read().await.map_err(crate::problem::Fault)?, &filter, &q.paging()?).await?;
    Ok(page(found, views::audit).into_response())
}

async fn verify(State(s): State<Shared>) -> Answer {
    let rows = audit::verify(&mut *s.app.store.read().await?).await?;
    Ok(Json(dto::AuditVerified { rows }).into_response())
}
