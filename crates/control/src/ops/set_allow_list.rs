//! Set the allow-list: recorded, then swapped in at the gateway as a whole; sessions that no longer
//! match end there.

use crate::{App, routes};
use async_trait::async_trait;
use mainstay_model::{AllowEntry, ClusterId, Result, cluster::Wanted};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub allow_list: Vec<AllowEntry>,
    pub before: Vec<AllowEntry>,
}

pub struct SetAllowList;

#[async_trait]
impl Operation for SetAllowList {
    type World = App;
    type State = State;
    const KIND: &'static str = "set_allow_list";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] =
        &[Step::db("record", "Record the list", Undo::With), Step::effect("apply", "Enforce it at the endpoint", Undo::With)];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => apply(cx, s, s.allow_list.clone()).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => {
                s.before = record(tx, s, s.allow_list.clone()).await?;
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => apply(cx, s, s.before.clone()).await,
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
        serde_json::json!({ "cluster": s.cluster })
    }
}

async fn record(tx: &mut Tx, s: &State, list: Vec<AllowEntry>) -> Result<Vec<AllowEntry>> {
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    let before = std::mem::replace(&mut cluster.allow_list, list);
    store::clusters::update(tx, &cluster).await?;
    Ok(before)
}

async fn apply(cx: &Cx<App>, s: &State, list: Vec<AllowEntry>) -> Result<()> {
    let mut topology = crate::topology::Topology::load(&cx.world, &s.cluster).await?;
    topology.cluster.allow_list = list;
    let lead = match topology.cluster.wanted {
        Wanted::Running => routes::Lead::Roles { without: vec![] },
        Wanted::Stopped | Wanted::Deleted => routes::Lead::Closed,
    };
    routes::lead(cx, &topology, &lead).await.map(drop)
}
