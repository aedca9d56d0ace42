//! Where backups go.

mod places;
mod rekey;

pub use rekey::{Plan as RekeyPlan, plan as rekey_plan, rekey};
pub(crate) use rekey::{new_spec, switch};

use crate::{App, left_behind, tasks::self_backup};
use mainstay_drivers::storage::{BorgPlace, Place, S3Place, SftpPlace, StorageReport, StorageSpec};
use mainstay_model::{
    Error, Kind, Name, ProjectId, Result, Secret, StorageId,
    backup::{Check, LastCheck},
    cluster::Cluster,
    limits::Limits,
    project::Project,
};
use mainstay_operations::Tx;
use mainstay_rpc::verbs::{CheckStorage, LimitStorage};
use mainstay_store::{self as store, Store, storages::StorageRow};

pub const DEFAULT: &str = "local";
/// What the name of a storage that was rekeyed gets, before the number of its edition.
pub const EDITION: &str = "-edition-";

/// What `storage add` was given.
#[derive(Debug, Clone)]
pub struct NewStorage {
    pub name: String,
    pub place: Place,
    pub region: Option<String>,
    /// What logs in.
    pub secret: Option<Secret>,
    pub limits: Limits,
}

/// What a storage logs in with, beside it under its id.
const SECRET: &str = "storage_login";

pub(crate) async fn ensure_default(app: &App) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    for project in store::projects::list(&mut tx).await? {
        let place = Place::Local { path: local_path(app, &project) };
        match store::storages::by_name(&mut tx, &project.id, DEFAULT).await {
            // The data directory may have been moved since.
            Ok(old) => {
                let place = serde_json::to_value(&place).map_err(Error::internal)?;
                store::storages::update(&mut tx, &StorageRow { place, ..old }).await?;
            }
            Err(e) if e.kind == mainstay_model::Kind::NotFound => {
                store::storages::insert(&mut tx, &row(&project.id, DEFAULT, &place, None, app.now())?).await?;
            }
            Err(e) => return Err(e),
        }
    }
    store::commit(tx).await
}

/// Projects lie apart: who looks through a storage for what its key opens must not read the names of
/// another project's clusters there.
fn local_path(app: &App, project: &Project) -> std::path::PathBuf {
    let path = &app.options.default_storage;
    match project.name.as_str() {
        crate::projects::DEFAULT => path.clone(),
        _ => path.with_file_name(format!("local-{}", project.id)),
    }
}

/// The storage `local` of a project that is being made.
pub(crate) async fn put_local(app: &App, tx: &mut Tx, project: &Project) -> Result<()> {
    let place = Place::Local { path: local_path(app, project) };
    store::storages::insert(tx, &row(&project.id, DEFAULT, &place, None, app.now())?).await
}

fn row(project: &ProjectId, name: &str, place: &Place, region: Option<String>, now: mainstay_model::Time) -> Result<StorageRow> {
    Ok(StorageRow {
        id: StorageId::new(),
        project: project.clone(),
        name: Name::parse(name)?,
        kind: place.kind().into(),
        region,
        place: serde_json::to_value(place).map_err(Error::internal)?,
        created_at: now,
        limits: Limits::default(),
        edition: 1,
        followed_by: None,
        last_check: None,
    })
}

pub fn place_of(row: &StorageRow) -> Result<Place> {
    serde_json::from_value(row.place.clone()).map_err(Error::internal)
}

/// With what logs in, unsealed: for the agent, and to be kept nowhere.
pub async fn spec(store: &Store, row: &StorageRow) -> Result<StorageSpec> {
    let place = place_of(row)?;
    let secret = store::secrets::get(&mut *store.read().await?, store.sealer(), row.id.as_str(), SECRET).await?;
    Ok(StorageSpec { id: row.id.clone(), name: row.name.to_string(), place, secret, limits: row.limits, edition: row.edition })
}

