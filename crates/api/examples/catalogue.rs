//! How a control plane does with very many backups: a store is filled with `BACKUPS` of `CLUSTERS`, and
//! what people and standing tasks ask of it is timed.
//!
//! `cargo run --release -p mainstay-api --example catalogue [-- CLUSTERS EACH [STORE-URL]]`; see
//! `bench/catalogue.sh`. Nothing runs on the clusters: it is the store, the API and the tasks that are
//! looked at. The store is made in a new directory and removed, or is the PostgreSQL database named.

use mainstay_control::{App, Options, Parts, projects, retention, schedules, storages, tasks, tokens};
use mainstay_model::{
    BackupId, ClusterId, ClusterName, Result, Time,
    backup::{Backup, BackupKind, BackupStatus, Check, Copy, Facts, Proof},
    cluster::{Cluster, Mode, SocketAddress, Wanted},
    retention::Retention,
    schedule::{Schedule, Timing},
};
use mainstay_operations::{Clock, RunnerOptions};
use mainstay_store::{self as store, Sealer, Store, retention::Notes, storages::StorageRow};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

const DAY: i64 = 86_400;
/// How often each thing is timed; the median is told, and the slowest.
const ROUNDS: usize = 11;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Hand {
    fn set(&self, now: Time) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }
}

struct Scale {
    clusters: i64,
    each: i64,
}

async fn open(url: &str, dir: &std::path::Path, clock: &Arc<Hand>) -> Result<Arc<App>> {
    let parts = Parts {
        store: Store::open(url, Sealer::from_key([5; 32])).await?,
        agent: mainstay_rpc::Agent::on_socket(dir.join("nobody.sock"))?,
        clock: clock.clone(),
        options: Options { default_storage: dir.join("storage"), ..Options::default() },
        runner_options: RunnerOptions::default(),
        notifiers: Arc::new(mainstay_testkit::FakeNotifiers::default()),
    };
    App::open(parts).await
}

fn cluster(app: &App, storage: &StorageRow, n: i64) -> Result<Cluster> {
    Ok(Cluster {
        id: ClusterId::new(),
        project: storage.project.clone(),
        name: ClusterName::parse(&format!("shop-{n}"))?,
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
        read_write: SocketAddress { host: "127.0.0.1".into(), port: 1 },
        read_only: None,
        next_node: 1,
        generation: 0,
        created_at: app.now().plus_days(-400),
        deleted_at: None,
        bin: None,
        log: None,
    })
}

/// One of each day, the newest an hour old; a few failed, a few made by hand.
fn backup(cluster: &Cluster, schedule: &Schedule, storage: &StorageRow, created_at: Time, n: i64) -> Backup {
    let failed = n % 97 == 13;
    let status = if failed { BackupStatus::Failed } else { BackupStatus::Completed };
    let by_hand = n % 31 == 7;
    let copy = Copy {
        storage: storage.id.clone(),
        storage_name: storage.name.to_string(),
        kind: storage.kind.clone(),
        status,
        snapshot: (!failed).then(|| "5f2a0c9e7d1b4f6a8c3e5d7b9a1f2c4e6d8b0a2c4e6f8d0b2a4c6e8f0a1b3c5d".into()),
        added_bytes: Some(12_345_678),
        verified_at: (!failed).then_some(created_at),
        error: failed.then(|| "it does not answer".into()),
        tries: 0,
        tried_at: None,
        lock: None,
        expires_at: None,
        deleting_until: None,
    };
    Backup {
        part_of: None,
        id: BackupId::new(),
        project: cluster.project.clone(),
        cluster: cluster.id.clone(),
        cluster_name: cluster.name.clone(),
        kind: if by_hand { BackupKind::Manual } else { BackupKind::Scheduled },
        schedule: (!by_hand).then(|| schedule.id.clone()),
        status,
        proof: if failed { Proof::None } else { Proof::Verified },
        description: "schedule default".into(),
        engine: "memo".into(),
        engine_version: "1".into(),
        created_at,
        finished_at: Some(created_at.plus_seconds(40)),
        expires_at: Some(created_at.plus_days(400)),
        retention: Some(Retention::days(400)),
        pinned: false,
        deleting: None,
        data_bytes: Some(1 << 30),
        facts: Some(Facts { engine: "memo".into(), engine_version: "1".into(), history: "7341".into(), ..Facts::default() }),
        checks: vec![Check::new("read_back", !failed, "1073741824 bytes read back and good")],
        drill: None,
        error: failed.then(|| "local: it does not answer".into()),
        copies: vec![copy],
    }
}

