//! Looks, the endpoint and the host.

use crate::{host::Host, life::pair};
use mainstay_agent::ensure_gateway;
use mainstay_drivers::runtime::{InstanceId, Runtime};
use mainstay_model::{Kind, NodeId, cluster::SocketAddress, node::EngineState, route::*};
use mainstay_rpc::verbs::*;
use std::{sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn every_probe_is_answered_in_time() {
    let host = Host::new().await;
    let (one, two) = pair(&host, "memo").await;
    let three = host.world.plan("memo", &host.cluster, 3);
    host.does(BootstrapNode { plan: three.clone() }).await.unwrap();
    let stranger = host.world.plan("memo", &host.cluster, 4);
    host.does(StopNode { node: two.id.clone() }).await.unwrap();
    for _ in 0..4 {
        host.world.runtime.crash(&InstanceId(three.id.to_string()));
    }
    host.world.faults.delay("engine.probe", Duration::from_secs(3600));
    let begun = std::time::Instant::now();
    let seen = host.client().look(&Probe { plans: vec![one.clone(), two.clone(), three.clone(), stranger.clone()] }).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let state = |id: &NodeId| seen[id.as_str()].state;
    assert_eq!(state(&one.id), EngineState::Unknown);
    assert_eq!(state(&two.id), EngineState::Stopped);
    assert_eq!(state(&three.id), EngineState::Crashed);
    assert_eq!(state(&stranger.id), EngineState::Unknown);
    assert!(seen.values().all(|o| o.detail.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_clean_and_usage_is_counted() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    let log = host.world.data_dir().join(format!("nodes/{}/log/fake.log", one.id));
    std::fs::write(log, "first\n\x1b]52;c;aGk=\x07second\x1b[2J\n").unwrap();
    assert_eq!(host.client().look(&NodeLogs { node: one.id.clone(), lines: 1 }).await.unwrap(), ["second"]);
    let usage = host.client().look(&NodeUsage { node: one.id.clone() }).await.unwrap();
    assert!(usage.data_bytes > 0 && usage.disk_free_bytes > 0 && usage.usage.memory_bytes > 0);
    let strange = NodeId::new();
    let measured = host.client().look(&Measure { nodes: vec![one.id.clone(), strange] }).await.unwrap().nodes;
    assert_eq!(measured.keys().collect::<Vec<_>>(), [one.id.as_str()], "of one that is not here nothing is said");
    assert!(measured[one.id.as_str()].host.cpus > 0 && measured[one.id.as_str()].usage.memory_bytes > 0);
    assert_eq!(host.client().look(&NodeLogs { node: NodeId::new(), lines: 1 }).await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_describes_itself() {
    let host = Host::new().await;
    let d = host.client().look(&Describe {}).await.unwrap();
    let names: Vec<_> = d.engines.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["memo", "ledger"]);
    assert!(d.engines.iter().all(|e| e.available && e.capabilities[..3] == ["failover", "backups", "accounts"]));
    assert_eq!(d.engines.iter().map(|e| e.capabilities.iter().any(|c| c == "point_in_time")).collect::<Vec<_>>(), [false, true]);
    assert_eq!(d.facts.len(), 2);
    let names = NameAccounts { engine: "ledger".into(), cluster: mainstay_model::ClusterName::parse("my-shop").unwrap() };
    assert_eq!(host.client().look(&names).await.unwrap(), AccountNames { user: "my_shop".into(), database: Some("my_shop".into()) });
    let mut plan = host.world.plan("memo", &host.cluster, 1);
    plan.version = "3.14".into();
    let e = host.fails(BootstrapNode { plan }).await;
    assert_eq!(e.code, "engine_not_installed");
    assert!(e.message.contains("it comes with the testkit"), "{e}");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_passed_on() {
    let host = Host::new().await;
    let at = |port| SocketAddress { host: "127.99.0.9".into(), port };
    let read_write = Route { listen: at(7000), target: Target::Hold };
    let route =
        ClusterRoute { cluster: host.cluster.clone(), generation: 3, allow_list: vec![], read_write, read_only: None, hold_ms: 8_000 };
    assert_eq!(host.does(SetRoute { route: route.clone() }).await.unwrap().generation, 3);
    assert_eq!(host.client().look(&RouteStatuses {}).await.unwrap().len(), 1);
    let e = host.fails(SetRoute { route: ClusterRoute { generation: 2, ..route } }).await;
    assert_eq!(e.code, "stale_generation");
    for _ in 0..2 {
        host.does(RemoveRoute { cluster: host.cluster.clone() }).await.unwrap();
    }
    assert!(host.world.endpoint.routes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_is_left_alone_by_a_newer_program() {
    let host = Host::new().await;
    let runtime = &host.world.runtime;
    for program in ["/fake/old", "/fake/new"] {
        runtime.install(program, Arc::new(|_| Ok(())));
    }
    let (id, data_dir) = (InstanceId("gateway".into()), host.world.data_dir());
    ensure_gateway(runtime.as_ref(), "/fake/old".into(), &data_dir).await.unwrap();
    let pid = runtime.inspect(&id).await.unwrap().pid;
    ensure_gateway(runtime.as_ref(), "/fake/new".into(), &data_dir).await.unwrap();
    assert_eq!(runtime.inspect(&id).await.unwrap().pid, pid);
    runtime.remove(&id).await.unwrap();
    ensure_gateway(runtime.as_ref(), "/fake/new".into(), &data_dir).await.unwrap();
    assert_eq!(runtime.processes()[&id].spec.args, ["gateway", "--data-dir", data_dir.to_str().unwrap()]);
}
