//! A backup gives way: while the replica it reads from falls too far behind its primary, reading pauses.
//!
//! What is looked at is the lag, in bytes and in seconds where the engine says them; the latency of the
//! primary's clients is not known here. A lag that nobody knows changes nothing. A pause has an end: what
//! is too far behind for too long is not read from any further, and somebody else is. Streams are not held
//! up: an engine takes a slow reader of one for a lost one.

use crate::pipe::{TICK, lock};
use mainstay_drivers::{
    progress::Progress,
    storage::{Entry, EntryKind, Keeper, Opener, Source},
};
use mainstay_model::{Error, Result, backup::Facts, node::Observed};
use mainstay_rpc::verbs::GivingWay;
use std::{
    io::{self, Read},
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often the lag is looked at.
pub(crate) const EVERY: Duration = Duration::from_secs(2);

/// How far a replica is behind, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Lag {
    bytes: Option<u64>,
    seconds: Option<f64>,
}

impl Lag {
    fn of(replica: &Observed, primary: &Observed) -> Lag {
        let positions = replica.position.as_ref().zip(primary.position.as_ref());
        Lag { bytes: positions.and_then(|(r, p)| r.behind(p)).or(replica.lag_bytes), seconds: replica.lag_seconds }
    }

    fn is_over(&self, bytes: u64, seconds: f64) -> bool {
        self.bytes.is_some_and(|b| b > bytes) || self.seconds.is_some_and(|s| s > seconds)
    }

    fn is_known(&self) -> bool {
        self.bytes.is_some() || self.seconds.is_some()
    }

    fn words(&self) -> String {
        let bytes = self.bytes.map(|b| format!("{} MiB", b >> 20));
        let seconds = self.seconds.map(|s| format!("{s:.0} s"));
        [bytes, seconds].into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }
}

/// What is to be done after a look.
#[derive(Debug, PartialEq)]
enum Verdict {
    Go,
    Pause(String),
    GiveUp(Error),
}

/// Judges one look after the other; time is an argument.
struct Judge {
    way: GivingWay,
    name: String,
    since: Option<Instant>,
    last: Lag,
}

impl Judge {
    fn look(&mut self, lag: Lag, now: Instant) -> Verdict {
        if lag.is_known() {
            self.last = lag;
        }
        // Half of what stops it lets it go on: else it would be stopped again at once.
        let part = if self.since.is_some() { 2 } else { 1 };
        let (bytes, seconds) = (self.way.lag_bytes / part, self.way.lag_seconds / part as f64);
        if !self.last.is_over(bytes, seconds) {
            self.since = None;
            return Verdict::Go;
        }
        let waited = now.saturating_duration_since(*self.since.get_or_insert(now)).as_secs();
        let behind = format!("{} is {} behind its primary", self.name, self.last.words());
        match waited >= self.way.wait_seconds {
            true => {
                let sentence = format!("{behind}, and that did not get better within {waited} s without reading from it");
                Verdict::GiveUp(Error::unavailable("source_behind", sentence))
            }
            // Whole half minutes: who says something new is not taken to hang.
            false => Verdict::Pause(format!("pauses: {behind} (for {} s)", waited / 30 * 30)),
        }
    }
}

pub(crate) struct Brake {
    judge: Mutex<Judge>,
    state: Mutex<State>,
    changed: Condvar,
    progress: Progress,
}

#[derive(Default)]
struct State {
    paused: bool,
    given_up: Option<Error>,
}

impl Brake {
    pub fn new(way: &GivingWay, name: &str, progress: &Progress) -> Brake {
        let judge = Judge { way: way.clone(), name: name.to_owned(), since: None, last: Lag::default() };
        Brake { judge: Mutex::new(judge), state: Mutex::default(), changed: Condvar::new(), progress: progress.clone() }
    }

    pub fn look(&self, (replica, primary): (Observed, Observed)) {
        let verdict = lock(&self.judge).look(Lag::of(&replica, &primary), Instant::now());
        self.obey(verdict);
    }

    fn obey(&self, verdict: Verdict) {
        let mut state = lock(&self.state);
        let note = match verdict {
            Verdict::Go => {
                state.paused = false;
                None
            }
            Verdict::Pause(sentence) => {
                state.paused = true;
                Some(sentence)
            }
            Verdict::GiveUp(e) => {
                state.given_up.get_or_insert(e);
                None
            }
        };
        drop(state);
        self.progress.set_note(note);
        self.changed.notify_all();
    }

    /// Why it is not read from any further.
    pub fn verdict(&self) -> Option<Error> {
        lock(&self.state).given_up.clone()
    }

    /// Returns when reading may go on.
    fn pass(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        loop {
            if let Some(e) = &state.given_up {
                return Err(io::Error::other(e.message.clone()));
            }
            // Whoever cancelled sees to the rest.
            if !state.paused || self.progress.is_cancelled() {
                return Ok(());
            }
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A source that is read as the brake allows.
pub(crate) struct Braked {
    pub source: Box<dyn Source>,
    pub brake: Arc<Brake>,
}

impl Source for Braked {
    fn next(&mut self) -> Option<Result<Entry>> {
        let entry = self.source.next()?;
        Some(entry.map(|entry| {
            let kind = match entry.kind {
                EntryKind::File { size: size @ Some(_), may_vanish, open, keep } => {
                    EntryKind::File { size, may_vanish, open: braked(open, self.brake.clone()), keep }
                }
                other => other,
            };
            Entry { kind, ..entry }
        }))
    }
    fn finish(&mut self) -> Result<Facts> {
        self.source.finish()
    }
    fn expected_bytes(&self) -> Option<u64> {
        self.source.expected_bytes()
    }
    fn offer(&mut self, keeper: Arc<dyn Keeper>) {
        self.source.offer(keeper);
    }
    fn base(&self) -> Option<&str> {
        self.source.base()
    }
}

fn braked(open: Opener, brake: Arc<Brake>) -> Opener {
    Box::new(move || {
        brake.pass()?;
        Ok(Box::new(Reader { inner: open()?, brake }))
    })
}

struct Reader {
    inner: Box<dyn Read + Send>,
    brake: Arc<Brake>,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.brake.pass()?;
        self.inner.read(buf)
    }
}

#[cfg(test)]
mod tests;
