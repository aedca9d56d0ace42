//! Remove a replica: drained, stopped and removed, its leftovers at the primary cleaned up.

use super::{placing, serving};
use crate::{App, app::act, routes, topology::Topology};
use async_trait::async_trait;
use mainstay_drivers::engine::Upstream;
use mainstay_model::{ClusterId, NodeId, Result};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{LeaveNode, RemoveNode as RemoveVerb};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub peer: Upstream,
}

pub struct RemoveNode;

#[async_trait]
impl Operation for RemoveNode {
    type World = App;
    type State = State;
    const KIND: &'static str = "remove_node";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("drain", "Lead clients past the node", Undo::With),
        Step::effect("remove", "Stop the node and remove its data", Undo::Nothing("past the point of no return")).no_return(),
        Step::effect("clean_up", "Remove what the primary kept for it", Undo::Nothing("past the point of no return")),
        Step::db("forget", "Forget the node", Undo::Nothing("past the point of no return")),
        Step::effect("open_endpoint", "Route by the remaining roles", Undo::Nothing("past the point of no return")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "drain" => serving::lead_past(cx, &s.cluster, &s.node).await,
            "remove" => act(cx, RemoveVerb { node: s.node.clone() }).await.map(drop),
            "clean_up" => clean_up(cx, s).await,
            "open_endpoint" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "forget" => {
                placing::release(tx, &s.cluster, std::slice::from_ref(&s.node), &[]).await?;
                store::nodes::delete(tx, &s.node).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "drain" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "node": s.node })
    }
}

async fn clean_up(cx: &Cx<App>, s: &State) -> Result<()> {
    let primary = Topology::load(&cx.world, &s.cluster).await?.primary_plan()?;
    act(cx, LeaveNode { primary, leaving: s.peer.clone() }).await.map(drop)
}
