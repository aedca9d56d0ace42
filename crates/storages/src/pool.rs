//! Where blocking work runs. Few threads on purpose: a backup must not take the machine from the
//! database it saves, and reading (drills, restores) must not wait behind writing.

use mainstay_model::{Error, Result};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{
    sync::Semaphore,
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
    /// Restores and verifications.
    Read,
    /// Small questions, never queued.
    Ask,
}

impl Default for Pool {
    fn default() -> Self {
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
            Lane::Read => Some(&self.reads),
            Lane::Write | Lane::Ask => None,
        };
        let permit = match semaphore {
            Some(s) => Some(s.clone().acquire_owned().await.map_err(Error::internal)?),
            None => None,
        };
        let flag = Arc::new(AtomicBool::new(false));
        let _abandon = Abandon(flag.clone());
        spawn_blocking(move || {
            let _permit = permit;
            work(flag)
        })
        .await
        .map_err(panicked)?
    }
}

fn panicked(e: JoinError) -> Error {
    Error::internal(format!("a storage thread ended early: {e}"))
}
