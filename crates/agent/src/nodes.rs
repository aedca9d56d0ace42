//! A node's life: made, started, stopped, changed, removed. Each verb first holds the node, refuses
//! an older generation, stores the newer one with its plan, and only then acts.

use crate::{
    Agent,
    dispatch::Act,
    locks::Held,
    owner::Owner,
    ready::{Awaited, is_in_step, is_ready},
    registry::{Record, Wanted},
    volumes::{DATA, Stands},
};
use mainstay_drivers::{
    engine::{Configured, Exposure, Node, NodePlan, Service},
    runtime::{Instance, InstanceId, InstanceState, StopMode},
};
use mainstay_model::{
    Error, NodeId, Result,
    node::{NodeRole, Observed},
};
use mainstay_rpc::verbs::{
    BootstrapNode, ConfigureNode, Done, EnsureAccounts, FenceNode, JoinNode, LeaveNode, PrepareNode, ReclaimNode, ReleaseFence, RemoveNode,
    StartNode, StopNode,
};
use std::sync::Arc;

/// Whether a verb may be the first this agent hears of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    New,
    Known,
}

/// The instance that serves a node.
pub(crate) fn served(node: &NodeId) -> InstanceId {
    InstanceId(node.to_string())
}

impl Agent {
    pub(crate) async fn prepare_node(&self, verb: PrepareNode, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::New).await?;
        self.prepared(&verb.plan).await?;
        Ok(Done {})
    }

    /// Asked for only when a person gave up what the node may have held. Whatever still runs of it
    /// runs on files that have no name any more.
    pub(crate) async fn reclaim_node(&self, verb: ReclaimNode, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::New).await?;
        let id = &verb.plan.id;
        if self.volumes.root(id)?.is_none() {
            self.parts.runtime.stop(&served(id), StopMode::Kill).await?;
            let forget = |r: &mut Record| {
                (r.initialised, r.asides, r.fenced, r.fenced_asides) = (false, Default::default(), false, Default::default());
            };
            self.registry.change(id, forget).await?;
            self.prepared(&verb.plan).await?;
        }
        Ok(Done {})
    }

    pub(crate) async fn bootstrap_node(&self, verb: BootstrapNode, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::New).await?;
        let node = self.prepared(&verb.plan).await?;
        let engine = self.engine(&verb.plan.engine)?;
        if !self.registry.get(&verb.plan.id)?.initialised {
            engine.bootstrap(&node).await?;
        }
        self.run(&node, act, is_ready).await?;
        if let Some(accounts) = engine.accounts() {
            accounts.ensure(&node).await?;
        }
        self.registry.change(&verb.plan.id, |r| r.initialised = true).await?;
        Ok(Done {})
    }

    pub(crate) async fn join_node(&self, verb: JoinNode, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::New).await?;
        let id = &verb.plan.id;
        if !self.registry.get(id)?.initialised {
            self.clear_half_copy(id).await?;
            let node = self.prepared(&verb.plan).await?;
            self.engine(&verb.plan.engine)?.join(&node, &verb.upstream, &act.progress).await?;
            self.registry.change(id, |r| r.initialised = true).await?;
        }
        let node = self.prepared(&verb.plan).await?;
        let seen = self.run(&node, act, |seen| is_in_step(seen) || is_primary(seen)).await?;
        if is_primary(&seen) {
            let sentence =
                format!("{} holds data of its own and is no replica of {}; put its data aside first", verb.plan.name, verb.upstream.name);
            return Err(Error::conflict("not_a_replica", sentence));
        }
        Ok(Done {})
    }

    /// What an interrupted copy left. It never was a database.
    async fn clear_half_copy(&self, id: &NodeId) -> Result<()> {
        let Some(root) = self.volumes.root(id)? else { return Ok(()) };
        if root.stands(DATA)? == Stands::Filled {
            self.parts.runtime.stop(&served(id), StopMode::Kill).await?;
            crate::disk::blocking(move || root.discard(DATA)).await?;
        }
        Ok(())
    }

    pub(crate) async fn start_node(&self, verb: StartNode, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let node = self.complete(&verb.plan).await?;
        self.run(&node, act, is_ready).await?;
        Ok(Done {})
    }

    pub(crate) async fn stop_node(&self, verb: StopNode, act: &Act) -> Result<Done> {
        self.cancel(&verb.node, verb.node.as_str(), act)?;
        let _held = self.enter_by_id(&verb.node, act).await?;
        if self.registry.find(&verb.node)?.is_some() {
            self.registry.change(&verb.node, |r| r.wanted = Wanted::Stopped).await?;
        }
        self.parts.runtime.stop(&served(&verb.node), StopMode::Graceful).await?;
        Ok(Done {})
    }

    /// Noted first: whatever ends this call, nothing starts the node any more.
    pub(crate) async fn fence_node(&self, verb: FenceNode, act: &Act) -> Result<Done> {
        self.cancel(&verb.node, verb.node.as_str(), act)?;
        let _held = self.enter_by_id(&verb.node, act).await?;
        self.registry.change(&verb.node, |r| (r.fenced, r.wanted) = (true, Wanted::Stopped)).await?;
        self.parts.runtime.stop(&served(&verb.node), StopMode::Kill).await?;
        Ok(Done {})
    }

    pub(crate) async fn release_fence(&self, verb: ReleaseFence, act: &Act) -> Result<Done> {
        let _held = self.enter_by_id(&verb.node, act).await?;
        self.registry.change(&verb.node, |r| r.fenced = false).await?;
        Ok(Done {})
    }

    pub(crate) async fn remove_node(&self, verb: RemoveNode, act: &Act) -> Result<Done> {
        let id = verb.node;
        self.cancel(&id, id.as_str(), act)?;
        self.cancel(&id, &beside_key(&id), act)?;
        let _held = self.enter_by_id(&id, act).await?;
        let _beside = self.locks.hold(beside_key(&id), &act.progress).await?;
        self.end_isolated_of(Some(&id)).await?;
        if let Some(record) = self.registry.find(&id)? {
            self.end_keeper_of(&id, &record.plan.cluster).await?;
        }
        self.parts.runtime.stop(&served(&id), StopMode::Graceful).await?;
        self.parts.runtime.remove(&served(&id)).await?;
        for label in self.markers.labels(&id)? {
            self.clear_isolated_files(&id, &label).await?;
            self.markers.remove(&id, &label).await?;
        }
        let (volumes, record, node) = (self.volumes.clone(), self.registry.find(&id)?, id.clone());
        crate::disk::blocking(move || volumes.remove(&node, record.as_ref().map(|r| &r.plan))).await?;
        self.registry.remove(&id).await?;
        Ok(Done {})
    }

    pub(crate) async fn leave_node(&self, verb: LeaveNode, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.primary, act, Entry::Known).await?;
        let node = self.node(&verb.primary).await?;
        self.engine(&verb.primary.engine)?.leave(&node, &verb.leaving).await?;
        Ok(Done {})
    }

    /// A stopped node needs nothing: its settings are written before every start.
    pub(crate) async fn configure_node(&self, verb: ConfigureNode, act: &Act) -> Result<Configured> {
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        if !self.runs(&verb.plan.id).await? {
            return Ok(Configured::Unchanged);
        }
        let node = self.complete(&verb.plan).await?;
        self.engine(&verb.plan.engine)?.configure(&node).await
    }

    pub(crate) async fn ensure_accounts(&self, verb: EnsureAccounts, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let node = self.complete(&verb.plan).await?;
        if let Some(accounts) = self.engine(&verb.plan.engine)?.accounts() {
            accounts.ensure(&node).await?;
        }
        Ok(Done {})
    }

    /// Holds the node and makes sure that the call is not older than what was done already.
    pub(crate) async fn enter(&self, plan: &NodePlan, act: &Act, entry: Entry) -> Result<Held<'_>> {
        let held = self.locks.hold(plan.id.as_str(), &act.progress).await?;
        let mut record = match self.registry.find(&plan.id)? {
            Some(record) => record,
            None => self.meet(plan, entry)?,
        };
        refuse_stale(&record, act.generation)?;
        if (&record.plan.cluster, &record.plan.engine) != (&plan.cluster, &plan.engine) {
            let sentence = format!("node {} belongs to cluster {} ({}) here", plan.id, record.plan.cluster_name, record.plan.engine);
            return Err(Error::conflict("other_cluster", sentence));
        }
        record.plan = plan.clone();
        record.generation = act.generation;
        self.registry.put(record).await?;
        Ok(held)
    }

    /// Asks what runs under `key` to stop, in the name of a call that is not an older one.
    pub(crate) fn cancel(&self, node: &NodeId, key: &str, act: &Act) -> Result<()> {
        if let Some(record) = self.registry.find(node)? {
            refuse_stale(&record, act.generation)?;
        }
        self.locks.cancel(key);
        Ok(())
    }

    pub(crate) async fn enter_by_id(&self, node: &NodeId, act: &Act) -> Result<Held<'_>> {
        let held = self.locks.hold(node.as_str(), &act.progress).await?;
        if let Some(record) = self.registry.find(node)? {
            refuse_stale(&record, act.generation)?;
            self.registry.put(Record { generation: act.generation, ..record }).await?;
        }
        Ok(held)
    }

    /// The first record of a node. Where the agent's own records were lost, a root that says it is
    /// this node's is taken up again, with the data it holds.
    fn meet(&self, plan: &NodePlan, entry: Entry) -> Result<Record> {
        let found = match self.volumes.root(&plan.id)? {
            Some(_) => Some(self.volumes.own_root(plan)?.stands(DATA)? == Stands::Filled),
            None => None,
        };
        if entry == Entry::Known && found.is_none() {
            return Err(Error::not_found("node", plan.id.as_str()));
        }
        Ok(Record {
            plan: plan.clone(),
            generation: 0,
            initialised: found.unwrap_or(false),
            wanted: Wanted::Stopped,
            role: None,
            asides: Default::default(),
            fenced: false,
            fenced_asides: Default::default(),
        })
    }

    /// The node as its engine sees it.
    pub(crate) async fn node(&self, plan: &NodePlan) -> Result<Node> {
        let installed = self.installed(self.engine(&plan.engine)?.as_ref(), &plan.version).await?;
        Ok(Node {
            plan: plan.clone(),
            paths: self.volumes.served(&plan.id),
            installed,
            exposure: Exposure::Served,
            runtime: Arc::clone(&self.parts.runtime),
        })
    }

    /// The node with all its directories, whoever had to make them.
    pub(crate) async fn prepared(&self, plan: &NodePlan) -> Result<Node> {
        let node = self.node(plan).await?;
        let owner = Owner::of(node.installed.user.as_deref())?;
        let initialised = self.registry.get(&plan.id)?.initialised;
        let (volumes, plan) = (self.volumes.clone(), plan.clone());
        crate::disk::blocking(move || volumes.prepare(&plan, owner.as_ref(), initialised)).await?;
        Ok(node)
    }

    /// The node, whose data must be there.
    pub(crate) async fn complete(&self, plan: &NodePlan) -> Result<Node> {
        let record = self.registry.get(&plan.id)?;
        refuse_fenced(&record)?;
        if !record.initialised {
            let sentence = format!("{} holds no complete database yet: setting it up was not finished", plan.name);
            return Err(Error::conflict("not_initialised", sentence));
        }
        self.prepared(plan).await
    }

    /// Makes the node run, waits until `good`, and lets the engine put run-time state right.
    pub(crate) async fn run(&self, node: &Node, act: &Act, good: impl Fn(&Observed) -> bool) -> Result<Observed> {
        let engine = self.engine(&node.plan.engine)?;
        refuse_fenced(&self.registry.get(&node.plan.id)?)?;
        self.registry.change(&node.plan.id, |r| r.wanted = Wanted::Running).await?;
        let service = engine.service(node);
        self.ensure_instance(node, &served(&node.plan.id), &service).await?;
        let awaited = Awaited {
            node,
            instance: served(&node.plan.id),
            log_file: &service.spec.log_file,
            ready_within: service.ready_within,
            progress: &act.progress,
        };
        self.wait_until(&awaited, is_ready).await?;
        engine.started(node).await?;
        let seen = self.wait_until(&awaited, good).await?;
        self.registry.change(&node.plan.id, |r| r.role = seen.role).await?;
        Ok(seen)
    }

    /// Files first, then the process. What runs is left alone with the files it started with.
    pub(crate) async fn ensure_instance(&self, node: &Node, id: &InstanceId, service: &Service) -> Result<Instance> {
        let instance = self.parts.runtime.inspect(id).await?;
        if instance.state == InstanceState::Running {
            return Ok(instance);
        }
        self.parts.runtime.put_files(node.installed.user.as_deref(), service.files.clone()).await?;
        self.parts.runtime.ensure(id, &service.spec).await
    }

    pub(crate) async fn runs(&self, node: &NodeId) -> Result<bool> {
        Ok(self.parts.runtime.inspect(&served(node)).await?.state == InstanceState::Running)
    }
}

/// What a primary that lost its role holds must not be served again.
fn refuse_fenced(record: &Record) -> Result<()> {
    if !record.fenced {
        return Ok(());
    }
    let sentence =
        format!("{} lost its role to another node and may hold writes that no other has; resync it to let it back", record.plan.name);
    Err(Error::conflict("fenced", sentence))
}

/// The lock of what happens beside a node's live data, which goes on meanwhile.
pub(crate) fn beside_key(node: &NodeId) -> String {
    format!("{node}/beside")
}

fn is_primary(seen: &Observed) -> bool {
    is_ready(seen) && seen.role == Some(NodeRole::Primary)
}

/// For what changes nothing of the node: a call without a generation is welcome too.
pub(crate) fn refuse_past(record: &Record, generation: i64) -> Result<()> {
    if generation == 0 { Ok(()) } else { refuse_stale(record, generation) }
}

fn refuse_stale(record: &Record, generation: i64) -> Result<()> {
    if generation >= record.generation {
        return Ok(());
    }
    let name = &record.plan.name;
    let sentence = format!("{name} has been acted on at generation {} since; {generation} is an order of the past", record.generation);
    Err(Error::conflict("stale_generation", sentence))
}
