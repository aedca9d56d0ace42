//! What the gateway is told: for each cluster where to listen, whom to let in, where to lead.

use crate::{AllowEntry, ClusterId, cluster::SocketAddress};
use serde::{Deserialize, Serialize};

/// Everything the gateway knows of one cluster. Applied as a whole: never a moment in which the
/// allow-list is half the old and half the new one. A lower `generation` than the applied one is
/// refused; an equal one with equal content is done already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterRoute {
    pub cluster: ClusterId,
    pub generation: i64,
    pub allow_list: Vec<AllowEntry>,
    pub read_write: Route,
    pub read_only: Option<Route>,
    /// How long a new connection waits for a target before it is closed.
    pub hold_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub listen: SocketAddress,
    pub target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// New connections go to these in turn (those that refuse are passed over). Sessions whose
    /// backend is none of these are closed.
    To(Vec<SocketAddress>),
    /// New connections are accepted and wait, for at most `hold_ms`. Open sessions stay.
    Hold,
    /// New connections wait as with `Hold`, and open sessions are closed.
    HoldAndCut,
    /// New connections are closed at once, and so are open sessions: the cluster is stopped.
    Closed,
}

/// What the gateway says of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteStatus {
    pub generation: i64,
    pub read_write_sessions: u64,
    pub read_only_sessions: u64,
    pub waiting: u64,
    pub refused: u64,
    /// Set where the listener could not be opened: who holds the address.
    pub problem: Option<String>,
}
