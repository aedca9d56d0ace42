//! What comes in: addresses, queries and JSON bodies, refused clearly.

use crate::{Endpoint, problem::Fault};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, Uri, header, request::Parts},
};
use mainstay_model::{Error, Kind, Result, Time};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Most bytes a body may have.
pub const MAX_BODY: usize = 1024 * 1024;

/// A JSON body. An empty one reads as `{}`, so that verbs without arguments need none.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Fault;
    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Fault> {
        let (parts, content) = request.into_parts();
        let bytes = read(content).await?;
        if bytes.is_empty() {
            return Ok(Json(parse(b"{}")?));
        }
        is_json(&parts.headers)?;
        Ok(Json(parse(&bytes)?))
    }
}

/// For routes that take no body: none, or one that says nothing.
pub fn nothing(headers: &HeaderMap, bytes: &Bytes) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    is_json(headers)?;
    match parse::<Value>(bytes)? {
        Value::Null => Ok(()),
        Value::Object(fields) => fields.keys().next().map_or(Ok(()), |field| Err(unknown(field, "this takes no fields"))),
        _ => Err(Error::invalid("body", "this takes no body")),
    }
}

fn is_json(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::new(Kind::Invalid, "unsupported_media_type", "send the body as application/json"))
}

pub async fn read(content: Body) -> Result<Bytes> {
    let too_large = |e| Error::new(Kind::TooLarge, "too_large", format!("a body has at most {MAX_BODY} bytes")).with_inside(e);
    to_bytes(content, MAX_BODY).await.map_err(too_large)
}

/// The body for the audit: what a field that sounds secret holds is left out.
pub fn shown(bytes: &Bytes) -> Value {
    let mut value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    hide(&mut value);
    value
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let name = name.to_ascii_lowercase();
                match ["password", "secret", "token", "key", "credential", "url"].iter().any(|word| name.contains(word)) {
                    true => *inner = Value::from("(hidden)"),
                    false => hide(inner),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

/// Syntax is one thing, fields another. What was sent is not quoted back: it may be a secret in the
/// wrong place.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let path = e.path().to_string();
        let inside = e.into_inner();
        if inside.is_data() { explain(&path, &inside.to_string()) } else { not_json(&inside) }
    })?;
    json.end().map_err(|e| not_json(&e))?;
    Ok(value)
}

fn not_json(e: &serde_json::Error) -> Error {
    Error::malformed(format!("the body is not JSON: {e}"))
}

fn explain(path: &str, message: &str) -> Error {
    let message = message.rsplit_once(" at line ").map_or(message, |(m, _)| m);
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let expected = message.rsplit_once("expected ").map(|(_, e)| e);
    if message.starts_with("unknown field") {
        let known = expected.map_or("this takes no fields".into(), |e| format!("expected is {e}"));
        return unknown(&joined(path, quoted), &known);
    }
    if message.starts_with("missing field") {
        return Error::invalid(&joined(path, quoted), "this field is needed");
    }
    if message.starts_with("duplicate field") {
        return Error::invalid(&joined(path, quoted), "this field is there twice");
    }
    let field = if path == "." { "body" } else { path };
    Error::invalid(field, expected.map_or_else(|| "this does not read".into(), |e| format!("expected is {}", in_words(e))))
}

fn unknown(field: &str, known: &str) -> Error {
    let field = mainstay_model::error::shown(field);
    Error::invalid(&field, format!("there is no field \"{field}\": {known}")).with_code("unknown_field")
}

/// The path of a field within what holds it. Some errors are found at the field, some at its holder.
fn joined(path: &str, field: &str) -> String {
    match path {
        "." => field.into(),
        p if p == field || p.ends_with(&format!(".{field}")) => p.into(),
        p => format!("{p}.{field}"),
    }
}

fn in_words(expected: &str) -> String {
    let range = |min: i128, max: i128| format!("a whole number from {min} to {max}");
    match expected {
        "u8" => range(0, u8::MAX.into()),
        "u16" => range(0, u16::MAX.into()),
        "u32" => range(0, u32::MAX.into()),
        "u64" => range(0, u64::MAX.into()),
        "i64" => range(i64::MIN.into(), i64::MAX.into()),
        "a boolean" => "true or false".into(),
        "a map" => "an object".into(),
        "a sequence" => "a list".into(),
        e if e.starts_with("struct ") => "an object".into(),
        e => e.into(),
    }
}

/// Query parameters by name, each checked by whoever takes it.
pub struct Query(Vec<(String, String)>);

/// Those that are `true` or `false`.
const SWITCHES: [&str; 3] = ["dry_run", "deleted", "active"];

impl Query {
    pub fn read(uri: &Uri) -> Result<Self> {
        let read = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        read.map(|axum::extract::Query(pairs)| Query(pairs)).map_err(|_| Error::malformed("the query does not read"))
    }

