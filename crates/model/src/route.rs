//! What the gateway is told: for each cluster where to listen, whom to let in, where to lead.

use crate::{AllowEntry, ClusterId, allow_list::allows, cluster::SocketAddress};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

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
    /// How many sessions are open from where; absent where that is not known, or there are too many places.
    #[serde(default)]
    pub peers: Option<BTreeMap<IpAddr, u64>>,
}

impl RouteStatus {
    /// How many open sessions this list would end.
    pub fn cut_by(&self, list: &[AllowEntry]) -> Option<u64> {
        let peers = self.peers.as_ref()?;
        Some(peers.iter().filter(|(peer, _)| !allows(list, **peer)).map(|(_, sessions)| sessions).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_the_sessions_it_does_not_allow() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let peers = BTreeMap::from([(at("10.0.0.1"), 2), (at("192.0.2.7"), 3)]);
        let status = RouteStatus { peers: Some(peers), ..RouteStatus::default() };
        let list = [AllowEntry::parse("10.0.0.0/8", "", 0).unwrap()];
        assert_eq!((status.cut_by(&list), status.cut_by(&[])), (Some(3), Some(0)));
        assert_eq!(RouteStatus::default().cut_by(&list), None, "not known is not none");
    }
}
