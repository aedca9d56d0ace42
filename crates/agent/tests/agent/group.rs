//! Captures that have their point together.

use crate::{host::Host, restore::stored};
use mainstay_drivers::{engine::NodePlan, storage::Stored};
use mainstay_model::{ClusterId, Error, Result};
use mainstay_rpc::verbs::*;

/// A primary of each engine, in a cluster of its own, with a row.
async fn two(host: &Host) -> [NodePlan; 2] {
    let mut plans = [host.world.plan("memo", &host.cluster, 1), host.world.plan("ledger", &ClusterId::new(), 2)];
    for plan in &mut plans {
        plan.cluster_name = mainstay_model::ClusterName::parse(if plan.engine == "memo" { "shop" } else { "store" }).unwrap();
        host.does(PrepareNode { plan: plan.clone() }).await.unwrap();
        host.does(BootstrapNode { plan: plan.clone() }).await.unwrap();
        host.world.engine(&plan.engine).write(&plan.id, "a").unwrap();
    }
    plans
}

fn part(host: &Host, plan: &NodePlan) -> Capture {
    let party = Some(Party { id: "gb_1".into(), members: 2, gather_ms: 2_000, hold_ms: 10_000 });
    let repositories = vec![host.world.repository(&plan.cluster)];
    Capture {
        plan: plan.clone(),
        repositories,
        label: host.world.label(&plan.cluster),
        party,
        base: None,
        giving_way: None,
        expected: vec![],
    }
}

async fn captured(host: &Host, operation: &str, verb: &Capture) -> Result<Stored> {
    stored(host.client().perform(operation, 1, verb, |_| {}).await?)
}

async fn both(host: &Host, verbs: &[Capture; 2]) -> [Result<Stored, Error>; 2] {
    let (one, two) = tokio::join!(captured(host, "op_1", &verbs[0]), captured(host, "op_2", &verbs[1]));
    [one, two]
}

fn takes_writes(host: &Host, plans: &[NodePlan; 2]) {
    for plan in plans {
        host.world.engine(&plan.engine).write(&plan.id, "after").unwrap_or_else(|e| panic!("{}: {e}", plan.name));
    }
}

fn published(host: &Host) -> usize {
    host.world.snapshot().repositories.values().map(Vec::len).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_meet_and_writes_go_on() {
    let host = Host::new().await;
    let plans = two(&host).await;
    let verbs = [part(&host, &plans[0]), part(&host, &plans[1])];
    for result in both(&host, &verbs).await {
        assert_eq!(result.unwrap().facts.exact["rows"], 1);
    }
    assert_eq!(host.world.faults.visits("engine.confirm"), 2);
    takes_writes(&host, &plans);
    // Asked again (a reply was lost), they are as they were: nobody has to meet again.
    for result in both(&host, &verbs).await {
        assert_eq!(result.unwrap().facts.exact["rows"], 1);
    }
    assert_eq!(host.world.faults.visits("engine.hold"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_fails_none_is_published_and_no_write_waits() {
    for point in ["engine.capture", "source.next", "engine.hold", "engine.confirm", "source.finish"] {
        let host = Host::new().await;
        let plans = two(&host).await;
        let verbs = [part(&host, &plans[0]), part(&host, &plans[1])];
        host.world.faults.fail(point, 1, Error::failed("fault", "a fault"));
        let results = both(&host, &verbs).await;
        let failed = results.iter().filter(|r| r.is_err()).count();
        // A source that ends badly after its point was decided and confirmed is its own backup's matter.
        let wanted = if point == "source.finish" { 1..=2 } else { 2..=2 };
        assert!(wanted.contains(&failed), "{point}: {results:?}");
        assert_eq!(published(&host), 2 - failed, "{point}");
        takes_writes(&host, &plans);
        if failed == 2 {
            // The next try meets anew.
            for result in both(&host, &verbs).await {
                assert_eq!(result.unwrap_or_else(|e| panic!("{point}: {e:?}")).facts.exact["rows"], 2);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_dies_at_the_meeting_leaves_nothing_held() {
    for point in ["engine.hold", "engine.confirm", "engine.release"] {
        let mut host = Host::new().await;
        let plans = two(&host).await;
        let verbs = [part(&host, &plans[0]), part(&host, &plans[1])];
        host.world.faults.hold(point);
        tokio::select! {
            _ = both(&host, &verbs) => panic!("{point} was not visited"),
            () = host.world.faults.reached(point) => {}
        }
        host.kill().await;
        host.world.faults.clear();
        takes_writes(&host, &plans);
        host.open().await.unwrap();
        for result in both(&host, &verbs).await {
            result.unwrap_or_else(|e| panic!("{point}: {e:?}"));
        }
        assert_eq!(published(&host), 2);
    }
}
