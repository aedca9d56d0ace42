//! Restore into an existing cluster: a safety backup, the data restored and checked *beside* the
//! live one, a short swap, then every replica seeded again. The old data stays aside.
//!
//! Until clients are let in again everything can be taken back: the old data is one rename away.

use super::{
    label, restore_new, serving,
    together::{self, GATHER, MEET},
};
use crate::{
    App,
    app::act,
    backups, log,
    routes::{self, Lead},
    tasks::observe,
    topology::Topology,
};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, ClusterId, NodeId, RestoreId, Result, StorageId, Time,
    backup::{BackupKind, ReadFrom},
    cluster::{ClusterStatus, Wanted},
    node::EngineState,
};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{DropBeside, EnsureAccounts, JoinNode, ReclaimNode, RestoreBeside, StartNode, StopNode, SwapBack, SwapData};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub restore: RestoreId,
    pub backup: BackupId,
    pub storage: StorageId,
    /// The moment the log is replayed to.
    #[serde(default)]
    pub until: Option<Time>,
    /// The node whose data is replaced: the primary when it began.
    pub node: NodeId,
    pub safety: Option<BackupId>,
    /// The restores of a group that keep step with this one.
    #[serde(default)]
    pub party: Option<String>,
    pub away_from: Option<Time>,
    pub away_until: Option<Time>,
    /// It was stopped when this began, and runs when it has succeeded.
    #[serde(default)]
    pub was_stopped: bool,
}

pub struct RestoreInPlace;

const FORWARD: Undo = Undo::Nothing("past the point of no return; `restore undo` brings the old data back");

