//! Other master keys for what is backed up from now on, and all that was backed up before as good as ever.

use crate::scene::{Shop, Story, wrong};
use async_trait::async_trait;
use mainstay_control::{
    App,
    backups::{self, NewBackup},
    copies,
    ops::rekey_storage::RekeyStorage,
    projects,
    recovery::{self, From},
    restores::{self, RestoreRequest},
    storages,
};
use mainstay_model::{
    Kind, OperationId, Result,
    backup::{Backup, BackupStatus},
    cluster::Cluster,
};
use mainstay_operations::Operation;
use mainstay_store::{self as store, storages::StorageRow};
use mainstay_testkit::{
    World,
    world::{Desk, cluster, project, somebody},
};

async fn named(app: &App, name: &str) -> Result<StorageRow> {
    storages::resolve(app, &project(app).await?.id, name).await
}

#[derive(Clone)]
pub struct Rekey(pub Shop);

#[async_trait]
impl Story for Rekey {
    fn kind(&self) -> &'static str {
        RekeyStorage::KIND
    }
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()> {
        self.0.open(world, desk).await.map(drop)
    }
    async fn submit(&self, app: &App) -> Result<OperationId> {
        storages::rekey(app, &somebody(), &named(app, "local").await?).await
    }
    /// All or nothing: the old repositories under another name with all they have, the new ones under the
    /// old name with all that goes there.
    async fn check(&self, _: &World, app: &App, succeeded: bool) -> Result<()> {
        let (rows, shop) = (storages::list(app, &project(app).await?.id).await?, cluster(app, "shop").await?);
        let local = named(app, "local").await?;
        let mut conn = app.store.read().await?;
        let schedules = store::schedules::of_cluster(&mut conn, &shop.id).await?;
        let backup = store::backups::of_cluster(&mut conn, &shop.id).await?.remove(0);
        drop(conn);
        let goes_on = !schedules.is_empty() && schedules.iter().all(|s| s.storages == [local.id.clone()]);
        let copy = &backup.copies[0];
        let as_wanted = match succeeded {
            true => {
                let old = named(app, "local-edition-1").await?;
                let apart = (old.edition, local.edition, old.followed_by.as_ref()) == (1, 2, Some(&local.id)) && old.place == local.place;
                rows.len() == 2 && apart && copy.storage == old.id && copy.storage_name == "local-edition-1"
            }
            false => rows.len() == 1 && local.edition == 1 && copy.storage == local.id && copy.storage_name == "local",
        };
        if as_wanted && goes_on && backup.is_good() { Ok(()) } else { wrong(format!("{rows:?} {schedules:?} {backup:?}")) }
    }
}

struct Stand {
    world: World,
    desk: Desk,
    shop: Cluster,
    old: Backup,
}

impl Stand {
    /// A backup before, the storage rekeyed, a row and a backup since.
    async fn rekeyed() -> (Stand, Backup) {
        let world = World::new().await.unwrap();
        let desk = world.desk().await.unwrap();
        world.clients.stay_away(true);
        let (shop, old) = Shop { engine: "memo", replicas: 0 }.open(&world, &desk).await.unwrap();
        let id = storages::rekey(&desk.app, &somebody(), &named(&desk.app, "local").await.unwrap()).await.unwrap();
        desk.done(&id).await.unwrap();
        let new = desk.back_up(&shop).await.unwrap();
        let old = backups::get(&desk.app, &old.id).await.unwrap();
        (Stand { world, desk, shop, old }, new)
    }

    fn app(&self) -> &App {
        &self.desk.app
    }

    async fn restored(&self, backup: &Backup, name: &str) -> Vec<String> {
        let request = RestoreRequest { backup: Some(backup.id.to_string()), new: Some(name.into()), ..RestoreRequest::default() };
        let project = project(self.app()).await.unwrap();
        let plan = restores::plan(self.app(), &project.id, &request).await.unwrap();
        let (_, id) = restores::run(self.app(), &somebody(), &project.id, &request, &plan.hash).await.unwrap();
        self.desk.done(&id).await.unwrap();
        self.world.rows(&cluster(self.app(), name).await.unwrap().primary.unwrap())
    }
}

