//! When schedules are due, and what becomes of a time that has come.
//!
//! A time on the wall becomes one instant, its *slot*: where the wall's clock is put forward over it,
//! the first instant after; where it comes twice, the first of the two. Slots are what is counted,
//! so that each is used at most once however often the wall shows it.
//!
//! A schedule remembers up to where its slots are dealt with. Coming back after a while it makes one
//! run for the newest of those it has missed, if that is not too long ago, and writes the others
//! down. A clock that was put back moves the memory back with it: slots that come again then find
//! that they were used, by the store's key, and those that were only written down get their run.

use jiff::{
    civil::{Date, DateTime},
    tz::{AmbiguousOffset, Offset, TimeZone},
};
use mainstay_model::{
    Error, Result, ScheduleId, Time,
    error::shown,
    schedule::{Schedule, Timing, Weekday},
};
use std::collections::VecDeque;

/// How many missed slots are written down one by one; what was before them is only counted.
const MISSED: usize = 48;
/// How far back missed slots are looked for.
const LOOK_BACK_DAYS: i64 = 366;
/// How long a name of a zone may be.
const LONGEST_NAME: usize = 64;

#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// How long after its time a run is still made.
    pub catch_up_seconds: i64,
    /// By how much runs are spread at most, so that not all begin in the same second.
    pub jitter_seconds: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Slots whose time is over, oldest first, each with the reason.
    pub missed: Vec<(Time, String)>,
    pub run: Option<Time>,
    pub done_until: Time,
    pub next_at: Option<Time>,
}

/// A zone of the IANA database.
pub fn zone(name: &str) -> Result<TimeZone> {
    let unknown = |_| {
        let why = format!("\"{}\" is not a time zone; use a name such as Europe/Berlin or UTC", shown(name));
        Error::invalid("time_zone", why)
    };
    let name = if name.len() > LONGEST_NAME { "" } else { name };
    TimeZone::get(name).map_err(unknown)
}

/// The slots after an instant, each later than the one before.
pub struct Slots<'a> {
    timing: &'a Timing,
    zone: TimeZone,
    date: Option<Date>,
    last: Time,
    of_day: VecDeque<Time>,
}

pub fn slots(timing: &Timing, after: Time) -> Result<Slots<'_>> {
    let zone = zone(&timing.time_zone)?;
    let at = jiff::Timestamp::from_microsecond(after.micros()).unwrap_or(jiff::Timestamp::MIN);
    // A date may be shown again, or be left out, where a zone moved across the date line.
    let today = zone.to_datetime(at).date();
    let date = today.checked_sub(jiff::Span::new().days(2)).unwrap_or(today);
    Ok(Slots { timing, zone, date: Some(date), last: after, of_day: VecDeque::new() })
}

impl Iterator for Slots<'_> {
    type Item = Time;

    fn next(&mut self) -> Option<Time> {
        while self.of_day.is_empty() {
            let date = self.date?;
            self.date = date.tomorrow().ok();
            if self.timing.days.contains(&weekday(date)) {
                self.read(date);
            }
        }
        self.of_day.pop_front()
    }
}

impl Slots<'_> {
    fn read(&mut self, date: Date) {
        for hour in &self.timing.hours {
            // An hour is 0 to 23.
            let found = i8::try_from(*hour).ok().and_then(|h| instant(&self.zone, date.at(h, 0, 0, 0)));
            if let Some(slot) = found.filter(|slot| *slot > self.last) {
                self.last = slot;
                self.of_day.push_back(slot);
            }
        }
    }
}

fn weekday(date: Date) -> Weekday {
    let from_monday = date.weekday().to_monday_zero_offset();
    Weekday::ALL[from_monday.rem_euclid(7) as usize]
}

