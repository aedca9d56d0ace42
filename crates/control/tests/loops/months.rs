//! Months of backups on a clock of the test's: storages that go away, clocks that leap, people who pin
//! and change their minds. At each step nothing that was promised is gone, and the last good backup is
//! there, whole.

use mainstay_control::{
    App,
    backups::{self, NewBackup},
    groups, recycle_bin, retention, storages, tasks,
    tasks::expire,
};
use mainstay_model::{
    BackupId, Error, Time,
    alert::AlertKind,
    backup::{Backup, BackupKind, BackupStatus, Proof},
    cluster::Cluster,
    retention::{BackupPolicy, Gfs, Retention},
};
use mainstay_operations::{Clock, Filter, Status};
use mainstay_store as store;
use mainstay_testkit::{
    World,
    world::{Desk, project, somebody},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Hand {
    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

struct Stand {
    world: World,
    desk: Desk,
    clock: Arc<Hand>,
    shop: Cluster,
    /// What was promised to each good backup when it was made.
    promised: BTreeMap<BackupId, Time>,
}

async fn stand() -> Stand {
    let world = World::new().await.unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(Time::parse("2026-01-01T03:00:00Z").unwrap().micros())));
    world.set_clock(clock.clone());
    let desk = world.desk().await.unwrap();
    let shop = desk.deploy("shop", "memo", 0).await.unwrap();
    // What retention looks at first is the clock.
    expire::all(&desk.app).await.unwrap();
    Stand { world, desk, clock, shop, promised: BTreeMap::new() }
}

impl Stand {
    fn app(&self) -> &Arc<App> {
        &self.desk.app
    }

    async fn all(&self) -> Vec<Backup> {
        self.world.backups().await.unwrap()
    }

