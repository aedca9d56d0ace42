//! Bring a deleted cluster back: its data from its final backup, then as many nodes as it had, around
//! its own id, settings, allow-list, credentials and schedules.
//!
//! Its row comes back together with the operation, so that a taken name is refused at once; if anything
//! fails the row goes back into the recycle bin as it was.

use super::{create_cluster, placing, restore_new};
use crate::{App, app::act, routes};
use async_trait::async_trait;
use mainstay_model::{ClusterId, NodeId, Result, Time, cluster::Cluster};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::RemoveNode;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub restore: restore_new::State,
    /// The row as it lay in the bin.
    pub was: Box<Cluster>,
}

pub struct UndeleteCluster;

const GOES: Undo = Undo::Nothing("removed with the node");

#[async_trait]
impl Operation for UndeleteCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "undelete_cluster";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("take_addresses", "Take an address for each node and endpoint", Undo::Nothing("given back when the operation ends")),
        Step::effect("find_ports", "Find free ports", Undo::Nothing("only looks")),
        Step::db("record_addresses", "Record the addresses", Undo::Nothing("removed when the operation ends")),
        Step::effect("prepare_nodes", "Make the nodes' directories", Undo::With),
        Step::effect("restore", "Restore the data of the final backup and check it", GOES),
        Step::effect("swap_in", "Make it the primary's data", GOES),
        Step::effect("start", "Start the primary with the cluster's credentials", GOES),
        Step::effect("seed_replicas", "Seed the replicas from the primary", GOES),
        Step::effect("open_endpoint", "Open the endpoint", Undo::With),
        Step::db("ready", "Mark the cluster as running and its schedules as due", Undo::Nothing("put back when the operation ends")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let create = &mut s.restore.create;
        match step {
            "find_ports" => create.placing.find_ports(cx).await,
            "prepare_nodes" => create_cluster::prepare(cx, &create.cluster).await,
            "restore" => restore_new::restore(cx, &s.restore).await,
            "swap_in" => restore_new::swap_in(cx, &s.restore).await,
            "start" => restore_new::start(cx, &s.restore).await,
            "seed_replicas" => create_cluster::seed_replicas(cx, &create.cluster).await,
            "open_endpoint" => create_cluster::open_endpoint(cx, create).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "take_addresses" => create_cluster::take(cx, tx, &mut s.restore.create).await,
            "record_addresses" => create_cluster::record(tx, &s.restore.create).await,
            "ready" => ready(cx, tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "prepare_nodes" => {
                for (node, _) in &s.restore.create.placing.nodes {
                    act(cx, RemoveNode { node: node.clone() }).await?;
                }
                Ok(())
            }
            "open_endpoint" => routes::close(cx, &s.restore.create.cluster).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        restore_new::end_restore(end, cx, tx, &s.restore.restore).await?;
        match end {
            End::Failed(_) | End::Cancelled | End::Abandoned => put_back(tx, s).await,
            End::Succeeded => {
                cx.world.schedules_changed.notify_one();
                Ok(())
            }
            End::Stuck(_) => Ok(()),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "restore": s.restore.restore, "cluster": s.restore.create.cluster })
    }
}

async fn ready(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    create_cluster::ready(tx, &s.restore.create).await?;
    let cluster = store::clusters::get(tx, &s.was.id).await?;
    if cluster.name != s.was.name {
        rename(tx, &cluster).await?;
    }
    wake_schedules(tx, &cluster.id, cx.world.now()).await
}

/// What repeats the cluster's name.
async fn rename(tx: &mut Tx, cluster: &Cluster) -> Result<()> {
    for mut backup in store::backups::of_cluster(tx, &cluster.id).await? {
        backup.cluster_name.clone_from(&cluster.name);
        store::backups::update(tx, &backup).await?;
    }
    for mut schedule in store::schedules::of_cluster(tx, &cluster.id).await? {
        schedule.owner = cluster.into();
        store::schedules::update(tx, &schedule).await?;
    }
    Ok(())
}

/// Schedules go on from now: what they would have made of a cluster that was not there is not missed.
async fn wake_schedules(tx: &mut Tx, cluster: &ClusterId, now: Time) -> Result<()> {
    for mut schedule in store::schedules::of_cluster(tx, cluster).await? {
        if schedule.enabled {
            (schedule.done_until, schedule.next_at) = (now, Some(now));
            store::schedules::update(tx, &schedule).await?;
        }
    }
    Ok(())
}

/// Into the bin, as it lay there. Numbers that were given out are not given out again.
async fn put_back(tx: &mut Tx, s: &State) -> Result<()> {
    let nodes: Vec<NodeId> = store::nodes::of_cluster(tx, &s.was.id).await?.into_iter().map(|n| n.id).collect();
    for node in &nodes {
        store::nodes::delete(tx, node).await?;
    }
    placing::release(tx, &s.was.id, &nodes, &["rw", "ro"]).await?;
    let now = store::clusters::get(tx, &s.was.id).await?;
    let back = Cluster { next_node: now.next_node, generation: now.generation, ..(*s.was).clone() };
    store::clusters::update(tx, &back).await
}
