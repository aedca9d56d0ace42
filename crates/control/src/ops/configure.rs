//! Settings: recorded, then brought to every node, by reload where that is enough.

use crate::{App, app::act, topology::Topology};
use async_trait::async_trait;
use mainstay_drivers::engine::Configured;
use mainstay_model::{ClusterId, Result};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::ConfigureNode;
use mainstay_store as store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub settings: BTreeMap<String, String>,
    pub before: BTreeMap<String, String>,
    pub restart_needed: bool,
}

pub struct Configure;

#[async_trait]
impl Operation for Configure {
    type World = App;
    type State = State;
    const KIND: &'static str = "configure";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] =
        &[Step::db("record", "Record the settings", Undo::With), Step::effect("apply", "Bring them to every node", Undo::With)];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => {
                s.restart_needed = apply(cx, s, &s.settings).await?;
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => {
                s.before = record(tx, s, s.settings.clone()).await?;
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => apply(cx, s, &s.before).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => record(tx, s, s.before.clone()).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "restart_needed": s.restart_needed })
    }
}

async fn record(tx: &mut Tx, s: &State, settings: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    let before = std::mem::replace(&mut cluster.settings, settings);
    store::clusters::update(tx, &cluster).await?;
    Ok(before)
}

/// Replicas first: some engines refuse a replica whose limits are below its primary's. The answer
/// is whether some setting waits for a restart.
async fn apply(cx: &Cx<App>, s: &State, settings: &BTreeMap<String, String>) -> Result<bool> {
    let mut topology = Topology::load(&cx.world, &s.cluster).await?;
    topology.cluster.settings.clone_from(settings);
    let mut restart = false;
    for node in topology.replicas().chain(topology.primary().ok()) {
        restart |= act(cx, ConfigureNode { plan: topology.plan(node)? }).await? == Configured::RestartNeeded;
    }
    Ok(restart)
}
