//! What a control plane must not believe any more when it was itself restored from a copy.
//!
//! The copy is of the past. Engines may have gone on, failed over or been lost; operations that were
//! open then are nobody's now; copies of backups may have been lost with the machine. So whatever
//! says "under way" is ended, whatever would let an old decision act on the present is dropped, and
//! copies that are not where they should be are called lost. Everything else is left to what is seen:
//! engines that run are found by their nodes' directories, the others are shown as what they are.

use crate::{app::StoreDatabase, backups, log, ops::back_up, storages, tokens};
use mainstay_drivers::{
    engine::Chunking,
    segments::{self, FoundLog},
    storage::{Place, RepositoryKeys, RepositoryRef, StorageSpec, Storages},
};
use mainstay_model::{
    ClusterId, Error, Kind, Name, ProjectId, Result, StorageId, Time,
    backup::{Backup, BackupStatus, Copy},
    cluster::{Cluster, ClusterStatus, Wanted},
    restore::RestoreStatus,
};
use mainstay_operations::{Journal, Tx};
use mainstay_store::{self as store, Paging, Store, backups::BackupFilter, restores::RestoreFilter, storages::StorageRow};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
    sync::Arc,
};

const WHY: &str = "interrupted by a recovery of the control plane";

/// Where the copy came from.
pub struct Origin<'a> {
    /// The storage it was stored in, as it was called when it was made.
    pub storage: Option<StorageId>,
    pub place: &'a Place,
    /// Where the storage `local` of the new data directory will lie.
    pub local: &'a Path,
}

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    pub clusters: Vec<String>,
    pub interrupted_operations: u64,
    /// Copies of backups that are not where they should be.
    pub lost_copies: u64,
    /// Parts of logs that were stored after the copy was made.
    pub log_parts: u64,
    /// Storages that could not be looked into, and why.
    pub unseen: Vec<String>,
}

/// Makes a copied store fit to be opened. Done twice it changes nothing more.
pub async fn settle(opened: &Store, storages: &dyn Storages, origin: &Origin<'_>, now: Time) -> Result<Settled> {
    let journal = Journal::open(Arc::new(StoreDatabase(opened.clone()))).await?;
    let why = Error::failed("recovered", format!("{WHY}: what it had begun is not gone on with; look at what is there and ask again"));
    let mut settled = Settled { interrupted_operations: journal.interrupt_all(&why, now).await?, ..Settled::default() };
    let mut tx = opened.begin_write().await?;
    move_storages(&mut tx, origin).await?;
    revoke_the_file(&mut tx, now).await?;
    end_backups(&mut tx, now).await?;
    end_restores(&mut tx, now).await?;
    for cluster in store::clusters::all_alive(&mut tx).await? {
        settled.clusters.push(cluster.name.to_string());
        release(&mut tx, cluster).await?;
    }
    store::kv::put(&mut tx, "recovered_at", &now.to_string()).await?;
    store::commit(tx).await?;
    look_for_copies(opened, storages, &mut settled).await?;
    look_for_logs(opened, storages, &mut settled).await?;
    settled.clusters.sort();
    Ok(settled)
}

/// The storage `local` lies in the data directory. Of the old one what is left is where the copy came
/// from, or where it was; in its place comes an empty one.
async fn move_storages(tx: &mut Tx, origin: &Origin<'_>) -> Result<()> {
    for project in store::projects::list(tx).await? {
        for row in store::storages::list(tx, &project.id).await? {
            let is_origin = origin.storage.as_ref() == Some(&row.id);
            let old: Place = serde_json::from_value(row.place.clone()).map_err(Error::internal)?;
            let place = if is_origin { origin.place.clone() } else { old };
            let here = matches!(&place, Place::Local { path } if path == origin.local);
            let name = if row.name.as_str() == storages::DEFAULT && !here { unused(tx, &row).await? } else { row.name.clone() };
            let place = serde_json::to_value(place).map_err(Error::internal)?;
            store::storages::update(tx, &StorageRow { name, place, ..row }).await?;
        }
    }
    Ok(())
}

/// The administrator's token lay on the machine that is lost, in a file that somebody may find. The
/// recovered one makes its own.
async fn revoke_the_file(tx: &mut Tx, now: Time) -> Result<()> {
    for token in store::tokens::list(tx).await? {
        if token.is_administrator && token.name == tokens::FILE && token.revoked_at.is_none() {
            store::tokens::revoke(tx, &token.id, now).await?;
        }
    }
    Ok(())
}

