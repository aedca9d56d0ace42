//! Reboot one node: clients are led past it, it stops and starts, clients come back.

use super::serving;
use crate::{App, app::act, routes, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{ClusterId, NodeId, Result};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{StartNode, StopNode};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub node: NodeId,
}

pub struct RestartNode;

#[async_trait]
impl Operation for RestartNode {
    type World = App;
    type State = State;
    const KIND: &'static str = "restart_node";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("drain", "Lead clients past the node", Undo::With),
        Step::effect("stop", "Stop the node", Undo::With),
        Step::effect("start", "Start the node", Undo::Nothing("a started node is what an undo wants")),
        Step::effect("wait_running", "Wait until every node runs", Undo::Nothing("only waits")),
        Step::effect("open_endpoint", "Lead clients by role again", Undo::Nothing("the drain's undo does it")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "drain" => serving::lead_past(cx, &s.cluster, &s.node).await,
            "stop" => act(cx, StopNode { node: s.node.clone() }).await.map(drop),
            "start" => start(cx, s).await,
            "wait_running" => serving::wait_running(cx, &s.cluster).await,
            "open_endpoint" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, _tx: &mut Tx, _s: &mut State) -> Result<()> {
        Err(unknown_step(Self::KIND, step))
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "drain" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            "stop" => start(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "node": s.node })
    }
}

async fn start(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plan = topology.plan(topology.node(&s.node)?)?;
    act(cx, StartNode { plan }).await.map(drop)
}
