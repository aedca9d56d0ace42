//! The copies of one backup while it is made: found, read into in one pass, and brought to the
//! same point where an earlier call got only so far.
//!
//! The copies of a backup are one recovery point. So where a storage has it already (a reply was
//! lost, a storage was slow), the others are given what that one has, and the engine, which has
//! gone on since, is not read again.

use crate::{
    locks::cancelled,
    pulse::{Pulse, Watched},
    relay::{self, Unread},
    room,
    tee::{Line, Storing, Tee, View},
};
use futures::future::join_all;
use mainstay_drivers::{
    progress::{Progress, Snapshot},
    storage::{Base, Known, RepositoryRef, SnapshotLabel, Source, Storage, Storages, Stored},
};
use mainstay_model::{Error, Result};
use mainstay_rpc::verbs::BuildOn;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A storage that leaves bytes lying for so long, or does not answer, is done without.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Work that moves nothing for so long is stuck, whatever it is doing.
const STUCK: Duration = Duration::from_secs(15 * 60);
const LOOK: Duration = Duration::from_millis(100);
/// Storages written to at the same time.
const WRITERS: u32 = 3;

/// How much is written at a time. A backup takes its share at once and as a whole: its copies keep
/// pace with each other, so half of them would wait for ever.
pub(crate) struct Slots(Arc<Semaphore>);

impl Default for Slots {
    fn default() -> Self {
        Slots(Arc::new(Semaphore::new(WRITERS as usize)))
    }
}

impl Slots {
    pub async fn take(&self, storages: usize, progress: &Progress) -> Result<OwnedSemaphorePermit> {
        let share = u32::try_from(storages).unwrap_or(WRITERS).clamp(1, WRITERS);
        let taken = self.0.clone().acquire_many_owned(share);
        tokio::select! {
            biased;
            permit = taken => permit.map_err(Error::internal),
            () = until_cancelled(progress) => Err(cancelled()),
            () = telling(progress) => Err(cancelled()),
        }
    }
}

