//! Undo a restore: the data it put aside becomes the live data again; what was written since then
//! is put aside in its turn.

use super::{label, restore_in_place, serving};
use crate::{
    App,
    app::act,
    log,
    routes::{self, Lead},
    topology::Topology,
};
use async_trait::async_trait;
use mainstay_model::{ClusterId, NodeId, RestoreId, Result, cluster::ClusterStatus, restore::RestoreStatus};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{EnsureAccounts, StartNode, StopNode, SwapBack, SwapData};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub restore: RestoreId,
    pub node: NodeId,
    /// Where the old data stands aside.
    pub aside: String,
}

pub struct UndoRestore;

const FORWARD: Undo = Undo::Nothing("past the point of no return");

#[async_trait]
impl Operation for UndoRestore {
    type World = App;
    type State = State;
    const KIND: &'static str = "undo_restore";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("mark", "Mark the cluster as restoring", Undo::With),
        Step::effect("hold", "Hold clients at the endpoint", Undo::With),
        Step::effect("stop", "Stop the nodes", Undo::With),
        Step::effect("swap", "Swap the old data back in", Undo::With),
        Step::effect("start", "Start the primary with today's credentials", Undo::With),
        Step::effect("serve", "Let clients in again", FORWARD).no_return(),
        Step::effect("reseed", "Seed every replica again", FORWARD),
        Step::effect("wait_running", "Wait until every node runs", FORWARD),
        Step::effect("open_endpoint", "Lead readers to the replicas again", FORWARD),
        Step::db("finish", "Record that the restore was undone", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        let plan = topology.plan(topology.node(&s.node)?)?;
        match step {
            "hold" => routes::lead(cx, &topology, &Lead::HoldAndCut).await.map(drop),
            "stop" => restore_in_place::stop(cx, &topology).await,
            "swap" => act(cx, SwapBack { plan, label: label("undone", &cx.operation), aside: s.aside.clone() }).await.map(drop),
            "start" => {
                act(cx, StartNode { plan: plan.clone() }).await?;
                act(cx, EnsureAccounts { plan }).await.map(drop)
            }
            "serve" => routes::lead(cx, &topology, &Lead::PrimaryOnly).await.map(drop),
            "reseed" => restore_in_place::reseed(cx, &topology).await,
            "wait_running" => serving::wait_running(cx, &s.cluster).await,
            "open_endpoint" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => {
                let sentence = "a restore is being undone; clients wait at the endpoint";
                serving::set_phase(tx, &s.cluster, Some((ClusterStatus::Restoring, sentence))).await
            }
            "finish" => {
                let mut row = store::restores::get(tx, &s.restore).await?;
                row.status = RestoreStatus::Undone;
                row.previous_label = Some(label("undone", &cx.operation));
                row.previous_until = Some(cx.world.now().plus_days(cx.world.options.previous_days));
                store::restores::update(tx, &row).await?;
                log::end_line(tx, &s.cluster, cx.world.now(), "a restore was undone").await?;
                serving::set_phase(tx, &s.cluster, None).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        let plan = topology.plan(topology.node(&s.node)?)?;
        match step {
            "hold" => routes::lead(cx, &topology, &Lead::Roles { without: vec![] }).await.map(drop),
            "stop" => restore_in_place::start_all(cx, &topology).await,
            "swap" => act(cx, SwapData { plan, label: label("undone", &cx.operation), aside: s.aside.clone() }).await.map(drop),
            "start" => act(cx, StopNode { node: s.node.clone() }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => serving::set_phase(tx, &s.cluster, None).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "restore": s.restore, "cluster": s.cluster })
    }
}
