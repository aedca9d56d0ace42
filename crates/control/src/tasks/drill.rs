//! Restores the newest good backup of each cluster now and then, and a suspicious one at once, one at a
//! time, so that it is known that it does and how long it takes; and sees to what must follow where one does not.
//!
//! Drills are the least of what a host has to do: one that has no room is left out, which is said
//! and tried again the next day. A drill that failed is the opposite: the cluster may have nothing
//! that restores, so a new backup is begun at once.

use crate::{Actor, App, backups, drills, plan, recovery_keys};
use mainstay_model::{
    ClusterId, Kind, Result, Time,
    backup::Backup,
    cluster::{Cluster, Wanted},
    drill::{DrillRecord, DrillResult},
};
use mainstay_operations::{Filter, Operation};
use mainstay_rpc::verbs::Describe;
use mainstay_store::{self as store, Paging};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(600);
/// What rings the bell has to be committed first.
const SOON: Duration = Duration::from_secs(2);
/// How many good backups of a cluster are looked through for one that was left in peace.
const NEWEST: i64 = 20;

pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
            () = app.drill_ended.notified() => {
                if shutdown.run_until_cancelled(tokio::time::sleep(SOON)).await.is_none() {
                    return;
                }
            }
        }
        for looked in [replace_failed(&app).await, once(&app).await] {
            if let Err(e) = looked {
                tracing::warn!(inside = e.inside, "drills could not be looked after and are tried again: {e}");
            }
        }
    }
}

// ---- what a failed one means ----

/// Begins a backup for each cluster whose newest drill failed and that has no good one since.
pub async fn replace_failed(app: &App) -> Result<()> {
    let clusters = store::drills::with_failures(&mut *app.store.read().await?).await?;
    for id in &clusters {
        if let Err(e) = replace(app, id).await {
            tracing::warn!(inside = e.inside, "cluster {id} has no new backup yet after its drill failed; tried again: {e}");
        }
    }
    Ok(())
}

async fn replace(app: &App, id: &ClusterId) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    let Some(failed) = store::drills::failed_since(&mut tx, id).await? else { return Ok(()) };
    let cluster = match store::clusters::get(&mut tx, id).await {
        Err(e) if e.kind == Kind::NotFound => return Ok(()),
        found => found?,
    };
    let newest = store::backups::newest(&mut tx, id, NEWEST).await?;
    if !runs(&cluster) || !plan::drill::needs_another(app.now(), &failed, &newest) {
        return Ok(());
    }
    let places = match store::backups::get(&mut tx, &failed.backup).await {
        Err(e) if e.kind == Kind::NotFound => newest.into_iter().next(),
        found => Some(found?),
    };
    let Some(places) = places else { return Ok(()) };
    let begun = backups::begin_after_drill(app, &mut tx, &cluster, &places).await?;
    store::commit(tx).await?;
    tracing::warn!("backup {begun} of {} is made because the drill of {} failed", cluster.name, failed.backup);
    app.runner.wake();
    Ok(())
}

fn runs(cluster: &Cluster) -> bool {
    cluster.wanted == Wanted::Running && cluster.phase.is_none() && cluster.deleted_at.is_none()
}

// ---- which is next ----

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
    let mut free = None;
    for cluster in in_turn(app).await? {
        let Some(due) = look(app, &cluster).await? else { continue };
        let free = match free {
            Some(free) => free,
            None => *free.insert(app.agent.look(&Describe {}).await?.host.disk_free_bytes),
        };
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

/// Clusters that run: those with a backup that may be suspicious first, then the one whose last drill is
/// the longest ago.
async fn in_turn(app: &App) -> Result<Vec<Cluster>> {
    let mut conn = app.store.read().await?;
    let last: HashMap<ClusterId, Time> = store::drills::last_tries(&mut conn).await?.into_iter().collect();
    let mut clusters = store::clusters::all_alive(&mut conn).await?;
    let doubtful: HashSet<ClusterId> = store::backups::with_doubtful(&mut conn).await?.into_iter().collect();
    clusters.retain(runs);
    clusters.sort_by_key(|c| (!doubtful.contains(&c.id), last.get(&c.id).copied().unwrap_or(Time(0))));
    Ok(clusters)
}

async fn look(app: &App, cluster: &Cluster) -> Result<Option<Due>> {
    let mut conn = app.store.read().await?;
    let mut newest = store::backups::newest_good(&mut conn, &cluster.id, NEWEST).await?;
    newest.extend(store::backups::newest(&mut conn, &cluster.id, NEWEST).await?.into_iter().filter(plan::drill::is_doubtful));
    newest.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let Some(backup) = plan::drill::candidate(app.now(), &newest, rules(app)) else { return Ok(None) };
    let history = store::drills::list(&mut conn, &cluster.id, &Paging::default()).await?.items;
    let keys_changed = recovery_keys::changed_at(&mut conn, &cluster.project).await?;
    let why = plan::drill::due(app.now(), backup, &history, keys_changed, rules(app));
    Ok(why.map(|why| Due { backup: backup.clone(), history, why }))
}

async fn leave_out(app: &App, backup: &Backup, why: String) -> Result<()> {
    tracing::warn!("cluster {} is not drilled: {why}", backup.cluster_name);
    let mut tx = app.store.begin_write().await?;
    store::drills::insert(&mut tx, &drills::record(app, backup, DrillResult::NotDone, None, Some(why))).await?;
    store::commit(tx).await
}

/// Every other time the log is replayed as well, where it is kept: to any moment there is.
async fn moment(app: &App, backup: &Backup) -> Result<Option<Time>> {
    let parts = store::log::parts(&mut *app.store.read().await?, &backup.cluster).await?;
    let Some(span) = plan::log::span_of(backup, &parts).filter(|_| backup.is_good() && rand::random::<bool>()) else { return Ok(None) };
    Ok(Some(Time(rand::random_range(span.from.micros()..=span.to.micros()))))
}

/// `false` where somebody works with the backup just now: it is some other time's turn.
async fn begin(app: &App, due: &Due) -> Result<bool> {
    let by = Actor::mainstay();
    match backups::drill_to(app, &by, &due.backup, moment(app, &due.backup).await?).await {
        Ok(id) => {
            tracing::info!("drilling backup {} of {}: {} ({id})", due.backup.id, due.backup.cluster_name, due.why);
            Ok(true)
        }
        Err(e) if e.kind == Kind::Conflict => Ok(false),
        Err(e) => Err(e),
    }
}
