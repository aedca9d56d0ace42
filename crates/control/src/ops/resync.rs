//! Resync: chosen replicas are erased and seeded again from the primary, one at a time.

use super::{child, resync_node};
use crate::App;
use async_trait::async_trait;
use mainstay_model::{ClusterId, NodeId, Result};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub nodes: Vec<NodeId>,
}

pub struct Resync;

#[async_trait]
impl Operation for Resync {
    type World = App;
    type State = State;
    const KIND: &'static str = "resync";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] =
        &[Step::effect("replicas", "Seed the chosen replicas again, one after the other", Undo::Nothing("each one is whole, old or new"))];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "replicas" => replicas(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, _tx: &mut Tx, _s: &mut State) -> Result<()> {
        Err(unknown_step(Self::KIND, step))
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "nodes": s.nodes })
    }
}

async fn replicas(cx: &Cx<App>, s: &State) -> Result<()> {
    for node in &s.nodes {
        let state = resync_node::State { cluster: s.cluster.clone(), node: node.clone(), was_fenced: false };
        child::<resync_node::ResyncNode>(cx, &format!("resync-{node}"), &state).await?;
    }
    Ok(())
}
