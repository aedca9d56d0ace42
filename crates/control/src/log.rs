//! The logs of clusters: what is kept where, to which moments that reaches, and what of it can go.

use crate::{
    Actor, App, backups, clusters, copies, engines, left_behind,
    ops::set_log,
    plan::log::{self as plan, Chosen, Span},
    storages,
};
use mainstay_drivers::segments::FoundLog;
use mainstay_model::{
    ClusterId, Error, OperationId, Result, StorageId, Time,
    backup::{Backup, CopyLock},
    cluster::Cluster,
    log::{Archive, Break, Keeping, Line, Part},
};
use mainstay_operations::Tx;
use mainstay_rpc::verbs::{DeleteSnapshots, Deleted, ListSnapshots, Replay};
use mainstay_store as store;
use std::collections::{BTreeMap, BTreeSet};

/// Days any moment can be restored to, at least, where nothing was said.
pub const DEFAULT_KEEP_DAYS: i64 = 7;
/// Reasons of lines that ended, kept for people to read.
const BREAKS: usize = 10;

/// All of one cluster that restoring to a moment looks at.
pub struct Catalogue {
    pub archive: Option<Archive>,
    pub parts: Vec<Part>,
    pub bases: Vec<Backup>,
}

impl Catalogue {
    pub async fn load(conn: &mut Tx, cluster: &ClusterId) -> Result<Catalogue> {
        let parts = store::log::parts(conn, cluster).await?;
        // Without a log no backup opens anything.
        let bases = if parts.is_empty() { vec![] } else { store::backups::of_cluster(conn, cluster).await? };
        Ok(Catalogue { archive: store::log::archive(conn, cluster).await?, parts, bases })
    }
}

/// How a cluster's log stands, for people.
#[derive(Debug, Clone)]
pub struct View {
    pub keeping: Option<Keeping>,
    pub spans: Vec<Span>,
    pub places: Vec<PlaceView>,
    /// Why it does not go on right now.
    pub trouble: Option<String>,
    pub breaks: Vec<Break>,
}

#[derive(Debug, Clone)]
pub struct PlaceView {
    pub storage_name: String,
    /// Up to when the log is stored there.
    pub to: Option<Time>,
    pub trouble: Option<String>,
}

impl View {
    pub fn window(&self) -> Option<Span> {
        Some(Span { from: self.spans.first()?.from, to: self.spans.last()?.to })
    }
    pub fn gaps(&self) -> Vec<Span> {
        plan::gaps(&self.spans)
    }
}

pub async fn view(app: &App, cluster: &Cluster) -> Result<View> {
    view_of(app, &cluster.id, cluster.log.clone()).await
}

/// The same of a cluster that may be known by its backups alone.
pub(crate) async fn view_of(app: &App, cluster: &ClusterId, keeping: Option<Keeping>) -> Result<View> {
    let mut conn = app.store.read().await?;
    let all = Catalogue::load(&mut conn, cluster).await?;
    let archive = all.archive.unwrap_or_default();
    let mut places = Vec::new();
    for storage in keeping.iter().flat_map(|k| &k.storages) {
        let row = store::storages::get(&mut conn, storage).await?;
        let to = all.parts.iter().filter(|p| &p.storage == storage).map(|p| p.until).max();
        let trouble = archive.places.get(storage).and_then(|p| p.trouble.as_ref()).map(|t| t.sentence.clone());
        places.push(PlaceView { storage_name: row.name.to_string(), to, trouble });
    }
    let trouble = archive.trouble.filter(|_| keeping.is_some()).map(|t| t.sentence);
    Ok(View { spans: plan::spans(&all.bases, &all.parts), keeping, places, trouble, breaks: archive.breaks })
}

/// What `cluster pitr` was given.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    pub on: bool,
    /// Names or ids; empty leaves those there are, or means the storage `local`.
    pub storages: Vec<String>,
    pub keep_days: Option<i64>,
}

