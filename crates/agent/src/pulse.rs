//! Whether the one storage of a backup takes what is there to be taken. (Several storages have pipes between them
//! and the source, which know; one reads the source itself, and nothing lies in between.)
//!
//! A storage that waits for the source is in a call of it. One that is in none, and holds a file it has not read
//! to its end or has not asked for the next, leaves the source lying; for how long, the pulse says. Before it first
//! asked, and after the source's end, it has work of its own, which counts as stuck after a longer time.

use crate::pipe::lock;
use mainstay_drivers::storage::{Entry, EntryKind, Keeper, Opener, Source};
use mainstay_model::{Error, Result, backup::Facts};
use std::{
    io::{self, Read},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Shared by whoever watches and all that the storage was handed.
#[derive(Default)]
pub(crate) struct Pulse(Mutex<State>);

#[derive(Default)]
struct State {
    /// Since when nothing happened; `None` before the first call.
    since: Option<Instant>,
    /// Calls that ask for the next entry.
    asking: usize,
    /// Calls that open or read a file.
    reading: usize,
    /// Files that were handed out and not put away.
    held: usize,
    ended: bool,
    closed: bool,
}

impl Pulse {
    fn note(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.0);
        change(&mut state);
        state.since = Some(Instant::now());
    }

    /// For how long the storage has left lying what it could take.
    pub fn idle(&self) -> Option<Duration> {
        let state = lock(&self.0);
        let waits = state.ended || state.reading > 0 || state.held == 0 && state.asking > 0;
        state.since.filter(|_| !waits).map(|since| since.elapsed())
    }

    /// Nothing is given any more: a storage that wakes up later publishes nothing.
    pub fn close(&self) {
        lock(&self.0).closed = true;
    }

    fn is_closed(&self) -> bool {
        lock(&self.0).closed
    }

    /// A call that reads, unless all is over.
    fn read<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.is_closed() {
            return Err(io::Error::other("the backup is over"));
        }
        self.note(|state| state.reading += 1);
        let done = call();
        self.note(|state| state.reading -= 1);
        done
    }
}

/// A file that the storage has been handed, until it puts it away.
struct HeldFile(Arc<Pulse>);

impl HeldFile {
    fn new(pulse: &Arc<Pulse>) -> Self {
        pulse.note(|state| state.held += 1);
        HeldFile(pulse.clone())
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        self.0.note(|state| state.held -= 1);
    }
}

/// The source of the one storage there is.
pub(crate) struct Watched {
    pub source: Box<dyn Source>,
    pub base: Option<String>,
    pub pulse: Arc<Pulse>,
}

impl Source for Watched {
    fn next(&mut self) -> Option<Result<Entry>> {
        if self.pulse.is_closed() {
            return Some(Err(Error::failed("cancelled", "cancelled before it was finished; nothing of it is visible")));
        }
        self.pulse.note(|state| state.asking += 1);
        let entry = self.source.next();
        self.pulse.note(|state| state.asking -= 1);
        Some(entry?.map(|entry| {
            let kind = match entry.kind {
                EntryKind::File { size, may_vanish, open, keep } => {
                    EntryKind::File { size, may_vanish, open: watched(open, HeldFile::new(&self.pulse)), keep }
                }
                other => other,
            };
            Entry { kind, ..entry }
        }))
    }

    fn finish(&mut self) -> Result<Facts> {
        self.pulse.note(|state| state.ended = true);
        if self.pulse.is_closed() {
            return Err(Error::failed("cancelled", "cancelled before it was finished; nothing of it is visible"));
        }
        self.source.finish()
    }

    fn expected_bytes(&self) -> Option<u64> {
        self.source.expected_bytes()
    }

    fn offer(&mut self, keeper: Arc<dyn Keeper>) {
        self.source.offer(keeper);
    }

    fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }
}

fn watched(open: Opener, held: HeldFile) -> Opener {
    Box::new(move || {
        let inner = held.0.read(open)?;
        Ok(Box::new(WatchedFile { inner, held }))
    })
}

/// The file is put away before that is noted: a source may wait for exactly that.
struct WatchedFile {
    inner: Box<dyn Read + Send>,
    held: HeldFile,
}

impl Read for WatchedFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let WatchedFile { inner, held } = self;
        held.0.read(|| inner.read(buf))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::storage::Keep;
    use mainstay_model::Time;
    use std::thread::sleep;

    const A_WHILE: Duration = Duration::from_millis(100);

    /// Two files of a byte; that of the second is slow to come.
    struct Few(usize);

    struct Slow(u8);

    impl Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.0 == 9 {
                return Ok(0);
            }
            sleep(A_WHILE * u32::from(std::mem::replace(&mut self.0, 9)));
            Ok(buf.len().min(1))
        }
    }

    impl Source for Few {
        fn next(&mut self) -> Option<Result<Entry>> {
            self.0 += 1;
            let n = self.0;
            let open: Opener = Box::new(move || Ok(Box::new(Slow(if n == 2 { 3 } else { 0 }))));
            let kind = EntryKind::File { size: None, may_vanish: false, open, keep: Keep::Nothing };
            (n < 3).then(|| Ok(Entry { path: format!("f{n}").into(), mode: 0o600, mtime: Time(0), kind }))
        }
        fn finish(&mut self) -> Result<Facts> {
            Ok(Facts::default())
        }
        fn expected_bytes(&self) -> Option<u64> {
            None
        }
    }

    fn file(entry: Option<Result<Entry>>) -> Opener {
        let Some(Ok(Entry { kind: EntryKind::File { open, .. }, .. })) = entry else { panic!("no file") };
        open
    }

    #[test]
    fn what_is_left_lying_is_told_from_what_does_not_come() {
        let pulse = Arc::<Pulse>::default();
        let mut source = Watched { source: Box::new(Few(0)), base: None, pulse: pulse.clone() };
        assert_eq!(pulse.idle(), None, "it has not begun");
        let one = file(source.next());
        sleep(A_WHILE);
        assert!(pulse.idle().is_some_and(|idle| idle >= A_WHILE), "a file is not opened");
        let mut one = one().unwrap();
        assert!(pulse.idle().is_some_and(|idle| idle < A_WHILE), "it was opened just now");
        let mut all = vec![];
        one.read_to_end(&mut all).unwrap();
        drop(one);
        sleep(A_WHILE);
        assert!(pulse.idle().is_some_and(|idle| idle >= A_WHILE), "the next is not asked for");
        let mut two = file(source.next())().unwrap();
        let seen = std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                sleep(A_WHILE * 2);
                pulse.idle()
            });
            two.read_to_end(&mut all).unwrap();
            watch.join().unwrap()
        });
        assert_eq!(seen, None, "it waits for the source");
        drop(two);
        assert!(source.next().is_none() && source.finish().is_ok());
        sleep(A_WHILE);
        assert_eq!(pulse.idle(), None, "what it does now is its own");
    }

    #[test]
    fn what_was_given_up_gives_nothing() {
        let pulse = Arc::<Pulse>::default();
        let mut source = Watched { source: Box::new(Few(0)), base: None, pulse: pulse.clone() };
        let (one, two) = (file(source.next()), file(source.next()));
        let mut one = one().unwrap();
        pulse.close();
        assert!(one.read(&mut [0; 4]).is_err() && two().is_err());
        assert!(source.next().is_some_and(|entry| entry.is_err()) && source.finish().is_err());
    }
}
