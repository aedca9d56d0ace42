//! A recovery kit: everything that whoever has lost all else needs, in one document. It opens every
//! backup of the project and logs in to every place they lie in, so it is itself a secret; it is made
//! when an owner asks for it, and kept nowhere.

use crate::{App, backups, projects, recovery_keys, storages};
use mainstay_drivers::storage::{Place, RepositoryRef, StorageSpec};
use mainstay_model::{BackupId, ClusterName, Result, Secret, Time, project::Project};
use mainstay_rpc::verbs::ExportKey;
use mainstay_store::{self as store, Paging, backups::BackupFilter, storages::StorageRow};
use std::collections::HashSet;

pub struct Kit {
    pub made_at: Time,
    pub key: Secret,
    pub storages: Vec<(StorageRow, StorageSpec)>,
    pub borg: Vec<BorgKey>,
    pub by_hand: Vec<ByHand>,
}

/// What Borg has a person keep of one repository.
pub struct BorgKey {
    pub storage: String,
    /// The repository, as Borg is told it.
    pub repository: String,
    pub passphrase: Secret,
    /// Or why it cannot be had now.
    pub export: Result<Secret>,
}

/// The newest good backup of a cluster, and what to type.
pub struct ByHand {
    pub cluster: ClusterName,
    pub backup: BackupId,
    pub made_at: Time,
    pub copies: Vec<backups::ByHand>,
}

/// A storage that does not answer is in it all the same: its address and what logs in are known here.
pub async fn make(app: &App, project: &Project) -> Result<Kit> {
    let key = projects::recovery_key(app, &project.id).await?;
    let mut places = Vec::new();
    let rows = storages::list(app, &project.id).await?;
    // Of several in one place the newest is enough: whoever looks there finds the others beside it.
    let is_followed = |row: &StorageRow| row.followed_by.as_ref().is_some_and(|next| rows.iter().any(|r| &r.id == next));
    for row in rows.iter().filter(|row| !is_followed(row)).cloned() {
        let spec = storages::spec(&app.store, &row).await?;
        places.push((row, spec));
    }
    let mut borg = Vec::new();
    for repository in recovery_keys::repositories(app, &project.id).await? {
        borg.extend(borg_key(app, repository).await);
    }
    Ok(Kit { made_at: app.now(), key, storages: places, borg, by_hand: by_hand(app, project).await? })
}

async fn borg_key(app: &App, repository: RepositoryRef) -> Option<BorgKey> {
    let Place::Borg(place) = &repository.storage.place else { return None };
    let at = format!("{}/{}/{}", place.repository.trim_end_matches('/'), repository.project, repository.cluster);
    let (storage, passphrase) = (repository.storage.name.clone(), repository.keys.own.clone());
    let export = app.agent.look(&ExportKey { repository }).await;
    let missing = || mainstay_model::Error::internal("a Borg repository without a key to export");
    Some(BorgKey { storage, repository: at, passphrase, export: export.and_then(|key| key.ok_or_else(missing)) })
}

async fn by_hand(app: &App, project: &Project) -> Result<Vec<ByHand>> {
    let filter = BackupFilter { project: Some(project.id.clone()), ..BackupFilter::default() };
    let (mut seen, mut all, mut paging) = (HashSet::new(), Vec::new(), Paging::default());
    loop {
        let page = store::backups::list(&mut *app.store.read().await?, &filter, &paging).await?;
        for backup in page.items.into_iter().filter(|b| b.is_restorable()) {
            if seen.insert(backup.cluster.clone()) {
                let copies = backups::commands(app, &backup).await?;
                all.push(ByHand { cluster: backup.cluster_name, backup: backup.id, made_at: backup.created_at, copies });
            }
        }
        let Some(next) = page.next else { return Ok(all) };
        paging.cursor = Some(next);
    }
}
