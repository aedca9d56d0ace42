//! Reading snapshots: every byte is held against its hash, wherever it goes.

use super::shelf::{FILES, Shelf, Tree};
use crate::{record::Listed, source::cancelled};
use mainstay_drivers::{
    progress::Progress,
    storage::{Depth, Sink, SnapshotEntryKind},
};
use mainstay_model::Result;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Seek},
    sync::atomic::{AtomicBool, Ordering},
};

/// Reads to the end, into `to`; size and hash.
pub fn drain(file: &mut dyn Read, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(u64, String)> {
    let (mut size, mut hash, mut block) = (0, Sha256::new(), vec![0; 256 << 10]);
    loop {
        let read = match file.read(&mut block) {
            Ok(0) => return Ok((size, hex::encode(hash.finalize()))),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        hash.update(&block[..read]);
        to(&block[..read])?;
        size += read as u64;
    }
}

/// Who reads a snapshot, and whether anybody still wants it.
struct Reading<'a> {
    tree: Tree,
    progress: &'a Progress,
    abandoned: &'a AtomicBool,
}

impl Reading<'_> {
    fn going_on(&self) -> Result<()> {
        match self.progress.is_cancelled() || self.abandoned.load(Ordering::Acquire) {
            true => Err(cancelled()),
            false => Ok(()),
        }
    }

    /// Reads `file`, which is the listed one or shares its blocks, and holds it against the list.
    fn hold(&self, listed: &Listed, file: &mut File, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> Result<u64> {
        let path = &listed.entry.path;
        let mut failed = None;
        let over = || io::Error::other("cancelled");
        let read = drain(file, |bytes| {
            self.going_on().map_err(|_| over())?;
            self.progress.add(bytes.len() as u64);
            to(bytes).inspect_err(|e| failed = Some(io::Error::new(e.kind(), e.to_string())))
        });
        self.going_on()?;
        if let Some(e) = failed {
            return Err(e.into());
        }
        let (size, sha256) = read.map_err(|e| self.tree.trouble("reading", path, e))?;
        match &listed.sha256 {
            Some(wanted) if *wanted == sha256 => Ok(size),
            _ => Err(self.tree.damaged(path, "its content is not what was stored")),
        }
    }
}

pub fn get(shelf: &Shelf, snapshot: &str, sink: &dyn Sink, progress: &Progress, abandoned: &AtomicBool) -> Result<()> {
    progress.say("restoring");
    let whole = shelf.whole(snapshot)?;
    let reading = Reading { tree: Tree::open(shelf.snapshot(snapshot).join(FILES))?, progress, abandoned };
    for listed in whole.files.iter().filter(|f| sink.wants(&f.entry)) {
        reading.going_on()?;
        match &listed.entry.kind {
            SnapshotEntryKind::Dir => sink.dir(&listed.entry)?,
            SnapshotEntryKind::Symlink { target } => sink.symlink(&listed.entry, target)?,
            SnapshotEntryKind::File { .. } => give(&reading, listed, sink)?,
        }
    }
    Ok(())
}

/// Shared where the sink's place can; then what is there is read, which is what will be used.
fn give(reading: &Reading, listed: &Listed, sink: &dyn Sink) -> Result<()> {
    let mut file = reading.tree.file(&listed.entry.path)?;
    let mut out = sink.file(&listed.entry)?;
    match out.share(&file)? {
        Some(mut shared) => {
            shared.rewind()?;
            reading.hold(listed, &mut shared, |_| Ok(()))?;
        }
        None => {
            reading.hold(listed, &mut file, |bytes| out.write(bytes))?;
        }
    }
    Ok(out.finish()?)
}

pub fn verify(shelf: &Shelf, snapshot: &str, depth: Depth, progress: &Progress, abandoned: &AtomicBool) -> Result<u64> {
    progress.say("verifying");
    let whole = shelf.whole(snapshot)?;
    let reading = Reading { tree: Tree::open(shelf.snapshot(snapshot).join(FILES))?, progress, abandoned };
    progress.total(whole.record.data_bytes);
    let mut read = 0;
    for listed in &whole.files {
        let SnapshotEntryKind::File { size } = listed.entry.kind else { continue };
        reading.going_on()?;
        let path = &listed.entry.path;
        if reading.tree.size(path)? != size {
            return Err(reading.tree.damaged(path, "it has not the size it was stored with"));
        }
        if depth == Depth::Data {
            read += reading.hold(listed, &mut reading.tree.file(path)?, |_| Ok(()))?;
        }
    }
    Ok(read)
}
