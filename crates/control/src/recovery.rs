//! Recovering: what a storage holds for somebody who has nothing but a recovery key, a cluster from
//! there, and what a control plane must forget when it is itself restored from a copy.

use crate::{
    Actor, App, clusters, engines,
    ops::{self, recover_cluster},
    plan::suspicious,
    projects, restores, schedules,
    storages::{self, NewStorage},
};
use mainstay_drivers::storage::{FoundRepository, Holds, Place};
use mainstay_model::{
    BackupId, ClusterName, Error, Kind, OperationId, ProjectId, RestoreId, Result, Secret, StorageId,
    cluster::{Cluster, Mode},
    error::shown,
    restore::Restore,
};
use mainstay_operations::{Filter, Lock, Operation, Status};
use mainstay_rpc::verbs::DiscoverStorage;
use mainstay_store::{self as store, Paging, restores::RestoreFilter, storages::StorageRow};

/// Where to look.
#[derive(Debug, Clone)]
pub enum From {
    /// A storage of the project.
    Storage(Box<StorageRow>),
    /// A place that is no storage yet. It becomes one when something is recovered from it.
    Place(Box<NewStorage>),
}

/// What `recover` was given.
#[derive(Debug, Clone)]
pub struct Request {
    pub from: From,
    pub key: Secret,
    /// The cluster's name, or its id where two have the name.
    pub cluster: String,
    /// The newest good one that is not much smaller than those before it, where none is named.
    pub backup: Option<String>,
    /// The new cluster's name; that of the old one where none is given.
    pub name: Option<String>,
}

/// What lies there. Nothing is written down.
pub async fn look(app: &App, from: &From, key: &Secret) -> Result<Vec<FoundRepository>> {
    let storage = match from {
        From::Storage(row) => storages::spec(&app.store, row).await?,
        From::Place(new) => storages::unlisted(new)?,
    };
    app.agent.look(&DiscoverStorage { storage, recovery: key.clone() }).await
}

/// A storage of the project at that place, with the repositories that are meant, or a new one.
async fn storage(app: &App, project: &ProjectId, from: From, edition: u32) -> Result<StorageRow> {
    let place = match &from {
        From::Storage(row) if row.edition == edition => return Ok((**row).clone()),
        From::Storage(row) => storages::place_of(row)?,
        From::Place(new) => new.place.clone(),
    };
    for row in storages::list(app, project).await? {
        if row.edition == edition && same_place(&row, &place)? {
            return Ok(row);
        }
    }
    let new = match from {
        From::Place(new) => *new,
        // It knows of no such repositories any more, or not yet.
        From::Storage(row) => {
            let spec = storages::spec(&app.store, &row).await?;
            let name = format!("{}{}{edition}", row.name, storages::EDITION);
            NewStorage { name, place, region: row.region.clone(), secret: spec.secret, limits: row.limits }
        }
    };
    storages::add_edition(app, project, new, edition).await
}

fn same_place(row: &StorageRow, place: &Place) -> Result<bool> {
    Ok(serde_json::from_value::<Place>(row.place.clone()).map_err(Error::internal)? == *place)
}

pub async fn recover(app: &App, by: &Actor, project: &ProjectId, request: Request) -> Result<(Restore, OperationId)> {
    let found = look(app, &request.from, &request.key).await?;
    let (repository, backup) = choose(&found, &request.cluster, request.backup.as_deref())?;
    refuse_anothers(app, project, repository).await?;
    let name = ClusterName::parse(request.name.as_deref().unwrap_or(&repository.name)).map_err(|e| e.with_field("as"))?;
    if let Ok(there) = store::clusters::by_name(&mut *app.store.read().await?, project, name.as_str()).await {
        return repeated(app, &there, repository).await;
    }
    let found = backup.facts.clone();
    let storage = storage(app, project, request.from, repository.edition).await?;
    let project = projects::resolve(app, project.as_str()).await?;
    let major = found.engine_version.split('.').next().unwrap_or_default().to_string();
    let (entry, version) = engines::choose(app, &found.engine, Some(&major), Mode::Single).await?;
    let deployment = clusters::Deployment {
        name,
        engine: entry.name,
        version,
        mode: Mode::Single,
        replicas: 0,
        port: entry.default_port,
        warnings: vec![],
    };
    let source = Source { repository, backup: &backup.backup, exactly: request.backup.is_some(), storage: &storage.id };
    submit(app, by, &project, deployment, source, &request.key).await
}

/// What is brought back, and from where.
struct Source<'a> {
    repository: &'a FoundRepository,
    backup: &'a BackupId,
    exactly: bool,
    storage: &'a StorageId,
}

async fn submit(
    app: &App,
    by: &Actor,
    project: &mainstay_model::project::Project,
    deployment: clusters::Deployment,
    source: Source<'_>,
    key: &Secret,
) -> Result<(Restore, OperationId)> {
    let mut cluster = clusters::cluster_row(app, project, &deployment);
    cluster.phase_reason = Some("being recovered from a storage".into());
    let nodes = clusters::node_rows(app, &mut cluster, 1);
    let accounts = clusters::new_accounts(app, &cluster).await?;
    let row = restores::begun(app, source.backup, &cluster, false);
    let ids = (cluster.id.clone(), nodes[0].id.clone());
    let state = recover_cluster::State {
        new: ops::restore_new::State::new(ids.0, ids.1, deployment.port, row.id.clone(), row.backup.clone(), source.storage.clone()),
        storage: source.storage.clone(),
        project: source.repository.project.clone(),
        cluster: source.repository.cluster.clone(),
        exactly: source.exactly,
        found: None,
    };
    let submit = ops::submission::<recover_cluster::RecoverCluster>(&state, Some(ops::subject(&cluster)), Lock::Exclusive, &by.name)?;
    let mut tx = app.store.begin_write().await?;
    clusters::insert_rows(app, &mut tx, &cluster, &nodes, &accounts).await?;
    schedules::insert_default(app, &mut tx, &cluster).await?;
    store::restores::insert(&mut tx, &row).await?;
    store::secrets::put(&mut tx, app.store.sealer(), &key_owner(&row.id), KEY, key).await?;
    let operation = app.runner.submit_in(&mut tx, submit).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok((row, operation))
}

