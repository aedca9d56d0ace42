//! A group: clusters that are backed up and restored as a whole, at one consistent point.

use crate::{BackupId, ClusterId, GroupBackupId, GroupId, Name, OperationId, ProjectId, Time};
use serde::{Deserialize, Serialize};

/// Most members of a group: each is a backup that runs beside the others and waits for them.
pub const MOST_MEMBERS: usize = 8;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub project: ProjectId,
    pub name: Name,
    /// At least two, in the order in which they were named.
    pub members: Vec<ClusterId>,
    pub created_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBackupStatus {
    Running,
    /// Every part was read back, and all parts are of one point.
    Completed,
    /// Not all parts are there: nothing of it is restored as a whole.
    Failed,
}

/// One recovery point of all members. Its parts are backups like any other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupBackup {
    pub id: GroupBackupId,
    pub project: ProjectId,
    pub group: GroupId,
    pub group_name: Name,
    pub status: GroupBackupStatus,
    pub description: String,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    pub parts: Vec<Part>,
    /// How often all members were begun anew, because they did not meet at one point.
    pub round: u32,
    /// What each part is made with.
    pub retention_days: Option<i64>,
    pub storages: Vec<String>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub cluster: ClusterId,
    pub cluster_name: String,
    pub backup: BackupId,
    /// What makes it.
    pub operation: OperationId,
}
