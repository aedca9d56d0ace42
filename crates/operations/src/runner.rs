//! The runner: takes operations in, works on them, and tells how far they are.

use crate::{
    clock::Clock,
    faults::{Faults, NoFaults, Point, Verdict, When},
    journal::{self, Journal, Trouble, store_error, trouble},
    operation::{Erased, Registry, Step},
    progress::Progress,
    view::{Filter, Page, View},
};
use mainstay_model::{Error, OperationId, Result, Time};
use sqlx::{Any, Transaction};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, RwLock, Weak},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, broadcast};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often, and how soon, a step that failed is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries in all, the first included.
    pub tries: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub base: Duration,
    pub max: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { tries: 5, base: Duration::from_millis(500), max: Duration::from_secs(30) }
    }
}

impl Retry {
    /// The wait after the `failures`-th failure: between half and all of the doubled base.
    pub(crate) fn delay(&self, failures: u32) -> Duration {
        let full = self.base.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(self.max);
        full.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[derive(Clone)]
pub struct RunnerOptions {
    pub faults: Arc<dyn Faults>,
    /// Operations worked on at once. Children do not count, for their parents wait for them, nor do those
    /// that wait for their turn.
    pub max_parallel: usize,
    pub retry: Retry,
    /// How long an operation stays with a runner that gives no sign of life.
    pub lease: Duration,
    /// This is the store's only runner: at its start it takes over everything at once, without
    /// waiting for leases.
    pub exclusive: bool,
    /// A step that neither says anything nor ends for so long has timed out.
    pub stall: Duration,
    /// How long a step may go on after a cancel before it is dropped.
    pub cancel_grace: Duration,
    /// How long steps may go on after a shutdown before they are dropped, to be adopted later.
    pub grace: Duration,
    /// How often to look for what other processes did.
    pub poll: Duration,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        RunnerOptions {
            faults: Arc::new(NoFaults),
            max_parallel: 16,
            retry: Retry::default(),
            lease: Duration::from_secs(30),
            exclusive: true,
            stall: Duration::from_secs(15 * 60),
            cancel_grace: Duration::from_secs(10),
            grace: Duration::from_secs(2),
            poll: Duration::from_secs(1),
        }
    }
}

/// Why a run stops without having ended its operation. What it did not record is done again by
/// whoever adopts it.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Somebody else has the operation now.
    Lost,
    Shutdown,
    /// The journal cannot be written, or it is not known whether it was. Nothing is assumed: the
    /// operation is read anew later.
    Journal(Error),
    /// The disk under the journal failed: nothing more may be acknowledged by this process.
    Fatal(Error),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Journal(e)
    }
}

impl Stop {
    pub fn of(e: sqlx::Error) -> Stop {
        match trouble(&e) {
            Trouble::Fatal => Stop::Fatal(fatal(e)),
            _ => Stop::Journal(store_error(e)),
        }
    }
}

fn fatal(e: sqlx::Error) -> Error {
    let why = "the disk under the store failed, so nothing more is acknowledged; check the disk, then start Mainstay again";
    Error::failed("store_failed", why).with_inside(e)
}

/// How a commit did not happen.
pub(crate) enum NotCommitted {
    /// Surely not, and the whole transaction may be done again.
    Again,
    /// Surely not, and it was the fault of what was written.
    Refused(Error),
    Stop(Stop),
}

/// A run in this process.
pub(crate) struct Local {
    pub progress: Arc<Progress>,
    pub cancel: CancellationToken,
    pub stop: CancellationToken,
    pub is_child: bool,
    /// It waits for its turn.
    pub is_aside: bool,
    /// The journal says that it is ours.
    pub is_claimed: bool,
}

/// An operation whose journal could not be written, and when to try again.
#[derive(Clone, Copy)]
pub(crate) struct Paused {
    pub failures: u32,
    pub until: Instant,
}

