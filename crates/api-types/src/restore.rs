//! Restores.

use mainstay_model::{Time, restore::RestoreStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Restore {
    pub id: String,
    pub backup: String,
    pub target_cluster: String,
    pub status: RestoreStatus,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Time>,
    /// Until then `undo` can bring the replaced data back.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub previous_data_until: Option<Time>,
    pub safety_backup: Option<String>,
    pub error: Option<String>,
}

/// Exactly one of `to` and `new`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    pub backup: String,
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub new: Option<String>,
    #[serde(default)]
    pub storage: Option<String>,
    /// The target's name, typed, where its data is replaced.
    #[serde(default)]
    pub confirm: Option<String>,
}

/// What would be done. `hash` goes back as `If-Match`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RestorePlan {
    pub hash: String,
    pub backup: String,
    pub storage: String,
    pub target: String,
    /// `new_cluster`, `in_place` or `other_cluster`.
    pub action: String,
    pub engine: String,
    pub engine_version: String,
    pub loses: Vec<String>,
    pub steps: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub recovery_point: Time,
    pub position: Option<String>,
    pub space_needed_bytes: u64,
    pub warnings: Vec<String>,
}
