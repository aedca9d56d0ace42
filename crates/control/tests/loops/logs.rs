//! The log: kept, no longer kept, and a moment brought back from it.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App, log,
    ops::{restore_in_place::RestoreInPlace, restore_new::RestoreNew, set_log::SetLog},
    restores::{self, RestoreRequest},
    storages::{self, NewStorage},
    tasks::keep_log,
};
use mainstay_drivers::storage::Place;
use mainstay_model::{Error, OperationId, Result, Time, backup::BackupKind};
use mainstay_operations::Operation;
use mainstay_rpc::verbs::DeleteSnapshots;
use mainstay_store as store;
use mainstay_testkit::{
    World,
    world::{Ack, Desk, cluster, project, somebody, topology},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

fn switched(on: bool) -> log::Wanted {
    log::Wanted { on, ..log::Wanted::default() }
}

/// Whether anything on the host keeps the log of the shop.
async fn is_kept(world: &World, app: &App) -> Result<bool> {
    let shop = cluster(app, "shop").await?;
    Ok(world.outside.data_dir().join("logs").join(shop.id.as_str()).exists())
}

#[derive(Clone)]
pub struct On(pub Shop);

#[async_trait]
impl Story for On {
    fn kind(&self) -> &'static str {
        SetLog::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        log::set(app, &somebody(), &cluster(app, "shop").await?, &switched(true)).await
    }
    fn leaves(&self) -> Option<BackupKind> {
        Some(BackupKind::Scheduled)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let kept = is_kept(world, app).await?;
        let wanted = cluster(app, "shop").await?.log.is_some();
        if (kept, wanted) != (succeeded, succeeded) {
            return wrong(format!("succeeded {succeeded}, wanted {wanted}, kept {kept}"));
        }
        let base = world.backups().await?.iter().any(|b| b.kind == BackupKind::Scheduled && b.is_good());
        if succeeded && !base { wrong("no window can begin") } else { Ok(()) }
    }
}

#[derive(Clone)]
pub struct Off(pub Shop);

#[async_trait]
impl Story for Off {
    fn kind(&self) -> &'static str {
        SetLog::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await?;
        let shop = cluster(&desk.app, "shop").await?;
        desk.done(&log::set(&desk.app, &somebody(), &shop, &switched(true)).await?).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        log::set(app, &somebody(), &cluster(app, "shop").await?, &switched(false)).await
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let wanted = cluster(app, "shop").await?.log.is_some();
        // Undone, it is taken up again by the task that sees to it, on the same line.
        let kept = is_kept(world, app).await?;
        if wanted == succeeded || (succeeded && kept) {
            return wrong(format!("succeeded {succeeded}, wanted {wanted}, kept {kept}"));
        }
        Ok(())
    }
}

/// A moment between two rows, in place or as a new cluster.
#[derive(Clone)]
pub struct Moment(pub Shop, pub bool, pub Arc<Mutex<Option<Time>>>);

impl Moment {
    pub fn in_place(shop: Shop) -> Moment {
        Moment(shop, true, Arc::default())
    }
    pub fn new_cluster(shop: Shop) -> Moment {
        Moment(shop, false, Arc::default())
    }
    fn moment(&self) -> Time {
        self.2.lock().unwrap().expect("it was prepared")
    }
}

/// Looks until the log is stored up to now.
async fn stored(app: &Arc<App>) -> Result<()> {
    let now = app.now();
    for _ in 0..500 {
        keep_log::all(app).await?;
        let view = log::view(app, &cluster(app, "shop").await?).await?;
        if view.window().is_some_and(|w| w.to >= now) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(Error::timed_out("the log is not stored"))
}

#[async_trait]
impl Story for Moment {
    fn kind(&self) -> &'static str {
        if self.1 { RestoreInPlace::KIND } else { RestoreNew::KIND }
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        let (shop, _) = self.0.open(world, desk).await?;
        desk.done(&log::set(&desk.app, &somebody(), &shop, &switched(true)).await?).await?;
        world.write(&shop, "c")?;
        stored(&desk.app).await?;
        *self.2.lock().unwrap() = Some(desk.app.now());
        tokio::time::sleep(Duration::from_millis(2)).await;
        world.write(&shop, "d")?;
        stored(&desk.app).await
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        let named = (self.1.then(|| "shop".to_string()), (!self.1).then(|| "copy".to_string()));
        let until = Some(self.moment().to_string());
        let request = RestoreRequest {
            until,
            from_cluster: Some("shop".into()),
            confirm: named.0.clone(),
            to: named.0,
            new: named.1,
            ..RestoreRequest::default()
        };
        let project = project(app).await?.id;
        let hash = restores::plan(app, &project, &request).await?.hash;
        Ok(restores::run(app, &somebody(), &project, &request, &hash).await?.1)
    }
    fn leaves(&self) -> Option<BackupKind> {
        self.1.then_some(BackupKind::PreRestore)
    }
    fn gives_up(&self, world: &World, ack: &Ack) -> bool {
        self.1 && !world.is_live(ack)
    }
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let name = if self.1 { "shop" } else { "copy" };
        let target = match topology(app, name).await {
            Ok(target) => target,
            Err(_) if !self.1 && !succeeded => return Ok(()),
            Err(e) => return Err(e),
        };
        let rows = world.rows(&target.primary()?.id);
        let own: Vec<&str> = rows.iter().map(String::as_str).filter(|r| ["a", "b", "c", "d"].contains(r)).collect();
        let wanted: &[&str] = if succeeded { &["a", "b", "c"] } else { &["a", "b", "c", "d"] };
        if own == wanted { Ok(()) } else { wrong(format!("succeeded {succeeded}: {rows:?}")) }
    }
}

