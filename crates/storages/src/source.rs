//! What every storage demands of a [`Source`], whatever library lies underneath: sane paths in
//! order, every byte counted, every error remembered, everything read to its end.

use mainstay_drivers::{
    progress::Progress,
    storage::{Entry, EntryKind, Keep, SnapshotLabel},
};
use mainstay_model::{Error, Result, backup::Check};
use std::{
    io::{self, Read},
    path::{Component, Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::record;

/// Everything the reading of one source amounts to, shared by all who read it.
pub struct Tally {
    progress: Progress,
    abandoned: Arc<AtomicBool>,
    first: Mutex<Option<Error>>,
    failed: AtomicBool,
    bytes: AtomicU64,
    files: AtomicU64,
    links: AtomicU64,
    vanished: AtomicU64,
    kept: AtomicU64,
    unread: Mutex<u64>,
    read: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a cancelled piece of work ends.
pub fn cancelled() -> Error {
    Error::failed("cancelled", "cancelled before it was finished; nothing of it is visible")
}

impl Tally {
    pub fn new(progress: &Progress, abandoned: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Tally {
            progress: progress.clone(),
            abandoned,
            first: Mutex::default(),
            failed: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            links: AtomicU64::new(0),
            vanished: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            unread: Mutex::default(),
            read: Condvar::new(),
        })
    }

    /// Keeps the first error; the later ones are mostly its echo.
    pub fn fail(&self, error: Error) {
        lock(&self.first).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
        self.read.notify_all();
    }

    /// Whether to go no further: an error, a cancellation, or a caller that is gone.
    pub fn is_over(&self) -> bool {
        if !self.failed.load(Ordering::Acquire) && (self.progress.is_cancelled() || self.abandoned.load(Ordering::Acquire)) {
            self.fail(cancelled());
        }
        self.failed.load(Ordering::Acquire)
    }

    pub fn verdict(&self) -> Result<()> {
        match self.is_over() {
            false => Ok(()),
            true => Err(lock(&self.first).clone().unwrap_or_else(cancelled)),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Acquire)
    }
    pub fn links(&self) -> u64 {
        self.links.load(Ordering::Acquire)
    }
    /// Bytes of files so far that were not read.
    pub fn kept(&self) -> u64 {
        self.kept.load(Ordering::Acquire)
    }
    pub fn count_link(&self) {
        self.links.fetch_add(1, Ordering::AcqRel);
    }

    /// What can be said about the source once it was read.
    pub fn checks(&self) -> Vec<Check> {
        let mut said = format!("{} files, {} bytes, each read to its end", self.files(), self.bytes());
        if self.kept() > 0 {
            said = format!(
                "{} files, {} bytes: {} bytes are as in the backup before and were taken over from it, the rest was read to its end",
                self.files(),
                self.bytes(),
                self.kept()
            );
        }
        let vanished = self.vanished.load(Ordering::Acquire);
        if vanished > 0 {
            said.push_str(&format!("; {vanished} were gone when opened, as the engine allows"));
        }
        vec![Check::new("source_read", true, said)]
    }

    /// Waits until every file that was handed out is read and dropped; `false` when that will not
    /// happen any more.
    pub fn wait_until_read(&self) -> bool {
        let mut unread = lock(&self.unread);
        while *unread > 0 {
            if self.is_over() {
                return false;
            }
            let tick = Duration::from_millis(100);
            unread = self.read.wait_timeout(unread, tick).unwrap_or_else(PoisonError::into_inner).0;
        }
        !self.is_over()
    }
}

/// Held by a file from the moment it is handed out until its reader is gone.
pub struct Ticket(Arc<Tally>);

impl Ticket {
    pub fn new(tally: &Arc<Tally>) -> Self {
        *lock(&tally.unread) += 1;
        Ticket(tally.clone())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        *lock(&self.0.unread) -= 1;
        self.0.read.notify_all();
    }
}

/// A file of the source, before it is opened.
pub struct Pending {
    pub path: PathBuf,
    pub may_vanish: bool,
    pub open: mainstay_drivers::storage::Opener,
    /// Bytes of it that the storage takes from the base instead.
    pub kept: u64,
    pub ticket: Ticket,
}

impl Pending {
    /// `None` for a file that was allowed to vanish and did.
    pub fn open(self) -> io::Result<Option<Counted>> {
        let tally = self.ticket.0.clone();
        if tally.is_over() {
            return Err(io::Error::other("the backup is over"));
        }
        match (self.open)() {
            Ok(inner) => Ok(Some(Counted { inner, path: self.path, seen: 0, kept: self.kept, ended: false, ticket: self.ticket })),
            Err(e) if self.may_vanish && e.kind() == io::ErrorKind::NotFound => {
                tally.vanished.fetch_add(1, Ordering::AcqRel);
                Ok(None)
            }
            Err(e) => {
                tally.fail(unreadable("opening", &self.path, &e));
                Err(e)
            }
        }
    }
}

fn unreadable(doing: &str, path: &Path, e: &io::Error) -> Error {
    Error::failed("source_unreadable", format!("{doing} {} for the backup: {e}", path.display())).with_inside(format!("{e:?}"))
}

/// A reader that counts. The field order matters: the reader is gone before its ticket is given
/// back, because a source may wait for exactly that.
pub struct Counted {
    inner: Box<dyn Read + Send>,
    path: PathBuf,
    seen: u64,
    kept: u64,
    ended: bool,
    ticket: Ticket,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let tally = &self.ticket.0;
        if tally.is_over() {
            return Err(io::Error::other("the backup is over"));
        }
        match self.inner.read(buf) {
            Ok(0) if !buf.is_empty() => {
                if !std::mem::replace(&mut self.ended, true) {
                    tally.bytes.fetch_add(self.seen + self.kept, Ordering::AcqRel);
                    tally.kept.fetch_add(self.kept, Ordering::AcqRel);
                    tally.progress.add(self.kept);
                    tally.files.fetch_add(1, Ordering::AcqRel);
                }
                Ok(0)
            }
            Ok(n) => {
                self.seen += n as u64;
                tally.progress.add(n as u64);
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => {
                tally.fail(unreadable("reading", &self.path, &e));
                Err(e)
            }
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let tally = &self.ticket.0;
        if !self.ended && !tally.is_over() {
            tally.fail(Error::failed("source_unread", format!("{} was put away before its end was read", self.path.display())));
        }
    }
}

/// Whether it is a path a source may offer, or why not.
pub fn plain(path: &Path) -> std::result::Result<(), &'static str> {
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let clean: PathBuf = path.components().collect();
    if path.as_os_str().is_empty() || !plain || clean.as_os_str() != path.as_os_str() {
        return Err("paths must be relative, without . and ..");
    }
    match path.starts_with(record::NAME) || path.starts_with(record::LIST) {
        true => Err("that name belongs to Mainstay"),
        false => Ok(()),
    }
}

/// Refuses paths that are not relative and plain, and entries out of order: a tree that is
/// assembled from such would hold a directory twice.
#[derive(Default)]
pub struct Order {
    last: Option<PathBuf>,
    /// Whether files may be taken over from an earlier snapshot.
    based: bool,
}

impl Order {
    pub fn on_a_base(based: bool) -> Self {
        Order { based, ..Order::default() }
    }

    pub fn admit(&mut self, entry: &Entry) -> Result<()> {
        let path = &entry.path;
        let refuse = |why: &str| Err(Error::failed("source_invalid", format!("the source offers \"{}\": {why}", path.display())));
        if let Err(why) = plain(path) {
            return refuse(why);
        }
        if self.last.as_ref().is_some_and(|last| path <= last) {
            return refuse("entries must come in path order, each once");
        }
        if !self.based && !matches!(&entry.kind, EntryKind::File { keep: Keep::Nothing, .. } | EntryKind::Dir | EntryKind::Symlink { .. }) {
            return refuse("it is to be taken over from an earlier snapshot, and there is none");
        }
        self.last = Some(path.clone());
        Ok(())
    }
}

/// What a label must look like to be stored as tags.
pub fn admit_label(label: &SnapshotLabel) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !label.kind.is_empty() && label.kind.chars().all(plain) {
        true => Ok(()),
        false => Err(Error::invalid("kind", "the kind of a backup is a word of letters, digits, - and _")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::storage::EntryKind;
    use mainstay_model::Time;

    fn dir(path: &str) -> Entry {
        Entry { path: path.into(), mode: 0o700, mtime: Time(0), kind: EntryKind::Dir }
    }

    #[test]
    fn paths_are_relative_plain_and_in_order() {
        for bad in ["", "/a", "..", "a/../b", "./a", "a//b", "a/", "mainstay.json", "mainstay.json/x", "mainstay.files"] {
            assert!(Order::default().admit(&dir(bad)).is_err(), "{bad}");
        }
        let mut order = Order::default();
        for good in ["a", "a/b", "a/b/c", "a-b", "b"] {
            order.admit(&dir(good)).expect(good);
        }
        assert!(order.admit(&dir("b")).is_err() && order.admit(&dir("a/z")).is_err());
    }

    #[test]
    fn a_reader_that_is_put_away_early_fails_the_backup() {
        let tally = Tally::new(&Progress::default(), Arc::default());
        let pending = Pending {
            path: "x".into(),
            may_vanish: false,
            open: Box::new(|| Ok(Box::new(io::Cursor::new(vec![1; 10])))),
            kept: 0,
            ticket: Ticket::new(&tally),
        };
        let mut reader = pending.open().unwrap().unwrap();
        reader.read_exact(&mut [0; 4]).unwrap();
        drop(reader);
        assert_eq!(tally.verdict().unwrap_err().code, "source_unread");
    }
}
