//! Restoring beside the live data: fetched, checked against its list, started where nobody can
//! reach it, brought to today's accounts, counted, stopped. Only then may it be swapped in. The
//! live data is not touched, and the isolated instance is gone on every way out.

use crate::{
    Agent,
    disk::blocking,
    dispatch::Act,
    markers::{Marker, Stage},
    nodes::{Entry, beside_key},
    owner::Owner,
    proof::drill_limit,
    ready::{Awaited, is_ready},
    sinks::DirectorySink,
    volumes::{Label, Stands},
};
use mainstay_drivers::{
    engine::{Exposure, Node, NodePlan},
    runtime::{InstanceId, StopMode},
    segments::PIECES,
    storage::{Sink, SnapshotEntryKind, Storage},
};
use mainstay_model::{
    Error, Kind, NodeId, Result,
    backup::{Check, Facts},
};
use mainstay_rpc::verbs::{Replay, RestoreBeside, RestoredBeside};
use std::{path::Path, sync::Arc, time::Instant};

/// What came of an isolated instance while it ran.
struct Ran {
    checks: Vec<Check>,
    proof: Vec<Check>,
    start_seconds: f64,
}

/// One restore under way.
struct Beside<'a> {
    verb: &'a RestoreBeside,
    label: &'a Label,
    node: Node,
    owner: Option<Owner>,
    instance: InstanceId,
    act: &'a Act,
}

/// The instance that runs on a directory beside a node's data. Node ids have no dot.
fn isolated(node: &NodeId, label: &Label) -> InstanceId {
    InstanceId(format!("{node}.{}", label.as_str()))
}

/// The node an isolated instance belongs to; `None` for every other instance.
fn isolated_node(id: &InstanceId) -> Option<NodeId> {
    NodeId::parse(id.0.split_once('.')?.0)
}

impl Agent {
    pub(crate) async fn restore_beside(&self, verb: RestoreBeside, act: &Act) -> Result<RestoredBeside> {
        let label = Label::parse(&verb.label)?;
        if verb.drill.is_some() {
            act.progress.set_quiet();
        }
        drop(self.enter(&verb.plan, act, Entry::Known).await?);
        let _held = self.locks.hold(beside_key(&verb.plan.id), &act.progress).await?;
        if let Some(reply) = self.restored_already(&verb, &label)? {
            return Ok(reply);
        }
        self.make_room(&verb.plan, &label).await?;
        let outcome = self.restore(&verb, &label, act).await;
        if outcome.is_err()
            && let Err(e) = self.clear_beside(&verb.plan, &label).await
        {
            tracing::warn!(node = %verb.plan.id, "what a failed restore left is still there; the next one removes it: {e}");
        }
        outcome
    }

    /// The answer of an earlier call whose reply was lost.
    fn restored_already(&self, verb: &RestoreBeside, label: &Label) -> Result<Option<RestoredBeside>> {
        let until = verb.replay.as_ref().map(|r| r.until);
        let same = |m: &Marker| m.snapshot == verb.snapshot && m.source == verb.repository.cluster && m.until == until;
        let Some(marker) = self.markers.get(&verb.plan.id, label)?.filter(same) else { return Ok(None) };
        let there = self.volumes.own_root(&verb.plan)?.stands(label.as_str())? == Stands::Filled;
        Ok(match marker.stage {
            Stage::Ready { reply } if there => Some(*reply),
            _ => None,
        })
    }

    /// Removes a half-made restore of this name. A directory without a marker is no such thing.
    async fn make_room(&self, plan: &NodePlan, label: &Label) -> Result<()> {
        let root = self.volumes.own_root(plan)?;
        let taken = root.stands(label.as_str())? != Stands::Nothing;
        if taken && self.markers.get(&plan.id, label)?.is_none() {
            let sentence = format!("\"{}\" in {} holds data that was put aside; drop it first", label.as_str(), root.path().display());
            return Err(Error::conflict("directory_exists", sentence));
        }
        self.clear_beside(plan, label).await
    }

    async fn restore(&self, verb: &RestoreBeside, label: &Label, act: &Act) -> Result<RestoredBeside> {
        let begun = Instant::now();
        let beside = self.beside(verb, label, act).await?;
        let storage = self.opened(&verb.repository).await?;
        let (_, facts) = storage.facts(&verb.snapshot).await?;
        refuse_other_engine(&verb.plan, &facts)?;
        let log_bytes = verb.replay.as_ref().map_or(0, |r| r.bytes);
        let bytes = self.refuse_without_space(storage.as_ref(), &verb.snapshot, log_bytes).await?;
        self.fetch(&beside, storage.as_ref(), bytes).await?;
        let backups = self.backups(&verb.plan.engine)?;
        act.progress.say("checking the files");
        let mut checks = good(backups.prepare(&beside.node, &facts).await?)?;
        if let Some(replay) = &verb.replay {
            self.fetch_log(&beside, replay).await?;
        }
        self.mark(&beside, Stage::Prepared).await?;
        let started = self.check_in_time(&beside, &facts, bytes).await;
        // Whatever was found, nothing isolated outlives this.
        let ended = self.end_isolated(&beside.instance, StopMode::Kill).await;
        let ran = started?;
        ended?;
        checks.extend(ran.checks);
        self.mark(&beside, Stage::Checked).await?;
        backups.settle(&beside.node).await?;
        self.sync(&beside).await?;
        self.clear_isolated_files(&verb.plan.id, label).await?;
        let (seconds, start_seconds) = (begun.elapsed().as_secs_f64(), ran.start_seconds);
        let reply = RestoredBeside { checks, facts, bytes, seconds, start_seconds, proof: ran.proof };
        self.mark(&beside, Stage::Ready { reply: Box::new(reply.clone()) }).await?;
        Ok(reply)
    }

