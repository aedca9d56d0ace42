//! What holds for every policy and every catalogue. The numbers are those of the promises in
//! `docs/retention.md`.

use super::*;
use mainstay_model::retention::Gfs;
use proptest::{collection::vec, option, prelude::*, sample::subsequence};

const HOUR: i64 = 3_600_000_000;
const START: i64 = 1_790_000_000_000_000;

fn now() -> Time {
    Time::from_micros(START + 1000 * HOUR)
}

fn clock() -> Clock {
    Clock { now: now(), last: Some(now().plus_seconds(-3600)) }
}

fn schedules() -> &'static [ScheduleId; 2] {
    static IDS: std::sync::OnceLock<[ScheduleId; 2]> = std::sync::OnceLock::new();
    IDS.get_or_init(|| [ScheduleId::new(), ScheduleId::new()])
}

fn storages() -> &'static [StorageId; 2] {
    static IDS: std::sync::OnceLock<[StorageId; 2]> = std::sync::OnceLock::new();
    IDS.get_or_init(|| [StorageId::new(), StorageId::new()])
}

/// The second schedule is off.
fn policy(min_keep: u32) -> Policy {
    let facts = |on| ScheduleFacts { name: "nightly".into(), time_zone: "Europe/Berlin".into(), enabled: on };
    let schedules = [(schedules()[0].clone(), facts(true)), (schedules()[1].clone(), facts(false))].into();
    Policy { min_keep, schedules, ..Policy::default() }
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        4 => Just(Class::Schedule(schedules()[0].clone())),
        2 => Just(Class::Schedule(schedules()[1].clone())),
        3 => Just(Class::Manual),
        1 => Just(Class::Promotion),
        1 => Just(Class::Final),
    ]
}

fn lane() -> impl Strategy<Value = Lane> {
    prop_oneof![6 => Just(Lane::Good), 1 => Just(Lane::Doubtful), 2 => Just(Lane::Failed), 1 => Just(Lane::Running), 1 => Just(Lane::Leaving)]
}

