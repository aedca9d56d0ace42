//! What comes in: JSON bodies and queries, refused clearly.

use crate::problem::Fault;
use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use mainstay_model::{Error, Kind};
use serde::de::DeserializeOwned;

/// Most bytes a body may have.
pub const MAX_BODY: usize = 1024 * 1024;

/// A JSON body. An empty one reads as `{}`, so that verbs without arguments need none.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Fault;
    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Fault> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_ascii_lowercase);
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Json);
        }
        match kind.as_deref().map(|k| k.split(';').next().unwrap_or_default().trim()) {
            Some("application/json") => parse(&bytes).map(Json),
            _ => Err(Error::new(Kind::Invalid, "unsupported_media_type", "send the body as application/json").into()),
        }
    }
}

pub async fn read(body: Body) -> Result<bytes::Bytes, Fault> {
    let too_large = |_| Error::new(Kind::TooLarge, "too_large", format!("a body has at most {MAX_BODY} bytes"));
    to_bytes(body, MAX_BODY).await.map_err(|e| too_large(e).into())
}

/// Syntax is one thing, fields another: serde names the field in its message.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|e| Fault(explain(&e.to_string(), e.is_data())))
}

fn explain(message: &str, is_data: bool) -> Error {
    if !is_data {
        return Error::malformed(format!("the body is not JSON: {message}"));
    }
    let field = message.split('`').nth(1).filter(|_| message.contains("field `")).unwrap_or("body");
    let code = if message.starts_with("unknown field") { "unknown_field" } else { "invalid_field" };
    let plain: String = message.chars().flat_map(char::escape_debug).take(300).collect();
    Error::invalid(field, plain).with_code(code)
}

/// Query parameters by name, each checked by whoever takes it.
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
    pub fn is_true(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1" | ""))
    }
    pub fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let bad = |_| Fault(Error::invalid(name, "a whole number is needed"));
        self.get(name).map(|v| v.parse().map_err(bad)).transpose()
    }
    /// A word of an enum, as it is written in JSON.
    pub fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Fault> {
        let read = |v: &str| serde_json::from_value(serde_json::Value::String(v.into()));
        self.get(name).map(read).transpose().map_err(|e| Error::invalid(name, e.to_string()).into())
    }
    pub fn paging(&self) -> Result<mainstay_store::Paging, Fault> {
        let limit = self.number("limit")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        Ok(mainstay_store::Paging::new(limit, self.get("cursor").map(String::from))?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Fault;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let axum::extract::Query(pairs) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Error::malformed("the query does not read"))?;
        Ok(Query(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_api_types::CreateCluster;

    fn refused(body: &str) -> Error {
        match parse::<CreateCluster>(body.as_bytes()) {
            Ok(_) => panic!("taken: {body}"),
            Err(Fault(e)) => e,
        }
    }

    #[test]
    fn syntax_is_400_and_fields_are_named() {
        assert_eq!(refused("{").kind, Kind::Malformed);
        let e = refused(r#"{"name":"a","engine":"e","epoch":3}"#);
        assert_eq!((e.kind, e.code.as_str(), e.field.as_deref()), (Kind::Invalid, "unknown_field", Some("epoch")));
        assert_eq!(refused(r#"{"engine":"e"}"#).field.as_deref(), Some("name"));
        assert_eq!(refused(r#"{"name":"a","engine":"e","replicas":-1}"#).kind, Kind::Invalid);
        assert!(parse::<CreateCluster>(br#"{"name":"a","engine":"e"}"#).is_ok());
    }
}
