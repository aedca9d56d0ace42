//! Copies with a time of their own: known cases by hand, and what holds for every catalogue.

use super::*;
use mainstay_model::retention::Retention;
use proptest::{collection::vec, option, prelude::*, sample::subsequence};

const DAY: i64 = 86_400;

fn now() -> Time {
    Time::parse("2026-06-01T03:00:00Z").unwrap()
}

fn clock() -> Clock {
    Clock { now: now(), last: Some(now().plus_seconds(-3600)) }
}

fn storages() -> &'static [StorageId; 3] {
    static IDS: std::sync::OnceLock<[StorageId; 3]> = std::sync::OnceLock::new();
    IDS.get_or_init(|| [StorageId::new(), StorageId::new(), StorageId::new()])
}

fn schedules() -> &'static [ScheduleId; 2] {
    static IDS: std::sync::OnceLock<[ScheduleId; 2]> = std::sync::OnceLock::new();
    IDS.get_or_init(|| [ScheduleId::new(), ScheduleId::new()])
}

/// The second schedule is off.
fn policy(min_keep: u32) -> Policy {
    let facts = |on| ScheduleFacts { name: "nightly".into(), time_zone: "UTC".into(), enabled: on };
    let schedules = [(schedules()[0].clone(), facts(true)), (schedules()[1].clone(), facts(false))].into();
    Policy { min_keep, schedules, ..Policy::default() }
}

fn place(storage: usize, made: Time, days: Option<i64>) -> CopyItem {
    let until = days.map(|d| made.plus_days(d));
    CopyItem { storage: storages()[storage].clone(), good: true, leaving: None, until, locked: None, beside: false }
}

/// Made so many days ago, kept 90; a week of that in the first storage.
fn week_here(days_ago: i64) -> Item {
    let created_at = now().plus_days(-days_ago);
    let places = vec![place(0, created_at, Some(7)), place(1, created_at, None)];
    Item {
        id: BackupId::new(),
        class: Class::Schedule(schedules()[0].clone()),
        lane: Lane::Good,
        drilled: false,
        created_at,
        bytes: 10,
        parent: None,
        group: None,
        rules: Rules::of(&Retention::days(90), created_at),
        storages: places.iter().map(|p| p.storage.clone()).collect(),
        places,
    }
}

fn run(policy: &Policy, items: &[Item], pins: &Pins) -> CopyPlan {
    let plan = plan(policy, items, pins, clock());
    copies(policy, items, pins, &plan, clock())
}

fn spot(item: &Item, storage: usize) -> Spot {
    (item.id.clone(), storages()[storage].clone())
}

fn why(plan: &CopyPlan, item: &Item) -> String {
    plan.keep.iter().find(|(s, _)| *s == spot(item, 0)).map(|(_, why)| why.to_string()).unwrap_or_default()
}

#[test]
fn a_week_here_and_a_quarter_elsewhere() {
    let items: Vec<Item> = (0..30).map(week_here).collect();
    let steady: Vec<Item> = items[..9].to_vec();
    let plan = run(&policy(2), &steady, &Pins::default());
    assert_eq!((plan.delete.clone(), plan.brake), (vec![spot(&items[7], 0), spot(&items[8], 0)], None));
    let at_once = run(&policy(2), &items, &Pins::default());
    assert_eq!(at_once.delete.len(), 23);
    assert_eq!(at_once.brake, Some((storages()[0].clone(), Brake { going: 23, of: 30 })));
}

#[test]
fn what_keeps_a_copy_whose_time_is_over() {
    let mut items: Vec<Item> = [1, 2, 20, 21, 22, 23, 24, 25].into_iter().map(week_here).collect();
    items[3].lane = Lane::Doubtful;
    items[4].places[1].good = false;
    items[5].places[1].beside = true;
    items[6].places[0].locked = Some(now().plus_days(1));
    let pins = Pins { held: [(items[2].id.clone(), Hold::Pinned)].into(), ..Pins::default() };
    let plan = run(&policy(2), &items, &pins);
    assert_eq!(plan.delete, [spot(&items[7], 0)]);
    let said: Vec<String> = (2..7).map(|at| why(&plan, &items[at])).collect();
    assert_eq!(
        said,
        [
            "its backup is pinned",
            "its backup does not count, and keeps all it has",
            "no other good copy stays elsewhere",
            "no other good copy stays elsewhere",
            "locked until 2026-06-02T03:00:00.000000Z: its storage lets nobody remove it before",
        ]
    );
}

