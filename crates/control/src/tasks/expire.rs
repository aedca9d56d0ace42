//! Deletes what no rule keeps: announced first, undoable for three days, then removed for good.
//!
//! Looks every hour and soon after a backup ended. Nothing is deleted on a doubt: a clock that leapt, a
//! storage that does not answer or holds other snapshots than the catalogue says, more at once than
//! policies usually let go. Each doubt is a sentence among the cluster's warnings.

use crate::{
    App, backups, left_behind, ops,
    ops::{expire_backups, purge_cluster},
    plan::{
        drift::{Drift, Held, drift},
        retention::{Clock, Plan, Spot},
    },
    retention::{self, Catalogue, Doubts, Marked},
};
use mainstay_drivers::storage::LOG;
use mainstay_model::{
    BackupId, ClusterId, Error, Kind, Result, StorageId, Time,
    backup::{Backup, BackupStatus, Copy},
    cluster::Cluster,
};
use mainstay_operations::{Lock, Operation, Status};
use mainstay_rpc::verbs::ListSnapshots;
use mainstay_store::{self as store, retention::Notes};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(3600);
/// Agents come back after the control plane does.
const FIRST: Duration = Duration::from_secs(60);
/// Backups end in flocks; and the end that rings the bell has to be committed.
const SOON: Duration = Duration::from_secs(2);
/// How often a storage is compared with the catalogue where nothing else asks for it.
const COMPARE_SECONDS: i64 = 24 * 3600;
/// How many one operation removes.
const BATCH: usize = 500;

/// Clusters whose backups changed.
#[derive(Default)]
pub struct Nudges {
    clusters: Mutex<BTreeSet<ClusterId>>,
    bell: tokio::sync::Notify,
}

impl Nudges {
    pub fn nudge(&self, cluster: &ClusterId) {
        self.clusters.lock().unwrap_or_else(|e| e.into_inner()).insert(cluster.clone());
        self.bell.notify_one();
    }

    fn take(&self) -> BTreeSet<ClusterId> {
        std::mem::take(&mut *self.clusters.lock().unwrap_or_else(|e| e.into_inner()))
    }
}

pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut hour = tokio::time::interval_at(tokio::time::Instant::now() + FIRST, PERIOD);
    hour.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let looked = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = hour.tick() => all(&app).await,
            () = app.nudges.bell.notified() => {
                if shutdown.run_until_cancelled(tokio::time::sleep(SOON)).await.is_none() {
                    return;
                }
                some(&app, app.nudges.take()).await.map(drop)
            }
        };
        if let Err(e) = looked {
            tracing::warn!(inside = e.inside, "backups were not looked through for what may go, trying again later: {e}");
        }
    }
}

/// Every cluster of which something may go, and the recycle bin.
pub async fn all(app: &App) -> Result<()> {
    let clock = some(app, worth_a_look(app).await?).await?;
    empty_bin(app, clock).await
}

/// Only time and new backups make a rule let go of one, and after a new one its cluster is looked at by
/// itself. So of all clusters those are read of which something has lapsed, those with warnings, which may
/// be over, and once a day every one.
async fn worth_a_look(app: &App) -> Result<BTreeSet<ClusterId>> {
    let now = app.now();
    let mut conn = app.store.read().await?;
    let mut clusters: BTreeSet<ClusterId> = store::backups::lapsed(&mut conn, now).await?.into_iter().collect();
    let notes: HashMap<ClusterId, Notes> = store::retention::all_notes(&mut conn).await?.into_iter().collect();
    let rests = |id: &ClusterId| notes.get(id).is_some_and(|n| n.warnings.is_empty() && !is_due(n, now));
    clusters.extend(store::clusters::ids(&mut conn).await?.into_iter().filter(|id| !rests(id)));
    Ok(clusters)
}

/// Whether it is time to compare the storages with the catalogue again.
fn is_due(last: &Notes, now: Time) -> bool {
    last.at.plus_seconds(COMPARE_SECONDS) < now
}

/// One cluster that cannot be dealt with keeps no other from it.
async fn some(app: &App, clusters: BTreeSet<ClusterId>) -> Result<Clock> {
    let clock = look_at_clock(app).await?;
    for cluster in &clusters {
        if let Err(e) = one(app, cluster, clock, false).await {
            tracing::warn!(inside = e.inside, "the backups of cluster {cluster} were not looked through: {e}");
        }
    }
    Ok(clock)
}

