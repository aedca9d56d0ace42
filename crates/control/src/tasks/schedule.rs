//! Makes scheduled backups when they are due.
//!
//! That a time is used and that its backup is begun is one write: killed in the middle neither has
//! happened, and afterwards both have. Only what is due is read, however many schedules there are.

use crate::{App, backups, groups, plan, schedules};
use mainstay_model::{
    Error, Kind, Result, ScheduleId, Time,
    backup::BackupStatus,
    cluster::Wanted,
    schedule::{Overlap, Owner, RunStatus, Schedule, ScheduleRun},
};
use mainstay_operations::Tx;
use mainstay_store as store;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The longest time between two looks: a clock that was turned is noticed after that.
const PERIOD: Duration = Duration::from_secs(30);
/// The shortest one.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a run that cannot begin yet waits for the next try.
const AGAIN_SECONDS: i64 = 30;
/// How many are read at once.
const BATCH: i64 = 200;
/// How many are dealt with in one write: what takes the time is that each write is on the disk before the
/// next begins, and at three in the morning there may be thousands of them.
const TOGETHER: usize = 50;

pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        let wait = match tick(&app).await {
            Ok(next) => until(app.now(), next),
            Err(e) => {
                tracing::warn!(inside = e.inside, "schedules could not be looked at, trying again: {e}");
                PERIOD
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
            // Whoever told of it may be about to commit what changed.
            () = app.schedules_changed.notified() => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn until(now: Time, next: Option<Time>) -> Duration {
    let seconds = next.map_or(PERIOD.as_secs_f64(), |at| at.seconds_since(now));
    Duration::from_secs_f64(seconds.clamp(PAUSE.as_secs_f64(), PERIOD.as_secs_f64()))
}

/// Does what is due now, and says when there is something due next. One schedule that cannot be
/// dealt with keeps no other from running.
pub async fn tick(app: &App) -> Result<Option<Time>> {
    loop {
        let due = {
            let mut conn = app.store.read().await?;
            store::schedules::due(&mut conn, app.now(), BATCH).await?
        };
        for some in due.chunks(TOGETHER) {
            if together(app, some).await.unwrap_or(false) {
                continue;
            }
            for id in some {
                if let Err(e) = look(app, id).await {
                    tracing::warn!(inside = e.inside, "schedule {id} could not run and is tried again: {e}");
                    postpone(app, id, e.message).await?;
                }
            }
        }
        if due.is_empty() {
            return store::schedules::next_at(&mut *app.store.read().await?).await;
        }
        app.runner.wake();
    }
}

/// Several in one write. `false` where one of them has to wait or cannot be dealt with: then nothing was
/// written, and each has its own turn.
async fn together(app: &App, ids: &[ScheduleId]) -> Result<bool> {
    let mut tx = app.store.begin_write().await?;
    for id in ids {
        match deal_with(app, &mut tx, id).await? {
            Looked::Done => {}
            Looked::Held(_) => return Ok(false),
        }
    }
    store::commit(tx).await?;
    Ok(true)
}

/// What became of a schedule's time in one write.
enum Looked {
    Done,
    /// Somebody holds the cluster, or the backup before is still being made; nothing was written.
    Held(String),
}

async fn look(app: &App, id: &ScheduleId) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    match deal_with(app, &mut tx, id).await? {
        Looked::Done => store::commit(tx).await,
        Looked::Held(by) => {
            drop(tx);
            postpone(app, id, by).await
        }
    }
}

async fn deal_with(app: &App, tx: &mut Tx, id: &ScheduleId) -> Result<Looked> {
    let mut schedule = match store::schedules::get(tx, id).await {
        Err(e) if e.kind == Kind::NotFound => return Ok(Looked::Done),
        found => found?,
    };
    let now = app.now();
    let decision = plan::schedule::decide(now, &schedule, schedules::rules(app))?;
    for (nominal, why) in decision.missed {
        tracing::warn!("schedule {} of {} missed its run of {nominal}: {why}", schedule.name, schedule.owner);
        store::schedules::claim(tx, &written(&schedule, nominal, RunStatus::Missed, Some(why), now)).await?;
    }
    if let Some(nominal) = decision.run
        && let Some(by) = make(app, tx, &schedule, nominal).await?
    {
        return Ok(Looked::Held(by));
    }
    (schedule.done_until, schedule.next_at, schedule.waiting) = (decision.done_until, decision.next_at, None);
    store::schedules::update(tx, &schedule).await?;
    Ok(Looked::Done)
}

fn written(schedule: &Schedule, nominal: Time, status: RunStatus, reason: Option<String>, now: Time) -> ScheduleRun {
    ScheduleRun { schedule: schedule.id.clone(), nominal, status, reason, backup: None, group_backup: None, recorded_at: now }
}

/// Why a time is not used that has come.
enum Obstacle {
    LeftOut(String),
    Waits(String),
}

/// Uses the time: begins the backup, or says why not. Who is waited for is the answer where the whole write has
/// to be taken back.
async fn make(app: &App, tx: &mut Tx, schedule: &Schedule, nominal: Time) -> Result<Option<String>> {
    let obstacle = match obstacle(tx, schedule).await? {
        Some(Obstacle::Waits(why)) => return Ok(Some(why)),
        Some(Obstacle::LeftOut(why)) => Some(why),
        None => None,
    };
    let status = if obstacle.is_some() { RunStatus::Skipped } else { RunStatus::Started };
    let mut run = written(schedule, nominal, status, obstacle, app.now());
    if !store::schedules::claim(tx, &run).await? || status == RunStatus::Skipped {
        return Ok(None);
    }
    match begin(app, tx, schedule, &mut run).await {
        Ok(()) => {}
        Err(e) if e.kind == Kind::Conflict => return Ok(Some(e.message)),
        Err(e) => return Err(e),
    }
    store::schedules::set_run(tx, &run).await?;
    Ok(None)
}

/// One cluster's backup, or one of all members of a group: they begin in this write or none does.
async fn begin(app: &App, tx: &mut Tx, schedule: &Schedule, run: &mut ScheduleRun) -> Result<()> {
    match &schedule.owner {
        Owner::Cluster { cluster, .. } => {
            let cluster = store::clusters::get(tx, cluster).await?;
            run.backup = Some(backups::begin_scheduled(app, tx, &cluster, schedule).await?);
        }
        Owner::Group { group, .. } => run.group_backup = Some(groups::begin_scheduled(app, tx, group, schedule).await?),
    }
    Ok(())
}

/// Why a backup is left out that could be begun.
async fn obstacle(tx: &mut Tx, schedule: &Schedule) -> Result<Option<Obstacle>> {
    if let Some(why) = absent(tx, &schedule.owner).await? {
        return Ok(Some(Obstacle::LeftOut(why)));
    }
    for id in &schedule.storages {
        match store::storages::get(tx, id).await {
            Err(e) if e.kind == Kind::NotFound => {
                return Ok(Some(Obstacle::LeftOut(format!("storage {id} is no more; set others for the schedule"))));
            }
            found => found.map(drop)?,
        }
    }
    let Some(before) = store::schedules::last_started(tx, &schedule.id).await? else { return Ok(None) };
    let is_running = schedules::became(tx, &before).await? == Some(BackupStatus::Running);
    let id = before.backup.map(|b| b.to_string()).or(before.group_backup.map(|b| b.to_string())).unwrap_or_default();
    let why = format!("its backup {id} was still being made");
    let obstacle = match schedule.overlap {
        Overlap::Skip => Obstacle::LeftOut(why),
        Overlap::Queue => Obstacle::Waits(why),
    };
    Ok(is_running.then_some(obstacle))
}

/// Who is not wanted running, of the cluster itself or of a group's members.
async fn absent(tx: &mut Tx, owner: &Owner) -> Result<Option<String>> {
    let said = |wanted| match wanted {
        Wanted::Running => None,
        Wanted::Stopped => Some("is stopped"),
        Wanted::Deleted => Some("is deleted"),
    };
    match owner {
        Owner::Cluster { cluster, .. } => Ok(said(store::clusters::get(tx, cluster).await?.wanted).map(|how| format!("the cluster {how}"))),
        Owner::Group { group, .. } => {
            for member in store::groups::get(tx, group).await?.members {
                let cluster = store::clusters::get(tx, &member).await?;
                if let Some(how) = said(cluster.wanted) {
                    return Ok(Some(format!("member {} {how}; start it, or take it out of the group", cluster.name)));
                }
            }
            Ok(None)
        }
    }
}

/// The time stays due, and is looked at again soon.
async fn postpone(app: &App, id: &ScheduleId, why: String) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    match store::schedules::get(&mut tx, id).await {
        Ok(mut schedule) if schedule.enabled => {
            (schedule.next_at, schedule.waiting) = (Some(app.now().plus_seconds(AGAIN_SECONDS)), Some(why));
            // One that lies ahead of the clock would be found again at once.
            schedule.done_until = schedule.done_until.min(app.now());
            store::schedules::update(&mut tx, &schedule).await?;
            store::commit(tx).await
        }
        Ok(_) => Ok(()),
        Err(Error { kind: Kind::NotFound, .. }) => Ok(()),
        Err(e) => Err(e),
    }
}
