//! Snapshots on the machine itself: each file of a backup is kept by sharing its blocks with the
//! database's own (`FICLONE`: Btrfs, XFS with reflink), and given back to a restore in the same way.
//!
//! A snapshot is taken through the engine like every other backup: it begins and ends where the
//! engine says, and holds the log between. Sharing only takes the place of copying. What is kept is then
//! read once, for the checksums; what was written because it is no file of the engine's is read
//! back. A directory is filled in `tmp/`, synced, and gets its name last, so that what has a name in
//! `snapshots/` is whole:
//!
//! ```text
//! <project>/<cluster>/snapshots/<id>/{files/…, mainstay.json, mainstay.files, mainstay.published}
//! ```
//!
//! It is not encrypted, and it lies on the disk of the database: it brings back seconds after a
//! mistake and is gone with the disk.

mod check;
mod clones;
mod get;
mod put;
mod shelf;

pub use check::check;
pub use shelf::Shelf;

use crate::{
    place::quoted,
    pool::{Lane, Pool},
};
use async_trait::async_trait;
use mainstay_drivers::{
    progress::Progress,
    storage::{Depth, Described, RepositoryKeys, Sink, Snapshot, SnapshotEntry, SnapshotLabel, Source, Storage, StorageUsage, Stored},
};
use mainstay_model::{Result, Secret, backup::Facts};
use std::sync::{Arc, atomic::AtomicBool};

/// The snapshots of one cluster.
pub struct Snapshots {
    shelf: Shelf,
    pool: Pool,
}

impl Snapshots {
    pub fn new(shelf: Shelf, pool: Pool) -> Self {
        Snapshots { shelf, pool }
    }

    async fn run<T, F>(&self, lane: Lane, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Shelf, Arc<AtomicBool>) -> Result<T> + Send + 'static,
    {
        let shelf = self.shelf.clone();
        self.pool.run(lane, move |abandoned| work(&shelf, abandoned)).await
    }
}

#[async_trait]
impl Storage for Snapshots {
    async fn put(&self, label: &SnapshotLabel, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
        let (label, progress) = (label.clone(), progress.clone());
        self.run(Lane::Write, move |shelf, abandoned| put::put(shelf, &label, source, &progress, abandoned)).await
    }

    async fn entries(&self, snapshot: &str) -> Result<Vec<SnapshotEntry>> {
        let snapshot = snapshot.to_owned();
        self.run(Lane::Ask, move |shelf, _| Ok(shelf.whole(&snapshot)?.files.into_iter().map(|f| f.entry).collect())).await
    }

    async fn get(&self, snapshot: &str, sink: Arc<dyn Sink>, progress: &Progress) -> Result<()> {
        let (snapshot, progress) = (snapshot.to_owned(), progress.clone());
        self.run(Lane::reading(&progress), move |shelf, abandoned| get::get(shelf, &snapshot, sink.as_ref(), &progress, &abandoned)).await
    }

    async fn facts(&self, snapshot: &str) -> Result<(SnapshotLabel, Facts)> {
        let snapshot = snapshot.to_owned();
        self.run(Lane::Ask, move |shelf, _| shelf.record(&snapshot).map(|r| (r.label, r.facts))).await
    }

    async fn describe(&self, snapshot: &str) -> Result<Described> {
        let snapshot = snapshot.to_owned();
        let described = |r: crate::Record| Described { label: r.label, facts: r.facts, data_bytes: r.data_bytes };
        self.run(Lane::Ask, move |shelf, _| shelf.record(&snapshot).map(described)).await
    }

    async fn list(&self) -> Result<Vec<Snapshot>> {
        self.run(Lane::Ask, |shelf, _| shelf.list()).await
    }

    async fn verify(&self, snapshot: &str, depth: Depth, progress: &Progress) -> Result<u64> {
        let (snapshot, progress) = (snapshot.to_owned(), progress.clone());
        self.run(Lane::Quiet, move |shelf, abandoned| get::verify(shelf, &snapshot, depth, &progress, &abandoned)).await
    }

    async fn delete(&self, snapshots: &[String]) -> Result<()> {
        let ids = snapshots.to_vec();
        self.run(Lane::Ask, move |shelf, _| ids.iter().try_for_each(|id| shelf.delete(id))).await
    }

    /// A snapshot's space comes back with the snapshot. What is left are the remnants of interrupted work.
    async fn prune(&self) -> Result<u64> {
        self.run(Lane::Ask, |shelf, _| shelf.sweep().map(|()| 0)).await
    }

    /// There is nothing here that a key would open.
    async fn ensure_keys(&self, _: &RepositoryKeys) -> Result<()> {
        Ok(())
    }

    async fn add_keys(&self, _: &RepositoryKeys) -> Result<()> {
        Ok(())
    }

    async fn try_key(&self, _: &Secret) -> Result<()> {
        Ok(())
    }

    async fn usage(&self) -> Result<StorageUsage> {
        self.run(Lane::Ask, |shelf, _| shelf.usage()).await
    }

    async fn free(&self) -> Result<Option<u64>> {
        self.run(Lane::Ask, |shelf, _| shelf.free().map(Some)).await
    }

    fn keeps_files(&self) -> bool {
        true
    }

    fn manual_commands(&self, snapshot: &str, _key_file: &str, target: &str) -> Vec<String> {
        let files = self.shelf.snapshot(snapshot).join(shelf::FILES);
        vec![
            format!("mkdir -p -m 700 {}", quoted(target)),
            format!("cp -a --reflink=auto {}/. {}/", quoted(&files.display().to_string()), quoted(target)),
        ]
    }
}
