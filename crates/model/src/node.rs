//! A node: one running engine instance of a cluster.

use crate::{ClusterId, NodeId, Time, cluster::SocketAddress};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    Primary,
    Replica,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    Creating,
    Seeding,
    Running,
    Lagging,
    Stopped,
    Fenced,
    Failed,
    Unknown,
}

/// The stored node. Its role is that of the cluster's `primary` field, its status is observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub cluster: ClusterId,
    /// `<cluster>-<number>`.
    pub name: String,
    pub number: i64,
    pub address: SocketAddress,
    /// Set by an operation while the node is not yet, or no longer, a serving one.
    pub phase: Option<NodeStatus>,
    pub created_at: Time,
}

impl Node {
    /// Its role went to another node while it may have held writes that nobody else has: it does not run
    /// again before it was seeded anew.
    pub fn is_fenced(&self) -> bool {
        self.phase == Some(NodeStatus::Fenced)
    }
}

/// A place in an engine's history. `history` tells histories apart (system identifier and
/// timeline, replication id); positions of different histories do not compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Position {
    pub history: String,
    /// As the engine writes it: an LSN, an offset.
    pub text: String,
    /// The same as a number of bytes, so that lag can be computed.
    pub bytes: u64,
}

impl Position {
    /// Bytes that `self` is behind `other`, or `None` where the histories differ.
    pub fn behind(&self, other: &Position) -> Option<u64> {
        (self.history == other.history).then(|| other.bytes.saturating_sub(self.bytes))
    }
}

/// What a probe saw. Everything that could not be read is `None`, never a good-looking default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    pub at: Time,
    pub state: EngineState,
    pub role: Option<NodeRole>,
    pub position: Option<Position>,
    /// A replica's link to its upstream.
    pub link_up: Option<bool>,
    pub lag_bytes: Option<u64>,
    pub lag_seconds: Option<f64>,
    pub connections: Option<u64>,
    /// Replicas the primary sees connected, by node name.
    pub replicas: Vec<String>,
    /// One sentence where something is not as it should be.
    pub detail: Option<String>,
}

impl Observed {
    pub fn unknown(at: Time, why: impl Into<String>) -> Self {
        Observed {
            at,
            state: EngineState::Unknown,
            role: None,
            position: None,
            link_up: None,
            lag_bytes: None,
            lag_seconds: None,
            connections: None,
            replicas: vec![],
            detail: Some(why.into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// Answers and does its work.
    Ready,
    /// Runs, but does not serve yet: recovering, loading, seeding.
    Starting,
    /// No process.
    Stopped,
    /// The process ended by itself and was not brought back.
    Crashed,
    /// Not known. Never shown as good.
    Unknown,
}
