//! Schedules: made, changed, paused, looked at. That they run is a standing task's work.
//!
//! A change of days, hours or zone begins afresh: what was due by the old ones and has not begun is
//! not made up for. Backups that were made stay as they are, whatever becomes of their schedule.

use crate::{App, clusters, copies, groups, plan, storages};
use jiff::tz::TimeZone;
use mainstay_model::{
    BackupId, ClusterId, Error, Kind, Name, ProjectId, Result, ScheduleId, StorageId, Time,
    backup::BackupStatus,
    cluster::Cluster,
    retention::{Gfs, Retention},
    schedule::{Overlap, Owner, Schedule, ScheduleRun, Timing, Weekday},
};
use mainstay_operations::Tx;
use mainstay_store::{self as store, Page, Paging};
use std::collections::{BTreeMap, BTreeSet};

/// What a schedule is called where nothing was said, and the one a new cluster gets.
pub const DEFAULT: &str = "default";
/// When backups are made, and how long they are kept, where nothing was said.
const DEFAULT_HOUR: u8 = 3;
const DEFAULT_DAYS_KEPT: i64 = 7;
/// How many a cluster may have.
const MOST: usize = 20;
/// How many next runs are shown, and how many past ones.
const NEXT: usize = 5;
const LAST: i64 = 10;

/// What `schedule set` was given. What is absent stays, or is as for a new cluster.
#[derive(Debug, Clone, Default)]
pub struct SetSchedule {
    pub name: Option<String>,
    pub days: Option<BTreeSet<Weekday>>,
    pub hours: Option<BTreeSet<u8>>,
    pub time_zone: Option<String>,
    /// The whole of it; the two below are set in it, or in what there is.
    pub retention: Option<Retention>,
    pub retention_days: Option<i64>,
    pub keep_last: Option<u32>,
    /// Names or ids.
    pub storages: Option<Vec<String>>,
    /// All of it; where it is absent what there is goes on, as far as it still says something.
    pub copy_retention: Option<BTreeMap<String, i64>>,
    pub overlap: Option<Overlap>,
}

/// A schedule as it looks now.
#[derive(Debug, Clone)]
pub struct ScheduleView {
    pub schedule: Schedule,
    /// Names; one that is gone is shown by its id.
    pub storages: Vec<String>,
    /// Days by the storages' names.
    pub copy_retention: BTreeMap<String, i64>,
    pub next_runs: Vec<Time>,
    /// Newest first, each with the state of the backup it began.
    pub last_runs: Vec<(ScheduleRun, Option<BackupStatus>)>,
}

pub(crate) fn rules(app: &App) -> plan::schedule::Rules {
    plan::schedule::Rules { catch_up_seconds: app.options.schedule_catch_up_seconds, jitter_seconds: app.options.schedule_jitter_seconds }
}

/// The zone of the machine the server runs on, or UTC where it says none.
pub fn machine_zone() -> String {
    let zone = TimeZone::try_system().ok();
    let name = zone.as_ref().and_then(TimeZone::iana_name).filter(|n| plan::schedule::zone(n).is_ok());
    // What Debian calls UTC.
    name.filter(|n| *n != "Etc/UTC").unwrap_or("UTC").into()
}

/// What a new cluster is backed up by, in words and as it is.
pub fn default_timing() -> Timing {
    Timing { days: Timing::every_day(), hours: [DEFAULT_HOUR].into(), time_zone: machine_zone() }
}

/// For the summary of a creation.
pub fn default_sentence() -> String {
    format!("backed up {}, each kept {DEFAULT_DAYS_KEPT} days on storage {}", default_timing(), storages::DEFAULT)
}

/// The schedule a new cluster gets, in the write that makes the cluster.
pub(crate) async fn insert_default(app: &App, tx: &mut Tx, cluster: &Cluster) -> Result<()> {
    let storage = store::storages::by_name(tx, &cluster.project, storages::DEFAULT).await?;
    let mut schedule = row(app, &cluster.project, cluster.into(), Name::parse(DEFAULT)?, vec![storage.id]);
    plan::schedule::afresh(&mut schedule, app.now(), rules(app))?;
    store::schedules::insert(tx, &schedule).await
}