/// A place that is looked at and not remembered.
pub fn unlisted(new: &NewStorage) -> Result<StorageSpec> {
    places::admit(&new.place, new.secret.as_ref())?;
    fits(&new.place, &new.limits)?;
    let (name, place, secret) = (new.name.clone(), new.place.clone(), new.secret.clone());
    Ok(StorageSpec { id: StorageId::new(), name, place, secret, limits: new.limits, edition: 1 })
}

/// Adds a storage after it was looked at: one that cannot be written to is refused with the row
/// that failed.
pub async fn add(app: &App, project: &ProjectId, new: NewStorage) -> Result<(StorageRow, StorageReport)> {
    let name = Name::parse(&new.name)?;
    let new = NewStorage { place: placed(app, new.place, &name), ..new };
    places::admit(&new.place, new.secret.as_ref())?;
    fits(&new.place, &new.limits)?;
    places::not_ourselves(&new.place, &app.options.own_addresses).await?;
    let row = StorageRow { limits: new.limits, ..row(project, name.as_str(), &new.place, new.region, app.now())? };
    let secret = new.secret.clone();
    let storage = StorageSpec { id: row.id.clone(), name: new.name, place: new.place.clone(), secret, limits: new.limits, edition: 1 };
    let report = app.agent.look(&CheckStorage { storage }).await?;
    refuse_unwell(&new.place, &report)?;
    let row = StorageRow { last_check: Some(seen(app, &report)), ..row };
    let mut tx = app.store.begin_write().await?;
    store::storages::insert(&mut tx, &row).await?;
    if let Some(secret) = &new.secret {
        store::secrets::put(&mut tx, app.store.sealer(), row.id.as_str(), SECRET, secret).await?;
    }
    store::commit(tx).await?;
    Ok((row, report))
}

/// Shared blocks go over no line.
fn fits(place: &Place, limits: &Limits) -> Result<()> {
    limits.check()?;
    match (place, limits.bandwidth) {
        (Place::Snapshot { .. }, Some(_)) => {
            Err(Error::invalid("bandwidth", "a storage of kind snapshot shares blocks and moves no bytes"))
        }
        _ => Ok(()),
    }
}

/// Another way in: what is absent stays. The place itself stays, so that no secret goes to another server.
#[derive(Debug, Clone, Default)]
pub struct Login {
    pub access_key: Option<String>,
    pub secret: Option<Secret>,
    pub ca: Option<String>,
    pub host_key: Option<String>,
}

impl Login {
    fn into(self, place: Place) -> Result<(Place, Option<Secret>)> {
        let odd = |field: &str, kind: &str| Err(Error::invalid(field, format!("a storage of kind {kind} takes no {field}")));
        let place = match place {
            Place::S3(_) if self.host_key.is_some() => return odd("host_key", "s3"),
            Place::S3(_) if self.access_key.is_some() && self.secret.is_none() => {
                let why = "another access key comes with its own secret key";
                return Err(Error::invalid("secret_key", why).with_code("secret_required"));
            }
            Place::S3(at) => Place::S3(S3Place { access_key: self.access_key.unwrap_or(at.access_key), ca: self.ca.or(at.ca), ..at }),
            other if self.access_key.is_some() => return odd("access_key", other.kind()),
            other if self.ca.is_some() => return odd("ca", other.kind()),
            Place::Sftp(at) => Place::Sftp(SftpPlace { host_key: self.host_key.unwrap_or(at.host_key), ..at }),
            Place::Borg(at) => Place::Borg(BorgPlace { host_key: self.host_key.or(at.host_key), ..at }),
            other => return odd(if self.secret.is_some() { "ssh_key" } else { "host_key" }, other.kind()),
        };
        Ok((place, self.secret))
    }
}

