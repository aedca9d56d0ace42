//! A cluster: one service a user deploys. What is wanted is stored here; what was observed is
//! computed from the nodes and never written over the wish.

use crate::{AllowEntry, ClusterId, ClusterName, NodeId, ProjectId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Single,
    PrimaryReplica,
}

impl Mode {
    pub const ALL: [Mode; 2] = [Mode::Single, Mode::PrimaryReplica];
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Single => "single",
            Mode::PrimaryReplica => "primary-replica",
        }
    }
    pub fn parse(s: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|m| m.as_str() == s)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClusterStatus {
    Creating,
    Running,
    Degraded,
    Updating,
    Restoring,
    FailingOver,
    Unreachable,
    Stopped,
    Deleting,
    Deleted,
    Failed,
}

/// What the owner wants of the cluster, apart from what is seen of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    Running,
    Stopped,
    Deleted,
}

/// The stored cluster. `primary` is the node that routes lead to; it changes in the same
/// transaction that records a promotion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    pub id: ClusterId,
    pub project: ProjectId,
    pub name: ClusterName,
    pub engine: String,
    pub version: String,
    pub mode: Mode,
    pub wanted: Wanted,
    /// Set when an operation gave the cluster a state of its own (creating, restoring, deleting,
    /// failed); `None` leaves the status to observation.
    pub phase: Option<ClusterStatus>,
    /// The sentence that belongs to `phase`.
    pub phase_reason: Option<String>,
    pub primary: Option<NodeId>,
    pub protected: bool,
    pub auto_failover: bool,
    pub settings: BTreeMap<String, String>,
    pub allow_list: Vec<AllowEntry>,
    /// Endpoint addresses, drawn once and kept for the cluster's life.
    pub read_write: SocketAddress,
    pub read_only: Option<SocketAddress>,
    /// The number the next node gets; a number is never reused.
    pub next_node: i64,
    /// Bumped by every operation that acts on the cluster; agents refuse lower ones.
    pub generation: i64,
    pub created_at: Time,
    pub deleted_at: Option<Time>,
    /// What it needs to be brought back, once it is deleted and its backups were kept.
    #[serde(default)]
    pub bin: Option<Bin>,
    /// Where its log is kept, so that it can be restored to any moment.
    #[serde(default)]
    pub log: Option<crate::log::Keeping>,
}

/// A deleted cluster's place in the recycle bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bin {
    /// When it goes for good with its backups; `None` keeps both until they are deleted.
    pub until: Option<Time>,
    /// How many nodes it had.
    pub nodes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SocketAddress {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}
