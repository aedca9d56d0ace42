//! Empty one place of the recycle bin: the deleted cluster's backups and repositories go, and with
//! them everything that could bring it back. Its row stays, as a name in old audit entries.

use crate::{
    App, backups,
    left_behind::{self, Stays},
};
use async_trait::async_trait;
use mainstay_model::{
    ClusterId, Error, Result,
    cluster::{Bin, Cluster},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    /// Only if its time is over when this begins.
    pub due_only: bool,
    /// Its place in the bin, for going back.
    #[serde(default)]
    pub bin: Option<Bin>,
    /// Storages that kept what was to go.
    #[serde(default)]
    pub stays: Stays,
}

pub struct PurgeCluster;

const FORWARD: Undo = Undo::Nothing("past the point of no return");

#[async_trait]
impl Operation for PurgeCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "purge_cluster";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("take", "Take the cluster out of the recycle bin", Undo::With),
        Step::effect("remove_backups", "Remove its backups from every storage", FORWARD).no_return(),
        Step::db("forget", "Forget its backups, schedules and keys", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "remove_backups" => backups::remove_all(cx, &s.cluster, &mut s.stays).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "take" => take(cx, tx, s).await,
            "forget" => forget(cx, tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "take" => {
                let mut cluster = store::clusters::get(tx, &s.cluster).await?;
                cluster.bin.clone_from(&s.bin);
                store::clusters::update(tx, &cluster).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "stays": s.stays })
    }
}

async fn take(cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    let over = |b: &Bin| b.until.is_some_and(|t| t <= cx.world.now());
    let pinned = store::backups::of_cluster(tx, &s.cluster).await?.iter().any(|b| b.pinned);
    if s.due_only && pinned {
        return Err(Error::conflict("backup_pinned", format!("a backup of the deleted cluster {} is pinned", cluster.name)));
    }
    if cluster.deleted_at.is_none() || s.due_only && !cluster.bin.as_ref().is_some_and(over) {
        return Err(not_in_bin(&cluster));
    }
    s.bin = cluster.bin.take();
    store::clusters::update(tx, &cluster).await
}

pub(crate) fn not_in_bin(cluster: &Cluster) -> Error {
    Error::conflict("not_in_bin", format!("cluster {} is not in the recycle bin; `cluster list --deleted` shows what is", cluster.name))
}

async fn forget(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    for backup in store::backups::of_cluster(tx, &s.cluster).await? {
        store::backups::delete(tx, &backup.id).await?;
    }
    store::schedules::delete_of_cluster(tx, &s.cluster).await?;
    store::assertions::delete_of_cluster(tx, &s.cluster).await?;
    store::log::delete_of_cluster(tx, &s.cluster).await?;
    store::retention::delete_of_cluster(tx, &s.cluster).await?;
    store::secrets::delete_owner(tx, s.cluster.as_str()).await?;
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    if !left_behind::forget_all(tx, &s.cluster, cluster.name.as_str(), &s.stays, cx.world.now()).await? {
        store::secrets::delete_owner(tx, &backups::keys_owner(&s.cluster)).await?;
    }
    cluster.phase_reason = Some("deleted, with all its backups".into());
    store::clusters::update(tx, &cluster).await
}