/// What the cluster's log would be kept like.
pub async fn wanted(app: &App, cluster: &Cluster, wanted: &Wanted) -> Result<Option<Keeping>> {
    clusters::running(cluster)?;
    if !wanted.on {
        if wanted.keep_days.is_some() || !wanted.storages.is_empty() {
            return Err(Error::invalid("on", "storages and days are said when it is switched on"));
        }
        return Ok(None);
    }
    let entry = engines::get(app, &cluster.engine).await?;
    if !entry.capabilities.iter().any(|c| c == "point_in_time") {
        let why = format!("the log of {} is not kept by this version; its backups are what it is restored to", entry.title);
        return Err(Error::conflict("no_point_in_time", why));
    }
    let before = cluster.log.as_ref();
    let keep_days = wanted.keep_days.or(before.map(|k| k.keep_days)).unwrap_or(DEFAULT_KEEP_DAYS);
    if !(1..=3650).contains(&keep_days) {
        return Err(Error::invalid("keep_days", "1 to 3650 days"));
    }
    let mut chosen: Vec<StorageId> = Vec::new();
    if let (true, Some(before)) = (wanted.storages.is_empty(), before) {
        chosen.clone_from(&before.storages);
    } else {
        for name in &copies::places(app, &cluster.project, &wanted.storages, false).await? {
            let row = storages::resolve(app, &cluster.project, name).await.map_err(|e| e.with_field("storage"))?;
            storages::takes_backups(&row)?;
            if chosen.contains(&row.id) {
                return Err(Error::invalid("storage", format!("storage {} is named twice", row.name)));
            }
            chosen.push(row.id);
        }
    }
    Ok(Some(Keeping { storages: chosen, keep_days }))
}

pub async fn set(app: &App, by: &Actor, cluster: &Cluster, asked: &Wanted) -> Result<OperationId> {
    let keeping = wanted(app, cluster, asked).await?;
    let state = set_log::State { cluster: cluster.id.clone(), keeping, before: None, began: false, base: None };
    clusters::submit::<set_log::SetLog>(app, by, cluster, &state).await
}

// ---- lines ----

pub(crate) fn new_line(now: Time) -> Line {
    Line { id: mainstay_model::BackupId::new().to_string(), started_at: now }
}

/// The history of the data ended: what is kept from now on is another line.
pub(crate) async fn end_line(tx: &mut Tx, cluster: &ClusterId, now: Time, why: &str) -> Result<()> {
    let Some(mut archive) = store::log::archive(tx, cluster).await? else { return Ok(()) };
    close(&mut archive, now, why);
    store::log::put_archive(tx, cluster, &archive).await
}

pub(crate) fn close(archive: &mut Archive, now: Time, why: &str) {
    (archive.line, archive.reached) = (None, None);
    archive.base_asked_at = None;
    for place in archive.places.values_mut() {
        place.pending = None;
    }
    archive.breaks.push(Break { at: now, sentence: why.into() });
    let spare = archive.breaks.len().saturating_sub(BREAKS);
    archive.breaks.drain(..spare);
}

/// How the part is locked by now, where it is still there.
pub(crate) async fn note_lock(app: &App, part: &Part, lock: CopyLock) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    if let Some(fresh) =
        store::log::parts(&mut tx, &part.cluster).await?.into_iter().find(|p| p.id == part.id && p.snapshot == part.snapshot)
    {
        store::log::put_part(&mut tx, &Part { lock: Some(lock), ..fresh }).await?;
    }
    store::commit(tx).await
}

// ---- restoring to a moment ----

/// What a restore to `until` takes. Whether it is all there is asked of the storage first.
pub async fn choose(app: &App, cluster: &ClusterId, named: Option<&Backup>, until: Time) -> Result<Chosen> {
    let all = Catalogue::load(&mut *app.store.read().await?, cluster).await?;
    let chosen = plan::choose(&all.bases, &all.parts, named, until, app.now())?;
    all_there(app, &chosen).await?;
    Ok(chosen)
}

