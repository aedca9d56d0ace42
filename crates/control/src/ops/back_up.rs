//! Back up: choose the source, capture it in one pass into all storages, record what was read back.
//!
//! The copies are one recovery point. Once one of them is good, a storage that did not answer is
//! given what the good one has; the source, which has gone on since, is not captured again.
//!
//! The backup's row is written together with the operation and always ends as something: completed
//! when every copy was read back, partial when some were, failed with the reason otherwise.

use crate::{App, app::act, backups, left_behind, plan, schedules, tasks::observe, topology::Topology, turns};
use async_trait::async_trait;
use mainstay_drivers::{
    engine::NodePlan,
    storage::{Depth, Stored},
};
use mainstay_model::{
    BackupId, ClusterId, Error, NodeId, Result, StorageId,
    backup::{Backup, BackupKind, BackupStatus, Copy, Proof, ReadFrom},
    node::Position,
};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{BuildOn, Cancel, Capture, CopySnapshot, DeleteSnapshots, GivingWay, ListSnapshots, Party, WaitFor};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

/// How long a replica may take to reach the primary's position before the primary is used.
const REPLICA_CATCH_UP_MS: u64 = 5_000;
/// How often a storage that does not answer is tried before the backup does without it.
const TRIES: u32 = 3;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub backup: BackupId,
    pub from: ReadFrom,
    pub source: Option<NodeId>,
    /// The other captures that this one has its point with.
    #[serde(default)]
    pub party: Option<Party>,
    /// Everything is read: nothing is taken over from an earlier backup.
    #[serde(default)]
    pub full: bool,
    /// How often the capture was tried.
    #[serde(default)]
    pub tries: u32,
    /// No replica was able to bear it: the primary is read.
    #[serde(default)]
    pub from_primary: bool,
    /// One for each storage that was tried, good ones first.
    pub results: Vec<(StorageId, Result<Stored, Error>)>,
}

impl State {
    pub fn new(cluster: &ClusterId, backup: &BackupId, from: ReadFrom) -> State {
        State {
            cluster: cluster.clone(),
            backup: backup.clone(),
            from,
            source: None,
            party: None,
            full: false,
            tries: 0,
            from_primary: false,
            results: vec![],
        }
    }
}

impl State {
    /// After a replica that could not bear it, the next try reads the primary.
    fn look_elsewhere(&mut self, e: &Error, topology: &Topology) {
        if e.code == "source_behind" {
            self.from_primary = true;
            self.source = topology.primary().ok().map(|p| p.id.clone());
        }
    }
}

pub struct BackUp;

#[async_trait]
impl Operation for BackUp {
    type World = App;
    type State = State;
    const KIND: &'static str = "back_up";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("choose_source", "Choose a caught-up node to read from", Undo::Nothing("only looks")),
        Step::effect("capture", "Capture once, store in every place, and read back", Undo::With),
        Step::db("record", "Record the backup", Undo::Nothing("its row says how it ended")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "choose_source" => {
                plan::before::clock_is_sane(cx.world.now(), last_good(cx, s).await?.as_ref())?;
                choose_source(cx, s).await
            }
            "capture" => capture(cx, s).await,
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
            "capture" => take_back(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        cx.world.nudges.nudge(&s.cluster);
        let why = match end {
            End::Succeeded => return Ok(()),
            End::Failed(e) | End::Stuck(e) => e.message.clone(),
            End::Cancelled => "cancelled".into(),
            End::Abandoned => "abandoned".into(),
        };
        let mut backup = store::backups::get(tx, &s.backup).await?;
        (backup.status, backup.error, backup.finished_at) = (BackupStatus::Failed, Some(why.clone()), Some(cx.world.now()));
        for copy in &mut backup.copies {
            (copy.status, copy.snapshot) = (BackupStatus::Failed, None);
            copy.error.get_or_insert(why.clone());
        }
        store::backups::update(tx, &backup).await?;
        let_go(cx, tx, &backup).await
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "backup": s.backup })
    }
}

async fn last_good(cx: &Cx<App>, s: &State) -> Result<Option<Backup>> {
    store::backups::last_good(&mut *cx.world.store.read().await?, &s.cluster).await
}

async fn choose_source(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    observe::look(&cx.world, &topology).await?;
    let primary = topology.primary()?.clone();
    s.source = Some(primary.id.clone());
    let seen = cx.world.observed(&primary.id);
    let Some(position) = seen.position.clone().filter(|_| s.from == ReadFrom::Replica && !s.from_primary) else {
        return Ok(());
    };
    let fit = topology.replicas().filter(|n| n.phase.is_none() && plan::candidate::may_capture(&cx.world.observed(&n.id), &seen));
    for replica in fit {
        if reaches(cx, &topology, replica, &position).await {
            s.source = Some(replica.id.clone());
            return Ok(());
        }
    }
    Ok(())
}