fn request(until: Option<Time>, to: &str) -> RestoreRequest {
    RestoreRequest { until: until.map(|t| t.to_string()), to: Some(to.into()), ..RestoreRequest::default() }
}

/// A shop whose log is kept, with a row before and one after the moment.
async fn shop_with_a_moment(world: &World) -> (Desk, Time) {
    let desk = world.desk().await.unwrap();
    let moment = Moment::in_place(Shop { engine: "ledger", replicas: 0 });
    moment.prepare(world, &desk).await.unwrap();
    let until = moment.moment();
    (desk, until)
}

#[tokio::test]
async fn a_plan_says_what_there_is_and_refuses_what_there_is_not() {
    let world = World::new().await.unwrap();
    let (desk, until) = shop_with_a_moment(&world).await;
    let project = project(&desk.app).await.unwrap().id;
    let plan = async |until: Time| restores::plan(&desk.app, &project, &request(Some(until), "shop")).await;
    let planned = plan(until).await.unwrap().plan;
    let window = planned.window.unwrap();
    assert!(planned.until == Some(until) && window.from < until && until < window.to && planned.gaps.is_empty(), "{planned:?}");
    assert_eq!(planned.recovery_point, until);
    for (moment, code) in [(desk.app.now().plus_days(1), "until_in_future"), (window.from.plus_seconds(-60), "until_before_window")] {
        let e = plan(moment).await.unwrap_err();
        assert_eq!((e.kind, e.code.as_str(), e.field.as_deref()), (mainstay_model::Kind::Invalid, code, Some("until")), "{e}");
    }
    let nothing = restores::plan(&desk.app, &project, &request(None, "shop")).await.unwrap_err();
    assert_eq!(nothing.field.as_deref(), Some("backup"));
    // Another engine's log is not kept, and that is said before anything is done.
    desk.deploy("notes", "memo", 0).await.unwrap();
    let e = log::set(&desk.app, &somebody(), &cluster(&desk.app, "notes").await.unwrap(), &switched(true)).await.unwrap_err();
    assert_eq!(e.code, "no_point_in_time");
    desk.close().await;
}

#[tokio::test]
async fn missing_log_is_named_before_anything_is_done() {
    let world = World::new().await.unwrap();
    let (desk, until) = shop_with_a_moment(&world).await;
    let shop = cluster(&desk.app, "shop").await.unwrap();
    let parts = store::log::parts(&mut desk.app.store.read().await.unwrap(), &shop.id).await.unwrap();
    let repository = mainstay_control::backups::repository(&desk.app, &shop, &parts[0].storage).await.unwrap();
    let snapshots = parts.iter().map(|p| p.snapshot.clone()).collect();
    desk.app.agent.look(&DeleteSnapshots { repository, snapshots, prune: false }).await.unwrap();
    let project = project(&desk.app).await.unwrap().id;
    let e = restores::plan(&desk.app, &project, &request(Some(until), "shop")).await.unwrap_err();
    assert_eq!((e.code.as_str(), e.message.contains(parts[0].id.as_str())), ("log_missing", true), "{e}");
    desk.close().await;
}

#[tokio::test]
async fn log_goes_with_the_backup_it_goes_on_from_and_not_before() {
    let world = World::new().await.unwrap();
    let (desk, _) = shop_with_a_moment(&world).await;
    let shop = cluster(&desk.app, "shop").await.unwrap();
    let count = async || store::log::parts(&mut desk.app.store.read().await.unwrap(), &shop.id).await.unwrap().len();
    let before = count().await;
    assert_eq!(log::expire(&desk.app, &shop).await.unwrap(), 0);
    // A part from before every backup there is.
    let mut tx = desk.app.store.begin_write().await.unwrap();
    let mut old = store::log::parts(&mut tx, &shop.id).await.unwrap().remove(0);
    (old.id, old.snapshot, old.until) = (mainstay_model::BackupId::new(), "gone already".into(), Time(1));
    store::log::put_part(&mut tx, &old).await.unwrap();
    store::commit(tx).await.unwrap();
    assert_eq!((count().await, log::expire(&desk.app, &shop).await.unwrap(), count().await), (before + 1, 1, before));
    desk.close().await;
}

