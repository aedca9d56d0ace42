//! A snapshot: keep, read once, write what is no file, read that back, seal, name.

use super::{
    clones::{Clones, new_file},
    get::drain,
    shelf::{FILES, Seal, Shelf, Staging, Tree, id_of, missing},
};
use crate::{
    place::local::{make_dir, trouble},
    record::{self, Listed, Record},
    source::{Order, Pending, Tally, Ticket, admit_label},
};
use mainstay_drivers::{
    progress::Progress,
    storage::{Entry, EntryKind, SnapshotEntry, SnapshotEntryKind, SnapshotLabel, Source, Stored},
};
use mainstay_model::{Error, Result, Time, backup::Check};
use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};
use std::{
    io::Write,
    os::unix::fs::symlink,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
};

pub fn put(
    shelf: &Shelf,
    label: &SnapshotLabel,
    source: Box<dyn Source>,
    progress: &Progress,
    abandoned: Arc<AtomicBool>,
) -> Result<Stored> {
    admit_label(label)?;
    let id = id_of(label.backup.as_str());
    if let Some(stored) = already(shelf, &id)? {
        return Ok(stored);
    }
    let tally = Tally::new(progress, abandoned);
    let staging = shelf.stage()?;
    let clones = Clones::new(&staging, &tally);
    let filled = Filling::new(&staging, &tally, &clones).run(label, source, progress);
    let closed = clones.close();
    // What went wrong with keeping comes to light as a source that broke off; the tally knows better.
    let filled = filled.map_err(|e| tally.verdict().err().unwrap_or(e))?;
    closed?;
    finish(shelf, staging, &id, filled, progress, &tally)
}

/// The same backup, published by an earlier call whose reply was lost.
fn already(shelf: &Shelf, id: &str) -> Result<Option<Stored>> {
    match shelf.whole(id) {
        Err(e) if missing(&e) => Ok(None),
        found => found.map(|whole| Some(stored(id, whole.record, whole.seal))),
    }
}

fn stored(id: &str, record: Record, seal: Seal) -> Stored {
    Stored {
        snapshot: id.to_owned(),
        facts: record.facts,
        data_bytes: record.data_bytes,
        added_bytes: seal.added_bytes,
        files: record.files,
        checks: seal.checks,
        verified_at: seal.verified_at,
    }
}

/// All that was kept and written, before anybody looked whether it lies there well.
struct Filled {
    record: Record,
    files: Vec<Listed>,
    /// Indexes in `files` of those that were written.
    written: Vec<usize>,
}

struct Filling<'a> {
    staging: &'a Staging,
    tally: &'a Arc<Tally>,
    clones: &'a Arc<Clones>,
    order: Order,
    files: Vec<Listed>,
    written: Vec<usize>,
    /// Made at the end: nothing is written through them.
    links: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Filling<'a> {
    fn new(staging: &'a Staging, tally: &'a Arc<Tally>, clones: &'a Arc<Clones>) -> Self {
        Filling { staging, tally, clones, order: Order::default(), files: vec![], written: vec![], links: vec![] }
    }

    fn run(mut self, label: &SnapshotLabel, mut source: Box<dyn Source>, progress: &Progress) -> Result<Filled> {
        progress.say("reading");
        progress.total(source.expected_bytes().unwrap_or(0));
        source.offer(self.clones.clone());
        while let Some(entry) = source.next() {
            let entry = entry?;
            self.order.admit(&entry)?;
            self.tally.verdict()?;
            self.entry(entry)?;
        }
        self.tally.verdict()?;
        let facts = source.finish()?;
        self.tally.verdict()?;
        for (path, target) in &self.links {
            let at = self.staging.files().join(path);
            symlink(target, &at).map_err(|e| trouble("linking", &at, e))?;
        }
        let (data_bytes, files) = (self.tally.bytes(), self.tally.files());
        let record = Record { version: 1, label: label.clone(), facts, data_bytes, files, checks: self.tally.checks() };
        Ok(Filled { record, files: self.files, written: self.written })
    }

    fn entry(&mut self, entry: Entry) -> Result<()> {
        let Entry { path, mode, mtime, kind } = entry;
        let (kind, sha256) = match kind {
            EntryKind::Dir => {
                make_dir(&self.staging.files().join(&path))?;
                (SnapshotEntryKind::Dir, None)
            }
            EntryKind::Symlink { target } => {
                self.tally.count_link();
                self.links.push((path.clone(), target.clone()));
                (SnapshotEntryKind::Symlink { target }, None)
            }
            EntryKind::File { may_vanish, open, .. } => {
                let pending = Pending { path: path.clone(), may_vanish, open, kept: 0, ticket: Ticket::new(self.tally) };
                let Some((size, sha256)) = self.file(pending)? else { return Ok(()) };
                (SnapshotEntryKind::File { size }, Some(sha256))
            }
        };
        self.files.push(Listed { entry: SnapshotEntry { path, mode: mode & 0o7777, mtime, kind }, sha256 });
        Ok(())
    }

    /// What was kept is read from where it lies; anything else is written.
    fn file(&mut self, pending: Pending) -> Result<Option<(u64, String)>> {
        let path = pending.path.clone();
        let echo = |e: std::io::Error| self.tally.verdict().err().unwrap_or_else(|| e.into());
        let Some(mut reader) = pending.open().map_err(echo)? else { return Ok(None) };
        if self.clones.take(&path) {
            return drain(&mut reader, |_| Ok(())).map(Some).map_err(echo);
        }
        let at = self.staging.files().join(&path);
        let mut out = new_file(&self.staging.files(), &path).map_err(|e| trouble("writing", &at, e))?;
        let mut failed = None;
        let read = drain(&mut reader, |bytes| {
            let refused = |e: &std::io::Error| failed = Some(trouble("writing", &at, std::io::Error::from(e.kind())));
            out.write_all(bytes).inspect_err(refused)
        });
        if let Some(e) = failed {
            self.tally.fail(e.clone());
            return Err(e);
        }
        self.written.push(self.files.len());
        read.map(Some).map_err(echo)
    }
}

