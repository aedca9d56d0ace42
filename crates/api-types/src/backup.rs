//! Backups.

use mainstay_model::{
    Time,
    backup::{BackupKind, BackupStatus, Check, Drill, Proof, ReadFrom},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    pub id: String,
    pub cluster: String,
    pub kind: BackupKind,
    /// The label users know: "Manual local", "Automated external (S3)", ...
    pub method: String,
    pub status: BackupStatus,
    pub proof: Proof,
    pub description: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
    /// Why it is kept, by what decides it.
    pub keep_reason: String,
    /// Until when its deletion can be undone.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub deleting_until: Option<Time>,
    pub engine: String,
    pub engine_version: String,
    /// The point it brings back: an LSN, an offset.
    pub position: Option<String>,
    pub data_bytes: Option<u64>,
    pub checks: Vec<Check>,
    pub drill: Option<Drill>,
    pub pinned: bool,
    /// The group backup it was made as a part of.
    pub group_backup: Option<String>,
    pub error: Option<String>,
    pub copies: Vec<BackupCopy>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BackupCopy {
    pub storage: String,
    pub status: BackupStatus,
    pub added_bytes: Option<u64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub verified_at: Option<Time>,
    pub error: Option<String>,
    /// The snapshot's id in the repository, for `restic`.
    pub snapshot: Option<String>,
    /// Nobody can remove it from the storage before.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub locked_until: Option<Time>,
    /// Why it is not locked though its storage can.
    pub lock_error: Option<String>,
    /// From when on this copy may go though its backup stays; absent where it stays as long as that.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub expires_at: Option<Time>,
    /// Until when its removal can be undone.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub deleting_until: Option<Time>,
    /// Of one whose own time is over: why it is still there, or that it went.
    #[serde(default)]
    pub keep_reason: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBackup {
    #[serde(default)]
    pub description: String,
    /// Days; 7 where neither this nor `keep` is given.
    #[serde(default)]
    pub retention_days: Option<i64>,
    /// Until it is deleted.
    #[serde(default)]
    pub keep: bool,
    /// Names or ids; `local` where none is given.
    #[serde(default)]
    pub storages: Vec<String>,
    /// Into storages of two regions at least: those that are named, or two that have labels.
    #[serde(default)]
    pub dual_region: bool,
    /// Days the copies in some of the storages are kept, by name or id. It only shortens, and in one storage at least
    /// copies stay as long as the backup.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copy_retention: BTreeMap<String, i64>,
}

/// Where a backup gets one more copy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyBackup {
    /// Name or id.
    pub storage: String,
}

/// What to type to restore without Mainstay.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Commands {
    pub backup: String,
    /// Of the first copy that can say.
    pub commands: Vec<String>,
    /// Of every good copy.
    #[serde(default)]
    pub copies: Vec<CopyCommands>,
}

/// What to type to restore from one copy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CopyCommands {
    pub storage: String,
    pub commands: Vec<String>,
    /// Why they cannot be said now.
    pub error: Option<String>,
}

/// What holds for all backups of a cluster, apart from its schedules.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BackupPolicy {
    pub cluster: String,
    /// The newest so many completed ones made by hand are kept; without it they are kept seven days.
    /// Those of which it was said how long they are kept follow that.
    pub manual_keep_last: Option<u32>,
    /// At most one backup by hand in an hour.
    pub manual_limit: bool,
    /// So many of the newest good ones always stay.
    pub min_keep: u32,
    /// Where backups are read from. Those before a restore, a promotion or a deletion, and those of
    /// groups, are read from the primary in any case.
    pub from: ReadFrom,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBackupPolicy {
    #[serde(default)]
    pub manual_keep_last: Option<u32>,
    #[serde(default)]
    pub manual_limit: bool,
    /// 1 to 1000; 2 where absent.
    #[serde(default)]
    pub min_keep: Option<u32>,
    /// A caught-up replica where absent.
    #[serde(default)]
    pub from: ReadFrom,
    /// The cluster's name, typed: needed where the change deletes backups.
    #[serde(default)]
    pub confirm: Option<String>,
}

/// What was announced as deleted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Announced {
    pub cluster: String,
    /// How many backups; each can be brought back until its `deleting_until`.
    pub backups: u64,
    /// How many single copies of backups that stay.
    #[serde(default)]
    pub copies: u64,
}
