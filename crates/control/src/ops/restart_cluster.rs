//! Restart a cluster in order: replicas one by one, the primary last, after a hand-over where a
//! replica can take it.

use super::{child, promote, restart_node};
use crate::{App, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{ClusterId, NodeId, Result};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    /// The primary when it began: the one to restart last, whoever leads by then.
    pub primary: Option<NodeId>,
    /// The replica that takes over meanwhile. Chosen once: who leads changes on the way.
    pub next: Option<NodeId>,
}

pub struct RestartCluster;

const DONE: Undo = Undo::Nothing("what was restarted runs");

#[async_trait]
impl Operation for RestartCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "restart_cluster";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("note_primary", "Note who leads and who takes over", Undo::Nothing("only notes")),
        Step::effect("replicas", "Restart the replicas, one after the other", DONE),
        Step::effect("hand_over", "Hand over to a replica, where there is one", Undo::With),
        Step::effect("primary", "Restart the node that was the primary", DONE),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "replicas" => replicas(cx, s).await,
            "hand_over" => hand_over(cx, s).await,
            "primary" => primary(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "note_primary" => {
                s.primary = store::clusters::get(tx, &s.cluster).await?.primary;
                let nodes = store::nodes::of_cluster(tx, &s.cluster).await?;
                s.next = nodes.into_iter().filter(|n| !n.is_fenced()).map(|n| n.id).find(|n| Some(n) != s.primary.as_ref());
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "hand_over" => hand_back(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster })
    }
}

async fn restart(cx: &Cx<App>, s: &State, node: &NodeId) -> Result<()> {
    let state = restart_node::State { cluster: s.cluster.clone(), node: node.clone() };
    child::<restart_node::RestartNode>(cx, &format!("restart-{node}"), &state).await.map(drop)
}

async fn replicas(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    for node in topology.nodes.iter().filter(|n| Some(&n.id) != s.primary.as_ref() && !n.is_fenced()) {
        restart(cx, s, &node.id).await?;
    }
    Ok(())
}

async fn hand_over(cx: &Cx<App>, s: &State) -> Result<()> {
    match (s.next.clone(), s.primary.clone()) {
        (Some(next), Some(old)) => promote(cx, s, "hand-over", next, old).await,
        _ => Ok(()),
    }
}

/// Undoing a promotion is another promotion.
async fn hand_back(cx: &Cx<App>, s: &State) -> Result<()> {
    let leads = Topology::load(&cx.world, &s.cluster).await?.primary()?.id.clone();
    match s.primary.clone().filter(|p| *p != leads) {
        Some(first) => promote(cx, s, "hand-back", first, leads).await,
        None => Ok(()),
    }
}

async fn promote(cx: &Cx<App>, s: &State, key: &str, node: NodeId, old: NodeId) -> Result<()> {
    let state = promote::State {
        cluster: s.cluster.clone(),
        node,
        old,
        position: None,
        held_at: None,
        opened_at: None,
        with_backup: true,
        backup: None,
    };
    child::<promote::Promote>(cx, key, &state).await.map(drop)
}

async fn primary(cx: &Cx<App>, s: &State) -> Result<()> {
    match &s.primary {
        Some(node) => restart(cx, s, node).await,
        None => Ok(()),
    }
}
