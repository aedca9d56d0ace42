//! Holds on writes, which end with the session that asked for them.

use super::FakeEngine;
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{Backups as _, Consistency, Held, Node},
    gate::Gate,
    progress::Progress,
    runtime::InstanceId,
    storage::{Entry, Source},
};
use mainstay_model::{Error, backup::Facts};
use std::{sync::Arc, time::Duration};

/// In a process's memory while its writes are held.
pub(crate) const HELD: &str = "held";

#[async_trait]
impl Consistency for FakeEngine {
    fn waits_for_transactions(&self) -> bool {
        self.style == super::Style::Halting
    }

    async fn hold(&self, node: &Node, _: Duration) -> Result<Box<dyn Held>> {
        self.faults.before("engine.hold").await?;
        let server = self.server_on(&node.paths.data).ok_or_else(|| Error::unavailable("connect", "connection refused"))?;
        if server.paused {
            return Err(Error::conflict("read_only", format!("{} takes no writes", node.plan.name)));
        }
        let held = Session { engine: self.clone(), instance: server.id };
        self.runtime.remember(&held.instance, HELD, Some("yes"));
        self.faults.after("engine.hold")?;
        Ok(Box::new(held))
    }

    async fn capture_at(&self, node: &Node, gate: Arc<dyn Gate>, progress: &Progress) -> Result<Box<dyn Source>> {
        // What fails at the beginning of any capture fails here too.
        let expected = self.capture(node, progress).await?.expected_bytes();
        Ok(Box::new(AtGate { engine: self.clone(), node: node.clone(), gate, expected, taken: None }))
    }
}

struct Session {
    engine: FakeEngine,
    instance: InstanceId,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.engine.runtime.remember(&self.instance, HELD, None);
    }
}

#[async_trait]
impl Held for Session {
    async fn confirm(&mut self) -> Result<()> {
        self.engine.faults.before("engine.confirm").await?;
        let holds = self.engine.runtime.processes().get(&self.instance).is_some_and(|p| p.runs() && p.memory.contains_key(HELD));
        if holds { Ok(()) } else { Err(Error::unavailable("hold_lost", "the hold on writes ended before its time")) }
    }

    async fn release(self: Box<Self>) -> Result<()> {
        self.engine.faults.before("engine.release").await
    }
}

/// Reads nothing before it was let through.
struct AtGate {
    engine: FakeEngine,
    node: Node,
    gate: Arc<dyn Gate>,
    expected: Option<u64>,
    taken: Option<Box<dyn Source>>,
}

impl AtGate {
    fn take(&mut self) -> Result<&mut Box<dyn Source>> {
        if self.taken.is_none() {
            self.gate.pass()?;
            self.taken = Some(Box::new(self.engine.take(&self.node)?));
            self.gate.passed();
        }
        self.taken.as_mut().ok_or_else(|| Error::internal("taken a line above"))
    }
}

impl Source for AtGate {
    fn next(&mut self) -> Option<Result<Entry>> {
        match self.take() {
            Ok(source) => source.next(),
            Err(e) => Some(Err(e)),
        }
    }
    fn finish(&mut self) -> Result<Facts> {
        self.take()?.finish()
    }
    fn expected_bytes(&self) -> Option<u64> {
        self.expected
    }
}