#[test]
fn a_storage_keeps_its_newest_and_the_last_of_a_schedule_that_is_off() {
    let mut items: Vec<Item> = [20, 21, 22, 23, 24, 25].into_iter().map(week_here).collect();
    for item in &mut items[3..] {
        item.class = Class::Schedule(schedules()[1].clone());
    }
    let plan = run(&policy(2), &items, &Pins::default());
    assert_eq!(plan.delete, [spot(&items[2], 0), spot(&items[5], 0)]);
    assert_eq!(why(&plan, &items[0]), "one of the newest 2 good in this storage");
    assert_eq!(why(&plan, &items[3]), "one of the last 2 in this storage of a schedule that no longer runs");
}

#[test]
fn where_the_log_lies_copies_reach_as_far_back_as_its_window() {
    let items: Vec<Item> = (0..20).map(week_here).collect();
    let window = Policy { window_from: Some(now().plus_days(-14)), ..policy(2) };
    assert_eq!(run(&window, &items, &Pins::default()).delete.len(), 13, "the log lies elsewhere");
    let there = Policy { log_storages: [storages()[0].clone()].into(), ..window };
    let plan = run(&there, &items, &Pins::default());
    assert_eq!(plan.delete.first(), Some(&spot(&items[15], 0)));
    assert!(why(&plan, &items[14]).contains("the log to restore to any moment"));
}

#[test]
fn an_announced_one_is_due_at_its_time_and_waits_while_the_other_copy_is_in_doubt() {
    let mut items: Vec<Item> = [1, 2, 20, 21].into_iter().map(week_here).collect();
    items[2].places[0].leaving = Some(now());
    items[3].places[0].leaving = Some(now().plus_days(1));
    let plan = run(&policy(2), &items, &Pins::default());
    assert_eq!((plan.due, plan.delete), (vec![spot(&items[2], 0)], vec![]));
    let pins = Pins { silent: [storages()[1].clone()].into(), ..Pins::default() };
    assert!(run(&policy(2), &items, &pins).due.is_empty());
}

fn some_place() -> impl Strategy<Value = (bool, Option<i64>, Option<i64>, Option<i64>, bool)> {
    let near = || option::weighted(0.2, -5i64..5);
    (prop::bool::weighted(0.85), option::weighted(0.6, -40i64..10), near(), near(), prop::bool::weighted(0.1))
}

fn some_item() -> impl Strategy<Value = (Item, Option<prop::sample::Index>)> {
    let class = prop_oneof![
        4 => Just(Class::Schedule(schedules()[0].clone())),
        2 => Just(Class::Schedule(schedules()[1].clone())),
        2 => Just(Class::Manual),
        1 => Just(Class::Final),
    ];
    let lane = prop_oneof![6 => Just(Lane::Good), 1 => Just(Lane::Doubtful), 1 => Just(Lane::Failed), 1 => Just(Lane::Leaving)];
    let places = subsequence(storages().to_vec(), 1..=3);
    let made = (class, lane, any::<bool>(), 0i64..60, 1i64..120, places, vec(some_place(), 3));
    (made, option::weighted(0.2, any::<prop::sample::Index>())).prop_map(|((class, lane, drilled, ago, days, at, how), parent)| {
        let created_at = now().plus_days(-ago);
        let day = |d: Option<i64>| d.map(|d| now().plus_days(d));
        let of = |(storage, (good, until, leaving, locked, beside)): (&StorageId, (bool, _, _, _, bool))| CopyItem {
            storage: storage.clone(),
            good,
            leaving: day(leaving).filter(|_| good),
            until: day(until),
            locked: day(locked),
            beside,
        };
        let places: Vec<CopyItem> = at.iter().zip(how).map(of).collect();
        let rules = Rules::of(&Retention::days(days), created_at);
        let storages = places.iter().map(|p| p.storage.clone()).collect();
        (
            Item { id: BackupId::new(), class, lane, drilled, created_at, bytes: 1, parent: None, group: None, rules, storages, places },
            parent,
        )
    })
}

fn catalogue() -> impl Strategy<Value = Vec<Item>> {
    vec(some_item(), 0..30).prop_map(|mut made| {
        made.sort_by_key(|(i, _)| (i.created_at, i.id.clone()));
        let ids: Vec<BackupId> = made.iter().map(|(i, _)| i.id.clone()).collect();
        let of = |(at, (mut item, parent)): (usize, (Item, Option<prop::sample::Index>))| {
            item.parent = parent.filter(|_| at > 0).map(|p| p.get(&ids[..at]).clone());
            item
        };
        made.into_iter().enumerate().map(of).collect()
    })
}

fn goes(plan: &CopyPlan, item: &Item, place: &CopyItem) -> bool {
    let spot = (item.id.clone(), place.storage.clone());
    plan.delete.contains(&spot) || plan.due.contains(&spot)
}

