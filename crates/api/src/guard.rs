//! What every request passes: host, origin, who, may they, once only; and what every answer gets.

use crate::{
    BASE, Endpoint, Options, Shared,
    audit::{self, Act},
    auth::{self, Caller},
    body, docs, idempotency,
    problem::{self, Carried},
    routes,
};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::get,
};
use mainstay_control::Actor;
use mainstay_model::{Error, Kind, Result, project::Project};
use std::{collections::HashMap, net::SocketAddr, sync::Arc};

/// Rows by method and path template.
type Table = HashMap<(String, String), Endpoint>;

#[derive(Clone)]
struct Guarded {
    shared: Shared,
    table: Arc<Table>,
}

pub fn router(shared: Shared) -> Router {
    let mut api: Router<Shared> = Router::new();
    let mut table = Table::new();
    for noun in routes::all() {
        api = api.merge(noun.router);
        for e in noun.endpoints {
            table.insert((e.method.as_str().into(), format!("{BASE}{}", e.path)), e);
        }
    }
    let guarded = Guarded { shared: shared.clone(), table: Arc::new(table) };
    let api = api.route_layer(from_fn_with_state(guarded, guard));
    Router::new()
        .nest(BASE, api)
        .merge(docs::router())
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(async || problem::Fault(Error::new(Kind::NotFound, "no_such_route", "there is nothing at this address; see /api/docs")))
        .method_not_allowed_fallback(async || {
            problem::Fault(Error::new(Kind::Invalid, "method_not_allowed", "this address does not take that method"))
        })
        .layer(from_fn_with_state(shared.clone(), outermost))
        .with_state(shared)
}

/// Ready when the store answers and the agent does.
async fn ready(State(shared): State<Shared>) -> problem::Answer<&'static str> {
    mainstay_control::projects::list(&shared.app).await?;
    shared.app.agent.look(&mainstay_rpc::verbs::RouteStatuses {}).await?;
    Ok("ready\n")
}

// ---- every answer ----

async fn outermost(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let id = request_id();
    let host = shared.hosts.check(request.headers(), request.method(), request.uri().host());
    let mut response = match host {
        Ok(()) => next.run(request).await,
        Err(e) => problem::answer(&e, &id),
    };
    if let Some(Carried(error)) = response.extensions_mut().remove::<Carried>() {
        response = problem::answer(&error, &id);
    }
    let headers = response.headers_mut();
    let fixed = [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
        ("referrer-policy", "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert("x-request-id", value);
    }
    response
}

fn request_id() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}

/// Names this server goes by. A request for another name was led here by a rebound DNS name.
pub struct Hosts {
    public: Option<String>,
}

impl Hosts {
    pub fn new(options: &Options) -> Self {
        let public =
            options.public_url.as_ref().and_then(|u| u.split("://").nth(1)).map(|rest| rest.trim_end_matches('/').to_ascii_lowercase());
        Hosts { public }
    }

    fn is_ours(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        if Some(&authority) == self.public.as_ref() {
            return true;
        }
        let host = match authority.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    fn check(&self, headers: &HeaderMap, method: &Method, absolute: Option<&str>) -> Result<()> {
        let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
        let named = text(header::HOST.as_str()).or(absolute).unwrap_or_default();
        if !self.is_ours(named) || absolute.is_some_and(|a| !self.is_ours(a)) {
            return Err(Error::new(Kind::Invalid, "wrong_host", "this server does not go by that name; see `up --public-url`"));
        }
        let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let foreign = text("origin").is_some_and(|o| o.split("://").nth(1).is_none_or(|a| !self.is_ours(a)));
        let cross = text("sec-fetch-site").is_some_and(|s| s != "same-origin" && s != "none");
        if !safe && (foreign || cross) {
            return Err(Error::forbidden("requests of other sites are refused").with_code("csrf"));
        }
        Ok(())
    }
}

// ---- every route of the API ----

async fn guard(State(g): State<Guarded>, matched: MatchedPath, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)), |c| c.0);
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let Some(endpoint) = g.table.get(&(method.to_string(), matched.as_str().to_string())).cloned() else {
        return carried(Error::forbidden("this route has no row in the table of who may use it"));
    };
    let (path, headers) = (request.uri().path().to_string(), request.headers().clone());
    let named = query_value(request.uri().query(), "project");
    let dry = query_value(request.uri().query(), "dry_run").is_some_and(|v| v == "true" || v == "1");
    let (actor, project, response) = admit(&g, &endpoint, request, next, &headers, named.as_deref(), peer).await;
    if !endpoint.audited || (dry && response.status().is_success()) {
        return response;
    }
    let error = response.extensions().get::<Carried>().map(|c| c.0.clone());
    let act = Act {
        endpoint: &endpoint,
        path: &path,
        actor: actor.as_ref(),
        project: project.as_ref().map(|p| &p.id),
        peer: peer.ip(),
        status: response.status(),
        error: error.as_ref(),
    };
    match audit::write(&g.shared.app, act).await {
        Ok(()) => response,
        Err(e) => carried(e.context("the act could not be written to the audit")),
    }
}

