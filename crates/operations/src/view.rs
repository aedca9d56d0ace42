//! What callers see of an operation.

use mainstay_model::{Error, OperationId, Time};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Queued,
    Running,
    /// Undoing, in reverse, what its steps did.
    Unwinding,
    Succeeded,
    /// Failed and undone, or abandoned by a person.
    Failed,
    /// Can neither go on nor back; holds its lock until a person chooses retry, skip or abandon.
    Stuck,
    Cancelled,
}

impl Status {
    pub const ALL: [Status; 7] =
        [Status::Queued, Status::Running, Status::Unwinding, Status::Succeeded, Status::Failed, Status::Stuck, Status::Cancelled];

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Unwinding => "unwinding",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Stuck => "stuck",
            Status::Cancelled => "cancelled",
        }
    }
    pub fn parse(s: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|v| v.as_str() == s)
    }
    pub fn is_final(self) -> bool {
        matches!(self, Status::Succeeded | Status::Failed | Status::Cancelled)
    }
    /// Not ended: it holds its lock. A stuck operation is active too.
    pub fn is_active(self) -> bool {
        !self.is_final()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    Pending,
    /// An effect that was started and whose end is not known yet.
    Running,
    Done,
    Failed,
    Undoing,
    Undone,
    /// A person let the operation go on without it.
    Skipped,
}

/// One step as it is shown, and as it is kept in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepView {
    pub name: String,
    pub title: String,
    pub status: StepStatus,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub error: Option<Error>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    pub id: OperationId,
    pub kind: String,
    pub project: Option<String>,
    /// The cluster's name.
    pub cluster: Option<String>,
    /// What is locked: the cluster's id.
    pub cluster_key: Option<String>,
    pub parent: Option<OperationId>,
    pub status: Status,
    /// The step that runs, is undone, or failed.
    pub step: Option<String>,
    pub percent: u8,
    pub sentence: String,
    pub requested_by: String,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    pub error: Option<Error>,
    pub output: serde_json::Value,
    pub steps: Vec<StepView>,
    pub point_of_no_return_passed: bool,
}

/// Which operations to list; what is `None` does not narrow.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub project: Option<String>,
    pub cluster_key: Option<String>,
    pub kind: Option<String>,
    pub status: Option<Status>,
    pub active_only: bool,
}

/// One page of a list, newest first. `next` is the cursor of the following one.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}
