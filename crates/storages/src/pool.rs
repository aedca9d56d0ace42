//! Where blocking work runs. Few threads on purpose: a backup must not take the machine from the
//! database it saves, and reading (drills, restores) must not wait behind writing.

use mainstay_drivers::{background::come_last, progress::Progress};
use mainstay_model::{Error, Result};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    task::{JoinError, spawn_blocking},
};

#[derive(Clone)]
pub struct Pool {
    reads: Arc<Semaphore>,
}

#[derive(Debug, Clone, Copy)]
pub enum Lane {
    /// Backups. How many run at once is for who starts them to say: the copies of one backup read
    /// the same source together, and one that waited here would hold up those that do not.
    Write,
    /// Restores: a person waits.
    Read,
    /// The same where nobody does: verifications, what drills and copies read.
    Quiet,
    /// Small questions, never queued.
    Ask,
}

impl Lane {
    /// For reading, by whether anybody waits.
    pub fn reading(progress: &Progress) -> Lane {
        if progress.is_quiet() { Lane::Quiet } else { Lane::Read }
    }

    /// What it runs comes last in line.
    pub fn is_last(self) -> bool {
        matches!(self, Lane::Write | Lane::Quiet)
    }
}

impl Default for Pool {
    fn default() -> Self {
        // Made here, and not by the first backup: the library's threads would come last for restores too.
        let _ = rayon::ThreadPoolBuilder::new().build_global();
        Pool { reads: Arc::new(Semaphore::new(2)) }
    }
}

/// Tells the blocking side that nobody waits for it any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Pool {
    /// Runs `work`; the flag it gets turns true when the caller goes away before the end.
    pub async fn run<T, F>(&self, lane: Lane, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(Arc<AtomicBool>) -> Result<T> + Send + 'static,
    {
        let semaphore = match lane {
            Lane::Read | Lane::Quiet => Some(&self.reads),
            Lane::Write | Lane::Ask => None,
        };
        let permit = match semaphore {
            Some(s) => Some(s.clone().acquire_owned().await.map_err(Error::internal)?),
            None => None,
        };
        let flag = Arc::new(AtomicBool::new(false));
        let _abandon = Abandon(flag.clone());
        if lane.is_last() {
            return last(move || {
                let _permit = permit;
                work(flag)
            })
            .await;
        }
        spawn_blocking(move || {
            let _permit = permit;
            work(flag)
        })
        .await
        .map_err(panicked)?
    }
}

/// On a thread of its own that comes last in line, with all threads it starts: reading, compressing,
/// encrypting. The runtime's threads are used again for other work, and could not come back from there.
async fn last<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (tell, told) = oneshot::channel();
    let runtime = Handle::current();
    std::thread::Builder::new().name("backup".into()).spawn(move || {
        let _inside = runtime.enter();
        come_last();
        // Nobody listens any more where the caller has gone.
        let _ = tell.send(work());
    })?;
    told.await.map_err(|_| Error::internal("a storage thread ended early"))?
}

fn panicked(e: JoinError) -> Error {
    Error::internal(format!("a storage thread ended early: {e}"))
}