/// Every cluster with its backups, its schedule (due at the next three o'clock) and a look of retention an
/// hour ago.
async fn fill(app: &App, scale: &Scale) -> Result<()> {
    let project = projects::resolve(app, projects::DEFAULT).await?.id;
    let storage = storages::resolve(app, &project, storages::DEFAULT).await?;
    let timing = Timing::new(Timing::every_day(), [3].into(), "UTC")?;
    for n in 0..scale.clusters {
        let cluster = cluster(app, &storage, n)?;
        let mut schedule = schedule(app, &cluster, &storage, &timing)?;
        mainstay_control::plan::schedule::afresh(&mut schedule, app.now(), rules())?;
        let mut tx = app.store.begin_write().await?;
        store::clusters::insert(&mut tx, &cluster).await?;
        store::schedules::insert(&mut tx, &schedule).await?;
        for n in 0..scale.each {
            let created_at = app.now().plus_seconds(-3600 - DAY * n);
            store::backups::insert(&mut tx, &backup(&cluster, &schedule, &storage, created_at, n)).await?;
        }
        store::retention::put_notes(&mut tx, &cluster.id, &Notes { at: app.now(), warnings: vec![] }).await?;
        store::commit(tx).await?;
    }
    Ok(())
}

fn rules() -> mainstay_control::plan::schedule::Rules {
    mainstay_control::plan::schedule::Rules { catch_up_seconds: 6 * 3600, jitter_seconds: 30 }
}

fn schedule(app: &App, cluster: &Cluster, storage: &StorageRow, timing: &Timing) -> Result<Schedule> {
    Ok(Schedule {
        id: Default::default(),
        project: cluster.project.clone(),
        owner: cluster.into(),
        name: mainstay_model::Name::parse(schedules::DEFAULT)?,
        enabled: true,
        timing: timing.clone(),
        retention: Retention::days(400),
        storages: vec![storage.id.clone()],
        copy_retention: Default::default(),
        done_until: app.now(),
        next_at: None,
        overlap: Default::default(),
        waiting: None,
        created_at: app.now().plus_days(-400),
    })
}

fn told(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what:<58} {:>9.1} ms   (slowest {:.1})", median.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3);
}

async fn timed<T>(what: &str, rounds: usize, mut work: impl AsyncFnMut() -> T) -> T {
    let (mut took, mut last) = (Vec::new(), None);
    for _ in 0..rounds {
        let begun = Instant::now();
        last = Some(work().await);
        took.push(begun.elapsed());
    }
    told(what, took);
    last.expect("at least one round")
}

struct Served {
    url: String,
    token: String,
    http: reqwest::Client,
}

impl Served {
    async fn get(&self, path: &str) -> serde_json::Value {
        let answer = self.http.get(format!("{}/api/v1{path}", self.url)).bearer_auth(&self.token).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.expect("JSON")
    }
}

/// The cursor of the last page but none: as if somebody had leafed to the end.
async fn near_the_end(app: &App, scale: &Scale) -> String {
    let mut conn = app.store.read().await.expect("the store");
    let all = store::clusters::all_alive(&mut conn).await.expect("clusters");
    let of = store::backups::of_cluster(&mut conn, &all[all.len() / 2].id).await.expect("backups");
    let last = &of[of.len() - 1];
    assert_eq!(of.len() as i64, scale.each);
    let key = ("backups", (last.created_at.micros(), last.id.to_string()));
    base64(&serde_json::to_vec(&key).expect("a cursor"))
}

/// URL-safe, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0u32, |n, i| n << 8 | u32::from(chunk.get(i).copied().unwrap_or(0)));
        (0..=chunk.len()).for_each(|i| out.push(DIGITS[(number >> (18 - 6 * i)) as usize & 63] as char));
    }
    out
}

async fn lists(served: &Served, cursor: &str) {
    let pages = [
        ("all backups of the project, first page of 100", "/backups?limit=100".to_string()),
        ("all backups, a page at the end, by its cursor", format!("/backups?limit=100&cursor={cursor}")),
        ("failed ones", "/backups?limit=100&status=failed".into()),
        ("made by hand and completed", "/backups?limit=100&kind=manual&status=completed".into()),
        ("those being deleted (there are none)", "/backups?limit=100&status=deleting".into()),
        ("backups of one cluster, each with why it is kept", "/backups?limit=100&cluster=shop-7".into()),
        ("clusters, first page of 100", "/clusters?limit=100".into()),
        ("one cluster's schedules", "/schedules?cluster=shop-7".into()),
    ];
    for (what, path) in pages {
        timed(what, ROUNDS, async || served.get(&path).await).await;
    }
}

