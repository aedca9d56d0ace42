//! Waiting for an engine without fixed sleeps: looked at every few milliseconds, given up as soon as
//! its process has ended, and otherwise only when nothing has moved for a long while. Recovery of a
//! large database may take hours, and shows that it lives by its log and by the CPU it uses.

use crate::{Agent, locks::cancelled, text::clean};
use mainstay_drivers::{
    engine::{Engine, Node},
    progress::Progress,
    runtime::{InstanceId, InstanceState},
};
use mainstay_model::{
    Error, Result,
    node::{EngineState, NodeRole, Observed},
};
use std::{path::Path, time::Duration};
use tokio::time::{Instant, sleep, timeout};

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// An engine that shows no sign of life for this long hangs.
const STALL: Duration = Duration::from_secs(120);
/// Beyond this nothing is believed any more, however lively it looks.
const AT_MOST: Duration = Duration::from_secs(12 * 3600);
/// A look at a running engine is given up after this.
pub(crate) const LOOK: Duration = Duration::from_secs(3);
/// A replica of a busy primary is always a little behind.
const CAUGHT_UP_BYTES: u64 = 64 * 1024;
const LOG_LINES: usize = 10;

/// One instance that is waited for.
pub(crate) struct Awaited<'a> {
    pub node: &'a Node,
    pub instance: InstanceId,
    pub log_file: &'a Path,
    pub ready_within: Duration,
    pub progress: &'a Progress,
}

pub(crate) fn is_ready(seen: &Observed) -> bool {
    seen.state == EngineState::Ready
}

/// Replicates, and has caught up.
pub(crate) fn is_in_step(seen: &Observed) -> bool {
    follows(seen) && seen.lag_bytes.is_none_or(|b| b <= CAUGHT_UP_BYTES)
}

/// Replicates.
pub(crate) fn follows(seen: &Observed) -> bool {
    is_ready(seen) && seen.role == Some(NodeRole::Replica) && seen.link_up == Some(true)
}

impl Agent {
    /// Returns when `good` is true of what a look at the instance shows.
    pub(crate) async fn wait_until(&self, awaited: &Awaited<'_>, good: impl Fn(&Observed) -> bool) -> Result<Observed> {
        let engine = self.engine(&awaited.node.plan.engine)?;
        let (begun, stall) = (Instant::now(), STALL.max(awaited.ready_within));
        let (mut sign, mut moved, mut pause) = (None, Instant::now(), FIRST_PAUSE);
        loop {
            self.still_runs(awaited).await?;
            let seen = self.look(engine.as_ref(), awaited.node).await;
            if good(&seen) {
                return Ok(seen);
            }
            if awaited.progress.is_cancelled() {
                return Err(cancelled());
            }
            let now = Some(self.sign_of_life(awaited, &seen).await);
            if now != sign {
                (sign, moved) = (now, Instant::now());
            }
            if moved.elapsed() > stall || begun.elapsed() > AT_MOST {
                return Err(self.hangs(awaited, &seen).await);
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    /// One bounded look.
    pub(crate) async fn look(&self, engine: &dyn Engine, node: &Node) -> Observed {
        let now = (self.parts.clock)();
        let mut seen = match timeout(LOOK, engine.probe(node, now)).await {
            Ok(seen) => seen,
            Err(_) => Observed::unknown(now, format!("{} did not answer within {} s", node.plan.name, LOOK.as_secs())),
        };
        seen.detail = seen.detail.as_deref().map(clean);
        seen
    }

    async fn still_runs(&self, awaited: &Awaited<'_>) -> Result<()> {
        let name = &awaited.node.plan.name;
        match self.parts.runtime.inspect(&awaited.instance).await?.state {
            InstanceState::Running => Ok(()),
            InstanceState::Stopped => Err(Error::conflict("stopped_meanwhile", format!("{name} was stopped while it was waited for"))),
            InstanceState::Crashed { detail } => {
                let said = self.last_words(&awaited.instance).await;
                Err(Error::failed("start_failed", format!("{name} ended while it was waited for ({}){said}", clean(&detail))))
            }
        }
    }

    async fn hangs(&self, awaited: &Awaited<'_>, seen: &Observed) -> Error {
        let name = &awaited.node.plan.name;
        let why = seen.detail.clone().unwrap_or_else(|| format!("{:?}", seen.state).to_lowercase());
        Error::timed_out(format!("{name} runs and does not become ready: {why}{}", self.last_words(&awaited.instance).await))
    }

    /// The end of an instance's log, as the end of a sentence.
    pub(crate) async fn last_words(&self, instance: &InstanceId) -> String {
        let lines = self.parts.runtime.logs(instance, LOG_LINES).await.unwrap_or_default();
        let lines: Vec<_> = lines.iter().map(|l| clean(l)).filter(|l| !l.trim().is_empty()).collect();
        if lines.is_empty() { "; its log is empty".into() } else { format!("; its log ends: {}", lines.join(" | ")) }
    }

    async fn sign_of_life(&self, awaited: &Awaited<'_>, seen: &Observed) -> (Observed, u64, u64) {
        let log_bytes = tokio::fs::metadata(awaited.log_file).await.map_or(0, |m| m.len());
        let usage = self.parts.runtime.usage(&awaited.instance).await.unwrap_or_default();
        (Observed { at: Default::default(), ..seen.clone() }, log_bytes, usage.cpu_seconds as u64)
    }
}
