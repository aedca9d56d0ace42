//! What is wrong with the backups of a cluster or a group right now, from the backups there are.
//!
//! Not from what was tried: a schedule that silently stopped, a job that says it succeeded and left
//! nothing, a control plane that was off for a week all look the same here, namely like no good backup.
//! What cannot be known is said as that, never taken for good.

use super::schedule::slots;
use mainstay_model::{
    Error, GroupBackupId, ProjectId, Result, ScheduleId, StorageId, Time,
    alert::{AlertKind, Condition},
    backup::{Backup, BackupStatus, LastCheck},
    cluster::Cluster,
    group::Group,
    retention::Retention,
    schedule::{RunStatus, Schedule, ScheduleRun, Timing},
};
use std::collections::{BTreeMap, HashMap};

/// What [`conditions`] decides: an alert of these kinds holds exactly when it says so.
pub const KINDS: [AlertKind; 9] = [
    AlertKind::BackupOverdue,
    AlertKind::BackupFailed,
    AlertKind::BackupPartial,
    AlertKind::DrillFailed,
    AlertKind::DrillOverdue,
    AlertKind::RunMissed,
    AlertKind::StorageUnwell,
    AlertKind::ControlPlaneLate,
    AlertKind::LogBehind,
];

/// Absent for this many intervals, a good backup is overdue.
const INTERVALS: f64 = 2.0;
/// Drills are weekly, and one more day is not late.
const DRILL_DAYS: i64 = 8;
/// Long enough to see every weekday follow every other.
const WINDOW_DAYS: i64 = 15;

/// What was found of one cluster.
pub struct Look {
    pub cluster: Cluster,
    /// Each with the newest of its times that has come, where that was missed.
    pub schedules: Vec<(Schedule, Option<ScheduleRun>)>,
    /// Or why it is not known.
    pub backups: Result<Found>,
    /// What is wrong with its log, where that is kept.
    pub log: Option<String>,
}

/// What was found of one group that has schedules.
pub struct GroupLook {
    pub group: Group,
    /// As those of a cluster.
    pub schedules: Vec<(Schedule, Option<ScheduleRun>)>,
    /// Or why it is not known.
    pub backups: Result<GroupFound>,
}

#[derive(Debug, Clone, Default)]
pub struct GroupFound {
    /// The newest of which every part can be restored.
    pub last_good: Option<Time>,
    /// The newest that has ended, where it failed: which it is, and why.
    pub failed: Option<(GroupBackupId, String)>,
}

#[derive(Debug, Clone, Default)]
pub struct Found {
    pub last_good: Option<Time>,
    /// By schedule, the last one that lies in all its storages: its own, or one that a person made.
    pub last_whole: HashMap<ScheduleId, Time>,
    /// The newest backup that has ended and has not been removed since, where that is not a completed one.
    pub newest: Option<Backup>,
    /// When the newest drill failed, unless one has passed since.
    pub last_failed_drill: Option<Time>,
    pub last_passed_drill: Option<Time>,
}

/// A storage and the newest look at it.
pub struct Place {
    pub project: ProjectId,
    pub id: StorageId,
    pub name: String,
    pub last_check: Option<LastCheck>,
}

/// The longest time between two runs, where there are any, in seconds.
pub fn interval(timings: &[&Timing], now: Time) -> Result<Option<f64>> {
    let mut all = Vec::new();
    for timing in timings {
        all.extend(slots(timing, now)?.take_while(|slot| *slot <= now.plus_days(WINDOW_DAYS)));
    }
    all.sort();
    let gaps = all.windows(2).map(|pair| pair[1].seconds_since(pair[0]));
    Ok(gaps.reduce(f64::max))
}

/// Everything that holds, one condition each.
pub fn conditions(looks: &[Look], places: &[Place], now: Time) -> Vec<Condition> {
    let mut intervals = Intervals::default();
    let mut all: Vec<Condition> = looks.iter().flat_map(|look| of_cluster(look, &mut intervals, now)).collect();
    all.extend(partial(looks));
    all.extend(places.iter().filter_map(unwell));
    all
}