async fn unused(tx: &mut Tx, row: &StorageRow) -> Result<Name> {
    let taken: HashSet<String> = store::storages::list(tx, &row.project).await?.iter().map(|r| r.name.to_string()).collect();
    let names = (1..).map(|n| if n == 1 { "local-before".to_string() } else { format!("local-before-{n}") });
    let free = names.take(taken.len() + 1).find(|n| !taken.contains(n));
    Name::parse(&free.ok_or_else(|| Error::internal("every name is taken"))?)
}

async fn end_backups(tx: &mut Tx, now: Time) -> Result<()> {
    let filter = BackupFilter { status: Some(BackupStatus::Running), ..BackupFilter::default() };
    loop {
        let page = store::backups::list(tx, &filter, &Paging::default()).await?.items;
        if page.is_empty() {
            return Ok(());
        }
        for mut backup in page {
            (backup.status, backup.error, backup.finished_at) = (BackupStatus::Failed, Some(WHY.into()), Some(now));
            for copy in backup.copies.iter_mut().filter(|c| c.status == BackupStatus::Running) {
                (copy.status, copy.error) = (BackupStatus::Failed, Some(WHY.into()));
            }
            store::backups::update(tx, &backup).await?;
        }
    }
}

async fn end_restores(tx: &mut Tx, now: Time) -> Result<()> {
    let filter = RestoreFilter { status: Some(RestoreStatus::Running), ..RestoreFilter::default() };
    loop {
        let page = store::restores::list(tx, &filter, &Paging::default()).await?.items;
        if page.is_empty() {
            return Ok(());
        }
        for mut restore in page {
            (restore.status, restore.error, restore.finished_at) = (RestoreStatus::Failed, Some(WHY.into()), Some(now));
            store::restores::update(tx, &restore).await?;
        }
    }
}

/// What an operation had given the cluster and its nodes goes with the operation. One that was being
/// made or deleted has to be asked for again.
async fn release(tx: &mut Tx, mut cluster: Cluster) -> Result<()> {
    let unfinished = matches!(cluster.phase, Some(ClusterStatus::Creating | ClusterStatus::Deleting));
    if cluster.wanted == Wanted::Deleted {
        cluster.wanted = Wanted::Running;
    }
    let reason = format!("{WHY}; delete it, or restore a backup to it");
    (cluster.phase, cluster.phase_reason) = match unfinished {
        true => (Some(ClusterStatus::Failed), Some(reason)),
        false => (cluster.phase.filter(|p| *p == ClusterStatus::Failed), cluster.phase_reason),
    };
    for mut node in store::nodes::of_cluster(tx, &cluster.id).await? {
        // What was fenced may not come back by this.
        node.phase = node.phase.filter(|_| node.is_fenced());
        store::nodes::update(tx, &node).await?;
    }
    store::clusters::update(tx, &cluster).await
}

type Lying = HashSet<(ProjectId, ClusterId)>;

async fn look_for_copies(opened: &Store, storages: &dyn Storages, settled: &mut Settled) -> Result<()> {
    let mut seen: HashMap<StorageId, Lying> = HashMap::new();
    let projects = store::projects::list(&mut *opened.read().await?).await?;
    for project in &projects {
        for row in store::storages::list(&mut *opened.read().await?, &project.id).await? {
            match lying(storages, &storages::spec(opened, &row).await?).await {
                Ok(found) => drop(seen.insert(row.id.clone(), found)),
                Err(e) => settled.unseen.push(format!("{}: {}", row.name, e.message)),
            }
        }
    }
    let mut tx = opened.begin_write().await?;
    for project in &projects {
        let filter = BackupFilter { project: Some(project.id.clone()), ..BackupFilter::default() };
        let mut paging = Paging::default();
        loop {
            let page = store::backups::list(&mut tx, &filter, &paging).await?;
            for backup in page.items {
                settled.lost_copies += lost(&mut tx, backup, &seen).await?;
            }
            let Some(next) = page.next else { break };
            paging.cursor = Some(next);
        }
    }
    store::commit(tx).await
}

/// A directory that is gone holds nothing; of a place that does not answer nothing is known.
async fn lying(storages: &dyn Storages, spec: &StorageSpec) -> Result<Lying> {
    match &spec.place {
        Place::Local { path } if !path.exists() => Ok(Lying::new()),
        _ => {
            let there = storages.discover(spec).await?.into_iter();
            Ok(there.filter(|(_, _, edition)| *edition == spec.edition).map(|(project, cluster, _)| (project, cluster)).collect())
        }
    }
}

