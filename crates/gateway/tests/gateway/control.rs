//! What the gateway is told, what it keeps, and who may tell it.

use crate::world::*;
use mainstay_gateway::{Client, run};
use mainstay_model::{Kind, route::Target};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn an_older_generation_is_refused_and_the_same_one_is_done_already() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    route.generation = 5;
    world.client.set(&route).await.unwrap();
    let mut session = connect_from(2, &route.read_write.listen).await.unwrap();
    greeting(&mut session).await.unwrap();
    assert_eq!(world.client.set(&route).await.unwrap().read_write_sessions, 1);

    let mut older = route.clone();
    older.generation = 4;
    older.read_write.target = Target::Closed;
    let error = world.client.set(&older).await.unwrap_err();
    assert_eq!((error.kind, error.code.as_str()), (Kind::Conflict, "stale_generation"));
    assert!(error.message.contains('4') && error.message.contains('5'), "{error}");
    assert!(echoes(&mut session, "untouched").await);

    // Within a generation the list may change.
    route.allow_list = allow(&["127.0.0.3"]);
    assert_eq!(world.client.set(&route).await.unwrap().read_write_sessions, 0);
}

#[tokio::test]
async fn a_restarted_gateway_serves_without_being_told() {
    let mut world = World::new().await;
    let backend = Backend::new("one").await;
    let mut kept = route(fresh(), led_to(&backend));
    kept.allow_list = allow(&["127.0.0.7"]);
    let forgotten = route(fresh(), led_to(&backend));
    world.client.set(&kept).await.unwrap();
    world.client.set(&forgotten).await.unwrap();
    let mut removed = connect_from(2, &forgotten.read_write.listen).await.unwrap();
    greeting(&mut removed).await.unwrap();
    world.client.remove(&forgotten.cluster).await.unwrap();
    assert!(is_cut(&mut removed).await);
    world.client.remove(&forgotten.cluster).await.unwrap();
    assert_eq!(mode(&world.options(1).state_file), 0o600);

    let mut open = connect_from(7, &kept.read_write.listen).await.unwrap();
    greeting(&mut open).await.unwrap();
    world.stop().await;
    assert!(is_cut(&mut open).await, "stopping ends sessions");
    assert!(connect_from(7, &kept.read_write.listen).await.is_err(), "and listeners");
    assert_eq!(world.client.ping().await.unwrap_err().code, "gateway_down");

    world.start(100).await;
    assert_eq!(reached(7, &kept.read_write.listen).await.as_deref(), Some("one"));
    assert_eq!(reached(8, &kept.read_write.listen).await, None, "with the list it had");
    assert_eq!(world.client.status().await.unwrap().keys().collect::<Vec<_>>(), [&kept.cluster]);
    kept.generation -= 1;
    assert_eq!(world.client.set(&kept).await.unwrap_err().code, "stale_generation");
}

#[tokio::test]
async fn an_unreadable_state_file_is_kept_aside() {
    let mut world = World::new().await;
    world.stop().await;
    let state = world.options(1).state_file;
    for bad in ["", "{\"version\": 1, \"routes\": [{", "{\"version\": 99, \"routes\": []}"] {
        fs::write(&state, bad).unwrap();
        world.start(100).await;
        assert!(world.client.status().await.unwrap().is_empty());
        world.stop().await;
        let dir = fs::read_dir(state.parent().unwrap()).unwrap().map(|e| e.unwrap().path());
        let aside: Vec<_> = dir.filter(|p| p.to_string_lossy().contains(".unreadable-")).collect();
        assert!(aside.iter().any(|p| fs::read_to_string(p).unwrap() == bad), "{aside:?}");
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_written_changes_nothing() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let mut route = route(fresh(), led_to(&backend));
    world.client.set(&route).await.unwrap();
    // A directory in the place of the draft: not even root can write it.
    fs::create_dir(world.options(1).state_file.with_extension("new")).unwrap();
    route.generation += 1;
    route.allow_list = allow(&["192.0.2.1"]);
    let error = world.client.set(&route).await.unwrap_err();
    assert!(error.message.contains("state file"), "{error}");
    assert_eq!(world.status(&route).await.generation, 1);
    assert_eq!(reached(2, &route.read_write.listen).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_held_port_names_its_holder_and_is_taken_when_free() {
    let world = World::new().await;
    let backend = Backend::new("one").await;
    let route = route(fresh(), led_to(&backend));
    let holder = TcpListener::bind(addr(&route.read_write.listen)).await.unwrap();
    let problem = world.client.set(&route).await.unwrap().problem.expect("a problem");
    assert!(problem.contains(&route.read_write.listen.to_string()), "{problem}");
    assert!(problem.contains(&format!("process {}", std::process::id())), "{problem}");
    drop(holder);
    eventually("the port is taken", async || world.status(&route).await.problem.is_none()).await;
    assert_eq!(reached(2, &route.read_write.listen).await.as_deref(), Some("one"));
}

#[tokio::test]
async fn an_address_of_another_machine_is_a_problem_and_no_failure() {
    let world = World::new().await;
    let mut listen = fresh();
    listen.host = "192.0.2.77".into();
    let problem = world.client.set(&route(listen, Target::Hold)).await.unwrap().problem.unwrap();
    assert!(problem.contains("192.0.2.77") && problem.contains("cannot be opened"), "{problem}");
}

#[tokio::test]
async fn the_socket_is_private_and_has_one_owner() {
    let mut world = World::new().await;
    let options = world.options(10);
    assert_eq!(mode(&options.socket), 0o600);
    assert_eq!(mode(options.socket.parent().unwrap()), 0o700);
    let second = run(options.clone(), CancellationToken::new()).await.unwrap_err();
    assert_eq!(second.kind, Kind::Conflict);
    assert!(second.message.contains(&format!("process {}", std::process::id())), "{second}");
    world.client.ping().await.expect("the first is unharmed");

    world.stop().await;
    assert!(!options.socket.exists());
    drop(UnixListener::bind(&options.socket).unwrap());
    assert!(options.socket.exists(), "a socket file whose owner is gone");
    world.start(10).await;

    world.stop().await;
    let _other = UnixListener::bind(&options.socket).unwrap();
    assert_eq!(run(options, CancellationToken::new()).await.unwrap_err().kind, Kind::Conflict);
}

#[tokio::test]
async fn nonsense_on_the_socket_is_answered_or_hung_up_on() {
    let world = World::new().await;
    let socket = world.options(1).socket;
    let long = "x".repeat(5 << 20);
    for (line, code) in [
        ("nonsense\n", "malformed"),
        ("{\"version\":2,\"body\":{\"later\":1}}\n", "gateway_version"),
        ("{\"version\":1,\"body\":\"explode\"}\n", "malformed"),
        (long.as_str(), "malformed"),
    ] {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        let _ = stream.write_all(line.as_bytes()).await;
        let mut reply = Vec::new();
        // Hung up on with bytes unread, the caller may see a reset after the reply.
        let _ = stream.read_to_end(&mut reply).await;
        assert!(String::from_utf8_lossy(&reply).contains(code), "{code}");
    }
    world.client.ping().await.unwrap();
    assert!(Client::new(socket.with_extension("none")).ping().await.unwrap_err().is_transient());
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_its_field() {
    let world = World::new().await;
    let mut listen = fresh();
    listen.port = 0;
    let error = world.client.set(&route(listen, Target::Hold)).await.unwrap_err();
    assert_eq!((error.kind, error.field.as_deref()), (Kind::Invalid, Some("read_write.listen")));
    assert!(world.client.status().await.unwrap().is_empty());
}
