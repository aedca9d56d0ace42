//! A route in force, and the proof that it no longer is.
//!
//! Whoever was judged by a policy holds it until it was judged by the next one or has ended.
//! `Drop` therefore is the event "nobody acts on this any more", and waiting for it costs the
//! same for ten sessions and ten thousand.

use mainstay_model::{
    Error, Result,
    allow_list::{self, MAX_ENTRIES},
    cluster::SocketAddress,
    route::{ClusterRoute, Route, Target},
};
use std::net::IpAddr;
use tokio_util::sync::CancellationToken;

/// Longer holds would only pile up clients that gave up long ago; it also keeps arithmetic on
/// instants far from overflow.
const MAX_HOLD_MS: u64 = 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    ReadWrite,
    ReadOnly,
}

pub(crate) struct Policy {
    pub(crate) route: ClusterRoute,
    gone: CancellationToken,
}

impl Policy {
    pub(crate) fn new(route: ClusterRoute) -> Self {
        Policy { route, gone: CancellationToken::new() }
    }
    /// Fires when the last holder let go.
    pub(crate) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }
    pub(crate) fn target(&self, side: Side) -> &Target {
        match side {
            Side::ReadWrite => &self.route.read_write.target,
            Side::ReadOnly => self.route.read_only.as_ref().map_or(&Target::Closed, |r| &r.target),
        }
    }
    /// Whether a connection may come in, or go on waiting.
    pub(crate) fn admits(&self, side: Side, peer: IpAddr) -> bool {
        *self.target(side) != Target::Closed && allow_list::allows(&self.route.allow_list, peer)
    }
    /// Whether an open session to `backend` may go on.
    pub(crate) fn keeps(&self, side: Side, peer: IpAddr, backend: &SocketAddress) -> bool {
        let leads_there = match self.target(side) {
            Target::To(targets) => targets.contains(backend),
            Target::Hold => true,
            Target::HoldAndCut | Target::Closed => false,
        };
        leads_there && self.admits(side, peer)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

/// Refuses what could not be served whatever the machine's state.
pub(crate) fn validate(route: &ClusterRoute) -> Result<()> {
    if route.allow_list.len() > MAX_ENTRIES {
        return Err(Error::invalid("allow_list", format!("an allow-list has at most {MAX_ENTRIES} entries")));
    }
    if route.hold_ms > MAX_HOLD_MS {
        return Err(Error::invalid("hold_ms", format!("a connection waits at most {MAX_HOLD_MS} ms")));
    }
    validate_side("read_write", &route.read_write)?;
    let Some(read_only) = &route.read_only else { return Ok(()) };
    if read_only.listen == route.read_write.listen {
        return Err(Error::invalid("read_only.listen", format!("{} is the read-write endpoint already", read_only.listen)));
    }
    validate_side("read_only", read_only)
}

fn validate_side(side: &str, route: &Route) -> Result<()> {
    let Route { listen, target } = route;
    if listen.port == 0 || listen.host.parse::<IpAddr>().is_err() {
        return Err(Error::invalid(
            &format!("{side}.listen"),
            format!("an endpoint listens on an IP address and a port, not on \"{listen}\""),
        ));
    }
    match target {
        Target::To(targets) if targets.contains(listen) => {
            Err(Error::invalid(&format!("{side}.target"), format!("{listen} would lead to itself")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{AllowEntry, ClusterId};

    fn at(port: u16) -> SocketAddress {
        SocketAddress { host: "127.64.0.1".into(), port }
    }

    fn route(target: Target, allow: &[&str]) -> ClusterRoute {
        ClusterRoute {
            cluster: ClusterId::new(),
            generation: 1,
            allow_list: allow.iter().map(|a| AllowEntry::parse(a, "", 0).unwrap()).collect(),
            read_write: Route { listen: at(1), target },
            read_only: None,
            hold_ms: 8_000,
        }
    }

    #[test]
    fn every_target_has_its_row() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        // target, peer allowed, admitted, session to backend 5 stays
        let to = |ports: &[u16]| Target::To(ports.iter().map(|p| at(*p)).collect());
        for (target, allowed, admits, keeps) in [
            (to(&[5, 6]), true, true, true),
            (to(&[6]), true, true, false),
            (to(&[]), true, true, false),
            (Target::Hold, true, true, true),
            (Target::HoldAndCut, true, true, false),
            (Target::Closed, true, false, false),
            (to(&[5]), false, false, false),
            (Target::Hold, false, false, false),
        ] {
            let shown = format!("{target:?} {allowed}");
            let policy = Policy::new(route(target, if allowed { &["10.0.0.0/8"] } else { &["192.0.2.1"] }));
            assert_eq!(policy.admits(Side::ReadWrite, peer), admits, "{shown}");
            assert_eq!(policy.keeps(Side::ReadWrite, peer, &at(5)), keeps, "{shown}");
            assert!(!policy.admits(Side::ReadOnly, peer), "an absent side is closed");
        }
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_field() {
        let good = route(Target::Hold, &[]);
        assert!(validate(&good).is_ok());
        let same = ClusterRoute { read_only: Some(good.read_write.clone()), ..good.clone() };
        let endless = ClusterRoute { hold_ms: u64::MAX, ..good.clone() };
        let mut nowhere = good.clone();
        nowhere.read_write.listen = SocketAddress { host: "db.example".into(), port: 5432 };
        let mut round = good;
        round.read_write.target = Target::To(vec![at(1)]);
        for (bad, field) in [(same, "read_only.listen"), (endless, "hold_ms"), (nowhere, "read_write.listen"), (round, "read_write.target")]
        {
            assert_eq!(validate(&bad).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