/// One cluster now, at a person's word: the brake is off and the clock is believed.
pub(crate) async fn confirmed(app: &App, cluster: &ClusterId) -> Result<Marked> {
    let now = app.now();
    one(app, cluster, Clock { now, last: Some(now) }, true).await
}

const LAST_LOOK: &str = "retention/last_look";

async fn look_at_clock(app: &App) -> Result<Clock> {
    let mut tx = app.store.begin_write().await?;
    let last = store::kv::get(&mut tx, LAST_LOOK).await?.as_deref().and_then(Time::parse);
    let now = app.now();
    store::kv::put(&mut tx, LAST_LOOK, &now.to_string()).await?;
    store::commit(tx).await?;
    Ok(Clock { now, last })
}

/// Marks, removes, compares and notes for one cluster. `confirmed` lifts the brake.
async fn one(app: &App, id: &ClusterId, clock: Clock, confirmed: bool) -> Result<Marked> {
    let (catalogue, last_notes) = {
        let mut conn = app.store.read().await?;
        match Catalogue::load(&mut conn, id, app.now()).await {
            Ok(catalogue) => (catalogue, store::retention::notes(&mut conn, id).await?),
            Err(e) if e.kind == Kind::NotFound => return Ok(Marked::default()),
            Err(e) => return Err(e),
        }
    };
    if !catalogue.is_settled() {
        return Ok(Marked::default());
    }
    let plan = if confirmed { catalogue.plan_confirmed(clock) } else { catalogue.plan(clock) };
    let copies = catalogue.copies(&catalogue.policy, &plan, clock);
    let stands = clock.doubt().is_some() || catalogue.frozen.is_some();
    let due = if stands { Due::default() } else { due(&catalogue, copies.due, clock.now) };
    let compare = is_due(&last_notes, clock.now);
    let quiet = last_notes.warnings.is_empty() && catalogue.frozen.is_none();
    if plan.delete.is_empty() && copies.delete.is_empty() && due.is_empty() && !compare && quiet {
        return Ok(Marked::default());
    }
    let found = survey(app, &catalogue).await?;
    record_missing(app, &found).await?;
    let suspended = suspended(app, &catalogue, &plan, &found).await?;
    let doubts = Doubts { suspended, silent: found.silent.keys().cloned().collect() };
    let marked = retention::mark(app, id, &doubts, clock, confirmed).await?;
    let gone = remove(app, &catalogue.cluster, due, &found).await?;
    let told = found.warnings(&marked, &catalogue);
    let warnings = catalogue.frozen.into_iter().chain(told).chain(gone).collect();
    retention::note(app, id, warnings).await?;
    Ok(marked)
}

/// Those whose deletion can no longer be undone.
#[derive(Default)]
struct Due {
    backups: Vec<Backup>,
    /// Single copies of backups that stay.
    copies: Vec<(Backup, StorageId)>,
}

impl Due {
    fn is_empty(&self) -> bool {
        self.backups.is_empty() && self.copies.is_empty()
    }
}

fn due(catalogue: &Catalogue, copies: Vec<Spot>, now: Time) -> Due {
    let over = |b: &&Backup| b.status == BackupStatus::Deleting && b.deleting.as_ref().is_some_and(|d| d.until <= now);
    let free = |b: &&Backup| !catalogue.pins.held.contains_key(&b.id) && catalogue.others_let_go(&b.id);
    let backups = catalogue.backups.iter().filter(over).filter(free).take(BATCH).cloned().collect();
    let copy = |(id, storage): Spot| Some((catalogue.get(&id)?.clone(), storage));
    Due { backups, copies: copies.into_iter().take(BATCH).filter_map(copy).collect() }
}

/// What is suspended of this cluster, and of those that lose parts of its group backups with it.
async fn suspended(app: &App, own: &Catalogue, plan: &Plan, found: &Survey) -> Result<BTreeMap<ClusterId, BTreeMap<StorageId, String>>> {
    let mut all = BTreeMap::from([(own.cluster.id.clone(), found.suspended.clone())]);
    for other in own.touched(plan) {
        all.insert(other.cluster.id.clone(), survey(app, other).await?.suspended);
    }
    Ok(all)
}

/// What the storages of one cluster said.
#[derive(Default)]
struct Survey {
    suspended: BTreeMap<StorageId, String>,
    silent: BTreeMap<StorageId, String>,
    missing: Vec<(BackupId, StorageId)>,
}

