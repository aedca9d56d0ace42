//! One error for the whole product: what to tell the caller, what to keep for the log.
//!
//! A [`Kind`] is all that HTTP statuses and exit codes are derived from, each in one place.

use serde::{Deserialize, Serialize};

/// What sort of thing went wrong. The list is short on purpose: a new kind needs an HTTP status
/// in `api` and an exit code in the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Not readable at all: broken JSON, a cursor that is none of ours.
    Malformed,
    /// Readable, but a field is out of its range; `field` names it.
    Invalid,
    Unauthenticated,
    Forbidden,
    NotFound,
    /// Something else holds the thing, or its state does not allow the act.
    Conflict,
    /// What was confirmed is no longer what is (`If-Match`).
    Stale,
    /// A precondition header is required and absent.
    PreconditionRequired,
    TooLarge,
    TooMany,
    /// Not reachable now; trying again later may work.
    Unavailable,
    NoSpace,
    /// Stored or restored bytes are not what they must be.
    Integrity,
    TimedOut,
    /// A tool or an engine failed at its job; the message says which and why.
    Failed,
    /// A bug of ours. The outside message carries no detail.
    Internal,
}

impl Kind {
    pub const ALL: [Kind; 16] = [
        Kind::Malformed,
        Kind::Invalid,
        Kind::Unauthenticated,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Stale,
        Kind::PreconditionRequired,
        Kind::TooLarge,
        Kind::TooMany,
        Kind::Unavailable,
        Kind::NoSpace,
        Kind::Integrity,
        Kind::TimedOut,
        Kind::Failed,
        Kind::Internal,
    ];

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(self) -> bool {
        matches!(self, Kind::Unavailable | Kind::TimedOut | Kind::TooMany)
    }
}

/// An error with an outside message (`message`, safe to show) and an inside one (`inside`, for
/// the log only). `code` is a stable snake_case word scripts may match on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub kind: Kind,
    pub code: String,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// The request field at fault, for [`Kind::Invalid`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The operation that holds the lock, for [`Kind::Conflict`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Seconds after which the same call may succeed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, code: &str, message: impl Into<String>) -> Self {
        Error { kind, code: code.into(), message: message.into(), inside: None, field: None, operation: None, retry_after: None }
    }
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Error { field: Some(field.into()), ..Error::new(Kind::Invalid, "invalid_field", message) }
    }
    pub fn malformed(message: impl Into<String>) -> Self {
        Error::new(Kind::Malformed, "malformed", message)
    }
    /// `noun` is what was looked for ("cluster"), `name` what the caller called it.
    pub fn not_found(noun: &str, name: &str) -> Self {
        Error::new(Kind::NotFound, "not_found", format!("no {noun} \"{}\" here", shown(name)))
    }
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::Conflict, code, message)
    }
    pub fn forbidden(message: impl Into<String>) -> Self {
        Error::new(Kind::Forbidden, "forbidden", message)
    }
    pub fn unavailable(code: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::Unavailable, code, message)
    }
    pub fn integrity(message: impl Into<String>) -> Self {
        Error::new(Kind::Integrity, "integrity", message)
    }
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::Failed, code, message)
    }
    pub fn timed_out(message: impl Into<String>) -> Self {
        Error::new(Kind::TimedOut, "timed_out", message)
    }
    /// A bug or an impossible state: the caller sees a plain sentence, the log sees `inside`.
    pub fn internal(inside: impl std::fmt::Display) -> Self {
        Error {
            inside: Some(inside.to_string()),
            ..Error::new(Kind::Internal, "internal", "something went wrong inside Mainstay; its log has the details")
        }
    }
    pub fn with_code(mut self, code: &str) -> Self {
        self.code = code.into();
        self
    }
    pub fn with_field(mut self, field: &str) -> Self {
        self.field = Some(field.into());
        self
    }
    pub fn with_operation(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
    pub fn with_inside(mut self, inside: impl std::fmt::Display) -> Self {
        self.inside = Some(inside.to_string());
        self
    }
    /// Puts what was being done in front of the outside message.
    pub fn context(mut self, doing: impl std::fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        match e.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Error::new(Kind::NoSpace, "no_space", "no space left on the device").with_inside(e)
            }
            _ => Error::failed("io", format!("input or output failed: {e}")),
        }
    }
}

/// User text as it may appear in a message: control characters escaped, at most 80 characters.
pub fn shown(text: &str) -> String {
    let mut out: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().count() > 80 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_carries_no_control_bytes_and_is_short() {
        let s = shown(&format!("a\n\x1b[31m\u{202e}{}", "x".repeat(200)));
        assert!(!s.contains('\n') && !s.contains('\x1b') && !s.contains('\u{202e}'), "{s}");
        assert!(s.chars().count() < 120);
    }

    #[test]
    fn kinds_are_listed_once() {
        let set: std::collections::HashSet<_> = Kind::ALL.iter().collect();
        assert_eq!(set.len(), Kind::ALL.len());
    }
}
