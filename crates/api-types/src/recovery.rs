//! Recovering from a storage with nothing but a recovery key.

use crate::AddStorage;
use mainstay_model::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where to look, and the key. Exactly one of `storage` and `place`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookForBackups {
    /// A storage of the project, by name or id.
    #[serde(default)]
    pub storage: Option<String>,
    /// A place as for adding a storage; its name is the one it gets when something is recovered from it.
    #[serde(default)]
    pub place: Option<AddStorage>,
    /// A recovery key: the text of the file.
    pub key: String,
}

/// A cluster to bring back from a storage.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    #[serde(default)]
    pub storage: Option<String>,
    #[serde(default)]
    pub place: Option<AddStorage>,
    pub key: String,
    /// The cluster's name, or its id where the storage holds several of the name.
    pub cluster: String,
    /// The newest good backup where none is named.
    #[serde(default)]
    pub backup: Option<String>,
    /// The new cluster's name; that of the old one where none is given.
    #[serde(default, rename = "as")]
    pub name: Option<String>,
}

/// What a storage holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WhatIsThere {
    pub items: Vec<Found>,
}

/// One repository that lies in a storage. What it says of itself was checked for sense, not for truth.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// `cluster`, `control_plane`, or `nothing` where no backup in it can be read.
    pub holds: String,
    pub cluster: Option<String>,
    pub cluster_id: String,
    /// The project's id in the installation that made it.
    pub project_id: String,
    /// Which of the repositories of this cluster that lie beside each other, counted from 1.
    pub edition: u32,
    pub engine: Option<String>,
    pub engine_version: Option<String>,
    /// Whether the key opens it.
    pub opens: bool,
    pub error: Option<String>,
    /// Newest first.
    pub backups: Vec<FoundBackup>,
    /// In which of several storages, where several were looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FoundBackup {
    pub id: String,
    pub kind: String,
    pub description: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    pub engine_version: String,
    pub data_bytes: u64,
    pub snapshot: String,
    /// Why it cannot be used.
    pub error: Option<String>,
    /// Why it is not chosen by itself: it is much smaller than those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// One storage the control plane keeps copies of itself in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ControlPlaneBackup {
    pub storage: String,
    /// When the newest copy there was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_at: Option<Time>,
    pub snapshot: Option<String>,
    pub data_bytes: Option<u64>,
    /// Whether everything that changed since should have been copied by now.
    pub late: bool,
    /// When it was last tried.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub tried_at: Option<Time>,
    /// Why the last try failed.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ControlPlaneBackups {
    pub items: Vec<ControlPlaneBackup>,
}

/// A name for a further recovery key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddRecoveryKey {
    pub name: String,
}

/// The key is shown this once; the operation brings it to every repository.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RecoveryKeyMade {
    pub project: String,
    pub name: String,
    pub key: String,
    pub operation: String,
}

/// Who can open the project's backups without Mainstay.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RecoveryKeys {
    pub items: Vec<NamedKey>,
    /// Whether every repository takes exactly these keys.
    pub in_place: bool,
    /// The last time the newest backup was opened with the recovery keys alone.
    pub check: Option<RecoveryCheck>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NamedKey {
    pub name: String,
    /// Absent for the one every project has from the start.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Time>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCheck {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub ok: bool,
    pub detail: String,
}

/// What a recovery kit says it is; another number is another shape.
pub const KIT_FORMAT: &str = "mainstay-recovery-kit/1";

/// Everything a recovery from nothing needs. It opens every backup of the project and logs in to every
/// storage: a secret as a whole.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct RecoveryKit {
    /// `mainstay-recovery-kit/1`
    pub format: String,
    pub project: String,
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Time,
    /// What to type, for whoever finds it.
    pub read_me: Vec<String>,
    /// The recovery key: a restic password.
    pub key: String,
    /// The storages as they are added, with what logs in.
    pub storages: Vec<AddStorage>,
    /// What Borg has a person keep of each repository.
    pub borg: Vec<KitBorgKey>,
    /// For the newest backup of each cluster: how to restore it without Mainstay.
    pub by_hand: Vec<KitCommands>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct KitBorgKey {
    pub storage: String,
    pub repository: String,
    pub passphrase: String,
    /// As `borg key export` writes it; `borg key import` takes it.
    pub key_export: Option<String>,
    /// Why the export could not be had.
    pub error: Option<String>,
}

#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct KitCommands {
    pub cluster: String,
    pub backup: String,
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Time,
    pub copies: Vec<crate::CopyCommands>,
}
