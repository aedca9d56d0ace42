//! Where backups go.

use crate::App;
use mainstay_drivers::storage::{Place, StorageReport, StorageSpec};
use mainstay_model::{Error, Name, ProjectId, Result, StorageId, error::shown};
use mainstay_rpc::verbs::CheckStorage;
use mainstay_store::{self as store, storages::StorageRow};

pub const DEFAULT: &str = "local";

/// What `storage add` was given.
#[derive(Debug, Clone)]
pub struct NewStorage {
    pub name: String,
    pub place: Place,
    pub region: Option<String>,
}

pub(crate) async fn ensure_default(app: &App) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    let place = Place::Local { path: app.options.default_storage.clone() };
    for project in store::projects::list(&mut tx).await? {
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

fn row(project: &ProjectId, name: &str, place: &Place, region: Option<String>, now: mainstay_model::Time) -> Result<StorageRow> {
    Ok(StorageRow {
        id: StorageId::new(),
        project: project.clone(),
        name: Name::parse(name)?,
        kind: place.kind().into(),
        region,
        place: serde_json::to_value(place).map_err(Error::internal)?,
        created_at: now,
    })
}

pub fn spec(row: &StorageRow) -> Result<StorageSpec> {
    let place = serde_json::from_value(row.place.clone()).map_err(Error::internal)?;
    Ok(StorageSpec { id: row.id.clone(), name: row.name.to_string(), place, secret: None })
}

/// Adds a storage after it was looked at: one that cannot be written to is refused with the row
/// that failed.
pub async fn add(app: &App, project: &ProjectId, new: NewStorage) -> Result<(StorageRow, StorageReport)> {
    let name = Name::parse(&new.name)?;
    valid_place(&new.place)?;
    let row = row(project, name.as_str(), &new.place, new.region, app.now())?;
    let report = app.agent.look(&CheckStorage { storage: spec(&row)? }).await?;
    if let Some(bad) = report.rows.iter().find(|r| !r.ok) {
        return Err(
            Error::invalid("path", format!("the storage fails its check \"{}\": {}", bad.name, bad.detail)).with_code("storage_unwell")
        );
    }
    let mut tx = app.store.begin_write().await?;
    store::storages::insert(&mut tx, &row).await?;
    store::commit(tx).await?;
    Ok((row, report))
}

fn valid_place(place: &Place) -> Result<()> {
    let Place::Local { path } = place else {
        return Err(Error::invalid("kind", format!("\"{}\" is not a kind of storage here", place.kind())));
    };
    let text = path.to_string_lossy();
    let fits = path.is_absolute() && !text.contains('\0') && text.len() <= 1024 && !path.components().any(|c| c.as_os_str() == "..");
    if fits {
        return Ok(());
    }
    Err(Error::invalid("path", format!("\"{}\" is not an absolute directory without ..", shown(&text))))
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

pub async fn list(app: &App, project: &ProjectId) -> Result<Vec<StorageRow>> {
    store::storages::list(&mut *app.store.read().await?, project).await
}

pub async fn check(app: &App, row: &StorageRow) -> Result<StorageReport> {
    app.agent.look(&CheckStorage { storage: spec(row)? }).await
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
    store::storages::delete(&mut tx, &row.id).await?;
    store::commit(tx).await
}