/// Most clusters are backed up at the times of many others: those are gone through once.
#[derive(Default)]
struct Intervals(HashMap<String, Result<Option<f64>>>);

impl Intervals {
    fn of(&mut self, timings: &[&Timing], now: Time) -> Result<Option<f64>> {
        self.0.entry(format!("{timings:?}")).or_insert_with(|| interval(timings, now)).clone()
    }
}

fn of_cluster(look: &Look, intervals: &mut Intervals, now: Time) -> Vec<Condition> {
    let c = &look.cluster;
    let condition = |kind, sentence| Condition {
        project: c.project.clone(),
        kind,
        object_kind: "cluster".into(),
        object: c.id.to_string(),
        object_name: c.name.to_string(),
        cluster: Some(c.id.clone()),
        cluster_name: Some(c.name.to_string()),
        sentence,
    };
    let found = look.backups.as_ref().ok();
    let mut all = vec![];
    all.extend(overdue(look, intervals, now).map(|s| condition(AlertKind::BackupOverdue, s)));
    all.extend(found.and_then(|f| failed(c, f)).map(|s| condition(AlertKind::BackupFailed, s)));
    all.extend(found.and_then(|f| drill_failed(c, f)).map(|s| condition(AlertKind::DrillFailed, s)));
    all.extend(found.and_then(|f| drill_overdue(c, f, now)).map(|s| condition(AlertKind::DrillOverdue, s)));
    all.extend(look.log.clone().map(|s| condition(AlertKind::LogBehind, s)));
    let of_schedule = |schedule: &Schedule, kind, sentence| Condition {
        object_kind: "schedule".into(),
        object: schedule.id.to_string(),
        object_name: format!("{} {}", c.name, schedule.name),
        ..condition(kind, sentence)
    };
    let behind = all.iter().any(|c| c.kind == AlertKind::BackupOverdue);
    for (schedule, _) in &look.schedules {
        let late = found.filter(|_| !behind).and_then(|f| schedule_overdue(schedule, f, intervals, now));
        all.extend(late.map(|s| of_schedule(schedule, AlertKind::BackupOverdue, s)));
    }
    all.extend(missed_of(&look.schedules, condition));
    all
}

/// Everything that holds of groups. What their members lack is said of the members as well.
pub fn of_groups(looks: &[GroupLook], now: Time) -> Vec<Condition> {
    let mut intervals = Intervals::default();
    looks.iter().flat_map(|look| of_group(look, &mut intervals, now)).collect()
}

fn of_group(look: &GroupLook, intervals: &mut Intervals, now: Time) -> Vec<Condition> {
    let g = &look.group;
    let condition = |kind, sentence| Condition {
        project: g.project.clone(),
        kind,
        object_kind: "group".into(),
        object: g.id.to_string(),
        object_name: g.name.to_string(),
        cluster: None,
        cluster_name: None,
        sentence,
    };
    let what = format!("group {}", g.name);
    let last_good = look.backups.as_ref().map(|found| found.last_good);
    let failed = look.backups.as_ref().ok().and_then(|found| found.failed.as_ref());
    let mut all = vec![];
    all.extend(late(&what, &look.schedules, last_good, intervals, now).map(|s| condition(AlertKind::BackupOverdue, s)));
    all.extend(failed.map(|(id, why)| condition(AlertKind::BackupFailed, format!("the newest backup of {what} ({id}) failed: {why}"))));
    all.extend(missed_of(&look.schedules, condition));
    all
}

