//! Start a cluster: the primary, its replicas, the endpoint. Also what brings clusters back after
//! the machine was restarted; what runs already is left alone.
//!
//! Once clients are let in there is no way back: a replica that does not come up is no reason to
//! take the primary from them again.

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

pub struct StartCluster;

const FORWARD: Undo = Undo::Nothing("past the point of no return; the primary serves");

#[async_trait]
impl Operation for StartCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "start_cluster";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("want", "Want the cluster running", Undo::With),
        Step::effect("start_primary", "Start the primary", Undo::With),
        Step::effect("open_endpoint", "Open the endpoint", Undo::With),
        Step::effect("start_replicas", "Start the replicas", FORWARD).no_return(),
        Step::effect("wait_running", "Wait until every node runs", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "start_primary" => {
                let plan = Topology::load(&cx.world, &s.cluster).await?.primary_plan()?;
                act(cx, StartNode { plan }).await.map(drop)
            }
            "open_endpoint" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            "start_replicas" => replicas(cx, s).await,
            "wait_running" => serving::wait_running(cx, &s.cluster).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "want" => {
                s.wanted_before = Some(serving::set_wanted(tx, &s.cluster, Wanted::Running).await?);
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    /// A cluster that was wanted running is left as it is: what runs of it serves.
    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        if s.wanted_before == Some(Wanted::Running) {
            return Ok(());
        }
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        match step {
            "start_primary" => act(cx, StopNode { node: topology.primary()?.id.clone() }).await.map(drop),
            "open_endpoint" => routes::lead(cx, &topology, &Lead::Closed).await.map(drop),
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

pub(super) async fn replicas(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let plans = topology.replicas().map(|n| topology.plan(n)).collect::<Result<Vec<_>>>()?;
    futures::future::try_join_all(plans.into_iter().map(|plan| act(cx, StartNode { plan }))).await.map(drop)
}
