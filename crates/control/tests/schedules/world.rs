//! A control plane on a clock of the test's, with a real store and journal. Nothing works on its
//! operations: tests say how backups end.

use mainstay_control::{App, Options, Parts, clusters, projects, schedules, storages};
use mainstay_model::{
    Time,
    backup::{Backup, BackupKind, BackupStatus, Proof},
    cluster::{Cluster, Mode, SocketAddress, Wanted},
};
use mainstay_operations::{Clock, RunnerOptions};
use mainstay_store::{self as store, Paging, Sealer, Store, backups::BackupFilter};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

#[derive(Default)]
pub struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

pub struct World {
    pub app: Arc<App>,
    pub clock: Arc<Hand>,
    url: String,
    dir: tempfile::TempDir,
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    pub async fn at(now: Time) -> World {
        let (dir, clock) = (scratch(), Arc::new(Hand::default()));
        clock.0.store(now.micros(), Ordering::SeqCst);
        let url = store::sqlite_url(&dir.path().join("db")).unwrap();
        World { app: open(&url, dir.path(), &clock).await, clock, url, dir }
    }

    /// Another control plane over the same store and clock.
    pub async fn another(&self) -> Arc<App> {
        open(&self.url, self.dir.path(), &self.clock).await
    }

    /// As after a kill: nothing is kept but the store.
    pub async fn restart(&mut self) {
        let fresh = self.another().await;
        let old = std::mem::replace(&mut self.app, fresh);
        old.store.close().await;
    }

    pub fn set(&self, now: Time) {
        self.clock.0.store(now.micros(), Ordering::SeqCst);
    }

    pub async fn tick(&self) -> Option<Time> {
        mainstay_control::tasks::schedule::tick(&self.app).await.unwrap()
    }

    /// A cluster that runs, without a schedule.
    pub async fn cluster(&self, name: &str) -> Cluster {
        let project = projects::resolve(&self.app, projects::DEFAULT).await.unwrap();
        let cluster = Cluster {
            id: Default::default(),
            project: project.id,
            name: mainstay_model::ClusterName::parse(name).unwrap(),
            engine: "memo".into(),
            version: "1".into(),
            mode: Mode::Single,
            wanted: Wanted::Running,
            phase: None,
            phase_reason: None,
            primary: None,
            protected: false,
            auto_failover: true,
            settings: Default::default(),
            allow_list: vec![],
            read_write: SocketAddress { host: String::new(), port: 1 },
            read_only: None,
            next_node: 1,
            generation: 0,
            created_at: self.app.now(),
            deleted_at: None,
            bin: None,
            log: None,
        };
        let mut tx = self.app.store.begin_write().await.unwrap();
        store::clusters::insert(&mut tx, &cluster).await.unwrap();
        store::commit(tx).await.unwrap();
        cluster
    }

    pub async fn want(&self, cluster: &Cluster, wanted: Wanted) {
        let cluster = Cluster { wanted, ..clusters::resolve(&self.app, &cluster.project, cluster.id.as_str()).await.unwrap() };
        let mut tx = self.app.store.begin_write().await.unwrap();
        store::clusters::update(&mut tx, &cluster).await.unwrap();
        store::commit(tx).await.unwrap();
    }

    /// Newest first.
    pub async fn backups(&self, cluster: &Cluster) -> Vec<Backup> {
        let filter = BackupFilter { cluster: Some(cluster.id.clone()), ..Default::default() };
        let mut conn = self.app.store.read().await.unwrap();
        store::backups::list(&mut conn, &filter, &Paging::new(Some(500), None).unwrap()).await.unwrap().items
    }

    /// Every backup that is being made ends so.
    pub async fn end_backups(&self, status: BackupStatus) {
        let filter = BackupFilter { status: Some(BackupStatus::Running), ..Default::default() };
        let mut tx = self.app.store.begin_write().await.unwrap();
        for mut backup in store::backups::list(&mut tx, &filter, &Paging::new(Some(500), None).unwrap()).await.unwrap().items {
            assert_eq!(backup.kind, BackupKind::Scheduled);
            (backup.status, backup.proof, backup.finished_at) = (status, Proof::Verified, Some(self.app.now()));
            store::backups::update(&mut tx, &backup).await.unwrap();
        }
        store::commit(tx).await.unwrap();
    }
}

async fn open(url: &str, dir: &std::path::Path, clock: &Arc<Hand>) -> Arc<App> {
    let parts = Parts {
        store: Store::open(url, Sealer::from_key([5; 32])).await.unwrap(),
        agent: mainstay_rpc::Agent::on_socket(dir.join("nobody.sock")).unwrap(),
        clock: clock.clone(),
        options: Options { default_storage: dir.join("storage"), schedule_jitter_seconds: 0, ..Options::default() },
        runner_options: RunnerOptions::default(),
        notifiers: Arc::new(mainstay_testkit::FakeNotifiers::default()),
    };
    App::open(parts).await.unwrap()
}

/// `schedule set` with days and hours; none of either is every.
pub fn wish(name: &str, timing: &mainstay_model::schedule::Timing) -> schedules::SetSchedule {
    schedules::SetSchedule {
        name: Some(name.into()),
        days: Some(timing.days.clone()),
        hours: Some(timing.hours.clone()),
        time_zone: Some(timing.time_zone.clone()),
        retention: None,
        retention_days: None,
        keep_last: None,
        storages: Some(vec![storages::DEFAULT.into()]),
        copy_retention: None,
        overlap: None,
    }
}
