//! The repositories of a cluster's backups: which they are, and what opens them.

use crate::{App, app, projects, storages};
use mainstay_drivers::storage::{RepositoryKeys, RepositoryRef};
use mainstay_model::{ClusterId, Error, Kind, ProjectId, Result, StorageId, backup::Backup, cluster::Cluster};
use mainstay_store as store;

pub(crate) const OWN_KEY: &str = "repository_key";

/// The cluster's repository in a storage, with the keys that open it.
pub async fn repository(app: &App, cluster: &Cluster, storage: &StorageId) -> Result<RepositoryRef> {
    repository_for(app, &cluster.project, &cluster.id, &cluster.engine, storage).await
}

pub async fn repository_of(app: &App, backup: &Backup, storage: &StorageId) -> Result<RepositoryRef> {
    repository_for(app, &backup.project, &backup.cluster, &backup.engine, storage).await
}

/// `None` where the storage is no longer among the storages: nobody can log in there any more, and what it
/// holds is nobody's.
pub(crate) async fn repository_there(app: &App, cluster: &Cluster, storage: &StorageId) -> Result<Option<RepositoryRef>> {
    there(repository(app, cluster, storage).await)
}

/// The same, for where a backup lies.
pub(crate) async fn repository_of_there(app: &App, backup: &Backup, storage: &StorageId) -> Result<Option<RepositoryRef>> {
    there(repository_of(app, backup, storage).await)
}

fn there(found: Result<RepositoryRef>) -> Result<Option<RepositoryRef>> {
    match found {
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

async fn repository_for(app: &App, project: &ProjectId, cluster: &ClusterId, engine: &str, storage: &StorageId) -> Result<RepositoryRef> {
    let facts = app.description().await?.facts;
    let chunking = facts.get(engine).map(|f| f.chunking).ok_or_else(|| Error::internal(format!("no facts of engine {engine}")))?;
    let row = store::storages::get(&mut *app.store.read().await?, storage).await?;
    let keys = RepositoryKeys { own: own_key(app, cluster).await?, recovery: projects::recovery_keys(app, project).await? };
    let project = path_project(app, project, cluster).await?;
    Ok(RepositoryRef { storage: storages::spec(&app.store, &row).await?, project, cluster: cluster.clone(), chunking, keys })
}

/// Under which the project is remembered whose id is in the path of the cluster's repositories, where
/// another installation made them.
pub(crate) fn path_of(cluster: &ClusterId) -> String {
    format!("repository/{cluster}")
}

async fn path_project(app: &App, project: &ProjectId, cluster: &ClusterId) -> Result<ProjectId> {
    let kept = store::kv::get(&mut *app.store.read().await?, &path_of(cluster)).await?;
    Ok(kept.as_deref().and_then(ProjectId::parse).unwrap_or_else(|| project.clone()))
}

/// What the keys of a cluster's repositories are kept under.
pub(crate) fn keys_owner(cluster: &ClusterId) -> String {
    format!("{cluster}/repository")
}

/// Drawn at the first use and kept for good, also after the cluster is gone: its backups are not.
pub(crate) async fn own_key(app: &App, cluster: &ClusterId) -> Result<mainstay_model::Secret> {
    let owner = keys_owner(cluster);
    if let Some(key) = store::secrets::get(&mut *app.store.read().await?, app.store.sealer(), &owner, OWN_KEY).await? {
        return Ok(key);
    }
    let mut tx = app.store.begin_write().await?;
    if let Some(key) = store::secrets::get(&mut tx, app.store.sealer(), &owner, OWN_KEY).await? {
        return Ok(key);
    }
    let key = app::new_password();
    store::secrets::put(&mut tx, app.store.sealer(), &owner, OWN_KEY, &key).await?;
    store::commit(tx).await?;
    Ok(key)
}
