//! May this node be promoted, and which node is a backup taken from.

use mainstay_model::{
    Error, Result,
    node::{EngineState, NodeRole, Observed},
};

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
        return refuse(
            "primary_unreachable",
            format!("the primary does not answer{}, so what it holds beyond the candidate is unknown", detail(primary)),
        );
    }
    if candidate.link_up != Some(true) {
        return refuse("candidate_disconnected", "it is not connected to the primary; wait, or resync it".into());
    }
    let (Some(theirs), Some(ours)) = (&candidate.position, &primary.position) else {
        return refuse("position_unknown", "its position is not known".into());
    };
    match theirs.behind(ours) {
        None => refuse("candidate_diverged", format!("its history is {}, the primary's is {}; resync it", theirs.history, ours.history)),
        Some(lag) if lag > max_lag => refuse("candidate_behind", format!("it is {lag} bytes behind, {max_lag} are allowed")),
        Some(lag) => Ok(lag),
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
    use mainstay_model::{Time, node::Position};

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
