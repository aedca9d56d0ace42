//! Keeping a cluster's log from the agent's side: a process of the engine's takes it over into a spool
//! beside the nodes, and from there it goes, in parts, into the same repositories as the backups. The
//! keeper is nobody's child, like an engine: it goes on while this agent is away, and is found again.
//!
//! A storage that is away makes the spool grow, up to a limit; then the oldest goes, and what that
//! storage lacks is a gap in it. The log that the database itself holds is limited by the engine.

use crate::{
    Agent,
    backups::{delete, deleted},
    copies::{PATIENCE, moving, within},
    dispatch::Act,
    nodes::refuse_past,
    owner::Owner,
    spool::{self, Spooled},
};
use mainstay_drivers::{
    engine::{Node, NodePlan},
    runtime::{InstanceId, InstanceState, StopMode},
    segments::{COUNT, FIRST, FROM, LAST, LINE, PIECES, Piece, Segments, UNTIL},
    storage::{Entry, EntryKind, Keep, LOG, Source, Storage},
};
use mainstay_model::{ClusterId, Error, NodeId, Result, Time, backup::Facts, node::Position};
use mainstay_rpc::verbs::{Deleted, Done, KeepLog, KeptLog, ReleaseLog, StoreLog, StoredLog};
use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// The instance that takes over the log of a cluster.
fn keeper(cluster: &ClusterId) -> InstanceId {
    InstanceId(format!("{cluster}.log"))
}

fn key(cluster: &ClusterId) -> String {
    format!("log/{cluster}")
}

impl Agent {
    pub(crate) fn segments(&self, engine: &str) -> Result<&dyn Segments> {
        let engine = self.engine(engine)?;
        let none = || Error::conflict("no_point_in_time", format!("the log of {} is not kept here", engine.info().title));
        engine.segments().ok_or_else(none)
    }

    pub(crate) async fn keep_log(&self, verb: KeepLog, act: &Act) -> Result<KeptLog> {
        let cluster = &verb.plan.cluster;
        let _held = self.locks.hold(key(cluster), &act.progress).await?;
        let node = self.running(&verb.plan, act).await?;
        let segments = self.segments(&verb.plan.engine)?;
        let spool = self.keeping(&verb, &node, segments).await?;
        let reach = segments.reach(&node, &spool).await?;
        trim(segments, &spool, &reach.position, verb.trim_before, verb.limit_bytes)?;
        Ok(KeptLog { position: reach.position, at: reach.at, broken: reach.broken, spool_bytes: size(&spool)? })
    }

    async fn running(&self, plan: &NodePlan, act: &Act) -> Result<Node> {
        refuse_past(&self.registry.get(&plan.id)?, act.generation)?;
        if !self.runs(&plan.id).await? {
            return Err(Error::unavailable("node_not_running", format!("{} does not run; its log is kept when it does", plan.name)));
        }
        self.node(plan).await
    }

    /// Makes the keeper run, on a spool that holds this line or nothing.
    async fn keeping(&self, verb: &KeepLog, node: &Node, segments: &dyn Segments) -> Result<PathBuf> {
        let (cluster, instance) = (&verb.plan.cluster, keeper(&verb.plan.cluster));
        let wanted = Spooled { line: verb.line.clone(), node: verb.plan.id.clone() };
        let known = self.spools.get(cluster)?;
        let fresh = known.as_ref().is_none_or(|s| s.line != wanted.line);
        if known.as_ref() != Some(&wanted) {
            // It reads from a node that is no longer the one, or on a history that is over.
            self.parts.runtime.stop(&instance, StopMode::Graceful).await?;
            self.let_go(&verb.others).await?;
        }
        if fresh {
            spool::clear(self.volumes.spools()?, cluster).await?;
        }
        let owner = Owner::of(node.installed.user.as_deref())?;
        let spool = spool::ensure(self.volumes.spools()?, cluster, owner).await?;
        if let Some(keeper) = segments.keep(node, &spool, fresh).await? {
            let runs = self.parts.runtime.inspect(&instance).await?.state == InstanceState::Running;
            if !runs {
                self.parts.runtime.put_files(node.installed.user.as_deref(), keeper.files).await?;
            }
            self.parts.runtime.ensure(&instance, &keeper.spec).await?;
        }
        if known.as_ref() != Some(&wanted) {
            self.spools.put(cluster, wanted).await?;
        }
        Ok(spool)
    }

