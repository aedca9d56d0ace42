//! Who can open a project's repositories without Mainstay: any number of recovery keys, each with a
//! name, all of them restic passwords.
//!
//! What is wanted is kept here; that every repository takes exactly these keys is brought about by an
//! operation, and by a task where a storage did not answer ([`crate::tasks::recovery_keys`]). No byte
//! of data is written again for it. A key that was taken away opens nothing any more; whoever opened a
//! repository with it while it did may have kept that repository's master key.

use crate::{Actor, App, backups, ops, ops::set_recovery_keys, projects::RECOVERY, tasks::self_backup};
use mainstay_drivers::storage::RepositoryRef;
use mainstay_model::{Error, Name, OperationId, ProjectId, Result, Secret, Time, backup::Backup, project::Project};
use mainstay_operations::{Lock, Submit, Tx};
use mainstay_store::{self as store, Paging, backups::BackupFilter};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The name of the key every project has from the start.
pub const FIRST: &str = "default";
/// Most keys a project may have: each is tried in turn when a repository is opened.
const MOST: usize = 8;

/// A further key, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub name: Name,
    pub created_at: Time,
}

/// What the last look with a recovery key alone found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub at: Time,
    pub ok: bool,
    pub detail: String,
}

/// A project's keys as they are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct KeysView {
    pub names: Vec<(String, Option<Time>)>,
    /// Whether every repository takes exactly these.
    pub in_place: bool,
    pub checked: Option<Checked>,
}

fn list_key(project: &ProjectId) -> String {
    format!("recovery_keys/{project}")
}

fn applied_key(project: &ProjectId) -> String {
    format!("recovery_keys_in_place/{project}")
}

fn checked_key(project: &ProjectId) -> String {
    format!("recovery_check/{project}")
}

fn kind(name: &str) -> String {
    if name == FIRST { RECOVERY.into() } else { format!("{RECOVERY}/{name}") }
}

async fn further(conn: &mut sqlx::AnyConnection, project: &ProjectId) -> Result<Vec<Named>> {
    let kept = store::kv::get(conn, &list_key(project)).await?;
    kept.map_or(Ok(vec![]), |text| serde_json::from_str(&text).map_err(Error::internal))
}

async fn keep(tx: &mut Tx, project: &ProjectId, named: &[Named]) -> Result<()> {
    store::kv::put(tx, &list_key(project), &serde_json::to_string(named).map_err(Error::internal)?).await
}

/// The first key first.
pub async fn all(app: &App, project: &ProjectId) -> Result<Vec<Secret>> {
    let mut conn = app.store.read().await?;
    let names = further(&mut conn, project).await?;
    let mut keys = Vec::new();
    for name in std::iter::once(FIRST).chain(names.iter().map(|n| n.name.as_str())) {
        let key = store::secrets::get(&mut conn, app.store.sealer(), project.as_str(), &kind(name)).await?;
        keys.push(key.ok_or_else(|| Error::internal(format!("the recovery key {name} has no text")))?);
    }
    Ok(keys)
}

fn changed_key(project: &ProjectId) -> String {
    format!("repository_keys_changed/{project}")
}

/// When the keys of the project's repositories last became other ones: what was proven before was proven
/// with the old ones.
pub(crate) async fn changed_at(conn: &mut sqlx::AnyConnection, project: &ProjectId) -> Result<Option<Time>> {
    Ok(store::kv::get(conn, &changed_key(project)).await?.as_deref().and_then(Time::parse))
}

/// Stands for a set of keys without showing them.
fn mark(keys: &[Secret]) -> String {
    let mut h = Sha256::new();
    for key in keys {
        h.update(Sha256::digest(key.reveal()));
    }
    hex::encode(h.finalize())
}

pub async fn view(app: &App, project: &ProjectId) -> Result<KeysView> {
    let in_place = is_in_place(app, project).await?;
    let mut conn = app.store.read().await?;
    let named = further(&mut conn, project).await?.into_iter().map(|n| (n.name.to_string(), Some(n.created_at)));
    let checked = store::kv::get(&mut conn, &checked_key(project)).await?;
    Ok(KeysView {
        names: std::iter::once((FIRST.to_string(), None)).chain(named).collect(),
        in_place,
        checked: checked.and_then(|text| serde_json::from_str(&text).ok()),
    })
}

pub async fn note_checked(app: &App, project: &ProjectId, checked: &Checked) -> Result<()> {
    let text = serde_json::to_string(checked).map_err(Error::internal)?;
    let mut tx = app.store.begin_write().await?;
    store::kv::put(&mut tx, &checked_key(project), &text).await?;
    store::commit(tx).await
}

/// Repositories take the project's first key from their making on; only a change has to be brought to
/// them.
pub(crate) async fn is_in_place(app: &App, project: &ProjectId) -> Result<bool> {
    let applied = store::kv::get(&mut *app.store.read().await?, &applied_key(project)).await?;
    match applied {
        None => Ok(true),
        Some(applied) => Ok(applied == mark(&all(app, project).await?)),
    }
}