impl Survey {
    fn warnings(&self, marked: &Marked, of: &Catalogue) -> Vec<String> {
        let until = format!("until `mainstay cluster backup-policy {} --apply` confirms it", of.cluster.name);
        let stopped = marked
            .brake
            .map(|b| format!("retention would delete {} of {} good backups at once; nothing is deleted {until}", b.going, b.of));
        let copies = marked.copies_brake.as_ref().map(|(storage, b)| {
            let known = of.backups.iter().flat_map(|b| &b.copies).find(|c| &c.storage == storage);
            let name = known.map_or(storage.as_str(), |c| c.storage_name.as_str());
            format!("retention would remove {} of {} good copies from storage {name} at once; no copy is removed {until}", b.going, b.of)
        });
        let stopped = stopped.into_iter().chain(copies);
        self.suspended.values().chain(self.silent.values()).cloned().chain(stopped).collect()
    }

    fn stands_back(&self, backup: &Backup) -> bool {
        let doubted = |s: &StorageId| self.suspended.contains_key(s) || self.silent.contains_key(s);
        backup.copies.iter().any(|c| c.snapshot.is_some() && doubted(&c.storage))
    }
}

/// Asks every storage that should hold something of the cluster.
async fn survey(app: &App, catalogue: &Catalogue) -> Result<Survey> {
    let mut survey = Survey::default();
    for (storage, (name, expected)) in expected(&catalogue.backups) {
        let Some(repository) = backups::repository_there(app, &catalogue.cluster, &storage).await? else { continue };
        let listed = match app.agent.look(&ListSnapshots { repository }).await {
            Ok(listed) => listed,
            Err(e) => {
                let why = if e.kind == Kind::NotFound { "the repository is not there; is the place mounted?".into() } else { e.message };
                let told =
                    format!("storage {name} cannot be asked what it holds, so nothing is deleted from it and it is asked again: {why}");
                survey.silent.insert(storage, told);
                continue;
            }
        };
        let found: Vec<Held> = listed.into_iter().filter(|s| s.label.kind != LOG).map(|s| (s.id, s.label.backup)).collect();
        let known = known(app, &catalogue.cluster.id).await?;
        survey.note(storage, &name, drift(&expected, &found, &known));
    }
    Ok(survey)
}

/// Those of the catalogue, and those given up that their storages keep.
async fn known(app: &App, cluster: &ClusterId) -> Result<BTreeSet<BackupId>> {
    let mut conn = app.store.read().await?;
    let living = store::backups::of_cluster(&mut conn, cluster).await?.into_iter().map(|b| b.id);
    Ok(living.chain(left_behind::backups(&mut conn, cluster).await?).collect())
}

impl Survey {
    fn note(&mut self, storage: StorageId, name: &str, drift: Drift) {
        if drift.is_none() {
            return;
        }
        let mut parts = Vec::new();
        if !drift.unknown.is_empty() {
            parts.push(format!("it holds {} that the catalogue does not know ({})", count(drift.unknown.len()), drift.unknown.join(", ")));
        }
        if !drift.missing.is_empty() {
            let ids: Vec<_> = drift.missing.iter().map(ToString::to_string).collect();
            parts.push(format!("{} that the catalogue knows is not in it any more ({})", count(ids.len()), ids.join(", ")));
        }
        let mend = "find out who changed it, and remove or recover what is unknown";
        self.suspended.insert(storage.clone(), format!("deletions in storage {name} are suspended: {}; {mend}", parts.join(", and ")));
        self.missing.extend(drift.missing.into_iter().map(|b| (b, storage.clone())));
    }
}

fn count(n: usize) -> String {
    if n == 1 { "1 snapshot".into() } else { format!("{n} snapshots") }
}

/// By storage: its name, and the snapshots that must be in it.
fn expected(backups: &[Backup]) -> BTreeMap<StorageId, (String, Vec<Held>)> {
    let mut places: BTreeMap<StorageId, (String, Vec<Held>)> = BTreeMap::new();
    // What is being removed for good may be there or not, as a whole or a single copy.
    let removed = |c: &Copy| c.status == BackupStatus::Deleting && c.deleting_until.is_none();
    for backup in backups.iter().filter(|b| b.status != BackupStatus::Deleting || b.deleting.is_some()) {
        for copy in &backup.copies {
            let Some(snapshot) = copy.snapshot.clone() else { continue };
            let place = places.entry(copy.storage.clone()).or_insert_with(|| (copy.storage_name.clone(), vec![]));
            if copy.status != BackupStatus::Failed && !removed(copy) {
                place.1.push((snapshot, backup.id.clone()));
            }
        }
    }
    places
}

