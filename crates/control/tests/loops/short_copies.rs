//! Copies with a time of their own: a week here, longer elsewhere, of one backup.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App,
    backups::{self, NewBackup},
    copies,
    ops::{
        self,
        expire_backups::{self, ExpireBackups},
    },
    retention, schedules, storages,
    tasks::{complete, expire},
};
use mainstay_drivers::storage::Place;
use mainstay_model::{
    Error, OperationId, Result, Time,
    backup::{Backup, BackupStatus},
    cluster::Cluster,
    retention::Retention,
};
use mainstay_operations::{Clock, Filter, Lock, Operation};
use mainstay_store as store;
use mainstay_testkit::{
    World,
    world::{Desk, cluster, ended, project, somebody},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

const DAY: i64 = 24 * 3600;

async fn add_second(desk: &Desk) -> Result<()> {
    let place = Place::Local { path: "/srv/second".into() };
    let new = storages::NewStorage { name: "second".into(), place, region: None, secret: None, limits: Default::default() };
    storages::add(&desk.app, &project(&desk.app).await?.id, new).await.map(drop)
}

/// Kept 90 days in `second`, and 7 in `local`.
fn week_here() -> NewBackup {
    NewBackup {
        storages: vec!["local".into(), "second".into()],
        retention_days: Some(90),
        copy_retention: [("local".into(), 7)].into(),
        ..NewBackup::default()
    }
}

async fn back_up(desk: &Desk, cluster: &Cluster) -> Result<Backup> {
    let (backup, id) = backups::create(&desk.app, &somebody(), cluster, week_here()).await?;
    let _ = ended(&desk.app.runner, &id).await?;
    backups::get(&desk.app, &backup.id).await
}

fn here(b: &Backup) -> &mainstay_model::backup::Copy {
    &b.copies[0]
}

/// Of two backups the copy here is to go, and it is too late to bring it back.
#[derive(Clone)]
pub struct Expire(pub Shop);

#[async_trait]
impl Story for Expire {
    fn kind(&self) -> &'static str {
        ExpireBackups::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let shop = desk.deploy("shop", self.0.engine, self.0.replicas).await?;
        world.write(&shop, "a")?;
        add_second(desk).await?;
        for _ in 0..2 {
            back_up(desk, &shop).await?;
        }
        let mut tx = desk.app.store.begin_write().await?;
        for mut backup in world.backups().await? {
            let until = backup.created_at;
            let copy = &mut backup.copies[0];
            (copy.status, copy.deleting_until, copy.expires_at) = (BackupStatus::Deleting, Some(until), Some(until));
            store::backups::update(&mut tx, &backup).await?;
        }
        store::commit(tx).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let shop = cluster(app, "shop").await?;
        let backups = store::backups::of_cluster(&mut *app.store.read().await?, &shop.id).await?;
        let copies = backups.iter().map(|b| (b.id.clone(), here(b).storage.clone())).collect();
        let state = expire_backups::State { copies, ..expire_backups::State::of(&shop.id) };
        let key = ops::subject_of(&shop.project, "shop", &format!("retention/{}", shop.id));
        app.runner.submit(ops::submission::<ExpireBackups>(&state, Some(key), Lock::Exclusive, "test")?).await
    }
    /// Both can be restored whatever happened, and a copy is gone or could still go.
    async fn check(&self, world: &World, _: &App, succeeded: bool) -> Result<()> {
        let all = world.backups().await?;
        let wanted = if succeeded { (BackupStatus::Expired, None) } else { (BackupStatus::Deleting, Some(())) };
        let fits = |b: &Backup| (here(b).status, here(b).deleting_until.map(drop)) == wanted && b.is_good() && world.rows_in(b) == ["a"];
        if all.len() == 2 && all.iter().all(|b| b.status == BackupStatus::Completed && fits(b)) {
            return Ok(());
        }
        wrong(format!("{all:?}"))
    }
}

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

struct Stand {
    world: World,
    desk: Desk,
    clock: Arc<Hand>,
    shop: Cluster,
}

impl Stand {
    async fn new() -> Stand {
        let world = World::new().await.unwrap();
        let clock = Arc::new(Hand(AtomicI64::new(Time::parse("2026-01-01T03:00:00Z").unwrap().micros())));
        world.set_clock(clock.clone());
        let desk = world.desk().await.unwrap();
        let shop = desk.deploy("shop", "memo", 0).await.unwrap();
        add_second(&desk).await.unwrap();
        expire::all(&desk.app).await.unwrap();
        Stand { world, desk, clock, shop }
    }