/// What a cluster gets that was restored from another one: the other's schedules, paused, so that a
/// copy made for a look does not fill storages; and what is asserted of its data. Where the other is gone,
/// the default of a new one.
pub(crate) async fn insert_copies(app: &App, tx: &mut Tx, from: &ClusterId, cluster: &Cluster) -> Result<()> {
    let is_gone = match store::clusters::get(tx, from).await {
        Ok(source) => source.deleted_at.is_some(),
        Err(e) if e.kind == Kind::NotFound => true,
        Err(e) => return Err(e),
    };
    if is_gone {
        return insert_default(app, tx, cluster).await;
    }
    for source in store::schedules::of_cluster(tx, from).await? {
        let mut copy = row(app, &cluster.project, cluster.into(), source.name, source.storages);
        (copy.enabled, copy.timing, copy.retention, copy.overlap) = (false, source.timing, source.retention, source.overlap);
        copy.copy_retention = source.copy_retention;
        store::schedules::insert(tx, &copy).await?;
    }
    match store::assertions::of_cluster(tx, from).await? {
        none if none.is_empty() => Ok(()),
        asserted => store::assertions::put(tx, &cluster.id, &asserted).await,
    }
}

fn row(app: &App, project: &ProjectId, owner: Owner, name: Name, storages: Vec<StorageId>) -> Schedule {
    Schedule {
        id: ScheduleId::new(),
        project: project.clone(),
        owner,
        name,
        enabled: true,
        timing: default_timing(),
        retention: Retention::days(DEFAULT_DAYS_KEPT),
        storages,
        copy_retention: BTreeMap::new(),
        overlap: Overlap::default(),
        done_until: app.now(),
        next_at: None,
        waiting: None,
        created_at: app.now(),
    }
}

// ---- verbs ----

/// Makes the schedule of that name of a cluster or a group, or changes it.
pub async fn set(app: &App, owner: impl Into<Owner>, wish: SetSchedule) -> Result<ScheduleView> {
    let owner = owner.into();
    let mut tx = app.store.begin_write().await?;
    let project = there(&mut tx, &owner).await?;
    let (schedule, is_new) = merged(app, &mut tx, &project, owner, wish).await?;
    match is_new {
        true => store::schedules::insert(&mut tx, &schedule).await?,
        false => store::schedules::update(&mut tx, &schedule).await?,
    }
    store::commit(tx).await?;
    app.schedules_changed.notify_one();
    view(app, schedule).await
}

/// The project of what is backed up, which must be there.
async fn there(tx: &mut Tx, owner: &Owner) -> Result<ProjectId> {
    match owner {
        Owner::Cluster { cluster, .. } => {
            let cluster = store::clusters::get(tx, cluster).await?;
            clusters::alive(&cluster)?;
            Ok(cluster.project)
        }
        Owner::Group { group, .. } => Ok(store::groups::get(tx, group).await?.project),
    }
}

/// When it would run, `count` times, if it were set; nothing is.
pub async fn preview(app: &App, owner: impl Into<Owner>, wish: SetSchedule, count: usize) -> Result<(Schedule, Vec<Time>)> {
    if !(1..=100).contains(&count) {
        return Err(Error::invalid("count", "1 to 100 runs"));
    }
    // Never committed.
    let owner = owner.into();
    let mut tx = app.store.begin_write().await?;
    let project = there(&mut tx, &owner).await?;
    let (schedule, _) = merged(app, &mut tx, &project, owner, wish).await?;
    drop(tx);
    let runs = plan::schedule::upcoming(&schedule.timing, app.now(), count)?;
    Ok((schedule, runs))
}

