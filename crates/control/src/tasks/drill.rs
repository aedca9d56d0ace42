//! Restores the newest good backup of each cluster now and then, one at a time, so that it is known
//! that it does and how long it takes.
//!
//! Drills are the least of what a host has to do: one that has no room is left out, which is said
//! and tried again the next day.

use crate::{Actor, App, backups, drills, plan};
use mainstay_model::{
    Kind, Result, Time,
    backup::Backup,
    cluster::{Cluster, Wanted},
    drill::{DrillRecord, DrillResult},
    role::Role,
};
use mainstay_operations::{Filter, Operation};
use mainstay_rpc::verbs::Describe;
use mainstay_store::{self as store, Paging};

/// A cluster that is due.
struct Due {
    backup: Backup,
    history: Vec<DrillRecord>,
    why: &'static str,
}

fn rules(app: &App) -> plan::drill::Rules {
    plan::drill::Rules {
        interval_days: app.options.drill_interval_days,
        quiet_seconds: app.options.drill_quiet_seconds,
        again_seconds: 86_400,
    }
}

/// Begins one drill at most: that of the cluster whose last one is the longest ago.
pub async fn once(app: &App) -> Result<()> {
    if app.options.drill_interval_days <= 0 || is_drilling(app).await? {
        return Ok(());
    }
    let mut all = Vec::new();
    for cluster in store::clusters::all_alive(&mut *app.store.read().await?).await? {
        all.extend(look(app, &cluster).await?);
    }
    all.sort_by_key(|d| d.history.first().map_or(Time(0), |last| last.at));
    if all.is_empty() {
        return Ok(());
    }
    let free = app.agent.look(&Describe {}).await?.host.disk_free_bytes;
    for due in all {
        match plan::drill::no_room(app.now(), &due.backup, free, &due.history) {
            Some(why) => leave_out(app, &due.backup, why).await?,
            None if begin(app, &due).await? => return Ok(()),
            None => {}
        }
    }
    Ok(())
}

async fn is_drilling(app: &App) -> Result<bool> {
    let drilling = Filter { kind: Some(crate::ops::drill::Drill::KIND.into()), active_only: true, ..Filter::default() };
    Ok(!app.runner.list(drilling, None, 1).await?.items.is_empty())
}

async fn look(app: &App, cluster: &Cluster) -> Result<Option<Due>> {
    if cluster.wanted != Wanted::Running || cluster.phase.is_some() {
        return Ok(None);
    }
    let mut conn = app.store.read().await?;
    let history = store::drills::list(&mut conn, &cluster.id, &Paging::default()).await?.items;
    let backups = store::backups::of_cluster(&mut conn, &cluster.id).await?;
    let Some(backup) = plan::drill::candidate(app.now(), &backups, rules(app)) else { return Ok(None) };
    let why = plan::drill::due(app.now(), backup, &history, rules(app));
    Ok(why.map(|why| Due { backup: backup.clone(), history, why }))
}

async fn leave_out(app: &App, backup: &Backup, why: String) -> Result<()> {
    tracing::warn!("cluster {} is not drilled: {why}", backup.cluster_name);
    let mut tx = app.store.begin_write().await?;
    store::drills::insert(&mut tx, &drills::record(app, backup, DrillResult::NotDone, None, Some(why))).await?;
    store::commit(tx).await
}

/// `false` where somebody works with the backup just now: it is some other time's turn.
async fn begin(app: &App, due: &Due) -> Result<bool> {
    let by = Actor { name: "mainstay".into(), token: None, administrator: true, project: None, role: Role::Owner, from: None };
    match backups::drill(app, &by, &due.backup).await {
        Ok(id) => {
            tracing::info!("drilling backup {} of {}: {} ({id})", due.backup.id, due.backup.cluster_name, due.why);
            Ok(true)
        }
        Err(e) if e.kind == Kind::Conflict => Ok(false),
        Err(e) => Err(e),
    }
}
