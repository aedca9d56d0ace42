//! Resync one replica: its old data is put aside until the new copy is healthy, then removed.

use super::{label, serving};
use crate::{App, app::act, routes, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{
    ClusterId, NodeId, Result,
    node::{Node, NodeStatus},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{DropBeside, JoinNode, StartNode, StopNode, SwapBack, SwapData};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub node: NodeId,
    /// It may not serve what it held before.
    #[serde(default)]
    pub was_fenced: bool,
}

pub struct ResyncNode;

#[async_trait]
impl Operation for ResyncNode {
    type World = App;
    type State = State;
    const KIND: &'static str = "resync_node";
    const VERSION: i64 = 2;
    const STEPS: &'static [Step] = &[
        Step::effect("drain", "Lead clients past the node", Undo::With),
        Step::effect("stop", "Stop the node", Undo::With),
        Step::effect("put_aside", "Put its old data aside", Undo::With),
        Step::effect("seed", "Seed it from the primary and let it catch up", Undo::With),
        Step::db("let_back", "Let it back where it was fenced", Undo::With),
        Step::effect("wait_running", "Wait until every node runs", Undo::Nothing("only waits")),
        Step::effect("open_endpoint", "Lead clients by role again", Undo::Nothing("the drain's undo does it")),
        Step::effect("drop_old", "Remove the old data", Undo::Nothing("past the point of no return")).no_return(),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "drain" => serving::lead_past(cx, &s.cluster, &s.node).await,
            "stop" => act(cx, StopNode { node: s.node.clone() }).await.map(drop),
            "put_aside" => put_aside(cx, s).await,
            "seed" => seed(cx, s).await,
            "wait_running" => serving::wait_running(cx, &s.cluster).await,
            "open_endpoint" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            "drop_old" => act(cx, DropBeside { node: s.node.clone(), label: label("old", &cx.operation) }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "let_back" => {
                let mut node = store::nodes::get(tx, &s.node).await?;
                s.was_fenced = node.is_fenced();
                if s.was_fenced {
                    node.phase = None;
                    store::nodes::update(tx, &node).await?;
                }
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "let_back" if s.was_fenced => {
                let node = store::nodes::get(tx, &s.node).await?;
                store::nodes::update(tx, &Node { phase: Some(NodeStatus::Fenced), ..node }).await
            }
            "let_back" => Ok(()),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        let plan = topology.plan(topology.node(&s.node)?)?;
        match step {
            "drain" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            // A fenced one did not run.
            "stop" if topology.node(&s.node)?.is_fenced() => Ok(()),
            "stop" => act(cx, StartNode { plan }).await.map(drop),
            // Without a label: a copy made meanwhile is given up, and where nothing was put aside
            // nothing has to come back.
            "put_aside" => act(cx, SwapBack { plan, label: String::new(), aside: label("old", &cx.operation) }).await.map(drop),
            "seed" => act(cx, StopNode { node: s.node.clone() }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "node": s.node })
    }
}

async fn put_aside(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    act(cx, SwapData { plan, label: String::new(), aside: label("old", &cx.operation) }).await.map(drop)
}

async fn seed(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    let upstream = topology.peer(topology.primary()?)?;
    act(cx, JoinNode { plan, upstream }).await.map(drop)
}
