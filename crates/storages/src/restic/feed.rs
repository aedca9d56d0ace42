//! A [`Source`] as the library's archiver wants to see it: an iterator over entries.
//!
//! The source runs in a thread of its own, because it may block until everything it handed out was
//! read. That is a trap: the archiver always asks for the entry *after* one before it passes the
//! one on, so the last file in front of a pause would wait for the pause to end, and the pause for
//! the file. When the source has nothing to say for a moment, the iterator therefore yields a
//! *nudge*: an entry beside the last file whose opening fails. The archiver passes the file on,
//! and drops the nudge as it drops everything that does not open.
//!
//! (That it drops such entries silently is also why nothing here relies on its word: see
//! [`crate::source`].)

use super::{base::Splices, nodes};
use crate::{
    record::{self, Record},
    source::{Counted, Order, Pending, Tally, Ticket},
};
use mainstay_drivers::storage::{Entry, EntryKind, Keep, SnapshotLabel, Source};
use mainstay_model::{Error, Result};
use rustic_core::{ErrorKind, ReadSource, ReadSourceEntry, ReadSourceOpen, RusticError, RusticResult};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

type Item = ReadSourceEntry<Open>;

const AHEAD: usize = 16;
const PATIENCE: Duration = Duration::from_millis(2);

/// Reads `source` in a thread; what it counted and every error end up in `tally`, the written
/// record in the handle's result.
pub fn start(source: Box<dyn Source>, label: SnapshotLabel, splices: &Arc<Splices>, tally: &Arc<Tally>) -> Result<(Feed, Pump)> {
    let (tx, rx) = sync_channel(AHEAD);
    let (shared, splices) = (tally.clone(), splices.clone());
    let thread = thread::Builder::new().name("backup source".into()).spawn(move || pump(source, label, &splices, &tx, &shared));
    let entries = Entries { rx, tally: tally.clone(), held: None };
    Ok((Feed(Mutex::new(Some(entries))), Pump(thread?)))
}

/// The source's thread.
pub struct Pump(JoinHandle<Option<Record>>);

impl Pump {
    /// The record, once the source came to a good end.
    pub fn outcome(self, tally: &Tally) -> Result<Record> {
        tally.verdict()?;
        let outcome = self.0.join().map_err(|_| Error::internal("the source's thread panicked"))?;
        tally.verdict()?;
        outcome.ok_or_else(|| Error::internal("the source ended without a result"))
    }

    /// Gives a source that failed a moment to put its things away. One that hangs is left behind:
    /// it goes when what it waits for does.
    pub fn settle(&self) {
        let start = Instant::now();
        while !self.0.is_finished() && start.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn pump(source: Box<dyn Source>, label: SnapshotLabel, splices: &Splices, tx: &SyncSender<Item>, tally: &Arc<Tally>) -> Option<Record> {
    let work = catch_unwind(AssertUnwindSafe(|| drain(source, label, splices, tx, tally)));
    match work {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(e)) => {
            tally.fail(e);
            None
        }
        Err(_) => {
            tally.fail(Error::internal("the source panicked"));
            None
        }
    }
}

/// `Ok(None)` when it was told to stop.
fn drain(
    mut source: Box<dyn Source>,
    label: SnapshotLabel,
    splices: &Splices,
    tx: &SyncSender<Item>,
    tally: &Arc<Tally>,
) -> Result<Option<Record>> {
    let mut order = Order::on_a_base(splices.root().is_some());
    while let Some(entry) = source.next() {
        let entry = entry?;
        order.admit(&entry)?;
        if tally.is_over() || tx.send(item(entry, splices, tally)?).is_err() {
            return Ok(None);
        }
    }
    if !tally.wait_until_read() {
        return Ok(None);
    }
    let facts = source.finish()?;
    let (data_bytes, files) = (tally.bytes(), tally.files());
    let record = Record { version: 1, label, facts, data_bytes, files, checks: tally.checks() };
    let sent = tx.send(item(record_entry(&record)?, splices, tally)?).is_ok();
    Ok(sent.then_some(record))
}

fn record_entry(record: &Record) -> Result<Entry> {
    let json = record.to_json()?;
    let size = Some(json.len() as u64);
    let open = Box::new(move || Ok(Box::new(io::Cursor::new(json)) as Box<dyn io::Read + Send>));
    let kind = EntryKind::File { size, may_vanish: false, open, keep: Keep::Nothing };
    Ok(Entry { path: record::NAME.into(), mode: 0o600, mtime: record.label.created_at, kind })
}

fn item(entry: Entry, splices: &Splices, tally: &Arc<Tally>) -> Result<Item> {
    let node = nodes::node(&entry);
    let path = entry.path;
    let open = match entry.kind {
        EntryKind::File { may_vanish, open, size, keep } => {
            let mut kept = 0;
            if keep != Keep::Nothing {
                let size = size.ok_or_else(|| Error::failed("source_invalid", "a file without a size cannot be taken over"))?;
                kept = keep.bytes(size);
                splices.add(&path, keep, size);
            }
            Some(Open::File(Pending { path: path.clone(), may_vanish, open, kept, ticket: Ticket::new(tally) }))
        }
        EntryKind::Symlink { .. } => {
            tally.count_link();
            None
        }
        EntryKind::Dir => None,
    };
    Ok(ReadSourceEntry { path, node, open })
}

pub enum Open {
    File(Pending),
    Nudge,
}

impl ReadSourceOpen for Open {
    type Reader = Counted;

    fn open(self) -> RusticResult<Counted> {
        let left_out = |why: &str| RusticError::new(ErrorKind::InputOutput, why.to_owned());
        match self {
            Open::Nudge => Err(left_out("a placeholder, nothing is missing")),
            Open::File(pending) => match pending.open() {
                Ok(Some(reader)) => Ok(reader),
                Ok(None) => Err(left_out("the file is gone, which its source allows")),
                Err(e) => Err(left_out(&format!("not readable: {e}"))),
            },
        }
    }
}

pub struct Entries {
    rx: Receiver<Item>,
    tally: Arc<Tally>,
    /// Where the file lies that the archiver still holds.
    held: Option<PathBuf>,
}

impl Iterator for Entries {
    type Item = RusticResult<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.tally.is_over() {
                return None;
            }
            let wait = if self.held.is_some() { PATIENCE } else { Duration::from_millis(100) };
            match self.rx.recv_timeout(wait) {
                Ok(item) => {
                    self.held = item.open.is_some().then(|| item.path.clone());
                    return Some(Ok(item));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(path) = self.held.take() {
                        return Some(Ok(nudge(path)));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

fn nudge(beside: PathBuf) -> Item {
    let path = beside.with_file_name("nudge");
    let node = rustic_core::repofile::Node::new_node("nudge".as_ref(), Default::default(), Default::default());
    ReadSourceEntry { path, node, open: Some(Open::Nudge) }
}

/// What the archiver is given.
pub struct Feed(Mutex<Option<Entries>>);

impl ReadSource for Feed {
    type Open = Open;
    type Iter = std::iter::Flatten<std::option::IntoIter<Entries>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().into_iter().flatten()
    }
}
