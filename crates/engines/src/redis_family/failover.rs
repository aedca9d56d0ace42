//! The planned hand-over: writers wait, the replica reaches the last position, roles change.
//!
//! Writers are held by `CLIENT PAUSE`, which ends by itself after a given time. That time is long:
//! whoever decided on the hand-over may be away for a while and then go on with the promotion, and
//! must not lose writes that were acknowledged meanwhile. (To demand more replicas than there are
//! holds for ever, but it is asked about first: writers would get errors instead of waiting.)

use super::{
    RedisFamily,
    accounts::REPLICATION,
    connect::{admin, admin_if_running},
    role::{self, Role},
};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{Failover, Node, Upstream, WritesStopped},
};
use mainstay_model::{
    Error,
    node::{NodeRole, Position},
};
use redis::{Pipeline, cmd, pipe};
use std::time::Duration;
use tokio::time::{Instant, sleep};

use super::info::Info;

/// Longer than any hand-over takes, with the outage of whoever leads it.
const PAUSE: Duration = Duration::from_secs(24 * 3600);
/// A primary's signs of life count as part of its history. One that came after the last position
/// would make the old primary hold more than the new one knows, and all data be copied anew: while
/// writes are stopped there is none. A replica that misses them connects again and goes on.
const SIGN_OF_LIFE: &str = "repl-ping-replica-period";
const SILENT_SECONDS: u64 = 24 * 3600;
const USUAL_SECONDS: u64 = 10;
/// A replica applies what it receives at once; the wait is for the network.
const LOOK_EVERY: Duration = Duration::from_millis(2);

#[async_trait]
impl Failover for RedisFamily {
    async fn position(&self, node: &Node) -> Result<Position> {
        held(node, &admin(node).await?.info().await?)
    }

    async fn stop_writes(&self, node: &Node) -> Result<WritesStopped> {
        let mut session = admin(node).await?;
        if session.info().await?.role() != Some(NodeRole::Primary) {
            let sentence = format!("{} is not a primary: there are no writes to stop; look at the cluster again", node.plan.name);
            return Err(Error::conflict("not_a_primary", sentence));
        }
        let mut stop = pipe();
        stop.cmd("CONFIG").arg("SET").arg(SIGN_OF_LIFE).arg(SILENT_SECONDS).ignore();
        stop.cmd("CLIENT").arg("PAUSE").arg(PAUSE.as_millis() as u64).arg("WRITE").ignore();
        session.ask_all::<()>("stopping writes", &stop).await?;
        // Read after the pause, or a write acknowledged in between would be missing.
        Ok(WritesStopped { position: held(node, &session.info().await?)?, stopped: false })
    }

    async fn resume_writes(&self, node: &Node) -> Result<()> {
        let mut resume = pipe();
        go_on(&mut resume);
        admin(node).await?.ask_all("resuming writes", &resume).await
    }

    async fn wait_for(&self, node: &Node, position: &Position, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        let mut session = admin(node).await?;
        loop {
            let info = session.info().await?;
            match missing(&info, position) {
                Some(0) => return Ok(()),
                None => return Err(other_history(node, position)),
                Some(bytes) if Instant::now() >= deadline => {
                    let sentence = format!("{} still lacks {bytes} bytes of the primary's writes after {timeout:?}", node.plan.name);
                    return Err(Error::timed_out(format!("{sentence}; check its link and load, then try again")));
                }
                Some(_) => sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn promote(&self, node: &Node, _replicas: &[Upstream]) -> Result<()> {
        let mut session = admin(node).await?;
        let info = session.info().await?;
        let unfinished = info.is("master_sync_in_progress", "1") || role::writes_first_log(node, &info);
        if info.role() == Some(NodeRole::Replica) && unfinished {
            let sentence = format!("{} is still receiving its data and cannot be promoted; choose another replica or wait", node.plan.name);
            return Err(Error::conflict("replica_incomplete", sentence));
        }
        let former = role::read(node).await?;
        role::write(node, Role::Primary).await?;
        let mut promote = pipe();
        promote.cmd("REPLICAOF").arg("NO").arg("ONE").ignore();
        go_on(&mut promote);
        let done = session.ask_all::<()>("becoming primary", &promote).await;
        if done.as_ref().is_err_and(|e| !e.is_transient()) {
            // It said no. Had it not answered at all, it might have done it.
            role::put(node, former).await?;
        }
        done
    }

    async fn follow(&self, node: &Node, upstream: &Upstream) -> Result<()> {
        role::write(node, Role::ReplicaOf(upstream)).await?;
        let Some(mut session) = admin_if_running(node).await? else { return Ok(()) };
        let password = node.plan.accounts.replication.reveal();
        let mut login = cmd("CONFIG");
        login.arg("SET").arg("masteruser").arg(REPLICATION).arg("masterauth").arg(password);
        session.ask::<()>("learning its login", &login).await?;
        let mut follow = cmd("REPLICAOF");
        follow.arg(upstream.address.to_string()).arg(upstream.port);
        session.ask::<()>("following its primary", &follow).await?;
        // Only now: writers that waited here are told that this is a replica, not that they have written.
        let mut release = pipe();
        go_on(&mut release);
        session.ask_all("letting waiting clients go on", &release).await
    }
}

/// Ends what [`Failover::stop_writes`] began.
fn go_on(session: &mut Pipeline) {
    session.cmd("CONFIG").arg("SET").arg(SIGN_OF_LIFE).arg(USUAL_SECONDS).ignore();
    session.cmd("CLIENT").arg("UNPAUSE").ignore();
}

fn held(node: &Node, info: &Info) -> Result<Position> {
    info.position().ok_or_else(|| Error::failed("no_position", format!("{} does not say where in its history it is", node.plan.name)))
}

/// Bytes between what the node holds and `position`; `None` where it has another history. A node
/// that was promoted meanwhile answers for the history it left.
fn missing(info: &Info, position: &Position) -> Option<u64> {
    let behind = |held: Option<Position>| held.and_then(|h| h.behind(position));
    behind(info.position()).or_else(|| behind(info.position_before_promotion()))
}

fn other_history(node: &Node, position: &Position) -> Error {
    let sentence = format!("{} does not replicate the history {} that it is to take over", node.plan.name, position.history);
    Error::conflict("other_history", format!("{sentence}; wait until it is in step, or seed it again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_compared_within_one_history_only() {
        let at = |history: &str, bytes: u64| Position { history: history.into(), text: bytes.to_string(), bytes };
        let replica = Info::parse("role:slave\r\nmaster_replid:a\r\nslave_repl_offset:90\r\nmaster_replid2:0\r\nsecond_repl_offset:-1\r\n");
        assert_eq!(missing(&replica, &at("a", 100)), Some(10));
        assert_eq!(missing(&replica, &at("a", 90)), Some(0));
        assert_eq!(missing(&replica, &at("b", 10)), None);
        let promoted =
            Info::parse("role:master\r\nmaster_replid:b\r\nmaster_repl_offset:120\r\nmaster_replid2:a\r\nsecond_repl_offset:101\r\n");
        assert_eq!(missing(&promoted, &at("a", 100)), Some(0));
        assert_eq!(missing(&promoted, &at("a", 101)), Some(1));
    }
}