    pub(crate) async fn store_log(&self, verb: StoreLog, act: &Act) -> Result<StoredLog> {
        let cluster = &verb.plan.cluster;
        let _held = self.locks.hold(format!("{}/{}", key(cluster), verb.repository.storage.id), &act.progress).await?;
        let storage = within(PATIENCE, self.parts.storages.open(&verb.repository, true)).await?;
        let spool = spool::path(&self.volumes.spools()?, cluster)?;
        let ours = self.spools.get(cluster)?.is_some_and(|s| s.line == verb.line);
        let spool = spool.filter(|_| ours).ok_or_else(|| Error::conflict("line_ended", "the log in the spool is of another line"))?;
        let pieces = self.segments(&verb.plan.engine)?.pieces(&spool, verb.from, verb.to.bytes)?;
        if pieces.iter().all(|p| p.range.is_none()) {
            return Err(Error::unavailable("log_missing", "the spool holds nothing of the log that is to be stored"));
        }
        let source = Box::new(Spooling::new(&verb, pieces));
        let stored = moving(&act.progress, storage.put(&verb.label, source, &act.progress)).await?;
        told(stored, remove(&*storage, &verb).await)
    }

    pub(crate) async fn release_log(&self, verb: ReleaseLog, act: &Act) -> Result<Done> {
        let _held = self.locks.hold(key(&verb.cluster), &act.progress).await?;
        self.parts.runtime.stop(&keeper(&verb.cluster), StopMode::Graceful).await?;
        self.parts.runtime.remove(&keeper(&verb.cluster)).await?;
        self.let_go(&verb.nodes).await?;
        spool::clear(self.volumes.spools()?, &verb.cluster).await?;
        self.spools.remove(&verb.cluster).await?;
        Ok(Done {})
    }

    /// One that does not run lets go when it starts as a replica, or with its next line.
    async fn let_go(&self, nodes: &[NodePlan]) -> Result<()> {
        for plan in nodes {
            if self.registry.find(&plan.id)?.is_some() && self.runs(&plan.id).await? {
                self.segments(&plan.engine)?.release(&self.node(plan).await?).await?;
            }
        }
        Ok(())
    }

    /// Where the log was taken over from this node, that ends with it.
    pub(crate) async fn end_keeper_of(&self, node: &NodeId, cluster: &ClusterId) -> Result<()> {
        if self.spools.get(cluster)?.is_some_and(|s| s.node == *node) {
            self.parts.runtime.stop(&keeper(cluster), StopMode::Graceful).await?;
            self.parts.runtime.remove(&keeper(cluster)).await?;
            spool::clear(self.volumes.spools()?, cluster).await?;
            self.spools.remove(cluster).await?;
        }
        Ok(())
    }

    /// Fetches the parts into `dir` of a restored directory, `0`, `1`, ..., oldest first.
    pub(crate) async fn fetch_part(
        &self,
        storage: &dyn Storage,
        snapshot: &str,
        sink: std::sync::Arc<crate::sinks::DirectorySink>,
        act: &Act,
    ) -> Result<()> {
        let got = storage.get(snapshot, std::sync::Arc::clone(&sink) as _, &act.progress).await;
        if let Some(entry) = sink.refused() {
            return Err(Error::invalid("snapshot", entry).with_code("unsafe_archive"));
        }
        got.map_err(|e| e.context(format!("fetching a part of the log, snapshot {snapshot}")))
    }
}

/// What has a newer form goes once that is stored, so that whatever becomes of it holds up no log. `None`
/// where it is there still.
async fn remove(storage: &dyn Storage, verb: &StoreLog) -> Option<Deleted> {
    if verb.garbage.is_empty() {
        return Some(Deleted::default());
    }
    match deleted(within(PATIENCE, delete(storage, &verb.garbage, false)).await) {
        Ok(deleted) => Some(deleted),
        Err(e) => {
            tracing::warn!(inside = e.inside, "outdated parts of the log are still in storage {}: {e}", verb.repository.storage.name);
            None
        }
    }
}

/// Removes what no storage waits for, and then the oldest where that leaves too much. The newest stays:
/// the keeper goes on from it.
fn trim(segments: &dyn Segments, spool: &Path, reach: &Position, before: u64, limit_bytes: u64) -> Result<()> {
    let pieces: Vec<Piece> = segments.pieces(spool, 0, reach.bytes)?.into_iter().filter(|p| p.range.is_some()).collect();
    let mut total: u64 = pieces.iter().map(|p| p.size).sum();
    for piece in pieces.iter().take(pieces.len().saturating_sub(1)) {
        let (_, end) = piece.range.unwrap_or_default();
        if end > before && total <= limit_bytes {
            break;
        }
        std::fs::remove_file(&piece.path)?;
        total -= piece.size;
    }
    Ok(())
}

