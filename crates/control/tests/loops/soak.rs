//! Random verbs, one upon another, with random faults, crashes and cancels; then a lull, in which
//! everything must come to a good end, and the world must be as it must be.
//!
//! `MAINSTAY_SOAK_SEED` repeats the decisions of a run, `MAINSTAY_SOAK_VERBS` says how many verbs.

use async_trait::async_trait;
use mainstay_control::{
    App,
    backups::{self, NewBackup},
    clusters::{self, Deletion},
    nodes,
    restores::{self, RestoreRequest},
};
use mainstay_model::{
    AllowEntry, ClusterId, Error, Kind, OperationId, Result, Time,
    backup::Backup,
    cluster::{Cluster, Wanted},
};
use mainstay_operations::{Faults, Filter, Point, Status, Verdict, View, When};
use mainstay_store::{Paging, restores::RestoreFilter};
use mainstay_testkit::{
    World,
    world::{Ack, Desk, hasty, project, somebody, topology, wish},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Splitmix: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    fn of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.below(all.len())].clone())
    }
}

/// Faults of the runner: any step may fail, any reply get lost, any moment be the last.
struct Chaos {
    calm: AtomicBool,
    dice: Mutex<Dice>,
}

#[async_trait]
impl Faults for Chaos {
    async fn at(&self, point: Point) -> Verdict {
        if self.calm.load(Ordering::SeqCst) {
            return Verdict::Go;
        }
        let mut dice = self.dice.lock().unwrap();
        match point.when {
            _ if dice.one_in(150) => Verdict::Crash,
            When::BeforeStep if dice.one_in(60) => Verdict::Fail(Error::failed("chaos", "a step failed")),
            When::AfterEffectBeforeRecord | When::AfterCommit if dice.one_in(60) => Verdict::LoseReply,
            _ => Verdict::Go,
        }
    }
}

struct Soak {
    world: World,
    desk: Desk,
    chaos: Arc<Chaos>,
    dice: Dice,
    told: Vec<String>,
}

const NAMES: [&str; 4] = ["one", "two", "three", "four"];
/// Where the outside may fail.
const POINTS: [&str; 16] = [
    "endpoint.set",
    "endpoint.remove",
    "engine.accounts",
    "engine.bootstrap",
    "engine.capture",
    "engine.configure",
    "engine.follow",
    "engine.join",
    "engine.leave",
    "engine.promote",
    "engine.stop_writes",
    "runtime.ensure",
    "runtime.stop",
    "storage.get",
    "storage.publish",
    "storage.put",
];

impl Soak {
    async fn new(seed: u64) -> Result<Soak> {
        let world = World::new().await?;
        let chaos = Arc::new(Chaos { calm: AtomicBool::new(true), dice: Mutex::new(Dice(!seed)) });
        let desk = Self::start(&world, &chaos).await?;
        for (name, engine) in [("one", "memo"), ("two", "ledger")] {
            let cluster = desk.deploy(name, engine, 1).await?;
            world.write(&cluster, "a")?;
            desk.back_up(&cluster).await?;
        }
        Ok(Soak { world, desk, chaos, dice: Dice(seed), told: vec![] })
    }

    async fn start(world: &World, chaos: &Arc<Chaos>) -> Result<Desk> {
        let mut options = hasty();
        options.faults = chaos.clone();
        world.desk_with(options).await
    }

    fn app(&self) -> &App {
        &self.desk.app
    }

    /// A new control plane takes over from one that died; the agent may have died with it.
    async fn reboot(&mut self) -> Result<()> {
        self.desk.app.runner.stopped().await;
        if self.dice.one_in(2) {
            self.world.kill_agent().await;
            self.world.start_agent().await?;
        }
        self.desk = Self::start(&self.world, &self.chaos).await?;
        Ok(())
    }

    /// Until it has ended, or it or a child of it is stuck, whoever dies meanwhile.
    async fn drive(&mut self, id: &OperationId) -> Result<View> {
        let begun = Instant::now();
        loop {
            let app = self.desk.app.clone();
            let view = tokio::select! {
                biased;
                _ = app.runner.died() => None,
                view = tokio::time::timeout(Duration::from_millis(100), app.runner.wait(id)) => Some(view),
            };
            match view {
                None => self.reboot().await?,
                Some(Err(_)) if begun.elapsed() > Duration::from_secs(20) => {
                    return Err(Error::timed_out(format!("{:?}", app.runner.get(id).await?)));
                }
                Some(Err(_)) => {
                    let all = app.runner.list(Filter::default(), None, 1000).await?.items;
                    let key = app.runner.get(id).await?.cluster_key;
                    if let Some(stuck) = all.into_iter().find(|v| v.status == Status::Stuck && v.cluster_key == key) {
                        return Ok(stuck);
                    }
                }
                Some(Ok(view)) => {
                    let view = view?;
                    if view.status.is_final() || view.status == Status::Stuck {
                        return Ok(view);
                    }
                }
            }
        }
    }

