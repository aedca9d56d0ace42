//! What a cluster and its nodes are called, from what is wanted and what was seen.
//!
//! Unknown is a value of its own: a look that is too old counts as none, and a cluster whose
//! primary cannot be seen is unreachable, never running.

use mainstay_model::{
    Time,
    cluster::{Cluster, ClusterStatus, Wanted},
    node::{EngineState, Node, NodeRole, NodeStatus, Observed},
};

/// A look older than this says nothing about now.
pub const STALE_SECONDS: f64 = 15.0;
/// A replica further behind than this, in bytes, is lagging.
pub const LAG_BYTES: u64 = 64 * 1024 * 1024;

/// What a fenced node is, and the way out.
const FENCED: &str =
    "its role went to another node, and it may hold writes that no other has; `cluster resync` erases it and seeds it again";

pub fn node_status(node: &Node, role: NodeRole, wanted: Wanted, seen: &Observed, now: Time) -> (NodeStatus, Option<String>) {
    if node.is_fenced() {
        return (NodeStatus::Fenced, Some(FENCED.into()));
    }
    if let Some(phase) = node.phase {
        return (phase, None);
    }
    if now.seconds_since(seen.at) > STALE_SECONDS {
        return (NodeStatus::Unknown, Some("not heard of lately".into()));
    }
    match seen.state {
        EngineState::Unknown => (NodeStatus::Unknown, seen.detail.clone()),
        EngineState::Crashed => (NodeStatus::Failed, seen.detail.clone().or(Some("the engine ended by itself".into()))),
        EngineState::Stopped if wanted == Wanted::Stopped => (NodeStatus::Stopped, None),
        EngineState::Stopped => (NodeStatus::Stopped, Some("stopped although it should run".into())),
        EngineState::Starting => (NodeStatus::Seeding, seen.detail.clone()),
        EngineState::Ready => ready(role, seen),
    }
}

fn ready(role: NodeRole, seen: &Observed) -> (NodeStatus, Option<String>) {
    if seen.role.is_some_and(|r| r != role) {
        let is = if role == NodeRole::Primary { "read-only, though it is the primary" } else { "writable, though it is a replica" };
        return (NodeStatus::Failed, Some(format!("the engine is {is}")));
    }
    if role == NodeRole::Primary {
        return (NodeStatus::Running, seen.detail.clone());
    }
    match (seen.link_up, seen.lag_bytes) {
        (Some(true), Some(lag)) if lag > LAG_BYTES => (NodeStatus::Lagging, Some(format!("{lag} bytes behind the primary"))),
        (Some(true), _) => (NodeStatus::Running, None),
        _ => (NodeStatus::Lagging, Some("not connected to the primary".into())),
    }
}

/// `nodes` are the cluster's nodes with what [`node_status`] said of them, the primary marked.
pub fn cluster_status(cluster: &Cluster, nodes: &[(String, NodeRole, NodeStatus, Option<String>)]) -> (ClusterStatus, Option<String>) {
    if cluster.wanted == Wanted::Deleted && cluster.phase.is_none() {
        return (ClusterStatus::Deleted, cluster.phase_reason.clone());
    }
    if let Some(phase) = cluster.phase {
        return (phase, cluster.phase_reason.clone());
    }
    if cluster.wanted == Wanted::Stopped {
        return (ClusterStatus::Stopped, Some("stopped on request; `cluster start` brings it back".into()));
    }
    let Some(primary) = nodes.iter().find(|n| n.1 == NodeRole::Primary) else {
        return (ClusterStatus::Failed, Some("no node is the primary; restore a backup".into()));
    };
    match primary.2 {
        NodeStatus::Running => replicas(nodes),
        NodeStatus::Unknown => (ClusterStatus::Unreachable, Some(format!("{} {}", primary.0, why(&primary.3, "cannot be seen")))),
        NodeStatus::Seeding => (ClusterStatus::Degraded, Some(format!("{} is starting{}", primary.0, tail(&primary.3)))),
        _ => (
            ClusterStatus::Failed,
            Some(format!(
                "{} does not serve{}; see `node logs`, then `cluster start`, promote a replica or restore a backup",
                primary.0,
                tail(&primary.3)
            )),
        ),
    }
}

fn replicas(nodes: &[(String, NodeRole, NodeStatus, Option<String>)]) -> (ClusterStatus, Option<String>) {
    let bad: Vec<String> =
        nodes.iter().filter(|n| n.1 == NodeRole::Replica && n.2 != NodeStatus::Running).map(|n| format!("{}{}", n.0, tail(&n.3))).collect();
    if bad.is_empty() {
        return (ClusterStatus::Running, None);
    }
    (
        ClusterStatus::Degraded,
        Some(format!("the primary serves, but not every replica does: {}; `cluster resync` seeds them again", bad.join(", "))),
    )
}

