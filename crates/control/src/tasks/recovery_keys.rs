//! That every repository takes the wanted recovery keys, where a storage did not answer when they
//! changed; and, once a month, that the newest backup opens with a recovery key alone. A key nobody
//! ever tried is a hope.

use crate::{App, backups, projects, recovery_keys, recovery_keys::Checked};
use mainstay_drivers::storage::{Depth, RepositoryKeys, SNAPSHOT};
use mainstay_model::{
    Error, Kind, Result, StorageId,
    backup::{Backup, Copy},
    project::Project,
};
use mainstay_rpc::verbs::{CheckKey, VerifySnapshot};
use mainstay_store::{self as store, Paging, backups::BackupFilter};

const MONTH_SECONDS: f64 = 30.0 * 86_400.0;
/// After a check that failed.
const DAY_SECONDS: f64 = 86_400.0;

pub async fn all(app: &App) -> Result<()> {
    for project in projects::list(app).await? {
        if !recovery_keys::is_in_place(app, &project.id).await? {
            bring(app, &project).await?;
        }
        let checked = recovery_keys::view(app, &project.id).await?.checked;
        let due = |c: &Checked| app.now().seconds_since(c.at) >= if c.ok { MONTH_SECONDS } else { DAY_SECONDS };
        if checked.as_ref().is_none_or(due) {
            check(app, &project).await?;
        }
    }
    Ok(())
}

/// One that is under way already is enough.
async fn bring(app: &App, project: &Project) -> Result<()> {
    match app.runner.submit(recovery_keys::submission(project, "mainstay")?).await {
        Err(Error { kind: Kind::Conflict, .. }) => Ok(()),
        other => other.map(drop),
    }
}

/// Opens the newest good backup with each recovery key and nothing else. Without a backup that a key
/// opens (snapshots are not encrypted) there is nothing to say.
pub async fn check(app: &App, project: &Project) -> Result<()> {
    let filter = BackupFilter { project: Some(project.id.clone()), ..BackupFilter::default() };
    let page = store::backups::list(&mut *app.store.read().await?, &filter, &Paging::default()).await?;
    let sealed = |c: &&Copy| c.is_good() && c.kind != SNAPSHOT;
    let newest = page.items.iter().filter(|b| b.is_restorable()).find_map(|b| Some((b, b.copies.iter().find(sealed)?)));
    let Some((backup, copy)) = newest else { return Ok(()) };
    let outcome = opens(app, project, backup, &copy.storage).await;
    let (ok, detail) = match outcome {
        Ok(storage) => {
            (true, format!("backup {} in storage {storage} opens with the recovery keys alone, its records are whole", backup.id))
        }
        Err(e) => (false, format!("backup {} does not open with a recovery key alone: {}", backup.id, e.message)),
    };
    if !ok {
        tracing::warn!(project = %project.name, "{detail}");
    }
    recovery_keys::note_checked(app, &project.id, &Checked { at: app.now(), ok, detail }).await
}

async fn opens(app: &App, project: &Project, backup: &Backup, storage: &StorageId) -> Result<String> {
    let (mut repository, snapshot) = backups::good_copy(app, backup, Some(storage)).await?;
    for recovery in recovery_keys::all(app, &project.id).await? {
        repository.keys = RepositoryKeys { own: recovery.clone(), recovery: vec![] };
        app.agent.look(&CheckKey { repository: repository.clone() }).await?;
    }
    app.agent.look(&VerifySnapshot { repository: repository.clone(), snapshot, depth: Depth::Structure }).await?;
    Ok(repository.storage.name)
}
