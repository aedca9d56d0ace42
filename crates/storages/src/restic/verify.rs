//! Whether a snapshot could be restored, found out without restoring it.

use super::{
    Repo,
    blobs::{Blobs, Spot, damaged},
    seal::name_of,
    snapshots,
    survey::{self, Survey},
};
use crate::source::Tally;
use mainstay_drivers::{progress::Progress, storage::Depth};
use mainstay_model::Result;
use rustic_core::{FileType, repofile::IndexPack};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool, atomic::AtomicU64, atomic::Ordering, mpsc::Receiver, mpsc::sync_channel},
    thread,
};

pub fn verify(repo: &Repo, snapshot: &str, depth: Depth, progress: &Progress, abandoned: Arc<AtomicBool>) -> Result<u64> {
    loop {
        let known = repo.site.damaged().len();
        let outcome = attempt(repo, snapshot, depth, progress, abandoned.clone());
        // A pack that was found damaged just now may have been replaced by a later backup: look
        // again without it. Each round knows more such packs than the one before.
        if outcome.is_ok() || repo.site.damaged().len() == known {
            return outcome;
        }
        if attempt(repo, snapshot, Depth::Structure, progress, abandoned.clone()).is_err() {
            return outcome;
        }
    }
}

fn attempt(repo: &Repo, snapshot: &str, depth: Depth, progress: &Progress, abandoned: Arc<AtomicBool>) -> Result<u64> {
    let found = snapshots::get(repo, snapshot)?;
    progress.say("checking the structure");
    let survey = survey::take(repo, &found.file.tree)?;
    let packs = survey.check_presence(repo)?;
    snapshots::record(&Blobs::open(repo)?, &found)?;
    match depth {
        Depth::Structure => Ok(survey.tree_bytes),
        Depth::Data => {
            progress.say("reading all data");
            progress.total(packs.values().sum());
            data(repo, &survey, progress, abandoned)
        }
    }
}

/// Reads every pack whole: its hash covers each byte of it; and each blob: decrypted, decompressed
/// and held against its own hash.
fn data(repo: &Repo, survey: &Survey, progress: &Progress, abandoned: Arc<AtomicBool>) -> Result<u64> {
    let tally = Tally::new(progress, abandoned);
    let blobs = Blobs::open(repo)?;
    let good = AtomicU64::new(0);
    let (tx, rx) = sync_channel::<IndexPack>(2);
    let rx = Mutex::new(rx);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| work(&rx, &blobs, &tally, &good, progress));
        }
        let mut seen = HashSet::new();
        let sent = survey.each_pack(repo, |pack| {
            if !tally.is_over() && seen.insert(pack.id) {
                // The workers only go away when the tally is over.
                let _ = tx.send(pack);
            }
            Ok(())
        });
        drop(tx);
        if let Err(e) = sent {
            tally.fail(e);
        }
    });
    tally.verdict()?;
    Ok(good.into_inner())
}

fn work(rx: &Mutex<Receiver<IndexPack>>, blobs: &Blobs, tally: &Tally, good: &AtomicU64, progress: &Progress) {
    loop {
        let next = rx.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(pack) = next else { return };
        if tally.is_over() {
            continue;
        }
        match check_pack(blobs, &pack) {
            Ok(size) => {
                good.fetch_add(size, Ordering::Relaxed);
                progress.add(size);
            }
            Err(e) => {
                blobs.note_damaged(pack.id.into_inner());
                tally.fail(e);
            }
        }
    }
}

fn check_pack(blobs: &Blobs, pack: &IndexPack) -> Result<u64> {
    let (id, size) = (pack.id.into_inner(), u64::from(pack.pack_size()));
    let objects = blobs.objects.as_ref();
    let name = || objects.name(FileType::Pack, &id);
    // Once, and whole: what is hashed is what is opened, and over a wire it is one request.
    let bytes = objects.read_at(FileType::Pack, &id, 0, size as usize)?;
    if name_of(&bytes) != id {
        return Err(damaged(&name(), "its content does not have the hash it is named by"));
    }
    for blob in &pack.blobs {
        let at = blob.location;
        let plain = at.uncompressed_length.map(|n| n.get());
        let spot = Spot { id: blob.id.into_inner(), pack: id, offset: at.offset, length: at.length, plain };
        let sealed = bytes.get(at.offset as usize..).and_then(|rest| rest.get(..at.length as usize));
        let sealed = sealed.ok_or_else(|| damaged(&name(), "the index names a blob beyond its end"))?;
        blobs.open_blob(sealed, &spot)?;
    }
    Ok(size)
}
