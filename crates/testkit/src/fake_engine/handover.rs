//! The hand-over, in both styles.

use super::{
    FakeEngine, Style,
    database::{position_of, read_db, read_log},
};
use crate::lock;
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{Failover, Node, Upstream, WritesStopped},
    runtime::{InstanceId, StopMode},
};
use mainstay_model::{Error, node::Position};
use std::time::Duration;

#[async_trait]
impl Failover for FakeEngine {
    async fn position(&self, node: &Node) -> Result<Position> {
        self.faults.before("engine.position").await?;
        let _world = lock(&self.world);
        self.replicate()?;
        Ok(position_of(&read_db(&node.paths.data)?, read_log(&node.paths.data).len()))
    }

    async fn stop_writes(&self, node: &Node) -> Result<WritesStopped> {
        self.faults.before("engine.stop_writes").await?;
        let instance = InstanceId(node.plan.id.to_string());
        match self.style {
            Style::Pausing => self.runtime.remember(&instance, "paused", Some("yes")),
            Style::Halting => {
                {
                    // A fast shutdown sends its replicas what they lack before it goes.
                    let _world = lock(&self.world);
                    self.replicate()?;
                }
                node.runtime.stop(&instance, StopMode::Graceful).await?;
            }
        }
        let position = self.position(node).await?;
        self.faults.after("engine.stop_writes")?;
        Ok(WritesStopped { position, stopped: self.style == Style::Halting })
    }

    async fn resume_writes(&self, node: &Node) -> Result<()> {
        self.faults.before("engine.resume_writes").await?;
        self.runtime.remember(&InstanceId(node.plan.id.to_string()), "paused", None);
        self.faults.after("engine.resume_writes")
    }

    async fn wait_for(&self, node: &Node, wanted: &Position, timeout: Duration) -> Result<()> {
        self.faults.before("engine.wait_for").await?;
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let here = self.position(node).await?;
            let missing = here.behind(wanted).ok_or_else(|| Error::conflict("other_history", "the node has another history"))?;
            if missing == 0 {
                return self.faults.after("engine.wait_for");
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::timed_out(format!("{} still lacks {missing} bytes", node.plan.name)).with_code("replica_behind"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn promote(&self, node: &Node, replicas: &[Upstream]) -> Result<()> {
        self.faults.before("engine.promote").await?;
        if self.server_on(&node.paths.data).is_none() {
            return Err(Error::unavailable("connect", format!("{}: connection refused", node.plan.name)));
        }
        self.change(&node.paths.data, |db| {
            if db.upstream.take().is_some() {
                db.timeline += 1;
            }
            db.slots = replicas.iter().map(|r| r.name.clone()).collect();
        })?;
        self.faults.after("engine.promote")
    }

    async fn follow(&self, node: &Node, upstream: &Upstream) -> Result<()> {
        self.faults.before("engine.follow").await?;
        if self.listening(upstream).is_some() && self.linked(&node.paths.data, upstream).is_none() {
            let sentence = format!("{} has rows that {} never had", node.plan.name, upstream.name);
            return Err(Error::conflict("diverged", sentence));
        }
        self.change_upstream(upstream, |db| {
            db.slots.insert(node.plan.name.clone());
        })?;
        self.runtime.remember(&InstanceId(node.plan.id.to_string()), "paused", None);
        self.change(&node.paths.data, |db| {
            db.upstream = Some(upstream.clone());
            db.slots.clear();
        })?;
        self.faults.after("engine.follow")
    }
}
