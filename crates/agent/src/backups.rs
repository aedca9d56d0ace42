//! Backups from the agent's side: the engine captures, the storage keeps, and nothing of it passes
//! through the control plane. The storage shows a snapshot only when it is whole, so there is
//! nothing here to clean up after a failure.

use crate::{
    Agent,
    brake::{Brake, Braked, EVERY},
    copies::{Copies, PATIENCE, moving, within},
    disk::blocking,
    dispatch::Act,
    looks::tree_bytes,
    meeting::{self, Met},
    nodes::refuse_past,
    relay, text,
    volumes::DATA,
};
use mainstay_drivers::{
    engine::{Backups, NodePlan},
    storage::{Known, RepositoryRef, Source, Storage, StorageReport, StorageUsage, Stored, refuses_deletion},
};
use mainstay_model::{Error, Result, backup::Facts, node::Observed};
use mainstay_rpc::verbs::{
    Capture, CheckStorage, CopySnapshot, DeleteSnapshots, Deleted, Done, EnsureKeys, GivingWay, LimitStorage, ListSnapshots, LockSnapshot,
    Locked, ManualCommands, RemoveRepository, RepositoryUsage, SnapshotFacts, Verified, VerifySnapshot,
};
use std::{sync::Arc, time::Duration};

/// How the commands for a person name what only that person knows.
const KEY_FILE: &str = "RECOVERY-KEY-FILE";
/// The word engines use for it in their own steps.
const TARGET: &str = "DIR";

impl Agent {
    pub(crate) async fn check_storage(&self, verb: CheckStorage, _: &Act) -> Result<StorageReport> {
        self.parts.storages.check(&verb.storage).await
    }

    pub(crate) async fn limit_storage(&self, verb: LimitStorage, _: &Act) -> Result<Done> {
        self.parts.storages.limit(&verb.storage);
        Ok(Done {})
    }

    /// Runs beside all other verbs of the node. Only a second call for the same backup waits.
    pub(crate) async fn capture(&self, verb: Capture, act: &Act) -> Result<Vec<Result<Stored, Error>>> {
        refuse_past(&self.registry.get(&verb.plan.id)?, act.generation)?;
        let _held = self.locks.hold(format!("backup/{}", verb.label.backup), &act.progress).await?;
        // Members of a party wait for each other: one that waited here would hold up them all.
        let _slot = match verb.party {
            None => Some(self.copying.take(verb.repositories.len(), &act.progress).await?),
            Some(_) => None,
        };
        let mut copies = Copies::find(&*self.parts.storages, &verb.repositories, &verb.label, &act.progress).await;
        if !copies.complete_from_a_good_one(&verb.label, &act.progress).await {
            copies.leave_out_full(&verb.expected, self.data_bytes(&verb).await?).await;
            if copies.has_open() {
                self.read(&verb, &mut copies, act).await?;
            }
        }
        let arguments = serde_json::to_string(&verb).map_err(Error::internal)?;
        Ok(copies.results().into_iter().map(|result| result.map_err(|e| told(e, &arguments))).collect())
    }

    /// What a first backup is measured by; where there is none the directory need not be walked.
    async fn data_bytes(&self, verb: &Capture) -> Result<u64> {
        if verb.expected.iter().flatten().count() == verb.repositories.len() {
            return Ok(0);
        }
        let data = self.volumes.root_path(&verb.plan.id).join(DATA);
        blocking(move || Ok(tree_bytes(&data))).await
    }

    /// Reads the engine into all storages, built on an earlier backup where that is possible. Should
    /// that one turn out to be spoiled, everything is read.
    async fn read(&self, verb: &Capture, copies: &mut Copies, act: &Act) -> Result<()> {
        let lists = self.engine(&verb.plan.engine)?.incremental().map(|i| i.lists());
        let known = match (&verb.base, lists) {
            (Some(on), Some(lists)) => copies.known(on, lists).await.map(Arc::new),
            _ => None,
        };
        let source = self.source(verb, known, act).await?;
        self.read_once(verb, copies, source, act).await?;
        // The members of a party had their meeting; it is not repeated for one of them.
        if copies.has_open() && verb.party.is_none() {
            tracing::warn!(backup = %verb.label.backup, "the backup to build on was spoiled; everything is read");
            copies.forget_bases();
            let source = self.source(verb, None, act).await?;
            self.read_once(verb, copies, source, act).await?;
        }
        Ok(())
    }

    /// Reads it into the storages, and looks meanwhile whether the node can bear it.
    async fn read_once(&self, verb: &Capture, copies: &mut Copies, source: Box<dyn Source>, act: &Act) -> Result<()> {
        let Some(way) = &verb.giving_way else { return copies.read_once(&verb.label, source, &act.progress).await };
        let brake = Arc::new(Brake::new(way, &verb.plan.name, &act.progress));
        let source = Box::new(Braked { source, brake: brake.clone() });
        brake.look(self.look_at_both(&verb.plan, way).await);
        let read = tokio::select! {
            read = copies.read_once(&verb.label, source, &act.progress) => read,
            () = self.keep_looking(&verb.plan, way, &brake) => Ok(()),
        };
        act.progress.set_note(None);
        match brake.verdict() {
            // What it broke off with is not why.
            Some(e) if read.is_err() || copies.none_is_good() => Err(e),
            _ => read,
        }
    }

