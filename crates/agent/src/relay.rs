//! A stored snapshot as the source of another copy: what one storage gives is what the other takes,
//! through the contract alone, so that their formats need not be the same.
//!
//! The giving storage pushes into a [`Sink`], the taking one pulls from a [`Source`]; file by file
//! the two meet at a pipe ([`Relay`]). Every byte's hash is checked where it comes from, every
//! byte is counted and read back where it goes to, and the copy is published only after the giving
//! side has come to a good end too.

use crate::pipe::{Budget, Meter, Pipe, TICK, lock};
use mainstay_drivers::{
    progress::Progress,
    storage::{Entry, EntryKind, FileSink, Keep, Sink, SnapshotEntry, SnapshotEntryKind, SnapshotLabel, Source, Storage, Stored},
};
use mainstay_model::{BackupId, Error, Result, backup::Facts};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Bytes of one file that may lie between the two. Each file has its own: who reads the second
/// while the first is written must not take the room from it.
const BETWEEN: usize = 2 << 20;
/// Files that may be given before they are asked for.
const AHEAD: usize = 64;

/// Stores `snapshot` of `from` in `to` as well: the same label, the same facts, the same files. One
/// that is there already is only told; one of another point under the same backup's id was never
/// recorded (the reply was lost, and the backup taken anew) and makes room for it.
pub(crate) async fn copy(
    from: &Arc<dyn Storage>,
    snapshot: &str,
    to: &Arc<dyn Storage>,
    backup: &BackupId,
    progress: &Progress,
) -> Result<Stored> {
    let (label, facts) = from.facts(snapshot).await?;
    if &label.backup != backup {
        return Err(Error::integrity(format!("snapshot {snapshot} belongs to backup {}, not to {backup}", label.backup)));
    }
    if let Some(old) = to.list().await?.into_iter().find(|s| &s.label.backup == backup) {
        if to.facts(&old.id).await?.1 == facts {
            return to.put(&label, Box::new(Unread), progress).await;
        }
        to.delete(&[old.id]).await?;
    }
    let (relay, entries) = (Arc::new(Relay::new(progress)), from.entries(snapshot).await?);
    let bytes = entries.iter().map(|e| if let SnapshotEntryKind::File { size } = e.kind { size } else { 0 }).sum();
    let source = Given { entries: entries.into_iter(), bytes, facts, relay: relay.clone() };
    stream(from, snapshot, to, &label, relay, source, progress).await
}

async fn stream(
    from: &Arc<dyn Storage>,
    snapshot: &str,
    to: &Arc<dyn Storage>,
    label: &SnapshotLabel,
    relay: Arc<Relay>,
    source: Given,
    progress: &Progress,
) -> Result<Stored> {
    let (sink, reading) = (relay.clone(), Progress::default().quiet());
    let give = async {
        let given = from.get(snapshot, sink, &reading).await;
        relay.given(given.clone());
        given
    };
    let take = async {
        let taken = to.put(label, Box::new(source), progress).await;
        // A giver that is no longer listened to stops at its next write.
        reading.cancel();
        relay.stop();
        taken
    };
    let (given, taken) = tokio::join!(give, take);
    match (taken, given) {
        (Ok(stored), _) => Ok(stored),
        // What the giving side found tells more than that its bytes did not come.
        (Err(_), Err(e)) if relay.broke_first() => Err(e),
        (Err(e), _) => Err(e),
    }
}

/// Files that one side has come to and the other has not.
#[derive(Default)]
struct Meeting {
    asked: HashMap<PathBuf, Arc<Pipe>>,
    given: HashMap<PathBuf, Arc<Pipe>>,
}

/// Where the two sides meet.
struct Relay {
    meter: Arc<Meter>,
    progress: Progress,
    meeting: Mutex<Meeting>,
    outcome: Mutex<Option<Result<()>>>,
    came: Condvar,
    ended: Condvar,
    stopped: AtomicBool,
    broke_first: AtomicBool,
}

impl Relay {
    fn new(progress: &Progress) -> Relay {
        Relay {
            meter: Arc::default(),
            progress: progress.clone(),
            meeting: Mutex::default(),
            outcome: Mutex::default(),
            came: Condvar::new(),
            ended: Condvar::new(),
            stopped: AtomicBool::new(false),
            broke_first: AtomicBool::new(false),
        }
    }

    /// The taking side comes to a file.
    fn ask(&self, path: &Path) -> Arc<Pipe> {
        let mut meeting = lock(&self.meeting);
        let pipe = meeting.given.remove(path).unwrap_or_else(|| {
            let pipe = Pipe::new(&self.meter, &self.progress);
            meeting.asked.insert(path.to_owned(), pipe.clone());
            pipe
        });
        drop(meeting);
        self.came.notify_all();
        if self.is_over() {
            self.break_off();
        }
        pipe
    }

