//! Fault injection: the runner asks at every place where a process may die or a write may fail.
//!
//! In production the answer is always [`Verdict::Go`]. Tests answer otherwise, one place at a
//! time, and see to it that every operation still ends as it must.

use async_trait::async_trait;
use mainstay_model::{Error, OperationId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// A step, or its undo, is about to run.
    BeforeStep,
    /// An effect, or its undo, has happened, and nobody has noted it yet.
    AfterEffectBeforeRecord,
    /// A journal write is complete but not committed.
    BeforeCommit,
    AfterCommit,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Point {
    pub operation: OperationId,
    pub kind: String,
    /// A step's name, or one of the names below for the journal's own writes.
    pub step: String,
    pub undo: bool,
    pub when: When,
}

impl Point {
    /// A runner takes the operation.
    pub const ADOPT: &'static str = "(adopt)";
    /// A step submits a child operation; the point names the parent.
    pub const CHILD: &'static str = "(child)";
    /// The operation ends, or is stuck.
    pub const FINISH: &'static str = "(finish)";
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Go,
    /// The step fails with this error, or the commit does.
    Fail(Error),
    /// The runner stops dead: nothing of it runs or writes any more.
    Crash,
    /// What was asked for happens, but the runner is told that it failed for a passing reason.
    LoseReply,
}

#[async_trait]
pub trait Faults: Send + Sync + 'static {
    async fn at(&self, point: Point) -> Verdict;
}

/// The faults of production: none.
pub struct NoFaults;

#[async_trait]
impl Faults for NoFaults {
    async fn at(&self, _: Point) -> Verdict {
        Verdict::Go
    }
}

#[async_trait]
impl<F> Faults for F
where
    F: Fn(Point) -> Verdict + Send + Sync + 'static,
{
    async fn at(&self, point: Point) -> Verdict {
        self(point)
    }
}