/// One condition for each schedule whose newest time was missed, made of its owner's.
fn missed_of(schedules: &[(Schedule, Option<ScheduleRun>)], condition: impl Fn(AlertKind, String) -> Condition) -> Vec<Condition> {
    let of = |(schedule, run): &(Schedule, Option<ScheduleRun>)| {
        let of_owner = condition(AlertKind::RunMissed, missed(schedule, run.as_ref())?);
        let object_name = format!("{} {}", of_owner.object_name, schedule.name);
        Some(Condition { object_kind: "schedule".into(), object: schedule.id.to_string(), object_name, ..of_owner })
    };
    schedules.iter().filter_map(of).collect()
}

fn overdue(look: &Look, intervals: &mut Intervals, now: Time) -> Option<String> {
    let last_good = look.backups.as_ref().map(|found| found.last_good);
    late(&format!("cluster {}", look.cluster.name), &look.schedules, last_good, intervals, now)
}

/// Says so where the last good backup is longer ago than its schedules allow.
fn late(
    what: &str,
    schedules: &[(Schedule, Option<ScheduleRun>)],
    last_good: Result<Option<Time>, &Error>,
    intervals: &mut Intervals,
    now: Time,
) -> Option<String> {
    let enabled: Vec<&Schedule> = schedules.iter().map(|(s, _)| s).filter(|s| s.enabled).collect();
    let since = enabled.iter().map(|s| s.created_at).min()?;
    let timings: Vec<&Timing> = enabled.iter().map(|s| &s.timing).collect();
    let unknown = |e: &Error| Some(format!("it is not known whether {what} has a good backup: {e}"));
    let (last_good, interval) = match (last_good, intervals.of(&timings, now)) {
        (Err(e), _) => return unknown(e),
        (_, Err(e)) => return unknown(&e),
        (Ok(last_good), Ok(interval)) => (last_good, interval?),
    };
    let reference = last_good.map_or(since, |t| t.max(since));
    if now.seconds_since(reference) <= INTERVALS * interval {
        return None;
    }
    let last = match last_good {
        Some(t) => format!("its last good one is of {t}"),
        None => "it has none".into(),
    };
    Some(format!("{what} should have a good backup every {}, but {last}", span(interval)))
}

/// Each schedule by itself: what others make says nothing of the storages this one goes to. Where the cluster
/// has no good backup at all that is the one matter.
fn schedule_overdue(schedule: &Schedule, found: &Found, intervals: &mut Intervals, now: Time) -> Option<String> {
    // Times that cannot be read are told with the cluster's.
    let interval = intervals.of(&[&schedule.timing], now).ok()?.filter(|_| schedule.enabled)?;
    if !stays_for(&schedule.retention, INTERVALS * interval) {
        return None;
    }
    let last = found.last_whole.get(&schedule.id).copied();
    if now.seconds_since(last.map_or(schedule.created_at, |t| t.max(schedule.created_at))) <= INTERVALS * interval {
        return None;
    }
    let last = last.map_or("it has none".into(), |t| format!("its last one is of {t}"));
    let (name, owner) = (&schedule.name, &schedule.owner);
    Some(format!("schedule {name} of {owner} should have a good backup in all its storages every {}, but {last}", span(interval)))
}

/// Whether the newest one is kept so long by any rule: one that is gone by then is not missing.
fn stays_for(kept: &Retention, seconds: f64) -> bool {
    let by_rank = kept.keep_last.is_some_and(|n| n > 0) || kept.gfs.is_some() || kept.max_bytes.is_some();
    by_rank || kept.days.is_none_or(|days| (days * 86_400) as f64 >= seconds)
}

fn span(seconds: f64) -> String {
    let hours = (seconds / 3600.0).ceil() as i64;
    match hours {
        1 => "hour".into(),
        h if h % 24 == 0 && h > 24 => format!("{} days", h / 24),
        h => format!("{h} hours"),
    }
}

/// A backup that somebody cancelled did not fail.
fn failed(c: &Cluster, found: &Found) -> Option<String> {
    let b = found.newest.as_ref().filter(|b| b.status == BackupStatus::Failed)?;
    let why = b.error.as_deref().unwrap_or("no copy was stored");
    (!matches!(why, "cancelled" | "abandoned")).then(|| format!("the newest backup of cluster {} ({}) failed: {why}", c.name, b.id))
}

