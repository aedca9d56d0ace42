//! Stop a cluster: the endpoint closes, replicas stop, the primary last.

use super::serving;
use crate::{
    App,
    app::act,
    routes::{self, Lead},
    topology::Topology,
};
use async_trait::async_trait;
use mainstay_model::{ClusterId, Result, cluster::Wanted};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{StartNode, StopNode};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub wanted_before: Option<Wanted>,
}

pub struct StopCluster;

#[async_trait]
impl Operation for StopCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "stop_cluster";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("want", "Want the cluster stopped", Undo::With),
        Step::effect("close_endpoint", "Close the endpoint", Undo::With),
        Step::effect("stop_replicas", "Stop the replicas", Undo::With),
        Step::effect("stop_primary", "Stop the primary", Undo::With),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        match step {
            "close_endpoint" => routes::lead(cx, &topology, &Lead::Closed).await.map(drop),
            "stop_replicas" => {
                for node in topology.replicas() {
                    act(cx, StopNode { node: node.id.clone() }).await?;
                }
                Ok(())
            }
            "stop_primary" => act(cx, StopNode { node: topology.primary()?.id.clone() }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "want" => {
                s.wanted_before = Some(serving::set_wanted(tx, &s.cluster, Wanted::Stopped).await?);
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    /// A cluster that was stopped before stays stopped.
    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        if s.wanted_before == Some(Wanted::Stopped) {
            return Ok(());
        }
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        match step {
            "close_endpoint" => routes::lead(cx, &topology, &Lead::Roles { without: vec![] }).await.map(drop),
            "stop_replicas" => {
                for node in topology.replicas() {
                    act(cx, StartNode { plan: topology.plan(node)? }).await?;
                }
                Ok(())
            }
            "stop_primary" => act(cx, StartNode { plan: topology.primary_plan()? }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "want" => serving::set_wanted(tx, &s.cluster, s.wanted_before.unwrap_or(Wanted::Running)).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster })
    }
}
