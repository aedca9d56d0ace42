//! What was given up and lies in a storage still, because nobody may delete there.

use crate::{BackupId, ClusterId, StorageId, Time};
use serde::{Deserialize, Serialize};

/// A snapshot, or a whole repository, that nobody counts on any more and whose space stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftBehind {
    pub storage: StorageId,
    pub cluster: ClusterId,
    pub cluster_name: String,
    /// `None` is all that the storage holds of the cluster.
    pub snapshot: Option<String>,
    /// What it was called in the catalogue: a backup, or a part of a log.
    pub backup: Option<BackupId>,
    pub data_bytes: u64,
    pub at: Time,
    /// When it was last tried to remove it.
    pub tried_at: Time,
    pub why: String,
}
