//! May this node be promoted, and which node is a backup taken from.

use mainstay_model::{
    Error, Result, Time,
    node::{EngineState, Node, NodeRole, Observed, Position},
};
use serde::{Deserialize, Serialize};

/// The way out where something may be lost.
const ANYWAY: &str = "; --allow-data-loss promotes it all the same, and says first what is lost";

/// The refusals of [`may_promote`] that [`may_force`] may overrule.
pub fn is_about_loss(refused: &Error) -> bool {
    matches!(refused.code.as_str(), "primary_unreachable" | "candidate_disconnected" | "position_unknown" | "candidate_behind")
}

/// Refuses a candidate that is unhealthy, too far behind or of another history, with the numbers.
pub fn may_promote(name: &str, candidate: &Observed, primary: &Observed, max_lag: u64) -> Result<u64> {
    let refuse = |code: &str, why: String| Err(Error::conflict(code, format!("{name} is not promoted: {why}")));
    if candidate.state != EngineState::Ready {
        return refuse("candidate_unhealthy", format!("it is {:?}{}", candidate.state, detail(candidate)).to_lowercase());
    }
    if candidate.role == Some(NodeRole::Primary) {
        return refuse("candidate_diverged", "its engine is writable already, so its data may differ from the primary's; resync it".into());
    }
    if primary.state != EngineState::Ready {
        let why = format!("the primary does not answer{}, so what it holds beyond the candidate is unknown{ANYWAY}", detail(primary));
        return refuse("primary_unreachable", why);
    }
    if candidate.link_up != Some(true) {
        return refuse("candidate_disconnected", format!("it is not connected to the primary; wait, or resync it{ANYWAY}"));
    }
    let (Some(theirs), Some(ours)) = (&candidate.position, &primary.position) else {
        return refuse("position_unknown", format!("its position is not known{ANYWAY}"));
    };
    match theirs.behind(ours) {
        None => refuse("candidate_diverged", format!("its history is {}, the primary's is {}; resync it", theirs.history, ours.history)),
        Some(lag) if lag > max_lag => refuse("candidate_behind", format!("it is {lag} bytes behind, {max_lag} are allowed{ANYWAY}")),
        Some(lag) => Ok(lag),
    }
}

/// What a promotion may lose, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// How much more the primary held, when it was last seen, than the node holds now.
    pub bytes: Option<u64>,
    /// How long ago that was: what it took since is not known.
    pub seconds: Option<f64>,
    /// The primary's position then.
    pub primary: Option<String>,
    /// The node's position now.
    pub node: Option<String>,
}

/// The primary's position when it was last known, and when that was.
pub type LastKnown = (Position, Time);

/// Whether a node can take over at all, whatever it lacks; the answer is what is known of that.
pub fn may_force(node: &Node, candidate: &Observed, primary: Option<&LastKnown>, now: Time) -> Result<Loss> {
    let refuse = |code: &str, why: String| Err(Error::conflict(code, format!("{} is not promoted: {why}", node.name)));
    if node.is_fenced() {
        return refuse("fenced", "it is fenced and holds data of its own; resync it".into());
    }
    if candidate.state != EngineState::Ready {
        return refuse("candidate_unhealthy", format!("it is {:?}{}", candidate.state, detail(candidate)).to_lowercase());
    }
    if candidate.role == Some(NodeRole::Primary) {
        return refuse("candidate_diverged", "its engine is writable already, so its data may differ from the primary's; resync it".into());
    }
    let here = candidate.position.as_ref();
    Ok(Loss {
        bytes: here.zip(primary).and_then(|(here, (there, _))| here.behind(there)),
        seconds: primary.map(|(_, at)| now.seconds_since(*at).max(0.0)),
        primary: primary.map(|(p, _)| p.text.clone()),
        node: here.map(|p| p.text.clone()),
    })
}

impl Loss {
    /// For people, before they type the name.
    pub fn sentence(&self, node: &str) -> String {
        let position = |p: &Option<String>| p.as_deref().unwrap_or("unknown").to_string();
        let (there, here) = (position(&self.primary), position(&self.node));
        let since = |s: f64| format!("when it was last seen, {s:.0} seconds ago; what it took since is not known");
        match (self.bytes, self.seconds) {
            (Some(0), Some(s)) => format!("nothing is known to be lost: {node} holds all that the primary held ({here}) {}", since(s)),
            (Some(bytes), Some(s)) => {
                format!("{bytes} bytes are lost for sure: {node} is at {here}, the primary was at {there} {}", since(s))
            }
            (None, Some(s)) => format!(
                "how much is lost is unknown: {node} is at {here}, the primary was at {there} {}, and the two do not compare",
                since(s)
            ),
            (_, None) => {
                format!("how much is lost is unknown: the primary has not been seen since Mainstay began to look; {node} is at {here}")
            }
        }
    }
}

