//! Restoring to any moment: the log that is kept, and the window that gives.

use mainstay_model::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a cluster's log is kept, and to which moments it can be restored.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PointInTime {
    pub on: bool,
    pub keep_days: Option<i64>,
    /// The earliest moment it can be restored to; absent while there is no window.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Time>,
    /// The latest.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Time>,
    /// Within the window, what cannot be had.
    pub gaps: Vec<Gap>,
    pub storages: Vec<LogStorage>,
    /// Why it does not go on right now.
    pub trouble: Option<String>,
    /// When and why the log was interrupted, oldest first.
    pub breaks: Vec<LogBreak>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    #[schema(value_type = String, format = DateTime)]
    pub from: Time,
    #[schema(value_type = String, format = DateTime)]
    pub to: Time,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogStorage {
    pub storage: String,
    /// Up to when the log is stored there.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Time>,
    pub trouble: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LogBreak {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub sentence: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPointInTime {
    pub on: bool,
    /// Names or ids; none leaves those there are, or means the storage `local`.
    #[serde(default)]
    pub storages: Vec<String>,
    /// How far back any moment can be restored to, at least.
    #[serde(default)]
    pub keep_days: Option<i64>,
}
