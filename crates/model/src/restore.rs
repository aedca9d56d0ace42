//! A restore: one act of bringing a backup back.

use crate::{BackupId, ClusterId, RestoreId, Time};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestoreStatus {
    Running,
    Completed,
    Failed,
    Undone,
}

/// The stored restore. `previous_label` names the directory the old data stands aside in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restore {
    pub id: RestoreId,
    pub project: crate::ProjectId,
    pub backup: BackupId,
    pub target: ClusterId,
    pub target_name: String,
    /// Whether the target existed before and its data was replaced.
    pub in_place: bool,
    pub status: RestoreStatus,
    pub started_at: Time,
    pub finished_at: Option<Time>,
    pub previous_label: Option<String>,
    pub previous_node: Option<crate::NodeId>,
    pub previous_until: Option<Time>,
    pub safety_backup: Option<BackupId>,
    pub error: Option<String>,
    /// The moment the log was replayed to.
    #[serde(default)]
    pub until: Option<Time>,
}
