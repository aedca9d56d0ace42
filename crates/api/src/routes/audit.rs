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
use mainstay_control::{clusters, storages};
use mainstay_model::{AuditResult, Error, Result};
use mainstay_store::audit::{self, AuditFilter};

const FILTERS: [(&str, &str); 7] = [
    ("actor", "Only by this one."),
    ("action", "Only this action."),
    ("object", "Only on this object: its id, or the name of a cluster or storage."),
    ("result", "done, refused or failed"),
    ("from", "Only from this address."),
    ("since", "From this moment on."),
    ("until", "Before this moment."),
];

pub fn routes() -> Noun {
    Noun::new("audit")
        .route(
            Endpoint::new(Get, "/audit", "listAudit", "Who did what, newest first", ADMIN).list::<dto::AuditEntry>().query(&FILTERS),
            list,
        )
        .route(
            Endpoint::new(Get, "/audit/export", "exportAudit", "The same as one file, at most 50,000 entries", ADMIN)
                .media("application/octet-stream")
                .query(&[("format", "csv, where absent, or json.")])
                .query(&FILTERS)
                .audited(),
            super::audit_export::export,
        )
        .route(
            Endpoint::new(Post, "/audit/verify", "verifyAudit", "Check that no row was changed", Need::Administrator)
                .reply::<dto::AuditVerified>(),
            verify,
        )
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let filter = filter(&s, &c, &q).await?;
    let found = audit::list(&mut *s.app.store.read().await?, &filter, &q.paging()?).await?;
    Ok(page(found, views::audit).into_response())
}

pub(super) async fn filter(s: &Shared, c: &Caller, q: &Query) -> Result<AuditFilter> {
    // The administrator sees what belongs to no project as well.
    let project = if c.actor.administrator && q.get("project").is_none() { None } else { Some(c.project.id.clone()) };
    let object_id = match q.get("object") {
        Some(named) => Some(id_of(s, c, named).await),
        None => None,
    };
    let no_address = |_| Error::invalid("from", "expected is an address such as 203.0.113.5");
    Ok(AuditFilter {
        project,
        actor: q.get("actor").map(String::from),
        action: q.get("action").map(String::from),
        object_id,
        result: q.word::<AuditResult>("result")?,
        from: q.get("from").map(|t| t.parse().map_err(no_address)).transpose()?,
        since: q.time("since")?,
        until: q.time("until")?,
        ..AuditFilter::default()
    })
}

/// Rows carry ids; people know names. What has neither was written down as it was typed.
async fn id_of(s: &Shared, c: &Caller, named: &str) -> String {
    if let Ok(cluster) = clusters::resolve(&s.app, &c.project.id, named).await {
        return cluster.id.to_string();
    }
    storages::resolve(&s.app, &c.project.id, named).await.map_or_else(|_| named.into(), |row| row.id.to_string())
}

async fn verify(State(s): State<Shared>) -> Answer {
    let rows = audit::verify(&mut *s.app.store.read().await?).await?;
    Ok(Json(dto::AuditVerified { rows }).into_response())
}
