//! What every request passes: host, origin, who, may they, once only; and what every answer gets.

use crate::{
    BASE, Endpoint, Need, Shared,
    audit::{self, Act, Outcome},
    auth::{self, Caller, Visitor},
    body::{self, Query},
    dashboard, docs, idempotency,
    problem::{self, Carried},
    rate::counted,
    routes,
    tls::Peer,
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderValue, Method, header, request::Parts},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::FutureExt;
use mainstay_control::Actor;
use mainstay_model::{AuditEntry, Error, Kind, Result};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    panic::AssertUnwindSafe,
    sync::Arc,
};

/// Rows by method and path template.
#[derive(Default)]
struct Table(HashMap<(Method, String), Endpoint>);

impl Table {
    /// What has no row is nobody's.
    fn row(&self, method: &Method, template: &str) -> Result<&Endpoint> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        let missing = || Error::forbidden("this route has no row in the table of who may use it");
        self.0.get(&(method, template.to_string())).ok_or_else(missing)
    }
}

#[derive(Clone)]
struct Guarded {
    shared: Shared,
    table: Arc<Table>,
}

pub fn router(shared: Shared) -> Router {
    let mut api: Router<Shared> = Router::new();
    let mut table = Table::default();
    for noun in routes::all() {
        api = api.merge(noun.router);
        table.0.extend(noun.endpoints.into_iter().map(|e| ((e.method.of_http(), format!("{BASE}{}", e.path)), e)));
    }
    let guarded = Guarded { shared: shared.clone(), table: Arc::new(table) };
    let api = api.route_layer(from_fn_with_state(guarded, guard));
    Router::new()
        .nest(BASE, api)
        .merge(docs::router())
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .merge(dashboard::router())
        .method_not_allowed_fallback(async || {
            problem::Fault(Error::new(Kind::Invalid, "method_not_allowed", "this address does not take that method; see /api/docs"))
        })
        .layer(from_fn_with_state(shared.clone(), outermost))
        .with_state(shared)
}

/// Ready when what an earlier process left is taken over, the store answers, and the agent does.
async fn ready(State(shared): State<Shared>) -> problem::Answer<&'static str> {
    if !shared.app.runner.has_recovered() {
        let why = "operations that an earlier process left are being taken over; wait a moment";
        return Err(Error::unavailable("recovering", why).into());
    }
    mainstay_control::projects::list(&shared.app).await?;
    shared.app.agent.look(&mainstay_rpc::verbs::RouteStatuses {}).await?;
    Ok("ready\n")
}

// ---- every answer ----

const FIXED: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

async fn outermost(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let id = hex::encode(rand::random::<[u8; 8]>());
    let answer = match shared.hosts.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(e) => {
            let peer = peer_of(&request);
            let heard = shared.strangers.note(counted(peer)).is_none();
            let entry = heard.then(|| audit::turned_away(&shared.app, &request, peer, &e));
            turned_away(&shared, entry, e).await
        }
    };
    let mut response = problem::told(answer, &id);
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        // The dashboard has a policy of its own.
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", value);
    }
    response
}

/// Refused before anybody looked who it is. It is written down like every refused act, and a flood of
/// it by its first rows.
async fn turned_away(shared: &Shared, entry: Option<AuditEntry>, e: Error) -> Response {
    let Some(entry) = entry else { return carried(e) };
    match audit::append(&shared.app, &entry).await {
        Ok(()) => carried(e),
        Err(unwritten) => carried(unwritten.context("the refusal could not be written to the audit")),
    }
}

fn peer_of(request: &Request) -> IpAddr {
    request.extensions().get::<ConnectInfo<Peer>>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |c| c.0.0.ip())
}

// ---- every route of the API ----

/// In a task of its own: a caller that hangs up must leave neither an act without its audit nor a
/// key that stays in progress.
async fn guard(State(g): State<Guarded>, matched: MatchedPath, request: Request, next: Next) -> Response {
    let work = async move {
        let endpoint = match g.table.row(request.method(), matched.as_str()) {
            Ok(endpoint) => endpoint,
            Err(e) => return carried(e),
        };
        guarded(&g.shared, endpoint, request, next).await
    };
    tokio::spawn(work).await.unwrap_or_else(|e| carried(Error::internal(format!("a handler did not end well: {e}"))))
}

