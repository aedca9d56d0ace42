//! A year of schedules and retention together, in four zones, with everything that a year brings: the
//! control plane and the agent are killed and come back, clocks leap both ways, storages fail and stay
//! away. After each step what was promised is there, and of each cluster the last good backup, whole.

use mainstay_control::{
    App, retention,
    schedules::{self, SetSchedule},
    tasks,
};
use mainstay_model::{
    BackupId, ClusterId, Error, Time,
    backup::Backup,
    cluster::Cluster,
    retention::{Gfs, Retention},
    schedule::Timing,
};
use mainstay_operations::{Clock, Filter};
use mainstay_store as store;
use mainstay_testkit::{World, world::Desk};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

const HOUR: i64 = 3600;
const DAYS: i64 = 365;
/// Clocks that change at two, at three, by half an hour, and at midnight; the hour is one that is left
/// out or comes twice.
const ZONES: [(&str, u8); 4] = [("Europe/Berlin", 2), ("America/New_York", 2), ("Australia/Lord_Howe", 2), ("America/Santiago", 0)];

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
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

struct Year {
    world: World,
    desk: Desk,
    clock: Arc<Hand>,
    clusters: Vec<Cluster>,
    /// Every backup that was ever good: when it was made, and until when it was promised.
    promised: BTreeMap<ClusterId, BTreeMap<BackupId, (Time, Time)>>,
    /// The latest that any clock ever said.
    latest: Time,
}

async fn begin() -> Year {
    let world = World::new().await.unwrap();
    let clock = Arc::new(Hand(AtomicI64::new(Time::parse("2026-01-01T00:00:00Z").unwrap().micros())));
    world.set_clock(clock.clone());
    let desk = world.desk().await.unwrap();
    let mut clusters = Vec::new();
    for (at, (zone, hour)) in ZONES.iter().enumerate() {
        let cluster = desk.deploy(&format!("shop-{at}"), "memo", 0).await.unwrap();
        let rules = match at {
            0 => Retention::days(7),
            1 => Retention { keep_last: Some(3), ..Retention::default() },
            2 => Retention { days: Some(3), gfs: Some(Gfs { weekly: 2, monthly: 2, ..Gfs::default() }), ..Retention::default() },
            _ => Retention::days(1),
        };
        let timing = Timing::new(Timing::every_day(), [*hour].into(), zone).unwrap();
        let wish = SetSchedule {
            days: Some(timing.days.clone()),
            hours: Some(timing.hours.clone()),
            time_zone: Some(timing.time_zone.clone()),
            retention: Some(rules),
            ..SetSchedule::default()
        };
        schedules::set(&desk.app, &cluster, wish).await.unwrap();
        clusters.push(cluster);
    }
    let latest = clock.now();
    Year { world, desk, clock, clusters, promised: BTreeMap::new(), latest }
}

impl Year {
    fn app(&self) -> &Arc<App> {
        &self.desk.app
    }

    fn set(&mut self, now: Time) {
        self.clock.0.store(now.micros(), Ordering::SeqCst);
        self.latest = self.latest.max(now);
    }

