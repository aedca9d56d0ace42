//! The verbs of a planned hand-over. The control plane orders them; each leaves the node in a state
//! that the next one, or the undo, starts from.

use crate::{
    Agent,
    dispatch::Act,
    nodes::{Entry, refuse_past},
    ready::{follows, is_ready},
    registry::Wanted,
};
use mainstay_drivers::engine::{Failover, Node, WritesStopped};
use mainstay_model::{Error, Result, node::NodeRole};
use mainstay_rpc::verbs::{Done, Follow, Promote, ResumeWrites, StopWrites, WaitFor};
use std::time::Duration;

impl Agent {
    pub(crate) async fn stop_writes(&self, verb: StopWrites, act: &Act) -> Result<WritesStopped> {
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let node = self.complete(&verb.plan).await?;
        let stopped = self.failover(&node)?.stop_writes(&node).await?;
        if stopped.stopped {
            self.registry.change(&verb.plan.id, |r| r.wanted = Wanted::Stopped).await?;
        }
        Ok(stopped)
    }

    pub(crate) async fn resume_writes(&self, verb: ResumeWrites, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let node = self.complete(&verb.plan).await?;
        self.run(&node, act, is_ready).await?;
        self.failover(&node)?.resume_writes(&node).await?;
        Ok(Done {})
    }

    /// Changes nothing, so it holds nothing; only an order of the past is refused.
    pub(crate) async fn wait_for(&self, verb: WaitFor, act: &Act) -> Result<Done> {
        refuse_past(&self.registry.get(&verb.plan.id)?, act.generation)?;
        let node = self.node(&verb.plan).await?;
        self.failover(&node)?.wait_for(&node, &verb.position, Duration::from_millis(verb.timeout_ms)).await?;
        Ok(Done {})
    }

    pub(crate) async fn promote(&self, verb: Promote, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let node = self.complete(&verb.plan).await?;
        self.failover(&node)?.promote(&node, &verb.replicas).await?;
        self.registry.change(&verb.plan.id, |r| r.role = Some(NodeRole::Primary)).await?;
        Ok(Done {})
    }

    pub(crate) async fn follow(&self, verb: Follow, act: &Act) -> Result<Done> {
        let _held = self.enter(&verb.plan, act, Entry::Known).await?;
        let node = self.complete(&verb.plan).await?;
        self.failover(&node)?.follow(&node, &verb.upstream).await?;
        self.run(&node, act, follows).await?;
        Ok(Done {})
    }

    fn failover(&self, node: &Node) -> Result<&dyn Failover> {
        let engine = self.engine(&node.plan.engine)?;
        engine.failover().ok_or_else(|| Error::conflict("no_hand_over", format!("{} has no hand-over", engine.info().title)))
    }
}