/// The one instant at which the wall shows `at`, or should.
fn instant(zone: &TimeZone, at: DateTime) -> Option<Time> {
    let by = |offset: Offset| offset.to_timestamp(at).ok();
    let found = match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => by(offset),
        AmbiguousOffset::Fold { before, .. } => by(before),
        // By the offset of afterwards it lies before the change, which is the next there is.
        AmbiguousOffset::Gap { before, after } => {
            let changed = by(after).and_then(|t| zone.following(t).next().map(|change| change.timestamp()));
            changed.or_else(|| by(before))
        }
    };
    found.map(Time::from)
}

/// The next `count` slots after an instant.
pub fn upcoming(timing: &Timing, after: Time, count: usize) -> Result<Vec<Time>> {
    Ok(slots(timing, after)?.take(count).collect())
}

/// How many seconds after its slots a schedule runs: always the same for one schedule.
pub fn jitter(schedule: &ScheduleId, most: i64) -> i64 {
    // FNV-1a: spreads well enough, and is the same in every version.
    let hash = schedule.as_str().bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    ((hash >> 11) % (most.max(0) as u64 + 1)) as i64
}

/// Where a schedule stands that was made, changed or resumed just now: nothing before counts.
pub fn afresh(schedule: &mut Schedule, now: Time, rules: Rules) -> Result<()> {
    schedule.done_until = now;
    schedule.waiting = None;
    schedule.next_at = if schedule.enabled { next_look(schedule, now, rules)? } else { None };
    Ok(())
}

fn next_look(schedule: &Schedule, after: Time, rules: Rules) -> Result<Option<Time>> {
    let next = slots(&schedule.timing, after)?.next();
    Ok(next.map(|slot| slot.plus_seconds(jitter(&schedule.id, rules.jitter_seconds))))
}

pub fn decide(now: Time, schedule: &Schedule, rules: Rules) -> Result<Decision> {
    let after = schedule.done_until.min(now);
    if !schedule.enabled {
        return Ok(Decision { missed: vec![], run: None, done_until: after, next_at: None });
    }
    let late = jitter(&schedule.id, rules.jitter_seconds);
    let (mut due, uncounted) = due(schedule, after, now.plus_seconds(-late))?;
    let newest = due.back().copied();
    let run = newest.filter(|slot| now.seconds_since(*slot) <= (rules.catch_up_seconds + late) as f64);
    if run.is_some() {
        due.pop_back();
    }
    let mut missed: Vec<_> = due.into_iter().map(|slot| (slot, why_missed(schedule, run, rules))).collect();
    if let Some((_, why)) = missed.first_mut().filter(|_| uncounted > 0) {
        why.push_str(&format!("; so were {uncounted} before it"));
    }
    let done_until = newest.unwrap_or(after);
    Ok(Decision { missed, run, done_until, next_at: next_look(schedule, done_until, rules)? })
}

/// The newest slots that have come, and how many more there were.
fn due(schedule: &Schedule, after: Time, until: Time) -> Result<(VecDeque<Time>, u64)> {
    let from = after.max(until.plus_days(-LOOK_BACK_DAYS));
    let (mut newest, mut uncounted) = (VecDeque::new(), 0);
    for slot in slots(&schedule.timing, from)?.take_while(|slot| *slot <= until) {
        newest.push_back(slot);
        if newest.len() > MISSED + 1 {
            newest.pop_front();
            uncounted += 1;
        }
    }
    Ok((newest, uncounted))
}

fn why_missed(schedule: &Schedule, run: Option<Time>, rules: Rules) -> String {
    let why = schedule.waiting.as_deref().unwrap_or("Mainstay did not run at its time");
    match run {
        Some(later) => format!("{why}; the run of {later} took its place"),
        None => format!("{why}, and more than {} minutes have passed since", rules.catch_up_seconds / 60),
    }
}

/// What the wall's clock in the schedule's zone shows at an instant, with its distance from UTC.
pub fn on_the_wall(timing: &Timing, at: Time) -> Result<String> {
    let stamp = jiff::Timestamp::from_microsecond(at.micros()).map_err(Error::internal)?;
    Ok(stamp.to_zoned(zone(&timing.time_zone)?).strftime("%a %Y-%m-%d %H:%M %:z").to_string())
}