async fn standing_tasks(app: &App) {
    timed("watchdog: what is overdue, of all clusters", 5, async || tasks::overdue::all(app).await.expect("a look")).await;
    timed("retention: an hourly look at all clusters", 5, async || tasks::expire::all(app).await.expect("a look")).await;
    timed("retention: every backup read and planned", 2, async || {
        let clusters = store::clusters::all_alive(&mut app.store.read().await.expect("the store")).await.expect("clusters");
        for cluster in &clusters {
            retention::due(app, &cluster.id).await.expect("a plan");
        }
    })
    .await;
    timed("drills: which cluster is next", 3, async || {
        let _ = tasks::drill::once(app).await; // without an agent it ends where it asks for room
    })
    .await;
    timed("schedules: a look when nothing is due", ROUNDS, async || tasks::schedule::tick(app).await.expect("a look")).await;
}

/// All of them are due in the same minute, each at its own second of the first thirty.
async fn three_o_clock(app: &App, clock: &Hand, scale: &Scale) {
    let first = {
        let mut conn = app.store.read().await.expect("the store");
        store::schedules::next_at(&mut conn).await.expect("a time").expect("one is due")
    };
    let slot = Time::from_micros(first.micros() / 60_000_000 * 60_000_000);
    let (mut seconds, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for second in 0..=30 {
        clock.set(slot.plus_seconds(second));
        let begun = Instant::now();
        tasks::schedule::tick(app).await.expect("a look");
        let took = begun.elapsed();
        (seconds, slowest) = (seconds + took, slowest.max(took));
    }
    let mut conn = app.store.read().await.expect("the store");
    let running = store::backups::BackupFilter { status: Some(BackupStatus::Running), ..Default::default() };
    let mut paging = store::Paging::new(Some(500), None).expect("a page");
    let mut begun = 0;
    loop {
        let page = store::backups::list(&mut conn, &running, &paging).await.expect("a page");
        begun += page.items.len() as i64;
        let Some(next) = page.next else { break };
        paging.cursor = Some(next);
    }
    assert_eq!(begun, scale.clusters, "every one of them was begun");
    println!(
        "{:<58} {:>9.1} ms   (the slowest second's {:.1})",
        format!("{begun} schedules of one minute, all begun"),
        seconds.as_secs_f64() * 1e3,
        slowest.as_secs_f64() * 1e3
    );
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let number = |arg: Option<String>, default: i64| arg.map_or(default, |a| a.parse().expect("a number"));
    let scale = Scale { clusters: number(args.next(), 10_000), each: number(args.next(), 100) };
    let dir = tempfile::tempdir().expect("a directory");
    let url = args.next().unwrap_or_else(|| store::sqlite_url(&dir.path().join("db")).expect("a path"));
    let clock = Arc::new(Hand(AtomicI64::new(Time::parse("2026-11-30T12:00:00Z").expect("a time").micros())));
    let app = open(&url, dir.path(), &clock).await.expect("a store");
    let token = tokens::ensure_administrator(&app, None).await.expect("a token").expect("a new store").reveal().to_string();
    let begun = Instant::now();
    fill(&app, &scale).await.expect("it is filled");
    println!("{} backups of {} clusters, filled in {:.0} s", scale.clusters * scale.each, scale.clusters, begun.elapsed().as_secs_f64());
    tasks::expire::all(&app).await.expect("a first look"); // the first look of all believes no clock
    app.store.close().await;

    let app = timed("opening the store and the journal", 1, async || open(&url, dir.path(), &clock).await.expect("a store")).await;
    let stop = CancellationToken::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(mainstay_api::serve(listener, app.clone(), mainstay_api::Options::default(), stop.clone()));
    let served = Served { url: at, token, http: reqwest::Client::new() };
    let cursor = near_the_end(&app, &scale).await;
    lists(&served, &cursor).await;
    standing_tasks(&app).await;
    three_o_clock(&app, &clock, &scale).await;
    stop.cancel();
}
