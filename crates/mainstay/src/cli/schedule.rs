//! `mainstay schedule …`

use super::cluster;
use crate::{
    args::schedule::{Each, One, Rule, Set, Verb},
    exit::{Exit, Outcome},
    output::{Row, Show, card, grid, local, note, or_dash, word, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{Schedule, SchedulePreview, ScheduleRun, SetSchedule};
use mainstay_client::segment;
use mainstay_model::{Error, ScheduleId, retention::Retention, schedule::Timing};

const DEFAULT: &str = "default";

pub async fn run(s: &Session, verb: Verb) -> Outcome {
    match verb {
        Verb::Set(a) => set(s, a).await?,
        Verb::Show(a) => s.show(&find(s, &a).await?)?,
        Verb::List { cluster: None, group: None } => s.show(&s.list::<Schedule>("/schedules", &[]).await?)?,
        Verb::List { cluster, group } => s.show(&s.list::<Schedule>(of(&cluster, &group), &[]).await?)?,
        Verb::Pause(a) => switch(s, &a, "pause").await?,
        Verb::Resume(a) => switch(s, &a, "resume").await?,
        Verb::Preview { set, count } => preview(s, set, count).await?,
        Verb::Remove(a) => remove(s, &a).await?,
    }
    Ok(Exit::Done)
}

/// Where the schedules of a cluster or a group are. The arguments are one of the two.
fn of(cluster: &Option<String>, group: &Option<String>) -> String {
    match group {
        Some(group) => format!("/groups/{}/schedules", segment(group)),
        None => format!("{}/schedules", cluster::path(cluster.as_deref().unwrap_or_default())),
    }
}

/// What a schedule backs up, in words.
fn owner(s: &Schedule) -> String {
    match (&s.group, &s.cluster) {
        (Some(group), _) => format!("group {group}"),
        (None, cluster) => cluster.clone().unwrap_or_default(),
    }
}

fn path(id: &str) -> String {
    format!("/schedules/{}", segment(id))
}

/// By its own id, or by what it backs up and its name.
async fn find(s: &Session, a: &One) -> Outcome<Schedule> {
    if let Some(id) = a.cluster.as_deref().filter(|id| ScheduleId::parse(id).is_some()) {
        return s.get(path(id)).await;
    }
    let name = a.name.as_deref().unwrap_or(DEFAULT);
    let all = s.list::<Schedule>(of(&a.cluster, &a.group), &[]).await?;
    all.into_iter().find(|x| x.name == name).ok_or_else(|| Error::not_found("schedule", name).into())
}

/// With the rules that were named, in what the schedule has, or a new one would.
async fn body(s: &Session, a: &Set) -> Outcome<SetSchedule> {
    let mut body = without_retention(a);
    let k = &a.keep;
    if k.gfs.is_none() && k.max_size.is_none() && k.retention_days != Some(Rule(None)) && k.keep_last != Some(Rule(None)) {
        (body.retention_days, body.keep_last) = (k.retention_days.and_then(|r| r.0), k.keep_last.and_then(|r| r.0));
        return Ok(body);
    }
    let there = s.list::<Schedule>(of(&a.cluster, &a.group), &[]).await?;
    let name = a.name.as_deref().unwrap_or(DEFAULT);
    let mut r = there.into_iter().find(|x| x.name == name).map_or_else(|| Retention::days(7), |x| x.retention);
    r.days = k.retention_days.map_or(r.days, |rule| rule.0);
    r.keep_last = k.keep_last.map_or(r.keep_last, |rule| rule.0);
    r.gfs = k.gfs.map_or(r.gfs, |rule| rule.0);
    r.max_bytes = k.max_size.map_or(r.max_bytes, |rule| rule.0);
    body.retention = Some(r);
    Ok(body)
}

fn without_retention(a: &Set) -> SetSchedule {
    let mut body = SetSchedule { name: a.name.clone(), ..SetSchedule::default() };
    match &a.days {
        Some(Each::Every) => body.every_day = true,
        Some(Each::Of(days)) => body.days = Some(days.clone()),
        None => {}
    }
    match &a.hours {
        Some(Each::Every) => body.every_hour = true,
        Some(Each::Of(hours)) => body.hours = Some(hours.clone()),
        None => {}
    }
    body.time_zone = a.time_zone.clone();
    body.overlap = a.overlap;
    body.storages = (!a.storages.is_empty()).then(|| a.storages.clone());
    let named = !a.copy_retention.is_empty() || a.no_copy_retention;
    body.copy_retention = named.then(|| a.copy_retention.iter().cloned().collect());
    body
}

async fn set(s: &Session, a: Set) -> Outcome<()> {
    if s.common.dry_run {
        return preview(s, a, 5).await;
    }
    let made: Schedule = s.send(&Ask::post(of(&a.cluster, &a.group), &body(s, &a).await?), false).await?;
    s.show(&made)?;
    note(format!("next: mainstay schedule show {}", made.id));
    Ok(())
}

async fn preview(s: &Session, a: Set, count: u32) -> Outcome<()> {
    let with = s.with(&[("count", &count.to_string())]);
    let answer = s.client.post(&format!("{}/preview", of(&a.cluster, &a.group)), &body(s, &a).await?, &with).await;
    let preview: SchedulePreview = s.heard(answer)?;
    s.show(&preview)
}

async fn switch(s: &Session, a: &One, verb: &str) -> Outcome<()> {
    let schedule = find(s, a).await?;
    let ask = Ask::post(format!("{}/{verb}", path(&schedule.id)), &nothing());
    let would = format!("{verb} schedule {} of {}", schedule.name, owner(&schedule));
    if let Some(now) = s.at_once::<Schedule>(ask, &would).await? {
        s.show(&now)?;
    }
    Ok(())
}

async fn remove(s: &Session, a: &One) -> Outcome<()> {
    let schedule = find(s, a).await?;
    let would = format!("remove schedule {} of {}", schedule.name, owner(&schedule));
    if s.at_once::<serde_json::Value>(Ask::delete(path(&schedule.id), &nothing()), &would).await?.is_some() {
        s.show(&schedule)?;
        note(format!("schedule {} of {} is removed; the backups it made stay", schedule.name, owner(&schedule)));
    }
    Ok(())
}

fn timing(s: &Schedule) -> String {
    Timing { days: s.days.iter().copied().collect(), hours: s.hours.iter().copied().collect(), time_zone: s.time_zone.clone() }.to_string()
}

/// What is set of it, in words.
fn kept(r: &Retention) -> String {
    let mut rules = Vec::new();
    rules.extend(r.days.map(|d| format!("{d} days")));
    rules.extend(r.keep_last.map(|n| format!("the newest {n}")));
    rules.extend(
        r.gfs.map(|g| format!("{} hourly, {} daily, {} weekly, {} monthly, {} yearly", g.hourly, g.daily, g.weekly, g.monthly, g.yearly)),
    );
    rules.extend(r.max_bytes.map(|b| format!("the newest {}", crate::output::bytes(b))));
    if rules.is_empty() { "until they are deleted".into() } else { rules.join(", ") }
}

/// `local (7 days), far`: where copies are kept for less than their backup, how long.
fn places(s: &Schedule) -> String {
    let place = |name: &String| match s.copy_retention.get(name) {
        Some(1) => format!("{name} (1 day)"),
        Some(days) => format!("{name} ({days} days)"),
        None => name.clone(),
    };
    s.storages.iter().map(place).collect::<Vec<_>>().join(", ")
}

impl Row for Schedule {
    const NONE: &'static str = "no schedules; make one with `mainstay schedule set CLUSTER`";
    const HEADER: &'static [&'static str] = &["of", "name", "on", "when", "kept", "storages", "next run", "last run"];
    fn cells(&self) -> Vec<String> {
        vec![
            owner(self),
            self.name.clone(),
            yes_no(self.enabled),
            timing(self),
            kept(&self.retention),
            places(self),
            or_dash(self.next_runs.first().copied(), local),
            or_dash(self.last_runs.first(), became),
        ]
    }
}

/// What became of a run: what its backup says, where there is one.
fn became(run: &ScheduleRun) -> String {
    let backup = run.backup_status.map(|status| word(&status));
    format!("{} {}", local(run.at), backup.unwrap_or_else(|| word(&run.status)))
}

impl Show for Schedule {
    fn people(&self) -> String {
        let mut fields = vec![
            ("name", self.name.clone()),
            ("id", self.id.clone()),
            ("of", owner(self)),
            ("on", yes_no(self.enabled)),
            ("when", timing(self)),
            ("kept", kept(&self.retention)),
            ("storages", places(self)),
            ("overlap", self.overlap.as_str().into()),
            ("next runs", self.next_runs.iter().map(|t| local(*t)).collect::<Vec<_>>().join(", ")),
        ];
        fields.extend(self.waiting.clone().map(|why| ("waiting", why)));
        if self.last_runs.is_empty() {
            return card(&fields);
        }
        let row = |r: &ScheduleRun| {
            let why = r.reason.clone().unwrap_or_default();
            vec![
                local(r.at),
                word(&r.status),
                r.backup.clone().or(r.group_backup.clone()).unwrap_or_else(|| "-".into()),
                or_dash(r.backup_status, |s| word(&s)),
                why,
            ]
        };
        format!("{}\n\n{}", card(&fields), grid(&["run of", "became", "backup", "status", "reason"], self.last_runs.iter().map(row)))
    }
}

fn of_preview(p: &SchedulePreview) -> String {
    p.group.as_ref().map_or_else(|| p.cluster.clone().unwrap_or_default(), |group| format!("group {group}"))
}

impl Show for SchedulePreview {
    fn people(&self) -> String {
        let head = card(&[("of", of_preview(self)), ("schedule", self.name.clone()), ("when", self.sentence.clone())]);
        let runs = self.next_runs.iter().zip(&self.on_the_wall).map(|(at, wall)| vec![wall.clone(), local(*at)]);
        format!("{head}\n\n{}", grid(&[self.time_zone.as_str(), "this machine"], runs))
    }
}