fn finish(shelf: &Shelf, staging: Staging, id: &str, filled: Filled, progress: &Progress, tally: &Tally) -> Result<Stored> {
    progress.say("reading back");
    staging.sync()?;
    let (check, bytes) = read_back(&staging, &filled, progress, tally)?;
    let (record, list) = (filled.record.to_json()?, record::to_lines(&filled.files)?);
    let mut checks = filled.record.checks.clone();
    checks.push(check);
    let seal = Seal {
        version: 1,
        record_sha256: hex::encode(Sha256::digest(&record)),
        list_sha256: hex::encode(Sha256::digest(&list)),
        added_bytes: bytes + (record.len() + list.len()) as u64,
        verified_at: Time::from(jiff::Timestamp::now()),
        checks,
    };
    staging.seal(&record, &list, &seal)?;
    tally.verdict()?;
    match shelf.publish(staging, id)? {
        true => Ok(stored(id, filled.record, seal)),
        false => already(shelf, id)?.ok_or_else(|| Error::internal("a snapshot's name is taken by nothing")),
    }
}

/// Sizes of all, content of what was written; what was kept was read from where it lies.
fn read_back(staging: &Staging, filled: &Filled, progress: &Progress, tally: &Tally) -> Result<(Check, u64)> {
    let tree = Tree::open(staging.path.join(FILES))?;
    let mut kept = 0;
    for listed in &filled.files {
        let SnapshotEntryKind::File { size } = listed.entry.kind else { continue };
        kept += 1;
        if tree.size(&listed.entry.path)? != size {
            return Err(tree.damaged(&listed.entry.path, "it is not as long as what was read"));
        }
    }
    let mut bytes = 0;
    for listed in filled.written.iter().map(|n| &filled.files[*n]) {
        tally.verdict()?;
        let path = &listed.entry.path;
        let mut file = tree.file(path)?;
        // From the disk, not from what is still in memory.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
        let (size, sha256) = drain(&mut file, |_| Ok(())).map_err(|e| tree.trouble("reading", path, e))?;
        if listed.sha256.as_deref() != Some(sha256.as_str()) {
            return Err(tree.damaged(path, "it does not give back what was written"));
        }
        bytes += size;
        progress.add(size);
    }
    let (wrote, shared) = (filled.written.len(), kept - filled.written.len());
    let detail = format!(
        "{shared} files kept by sharing their blocks and read from there; {wrote} files, {bytes} bytes, written, read back and equal"
    );
    Ok((Check::new("read_back", true, detail), bytes))
}