#[async_trait]
impl Operation for RestoreInPlace {
    type World = App;
    type State = State;
    const KIND: &'static str = "restore_in_place";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("safety_backup", "Back up what is there now", Undo::Nothing("a good backup stays")),
        Step::effect("restore", "Restore beside the live data and check it", Undo::With),
        Step::effect(GATHER, "Wait for the other members of a group", Undo::Nothing("only waits")),
        Step::db("mark", "Mark the cluster as restoring", Undo::With),
        Step::effect("hold", "Hold clients at the endpoint", Undo::With),
        Step::effect("stop", "Stop the nodes", Undo::With),
        Step::effect("swap", "Swap the restored data in", Undo::With),
        Step::effect("start", "Start the primary with today's credentials", Undo::With),
        Step::effect(MEET, "Wait for the other members of a group", Undo::With),
        Step::effect("serve", "Let clients in again", FORWARD).no_return(),
        Step::effect("reseed", "Seed every replica again", FORWARD),
        Step::effect("wait_running", "Wait until every node runs", FORWARD),
        Step::effect("open_endpoint", "Lead readers to the replicas again", FORWARD),
        Step::db("finish", "Keep the old data aside for a while", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        match step {
            "safety_backup" => safety_backup(cx, s, &topology).await,
            "restore" => restore(cx, s, &topology).await,
            GATHER | MEET => together::wait(cx, s.party.as_deref(), step).await,
            "hold" => {
                s.away_from.get_or_insert(cx.world.now());
                routes::lead(cx, &topology, &Lead::HoldAndCut).await.map(drop)
            }
            "stop" => stop(cx, &topology).await,
            "swap" => swap(cx, s, &topology).await,
            "start" => start(cx, s, &topology).await,
            "serve" => {
                routes::lead(cx, &topology, &Lead::PrimaryOnly).await?;
                s.away_until.get_or_insert(cx.world.now());
                Ok(())
            }
            "reseed" => reseed(cx, &topology).await,
            "wait_running" => serving::wait_running(cx, &s.cluster).await,
            "open_endpoint" => routes::lead_by_role(cx, &s.cluster).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => {
                let sentence = "a backup is being restored; clients wait at the endpoint";
                s.was_stopped = serving::set_wanted(tx, &s.cluster, Wanted::Running).await? == Wanted::Stopped;
                serving::set_phase(tx, &s.cluster, Some((ClusterStatus::Restoring, sentence))).await
            }
            "finish" => finish(cx, tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        let topology = Topology::load(&cx.world, &s.cluster).await?;
        let plan = topology.plan(topology.node(&s.node)?)?;
        let (new, old) = (label("restored", &cx.operation), label("previous", &cx.operation));
        match step {
            MEET => together::may_turn_back(cx, s.party.as_deref()).await,
            "restore" => act(cx, DropBeside { node: s.node.clone(), label: new }).await.map(drop),
            "hold" if s.was_stopped => routes::lead(cx, &topology, &Lead::Closed).await.map(drop),
            "hold" => routes::lead(cx, &topology, &Lead::Roles { without: vec![] }).await.map(drop),
            "stop" if s.was_stopped => Ok(()),
            "stop" => start_all(cx, &topology).await,
            "swap" => act(cx, SwapBack { plan, label: new, aside: old }).await.map(drop),
            "start" => act(cx, StopNode { node: s.node.clone() }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => {
                if s.was_stopped {
                    serving::set_wanted(tx, &s.cluster, Wanted::Stopped).await?;
                }
                serving::set_phase(tx, &s.cluster, None).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        restore_new::end_restore(end, cx, tx, &s.restore).await
    }

    fn output(&self, s: &State) -> serde_json::Value {
        let away = s.away_until.zip(s.away_from).map(|(u, f)| u.seconds_since(f));
        serde_json::json!({ "restore": s.restore, "cluster": s.cluster, "away_seconds": away, "safety_backup": s.safety })
    }
}

/// Where the engine cannot be read its untouched directory takes the backup's place: it is put
/// aside by the swap and kept.
async fn safety_backup(cx: &Cx<App>, s: &mut State, topology: &Topology) -> Result<()> {
    observe::look(&cx.world, topology).await?;
    if cx.world.observed(&s.node).state != EngineState::Ready {
        cx.progress(None, "the engine cannot be read: its untouched data, put aside, takes the place of a safety backup");
        return Ok(());
    }
    let description = "before a restore replaced the data".to_string();
    let days = Some(cx.world.options.final_backup_days);
    let id = backups::child(cx, &s.cluster, "safety", BackupKind::PreRestore, description, days, ReadFrom::Primary).await?;
    s.safety = Some(id);
    Ok(())
}

async fn restore(cx: &Cx<App>, s: &State, topology: &Topology) -> Result<()> {
    let plan = topology.plan(topology.node(&s.node)?)?;
    let backup = backups::get(&cx.world, &s.backup).await?;
    let (repository, snapshot) = backups::good_copy(&cx.world, &backup, Some(&s.storage)).await?;
    let replay = log::replay_of(&cx.world, &backup, s.until).await?;
    act(cx, ReclaimNode { plan: plan.clone() }).await?;
    act(cx, RestoreBeside { plan, repository, snapshot, label: label("restored", &cx.operation), drill: None, replay }).await.map(drop)
}

pub(super) async fn stop(cx: &Cx<App>, topology: &Topology) -> Result<()> {
    for node in topology.replicas().chain(topology.primary().ok()) {
        act(cx, StopNode { node: node.id.clone() }).await?;
    }
    Ok(())
}

pub(super) async fn start_all(cx: &Cx<App>, topology: &Topology) -> Result<()> {
    for node in topology.primary().ok().into_iter().chain(topology.replicas()) {
        act(cx, StartNode { plan: topology.plan(node)? }).await?;
    }
    Ok(())
}

async fn swap(cx: &Cx<App>, s: &State, topology: &Topology) -> Result<()> {
    let plan = topology.plan(topology.node(&s.node)?)?;
    act(cx, SwapData { plan, label: label("restored", &cx.operation), aside: label("previous", &cx.operation) }).await.map(drop)
}

async fn start(cx: &Cx<App>, s: &State, topology: &Topology) -> Result<()> {
    let plan = topology.plan(topology.node(&s.node)?)?;
    act(cx, StartNode { plan: plan.clone() }).await?;
    act(cx, EnsureAccounts { plan }).await.map(drop)
}

/// Every replica is of the old history now: wiped and seeded again, never reused. Its old data is
/// put aside until the new copy is there.
pub(super) async fn reseed(cx: &Cx<App>, topology: &Topology) -> Result<()> {
    let upstream = topology.peer(topology.primary()?)?;
    for replica in topology.replicas() {
        let (plan, old) = (topology.plan(replica)?, label("old", &cx.operation));
        act(cx, StopNode { node: replica.id.clone() }).await?;
        act(cx, ReclaimNode { plan: plan.clone() }).await?;
        act(cx, SwapData { plan: plan.clone(), label: String::new(), aside: old.clone() }).await?;
        act(cx, JoinNode { plan, upstream: upstream.clone() }).await?;
        act(cx, DropBeside { node: replica.id.clone(), label: old }).await?;
    }
    Ok(())
}

async fn finish(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    let mut row = store::restores::get(tx, &s.restore).await?;
    row.previous_label = Some(label("previous", &cx.operation));
    row.previous_node = Some(s.node.clone());
    row.previous_until = Some(cx.world.now().plus_days(cx.world.options.previous_days));
    row.safety_backup.clone_from(&s.safety);
    store::restores::update(tx, &row).await?;
    log::end_line(tx, &s.cluster, cx.world.now(), "a restore replaced the data").await?;
    serving::set_phase(tx, &s.cluster, None).await
}
