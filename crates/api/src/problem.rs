//! Errors to answers: one table.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mainstay_api_types::Problem;
use mainstay_model::{Error, Kind};

/// An error on its way out. The request id is put in by the guard.
#[derive(Debug)]
pub struct Fault(pub Error);

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Fault(e)
    }
}

pub type Answer<T = Response> = std::result::Result<T, Fault>;

pub fn status(error: &Error) -> StatusCode {
    match (error.kind, error.code.as_str()) {
        (_, "wrong_host") => StatusCode::MISDIRECTED_REQUEST,
        (_, "method_not_allowed") => StatusCode::METHOD_NOT_ALLOWED,
        (_, "unsupported_media_type") => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (kind, _) => of_kind(kind),
    }
}

fn of_kind(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Kind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Integrity | Kind::Failed | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// An answer as it goes out: what was carried, or what the framework refused by itself, becomes a
/// problem with the id of the request.
pub fn told(mut response: Response, request_id: &str) -> Response {
    if let Some(Carried(error)) = response.extensions_mut().remove::<Carried>() {
        let mut problem = answer(&error, request_id);
        let allow = response.headers_mut().remove(header::ALLOW);
        problem.headers_mut().extend(allow.map(|a| (header::ALLOW, a)));
        return problem;
    }
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    answer(&refused_by_framework(status), request_id)
}

fn refused_by_framework(status: StatusCode) -> Error {
    if status.is_server_error() {
        return Error::internal(format!("the framework answered {status}"));
    }
    Error::malformed("the request does not read; its address may hold bytes that are no text")
}

/// The problem with the id of the request that it answers. Logged here, once, where it is Mainstay
/// or what it stands on that failed.
fn answer(error: &Error, request_id: &str) -> Response {
    let status = status(error);
    if status.is_server_error() {
        tracing::error!(request_id, code = error.code, inside = error.inside, "a request failed: {error}");
    }
    let problem = Problem {
        r#type: format!("about:blank#{}", error.code),
        title: status.canonical_reason().unwrap_or("Error").into(),
        status: status.as_u16(),
        detail: plain(&error.message),
        code: error.code.clone(),
        request_id: request_id.into(),
        field: error.field.as_deref().map(plain),
        operation: error.operation.clone(),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    match status {
        StatusCode::TOO_MANY_REQUESTS => drop(headers.insert(header::RETRY_AFTER, error.retry_after.unwrap_or(60).into())),
        StatusCode::SERVICE_UNAVAILABLE => drop(headers.insert(header::RETRY_AFTER, error.retry_after.unwrap_or(5).into())),
        StatusCode::UNAUTHORIZED => drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        _ => {}
    }
    response
}

/// Messages may quote what callers sent; nothing of it steers a terminal or a page.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' || is_steering(c) { '\u{fffd}' } else { c }).collect()
}

/// Characters that turn the direction of what follows.
fn is_steering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

impl IntoResponse for Fault {
    /// Carried to the guard, which knows the request's id and turns it into the answer.
    fn into_response(self) -> Response {
        let mut response = status(&self.0).into_response();
        response.extensions_mut().insert(Carried(self.0));
        response
    }
}

#[derive(Debug, Clone)]
pub struct Carried(pub Error);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_that_is_an_error() {
        for kind in Kind::ALL {
            assert!(of_kind(kind).as_u16() >= 400, "{kind:?}");
        }
    }

    #[test]
    fn what_is_quoted_steers_nothing() {
        assert_eq!(plain("a\x1b[31m\u{202e}b\r"), "a\u{fffd}[31m\u{fffd}b\u{fffd}");
    }
}
