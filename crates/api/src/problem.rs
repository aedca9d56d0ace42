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

/// The answer with the id of the request that it answers.
pub fn answer(error: &Error, request_id: &str) -> Response {
    let status = status(error);
    if error.kind == Kind::Internal {
        tracing::error!(request_id, inside = error.inside, "a request failed: {error}");
    }
    let problem = Problem {
        r#type: format!("about:blank#{}", error.code),
        title: status.canonical_reason().unwrap_or("Error").into(),
        status: status.as_u16(),
        detail: error.message.clone(),
        code: error.code.clone(),
        request_id: request_id.into(),
        field: error.field.clone(),
        operation: error.operation.clone(),
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = (status, Body::from(body)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
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
}