#[tokio::test]
async fn old_backups_and_new_ones_lie_beside_each_other_and_both_come_back() {
    let (s, new) = Stand::rekeyed().await;
    let published = s.world.outside.storages.published();
    let of = |b: &Backup| published.iter().find(|(_, all)| all.contains(&b.id.to_string())).map(|(address, _)| address.clone()).unwrap();
    assert_eq!(format!("{}.2", of(&s.old)), of(&new), "{published:?}");
    assert_eq!((s.old.copies[0].storage_name.as_str(), new.copies[0].storage_name.as_str()), ("local-edition-1", "local"));
    for backup in [&s.old, &new] {
        let id = backups::verify(s.app(), &somebody(), backup).await.unwrap();
        s.desk.done(&id).await.unwrap();
        assert!(backups::get(s.app(), &backup.id).await.unwrap().is_good());
    }
    assert_eq!(s.restored(&s.old, "before").await, ["a"]);
    assert_eq!(s.restored(&new, "since").await, ["a", "b"]);
    // Both are looked at.
    for name in ["local", "local-edition-1"] {
        let row = named(s.app(), name).await.unwrap();
        assert!(storages::check(s.app(), &row).await.unwrap().rows.iter().all(|r| r.ok));
    }
}

#[tokio::test]
async fn nothing_new_goes_to_the_old_repositories_and_they_go_when_they_are_empty() {
    let (s, new) = Stand::rekeyed().await;
    let into = NewBackup { storages: vec!["local-edition-1".into()], ..NewBackup::default() };
    let e = backups::create(s.app(), &somebody(), &s.shop, into).await.unwrap_err();
    assert!(e.code == "storage_rekeyed" && e.message.contains("new backups go to local"), "{e:?}");
    assert_eq!(copies::add(s.app(), &somebody(), &new, "local-edition-1").await.unwrap_err().code, "storage_rekeyed");
    let old = named(s.app(), "local-edition-1").await.unwrap();
    assert_eq!(storages::rekey(s.app(), &somebody(), &old).await.unwrap_err().code, "storage_rekeyed");
    assert_eq!(storages::remove(s.app(), &old).await.unwrap_err().code, "storage_in_use");
    let id = backups::delete(s.app(), &somebody(), &s.old).await.unwrap();
    s.desk.done(&id).await.unwrap();
    storages::remove(s.app(), &old).await.unwrap();
    // And once more.
    let id = storages::rekey(s.app(), &somebody(), &named(s.app(), "local").await.unwrap()).await.unwrap();
    s.desk.done(&id).await.unwrap();
    assert_eq!(named(s.app(), "local-edition-2").await.unwrap().edition, 2);
    assert_eq!(named(s.app(), "local").await.unwrap().edition, 3);
}

/// A backup that had begun before ends where it began.
#[tokio::test]
async fn what_is_under_way_ends_where_it_began() {
    let world = World::new().await.unwrap();
    let desk = world.desk().await.unwrap();
    world.clients.stay_away(true);
    let shop = desk.deploy("shop", "memo", 0).await.unwrap();
    world.outside.faults.switch("storage.stalls.local", true);
    let (backup, making) = backups::create(&desk.app, &somebody(), &shop, NewBackup::default()).await.unwrap();
    let id = storages::rekey(&desk.app, &somebody(), &named(&desk.app, "local").await.unwrap()).await.unwrap();
    desk.done(&id).await.unwrap();
    world.outside.faults.switch("storage.stalls.local", false);
    desk.done(&making).await.unwrap();
    let made = backups::get(&desk.app, &backup.id).await.unwrap();
    assert_eq!((made.status, made.copies[0].storage_name.as_str()), (BackupStatus::Completed, "local-edition-1"));
    let id = backups::verify(&desk.app, &somebody(), &made).await.unwrap();
    desk.done(&id).await.unwrap();
}

/// With nothing but the place and a key both are found, and the newest is brought back.
#[tokio::test]
async fn who_has_lost_all_else_finds_both() {
    let (s, new) = Stand::rekeyed().await;
    let project = project(s.app()).await.unwrap();
    let key = projects::recovery_key(s.app(), &project.id).await.unwrap();
    let from = From::Storage(Box::new(named(s.app(), "local").await.unwrap()));
    let found = recovery::look(s.app(), &from, &key).await.unwrap();
    let of_shop: Vec<_> = found.iter().filter(|r| r.cluster == s.shop.id).collect();
    assert_eq!(of_shop.iter().map(|r| (r.edition, r.opens, r.backups.len())).collect::<Vec<_>>(), [(1, true, 1), (2, true, 1)]);
    let chosen = |backup: Option<&str>| recovery::choose(&found, "shop", backup).map(|(r, b)| (r.edition, b.backup.clone()));
    assert_eq!(chosen(None).unwrap(), (2, new.id.clone()));
    assert_eq!(chosen(Some(s.old.id.as_str())).unwrap(), (1, s.old.id.clone()));
    assert_eq!(chosen(Some("bk_none")).unwrap_err().kind, Kind::NotFound);
}
