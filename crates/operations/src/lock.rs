//! Locks: who may work on a cluster beside whom.
//!
//! A lock is not a thing of its own but a column of the operation that holds it, from the
//! transaction that submits it to the one that ends it. Two exclusive holders are ruled out by a
//! partial unique index; shared beside exclusive by looking first, in a transaction that is
//! serial to all others. Children work under their parent's lock and hold none.

use crate::{record::Record, view::Status};
use mainstay_model::Error;

/// What an operation is about: the project it belongs to and the cluster it may lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub project: String,
    /// The name that is shown.
    pub cluster: String,
    /// What is locked: the cluster's id.
    pub key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    None,
    /// Beside other shared ones, never beside an exclusive one: backups.
    Shared,
    Exclusive,
}

impl Lock {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Lock::None => "none",
            Lock::Shared => "shared",
            Lock::Exclusive => "exclusive",
        }
    }
    pub(crate) fn parse(s: &str) -> Option<Lock> {
        [Lock::None, Lock::Shared, Lock::Exclusive].into_iter().find(|l| l.as_str() == s)
    }
}

/// What a second one is told: who holds it, how that stands, and what to do.
pub(crate) fn held_by(holder: &Record) -> Error {
    let cluster = holder.cluster.as_deref().unwrap_or("it");
    let (state, mend) = match holder.status {
        Status::Stuck => ("is stuck", "choose retry, skip or abandon for that operation first"),
        Status::Unwinding => ("is being undone", "wait for it to end"),
        Status::Queued => ("waits for its turn", "wait for it to end, or cancel it"),
        _ => ("is running", "wait for it to end, or cancel it"),
    };
    let message = format!("{cluster} is held by {} ({}), which {state}; {mend}", holder.kind, holder.id);
    Error::conflict("operation_in_progress", message).with_operation(holder.id.as_str())
}