    async fn turn(&mut self) -> Result<()> {
        if self.dice.one_in(2) {
            let point = POINTS[self.dice.below(POINTS.len())];
            let faults = &self.world.outside.faults;
            match self.dice.below(3) {
                0 => faults.lose_reply(point),
                1 => faults.fail(point, 1, Error::unavailable("chaos", "it does not answer")),
                _ => faults.fail(point, 1, Error::failed("chaos", "it is broken")),
            }
        }
        let verb = self.dice.below(VERBS.len());
        let submitted = self.verb(VERBS[verb]).await;
        self.told.push(format!("{} {:?}", VERBS[verb], submitted.as_ref().map_err(|e| &e.message)));
        let id = match submitted {
            Ok(Some(id)) => id,
            Ok(None) => return Ok(()),
            Err(e) if matches!(e.kind, Kind::Internal | Kind::Integrity) => return Err(e),
            // Refused: somebody holds it, it is stopped, there is nothing to do it to.
            Err(_) => return Ok(()),
        };
        if self.dice.one_in(8) {
            tokio::time::sleep(Duration::from_millis(self.dice.below(15) as u64)).await;
            let _ = self.app().runner.cancel(&id, "soak").await;
        }
        if self.dice.one_in(12) {
            tokio::time::sleep(Duration::from_millis(self.dice.below(10) as u64)).await;
            self.world.kill_agent().await;
            self.world.start_agent().await?;
        }
        // The next verb comes while this one is under way.
        if self.dice.one_in(6) {
            return Ok(());
        }
        let view = self.drive(&id).await?;
        self.told.push(format!("    {:?} {}", view.status, view.sentence));
        if view.status == Status::Stuck && self.dice.one_in(2) {
            let _ = self.app().runner.retry(&view.id, "soak").await;
        }
        Ok(())
    }

    async fn clusters(&self) -> Result<Vec<Cluster>> {
        let project = project(self.app()).await?.id;
        let page = clusters::list(self.app(), &project, false, &Paging::new(None, None)?).await?;
        Ok(page.items.into_iter().map(|v| v.cluster).collect())
    }

    async fn verb(&mut self, verb: &str) -> Result<Option<OperationId>> {
        let (app, by) = (self.desk.app.clone(), somebody());
        let (all, project) = (self.clusters().await?, project(&app).await?);
        let backups: Vec<Backup> = self.world.backups().await?;
        let name = NAMES[self.dice.below(NAMES.len())];
        if verb == "create" {
            let engine = if self.dice.one_in(2) { "memo" } else { "ledger" };
            let replicas = self.dice.below(3) as u32;
            return Ok(Some(clusters::create(&app, &by, &project, wish(name, engine, replicas)).await?.1));
        }
        if let "verify" | "drill" | "delete_backup" | "restore_new" | "restore_in_place" = verb {
            let Some(backup) = self.dice.of(&backups) else { return Ok(None) };
            let restore = match verb {
                "verify" => return backups::verify(&app, &by, &backup).await.map(Some),
                "drill" => return backups::drill(&app, &by, &backup).await.map(Some),
                "delete_backup" => return backups::delete(&app, &by, &backup).await.map(Some),
                "restore_new" => RestoreRequest { new: Some(name.into()), ..RestoreRequest::default() },
                _ => RestoreRequest { to: Some(name.into()), confirm: Some(name.into()), ..RestoreRequest::default() },
            };
            let request = RestoreRequest { backup: Some(backup.id.to_string()), ..restore };
            let hash = restores::plan(&app, &project.id, &request).await?.hash;
            return Ok(Some(restores::run(&app, &by, &project.id, &request, &hash).await?.1));
        }
        if verb == "undo_restore" {
            let made = restores::list(&app, &RestoreFilter::default(), &Paging::new(None, None)?).await?.items;
            let Some(restore) = self.dice.of(&made) else { return Ok(None) };
            return restores::undo(&app, &by, &restore).await.map(Some);
        }
        let Some(cluster) = self.dice.of(&all) else { return Ok(None) };
        self.upon(verb, &app, &cluster).await.map(Some)
    }

    async fn upon(&mut self, verb: &str, app: &App, cluster: &Cluster) -> Result<OperationId> {
        let by = somebody();
        let shop = topology(app, cluster.name.as_str()).await?;
        let names: Vec<String> = shop.nodes.iter().map(|n| n.name.clone()).collect();
        let node = self.dice.of(&names).unwrap_or_default();
        match verb {
            "back_up" => Ok(backups::create(app, &by, cluster, NewBackup::default()).await?.1),
            "stop" => clusters::stop(app, &by, cluster).await,
            "start" => clusters::start(app, &by, cluster).await,
            "restart" => clusters::restart(app, &by, cluster).await,
            "rotate" => clusters::rotate(app, &by, cluster).await,
            "configure" => {
                let pages = self.dice.below(1000) + 1;
                clusters::configure(app, &by, cluster, [("pages".to_string(), Some(pages.to_string()))].into()).await
            }
            "allow" => clusters::set_allow_list(app, &by, cluster, vec![AllowEntry::parse("127.0.0.0/8", "", 0)?]).await,
            "add_node" => Ok(nodes::add(app, &by, cluster).await?.1),
            "remove_node" => nodes::remove(app, &by, cluster, &node, Some(&node)).await,
            "promote" => nodes::promote(app, &by, cluster, &node, false, Some(&node)).await,
            "reboot" => nodes::reboot(app, &by, cluster, &node).await,
            "resync" => clusters::resync(app, &by, cluster, &[], Some(cluster.name.as_str())).await,
            "delete" => {
                let how = Deletion {
                    skip_final_backup: self.dice.one_in(3),
                    keep_backups: self.dice.one_in(2),
                    confirm: Some(cluster.name.to_string()),
                };
                clusters::delete(app, &by, cluster, how).await
            }
            other => Err(Error::internal(format!("no verb {other}"))),
        }
    }

