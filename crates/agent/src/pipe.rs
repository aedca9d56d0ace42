//! A file's bytes on their way from who reads them to who stores them, in another thread and at its
//! own pace. What lies in between is bounded by a [`Budget`], which one pipe or many share.

use mainstay_drivers::{progress::Progress, storage::Opener};
use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a blocked thread sleeps before it looks whether the work was cancelled.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Bytes handed on at a time.
pub(crate) const CHUNK: usize = 256 << 10;

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many bytes may lie between.
pub(crate) struct Budget {
    used: Mutex<usize>,
    freed: Condvar,
    limit: usize,
}

impl Budget {
    pub fn new(limit: usize) -> Arc<Budget> {
        Arc::new(Budget { used: Mutex::default(), freed: Condvar::new(), limit })
    }

    /// Room for so many bytes, or `None` when there is none within a tick. With nothing in between
    /// there is always room.
    fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Lease> {
        let full = |used: &mut usize| *used > 0 && *used + bytes > self.limit;
        let waited = self.freed.wait_timeout_while(lock(&self.used), TICK, full);
        let mut used = waited.unwrap_or_else(PoisonError::into_inner).0;
        if full(&mut used) {
            return None;
        }
        *used += bytes;
        Some(Lease { budget: self.clone(), bytes })
    }

    /// Puts `bytes` into a chunk as soon as there is room; `None` when `over` says to stop waiting.
    pub fn chunk(self: &Arc<Self>, bytes: &[u8], over: impl Fn() -> bool) -> Option<Arc<Chunk>> {
        loop {
            if over() {
                return None;
            }
            if let Some(lease) = self.reserve(bytes.len()) {
                return Some(Arc::new(Chunk { bytes: bytes.to_vec(), _lease: lease }));
            }
        }
    }
}

struct Lease {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Drop for Lease {
    fn drop(&mut self) {
        *lock(&self.budget.used) -= self.bytes;
        self.budget.freed.notify_all();
    }
}

/// Counted until the last pipe that carries it has passed it on.
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    _lease: Lease,
}

/// What waits to be taken by one storage, and when it last took something.
pub(crate) struct Meter(Mutex<(usize, Instant)>);

impl Default for Meter {
    fn default() -> Self {
        Meter(Mutex::new((0, Instant::now())))
    }
}

impl Meter {
    pub fn offered(&self) {
        let mut state = lock(&self.0);
        if state.0 == 0 {
            state.1 = Instant::now();
        }
        state.0 += 1;
    }
    pub fn taken(&self, count: usize) {
        let mut state = lock(&self.0);
        *state = (state.0.saturating_sub(count), Instant::now());
    }
    /// For how long something has been waiting and nothing was taken.
    pub fn idle(&self) -> Option<Duration> {
        let state = lock(&self.0);
        (state.0 > 0).then(|| state.1.elapsed())
    }
}

/// Why a pipe broke off.
type Broken = (io::ErrorKind, String);

/// One file.
pub(crate) struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
    meter: Arc<Meter>,
    /// Ends a reader that waits in vain.
    progress: Progress,
}

#[derive(Default)]
struct State {
    open: bool,
    chunks: VecDeque<Arc<Chunk>>,
    end: Option<Result<(), Broken>>,
    /// Nobody reads any more.
    closed: bool,
}

impl Pipe {
    pub fn new(meter: &Arc<Meter>, progress: &Progress) -> Arc<Pipe> {
        Arc::new(Pipe { state: Mutex::default(), changed: Condvar::new(), meter: meter.clone(), progress: progress.clone() })
    }

    /// The file is there.
    pub fn open(&self) {
        lock(&self.state).open = true;
        self.changed.notify_all();
    }

