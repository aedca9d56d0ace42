//! Drill: restore a backup into a throw-away instance that nobody can reach, start the engine,
//! compare what was counted, take the time, remove it all.

use super::back_up;
use crate::{App, app::act, backups, drills, log, plan, topology::Topology};
use async_trait::async_trait;
use mainstay_drivers::engine::NodePlan;
use mainstay_model::{
    BackupId, Error, Kind, NodeId, Result, StorageId, Time, assertion,
    backup::{Backup, Check, Drill as Outcome, Proof},
    drill::{DrillRecord, DrillResult},
};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{Drill as Asked, PrepareNode, RemoveNode, RestoreBeside};
use mainstay_store::{self as store, Paging};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub backup: BackupId,
    /// The throw-away node.
    pub node: NodeId,
    pub seconds: Option<f64>,
    pub checks: Vec<Check>,
    /// The moment the log is replayed to.
    #[serde(default)]
    pub until: Option<Time>,
    /// Whose copy is restored: each storage's in turn.
    #[serde(default)]
    pub storage: Option<(StorageId, String)>,
}

pub struct Drill;

#[async_trait]
impl Operation for Drill {
    type World = App;
    type State = State;
    const KIND: &'static str = "drill";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("restore", "Restore into a throw-away instance and check it", Undo::With),
        Step::effect("remove", "Remove the throw-away instance", Undo::Nothing("there is nothing to bring back")),
        Step::db("record", "Record the result", Undo::Nothing("what was found stays found")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "restore" => restore(cx, s).await,
            "remove" => act(cx, RemoveNode { node: s.node.clone() }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => record(cx, tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "restore" => act(cx, RemoveNode { node: s.node.clone() }).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    /// A drill that showed the data to be bad fails the backup; [`crate::tasks::drill`] then makes a new
    /// one, and retention stands still until a drill passes. One that could not be done (no room, no
    /// engine) says nothing about it.
    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        cx.world.drill_ended.notify_one();
        remember(cx, tx, s, &end).await?;
        let (End::Failed(e) | End::Stuck(e)) = end else { return Ok(()) };
        // What a replay found may be the log's fault: the backup is judged by drills of its own moment.
        if e.kind != Kind::Integrity || s.until.is_some() {
            return Ok(());
        }
        let mut backup = store::backups::get(tx, &s.backup).await?;
        backup.drill = Some(Outcome { at: cx.world.now(), ok: false, seconds: s.seconds.unwrap_or(0.0) });
        backup.error = Some(format!("the drill failed: {}", e.message));
        put_checks(&mut backup, s);
        back_up::settle(&mut backup);
        backups::update(tx, &backup).await?;
        doubt(tx, &backup).await
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "backup": s.backup, "seconds": s.seconds })
    }
}

/// Backups that took content over from one that is bad may hold the same: they count no more until a
/// drill of their own has passed.
async fn doubt(tx: &mut Tx, failed: &Backup) -> Result<()> {
    let all = store::backups::of_cluster(tx, &failed.cluster).await?;
    let built = plan::base::built_on(&all, &failed.id);
    for mut backup in all.into_iter().filter(|b| b.proof == Proof::Verified && built.contains(&b.id)) {
        backup.proof = Proof::Suspicious;
        backup.checks.push(Check::new("base", false, format!("built on backup {}, which failed its drill", failed.id)));
        store::backups::update(tx, &backup).await?;
    }
    Ok(())
}

async fn restore(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let backup = backups::get(&cx.world, &s.backup).await?;
    let history = store::drills::list(&mut *cx.world.store.read().await?, &backup.cluster, &Paging::default()).await?.items;
    if s.storage.is_none() {
        s.storage = plan::drill::turn(&backup, &history).map(|copy| (copy.storage.clone(), copy.storage_name.clone()));
    }
    let storage = s.storage.as_ref().map(|(id, _)| id);
    let (repository, snapshot) = backups::good_copy(&cx.world, &backup, storage).await?;
    let began = cx.world.now();
    let plan = throw_away(cx, &backup, &s.node).await?;
    let assertions = store::assertions::of_cluster(&mut *cx.world.store.read().await?, &backup.cluster).await?;
    act(cx, PrepareNode { plan: plan.clone() }).await?;
    let drill = Some(Asked { assertions });
    let replay = log::replay_of(&cx.world, &backup, s.until).await?;
    let done = act(cx, RestoreBeside { plan, repository, snapshot, label: "drill".into(), drill, replay }).await?;
    s.seconds = Some(cx.world.now().seconds_since(began));
    s.checks = [done.checks, done.proof].concat();
    judged(&s.checks)
}

/// One bad check is enough, and the first says what is wrong; the others are remembered as well.
fn judged(checks: &[Check]) -> Result<()> {
    match checks.iter().find(|c| c.failed()) {
        None => Ok(()),
        Some(bad) => Err(Error::integrity(format!("the restored data did not pass the check {}: {}", bad.name, bad.detail))),
    }
}

/// A node of the backup's cluster that has no address anybody could connect to.
async fn throw_away(cx: &Cx<App>, backup: &Backup, node: &NodeId) -> Result<NodePlan> {
    let topology = Topology::load(&cx.world, &backup.cluster).await?;
    Ok(NodePlan {
        id: node.clone(),
        name: format!("{}-drill", backup.cluster_name),
        cluster: backup.cluster.clone(),
        cluster_name: backup.cluster_name.clone(),
        engine: backup.engine.clone(),
        version: topology.cluster.version.clone(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 1,
        settings: topology.cluster.settings.clone(),
        accounts: topology.accounts,
        keeps_log: false,
    })
}

async fn record(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    let mut backup = store::backups::get(tx, &s.backup).await?;
    backup.drill = Some(Outcome { at: cx.world.now(), ok: true, seconds: s.seconds.unwrap_or(0.0) });
    backup.proof = Proof::Drilled;
    put_checks(&mut backup, s);
    back_up::settle(&mut backup);
    backups::update(tx, &backup).await
}

/// An assertion that was taken away since the last drill says nothing about this one.
fn put_checks(backup: &mut Backup, s: &State) {
    backup.checks.retain(|c| !c.name.starts_with(assertion::CHECK) && !s.checks.iter().any(|n| n.name == c.name));
    backup.checks.extend(s.checks.iter().cloned());
}

/// For the history. One that is stuck has not ended yet.
async fn remember(cx: &Cx<App>, tx: &mut Tx, s: &State, end: &End<'_>) -> Result<()> {
    let (result, reason) = match end {
        End::Succeeded => (DrillResult::Passed, None),
        End::Failed(e) if e.kind == Kind::Integrity => (DrillResult::Failed, Some(e.message.clone())),
        End::Failed(e) => (DrillResult::NotDone, Some(e.message.clone())),
        End::Cancelled => (DrillResult::NotDone, Some("cancelled".into())),
        End::Abandoned => (DrillResult::NotDone, Some("abandoned".into())),
        End::Stuck(_) => return Ok(()),
    };
    let backup = match store::backups::get(tx, &s.backup).await {
        Err(e) if e.kind == Kind::NotFound => return Ok(()),
        found => found?,
    };
    let seconds = s.seconds.filter(|_| result == DrillResult::Passed);
    let record = drills::record(&cx.world, &backup, result, seconds, reason);
    store::drills::insert(tx, &DrillRecord { checks: s.checks.clone(), storage: s.storage.clone(), ..record }).await
}
