//! How long work says how far it is. Cheap to call often; the receiver samples.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
    quiet: AtomicBool,
    sentence: Mutex<String>,
    /// Said instead of the sentence, as long as it is there.
    note: Mutex<Option<String>>,
}

/// One look at a [`Progress`]: bytes done of a total (0 where not known) and what is going on.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Snapshot {
    pub done: u64,
    pub total: u64,
    pub sentence: String,
}

impl Progress {
    pub fn total(&self, bytes: u64) {
        self.0.total.store(bytes, Ordering::Relaxed);
    }
    pub fn add(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Starts a new phase with its own count.
    pub fn say(&self, sentence: &str) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.total.store(0, Ordering::Relaxed);
        *self.0.sentence.lock().unwrap_or_else(|e| e.into_inner()) = sentence.into();
    }
    pub fn look(&self) -> Snapshot {
        Snapshot {
            done: self.0.done.load(Ordering::Relaxed),
            total: self.0.total.load(Ordering::Relaxed),
            sentence: self.note().unwrap_or_else(|| self.0.sentence.lock().unwrap_or_else(|e| e.into_inner()).clone()),
        }
    }
    fn note(&self) -> Option<String> {
        self.0.note.lock().unwrap_or_else(|e| e.into_inner()).clone()
    }
    /// What is to be known of it now, whatever phase it is in: that it waits, and for what.
    pub fn set_note(&self, note: Option<String>) {
        *self.0.note.lock().unwrap_or_else(|e| e.into_inner()) = note;
    }
    /// Shows what another one says: where several do the work of one.
    pub fn show(&self, said: &Snapshot) {
        *self.0.sentence.lock().unwrap_or_else(|e| e.into_inner()) = said.sentence.clone();
        self.0.total.store(said.total, Ordering::Relaxed);
        self.0.done.store(said.done, Ordering::Relaxed);
    }
    /// Nobody waits for it: it comes after everything else.
    pub fn quiet(self) -> Self {
        self.set_quiet();
        self
    }
    pub fn set_quiet(&self) {
        self.0.quiet.store(true, Ordering::Relaxed);
    }
    pub fn is_quiet(&self) -> bool {
        self.0.quiet.load(Ordering::Relaxed)
    }
    /// Asks the work to stop at its next look.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Relaxed)
    }
}