    async fn calm(&self) {
        let active = Filter { active_only: true, ..Filter::default() };
        while !self.app().runner.list(active.clone(), None, 10).await.unwrap().items.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// As the tasks do, one after the other.
    async fn look(&mut self) {
        tasks::schedule::tick(self.app()).await.unwrap();
        self.calm().await;
        self.note_good().await;
        tasks::expire::all(self.app()).await.unwrap();
        self.calm().await;
    }

    async fn of(&self, cluster: &Cluster) -> Vec<Backup> {
        store::backups::of_cluster(&mut self.app().store.read().await.unwrap(), &cluster.id).await.unwrap()
    }

    async fn note_good(&mut self) {
        for cluster in &self.clusters.clone() {
            for backup in self.of(cluster).await.into_iter().filter(Backup::is_good) {
                let until = backup.expires_at.unwrap_or(backup.created_at);
                self.promised.entry(cluster.id.clone()).or_default().entry(backup.id).or_insert((backup.created_at, until));
            }
        }
    }

    /// All there is dies where it stands, and comes back.
    async fn kill(&mut self, agent_too: bool) {
        if agent_too {
            self.world.kill_agent().await;
            self.world.start_agent().await.unwrap();
        }
        let fresh = self.world.desk().await.unwrap();
        std::mem::replace(&mut self.desk, fresh).close().await;
    }

    async fn holds(&self, when: &str) {
        let published: BTreeSet<String> = self.world.outside.storages.published().into_values().flatten().collect();
        let mut rows = BTreeSet::new();
        for cluster in &self.clusters {
            let all = self.of(cluster).await;
            rows.extend(all.iter().map(|b| b.id.to_string()));
            let good: Vec<&Backup> = all.iter().filter(|b| b.is_good()).collect();
            let Some(promised) = self.promised.get(&cluster.id) else { continue };
            assert!(good.len() >= promised.len().min(2), "{when}: {} has {} good ones", cluster.name, good.len());
            let (last, _) = promised.iter().max_by_key(|(id, (made, _))| (*made, *id)).unwrap();
            assert!(good.iter().any(|b| &b.id == last), "{when}: the last good one of {} is gone", cluster.name);
            for (id, _) in promised.iter().filter(|(_, (_, until))| *until > self.latest) {
                assert!(good.iter().any(|b| &b.id == id), "{when}: {id} of {} was promised for longer", cluster.name);
            }
            for backup in good {
                assert!(published.contains(backup.id.as_str()), "{when}: {} is a row without a snapshot", backup.id);
            }
        }
        assert!(published.iter().all(|id| rows.contains(id)), "{when}: a snapshot without a row");
    }

    async fn says_yes(&self) {
        for cluster in &self.clusters {
            let notes = store::retention::notes(&mut self.app().store.read().await.unwrap(), &cluster.id).await.unwrap();
            if notes.warnings.iter().any(|w| w.contains("at once")) {
                retention::apply(self.app(), cluster).await.unwrap();
            }
        }
    }

    async fn next(&self) -> Time {
        let next = store::schedules::next_at(&mut self.app().store.read().await.unwrap()).await.unwrap();
        let now = self.clock.now();
        next.map_or(now.plus_days(1), |at| at.max(now.plus_seconds(1)).min(now.plus_days(1)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_schedules_and_retention() {
    let mut y = begin().await;
    let mut dice = Dice(42);
    let end = y.clock.now().plus_days(DAYS);
    let (mut steps, mut kills, mut back, mut leaps) = (0, 0, 0, 0);
    let away = Error::unavailable("away", "it does not answer");
    while y.clock.now() < end {
        let now = y.clock.now();
        let faults = y.world.outside.faults.clone();
        let then = match dice.throw(50) {
            0 | 1 => {
                kills += 1;
                y.kill(steps % 2 == 0).await;
                now.plus_seconds(HOUR * dice.throw(72) as i64)
            }
            2 => {
                back += 1;
                now.plus_seconds(-HOUR * (1 + dice.throw(30) as i64))
            }
            3 => {
                leaps += 1;
                now.plus_seconds(HOUR * (49 + dice.throw(48) as i64))
            }
            4 | 5 => {
                faults.fail("storage.put", 9, away.clone());
                y.next().await
            }
            6 => {
                faults.fail("storage.list", 4, away.clone());
                y.next().await
            }
            7 => {
                faults.fail("storage.delete", 1, away.clone());
                y.next().await
            }
            8 => {
                faults.lose_reply("storage.delete");
                y.next().await
            }
            _ => y.next().await,
        };
        y.set(then);
        y.look().await;
        faults.clear();
        y.says_yes().await;
        y.holds(&format!("step {steps} at {then}")).await;
        steps += 1;
    }
    let counts: Vec<usize> = y.clusters.iter().map(|c| y.promised[&c.id].len()).collect();
    assert!(counts.iter().all(|n| *n > 200) && kills > 5 && back > 3 && leaps > 3, "{steps} steps, {counts:?}, {kills} {back} {leaps}");
    for cluster in &y.clusters {
        let left = y.of(cluster).await.len();
        assert!(left < 40, "{} of {} are left of {}: retention does its work", left, y.promised[&cluster.id].len(), cluster.name);
    }
}