    /// Until nothing is under way.
    async fn calm(&self) {
        let active = Filter { active_only: true, ..Filter::default() };
        while !self.app().runner.list(active.clone(), None, 10).await.unwrap().items.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn look(&self) {
        expire::all(self.app()).await.unwrap();
        self.calm().await;
    }

    /// By hand, then made to be a schedule's.
    async fn scheduled(&mut self, rules: &Retention) -> Backup {
        let (backup, id) = backups::create(self.app(), &somebody(), &self.shop, NewBackup::default()).await.unwrap();
        let _ = mainstay_testkit::world::ended(&self.app().runner, &id).await.unwrap();
        let mut tx = self.app().store.begin_write().await.unwrap();
        let mut row = store::backups::get(&mut tx, &backup.id).await.unwrap();
        (row.kind, row.retention) = (BackupKind::Scheduled, Some(rules.clone()));
        row.expires_at = rules.days.map(|d| row.created_at.plus_days(d));
        store::backups::update(&mut tx, &row).await.unwrap();
        store::commit(tx).await.unwrap();
        if row.is_good() {
            self.promised.insert(row.id.clone(), row.expires_at.unwrap_or(row.created_at));
        }
        row
    }

    async fn warnings(&self) -> Vec<String> {
        store::retention::notes(&mut self.app().store.read().await.unwrap(), &self.shop.id).await.unwrap().warnings
    }

    async fn drill(&self, backup: &Backup, end: Status) {
        let id = backups::drill(self.app(), &somebody(), backup).await.unwrap();
        assert_eq!(mainstay_testkit::world::ended(&self.app().runner, &id).await.unwrap().status, end);
    }

    /// What the watchdog says now.
    async fn alerts(&self) -> Vec<AlertKind> {
        tasks::overdue::all(self.app()).await.unwrap();
        let open = store::alerts::all_open(&mut self.app().store.read().await.unwrap()).await.unwrap();
        open.into_iter().map(|a| a.condition.kind).collect()
    }

    /// A person who is told that much would go at once looks, and confirms.
    async fn says_yes(&self) {
        if self.warnings().await.iter().any(|w| w.contains("at once")) {
            retention::apply(self.app(), &self.shop).await.unwrap();
        }
    }

    async fn holds(&self, when: &str) {
        let (all, now) = (self.all().await, self.clock.now());
        let good: Vec<&Backup> = all.iter().filter(|b| b.is_good()).collect();
        assert!(good.len() >= self.promised.len().min(2), "{when}: {good:?}");
        let newest = self.promised.keys().next_back();
        assert!(newest.is_none_or(|id| good.iter().any(|b| &b.id == id)), "{when}: the last good one is gone");
        for (id, _) in self.promised.iter().filter(|(_, until)| **until > now) {
            assert!(good.iter().any(|b| &b.id == id), "{when}: {id} was promised for longer");
        }
        let published = self.world.outside.storages.published().into_values().flatten().collect::<Vec<_>>();
        for backup in all.iter().filter(|b| b.is_good() || b.deleting.is_some() && b.copies.iter().any(|c| c.is_good())) {
            assert!(published.iter().any(|p| p == backup.id.as_str()), "{when}: {} is a row without a snapshot", backup.id);
        }
        for id in &published {
            assert!(all.iter().any(|b| b.id.as_str() == id), "{when}: {id} is a snapshot without a row");
        }
    }
}

/// The same every time.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[tokio::test]
async fn four_months_of_backups() {
    let mut s = stand().await;
    let mut dice = Dice(7);
    let gfs = Some(Gfs { weekly: 3, monthly: 2, ..Gfs::default() });
    let rules = Retention { days: Some(7), keep_last: Some(3), gfs, ..Retention::default() };
    let storage = Error::unavailable("away", "it does not answer");
    for day in 0..120 {
        if dice.throw(6) == 0 {
            s.world.outside.faults.fail("storage.put", 9, storage.clone());
        }
        s.scheduled(&rules).await;
        s.world.outside.faults.clear();
        for look in 0..3 {
            match dice.throw(12) {
                0 => s.world.outside.faults.fail("storage.list", 2, storage.clone()),
                1 => s.clock.pass(60 * HOUR),
                2 => s.clock.pass(-HOUR),
                3 => s.world.outside.faults.fail("storage.delete", 1, storage.clone()),
                4 => s.world.outside.faults.lose_reply("storage.delete"),
                5 => {
                    if let Some(b) = s.all().await.iter().find(|b| b.deleting.is_some()) {
                        let _ = retention::undelete(s.app(), b).await;
                    }
                }
                _ => {}
            }
            s.look().await;
            s.world.outside.faults.clear();
            if dice.throw(20) == 0 {
                s.says_yes().await;
            }
            s.holds(&format!("day {day}, look {look}")).await;
            s.clock.pass(8 * HOUR);
        }
    }
    for _ in 0..20 {
        s.look().await;
        s.says_yes().await;
        s.clock.pass(DAY);
        s.holds("at the end").await;
    }
    let (all, pinned) = (s.all().await, s.all().await.iter().filter(|b| b.pinned).count());
    let left = all.iter().filter(|b| !b.pinned && b.is_good()).count();
    assert!((3..=8).contains(&left), "{left} beside {pinned} pinned");
    assert!(all.iter().all(|b| b.deleting.is_none()), "{all:?}");
    assert_eq!(s.warnings().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_nobody_knows_or_somebody_took_suspends_deletions() {
    let mut s = stand().await;
    let rules = Retention::days(1);
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(s.scheduled(&rules).await);
        s.clock.pass(HOUR);
    }
    let mut tx = s.app().store.begin_write().await.unwrap();
    store::backups::delete(&mut tx, &made[0].id).await.unwrap();
    store::commit(tx).await.unwrap();
    s.promised.remove(&made[0].id);
    s.clock.pass(30 * HOUR);
    s.look().await;
    assert!(s.all().await.iter().all(Backup::is_good));
    let said = s.warnings().await;
    assert!(said.len() == 1 && said[0].contains("1 snapshot that the catalogue does not know"), "{said:?}");

    // Somebody removes it, and a good one beside it.
    let repository = backups::repository(s.app(), &s.shop, &made[0].copies[0].storage).await.unwrap();
    let snapshots = [0, 1].map(|n| made[n].copies[0].snapshot.clone().unwrap()).to_vec();
    let verb = mainstay_rpc::verbs::DeleteSnapshots { repository, snapshots, prune: false };
    s.app().agent.perform("somebody", s.app().now().micros(), &verb, |_| {}).await.unwrap();
    s.clock.pass(HOUR);
    s.look().await;
    let said = s.warnings().await;
    assert!(said[0].contains("not in it any more") && said[0].contains(made[1].id.as_str()), "{said:?}");
    let took = backups::get(s.app(), &made[1].id).await.unwrap();
    assert_eq!((took.status, took.copies[0].status), (BackupStatus::Failed, BackupStatus::Failed));
    assert!(took.error.unwrap().contains("not in the storage any more"));
    assert_eq!(s.all().await.iter().filter(|b| b.is_good()).count(), 3, "nothing else went with it");

    // What failed is known by now: the next look goes on, down to the two that always stay.
    s.clock.pass(HOUR);
    s.look().await;
    assert_eq!(s.all().await.iter().filter(|b| b.is_good()).count(), 2);
    s.clock.pass(40 * HOUR);
    s.look().await;
    s.clock.pass(40 * HOUR);
    s.look().await;
    assert_eq!((s.all().await.len(), s.warnings().await), (2, vec![]));
}

#[tokio::test]
async fn much_at_once_waits_for_a_person() {
    let mut s = stand().await;
    for _ in 0..8 {
        s.scheduled(&Retention::days(1)).await;
    }
    s.clock.pass(30 * HOUR);
    s.look().await;
    assert_eq!(s.all().await.iter().filter(|b| b.is_good()).count(), 8);
    let said = s.warnings().await;
    assert!(said[0].contains("6 of 8 good backups at once") && said[0].contains("--apply"), "{said:?}");
    assert_eq!(retention::apply(s.app(), &s.shop).await.unwrap().backups, 6);
    assert_eq!(s.all().await.iter().filter(|b| b.is_good()).count(), 2);
}

#[tokio::test]
async fn an_unreachable_storage_keeps_what_waits_to_be_removed() {
    let mut s = stand().await;
    for _ in 0..3 {
        s.scheduled(&Retention::days(1)).await;
    }
    s.clock.pass(30 * HOUR);
    s.look().await;
    assert_eq!(s.all().await.iter().filter(|b| b.deleting.is_some()).count(), 1);
    let away = Error::unavailable("away", "it does not answer");
    for _ in 0..3 {
        s.clock.pass(40 * HOUR);
        s.world.outside.faults.fail("storage.list", 1, away.clone());
        s.look().await;
    }
    let (all, said) = (s.all().await, s.warnings().await);
    assert_eq!(all.iter().filter(|b| b.status == BackupStatus::Deleting).count(), 1, "{all:?}");
    assert!(said.iter().any(|w| w.contains("does not answer")) && said.iter().any(|w| w.contains("1 backup waits")), "{said:?}");
    s.clock.pass(HOUR);
    s.look().await;
    assert_eq!((s.all().await.len(), s.warnings().await), (2, vec![]));
}

#[tokio::test]
async fn a_failed_drill_is_told_replaced_at_once_and_freezes_until_one_passes() {
    let mut s = stand().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(s.scheduled(&Retention::days(1)).await);
        s.clock.pass(HOUR);
    }
    let drilled = made.pop().unwrap();
    s.world.outside.faults.switch("engine.check_finds_loss", true);
    s.drill(&drilled, Status::Failed).await;
    s.world.outside.faults.switch("engine.check_finds_loss", false);
    let failed = backups::get(s.app(), &drilled.id).await.unwrap();
    assert_eq!((failed.status, failed.is_restorable()), (BackupStatus::Failed, false));
    let alerts = s.alerts().await;
    assert!(alerts.contains(&AlertKind::DrillFailed), "{alerts:?}");

    for _ in 0..2 {
        tasks::drill::replace_failed(s.app()).await.unwrap();
        s.calm().await;
    }
    let all = s.all().await;
    let new = all.last().unwrap().clone();
    assert_eq!((all.len(), new.is_good(), new.copies[0].storage == drilled.copies[0].storage), (5, true, true), "one, not two");
    assert!(new.description.contains(drilled.id.as_str()));

    s.clock.pass(30 * HOUR);
    s.look().await;
    assert!(s.all().await.iter().all(|b| b.deleting.is_none()), "all that might restore stays");
    let said = s.warnings().await;
    assert!(said.len() == 1 && said[0].contains("until a drill passes"), "{said:?}");
    assert_eq!(retention::apply(s.app(), &s.shop).await.unwrap().backups, 0, "not even at a person's word");

    s.drill(&new, Status::Succeeded).await;
    s.clock.pass(HOUR);
    s.look().await;
    let going: Vec<BackupId> = s.all().await.into_iter().filter(|b| b.deleting.is_some()).map(|b| b.id).collect();
    assert!(going.contains(&made[0].id) && going.contains(&made[1].id) && !going.contains(&made[2].id), "{going:?}");
    assert_eq!((s.warnings().await, s.alerts().await.contains(&AlertKind::DrillFailed)), (vec![], false));
}

#[tokio::test]
async fn the_bin_is_emptied_when_its_time_is_over() {
    let mut s = stand().await;
    s.scheduled(&Retention::days(1)).await;
    let how = mainstay_control::clusters::Deletion { confirm: Some("shop".into()), ..Default::default() };
    s.desk.done(&mainstay_control::clusters::delete(s.app(), &somebody(), &s.shop, how).await.unwrap()).await.unwrap();
    for _ in 0..14 {
        s.clock.pass(DAY);
        s.look().await;
    }
    let deleted = recycle_bin::resolve(s.app(), &project(s.app()).await.unwrap().id, "shop").await.unwrap();
    assert!(recycle_bin::source(s.app(), &deleted).await.unwrap().kind == BackupKind::Final);
    assert_eq!(s.all().await.len(), 2, "the earlier ones are kept with it");
    let pinned = backups::set_pinned(s.app(), &s.all().await[0], true).await.unwrap();
    s.clock.pass(DAY + HOUR);
    s.look().await;
    assert_eq!(s.all().await.len(), 2, "a pin keeps the whole");
    backups::set_pinned(s.app(), &pinned, false).await.unwrap();
    s.clock.pass(HOUR);
    s.look().await;
    assert!(s.all().await.is_empty() && s.world.outside.storages.published().is_empty());
    let gone = recycle_bin::resolve(s.app(), &deleted.project, "shop").await.unwrap_err();
    assert_eq!(gone.kind, mainstay_model::Kind::NotFound);
}

#[tokio::test]
async fn by_hand_the_newest_completed_count() {
    let s = stand().await;
    let policy = BackupPolicy { manual_keep_last: Some(2), min_keep: 1, ..BackupPolicy::default() };
    retention::set_policy(s.app(), &s.shop, &policy).await.unwrap();
    for n in 0..4 {
        if n == 3 {
            s.world.outside.faults.fail("storage.put", 9, Error::failed("broken", "it is broken"));
        }
        let new = NewBackup { by_policy: true, retention_days: Some(7), ..NewBackup::default() };
        let (_, id) = backups::create(s.app(), &somebody(), &s.shop, new).await.unwrap();
        let _ = mainstay_testkit::world::ended(&s.app().runner, &id).await.unwrap();
        s.clock.pass(60);
    }
    s.world.outside.faults.clear();
    s.clock.pass(30 * DAY);
    s.look().await;
    s.clock.pass(HOUR);
    s.look().await;
    let now: Vec<_> = s.all().await.iter().map(|b| b.status).collect();
    assert_eq!(now, [BackupStatus::Deleting, BackupStatus::Completed, BackupStatus::Completed, BackupStatus::Failed]);
}

/// The members' parts in order, newest group backup last.
async fn group_of(s: &Stand, kept_days: i64, times: usize) -> Vec<groups::GroupBackupView> {
    let store_cluster = s.desk.deploy("store", "ledger", 0).await.unwrap();
    for cluster in [&s.shop, &store_cluster] {
        s.desk.back_up(cluster).await.unwrap();
    }
    let project = project(s.app()).await.unwrap().id;
    let names = ["shop".to_string(), "store".to_string()];
    let group = groups::create(s.app(), &project, "both", &names).await.unwrap().group;
    let mut made = vec![];
    for _ in 0..times {
        let new = NewBackup { retention_days: Some(kept_days), ..NewBackup::default() };
        let (whole, id) = groups::back_up(s.app(), &somebody(), &group, new).await.unwrap();
        s.desk.done(&id).await.unwrap();
        made.push(groups::resolve_backup(s.app(), &project, whole.id.as_str()).await.unwrap());
        s.clock.pass(HOUR);
    }
    made
}

/// Whether each part is leaving, and why it is kept.
async fn parts_of(s: &Stand, whole: &groups::GroupBackupView) -> Vec<(bool, String)> {
    let mut all = vec![];
    for (part, _) in &whole.parts {
        let backup = backups::get(s.app(), &part.backup).await.unwrap();
        let why = retention::explain(s.app(), std::slice::from_ref(&backup)).await.unwrap().remove(0).keep_reason;
        all.push((backup.deleting.is_some(), why));
    }
    all
}

#[tokio::test]
async fn the_parts_of_a_group_backup_stay_and_go_together() {
    let s = stand().await;
    let made = group_of(&s, 1, 5).await;
    // One part of the oldest is pinned: the other stays for it, and says so.
    let pinned = backups::get(s.app(), &made[0].parts[0].0.backup).await.unwrap();
    backups::set_pinned(s.app(), &pinned, true).await.unwrap();
    s.clock.pass(30 * HOUR);
    s.look().await;
    let parts = parts_of(&s, &made[0]).await;
    assert!(parts[0].1.contains("pinned"), "{parts:?}");
    assert_eq!(parts[1], (false, format!("part of group backup {}, which is kept as a whole", made[0].whole.id)));
    // The others that no rule keeps go as wholes, the two newest of each cluster stay.
    for (n, whole) in made.iter().enumerate().skip(1) {
        let going: Vec<bool> = parts_of(&s, whole).await.into_iter().map(|(going, _)| going).collect();
        assert_eq!(going, [n < 3, n < 3], "group backup {n}");
    }
    // Brought back, the whole is.
    let one = backups::get(s.app(), &made[1].parts[1].0.backup).await.unwrap();
    retention::undelete(s.app(), &one).await.unwrap();
    assert_eq!(parts_of(&s, &made[1]).await.iter().map(|(going, _)| *going).collect::<Vec<_>>(), [false, false]);
    assert!(groups::resolve_backup(s.app(), &made[1].whole.project, made[1].whole.id.as_str()).await.unwrap().is_restorable());
    // Unpinned as a whole, it goes as a whole.
    let whole = groups::resolve_backup(s.app(), &made[0].whole.project, made[0].whole.id.as_str()).await.unwrap();
    groups::set_pinned(s.app(), &whole, false).await.unwrap();
    for _ in 0..4 {
        s.clock.pass(40 * HOUR);
        s.look().await;
    }
    for n in [0, 2] {
        for (part, _) in &made[n].parts {
            assert_eq!(backups::get(s.app(), &part.backup).await.unwrap_err().kind, mainstay_model::Kind::NotFound, "{n}");
        }
    }
}

#[tokio::test]
async fn what_one_member_may_not_lose_now_the_others_keep() {
    let s = stand().await;
    let made = group_of(&s, 1, 4).await;
    s.clock.pass(30 * HOUR);
    s.look().await;
    assert!(parts_of(&s, &made[0]).await.iter().all(|(going, _)| *going), "announced");
    // A drill of the other member fails before the announced ones are removed.
    let newest = backups::get(s.app(), &made[3].parts[1].0.backup).await.unwrap();
    s.world.outside.faults.switch("engine.check_finds_loss", true);
    s.drill(&newest, Status::Failed).await;
    s.world.outside.faults.switch("engine.check_finds_loss", false);
    for _ in 0..3 {
        s.clock.pass(40 * HOUR);
        s.look().await;
    }
    for (part, _) in &made[0].parts {
        assert!(backups::get(s.app(), &part.backup).await.is_ok(), "{} waits with the other", part.cluster_name);
    }
    let good = backups::get(s.app(), &made[2].parts[1].0.backup).await.unwrap();
    s.drill(&good, Status::Succeeded).await;
    for _ in 0..2 {
        s.clock.pass(HOUR);
        s.look().await;
    }
    for (part, _) in &made[0].parts {
        assert!(backups::get(s.app(), &part.backup).await.is_err(), "{} goes when nothing holds either", part.cluster_name);
    }
}

impl Stand {
    fn published(&self) -> Vec<String> {
        let mut all: Vec<_> = self.world.outside.storages.published().into_values().flatten().collect();
        all.sort();
        all
    }

