//! A hold on writes, for backups of several clusters at one point: `CLIENT PAUSE … WRITE`, which the
//! server ends by itself when its time is over. Commands that write wait; keys do not expire.

use super::{
    RedisFamily,
    capture::capture,
    connect::{Session, admin},
};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{Consistency, Held, Node},
    gate::Gate,
    progress::Progress,
    storage::Source,
};
use mainstay_model::{Error, node::NodeRole};
use redis::cmd;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[async_trait]
impl Consistency for RedisFamily {
    fn waits_for_transactions(&self) -> bool {
        false
    }

    async fn hold(&self, node: &Node, at_most: Duration) -> Result<Box<dyn Held>> {
        let mut session = admin(node).await?;
        if session.info().await?.role() != Some(NodeRole::Primary) {
            let sentence = format!("{} is not a primary: its writes cannot be held; look at the cluster again", node.plan.name);
            return Err(Error::conflict("not_a_primary", sentence));
        }
        // The server's clock starts later than this one.
        let until = Instant::now() + at_most;
        let mut pause = cmd("CLIENT");
        pause.arg("PAUSE").arg(at_most.as_millis() as u64).arg("WRITE");
        session.ask::<()>("holding writes", &pause).await?;
        Ok(Box::new(Paused { node: node.plan.name.clone(), session, until }))
    }

    async fn capture_at(&self, node: &Node, gate: Arc<dyn Gate>, progress: &Progress) -> Result<Box<dyn Source>> {
        capture(self.flavour, node, Some(gate), progress).await
    }
}

struct Paused {
    node: String,
    session: Session,
    until: Instant,
}

#[async_trait]
impl Held for Paused {
    /// A server that was restarted meanwhile has forgotten its pause, and our session with it.
    async fn confirm(&mut self) -> Result<()> {
        let alive = self.session.ask::<()>("looking at the hold on writes", &cmd("PING")).await;
        if alive.is_ok() && Instant::now() < self.until {
            return Ok(());
        }
        Err(Error::unavailable("hold_lost", format!("the hold on writes of {} ended before its time", self.node)))
    }

    async fn release(mut self: Box<Self>) -> Result<()> {
        let mut go_on = cmd("CLIENT");
        go_on.arg("UNPAUSE");
        self.session.ask("letting writers go on", &go_on).await
    }
}
