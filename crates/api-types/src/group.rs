//! Groups: clusters that are backed up and restored as a whole.

use crate::Backup;
use mainstay_model::{Time, group::GroupBackupStatus};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Group {
    pub id: String,
    pub name: String,
    /// Names of the clusters; those that were deleted are left out.
    pub members: Vec<String>,
    /// How many clusters it was made of.
    pub size: u64,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    pub last_backup: Option<GroupBackup>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    pub name: String,
    /// Names or ids of clusters, at least two.
    pub members: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchGroup {
    /// All members from the next backup on: names or ids of clusters, at least two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
}

/// One point of all members.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupBackup {
    pub id: String,
    pub group: String,
    /// `completed` only when each part is; `partial` where all can be restored and a copy of one is missing.
    pub status: GroupBackupStatus,
    /// Whether all parts are still there and were read back.
    pub restorable: bool,
    pub description: String,
    /// The schedule that made it.
    pub schedule: Option<String>,
    /// Whether all parts are pinned.
    #[serde(default)]
    pub pinned: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Time>,
    pub parts: Vec<GroupPart>,
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GroupPart {
    pub cluster: String,
    /// Its id; the backup itself is absent where it was deleted since.
    pub backup_id: String,
    pub backup: Option<Backup>,
}

/// Exactly one of `in_place` and `new_suffix`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreGroup {
    /// Replaces the data of every member.
    #[serde(default)]
    pub in_place: bool,
    /// Makes new clusters, each named as the member with this behind it.
    #[serde(default)]
    pub new_suffix: Option<String>,
    /// The group's name, typed, where data is replaced.
    #[serde(default)]
    pub confirm: Option<String>,
}