    fn app(&self) -> &Arc<App> {
        &self.desk.app
    }

    /// Looks once a day, as many days as are said.
    async fn days(&self, days: i64) {
        for _ in 0..days {
            self.clock.0.fetch_add(DAY * 1_000_000, Ordering::SeqCst);
            self.look().await;
        }
    }

    async fn look(&self) {
        expire::all(self.app()).await.unwrap();
        let active = Filter { active_only: true, ..Filter::default() };
        while !self.app().runner.list(active.clone(), None, 10).await.unwrap().items.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn back_up(&self) -> Backup {
        back_up(&self.desk, &self.shop).await.unwrap()
    }

    async fn fresh(&self, b: &Backup) -> Backup {
        backups::get(self.app(), &b.id).await.unwrap()
    }

    async fn statuses(&self) -> Vec<BackupStatus> {
        self.world.backups().await.unwrap().iter().map(|b| here(b).status).collect()
    }

    async fn warnings(&self) -> Vec<String> {
        store::retention::notes(&mut self.app().store.read().await.unwrap(), &self.shop.id).await.unwrap().warnings
    }

    /// How many backups a storage holds.
    fn held(&self) -> Vec<usize> {
        let mut counts: Vec<usize> = self.world.outside.storages.published().values().map(Vec::len).collect();
        counts.sort_unstable();
        counts
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_here_and_the_rest_elsewhere() {
    let s = Stand::new().await;
    for _ in 0..20 {
        s.back_up().await;
        s.days(1).await;
        assert_eq!(s.warnings().await, [] as [String; 0]);
    }
    let all = s.world.backups().await.unwrap();
    assert!(all.iter().all(|b| b.status == BackupStatus::Completed && b.is_good() && b.error.is_none()), "{all:?}");
    let statuses = s.statuses().await;
    let count = |status| statuses.iter().filter(|s| **s == status).count();
    assert_eq!((count(BackupStatus::Completed), count(BackupStatus::Deleting), count(BackupStatus::Expired)), (6, 3, 11), "{statuses:?}");
    assert_eq!(s.held(), [9, 20], "announced ones are there until it is too late");

    // Nothing takes what was let go for something that misses.
    complete::all(s.app()).await.unwrap();
    s.look().await;
    assert_eq!((s.statuses().await, s.held()), (statuses, vec![9, 20]));
    let said = retention::explain(s.app(), &all[..1]).await.unwrap();
    assert!(said[0].copies[&here(&all[0]).storage].contains("its time in this storage was over"), "{said:?}");

    // Somebody who wants it there again gets it for as long as the backup is.
    let id = copies::add(s.app(), &somebody(), &all[0], "local").await.unwrap();
    let _ = ended(&s.app().runner, &id).await.unwrap();
    let again = s.fresh(&all[0]).await;
    assert!(here(&again).is_good() && here(&again).expires_at.is_none() && again.status == BackupStatus::Completed, "{again:?}");
    s.days(4).await;
    assert!(here(&s.fresh(&all[0]).await).is_good());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_announced_is_brought_back_by_hand_by_a_pin_and_where_the_other_copy_is_bad() {
    let s = Stand::new().await;
    let mut made = vec![];
    for _ in 0..6 {
        made.push(s.back_up().await);
        s.days(1).await;
    }
    s.days(3).await;
    assert_eq!(s.statuses().await[..3], [BackupStatus::Deleting; 3]);
    let refused = copies::add(s.app(), &somebody(), &s.fresh(&made[0]).await, "local").await.unwrap_err();
    assert_eq!(refused.code, "copy_deleting");
    let back = retention::undelete(s.app(), &made[0]).await.unwrap();
    assert!(here(&back).is_good() && here(&back).expires_at.is_none() && !back.pinned, "{back:?}");
    assert_eq!(retention::undelete(s.app(), &made[0]).await.unwrap_err().code, "nothing_to_undelete");
    let pinned = backups::set_pinned(s.app(), &made[1], true).await.unwrap();
    assert!(here(&pinned).is_good(), "{pinned:?}");

    s.world.outside.faults.fail("storage.verify", 1, Error::integrity("a piece is damaged"));
    let id = backups::verify(s.app(), &somebody(), &s.fresh(&made[2]).await).await.unwrap();
    let _ = ended(&s.app().runner, &id).await.unwrap();
    let kept = s.fresh(&made[2]).await;
    assert_eq!(
        (kept.status, here(&kept).is_good(), kept.copies[1].status),
        (BackupStatus::Partial, true, BackupStatus::Failed),
        "{kept:?}"
    );
    s.days(5).await;
    assert_eq!(s.statuses().await[..3], [BackupStatus::Completed; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_while_the_other_storage_is_away_or_much_would_go_at_once() {
    let s = Stand::new().await;
    for _ in 0..8 {
        s.back_up().await;
    }
    s.days(8).await;
    let said = s.warnings().await;
    assert!(said.len() == 1 && said[0].contains("6 of 8 good copies from storage local at once"), "{said:?}");
    s.world.outside.faults.switch("storage.gone.second", true);
    assert_eq!(retention::apply(s.app(), &s.shop).await.unwrap().copies, 0, "nobody knows whether the others are there");
    s.world.outside.faults.switch("storage.gone.second", false);
    assert_eq!(retention::due(s.app(), &s.shop.id).await.unwrap().copies.len(), 6);
    assert_eq!(retention::apply(s.app(), &s.shop).await.unwrap().copies, 6);
    s.world.outside.faults.switch("storage.gone.second", true);
    s.days(4).await;
    let said = s.warnings().await;
    assert!(said.iter().any(|w| w.contains("6 copies wait to be removed")), "{said:?}");
    assert_eq!(s.statuses().await[..6], [BackupStatus::Deleting; 6]);
    s.world.outside.faults.switch("storage.gone.second", false);
    s.days(1).await;
    assert_eq!((&s.statuses().await[..6], s.held()), (&[BackupStatus::Expired; 6][..], vec![2, 8]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_failed_and_is_made_good_for_lapses_as_it_would_have() {
    let s = Stand::new().await;
    s.world.outside.faults.switch("storage.gone.local", true);
    let partial = s.back_up().await;
    s.world.outside.faults.switch("storage.gone.local", false);
    assert_eq!(partial.status, BackupStatus::Partial);
    let id = copies::add(s.app(), &somebody(), &partial, "local").await.unwrap();
    let _ = ended(&s.app().runner, &id).await.unwrap();
    let whole = s.fresh(&partial).await;
    assert_eq!((whole.status, here(&whole).expires_at), (BackupStatus::Completed, Some(whole.created_at.plus_days(7))));

    // One that failed for longer than it would have stayed is not made good for by itself.
    s.world.outside.faults.switch("storage.gone.local", true);
    let late = s.back_up().await;
    s.world.outside.faults.switch("storage.gone.local", false);
    s.days(8).await;
    complete::all(s.app()).await.unwrap();
    s.look().await;
    assert_eq!(here(&s.fresh(&late).await).status, BackupStatus::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_says_it_and_what_no_longer_says_something_goes() {
    let s = Stand::new().await;
    let both = schedules::SetSchedule {
        storages: Some(vec!["local".into(), "second".into()]),
        retention: Some(Retention::days(90)),
        copy_retention: Some([("local".into(), 7)].into()),
        ..Default::default()
    };
    let set = schedules::set(s.app(), &s.shop, both).await.unwrap();
    assert_eq!(set.copy_retention, [("local".to_string(), 7)].into());
    let change = async |wish: schedules::SetSchedule| schedules::set(s.app(), &s.shop, wish).await.unwrap().copy_retention;
    let longer = schedules::SetSchedule { retention_days: Some(30), ..Default::default() };
    assert_eq!(change(longer).await.len(), 1, "what is left out stays");
    let mut tx = s.app().store.begin_write().await.unwrap();
    let schedule = store::schedules::of_cluster(&mut tx, &s.shop.id).await.unwrap().remove(0);
    drop(tx);
    assert_eq!(schedule.copy_retention.values().collect::<Vec<_>>(), [&7]);
    let shorter = schedules::SetSchedule { retention_days: Some(5), ..Default::default() };
    assert!(change(shorter).await.is_empty(), "the backups do not stay as long as that");
    let again = schedules::SetSchedule { copy_retention: Some([("local".into(), 2)].into()), ..Default::default() };
    assert_eq!(change(again).await.len(), 1);
    let elsewhere = schedules::SetSchedule { storages: Some(vec!["second".into()]), ..Default::default() };
    assert!(change(elsewhere).await.is_empty());
}
