//! Clusters.

use crate::Node;
use mainstay_model::{
    AllowEntry, Time,
    cluster::{ClusterStatus, Mode},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cluster {
    pub id: String,
    pub name: String,
    pub project: String,
    pub engine: String,
    pub version: String,
    pub mode: Mode,
    pub status: ClusterStatus,
    /// Why the status is what it is and what is needed; absent while running.
    pub status_reason: Option<String>,
    pub nodes: Vec<Node>,
    pub protected: bool,
    pub auto_failover: bool,
    pub endpoints: Endpoints,
    pub allow_list: Vec<AllowEntry>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deleted_at: Option<Time>,
    /// Until when a deleted cluster can be brought back. A deleted one without it stays until it is
    /// deleted for good, or is gone with its backups.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    pub deleted_until: Option<Time>,
    pub recoverability: Recoverability,
    /// Absent where its log is not kept and no window is left.
    #[serde(default)]
    pub point_in_time: Option<crate::PointInTime>,
    /// What the owner should know although nothing is wrong right now, one sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What is wrong with it right now, newest first.
    #[serde(default)]
    pub alerts: Vec<crate::Alert>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Endpoints {
    pub read_write: Endpoint,
    /// Leads to replicas; absent where there are none.
    pub read_only: Option<Endpoint>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    /// Without user and password.
    pub url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Recoverability {
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Time>,
    pub copies_verified: u32,
    pub copies: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_drill_at: Option<Time>,
    pub last_drill_seconds: Option<f64>,
    pub sentence: String,
    /// What still misses to three copies, on two kinds of storage, one elsewhere.
    #[serde(default)]
    pub three_two_one: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateCluster {
    pub name: String,
    pub engine: String,
    #[serde(default)]
    pub version: Option<String>,
    #[serde(default)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub replicas: Option<u32>,
    #[serde(default)]
    pub auto_failover: Option<bool>,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    #[serde(default)]
    pub allow_list: Vec<AllowListEntry>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteCluster {
    /// Skipping alone removes the backups too.
    #[serde(default)]
    pub skip_final_backup: bool,
    #[serde(default)]
    pub keep_backups: bool,
    /// Deletes one that is in the recycle bin for good, with its backups.
    #[serde(default)]
    pub now: bool,
    /// The cluster's name, typed.
    #[serde(default)]
    pub confirm: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndeleteCluster {
    /// Another name, where its own is taken by now.
    #[serde(default)]
    pub r#as: Option<String>,
}

/// Switches; those that are absent stay.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchCluster {
    #[serde(default)]
    pub protected: Option<bool>,
    #[serde(default)]
    pub auto_failover: Option<bool>,
}

/// An address, or a network in CIDR notation, as typed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AllowListEntry {
    pub cidr: String,
    #[serde(default)]
    pub note: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAllowList {
    /// Empty opens the endpoint to all.
    pub allow_list: Vec<AllowListEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AllowList {
    pub allow_list: Vec<AllowEntry>,
    /// The list is empty, or names every address: the endpoint is open to all.
    pub open: bool,
}

/// `null` goes back to the default.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchSettings {
    pub settings: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// What was set, by name.
    pub settings: BTreeMap<String, String>,
    /// What can be set.
    pub parameters: Vec<mainstay_model::engine::Parameter>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Credentials {
    pub user: String,
    pub password: String,
    pub database: Option<String>,
    pub host: String,
    pub port: u16,
    pub url: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Resync {
    /// Names or ids; empty means every replica.
    #[serde(default)]
    pub nodes: Vec<String>,
    /// The cluster's name, typed.
    #[serde(default)]
    pub confirm: Option<String>,
}

/// A project: clusters, storages and members belong to exactly one.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Project {
    pub id: String,
    pub name: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    pub recovery_key_exported: bool,
}

/// A restic password that opens every repository of the project.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RecoveryKey {
    pub project: String,
    pub key: String,
}