    pub fn push(&self, chunk: Arc<Chunk>) {
        let mut state = lock(&self.state);
        if !state.closed && state.end.is_none() {
            self.meter.offered();
            state.chunks.push_back(chunk);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing more comes. The first end is the one that counts.
    pub fn end(&self, end: Result<(), &io::Error>) {
        let end = end.map_err(|e| (e.kind(), e.to_string()));
        lock(&self.state).end.get_or_insert(end);
        self.changed.notify_all();
    }

    /// Breaks it off and drops what is in it.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.end.get_or_insert_with(|| Err((io::ErrorKind::BrokenPipe, "it is no longer sent".into())));
        let left = std::mem::take(&mut state.chunks);
        drop(state);
        self.meter.taken(left.len());
        self.changed.notify_all();
    }

    pub fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// Opens when the file itself was opened, with the error if that failed.
    pub fn opener(self: Arc<Self>) -> Opener {
        let reader = Reader { pipe: self, chunk: None };
        Box::new(move || {
            let there = reader.pipe.wait(|s| s.open || s.end.is_some())?;
            let broken = there.end.clone().and_then(Result::err).filter(|_| !there.open);
            drop(there);
            broken.map_or(Ok(Box::new(reader) as Box<dyn Read + Send>), |(kind, why)| Err(io::Error::new(kind, why)))
        })
    }

    fn wait(&self, until: impl Fn(&State) -> bool) -> io::Result<MutexGuard<'_, State>> {
        let mut state = lock(&self.state);
        while !until(&state) {
            if self.progress.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            state = self.changed.wait_timeout(state, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }

    fn take(&self) -> io::Result<Option<Arc<Chunk>>> {
        let mut state = self.wait(|s| !s.chunks.is_empty() || s.end.is_some())?;
        if let Some(chunk) = state.chunks.pop_front() {
            self.meter.taken(1);
            return Ok(Some(chunk));
        }
        match &state.end {
            Some(Err((kind, why))) => Err(io::Error::new(*kind, why.clone())),
            _ => Ok(None),
        }
    }
}

/// Where the bytes come out. Dropped before its end it takes the rest with it.
struct Reader {
    pipe: Arc<Pipe>,
    chunk: Option<(Arc<Chunk>, usize)>,
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.chunk.is_none() {
            self.chunk = self.pipe.take()?.map(|c| (c, 0));
        }
        let Some((chunk, at)) = &mut self.chunk else { return Ok(0) };
        let n = (chunk.bytes.len() - *at).min(buf.len());
        buf[..n].copy_from_slice(&chunk.bytes[*at..*at + n]);
        *at += n;
        if *at == chunk.bytes.len() {
            self.chunk = None;
        }
        Ok(n)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.pipe.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn bytes_come_out_as_they_went_in_and_little_lies_between() {
        let (budget, meter, progress) = (Budget::new(1000), Arc::new(Meter::default()), Progress::default());
        let pipe = Pipe::new(&meter, &progress);
        let sent: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        let (wanted, into, shared) = (sent.clone(), pipe.clone(), budget.clone());
        let writer = thread::spawn(move || {
            into.open();
            for part in sent.chunks(300) {
                into.push(shared.chunk(part, || false).unwrap());
                assert!(*lock(&shared.used) <= 1000);
            }
            into.end(Ok(()));
        });
        let mut out = vec![];
        pipe.opener()().unwrap().read_to_end(&mut out).unwrap();
        writer.join().unwrap();
        assert_eq!((out, meter.idle(), *lock(&budget.used)), (wanted, None, 0));
    }

    #[test]
    fn a_pipe_that_is_closed_holds_up_nobody() {
        let (budget, meter, progress) = (Budget::new(10), Arc::new(Meter::default()), Progress::default());
        let pipe = Pipe::new(&meter, &progress);
        let chunk = budget.chunk(&[0; 10], || false).unwrap();
        pipe.push(chunk);
        assert!(meter.idle().is_some());
        assert!(budget.chunk(&[0; 10], || true).is_none(), "full, and told to stop");
        drop(pipe.clone().opener());
        assert!(pipe.is_closed() && meter.idle().is_none());
        pipe.push(budget.chunk(&[0; 10], || false).unwrap());
        assert_eq!(*lock(&budget.used), 0);
    }

    #[test]
    fn an_error_comes_out_after_what_was_good() {
        let (budget, meter, progress) = (Budget::new(10), Arc::new(Meter::default()), Progress::default());
        let pipe = Pipe::new(&meter, &progress);
        pipe.open();
        pipe.push(budget.chunk(b"good", || false).unwrap());
        let mut reader = pipe.clone().opener()().unwrap();
        pipe.end(Err(&io::Error::other("the disk went bad")));
        let mut good = [0; 4];
        reader.read_exact(&mut good).unwrap();
        assert_eq!((&good, reader.read(&mut [0; 1]).unwrap_err().to_string()), (b"good", "the disk went bad".to_string()));
        let waits = Pipe::new(&meter, &progress);
        progress.cancel();
        assert!(waits.opener()().is_err());
    }
}
