//! The watchdog over backups: looks at what there is, and says what is missing.
//!
//! It shares nothing with the scheduler and with operations but the rows they leave, so that what
//! keeps them from working does not keep it from saying so: an operation's end makes it look sooner,
//! and it looks every minute without any.

use crate::{
    App, alerts, groups, log,
    plan::{
        self,
        overdue::{self, Found, GroupLook, Look, Place},
    },
    tasks::self_backup,
};
use mainstay_model::{
    ClusterId, Result, ScheduleId, Time,
    alert::{AlertKind, Condition},
    backup::Backup,
    cluster::{Cluster, Wanted},
    drill::DrillResult,
    schedule::{Schedule, ScheduleRun},
};
use mainstay_store::{self as store, storages::StorageRow};
use sqlx::AnyConnection;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

const PERIOD: Duration = Duration::from_secs(60);
/// Operations end in flocks; and the end that woke us has to be committed.
const SOON: Duration = Duration::from_secs(2);

pub async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut tick = interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = tick.tick() => {}
            () = app.something_ended.notified() => if shutdown.run_until_cancelled(sleep(SOON)).await.is_none() {
                return;
            },
        }
        if let Err(e) = all(&app).await {
            tracing::warn!(inside = e.inside, "what is wrong with the backups was not looked for, trying again: {e}");
        }
    }
}

pub async fn all(app: &App) -> Result<()> {
    let mut looks = look(&mut *app.store.read().await?).await?;
    look_at_logs(app, &mut looks).await?;
    let places = store::storages::all(&mut *app.store.read().await?).await?.into_iter().map(place).collect::<Vec<_>>();
    let mut holding = overdue::conditions(&looks, &places, app.now());
    holding.extend(overdue::of_groups(&look_at_groups(&mut *app.store.read().await?).await?, app.now()));
    holding.extend(undecided(app, &looks).await?);
    holding.extend(self_backup::late(app).await?);
    let open = store::alerts::all_open(&mut *app.store.read().await?).await?;
    let is_open = |c: &Condition| open.iter().any(|a| c.is(a.condition.kind, &a.condition.object));
    alerts::settle(app, &overdue::KINDS, &overdue::one_matter_each(holding, is_open)).await
}

fn place(row: StorageRow) -> Place {
    Place { project: row.project, id: row.id, name: row.name.to_string(), last_check: row.last_check }
}

/// Looks at all clusters with a handful of questions, each of which reads one row a cluster, however many
/// backups there are. What passes by itself is an error here and waited for, and nothing is said meanwhile.
/// A backup that does not read is not: then it is not known whether its cluster has a good one.
async fn look(conn: &mut AnyConnection) -> Result<Vec<Look>> {
    let clusters = store::clusters::all_alive(conn).await?;
    let mut missed: HashMap<ScheduleId, ScheduleRun> = HashMap::new();
    missed.extend(store::schedules::newest_missed(conn).await?.into_iter().map(|run| (run.schedule.clone(), run)));
    let mut schedules: HashMap<ClusterId, Vec<(Schedule, Option<ScheduleRun>)>> = HashMap::new();
    for schedule in store::schedules::of_all(conn).await? {
        let run = missed.remove(&schedule.id);
        let Some(cluster) = schedule.owner.cluster().cloned() else { continue };
        schedules.entry(cluster).or_default().push((schedule, run));
    }
    let mut known = Known {
        good: store::backups::last_good_of_all(conn).await?.into_iter().collect(),
        bad: store::backups::newest_bad_of_all(conn).await?.into_iter().collect(),
        passed: store::drills::newest_of_all(conn, DrillResult::Passed).await?.into_iter().collect(),
        failed: store::drills::newest_of_all(conn, DrillResult::Failed).await?.into_iter().collect(),
        whole: store::backups::last_whole_of_schedules(conn).await?.into_iter().collect(),
    };
    let of = |cluster: Cluster| {
        let schedules = schedules.remove(&cluster.id).unwrap_or_default();
        Look { backups: known.found(&cluster.id, &schedules), schedules, log: None, cluster }
    };
    Ok(clusters.into_iter().filter(|c| c.wanted != Wanted::Deleted).map(of).collect())
}

