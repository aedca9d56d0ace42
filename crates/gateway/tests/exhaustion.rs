//! With no descriptor left the gateway turns clients away and goes on. A program of its own,
//! because the limit is the whole process's.

#[path = "gateway/world.rs"]
#[allow(dead_code)]
mod world;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{fs::File, time::Duration};
use tokio::time::{sleep, timeout};
use world::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_out_of_descriptors_harms_no_open_session() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let route = route(fresh(), led_to(&backend));
    world.client.set(&route).await.unwrap();
    let mut open = connect_from(2, &route.read_write.listen).await.unwrap();
    greeting(&mut open).await.unwrap();

    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum }).unwrap();
    // All but two descriptors are gone: one for a client, one for the gateway to accept it with,
    // and none to reach a backend.
    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    hoard.truncate(hoard.len() - 2);
    let mut kept_waiting = connect_from(2, &route.read_write.listen).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(echoes(&mut open, "untouched").await);
    drop(hoard.pop());
    let mut queued = connect_from(2, &route.read_write.listen).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    assert!(echoes(&mut open, "still untouched").await);

    drop(hoard);
    assert_eq!(greeting(&mut kept_waiting).await.as_deref(), Some("one"), "served as soon as there is room");
    assert_eq!(greeting(&mut queued).await.as_deref(), Some("one"));
    timeout(PATIENCE, world.client.ping()).await.unwrap().unwrap();
    assert_eq!(world.status(&route).await.read_write_sessions, 1 + 2);
}
