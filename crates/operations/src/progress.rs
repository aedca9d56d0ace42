//! How far a run is, from second to second.
//!
//! Kept in memory and shown at once; the journal gets it now and then, so that a runner elsewhere,
//! or this one after a restart, shows about the same.

use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

#[derive(Debug)]
struct Inner {
    step: String,
    done: usize,
    total: usize,
    part: f64,
    sentence: String,
    /// Something was said that the journal does not have yet.
    fresh: bool,
    said: Instant,
}

#[derive(Debug)]
pub(crate) struct Progress {
    inner: Mutex<Inner>,
    child_failed: AtomicBool,
}

/// One look at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub step: String,
    pub percent: u8,
    pub sentence: String,
}

impl Inner {
    fn seen(&self) -> Seen {
        let percent = (self.done as f64 + self.part) * 100.0 / self.total.max(1) as f64;
        // 100 is for the end alone.
        Seen { step: self.step.clone(), percent: percent.clamp(0.0, 99.0) as u8, sentence: self.sentence.clone() }
    }
}

impl Default for Progress {
    fn default() -> Self {
        let (step, sentence) = (String::new(), String::new());
        let inner = Inner { step, done: 0, total: 0, part: 0.0, sentence, fresh: false, said: Instant::now() };
        Progress { inner: Mutex::new(inner), child_failed: AtomicBool::new(false) }
    }
}

impl Progress {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn begin(&self, step: &str, done: usize, total: usize, sentence: &str) {
        let mut inner = self.inner();
        *inner = Inner { step: step.into(), done, total, part: 0.0, sentence: sentence.into(), fresh: false, said: Instant::now() };
        self.child_failed.store(false, Ordering::Relaxed);
    }

    /// `part` never goes back within a step.
    pub fn say(&self, part: Option<f64>, sentence: &str) {
        let mut inner = self.inner();
        if let Some(part) = part.filter(|p| p.is_finite()) {
            inner.part = inner.part.max(part.clamp(0.0, 1.0));
        }
        inner.sentence.clear();
        inner.sentence.push_str(sentence);
        inner.fresh = true;
        inner.said = Instant::now();
    }

    /// The same step is tried once more.
    pub fn again(&self) {
        let mut inner = self.inner();
        (inner.part, inner.said) = (0.0, Instant::now());
        self.child_failed.store(false, Ordering::Relaxed);
    }

    /// A sign of life without news.
    pub fn touch(&self) {
        self.inner().said = Instant::now();
    }

    /// How long ago the last sign of life was.
    pub fn idle(&self) -> Duration {
        self.inner().said.elapsed()
    }

    pub fn seen(&self) -> Seen {
        self.inner().seen()
    }

    /// What the journal does not have yet.
    pub fn take(&self) -> Option<Seen> {
        let mut inner = self.inner();
        std::mem::take(&mut inner.fresh).then(|| inner.seen())
    }

    /// The step's error is that of a child, which had its own retries.
    pub fn set_child_failed(&self) {
        self.child_failed.store(true, Ordering::Relaxed);
    }
    pub fn child_failed(&self) -> bool {
        self.child_failed.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_finished_steps_and_a_part_of_the_running_one() {
        let p = Progress::default();
        p.begin("copy", 1, 4, "Copies");
        assert_eq!(p.seen().percent, 25);
        assert_eq!(p.take(), None);
        p.say(Some(0.5), "half");
        p.say(Some(0.2), "never back");
        assert_eq!(p.take(), Some(Seen { step: "copy".into(), percent: 37, sentence: "never back".into() }));
        p.say(Some(f64::NAN), "odd");
        p.begin("end", 4, 4, "Ends");
        p.say(Some(7.0), "over");
        assert_eq!(p.seen().percent, 99);
    }
}
