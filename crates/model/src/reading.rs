//! When data that was stored long ago was last read again, and what came of it.

use crate::{BackupId, ClusterId, ProjectId, StorageId, Time};
use serde::{Deserialize, Serialize};

/// The newest try to read all that a storage holds of a cluster's newest good backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub project: ProjectId,
    pub cluster: ClusterId,
    pub cluster_name: String,
    pub storage: StorageId,
    pub storage_name: String,
    pub backup: BackupId,
    pub at: Time,
    /// When everything was last read and good.
    pub good_at: Option<Time>,
    /// What was wrong, unless all was good.
    pub error: Option<String>,
}
