//! A backup: archive, put the trees right, read everything back, publish the record.
//!
//! The library's word is never taken for success: it drops files it cannot read and says nothing.
//! What counts is that the source came to a good end, that the files and bytes the stored trees
//! hold are the ones that were counted on the way in, and that what was written reads back from the
//! place. Only then the record is written, and with it the backup exists.

use super::{
    Repo,
    backend::{Backend, Ledger, Written, unwrapped},
    base::Splices,
    blobs::{Blobs, check_object, read_object},
    feed::{self, Pump},
    snapshots,
    survey::{self, Survey},
    trees,
};
use crate::{
    record::Record,
    source::{Tally, admit_label},
};
use mainstay_drivers::{
    progress::Progress,
    storage::{SnapshotLabel, Source, Stored},
};
use mainstay_model::{Error, Result, Time, backup::Check};
use rustic_core::{
    BackupOptions, FileType, Id, ParentOptions, SnapshotOptions,
    jiff::{Timestamp, tz::TimeZone},
    repofile::SnapshotFile,
};
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

pub fn put(repo: &Repo, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress, abandoned: Arc<AtomicBool>) -> Result<Stored> {
    admit_label(label)?;
    if let Some(stored) = already(repo, label)? {
        return Ok(stored);
    }
    let tally = Tally::new(progress, abandoned);
    let ledger = Arc::new(Ledger::default());
    let stored = attempt(repo, label, source, progress, &tally, &ledger);
    stored.inspect_err(|_| abandon(repo, &ledger.written()))
}

fn attempt(
    repo: &Repo,
    label: &SnapshotLabel,
    source: Box<dyn Source>,
    progress: &Progress,
    tally: &Arc<Tally>,
    ledger: &Arc<Ledger>,
) -> Result<Stored> {
    progress.say("reading");
    progress.total(source.expected_bytes().unwrap_or(0));
    let splices = Arc::new(Splices::on(repo, source.base())?);
    let (mut snapshot, record) = archive(repo, label, source, &splices, tally, ledger)?;
    let raw = Blobs::open(repo)?;
    snapshot.tree = trees::settle(&raw, &snapshot.tree, &splices, ledger)?;
    drop(raw);

    progress.say("reading back");
    let survey = survey::take(repo, &snapshot.tree)?;
    compare(&survey, tally)?;
    let mut checks = record.checks.clone();
    checks.push(read_back(repo, &survey, &ledger.written(), progress, tally)?);
    publish(repo, snapshot, label, ledger, tally, survey.bytes).map(|published| match published {
        Published::New { snapshot, verified_at } => Stored {
            snapshot,
            facts: record.facts,
            data_bytes: record.data_bytes,
            added_bytes: ledger.written().bytes(),
            files: record.files,
            checks,
            verified_at,
        },
        Published::Already(stored) => *stored,
    })
}

/// Runs the archiver; its snapshot record is held back by the backend.
fn archive(
    repo: &Repo,
    label: &SnapshotLabel,
    source: Box<dyn Source>,
    splices: &Arc<Splices>,
    tally: &Arc<Tally>,
    ledger: &Arc<Ledger>,
) -> Result<(SnapshotFile, Record)> {
    let library = repo.library_with(&Backend::holding(repo, ledger, tally)?)?;
    let library = library.to_indexed_ids().map_err(|e| unwrapped("reading the repository's index", e))?;
    let (feed, pump) = feed::start(source, label.clone(), splices, tally)?;
    // No parent: a file is left unread only on the engine's word, and the library would go by its own.
    let parents = ParentOptions::default().force(true);
    let options = BackupOptions::default().parent_opts(parents).no_scan(true);
    let archived = library.archive(&options, &feed, blank(label)?, &[PathBuf::from("/")]);
    drop(feed);
    finish(archived.map_err(|e| unwrapped("writing to the repository", e)), pump, tally)
}

/// The first error that was seen, whichever side saw it.
fn finish(archived: Result<SnapshotFile>, pump: Pump, tally: &Tally) -> Result<(SnapshotFile, Record)> {
    if let Err(e) = &archived {
        tally.fail(e.clone());
    }
    if let Err(e) = tally.verdict() {
        pump.settle();
        return Err(e);
    }
    let record = pump.outcome(tally)?;
    Ok((archived?, record))
}

/// The record before the library fills in what it stored.
fn blank(label: &SnapshotLabel) -> Result<SnapshotFile> {
    let time = Timestamp::from_microsecond(label.created_at.micros()).map_err(Error::internal)?;
    let options = SnapshotOptions::default()
        .host("mainstay".to_owned())
        .label(label.cluster_name.clone())
        .description(label.description.clone())
        .command("mainstay".to_owned())
        .time(time.to_zoned(TimeZone::UTC))
        .add_tags(&snapshots::tags(label))
        .map_err(|e| unwrapped("labelling the snapshot", e))?;
    options.to_snapshot().map_err(|e| unwrapped("labelling the snapshot", e))
}