/// The schedule as it is to be, and whether it is a new one.
async fn merged(app: &App, tx: &mut Tx, project: &ProjectId, owner: Owner, wish: SetSchedule) -> Result<(Schedule, bool)> {
    let name = Name::parse(wish.name.as_deref().unwrap_or(DEFAULT))?;
    let all = store::schedules::of(tx, owner.id()).await?;
    let old = all.iter().find(|s| s.name == name).cloned();
    if old.is_none() && all.len() >= MOST {
        return Err(Error::conflict("too_many_schedules", format!("{owner} has {MOST} schedules already")));
    }
    let named = match (wish.storages, &old) {
        (None, Some(_)) => None,
        (None, None) => Some(vec![storages::DEFAULT.into()]),
        (Some(named), _) => Some(named),
    };
    let is_new = old.is_none();
    let mut schedule = old.unwrap_or_else(|| row(app, project, owner, name, vec![]));
    if let Some(named) = named {
        schedule.storages = ids(tx, project, &named).await?;
    }
    let before = schedule.timing.clone();
    schedule.timing = Timing::new(
        wish.days.unwrap_or_else(|| before.days.clone()),
        wish.hours.unwrap_or_else(|| before.hours.clone()),
        wish.time_zone.as_deref().unwrap_or(&before.time_zone),
    )?;
    schedule.overlap = wish.overlap.unwrap_or(schedule.overlap);
    if let Some(retention) = wish.retention {
        schedule.retention = retention;
    }
    schedule.retention.days = wish.retention_days.or(schedule.retention.days);
    schedule.retention.keep_last = wish.keep_last.or(schedule.retention.keep_last);
    check(&schedule.retention)?;
    schedule.copy_retention = shorter(tx, &schedule, wish.copy_retention).await?;
    // Read also where nothing changed: a zone may have left the database.
    plan::schedule::zone(&schedule.timing.time_zone)?;
    if is_new || schedule.timing != before {
        plan::schedule::afresh(&mut schedule, app.now(), rules(app))?;
    }
    Ok((schedule, is_new))
}

/// Where copies are kept for less than the backups are.
async fn shorter(tx: &mut Tx, of: &Schedule, wish: Option<BTreeMap<String, i64>>) -> Result<BTreeMap<StorageId, i64>> {
    let mut places = vec![];
    for id in &of.storages {
        match store::storages::get(tx, id).await {
            Err(e) if e.kind == Kind::NotFound => {}
            found => places.push(found?),
        }
    }
    let named = wish.unwrap_or_else(|| {
        // What no longer says something, since the storages or the retention changed, goes by itself.
        let says =
            |(id, days): &(&StorageId, &i64)| of.storages.contains(id) && copies::at_most(&of.retention).is_none_or(|most| **days < most);
        of.copy_retention.iter().filter(says).map(|(id, days)| (id.to_string(), *days)).collect()
    });
    copies::shorter(&places.iter().collect::<Vec<_>>(), &named, Some(&of.retention))
}

async fn ids(tx: &mut Tx, project: &ProjectId, named: &[String]) -> Result<Vec<StorageId>> {
    if named.is_empty() {
        return Err(Error::invalid("storages", "name at least one storage"));
    }
    let mut ids = Vec::new();
    for name in named {
        let found = match StorageId::parse(name) {
            Some(id) => store::storages::get(tx, &id).await,
            None => store::storages::by_name(tx, project, name).await,
        };
        let storage = found.map_err(|e| e.with_field("storages"))?;
        storages::takes_backups(&storage).map_err(|e| e.with_field("storages"))?;
        if &storage.project != project {
            return Err(Error::not_found("storage", name).with_field("storages"));
        }
        if ids.contains(&storage.id) {
            return Err(Error::invalid("storages", format!("storage {} is named twice", storage.name)));
        }
        ids.push(storage.id);
    }
    Ok(ids)
}

fn check(retention: &Retention) -> Result<()> {
    if retention.days.is_some_and(|d| !(1..=36_500).contains(&d)) {
        return Err(Error::invalid("retention_days", "1 to 36500 days"));
    }
    if retention.keep_last.is_some_and(|n| !(1..=100_000).contains(&n)) {
        return Err(Error::invalid("keep_last", "1 to 100000 backups"));
    }
    if retention.gfs.is_some_and(|g| g == Gfs::default() || [g.hourly, g.daily, g.weekly, g.monthly, g.yearly].iter().any(|n| *n > 10_000))
    {
        return Err(Error::invalid(
            "retention.gfs",
            "at least one of hourly, daily, weekly, monthly and yearly is 1 or more, and none above 10000",
        ));
    }
    if retention.max_bytes.is_some_and(|n| n < 1 << 20) {
        return Err(Error::invalid("retention.max_bytes", "1 MiB or more"));
    }
    Ok(())
}