/// Says every minute that it waits: who says nothing for long is taken to hang. Never ends.
async fn telling(progress: &Progress) {
    for minutes in 0u64.. {
        progress.say(&format!("waits for other backups on this host, for {minutes} min"));
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

async fn until_cancelled(progress: &Progress) {
    while !progress.is_cancelled() {
        tokio::time::sleep(LOOK).await;
    }
}

/// An answer, or that none came.
pub(crate) async fn within<T>(patience: Duration, ask: impl Future<Output = Result<T>>) -> Result<T> {
    let silent = || Error::unavailable("storage_silent", format!("the storage did not answer within {} s", patience.as_secs()));
    tokio::time::timeout(patience, ask).await.unwrap_or_else(|_| Err(silent()))
}

/// Whether anything moved, from look to look.
struct Stillness {
    last: Snapshot,
    since: Instant,
}

impl Stillness {
    fn new(seen: Snapshot, now: Instant) -> Self {
        Stillness { last: seen, since: now }
    }

    /// What counts is that nothing moved, however long all of it takes.
    fn is_stuck(&mut self, seen: Snapshot, now: Instant) -> bool {
        if seen != self.last {
            (self.last, self.since) = (seen, now);
        }
        now.saturating_duration_since(self.since) >= STUCK
    }
}

/// The end of work that says through `progress` that it moves, or that it is stuck: then it is dropped, and
/// may be begun anew.
pub(crate) async fn moving<T>(progress: &Progress, work: impl Future<Output = Result<T>>) -> Result<T> {
    let stuck = async {
        let mut stillness = Stillness::new(progress.look(), Instant::now());
        while !stillness.is_stuck(progress.look(), Instant::now()) {
            tokio::time::sleep(STUCK / 100).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = stuck => {
            let sentence = format!("nothing moved to the storage for {} minutes; look at it, and at the database", STUCK.as_secs() / 60);
            Err(Error::unavailable("storage_stuck", sentence))
        }
    }
}

/// All copies of one backup, in the order they were asked for.
pub(crate) struct Copies {
    each: Vec<One>,
    patience: Duration,
}

struct One {
    name: String,
    storage: Option<Arc<dyn Storage>>,
    /// The snapshot in it that the new one is built on.
    base: Option<String>,
    result: Option<Result<Stored>>,
}

/// What is wrong with an earlier backup only: read everything, and nothing is wrong.
const OF_THE_BASE: [&str; 2] = ["base_lost", "base_differs"];

impl One {
    async fn find(storages: &dyn Storages, repository: &RepositoryRef, label: &SnapshotLabel, progress: &Progress) -> One {
        let name = repository.storage.name.clone();
        match within(PATIENCE, storages.open(repository, true)).await {
            Err(e) => One { name, storage: None, base: None, result: Some(Err(e)) },
            Ok(storage) => {
                let result = there(&*storage, label, progress).await.transpose();
                One { name, storage: Some(storage), base: None, result }
            }
        }
    }

    fn good(&self) -> Option<(&Arc<dyn Storage>, &Stored)> {
        Some((self.storage.as_ref()?, self.result.as_ref()?.as_ref().ok()?))
    }

    /// What it holds of an earlier backup. That it cannot say costs a full read.
    async fn earlier(&mut self, snapshot: &str, lists: &[&str]) -> Option<Base> {
        let found = match within(PATIENCE, self.storage.as_ref()?.base(snapshot, lists)).await {
            Ok(found) => found?,
            Err(e) => {
                tracing::warn!(storage = self.name, "an earlier backup cannot be built on, everything is read: {e}");
                return None;
            }
        };
        self.base = Some(snapshot.to_owned());
        Some(found)
    }

    /// Whether it can be given the point that `good` has, and has to be.
    fn lacks(&self, good: &Stored) -> bool {
        match &self.result {
            None => true,
            Some(Ok(stored)) => stored.facts != good.facts,
            Some(Err(_)) => false,
        }
    }
}

/// The backup as this storage has it already.
async fn there(storage: &dyn Storage, label: &SnapshotLabel, progress: &Progress) -> Result<Option<Stored>> {
    let all = within(PATIENCE, storage.list()).await?;
    match all.iter().any(|s| s.label.backup == label.backup) {
        true => storage.put(label, Box::new(Unread), progress).await.map(Some),
        false => Ok(None),
    }
}

impl Copies {
    pub async fn find(storages: &dyn Storages, repositories: &[RepositoryRef], label: &SnapshotLabel, progress: &Progress) -> Copies {
        let mut each = vec![];
        // One after the other: deriving a key takes more memory than all the rest of a backup.
        for repository in repositories {
            each.push(One::find(storages, repository, label, progress).await);
        }
        Copies { each, patience: PATIENCE }
    }

    /// Gives every other storage the point that one of them has. `false` when none has any.
    pub async fn complete_from_a_good_one(&mut self, label: &SnapshotLabel, progress: &Progress) -> bool {
        let Some((from, good)) = self.each.iter().find_map(One::good).map(|(s, g)| (s.clone(), g.clone())) else { return false };
        for one in self.each.iter_mut().filter(|one| one.lacks(&good)) {
            let Some(to) = &one.storage else { continue };
            let copied = moving(progress, relay::copy(&from, &good.snapshot, to, &label.backup, progress)).await;
            one.result = Some(copied);
        }
        true
    }

    /// Does without the storages that have less room than the backup is expected to take: `expected` of each by
    /// what earlier ones took, `data` bytes are to be read. One that does not say is tried.
    pub async fn leave_out_full(&mut self, expected: &[Option<u64>], data: u64) {
        for (n, one) in self.each.iter_mut().enumerate().filter(|(_, one)| one.result.is_none()) {
            let Some(storage) = &one.storage else { continue };
            let needed = room::needed(expected.get(n).copied().flatten(), data, storage.keeps_files());
            match within(self.patience, storage.free()).await {
                Ok(Some(free)) if free < needed => one.result = Some(Err(room::full(&one.name, free, needed))),
                Ok(_) => {}
                Err(e) => tracing::info!(storage = one.name, "how much room there is is not known: {e}"),
            }
        }
    }

    /// What is known of an earlier backup in the storages that wait for the new one: what all of them
    /// that hold it agree on.
    pub async fn known(&mut self, on: &BuildOn, lists: &[&str]) -> Option<Known> {
        let mut agreed: Option<Base> = None;
        for (one, snapshot) in self.each.iter_mut().zip(&on.snapshots).filter(|(one, _)| one.result.is_none()) {
            let Some(snapshot) = snapshot else { continue };
            let Some(found) = one.earlier(snapshot, lists).await else { continue };
            match &mut agreed {
                None => agreed = Some(found),
                Some(base) if base.facts == found.facts && base.lists == found.lists => narrow(base, &found),
                Some(_) => one.base = None,
            }
        }
        let everywhere = self.each.iter().filter(|one| one.result.is_none()).all(|one| one.base.is_some());
        Some(Known { backup: on.backup.clone(), base: agreed?, everywhere })
    }

    /// Nothing is built on anything.
    pub fn forget_bases(&mut self) {
        self.each.iter_mut().for_each(|one| one.base = None);
    }

    /// Whether there is a storage to write to.
    pub fn has_open(&self) -> bool {
        self.each.iter().any(|one| one.result.is_none())
    }

    pub fn none_is_good(&self) -> bool {
        self.each.iter().all(|one| one.good().is_none())
    }

    /// Reads the source once, into every storage that waits for it. What is wrong with the source
    /// is the error of all.
    pub async fn read_once(&mut self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<()> {
        let open: Vec<_> = self.each.iter_mut().filter(|one| one.result.is_none()).collect();
        let storages: Vec<_> = open.iter().filter_map(|one| Some((one.name.clone(), one.storage.clone()?))).collect();
        let bases: Vec<_> = open.iter().map(|one| one.base.clone()).collect();
        let results = match &storages[..] {
            [(name, only)] => {
                let base = bases.into_iter().next().flatten();
                vec![put_alone(name, &**only, label, source, base, progress, self.patience).await]
            }
            all => match one_pass(all, label, source, bases, progress, self.patience).await {
                Err(e) if OF_THE_BASE.contains(&e.code.as_ref()) => storages.iter().map(|_| Err(e.clone())).collect(),
                other => other?,
            },
        };
        for (one, result) in open.into_iter().zip(results) {
            let spoiled = one.base.take().is_some() && result.as_ref().is_err_and(|e| OF_THE_BASE.contains(&e.code.as_ref()));
            one.result = (!spoiled).then_some(result);
        }
        // A late writer of an earlier call may have been faster: then its point is another.
        self.complete_from_a_good_one(label, progress).await;
        Ok(())
    }

    pub fn results(self) -> Vec<Result<Stored>> {
        let missing = || Err(Error::unavailable("base_lost", "the backup it was built on was lost while it was made; make it again"));
        self.each.into_iter().map(|one| one.result.unwrap_or_else(missing)).collect()
    }
}

/// Leaves of `base` what the other one holds as well.
fn narrow(base: &mut Base, other: &Base) {
    base.files.retain(|path, held| match other.files.get(path) {
        Some(there) if (there.size, there.mtime) == (held.size, held.mtime) => {
            held.piece = held.piece.filter(|piece| there.piece == Some(*piece));
            true
        }
        _ => false,
    });
}

/// The one storage there is reads the source itself.
async fn put_alone(
    name: &str,
    storage: &dyn Storage,
    label: &SnapshotLabel,
    source: Box<dyn Source>,
    base: Option<String>,
    progress: &Progress,
    patience: Duration,
) -> Result<Stored> {
    let pulse = Arc::<Pulse>::default();
    let watched = Box::new(Watched { source, base, pulse: pulse.clone() });
    tokio::select! {
        stored = moving(progress, storage.put(label, watched, progress)) => stored,
        () = left_lying(|| pulse.idle(), storage, patience) => {
            pulse.close();
            let sentence = format!(
                "storage {name} took nothing for {} s and was given up; look at it with `storage check {name}`, or choose another one",
                patience.as_secs()
            );
            Err(Error::failed("storage_stalled", sentence))
        }
    }
}

/// One pass over the source, with all storages reading at once.
async fn one_pass(
    storages: &[(String, Arc<dyn Storage>)],
    label: &SnapshotLabel,
    source: Box<dyn Source>,
    bases: Vec<Option<String>>,
    progress: &Progress,
    patience: Duration,
) -> Result<Vec<Result<Stored>>> {
    let keeping: Vec<bool> = storages.iter().map(|(_, storage)| storage.keeps_files()).collect();
    let storing = keeping.into_iter().zip(bases).map(|(keeps_files, base)| Storing { keeps_files, base }).collect();
    let (tee, views) = Tee::start(source, storing, progress)?;
    let own: Vec<Progress> = storages.iter().map(|_| Progress::default()).collect();
    let puts = storages.iter().zip(views).zip(&own).enumerate().map(|(n, (((name, storage), view), own))| {
        let line = tee.line(n);
        async move { put(name, &**storage, label, view, &line, own, patience).await }
    });
    let results = tokio::select! {
        results = join_all(puts) => results,
        () = show(progress, &own) => vec![],
    };
    let failure = tee.failure();
    tee.settle().await;
    match failure {
        Some(e) if results.iter().all(Result::is_err) => Err(e),
        _ => Ok(results),
    }
}

async fn put(
    name: &str,
    storage: &dyn Storage,
    label: &SnapshotLabel,
    view: View,
    line: &Line,
    own: &Progress,
    patience: Duration,
) -> Result<Stored> {
    let result = tokio::select! {
        stored = moving(own, storage.put(label, Box::new(view), own)) => stored,
        () = left_lying(|| line.idle(), storage, patience) => {
            let sentence = format!("storage {name} took nothing for {} s and was done without", patience.as_secs());
            Err(Error::failed("storage_stalled", sentence))
        }
    };
    // Whatever it still holds of the source is given back to the others.
    line.close();
    result
}

/// A storage that moves what it was given before is slow, or held to a bandwidth, and not dead.
async fn left_lying(idle: impl Fn() -> Option<Duration>, storage: &dyn Storage, patience: Duration) {
    let (mut moved, mut since) = (storage.moved(), Instant::now());
    while idle().is_none_or(|idle| idle.min(since.elapsed()) < patience) {
        tokio::time::sleep(LOOK).await;
        let now = storage.moved();
        if now != moved {
            (moved, since) = (now, Instant::now());
        }
    }
}

/// Shows how far the slowest is, and passes on that all of it was cancelled. Never ends.
async fn show(progress: &Progress, own: &[Progress]) {
    loop {
        if progress.is_cancelled() {
            own.iter().for_each(Progress::cancel);
        }
        let looks = own.iter().map(Progress::look);
        if let Some(slowest) = looks.min_by_key(|l| (l.sentence != "reading", l.done)) {
            progress.show(&slowest);
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests;
