//! What is remembered of each drill: how often backups really restored, and how long that took.

use crate::{BackupId, ClusterId, DrillId, ProjectId, StorageId, Time, backup::Check};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillResult {
    Passed,
    /// The backup does not restore, or not to what it should be.
    Failed,
    /// Whether the backup restores is not known.
    NotDone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillRecord {
    pub id: DrillId,
    pub project: ProjectId,
    pub cluster: ClusterId,
    pub backup: BackupId,
    /// Whose copy was restored, and its name then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<(StorageId, String)>,
    /// Of the server that read the backup.
    pub engine_version: String,
    pub at: Time,
    pub result: DrillResult,
    /// From the first byte asked for to an engine that was checked.
    pub seconds: Option<f64>,
    pub reason: Option<String>,
    /// What was looked at, and what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}