pub(crate) struct Inner<W> {
    pub journal: Journal,
    pub registry: Registry<W>,
    pub clock: Arc<dyn Clock>,
    pub options: RunnerOptions,
    /// This runner among all that ever were.
    pub me: String,
    pub world: RwLock<Weak<W>>,
    pub changes: broadcast::Sender<OperationId>,
    pub nudge: Notify,
    pub local: Mutex<HashMap<OperationId, Local>>,
    pub paused: Mutex<HashMap<OperationId, Paused>>,
    pub dead: CancellationToken,
    pub fatal: Mutex<Option<Error>>,
    pub stopping: CancellationToken,
    /// What an earlier runner left was adopted.
    pub recovered: CancellationToken,
    pub tasks: TaskTracker,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub struct Runner<W> {
    pub(crate) inner: Arc<Inner<W>>,
}

impl<W> Clone for Runner<W> {
    fn clone(&self) -> Self {
        Runner { inner: self.inner.clone() }
    }
}

impl<W: Send + Sync + 'static> Runner<W> {
    pub async fn new(journal: Journal, registry: Registry<W>, clock: Arc<dyn Clock>, options: RunnerOptions) -> Result<Self> {
        let inner = Inner {
            journal,
            registry,
            clock,
            options,
            me: uuid::Uuid::now_v7().to_string(),
            world: RwLock::new(Weak::new()),
            changes: broadcast::channel(1024).0,
            nudge: Notify::new(),
            local: Mutex::default(),
            paused: Mutex::default(),
            dead: CancellationToken::new(),
            fatal: Mutex::default(),
            stopping: CancellationToken::new(),
            recovered: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        Ok(Runner { inner: Arc::new(inner) })
    }

    /// What the steps get as their world. Weak, because the world holds the runner.
    pub fn set_world(&self, world: Weak<W>) {
        *self.inner.world.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = world;
    }

    pub(crate) fn world(&self) -> Option<Arc<W>> {
        self.inner.world.read().unwrap_or_else(|poisoned| poisoned.into_inner()).upgrade()
    }

    /// The steps of a kind, before any of it runs.
    pub fn plan(&self, kind: &str) -> Option<&'static [Step]> {
        self.inner.registry.steps(kind)
    }

    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.inner.registry.kinds()
    }

    /// Looks for work now; to be called after the commit of a [`Runner::submit_in`].
    pub fn wake(&self) {
        self.inner.nudge.notify_one();
    }

    pub async fn get(&self, id: &OperationId) -> Result<View> {
        let record = self.inner.journal.get(id).await?;
        record.map(|r| self.live(r.view())).ok_or_else(|| Error::not_found("operation", id.as_str()))
    }

    /// Newest first; `cursor` is a page's `next`.
    pub async fn list(&self, filter: Filter, cursor: Option<&str>, limit: usize) -> Result<Page<View>> {
        let parse = |c: &str| OperationId::parse(c).ok_or_else(|| Error::malformed("the cursor is none of this list's"));
        let before = cursor.map(parse).transpose()?;
        let limit = limit.clamp(1, 1000);
        let mut records = self.inner.journal.list(&filter, before.as_ref(), limit + 1).await?;
        let more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| more).map(|r| r.id.to_string());
        Ok(Page { items: records.iter().map(|r| self.live(r.view())).collect(), next })
    }

    /// The active operation that holds `key`'s lock: the exclusive one, else the oldest that shares it.
    pub async fn holder(&self, key: &str) -> Result<Option<View>> {
        Ok(self.inner.journal.holder(key).await?.map(|r| self.live(r.view())))
    }

    /// Whether the operation holds a lock of its own while it is active.
    #[cfg(feature = "harness")]
    pub(crate) async fn locks(&self, id: &OperationId) -> Result<bool> {
        Ok(self.inner.journal.get(id).await?.is_some_and(|r| r.lock != crate::Lock::None))
    }

    /// The view with what the running step said last.
    fn live(&self, mut view: View) -> View {
        let seen = lock(&self.inner.local).get(&view.id).filter(|l| l.is_claimed).map(|l| l.progress.seen());
        if let Some(seen) = seen.filter(|s| view.status.is_active() && !s.step.is_empty() && view.status != crate::Status::Stuck) {
            view.step = Some(seen.step);
            view.percent = seen.percent;
            view.sentence = seen.sentence;
        }
        view
    }

    /// Resolves when the runner has stopped dead, with the reason where it was not a test's crash.
    /// The process should then end: a store whose disk fails must not be trusted any further.
    pub async fn died(&self) -> Option<Error> {
        self.inner.dead.cancelled().await;
        lock(&self.inner.fatal).clone()
    }

    /// Whether this runner has started, and has taken over what an earlier one left. Before that nobody
    /// works on what the journal calls running.
    pub fn has_recovered(&self) -> bool {
        self.inner.recovered.is_cancelled()
    }

    /// Resolves when nothing of this runner runs any more, after a shutdown or its death.
    pub async fn stopped(&self) {
        self.inner.tasks.wait().await;
    }

    pub(crate) fn die(&self, why: Option<Error>) {
        if let Some(e) = &why {
            tracing::error!(error = %e, inside = e.inside, "the operations' journal failed; stopping");
        }
        let mut fatal = lock(&self.inner.fatal);
        *fatal = fatal.take().or(why);
        self.inner.dead.cancel();
        self.inner.tasks.close();
    }

    pub(crate) fn options(&self) -> &RunnerOptions {
        &self.inner.options
    }

    pub(crate) fn now(&self) -> Time {
        self.inner.clock.now()
    }

    pub(crate) fn lease_until(&self) -> Time {
        Time(self.now().micros().saturating_add(self.inner.options.lease.as_micros() as i64))
    }

    pub(crate) fn entry(&self, kind: &str) -> Option<Arc<dyn Erased<W>>> {
        self.inner.registry.get(kind)
    }

    /// Ids of operations that moved. Who is slow misses some: the journal is the truth.
    pub fn changes(&self) -> broadcast::Receiver<OperationId> {
        self.inner.changes.subscribe()
    }

    /// Tells the watchers that there is something new to read.
    pub(crate) fn publish(&self, id: &OperationId) {
        // An error only says that nobody watches.
        let _ = self.inner.changes.send(id.clone());
    }

    /// Asks for a fault. A crash never comes back.
    pub(crate) async fn verdict(&self, point: Point) -> Verdict {
        let verdict = self.inner.options.faults.at(point).await;
        if verdict == Verdict::Crash {
            self.die(None);
        }
        if self.inner.dead.is_cancelled() {
            // The task is dropped at this very place.
            std::future::pending::<()>().await;
        }
        verdict
    }

    /// The only way a run's journal write is committed.
    pub(crate) async fn commit(&self, tx: Transaction<'static, Any>, point: Point) -> std::result::Result<(), NotCommitted> {
        let stop = |e| Err(NotCommitted::Stop(Stop::Journal(e)));
        let before = self.verdict(Point { when: When::BeforeCommit, ..point.clone() }).await;
        if let Verdict::Fail(e) = before {
            return stop(e);
        }
        tx.commit().await.map_err(|e| match trouble(&e) {
            Trouble::Again => NotCommitted::Again,
            Trouble::Constraint => NotCommitted::Refused(store_error(e)),
            _ => NotCommitted::Stop(Stop::of(e)),
        })?;
        let lost = || Error::unavailable("reply_lost", "the store did not say whether it committed");
        match (before, self.verdict(Point { when: When::AfterCommit, ..point }).await) {
            (Verdict::LoseReply, _) | (_, Verdict::LoseReply) => stop(lost()),
            (_, Verdict::Fail(e)) => stop(e),
            _ => Ok(()),
        }
    }

    /// An error of a write that somebody waits for; a failed disk stops the runner.
    pub(crate) fn write_error(&self, e: sqlx::Error) -> Error {
        match Stop::of(e) {
            Stop::Fatal(e) => {
                self.die(Some(e.clone()));
                e
            }
            Stop::Journal(e) => e,
            Stop::Lost | Stop::Shutdown => Error::internal("not a store's error"),
        }
    }

    /// Does a write again as long as others come first. `write` gets a fresh transaction each time.
    pub(crate) async fn write<T>(
        &self,
        write: impl for<'a> Fn(&'a mut crate::Tx) -> futures::future::BoxFuture<'a, Result<T>> + Send + Sync,
    ) -> Result<T> {
        for _ in 0..WRITES {
            if self.inner.dead.is_cancelled() {
                let stopped =
                    || Error::unavailable("store_failed", "operations have stopped because the store failed; start Mainstay again");
                return Err(lock(&self.inner.fatal).clone().unwrap_or_else(stopped));
            }
            let mut tx = self.inner.journal.begin().await?;
            let committed = match write(&mut tx).await {
                Ok(value) => tx.commit().await.map_err(|e| self.write_error(e)).map(|()| value),
                Err(e) => Err(e),
            };
            match committed {
                Err(e) if e.code == journal::BUSY => collision().await,
                other => return other,
            }
        }
        Err(Error::unavailable(journal::BUSY, "the store is busy with other writes; try again"))
    }
}

/// How often a write is done again when others come first.
pub(crate) const WRITES: u32 = 20;

/// Waits a moment, so that two writers do not meet again at once.
pub(crate) async fn collision() {
    tokio::time::sleep(Duration::from_millis(rand::random_range(1..20))).await
}
