//! One mutating verb a node at a time. A call that arrives while the same one runs (its caller's
//! reply was lost, say) waits here, and then finds its work done.

use mainstay_drivers::progress::Progress;
use mainstay_model::{Error, Result};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::OwnedMutexGuard;

/// Locks by name, made when they are asked for and gone with their last holder.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<String, Entry>>);

#[derive(Default)]
struct Entry {
    lock: Weak<tokio::sync::Mutex<()>>,
    running: Option<Progress>,
}

/// Held until dropped. Its name can be cancelled by others meanwhile.
pub(crate) struct Held<'a> {
    locks: &'a Locks,
    key: String,
    _guard: OwnedMutexGuard<()>,
}

impl Locks {
    /// Waits for `key`, in the order of asking. A call that was cancelled meanwhile ends here.
    pub async fn hold(&self, key: impl Into<String>, progress: &Progress) -> Result<Held<'_>> {
        let key = key.into();
        let guard = self.lock(&key).lock_owned().await;
        if progress.is_cancelled() {
            return Err(cancelled());
        }
        self.entries().entry(key.clone()).or_default().running = Some(progress.clone());
        Ok(Held { locks: self, key, _guard: guard })
    }

    /// Asks whoever holds `key` now to stop at its next look.
    pub fn cancel(&self, key: &str) {
        if let Some(running) = self.entries().get(key).and_then(|e| e.running.as_ref()) {
            running.cancel();
        }
    }

    fn lock(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut entries = self.entries();
        entries.retain(|_, e| e.lock.strong_count() > 0);
        let entry = entries.entry(key.into()).or_default();
        entry.lock.upgrade().unwrap_or_else(|| {
            let lock = Arc::default();
            entry.lock = Arc::downgrade(&lock);
            lock
        })
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How work ends that was asked to stop.
pub(crate) fn cancelled() -> Error {
    Error::conflict("cancelled", "it was cancelled before it was done")
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.locks.entries().get_mut(&self.key) {
            entry.running = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_second_holder_waits_and_the_first_can_be_cancelled() {
        let locks = Locks::default();
        let (first, second) = (Progress::default(), Progress::default());
        let held = locks.hold("a", &first).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), locks.hold("a", &second)).await.is_err());
        let _other = locks.hold("b", &second).await.unwrap();
        locks.cancel("a");
        assert!(first.is_cancelled() && !second.is_cancelled());
        drop(held);
        assert!(locks.hold("a", &first).await.is_err(), "what was cancelled while it waited does not begin");
        locks.hold("a", &second).await.unwrap();
    }
}