async fn admit(
    g: &Guarded,
    endpoint: &Endpoint,
    mut request: Request,
    next: Next,
    headers: &HeaderMap,
    named: Option<&str>,
    peer: SocketAddr,
) -> (Option<Actor>, Option<Project>, Response) {
    let actor = match authenticated(&g.shared, headers, peer).await {
        Ok(actor) => actor,
        Err(e) => return (None, None, carried(e)),
    };
    let project = match auth::project(&g.shared.app, &actor, named, endpoint).await {
        Ok(project) => project,
        Err(e) => return (Some(actor), None, carried(e)),
    };
    request.extensions_mut().insert(Caller { actor: actor.clone(), project: project.clone() });
    let response = once(&g.shared, &actor, headers, request, next).await.unwrap_or_else(carried);
    (Some(actor), Some(project), response)
}

async fn authenticated(shared: &Shared, headers: &HeaderMap, peer: SocketAddr) -> Result<Actor> {
    shared.failures.check(peer.ip())?;
    let actor = auth::actor(&shared.app, headers, peer.ip()).await;
    // A missing token is no guess.
    if headers.contains_key(header::AUTHORIZATION) && actor.as_ref().is_err_and(|e| e.kind == Kind::Unauthenticated) {
        shared.failures.note(peer.ip());
    }
    actor
}

/// Does a POST that carries a key once.
async fn once(shared: &Shared, actor: &Actor, headers: &HeaderMap, request: Request, next: Next) -> Result<Response> {
    let key = if request.method() == Method::POST { idempotency::key(headers, actor)? } else { None };
    let Some(key) = key else { return Ok(next.run(request).await) };
    let (parts, content) = request.into_parts();
    let bytes = body::read(content).await.map_err(|f| f.0)?;
    let print = idempotency::fingerprint(&parts.uri.to_string(), &bytes);
    if let Some(answer) = key.begin(shared, &print).await? {
        return Ok(answer);
    }
    let mut response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if let Some(Carried(error)) = response.extensions_mut().remove::<Carried>() {
        response = problem::answer(&error, &request_id());
    }
    key.finish(shared, response).await
}

fn carried(error: Error) -> Response {
    use axum::response::IntoResponse;
    problem::Fault(error).into_response()
}

fn query_value(query: Option<&str>, name: &str) -> Option<String> {
    let pair = query?.split('&').find_map(|p| p.split_once('=').filter(|(k, _)| *k == name))?;
    Some(pair.1.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_ours_are_refused() {
        let hosts = Hosts::new(&Options { public_url: Some("https://db.example:8443/".into()) });
        for ok in ["127.0.0.1:8420", "localhost", "[::1]:8420", "DB.example:8443", "127.3.4.5"] {
            assert!(hosts.is_ours(ok), "{ok}");
        }
        for bad in ["", "evil.example", "127.0.0.1.evil.example", "db.example", "10.0.0.1", "localhost.evil.example"] {
            assert!(!hosts.is_ours(bad), "{bad}");
        }
    }

    #[test]
    fn requests_of_other_sites_may_only_look() {
        let hosts = Hosts::new(&Options::default());
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("127.0.0.1:8420"));
        headers.insert("origin", HeaderValue::from_static("https://evil.example"));
        assert_eq!(hosts.check(&headers, &Method::POST, None).unwrap_err().code, "csrf");
        assert!(hosts.check(&headers, &Method::GET, None).is_ok());
        headers.insert("origin", HeaderValue::from_static("http://127.0.0.1:8420"));
        assert!(hosts.check(&headers, &Method::POST, None).is_ok());
    }
}