async fn guarded(shared: &Shared, endpoint: &Endpoint, request: Request, next: Next) -> Response {
    let peer = peer_of(&request);
    let mut act = Act::new(endpoint, request.uri().path(), peer);
    let (parts, content) = request.into_parts();
    let response = admit(shared, &mut act, parts, content, next).await.unwrap_or_else(carried);
    let planned = act.is_dry_run && response.status().is_success();
    // Who is nobody cannot fill the audit: a flood of strangers is told of by its first rows.
    let unheard = act.actor.is_none() && shared.strangers.note(counted(peer)).is_some();
    if !endpoint.audited || planned || unheard {
        return response;
    }
    let outcome = Outcome::of(&act, &response);
    match audit::write(&shared.app, &act, outcome).await {
        Ok(()) => response,
        Err(e) => carried(e.context("the act could not be written to the audit")),
    }
}

/// Notes in `act` what becomes known on the way, so that a refusal is recorded with it.
async fn admit(shared: &Shared, act: &mut Act<'_>, mut parts: Parts, content: Body, next: Next) -> Result<Response> {
    let endpoint = act.endpoint;
    let actor = match endpoint.need {
        Need::Open => {
            auth::no_forgery(&parts.method, &parts.headers)?;
            None
        }
        _ => Some(auth::authenticated(shared, &parts.method, &parts.headers, act.peer).await?),
    };
    act.actor = actor.clone();
    let query = Query::read(&parts.uri)?;
    let caller = match actor.clone() {
        Some(actor) if !matches!(endpoint.need, Need::Known) => Some(caller(shared, act, actor, &query).await?),
        _ => None,
    };
    query.check(endpoint)?;
    act.is_dry_run = query.is_true("dry_run");
    let bytes = if endpoint.method == crate::endpoint::Method::Get { Default::default() } else { body::read(content).await? };
    if endpoint.body.is_none() {
        body::nothing(&parts.headers, &bytes)?;
    }
    if !endpoint.discreet {
        act.asked = body::shown(&bytes);
    }
    let key = match &actor {
        Some(actor) if parts.method == Method::POST => idempotency::key(&parts, &bytes, actor)?,
        _ => None,
    };
    parts.extensions.insert(Visitor { actor, peer: act.peer, object: act.object.clone(), became: act.became.clone() });
    if let Some(caller) = caller {
        parts.extensions.insert(caller);
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    let Some(key) = key else { return Ok(run(next, request).await) };
    match key.begin(&shared.app).await? {
        Some(answer) => Ok(answer),
        None => key.finish(&shared.app, run(next, request).await).await,
    }
}

/// Who calls in the project that is meant, if they may.
async fn caller(shared: &Shared, act: &mut Act<'_>, mut actor: Actor, query: &Query) -> Result<Caller> {
    // A project's own routes name it in their path.
    let in_path = act.endpoint.path.starts_with("/projects/{id}").then(|| act.named()).flatten();
    let project = auth::project(&shared.app, &actor, in_path.as_deref().or(query.get("project"))).await?;
    actor.role = actor.role_in(&project.id).unwrap_or(actor.role);
    act.project = Some(project.clone());
    auth::permitted(&actor, act.endpoint.need)?;
    Ok(Caller { actor, project, object: act.object.clone() })
}

/// A handler that panics has failed like any other.
async fn run(next: Next, request: Request) -> Response {
    let run = AssertUnwindSafe(next.run(request)).catch_unwind();
    run.await.unwrap_or_else(|_| carried(Error::internal("a handler panicked")))
}

fn carried(error: Error) -> Response {
    problem::Fault(error).into_response()
}

pub fn fault(response: &Response) -> Option<&Error> {
    response.extensions().get::<Carried>().map(|c| &c.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_row_is_nobodys() {
        let table = Table(routes::all().into_iter().flat_map(|n| n.endpoints).map(|e| ((e.method.of_http(), e.path.into()), e)).collect());
        assert!(table.row(&Method::GET, "/clusters").is_ok() && table.row(&Method::HEAD, "/clusters").is_ok());
        for (method, path) in [(Method::GET, "/nothing"), (Method::PUT, "/clusters"), (Method::GET, "/clusters/abc")] {
            assert_eq!(table.row(&method, path).err().map(|e| e.kind), Some(Kind::Forbidden));
        }
    }
}