async fn all_there(app: &App, chosen: &Chosen) -> Result<()> {
    let repository = backups::repository_of(app, &chosen.base, &chosen.storage).await?;
    let name = repository.storage.name.clone();
    let listed = app.agent.look(&ListSnapshots { repository }).await.map_err(|e| e.context(format!("looking into storage {name}")))?;
    let there: BTreeSet<String> = listed.into_iter().map(|s| s.id).collect();
    let missing: Vec<String> =
        chosen.parts.iter().filter(|p| !there.contains(&p.snapshot)).map(|p| format!("{} to {} ({})", p.first, p.last, p.id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why =
        format!("the log between backup {} and that moment is not in storage {name} any more: {}", chosen.base.id, missing.join(", "));
    Err(Error::invalid("until", why).with_code("log_missing"))
}

/// What the agent replays: chosen anew, for a part may have grown into another since it was planned.
pub(crate) async fn replay_of(app: &App, base: &Backup, until: Option<Time>) -> Result<Option<Replay>> {
    let Some(until) = until else { return Ok(None) };
    let chosen = choose(app, &base.cluster, Some(base), until).await?;
    let repository = backups::repository_of(app, &chosen.base, &chosen.storage).await?;
    let bytes = chosen.parts.iter().map(|p| p.bytes).sum();
    Ok(Some(Replay { until, repository, parts: chosen.parts.iter().map(|p| p.snapshot.clone()).collect(), bytes }))
}

// ---- found again ----

/// Makes the parts that are known to lie in this storage those that were found there. A part that is
/// known as it was found keeps what is known beyond that: up to when it is everything may have moved.
pub(crate) async fn take_found(tx: &mut Tx, cluster: &ClusterId, storage: &StorageId, found: Vec<FoundLog>) -> Result<u64> {
    let known: Vec<Part> = store::log::parts(tx, cluster).await?.into_iter().filter(|p| &p.storage == storage).collect();
    for gone in known.iter().filter(|k| !found.iter().any(|f| f.snapshot == k.snapshot)) {
        store::log::remove_part(tx, &gone.id).await?;
    }
    let mut news = 0;
    for found in found.into_iter().filter(|f| !known.iter().any(|k| k.snapshot == f.snapshot)) {
        store::log::put_part(tx, &part(cluster, storage, found)).await?;
        news += 1;
    }
    Ok(news)
}

fn part(cluster: &ClusterId, storage: &StorageId, f: FoundLog) -> Part {
    Part {
        id: f.part,
        cluster: cluster.clone(),
        storage: storage.clone(),
        snapshot: f.snapshot,
        // A line is called by an id that was made when it began.
        line_started_at: f.line.made_at(),
        line: f.line.to_string(),
        history: f.history,
        from: f.from,
        to: f.to,
        until: f.until,
        stored_at: f.stored_at,
        first: f.first,
        last: f.last,
        pieces: f.pieces,
        bytes: f.bytes,
        lock: None,
    }
}

// ---- what can go ----

/// Whether a restore reads, or is about to read, from this cluster's storages.
pub(crate) async fn in_use(conn: &mut Tx, cluster: &ClusterId) -> Result<bool> {
    let held = store::restores::in_use(conn).await?;
    let backups = store::backups::of_cluster(conn, cluster).await?;
    Ok(backups.iter().any(|b| held.contains(&b.id)))
}

/// Removes the parts that end before the oldest backup that is kept: no restore begins there.
pub async fn expire(app: &App, cluster: &Cluster) -> Result<usize> {
    let (catalogue, parts) = {
        let mut conn = app.store.read().await?;
        if in_use(&mut conn, &cluster.id).await? {
            return Ok(0);
        }
        let parts = store::log::parts(&mut conn, &cluster.id).await?;
        (crate::retention::Catalogue::load(&mut conn, &cluster.id, app.now()).await?, parts)
    };
    let Some(from) = catalogue.log_from(app.now()) else { return Ok(0) };
    let mut gone: BTreeMap<StorageId, Vec<Part>> = BTreeMap::new();
    for part in parts.into_iter().filter(|p| p.until < from && !p.is_locked(app.now())) {
        gone.entry(part.storage.clone()).or_default().push(part);
    }
    let mut count = 0;
    for (storage, parts) in gone {
        let snapshots = parts.iter().map(|p| p.snapshot.clone()).collect();
        let deleted = match backups::repository_there(app, cluster, &storage).await? {
            Some(repository) => app.agent.look(&DeleteSnapshots { repository, snapshots, prune: true }).await?,
            None => Deleted::default(),
        };
        let mut tx = app.store.begin_write().await?;
        for part in &parts {
            if let Some(why) = &deleted.stays {
                store::left_behind::put(&mut tx, &left_behind::of_part(part, cluster.name.as_str(), why, app.now())).await?;
            }
            store::log::remove_part(&mut tx, &part.id).await?;
        }
        store::commit(tx).await?;
        count += parts.len();
    }
    Ok(count)
}
