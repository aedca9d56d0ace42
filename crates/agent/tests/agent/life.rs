//! A node's life and a hand-over, on both styles of engine.

use crate::host::Host;
use mainstay_drivers::{engine::Configured, runtime::InstanceState};
use mainstay_model::{Kind, node::NodeRole};
use mainstay_rpc::verbs::*;
use std::time::Duration;

/// A pair of `engine`, with two rows.
pub async fn pair(host: &Host, engine: &str) -> (mainstay_drivers::engine::NodePlan, mainstay_drivers::engine::NodePlan) {
    let [one, two] = [1, 2].map(|n| host.world.plan(engine, &host.cluster, n));
    host.does(BootstrapNode { plan: one.clone() }).await.unwrap();
    host.does(JoinNode { plan: two.clone(), upstream: host.world.upstream(&one) }).await.unwrap();
    for row in ["a", "b"] {
        host.world.engine(engine).write(&one.id, row).unwrap();
    }
    (one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_lives_and_leaves_nothing() {
    for engine in ["memo", "ledger"] {
        let host = Host::new().await;
        let before = host.world.snapshot();
        let (one, two) = pair(&host, engine).await;
        let engine = host.world.engine(engine);
        assert_eq!(engine.read(&two.id).unwrap(), ["a", "b"]);
        assert!(engine.log_in(&one.id, "app", "users-password").unwrap());
        host.does(StopNode { node: two.id.clone() }).await.unwrap();
        engine.write(&one.id, "c").unwrap();
        host.does(StartNode { plan: two.clone() }).await.unwrap();
        assert_eq!(engine.read(&two.id).unwrap(), ["a", "b", "c"]);
        host.does(RemoveNode { node: two.id.clone() }).await.unwrap();
        host.does(LeaveNode { primary: one.clone(), leaving: host.world.upstream(&two) }).await.unwrap();
        let slots = host.world.snapshot().databases.into_values().next().unwrap();
        assert!(slots.contains("slots []"), "{slots}");
        for _ in 0..2 {
            host.does(RemoveNode { node: one.id.clone() }).await.unwrap();
        }
        assert_eq!(host.world.snapshot(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_loses_nothing_and_can_be_undone_before_the_promotion() {
    for name in ["memo", "ledger"] {
        let host = Host::new().await;
        let (one, two) = pair(&host, name).await;
        let engine = host.world.engine(name);
        host.does(StopWrites { plan: one.clone() }).await.unwrap();
        assert!(engine.write(&one.id, "no").is_err());
        host.does(ResumeWrites { plan: one.clone() }).await.unwrap();
        engine.write(&one.id, "c").unwrap();
        for _ in 0..2 {
            let stopped = host.does(StopWrites { plan: one.clone() }).await.unwrap();
            assert_eq!(stopped.position.bytes, 3);
            host.does(WaitFor { plan: two.clone(), position: stopped.position, timeout_ms: 1_000 }).await.unwrap();
        }
        for _ in 0..2 {
            host.does(Promote { plan: two.clone(), replicas: vec![host.world.upstream(&one)] }).await.unwrap();
        }
        for _ in 0..2 {
            host.does(Follow { plan: one.clone(), upstream: host.world.upstream(&two) }).await.unwrap();
        }
        engine.write(&two.id, "d").unwrap();
        assert_eq!(engine.read(&one.id).unwrap(), ["a", "b", "c", "d"]);
        let seen = host.does(Probe { plans: vec![one.clone(), two.clone()] }).await.unwrap();
        assert_eq!(seen[one.id.as_str()].role, Some(NodeRole::Replica));
        assert_eq!(seen[two.id.as_str()].role, Some(NodeRole::Primary));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_replica_that_stays_behind_ends() {
    let host = Host::new().await;
    let (one, two) = pair(&host, "ledger").await;
    host.world.faults.switch("engine.replication_stopped", true);
    host.world.ledger.write(&one.id, "c").unwrap();
    let stopped = host.does(StopWrites { plan: one.clone() }).await.unwrap();
    let e = host.fails(WaitFor { plan: two.clone(), position: stopped.position, timeout_ms: 30 }).await;
    assert_eq!((e.kind, e.code.as_str()), (Kind::TimedOut, "replica_behind"));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_take_effect_and_are_kept_over_a_restart() {
    let host = Host::new().await;
    let (mut plan, _) = pair(&host, "memo").await;
    assert_eq!(host.does(ConfigureNode { plan: plan.clone() }).await.unwrap(), Configured::Unchanged);
    plan.settings.insert("pages".into(), "7".into());
    assert_eq!(host.does(ConfigureNode { plan: plan.clone() }).await.unwrap(), Configured::Reloaded);
    plan.settings.insert("shelves".into(), "7".into());
    assert_eq!(host.does(ConfigureNode { plan: plan.clone() }).await.unwrap(), Configured::RestartNeeded);
    host.does(StopNode { node: plan.id.clone() }).await.unwrap();
    plan.settings.insert("pages".into(), "8".into());
    assert_eq!(host.does(ConfigureNode { plan: plan.clone() }).await.unwrap(), Configured::Unchanged);
    host.does(StartNode { plan: plan.clone() }).await.unwrap();
    let written = std::fs::read_to_string(host.world.data_dir().join(format!("nodes/{}/run/fake.conf", plan.id))).unwrap();
    assert_eq!(written, "pages = 8\nshelves = 7\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_change_in_place() {
    let host = Host::new().await;
    let (mut plan, _) = pair(&host, "ledger").await;
    plan.accounts.user.password = mainstay_model::Secret::new("another-password");
    host.does(EnsureAccounts { plan: plan.clone() }).await.unwrap();
    assert!(host.world.ledger.log_in(&plan.id, "app", "another-password").unwrap());
    assert!(!host.world.ledger.log_in(&plan.id, "app", "users-password").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_back_finds_what_runs_and_starts_nothing() {
    let mut host = Host::new().await;
    let (one, two) = pair(&host, "memo").await;
    let block = host.does(Describe {}).await.unwrap().block;
    let pid = |host: &Host| host.world.runtime.processes().into_values().map(|p| p.pid).collect::<Vec<_>>();
    let before = pid(&host);
    host.kill().await;
    host.world.memo.write(&one.id, "c").unwrap();
    host.open().await.unwrap();
    assert_eq!(pid(&host), before);
    assert!(host.agent().adopt().await.unwrap().iter().all(|a| a.state == InstanceState::Running));
    assert_eq!(host.does(Describe {}).await.unwrap().block, block);
    host.kill().await;
    host.world.runtime.reboot();
    host.open().await.unwrap();
    let found = host.agent().adopt().await.unwrap();
    assert!(found.iter().all(|a| a.state == InstanceState::Stopped && a.wanted == mainstay_agent::Wanted::Running), "{found:?}");
    for plan in [one, two.clone()] {
        host.does(StartNode { plan }).await.unwrap();
    }
    assert_eq!(host.world.memo.read(&two.id).unwrap(), ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_made_twice_at_once_acts_once() {
    let host = Host::new().await;
    let plan = host.world.plan("memo", &host.cluster, 1);
    host.world.faults.delay("engine.bootstrap.half", Duration::from_millis(50));
    let call = || host.does(BootstrapNode { plan: plan.clone() });
    let (a, b) = tokio::join!(call(), call());
    a.and(b).unwrap();
    assert_eq!(host.world.faults.visits("engine.bootstrap.half"), 1);
    assert_eq!(host.world.faults.visits("runtime.ensure"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_does_not_wait_for_what_it_makes_pointless() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    let three = host.world.plan("memo", &host.cluster, 3);
    host.world.faults.delay("engine.startup", Duration::from_secs(3600));
    let (client, join) = (host.client(), JoinNode { plan: three.clone(), upstream: host.world.upstream(&one) });
    let joining = tokio::spawn(async move { client.perform("op", 1, &join, |_| {}).await });
    while !host.runs(&three.id) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    host.does(RemoveNode { node: three.id.clone() }).await.unwrap();
    assert_eq!(joining.await.unwrap().unwrap_err().code, "cancelled");
    assert!(!host.runs(&three.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn deploying_a_pair_takes_no_time_of_the_agents_own() {
    let host = Host::new().await;
    let begun = std::time::Instant::now();
    pair(&host, "memo").await;
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
}