fn gfs() -> impl Strategy<Value = Gfs> {
    (0u32..4, 0u32..4, 0u32..3, 0u32..3, 0u32..2).prop_map(|(hourly, daily, weekly, monthly, yearly)| Gfs {
        hourly,
        daily,
        weekly,
        monthly,
        yearly,
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let until = option::of((0i64..1100).prop_map(|h| Time::from_micros(START + h * HOUR)));
    (until, option::of(0u32..4), option::of(gfs()), option::of(0u64..300)).prop_map(|(until, keep_last, gfs, max_bytes)| Rules {
        until,
        keep_last,
        gfs,
        max_bytes,
    })
}

/// Made at any time, of any kind; some need an earlier one.
fn item() -> impl Strategy<Value = (Item, Option<prop::sample::Index>)> {
    let places = subsequence(storages().to_vec(), 1..=2);
    let made = (class(), lane(), any::<bool>(), 0i64..1000, 0u64..100, rules(), places);
    let parent = option::weighted(0.25, any::<prop::sample::Index>());
    (made, parent).prop_map(|((class, lane, drilled, hour, bytes, rules, storages), parent)| {
        let created_at = Time::from_micros(START + hour * HOUR);
        (
            Item {
                id: BackupId::new(),
                class,
                lane,
                drilled,
                created_at,
                bytes,
                parent: None,
                rules,
                group: None,
                storages,
                places: vec![],
            },
            parent,
        )
    })
}

fn catalogue(most: usize) -> impl Strategy<Value = Vec<Item>> {
    vec(item(), 0..most).prop_map(|mut made| {
        made.sort_by_key(|(i, _)| (i.created_at, i.id.clone()));
        let ids: Vec<BackupId> = made.iter().map(|(i, _)| i.id.clone()).collect();
        let parented = made.into_iter().enumerate().map(|(at, (mut item, parent))| {
            item.parent = parent.filter(|_| at > 0).map(|p| p.get(&ids[..at]).clone());
            item
        });
        parented.collect()
    })
}

fn planned(policy: &Policy, all: &[Item]) -> Plan {
    plan(policy, all, &Pins::default(), clock())
}

fn good(all: &[Item]) -> impl Iterator<Item = &Item> {
    all.iter().filter(|i| i.lane == Lane::Good)
}

fn without(all: &[Item], gone: &HashSet<&BackupId>) -> Vec<Item> {
    all.iter().filter(|i| !gone.contains(&i.id)).cloned().collect()
}

/// The newest by time and id.
fn newest<'a>(of: impl Iterator<Item = &'a Item>) -> Option<&'a Item> {
    of.max_by_key(|i| (i.created_at, i.id.clone()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_backup_is_decided_about_once(all in catalogue(40), min in 0u32..5) {
        let plan = planned(&policy(min), &all);
        let mut ids: Vec<_> = plan.keep.iter().map(|(id, _)| id).chain(plan.delete.iter().map(|(id, _)| id)).collect();
        ids.sort();
        let mut known: Vec<_> = all.iter().map(|i| &i.id).collect();
        known.sort();
        prop_assert_eq!(ids, known);
    }

    #[test]
    fn p1_min_keep_good_full_backups_always_remain(all in catalogue(40), min in 0u32..5) {
        let plan = planned(&policy(min), &all);
        let going = plan.going();
        let full: Vec<_> = all.iter().filter(|i| i.is_full()).collect();
        let left = full.iter().filter(|i| !going.contains(&i.id)).count();
        prop_assert!(left >= full.len().min(min.max(1) as usize), "{left} of {}", full.len());
    }

    #[test]
    fn p2_the_newest_verified_and_the_newest_drilled_are_kept(all in catalogue(40), min in 0u32..3) {
        let plan = planned(&policy(min), &all);
        let kept = plan.kept();
        for wanted in [newest(good(&all)), newest(good(&all).filter(|i| i.drilled))].into_iter().flatten() {
            prop_assert!(kept.contains(&wanted.id));
        }
    }

    #[test]
    fn p3_what_is_not_good_never_counts_and_never_causes_a_deletion(all in catalogue(40)) {
        let counted: Vec<Item> = good(&all).cloned().collect();
        let (with, alone) = (planned(&policy(2), &all), planned(&policy(2), &counted));
        let (with, alone) = (with.going(), alone.going());
        prop_assert!(with.iter().all(|id| alone.contains(id) || counted.iter().all(|i| &i.id != *id)), "something goes for them");
        // What one of them needs may stay for it; apart from that they change nothing.
        for id in alone.difference(&with) {
            prop_assert!(all.iter().any(|i| i.parent.as_ref() == Some(*id)), "kept beside failures, and nobody needs it");
        }
    }

    #[test]
    fn p4_a_parent_lives_while_any_child_does(all in catalogue(40)) {
        let plan = planned(&policy(1), &all);
        let going = plan.going();
        for child in all.iter().filter(|i| !going.contains(&i.id)) {
            prop_assert!(child.parent.as_ref().is_none_or(|p| !going.contains(p)));
        }
    }

    #[test]
    fn p4_a_window_keeps_the_base_before_its_start_and_the_log_since(all in catalogue(40), hour in 0i64..1000) {
        let from = Time::from_micros(START + hour * HOUR);
        let plan = planned(&Policy { window_from: Some(from), ..policy(1) }, &all);
        let kept = plan.kept();
        let base = newest(all.iter().filter(|i| i.is_full() && i.created_at <= from));
        if let Some(base) = base {
            prop_assert!(kept.contains(&base.id));
            prop_assert!(plan.log_from.is_some_and(|t| t <= base.created_at));
        }
        let oldest = all.iter().filter(|i| i.is_full() && kept.contains(&i.id)).map(|i| i.created_at).min();
        prop_assert_eq!(plan.log_from, oldest);
    }

    #[test]
    fn p5_pinned_held_and_final_ones_are_never_deleted(all in catalogue(40), held in vec(any::<prop::sample::Index>(), 0..6)) {
        prop_assume!(!all.is_empty());
        let hold = |n: usize| [Hold::Pinned, Hold::InUse, Hold::Locked(Time(i64::MAX))][n % 3];
        let held: BTreeMap<_, _> = held.iter().enumerate().map(|(n, at)| (at.get(&all).id.clone(), hold(n))).collect();
        let plan = plan(&policy(1), &all, &Pins { held: held.clone(), ..Pins::default() }, clock());
        let going = plan.going();
        prop_assert!(held.keys().all(|id| !going.contains(id)));
        let finals = all.iter().filter(|i| i.is_final() && i.rules.until.is_none_or(|t| t > now()));
        prop_assert!(finals.into_iter().all(|i| !going.contains(&i.id)));
    }

    #[test]
    fn p6_what_needs_another_is_no_full_backup(all in catalogue(40)) {
        let plan = planned(&policy(3), &all);
        let going = plan.going();
        let mut full: Vec<_> = all.iter().filter(|i| i.lane == Lane::Good && i.parent.is_none()).collect();
        full.sort_by_key(|i| std::cmp::Reverse((i.created_at, i.id.clone())));
        prop_assert!(full.iter().take(3).all(|i| !going.contains(&i.id)));
    }

    #[test]
    fn p7_one_more_backup_never_costs_a_newer_one(all in catalogue(30), at in any::<prop::sample::Index>()) {
        prop_assume!(!all.is_empty());
        let extra = at.get(&all).clone();
        let before = without(&all, &HashSet::from([&extra.id]));
        let alone = planned(&policy(2), &before);
        let with = planned(&policy(2), &all);
        for id in with.going().difference(&alone.going()) {
            let item = all.iter().find(|i| &&i.id == id).unwrap();
            // A chain goes with its newest end, which may have been newer than what it ends in.
            let newer = (item.created_at, &item.id) > (extra.created_at, &extra.id);
            prop_assert!(!newer, "{:?} costs {:?}", extra, item);
        }
    }

    #[test]
    fn p8_a_clock_that_went_back_or_leapt_deletes_nothing(all in catalogue(40), hours in prop_oneof![-900i64..0, 49i64..900]) {
        for last in [Some(now().plus_seconds(-hours * 3600)), None] {
            let plan = plan(&policy(1), &all, &Pins::default(), Clock { now: now(), last });
            prop_assert!(plan.delete.is_empty());
        }
    }

    #[test]
    fn p9_much_at_once_needs_a_yes(all in catalogue(120), min in 0u32..3) {
        let plan = planned(&policy(min), &all);
        let going = plan.going();
        let (gone, of) = (good(&all).filter(|i| going.contains(&i.id)).count(), good(&all).count());
        let much = gone > Brake::FEW && gone * 4 > of || gone > Brake::MANY;
        prop_assert_eq!(plan.brake, much.then_some(Brake { going: gone, of }));
    }

    #[test]
    fn p10_what_the_catalogue_does_not_know_suspends_its_repository(all in catalogue(40), which in 0usize..2) {
        let storage = storages()[which].clone();
        let suspended = BTreeMap::from([(storage.clone(), "2 unknown snapshots".to_string())]);
        let plan = plan(&policy(1), &all, &Pins { suspended, ..Pins::default() }, clock());
        let going = plan.going();
        prop_assert!(all.iter().filter(|i| i.storages.contains(&storage)).all(|i| !going.contains(&i.id)));
        let free = planned(&policy(1), &all);
        prop_assert!(going.is_subset(&free.going()));
    }

    #[test]
    fn p11_a_plan_carried_out_by_half_is_continued_by_planning_again(all in catalogue(40), done in vec(any::<bool>(), 40)) {
        let whole = planned(&policy(2), &all);
        let half: HashSet<_> = whole.delete.iter().zip(&done).filter(|(_, done)| **done).map(|((id, _), _)| id).collect();
        let rest = planned(&policy(2), &without(&all, &half));
        let wanted: HashSet<_> = whole.going().difference(&half).copied().collect();
        prop_assert_eq!(rest.going(), wanted);
        let again = planned(&policy(2), &without(&all, &whole.going()));
        prop_assert!(again.delete.is_empty());
    }

    #[test]
    fn p12_a_schedule_that_is_off_or_gone_keeps_its_last_for_ever(all in catalogue(40), min in 0u32..4, years in 0i64..100, forgotten in any::<bool>()) {
        let far = now().plus_days(years * 365);
        let mut policy = policy(min);
        if forgotten {
            policy.schedules.clear();
        }
        let plan = plan(&policy, &all, &Pins::default(), Clock { now: far, last: Some(far) });
        let going = plan.going();
        let mut last: Vec<_> = all.iter().filter(|i| i.is_full() && i.class.schedule() == Some(&schedules()[1])).collect();
        last.sort_by_key(|i| std::cmp::Reverse((i.created_at, i.id.clone())));
        prop_assert!(last.iter().take(min.max(1) as usize).all(|i| !going.contains(&i.id)));
    }

    #[test]
    fn in_the_recycle_bin_nothing_is_decided(all in catalogue(40)) {
        let plan = planned(&Policy { bin: Some(Bin(Some(now()))), ..policy(1) }, &all);
        prop_assert!(plan.delete.is_empty());
    }

    #[test]
    fn p13_the_parts_of_a_group_backup_stay_or_go_together(
        all in vec(catalogue(20), 2..4),
        parts in vec(vec(any::<prop::sample::Index>(), 3), 0..8),
        held in vec((0usize..3, any::<prop::sample::Index>()), 0..3),
        confirmed in any::<bool>(),
    ) {
        let (all, groups) = grouped(all, &parts);
        let policies: Vec<Policy> = (0..all.len()).map(|n| policy(n as u32)).collect();
        let mut pins = vec![Pins::default(); all.len()];
        for (cluster, at) in held {
            let cluster = cluster % all.len();
            if let Some(item) = (!all[cluster].is_empty()).then(|| at.get(&all[cluster])) {
                pins[cluster].held.insert(item.id.clone(), Hold::Pinned);
            }
        }
        let asked: Vec<Asked> =
            (0..all.len()).map(|n| Asked { policy: &policies[n], catalogue: &all[n], pins: &pins[n], confirmed }).collect();
        let plans = together(&asked, clock());
        let alone: Vec<Plan> = asked.iter().map(|a| plan(a.policy, a.catalogue, a.pins, clock())).collect();
        for (plan, alone) in plans.iter().zip(&alone) {
            // What each cluster's own plan keeps is kept, so everything that is promised of one still holds.
            prop_assert!(plan.going().is_subset(&alone.going()));
        }
        for group in &groups {
            let (mut of, mut needed) = (vec![], false);
            for (items, plan) in all.iter().zip(&plans) {
                let waits = plan.brake.is_some() && !confirmed;
                for item in items.iter().filter(|i| i.group.as_ref() == Some(group)) {
                    let why = plan.keep.iter().find(|(id, _)| id == &item.id).map(|(_, why)| why);
                    of.push((item.lane, why, waits));
                    let kept = |id: &BackupId| plan.keep.iter().any(|(kept, _)| kept == id);
                    needed |= items.iter().any(|i| i.parent.as_ref() == Some(&item.id) && kept(&i.id));
                }
            }
            // Nothing goes while another part stays, be it only until a person was asked.
            let stays = of.iter().any(|(lane, why, waits)| *lane != Lane::Leaving && (why.is_some() || *waits));
            prop_assert!(!stays || of.iter().all(|(_, why, _)| why.is_some()), "{of:?}");
            // And none stays for the others' sake alone: one of them has a reason of its own, or one that is kept
            // needs it, which may be said as its group's sake.
            let own = of.iter().any(|(lane, why, _)| *lane != Lane::Leaving && !matches!(why, None | Some(Kept::PartOf(_))));
            prop_assert!(!stays || own || needed || !confirmed, "{of:?}");
        }
        if confirmed {
            // Carried out in one cluster only, planning again does the rest: what lost a part holds nothing together.
            let gone = plans[0].going();
            let lost: HashSet<_> = all[0].iter().filter(|i| gone.contains(&i.id)).filter_map(|i| i.group.clone()).collect();
            let mut rest = all.clone();
            rest[0] = without(&all[0], &gone);
            for item in rest.iter_mut().flatten() {
                item.group = item.group.take().filter(|g| !lost.contains(g));
            }
            let again: Vec<Asked> = asked.iter().zip(&rest).map(|(a, rest)| Asked { catalogue: rest, ..a.clone() }).collect();
            for (n, (plan, before)) in together(&again, clock()).iter().zip(&plans).enumerate() {
                let wanted: HashSet<_> = before.going().into_iter().filter(|id| rest[n].iter().any(|i| &i.id == *id)).collect();
                prop_assert_eq!(plan.going(), wanted);
            }
        }
    }
}

/// Some of each cluster's backups as parts of group backups: at most one of a cluster, each in one only.
fn grouped(mut all: Vec<Vec<Item>>, parts: &[Vec<prop::sample::Index>]) -> (Vec<Vec<Item>>, Vec<GroupBackupId>) {
    let mut groups = vec![];
    for part in parts {
        let group = GroupBackupId::new();
        for (items, at) in all.iter_mut().zip(part).filter(|(items, _)| !items.is_empty()) {
            let at = at.index(items.len());
            let item = &mut items[at];
            if item.group.is_none() && matches!(item.lane, Lane::Good | Lane::Doubtful | Lane::Leaving) {
                item.group = Some(group.clone());
            }
        }
        groups.push(group);
    }
    (all, groups)
}
