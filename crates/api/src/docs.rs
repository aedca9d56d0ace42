//! The OpenAPI document, and a page that shows it without asking anybody else.

use crate::{
    BASE, Shared,
    endpoint::{Endpoint, Method, Need, Noun},
    routes,
};
use axum::{Router, body::Bytes, http::header, routing::get};
use std::sync::LazyLock;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, Info, OpenApi, OpenApiBuilder, PathItem, Paths, Ref, RefOr, Required, ResponseBuilder,
    path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, Type},
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

/// Made once: it never changes while the process lives.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| serde_json::to_vec(&document(&routes::all())).unwrap_or_default().into());

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

pub fn router() -> Router<Shared> {
    let file = |kind: &'static str, text: &'static str| get(async move || ([(header::CONTENT_TYPE, kind)], text));
    Router::new()
        .route("/api/v1/openapi.json", get(async || ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone())))
        .route("/api/docs", file(HTML, include_str!("docs/page.html")))
        .route("/api/docs/page.js", file(SCRIPT, include_str!("docs/page.js")))
        .route("/api/docs/page.css", file(STYLE, include_str!("docs/page.css")))
}

pub fn document(nouns: &[Noun]) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new().security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let mut schemas = std::collections::BTreeMap::new();
    for noun in nouns {
        for e in &noun.endpoints {
            let item = PathItem::new(method(e.method), operation(noun.name, e));
            match paths.paths.entry(format!("{BASE}{}", e.path)) {
                std::collections::btree_map::Entry::Occupied(mut o) => o.get_mut().merge_operations(item),
                std::collections::btree_map::Entry::Vacant(v) => drop(v.insert(item)),
            }
            schemas.extend(e.schemas.clone());
        }
    }
    for (name, schema) in schemas {
        components = components.schema(name, schema);
    }
    let mut info = Info::new("Mainstay", env!("CARGO_PKG_VERSION"));
    info.description = Some("Managed database clusters on your own machines.".into());
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components.build())).build()
}

fn method(m: Method) -> HttpMethod {
    match m {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
        Method::Put => HttpMethod::Put,
        Method::Patch => HttpMethod::Patch,
        Method::Delete => HttpMethod::Delete,
    }
}

fn operation(noun: &str, e: &Endpoint) -> utoipa::openapi::path::Operation {
    let need = match e.need {
        Need::Role(r) => format!("Needs the role {}.", r.as_str()),
        Need::Administrator => "Needs an administrator of the installation.".into(),
        Need::Known => "For everybody who is signed in or has a token.".into(),
        Need::Open => "Needs nobody to be signed in, and the header `x-mainstay-csrf`.".into(),
    };
    let mut op = OperationBuilder::new().operation_id(Some(e.id)).tag(noun).summary(Some(e.summary)).description(Some(need));
    op = op.security(SecurityRequirement::new("token", Vec::<String>::new()));
    for name in e.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
        op = op.parameter(parameter(name, ParameterIn::Path, "An id or a name."));
    }
    op = op.parameter(parameter("project", ParameterIn::Query, "A project's id or name; `default` where absent."));
    for (name, description) in &e.query {
        op = op.parameter(parameter(name, ParameterIn::Query, description));
    }
    if e.method == Method::Post {
        op = op.parameter(parameter("Idempotency-Key", ParameterIn::Header, "The same key again gets the same answer; done once."));
    }
    if let Some(meaning) = e.precondition {
        op = op.parameter(parameter("If-Match", ParameterIn::Header, meaning));
    }
    if let Some(body) = &e.body {
        let content = ContentBuilder::new().schema(Some(body.clone())).build();
        op = op.request_body(Some(RequestBodyBuilder::new().content("application/json", content).build()));
    }
    let mut reply = ResponseBuilder::new().description("Done");
    if let Some(schema) = &e.reply {
        reply = reply.content(e.media, ContentBuilder::new().schema(Some(schema.clone())).build());
    }
    if e.media == "application/octet-stream" {
        reply = reply.content(e.media, ContentBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String).build())).build());
    }
    if e.takes("dry_run") {
        let plan = ContentBuilder::new().schema(Some(Ref::from_schema_name("Plan"))).build();
        op = op.response("200", ResponseBuilder::new().description("The plan of a dry run").content("application/json", plan).build());
    }
    let problem = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("Problem")))).build();
    op.response(e.status.to_string(), reply.build())
        .response("default", ResponseBuilder::new().description("A problem").content("application/problem+json", problem).build())
        .build()
}

fn parameter(name: &str, place: ParameterIn, description: &str) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    let schema = ObjectBuilder::new().schema_type(Type::String);
    ParameterBuilder::new().name(name).parameter_in(place).required(required).description(Some(description)).schema(Some(schema)).build()
}