/// Keeps another login once a look with it finds the storage well; else the old one stays.
pub async fn set_login(app: &App, row: &StorageRow, login: Login) -> Result<StorageRow> {
    let old = spec(&app.store, row).await?;
    let (place, secret) = login.into(old.place)?;
    let secret = secret.or(old.secret);
    places::admit(&place, secret.as_ref())?;
    let storage = StorageSpec { place: place.clone(), secret: secret.clone(), ..spec(&app.store, row).await? };
    let report = app.agent.look(&CheckStorage { storage }).await?;
    refuse_unwell(&place, &report)?;
    let mut tx = app.store.begin_write().await?;
    let row = store::storages::get(&mut tx, &row.id).await?;
    let row = StorageRow { place: serde_json::to_value(&place).map_err(Error::internal)?, last_check: Some(seen(app, &report)), ..row };
    store::storages::update(&mut tx, &row).await?;
    if let Some(secret) = &secret {
        store::secrets::put(&mut tx, app.store.sealer(), row.id.as_str(), SECRET, secret).await?;
    }
    store::commit(tx).await?;
    Ok(row)
}

fn refuse_unwell(place: &Place, report: &StorageReport) -> Result<()> {
    let Some(bad) = report.rows.iter().find(|r| r.failed()) else { return Ok(()) };
    let message = format!("the storage fails its check \"{}\": {}", bad.name, bad.detail);
    Err(Error::invalid(places::field(place), message).with_code("storage_unwell"))
}

/// What backups may take of it from now on, also those that are under way or wait.
pub async fn set_limits(app: &App, row: &StorageRow, change: impl FnOnce(Limits) -> Limits) -> Result<StorageRow> {
    let mut tx = app.store.begin_write().await?;
    let row = store::storages::get(&mut tx, &row.id).await?;
    let row = StorageRow { limits: change(row.limits), ..row };
    fits(&place_of(&row)?, &row.limits)?;
    store::storages::update(&mut tx, &row).await?;
    store::commit(tx).await?;
    app.turns.limit(&row);
    // The agent hears it with every other verb too.
    if let Err(e) = app.agent.look(&LimitStorage { storage: spec(&app.store, &row).await? }).await {
        tracing::warn!("what is under way to storage {} goes on at its old pace: {e}", row.name);
    }
    Ok(row)
}

/// A storage of which other repositories are meant than those a place begins with.
pub(crate) async fn add_edition(app: &App, project: &ProjectId, new: NewStorage, edition: u32) -> Result<StorageRow> {
    let (row, _) = add(app, project, new).await?;
    if edition == row.edition {
        return Ok(row);
    }
    let mut tx = app.store.begin_write().await?;
    let row = StorageRow { edition, ..store::storages::get(&mut tx, &row.id).await? };
    store::storages::update(&mut tx, &row).await?;
    store::commit(tx).await?;
    Ok(row)
}

/// Snapshots lie beside the storage `local` where nothing else is said: in the data directory, as the
/// databases do.
fn placed(app: &App, place: Place, name: &Name) -> Place {
    match place {
        Place::Snapshot { path } if path.as_os_str().is_empty() => {
            Place::Snapshot { path: app.options.default_storage.with_file_name(name.as_str()) }
        }
        other => other,
    }
}

fn seen(app: &App, report: &StorageReport) -> LastCheck {
    LastCheck { at: app.now(), ok: !report.rows.iter().any(Check::failed), rows: report.rows.clone() }
}

pub async fn resolve(app: &App, project: &ProjectId, id_or_name: &str) -> Result<StorageRow> {
    let mut conn = app.store.read().await?;
    let row = match StorageId::parse(id_or_name) {
        Some(id) => store::storages::get(&mut conn, &id).await?,
        None => store::storages::by_name(&mut conn, project, id_or_name).await?,
    };
    if &row.project != project {
        return Err(Error::not_found("storage", id_or_name));
    }
    Ok(row)
}

/// Refuses one whose backups go beside it since.
pub fn takes_backups(row: &StorageRow) -> Result<()> {
    match row.followed_by {
        None => Ok(()),
        Some(_) => {
            let name = row.name.as_str().split(EDITION).next().unwrap_or_default();
            let why = format!("storage {} only keeps what it has since it was rekeyed; new backups go to {name}", row.name);
            Err(Error::conflict("storage_rekeyed", why).with_field("storage"))
        }
    }
}

