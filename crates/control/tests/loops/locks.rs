//! What is locked where a storage can lock, for how long, and what of it is put off.

use mainstay_control::{
    App,
    backups::{self, NewBackup},
    storages,
    tasks::{keep_log, lock},
};
use mainstay_model::{
    BackupId, Time,
    backup::{Backup, CopyLock},
    cluster::Cluster,
    log::{Keeping, Part},
    retention::{BackupPolicy, Retention},
};
use mainstay_operations::Clock;
use mainstay_store as store;
use mainstay_testkit::{
    World,
    world::{Desk, project, somebody},
};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

const HOUR: i64 = 3600;

/// As much later than it is as was said.
#[derive(Default)]
struct Later(AtomicI64);

impl Clock for Later {
    fn now(&self) -> Time {
        mainstay_testkit::now().plus_seconds(self.0.load(Ordering::SeqCst))
    }
}

struct Stand {
    world: World,
    desk: Desk,
    clock: Arc<Later>,
    cluster: Cluster,
}

impl Stand {
    async fn new() -> Stand {
        let (world, clock) = (World::new().await.unwrap(), Arc::new(Later::default()));
        world.set_clock(clock.clone());
        world.clients.stay_away(true);
        world.outside.faults.switch("storage.locks.local", true);
        let desk = world.desk().await.unwrap();
        let cluster = desk.deploy("shop", "memo", 0).await.unwrap();
        let local = storages::resolve(&desk.app, &project(&desk.app).await.unwrap().id, "local").await.unwrap();
        storages::check(&desk.app, &local).await.unwrap();
        Stand { world, desk, clock, cluster }
    }

    fn app(&self) -> &App {
        &self.desk.app
    }

    fn pass(&self, hours: i64) {
        self.clock.0.fetch_add(hours * HOUR, Ordering::SeqCst);
    }

    async fn back_up(&self, new: NewBackup) -> Backup {
        let (backup, id) = backups::create(self.app(), &somebody(), &self.cluster, new).await.unwrap();
        self.desk.done(&id).await.unwrap();
        backup
    }

    /// One of which the newest three are kept, and no day is said.
    async fn back_up_counted(&self) -> Backup {
        let backup = self.back_up(NewBackup::default()).await;
        let mut tx = self.app().store.begin_write().await.unwrap();
        let fresh = store::backups::get(&mut tx, &backup.id).await.unwrap();
        let retention = Some(Retention { keep_last: Some(3), ..Retention::default() });
        store::backups::update(&mut tx, &Backup { retention, ..fresh }).await.unwrap();
        store::commit(tx).await.unwrap();
        backup
    }