/// What the trees hold must be what was read, our own file included.
fn compare(survey: &Survey, tally: &Tally) -> Result<()> {
    let read = (tally.files(), tally.links(), tally.bytes());
    let stored = (survey.files, survey.links, survey.bytes);
    if read == stored {
        return Ok(());
    }
    Err(Error::integrity(format!(
        "the stored backup is not what was read: {} files, {} links and {} bytes were read, {} files, {} links and {} bytes were stored; nothing was published, take the backup again",
        read.0, read.1, read.2, stored.0, stored.1, stored.2
    )))
}

/// Reads everything this backup wrote back from the place, and looks that the older packs it
/// builds on are there in full size. (Their content is what `verify` with depth `Data` reads.)
fn read_back(repo: &Repo, survey: &Survey, written: &Written, progress: &Progress, tally: &Tally) -> Result<Check> {
    let packs = written.packs.iter().map(|&(id, size)| (FileType::Pack, id, size));
    let work: Vec<_> = packs.chain(written.indexes.iter().map(|&(id, size)| (FileType::Index, id, size))).collect();
    progress.total(written.bytes());
    let new: HashSet<Id> = written.packs.iter().map(|(id, _)| *id).collect();
    let older = survey.check_presence(repo)?.into_keys().filter(|id| !new.contains(id)).count();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(&(kind, id, size)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if tally.is_over() {
                        break;
                    }
                    match check_object(repo.objects.as_ref(), kind, &id, size) {
                        Ok(()) => progress.add(size),
                        Err(e) => tally.fail(e),
                    }
                }
            });
        }
    });
    tally.verdict()?;
    let detail = format!(
        "{} packs and {} indexes, {} bytes, read back from the storage and equal to what was written; {older} older packs it builds on are there in full size",
        written.packs.len(),
        written.indexes.len(),
        written.bytes()
    );
    Ok(Check::new("read_back", true, detail))
}

enum Published {
    New { snapshot: String, verified_at: Time },
    Already(Box<Stored>),
}

/// Writes the record, the one step that makes the backup exist, and reads it again.
fn publish(
    repo: &Repo,
    mut snapshot: SnapshotFile,
    label: &SnapshotLabel,
    ledger: &Ledger,
    tally: &Arc<Tally>,
    bytes: u64,
) -> Result<Published> {
    let verified_at = Time::from(Timestamp::now());
    if let Some(summary) = &mut snapshot.summary {
        summary.data_added_packed = ledger.written().bytes();
        // What was kept passed by the library unseen.
        summary.total_bytes_processed = bytes;
        summary.backup_end = Timestamp::now().to_zoned(TimeZone::UTC);
    }
    let plain = serde_json::to_vec(&SnapshotFile { id: Default::default(), ..snapshot }).map_err(Error::internal)?;
    let sealed = repo.seal.close_object(&plain)?;
    let id = super::seal::name_of(&sealed);

    let _one = repo.site.publishing.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stored) = already(repo, label)? {
        return Ok(Published::Already(Box::new(stored)));
    }
    tally.verdict()?;
    // A write whose reply is lost may have been done: what is called failed must not be visible.
    let written = repo.objects.write(FileType::Snapshot, &id, &[sealed.into()]);
    written.and_then(|()| read_object(repo.objects.as_ref(), FileType::Snapshot, &id)).inspect_err(|_| {
        let _ = repo.objects.remove(FileType::Snapshot, &id);
    })?;
    Ok(Published::New { snapshot: id.to_hex().to_string(), verified_at })
}

/// The same backup, when an earlier call published it and its reply was lost.
fn already(repo: &Repo, label: &SnapshotLabel) -> Result<Option<Stored>> {
    let found = snapshots::readable(repo)?.into_iter().find(|s| s.label.as_ref().is_some_and(|l| l.backup == label.backup));
    let Some(found) = found else { return Ok(None) };
    let record = snapshots::record(&Blobs::open(repo)?, &found)?;
    let summary = found.file.summary.unwrap_or_default();
    let mut checks = record.checks;
    checks.push(Check::new("read_back", true, "read back and checked before it was published by an earlier attempt"));
    Ok(Some(Stored {
        snapshot: found.id.to_hex().to_string(),
        facts: record.facts,
        data_bytes: record.data_bytes,
        added_bytes: summary.data_added_packed,
        files: record.files,
        checks,
        verified_at: summary.backup_end.timestamp().into(),
    }))
}

/// Takes back what a failed backup wrote, as far as nobody can have built on it: a pack in an index
/// may be in use by another backup by now, it waits for a prune.
fn abandon(repo: &Repo, written: &Written) {
    let mut named = HashSet::new();
    for (id, _) in &written.indexes {
        match snapshots::index_packs(repo.objects.as_ref(), &repo.seal, id) {
            Ok(packs) => named.extend(packs),
            Err(_) => return,
        }
    }
    for (id, _) in written.packs.iter().filter(|(id, _)| !named.contains(id)) {
        if let Err(e) = repo.objects.remove(FileType::Pack, id) {
            tracing::warn!("what a failed backup wrote stays until the next prune: {e}");
            if e.is_transient() {
                return;
            }
        }
    }
}