/// The log grows there as everywhere; what has a newer form stays.
#[tokio::test]
async fn log_goes_on_where_nobody_may_delete() {
    let world = World::new().await.unwrap();
    let (desk, _) = shop_with_a_moment(&world).await;
    let shop = cluster(&desk.app, "shop").await.unwrap();
    world.outside.faults.switch("storage.append_only.local", true);
    for row in ["e", "f", "g"] {
        world.write(&shop, row).unwrap();
        stored(&desk.app).await.unwrap();
    }
    let view = log::view(&desk.app, &shop).await.unwrap();
    assert!(view.places.iter().all(|p| p.trouble.is_none()) && view.gaps().is_empty(), "{view:?}");
    let mut conn = desk.app.store.read().await.unwrap();
    let left = store::left_behind::of_cluster(&mut conn, &shop.id).await.unwrap();
    let archive = store::log::archive(&mut conn, &shop.id).await.unwrap().unwrap();
    let waiting: usize = archive.places.values().map(|p| p.garbage.len()).sum();
    assert!(!left.is_empty() && waiting <= 1, "{left:?} {archive:?}");
    desk.close().await;
}

/// Nor does a storage that does not answer to that.
#[tokio::test]
async fn what_cannot_be_removed_now_is_removed_with_the_next_part() {
    let world = World::new().await.unwrap();
    let (desk, _) = shop_with_a_moment(&world).await;
    let shop = cluster(&desk.app, "shop").await.unwrap();
    world.outside.faults.fail("storage.delete", 1, Error::unavailable("away", "it does not answer"));
    for row in ["e", "f", "g"] {
        world.write(&shop, row).unwrap();
        stored(&desk.app).await.unwrap();
    }
    assert!(log::view(&desk.app, &shop).await.unwrap().places.iter().all(|p| p.trouble.is_none()));
    let mut conn = desk.app.store.read().await.unwrap();
    let archive = store::log::archive(&mut conn, &shop.id).await.unwrap().unwrap();
    assert!(archive.places.values().all(|p| p.garbage.len() <= 1), "{archive:?}");
    assert!(store::left_behind::of_cluster(&mut conn, &shop.id).await.unwrap().is_empty());
    desk.close().await;
}

/// A storage with log in it is in use, also when the log goes elsewhere by now. One that is gone all the same
/// holds up no deletion.
#[tokio::test]
async fn a_storage_stays_while_a_log_needs_it() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    Shop { engine: "ledger", replicas: 0 }.open(&world, &desk).await.unwrap();
    let project = project(&desk.app).await.unwrap().id;
    let place = Place::Local { path: "/srv/far".into() };
    let new = NewStorage { name: "far".into(), place, region: None, secret: None, limits: Default::default() };
    let (far, _) = storages::add(&desk.app, &project, new).await.unwrap();
    let to = async |name: &str| {
        let wanted = log::Wanted { storages: vec![name.into()], ..switched(true) };
        let shop = cluster(&desk.app, "shop").await.unwrap();
        desk.done(&log::set(&desk.app, &somebody(), &shop, &wanted).await.unwrap()).await.unwrap();
        keep_log::all(&desk.app).await.unwrap();
        stored(&desk.app).await.unwrap();
    };
    let refused = async || storages::remove(&desk.app, &far).await.unwrap_err();
    to("far").await;
    // The backup a window begins with is in it as well; without that the log alone is reason enough.
    let mut tx = desk.app.store.begin_write().await.unwrap();
    let all = world.backups().await.unwrap();
    for mut backup in all.into_iter().filter(|b| b.copies.iter().any(|c| c.storage == far.id)) {
        backup.copies.iter_mut().for_each(|c| c.status = mainstay_model::backup::BackupStatus::Failed);
        store::backups::update(&mut tx, &backup).await.unwrap();
    }
    store::commit(tx).await.unwrap();
    let e = refused().await;
    assert!(e.code == "storage_in_use" && e.message.contains("the log of cluster shop goes to"), "{e}");
    to("local").await;
    let e = refused().await;
    assert!(e.code == "storage_in_use" && e.message.contains("holds parts of the log"), "{e}");

    let mut tx = desk.app.store.begin_write().await.unwrap();
    store::storages::delete(&mut tx, &far.id).await.unwrap();
    store::commit(tx).await.unwrap();
    let how = mainstay_control::clusters::Deletion { confirm: Some("shop".into()), skip_final_backup: true, ..Default::default() };
    let shop = cluster(&desk.app, "shop").await.unwrap();
    desk.done(&mainstay_control::clusters::delete(&desk.app, &somebody(), &shop, how).await.unwrap()).await.unwrap();
    desk.close().await;
}
