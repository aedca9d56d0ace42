//! What users want proven of a cluster's data in its drills.

use super::{clusters::find, etag, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, VIEWER},
    problem::Answer,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::assertions::{self, Wish};
use mainstay_model::{assertion::Assertion, backup::Check, cluster::Cluster};

pub fn routes() -> Noun {
    Noun::new("assertions")
        .route(
            Endpoint::new(Get, "/clusters/{id}/assertions", "listAssertions", "What the drills of a cluster have to prove", VIEWER)
                .reply::<dto::Assertions>(),
            list,
        )
        .route(
            Endpoint::new(Put, "/clusters/{id}/assertions", "setAssertions", "Say what the drills of a cluster have to prove", ADMIN)
                .body::<dto::SetAssertions>()
                .reply::<dto::Assertions>()
                .dry()
                .guarded(),
            set,
        )
        .route(
            Endpoint::new(Post, "/clusters/{id}/assertions/try", "tryAssertions", "Ask them now, of the data that is live", ADMIN)
                .body::<dto::TryAssertions>()
                .reply::<dto::TriedAssertions>(),
            try_now,
        )
}

fn seen(a: Assertion) -> dto::Assertion {
    dto::Assertion { name: a.name.to_string(), query: a.query, expect: a.expect.to_string() }
}

fn wishes(all: Vec<dto::Assertion>) -> Vec<Wish> {
    all.into_iter().map(|a| Wish { name: a.name, query: a.query, expect: a.expect }).collect()
}

fn list_tag(all: &[Assertion]) -> String {
    etag(&all.iter().map(|a| (a.name.to_string(), a.query.clone(), a.expect.to_string())).collect::<Vec<_>>())
}

async fn answer(s: &Shared, cluster: &Cluster, all: Vec<Assertion>) -> Answer {
    let (tag, form) = (list_tag(&all), assertions::form(&s.app, cluster).await?);
    let assertions = all.into_iter().map(seen).collect();
    Ok(with_etag(&tag, Json(dto::Assertions { cluster: cluster.name.to_string(), form, assertions })))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let all = assertions::of(&s.app, &cluster).await?;
    answer(&s, &cluster, all).await
}

async fn set(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::SetAssertions>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let today = assertions::of(&s.app, &cluster).await?;
    still(&headers, &[&list_tag(&today)])?;
    let all = assertions::checked(&s.app, &cluster, &wishes(b.assertions)).await?;
    if q.is_true("dry_run") {
        return planned(&cluster, &today, &all);
    }
    assertions::set(&s.app, &cluster, &all).await?;
    answer(&s, &cluster, all).await
}

/// The plan of what has no steps: what comes, what goes, what is another one.
fn planned(cluster: &Cluster, today: &[Assertion], all: &[Assertion]) -> Answer {
    let said = |a: &Assertion| format!("{}: {} has to be: {}", a.name, a.query, a.expect);
    let come = all.iter().filter(|a| !today.contains(a)).map(said);
    let go = today.iter().filter(|a| !all.iter().any(|n| n.name == a.name)).map(|a| format!("{} is asked no more", a.name));
    let head = format!("the next drill of {} asks {} assertions", cluster.name, all.len());
    let summary = std::iter::once(head).chain(come).chain(go).collect();
    Ok(Json(dto::Plan { kind: "assertions".into(), summary, steps: vec![], warnings: vec![], numbers: Default::default() }).into_response())
}

async fn try_now(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    Body(b): Body<dto::TryAssertions>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let all = match b.assertions {
        Some(all) => assertions::checked(&s.app, &cluster, &wishes(all)).await?,
        None => assertions::of(&s.app, &cluster).await?,
    };
    let checks: Vec<Check> = assertions::try_now(&s.app, &cluster, all).await?;
    let ok = checks.iter().all(|c| c.ok);
    Ok(Json(dto::TriedAssertions { cluster: cluster.name.to_string(), ok, checks }).into_response())
}
