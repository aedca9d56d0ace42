//! One row a route.

use crate::Shared;
use axum::{
    Router,
    handler::Handler,
    routing::{MethodFilter, on},
};
use mainstay_model::role::Role;
use utoipa::{
    ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type, schema::SchemaType},
};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// At least this role in the project.
    Role(Role),
    /// An administrator of the installation.
    Administrator,
    /// Anybody who is signed in or has a token.
    Known,
    /// Nobody has to be known: how somebody gets in.
    Open,
}

pub const VIEWER: Need = Need::Role(Role::Viewer);
pub const OPERATOR: Need = Need::Role(Role::Operator);
pub const ADMIN: Need = Need::Role(Role::Admin);
pub const OWNER: Need = Need::Role(Role::Owner);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Clone)]
pub struct Endpoint {
    pub method: Method,
    /// Below `/api/v1`, with `{id}` in it.
    pub path: &'static str,
    /// The OpenAPI operation id, and the audit's action.
    pub id: &'static str,
    pub summary: &'static str,
    pub need: Need,
    pub status: u16,
    pub body: Option<RefOr<Schema>>,
    pub reply: Option<RefOr<Schema>>,
    /// Names and meanings of the query parameters it takes besides `project`; others are refused.
    pub query: Vec<(&'static str, &'static str)>,
    /// What the answer's body is.
    pub media: &'static str,
    /// Takes `If-Match`, and how it must.
    pub precondition: Option<&'static str>,
    /// A look that is audited like an act, because of what it shows.
    pub audited: bool,
    /// What was sent is kept out of the audit as a whole: people type passwords into the wrong field.
    pub discreet: bool,
    pub schemas: Vec<(String, RefOr<Schema>)>,
}

fn named<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

impl Endpoint {
    pub fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str, need: Need) -> Self {
        let row = Endpoint {
            method,
            path,
            id,
            summary,
            need,
            status: 200,
            body: None,
            reply: None,
            query: vec![],
            media: "application/json",
            precondition: None,
            audited: method != Method::Get,
            discreet: false,
            schemas: vec![],
        };
        row.note::<mainstay_api_types::Problem>()
    }
    fn note<T: ToSchema>(mut self) -> Self {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        self
    }
    pub fn body<T: ToSchema>(mut self) -> Self {
        self.body = Some(named::<T>());
        self.note::<T>()
    }
    pub fn reply<T: ToSchema>(mut self) -> Self {
        self.reply = Some(named::<T>());
        self.note::<T>()
    }
    /// Something else that goes over it, for the document.
    pub fn speaks<T: ToSchema>(self) -> Self {
        self.note::<T>()
    }
    pub fn created<T: ToSchema>(self) -> Self {
        Endpoint { status: 201, ..self.reply::<T>() }
    }
    pub fn status(self, status: u16) -> Self {
        Endpoint { status, ..self }
    }
    /// 202 with the operation.
    pub fn operation(self) -> Self {
        Endpoint { status: 202, ..self.reply::<mainstay_api_types::Operation>() }
    }
    pub fn list<T: ToSchema>(mut self) -> Self {
        let next = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
        let items = ArrayBuilder::new().items(named::<T>());
        let list = ObjectBuilder::new().property("items", items).property("next", next).required("items").required("next");
        self.reply = Some(list.into());
        self.query(&[("limit", "1 to 500; 100 where absent."), ("cursor", "`next` of the page before.")]).note::<T>()
    }
    pub fn query(mut self, query: &[(&'static str, &'static str)]) -> Self {
        self.query.extend_from_slice(query);
        self
    }
    /// Takes `?dry_run=true`.
    pub fn dry(self) -> Self {
        self.query(&[("dry_run", "`true` answers 200 with the plan and does nothing.")]).note::<mainstay_api_types::Plan>()
    }
    /// An act that may be tied to what was seen before it.
    pub fn guarded(self) -> Self {
        self.precondition("The ETag of what was looked at: 412 where that has changed since.")
    }
    pub fn precondition(self, meaning: &'static str) -> Self {
        Endpoint { precondition: Some(meaning), ..self }
    }
    /// Answers with something else than JSON.
    pub fn media(self, media: &'static str) -> Self {
        Endpoint { media, ..self }
    }
    pub fn takes(&self, parameter: &str) -> bool {
        parameter == "project" || self.query.iter().any(|(name, _)| *name == parameter)
    }
    pub fn audited(self) -> Self {
        Endpoint { audited: true, ..self }
    }
    pub fn discreet(self) -> Self {
        Endpoint { discreet: true, ..self }
    }
    pub fn silent(self) -> Self {
        Endpoint { audited: false, ..self }
    }
}

/// The routes of one noun.
pub struct Noun {
    pub name: &'static str,
    pub endpoints: Vec<Endpoint>,
    pub router: Router<Shared>,
}

impl Noun {
    pub fn new(name: &'static str) -> Self {
        Noun { name, endpoints: vec![], router: Router::new() }
    }
    pub fn route<H, T>(mut self, endpoint: Endpoint, handler: H) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        let filter = match endpoint.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        self.router = self.router.route(endpoint.path, on(filter, handler));
        self.endpoints.push(endpoint);
        self
    }
}

impl Method {
    pub fn of_http(self) -> axum::http::Method {
        match self {
            Method::Get => axum::http::Method::GET,
            Method::Post => axum::http::Method::POST,
            Method::Put => axum::http::Method::PUT,
            Method::Patch => axum::http::Method::PATCH,
            Method::Delete => axum::http::Method::DELETE,
        }
    }
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}
