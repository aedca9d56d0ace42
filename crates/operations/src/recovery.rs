//! Finding work and taking it over: what waits, and what a dead runner left.
//!
//! There is one path for both. An operation is adopted by writing one's own name and a new
//! generation into its row; whoever had it before is fenced by that very write, and the run then
//! goes on from what the journal says. Only the unfinished step is repeated.

use crate::{
    faults::{Point, When},
    journal::{self, Ready, Trouble, trouble},
    operation::Erased,
    progress::Progress,
    record::Record,
    run::{Run, Spot, stuck_sentence},
    runner::{Local, NotCommitted, Paused, Runner, Stop, WRITES, collision, lock},
    view::Status,
};
use mainstay_model::{Error, OperationId, Result};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

impl<W: Send + Sync + 'static> Runner<W> {
    /// Adopts what was left, then runs what comes, until `shutdown`. Steps that do not end within
    /// the grace are dropped unfinished, for the next runner to adopt.
    pub async fn start(&self, shutdown: CancellationToken) -> JoinHandle<()> {
        let runner = self.clone();
        self.inner.tasks.spawn(async move {
            let dead = runner.inner.dead.clone();
            tokio::select! {
                biased;
                () = dead.cancelled() => {}
                () = runner.dispatch(shutdown) => {}
            }
            runner.inner.tasks.close();
        })
    }

    async fn dispatch(&self, shutdown: CancellationToken) {
        let mut beat = tokio::time::interval((self.options().lease / 3).max(Duration::from_millis(10)));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut recovered = !self.options().exclusive;
        loop {
            if let Err(e) = self.look(&mut recovered).await {
                tracing::warn!(error = %e, inside = e.inside, "the journal of operations is not readable; trying again");
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = beat.tick() => self.beat().await,
                () = self.inner.nudge.notified() => {}
                () = tokio::time::sleep(self.options().poll) => {}
            }
        }
        self.wind_down().await;
    }

    async fn look(&self, recovered: &mut bool) -> Result<()> {
        if !*recovered {
            let left = self.inner.journal.release(&self.inner.me, true).await?;
            if left > 0 {
                tracing::info!(operations = left, "adopting operations an earlier runner left");
            }
            *recovered = true;
        }
        for ready in self.inner.journal.ready(&self.inner.me, self.now()).await? {
            self.take(ready);
        }
        self.inner.recovered.cancel();
        Ok(())
    }

    /// Starts a run if there is room. Cancelled ones need none: they only have to end.
    fn take(&self, ready: Ready) {
        let mut local = lock(&self.inner.local);
        let now = Instant::now();
        let is_paused = lock(&self.inner.paused).get(&ready.id).is_some_and(|p| p.until > now);
        let is_full = local.values().filter(|l| !l.is_child && !l.is_aside).count() >= self.options().max_parallel;
        if local.contains_key(&ready.id) || is_paused || is_full && !ready.is_child && !ready.is_cancelled {
            return;
        }
        let (progress, cancel, stop) = (Arc::new(Progress::default()), CancellationToken::new(), CancellationToken::new());
        let entry = Local {
            progress: progress.clone(),
            cancel: cancel.clone(),
            stop: stop.clone(),
            is_child: ready.is_child,
            is_aside: false,
            is_claimed: false,
        };
        local.insert(ready.id.clone(), entry);
        let (runner, dead) = (self.clone(), self.inner.dead.clone());
        self.inner.tasks.spawn(async move {
            let ended = tokio::select! {
                biased;
                () = dead.cancelled() => return,
                () = stop.cancelled() => Err(Stop::Lost),
                ended = runner.run(&ready.id, progress, cancel) => ended,
            };
            runner.ran(&ready.id, ended);
        });
    }

    async fn run(&self, id: &OperationId, progress: Arc<Progress>, cancel: CancellationToken) -> Result<(), Stop> {
        let Some(mut record) = self.adopt(id).await? else { return Ok(()) };
        if let Some(local) = lock(&self.inner.local).get_mut(id) {
            local.is_claimed = true;
        }
        self.publish(id);
        let entry = match fitting(&record, self.entry(&record.kind)) {
            Ok(entry) => entry,
            Err(e) => return self.stuck_unread(&mut record, e).await,
        };
        // Nothing is run without a world: the process is starting or ending.
        let world = self.world().ok_or_else(|| Error::unavailable("stopping", "there is no world to run operations in"))?;
        Run { runner: self.clone(), entry, world, record, progress, cancel, settled: false }.drive().await
    }

    /// Makes the operation this runner's, under a new generation. `None`: it is not to be had.
    async fn adopt(&self, id: &OperationId) -> Result<Option<Record>, Stop> {
        for _ in 0..WRITES {
            let mut tx = self.inner.journal.begin().await?;
            let found = journal::load(&mut tx, id).await.map_err(Stop::of)?;
            let free = |r: &Record| r.owner.as_ref().is_none_or(|o| *o == self.inner.me) || r.lease_until < self.now();
            let works = |r: &Record| matches!(r.status, Status::Queued | Status::Running | Status::Unwinding);
            let Some(old) = found.filter(|r| works(r) && free(r)) else { return Ok(None) };
            let mut new = old.clone();
            match self.write_adoption(&mut tx, &old, &mut new).await {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(e) if trouble(&e) == Trouble::Again => {
                    drop(tx);
                    collision().await;
                    continue;
                }
                Err(e) => return Err(Stop::of(e)),
            }
            match self.commit(tx, adoption(&new)).await {
                Ok(()) => return Ok(Some(new)),
                Err(NotCommitted::Again) => collision().await,
                Err(NotCommitted::Refused(e)) => return Err(Stop::Journal(e)),
                Err(NotCommitted::Stop(stop)) => return Err(stop),
            }
        }
        Ok(None)
    }

    async fn write_adoption(&self, tx: &mut crate::Tx, old: &Record, new: &mut Record) -> std::result::Result<bool, sqlx::Error> {
        new.generation = journal::next_generation(tx, self.now()).await?;
        new.owner = Some(self.inner.me.clone());
        new.lease_until = self.lease_until();
        if old.status == Status::Queued {
            (new.status, new.sentence) = (Status::Running, "starts".into());
        }
        let saved = journal::save(tx, old.generation, new).await?;
        new.cancelled_by = saved.as_ref().and_then(|s| s.cancelled_by.clone());
        Ok(saved.is_some())
    }

    /// Holds an operation that this code cannot read; none of its own code is called.
    async fn stuck_unread(&self, record: &mut Record, e: Error) -> Result<(), Stop> {
        tracing::error!(operation = %record.id, kind = record.kind, error = %e, "operation is stuck");
        for _ in 0..WRITES {
            let mut tx = self.inner.journal.begin().await?;
            record.status = Status::Stuck;
            record.sentence = stuck_sentence(Spot { step: Point::ADOPT, undo: false }, &e);
            record.stuck_error = Some(e.clone());
            record.release();
            match journal::save(&mut tx, record.generation, record).await {
                Ok(Some(_)) => {}
                Ok(None) => return Err(Stop::Lost),
                Err(e) if trouble(&e) == Trouble::Again => {
                    drop(tx);
                    collision().await;
                    continue;
                }
                Err(e) => return Err(Stop::of(e)),
            }
            match self.commit(tx, adoption(record)).await {
                Ok(()) => {
                    self.publish(&record.id);
                    return Ok(());
                }
                Err(NotCommitted::Again) => collision().await,
                Err(NotCommitted::Refused(e)) => return Err(Stop::Journal(e)),
                Err(NotCommitted::Stop(stop)) => return Err(stop),
            }
        }
        Err(Stop::Journal(Error::unavailable(journal::BUSY, "the store is busy with other writes")))
    }

    /// Tidies up after a run, and decides when the operation may be taken again.
    fn ran(&self, id: &OperationId, ended: Result<(), Stop>) {
        let mut paused = lock(&self.inner.paused);
        match ended {
            Ok(()) => drop(paused.remove(id)),
            Err(Stop::Fatal(e)) => self.die(Some(e)),
            Err(Stop::Shutdown) => {}
            Err(Stop::Lost) => tracing::warn!(operation = %id, "another runner has the operation now"),
            Err(Stop::Journal(e)) => {
                let failures = paused.get(id).map_or(0, |p| p.failures) + 1;
                tracing::error!(operation = %id, failures, error = %e, inside = e.inside, "the journal was not written; reading the operation anew");
                paused.insert(id.clone(), Paused { failures, until: Instant::now() + self.options().retry.delay(failures) });
            }
        }
        drop(paused);
        lock(&self.inner.local).remove(id);
        self.publish(id);
        self.wake();
    }

    /// Keeps what is ours, notices what is not any more, and hears of cancels from elsewhere.
    async fn beat(&self) {
        let mine: Vec<OperationId> = lock(&self.inner.local).iter().filter(|(_, l)| l.is_claimed).map(|(id, _)| id.clone()).collect();
        if mine.is_empty() {
            return;
        }
        let owned = match self.inner.journal.beat(&self.inner.me, self.lease_until()).await {
            Ok(owned) => owned,
            Err(e) => return tracing::warn!(error = %e, inside = e.inside, "the leases of the running operations were not extended"),
        };
        let local = lock(&self.inner.local);
        for (id, run) in mine.iter().filter_map(|id| Some((id, local.get(id)?))) {
            match owned.iter().find(|o| o.id == *id) {
                None => run.stop.cancel(),
                Some(owned) if owned.is_cancelled => run.cancel.cancel(),
                Some(_) => {}
            }
        }
    }

    async fn wind_down(&self) {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        let idle = || lock(&self.inner.local).is_empty();
        let until = Instant::now() + self.options().grace;
        while !idle() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        lock(&self.inner.local).values().for_each(|l| l.stop.cancel());
        while !idle() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if let Err(e) = self.inner.journal.release(&self.inner.me, false).await {
            tracing::warn!(error = %e, inside = e.inside, "unfinished operations stay leased until their lease ends");
        }
    }
}