fn why(detail: &Option<String>, otherwise: &str) -> String {
    detail.clone().unwrap_or_else(|| otherwise.into())
}

fn tail(detail: &Option<String>) -> String {
    detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{ClusterId, ClusterName, NodeId, ProjectId, cluster::*};

    fn cluster(wanted: Wanted) -> Cluster {
        Cluster {
            id: ClusterId::new(),
            project: ProjectId::new(),
            name: ClusterName::parse("abc").unwrap(),
            engine: "e".into(),
            version: "1".into(),
            mode: Mode::PrimaryReplica,
            wanted,
            phase: None,
            phase_reason: None,
            primary: None,
            protected: false,
            auto_failover: true,
            settings: Default::default(),
            allow_list: vec![],
            read_write: SocketAddress { host: "127.0.0.1".into(), port: 1 },
            read_only: None,
            next_node: 3,
            generation: 0,
            created_at: Time(0),
            deleted_at: None,
            bin: None,
            log: None,
        }
    }

    fn node() -> Node {
        let address = SocketAddress { host: "127.0.0.1".into(), port: 1 };
        Node { id: NodeId::new(), cluster: ClusterId::new(), name: "abc-1".into(), number: 1, address, phase: None, created_at: Time(0) }
    }

    fn seen(state: EngineState, role: NodeRole, link: Option<bool>, lag: Option<u64>) -> Observed {
        Observed { state, role: Some(role), link_up: link, lag_bytes: lag, detail: None, ..Observed::unknown(Time(0), "") }
    }

    #[test]
    fn nodes() {
        use EngineState::*;
        use NodeRole::*;
        let cases = [
            (Primary, seen(Ready, Primary, None, None), NodeStatus::Running),
            (Primary, seen(Ready, Replica, None, None), NodeStatus::Failed),
            (Replica, seen(Ready, Primary, None, None), NodeStatus::Failed),
            (Replica, seen(Ready, Replica, Some(true), Some(0)), NodeStatus::Running),
            (Replica, seen(Ready, Replica, Some(true), None), NodeStatus::Running),
            (Replica, seen(Ready, Replica, Some(true), Some(LAG_BYTES + 1)), NodeStatus::Lagging),
            (Replica, seen(Ready, Replica, Some(false), Some(0)), NodeStatus::Lagging),
            (Replica, seen(Ready, Replica, None, None), NodeStatus::Lagging),
            (Primary, seen(Starting, Primary, None, None), NodeStatus::Seeding),
            (Primary, seen(Crashed, Primary, None, None), NodeStatus::Failed),
            (Primary, seen(Stopped, Primary, None, None), NodeStatus::Stopped),
            (Primary, seen(Unknown, Primary, None, None), NodeStatus::Unknown),
        ];
        for (role, seen, expected) in cases {
            assert_eq!(node_status(&node(), role, Wanted::Running, &seen, Time(0)).0, expected, "{role:?} {seen:?}");
        }
    }

    #[test]
    fn an_old_look_is_unknown_however_good_it_was() {
        let good = seen(EngineState::Ready, NodeRole::Primary, None, None);
        let later = Time(0).plus_seconds(60);
        assert_eq!(node_status(&node(), NodeRole::Primary, Wanted::Running, &good, later).0, NodeStatus::Unknown);
    }

    #[test]
    fn clusters() {
        let row = |role, status| ("abc-1".to_string(), role, status, None);
        let (p, r) = (NodeRole::Primary, NodeRole::Replica);
        let cases = [
            (vec![row(p, NodeStatus::Running)], ClusterStatus::Running),
            (vec![row(p, NodeStatus::Running), row(r, NodeStatus::Running)], ClusterStatus::Running),
            (vec![row(p, NodeStatus::Running), row(r, NodeStatus::Unknown)], ClusterStatus::Degraded),
            (vec![row(p, NodeStatus::Unknown), row(r, NodeStatus::Running)], ClusterStatus::Unreachable),
            (vec![row(p, NodeStatus::Failed), row(r, NodeStatus::Running)], ClusterStatus::Failed),
            (vec![row(p, NodeStatus::Stopped)], ClusterStatus::Failed),
            (vec![row(r, NodeStatus::Running)], ClusterStatus::Failed),
        ];
        for (nodes, expected) in cases {
            let (status, reason) = cluster_status(&cluster(Wanted::Running), &nodes);
            assert_eq!(status, expected, "{nodes:?}");
            assert_eq!(reason.is_none(), status == ClusterStatus::Running, "every status but running says why");
        }
        assert_eq!(cluster_status(&cluster(Wanted::Stopped), &[]).0, ClusterStatus::Stopped);
    }
}