/// What has to be true from now on; not yet so anywhere.
async fn changed(tx: &mut Tx, project: &ProjectId) -> Result<()> {
    store::kv::put(tx, &applied_key(project), "pending").await
}

/// A key that came or went meanwhile has another mark, and is not in place yet.
pub(crate) async fn note_applied(tx: &mut Tx, project: &ProjectId, mark: &str, now: Time) -> Result<()> {
    store::kv::put(tx, &changed_key(project), &now.to_string()).await?;
    store::kv::put(tx, &applied_key(project), mark).await
}

pub(crate) async fn current_mark(app: &App, project: &ProjectId) -> Result<String> {
    Ok(mark(&all(app, project).await?))
}

/// A further key; its text is shown this once.
pub async fn add(app: &App, by: &Actor, project: &Project, name: &str) -> Result<(Secret, OperationId)> {
    let name = Name::parse(name)?;
    let taken = || Error::conflict("name_taken", format!("project {} has a recovery key {name} already", project.name)).with_field("name");
    if name.as_str() == FIRST {
        return Err(taken());
    }
    let mut tx = app.store.begin_write().await?;
    let mut named = further(&mut tx, &project.id).await?;
    if named.iter().any(|n| n.name == name) {
        return Err(taken());
    }
    if named.len() + 1 >= MOST {
        return Err(Error::conflict("too_many_keys", format!("a project has at most {MOST} recovery keys; remove one first")));
    }
    let key = new_key();
    store::secrets::put(&mut tx, app.store.sealer(), project.id.as_str(), &kind(name.as_str()), &key).await?;
    named.push(Named { name, created_at: app.now() });
    keep(&mut tx, &project.id, &named).await?;
    Ok((key, submit(app, by, project, tx).await?))
}

/// A new text for the first key, which opens nothing from then on.
pub async fn rotate(app: &App, by: &Actor, project: &Project) -> Result<(Secret, OperationId)> {
    let mut tx = app.store.begin_write().await?;
    let key = new_key();
    store::secrets::put(&mut tx, app.store.sealer(), project.id.as_str(), RECOVERY, &key).await?;
    Ok((key, submit(app, by, project, tx).await?))
}

pub async fn remove(app: &App, by: &Actor, project: &Project, name: &str) -> Result<OperationId> {
    if name == FIRST {
        let why = format!("the recovery key {FIRST} stays; `mainstay project recovery-key {} --rotate` replaces it", project.name);
        return Err(Error::conflict("first_key", why));
    }
    let mut tx = app.store.begin_write().await?;
    let mut named = further(&mut tx, &project.id).await?;
    let before = named.len();
    named.retain(|n| n.name.as_str() != name);
    if named.len() == before {
        return Err(Error::not_found("recovery key", name));
    }
    keep(&mut tx, &project.id, &named).await?;
    submit(app, by, project, tx).await
}

pub(crate) fn new_key() -> Secret {
    Secret::generate(48, rand::random::<u8>)
}

async fn submit(app: &App, by: &Actor, project: &Project, mut tx: sqlx::Transaction<'static, sqlx::Any>) -> Result<OperationId> {
    changed(&mut tx, &project.id).await?;
    let operation = app.runner.submit_in(&mut tx, submission(project, &by.name)?).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok(operation)
}

pub(crate) fn submission(project: &Project, by: &str) -> Result<Submit> {
    let state = set_recovery_keys::State { project: project.id.clone(), mark: String::new(), repositories: 0 };
    let subject = ops::subject_of(&project.id, "", project.id.as_str());
    ops::submission::<set_recovery_keys::SetRecoveryKeys>(&state, Some(subject), Lock::Exclusive, by)
}

/// Every repository of the project that there should be, the control plane's own included.
pub(crate) async fn repositories(app: &App, project: &ProjectId) -> Result<Vec<RepositoryRef>> {
    let mut of: BTreeMap<(String, String), (Backup, mainstay_model::StorageId)> = BTreeMap::new();
    let mut paging = Paging::default();
    let filter = BackupFilter { project: Some(project.clone()), ..BackupFilter::default() };
    loop {
        let page = store::backups::list(&mut *app.store.read().await?, &filter, &paging).await?;
        for backup in page.items {
            for copy in backup.copies.iter().filter(|c| c.snapshot.is_some()) {
                let at = (backup.cluster.to_string(), copy.storage.to_string());
                of.entry(at).or_insert_with(|| (backup.clone(), copy.storage.clone()));
            }
        }
        let Some(next) = page.next else { break };
        paging.cursor = Some(next);
    }
    let mut all = Vec::new();
    for (backup, storage) in of.into_values() {
        all.push(backups::repository_of(app, &backup, &storage).await?);
    }
    all.extend(self_backup::repositories(app, project).await?);
    Ok(all)
}
