//! Many sessions at once, and what they cost each other.

use crate::world::*;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_idle_sessions_slow_nobody_down() {
    const BYTES: usize = 64 << 20;
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    world.client.set(&route).await.unwrap();
    let mut idle = Vec::new();
    for n in 0..1_000u32 {
        let mut stream = connect_from(2 + (n % 2) as u8, &route.read_write.listen).await.unwrap();
        assert!(greeting(&mut stream).await.is_some());
        idle.push(stream);
    }
    assert_eq!(world.status(&route).await.read_write_sessions, 1_000);

    let mut busy = connect_from(2, &route.read_write.listen).await.unwrap();
    greeting(&mut busy).await.unwrap();
    let since = Instant::now();
    let (mut from, mut to) = busy.split();
    let (sent, received) = tokio::join!(
        async {
            let block = vec![b'x'; 1 << 20];
            for _ in 0..BYTES >> 20 {
                to.write_all(&block).await?;
            }
            to.shutdown().await
        },
        async {
            let mut all = Vec::with_capacity(BYTES + 3);
            from.read_to_end(&mut all).await.map(|_| all)
        }
    );
    sent.unwrap();
    let received = received.unwrap();
    assert_eq!(received.len(), BYTES + "bye".len());
    assert!(received[..BYTES].iter().all(|b| *b == b'x'));
    let rate = BYTES as f64 / since.elapsed().as_secs_f64() / 1e6;
    println!("{rate:.0} MB/s there and back beside 1000 idle sessions");
    assert!(rate > 10.0, "{rate:.0} MB/s there and back");

    route.allow_list = allow(&["127.0.0.3"]);
    let since = Instant::now();
    let status = world.client.set(&route).await.unwrap();
    println!("500 sessions cut in {:?}", since.elapsed());
    assert_eq!(status.read_write_sessions, 500);
    assert!(since.elapsed() < Duration::from_secs(3));
    for stream in idle.iter_mut().skip(1).step_by(2).take(20) {
        assert!(echoes(stream, "still here").await);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stalls_only_itself() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let route = route(fresh(), led_to(&backend));
    world.client.set(&route).await.unwrap();
    let mut stuck = connect_from(2, &route.read_write.listen).await.unwrap();
    // Echoes pile up until every buffer on the way is full.
    let flood = async {
        let block = vec![0; 1 << 20];
        while stuck.write_all(&block).await.is_ok() {}
    };
    assert!(tokio::time::timeout(Duration::from_secs(2), flood).await.is_err(), "the flood is held back");
    let mut quick = connect_from(3, &route.read_write.listen).await.unwrap();
    greeting(&mut quick).await.unwrap();
    assert!(echoes(&mut quick, "no waiting").await);

    let mut narrow = route.clone();
    narrow.allow_list = allow(&["127.0.0.3"]);
    let status = world.client.set(&narrow).await.unwrap();
    assert_eq!(status.read_write_sessions, 1, "a stuck session is cut like any other");
    assert!(echoes(&mut quick, "still here").await);
}