    /// One look; how many locks were made, and how long that of `backup` is from now on, in hours.
    async fn look(&self, backup: &Backup) -> (u64, Option<i64>) {
        let before = self.world.outside.faults.visits("storage.lock");
        lock::all(self.app()).await.unwrap();
        let now = self.clock.now();
        let fresh = backups::get(self.app(), &backup.id).await.unwrap();
        let hours = |l: &CopyLock| (l.wanted.seconds_since(now) / HOUR as f64).round() as i64;
        (self.world.outside.faults.visits("storage.lock") as u64 - before as u64, fresh.copies[0].lock.as_ref().map(hours))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_a_day_is_locked_until_then_and_what_has_none_for_three_days_at_a_time() {
    let s = Stand::new().await;
    let dated = s.back_up(NewBackup { retention_days: Some(10), ..NewBackup::default() }).await;
    assert_eq!(s.look(&dated).await, (1, Some(240)));
    let kept = s.back_up(NewBackup::default()).await;
    assert_eq!(s.look(&kept).await, (1, Some(72)));
    assert_eq!(s.look(&kept).await, (0, Some(72)), "once is enough");
    s.pass(35);
    assert_eq!(s.look(&kept).await, (0, Some(37)));
    s.pass(2);
    assert_eq!(s.look(&kept).await, (1, Some(72)), "and again before it is over");
    assert_eq!(s.look(&dated).await, (0, Some(203)), "a day is no other day by that");
    // Whoever asks for it by hand is told why not.
    let fresh = backups::get(s.app(), &kept.id).await.unwrap();
    assert_eq!(backups::delete(s.app(), &somebody(), &fresh).await.unwrap_err().code, "backup_locked");
}

/// A lock that was only kept up by itself would never end.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_its_lock_keeps_is_let_go() {
    let s = Stand::new().await;
    let mut tx = s.app().store.begin_write().await.unwrap();
    let policy = BackupPolicy { min_keep: 1, ..BackupPolicy::default() };
    store::retention::put_policy(&mut tx, &s.cluster.id, &policy).await.unwrap();
    store::commit(tx).await.unwrap();
    let first = s.back_up_counted().await;
    assert_eq!(s.look(&first).await, (1, Some(72)));
    for _ in 0..3 {
        s.back_up_counted().await;
    }
    s.pass(48);
    assert_eq!(s.look(&first).await, (3, Some(24)), "the three that the rule keeps, and not the fourth");
    s.pass(25);
    let fresh = backups::get(s.app(), &first.id).await.unwrap();
    assert_eq!(fresh.locked_until(s.clock.now()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_does_not_lock_now_is_asked_again() {
    let s = Stand::new().await;
    let kept = s.back_up(NewBackup::default()).await;
    s.world.outside.faults.fail("storage.lock", 1, mainstay_model::Error::unavailable("away", "it does not answer"));
    lock::all(s.app()).await.unwrap();
    let seen = backups::get(s.app(), &kept.id).await.unwrap().copies[0].lock.clone().unwrap();
    assert!(seen.until.is_none() && seen.error.is_some(), "{seen:?}");
    assert_eq!(s.look(&kept).await.0, 0, "not at once");
    s.pass(1);
    assert_eq!(s.look(&kept).await, (1, Some(72)));
}

/// A part that grows no more is locked for as long as the window reaches back, and then with what needs it.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_the_log_are_locked_too() {
    let s = Stand::new().await;
    let base = s.back_up(NewBackup::default()).await;
    let base = backups::get(s.app(), &base.id).await.unwrap();
    s.look(&base).await;
    let (storage, snapshot) = (base.copies[0].storage.clone(), base.copies[0].snapshot.clone().unwrap());
    let mut tx = s.app().store.begin_write().await.unwrap();
    let cluster = store::clusters::get(&mut tx, &s.cluster.id).await.unwrap();
    let log = Some(Keeping { storages: vec![storage.clone()], keep_days: 7 });
    store::clusters::update(&mut tx, &Cluster { log, ..cluster }).await.unwrap();
    let now = s.clock.now();
    let part = |pieces: u64| Part {
        id: BackupId::new(),
        cluster: s.cluster.id.clone(),
        storage: storage.clone(),
        snapshot: snapshot.clone(),
        line: "a".into(),
        line_started_at: now,
        history: "h".into(),
        from: 0,
        to: 9,
        until: now,
        stored_at: now,
        first: "a".into(),
        last: "b".into(),
        pieces,
        bytes: 9,
        lock: None,
    };
    let (grown, growing) = (part(32), part(3));
    store::log::put_part(&mut tx, &grown).await.unwrap();
    store::log::put_part(&mut tx, &growing).await.unwrap();
    store::commit(tx).await.unwrap();
    let locks = async || {
        let parts = store::log::parts(&mut s.app().store.read().await.unwrap(), &s.cluster.id).await.unwrap();
        let hours = |id: &BackupId| {
            let part = parts.iter().find(|p| &p.id == id).unwrap();
            part.lock.as_ref().map(|l| (l.wanted.seconds_since(s.clock.now()) / HOUR as f64).round() as i64)
        };
        (hours(&grown.id), hours(&growing.id))
    };
    lock::all(s.app()).await.unwrap();
    assert_eq!(locks().await, (Some(168), None));
    s.pass(2);
    lock::all(s.app()).await.unwrap();
    assert_eq!(locks().await, (Some(166), Some(166)), "nothing takes the place of the other one any more");
    // The backup they go on from is kept without an end, and so are they.
    s.pass(150);
    lock::all(s.app()).await.unwrap();
    assert_eq!(locks().await, (Some(72), Some(72)));
    // Locked ones are not asked to go.
    let deletes = s.world.outside.faults.visits("storage.delete");
    keep_log::expire(s.app()).await.unwrap();
    assert_eq!(s.world.outside.faults.visits("storage.delete"), deletes);
}
