//! The clients of every cluster: before and after each effect they write one row through the
//! endpoint, remember what was acknowledged, and look whether two nodes take writes at once.

use crate::{
    FakeWorld,
    fake_engine::{PAUSES, read_db},
    fake_runtime::Process,
    lock,
};
use mainstay_drivers::runtime::InstanceId;
use mainstay_model::{ClusterId, NodeId, Result, Time, route::Target};
use mainstay_operations::{Faults, Point, Verdict, When};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex},
};

pub struct Clients {
    outside: Arc<FakeWorld>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    away: bool,
    /// Where each cluster's open session leads.
    sessions: BTreeMap<ClusterId, NodeId>,
    acks: Vec<Ack>,
    seen: BTreeSet<String>,
}

/// A write that was acknowledged.
#[derive(Debug, Clone)]
pub struct Ack {
    pub cluster: ClusterId,
    pub row: String,
    /// The timeline of the database that took it.
    pub timeline: u32,
    pub at: Time,
}

/// Rows of clients, so that they can be told from a test's own.
pub(super) fn is_clients(row: &str) -> bool {
    row.strip_prefix('w').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

struct Watching {
    clients: Arc<Clients>,
    inner: Arc<dyn Faults>,
}

#[async_trait::async_trait]
impl Faults for Watching {
    async fn at(&self, point: Point) -> Verdict {
        // Outside of the store nothing changes between the others.
        if matches!(point.when, When::BeforeStep | When::AfterEffectBeforeRecord) {
            self.clients.turn(&format!("{} {} {:?}", point.kind, point.step, point.when));
        }
        self.inner.at(point).await
    }
}

impl Clients {
    pub fn new(outside: Arc<FakeWorld>) -> Clients {
        Clients { outside, state: Mutex::default() }
    }

    /// Faults whose every question gives the clients their turn.
    pub fn watching(self: &Arc<Self>, inner: Arc<dyn Faults>) -> Arc<dyn Faults> {
        Arc::new(Watching { clients: self.clone(), inner })
    }

    /// Clients stay away from now on, or come back.
    pub fn stay_away(&self, away: bool) {
        lock(&self.state).away = away;
    }

    pub(super) fn forget(&self) {
        let mut state = lock(&self.state);
        *state = State { away: state.away, ..State::default() };
    }

    /// Every acknowledged write of a cluster, in order.
    pub fn acks(&self, cluster: &ClusterId) -> Vec<Ack> {
        lock(&self.state).acks.iter().filter(|a| &a.cluster == cluster).cloned().collect()
    }

    /// What must never be seen and was.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.state).seen.iter().cloned().collect()
    }

    /// One write to each cluster, and one look at who takes writes.
    pub fn turn(&self, place: &str) {
        let mut state = lock(&self.state);
        let processes = self.outside.runtime.processes();
        for (cluster, nodes) in self.writable(&processes) {
            if nodes.len() > 1 {
                state.seen.insert(format!("{} nodes of {cluster} take writes at {place}", nodes.len()));
            }
        }
        if state.away {
            return;
        }
        for (cluster, route) in self.outside.endpoint.routes() {
            let session = match &route.read_write.target {
                Target::To(to) => state
                    .sessions
                    .remove(&cluster)
                    .filter(|n| to.iter().any(|a| listens(&processes, n, &a.to_string())))
                    .or_else(|| to.first().and_then(|a| node_at(&processes, &a.to_string()))),
                Target::Hold => state.sessions.remove(&cluster),
                Target::HoldAndCut | Target::Closed => None,
            };
            state.sessions.remove(&cluster);
            let Some(node) = session else { continue };
            let row = format!("w{}", state.next);
            state.next += 1;
            // A refused write ends the session.
            if let Ok(timeline) = self.write(&processes, &node, &row) {
                state.acks.push(Ack { cluster: cluster.clone(), row, timeline, at: crate::now() });
                state.sessions.insert(cluster, node);
            }
        }
    }

    /// Of the primary that serves the cluster.
    pub(super) fn timeline(&self, cluster: &ClusterId) -> Option<u32> {
        let processes = self.outside.runtime.processes();
        let node = self.writable(&processes).remove(cluster)?.pop()?;
        let process = processes.get(&InstanceId(node.to_string()))?;
        Some(read_db(Path::new(process.argument("--data")?)).ok()?.timeline)
    }

    fn write(&self, processes: &BTreeMap<InstanceId, Process>, node: &NodeId, row: &str) -> Result<u32> {
        let missing = || mainstay_model::Error::internal("no such process");
        let process = processes.get(&InstanceId(node.to_string())).ok_or_else(missing)?;
        let engine = [&self.outside.memo, &self.outside.ledger].into_iter().find(|e| process.spec.program.ends_with(e.name()));
        engine.ok_or_else(missing)?.write(node, row)?;
        Ok(read_db(Path::new(process.argument("--data").unwrap_or_default()))?.timeline)
    }

    /// The nodes that take writes from whoever reaches them, by cluster.
    pub(super) fn writable(&self, processes: &BTreeMap<InstanceId, Process>) -> BTreeMap<ClusterId, Vec<NodeId>> {
        let mut found: BTreeMap<ClusterId, Vec<NodeId>> = BTreeMap::new();
        for (id, process) in processes {
            let Some(node) = NodeId::parse(&id.0).filter(|_| takes_writes(process)) else { continue };
            if let Some(cluster) = cluster_of(&self.outside, &node) {
                found.entry(cluster).or_default().push(node);
            }
        }
        found
    }
}

fn takes_writes(process: &Process) -> bool {
    let primary = || read_db(Path::new(process.argument("--data")?)).ok()?.upstream.is_none().then_some(());
    let paused = PAUSES.iter().any(|key| process.memory.contains_key(*key));
    process.runs() && process.argument("--listen").is_some() && !paused && primary().is_some()
}

fn listens(processes: &BTreeMap<InstanceId, Process>, node: &NodeId, address: &str) -> bool {
    processes.get(&InstanceId(node.to_string())).is_some_and(|p| p.runs() && p.argument("--listen") == Some(address))
}

fn node_at(processes: &BTreeMap<InstanceId, Process>, address: &str) -> Option<NodeId> {
    let (id, _) = processes.iter().find(|(_, p)| p.runs() && p.argument("--listen") == Some(address))?;
    NodeId::parse(&id.0)
}

/// As the agent recorded it.
fn cluster_of(outside: &FakeWorld, node: &NodeId) -> Option<ClusterId> {
    let text = std::fs::read_to_string(outside.data_dir().join("agent/nodes").join(format!("{node}.json"))).ok()?;
    let record: serde_json::Value = serde_json::from_str(&text).ok()?;
    ClusterId::parse(record["plan"]["cluster"].as_str()?)
}
