//! Copies of a backup in several storages, one of which is not always well.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App,
    backups::{self, NewBackup},
    copies, groups,
    ops::copy_backup::CopyBackup,
    storages::{self, NewStorage},
    tasks::complete,
};
use mainstay_drivers::storage::Place;
use mainstay_model::{
    Error, OperationId, Result, Time,
    backup::{Backup, BackupStatus},
    cluster::Cluster,
    group::GroupBackupStatus,
};
use mainstay_operations::{Operation, Status, View};
use mainstay_store as store;
use mainstay_testkit::{
    World,
    world::{Desk, ended, project, somebody},
};

async fn add_second(desk: &Desk, region: Option<&str>) -> Result<()> {
    let place = Place::Local { path: "/srv/second".into() };
    let new = NewStorage { name: "second".into(), place, region: region.map(Into::into), secret: None, limits: Default::default() };
    storages::add(&desk.app, &project(&desk.app).await?.id, new).await.map(drop)
}

async fn into_both(desk: &Desk, cluster: &Cluster) -> Result<Backup> {
    let new = NewBackup { storages: vec!["local".into(), "second".into()], ..NewBackup::default() };
    let (backup, id) = backups::create(&desk.app, &somebody(), cluster, new).await?;
    desk.done(&id).await?;
    backups::get(&desk.app, &backup.id).await
}

/// A good backup in both storages, and a newer one that `second` does not have: it was away.
async fn partial(world: &World, desk: &Desk, shop: Shop) -> Result<Backup> {
    let cluster = desk.deploy("shop", shop.engine, shop.replicas).await?;
    world.write(&cluster, "a")?;
    add_second(desk, None).await?;
    into_both(desk, &cluster).await?;
    world.write(&cluster, "b")?;
    world.outside.faults.switch("storage.gone.second", true);
    let partial = into_both(desk, &cluster).await?;
    world.outside.faults.switch("storage.gone.second", false);
    world.write(&cluster, "c")?;
    if partial.status == BackupStatus::Partial { Ok(partial) } else { wrong(format!("{partial:?}")) }
}

async fn newest(app: &App) -> Result<Backup> {
    let filter = store::backups::BackupFilter { project: Some(project(app).await?.id), ..Default::default() };
    let all = backups::list(app, &filter, &store::Paging::new(None, None)?).await?.items;
    all.into_iter().next().ok_or_else(|| Error::not_found("backup", "any"))
}

#[derive(Clone)]
pub struct Copy(pub Shop);

#[async_trait]
impl Story for Copy {
    fn kind(&self) -> &'static str {
        CopyBackup::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        partial(world, desk, self.0).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        copies::add(app, &somebody(), &newest(app).await?, "second").await
    }
    /// It is the point of the backup, whatever was written since; and where it fails the backup is
    /// what it was.
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let backup = newest(app).await?;
        let good = backup.copies.iter().filter(|c| c.is_good()).count();
        let told = backup.error.as_deref().is_some_and(|e| e.contains("second"));
        let wanted = if succeeded { (BackupStatus::Completed, 2, false) } else { (BackupStatus::Partial, 1, true) };
        if (backup.status, good, told) != wanted || world.rows_in(&backup) != ["a", "b"] {
            return wrong(format!("{backup:?}"));
        }
        let published = world.outside.storages.published();
        let holders = published.values().filter(|all| all.iter().any(|b| b == backup.id.as_str())).count();
        if holders == good { Ok(()) } else { wrong(format!("{published:?}")) }
    }
}

struct Stand {
    world: World,
    desk: Desk,
}