    /// What is said of it where the storage is looked at.
    async fn left_behind(&self) -> Option<String> {
        let row = storages::resolve(self.app(), &self.shop.project, "local").await.unwrap();
        let report = storages::check(self.app(), &row).await.unwrap();
        report.rows.into_iter().find(|r| r.name == "left_behind").map(|r| r.detail)
    }

    async fn nothing_is_stuck(&self) {
        let all = self.app().runner.list(Filter::default(), None, 500).await.unwrap().items;
        assert!(all.iter().all(|v| v.status.is_final() && v.status != Status::Stuck), "{all:?}");
    }
}

/// An append-only repository, and an access key that may not delete: what expires is given up and stays, that is
/// no surprise later, and it goes when it may.
#[tokio::test]
async fn storages_that_let_nobody_delete_hold_up_nothing() {
    let mut s = stand().await;
    s.world.outside.faults.switch("storage.append_only.local", true);
    for _ in 0..5 {
        s.scheduled(&Retention::days(1)).await;
        s.clock.pass(HOUR);
    }
    let made = s.published();
    for refused in [None, Some(Error::forbidden("the access key may not do this"))] {
        if let Some(e) = refused {
            s.world.outside.faults.switch("storage.append_only.local", false);
            s.world.outside.faults.fail("storage.delete", 1, e);
            s.scheduled(&Retention::days(1)).await;
        }
        for _ in 0..6 {
            s.clock.pass(DAY);
            s.look().await;
            s.says_yes().await;
        }
        s.nothing_is_stuck().await;
        assert_eq!((s.all().await.len(), s.warnings().await), (2, vec![]), "those that always stay");
    }
    assert_eq!(s.published().len(), made.len() + 1, "all of it stays");
    let said = s.left_behind().await.unwrap();
    assert!(said.contains("4 snapshots") && said.contains("may not do this"), "{said}");

    // A storage that does not answer is asked again.
    s.world.outside.faults.fail("storage.delete", 1, Error::unavailable("away", "it does not answer"));
    tasks::left_behind::all(s.app()).await.unwrap();
    assert_eq!(s.published().len(), made.len() + 1);
    s.clock.pass(2 * DAY);
    tasks::left_behind::all(s.app()).await.unwrap();
    let mut known: Vec<_> = s.all().await.into_iter().map(|b| b.id.to_string()).collect();
    known.sort();
    assert_eq!((s.published(), s.left_behind().await), (known, None));
}

#[tokio::test]
async fn what_a_person_deletes_there_is_given_up_too() {
    let mut s = stand().await;
    let (kept, gone) = (s.scheduled(&Retention::days(9)).await, s.scheduled(&Retention::days(9)).await);
    s.world.outside.faults.switch("storage.append_only.local", true);
    let deleted = s.desk.done(&backups::delete(s.app(), &somebody(), &gone).await.unwrap()).await.unwrap();
    assert!(deleted.output.to_string().contains("append-only"));
    assert_eq!(s.all().await.iter().map(|b| &b.id).collect::<Vec<_>>(), [&kept.id]);

    // And a cluster with all its backups; whoever is let in again removes the rest.
    let how = mainstay_control::clusters::Deletion { confirm: Some("shop".into()), skip_final_backup: true, ..Default::default() };
    s.desk.done(&mainstay_control::clusters::delete(s.app(), &somebody(), &s.shop, how).await.unwrap()).await.unwrap();
    assert!(s.all().await.is_empty() && s.published().len() == 2);
    let said = s.left_behind().await.unwrap();
    assert!(said.contains("all backups of deleted cluster shop"), "{said}");
    s.world.outside.faults.switch("storage.append_only.local", false);
    s.clock.pass(2 * DAY);
    tasks::left_behind::all(s.app()).await.unwrap();
    assert_eq!((s.published(), s.left_behind().await), (vec![], None));
}

/// What was whole when it was stored is read again every week, and nobody has to ask.
#[tokio::test]
async fn what_is_stored_is_read_again_and_what_cannot_be_is_told() {
    let mut s = stand().await;
    let read = async |s: &Stand| {
        let before = s.world.outside.faults.visits("storage.verify");
        tasks::reread::all(s.app()).await.unwrap();
        s.world.outside.faults.visits("storage.verify") - before
    };
    let told = async |s: &Stand| s.alerts().await.contains(&AlertKind::CopyUnreadable);
    let old = s.scheduled(&Retention::days(90)).await;
    s.scheduled(&Retention::days(90)).await;
    assert_eq!(read(&s).await, 0, "it is young");
    s.clock.pass(8 * DAY);
    assert_eq!((read(&s).await, read(&s).await, told(&s).await), (1, 0, false), "the newest, once");
    s.clock.pass(6 * DAY);
    assert_eq!(read(&s).await, 0);

    // Away: nothing is known of it, and that is said until it can be read.
    s.clock.pass(2 * DAY);
    s.world.outside.faults.switch("storage.gone.local", true);
    assert_eq!((read(&s).await, told(&s).await), (0, true));
    assert!(s.all().await.iter().all(Backup::is_good));
    s.world.outside.faults.switch("storage.gone.local", false);
    assert_eq!(read(&s).await, 0, "not at once");
    s.clock.pass(DAY);
    assert_eq!((read(&s).await, told(&s).await), (1, false));

    // Damaged: it stops counting, and the one before it is looked at the next day.
    let newest = s.all().await.pop().unwrap();
    s.world.outside.storages.damage(newest.copies[0].snapshot.as_ref().unwrap());
    s.clock.pass(8 * DAY);
    assert_eq!((read(&s).await, told(&s).await), (1, true));
    assert_eq!(backups::get(s.app(), &newest.id).await.unwrap().status, BackupStatus::Failed);
    s.clock.pass(DAY);
    assert_eq!((read(&s).await, told(&s).await), (1, false));
    assert!(backups::get(s.app(), &old.id).await.unwrap().checks.iter().any(|c| c.name == "verify" && c.ok));
}

/// What was taken over from a backup that does not restore is in doubt, and what replaces it takes nothing over.
#[tokio::test]
async fn a_failed_drill_casts_doubt_on_what_was_built_on_it() {
    let mut s = stand().await;
    // What nobody writes to is taken over.
    s.world.clients.stay_away(true);
    let base = |b: &Backup| b.facts.as_ref().unwrap().captured.as_ref().unwrap().base.clone();
    let mut made = vec![];
    for _ in 0..3 {
        let id = s.scheduled(&Retention::days(30)).await.id;
        made.push(backups::get(s.app(), &id).await.unwrap());
        s.clock.pass(60);
    }
    assert_eq!(made.iter().map(base).collect::<Vec<_>>(), [None, Some(made[0].id.clone()), Some(made[1].id.clone())]);
    s.drill(&made[2], Status::Succeeded).await;
    s.world.outside.faults.switch("engine.check_finds_loss", true);
    s.drill(&made[0], Status::Failed).await;
    s.world.outside.faults.switch("engine.check_finds_loss", false);
    let proofs = async || s.world.backups().await.unwrap().iter().map(|b| (b.status, b.proof)).collect::<Vec<_>>();
    let kept = BackupStatus::Completed;
    let expected = [(BackupStatus::Failed, Proof::None), (kept, Proof::Suspicious), (kept, Proof::Drilled)];
    assert_eq!(proofs().await, expected, "one that passed its own drill stands");

    tasks::drill::replace_failed(s.app()).await.unwrap();
    s.calm().await;
    let all = s.all().await;
    let new = all.last().unwrap();
    assert!(all.len() == 4 && new.is_good() && base(new).is_none(), "{new:?}");
    let id = backups::drill(s.app(), &somebody(), &all[1]).await.unwrap();
    s.desk.done(&id).await.unwrap();
    assert_eq!(backups::get(s.app(), &made[1].id).await.unwrap().proof, Proof::Drilled);
}