    /// No more faults. What is under way ends, what is stuck is tried again, and each ends well.
    async fn lull(&mut self) -> Result<()> {
        self.chaos.calm.store(true, Ordering::SeqCst);
        self.world.outside.faults.clear();
        if tokio::time::timeout(Duration::ZERO, self.desk.app.runner.died()).await.is_ok() {
            self.reboot().await?;
        }
        for _ in 0..4 {
            let all = self.app().runner.list(Filter::default(), None, 1000).await?.items;
            // Parents come after the children they wait for.
            let mut active: Vec<View> = all.into_iter().filter(|v| v.status.is_active()).collect();
            active.sort_by_key(|v| v.parent.is_none());
            if active.is_empty() {
                return Ok(());
            }
            for view in active {
                let now = self.app().runner.get(&view.id).await?;
                if now.status == Status::Stuck {
                    self.app().runner.retry(&view.id, "soak").await?;
                }
                let end = self.drive(&view.id).await?;
                self.told.push(format!("lull: {} {:?} {}", end.kind, end.status, end.sentence));
            }
        }
        let all = self.app().runner.list(Filter::default(), None, 1000).await?.items;
        let left: Vec<_> = all.into_iter().filter(|v| v.status.is_active()).map(|v| (v.kind, v.sentence)).collect();
        if left.is_empty() { Ok(()) } else { Err(Error::failed("left", format!("not ended in the lull: {left:?}"))) }
    }

    /// Writes up to the end of a restore that worked were given up by it, or stand aside.
    async fn given_up(&self) -> Result<BTreeMap<ClusterId, Time>> {
        let mut until = BTreeMap::new();
        for view in self.app().runner.list(Filter::default(), None, 1000).await?.items {
            let restores = ["restore_in_place", "undo_restore"].contains(&view.kind.as_str()) && view.status == Status::Succeeded;
            let cluster = view.cluster_key.as_deref().and_then(ClusterId::parse);
            if let (true, Some(cluster), Some(at)) = (restores, cluster, view.finished_at) {
                let latest = until.entry(cluster).or_insert(at);
                *latest = (*latest).max(at);
            }
        }
        Ok(until)
    }

    /// Everything serves again, every backup that counts can be read, and nothing is wrong.
    async fn judge(&mut self) -> Result<()> {
        let (app, by) = (self.desk.app.clone(), somebody());
        for cluster in self.clusters().await?.iter().filter(|c| c.wanted == Wanted::Stopped) {
            self.desk.done(&clusters::start(&app, &by, cluster).await?).await?;
        }
        for backup in self.world.backups().await?.iter().filter(|b| b.is_restorable()) {
            self.desk.done(&backups::verify(&app, &by, backup).await?).await?;
        }
        let until = self.given_up().await?;
        let excused = |a: &Ack| until.get(&a.cluster).is_some_and(|t| a.at <= *t);
        let faults = self.world.faults(excused).await?;
        if faults.is_empty() { Ok(()) } else { Err(Error::failed("faults", faults.join("\n"))) }
    }

    async fn run(&mut self, verbs: usize) -> Result<()> {
        // Several lulls, so that what goes wrong is found near its cause.
        for _ in 0..verbs.div_ceil(20) {
            self.chaos.calm.store(false, Ordering::SeqCst);
            for _ in 0..20.min(verbs) {
                self.turn().await?;
            }
            self.lull().await?;
            self.judge().await?;
            self.told.clear();
        }
        Ok(())
    }
}

const VERBS: [&str; 21] = [
    "create",
    "delete",
    "stop",
    "start",
    "start",
    "restart",
    "rotate",
    "configure",
    "allow",
    "add_node",
    "remove_node",
    "promote",
    "reboot",
    "resync",
    "back_up",
    "verify",
    "drill",
    "delete_backup",
    "restore_in_place",
    "restore_new",
    "undo_restore",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test]
async fn whatever_happens_a_lull_mends_it() {
    let seed = number("MAINSTAY_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()) ^ mainstay_testkit::now().micros() as u64);
    println!("MAINSTAY_SOAK_SEED={seed}");
    let mut soak = Soak::new(seed).await.unwrap();
    let verbs = number("MAINSTAY_SOAK_VERBS").unwrap_or(100) as usize;
    if let Err(e) = soak.run(verbs).await {
        panic!("MAINSTAY_SOAK_SEED={seed}: {}: {} {:?}\n{}", e.code, e.message, e.inside, soak.told.join("\n"));
    }
}
