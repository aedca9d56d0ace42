//! Stores to test on, and a bench: a runner at work over a toy world.

use crate::{
    postgres::Server,
    toys::{self, World},
};
use async_trait::async_trait;
use mainstay_model::{Error, OperationId, Result, Time};
use mainstay_operations::{Clock, Database, Journal, Lock, Retry, Runner, RunnerOptions, Subject, Submit, SystemClock, View};
use sqlx::{Any, AnyPool, Executor, Row, Transaction, any::AnyPoolOptions};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Runs the same test body on both stores.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::support::Store::sqlite().await).await;
            }
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name($crate::support::Store::postgres().await).await;
            }
        }
    )*};
}
pub(crate) use on_both;

pub struct Store {
    pool: AnyPool,
    begin: &'static str,
    /// So many writes cannot begin.
    pub away: AtomicUsize,
    _dir: Option<tempfile::TempDir>,
    _server: Option<Arc<Server>>,
}

#[async_trait]
impl Database for Store {
    fn pool(&self) -> &AnyPool {
        &self.pool
    }
    async fn begin_write(&self) -> Result<Transaction<'static, Any>> {
        if self.away.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(Error::unavailable("store_unavailable", "the store is away"));
        }
        self.pool.begin_with(self.begin).await.map_err(|e| Error::unavailable("store_unavailable", e.to_string()))
    }
}

static DATABASES: AtomicUsize = AtomicUsize::new(0);

impl Store {
    pub async fn sqlite() -> Arc<Store> {
        sqlx::any::install_default_drivers();
        let dir = tempfile::tempdir().unwrap();
        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON";
        let options = AnyPoolOptions::new().max_connections(5).after_connect(move |c, _| {
            Box::pin(async move {
                c.execute(pragmas).await?;
                Ok(())
            })
        });
        let pool = options.connect(&format!("sqlite://{}?mode=rwc", dir.path().join("store.db").display())).await.unwrap();
        Store::with_toys(Store { pool, begin: "BEGIN IMMEDIATE", away: AtomicUsize::new(0), _dir: Some(dir), _server: None }).await
    }

    pub async fn postgres() -> Arc<Store> {
        sqlx::any::install_default_drivers();
        let server = Server::shared().await;
        let name = format!("t{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut first = AnyPool::connect(&server.url("postgres")).await;
        for _ in 0..200 {
            if first.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            first = AnyPool::connect(&server.url("postgres")).await;
        }
        let admin = first.expect("the server answers");
        admin.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        admin.close().await;
        let pool = AnyPoolOptions::new().max_connections(5).connect(&server.url(&name)).await.unwrap();
        Store::with_toys(Store {
            pool,
            begin: "BEGIN ISOLATION LEVEL SERIALIZABLE",
            away: AtomicUsize::new(0),
            _dir: None,
            _server: Some(server),
        })
        .await
    }

    async fn with_toys(store: Store) -> Arc<Store> {
        store.run("CREATE TABLE toys (name TEXT NOT NULL, note TEXT NOT NULL)").await;
        store.run("CREATE TABLE notes (id TEXT PRIMARY KEY)").await;
        store.run("CREATE TABLE late (note TEXT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)").await;
        Arc::new(store)
    }

    /// PostgreSQL may refuse a statement beside the last transaction of a runner that was just dropped, and
    /// asks then to be asked again.
    pub async fn run(&self, text: &'static str) {
        for _ in 0..50 {
            match self.pool.execute(text).await {
                Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("40001") => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                done => {
                    done.unwrap();
                    return;
                }
            }
        }
        panic!("{text}: refused beside another transaction for a second");
    }

    pub async fn texts(&self, text: &'static str) -> Vec<String> {
        let rows = sqlx::query(text).fetch_all(&self.pool).await.unwrap();
        rows.iter().map(|r| r.get::<String, _>(0)).collect()
    }

    pub async fn number(&self, text: &'static str) -> i64 {
        sqlx::query(text).fetch_one(&self.pool).await.unwrap().get(0)
    }

    pub async fn toys(&self) -> Vec<String> {
        self.texts("SELECT name || ' ' || note FROM toys ORDER BY name, note").await
    }
}

/// A clock that can be turned.
#[derive(Default)]
pub struct Turned(pub AtomicI64);

impl Clock for Turned {
    fn now(&self) -> Time {
        Time(SystemClock.now().micros() + self.0.load(Ordering::Relaxed))
    }
}

pub const MS: fn(u64) -> Duration = Duration::from_millis;

pub fn quick() -> RunnerOptions {
    RunnerOptions {
        retry: Retry { tries: 3, base: MS(2), max: MS(10) },
        grace: MS(100),
        cancel_grace: MS(100),
        poll: MS(30),
        ..RunnerOptions::default()
    }
}

pub struct Bench {
    pub world: Arc<World>,
    pub clock: Arc<Turned>,
    pub runner: Runner<World>,
    pub shutdown: CancellationToken,
}

impl Bench {
    pub async fn new(store: &Arc<Store>) -> Bench {
        Bench::with(store, Arc::default(), quick()).await
    }

    pub async fn with(store: &Arc<Store>, world: Arc<World>, options: RunnerOptions) -> Bench {
        let bench = Bench::idle(store, world, options).await;
        bench.start().await;
        bench
    }

    pub async fn idle(store: &Arc<Store>, world: Arc<World>, options: RunnerOptions) -> Bench {
        let journal = Journal::open(store.clone()).await.unwrap();
        let clock = Arc::new(Turned::default());
        let runner = Runner::new(journal, toys::registry(), clock.clone(), options).await.unwrap();
        runner.set_world(Arc::downgrade(&world));
        Bench { world, clock, runner, shutdown: CancellationToken::new() }
    }

    pub async fn start(&self) {
        self.runner.start(self.shutdown.clone()).await;
    }

    pub async fn stop(&self) {
        self.shutdown.cancel();
        self.runner.stopped().await;
    }

    pub async fn submit(&self, kind: &'static str) -> OperationId {
        self.try_submit(kind, "k1", Lock::Exclusive).await.unwrap()
    }

    pub async fn try_submit(&self, kind: &'static str, key: &str, lock: Lock) -> Result<OperationId> {
        let subject = Subject { project: "shop".into(), cluster: format!("cluster-{key}"), key: key.into() };
        let state = toys::state("a");
        self.runner.submit(Submit { kind, state, subject: Some(subject), lock, requested_by: "ann".into() }).await
    }

    /// Until it has ended or is stuck.
    pub async fn wait(&self, id: &OperationId) -> View {
        tokio::time::timeout(Duration::from_secs(30), self.runner.wait(id)).await.expect("the operation ends").unwrap()
    }

    pub async fn play(&self, kind: &'static str) -> View {
        let id = self.submit(kind).await;
        self.wait(&id).await
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&World) -> bool) {
        for _ in 0..1000 {
            if condition(&self.world) {
                return;
            }
            tokio::time::sleep(MS(10)).await;
        }
        panic!("never came: {what}; {:?}", self.world.log());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
