//! Problem documents back into errors: the reverse of the server's one table.

use mainstay_api_types::Problem;
use mainstay_model::{Error, Kind, Result};
use reqwest::Response;

pub async fn check(response: Response) -> Result<Response> {
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap_or_default();
    Err(error(status, &bytes))
}

fn error(status: u16, body: &[u8]) -> Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(p) => Error { field: p.field, operation: p.operation, ..Error::new(kind(status, &p.code), &p.code, p.detail) },
        Err(_) => {
            Error::new(kind(status, ""), "unexpected_answer", format!("the server answered {status} without saying why; is it Mainstay?"))
        }
    }
}

/// A few kinds share a status and are told apart by their code.
fn kind(status: u16, code: &str) -> Kind {
    match (status, code) {
        (_, "integrity") => Kind::Integrity,
        (_, "timed_out") => Kind::TimedOut,
        (400, _) => Kind::Malformed,
        (401, _) => Kind::Unauthenticated,
        (403, _) => Kind::Forbidden,
        (404, _) => Kind::NotFound,
        (409, _) => Kind::Conflict,
        (412, _) => Kind::Stale,
        (413, _) => Kind::TooLarge,
        (405 | 415 | 421 | 422, _) => Kind::Invalid,
        (428, _) => Kind::PreconditionRequired,
        (429, _) => Kind::TooMany,
        (502..=504, _) => Kind::Unavailable,
        (507, _) => Kind::NoSpace,
        (_, "internal") => Kind::Internal,
        _ => Kind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_back() {
        let body = br#"{"type":"about:blank","title":"Conflict","status":409,"detail":"busy","code":"operation_in_progress","request_id":"r","operation":"op_1"}"#;
        let e = error(409, body);
        assert_eq!((e.kind, e.code.as_str(), e.operation.as_deref()), (Kind::Conflict, "operation_in_progress", Some("op_1")));
    }

    #[test]
    fn an_answer_of_something_else_is_named_as_such() {
        assert_eq!(error(500, b"<html>").code, "unexpected_answer");
    }
}
