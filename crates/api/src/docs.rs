//! The OpenAPI document, and a page that shows it without asking anybody else.

use crate::{
    BASE, Shared,
    endpoint::{Endpoint, Method, Need, Noun},
    routes,
};
use axum::{Router, http::header, response::IntoResponse, routing::get};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, HttpMethod, Info, OpenApi, OpenApiBuilder, PathItem, Paths, Ref, RefOr, Required, ResponseBuilder,
    path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, Type},
    security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

pub fn router() -> Router<Shared> {
    Router::new()
        .route("/api/v1/openapi.json", get(async || axum::Json(document(&routes::all()))))
        .route(
            "/api/docs",
            get(async || ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("docs/page.html")).into_response()),
        )
        .route(
            "/api/docs/page.js",
            get(async || ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("docs/page.js")).into_response()),
        )
        .route(
            "/api/docs/page.css",
            get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("docs/page.css")).into_response()),
        )
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
        Need::Administrator => "Needs the administrator's token.".into(),
    };
    let mut op = OperationBuilder::new().operation_id(Some(e.id)).tag(noun).summary(Some(e.summary)).description(Some(need));
    op = op.security(SecurityRequirement::new("token", Vec::<String>::new()));
    for name in e.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
        op = op.parameter(parameter(name, ParameterIn::Path, "An id or a name."));
    }
    op = op.parameter(parameter("project", ParameterIn::Query, "A project's id or name; `default` where absent."));
    for (name, description) in e.query {
        op = op.parameter(parameter(name, ParameterIn::Query, description));
    }
    if let Some(body) = &e.body {
        let content = ContentBuilder::new().schema(Some(body.clone())).build();
        op = op.request_body(Some(RequestBodyBuilder::new().content("application/json", content).build()));
    }
    let mut reply = ResponseBuilder::new().description("Done");
    if let Some(schema) = &e.reply {
        reply = reply.content("application/json", ContentBuilder::new().schema(Some(schema.clone())).build());
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