fn detail(o: &Observed) -> String {
    o.detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default()
}

/// A replica good enough to take a backup from: connected and of the primary's history.
pub fn may_capture(replica: &Observed, primary: &Observed) -> bool {
    replica.state == EngineState::Ready
        && replica.role == Some(NodeRole::Replica)
        && replica.link_up == Some(true)
        && matches!((&replica.position, &primary.position), (Some(r), Some(p)) if r.behind(p).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(state: EngineState, role: NodeRole, link: bool, history: &str, bytes: u64) -> Observed {
        let position = Some(Position { history: history.into(), text: bytes.to_string(), bytes });
        Observed { state, role: Some(role), link_up: Some(link), position, detail: None, ..Observed::unknown(Time(0), "") }
    }

    #[test]
    fn promotion_is_refused_with_the_reason() {
        use EngineState::*;
        use NodeRole::*;
        let primary = look(Ready, Primary, false, "h", 1000);
        let cases = [
            (look(Ready, Replica, true, "h", 990), &primary, None),
            (look(Stopped, Replica, true, "h", 990), &primary, Some("candidate_unhealthy")),
            (look(Ready, Primary, true, "h", 990), &primary, Some("candidate_diverged")),
            (look(Ready, Replica, false, "h", 990), &primary, Some("candidate_disconnected")),
            (look(Ready, Replica, true, "other", 990), &primary, Some("candidate_diverged")),
            (look(Ready, Replica, true, "h", 100), &primary, Some("candidate_behind")),
            (look(Ready, Replica, true, "h", 990), &look(Unknown, Primary, false, "h", 0), Some("primary_unreachable")),
        ];
        for (candidate, primary, code) in cases {
            let got = may_promote("abc-2", &candidate, primary, 500);
            assert_eq!(got.as_ref().err().map(|e| e.code.as_str()), code, "{candidate:?}: {got:?}");
        }
    }

    #[test]
    fn what_is_lost_is_said_as_far_as_it_is_known() {
        use EngineState::*;
        use NodeRole::*;
        let node = |phase| Node {
            id: mainstay_model::NodeId::new(),
            cluster: mainstay_model::ClusterId::new(),
            name: "abc-2".into(),
            number: 2,
            address: mainstay_model::cluster::SocketAddress { host: "127.0.0.1".into(), port: 1 },
            phase,
            created_at: Time(0),
        };
        let known = |history: &str, bytes: u64| (Position { history: history.into(), text: bytes.to_string(), bytes }, Time(0));
        let here = look(Ready, Replica, false, "h", 900);
        let now = Time(0).plus_seconds(40);
        let said = |primary: Option<&LastKnown>| may_force(&node(None), &here, primary, now).unwrap();
        let some = said(Some(&known("h", 1000)));
        assert_eq!((some.bytes, some.seconds), (Some(100), Some(40.0)));
        assert_eq!(
            some.sentence("abc-2"),
            "100 bytes are lost for sure: abc-2 is at 900, the primary was at 1000 when it was last seen, 40 seconds ago; what it took since is not known"
        );
        assert!(said(Some(&known("h", 900))).sentence("abc-2").starts_with("nothing is known to be lost"));
        for unknown in [said(Some(&known("other", 1000))), said(None)] {
            assert!(unknown.bytes.is_none() && unknown.sentence("abc-2").starts_with("how much is lost is unknown"));
        }
        for (node, seen, code) in [
            (node(Some(mainstay_model::node::NodeStatus::Fenced)), here.clone(), "fenced"),
            (node(None), look(Stopped, Replica, false, "h", 900), "candidate_unhealthy"),
            (node(None), look(Ready, Primary, false, "h", 900), "candidate_diverged"),
        ] {
            assert_eq!(may_force(&node, &seen, None, now).unwrap_err().code, code);
        }
    }

    #[test]
    fn a_diverged_or_cut_off_replica_is_no_source() {
        use EngineState::*;
        use NodeRole::*;
        let primary = look(Ready, Primary, false, "h", 1000);
        assert!(may_capture(&look(Ready, Replica, true, "h", 10), &primary));
        assert!(!may_capture(&look(Ready, Replica, true, "x", 10), &primary));
        assert!(!may_capture(&look(Ready, Replica, false, "h", 10), &primary));
        assert!(!may_capture(&look(Starting, Replica, true, "h", 10), &primary));
    }
}