fn size(spool: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(spool)? {
        total += entry?.metadata().map_or(0, |m| m.len());
    }
    Ok(total)
}

/// What a part says of itself: of this call, or of an earlier one whose reply was lost.
fn told(stored: mainstay_drivers::storage::Stored, garbage: Option<Deleted>) -> Result<StoredLog> {
    let missing = || Error::integrity(format!("part {} of the log does not say what it holds", stored.snapshot));
    let names = &stored.facts.names;
    let from = names.get(FROM).and_then(|text| text.parse().ok()).ok_or_else(missing)?;
    let until = names.get(UNTIL).and_then(|text| Time::parse(text)).ok_or_else(missing)?;
    let to = stored.facts.stop.clone().ok_or_else(missing)?;
    let (first, last) = names.get(FIRST).cloned().zip(names.get(LAST).cloned()).ok_or_else(missing)?;
    let pieces = stored.facts.exact.get(COUNT).copied().ok_or_else(missing)?;
    Ok(StoredLog { from, to, until, first, last, pieces, stored, garbage })
}

/// The pieces of one part.
struct Spooling {
    entries: std::vec::IntoIter<Option<Piece>>,
    facts: Facts,
    bytes: u64,
    at: Time,
}

impl Spooling {
    fn new(verb: &StoreLog, pieces: Vec<Piece>) -> Spooling {
        let ranged: Vec<&Piece> = pieces.iter().filter(|p| p.range.is_some()).collect();
        let from = ranged.iter().filter_map(|p| p.range).map(|(from, _)| from).min().unwrap_or_default();
        let name = |p: Option<&&Piece>| p.map(|p| p.name.clone()).unwrap_or_default();
        let names = [
            (FROM, from.to_string()),
            (UNTIL, verb.until.to_string()),
            (FIRST, name(ranged.first())),
            (LAST, name(ranged.last())),
            (LINE, verb.line.clone()),
        ];
        let facts = Facts {
            engine: verb.plan.engine.clone(),
            engine_version: verb.plan.version.clone(),
            history: verb.to.history.clone(),
            stop: Some(verb.to.clone()),
            exact: [(COUNT.to_string(), ranged.len() as u64)].into(),
            names: names.into_iter().map(|(k, v)| (k.to_string(), v)).collect(),
            node: verb.plan.name.clone(),
            stopped_at: Some(verb.until),
            ..Facts::default()
        };
        let bytes = pieces.iter().map(|p| p.size).sum();
        let mut pieces = pieces;
        pieces.sort_by(|a, b| a.name.cmp(&b.name));
        let entries: Vec<_> = std::iter::once(None).chain(pieces.into_iter().map(Some)).collect();
        debug_assert_eq!(verb.label.kind, LOG);
        Spooling { entries: entries.into_iter(), facts, bytes, at: verb.label.created_at }
    }
}

impl Source for Spooling {
    fn next(&mut self) -> Option<Result<Entry>> {
        let (path, kind) = match self.entries.next()? {
            None => (PIECES.into(), EntryKind::Dir),
            Some(piece) => (Path::new(PIECES).join(&piece.name), file(piece)),
        };
        Some(Ok(Entry { path, mode: 0o700, mtime: self.at, kind }))
    }
    fn finish(&mut self) -> Result<Facts> {
        Ok(self.facts.clone())
    }
    fn expected_bytes(&self) -> Option<u64> {
        Some(self.bytes)
    }
}

/// Its log, and zeros where others write meanwhile.
fn file(piece: Piece) -> EntryKind {
    let (size, valid) = (piece.size, piece.valid);
    let open = move || {
        let plain = |path: &Path| {
            let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
            Ok::<File, io::Error>(File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?))
        };
        let opened = match (plain(&piece.path), &piece.completed) {
            (Err(e), Some(completed)) if e.kind() == io::ErrorKind::NotFound => plain(completed)?,
            (opened, _) => opened?,
        };
        let log = Exactly { inner: opened, left: valid };
        Ok(Box::new(log.chain(io::repeat(0).take(size - valid))) as Box<dyn Read + Send>)
    };
    EntryKind::File { size: Some(size), may_vanish: false, keep: Keep::Nothing, open: Box::new(open) }
}

/// So many bytes, or an error.
struct Exactly {
    inner: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let n = self.inner.read(&mut into[..room])?;
        if n == 0 && room > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a piece of the log became shorter while it was read"));
        }
        self.left -= n as u64;
        Ok(n)
    }
}