/// What was acknowledged before the backup was asked for must be in it: a replica is used only when
/// it holds the position that the primary has now.
async fn reaches(cx: &Cx<App>, topology: &Topology, replica: &mainstay_model::node::Node, position: &Position) -> bool {
    let Ok(plan) = topology.plan(replica) else { return false };
    act(cx, WaitFor { plan, position: position.clone(), timeout_ms: REPLICA_CATCH_UP_MS }).await.is_ok()
}

async fn capture(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let backup = backups::get(&cx.world, &s.backup).await?;
    s.results.retain(|(_, r)| r.is_ok());
    let missing = |c: &&Copy| !s.results.iter().any(|(storage, _)| *storage == c.storage);
    let missing: Vec<StorageId> = backup.copies.iter().filter(missing).map(|c| c.storage.clone()).collect();
    let by_itself = backup.kind == BackupKind::Scheduled;
    let turn = turns::take(cx, by_itself, s.party.as_ref().map(|p| p.id.as_str()), &missing).await?;
    if turn.waited {
        // Who was fit to be read from may not be any more.
        choose_source(cx, s).await?;
    }
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let source = s.source.clone().unwrap_or(topology.primary()?.id.clone());
    let plan = topology.plan(topology.node(&source)?)?;
    s.tries += 1;
    let good = s.results.iter().find_map(|(storage, r)| Some((storage.clone(), r.as_ref().ok()?.snapshot.clone())));
    let results = match good {
        None => read_once(cx, s, &topology, plan, &backup, &missing).await.inspect_err(|e| s.look_elsewhere(e, &topology))?,
        Some((storage, snapshot)) => copy_from(cx, &backup, &storage, &snapshot, &missing).await?,
    };
    s.results.extend(missing.into_iter().zip(results));
    verdict(s)
}

async fn read_once(
    cx: &Cx<App>,
    s: &State,
    topology: &Topology,
    plan: NodePlan,
    backup: &Backup,
    storages: &[StorageId],
) -> Result<Vec<Result<Stored>>> {
    let mut repositories = vec![];
    for storage in storages {
        repositories.push(backups::repository(&cx.world, &topology.cluster, storage).await?);
    }
    let made = store::backups::of_cluster(&mut *cx.world.store.read().await?, &s.cluster).await?;
    let expected = storages.iter().map(|storage| plan::before::expected(&made, storage)).collect();
    let giving_way = giving_way(cx, topology, &plan)?;
    let base = if s.full { None } else { plan::base::choose(&made, storages, &plan.name) };
    let base = base.map(|c| BuildOn { backup: c.backup, snapshots: c.snapshots });
    let (label, party) = (backups::label(backup), s.party.clone());
    or_cancelled(cx, act(cx, Capture { plan, repositories, label, party, base, giving_way, expected })).await
}

/// A primary has to bear it: there is nobody behind whom it could fall.
fn giving_way(cx: &Cx<App>, topology: &Topology, plan: &NodePlan) -> Result<Option<GivingWay>> {
    let (primary, options) = (topology.primary()?, &cx.world.options);
    if plan.id == primary.id {
        return Ok(None);
    }
    Ok(Some(GivingWay {
        primary: topology.plan(primary)?,
        lag_bytes: options.backup_lag_bytes,
        lag_seconds: options.backup_lag_seconds,
        wait_seconds: options.backup_pause_seconds,
    }))
}

async fn copy_from(cx: &Cx<App>, backup: &Backup, good: &StorageId, snapshot: &str, storages: &[StorageId]) -> Result<Vec<Result<Stored>>> {
    let (from, mut results) = (backups::repository_of(&cx.world, backup, good).await?, vec![]);
    for storage in storages {
        let to = backups::repository_of(&cx.world, backup, storage).await?;
        let verb = CopySnapshot { from: from.clone(), snapshot: snapshot.into(), to, backup: backup.id.clone() };
        results.push(or_cancelled(cx, async { Ok(act(cx, verb).await) }).await?);
    }
    Ok(results)
}

async fn or_cancelled<T>(cx: &Cx<App>, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = cx.cancelled() => Err(Error::conflict("cancelled", "cancelled")),
    }
}

/// A storage that is not to be had is tried again, and in the end given up for this backup where
/// another one has it. What was stuck was so for long, and is not waited for more than three times; one
/// that was asked and said nothing for a minute is not asked again.
fn verdict(s: &State) -> Result<()> {
    let passes = |e: &Error| e.is_transient() && e.code != "storage_silent";
    let errors: Vec<&Error> = s.results.iter().filter_map(|(_, r)| r.as_ref().err()).collect();
    let none = errors.len() == s.results.len();
    match errors.iter().find(|e| passes(e)).or(errors.first()) {
        Some(e) if e.code == "storage_silent" && none => Err(Error::failed("storage_silent", e.message.clone())),
        Some(e) if e.code == "storage_stuck" && none && s.tries >= TRIES => {
            Err(Error::failed("storage_stuck", format!("{}, {TRIES} times", e.message)))
        }
        Some(e) if none || passes(e) && s.tries < TRIES => Err((*e).clone()),
        _ => Ok(()),
    }
}