fn drill_failed(c: &Cluster, found: &Found) -> Option<String> {
    let at = found.last_failed_drill?;
    Some(format!("the last drill of cluster {}, at {at}, failed: that backup does not restore", c.name))
}

fn drill_overdue(c: &Cluster, found: &Found, now: Time) -> Option<String> {
    let good = found.last_good?;
    let limit = now.plus_days(-DRILL_DAYS);
    match found.last_passed_drill {
        Some(at) if at < limit => Some(format!("no drill of cluster {} has passed since {at}; `mainstay backup drill` does one", c.name)),
        Some(_) => None,
        None if c.created_at < limit && good.max(c.created_at) <= now => {
            Some(format!("no backup of cluster {} has ever been restored in a drill; `mainstay backup drill` does that", c.name))
        }
        None => None,
    }
}

fn missed(schedule: &Schedule, run: Option<&ScheduleRun>) -> Option<String> {
    let run = run.filter(|r| schedule.enabled && r.status == RunStatus::Missed)?;
    let why = run.reason.as_deref().unwrap_or("its time passed while it could not be made");
    Some(format!("schedule {} of {} made no backup at {}: {why}", schedule.name, schedule.owner, run.nominal))
}

/// A storage that lacks its copies is one matter, however many clusters it lacks them of.
fn partial(looks: &[Look]) -> Vec<Condition> {
    let mut storages: BTreeMap<String, (Condition, Vec<String>)> = BTreeMap::new();
    for look in looks {
        let newest = look.backups.as_ref().ok().and_then(|f| f.newest.as_ref()).filter(|b| b.status == BackupStatus::Partial);
        let Some(backup) = newest else { continue };
        for copy in backup.copies.iter().filter(|c| c.status == BackupStatus::Failed) {
            let (_, lacking) = storages.entry(copy.storage.to_string()).or_insert_with(|| (of_storage(look, copy), vec![]));
            lacking.push(look.cluster.name.to_string());
        }
    }
    let said = |(mut condition, lacking): (Condition, Vec<String>)| {
        let why = std::mem::take(&mut condition.sentence);
        condition.sentence = format!("storage {} lacks the newest backup of {}: {why}", condition.object_name, lacking.join(", "));
        condition
    };
    storages.into_values().map(said).collect()
}

/// As the newest look says; one that was never looked at will be, within minutes.
fn unwell(place: &Place) -> Option<Condition> {
    let last = place.last_check.as_ref().filter(|l| !l.ok)?;
    let bad: Vec<_> = last.rows.iter().filter(|r| r.failed()).map(|r| format!("{}: {}", r.name, r.detail)).collect();
    let why = if bad.is_empty() { "its check failed".into() } else { bad.join("; ") };
    Some(Condition {
        project: place.project.clone(),
        kind: AlertKind::StorageUnwell,
        object_kind: "storage".into(),
        object: place.id.to_string(),
        object_name: place.name.clone(),
        cluster: None,
        cluster_name: None,
        sentence: format!("storage {} is unwell: {why}", place.name),
    })
}

/// A storage that fails its check and lacks copies is one matter, told under the kind it became known
/// by: nobody is told twice of one broken disk.
pub fn one_matter_each(holding: Vec<Condition>, is_open: impl Fn(&Condition) -> bool) -> Vec<Condition> {
    let (mut unwell, mut rest): (Vec<_>, Vec<_>) = holding.into_iter().partition(|c| c.kind == AlertKind::StorageUnwell);
    for lacking in rest.iter_mut().filter(|c| c.kind == AlertKind::BackupPartial) {
        let Some(at) = unwell.iter().position(|c| c.object == lacking.object) else { continue };
        let (first, second) = if is_open(&unwell[at]) && !is_open(lacking) {
            (unwell.swap_remove(at), lacking.sentence.clone())
        } else {
            (lacking.clone(), unwell.swap_remove(at).sentence)
        };
        *lacking = Condition { sentence: format!("{}; {second}", first.sentence), ..first };
    }
    rest.extend(unwell);
    rest
}

