//! Where connections lead: a new primary, a hold, a stop, replicas in turn.

use crate::world::*;
use mainstay_model::route::{Route, Target};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};

#[tokio::test]
async fn a_new_primary_ends_the_old_sessions_and_gets_the_new_ones() {
    let world = World::new().await;
    let (old, new) = (Backend::new("old").await, Backend::new("new").await);
    let mut route = route(fresh(), led_to(&old));
    world.client.set(&route).await.unwrap();
    let mut session = connect_from(2, &route.read_write.listen).await.unwrap();
    assert_eq!(greeting(&mut session).await.as_deref(), Some("old"));

    route.generation += 1;
    route.read_write.target = led_to(&new);
    let status = world.client.set(&route).await.unwrap();
    assert_eq!((status.generation, status.read_write_sessions), (2, 0));
    assert!(is_cut(&mut session).await);
    assert_eq!(reached(2, &route.read_write.listen).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_hold_is_a_pause_and_early_bytes_arrive() {
    let world = World::new().await;
    let (old, new) = (Backend::new("old").await, Backend::new("new").await);
    let mut route = route(fresh(), led_to(&old));
    world.client.set(&route).await.unwrap();
    let mut before = connect_from(2, &route.read_write.listen).await.unwrap();
    assert_eq!(greeting(&mut before).await.as_deref(), Some("old"));

    route.read_write.target = Target::Hold;
    assert_eq!(world.client.set(&route).await.unwrap().read_write_sessions, 1);
    assert!(echoes(&mut before, "open sessions stay").await);
    let mut early = connect_from(2, &route.read_write.listen).await.unwrap();
    early.write_all(b"early bytes").await.unwrap();
    // Half of it closed already: it still wants its answer.
    early.shutdown().await.unwrap();
    eventually("one waits", async || world.status(&route).await.waiting == 1).await;
    sleep(Duration::from_millis(100)).await;

    route.read_write.target = Target::HoldAndCut;
    let status = world.client.set(&route).await.unwrap();
    assert_eq!((status.read_write_sessions, status.waiting), (0, 1));
    assert!(is_cut(&mut before).await);

    route.read_write.target = led_to(&new);
    world.client.set(&route).await.unwrap();
    assert_eq!(greeting(&mut early).await.as_deref(), Some("new"));
    let mut rest = String::new();
    early.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "early bytesbye");
}

#[tokio::test]
async fn the_hold_limit_counts_from_acceptance() {
    let world = World::new().await;
    let mut route = route(fresh(), Target::Hold);
    route.hold_ms = 1_500;
    world.client.set(&route).await.unwrap();
    let mut stream = connect_from(2, &route.read_write.listen).await.unwrap();
    let since = Instant::now();
    sleep(Duration::from_millis(1_000)).await;
    // Another route does not start the clock again, nor do targets that refuse.
    route.read_write.target = Target::To(vec![fresh()]);
    world.client.set(&route).await.unwrap();
    assert_eq!(greeting(&mut stream).await, None);
    let waited = since.elapsed();
    assert!(waited > Duration::from_millis(1_400) && waited < Duration::from_millis(2_300), "{waited:?}");
    assert_eq!(world.status(&route).await.waiting, 0);
}

#[tokio::test]
async fn a_backend_that_comes_up_within_the_hold_is_reached() {
    let world = World::new().await;
    let late = fresh();
    let route = route(fresh(), Target::To(vec![late.clone()]));
    world.client.set(&route).await.unwrap();
    let mut stream = connect_from(2, &route.read_write.listen).await.unwrap();
    eventually("it waits", async || world.status(&route).await.waiting == 1).await;
    let _backend = Backend::at("late", late).await;
    assert_eq!(greeting(&mut stream).await.as_deref(), Some("late"));
}

#[tokio::test]
async fn without_a_hold_a_connection_still_connects() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    route.hold_ms = 0;
    world.client.set(&route).await.unwrap();
    assert_eq!(reached(2, &route.read_write.listen).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_client_that_leaves_while_it_waits_is_not_led_anywhere() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), Target::Hold);
    world.client.set(&route).await.unwrap();
    drop(connect_from(2, &route.read_write.listen).await.unwrap());
    let mut writer = connect_from(2, &route.read_write.listen).await.unwrap();
    writer.write_all(b"hello").await.unwrap();
    writer.set_zero_linger().unwrap();
    drop(writer);
    eventually("nobody waits", async || world.status(&route).await.waiting == 0).await;
    route.read_write.target = led_to(&backend);
    world.client.set(&route).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(backend.seen(), 0);
}

