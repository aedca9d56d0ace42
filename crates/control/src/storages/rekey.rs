//! A new master key for all that is backed up from now on.
//!
//! Removing a recovery key does not take back the master key that somebody may have read with it. So new
//! repositories begin, beside the old ones in the same place. Those stay what they are, a storage of their
//! own under another name, with every backup in them: restored, verified, tried, looked at and expired as
//! ever, until nothing is left. What is new keeps the name, the limits and the label, and every schedule
//! and log that went there.

use super::{EDITION, SECRET, spec};
use crate::{
    Actor, App,
    ops::{self, rekey_storage},
};
use mainstay_model::{Error, Name, OperationId, Result, StorageId, schedule::Owner};
use mainstay_operations::{Lock, Tx};
use mainstay_store::{self as store, Paging, backups::BackupFilter, storages::StorageRow};

/// What it would do, in sentences.
#[derive(Debug, Clone)]
pub struct Plan {
    pub does: String,
    pub warnings: Vec<String>,
}

pub async fn plan(app: &App, row: &StorageRow) -> Result<Plan> {
    let mut conn = app.store.read().await?;
    may(&mut conn, row).await?;
    let schedules = store::schedules::of_storage(&mut conn, &row.project, &row.id).await?.len();
    let old = old_name(row)?;
    let does = format!(
        "new repositories with a master key of their own begin in storage {}, beside the ones that are there; those stay, as storage {old}, \
         until their backups have expired",
        row.name
    );
    let mut warnings = vec![
        format!("the next backup of every cluster into {} is a full one: nothing is shared with the repositories before", row.name),
        format!("the backups in {old} still open with the old master keys; delete them earlier if they must not"),
    ];
    if schedules > 0 {
        warnings.push(format!("{schedules} schedules go on into the new repositories"));
    }
    Ok(Plan { does, warnings })
}

/// Refused where it was done already, and in a place that holds no repositories.
async fn may(conn: &mut Tx, row: &StorageRow) -> Result<()> {
    super::takes_backups(row)?;
    if row.kind == mainstay_drivers::storage::SNAPSHOT {
        return Err(
            Error::invalid("storage", format!("storage {} is not encrypted: there is no key to change", row.name)).with_code("no_key")
        );
    }
    let old = old_name(row)?;
    match store::storages::by_name(conn, &row.project, old.as_str()).await {
        Ok(_) => {
            Err(Error::conflict("name_taken", format!("there is a storage {old} already, and the old repositories would be called that")))
        }
        Err(e) if e.kind == mainstay_model::Kind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// `cloud-edition-1`, with as much of the name as there is room for.
fn old_name(row: &StorageRow) -> Result<Name> {
    const MOST: usize = 40;
    let end = format!("{EDITION}{}", row.edition);
    let name = row.name.as_str();
    let kept = &name[..name.len().min(MOST - end.len())];
    Name::parse(&format!("{}{end}", kept.trim_end_matches('-')))
}

pub async fn rekey(app: &App, by: &Actor, row: &StorageRow) -> Result<OperationId> {
    may(&mut *app.store.read().await?, row).await?;
    let state = rekey_storage::State { old: row.id.clone(), new: StorageId::new(), edition: row.edition + 1, clusters: 0 };
    let subject = ops::subject_of(&row.project, "", row.id.as_str());
    app.runner.submit(ops::submission::<rekey_storage::RekeyStorage>(&state, Some(subject), Lock::Exclusive, &by.name)?).await
}

/// Within one write: the old row has another name and is followed, the new one has its name, and all that
/// went to the old one goes to the new one. How many clusters that concerns.
pub(crate) async fn switch(app: &App, tx: &mut Tx, old: &StorageId, new: &StorageId) -> Result<u64> {
    let row = store::storages::get(tx, old).await?;
    may(tx, &row).await?;
    let before = StorageRow { name: old_name(&row)?, followed_by: Some(new.clone()), ..row.clone() };
    store::storages::update(tx, &before).await?;
    let after = StorageRow { id: new.clone(), edition: row.edition + 1, created_at: app.now(), ..row.clone() };
    store::storages::insert(tx, &after).await?;
    if let Some(secret) = store::secrets::get(tx, app.store.sealer(), old.as_str(), SECRET).await? {
        store::secrets::put(tx, app.store.sealer(), new.as_str(), SECRET, &secret).await?;
    }
    rename_copies(tx, old, &before).await?;
    let mut concerned = std::collections::BTreeSet::new();
    for mut schedule in store::schedules::of_storage(tx, &row.project, old).await? {
        schedule.storages.iter_mut().filter(|s| *s == old).for_each(|s| *s = new.clone());
        if let Some(days) = schedule.copy_retention.remove(old) {
            schedule.copy_retention.insert(new.clone(), days);
        }
        match &schedule.owner {
            Owner::Cluster { cluster, .. } => drop(concerned.insert(cluster.clone())),
            Owner::Group { group, .. } => concerned.extend(store::groups::get(tx, group).await?.members),
        }
        store::schedules::update(tx, &schedule).await?;
    }
    for id in store::log::clusters(tx).await? {
        let Ok(mut cluster) = store::clusters::get(tx, &id).await else { continue };
        if let Some(log) = cluster.log.as_mut().filter(|log| log.storages.contains(old)) {
            log.storages.iter_mut().filter(|s| *s == old).for_each(|s| *s = new.clone());
            concerned.insert(id);
            store::clusters::update(tx, &cluster).await?;
        }
    }
    Ok(concerned.len() as u64)
}

/// Backups say the names of their storages.
async fn rename_copies(tx: &mut Tx, old: &StorageId, row: &StorageRow) -> Result<()> {
    let filter = BackupFilter { storage: Some(old.clone()), ..BackupFilter::default() };
    let mut paging = Paging::new(Some(500), None)?;
    loop {
        let page = store::backups::list(tx, &filter, &paging).await?;
        for mut backup in page.items {
            backup.copies.iter_mut().filter(|c| &c.storage == old).for_each(|c| c.storage_name = row.name.to_string());
            store::backups::update(tx, &backup).await?;
        }
        let Some(next) = page.next else { return Ok(()) };
        paging.cursor = Some(next);
    }
}

/// As it will be: what is looked at before anything is changed.
pub(crate) async fn new_spec(app: &App, s: &rekey_storage::State) -> Result<mainstay_drivers::storage::StorageSpec> {
    let row = store::storages::get(&mut *app.store.read().await?, &s.old).await?;
    Ok(mainstay_drivers::storage::StorageSpec { edition: s.edition, ..spec(&app.store, &row).await? })
}
