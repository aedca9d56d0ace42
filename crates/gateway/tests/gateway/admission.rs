//! Who is let in, who is kept out, and what a change of the list does.

use crate::world::*;
use mainstay_model::route::{Route, Target};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::TcpStream, time::sleep};

#[tokio::test]
async fn a_listed_peer_comes_in_and_another_gets_nothing() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    route.allow_list = allow(&["127.0.0.7", "127.0.0.16/28"]);
    world.client.set(&route).await.unwrap();
    let at = &route.read_write.listen;

    for inside in [7, 16, 31] {
        assert_eq!(reached(inside, at).await.as_deref(), Some("one"), "{inside}");
    }
    let before = backend.seen();
    for outside in [6, 15, 32] {
        let mut stream = connect_from(outside, at).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset, "{outside}");
    }
    assert_eq!(backend.seen(), before, "the backend never heard of those kept out");
    assert_eq!(world.status(&route).await.refused, 3);
}

#[tokio::test]
async fn mapped_addresses_count_as_ipv4_and_ipv6_has_its_own_rules() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let port = fresh().port;
    let wildcard = mainstay_model::cluster::SocketAddress { host: "::".into(), port };
    let mut route = route(wildcard, led_to(&backend));
    route.allow_list = allow(&["127.0.0.7"]);
    let status = world.client.set(&route).await.unwrap();
    assert_eq!(status.problem, None);

    let here = mainstay_model::cluster::SocketAddress { host: "127.0.0.1".into(), port };
    assert_eq!(reached(7, &here).await.as_deref(), Some("one"));
    assert_eq!(reached(8, &here).await, None);
    let loopback: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    assert_eq!(greeting(&mut TcpStream::connect(loopback).await.unwrap()).await, None);

    route.generation += 1;
    route.allow_list = allow(&["::1"]);
    world.client.set(&route).await.unwrap();
    assert_eq!(greeting(&mut TcpStream::connect(loopback).await.unwrap()).await.as_deref(), Some("one"));
    assert_eq!(reached(7, &here).await, None);
}

#[tokio::test]
async fn a_change_of_the_list_cuts_exactly_those_who_left_it() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    route.read_only = Some(Route { listen: fresh(), target: led_to(&backend) });
    world.client.set(&route).await.unwrap();

    let mut streams = Vec::new();
    for peer in 2..10 {
        for at in [&route.read_write.listen, &route.read_only.as_ref().unwrap().listen] {
            let mut stream = connect_from(peer, at).await.unwrap();
            assert_eq!(greeting(&mut stream).await.as_deref(), Some("one"));
            streams.push((peer, stream));
        }
    }
    route.allow_list = allow(&["127.0.0.4/31", "127.0.0.8"]);
    let status = world.client.set(&route).await.unwrap();
    assert_eq!((status.read_write_sessions, status.read_only_sessions), (3, 3), "the reply comes after the cut");
    for (peer, stream) in &mut streams {
        if [4, 5, 8].contains(peer) {
            assert!(echoes(stream, "still here").await, "{peer} stays");
        } else {
            assert!(is_cut(stream).await, "{peer} is cut");
        }
    }
}

#[tokio::test]
async fn those_who_wait_are_judged_again_too() {
    let world = World::new().await;
    let mut route = route(fresh(), Target::Hold);
    world.client.set(&route).await.unwrap();
    let mut leaver = connect_from(2, &route.read_write.listen).await.unwrap();
    let mut stayer = connect_from(3, &route.read_write.listen).await.unwrap();
    eventually("both wait", async || world.status(&route).await.waiting == 2).await;

    route.allow_list = allow(&["127.0.0.3"]);
    assert_eq!(world.client.set(&route).await.unwrap().waiting, 1);
    assert!(is_cut(&mut leaver).await);
    let backend = Backend::new("one").await;
    route.read_write.target = led_to(&backend);
    world.client.set(&route).await.unwrap();
    assert_eq!(greeting(&mut stayer).await.as_deref(), Some("one"));
}

/// 200 changes between two lists under a storm of connections: whoever is on both is always
/// served, whoever is on neither never, and whoever is on one of them exactly while it is in force.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_under_a_storm_lets_a_stranger_in_or_keeps_a_friend_out() {
    const FRIEND: u8 = 2;
    const FIRST: u8 = 3;
    const SECOND: u8 = 4;
    const STRANGER: u8 = 9;
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    route.allow_list = allow(&["127.0.0.2", "127.0.0.3"]);
    world.client.set(&route).await.unwrap();

    let over = Arc::new(AtomicBool::new(false));
    let tries: Arc<[AtomicUsize; 2]> = Arc::default();
    let storm: Vec<_> = [FRIEND, STRANGER, FRIEND, STRANGER]
        .into_iter()
        .map(|peer| {
            let (over, tries, at) = (over.clone(), tries.clone(), route.read_write.listen.clone());
            tokio::spawn(async move {
                while !over.load(SeqCst) {
                    assert_eq!(reached(peer, &at).await.is_some(), peer == FRIEND, "{peer}");
                    tries[usize::from(peer == FRIEND)].fetch_add(1, SeqCst);
                }
            })
        })
        .collect();

    for n in 0..200 {
        let (inside, outside) = if n % 2 == 0 { (SECOND, FIRST) } else { (FIRST, SECOND) };
        route.generation += 1;
        route.allow_list = allow(&["127.0.0.2", &format!("127.0.0.{inside}")]);
        let (mut cut, at) = (connect_from(outside, &route.read_write.listen).await.unwrap(), &route.read_write.listen);
        world.client.set(&route).await.unwrap();
        if greeting(&mut cut).await.is_some() {
            assert!(!echoes(&mut cut, "still here").await, "change {n} left a session open");
        }
        assert_eq!(reached(inside, at).await.as_deref(), Some("one"), "change {n}");
        assert_eq!(reached(outside, at).await, None, "change {n}");
    }
    over.store(true, SeqCst);
    for storming in storm {
        storming.await.unwrap();
    }
    let [strangers, friends] = [tries[0].load(SeqCst), tries[1].load(SeqCst)];
    assert!(strangers > 200 && friends > 200, "a storm of {strangers} strangers and {friends} friends proves little");
}

#[tokio::test]
async fn above_the_limit_connections_are_turned_away_and_open_ones_go_on() {
    let world = World::with(tempfile::tempdir().unwrap(), 3).await;
    let backend = Backend::new("one").await;
    let route = route(fresh(), led_to(&backend));
    world.client.set(&route).await.unwrap();
    let at = &route.read_write.listen;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connect_from(2, at).await.unwrap();
        assert!(greeting(&mut stream).await.is_some());
        open.push(stream);
    }
    assert_eq!(reached(2, at).await, None);
    assert!(echoes(&mut open[0], "on").await);
    open.pop();
    eventually("room again", async || {
        sleep(Duration::from_millis(10)).await;
        reached(2, at).await.is_some()
    })
    .await;
}