async fn lost(tx: &mut Tx, mut backup: Backup, seen: &HashMap<StorageId, Lying>) -> Result<u64> {
    let kept = store::kv::get(tx, &backups::path_of(&backup.cluster)).await?;
    let project = kept.as_deref().and_then(ProjectId::parse).unwrap_or_else(|| backup.project.clone());
    let at = (project, backup.cluster.clone());
    let is_lost = |c: &Copy| c.is_good() && seen.get(&c.storage).is_some_and(|lying| !lying.contains(&at));
    let mut count = 0;
    for copy in backup.copies.iter_mut().filter(|c| is_lost(c)) {
        let why = "not found when the control plane was recovered; if the storage comes back, `backup verify` takes it up again";
        (copy.status, copy.verified_at, copy.error) = (BackupStatus::Failed, None, Some(why.into()));
        count += 1;
    }
    // What removed it went with the operation: it is announced once more, and its time is over.
    let mut resumed = 0;
    for copy in backup.copies.iter_mut().filter(|c| c.status == BackupStatus::Deleting && c.deleting_until.is_none()) {
        copy.deleting_until = copy.expires_at;
        resumed += usize::from(copy.expires_at.is_some());
    }
    if count > 0 || resumed > 0 {
        back_up::settle(&mut backup);
        store::backups::update(tx, &backup).await?;
    }
    Ok(count)
}

/// The log went on being stored after the copy was made, and parts grew into others since: which moments
/// can be restored is what the storages say now.
async fn look_for_logs(opened: &Store, storages: &dyn Storages, settled: &mut Settled) -> Result<()> {
    let kept = {
        let mut conn = opened.read().await?;
        let mut all = store::log::clusters(&mut conn).await?;
        all.extend(store::log::with_parts(&mut conn).await?);
        all.into_iter().collect::<BTreeSet<ClusterId>>()
    };
    for cluster in kept {
        for storage in places_of_log(opened, &cluster).await? {
            let row = match store::storages::get(&mut *opened.read().await?, &storage).await {
                Ok(row) => row,
                Err(e) if e.kind == Kind::NotFound => continue,
                Err(e) => return Err(e),
            };
            match found_log(opened, storages, &cluster, &row).await {
                Ok(found) => {
                    let mut tx = opened.begin_write().await?;
                    settled.log_parts += log::take_found(&mut tx, &cluster, &storage, found).await?;
                    store::commit(tx).await?;
                }
                Err(e) => settled.unseen.push(format!("{}: the log of cluster {cluster}: {}", row.name, e.message)),
            }
        }
    }
    Ok(())
}

async fn places_of_log(opened: &Store, cluster: &ClusterId) -> Result<BTreeSet<StorageId>> {
    let mut conn = opened.read().await?;
    let mut places: BTreeSet<StorageId> = store::log::parts(&mut conn, cluster).await?.into_iter().map(|p| p.storage).collect();
    places.extend(store::log::archive(&mut conn, cluster).await?.into_iter().flat_map(|a| a.places.into_keys()));
    match store::clusters::get(&mut conn, cluster).await {
        Ok(found) => places.extend(found.log.into_iter().flat_map(|k| k.storages)),
        Err(e) if e.kind == Kind::NotFound => {}
        Err(e) => return Err(e),
    }
    Ok(places)
}

/// Nothing where no repository lies: it is lost, or was never made.
async fn found_log(opened: &Store, storages: &dyn Storages, cluster: &ClusterId, row: &StorageRow) -> Result<Vec<FoundLog>> {
    let mut conn = opened.read().await?;
    let path = store::kv::get(&mut conn, &backups::path_of(cluster)).await?;
    let owner = backups::keys_owner(cluster);
    let key = store::secrets::get(&mut conn, opened.sealer(), &owner, backups::OWN_KEY).await?;
    drop(conn);
    let Some(own) = key else { return Ok(vec![]) };
    let repository = RepositoryRef {
        storage: storages::spec(opened, row).await?,
        project: path.as_deref().and_then(ProjectId::parse).unwrap_or_else(|| row.project.clone()),
        cluster: cluster.clone(),
        // Chosen when it was made, and read from there.
        chunking: Chunking::ContentDefined,
        keys: RepositoryKeys { own, recovery: vec![] },
    };
    match storages.open(&repository, false).await {
        Ok(storage) => segments::found_in(storage.as_ref(), cluster).await,
        Err(e) if e.kind == Kind::NotFound => Ok(vec![]),
        Err(e) => Err(e),
    }
}
