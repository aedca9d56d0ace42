//! One source read once, for several storages at the same time.
//!
//! A thread reads the source in its order and hands what it read to each storage's [`View`], which
//! is a source of its own for that storage, with everything that means: the storage counts what it
//! took, remembers every error, and publishes nothing unless its view came to a good end. What the
//! storages have not taken yet is bounded, so the slowest sets the pace. One that fails drops out;
//! if the source fails, every view fails.
//!
//! A storage that keeps files by sharing their blocks is asked first: what it kept is what is read,
//! so all copies hold the same bytes.
//!
//! A storage that holds an earlier backup is not given what it can take over from there. Where each of
//! them does, those bytes are not read at all; else they are, and passed on to those that need them.

use crate::pipe::{Budget, CHUNK, Meter, Pipe, TICK, lock};
use mainstay_drivers::{
    background::come_last,
    progress::Progress,
    storage::{Entry, EntryKind, Keep, Keeper, Opener, Source},
};
use mainstay_model::{Error, Result, backup::Facts};
use std::{
    collections::VecDeque,
    io::{self, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Condvar, Mutex, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Bytes read ahead of the slowest storage.
const AHEAD_BYTES: usize = 4 << 20;
/// Entries read ahead of the slowest storage.
const AHEAD_ENTRIES: usize = 256;

/// How one storage takes a source.
pub(crate) struct Storing {
    /// It keeps files by sharing their blocks.
    pub keeps_files: bool,
    /// The snapshot in it that the new one is built on.
    pub base: Option<String>,
}

/// The reading of one source.
pub(crate) struct Tee {
    lines: Vec<Arc<Line>>,
    thread: JoinHandle<()>,
    failure: Arc<Mutex<Option<Error>>>,
}

impl Tee {
    /// Starts reading. There is a view for each of the storages; the first that keeps files is waited for.
    pub fn start(source: Box<dyn Source>, storages: Vec<Storing>, progress: &Progress) -> Result<(Tee, Vec<View>)> {
        let everywhere = storages.iter().all(|s| s.base.is_some());
        let keeping = storages.iter().position(|s| s.keeps_files);
        let lines: Vec<_> = storages.into_iter().map(|s| Arc::new(Line::new(s.base, progress))).collect();
        let keeping = keeping.map(|n| lines[n].clone());
        let expected = source.expected_bytes();
        let views = lines.iter().map(|line| View { line: line.clone(), expected }).collect();
        let failure = Arc::<Mutex<Option<Error>>>::default();
        let told = failure.clone();
        let (budget, progress) = (Budget::new(AHEAD_BYTES), progress.clone());
        let pump = Pump { source, lines: lines.clone(), keeping, everywhere, budget, progress, failure: told };
        let thread = thread::Builder::new().name("backup tee".into()).spawn(move || {
            come_last();
            pump.run();
        })?;
        Ok((Tee { lines, thread, failure }, views))
    }

    pub fn line(&self, storage: usize) -> Arc<Line> {
        self.lines[storage].clone()
    }

    /// What was wrong with the source itself.
    pub fn failure(&self) -> Option<Error> {
        lock(&self.failure).clone()
    }

    /// Gives a source that was given up a moment to put its things away. One that hangs is left
    /// behind: it goes when what it waits for does.
    pub async fn settle(self) {
        let start = Instant::now();
        while !self.thread.is_finished() && start.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// What is on its way to one storage.
pub(crate) struct Line {
    base: Option<String>,
    state: Mutex<Way>,
    changed: Condvar,
    meter: Arc<Meter>,
    progress: Progress,
}

#[derive(Default)]
struct Way {
    entries: VecDeque<Entry>,
    pipes: Vec<Weak<Pipe>>,
    /// How the source ended.
    outcome: Option<Result<Facts>>,
    /// The storage takes no more.
    closed: bool,
    keeper: Option<Arc<dyn Keeper>>,
}

impl Line {
    fn new(base: Option<String>, progress: &Progress) -> Line {
        Line { base, state: Mutex::default(), changed: Condvar::new(), meter: Arc::default(), progress: progress.clone() }
    }

    fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// For how long the storage has left lying what it could take.
    pub fn idle(&self) -> Option<Duration> {
        self.meter.idle()
    }

    /// The storage is done, one way or the other. What it did not take is dropped.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let (entries, pipes) = (std::mem::take(&mut state.entries), std::mem::take(&mut state.pipes));
        drop(state);
        self.meter.taken(entries.len());
        pipes.iter().filter_map(Weak::upgrade).for_each(|p| p.close());
        self.changed.notify_all();
    }

    fn offer(&self, entry: Entry, pipe: Option<Weak<Pipe>>) {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            return;
        }
        state.pipes.retain(|p| p.strong_count() > 0);
        state.pipes.extend(pipe);
        state.entries.push_back(entry);
        self.meter.offered();
        drop(state);
        self.changed.notify_all();
    }

    fn conclude(&self, outcome: Result<Facts>) {
        lock(&self.state).outcome.get_or_insert(outcome);
        self.changed.notify_all();
    }

    /// Waits for the next entry, or for the end.
    fn next(&self) -> Option<Result<Entry>> {
        let mut state = lock(&self.state);
        loop {
            if let Some(entry) = state.entries.pop_front() {
                self.meter.taken(1);
                self.changed.notify_all();
                return Some(Ok(entry));
            }
            match &state.outcome {
                _ if state.closed || self.progress.is_cancelled() => return Some(Err(given_up())),
                Some(Ok(_)) => return None,
                Some(Err(e)) => return Some(Err(e.clone())),
                None => state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0,
            }
        }
    }

    /// Waits for the keeper of a storage that has one; `None` when it is done already, or all is over.
    fn keeper(&self, over: impl Fn() -> bool) -> Option<Arc<dyn Keeper>> {
        let mut state = lock(&self.state);
        while state.keeper.is_none() && !state.closed && !over() {
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.keeper.take()
    }

    /// Waits while too many entries lie here; not for good, so that the others are looked at too.
    fn pace(&self) -> bool {
        let full = |s: &mut Way| !s.closed && s.entries.len() >= AHEAD_ENTRIES;
        let waited = self.changed.wait_timeout_while(lock(&self.state), TICK, full);
        !full(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// How the reading ends that nobody waits for any more.
fn given_up() -> Error {
    Error::failed("cancelled", "cancelled before it was finished; nothing of it is visible")
}

/// The source as one storage sees it.
pub(crate) struct View {
    line: Arc<Line>,
    expected: Option<u64>,
}

impl Source for View {
    fn next(&mut self) -> Option<Result<Entry>> {
        self.line.next()
    }
    fn finish(&mut self) -> Result<Facts> {
        lock(&self.line.state).outcome.clone().unwrap_or_else(|| Err(given_up()))
    }
    fn expected_bytes(&self) -> Option<u64> {
        self.expected
    }
    fn offer(&mut self, keeper: Arc<dyn Keeper>) {
        lock(&self.line.state).keeper = Some(keeper);
        self.line.changed.notify_all();
    }
    fn base(&self) -> Option<&str> {
        self.line.base.as_deref()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.line.close();
    }
}

/// The thread that reads.
struct Pump {
    source: Box<dyn Source>,
    lines: Vec<Arc<Line>>,
    keeping: Option<Arc<Line>>,
    /// Whether every storage builds on the same backup: then readers give only what none of them has.
    everywhere: bool,
    budget: Arc<Budget>,
    progress: Progress,
    failure: Arc<Mutex<Option<Error>>>,
}

/// One file on its way to one storage.
struct Lane {
    pipe: Arc<Pipe>,
    /// The bytes that come are not for it.
    spared: bool,
}

impl Pump {
    fn run(mut self) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.drain())).unwrap_or_else(|_| Err(Error::internal("the source panicked")));
        if let Err(e) = &outcome {
            self.note(e);
        }
        let lines = std::mem::take(&mut self.lines);
        // Put away before anybody hears of the end: a backup that ended holds nothing in the engine.
        drop(self);
        lines.iter().for_each(|line| line.conclude(outcome.clone()));
    }

    fn drain(&mut self) -> Result<Facts> {
        if let Some(keeper) = self.keeping.as_ref().and_then(|line| line.keeper(|| self.progress.is_cancelled())) {
            self.source.offer(keeper);
        }
        while let Some(entry) = self.source.next() {
            self.pass_on(entry?)?;
            while !self.lines.iter().all(|line| line.pace()) {
                self.going_on()?;
            }
        }
        self.going_on()?;
        self.source.finish()
    }

    /// What is wrong with the source, unless somebody else ended it.
    fn note(&self, e: &Error) {
        if !self.is_over() {
            lock(&self.failure).get_or_insert_with(|| e.clone());
        }
    }

    /// Whether nobody wants the rest.
    fn is_over(&self) -> bool {
        self.progress.is_cancelled() || self.lines.iter().all(|line| line.is_closed())
    }

    fn going_on(&self) -> Result<()> {
        if self.is_over() { Err(given_up()) } else { Ok(()) }
    }

    fn pass_on(&self, entry: Entry) -> Result<()> {
        let Entry { path, mode, mtime, kind } = entry;
        let to = |line: &Line, kind, pipe| line.offer(Entry { path: path.clone(), mode, mtime, kind }, pipe);
        match kind {
            EntryKind::Dir => self.lines.iter().for_each(|line| to(line, EntryKind::Dir, None)),
            EntryKind::Symlink { target } => {
                self.lines.iter().for_each(|line| to(line, EntryKind::Symlink { target: target.clone() }, None));
            }
            EntryKind::File { size, may_vanish, open, keep } => {
                let mut lanes = vec![];
                for line in self.lines.iter().filter(|line| !line.is_closed()) {
                    let pipe = Pipe::new(&line.meter, &self.progress);
                    let keep = self.kept_by(line, &keep);
                    let spared = !self.everywhere && keep == Keep::Whole;
                    to(line, EntryKind::File { size, may_vanish, open: pipe.clone().opener(), keep }, Some(Arc::downgrade(&pipe)));
                    lanes.push(Lane { pipe, spared });
                }
                let sent = self.send(open, &lanes);
                let verdict = sent.as_ref().map_or_else(|e| self.excuse(&path, may_vanish, e), |()| Ok(()));
                // Before any storage hears of it: what they make of it is no error of theirs.
                if let Err(e) = &verdict {
                    self.note(e);
                }
                lanes.iter().for_each(|lane| lane.pipe.end(sent.as_ref().map(|_| ())));
                return verdict;
            }
        }
        self.going_on()
    }

    /// A part of a file is kept only where nobody reads the rest: what is read may differ from what was
    /// kept in ways that do not matter to the engine, but do to a checksum of the whole.
    fn kept_by(&self, line: &Line, keep: &Keep) -> Keep {
        match line.base.is_some() && (self.everywhere || *keep == Keep::Whole) {
            true => keep.clone(),
            false => Keep::Nothing,
        }
    }

    fn send(&self, open: Opener, lanes: &[Lane]) -> io::Result<()> {
        let mut reader = open()?;
        lanes.iter().for_each(|lane| lane.pipe.open());
        let mut buffer = vec![0; CHUNK];
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let chunk = self.budget.chunk(&buffer[..n], || self.is_over());
            let chunk = chunk.ok_or_else(|| io::Error::other("the backup is over"))?;
            lanes.iter().filter(|lane| !lane.spared).for_each(|lane| lane.pipe.push(chunk.clone()));
        }
    }

    /// A file that was gone when it was opened is left out where the source allows it.
    fn excuse(&self, path: &Path, may_vanish: bool, e: &io::Error) -> Result<()> {
        self.going_on()?;
        match may_vanish && e.kind() == io::ErrorKind::NotFound {
            true => Ok(()),
            false => Err(Error::failed("source_unreadable", format!("reading {} for the backup: {e}", path.display()))),
        }
    }
}
