//! Alerts.

use mainstay_model::{Time, alert::AlertKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A condition that holds, or held.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Alert {
    pub id: String,
    pub kind: AlertKind,
    /// `open` while it holds, `cleared` since it no longer does.
    pub state: String,
    /// What it is about: `cluster`, `storage`, `schedule`, `notifier`.
    pub object_kind: String,
    pub object: String,
    pub object_name: String,
    /// The cluster's name, where it is about one.
    pub cluster: Option<String>,
    pub sentence: String,
    #[schema(value_type = String, format = DateTime)]
    pub raised_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub acknowledged_at: Option<Time>,
    pub acknowledged_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub cleared_at: Option<Time>,
}