/// Those of which a schedule says when they are backed up.
async fn look_at_groups(conn: &mut AnyConnection) -> Result<Vec<GroupLook>> {
    let all = store::schedules::of_groups(conn).await?;
    if all.is_empty() {
        return Ok(vec![]);
    }
    let mut missed: HashMap<ScheduleId, ScheduleRun> = HashMap::new();
    missed.extend(store::schedules::newest_missed(conn).await?.into_iter().map(|run| (run.schedule.clone(), run)));
    let mut looks: Vec<GroupLook> = vec![];
    for schedule in all {
        let run = missed.remove(&schedule.id);
        let Some(id) = schedule.owner.group() else { continue };
        match looks.iter_mut().find(|l| &l.group.id == id) {
            Some(look) => look.schedules.push((schedule, run)),
            None => {
                let group = store::groups::get(conn, id).await?;
                let backups = groups::found(conn, &group).await;
                looks.push(GroupLook { group, schedules: vec![(schedule, run)], backups });
            }
        }
    }
    Ok(looks)
}

/// Only of those whose log is kept.
async fn look_at_logs(app: &App, looks: &mut [Look]) -> Result<()> {
    let mut conn = app.store.read().await?;
    for look in looks.iter_mut().filter(|l| l.cluster.log.is_some()) {
        let kept = log::Catalogue::load(&mut conn, &look.cluster.id).await?;
        look.log = plan::log::behind(&look.cluster, &kept.bases, &kept.parts, kept.archive.as_ref(), app.now());
    }
    Ok(())
}

/// What was read of all clusters, by cluster.
struct Known {
    good: HashMap<ClusterId, Result<Backup>>,
    bad: HashMap<ClusterId, Result<Backup>>,
    passed: HashMap<ClusterId, Time>,
    failed: HashMap<ClusterId, Time>,
    whole: HashMap<ScheduleId, Time>,
}

impl Known {
    fn found(&mut self, cluster: &ClusterId, schedules: &[(Schedule, Option<ScheduleRun>)]) -> Result<Found> {
        let (passed, failed) = (self.passed.get(cluster).copied(), self.failed.get(cluster).copied());
        let failed = failed.filter(|f| passed.is_none_or(|p| p < *f));
        let newest = self.good.remove(cluster).transpose()?;
        // What a person made in all of a schedule's storages protects as well as its own would; what another
        // schedule makes is kept by other rules, and hides nothing.
        let covers = |b: &&Backup, s: &Schedule| {
            b.schedule.is_none() && s.storages.iter().all(|at| b.copies.iter().any(|c| c.storage == *at && c.is_good()))
        };
        let mut whole = |s: &Schedule| {
            let other = newest.as_ref().filter(|b| covers(b, s)).map(|b| b.created_at);
            Some((s.id.clone(), self.whole.remove(&s.id).max(other)?))
        };
        Ok(Found {
            last_whole: schedules.iter().filter_map(|(s, _)| whole(s)).collect(),
            last_good: newest.as_ref().map(|b| b.created_at),
            newest: self.bad.remove(cluster).transpose()?,
            last_failed_drill: failed,
            last_passed_drill: passed,
        })
    }
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
        // Of the cluster as a whole it is said above.
        AlertKind::BackupOverdue => c.object_kind == "schedule" && unknown.iter().any(|u| c.cluster.as_ref() == Some(&u.id)),
        AlertKind::BackupPartial => unknown.iter().any(|u| u.project == c.project),
        _ => false,
    };
    Ok(open.into_iter().map(|a| a.condition).filter(is_open).collect())
}
