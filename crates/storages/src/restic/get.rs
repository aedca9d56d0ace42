//! Streaming a snapshot out: one thread plans, two fetch and decode whole stretches of packs ahead,
//! and the calling thread writes in order. Memory is bounded by the length of the queues, not by
//! the snapshot.

use super::{
    Repo,
    blobs::{Blobs, Run},
    nodes, snapshots,
};
use crate::{record, source::cancelled};
use bytes::Bytes;
use mainstay_drivers::{
    progress::Progress,
    storage::{FileSink, Sink, SnapshotEntry, SnapshotEntryKind},
};
use mainstay_model::{Error, Result};
use rustic_core::repofile::Node;
use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

const DECODERS: usize = 2;
/// Where most of the time goes into waiting for a reply.
const FAR_DECODERS: usize = 4;
const AHEAD: usize = 8;

/// The snapshot's entries in path order, our own file left out.
pub fn entries(repo: &Repo, snapshot: &str) -> Result<Vec<SnapshotEntry>> {
    let found = snapshots::get(repo, snapshot)?;
    let mut entries = Vec::new();
    Blobs::open(repo)?.walk(&found.file.tree, |path, node| {
        entries.extend(nodes::entry(path, node).filter(|e| !is_ours(e)));
        Ok(())
    })?;
    Ok(entries)
}

fn is_ours(entry: &SnapshotEntry) -> bool {
    entry.path == Path::new(record::NAME)
}

enum Step {
    Entry(SnapshotEntry),
    Data(Receiver<Result<Vec<Bytes>>>),
    Failed(Error),
}

type Job = (Run, SyncSender<Result<Vec<Bytes>>>);

pub fn get(repo: &Repo, snapshot: &str, sink: &dyn Sink, progress: &Progress, abandoned: &AtomicBool) -> Result<()> {
    let found = snapshots::get(repo, snapshot)?;
    let blobs = Blobs::open(repo)?;
    progress.say("restoring");
    progress.total(found.file.summary.as_ref().map_or(0, |s| s.total_bytes_processed));
    let (steps_tx, steps) = sync_channel(AHEAD);
    let (jobs_tx, jobs) = sync_channel::<Job>(AHEAD);
    let jobs = Arc::new(Mutex::new(jobs));
    thread::scope(|scope| {
        for _ in 0..if blobs.objects.is_far() { FAR_DECODERS } else { DECODERS } {
            let (jobs, blobs) = (jobs.clone(), &blobs);
            scope.spawn(move || decode(&jobs, blobs));
        }
        drop(jobs);
        let plan = Plan { blobs: &blobs, sink, steps: steps_tx, jobs: jobs_tx };
        let root = &found.file.tree;
        scope.spawn(move || plan.run(root));
        let stop = || progress.is_cancelled() || abandoned.load(Ordering::Acquire);
        // Dropped here at the latest: it ends the planner, the planner's end ends the decoders.
        Writer { sink, progress, file: None }.run(steps, &stop)
    })
}

fn decode(jobs: &Mutex<Receiver<Job>>, blobs: &Blobs) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((run, reply)) = job else { return };
        // Nobody listens any more when the writer gave up.
        let _ = reply.send(blobs.read(&run));
    }
}

struct Plan<'a> {
    blobs: &'a Blobs,
    sink: &'a dyn Sink,
    steps: SyncSender<Step>,
    jobs: SyncSender<Job>,
}

impl Plan<'_> {
    fn run(self, root: &rustic_core::TreeId) {
        let walked = self.blobs.walk(root, |path, node| {
            let Some(entry) = nodes::entry(path, node).filter(|e| !is_ours(e) && self.sink.wants(e)) else { return Ok(()) };
            let is_file = matches!(entry.kind, SnapshotEntryKind::File { .. });
            self.step(Step::Entry(entry))?;
            if is_file { self.file(node) } else { Ok(()) }
        });
        if let Err(e) = walked {
            let _ = self.steps.send(Step::Failed(e));
        }
    }

    fn file(&self, node: &Node) -> Result<()> {
        let mut open: Option<Run> = None;
        for spot in self.blobs.pieces(node) {
            let spot = spot?;
            if !open.as_mut().is_some_and(|run| run.push(spot)) {
                open.replace(Run::new(spot)).map_or(Ok(()), |run| self.fetch(run))?;
            }
        }
        open.map_or(Ok(()), |run| self.fetch(run))
    }

    fn fetch(&self, run: Run) -> Result<()> {
        let (tx, rx) = sync_channel(1);
        self.step(Step::Data(rx))?;
        self.jobs.send((run, tx)).map_err(|_| cancelled())
    }

    fn step(&self, step: Step) -> Result<()> {
        self.steps.send(step).map_err(|_| cancelled())
    }
}

struct Open {
    entry: SnapshotEntry,
    out: Box<dyn FileSink>,
    written: u64,
}

struct Writer<'a> {
    sink: &'a dyn Sink,
    progress: &'a Progress,
    file: Option<Open>,
}

impl Writer<'_> {
    fn run(mut self, steps: Receiver<Step>, stop: &dyn Fn() -> bool) -> Result<()> {
        for step in steps {
            if stop() {
                return Err(cancelled());
            }
            match step {
                Step::Entry(entry) => self.entry(entry)?,
                Step::Data(rx) => self.data(rx.recv().map_err(|_| Error::internal("a decoder went away"))??)?,
                Step::Failed(e) => return Err(e),
            }
        }
        self.close()
    }

    fn entry(&mut self, entry: SnapshotEntry) -> Result<()> {
        self.close()?;
        let named = |e| write_error(&entry.path, e);
        match &entry.kind {
            SnapshotEntryKind::Dir => self.sink.dir(&entry).map_err(named),
            SnapshotEntryKind::Symlink { target } => self.sink.symlink(&entry, target).map_err(named),
            SnapshotEntryKind::File { .. } => {
                let out = self.sink.file(&entry).map_err(named)?;
                self.file = Some(Open { entry, out, written: 0 });
                Ok(())
            }
        }
    }

    fn data(&mut self, blobs: Vec<Bytes>) -> Result<()> {
        let open = self.file.as_mut().ok_or_else(|| Error::internal("data without a file"))?;
        for blob in blobs {
            open.out.write(&blob).map_err(|e| write_error(&open.entry.path, e))?;
            open.written += blob.len() as u64;
            self.progress.add(blob.len() as u64);
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(Open { entry, out, written }) = self.file.take() else { return Ok(()) };
        if entry.kind != (SnapshotEntryKind::File { size: written }) {
            return Err(Error::integrity(format!(
                "{} came out with {written} bytes, not the size it was stored with",
                entry.path.display()
            )));
        }
        out.finish().map_err(|e| write_error(&entry.path, e))
    }
}

fn write_error(path: &Path, e: io::Error) -> Error {
    Error::from(e).context(format!("restoring {}", path.display()))
}
