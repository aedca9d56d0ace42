//! Delete a cluster: a final backup that was read back, then the endpoint, the nodes, the rows.
//!
//! If the final backup fails nothing is deleted. Earlier backups stay unless they were given up
//! with the cluster.

use super::{placing, serving};
use crate::{
    App,
    app::act,
    backups,
    left_behind::{self, Stays},
    routes::{self, Lead},
    topology::Topology,
};
use async_trait::async_trait;
use mainstay_model::{
    ClusterId, NodeId, Result,
    backup::{BackupKind, ReadFrom},
    cluster::{Bin, ClusterStatus, Wanted},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::RemoveNode;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub final_backup: bool,
    pub keep_backups: bool,
    pub wanted_before: Option<Wanted>,
    pub nodes: Vec<NodeId>,
    pub backup: Option<mainstay_model::BackupId>,
    /// Storages that kept what was to go.
    #[serde(default)]
    pub stays: Stays,
}

pub struct DeleteCluster;

const FORWARD: Undo = Undo::Nothing("past the point of no return; the final backup holds the data");

#[async_trait]
impl Operation for DeleteCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "delete_cluster";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("final_backup", "Make the final backup and read it back", Undo::Nothing("a good backup stays")),
        Step::db("mark", "Mark the cluster as going away", Undo::With),
        Step::effect("close_endpoint", "Close the endpoint", Undo::With),
        Step::effect("remove_nodes", "Stop the nodes and remove their data", FORWARD).no_return(),
        Step::effect("remove_backups", "Remove the backups, where they are given up", FORWARD),
        Step::db("forget", "Forget nodes and addresses", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "final_backup" => final_backup(cx, s).await,
            "close_endpoint" => routes::close(cx, &s.cluster).await,
            "remove_nodes" => remove_nodes(cx, s).await,
            "remove_backups" => remove_backups(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => {
                s.nodes = store::nodes::of_cluster(tx, &s.cluster).await?.into_iter().map(|n| n.id).collect();
                s.wanted_before = Some(serving::set_wanted(tx, &s.cluster, Wanted::Deleted).await?);
                serving::set_phase(tx, &s.cluster, Some((ClusterStatus::Deleting, "being deleted"))).await
            }
            "forget" => forget(cx, tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "close_endpoint" => reopen(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => {
                serving::set_wanted(tx, &s.cluster, s.wanted_before.unwrap_or(Wanted::Running)).await?;
                serving::set_phase(tx, &s.cluster, None).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "backup": s.backup, "stays": s.stays })
    }
}

/// As it was: a stopped cluster's endpoint lets nobody in.
async fn reopen(cx: &Cx<App>, s: &State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let lead = match s.wanted_before {
        Some(Wanted::Stopped) => Lead::Closed,
        _ => Lead::Roles { without: vec![] },
    };
    routes::lead(cx, &topology, &lead).await.map(drop)
}

async fn final_backup(cx: &Cx<App>, s: &mut State) -> Result<()> {
    if !s.final_backup {
        return Ok(());
    }
    let days = cx.world.options.final_backup_days;
    let description = "final backup before the cluster was deleted".to_string();
    // It is the last there will ever be: it goes everywhere its cluster's backups go, or nothing is deleted.
    let storages = backups::all_places(&cx.world, &s.cluster).await?;
    let new = backups::Child { kind: BackupKind::Final, description, days: Some(days), storages };
    let id = backups::child_into(cx, &s.cluster, "final", new, ReadFrom::Primary).await?;
    s.backup = Some(id);
    Ok(())
}

async fn remove_nodes(cx: &Cx<App>, s: &State) -> Result<()> {
    for node in &s.nodes {
        act(cx, RemoveNode { node: node.clone() }).await?;
    }
    Ok(())
}

async fn remove_backups(cx: &Cx<App>, s: &mut State) -> Result<()> {
    if s.final_backup || s.keep_backups {
        return Ok(());
    }
    backups::remove_all(cx, &s.cluster, &mut s.stays).await
}

async fn forget(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    if !s.final_backup && !s.keep_backups {
        for backup in store::backups::of_cluster(tx, &s.cluster).await? {
            store::backups::delete(tx, &backup.id).await?;
        }
        let name = store::clusters::get(tx, &s.cluster).await?.name;
        left_behind::forget_all(tx, &s.cluster, name.as_str(), &s.stays, cx.world.now()).await?;
    }
    for node in &s.nodes {
        store::nodes::delete(tx, node).await?;
    }
    placing::release(tx, &s.cluster, &s.nodes, &["rw", "ro"]).await?;
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    (cluster.primary, cluster.deleted_at) = (None, Some(cx.world.now()));
    cluster.bin = into_bin(cx, tx, s).await?;
    let why = if cluster.bin.is_some() { "deleted; `cluster undelete` brings it back" } else { "deleted, with all its backups" };
    (cluster.phase, cluster.phase_reason) = (Some(ClusterStatus::Deleted), Some(why.into()));
    store::clusters::update(tx, &cluster).await
}

/// Its place in the recycle bin, where its backups were kept. Its schedules rest there with it.
async fn into_bin(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<Option<Bin>> {
    if !s.final_backup && !s.keep_backups {
        store::schedules::delete_of_cluster(tx, &s.cluster).await?;
        store::assertions::delete_of_cluster(tx, &s.cluster).await?;
        store::log::delete_of_cluster(tx, &s.cluster).await?;
        store::retention::delete_of_cluster(tx, &s.cluster).await?;
        return Ok(None);
    }
    for mut schedule in store::schedules::of_cluster(tx, &s.cluster).await? {
        schedule.next_at = None;
        store::schedules::update(tx, &schedule).await?;
    }
    let until = s.final_backup.then(|| cx.world.now().plus_days(cx.world.options.final_backup_days));
    if let Some(id) = &s.backup {
        let mut last = store::backups::get(tx, id).await?;
        last.expires_at = until;
        store::backups::update(tx, &last).await?;
    }
    Ok(Some(Bin { until, nodes: u32::try_from(s.nodes.len()).unwrap_or(1) }))
}
