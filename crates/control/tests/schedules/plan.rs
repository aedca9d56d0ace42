//! The planner: tables for what clocks do in known places, and what holds anywhere.

use mainstay_control::plan::schedule::{Decision, Rules, afresh, decide, jitter, slots, upcoming};
use mainstay_model::{
    ClusterId, ClusterName, Name, ProjectId, ScheduleId, StorageId, Time,
    retention::Retention,
    schedule::{Owner, Schedule, Timing, Weekday},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

pub fn at(text: &str) -> Time {
    Time::parse(text).unwrap_or_else(|| panic!("{text}"))
}

pub fn timing(days: &[Weekday], hours: &[u8], zone: &str) -> Timing {
    let days = if days.is_empty() { Timing::every_day() } else { days.iter().copied().collect() };
    let hours = if hours.is_empty() { Timing::every_hour() } else { hours.iter().copied().collect() };
    Timing::new(days, hours, zone).unwrap()
}

pub fn schedule(timing: Timing, now: Time) -> Schedule {
    let mut schedule = Schedule {
        id: ScheduleId::new(),
        project: ProjectId::new(),
        owner: Owner::Cluster { cluster: ClusterId::new(), cluster_name: ClusterName::parse("shop").unwrap() },
        name: Name::parse("default").unwrap(),
        enabled: true,
        timing,
        retention: Retention::days(7),
        storages: vec![StorageId::new()],
        copy_retention: Default::default(),
        overlap: Default::default(),
        done_until: now,
        next_at: None,
        waiting: None,
        created_at: now,
    };
    afresh(&mut schedule, now, PROMPT).unwrap();
    schedule
}

pub const PROMPT: Rules = Rules { catch_up_seconds: 6 * 3600, jitter_seconds: 0 };

/// Slots as `MM-DDTHH:MM`, in UTC.
fn shown(timing: &Timing, after: &str, count: usize) -> Vec<String> {
    upcoming(timing, at(after), count).unwrap().iter().map(|t| t.to_string()[5..16].to_string()).collect()
}

#[test]
fn a_day_that_begins_or_ends_summer_time() {
    // Zone, hour, the instant before, the three slots after it.
    let table: &[(&str, u8, &str, [&str; 3])] = &[
        ("UTC", 3, "2026-03-28T12:00:00Z", ["03-29T03:00", "03-30T03:00", "03-31T03:00"]),
        ("Asia/Kolkata", 3, "2026-03-28T12:00:00Z", ["03-28T21:30", "03-29T21:30", "03-30T21:30"]),
        // Forward at 02:00: 02:00 is not there and becomes 03:00, which is 01:00 in UTC.
        ("Europe/Berlin", 2, "2026-03-28T12:00:00Z", ["03-29T01:00", "03-30T00:00", "03-31T00:00"]),
        ("Europe/Berlin", 3, "2026-03-28T12:00:00Z", ["03-29T01:00", "03-30T01:00", "03-31T01:00"]),
        // Back at 03:00: 02:00 comes twice, and the first counts.
        ("Europe/Berlin", 2, "2026-10-24T12:00:00Z", ["10-25T00:00", "10-26T01:00", "10-27T01:00"]),
        ("America/New_York", 2, "2026-03-07T12:00:00Z", ["03-08T07:00", "03-09T06:00", "03-10T06:00"]),
        ("America/New_York", 1, "2026-10-31T12:00:00Z", ["11-01T05:00", "11-02T06:00", "11-03T06:00"]),
        // Half an hour: 02:00 becomes 02:30 on the first Sunday of October.
        ("Australia/Lord_Howe", 2, "2026-10-03T12:00:00Z", ["10-03T15:30", "10-04T15:00", "10-05T15:00"]),
        // Back from 02:00 to 01:30: 01:00 comes once.
        ("Australia/Lord_Howe", 1, "2026-04-04T12:00:00Z", ["04-04T14:00", "04-05T14:30", "04-06T14:30"]),
    ];
    for (zone, hour, after, wanted) in table {
        assert_eq!(shown(&timing(&[], &[*hour], zone), after, 3), wanted, "{zone} {hour}");
    }
}

#[test]
fn every_hour_has_no_hour_twice() {
    let berlin = timing(&[], &[], "Europe/Berlin");
    // The hour that is left out is the next one's; the hour that comes twice is used once.
    assert_eq!(shown(&berlin, "2026-03-28T23:30:00Z", 3), ["03-29T00:00", "03-29T01:00", "03-29T02:00"]);
    assert_eq!(shown(&berlin, "2026-10-24T22:30:00Z", 3), ["10-24T23:00", "10-25T00:00", "10-25T02:00"]);
}

#[test]
fn a_date_that_was_never_there_is_made_up_for_at_once() {
    // Samoa had no 30 December 2011, a Friday.
    let fridays = timing(&[Weekday::Fri], &[3, 15], "Pacific/Apia");
    assert_eq!(shown(&fridays, "2011-12-28T00:00:00Z", 3), ["12-30T10:00", "01-05T13:00", "01-06T01:00"]);
}

#[test]
fn days_and_hours_and_what_is_after() {
    let some = timing(&[Weekday::Mon, Weekday::Wed], &[3, 15], "UTC");
    // 20 November 2026 is a Friday. What is exactly now is not after now.
    assert_eq!(shown(&some, "2026-11-20T12:00:00Z", 5), ["11-23T03:00", "11-23T15:00", "11-25T03:00", "11-25T15:00", "11-30T03:00"]);
    assert_eq!(shown(&some, "2026-11-23T03:00:00Z", 1), ["11-23T15:00"]);
    assert_eq!(shown(&some, "2026-11-23T02:59:59.999999Z", 1), ["11-23T03:00"]);
}

#[test]
fn a_zone_nobody_knows_is_refused() {
    for bad in ["", "Berlin", "Europe/Atlantis", "../../etc/passwd", "/etc/localtime", "UTC\0", &"x".repeat(1000)] {
        let e = mainstay_control::plan::schedule::zone(bad).expect_err(bad);
        assert_eq!(e.field.as_deref(), Some("time_zone"), "{bad}");
    }
}

fn decided(schedule: &Schedule, now: &str) -> (usize, Option<String>, String) {
    let d: Decision = decide(at(now), schedule, PROMPT).unwrap();
    (d.missed.len(), d.run.map(|t| t.to_string()[5..16].to_string()), d.done_until.to_string()[5..16].to_string())
}

#[test]
fn what_is_made_up_for() {
    let daily = schedule(timing(&[], &[3], "UTC"), at("2026-11-20T12:00:00Z"));
    let none = |until: &str| (0, None, until.to_string());
    assert_eq!(decided(&daily, "2026-11-21T02:59:59Z"), none("11-20T12:00"));
    assert_eq!(decided(&daily, "2026-11-21T03:00:00Z"), (0, Some("11-21T03:00".into()), "11-21T03:00".into()));
    assert_eq!(decided(&daily, "2026-11-21T09:00:00Z"), (0, Some("11-21T03:00".into()), "11-21T03:00".into()), "within six hours");
    assert_eq!(decided(&daily, "2026-11-21T09:00:01Z"), (1, None, "11-21T03:00".into()), "and not later");
    assert_eq!(decided(&daily, "2026-11-25T03:10:00Z"), (4, Some("11-25T03:00".into()), "11-25T03:00".into()), "once, for the newest");
    // A clock that was put back by a month.
    assert_eq!(decided(&daily, "2026-10-20T12:00:00Z"), none("10-20T12:00"));
    // A year of hours: the newest are written down, the others counted.
    let hourly = schedule(timing(&[], &[], "UTC"), at("2025-11-20T12:00:00Z"));
    let d = decide(at("2026-11-20T12:00:00Z"), &hourly, PROMPT).unwrap();
    assert_eq!((d.missed.len(), d.run), (48, Some(at("2026-11-20T12:00:00Z"))));
    assert!(d.missed[0].1.contains("so were 8711 before it"), "{}", d.missed[0].1);
}

#[test]
fn paused_it_decides_nothing() {
    let mut daily = schedule(timing(&[], &[3], "UTC"), at("2026-11-20T12:00:00Z"));
    daily.enabled = false;
    let d = decide(at("2026-11-30T03:00:00Z"), &daily, PROMPT).unwrap();
    assert_eq!((d.run, d.missed.len(), d.next_at), (None, 0, None));
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Santiago",
    "Africa/Casablanca",
];

fn any_timing() -> impl Strategy<Value = Timing> {
    let days = proptest::collection::btree_set(proptest::sample::select(Weekday::ALL.to_vec()), 1..=7);
    let hours = proptest::collection::btree_set(0u8..24, 1..=24);
    (days, hours, proptest::sample::select(ZONES.to_vec())).prop_map(|(d, h, z)| Timing::new(d, h, z).unwrap())
}

/// From 2008 to 2037, to the second.
fn any_time() -> impl Strategy<Value = Time> {
    (1_200_000_000i64..2_120_000_000).prop_map(|s| Time::from_micros(s * 1_000_000))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Slots rise, and where one starts to read changes none.
    #[test]
    fn slots_rise_and_do_not_depend_on_where_one_begins(t in any_timing(), after in any_time(), further in 0i64..2_000_000) {
        let all: Vec<Time> = slots(&t, after).unwrap().take_while(|s| *s <= after.plus_seconds(3_000_000)).collect();
        prop_assert!(all.windows(2).all(|w| w[0] < w[1]));
        prop_assert!(all.iter().all(|s| *s > after));
        let later = after.plus_seconds(further);
        let rest: Vec<Time> = slots(&t, later).unwrap().take_while(|s| *s <= after.plus_seconds(3_000_000)).collect();
        prop_assert_eq!(all.into_iter().filter(|s| *s > later).collect::<Vec<_>>(), rest);
    }

    /// A slot is at its hour on its day, or is the first instant after a time that was left out.
    #[test]
    fn slots_are_where_they_should_be(t in any_timing(), after in any_time()) {
        let zone = jiff::tz::TimeZone::get(&t.time_zone).unwrap();
        for slot in upcoming(&t, after, 40).unwrap() {
            let stamp = jiff::Timestamp::from_microsecond(slot.micros()).unwrap();
            let wall = zone.to_datetime(stamp);
            let just_before = zone.to_datetime(stamp - jiff::SignedDuration::from_secs(1));
            let is_at_its_hour = wall.minute() == 0 && wall.second() == 0 && t.hours.contains(&(wall.hour() as u8));
            let jumped = wall.duration_since(just_before) > jiff::SignedDuration::from_secs(1);
            prop_assert!(is_at_its_hour || jumped, "{} {wall}", t.time_zone);
        }
    }

    /// However the clock goes, no slot is run twice by one memory of what was run, no slot is run
    /// more than the catch-up after its time, and a clock that only goes forward uses every slot.
    #[test]
    fn each_slot_is_used_once(
        t in any_timing(),
        start in any_time(),
        steps in proptest::collection::vec((-200_000i64..400_000, any::<bool>()), 1..40),
        forward in any::<bool>(),
    ) {
        let mut s = schedule(t.clone(), start);
        let (mut now, mut ran, mut missed) = (start, BTreeSet::new(), BTreeSet::new());
        for (by, small) in steps {
            let by = if small { by / 1000 } else { by };
            now = now.plus_seconds(if forward { by.abs() } else { by });
            let d = decide(now, &s, PROMPT).unwrap();
            for (slot, _) in &d.missed {
                prop_assert!(*slot <= now);
                if !ran.contains(slot) {
                    missed.insert(*slot);
                }
            }
            if let Some(slot) = d.run {
                prop_assert!(slot <= now && now.seconds_since(slot) <= 6.0 * 3600.0);
                prop_assert!(forward || slot > start.plus_days(-400));
                prop_assert!(ran.insert(slot) || !forward, "{slot} ran twice");
                missed.remove(&slot);
            }
            prop_assert!(d.next_at.is_some_and(|next| next > now), "{:?} is not after {now}", d.next_at);
            prop_assert!(d.done_until <= now);
            s.done_until = d.done_until;
        }
        if forward && now.seconds_since(start) < 40.0 * 3600.0 {
            let used: Vec<Time> = ran.union(&missed).copied().collect();
            let all: Vec<Time> = slots(&t, start).unwrap().take_while(|slot| *slot <= now).collect();
            prop_assert_eq!(used, all);
        }
    }

    /// Spread over the whole time and no further, and always the same.
    #[test]
    fn jitter_is_bounded_and_steady(most in 0i64..3600) {
        let id = ScheduleId::new();
        let by = jitter(&id, most);
        prop_assert!((0..=most).contains(&by));
        prop_assert_eq!(by, jitter(&id, most));
    }
}

#[test]
fn jitter_spreads() {
    let by: BTreeSet<i64> = (0..1000).map(|_| jitter(&ScheduleId::new(), 29)).collect();
    assert_eq!(by.len(), 30);
}

#[test]
fn a_late_schedule_still_uses_its_slot_and_no_other() {
    let spread = Rules { catch_up_seconds: 3600, jitter_seconds: 600 };
    for _ in 0..50 {
        let s = schedule(timing(&[], &[3], "UTC"), at("2026-11-20T12:00:00Z"));
        let late = jitter(&s.id, 600);
        let slot = at("2026-11-21T03:00:00Z");
        assert_eq!(decide(slot.plus_seconds(late - 1), &s, spread).unwrap().run, None);
        let d = decide(slot.plus_seconds(late), &s, spread).unwrap();
        assert_eq!((d.run, d.done_until, d.next_at), (Some(slot), slot, Some(slot.plus_days(1).plus_seconds(late))));
    }
}
