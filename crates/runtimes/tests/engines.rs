//! Real engines, because they do what small tools do not: PostgreSQL puts every backend into a
//! session of its own, and both write their titles over their environment.

mod common;

use common::{Place, children, exec, id, lives, session, soon};
use mainstay_drivers::runtime::*;
use mainstay_runtimes::{Options, ProcessRuntime};
use serde_json::json;
use std::{path::Path, sync::Arc, time::Duration};

const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

fn open(place: &Place) -> Arc<ProcessRuntime> {
    ProcessRuntime::new(place.state(), Options::default()).expect("a runtime")
}

/// Whether the engine is here and we can be its user; said when not.
fn have(program: &str, user: &str) -> bool {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let have = Path::new(program).exists() && rustix::process::geteuid().is_root() && users.contains(&format!("\n{user}:"));
    if !have {
        mainstay_testkit::skipped(&format!("{program}: needs it, root and the user {user}"));
    }
    have
}

fn lose_the_pid(place: &Place, name: &str) {
    place.forge(name, |r| {
        r["main"] = json!(null);
        r["phase"] = json!("starting");
    });
}

async fn postgres(runtime: &dyn Runtime, place: &Place) -> InstanceSpec {
    let dir = place.path().join("pg");
    runtime.put_dir(Some("postgres"), &dir, 0o700).await.expect("dir");
    let data = dir.join("data").display().to_string();
    let mut init = exec(&format!("{POSTGRES}/initdb"), &["-D", &data, "--no-sync", "--auth=trust", "--locale=C"]);
    (init.user, init.timeout) = (Some("postgres".into()), Duration::from_secs(120));
    let out = runtime.exec(init).await.expect("initdb");
    assert_eq!(out.status, 0, "{}", out.stderr);
    let sockets = dir.display().to_string();
    let args = ["-D", &data, "-k", &sockets, "-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c", "fsync=off"];
    let mut spec = place.spec(&format!("{POSTGRES}/postgres"), &args);
    (spec.user, spec.working_dir, spec.log_file) = (Some("postgres".into()), dir.clone(), dir.join("log"));
    spec.stop_signal = Signal::Int;
    spec
}

async fn ready(runtime: &dyn Runtime, place: &Place) {
    let sockets = place.path().join("pg").display().to_string();
    for _ in 0..200 {
        let asked = exec(&format!("{POSTGRES}/pg_isready"), &["-q", "-h", &sockets]);
        if runtime.exec(asked).await.expect("pg_isready").status == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("PostgreSQL did not become ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_held_with_all_its_backends() {
    if !have(&format!("{POSTGRES}/postgres"), "postgres") {
        return;
    }
    let mut place = Place::new();
    let runtime = open(&place);
    let spec = postgres(&*runtime, &place).await;
    let pid = runtime.ensure(&id("pg"), &spec).await.expect("start").pid.expect("pid");
    ready(&*runtime, &place).await;
    let backends = soon("the backends", || Some(children(pid)).filter(|c| c.len() >= 4)).await;
    backends.iter().for_each(|b| assert_ne!(session(*b), Some(pid), "backends leave the session"));
    let usage = runtime.usage(&id("pg")).await.expect("usage");
    assert!(usage.memory_bytes > 8 << 20 && usage.memory_bytes < 400 << 20, "{usage:?}");
    assert!(usage.open_files.is_some_and(|n| n > 20), "{usage:?}");
    runtime.reload(&id("pg")).await.expect("reload");
    soon("the reload", || std::fs::read_to_string(&spec.log_file).ok().filter(|l| l.contains("received SIGHUP"))).await;

    // The pid was lost: it is found by its mark and not mistaken for one of its backends.
    drop(runtime);
    lose_the_pid(&place, "pg");
    let runtime = open(&place);
    assert_eq!(runtime.list().await.expect("list")[0].pid, Some(pid));

    // The main process is shot while nobody looks and leaves its backends, stopped, behind: nothing
    // but the mark leads to them.
    let backends = children(pid);
    drop(runtime);
    for backend in &backends {
        place.mind(*backend);
        let backend = rustix::process::Pid::from_raw(*backend).expect("pid");
        rustix::process::kill_process(backend, rustix::process::Signal::STOP).expect("stop");
    }
    common::kill(pid);
    soon("its end", || (!lives(pid)).then_some(())).await;
    assert!(backends.iter().all(|b| lives(*b)));
    let runtime = open(&place);
    assert!(matches!(runtime.list().await.expect("list")[0].state, InstanceState::Crashed { .. }));
    let again = runtime.ensure(&id("pg"), &spec).await.expect("start").pid.expect("pid");
    assert!(backends.iter().all(|b| !lives(*b)), "two incarnations never touch the same data");
    ready(&*runtime, &place).await;

    let backends = children(again);
    runtime.stop(&id("pg"), StopMode::Graceful).await.expect("stop");
    assert!(!lives(again) && backends.iter().all(|b| !lives(*b)));
    let log = runtime.logs(&id("pg"), 1).await.expect("logs");
    assert!(log[0].contains("database system is shut down"), "{log:?}");
    let pid = runtime.ensure(&id("pg"), &spec).await.expect("start").pid.expect("pid");
    ready(&*runtime, &place).await;
    let backends = children(pid);
    runtime.stop(&id("pg"), StopMode::Kill).await.expect("kill");
    assert!(!lives(pid) && backends.iter().all(|b| !lives(*b)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_found_though_it_overwrites_its_environment() {
    let program = "/usr/bin/redis-server";
    if !have(program, "redis") {
        return;
    }
    let place = Place::new();
    let runtime = open(&place);
    let dir = place.path().join("redis");
    runtime.put_dir(Some("redis"), &dir, 0o700).await.expect("dir");
    let socket = dir.join("s");
    let mut spec = place.spec(program, &["--port", "0", "--unixsocket", socket.to_str().expect("path"), "--save", ""]);
    (spec.user, spec.working_dir, spec.log_file) = (Some("redis".into()), dir.clone(), dir.join("log"));
    let pid = runtime.ensure(&id("rd"), &spec).await.expect("start").pid.expect("pid");
    soon("the socket", || socket.exists().then_some(())).await;
    let environ = std::fs::read(format!("/proc/{pid}/environ")).expect("environ");
    assert!(!environ.windows(8).any(|w| w == b"MAINSTAY"), "if this fails Redis has become better than we think");
    drop(runtime);
    lose_the_pid(&place, "rd");
    let runtime = open(&place);
    assert_eq!(runtime.list().await.expect("list")[0].pid, Some(pid));
    runtime.stop(&id("rd"), StopMode::Graceful).await.expect("stop");
    assert!(!lives(pid));
    assert!(!socket.exists(), "a graceful stop lets it clean up");
}
