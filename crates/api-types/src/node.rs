//! Nodes.

use mainstay_model::{
    Time,
    node::{NodeRole, NodeStatus},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Node {
    pub id: String,
    pub name: String,
    pub role: NodeRole,
    pub status: NodeStatus,
    pub status_reason: Option<String>,
    pub host: String,
    pub address: String,
    pub port: u16,
    /// Unknown where it could not be seen; never a good-looking zero.
    pub lag_bytes: Option<u64>,
    pub lag_seconds: Option<f64>,
    pub position: Option<String>,
    pub connections: Option<u64>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    pub observed_at: Time,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteNode {
    /// The node's name, typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<String>,
    /// Also where the primary does not answer or the node may lack acknowledged writes; the plan says what is
    /// known to be lost. The old primary is fenced: it is let back by a resync only. Where nothing can be lost it
    /// changes nothing.
    #[serde(default)]
    pub allow_data_loss: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NodeMetrics {
    pub node: String,
    pub cpu_seconds: f64,
    pub memory_bytes: u64,
    pub open_files: Option<u64>,
    pub data_bytes: u64,
    pub disk_free_bytes: u64,
    pub disk_total_bytes: u64,
    pub connections: Option<u64>,
}

/// What the nodes of a cluster used, piece by piece of the time that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Curves {
    pub step_seconds: i64,
    /// Where each piece begins, in seconds since 1970; the last one is now.
    pub times: Vec<i64>,
    pub nodes: Vec<NodeCurves>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct NodeCurves {
    pub id: String,
    pub name: String,
    pub role: NodeRole,
    /// By name: `cpu_percent`, `memory_percent`, `memory_bytes`, `disk_percent`, `connections`,
    /// `disk_read_bytes_per_second`, `disk_written_bytes_per_second`, `lag_bytes`, `lag_seconds`. Each as long as
    /// `times`; null is not known. Percents are of the machine.
    pub series: BTreeMap<String, Vec<Option<f64>>>,
    /// At the pace of the last hour; null where the disk is not filling, or that cannot be said yet.
    pub days_to_full: Option<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Logs {
    pub node: String,
    pub lines: Vec<String>,
}
