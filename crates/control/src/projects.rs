//! Projects, and the recovery key each of them has.

use crate::{Actor, App, recovery_keys};
use mainstay_model::{Error, Name, ProjectId, Result, Role, Secret, project::Project};
use mainstay_store as store;

pub const DEFAULT: &str = "default";
pub(crate) const RECOVERY: &str = "recovery_key";

pub(crate) async fn ensure_default(app: &App) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    let project = store::projects::ensure_default(&mut tx, app.now()).await?;
    ensure_recovery_key(app, &mut tx, &project.id).await?;
    store::commit(tx).await
}

/// A new one, with all that belongs to one. The person who makes it owns it.
pub async fn create(app: &App, actor: &Actor, name: &str) -> Result<Project> {
    let project = Project { id: ProjectId::new(), name: Name::parse(name)?, created_at: app.now() };
    let mut tx = app.store.begin_write().await?;
    store::projects::insert(&mut tx, &project).await?;
    ensure_recovery_key(app, &mut tx, &project.id).await?;
    crate::storages::put_local(app, &mut tx, &project).await?;
    if let Some(person) = &actor.person {
        store::members::put(&mut tx, &project.id, person.user_id(), Role::Owner, app.now()).await?;
    }
    store::commit(tx).await?;
    Ok(project)
}

/// Drawn with the project, so that every repository can be opened with it from its first backup on.
async fn ensure_recovery_key(app: &App, tx: &mut mainstay_operations::Tx, project: &ProjectId) -> Result<()> {
    if store::secrets::get(tx, app.store.sealer(), project.as_str(), RECOVERY).await?.is_none() {
        let key = recovery_keys::new_key();
        store::secrets::put(tx, app.store.sealer(), project.as_str(), RECOVERY, &key).await?;
    }
    Ok(())
}

/// By id or by name.
pub async fn resolve(app: &App, id_or_name: &str) -> Result<Project> {
    let mut conn = app.store.read().await?;
    match ProjectId::parse(id_or_name) {
        Some(id) => store::projects::get(&mut conn, &id).await,
        None => store::projects::by_name(&mut conn, id_or_name).await,
    }
}

pub async fn list(app: &App) -> Result<Vec<Project>> {
    store::projects::list(&mut *app.store.read().await?).await
}

/// All that open the project's repositories beside Mainstay's own key.
pub async fn recovery_keys(app: &App, project: &ProjectId) -> Result<Vec<Secret>> {
    recovery_keys::all(app, project).await
}

/// A restic password that opens every repository of the project.
pub async fn recovery_key(app: &App, project: &ProjectId) -> Result<Secret> {
    let mut conn = app.store.read().await?;
    let key = store::secrets::get(&mut conn, app.store.sealer(), project.as_str(), RECOVERY).await?;
    key.ok_or_else(|| Error::internal("a project without recovery key"))
}
