//! Backups from the agent's side: the engine captures, the storage keeps, and nothing of it passes
//! through the control plane. The storage shows a snapshot only when it is whole, so there is
//! nothing here to clean up after a failure.

use crate::{Agent, dispatch::Act, nodes::refuse_past};
use mainstay_drivers::{
    engine::Backups,
    storage::{Entry, RepositoryRef, Source, Storage, StorageReport, StorageUsage, Stored},
};
use mainstay_model::{Error, Result, backup::Facts};
use mainstay_rpc::verbs::{
    Capture, CheckStorage, DeleteSnapshots, Done, EnsureKeys, ListSnapshots, ManualCommands, RemoveRepository, RepositoryUsage,
    SnapshotFacts, Verified, VerifySnapshot,
};
use std::sync::Arc;

/// How the commands for a person name what only that person knows.
const KEY_FILE: &str = "RECOVERY-KEY-FILE";
/// The word engines use for it in their own steps.
const TARGET: &str = "DIR";

impl Agent {
    pub(crate) async fn check_storage(&self, verb: CheckStorage, _: &Act) -> Result<StorageReport> {
        self.parts.storages.check(&verb.storage).await
    }

    /// Runs beside all other verbs of the node. Only a second call for the same copy waits.
    pub(crate) async fn capture(&self, verb: Capture, act: &Act) -> Result<Stored> {
        refuse_past(&self.registry.get(&verb.plan.id)?, act.generation)?;
        let key = format!("{}/{}", verb.label.backup, verb.repository.storage.id);
        let _held = self.locks.hold(key, &act.progress).await?;
        let storage = self.parts.storages.open(&verb.repository, true).await?;
        let there = storage.list().await?.iter().any(|s| s.label.backup == verb.label.backup);
        let source = if there { Box::new(Unread) } else { self.source(&verb, act).await? };
        storage.put(&verb.label, source, &act.progress).await
    }

    async fn source(&self, verb: &Capture, act: &Act) -> Result<Box<dyn Source>> {
        let node = self.node(&verb.plan).await?;
        if !self.runs(&verb.plan.id).await? {
            let sentence = format!("{} does not run; a backup is taken from a running node", verb.plan.name);
            return Err(Error::unavailable("node_not_running", sentence));
        }
        self.backups(&verb.plan.engine)?.capture(&node, &act.progress).await
    }

    pub(crate) async fn verify_snapshot(&self, verb: VerifySnapshot, act: &Act) -> Result<Verified> {
        let bytes = self.opened(&verb.repository).await?.verify(&verb.snapshot, verb.depth, &act.progress).await?;
        Ok(Verified { bytes })
    }

    pub(crate) async fn snapshot_facts(&self, verb: SnapshotFacts, _: &Act) -> Result<Facts> {
        Ok(self.opened(&verb.repository).await?.facts(&verb.snapshot).await?.1)
    }

    pub(crate) async fn list_snapshots(&self, verb: ListSnapshots, _: &Act) -> Result<Vec<mainstay_drivers::storage::Snapshot>> {
        self.opened(&verb.repository).await?.list().await
    }

    pub(crate) async fn delete_snapshots(&self, verb: DeleteSnapshots, _: &Act) -> Result<Done> {
        let storage = self.opened(&verb.repository).await?;
        storage.delete(&verb.snapshots).await?;
        if verb.prune {
            storage.prune().await?;
        }
        Ok(Done {})
    }

    pub(crate) async fn remove_repository(&self, verb: RemoveRepository, _: &Act) -> Result<Done> {
        self.parts.storages.remove(&verb.repository).await.map(|()| Done {})
    }

    pub(crate) async fn ensure_keys(&self, verb: EnsureKeys, _: &Act) -> Result<Done> {
        self.opened(&verb.repository).await?.ensure_keys(&verb.keys).await.map(|()| Done {})
    }

    pub(crate) async fn repository_usage(&self, verb: RepositoryUsage, _: &Act) -> Result<StorageUsage> {
        self.opened(&verb.repository).await?.usage().await
    }

    pub(crate) async fn manual_commands(&self, verb: ManualCommands, _: &Act) -> Result<Vec<String>> {
        let mut lines = self.opened(&verb.repository).await?.manual_commands(&verb.snapshot, KEY_FILE, TARGET);
        lines.extend(self.backups(&verb.engine)?.manual_steps(&verb.version));
        Ok(lines)
    }

    pub(crate) async fn opened(&self, repository: &RepositoryRef) -> Result<Arc<dyn Storage>> {
        self.parts.storages.open(repository, false).await
    }

    pub(crate) fn backups(&self, engine: &str) -> Result<&dyn Backups> {
        let engine = self.engine(engine)?;
        engine.backups().ok_or_else(|| Error::conflict("no_backups", format!("{} cannot be backed up here", engine.info().title)))
    }
}

/// Stands for the source of a backup that is stored already: the storage returns what it has, and
/// the engine is not bothered again, nor need it run.
struct Unread;

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