impl Stand {
    async fn new() -> Stand {
        let world = World::new().await.unwrap();
        let desk = world.desk().await.unwrap();
        world.clients.stay_away(true);
        Stand { world, desk }
    }
    fn app(&self) -> &App {
        &self.desk.app
    }
    async fn end(&self, id: &OperationId) -> View {
        ended(&self.app().runner, id).await.unwrap()
    }
    async fn look(&self, backup: &Backup) -> Backup {
        backups::get(self.app(), &backup.id).await.unwrap()
    }
    async fn copy(&self, backup: &Backup, storage: &str) -> Result<View> {
        let backup = self.look(backup).await;
        Ok(self.end(&copies::add(self.app(), &somebody(), &backup, storage).await?).await)
    }
    async fn is_sound(&self) {
        assert_eq!(self.world.faults(|_| false).await.unwrap(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_copy_comes_later_and_a_damaged_one_is_made_good_for() {
    let s = Stand::new().await;
    let (_, backup) = Shop { engine: "memo", replicas: 0 }.open(&s.world, &s.desk).await.unwrap();
    add_second(&s.desk, None).await.unwrap();
    // One that fails leaves no trace in the backup.
    s.world.outside.faults.switch("storage.breaks.second", true);
    assert_eq!(s.copy(&backup, "second").await.unwrap().error.unwrap().code, "storage_broken");
    assert_eq!(s.look(&backup).await, backup);
    s.world.outside.faults.switch("storage.breaks.second", false);
    assert_eq!(s.copy(&backup, "second").await.unwrap().status, Status::Succeeded);
    assert_eq!(s.look(&backup).await.copies.iter().filter(|c| c.is_good()).count(), 2);
    assert_eq!(s.copy(&backup, "second").await.unwrap_err().code, "copy_exists");
    s.is_sound().await;

    s.world.outside.storages.damage_in("local", backup.copies[0].snapshot.as_ref().unwrap());
    let id = backups::verify(s.app(), &somebody(), &s.look(&backup).await).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Failed);
    assert_eq!(s.look(&backup).await.status, BackupStatus::Partial);
    assert_eq!(s.copy(&backup, "local").await.unwrap().status, Status::Succeeded);
    let mended = s.look(&backup).await;
    assert_eq!((mended.status, &mended.error), (BackupStatus::Completed, &None));
    let id = backups::verify(s.app(), &somebody(), &mended).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Succeeded);
    s.is_sound().await;
}

/// One copy is damaged and another cannot be reached: what is known is recorded, and what is not is said.
#[tokio::test]
async fn what_a_verification_finds_is_kept_where_another_copy_cannot_be_read() {
    let s = Stand::new().await;
    let (cluster, _) = Shop { engine: "memo", replicas: 0 }.open(&s.world, &s.desk).await.unwrap();
    add_second(&s.desk, None).await.unwrap();
    let backup = into_both(&s.desk, &cluster).await.unwrap();
    s.world.outside.faults.switch("storage.gone.second", true);
    let verify = async || {
        let id = backups::verify(s.app(), &somebody(), &s.look(&backup).await).await.unwrap();
        s.end(&id).await
    };
    let (only_away, found) = (verify().await, s.look(&backup).await);
    assert_eq!((only_away.status, only_away.error.unwrap().code.as_str()), (Status::Failed, "copy_unreadable"));
    assert_eq!((found.status, found.copies.iter().filter(|c| c.is_good()).count()), (BackupStatus::Completed, 2), "nothing is known of it");
    assert!(found.checks.iter().any(|c| c.name == "verify" && c.optional && c.detail.starts_with("second: it could not be read")));

    s.world.outside.storages.damage_in("local", found.copies[0].snapshot.as_ref().unwrap());
    let (both, found) = (verify().await, s.look(&backup).await);
    assert_eq!((both.status, both.error.unwrap().kind), (Status::Failed, mainstay_model::Kind::Integrity));
    let good: Vec<_> = found.copies.iter().filter(|c| c.is_good()).map(|c| c.storage_name.as_str()).collect();
    assert_eq!((found.status, good), (BackupStatus::Partial, vec!["second"]));
}

/// As if the backup, and the last try, were so much longer ago.
async fn age(s: &Stand, backup: &Backup, minutes: i64) {
    let mut tx = s.app().store.begin_write().await.unwrap();
    let mut row = store::backups::get(&mut tx, &backup.id).await.unwrap();
    let earlier = Time(s.app().now().micros() - minutes * 60_000_000);
    row.finished_at = Some(earlier);
    row.copies.iter_mut().for_each(|c| c.tried_at = c.tried_at.map(|_| earlier));
    store::backups::update(&mut tx, &row).await.unwrap();
    store::commit(tx).await.unwrap();
}

/// One look of the task, and what became of the copy: how often it was tried, and whether it is good.
async fn task(s: &Stand, backup: &Backup) -> (u32, bool) {
    complete::all(&s.desk.app).await.unwrap();
    if let Some(holder) = s.app().runner.holder(backup.id.as_str()).await.unwrap() {
        s.end(&holder.id).await;
    }
    let row = s.look(backup).await;
    let copy = row.copies.iter().find(|c| c.storage_name == "second").unwrap();
    (copy.tries, copy.is_good())
}

#[tokio::test]
async fn what_a_storage_missed_is_completed_when_it_is_well_again() {
    let s = Stand::new().await;
    let backup = partial(&s.world, &s.desk, Shop { engine: "memo", replicas: 0 }).await.unwrap();
    assert_eq!(task(&s, &backup).await, (0, false), "not at once");
    s.world.outside.faults.switch("storage.breaks.second", true);
    age(&s, &backup, 11).await;
    assert_eq!(task(&s, &backup).await, (1, false), "it is still not well");
    s.world.outside.faults.switch("storage.breaks.second", false);
    age(&s, &backup, 11).await;
    assert_eq!(task(&s, &backup).await, (1, false), "later and later");
    age(&s, &backup, 41).await;
    assert_eq!(task(&s, &backup).await, (0, true));
    assert_eq!(s.look(&backup).await.status, BackupStatus::Completed);
    s.is_sound().await;
}

#[tokio::test]
async fn a_storage_without_room_is_not_written_to_and_without_any_the_engine_is_not_asked() {
    let s = Stand::new().await;
    let cluster = s.desk.deploy("shop", "memo", 0).await.unwrap();
    s.world.write(&cluster, "a").unwrap();
    add_second(&s.desk, None).await.unwrap();
    let faults = &s.world.outside.faults;
    faults.switch("storage.full.second", true);
    let backup = into_both(&s.desk, &cluster).await.unwrap();
    let said = backup.copies.iter().find(|c| c.storage_name == "second").unwrap().error.clone().unwrap();
    assert_eq!((backup.status, s.world.rows_in(&backup)), (BackupStatus::Partial, vec!["a".to_string()]));
    assert!(said.starts_with("storage second has 1 MiB free, and about ") && said.contains("delete backups there"), "{said}");

    faults.switch("storage.full.local", true);
    let captures = faults.visits("engine.capture");
    let new = NewBackup { storages: vec!["local".into(), "second".into()], ..NewBackup::default() };
    let (backup, id) = backups::create(s.app(), &somebody(), &cluster, new).await.unwrap();
    let view = s.end(&id).await;
    assert_eq!((view.status, view.error.unwrap().code.as_str()), (Status::Failed, "no_room"));
    assert_eq!((s.look(&backup).await.status, faults.visits("engine.capture")), (BackupStatus::Failed, captures));
    s.is_sound().await;
    // That nobody knows how much there is, is no reason not to try.
    ["local", "second"].iter().for_each(|name| faults.switch(&format!("storage.full.{name}"), false));
    faults.fail("storage.free", 2, Error::unavailable("away", "it does not say"));
    assert_eq!(into_both(&s.desk, &cluster).await.unwrap().status, BackupStatus::Completed);
}

#[tokio::test]
async fn no_backup_is_made_by_a_clock_that_is_behind_the_newest() {
    struct Late(Time);
    impl mainstay_operations::Clock for Late {
        fn now(&self) -> Time {
            self.0
        }
    }
    let Stand { world, desk } = Stand::new().await;
    let (cluster, first) = Shop { engine: "memo", replicas: 0 }.open(&world, &desk).await.unwrap();
    let finished = backups::get(&desk.app, &first.id).await.unwrap().finished_at.unwrap();
    desk.close().await;
    for (behind, status) in [(200, Status::Succeeded), (400, Status::Failed)] {
        world.set_clock(std::sync::Arc::new(Late(finished.plus_seconds(-behind))));
        let desk = world.desk().await.unwrap();
        let (_, id) = backups::create(&desk.app, &somebody(), &cluster, NewBackup::default()).await.unwrap();
        let view = ended(&desk.app.runner, &id).await.unwrap();
        assert_eq!((view.status, view.error.map(|e| e.code)), (status, (behind == 400).then(|| "clock_behind".to_string())));
        desk.close().await;
    }
}

#[tokio::test]
async fn what_is_superseded_in_a_storage_is_not_made_good_for() {
    let s = Stand::new().await;
    let backup = partial(&s.world, &s.desk, Shop { engine: "memo", replicas: 0 }).await.unwrap();
    let cluster = mainstay_testkit::world::cluster(s.app(), "shop").await.unwrap();
    into_both(&s.desk, &cluster).await.unwrap();
    age(&s, &backup, 11).await;
    assert_eq!(task(&s, &backup).await, (0, false));
    assert_eq!(s.look(&backup).await.status, BackupStatus::Partial);
}

#[tokio::test]
async fn dual_region_is_two_labels_or_a_refusal() {
    let s = Stand::new().await;
    let cluster = s.desk.deploy("shop", "memo", 0).await.unwrap();
    let dual = || NewBackup { dual_region: true, ..NewBackup::default() };
    let refused = backups::create(s.app(), &somebody(), &cluster, dual()).await.unwrap_err();
    assert_eq!(refused.code, "one_region");
    for (name, region) in [("eu-one", "eu-1"), ("eu-two", "eu-1"), ("us-one", "us-1")] {
        let place = Place::Local { path: format!("/srv/{name}").into() };
        let new = NewStorage { name: name.into(), place, region: Some(region.into()), secret: None, limits: Default::default() };
        storages::add(s.app(), &project(s.app()).await.unwrap().id, new).await.unwrap();
    }
    let (backup, id) = backups::create(s.app(), &somebody(), &cluster, dual()).await.unwrap();
    s.desk.done(&id).await.unwrap();
    let made = s.look(&backup).await;
    let names: Vec<_> = made.copies.iter().map(|c| c.storage_name.as_str()).collect();
    assert_eq!((names, made.status), (vec!["eu-one", "us-one"], BackupStatus::Completed));
    let named = NewBackup { storages: vec!["eu-one".into(), "eu-two".into()], ..dual() };
    assert_eq!(backups::create(s.app(), &somebody(), &cluster, named).await.unwrap_err().code, "one_region");
}

#[tokio::test]
async fn a_group_backup_is_what_its_parts_are() {
    let s = Stand::new().await;
    let mut members = vec![];
    for (name, engine) in [("shop", "memo"), ("store", "ledger")] {
        let cluster = s.desk.deploy(name, engine, 0).await.unwrap();
        s.world.write(&cluster, "a").unwrap();
        members.push(cluster);
    }
    add_second(&s.desk, None).await.unwrap();
    for cluster in &members {
        into_both(&s.desk, cluster).await.unwrap();
    }
    let project = project(s.app()).await.unwrap().id;
    let names = ["shop".to_string(), "store".to_string()];
    let group = groups::create(s.app(), &project, "both", &names).await.unwrap().group;
    s.world.outside.faults.switch("storage.gone.second", true);
    let new = NewBackup { storages: vec!["local".into(), "second".into()], ..NewBackup::default() };
    let (whole, id) = groups::back_up(s.app(), &somebody(), &group, new).await.unwrap();
    s.end(&id).await;
    s.world.outside.faults.switch("storage.gone.second", false);
    let look = || async { groups::resolve_backup(s.app(), &project, whole.id.as_str()).await.unwrap() };
    let now = look().await;
    assert_eq!((now.whole.status, now.is_restorable()), (GroupBackupStatus::Partial, true), "{now:?}");
    assert!(now.whole.error.as_ref().unwrap().contains("second"), "{now:?}");

    for (done, (_, part)) in now.parts.iter().enumerate() {
        assert_eq!(s.copy(part.as_ref().unwrap(), "second").await.unwrap().status, Status::Succeeded);
        let wanted = if done == 0 { GroupBackupStatus::Partial } else { GroupBackupStatus::Completed };
        let stored = store::groups::backup(&mut s.app().store.read().await.unwrap(), &whole.id).await.unwrap();
        assert_eq!((stored.status, stored.error.is_none()), (wanted, done == 1), "told of when it happens");
    }
    // And no more than its parts: one that is found damaged everywhere takes the whole with it.
    let part = look().await.parts[0].1.clone().unwrap();
    for copy in &part.copies {
        s.world.outside.storages.damage_in(&copy.storage_name, copy.snapshot.as_ref().unwrap());
    }
    let id = backups::verify(s.app(), &somebody(), &part).await.unwrap();
    assert_eq!(s.end(&id).await.status, Status::Failed);
    let now = look().await;
    assert_eq!((now.whole.status, now.is_restorable()), (GroupBackupStatus::Failed, false), "{now:?}");
}

/// So many newer rows like it that it is on no first page.
async fn buried(s: &Stand, like: &Backup) {
    let mut tx = s.app().store.begin_write().await.unwrap();
    for n in 0..130 {
        let mut row = Backup { id: mainstay_model::BackupId::new(), created_at: like.created_at.plus_seconds(n + 1), ..like.clone() };
        row.copies.iter_mut().for_each(|c| c.tries = 99);
        store::backups::insert(&mut tx, &row).await.unwrap();
    }
    store::commit(tx).await.unwrap();
}

#[tokio::test]
async fn an_old_copy_is_completed_however_many_newer_ones_are_missing() {
    let s = Stand::new().await;
    let backup = partial(&s.world, &s.desk, Shop { engine: "memo", replicas: 0 }).await.unwrap();
    age(&s, &backup, 11).await;
    buried(&s, &s.look(&backup).await).await;
    assert_eq!(task(&s, &backup).await, (0, true));
}

#[tokio::test]
async fn old_backups_are_locked_as_the_newest_are() {
    let s = Stand::new().await;
    let (_, backup) = Shop { engine: "memo", replicas: 0 }.open(&s.world, &s.desk).await.unwrap();
    let mut old = s.look(&backup).await;
    old.expires_at = Some(s.app().now().plus_days(30));
    let mut tx = s.app().store.begin_write().await.unwrap();
    store::backups::update(&mut tx, &old).await.unwrap();
    let row = store::storages::get(&mut tx, &old.copies[0].storage).await.unwrap();
    let rows = vec![mainstay_model::backup::Check::new("object_lock", true, "yes")];
    let last_check = Some(mainstay_model::backup::LastCheck { at: s.app().now(), ok: true, rows });
    store::storages::update(&mut tx, &store::storages::StorageRow { last_check, ..row }).await.unwrap();
    store::commit(tx).await.unwrap();
    buried(&s, &old).await;
    let asked = async || s.look(&old).await.copies[0].lock.is_some();
    mainstay_control::tasks::lock::newest(s.app()).await.unwrap();
    assert!(!asked().await);
    mainstay_control::tasks::lock::all(s.app()).await.unwrap();
    assert!(asked().await);
}
