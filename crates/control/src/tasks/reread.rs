//! Reads again, once a week, all that each storage holds of the newest good backup of each cluster: what was
//! whole when it was stored need not be for ever, and nobody else would notice before it is needed.
//!
//! One at a time, each by an operation that a person can see and cancel. The newest backup shares what did
//! not change with the older ones, so most of what they need is read with it.

use crate::{App, alerts, backups, plan::reread};
use mainstay_model::{ClusterId, Error, Kind, Result, StorageId, alert::AlertKind, backup::Backup, cluster::Cluster, reading::Reading};
use mainstay_store as store;
use std::collections::{HashMap, HashSet};

/// What is due, and is read together: copies of one backup.
struct Due {
    backup: Backup,
    storages: Vec<StorageId>,
}

/// All that are due now, one after the other. What ends the control plane meanwhile is gone on with later.
pub async fn all(app: &App) -> Result<()> {
    let days = app.options.reread_interval_days;
    let (clusters, last) = {
        let mut conn = app.store.read().await?;
        (store::clusters::all_alive(&mut conn).await?, store::readings::all(&mut conn).await?)
    };
    let mut known: HashMap<ClusterId, Vec<Reading>> = HashMap::new();
    for reading in last {
        known.entry(reading.cluster.clone()).or_default().push(reading);
    }
    for cluster in &clusters {
        let last = known.remove(&cluster.id).unwrap_or_default();
        match of_cluster(app, cluster, &last, days).await {
            Ok(()) => {}
            Err(e) => tracing::warn!(inside = e.inside, "what is stored of cluster {} is not read again yet: {e}", cluster.name),
        }
    }
    forget(app, known.into_values().flatten().collect()).await?;
    settle(app).await
}

async fn of_cluster(app: &App, cluster: &Cluster, last: &[Reading], days: i64) -> Result<()> {
    let newest = newest_in_each(app, &cluster.id).await?;
    let mut due: Vec<Due> = vec![];
    for (storage, backup) in &newest {
        let reading = last.iter().find(|r| &r.storage == storage);
        if !reread::is_due(app.now(), cluster.created_at, reading, days) {
            continue;
        }
        match due.iter_mut().find(|d| d.backup.id == backup.id) {
            Some(same) => same.storages.push(storage.clone()),
            None => due.push(Due { backup: backup.clone(), storages: vec![storage.clone()] }),
        }
    }
    for due in due {
        read(app, due).await?;
        settle(app).await?;
    }
    // Where no copy that is good is left the trouble stays, as long as there are any.
    let used: HashSet<StorageId> = backups::storages_used(app, &cluster.id).await?.into_iter().collect();
    forget(app, last.iter().filter(|r| !used.contains(&r.storage)).cloned().collect()).await
}

async fn newest_in_each(app: &App, cluster: &ClusterId) -> Result<Vec<(StorageId, Backup)>> {
    let mut conn = app.store.read().await?;
    let mut all = vec![];
    for storage in store::backups::storages_with_good(&mut conn, cluster).await? {
        if let Some(backup) = store::backups::last_good_in(&mut conn, cluster, &storage).await? {
            all.push((storage, backup));
        }
    }
    Ok(all)
}

/// Waits for its end, however long that takes. What somebody else does with the backup just now comes first.
async fn read(app: &App, due: Due) -> Result<()> {
    match backups::reread(app, &due.backup, due.storages).await {
        Ok(id) => {
            tracing::info!("what is stored of backup {} of {} is read again ({id})", due.backup.id, due.backup.cluster_name);
            app.runner.wait(&id).await.map(drop)
        }
        Err(Error { kind: Kind::Conflict, .. }) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Of clusters and storages that are gone.
async fn forget(app: &App, gone: Vec<Reading>) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let mut tx = app.store.begin_write().await?;
    for reading in &gone {
        store::readings::remove(&mut tx, reading).await?;
    }
    store::commit(tx).await
}

async fn settle(app: &App) -> Result<()> {
    let all = store::readings::all(&mut *app.store.read().await?).await?;
    alerts::settle(app, &[AlertKind::CopyUnreadable], &reread::conditions(&all)).await
}