const KEY: &str = "recovery_key";

/// The key is needed until the repository was opened once, and kept sealed no longer than the
/// operation lasts.
pub(crate) fn key_owner(restore: &RestoreId) -> String {
    format!("recover/{restore}")
}

pub(crate) async fn key(app: &App, restore: &RestoreId) -> Result<Secret> {
    let kept = store::secrets::get(&mut *app.store.read().await?, app.store.sealer(), &key_owner(restore), KEY).await?;
    kept.ok_or_else(|| Error::internal("a recovery without its key"))
}

/// The repository that is meant, and the backup to begin with.
pub fn choose<'a>(
    found: &'a [FoundRepository],
    cluster: &str,
    backup: Option<&str>,
) -> Result<(&'a FoundRepository, &'a mainstay_drivers::storage::FoundBackup)> {
    let named = |r: &&FoundRepository| r.holds == Holds::Cluster && (r.name == cluster || r.cluster.as_str() == cluster);
    let all: Vec<&FoundRepository> = found.iter().filter(named).collect();
    // Those of one cluster lie beside each other since the storage was rekeyed: the newest counts.
    let holds = |r: &&&FoundRepository| backup.is_none_or(|id| r.backups.iter().any(|b| b.backup.as_str() == id));
    let newest = |r: &FoundRepository| r.backups.iter().rev().find(|b| b.error.is_none()).map(|b| b.created_at);
    let one_cluster = all.windows(2).all(|two| two[0].cluster == two[1].cluster);
    let repository = match all.as_slice() {
        [one] => *one,
        [] => return Err(nothing_of(found, cluster)),
        several if one_cluster => several.iter().filter(holds).max_by_key(|r| newest(r)).copied().unwrap_or(several[0]),
        several => {
            let ids: Vec<&str> = several.iter().map(|r| r.cluster.as_str()).collect();
            let why = format!("the storage holds {} clusters named {}; name one by its id: {}", ids.len(), shown(cluster), ids.join(", "));
            return Err(Error::invalid("cluster", why).with_code("ambiguous"));
        }
    };
    let chosen = match backup {
        None => suspicious::newest_sound(&repository.backups).map(|(sound, _)| sound),
        Some(id) => repository.backups.iter().rev().filter(|b| b.error.is_none()).find(|b| b.backup.as_str() == id),
    };
    let missing = || Error::not_found("backup", backup.unwrap_or("any"));
    Ok((repository, chosen.ok_or_else(missing)?))
}

fn nothing_of(found: &[FoundRepository], cluster: &str) -> Error {
    let locked = found.iter().filter(|r| !r.opens).count();
    let also = if locked > 0 { format!("; {locked} of its repositories do not open with this key") } else { String::new() };
    let mut e = Error::not_found("cluster", cluster);
    e.message = format!("the storage holds no backup of a cluster {} that can be read{also}", shown(cluster));
    e
}

/// What belongs to another project of this installation is not taken over by whoever has its key.
async fn refuse_anothers(app: &App, project: &ProjectId, repository: &FoundRepository) -> Result<()> {
    let mut conn = app.store.read().await?;
    let owner = match store::clusters::get(&mut conn, &repository.cluster).await {
        Ok(known) => Some(known.project),
        Err(e) if e.kind == Kind::NotFound => {
            store::backups::of_cluster(&mut conn, &repository.cluster).await?.into_iter().next().map(|b| b.project)
        }
        Err(e) => return Err(e),
    };
    match owner {
        Some(other) if &other != project => Err(Error::conflict(
            "other_project",
            format!("{} belongs to another project of this installation; recover it there", repository.name),
        )),
        _ => Ok(()),
    }
}

/// Asked for again, after an answer was lost or the caller was killed: what was begun goes on.
async fn repeated(app: &App, there: &Cluster, repository: &FoundRepository) -> Result<(Restore, OperationId)> {
    let taken =
        || Error::conflict("name_taken", format!("there is a cluster {} already; name another one with --as", there.name)).with_field("as");
    let filter =
        Filter { cluster_key: Some(there.id.to_string()), kind: Some(recover_cluster::RecoverCluster::KIND.into()), ..Filter::default() };
    let operation = app.runner.list(filter, None, 1).await?.items.into_iter().next();
    let operation = operation.filter(|o| o.status == Status::Succeeded || o.status.is_active()).ok_or_else(taken)?;
    let filter = RestoreFilter { target: Some(there.id.clone()), ..RestoreFilter::default() };
    let restores = store::restores::list(&mut *app.store.read().await?, &filter, &Paging::default()).await?.items;
    let same = |r: &&Restore| repository.backups.iter().any(|b| b.backup == r.backup);
    let restore = restores.iter().rfind(same).cloned().ok_or_else(taken)?;
    Ok((restore, operation.id))
}
