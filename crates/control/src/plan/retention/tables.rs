//! Known cases, by hand.

use super::*;
use mainstay_model::retention::{Gfs, Retention};

fn at(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn made(text: &str, class: Class, retention: &Retention) -> Item {
    let created_at = at(text);
    Item {
        id: BackupId::new(),
        class,
        lane: Lane::Good,
        drilled: false,
        created_at,
        bytes: 10,
        parent: None,
        group: None,
        rules: Rules::of(retention, created_at),
        storages: vec![],
        places: vec![],
    }
}

fn run(policy: &Policy, items: &[Item], now: &str) -> Plan {
    let now = at(now);
    plan(policy, items, &Pins::default(), Clock { now, last: Some(now) })
}

/// The reasons in the order of `items`; what goes in brackets.
fn reasons(policy: &Policy, items: &[Item], now: &str) -> Vec<String> {
    let plan = run(policy, items, now);
    let kept: HashMap<_, _> = plan.keep.into_iter().collect();
    let gone: HashMap<_, _> = plan.delete.into_iter().collect();
    let say = |i: &Item| kept.get(&i.id).map_or_else(|| format!("({})", gone[&i.id]), ToString::to_string);
    items.iter().map(say).collect()
}

fn one() -> Policy {
    Policy { min_keep: 1, ..Policy::default() }
}

fn zoned(zone: &str) -> (ScheduleId, Policy) {
    let id = ScheduleId::new();
    let facts = ScheduleFacts { name: "nightly".into(), time_zone: zone.into(), enabled: true };
    (id.clone(), Policy { schedules: [(id, facts)].into(), ..one() })
}

#[test]
fn days_count_from_the_making() {
    let days = |d| made(d, Class::Manual, &Retention::days(7));
    let items = [days("2026-01-01T03:00:00Z"), days("2026-01-02T03:00:00Z"), days("2026-01-09T03:00:00Z")];
    let said = reasons(&one(), &items, "2026-01-08T03:00:00Z");
    assert_eq!(said[0], "(its time ended 2026-01-08T03:00:00.000000Z)");
    assert_eq!(said[1], "7 days, until 2026-01-09T03:00:00.000000Z");
}

#[test]
fn a_week_without_backups_costs_none_of_the_last_two() {
    let days = |d| made(d, Class::Manual, &Retention::days(7));
    let items = [days("2026-01-01T03:00:00Z"), days("2026-01-02T03:00:00Z"), days("2026-01-03T03:00:00Z")];
    let said = reasons(&Policy::default(), &items, "2027-01-01T00:00:00Z");
    assert!(said[0].starts_with('('), "{said:?}");
    assert_eq!(said[1..], ["one of the newest 2 good, which always stay", "newest good"]);
}

#[test]
fn the_newest_n_are_completed_ones_and_as_many_failed() {
    let rule = Retention { keep_last: Some(1), ..Retention::default() };
    let mut items: Vec<Item> = (1..=4).map(|d| made(&format!("2026-01-0{d}T03:00:00Z"), Class::Manual, &rule)).collect();
    items[1].lane = Lane::Failed;
    items[3].lane = Lane::Failed;
    assert_eq!(
        reasons(&one(), &items, "2026-01-05T00:00:00Z"),
        [
            "(it is not one of the newest 1)",
            "(it is not one of the newest 1 failed)",
            "one of the newest 1",
            "one of the newest 1 failed: kept so that the failure can be looked into",
        ]
    );
}

#[test]
fn generations_end_at_midnight_on_the_schedules_wall() {
    let rule = Retention { gfs: Some(Gfs { daily: 2, ..Gfs::default() }), ..Retention::default() };
    // 23:30Z on the first is 00:30 on the second in Berlin.
    let times = ["2026-01-01T12:00:00Z", "2026-01-01T22:30:00Z", "2026-01-01T23:30:00Z", "2026-01-02T12:00:00Z"];
    for (zone, wanted) in [("Europe/Berlin", [false, true, false, true]), ("UTC", [false, false, true, true])] {
        let (id, policy) = zoned(zone);
        let items: Vec<_> = times.iter().map(|t| made(t, Class::Schedule(id.clone()), &rule)).collect();
        let plan = run(&policy, &items, "2026-01-03T00:00:00Z");
        let kept = plan.kept();
        assert_eq!(items.iter().map(|i| kept.contains(&i.id)).collect::<Vec<_>>(), wanted, "{zone}");
    }
}

#[test]
fn grandfather_father_son_over_two_years() {
    let (id, policy) = zoned("UTC");
    let rule = Retention { gfs: Some(Gfs { hourly: 0, daily: 7, weekly: 4, monthly: 12, yearly: 2 }), ..Retention::default() };
    let first = at("2024-01-01T03:00:00Z");
    let items: Vec<Item> = (0..730).map(|d| made(&first.plus_days(d).to_string(), Class::Schedule(id.clone()), &rule)).collect();
    let now = first.plus_days(730).to_string();
    let plan = run(&policy, &items, &now);
    let count = |p| plan.keep.iter().filter(|(_, k)| matches!(k, Kept::Generation(of, _) if *of == p)).count();
    // The longest generation names a backup: the newest of all is the year's.
    assert_eq!((count(Period::Year), count(Period::Month), count(Period::Week), count(Period::Day)), (2, 11, 3, 5));
}

#[test]
fn the_newest_that_fit_into_a_size_stay() {
    let rule = Retention { max_bytes: Some(25), ..Retention::default() };
    let items: Vec<Item> = (1..=4).map(|d| made(&format!("2026-01-0{d}T03:00:00Z"), Class::Manual, &rule)).collect();
    let plan = run(&one(), &items, "2026-01-05T00:00:00Z");
    assert_eq!(plan.going(), [&items[0].id, &items[1].id].into());
}

#[test]
fn failures_without_a_rule_are_kept_a_week() {
    let rule = Retention { gfs: Some(Gfs { daily: 1, ..Gfs::default() }), ..Retention::default() };
    let mut item = made("2026-01-01T00:00:00Z", Class::Manual, &rule);
    item.lane = Lane::Failed;
    for (now, going) in [("2026-01-07T23:00:00Z", 0), ("2026-01-08T00:00:00Z", 1)] {
        assert_eq!(run(&one(), std::slice::from_ref(&item), now).delete.len(), going, "{now}");
    }
}

#[test]
fn a_newer_one_in_doubt_stays_beside_the_last_good() {
    let days = |d| made(d, Class::Manual, &Retention::days(1));
    let mut items = [days("2026-01-01T03:00:00Z"), days("2026-01-02T03:00:00Z"), days("2026-01-03T03:00:00Z")];
    (items[1].lane, items[2].lane) = (Lane::Doubtful, Lane::Doubtful);
    let said = reasons(&one(), &items, "2026-02-01T00:00:00Z");
    assert!(said[0].contains("newest good") && said[1].starts_with('(') && said[2].contains("in doubt"), "{said:?}");
}

#[test]
fn the_reasons_people_read() {
    let t = at("2026-01-01T00:00:00Z");
    let cases = [
        (Kept::Pinned, "pinned: kept until it is unpinned"),
        (Kept::Final(Some(t)), "final, until 2026-01-01T00:00:00.000000Z"),
        (Kept::NewestGood, "newest good"),
        (Kept::Until { until: t, days: Some(7) }, "7 days, until 2026-01-01T00:00:00.000000Z"),
        (Kept::Generation(Period::Month, 12), "newest of its month, for 12 of them"),
        (Kept::NoRule, "kept until it is deleted"),
    ];
    for (reason, words) in cases {
        assert_eq!(reason.to_string(), words);
    }
}