fn adoption(record: &Record) -> Point {
    let (operation, kind) = (record.id.clone(), record.kind.clone());
    Point { operation, kind, step: Point::ADOPT.into(), undo: false, when: When::BeforeCommit }
}

/// The code that wrote the record, or why there is none: a guess could do harm.
pub(crate) fn fitting<W>(record: &Record, entry: Option<Arc<dyn Erased<W>>>) -> Result<Arc<dyn Erased<W>>> {
    let unfit = |why: String| {
        let mend = "start the Mainstay that began it and let it end there, or abandon it";
        Error::failed("unknown_operation", format!("{why}; {mend}"))
    };
    let Some(entry) = entry else { return Err(unfit(format!("this Mainstay knows no operation {}", record.kind))) };
    if entry.version() != record.version {
        let (kind, began, knows) = (&record.kind, record.version, entry.version());
        return Err(unfit(format!("{kind} was begun in its version {began}, and this Mainstay knows version {knows}")));
    }
    let known = entry.steps().iter().map(|s| s.name);
    if !known.eq(record.steps.iter().map(|s| s.name.as_str())) {
        let stranger = record.steps.iter().find(|s| entry.steps().iter().all(|k| k.name != s.name));
        let which =
            stranger.map_or("other steps than this Mainstay knows".into(), |s| format!("a step {} this Mainstay does not know", s.name));
        return Err(unfit(format!("{} was begun with {which}", record.kind)));
    }
    match entry.output(&record.state) {
        Ok(_) => Ok(entry),
        Err(e) => Err(unfit(format!("what {} found out so far is not readable", record.kind)).with_inside(e.inside.unwrap_or(e.message))),
    }
}
