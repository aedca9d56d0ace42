//! Restore to a new cluster: the data comes first, then a normal single-node cluster with
//! credentials of its own around it.

use super::{
    create_cluster,
    placing::Placing,
    together::{self, MEET},
};
use crate::{App, app::act, backups, log, routes, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{BackupId, ClusterId, NodeId, RestoreId, Result, StorageId, Time, restore::RestoreStatus};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{DropBeside, EnsureAccounts, RemoveNode, RestoreBeside, StartNode, SwapData};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub create: create_cluster::State,
    pub restore: RestoreId,
    pub backup: BackupId,
    pub storage: StorageId,
    /// The moment the log is replayed to.
    #[serde(default)]
    pub until: Option<Time>,
    pub node: NodeId,
    /// Under which the members of a group know each other, where it is one of them.
    #[serde(default)]
    pub party: Option<String>,
}

pub struct RestoreNew;

const GOES: Undo = Undo::Nothing("removed with the node");

#[async_trait]
impl Operation for RestoreNew {
    type World = App;
    type State = State;
    const KIND: &'static str = "restore_new";
    const VERSION: i64 = 2;
    const STEPS: &'static [Step] = &[
        Step::db("take_addresses", "Take an address for the node and the endpoint", Undo::Nothing("given back when the operation ends")),
        Step::effect("find_ports", "Find free ports", Undo::Nothing("only looks")),
        Step::db("record_addresses", "Record the addresses", Undo::Nothing("removed when the operation ends")),
        Step::effect("prepare_node", "Make the node's directory", Undo::With),
        Step::effect("restore", "Restore the data and check it", GOES),
        Step::effect("swap_in", "Make it the node's data", GOES),
        Step::effect("start", "Start the node with the new cluster's credentials", GOES),
        Step::effect(MEET, "Wait for the other members of a group", Undo::With),
        Step::effect("open_endpoint", "Open the endpoint", Undo::With),
        Step::db("ready", "Mark the cluster as running", Undo::Nothing("removed when the operation ends")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "find_ports" => s.create.placing.find_ports(cx).await,
            "prepare_node" => create_cluster::prepare(cx, &s.create.cluster).await,
            "restore" => restore(cx, s).await,
            "swap_in" => swap_in(cx, s).await,
            "start" => start(cx, s).await,
            MEET => together::wait(cx, s.party.as_deref(), step).await,
            "open_endpoint" => create_cluster::open_endpoint(cx, &s.create).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "take_addresses" => create_cluster::take(cx, tx, &mut s.create).await,
            "record_addresses" => create_cluster::record(tx, &s.create).await,
            "ready" => create_cluster::ready(tx, &s.create).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "prepare_node" => act(cx, RemoveNode { node: s.node.clone() }).await.map(drop),
            MEET => together::may_turn_back(cx, s.party.as_deref()).await,
            "open_endpoint" => routes::close(cx, &s.create.cluster).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        end_restore(end, cx, tx, &s.restore).await?;
        match end {
            End::Failed(_) | End::Cancelled | End::Abandoned => create_cluster::forget(tx, &s.create).await,
            End::Succeeded | End::Stuck(_) => Ok(()),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "restore": s.restore, "cluster": s.create.cluster })
    }
}

/// The restore's row ends as the operation did.
pub(super) async fn end_restore(end: End<'_>, cx: &Cx<App>, tx: &mut Tx, id: &RestoreId) -> Result<()> {
    let mut row = store::restores::get(tx, id).await?;
    row.finished_at = Some(cx.world.now());
    (row.status, row.error) = match end {
        End::Succeeded => (RestoreStatus::Completed, None),
        End::Failed(e) | End::Stuck(e) => (RestoreStatus::Failed, Some(e.message.clone())),
        End::Cancelled => (RestoreStatus::Failed, Some("cancelled".into())),
        End::Abandoned => (RestoreStatus::Failed, Some("abandoned".into())),
    };
    store::restores::update(tx, &row).await
}

impl State {
    pub fn new(cluster: ClusterId, node: NodeId, default_port: u16, restore: RestoreId, backup: BackupId, storage: StorageId) -> Self {
        let create = create_cluster::State { cluster, default_port, placing: Placing::default(), with_read_only: false };
        State { create, restore, backup, storage, until: None, node, party: None }
    }

    pub fn until(self, until: Option<Time>) -> Self {
        State { until, ..self }
    }
}

const LABEL: &str = "restored";

pub(super) async fn restore(cx: &Cx<App>, s: &State) -> Result<()> {
    let plan = Topology::load(&cx.world, &s.create.cluster).await?.primary_plan()?;
    let backup = backups::get(&cx.world, &s.backup).await?;
    let (repository, snapshot) = backups::good_copy(&cx.world, &backup, Some(&s.storage)).await?;
    let replay = log::replay_of(&cx.world, &backup, s.until).await?;
    act(cx, RestoreBeside { plan, repository, snapshot, label: LABEL.into(), drill: None, replay }).await.map(drop)
}

/// Where the new node's empty directory goes that the data takes the place of.
const EMPTY: &str = "before-restore";

pub(super) async fn swap_in(cx: &Cx<App>, s: &State) -> Result<()> {
    let plan = Topology::load(&cx.world, &s.create.cluster).await?.primary_plan()?;
    act(cx, SwapData { plan, label: LABEL.into(), aside: EMPTY.into() }).await.map(drop)
}

/// The empty directory goes only here: it is how a second swap knows that the first was done.
pub(super) async fn start(cx: &Cx<App>, s: &State) -> Result<()> {
    let plan = Topology::load(&cx.world, &s.create.cluster).await?.primary_plan()?;
    act(cx, DropBeside { node: s.node.clone(), label: EMPTY.into() }).await?;
    act(cx, StartNode { plan: plan.clone() }).await?;
    act(cx, EnsureAccounts { plan }).await.map(drop)
}