    async fn beside<'a>(&self, verb: &'a RestoreBeside, label: &'a Label, act: &'a Act) -> Result<Beside<'a>> {
        let served = self.node(&verb.plan).await?;
        let owner = Owner::of(served.installed.user.as_deref())?;
        let paths = self.volumes.prepare_beside(&verb.plan, label, owner.as_ref())?;
        let node = Node { paths, exposure: Exposure::Isolated, ..served };
        Ok(Beside { verb, label, node, owner, instance: isolated(&verb.plan.id, label), act })
    }

    /// Bytes the snapshot's files take, once it is sure that they fit with a tenth to spare.
    async fn refuse_without_space(&self, storage: &dyn Storage, snapshot: &str, log_bytes: u64) -> Result<u64> {
        let size = |kind: &SnapshotEntryKind| if let SnapshotEntryKind::File { size } = kind { *size } else { 0 };
        let bytes: u64 = storage.entries(snapshot).await?.iter().map(|e| size(&e.kind)).sum();
        let needed = bytes.saturating_add(bytes / 10).saturating_add(log_bytes);
        let free = self.parts.runtime.host(&self.parts.data_dir).await?.disk_free_bytes;
        if free >= needed {
            return Ok(bytes);
        }
        let place = self.parts.data_dir.display();
        let sentence =
            format!("restoring beside the live data needs {} ({needed} bytes), {place} has {} ({free} bytes) free", mib(needed), mib(free));
        Err(Error::new(Kind::NoSpace, "no_space", format!("{sentence}; free {} there", mib(needed - free))))
    }

    async fn fetch(&self, beside: &Beside<'_>, storage: &dyn Storage, bytes: u64) -> Result<()> {
        let progress = &beside.act.progress;
        self.mark(beside, Stage::Fetching).await?;
        let root = self.volumes.own_root(&beside.verb.plan)?;
        root.ensure_dir(beside.label.as_str(), beside.owner.as_ref())?;
        let engine = Arc::clone(self.engine(&beside.verb.plan.engine)?);
        let place = move |captured: &Path| engine.backups()?.restored_path(captured);
        let sink = Arc::new(DirectorySink::new(root.open(beside.label.as_str())?, beside.owner.clone(), place));
        progress.say("fetching the backup");
        progress.total(bytes);
        let got = storage.get(&beside.verb.snapshot, Arc::clone(&sink) as Arc<dyn Sink>, progress).await;
        if let Some(entry) = sink.refused() {
            return Err(Error::invalid("snapshot", entry).with_code("unsafe_archive"));
        }
        got?;
        blocking(move || Ok(sink.sync()?)).await
    }

    /// A drill that does not come to its end is given up: nobody waits for it, and it takes what others need.
    async fn check_in_time(&self, beside: &Beside<'_>, facts: &Facts, bytes: u64) -> Result<Ran> {
        let running = self.check_running(beside, facts);
        if beside.verb.drill.is_none() {
            return running.await;
        }
        let limit = drill_limit(bytes);
        let late =
            |_| Error::timed_out(format!("the drill was given up: its instance was not checked within {} minutes", limit.as_secs() / 60));
        tokio::time::timeout(limit, running).await.map_err(late)?
    }

    /// Brings the log beside the data and has the engine take it over from there.
    async fn fetch_log(&self, beside: &Beside<'_>, replay: &Replay) -> Result<()> {
        const FETCHED: &str = "mainstay_log";
        let progress = &beside.act.progress;
        let segments = self.segments(&beside.verb.plan.engine)?;
        let storage = self.opened(&replay.repository).await?;
        progress.say("fetching the log");
        progress.total(replay.bytes);
        let root = self.volumes.own_root(&beside.verb.plan)?;
        for (number, snapshot) in replay.parts.iter().enumerate() {
            let below = Path::new(FETCHED).join(number.to_string());
            let place = move |captured: &Path| captured.starts_with(PIECES).then(|| below.join(captured));
            let sink = Arc::new(DirectorySink::new(root.open(beside.label.as_str())?, beside.owner.clone(), place));
            self.fetch_part(storage.as_ref(), snapshot, sink, beside.act).await?;
        }
        segments.replay(&beside.node, &beside.node.paths.data.join(FETCHED), replay.until).await
    }

    /// Starts the isolated instance, checks it and stops it gracefully. Its end is the caller's to
    /// make sure of.
    async fn check_running(&self, beside: &Beside<'_>, facts: &Facts) -> Result<Ran> {
        let (engine, progress) = (self.engine(&beside.verb.plan.engine)?, &beside.act.progress);
        progress.say("starting the restored database by itself");
        let mut service = engine.service(&beside.node);
        service.spec.restarts = 0;
        service.spec.background = beside.verb.drill.is_some();
        let begun = Instant::now();
        self.ensure_instance(&beside.node, &beside.instance, &service).await?;
        let awaited = Awaited {
            node: &beside.node,
            instance: beside.instance.clone(),
            log_file: &service.spec.log_file,
            ready_within: service.ready_within,
            progress,
        };
        self.wait_until(&awaited, is_ready).await?;
        let start_seconds = begun.elapsed().as_secs_f64();
        progress.say("checking the restored database");
        // Once the log is replayed, where the backup ended and what was counted there is no longer so.
        let gone_on = Facts { exact: Default::default(), estimates: Default::default(), stop: None, ..facts.clone() };
        let facts = if beside.verb.replay.is_some() { &gone_on } else { facts };
        let checks = self.checked(beside, facts).await?;
        let mut proof = match &beside.verb.drill {
            Some(drill) => match self.prove(&beside.node, &beside.instance, facts, drill, progress).await {
                Ok(proof) => proof,
                Err(e) => return Err(self.broke_off(&beside.verb.plan.engine, &beside.instance, e).await),
            },
            None => vec![],
        };
        self.parts.runtime.stop(&beside.instance, StopMode::Graceful).await?;
        if beside.verb.drill.is_some() {
            proof.push(self.read_log(&beside.verb.plan.engine, &beside.instance).await?);
        }
        Ok(Ran { checks, proof, start_seconds })
    }

    /// What the engine finds in the running instance, once the log is replayed.
    async fn checked(&self, beside: &Beside<'_>, facts: &Facts) -> Result<Vec<Check>> {
        let backups = self.backups(&beside.verb.plan.engine)?;
        let Some(replay) = &beside.verb.replay else { return good(backups.check(&beside.node, facts).await?) };
        let mut checks = good(vec![self.segments(&beside.verb.plan.engine)?.replayed(&beside.node, replay.until).await?])?;
        checks.extend(good(backups.check(&beside.node, facts).await?)?);
        Ok(checks)
    }

    async fn mark(&self, beside: &Beside<'_>, stage: Stage) -> Result<()> {
        let marker = Marker {
            snapshot: beside.verb.snapshot.clone(),
            source: beside.verb.repository.cluster.clone(),
            until: beside.verb.replay.as_ref().map(|r| r.until),
            stage,
        };
        self.markers.put(&beside.verb.plan.id, beside.label, marker).await
    }

    async fn sync(&self, beside: &Beside<'_>) -> Result<()> {
        let data = self.volumes.own_root(&beside.verb.plan)?.open(beside.label.as_str())?;
        blocking(move || Ok(rustix::fs::syncfs(&data).map_err(std::io::Error::from)?)).await
    }

    /// Removes the directory `label`, its marker, and all of an instance that ran on it.
    pub(crate) async fn clear_beside(&self, plan: &NodePlan, label: &Label) -> Result<()> {
        self.end_isolated(&isolated(&plan.id, label), StopMode::Kill).await?;
        if self.volumes.root(&plan.id)?.is_some() {
            let (root, name) = (self.volumes.own_root(plan)?, label.clone());
            blocking(move || root.discard(name.as_str())).await?;
        }
        self.clear_isolated_files(&plan.id, label).await?;
        self.markers.remove(&plan.id, label).await
    }

    pub(crate) async fn clear_isolated_files(&self, node: &NodeId, label: &Label) -> Result<()> {
        let (volumes, node, label) = (self.volumes.clone(), node.clone(), label.clone());
        blocking(move || volumes.drop_beside(&node, &label)).await
    }

    async fn end_isolated(&self, id: &InstanceId, mode: StopMode) -> Result<()> {
        self.parts.runtime.stop(id, mode).await?;
        self.parts.runtime.remove(id).await
    }

    /// Ends every isolated instance: of one node, or of a past life of this agent.
    pub(crate) async fn end_isolated_of(&self, node: Option<&NodeId>) -> Result<()> {
        for instance in self.parts.runtime.list().await? {
            let Some(of) = isolated_node(&instance.id) else { continue };
            if node.is_none_or(|n| *n == of) {
                self.end_isolated(&instance.id, StopMode::Kill).await?;
            }
        }
        Ok(())
    }
}

fn refuse_other_engine(plan: &NodePlan, facts: &Facts) -> Result<()> {
    if facts.engine == plan.engine {
        return Ok(());
    }
    let sentence = format!("the backup is one of {}, {} is {}", mainstay_model::error::shown(&facts.engine), plan.name, plan.engine);
    Err(Error::conflict("other_engine", sentence))
}

/// The checks, if all are good; else what the first bad one says.
fn good(checks: Vec<Check>) -> Result<Vec<Check>> {
    match checks.iter().find(|c| !c.ok) {
        None => Ok(checks),
        Some(bad) => Err(Error::integrity(format!("the restored data did not pass the check {}: {}", bad.name, bad.detail))),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64)
}
