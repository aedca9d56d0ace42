//! The watchdog over backups: looks at what there is, and says what is missing.
//!
//! It shares nothing with the scheduler and with operations but the rows they leave, so that what
//! keeps them from working does not keep it from saying so.

use crate::{
    App, alerts,
    plan::overdue::{self, Found, Look, Place},
};
use mainstay_model::{
    ClusterId, Result,
    alert::{AlertKind, Condition},
    backup::{Backup, BackupStatus},
    cluster::{Cluster, Wanted},
};
use mainstay_store::{self as store, Paging, backups::BackupFilter, storages::StorageRow};

pub async fn all(app: &App) -> Result<()> {
    let clusters = store::clusters::all_alive(&mut *app.store.read().await?).await?;
    let mut looks = Vec::new();
    for cluster in clusters.into_iter().filter(|c| c.wanted != Wanted::Deleted) {
        looks.push(look(app, cluster).await?);
    }
    let places = store::storages::all(&mut *app.store.read().await?).await?.into_iter().map(place).collect::<Vec<_>>();
    let mut holding = overdue::conditions(&looks, &places, app.now());
    holding.extend(undecided(app, &looks).await?);
    alerts::settle(app, &overdue::KINDS, &holding).await
}

fn place(row: StorageRow) -> Place {
    Place { project: row.project, id: row.id, name: row.name.to_string(), last_check: row.last_check }
}

/// What passes by itself is waited for, and nothing is said meanwhile. What does not is the answer.
async fn look(app: &App, cluster: Cluster) -> Result<Look> {
    let mut conn = app.store.read().await?;
    let mut schedules = Vec::new();
    for schedule in store::schedules::of_cluster(&mut conn, &cluster.id).await? {
        let newest = store::schedules::runs(&mut conn, &schedule.id, 1).await?.pop();
        schedules.push((schedule, newest));
    }
    drop(conn);
    match found(app, &cluster.id).await {
        Err(e) if e.is_transient() => Err(e),
        backups => Ok(Look { cluster, schedules, backups }),
    }
}

async fn found(app: &App, cluster: &ClusterId) -> Result<Found> {
    let mut conn = app.store.read().await?;
    let filter = BackupFilter { cluster: Some(cluster.clone()), ..BackupFilter::default() };
    let newest = store::backups::list(&mut conn, &filter, &Paging::default()).await?.items;
    let drilled = |b: &&Backup| b.drill.is_some();
    let last_drill = newest.iter().filter(drilled).max_by_key(|b| b.drill.as_ref().map(|d| d.at)).and_then(|b| b.drill.clone());
    let passed = match last_drill.as_ref().filter(|d| d.ok) {
        Some(drill) => Some(drill.at),
        None => store::backups::last_drilled(&mut conn, cluster).await?.and_then(|b| b.drill).map(|d| d.at),
    };
    let ended = |b: &Backup| matches!(b.status, BackupStatus::Completed | BackupStatus::Partial | BackupStatus::Failed);
    Ok(Found {
        last_good: store::backups::last_good(&mut conn, cluster).await?.map(|b| b.created_at),
        newest: newest.into_iter().find(ended),
        last_drill,
        last_passed_drill: passed,
    })
}

/// Of a cluster that nothing is known of, what held before is not over.
async fn undecided(app: &App, looks: &[Look]) -> Result<Vec<Condition>> {
    let unknown: Vec<&Cluster> = looks.iter().filter(|l| l.backups.is_err()).map(|l| &l.cluster).collect();
    if unknown.is_empty() {
        return Ok(vec![]);
    }
    let open = store::alerts::all_open(&mut *app.store.read().await?).await?;
    let is_open = |c: &Condition| match c.kind {
        AlertKind::BackupFailed | AlertKind::DrillFailed | AlertKind::DrillOverdue => {
            unknown.iter().any(|u| c.cluster.as_ref() == Some(&u.id))
        }
        AlertKind::BackupPartial => unknown.iter().any(|u| u.project == c.project),
        _ => false,
    };
    Ok(open.into_iter().map(|a| a.condition).filter(is_open).collect())
}
