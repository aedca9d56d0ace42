//! What a drill asks of its throw-away instance beyond what every restore is checked for: the engine's
//! own tools, the user's assertions, and what its log says. Nothing here is an error because it was
//! answered badly: a bad answer is a check that failed, and whoever asked for the drill judges it.

use crate::{Agent, dispatch::Act};
use mainstay_drivers::{
    engine::{Exposure, Node},
    progress::Progress,
    runtime::InstanceId,
};
use mainstay_model::{
    Error, Kind, Result,
    assertion::Assertion,
    backup::{Check, Facts},
};
use mainstay_rpc::verbs::{Assert, Drill};
use std::time::Duration;

/// How long one question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How much of a log is looked through.
const LOG_LINES: usize = 10_000;

/// An hour, and what it takes to read the data a few times on a slow disk.
pub(crate) fn drill_limit(bytes: u64) -> Duration {
    const SLOW: u64 = 4 << 20;
    Duration::from_secs(3600 + bytes / SLOW)
}

impl Agent {
    /// A user's assertions on a node that serves.
    pub(crate) async fn assert_all(&self, verb: Assert, act: &Act) -> Result<Vec<Check>> {
        let node = self.node(&verb.plan).await?;
        self.assertions(&node, &verb.assertions, &act.progress).await
    }

    pub(crate) async fn prove(
        &self,
        node: &Node,
        instance: &InstanceId,
        facts: &Facts,
        drill: &Drill,
        progress: &Progress,
    ) -> Result<Vec<Check>> {
        progress.say("looking through the restored data with the engine's own tools");
        let mut proof = vec![self.apart(instance).await?];
        proof.extend(self.backups(&node.plan.engine)?.prove(node, facts).await?);
        proof.extend(self.assertions(node, &drill.assertions, progress).await?);
        Ok(proof)
    }

    /// Whether it has no network. Without root it listens nowhere all the same, but could connect out.
    async fn apart(&self, instance: &InstanceId) -> Result<Check> {
        const NAME: &str = "no_network";
        if self.parts.runtime.inspect(instance).await?.is_offline {
            return Ok(Check::new(NAME, true, "the throw-away instance ran in a network of its own that leads nowhere"));
        }
        Ok(Check::absent(NAME, "the throw-away instance listened nowhere, but shared this host's network: only root can take that away"))
    }

    /// One check each, in their order.
    async fn assertions(&self, node: &Node, all: &[Assertion], progress: &Progress) -> Result<Vec<Check>> {
        if all.is_empty() {
            return Ok(vec![]);
        }
        let engine = self.engine(&node.plan.engine)?;
        let asks = engine.questions().ok_or_else(|| Error::invalid("query", format!("{} cannot be asked questions", node.plan.engine)))?;
        let mut checks = Vec::new();
        for assertion in all {
            progress.say(&format!("asking: {}", assertion.name));
            let (ok, detail) = match asks.ask(node, &assertion.query, ANSWER_WITHIN).await {
                Ok(answer) => assertion.expect.judge(&answer),
                Err(e) if was_refused(&e) => (false, format!("expected: {}; {}", assertion.expect, e.message)),
                // On a throw-away instance nobody knows then, which is not the same as a wrong answer.
                Err(e) if node.exposure == Exposure::Isolated => return Err(e.context(format!("the assertion {}", assertion.name))),
                Err(e) => (false, e.message),
            };
            checks.push(Check::new(&assertion.check(), ok, detail));
        }
        Ok(checks)
    }

    /// What the server itself had to say while it ran.
    pub(crate) async fn read_log(&self, engine: &str, instance: &InstanceId) -> Result<Check> {
        const NAME: &str = "log";
        let backups = self.backups(engine)?;
        let lines = self.parts.runtime.logs(instance, LOG_LINES).await?;
        let alarms: Vec<String> = lines.iter().filter(|line| backups.is_alarm(line)).map(|line| crate::text::clean(line)).collect();
        Ok(match alarms.first() {
            None => Check::new(NAME, true, format!("nothing of damage in {} lines of its log", lines.len())),
            Some(first) => Check::new(NAME, false, format!("{} lines speak of damage, the first: {first}", alarms.len())),
        })
    }
}

impl Agent {
    /// What it means that an instance could not be asked to the end. Where its log says that it broke down over its
    /// data, that is an answer; else nobody knows.
    pub(crate) async fn broke_off(&self, engine: &str, instance: &InstanceId, e: Error) -> Error {
        match self.read_log(engine, instance).await {
            Ok(log) if log.failed() => Error::integrity(format!("{}; its log: {}", e.message, log.detail)),
            _ => e,
        }
    }
}

/// Whether the engine understood and said no: something that should be there is not, say.
fn was_refused(e: &Error) -> bool {
    matches!(e.kind, Kind::Failed | Kind::Invalid)
}