    /// A parameter that is not taken is refused: who mistypes `dry_run` must not act.
    pub fn check(&self, endpoint: &Endpoint) -> Result<()> {
        for (i, (name, value)) in self.0.iter().enumerate() {
            let shown = mainstay_model::error::shown(name);
            if !endpoint.takes(name) {
                let known: Vec<&str> = std::iter::once("project").chain(endpoint.query.iter().map(|(n, _)| *n)).collect();
                let why = format!("there is no parameter \"{shown}\" here; there are {}", known.join(", "));
                return Err(Error::invalid(&shown, why).with_code("unknown_parameter"));
            }
            if self.0[..i].iter().any(|(other, _)| other == name) {
                return Err(Error::invalid(&shown, "this parameter is there twice"));
            }
            if SWITCHES.contains(&name.as_str()) && !matches!(value.as_str(), "true" | "false") {
                return Err(Error::invalid(&shown, "expected is true or false"));
            }
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }

    pub fn is_true(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>> {
        let bad = |_| Error::invalid(name, "expected is a whole number, 0 or more");
        self.get(name).map(|v| v.parse().map_err(bad)).transpose()
    }

    pub fn time(&self, name: &str) -> Result<Option<Time>> {
        let bad = || Error::invalid(name, "expected is an RFC 3339 time such as 2026-01-31T15:00:00Z");
        self.get(name).map(|v| Time::parse(v).ok_or_else(bad)).transpose()
    }

    /// A word of an enum, as it is written in JSON.
    pub fn word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let read = |v: &str| serde_json::from_value(Value::String(v.into()));
        self.get(name).map(read).transpose().map_err(|e| explain(name, &e.to_string()))
    }

    pub fn paging(&self) -> Result<mainstay_store::Paging> {
        let limit = self.number("limit")?.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        mainstay_store::Paging::new(limit, self.get("cursor").map(String::from))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Fault;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        Ok(Query::read(&parts.uri)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Method, VIEWER};
    use mainstay_api_types::{CreateBackup, CreateCluster, SetAllowList};

    fn refused<T: DeserializeOwned>(body: &str) -> Error {
        parse::<T>(body.as_bytes()).err().unwrap_or_else(|| panic!("taken: {body}"))
    }

    #[test]
    fn syntax_is_malformed() {
        for body in ["{", r#"{"name":"a","engine":"e"}{}"#, "{\"name\":\"a\"", "nul", "\u{0}", "{\"name\":\"\u{1}\"}"] {
            assert_eq!(refused::<CreateCluster>(body).kind, Kind::Malformed, "{body:?}");
        }
        assert_eq!(refused::<Value>(&"[".repeat(10_000)).kind, Kind::Malformed);
    }

    #[test]
    fn fields_are_named() {
        let rows = [
            (r#"{"name":"a","engine":"e","epoch":3}"#, "unknown_field", "epoch"),
            (r#"{"engine":"e"}"#, "invalid_field", "name"),
            (r#"{"name":7,"engine":"e"}"#, "invalid_field", "name"),
            (r#"{"name":"a","engine":"e","replicas":-1}"#, "invalid_field", "replicas"),
            (r#"{"name":"a","engine":"e","replicas":1.5}"#, "invalid_field", "replicas"),
            (r#"{"name":"a","engine":"e","replicas":99999999999}"#, "invalid_field", "replicas"),
            (r#"{"name":"a","engine":"e","mode":"big"}"#, "invalid_field", "mode"),
            (r#"{"name":"a","name":"b","engine":"e"}"#, "invalid_field", "name"),
            (r#"{"name":"a","engine":"e","settings":{"a":1}}"#, "invalid_field", "settings.a"),
            ("[]", "invalid_field", "body"),
            ("7", "invalid_field", "body"),
        ];
        for (body, code, field) in rows {
            let e = refused::<CreateCluster>(body);
            assert_eq!((e.kind, e.code.as_str(), e.field.as_deref()), (Kind::Invalid, code, Some(field)), "{body}: {e}");
        }
        let e = refused::<SetAllowList>(r#"{"allow_list":[{"cidr":"::1"},{"cidr":"::1","port":1}]}"#);
        assert_eq!((e.code.as_str(), e.field.as_deref()), ("unknown_field", Some("allow_list[1].port")));
        assert_eq!(refused::<CreateBackup>(r#"{"keep":"yes"}"#).message, "expected is true or false");
    }

    #[test]
    fn what_was_sent_is_not_quoted_back() {
        for body in [r#"{"name":"a","engine":"e","replicas":"hunter2"}"#, r#"{"name":"a","engine":"e","mode":"hunter2"}"#] {
            let e = refused::<CreateCluster>(body);
            assert!(!format!("{e:?}").contains("hunter2"), "{e:?}");
        }
    }

    #[test]
    fn secrets_are_left_out_of_the_audit() {
        let body = Bytes::from_static(br#"{"name":"a","secret_key":"hunter2","list":[{"password":{"x":"hunter2"}}]}"#);
        assert_eq!(shown(&body), serde_json::json!({ "name": "a", "secret_key": "(hidden)", "list": [{ "password": "(hidden)" }] }));
        assert_eq!(shown(&Bytes::from_static(b"{")), Value::Null);
    }

    #[test]
    fn only_parameters_that_are_taken_are_taken() {
        let list = Endpoint::new(Method::Get, "/x", "x", "", VIEWER).query(&[("limit", ""), ("dry_run", "")]);
        let check = |query: &str| Query::read(&format!("/x?{query}").parse().unwrap()).unwrap().check(&list);
        assert!(check("limit=3&project=a&dry_run=true").is_ok());
        for (query, field) in [("dryrun=true", "dryrun"), ("dry_run=yes", "dry_run"), ("dry_run", "dry_run"), ("limit=1&limit=2", "limit")]
        {
            assert_eq!(check(query).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
    }
}