/// A copy that is not there has failed, whoever took it away.
async fn record_missing(app: &App, found: &Survey) -> Result<()> {
    if found.missing.is_empty() {
        return Ok(());
    }
    let mut tx = app.store.begin_write().await?;
    for (id, storage) in &found.missing {
        let mut backup = match store::backups::get(&mut tx, id).await {
            Ok(backup) => backup,
            Err(e) if e.kind == Kind::NotFound => continue,
            Err(e) => return Err(e),
        };
        let others = backup.copies.iter().any(|c| &c.storage != storage && c.is_good());
        let Some(copy) = backup.copies.iter_mut().find(|c| &c.storage == storage) else { continue };
        copy.deleting_until = None;
        // Its time there was over and it stays elsewhere: a control plane that was recovered may not remember
        // that it removed it.
        if others && copy.expires_at.is_some_and(|t| t <= app.now()) {
            (copy.status, copy.snapshot) = (BackupStatus::Expired, None);
        } else {
            copy.status = BackupStatus::Failed;
            copy.error = Some("its snapshot is not in the storage any more".into());
        }
        ops::back_up::settle(&mut backup);
        backups::update(&mut tx, &backup).await?;
    }
    store::commit(tx).await
}

/// Submits the removal of what is due and stands in no doubt; says what waits.
async fn remove(app: &App, cluster: &Cluster, due: Due, found: &Survey) -> Result<Vec<String>> {
    let (waiting, going): (Vec<Backup>, Vec<Backup>) = due.backups.into_iter().partition(|b| found.stands_back(b));
    let (copies_waiting, copies): (Vec<_>, Vec<_>) = due.copies.into_iter().partition(|(b, _)| found.stands_back(b));
    let told = [wait(waiting.len(), "backup", "backups"), wait(copies_waiting.len(), "copy", "copies")];
    if !going.is_empty() || !copies.is_empty() {
        let state = expire_backups::State {
            backups: going.into_iter().map(|b| b.id).collect(),
            copies: copies.into_iter().map(|(b, storage)| (b.id, storage)).collect(),
            ..expire_backups::State::of(&cluster.id)
        };
        submit::<expire_backups::ExpireBackups>(app, cluster, &format!("retention/{}", cluster.id), &state).await?;
    }
    Ok(told.into_iter().flatten().collect())
}

fn wait(count: usize, one: &str, many: &str) -> Option<String> {
    let who = if count == 1 { format!("1 {one} waits") } else { format!("{count} {many} wait") };
    (count > 0).then(|| format!("{who} to be removed; it is tried again every hour"))
}

/// One that is stuck from an earlier time is tried again instead.
async fn submit<O: Operation>(app: &App, cluster: &Cluster, key: &str, state: &O::State) -> Result<()> {
    let subject = ops::subject_of(&cluster.project, cluster.name.as_str(), key);
    match app.runner.submit(ops::submission::<O>(state, Some(subject), Lock::Exclusive, "retention")?).await {
        Ok(_) => Ok(()),
        Err(Error { kind: Kind::Conflict, .. }) => match app.runner.holder(key).await? {
            Some(held) if held.kind == O::KIND && held.status == Status::Stuck => app.runner.retry(&held.id, "retention").await.map(drop),
            _ => Ok(()),
        },
        Err(e) => Err(e),
    }
}

/// Clusters whose time in the recycle bin is over. By a clock that is in doubt none is, and what is
/// pinned or in use keeps the whole.
async fn empty_bin(app: &App, clock: Clock) -> Result<()> {
    if clock.doubt().is_some() {
        return Ok(());
    }
    let now = clock.now;
    let bin = store::clusters::in_bin(&mut *app.store.read().await?).await?;
    for cluster in bin.iter().filter(|c| c.bin.as_ref().and_then(|b| b.until).is_some_and(|t| t <= now)) {
        let held = Catalogue::load(&mut *app.store.read().await?, &cluster.id, app.now()).await?.is_held();
        if held {
            continue;
        }
        let state = purge_cluster::State { cluster: cluster.id.clone(), due_only: true, bin: None, stays: Default::default() };
        submit::<purge_cluster::PurgeCluster>(app, cluster, cluster.id.as_str(), &state).await?;
    }
    Ok(())
}
