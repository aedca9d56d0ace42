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
    /// The moment it brought back, where that is not the backup's own.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub until: Option<Time>,
    pub error: Option<String>,
}

/// Exactly one of `to` and `new`; a backup, a moment, or both.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// May be left out where `until` says a moment: the newest before it is taken.
    #[serde(default)]
    pub backup: Option<String>,
    /// The moment whose state is wanted: RFC 3339, or a local time with the name of its zone.
    #[serde(default)]
    pub until: Option<String>,
    /// Whose moment it is, where no backup is named [default: `to`].
    #[serde(default)]
    pub from_cluster: Option<String>,
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
    /// The moment the log is replayed to.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub until: Option<Time>,
    /// The earliest and the latest moment there could be.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub earliest: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub latest: Option<Time>,
    #[serde(default)]
    pub gaps: Vec<crate::Gap>,
    pub space_needed_bytes: u64,
    pub warnings: Vec<String>,
}
