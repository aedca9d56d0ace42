//! Operations: anything that takes more than one step.

use mainstay_model::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    pub id: String,
    pub kind: String,
    pub cluster: Option<String>,
    pub status: OperationStatus,
    /// The step that runs, or the one it is stuck at.
    pub step: Option<String>,
    pub percent: u8,
    /// What is going on, in words.
    pub sentence: String,
    pub requested_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Time>,
    pub error: Option<OperationError>,
    pub steps: Vec<Step>,
    pub parent: Option<String>,
    /// What it made or measured: ids of objects, seconds.
    pub output: serde_json::Value,
    /// Whether it only goes forward by now.
    pub point_of_no_return_passed: bool,
    /// What it makes, told with the answer that begins it: it can be looked at while it is being made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
}

/// An object by its kind and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectRef {
    /// `cluster`, `node`, `backup`, `restore`.
    pub kind: String,
    pub id: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Step {
    pub name: String,
    pub title: String,
    pub status: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Time>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OperationError {
    pub code: String,
    pub message: String,
    /// What sort of error: decides the CLI's exit code.
    #[schema(value_type = String)]
    pub kind: mainstay_model::Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationStatus {
    Queued,
    Running,
    Unwinding,
    Succeeded,
    Failed,
    Stuck,
    Cancelled,
}

impl OperationStatus {
    /// Nothing more happens by itself.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stuck | Self::Cancelled)
    }
}