/// What is left once the plan is carried out, `done` of it where that is said.
fn after(all: &[Item], plan: &CopyPlan, done: &dyn Fn(usize) -> bool) -> Vec<Item> {
    let all_going: Vec<&Spot> = plan.delete.iter().chain(&plan.due).collect();
    let gone: BTreeSet<&Spot> = all_going.into_iter().enumerate().filter(|(at, _)| done(*at)).map(|(_, spot)| spot).collect();
    let left = |i: &Item| {
        let places = i.places.iter().filter(|p| !gone.contains(&(i.id.clone(), p.storage.clone()))).cloned().collect();
        Item { places, ..i.clone() }
    };
    all.iter().map(left).collect()
}

fn bears(place: &CopyItem) -> bool {
    place.good && !place.beside && place.leaving.is_none()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_backup_loses_the_last_copy_that_bears_it(all in catalogue(), min in 0u32..4) {
        let plan = run(&policy(min), &all, &Pins::default());
        for item in all.iter().filter(|i| i.places.iter().any(|p| goes(&plan, i, p))) {
            prop_assert!(item.lane == Lane::Good && !item.is_final());
            prop_assert!(item.places.iter().any(|p| bears(p) && !goes(&plan, item, p) && p.until.is_none_or(|t| t > now())));
        }
    }

    #[test]
    fn only_what_is_over_goes_and_never_what_is_locked(all in catalogue()) {
        let plan = run(&policy(1), &all, &Pins::default());
        for (item, place) in all.iter().flat_map(|i| i.places.iter().map(move |p| (i, p))).filter(|(i, p)| goes(&plan, i, p)) {
            prop_assert!(place.leaving.is_some() || place.until.is_some_and(|t| t <= now()), "{item:?}");
            prop_assert!(place.locked.is_none_or(|t| t <= now()));
        }
        prop_assert!(plan.due.iter().all(|s| !plan.delete.contains(s)));
    }

    #[test]
    fn each_storage_keeps_its_newest_good_ones_and_the_last_of_an_idle_schedule(all in catalogue(), min in 0u32..4) {
        let plan = run(&policy(min), &all, &Pins::default());
        let floor = min.max(1) as usize;
        for storage in storages() {
            let mut there: Vec<(&Item, &CopyItem)> = all.iter().filter(|i| i.is_full())
                .filter_map(|i| Some((i, i.places.iter().find(|p| p.storage == *storage && p.good)?))).collect();
            there.sort_by_key(|(i, _)| std::cmp::Reverse((i.created_at, i.id.clone())));
            prop_assert!(there.iter().take(floor).all(|(i, p)| !goes(&plan, i, p)));
            let idle = there.iter().filter(|(i, _)| i.class.schedule() == Some(&schedules()[1]));
            prop_assert!(idle.take(floor).all(|(i, p)| !goes(&plan, i, p)));
        }
    }

    #[test]
    fn where_the_log_lies_everything_since_its_window_stays(all in catalogue(), ago in 0i64..60) {
        let from = now().plus_days(-ago);
        let policy = Policy { window_from: Some(from), log_storages: [storages()[0].clone()].into(), ..policy(1) };
        let plan = run(&policy, &all, &Pins::default());
        let there = |i: &&Item| i.is_full() && i.places.iter().any(|p| p.storage == storages()[0] && p.good);
        let base = all.iter().filter(there).filter(|i| i.created_at <= from).max_by_key(|i| (i.created_at, i.id.clone()));
        let since = base.map_or(Time(i64::MIN), |b| b.created_at);
        for item in all.iter().filter(there).filter(|i| i.created_at >= since) {
            prop_assert!(!plan.delete.contains(&spot(item, 0)) && !plan.due.contains(&spot(item, 0)));
        }
    }

    #[test]
    fn what_a_copy_needs_in_its_storage_stays_there(all in catalogue()) {
        let policy = policy(1);
        let whole = plan(&policy, &all, &Pins::default(), clock());
        let plan = run(&policy, &all, &Pins::default());
        let going = whole.going();
        for child in all.iter().filter(|i| !going.contains(&i.id)) {
            let Some(parent) = all.iter().find(|i| Some(&i.id) == child.parent.as_ref()) else { continue };
            for place in child.places.iter().filter(|p| !goes(&plan, child, p) && p.leaving.is_none()) {
                prop_assert!(parent.places.iter().all(|p| p.storage != place.storage || !goes(&plan, parent, p)));
            }
        }
    }

    #[test]
    fn a_doubt_holds_them_all(all in catalogue(), which in 0usize..3, seconds in prop_oneof![Just(-1i64), Just(LEAP_SECONDS + 1)]) {
        let policy = policy(1);
        let leapt = Clock { now: now(), last: Some(now().plus_seconds(-seconds)) };
        let none = Pins::default();
        let by_clock = copies(&policy, &all, &none, &plan(&policy, &all, &none, leapt), leapt);
        prop_assert!(by_clock.delete.is_empty() && by_clock.due.is_empty());
        let frozen = run(&policy, &all, &Pins { frozen: true, ..Pins::default() });
        prop_assert!(frozen.delete.is_empty() && frozen.due.is_empty());
        let binned = run(&Policy { bin: Some(Bin(None)), ..policy.clone() }, &all, &none);
        prop_assert!(binned.delete.is_empty() && binned.due.is_empty());
        let doubted = storages()[which].clone();
        for pins in [
            Pins { suspended: [(doubted.clone(), "2 unknown".to_string())].into(), ..Pins::default() },
            Pins { silent: [doubted.clone()].into(), ..Pins::default() },
        ] {
            let plan = run(&policy, &all, &pins);
            for item in all.iter().filter(|i| i.places.iter().any(|p| goes(&plan, i, p))) {
                let elsewhere = item.places.iter().any(|p| bears(p) && p.storage != doubted && !goes(&plan, item, p));
                prop_assert!(elsewhere, "relies on what is in doubt");
            }
            let in_it = |(_, storage): &Spot| *storage == doubted;
            prop_assert!(pins.suspended.is_empty() || !plan.delete.iter().chain(&plan.due).any(in_it));
        }
    }

    #[test]
    fn held_ones_keep_all_their_copies(all in catalogue(), held in vec(any::<prop::sample::Index>(), 0..6)) {
        prop_assume!(!all.is_empty());
        let hold = |n: usize| [Hold::Pinned, Hold::InUse][n % 2];
        let held: BTreeMap<_, _> = held.iter().enumerate().map(|(n, at)| (at.get(&all).id.clone(), hold(n))).collect();
        let plan = run(&policy(1), &all, &Pins { held: held.clone(), ..Pins::default() });
        prop_assert!(plan.delete.iter().chain(&plan.due).all(|(id, _)| !held.contains_key(id)));
    }

    #[test]
    fn one_more_backup_never_costs_a_newer_ones_copy(all in catalogue(), at in any::<prop::sample::Index>()) {
        prop_assume!(!all.is_empty());
        let extra = at.get(&all).clone();
        // Chains aside: what needed it stays for itself then.
        let alone: Vec<Item> = all.iter().cloned().map(|i| Item { parent: None, ..i }).collect();
        let before: Vec<Item> = alone.iter().filter(|i| i.id != extra.id).cloned().collect();
        let (with, without) = (run(&policy(2), &alone, &Pins::default()), run(&policy(2), &before, &Pins::default()));
        for spot in with.delete.iter().filter(|s| !without.delete.contains(s) && s.0 != extra.id) {
            let item = alone.iter().find(|i| i.id == spot.0).unwrap();
            prop_assert!((item.created_at, &item.id) < (extra.created_at, &extra.id), "{extra:?} costs {item:?}");
        }
    }

    #[test]
    fn much_at_once_in_one_storage_needs_a_yes(all in catalogue()) {
        let plan = run(&policy(1), &all, &Pins::default());
        let much = |storage: &StorageId| {
            let going = plan.delete.iter().filter(|(_, s)| s == storage).count();
            let good = all.iter().filter(|i| i.lane == Lane::Good).flat_map(|i| &i.places);
            let of = good.filter(|p| p.storage == *storage && p.good && p.leaving.is_none()).count();
            going > Brake::FEW && going * 4 > of || going > Brake::MANY
        };
        prop_assert_eq!(plan.brake.is_some(), storages().iter().any(much));
    }

    #[test]
    fn carried_out_by_half_it_is_continued_by_planning_again(all in catalogue(), done in vec(any::<bool>(), 100)) {
        let whole = run(&policy(2), &all, &Pins::default());
        let half = after(&all, &whole, &|at| done.get(at).copied().unwrap_or(false));
        let rest = run(&policy(2), &half, &Pins::default());
        let left = |spots: &[Spot]| -> Vec<Spot> {
            spots.iter().filter(|s| half.iter().any(|i| i.id == s.0 && i.places.iter().any(|p| p.storage == s.1))).cloned().collect()
        };
        prop_assert_eq!(rest.delete, left(&whole.delete));
        prop_assert_eq!(rest.due, left(&whole.due));
        let carried = run(&policy(2), &after(&all, &whole, &|_| true), &Pins::default());
        prop_assert!(carried.delete.is_empty() && carried.due.is_empty());
        // Announcing is no step back: what is announced is not announced again.
        let mut announced = all.clone();
        for item in &mut announced {
            let id = item.id.clone();
            let going = |p: &&mut CopyItem| whole.delete.contains(&(id.clone(), p.storage.clone()));
            item.places.iter_mut().filter(going).for_each(|p| p.leaving = Some(now().plus_seconds(3 * DAY)));
        }
        prop_assert!(run(&policy(2), &announced, &Pins::default()).delete.is_empty());
    }
}
