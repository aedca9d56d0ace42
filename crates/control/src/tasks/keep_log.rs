//! Sees to it that the logs of clusters that shall be kept are: that the primary's log is taken over,
//! that every storage of the archive gets what it has not, that there is a backup for a window to
//! begin with, and that nothing of it goes on where it is no longer wanted.
//!
//! Each storage is stored to by itself: one that is slow or away holds up no other.

use crate::{
    App, backups, left_behind,
    log::{self, Catalogue, close, new_line},
    ops::drill::Drill,
    plan::log::{doubtful_base, lacks_base},
    topology::Topology,
};
use mainstay_drivers::storage::{LOG, SnapshotLabel};
use mainstay_model::{
    BackupId, ClusterId, Error, Kind, Result, StorageId, Time,
    backup::{Backup, BackupStatus},
    cluster::{Cluster, Wanted},
    log::{Archive, Keeping, Line, Outdated, Part, Reached, Trouble},
};
use mainstay_operations::{Filter, Operation};
use mainstay_rpc::verbs::{KeepLog, KeptLog, ReleaseLog, StoreLog, StoredLog};
use mainstay_store as store;
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex},
};

/// A part is grown, stored anew with what came since, until it has so many pieces or is that old.
const PIECES: u64 = 32;
const GROW_SECONDS: i64 = 3600;
/// A backup that a window waits for is asked for again after this.
const BASE_AGAIN_SECONDS: i64 = 120;

/// What is being stored right now.
#[derive(Default)]
pub struct Busy(Mutex<HashSet<(ClusterId, StorageId)>>);

impl Busy {
    fn begin(&self, cluster: &ClusterId, storage: &StorageId) -> bool {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).insert((cluster.clone(), storage.clone()))
    }
    fn end(&self, cluster: &ClusterId, storage: &StorageId) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).remove(&(cluster.clone(), storage.clone()));
    }
}

async fn is_drilling(app: &App) -> Result<bool> {
    let drills = Filter { kind: Some(Drill::KIND.into()), active_only: true, ..Filter::default() };
    Ok(!app.runner.list(drills, None, 1).await?.items.is_empty())
}

/// One look at every cluster whose log is kept, or was until now. One that fails keeps no other from it.
pub async fn all(app: &Arc<App>) -> Result<()> {
    let clusters = concerned(app).await?;
    futures::future::join_all(clusters.iter().map(|cluster| async move {
        if let Err(e) = one(app, cluster).await {
            tracing::warn!(inside = e.inside, "the log of cluster {cluster} is not looked after and it is tried again: {e}");
        }
    }))
    .await;
    Ok(())
}

/// Those whose log shall be kept, and those whose log was.
async fn concerned(app: &App) -> Result<BTreeSet<ClusterId>> {
    let mut conn = app.store.read().await?;
    let mut all: BTreeSet<ClusterId> = store::log::clusters(&mut conn).await?.into_iter().collect();
    all.extend(store::clusters::all_alive(&mut conn).await?.into_iter().filter(|c| c.log.is_some()).map(|c| c.id));
    Ok(all)
}

/// Parts that no restore needs any more.
pub async fn expire(app: &App) -> Result<()> {
    for id in store::log::with_parts(&mut *app.store.read().await?).await? {
        let Some(cluster) = find(app, &id).await? else { continue };
        if let Err(e) = log::expire(app, &cluster).await {
            tracing::warn!(inside = e.inside, "old parts of the log of {} are still there, trying again later: {e}", cluster.name);
        }
    }
    Ok(())
}