#[tokio::test]
async fn a_stopped_cluster_closes_at_once() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    world.client.set(&route).await.unwrap();
    let mut open = connect_from(2, &route.read_write.listen).await.unwrap();
    assert!(greeting(&mut open).await.is_some());
    route.read_write.target = Target::Closed;
    world.client.set(&route).await.unwrap();
    assert!(is_cut(&mut open).await);
    let since = Instant::now();
    assert_eq!(reached(2, &route.read_write.listen).await, None);
    assert!(since.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn replicas_take_turns_and_one_that_refuses_is_passed_over() {
    let world = World::new().await;
    let primary = Backend::new("primary").await;
    let (one, two) = (Backend::new("one").await, Backend::new("two").await);
    let mut route = route(fresh(), led_to(&primary));
    let listen = fresh();
    let target = Target::To(vec![one.at.clone(), fresh(), two.at.clone()]);
    route.read_only = Some(Route { listen: listen.clone(), target });
    world.client.set(&route).await.unwrap();

    let mut open = Vec::new();
    for _ in 0..6 {
        let mut stream = connect_from(2, &listen).await.unwrap();
        let name = greeting(&mut stream).await.unwrap();
        open.push((name, stream));
    }
    let count = |name: &str| open.iter().filter(|(n, _)| n == name).count();
    assert_eq!((count("one"), count("two")), (2, 4), "the one after a dead replica takes its turns");
    assert_eq!(primary.seen(), 0);

    // A replica that is taken away loses its sessions, the other keeps its own.
    route.read_only = Some(Route { listen, target: led_to(&two) });
    assert_eq!(world.client.set(&route).await.unwrap().read_only_sessions, 4);
    for (name, stream) in &mut open {
        assert_eq!(echoes(stream, "hello").await, name == "two");
    }
    route.read_only = None;
    assert_eq!(world.client.set(&route).await.unwrap().read_only_sessions, 0);
}

#[tokio::test]
async fn each_half_closes_by_itself() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let route = route(fresh(), led_to(&backend));
    world.client.set(&route).await.unwrap();
    let mut stream = connect_from(2, &route.read_write.listen).await.unwrap();
    stream.write_all(b"question").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert_eq!(all, "one\nquestionbye");
    eventually("the session ends", async || world.status(&route).await.read_write_sessions == 0).await;
}

#[tokio::test]
async fn listeners_move_and_swap_without_cutting_anyone() {
    let world = World::new().await;
    let (primary, replica) = (Backend::new("primary").await, Backend::new("replica").await);
    let (first, second, third) = (fresh(), fresh(), fresh());
    let mut route = route(first.clone(), led_to(&primary));
    route.read_only = Some(Route { listen: second.clone(), target: led_to(&replica) });
    world.client.set(&route).await.unwrap();
    let mut session = connect_from(2, &first).await.unwrap();
    assert_eq!(greeting(&mut session).await.as_deref(), Some("primary"));

    route.read_write.listen = second.clone();
    route.read_only = Some(Route { listen: first.clone(), target: led_to(&replica) });
    assert_eq!(world.client.set(&route).await.unwrap().problem, None);
    assert_eq!(reached(2, &first).await.as_deref(), Some("replica"));
    assert_eq!(reached(2, &second).await.as_deref(), Some("primary"));

    route.read_write.listen = third.clone();
    assert_eq!(world.client.set(&route).await.unwrap().problem, None);
    assert!(connect_from(2, &second).await.is_err(), "the old address is closed when set replies");
    assert_eq!(reached(2, &third).await.as_deref(), Some("primary"));
    assert!(echoes(&mut session, "still here").await);
}