/// Paused, it does nothing; resumed, it makes up for nothing.
pub async fn set_enabled(app: &App, schedule: &Schedule, enabled: bool) -> Result<ScheduleView> {
    let mut tx = app.store.begin_write().await?;
    let mut schedule = store::schedules::get(&mut tx, &schedule.id).await?;
    there(&mut tx, &schedule.owner).await?;
    if schedule.enabled != enabled {
        schedule.enabled = enabled;
        plan::schedule::afresh(&mut schedule, app.now(), rules(app))?;
        store::schedules::update(&mut tx, &schedule).await?;
    }
    store::commit(tx).await?;
    app.schedules_changed.notify_one();
    view(app, schedule).await
}

/// The backups it made stay, and so does how long each is kept.
pub async fn remove(app: &App, schedule: &Schedule) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    store::schedules::delete(&mut tx, &schedule.id).await?;
    store::commit(tx).await
}

/// A backup of the schedule has come to an end, within the write that says so: a time that waits for that is
/// looked at now. That it also ends for the task, which is told before the write is done, is for the task to see to.
pub(crate) async fn let_go(app: &App, tx: &mut Tx, of: Option<&ScheduleId>) -> Result<()> {
    let Some(id) = of else { return Ok(()) };
    let mut schedule = match store::schedules::get(tx, id).await {
        Err(e) if e.kind == Kind::NotFound => return Ok(()),
        found => found?,
    };
    if schedule.overlap == Overlap::Queue && schedule.waiting.is_some() && schedule.next_at.is_some_and(|at| at > app.now()) {
        schedule.next_at = Some(app.now());
        store::schedules::update(tx, &schedule).await?;
        app.schedules_changed.notify_one();
    }
    Ok(())
}

// ---- looks ----

/// By id, seen from a project.
pub async fn resolve(app: &App, project: &ProjectId, id: &str) -> Result<Schedule> {
    let missing = || Error::not_found("schedule", id);
    let id = ScheduleId::parse(id).ok_or_else(missing)?;
    let schedule = store::schedules::get(&mut *app.store.read().await?, &id).await?;
    if &schedule.project == project { Ok(schedule) } else { Err(missing()) }
}

/// Of a whole project, or of one cluster or group.
pub async fn list(app: &App, project: &ProjectId, owner: Option<&Owner>, paging: &Paging) -> Result<Page<ScheduleView>> {
    let page = store::schedules::list(&mut *app.store.read().await?, project, owner.map(Owner::id), paging).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for schedule in page.items {
        items.push(view(app, schedule).await?);
    }
    Ok(Page { items, next: page.next })
}

pub async fn view(app: &App, schedule: Schedule) -> Result<ScheduleView> {
    let mut conn = app.store.read().await?;
    let (mut names, mut copy_retention) = (Vec::new(), BTreeMap::new());
    for id in &schedule.storages {
        let name = match store::storages::get(&mut conn, id).await {
            Ok(row) => row.name.to_string(),
            Err(e) if e.kind == Kind::NotFound => id.to_string(),
            Err(e) => return Err(e),
        };
        copy_retention.extend(schedule.copy_retention.get(id).map(|days| (name.clone(), *days)));
        names.push(name);
    }
    let mut last_runs = Vec::new();
    for run in store::schedules::runs(&mut conn, &schedule.id, LAST).await? {
        let status = became(&mut conn, &run).await?;
        last_runs.push((run, status));
    }
    let next_runs = match schedule.enabled {
        // A zone that has left the database is said by the run that fails, not by the list.
        true => plan::schedule::upcoming(&schedule.timing, app.now(), NEXT).unwrap_or_default(),
        false => vec![],
    };
    Ok(ScheduleView { schedule, storages: names, copy_retention, next_runs, last_runs })
}

/// What became of the backup that a run began, where it began one that is still known of.
pub(crate) async fn became(conn: &mut sqlx::AnyConnection, run: &ScheduleRun) -> Result<Option<BackupStatus>> {
    match (&run.backup, &run.group_backup) {
        (Some(id), _) => status_of(conn, id).await,
        (None, Some(id)) => Ok(groups::find_backup(conn, id).await?.map(|v| v.as_backup())),
        (None, None) => Ok(None),
    }
}

/// A backup that was deleted since has none.
async fn status_of(conn: &mut sqlx::AnyConnection, id: &BackupId) -> Result<Option<BackupStatus>> {
    match store::backups::get(conn, id).await {
        Ok(backup) => Ok(Some(backup.status)),
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}
