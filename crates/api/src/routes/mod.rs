//! The routes, one file a noun. THE LIST is [`all`].

mod audit;
mod backups;
mod clusters;
mod engines;
mod nodes;
mod operations;
mod projects;
mod restores;
mod storages;
mod tokens;

use crate::{
    Shared,
    body::Query,
    endpoint::Noun,
    problem::{Answer, Fault},
    views,
};
use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use mainstay_api_types as dto;
use mainstay_model::{Error, Kind, OperationId};
use sha2::{Digest, Sha256};

pub fn all() -> Vec<Noun> {
    vec![
        projects::routes(),
        engines::routes(),
        clusters::routes(),
        nodes::routes(),
        backups::routes(),
        restores::routes(),
        storages::routes(),
        operations::routes(),
        tokens::routes(),
        audit::routes(),
    ]
}

/// 202: the operation as it stands, and where to look at it.
async fn accepted(shared: &Shared, id: &OperationId) -> Answer {
    let view = shared.app.runner.get(id).await?;
    let location = format!("{}/operations/{id}", crate::BASE);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(views::operation(view))).into_response())
}

/// What the verb would do, where `?dry_run=true` asks for no more.
fn dry_run(shared: &Shared, query: &Query, kind: &str, summary: Vec<String>, warnings: Vec<String>) -> Answer<Option<Response>> {
    if !query.is_true("dry_run") {
        return Ok(None);
    }
    let steps = shared.app.runner.plan(kind).ok_or_else(|| Error::internal(format!("no operation {kind}")))?;
    let step = |s: &mainstay_operations::Step| dto::PlannedStep {
        name: s.name.into(),
        title: s.title.into(),
        point_of_no_return: s.point_of_no_return,
    };
    let plan = dto::Plan { kind: kind.into(), summary, steps: steps.iter().map(step).collect(), warnings };
    Ok(Some(Json(plan).into_response()))
}

fn page<T, U>(page: mainstay_store::Page<T>, view: impl Fn(T) -> U) -> Json<dto::List<U>> {
    Json(dto::List { items: page.items.into_iter().map(view).collect(), next: page.next })
}

fn whole<T>(items: Vec<T>) -> Json<dto::List<T>> {
    Json(dto::List { items, next: None })
}

/// A short hash of what matters for a decision about the object.
fn etag(of: &impl serde::Serialize) -> String {
    let text = serde_json::to_vec(of).unwrap_or_default();
    hex::encode(&Sha256::digest(&text)[..12])
}

fn with_etag(tag: &str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(value) = format!("\"{tag}\"").parse() {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

fn if_match(headers: &HeaderMap) -> Option<String> {
    headers.get(header::IF_MATCH).and_then(|v| v.to_str().ok()).map(|v| v.trim().trim_matches('"').to_string())
}

/// Refuses an act on something that is no longer what the caller saw.
fn still(headers: &HeaderMap, tag: &str) -> Answer<()> {
    match if_match(headers) {
        Some(seen) if seen != "*" && seen != tag => {
            Err(Fault(Error::new(Kind::Stale, "stale", "it has changed since you looked at it; look again and decide anew")))
        }
        _ => Ok(()),
    }
}
