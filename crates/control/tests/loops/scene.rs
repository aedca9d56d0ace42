//! A story (what there is, what is asked for, what must have come of it) as a scenario of the
//! harness, each time in a world of its own.

use async_trait::async_trait;
use mainstay_control::{App, clusters};
use mainstay_model::{
    BackupId, Error, OperationId, Result,
    backup::{Backup, BackupKind},
    cluster::Cluster,
};
use mainstay_operations::{
    Runner, RunnerOptions, Status,
    harness::{self, Booted, Report, Scenario, Stage},
};
use mainstay_testkit::{
    World,
    world::{Ack, Desk, Saved, somebody},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

#[async_trait]
pub trait Story: Clone + Send + Sync + 'static {
    fn kind(&self) -> &'static str;

    /// What there must be before, made by a desk that nothing disturbs.
    async fn prepare(&self, world: &World, desk: &Desk) -> Result<()>;

    async fn submit(&self, app: &App) -> Result<OperationId>;

    /// Backups of this kind are made on the way and stay, also when the rest is undone.
    fn leaves(&self) -> Option<BackupKind> {
        None
    }

    /// Whether the operation, when it succeeded, gave up this acknowledged write on purpose.
    fn gives_up(&self, world: &World, ack: &Ack) -> bool {
        let _ = (world, ack);
        false
    }

    /// What must be true at the end beside what is true of every world.
    async fn check(&self, world: &World, app: &App, succeeded: bool) -> Result<()> {
        let _ = (world, app, succeeded);
        Ok(())
    }
}

/// What most stories begin with: the cluster `shop` with a row, a backup of it, and a row since.
#[derive(Clone, Copy)]
pub struct Shop {
    pub engine: &'static str,
    pub replicas: u32,
}

impl Shop {
    pub async fn open(&self, world: &World, desk: &Desk) -> Result<(Cluster, Backup)> {
        let cluster = desk.deploy("shop", self.engine, self.replicas).await?;
        world.write(&cluster, "a")?;
        let backup = desk.back_up(&cluster).await?;
        world.write(&cluster, "b")?;
        Ok((cluster, backup))
    }

    /// The same, and stopped.
    pub async fn close(&self, world: &World, desk: &Desk) -> Result<()> {
        let (cluster, _) = self.open(world, desk).await?;
        desk.done(&clusters::stop(&desk.app, &somebody(), &cluster).await?).await.map(drop)
    }
}

pub fn wrong<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::failed("wrong", what))
}

/// All plays of a story begin in the same world, which is made once and put back each time.
pub struct Scene<S> {
    story: S,
    made: tokio::sync::OnceCell<Made>,
}

struct Made {
    world: Arc<World>,
    begin: Saved,
}

struct Set<S> {
    story: S,
    world: Arc<World>,
    /// What there was before.
    backups: BTreeSet<BackupId>,
    boots: AtomicUsize,
    app: Mutex<Option<Arc<App>>>,
    operation: Mutex<Option<OperationId>>,
}

#[async_trait]
impl<S: Story> Scenario for Scene<S> {
    type World = App;

    fn kind(&self) -> &'static str {
        self.story.kind()
    }

    async fn stage(&self) -> Result<Box<dyn Stage<App>>> {
        let Made { world, begin } = self.made.get_or_try_init(|| self.make()).await?;
        world.put_back(begin).await?;
        let backups = world.backups().await?.into_iter().map(|b| b.id).collect();
        let (story, world) = (self.story.clone(), world.clone());
        Ok(Box::new(Set { story, world, backups, boots: AtomicUsize::new(0), app: Mutex::default(), operation: Mutex::default() }))
    }
}

impl<S: Story> Scene<S> {
    async fn make(&self) -> Result<Made> {
        let world = Arc::new(World::new().await?);
        let desk = world.desk().await?;
        world.clients.stay_away(true);
        self.story.prepare(&world, &desk).await.map_err(|e| e.context("preparing"))?;
        world.clients.stay_away(false);
        desk.close().await;
        Ok(Made { begin: world.save().await?, world })
    }
}

impl<S: Story> Set<S> {
    fn app(&self) -> Arc<App> {
        self.app.lock().unwrap().clone().expect("it was booted")
    }

    async fn left(&self) -> Result<BTreeSet<BackupId>> {
        let Some(kind) = self.story.leaves() else { return Ok(BTreeSet::new()) };
        let all = self.world.backups().await?;
        Ok(all.into_iter().filter(|b| b.kind == kind && !self.backups.contains(&b.id)).map(|b| b.id).collect())
    }

    /// What must be true now that the operation has ended.
    async fn judge(&self) -> Result<()> {
        let Some(id) = self.operation.lock().unwrap().clone() else { return Ok(()) };
        let app = self.app();
        let succeeded = app.runner.get(&id).await?.status == Status::Succeeded;
        let faults = self.world.faults(|ack| succeeded && self.story.gives_up(&self.world, ack)).await?;
        if !faults.is_empty() {
            return Err(Error::failed("faults", format!("succeeded {succeeded}:\n{}", faults.join("\n"))));
        }
        self.story.check(&self.world, &app, succeeded).await
    }
}

#[async_trait]
impl<S: Story> Stage<App> for Set<S> {
    /// Every second time the agent is a new one too.
    async fn boot(&self, options: RunnerOptions) -> Result<Booted<App>> {
        if self.boots.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            self.world.kill_agent().await;
            self.world.start_agent().await?;
        }
        let app = self.world.open(options).await?;
        *self.app.lock().unwrap() = Some(app.clone());
        Ok(Booted { runner: app.runner.clone(), world: app })
    }

    async fn submit(&self, _: &Runner<App>) -> Result<OperationId> {
        let id = self.story.submit(&self.app()).await?;
        *self.operation.lock().unwrap() = Some(id.clone());
        Ok(id)
    }

    async fn snapshot(&self) -> Result<String> {
        self.judge().await?;
        self.world.snapshot(&self.left().await?).await
    }
}

/// All loops, and how long they took.
pub async fn survives<S: Story>(story: S) {
    let begun = Instant::now();
    let reports = harness::all(&Scene { story, made: Default::default() })
        .await
        .unwrap_or_else(|e| panic!("{}: {}\n{:?}", e.code, e.message, e.inside));
    let points = |r: &Report| format!("{} {}", r.check, r.points);
    println!("{}: {} in {:?}", reports[0].kind, reports.iter().map(points).collect::<Vec<_>>().join(", "), begun.elapsed());
}
