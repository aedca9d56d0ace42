//! A whole story, told once without trouble, and then once for every point at which something can
//! go wrong: it fails there, its reply is lost there, or the agent is killed there. Each time the
//! control plane makes the call again, and the world must come out the same.

use crate::{host::Host, restore::stored};
use mainstay_drivers::engine::NodePlan;
use mainstay_model::{Error, Result};
use mainstay_rpc::{Verb, verbs::*};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Fails,
    ReplyLost,
    AgentKilled,
}

/// Performs a verb, and again where the one trouble there is struck.
async fn does<V: Verb + Clone>(host: &mut Host, point: Option<&str>, verb: V) -> Result<V::Reply> {
    let client = host.client();
    let first = {
        let (faults, verb) = (host.world.faults.clone(), verb.clone());
        let call = tokio::spawn(async move { client.perform("op", 1, &verb, |_| {}).await.map(|r| serde_json::to_string(&r).unwrap()) });
        tokio::select! {
            end = call => Some(end.unwrap()),
            () = async { faults.reached(point.unwrap_or("nowhere")).await } => None,
        }
    };
    match first {
        Some(Ok(reply)) => Ok(serde_json::from_str(&reply).unwrap()),
        Some(Err(e)) if !["fault", "reply_lost"].contains(&e.code.as_str()) => Err(e),
        Some(Err(_)) => host.does(verb).await,
        None => {
            host.kill().await;
            host.world.faults.clear();
            host.open().await?;
            host.does(verb).await
        }
    }
}

/// Deploy, write, back up, hand over, damage, restore in place, seed the other node anew.
async fn story(host: &mut Host, engine: &str, point: Option<&str>) -> Result<(NodePlan, NodePlan)> {
    let [one, two] = [1, 2].map(|n| host.world.plan(engine, &host.cluster, n));
    let (first, second) = (host.world.upstream(&one), host.world.upstream(&two));
    does(host, point, PrepareNode { plan: one.clone() }).await?;
    does(host, point, BootstrapNode { plan: one.clone() }).await?;
    host.world.engine(engine).write(&one.id, "a")?;
    does(host, point, JoinNode { plan: two.clone(), upstream: first.clone() }).await?;
    let (repository, label) = (host.world.repository(&host.cluster), host.world.label(&host.cluster));
    let capture = Capture {
        plan: two.clone(),
        repositories: vec![repository.clone()],
        label,
        party: None,
        base: None,
        giving_way: None,
        expected: vec![],
    };
    let stored = match stored(does(host, point, capture.clone()).await?) {
        // The trouble was the copy's own; what the caller does is to ask again.
        Err(e) if ["fault", "reply_lost"].contains(&e.code.as_str()) => stored(does(host, None, capture).await?)?,
        other => other?,
    };
    let stopped = does(host, point, StopWrites { plan: one.clone() }).await?;
    does(host, point, WaitFor { plan: two.clone(), position: stopped.position, timeout_ms: 1_000 }).await?;
    does(host, point, Promote { plan: two.clone(), replicas: vec![first] }).await?;
    does(host, point, Follow { plan: one.clone(), upstream: second.clone() }).await?;
    host.world.engine(engine).write(&two.id, "mistake")?;
    let (new, old) = ("restored".to_string(), "before".to_string());
    let restore = RestoreBeside { plan: two.clone(), repository, snapshot: stored.snapshot, label: new.clone(), drill: None, replay: None };
    does(host, point, restore).await?;
    for node in [&one, &two] {
        does(host, point, StopNode { node: node.id.clone() }).await?;
    }
    does(host, point, SwapData { plan: two.clone(), label: new, aside: old.clone() }).await?;
    does(host, point, StartNode { plan: two.clone() }).await?;
    does(host, point, EnsureAccounts { plan: two.clone() }).await?;
    does(host, point, SwapData { plan: one.clone(), label: String::new(), aside: old.clone() }).await?;
    does(host, point, JoinNode { plan: one.clone(), upstream: second }).await?;
    for node in [&one, &two] {
        does(host, point, DropBeside { node: node.id.clone(), label: old.clone() }).await?;
    }
    host.world.engine(engine).write(&two.id, "b")?;
    Ok((one, two))
}

/// The world with the names of this telling replaced by those of every telling.
fn told(host: &Host, one: &NodePlan, two: &NodePlan) -> String {
    let mut world = host.world.snapshot();
    let sockets = world.directories.iter().filter(|d| d.starts_with("s/")).count();
    world.directories.retain(|d| !d.starts_with("s/"));
    let backups: usize = world.repositories.values().map(Vec::len).sum();
    world.repositories.clear();
    let text = format!("{world:#?}\n{sockets} sockets, {backups} backups");
    text.replace(one.id.as_str(), "ONE").replace(two.id.as_str(), "TWO")
}

async fn try_everywhere(engine: &str) {
    let mut host = Host::new().await;
    let (one, two) = story(&mut host, engine, None).await.unwrap();
    assert_eq!(host.world.engine(engine).read(&one.id).unwrap(), ["a", "b"]);
    let wanted = told(&host, &one, &two);
    let points: BTreeSet<_> =
        host.world.faults.all_visits().into_iter().filter(|p| p != "engine.discover" && p != "engine.probe").collect();
    assert!(points.len() > 20, "{points:?}");
    for point in &points {
        for trouble in [Trouble::Fails, Trouble::ReplyLost, Trouble::AgentKilled] {
            let mut host = Host::new().await;
            match trouble {
                Trouble::Fails => host.world.faults.fail(point, 1, Error::failed("fault", "a fault")),
                Trouble::ReplyLost => host.world.faults.lose_reply(point),
                Trouble::AgentKilled => host.world.faults.hold(point),
            }
            let (one, two) = story(&mut host, engine, Some(point)).await.unwrap_or_else(|e| panic!("{point} {trouble:?}: {e:?}"));
            assert_eq!(told(&host, &one, &two), wanted, "{point} {trouble:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pausing_engine_comes_out_the_same_whatever_happens() {
    try_everywhere("memo").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halting_engine_comes_out_the_same_whatever_happens() {
    try_everywhere("ledger").await;
}
