//! Exit codes, and which error has which: here and nowhere else.

use mainstay_api_types::{Operation, OperationStatus};
use mainstay_model::{Error, Kind, error::shown};

/// What scripts branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    /// Something else holds the thing, or its state does not allow the act.
    Conflict = 4,
    NotAllowed = 5,
    /// The operation goes on.
    TimedOut = 6,
    Unreachable = 7,
    Integrity = 8,
    /// The operation goes on; its id was printed.
    Interrupted = 130,
}

/// Why a command ended without having done what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// What, why, and how to mend it; empty where nobody is left to read it.
    pub message: String,
}

pub type Outcome<T = Exit> = Result<T, Failure>;

impl Exit {
    pub fn of(error: &Error) -> Exit {
        match (error.kind, error.code.as_str()) {
            // Something answered, but it was not Mainstay: a proxy whose Mainstay is away.
            (Kind::Unavailable, "server_unreachable" | "unexpected_answer") => Exit::Unreachable,
            (kind, _) => Exit::of_kind(kind),
        }
    }

    fn of_kind(kind: Kind) -> Exit {
        match kind {
            Kind::Malformed | Kind::Invalid | Kind::TooLarge => Exit::Usage,
            Kind::NotFound => Exit::NotFound,
            Kind::Conflict | Kind::Stale | Kind::PreconditionRequired | Kind::TooMany => Exit::Conflict,
            Kind::Unauthenticated | Kind::Forbidden => Exit::NotAllowed,
            Kind::TimedOut => Exit::TimedOut,
            Kind::Integrity => Exit::Integrity,
            Kind::Unavailable | Kind::NoSpace | Kind::Failed | Kind::Internal => Exit::Failed,
        }
    }
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into() }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, message)
    }

    /// Whoever read our output has gone: not a failure of ours, and nobody to tell.
    pub fn nobody_reads() -> Self {
        Failure::new(Exit::Done, "")
    }

    /// The end of an operation that did not succeed. Its errors are the server's affair, not the
    /// caller's, so most of them are plain failures whatever their kind.
    pub fn of_operation(o: &Operation) -> Self {
        let what = o.kind.replace('_', " ");
        let cluster = o.cluster.as_ref().map(|c| format!(" of {c}")).unwrap_or_default();
        let why = o.error.as_ref().map_or_else(|| o.sentence.clone(), |e| e.message.clone());
        let exit = match &o.error {
            Some(e) if e.kind == Kind::Integrity => Exit::Integrity,
            _ => Exit::Failed,
        };
        let message = match o.status {
            OperationStatus::Cancelled => format!("{what}{cluster} was cancelled (operation {})", o.id),
            OperationStatus::Stuck => format!(
                "{what}{cluster} is stuck at step {}: {why}; choose `mainstay operation retry {id}`, `skip {id}` or `abandon {id}`",
                o.step.as_deref().unwrap_or("?"),
                id = o.id
            ),
            _ => format!("{what}{cluster} failed: {why} (operation {})", o.id),
        };
        Failure { exit, message }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        let mut message = e.message.clone();
        if let Some(field) = e.field.as_ref().filter(|f| !message.contains(f.as_str())) {
            message = format!("{}: {message}", shown(field));
        }
        if let Some(operation) = &e.operation {
            message = format!("{message}; to follow what holds it: mainstay operation watch {}", shown(operation));
        }
        if e.kind == Kind::Unauthenticated {
            message = format!("{message}; name one with --token or MAINSTAY_TOKEN");
        }
        Failure { exit: Exit::of(&e), message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published table, each kind once.
    #[test]
    fn every_kind_has_its_code() {
        let table = [
            (Kind::Malformed, 2),
            (Kind::Invalid, 2),
            (Kind::Unauthenticated, 5),
            (Kind::Forbidden, 5),
            (Kind::NotFound, 3),
            (Kind::Conflict, 4),
            (Kind::Stale, 4),
            (Kind::PreconditionRequired, 4),
            (Kind::TooLarge, 2),
            (Kind::TooMany, 4),
            (Kind::Unavailable, 1),
            (Kind::NoSpace, 1),
            (Kind::Integrity, 8),
            (Kind::TimedOut, 6),
            (Kind::Failed, 1),
            (Kind::Internal, 1),
        ];
        assert_eq!(table.len(), Kind::ALL.len());
        for (kind, code) in table {
            assert_eq!(Exit::of(&Error::new(kind, "x", "x")) as u8, code, "{kind:?}");
        }
        assert_eq!(Exit::of(&Error::unavailable("server_unreachable", "x")) as u8, 7);
    }

    #[test]
    fn messages_name_the_field_and_the_holder() {
        let f = Failure::from(Error::invalid("replicas", "0 to 7"));
        assert_eq!(f, Failure::usage("replicas: 0 to 7"));
        let f = Failure::from(Error::conflict("busy", "another operation runs").with_operation("op_1"));
        assert!(f.exit == Exit::Conflict && f.message.ends_with("watch op_1"), "{}", f.message);
    }
}