/// Stops what still runs and removes what was published, in every storage that can be reached.
async fn take_back(cx: &Cx<App>, s: &State) -> Result<()> {
    act(cx, Cancel { operation: cx.operation.to_string() }).await?;
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    let backup = backups::get(&cx.world, &s.backup).await?;
    for copy in &backup.copies {
        let repository = backups::repository(&cx.world, &topology.cluster, &copy.storage).await?;
        let published = match act(cx, ListSnapshots { repository: repository.clone() }).await {
            Ok(all) => all.into_iter().filter(|p| p.label.backup == s.backup).map(|p| p.id).collect::<Vec<_>>(),
            // What was surely published is surely removed; a storage that never answered has nothing.
            Err(e) if s.results.iter().any(|(storage, r)| *storage == copy.storage && r.is_ok()) => return Err(e),
            Err(_) => continue,
        };
        if !published.is_empty() {
            let deleted = act(cx, DeleteSnapshots { repository, snapshots: published.clone(), prune: false }).await?;
            left_behind::note_published(&cx.world, &backup, &copy.storage, &published, deleted).await?;
        }
    }
    Ok(())
}

async fn record(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    let mut backup = store::backups::get(tx, &s.backup).await?;
    let previous = store::backups::last_good(tx, &s.cluster).await?;
    for (storage, result) in &s.results {
        if let Some(copy) = backup.copies.iter_mut().find(|c| &c.storage == storage) {
            record_copy(copy, result);
        }
    }
    if let Some(stored) = s.results.iter().find_map(|(_, r)| r.as_ref().ok()) {
        backup.data_bytes = Some(stored.data_bytes);
        backup.engine_version.clone_from(&stored.facts.engine_version);
        backup.checks.clone_from(&stored.checks);
        let doubt = plan::suspicious::suspicious(stored.data_bytes, &stored.facts, previous.as_ref());
        backup.proof = if doubt.is_some() { Proof::Suspicious } else { Proof::Verified };
        if let Some(why) = doubt {
            // Only a drill ends the doubt, and the next backups are measured by the one before this.
            cx.world.drill_ended.notify_one();
            backup.checks.push(mainstay_model::backup::Check::new("plausible", false, why));
        }
        backup.facts = Some(stored.facts.clone());
    }
    settle(&mut backup);
    backup.finished_at = Some(cx.world.now());
    store::backups::update(tx, &backup).await?;
    let_go(cx, tx, &backup).await
}

/// Its schedule may have a time that waits for this one. Those of a group wait for the whole.
async fn let_go(cx: &Cx<App>, tx: &mut Tx, backup: &Backup) -> Result<()> {
    schedules::let_go(&cx.world, tx, backup.schedule.as_ref().filter(|_| backup.part_of.is_none())).await
}

pub(super) fn record_copy(copy: &mut Copy, result: &Result<Stored, Error>) {
    match result {
        Ok(stored) => {
            (copy.status, copy.snapshot) = (BackupStatus::Completed, Some(stored.snapshot.clone()));
            (copy.added_bytes, copy.verified_at, copy.error) = (Some(stored.added_bytes), Some(stored.verified_at), None);
        }
        Err(e) => (copy.status, copy.error) = (BackupStatus::Failed, Some(e.message.clone())),
    }
}

/// The backup's status from its copies': a partial success is not a success. One that is being deleted
/// goes on being deleted, and would become that again. What failed its drill stays failed, however well
/// its copies read: only a drill that passes takes that back. Copies that were let go count neither way; where
/// no other is good any more, those that were only announced come back.
pub(crate) fn settle(backup: &mut Backup) {
    if !backup.copies.iter().any(Copy::is_good) {
        backup.bring_copies_back();
    }
    let good = backup.copies.iter().filter(|c| c.is_good()).count();
    let counted = backup.copies.iter().filter(|c| !c.is_let_go()).count();
    let condemned = backup.drill.as_ref().is_some_and(|d| !d.ok);
    let status = match good {
        _ if condemned => BackupStatus::Failed,
        0 => BackupStatus::Failed,
        n if n == counted => BackupStatus::Completed,
        _ => BackupStatus::Partial,
    };
    match (backup.status, &mut backup.deleting) {
        (BackupStatus::Deleting, Some(deleting)) => deleting.was = status,
        (BackupStatus::Deleting, None) => {}
        _ => backup.status = status,
    }
    if !condemned {
        backup.error = backup.copies.iter().find_map(|c| c.error.as_ref().map(|e| format!("{}: {e}", c.storage_name)));
    }
    if good == 0 || condemned {
        backup.proof = Proof::None;
    }
}

/// How much of a snapshot a verification reads.
pub const DEPTH: Depth = Depth::Data;