async fn find(app: &App, id: &ClusterId) -> Result<Option<Cluster>> {
    match store::clusters::get(&mut *app.store.read().await?, id).await {
        Ok(cluster) => Ok(Some(cluster)),
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

async fn one(app: &Arc<App>, id: &ClusterId) -> Result<()> {
    let Some(cluster) = find(app, id).await?.filter(|c| c.deleted_at.is_none()) else { return forget(app, id, vec![]).await };
    let Some(keeping) = cluster.log.clone() else { return release(app, &cluster).await };
    if cluster.wanted != Wanted::Running || cluster.phase.is_some() {
        return Ok(());
    }
    let kept = keep(app, &cluster).await;
    let Some((line, kept)) = note(app, &cluster, kept).await? else { return Ok(()) };
    if let (Some(at), bytes) = (kept.at, kept.position.bytes) {
        for storage in &keeping.storages {
            begin_store(app, &cluster, &line, storage, &kept, Reached { bytes, at }).await?;
        }
    }
    base(app, &cluster, &keeping).await
}

async fn release(app: &App, cluster: &Cluster) -> Result<()> {
    if cluster.phase.is_some() {
        return Ok(());
    }
    let nodes = Topology::load(app, &cluster.id).await?.plans()?;
    forget(app, &cluster.id, nodes).await
}

/// The parts stay: they expire with the backups they go on from.
async fn forget(app: &App, id: &ClusterId, nodes: Vec<mainstay_drivers::engine::NodePlan>) -> Result<()> {
    app.agent.look(&ReleaseLog { cluster: id.clone(), nodes }).await?;
    let mut tx = app.store.begin_write().await?;
    // Switched on again meanwhile: that is another line.
    if find_in(&mut tx, id).await?.is_none_or(|c| c.log.is_none()) {
        store::log::remove_archive(&mut tx, id).await?;
    }
    store::commit(tx).await
}

async fn find_in(tx: &mut mainstay_operations::Tx, id: &ClusterId) -> Result<Option<Cluster>> {
    match store::clusters::get(tx, id).await {
        Ok(cluster) => Ok(Some(cluster)),
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Makes the log of the cluster's primary be taken over now.
pub(crate) async fn keep(app: &App, cluster: &Cluster) -> Result<(Line, KeptLog)> {
    let topology = Topology::load(app, &cluster.id).await?;
    let primary = topology.primary()?.id.clone();
    let others = topology.replicas().map(|n| topology.plan(n)).collect::<Result<Vec<_>>>()?;
    let line = line(app, &cluster.id).await?;
    let mut trim_before = u64::MAX;
    let parts = store::log::parts(&mut *app.store.read().await?, &cluster.id).await?;
    for storage in cluster.log.iter().flat_map(|k| &k.storages) {
        trim_before = trim_before.min(next_part(&parts, storage, &line, app.now()).0);
    }
    let plan = topology.plan(topology.node(&primary)?)?;
    let verb = KeepLog { plan, others, line: line.id.clone(), trim_before, limit_bytes: app.options.log_spool_bytes };
    Ok((line, app.agent.look(&verb).await?))
}

/// The line that is kept now; a new one where the last ended.
async fn line(app: &App, cluster: &ClusterId) -> Result<Line> {
    let mut tx = app.store.begin_write().await?;
    let mut archive = store::log::archive(&mut tx, cluster).await?.unwrap_or_default();
    if let Some(line) = archive.line {
        return Ok(line);
    }
    let line = new_line(app.now());
    archive.line = Some(line.clone());
    store::log::put_archive(&mut tx, cluster, &archive).await?;
    store::commit(tx).await?;
    Ok(line)
}

/// Where the next part begins, and which one it takes the place of.
fn next_part<'a>(parts: &'a [Part], storage: &StorageId, line: &Line, now: Time) -> (u64, Option<&'a Part>) {
    let ours = |p: &&Part| &p.storage == storage && p.line == line.id;
    let Some(last) = parts.iter().filter(ours).max_by_key(|p| (p.to, p.until)) else { return (0, None) };
    match is_grown(last, now) {
        false => (last.from, Some(last)),
        true => (last.to, None),
    }
}

/// No other form of it will take its place.
pub(crate) fn is_grown(part: &Part, now: Time) -> bool {
    part.pieces >= PIECES || now >= part.stored_at.plus_seconds(GROW_SECONDS)
}

/// Writes down how the look went. `None` where there is nothing to store now.
async fn note(app: &App, cluster: &Cluster, kept: Result<(Line, KeptLog)>) -> Result<Option<(Line, KeptLog)>> {
    let now = app.now();
    let mut tx = app.store.begin_write().await?;
    let Some(mut archive) = store::log::archive(&mut tx, &cluster.id).await? else { return Ok(None) };
    let before = archive.clone();
    let mut go_on = None;
    match kept {
        Err(e) => trouble(&mut archive.trouble, now, e.message),
        Ok((line, _)) if archive.line.as_ref() != Some(&line) => {}
        Ok((_, KeptLog { broken: Some(why), .. })) => {
            tracing::warn!("the log of cluster {} does not go on from where it was: {why}", cluster.name);
            close(&mut archive, now, &why);
        }
        Ok((line, kept)) => {
            match kept.at {
                Some(at) => {
                    archive.reached = Some(Reached { bytes: kept.position.bytes, at });
                    archive.trouble = None;
                }
                None => trouble(&mut archive.trouble, now, "what takes the log over is behind, or not connected".into()),
            }
            go_on = Some((line, kept));
        }
    }
    if archive != before {
        store::log::put_archive(&mut tx, &cluster.id, &archive).await?;
        store::commit(tx).await?;
    }
    Ok(go_on)
}

fn trouble(slot: &mut Option<Trouble>, now: Time, sentence: String) {
    let since = slot.as_ref().map_or(now, |t| t.since);
    *slot = Some(Trouble { since, sentence });
}

/// Stores what this storage has not, by itself. Nothing new only moves the moment it reaches.
async fn begin_store(app: &Arc<App>, cluster: &Cluster, line: &Line, storage: &StorageId, kept: &KeptLog, reached: Reached) -> Result<()> {
    if !app.storing_logs.begin(&cluster.id, storage) {
        return Ok(());
    }
    let (app, cluster, line, storage, kept) = (app.clone(), cluster.clone(), line.clone(), storage.clone(), kept.clone());
    tokio::spawn(async move {
        let outcome = store_one(&app, &cluster, &line, &storage, &kept, &reached).await;
        if let Err(e) = outcome {
            tracing::warn!(inside = e.inside, "the log of {} is not stored in storage {storage} and it is tried again: {e}", cluster.name);
            if let Err(e) = place_trouble(&app, &cluster.id, &storage, Some(e.message)).await {
                tracing::warn!(inside = e.inside, "and that could not be written down: {e}");
            }
        }
        app.storing_logs.end(&cluster.id, &storage);
    });
    Ok(())
}

async fn store_one(app: &App, cluster: &Cluster, line: &Line, storage: &StorageId, kept: &KeptLog, reached: &Reached) -> Result<()> {
    let parts = store::log::parts(&mut *app.store.read().await?, &cluster.id).await?;
    let ours = |p: &&Part| &p.storage == storage && p.line == line.id;
    if let Some(last) = parts.iter().filter(ours).find(|p| p.to >= reached.bytes) {
        return advance(app, cluster, last, reached.at).await;
    }
    let (from, grows) = next_part(&parts, storage, line, app.now());
    let (pending, garbage) = pending(app, &cluster.id, storage, line).await?;
    let label = SnapshotLabel {
        backup: pending.clone(),
        cluster: cluster.id.clone(),
        cluster_name: cluster.name.to_string(),
        kind: LOG.into(),
        description: format!("log of line {}", line.id),
        created_at: app.now(),
    };
    let plan = Topology::load(app, &cluster.id).await?.primary_plan()?;
    let repository = backups::repository(app, cluster, storage).await?;
    let to = kept.position.clone();
    let removed = garbage.clone();
    let garbage = garbage.into_iter().map(|g| g.snapshot).collect();
    let verb = StoreLog { plan, line: line.id.clone(), repository, label, from, to, until: reached.at, garbage };
    let stored = app.agent.look(&verb).await?;
    // What could not be removed this time is with the next part again.
    let (removed, stays) = stored.garbage.clone().map_or((vec![], None), |done| (removed, done.stays));
    let part = part(app, cluster, line, storage, &pending, stored);
    record(app, cluster, &part, grows.filter(|g| g.from >= part.from), (&removed, stays.as_deref())).await
}

/// The part to store now: the one whose reply was lost, or a new one.
async fn pending(app: &App, cluster: &ClusterId, storage: &StorageId, line: &Line) -> Result<(BackupId, Vec<Outdated>)> {
    let mut tx = app.store.begin_write().await?;
    let mut archive = store::log::archive(&mut tx, cluster).await?.unwrap_or_default();
    if archive.line.as_ref() != Some(line) {
        return Err(Error::conflict("line_ended", "the log began anew meanwhile"));
    }
    let in_use = log::in_use(&mut tx, cluster).await? || is_drilling(app).await?;
    let place = archive.places.entry(storage.clone()).or_default();
    // A restore under way may be about to fetch what has a newer form by now.
    let garbage = if in_use { vec![] } else { place.garbage.clone() };
    if let Some(pending) = &place.pending {
        return Ok((pending.clone(), garbage));
    }
    let id = BackupId::new();
    place.pending = Some(id.clone());
    store::log::put_archive(&mut tx, cluster, &archive).await?;
    store::commit(tx).await?;
    Ok((id, garbage))
}

fn part(app: &App, cluster: &Cluster, line: &Line, storage: &StorageId, id: &BackupId, stored: StoredLog) -> Part {
    Part {
        id: id.clone(),
        cluster: cluster.id.clone(),
        storage: storage.clone(),
        snapshot: stored.stored.snapshot,
        line: line.id.clone(),
        line_started_at: line.started_at,
        history: stored.to.history,
        from: stored.from,
        to: stored.to.bytes,
        until: stored.until,
        stored_at: app.now(),
        first: stored.first,
        last: stored.last,
        pieces: stored.pieces,
        bytes: stored.stored.data_bytes,
        lock: None,
    }
}

/// The new part counts from here; the one it has as well goes with the next.
/// What was removed is forgotten, also where it stays.
async fn record(
    app: &App,
    cluster: &Cluster,
    part: &Part,
    replaced: Option<&Part>,
    (removed, stays): (&[Outdated], Option<&str>),
) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    for (old, why) in removed.iter().zip(stays.iter().cycle()) {
        let gone = Part { id: old.part.clone(), snapshot: old.snapshot.clone(), bytes: 0, ..part.clone() };
        store::left_behind::put(&mut tx, &left_behind::of_part(&gone, cluster.name.as_str(), why, app.now())).await?;
    }
    let mut archive = store::log::archive(&mut tx, &part.cluster).await?.unwrap_or_default();
    let place = archive.places.entry(part.storage.clone()).or_default();
    place.garbage.retain(|g| !removed.contains(g));
    (place.pending, place.trouble) = (None, None);
    let mut part = part.clone();
    if let Some(old) = replaced {
        place.garbage.push(Outdated { part: old.id.clone(), snapshot: old.snapshot.clone() });
        store::log::remove_part(&mut tx, &old.id).await?;
        // It is as old as the first that it grew from.
        part.stored_at = old.stored_at;
    }
    store::log::put_part(&mut tx, &part).await?;
    store::log::put_archive(&mut tx, &part.cluster, &archive).await?;
    store::commit(tx).await
}

/// Nothing was written since: what is stored is everything until now.
async fn advance(app: &App, cluster: &Cluster, last: &Part, at: Time) -> Result<()> {
    if last.until < at {
        let mut tx = app.store.begin_write().await?;
        store::log::put_part(&mut tx, &Part { until: at, ..last.clone() }).await?;
        store::commit(tx).await?;
    }
    place_trouble(app, &cluster.id, &last.storage, None).await
}

async fn place_trouble(app: &App, cluster: &ClusterId, storage: &StorageId, sentence: Option<String>) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    let Some(mut archive) = store::log::archive(&mut tx, cluster).await? else { return Ok(()) };
    let place = archive.places.entry(storage.clone()).or_default();
    let before = place.trouble.clone();
    match sentence {
        None => place.trouble = None,
        Some(sentence) => trouble(&mut place.trouble, app.now(), sentence),
    }
    if place.trouble == before {
        return Ok(());
    }
    store::log::put_archive(&mut tx, cluster, &archive).await?;
    store::commit(tx).await
}

// ---- a backup to begin with ----

/// A window begins with a backup that counts: one is made where there is none, and a suspicious one is
/// tried by a drill.
async fn base(app: &App, cluster: &Cluster, keeping: &Keeping) -> Result<()> {
    let all = Catalogue::load(&mut *app.store.read().await?, &cluster.id).await?;
    if let Some(doubtful) = doubtful_base(&all.bases, &all.parts) {
        return prove(app, doubtful).await;
    }
    // One that takes no log takes no backup either.
    let unwell = |s: &StorageId| all.archive.as_ref().and_then(|a| a.places.get(s)).is_some_and(|p| p.trouble.is_some());
    let lacks = |s: &StorageId| !unwell(s) && lacks_base(&all.bases, &all.parts, s) == Some(true);
    let running = all.bases.iter().any(|b| b.status == BackupStatus::Running);
    if running || !keeping.storages.iter().any(lacks) || !may_ask(all.archive.as_ref(), app.now()) {
        return Ok(());
    }
    let mut tx = app.store.begin_write().await?;
    let Some(mut archive) = store::log::archive(&mut tx, &cluster.id).await? else { return Ok(()) };
    if !may_ask(Some(&archive), app.now()) {
        return Ok(());
    }
    archive.base_asked_at = Some(app.now());
    store::log::put_archive(&mut tx, &cluster.id, &archive).await?;
    backups::begin_for_log(app, &mut tx, cluster, keeping).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok(())
}

fn may_ask(archive: Option<&Archive>, now: Time) -> bool {
    archive.is_some_and(|a| a.base_asked_at.is_none_or(|t| now >= t.plus_seconds(BASE_AGAIN_SECONDS)))
}

async fn prove(app: &App, backup: &Backup) -> Result<()> {
    let by = crate::Actor::mainstay();
    match backups::drill(app, &by, backup).await {
        Err(e) if e.kind != Kind::Conflict => Err(e),
        _ => Ok(()),
    }
}
