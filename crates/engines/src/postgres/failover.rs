//! The verbs of a hand-over. A primary ends its writes by a fast shutdown: it sends its last
//! checkpoint to the replicas before it goes, so a replica that replayed that record has everything,
//! and the old primary can follow it without being rewound.

use super::{
    Postgres,
    config::slot_name,
    connect::{Session, admin, peer, sql, try_admin},
    probe::Standing,
    replicate::{ensure_slot, write_following},
    tools::{ControlData, parse_lsn},
};
use crate::common::served_instance;
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{Failover, Node, Upstream, WritesStopped},
    runtime::{InstanceState, StopMode},
};
use mainstay_model::{Error, node::Position};
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[async_trait]
impl Failover for Postgres {
    async fn position(&self, node: &Node) -> Result<Position> {
        match try_admin(node).await {
            Ok(session) => standing(&session).await?.position().ok_or_else(|| unknown_position(node)),
            Err(_) if !is_running(node).await? => last_position(node).await,
            Err(e) => Err(Error::unavailable("engine_unreachable", format!("node {} runs and does not answer: {e}", node.plan.name))),
        }
    }

    async fn stop_writes(&self, node: &Node) -> Result<WritesStopped> {
        if is_running(node).await? {
            // Most of what a shutdown waits for is this, and it can be done while clients still work.
            admin(node).await?.batch_execute("CHECKPOINT").await.map_err(sql("writing a checkpoint"))?;
            node.runtime.stop(&served_instance(node), StopMode::Graceful).await?;
        }
        Ok(WritesStopped { position: last_position(node).await?, stopped: true })
    }

    async fn resume_writes(&self, _node: &Node) -> Result<()> {
        Ok(())
    }

    async fn wait_for(&self, node: &Node, wanted: &Position, timeout: Duration) -> Result<()> {
        let session = admin(node).await?;
        let deadline = Instant::now() + timeout;
        loop {
            let now = standing(&session).await?;
            let missing = missing(node, &now, wanted)?;
            if missing == 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let sentence = format!("{} still lacks {missing} bytes of log up to {} after {timeout:?}", node.plan.name, wanted.text);
                return Err(Error::timed_out(sentence).with_code("replica_behind"));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn promote(&self, node: &Node, replicas: &[Upstream]) -> Result<()> {
        let session = admin(node).await?;
        for replica in replicas {
            ensure_slot(&session, &slot_name(&replica.name)).await?;
        }
        if node.plan.keeps_log {
            // Before the new history begins: none of it may go before its keeper comes.
            ensure_slot(&session, super::segments::SLOT).await?;
        }
        if !standing(&session).await?.recovering {
            return Ok(());
        }
        let done: bool = session.query_one_scalar("SELECT pg_promote(true, 30)", &[]).await.map_err(sql("promoting"))?;
        if !done {
            return Err(Error::timed_out(format!("{} did not become a primary within 30 s", node.plan.name)));
        }
        // A rewind of another node needs the new timeline in the control file, and replicas need a
        // restart point on it; nobody waits for that here.
        tokio::spawn(async move { session.batch_execute("CHECKPOINT").await });
        Ok(())
    }

    async fn follow(&self, node: &Node, upstream: &Upstream) -> Result<()> {
        if !is_running(node).await? {
            return follow_stopped(node, upstream).await;
        }
        let is_replica = match try_admin(node).await {
            Ok(session) => standing(&session).await?.recovering,
            // One that cannot be asked yet (it still replays) is known by its own file.
            Err(_) => node.paths.data.join("standby.signal").is_file(),
        };
        if !is_replica {
            let sentence = format!("{} runs as a primary; stop it before it follows {}", node.plan.name, upstream.name);
            return Err(Error::conflict("running_primary", sentence));
        }
        ensure_slot(&peer(node, upstream).await?, &slot_name(&node.plan.name)).await?;
        write_following(node, upstream, &node.paths.data).await?;
        node.runtime.reload(&served_instance(node)).await
    }
}

/// Writes the files only; whoever starts the node after this starts a replica.
async fn follow_stopped(node: &Node, upstream: &Upstream) -> Result<()> {
    let was_replica = node.paths.data.join("standby.signal").is_file();
    let control = ControlData::read(node).await?;
    if !was_replica && !control.is_shut_down() {
        let sentence = format!(
            "{} was a primary and did not shut down cleanly ({}); it may hold writes {} never got, so seed it again instead",
            node.plan.name, control.state, upstream.name
        );
        return Err(Error::conflict("not_clean", sentence));
    }
    ensure_slot(&peer(node, upstream).await?, &slot_name(&node.plan.name)).await?;
    write_following(node, upstream, &node.paths.data).await
}

async fn is_running(node: &Node) -> Result<bool> {
    Ok(node.runtime.inspect(&served_instance(node)).await?.state == InstanceState::Running)
}

async fn standing(session: &Session) -> Result<Standing> {
    Standing::look(session).await.map_err(sql("asking for the log position"))
}

async fn last_position(node: &Node) -> Result<Position> {
    let control = ControlData::read(node).await?;
    if control.is_shut_down() {
        return Ok(control.position());
    }
    let sentence = format!("{} did not shut down cleanly ({}); its last position is not known", node.plan.name, control.state);
    Err(Error::conflict("not_clean", sentence))
}

fn unknown_position(node: &Node) -> Error {
    Error::unavailable("position_unknown", format!("{} does not know its own log position yet", node.plan.name))
}

/// Bytes that were not replayed yet, 0 when all are there; an error where histories differ.
fn missing(node: &Node, now: &Standing, wanted: &Position) -> Result<u64> {
    let here = now.timeline.map(|t| format!("{}/{t}", now.system)).ok_or_else(|| unknown_position(node))?;
    if here == wanted.history {
        return Ok(wanted.bytes.saturating_sub(now.replayed.unwrap_or(0)));
    }
    // An earlier call may have promoted it: then its new timeline must have left the old one after
    // the wanted position.
    if !now.recovering && forked_after(node, now, wanted) {
        return Ok(0);
    }
    let sentence = format!("{} is on history {here}, not on {}: it holds other writes; seed it again", node.plan.name, wanted.history);
    Err(Error::conflict("diverged", sentence))
}

/// Looks in the timeline's history file, `1<tab>0/60000A0<tab>why` a line.
fn forked_after(node: &Node, now: &Standing, wanted: &Position) -> bool {
    let Some((system, timeline)) = wanted.history.split_once('/') else { return false };
    let Some(current) = now.timeline.filter(|_| system == now.system) else { return false };
    let file = node.paths.data.join(format!("pg_wal/{current:08X}.history"));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let fork = text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(timeline)).then(|| words.next().and_then(parse_lsn)).flatten()
    });
    fork.is_some_and(|fork| fork >= wanted.bytes)
}
