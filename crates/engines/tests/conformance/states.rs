//! What a probe says in each state of an instance, and that it never says more than it saw.

use crate::bed::*;
use mainstay_drivers::engine::Node;
use mainstay_model::node::{EngineState, NodeRole, Observed};
use rustix::process::Signal;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_tells_every_state_apart() {
    everywhere(async |bed| {
        let node = bed.node("states");
        bed.prepare(&node).await;
        bed.engine.bootstrap(&node).await.unwrap();
        assert_nothing_good(&bed.look(&node).await, EngineState::Stopped);
        comes_up(bed, &node).await;
        bed.keeper().ensure(&node).await.unwrap();

        let seen = bed.look(&node).await;
        assert_eq!((seen.state, seen.role, seen.link_up), (EngineState::Ready, Some(NodeRole::Primary), None));
        assert!(seen.replicas.is_empty() && seen.detail.is_none(), "{seen:?}");
        let two = [bed.client(&node).await, bed.client(&node).await];
        eventually("two clients are seen", async || bed.look(&node).await.connections == Some(2)).await;
        drop(two);
        moves_on(bed, &node).await;

        frozen(bed, &node).await;
        crashes(bed, &node).await;
        bed.stop(&node).await;
        assert_nothing_good(&bed.look(&node).await, EngineState::Stopped);
    })
    .await;
}

/// From the start until ready it is starting, and nothing else.
async fn comes_up(bed: &Bed, node: &Node) {
    bed.launch(node, &served(node), None).await;
    let begun = Instant::now();
    loop {
        let seen = bed.look(node).await;
        if seen.state == EngineState::Ready {
            break;
        }
        assert_nothing_good(&seen, EngineState::Starting);
        assert!(begun.elapsed() < bed.engine.service(node).ready_within, "{seen:?}");
    }
    bed.engine.started(node).await.unwrap();
}

async fn moves_on(bed: &Bed, node: &Node) {
    let mut client = bed.client(node).await;
    client.set_up().await.unwrap();
    client.fill(1).await.unwrap();
    let before = bed.look(node).await.position.expect("a primary knows its position");
    client.fill(1).await.unwrap();
    let after = bed.look(node).await.position.unwrap();
    assert_eq!((after.history == before.history, before.behind(&before)), (true, Some(0)));
    assert!(after.bytes >= before.bytes);
}

/// A process that hangs is not known to be anything.
async fn frozen(bed: &Bed, node: &Node) {
    bed.signal(node, Signal::STOP).await;
    for _ in 0..2 {
        let begun = Instant::now();
        let seen = bed.look(node).await;
        let took = begun.elapsed();
        // Woken before anything can fail.
        if seen.state != EngineState::Unknown || took > Duration::from_millis(3200) {
            bed.signal(node, Signal::CONT).await;
            panic!("a frozen server is {seen:?} after {took:?}");
        }
        assert_nothing_good(&seen, EngineState::Unknown);
        assert!(seen.detail.is_some());
    }
    bed.signal(node, Signal::CONT).await;
    bed.wait(node, &served(node), is_primary).await;
}

/// The runtime brings a crashed server back; where it may not, that is told.
async fn crashes(bed: &Bed, node: &Node) {
    bed.client(node).await.write(1).await.unwrap();
    tokio::time::sleep(DURABLE_AFTER).await;
    bed.signal(node, Signal::KILL).await;
    eventually("it comes back by itself", async || is_primary(&bed.look(node).await)).await;
    assert_eq!(bed.numbers(node).await.len(), 1);
    bed.stop(node).await;

    bed.launch(node, &served(node), Some(0)).await;
    bed.wait(node, &served(node), is_ready).await;
    bed.signal(node, Signal::KILL).await;
    eventually("the crash is seen", async || bed.look(node).await.state == EngineState::Crashed).await;
    let seen = bed.look(node).await;
    assert_nothing_good(&seen, EngineState::Crashed);
    assert!(seen.detail.is_some());
    bed.stop(node).await;
    bed.run(node, is_primary).await;
    assert_eq!(bed.numbers(node).await.len(), 1);
}

fn assert_nothing_good(seen: &Observed, state: EngineState) {
    assert_eq!(seen.state, state, "{seen:?}");
    assert!(seen.position.is_none() && seen.connections.is_none() && seen.link_up.is_none() && seen.replicas.is_empty(), "{seen:?}");
}