pub async fn list(app: &App, project: &ProjectId) -> Result<Vec<StorageRow>> {
    store::storages::list(&mut *app.store.read().await?, project).await
}

/// Looks at it now and remembers what was seen. A look that comes to nothing is remembered as that.
pub async fn check(app: &App, row: &StorageRow) -> Result<StorageReport> {
    let looked = app.agent.look(&CheckStorage { storage: spec(&app.store, row).await? }).await;
    let left = row_left_behind(app, row).await?;
    let looked = looked.map(|report| StorageReport { rows: report.rows.into_iter().chain(left).collect(), ..report });
    let report = match &looked {
        Ok(report) => report.clone(),
        Err(e) => StorageReport { rows: vec![Check::new("reach", false, e.message.clone())], free_bytes: None, total_bytes: None },
    };
    let mut tx = app.store.begin_write().await?;
    match store::storages::get(&mut tx, &row.id).await {
        Ok(now) => store::storages::update(&mut tx, &StorageRow { last_check: Some(seen(app, &report)), ..now }).await?,
        Err(e) if e.kind == Kind::NotFound => {}
        Err(e) => return Err(e),
    }
    store::commit(tx).await?;
    looked
}

async fn row_left_behind(app: &App, row: &StorageRow) -> Result<Option<Check>> {
    let left = store::left_behind::of_storage(&mut *app.store.read().await?, &row.id).await?;
    Ok(left_behind::row(&left, self_backup::stays(app, row).await?.as_deref()))
}

/// What is kept of a log is as alive as a backup.
async fn keeps_no_log(tx: &mut Tx, row: &StorageRow) -> Result<()> {
    let goes_there = |c: &&Cluster| c.log.as_ref().is_some_and(|keeping| keeping.storages.contains(&row.id));
    let why = if let Some(c) = store::clusters::all_alive(tx).await?.iter().find(goes_there) {
        format!("the log of cluster {} goes to storage {}; `cluster pitr {} --storage` names others", c.name, row.name, c.name)
    } else if let Some(id) = store::log::clusters_in(tx, &row.id).await?.first() {
        let name = store::clusters::get(tx, id).await?.name;
        format!(
            "storage {} holds parts of the log of cluster {name}; they go with the backups that a restore from them begins with",
            row.name
        )
    } else {
        return Ok(());
    };
    Err(Error::conflict("storage_in_use", why))
}

/// Refused while a backup has a living copy there.
pub async fn remove(app: &App, row: &StorageRow) -> Result<()> {
    if row.name.as_str() == DEFAULT {
        return Err(Error::conflict("default_storage", "the storage \"local\" stays: it is where backups go when none is named"));
    }
    let mut tx = app.store.begin_write().await?;
    let filter = store::backups::BackupFilter { storage: Some(row.id.clone()), ..Default::default() };
    let living = store::backups::list(&mut tx, &filter, &store::Paging::default()).await?.items;
    if !living.is_empty() {
        let named: Vec<String> = living.iter().take(5).map(|b| format!("{} ({})", b.id, b.cluster_name)).collect();
        let more = if living.len() > 5 { format!(" and {} more", living.len() - 5) } else { String::new() };
        return Err(Error::conflict("storage_in_use", format!("storage {} holds {}{more}; delete them first", row.name, named.join(", "))));
    }
    if let Some(s) = store::schedules::of_storage(&mut tx, &row.project, &row.id).await?.first() {
        let why = format!("schedule {} of {} goes to storage {}; set others for it first", s.name, s.owner, row.name);
        return Err(Error::conflict("storage_in_use", why));
    }
    keeps_no_log(&mut tx, row).await?;
    store::storages::delete(&mut tx, &row.id).await?;
    store::left_behind::remove_of_storage(&mut tx, &row.id).await?;
    store::secrets::delete_owner(&mut tx, row.id.as_str()).await?;
    store::commit(tx).await
}