fn of_storage(look: &Look, copy: &mainstay_model::backup::Copy) -> Condition {
    Condition {
        project: look.cluster.project.clone(),
        kind: AlertKind::BackupPartial,
        object_kind: "storage".into(),
        object: copy.storage.to_string(),
        object_name: copy.storage_name.clone(),
        cluster: None,
        cluster_name: None,
        sentence: copy.error.clone().unwrap_or_else(|| "its copy was not stored".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{
        BackupId, ClusterId, GroupId, ScheduleId,
        backup::{Check, Copy},
    };
    use serde_json::json;

    /// A Sunday, 12:00 UTC.
    fn now() -> Time {
        Time::parse("2026-11-22T12:00:00Z").unwrap()
    }

    fn hours_ago(hours: i64) -> Time {
        now().plus_seconds(-3600 * hours)
    }

    fn timing(days: &str, hours: &[u8]) -> Timing {
        let days = days.split(',').map(|d| serde_json::from_value(json!(d)).unwrap()).collect();
        Timing::new(days, hours.iter().copied().collect(), "UTC").unwrap()
    }

    fn daily() -> Timing {
        Timing::new(Timing::every_day(), [3].into(), "UTC").unwrap()
    }

    fn schedule(timing: Timing, created_at: Time) -> Schedule {
        let text = json!({
            "id": ScheduleId::new(), "project": ProjectId::new(), "cluster": ClusterId::new(), "cluster_name": "shop", "name": "nightly",
            "enabled": true, "timing": timing, "retention": {}, "storages": [StorageId::new()], "done_until": created_at, "next_at": null,
            "created_at": created_at,
        });
        serde_json::from_value(text).unwrap()
    }

    fn look(created_at: Time, schedules: Vec<Schedule>, found: Found) -> Look {
        let text = json!({
            "id": ClusterId::new(), "project": ProjectId::new(), "name": "shop", "engine": "memo", "version": "1", "mode": "single",
            "wanted": "running", "phase": null, "phase_reason": null, "primary": null, "protected": false, "auto_failover": false,
            "settings": {}, "allow_list": [], "read_write": {"host": "127.70.1.2", "port": 1}, "read_only": null, "next_node": 2,
            "generation": 1, "created_at": created_at, "deleted_at": null,
        });
        let cluster = serde_json::from_value(text).unwrap();
        // Where nothing else is said each schedule has what the cluster has.
        let mut found = found;
        if let Some(last) = found.last_good.filter(|_| found.last_whole.is_empty()) {
            found.last_whole = schedules.iter().map(|s| (s.id.clone(), last)).collect();
        }
        Look { cluster, schedules: schedules.into_iter().map(|s| (s, None)).collect(), backups: Ok(found), log: None }
    }

    fn backup(status: BackupStatus, copies: &[(&StorageId, BackupStatus)]) -> Backup {
        let text = json!({
            "id": BackupId::new(), "project": ProjectId::new(), "cluster": ClusterId::new(), "cluster_name": "shop", "kind": "scheduled",
            "status": status, "proof": "none", "description": "", "engine": "memo", "engine_version": "1", "created_at": hours_ago(1),
            "finished_at": null, "expires_at": null, "pinned": false, "data_bytes": null, "facts": null, "checks": [], "drill": null,
            "error": null, "copies": [],
        });
        let mut b: Backup = serde_json::from_value(text).unwrap();
        b.copies = copies
            .iter()
            .map(|(storage, status)| Copy {
                storage: (*storage).clone(),
                storage_name: "far".into(),
                kind: "s3".into(),
                status: *status,
                snapshot: None,
                added_bytes: None,
                verified_at: None,
                error: (*status == BackupStatus::Failed).then(|| "it is away".into()),
                tries: 0,
                tried_at: None,
                lock: None,
                expires_at: None,
                deleting_until: None,
            })
            .collect();
        b
    }

    fn kinds(looks: &[Look]) -> Vec<AlertKind> {
        conditions(looks, &[], now()).into_iter().map(|c| c.kind).collect()
    }

    fn good(hours: i64) -> Found {
        Found { last_good: Some(hours_ago(hours)), last_passed_drill: Some(hours_ago(20)), ..Found::default() }
    }

    #[test]
    fn the_interval_is_the_longest_wait() {
        let hours = |timings: &[&Timing]| interval(timings, now()).unwrap().map(|s| s / 3600.0);
        assert_eq!(hours(&[&daily()]), Some(24.0));
        assert_eq!(hours(&[&timing("mon,wed,fri", &[3])]), Some(72.0));
        assert_eq!(hours(&[&timing("sun", &[3])]), Some(168.0));
        assert_eq!(hours(&[&timing("sun", &[3]), &daily()]), Some(24.0));
        assert_eq!(hours(&[&Timing::new(Timing::every_day(), Timing::every_hour(), "UTC").unwrap()]), Some(1.0));
        assert_eq!(hours(&[]), None);
        assert!(interval(&[&Timing { time_zone: "Mars/Olympus".into(), ..daily() }], now()).is_err());
    }

    #[test]
    fn two_intervals_without_a_good_backup_are_too_many() {
        let old = hours_ago(24 * 30);
        for (hours, late) in [(1, false), (24, false), (48, false), (49, true), (24 * 20, true)] {
            let found = look(old, vec![schedule(daily(), old)], good(hours));
            assert_eq!(kinds(&[found]).contains(&AlertKind::BackupOverdue), late, "{hours}");
        }
        // None at all: from when on one was wanted.
        for (hours, late) in [(47, false), (49, true)] {
            let found = look(old, vec![schedule(daily(), hours_ago(hours))], Found::default());
            assert_eq!(kinds(&[found]).contains(&AlertKind::BackupOverdue), late, "{hours}");
        }
        let weekly = look(old, vec![schedule(timing("sun", &[3]), old)], good(24 * 8));
        assert!(kinds(&[weekly]).is_empty());
    }

    #[test]
    fn an_hourly_one_hides_no_daily_one_that_fails() {
        let old = hours_ago(24 * 30);
        let hourly = schedule(Timing::new(Timing::every_day(), Timing::every_hour(), "UTC").unwrap(), old);
        let far = schedule(daily(), old);
        let with = |hours: Option<i64>, far: &Schedule| {
            let mut found = good(1);
            found.last_whole.insert(hourly.id.clone(), hours_ago(1));
            found.last_whole.extend(hours.map(|h| (far.id.clone(), hours_ago(h))));
            conditions(&[look(old, vec![hourly.clone(), far.clone()], found)], &[], now())
        };
        assert!(with(Some(48), &far).is_empty());
        for hours in [Some(49), None] {
            let all = with(hours, &far);
            assert!(all.len() == 1 && all[0].is(AlertKind::BackupOverdue, far.id.as_str()), "{all:?}");
            assert!(all[0].sentence.contains("every 24 hours"), "{}", all[0].sentence);
        }
        let new = Schedule { created_at: hours_ago(40), ..far.clone() };
        let paused = Schedule { enabled: false, ..far.clone() };
        let short = Schedule { retention: Retention::days(1), ..far.clone() };
        for quiet in [new, paused, short] {
            assert!(with(None, &quiet).is_empty(), "{quiet:?}");
        }
        // Where there is no good one at all that is the one matter.
        let none = look(old, vec![hourly, far], Found { last_good: Some(hours_ago(60)), ..good(1) });
        assert_eq!(kinds(&[none]), [AlertKind::BackupOverdue]);
    }

    #[test]
    fn nobody_waits_for_what_was_not_asked_for() {
        let old = hours_ago(24 * 30);
        assert!(kinds(&[look(old, vec![], Found::default())]).is_empty());
        let paused = Schedule { enabled: false, ..schedule(daily(), old) };
        assert!(kinds(&[look(old, vec![paused], good(24 * 9))]).is_empty());
    }

    #[test]
    fn what_is_not_known_is_not_good() {
        let old = hours_ago(24 * 30);
        let mut unknown = look(old, vec![schedule(daily(), old)], good(1));
        unknown.backups = Err(Error::integrity("a backup in the store does not read"));
        let all = conditions(&[unknown], &[], now());
        assert_eq!(all.len(), 1);
        assert!(all[0].kind == AlertKind::BackupOverdue && all[0].sentence.contains("not known"), "{}", all[0].sentence);
        let nowhere = Timing { time_zone: "Mars/Olympus".into(), ..daily() };
        assert_eq!(kinds(&[look(old, vec![schedule(nowhere, old)], good(1))]), [AlertKind::BackupOverdue]);
    }

    #[test]
    fn a_group_is_watched_like_a_cluster() {
        let old = hours_ago(24 * 30);
        let group = |found: Result<GroupFound>, run: Option<RunStatus>| {
            let group: Group = serde_json::from_value(json!({
                "id": GroupId::new(), "project": ProjectId::new(), "name": "store", "members": [], "created_at": old,
            }))
            .unwrap();
            let schedule = Schedule { owner: (&group).into(), ..schedule(daily(), old) };
            let run = run.map(|status| ScheduleRun {
                schedule: schedule.id.clone(),
                nominal: hours_ago(9),
                status,
                reason: None,
                backup: None,
                group_backup: None,
                recorded_at: now(),
            });
            of_groups(&[GroupLook { group, schedules: vec![(schedule, run)], backups: found }], now())
        };
        let good = |hours| GroupFound { last_good: Some(hours_ago(hours)), failed: None };
        let kinds = |all: Vec<Condition>| all.into_iter().map(|c| (c.kind, c.object_kind)).collect::<Vec<_>>();
        assert_eq!(kinds(group(Ok(good(48)), None)), []);
        let late = group(Ok(good(49)), Some(RunStatus::Missed));
        assert!(late[0].sentence.starts_with("group store should have a good backup every 24 hours"), "{late:?}");
        assert!(late[1].sentence.starts_with("schedule nightly of group store made no backup"), "{late:?}");
        assert_eq!(kinds(late), [(AlertKind::BackupOverdue, "group".into()), (AlertKind::RunMissed, "schedule".into())]);
        let failed = GroupFound { failed: Some((GroupBackupId::new(), "billing did not come".into())), ..good(1) };
        assert_eq!(kinds(group(Ok(failed), None)), [(AlertKind::BackupFailed, "group".into())]);
        assert_eq!(kinds(group(Err(Error::integrity("unreadable")), None)), [(AlertKind::BackupOverdue, "group".into())]);
    }

    #[test]
    fn drills() {
        let (old, day) = (hours_ago(24 * 30), 24);
        let found = |passed: Option<i64>| Found { last_passed_drill: passed.map(hours_ago), ..good(1) };
        assert_eq!(kinds(&[look(old, vec![], found(None))]), [AlertKind::DrillOverdue]);
        assert_eq!(kinds(&[look(old, vec![], found(Some(9 * day)))]), [AlertKind::DrillOverdue]);
        assert!(kinds(&[look(old, vec![], found(Some(7 * day)))]).is_empty());
        assert!(kinds(&[look(hours_ago(day), vec![], found(None))]).is_empty(), "it is new");
        let failed = Found { last_failed_drill: Some(hours_ago(1)), ..found(Some(day)) };
        assert_eq!(kinds(&[look(old, vec![], failed)]), [AlertKind::DrillFailed]);
    }

    #[test]
    fn a_failed_backup_and_a_missed_run() {
        let old = hours_ago(24);
        let newest =
            |error: &str| Found { newest: Some(Backup { error: Some(error.into()), ..backup(BackupStatus::Failed, &[]) }), ..good(1) };
        assert_eq!(kinds(&[look(old, vec![], newest("no space"))]), [AlertKind::BackupFailed]);
        assert!(kinds(&[look(old, vec![], newest("cancelled"))]).is_empty());
        let mut late = look(old, vec![schedule(daily(), old)], good(1));
        let run = |status| ScheduleRun {
            schedule: late.schedules[0].0.id.clone(),
            nominal: hours_ago(9),
            status,
            reason: Some("Mainstay was not running".into()),
            backup: None,
            group_backup: None,
            recorded_at: now(),
        };
        let (missed, started) = (run(RunStatus::Missed), run(RunStatus::Started));
        late.schedules[0].1 = Some(missed);
        let all = conditions(std::slice::from_ref(&late), &[], now());
        assert!(all.len() == 1 && all[0].kind == AlertKind::RunMissed && all[0].sentence.contains("not running"), "{all:?}");
        late.schedules[0].1 = Some(started);
        assert!(kinds(&[late]).is_empty());
    }

    #[test]
    fn a_storage_that_fails_everywhere_is_one_condition() {
        let (near, far) = (StorageId::new(), StorageId::new());
        let one = || {
            let copies = [(&near, BackupStatus::Completed), (&far, BackupStatus::Failed)];
            look(hours_ago(24), vec![], Found { newest: Some(backup(BackupStatus::Partial, &copies)), ..good(1) })
        };
        let all = conditions(&[one(), one(), one()], &[], now());
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].is(AlertKind::BackupPartial, far.as_str()));
        assert_eq!(all[0].sentence, "storage far lacks the newest backup of shop, shop, shop: it is away");
    }

    #[test]
    fn a_storage_is_as_it_was_last_seen() {
        let place = |last: Option<bool>| Place {
            project: ProjectId::new(),
            id: StorageId::new(),
            name: "far".into(),
            last_check: last.map(|ok| LastCheck {
                at: now(),
                ok,
                rows: vec![Check::new("reach", true, "ok"), Check::new("write", ok, "it is full")],
            }),
        };
        assert_eq!(conditions(&[], &[place(None), place(Some(true))], now()), []);
        let all = conditions(&[], &[place(Some(false))], now());
        assert_eq!(
            (all.len(), all[0].kind, all[0].sentence.as_str()),
            (1, AlertKind::StorageUnwell, "storage far is unwell: write: it is full")
        );
    }

    #[test]
    fn a_broken_storage_is_one_matter_under_the_kind_it_became_known_by() {
        let far = StorageId::new();
        let copies = [(&far, BackupStatus::Failed)];
        let lacking = look(hours_ago(24), vec![], Found { newest: Some(backup(BackupStatus::Partial, &copies)), ..good(1) });
        let rows = vec![Check::new("write", false, "it is full")];
        let place = |id: &StorageId| Place {
            project: ProjectId::new(),
            id: id.clone(),
            name: "far".into(),
            last_check: Some(LastCheck { at: now(), ok: false, rows: rows.clone() }),
        };
        let (both, other) = (conditions(&[lacking], &[place(&far), place(&StorageId::new())], now()), AlertKind::StorageUnwell);
        let told = |open: Option<AlertKind>| {
            let all = one_matter_each(both.clone(), |c| Some(c.kind) == open);
            assert_eq!(all.len(), 2, "{all:?}");
            let one = all.iter().find(|c| c.object == far.as_str()).unwrap();
            assert!(one.sentence.contains("it is full") && one.sentence.contains("it is away"), "{}", one.sentence);
            one.kind
        };
        assert_eq!(
            [told(None), told(Some(AlertKind::BackupPartial)), told(Some(other))],
            [AlertKind::BackupPartial, AlertKind::BackupPartial, other]
        );
    }
}