    /// The giving side comes to a file. One that was asked for never waits.
    fn give(&self, path: &Path) -> io::Result<Arc<Pipe>> {
        let mut meeting = lock(&self.meeting);
        loop {
            if let Some(pipe) = meeting.asked.remove(path) {
                return Ok(pipe);
            }
            if self.stopped.load(Ordering::Acquire) || self.progress.is_cancelled() {
                return Err(unwanted());
            }
            if meeting.given.len() < AHEAD {
                let pipe = Pipe::new(&self.meter, &self.progress);
                meeting.given.insert(path.to_owned(), pipe.clone());
                return Ok(pipe);
            }
            meeting = self.came.wait_timeout(meeting, TICK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Nothing more is given: whoever waits for a file that did not come waits in vain.
    fn given(&self, outcome: Result<()>) {
        if outcome.is_err() && !self.stopped.load(Ordering::Acquire) {
            self.broke_first.store(true, Ordering::Release);
        }
        lock(&self.outcome).get_or_insert(outcome);
        self.ended.notify_all();
        self.break_off();
    }

    /// Nothing more is taken.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.break_off();
    }

    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Acquire) || lock(&self.outcome).is_some()
    }

    fn broke_first(&self) -> bool {
        self.broke_first.load(Ordering::Acquire)
    }

    fn break_off(&self) {
        let why = io::Error::other("the other storage did not give it");
        lock(&self.meeting).asked.values().for_each(|pipe| pipe.end(Err(&why)));
    }
}

fn unwanted() -> io::Error {
    io::Error::other("the copy is no longer wanted")
}

impl Sink for Relay {
    fn dir(&self, _: &SnapshotEntry) -> io::Result<()> {
        Ok(())
    }
    fn symlink(&self, _: &SnapshotEntry, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        let pipe = self.give(&entry.path)?;
        pipe.open();
        Ok(Box::new(Into { pipe, budget: Budget::new(BETWEEN), progress: self.progress.clone(), whole: false }))
    }
}

/// One file on its way in.
struct Into {
    pipe: Arc<Pipe>,
    budget: Arc<Budget>,
    progress: Progress,
    whole: bool,
}

impl FileSink for Into {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(BETWEEN / 2) {
            let over = || self.pipe.is_closed() || self.progress.is_cancelled();
            let chunk = self.budget.chunk(part, over).ok_or_else(unwanted)?;
            self.pipe.push(chunk);
        }
        Ok(())
    }
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.whole = true;
        self.pipe.end(Ok(()));
        Ok(())
    }
}

impl Drop for Into {
    fn drop(&mut self) {
        if !self.whole {
            self.pipe.end(Err(&io::Error::other("the other storage broke off")));
        }
    }
}

/// The snapshot as a source.
struct Given {
    entries: std::vec::IntoIter<SnapshotEntry>,
    bytes: u64,
    facts: Facts,
    relay: Arc<Relay>,
}

impl Source for Given {
    fn next(&mut self) -> Option<Result<Entry>> {
        let SnapshotEntry { path, mode, mtime, kind } = self.entries.next()?;
        let kind = match kind {
            SnapshotEntryKind::Dir => EntryKind::Dir,
            SnapshotEntryKind::Symlink { target } => EntryKind::Symlink { target },
            SnapshotEntryKind::File { size } => {
                EntryKind::File { size: Some(size), may_vanish: false, open: self.relay.ask(&path).opener(), keep: Keep::Nothing }
            }
        };
        Some(Ok(Entry { path, mode, mtime, kind }))
    }

    /// The giving side's last word.
    fn finish(&mut self) -> Result<Facts> {
        let mut outcome = lock(&self.relay.outcome);
        loop {
            match &*outcome {
                Some(given) => return given.clone().map(|()| self.facts.clone()),
                None if self.relay.progress.is_cancelled() => return Err(Error::conflict("cancelled", "the copy was cancelled")),
                None => outcome = self.relay.ended.wait_timeout(outcome, TICK).unwrap_or_else(PoisonError::into_inner).0,
            }
        }
    }

    fn expected_bytes(&self) -> Option<u64> {
        Some(self.bytes)
    }
}

/// Stands for the source of a backup that is stored already: the storage returns what it has, and
/// nothing is read again.
pub(crate) struct Unread;

impl Source for Unread {
    fn next(&mut self) -> Option<Result<Entry>> {
        Some(Err(Error::conflict("snapshot_gone", "the snapshot was removed while its record was asked for")))
    }
    fn finish(&mut self) -> Result<Facts> {
        Err(Error::conflict("snapshot_gone", "the snapshot was removed while its record was asked for"))
    }
    fn expected_bytes(&self) -> Option<u64> {
        None
    }
}