    async fn look_at_both(&self, replica: &NodePlan, way: &GivingWay) -> (Observed, Observed) {
        futures::join!(self.probe_one(replica), self.probe_one(&way.primary))
    }

    /// Never ends.
    async fn keep_looking(&self, replica: &NodePlan, way: &GivingWay, brake: &Brake) {
        loop {
            tokio::time::sleep(EVERY).await;
            brake.look(self.look_at_both(replica, way).await);
        }
    }

    /// Another copy of a backup that is stored already; the engine is not asked.
    pub(crate) async fn copy_snapshot(&self, verb: CopySnapshot, act: &Act) -> Result<Stored> {
        let _held = self.locks.hold(format!("backup/{}", verb.backup), &act.progress).await?;
        let _slot = self.copying.take(1, &act.progress).await?;
        let from = self.opened(&verb.from).await?;
        let to = within(PATIENCE, self.parts.storages.open(&verb.to, true)).await?;
        moving(&act.progress, relay::copy(&from, &verb.snapshot, &to, &verb.backup, &act.progress)).await
    }

    async fn source(&self, verb: &Capture, known: Option<Arc<Known>>, act: &Act) -> Result<Box<dyn Source>> {
        let node = self.node(&verb.plan).await?;
        if !self.runs(&verb.plan.id).await? {
            let sentence = format!("{} does not run; a backup is taken from a running node", verb.plan.name);
            return Err(Error::unavailable("node_not_running", sentence));
        }
        let engine = self.engine(&verb.plan.engine)?;
        let known = known.and_then(|known| Some((engine.incremental()?, known)));
        let Some(party) = &verb.party else {
            return match known {
                Some((able, known)) => able.capture_on(&node, known, None, &act.progress).await,
                None => self.backups(&verb.plan.engine)?.capture(&node, &act.progress).await,
            };
        };
        let member = self.meetings.join(party, engine.clone(), node.clone(), &act.progress);
        let source = match known {
            Some((able, known)) => able.capture_on(&node, known, Some(member.clone()), &act.progress).await?,
            None => meeting::able(&**engine)?.capture_at(&node, member.clone(), &act.progress).await?,
        };
        Ok(Box::new(Met { source, member }))
    }

    pub(crate) async fn verify_snapshot(&self, verb: VerifySnapshot, act: &Act) -> Result<Verified> {
        let bytes = self.opened(&verb.repository).await?.verify(&verb.snapshot, verb.depth, &act.progress).await?;
        Ok(Verified { bytes })
    }

    pub(crate) async fn lock_snapshot(&self, verb: LockSnapshot, _: &Act) -> Result<Locked> {
        let keep = Duration::from_secs(verb.keep_seconds);
        let until = self.opened(&verb.repository).await?.lock(&verb.snapshot, keep).await?;
        Ok(Locked { until })
    }

    pub(crate) async fn snapshot_facts(&self, verb: SnapshotFacts, _: &Act) -> Result<Facts> {
        Ok(self.opened(&verb.repository).await?.facts(&verb.snapshot).await?.1)
    }

    pub(crate) async fn list_snapshots(&self, verb: ListSnapshots, _: &Act) -> Result<Vec<mainstay_drivers::storage::Snapshot>> {
        self.opened(&verb.repository).await?.list().await
    }

    pub(crate) async fn delete_snapshots(&self, verb: DeleteSnapshots, _: &Act) -> Result<Deleted> {
        let storage = self.opened(&verb.repository).await?;
        deleted(delete(&*storage, &verb.snapshots, verb.prune).await)
    }

    pub(crate) async fn remove_repository(&self, verb: RemoveRepository, _: &Act) -> Result<Deleted> {
        deleted(self.parts.storages.remove(&verb.repository).await)
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

pub(crate) async fn delete(storage: &dyn Storage, snapshots: &[String], prune: bool) -> Result<()> {
    storage.delete(snapshots).await?;
    if prune {
        storage.prune().await?;
    }
    Ok(())
}

/// That nobody may delete there is an answer and no failure.
pub(crate) fn deleted(done: Result<()>) -> Result<Deleted> {
    match done {
        Err(e) if refuses_deletion(&e) => Ok(Deleted { stays: Some(e.message) }),
        done => done.map(|()| Deleted::default()),
    }
}

/// The error of one copy as it may leave the agent; the log hears of it here, for the call succeeds.
fn told(e: Error, arguments: &str) -> Error {
    let e = text::fit(e, arguments);
    tracing::warn!(inside = e.inside.as_deref().unwrap_or_default(), "a copy of a backup failed: {e}");
    e
}
