//! What every runtime promises, tried on each one in the list. Nothing here may know how a runtime
//! does it.

mod common;

use common::{Place, exec, id, soon};
use mainstay_drivers::runtime::*;
use mainstay_model::Kind;
use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

type Open = fn(PathBuf) -> mainstay_drivers::Result<Arc<dyn Runtime>>;

macro_rules! promises {
    ($($name:ident),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for driver in mainstay_runtimes::all() {
                let place = Place::new();
                println!("runtime {}", driver.name);
                promise::$name(&place, driver.open).await;
            }
        }
    )*};
}

promises!(
    names_itself_as_in_the_list,
    ensure_is_idempotent,
    concurrent_ensures_start_one,
    the_environment_and_the_output_are_the_specs,
    a_stop_is_idempotent_and_unknown_is_stopped,
    a_stubborn_instance_is_killed_after_its_grace,
    a_kill_does_not_wait,
    an_instance_is_found_again,
    an_end_while_nobody_watched_is_told,
    a_crash_is_told_at_once_and_restarted_so_often,
    a_stop_during_restarts_ends_them,
    a_changed_spec_waits_for_the_next_start,
    what_cannot_start_is_an_error,
    a_removed_instance_is_forgotten,
    a_tool_runs_to_its_end,
    a_tool_that_takes_too_long_is_killed,
    output_has_limits,
    files_are_whole_and_have_their_mode,
    usage_and_host_are_plausible,
);

mod promise {
    use super::*;

    fn open(place: &Place, open: Open) -> Arc<dyn Runtime> {
        open(place.state()).expect("a runtime")
    }

    pub async fn names_itself_as_in_the_list(place: &Place, driver: Open) {
        let name = open(place, driver).name();
        assert!(mainstay_runtimes::all().iter().any(|d| d.name == name));
    }

    pub async fn ensure_is_idempotent(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let spec = place.spec("/usr/bin/sleep", &["1000"]);
        let first = runtime.ensure(&id("a"), &spec).await.expect("start");
        assert_eq!(first.state, InstanceState::Running);
        assert!(first.pid.is_some() && first.started_at.is_some());
        assert_eq!(runtime.ensure(&id("a"), &spec).await.expect("again"), first);
        assert_eq!(runtime.inspect(&id("a")).await.expect("look"), first);
        assert_eq!(runtime.list().await.expect("list"), [first]);
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("stop");
    }

    pub async fn concurrent_ensures_start_one(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let spec = place.spec("/usr/bin/sleep", &["1000"]);
        let (a, b) = (id("a"), id("a"));
        let (one, two) = tokio::join!(runtime.ensure(&a, &spec), runtime.ensure(&b, &spec));
        assert_eq!(one.expect("one"), two.expect("two"));
        // A start that comes while a stop is under way waits for it and then starts.
        let (stopped, started) = tokio::join!(runtime.stop(&a, StopMode::Graceful), async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            runtime.ensure(&b, &spec).await
        });
        stopped.expect("stop");
        let pid = started.expect("start").pid.expect("pid");
        assert!(common::lives(pid));
        runtime.stop(&a, StopMode::Kill).await.expect("stop");
        assert!(!common::lives(pid));
    }

    pub async fn the_environment_and_the_output_are_the_specs(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        runtime.ensure(&id("a"), &place.spec("/usr/bin/env", &[])).await.expect("start");
        soon("the end", || place.log().contains("COLOUR=blue").then_some(())).await;
        let log = place.log();
        let others: Vec<&str> = log.lines().filter(|l| !l.starts_with("COLOUR=") && !l.starts_with("MAINSTAY_")).collect();
        assert!(others.is_empty(), "{others:?}");
        // Output goes to the end of what is there, errors too.
        runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
        runtime.ensure(&id("a"), &place.spec("/usr/bin/cat", &["/no/such/file"])).await.expect("start");
        soon("the message", || place.log().contains("No such file").then_some(())).await;
        assert!(place.log().starts_with(&log));
        let last = runtime.logs(&id("a"), 1).await.expect("logs");
        assert!(last.len() == 1 && last[0].contains("No such file"), "{last:?}");
        // There is nothing to read.
        runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
        runtime.ensure(&id("a"), &place.spec("/usr/bin/wc", &["-c"])).await.expect("start");
        soon("the count", || place.log().ends_with("\n0\n").then_some(())).await;
        assert_eq!(runtime.logs(&id("nobody"), 1).await.expect_err("unknown").kind, Kind::NotFound);
    }

    pub async fn a_stop_is_idempotent_and_unknown_is_stopped(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("unknown");
        assert_eq!(runtime.inspect(&id("a")).await.expect("look").state, InstanceState::Stopped);
        assert!(runtime.list().await.expect("list").is_empty());
        let mut events = runtime.watch();
        let pid = runtime.ensure(&id("a"), &place.spec("/usr/bin/sleep", &["1000"])).await.expect("start").pid.expect("pid");
        let started = Instant::now();
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("stop");
        assert!(started.elapsed() < Duration::from_secs(3), "a willing instance was waited for");
        assert_eq!(common::state(pid), None, "nothing is left, not even a zombie");
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("again");
        let seen = runtime.inspect(&id("a")).await.expect("look");
        assert_eq!((seen.state, seen.pid), (InstanceState::Stopped, None));
        assert!(events.try_recv().is_err(), "a stop on request is no event");
        assert_eq!(runtime.reload(&id("a")).await.expect_err("not running").kind, Kind::Conflict);
        for bad in ["", "../a", "a/b", "."] {
            assert_eq!(runtime.inspect(&id(bad)).await.expect_err(bad).kind, Kind::Invalid);
        }
    }

    pub async fn a_stubborn_instance_is_killed_after_its_grace(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let mut spec = place.spec("/usr/bin/env", &["--ignore-signal=TERM", "sleep", "1000"]);
        spec.grace = Duration::from_millis(300);
        spec.env.insert("PATH".into(), "/usr/bin".into());
        let pid = runtime.ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
        soon("sleep", || std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().filter(|c| c == "sleep\n")).await;
        let asked = Instant::now();
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("stop");
        assert!(asked.elapsed() >= Duration::from_millis(300) && asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
        assert!(!common::lives(pid));
    }

    pub async fn a_kill_does_not_wait(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let mut spec = place.spec("/usr/bin/env", &["--ignore-signal=TERM", "sleep", "1000"]);
        spec.grace = Duration::from_secs(60);
        spec.env.insert("PATH".into(), "/usr/bin".into());
        runtime.ensure(&id("a"), &spec).await.expect("start");
        let asked = Instant::now();
        runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
        assert!(asked.elapsed() < Duration::from_secs(3));
    }

    pub async fn an_instance_is_found_again(place: &Place, driver: Open) {
        let spec = place.spec("/usr/bin/sleep", &["1000"]);
        let started = open(place, driver).ensure(&id("a"), &spec).await.expect("start");
        let runtime = open(place, driver);
        assert_eq!(runtime.list().await.expect("list"), std::slice::from_ref(&started));
        assert_eq!(runtime.ensure(&id("a"), &spec).await.expect("ensure"), started);
        let mut events = runtime.watch();
        common::kill(started.pid.expect("pid"));
        let event = tokio::time::timeout(Duration::from_secs(2), events.recv()).await.expect("in time").expect("event");
        assert!(matches!(event, InstanceEvent::Exited { id, will_restart: false, .. } if id.0 == "a"));
    }

    pub async fn an_end_while_nobody_watched_is_told(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let mut spec = place.spec("/usr/bin/sleep", &["1000"]);
        spec.restarts = 5;
        let crashed = runtime.ensure(&id("crashed"), &spec).await.expect("start").pid.expect("pid");
        runtime.ensure(&id("stopped"), &spec).await.expect("start");
        runtime.stop(&id("stopped"), StopMode::Graceful).await.expect("stop");
        drop(runtime);
        common::kill(crashed);
        soon("the end", || (!common::lives(crashed)).then_some(())).await;
        let runtime = open(place, driver);
        let list = runtime.list().await.expect("list");
        assert!(matches!(&list[0].state, InstanceState::Crashed { detail } if !detail.is_empty()), "{list:?}");
        assert_eq!(list[1].state, InstanceState::Stopped);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(runtime.list().await.expect("list"), list, "whether it starts again is the caller's to say");
        assert_eq!(runtime.ensure(&id("crashed"), &spec).await.expect("start").state, InstanceState::Running);
        runtime.stop(&id("crashed"), StopMode::Kill).await.expect("stop");
    }

    pub async fn a_crash_is_told_at_once_and_restarted_so_often(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let mut events = runtime.watch();
        let mut spec = place.spec("/usr/bin/sleep", &["1000"]);
        spec.restarts = 3;
        let mut pid = runtime.ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
        for round in 0..4 {
            let killed = Instant::now();
            common::kill(pid);
            let exited = tokio::time::timeout(Duration::from_secs(5), events.recv()).await.expect("in time").expect("event");
            assert!(killed.elapsed() < Duration::from_millis(200), "noticed after {:?}", killed.elapsed());
            let InstanceEvent::Exited { will_restart, detail, .. } = exited else { panic!("{exited:?}") };
            assert!(detail.contains("9"), "{detail}");
            assert_eq!(will_restart, round < 3);
            if !will_restart {
                break;
            }
            assert_eq!(runtime.inspect(&id("a")).await.expect("look").state, InstanceState::Running);
            let restarted = tokio::time::timeout(Duration::from_secs(5), events.recv()).await.expect("in time").expect("event");
            assert!(matches!(restarted, InstanceEvent::Restarted { .. }), "{restarted:?}");
            let seen = runtime.inspect(&id("a")).await.expect("look");
            assert_eq!(seen.restarted, round + 1);
            pid = seen.pid.expect("pid");
        }
        let seen = runtime.inspect(&id("a")).await.expect("look");
        assert!(matches!(seen.state, InstanceState::Crashed { .. }), "{seen:?}");
        assert_eq!(common::state(pid), None, "no zombie is left");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(events.try_recv().is_err());
    }

    pub async fn a_stop_during_restarts_ends_them(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let mut spec = place.spec("/usr/bin/false", &[]);
        spec.restarts = 100;
        let mut events = runtime.watch();
        runtime.ensure(&id("a"), &spec).await.expect("start");
        for _ in 0..3 {
            tokio::time::timeout(Duration::from_secs(5), events.recv()).await.expect("in time").expect("event");
        }
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("stop");
        while events.try_recv().is_ok() {}
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(events.try_recv().is_err());
        assert_eq!(runtime.inspect(&id("a")).await.expect("look").state, InstanceState::Stopped);
    }

    pub async fn a_changed_spec_waits_for_the_next_start(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let first = runtime.ensure(&id("a"), &place.spec("/usr/bin/sleep", &["1000"])).await.expect("start");
        let changed = place.spec("/usr/bin/sleep", &["2000"]);
        assert_eq!(runtime.ensure(&id("a"), &changed).await.expect("ensure").pid, first.pid);
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("stop");
        let second = runtime.ensure(&id("a"), &changed).await.expect("start");
        assert_ne!(second.pid, first.pid);
        let line = std::fs::read(format!("/proc/{}/cmdline", second.pid.expect("pid"))).expect("cmdline");
        assert_eq!(line, b"/usr/bin/sleep\x002000\0");
        runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
    }

    pub async fn what_cannot_start_is_an_error(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let absent = runtime.ensure(&id("a"), &place.spec("/no/such/program", &[])).await.expect_err("absent");
        assert!(absent.message.contains("/no/such/program") && absent.message.contains('a'), "{absent}");
        assert_eq!(runtime.inspect(&id("a")).await.expect("look").state, InstanceState::Stopped);
        let relative = runtime.ensure(&id("b"), &place.spec("sleep", &["1"])).await.expect_err("relative");
        assert_eq!(relative.kind, Kind::Invalid);
        let mut nowhere = place.spec("/usr/bin/sleep", &["1"]);
        nowhere.working_dir = place.path().join("missing");
        runtime.ensure(&id("c"), &nowhere).await.expect_err("nowhere");
        let mut unlogged = place.spec("/usr/bin/sleep", &["1"]);
        unlogged.log_file = place.path().join("missing/x.log");
        let error = runtime.ensure(&id("d"), &unlogged).await.expect_err("no log");
        assert!(error.message.contains("missing"), "{error}");
    }

    pub async fn a_removed_instance_is_forgotten(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let pid = runtime.ensure(&id("a"), &place.spec("/usr/bin/sleep", &["1000"])).await.expect("start").pid.expect("pid");
        runtime.remove(&id("a")).await.expect("remove");
        assert!(!common::lives(pid));
        assert!(runtime.list().await.expect("list").is_empty());
        runtime.remove(&id("a")).await.expect("again");
        assert!(place.path().join("out.log").exists(), "data and logs are not the runtime's to remove");
        assert!(open(place, driver).list().await.expect("list").is_empty());
    }

    pub async fn a_tool_runs_to_its_end(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let mut cat = exec("/usr/bin/cat", &[]);
        cat.stdin = vec![7; 3 << 20];
        let out = runtime.exec(cat.clone()).await.expect("cat");
        assert_eq!((out.status, out.stdout == cat.stdin, out.stderr.as_str()), (0, true, ""));
        let out = runtime.exec(exec("/usr/bin/cat", &["/no/such/file"])).await.expect("cat");
        assert!(out.status == 1 && out.stderr.contains("No such file"), "{out:?}");
        let mut unread = exec("/usr/bin/true", &[]);
        unread.stdin = vec![7; 3 << 20];
        assert_eq!(runtime.exec(unread).await.expect("true").status, 0);
        let mut env = exec("/usr/bin/env", &[]);
        env.env.insert("A".into(), "b c".into());
        let out = String::from_utf8(runtime.exec(env).await.expect("env").stdout).expect("text");
        assert!(out.lines().filter(|l| !l.starts_with("MAINSTAY_")).eq(["A=b c"]), "{out}");
        let out = runtime.exec(exec("/usr/bin/timeout", &["-s", "KILL", "0.1", "/usr/bin/sleep", "9"])).await.expect("timeout");
        assert!(out.status == -9 || out.status == 137, "{out:?}");
        assert!(runtime.exec(exec("/no/such/tool", &[])).await.expect_err("absent").message.contains("/no/such/tool"));
    }

    pub async fn a_tool_that_takes_too_long_is_killed(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let mut slow = exec("/usr/bin/timeout", &["--foreground", "7001", "/usr/bin/sleep", "7002"]);
        slow.timeout = Duration::from_millis(300);
        let began = Instant::now();
        let error = runtime.exec(slow).await.expect_err("too slow");
        assert_eq!(error.kind, Kind::TimedOut);
        assert!(error.message.contains("timeout") && began.elapsed() < Duration::from_secs(5));
    }

    pub async fn output_has_limits(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let out = runtime.exec(exec("/usr/bin/head", &["-c", "67108864", "/dev/zero"])).await.expect("64 MiB");
        assert_eq!(out.stdout.len(), 64 << 20);
        let error = runtime.exec(exec("/usr/bin/cat", &["/dev/zero"])).await.expect_err("endless");
        assert_eq!(error.kind, Kind::TooLarge);
        let names: Vec<String> = (0..5000).map(|i| format!("/no/such/file/at/all/{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let out = runtime.exec(exec("/usr/bin/cat", &names)).await.expect("cat");
        assert!(out.stderr.len() == 64 << 10 && out.stderr.contains("/4999:"), "{}", out.stderr.len());
    }

    pub async fn files_are_whole_and_have_their_mode(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        let dir = place.path().join("x/y/z");
        runtime.put_dir(None, &dir, 0o750).await.expect("dir");
        runtime.put_dir(None, &dir, 0o700).await.expect("again");
        let mode = |path: &std::path::Path| std::fs::metadata(path).expect("stat").permissions().mode() & 0o7777;
        assert_eq!(mode(&dir), 0o700);
        let file = |content: &[u8], mode| FileSpec { path: dir.join("f"), content: content.into(), mode };
        runtime.put_files(None, vec![file(b"one", 0o640)]).await.expect("write");
        assert_eq!((std::fs::read(dir.join("f")).expect("read").as_slice(), mode(&dir.join("f"))), (&b"one"[..], 0o640));
        runtime.put_files(None, vec![file(b"two", 0o600)]).await.expect("write");
        assert_eq!((std::fs::read(dir.join("f")).expect("read").as_slice(), mode(&dir.join("f"))), (&b"two"[..], 0o600));
        assert_eq!(std::fs::read_dir(&dir).expect("dir").count(), 1, "nothing is left beside it");
        // A link is replaced, not written through.
        std::fs::write(place.path().join("victim"), "mine").expect("write");
        std::fs::remove_file(dir.join("f")).expect("remove");
        std::os::unix::fs::symlink(place.path().join("victim"), dir.join("f")).expect("link");
        runtime.put_files(None, vec![file(b"three", 0o600)]).await.expect("write");
        assert_eq!(std::fs::read_to_string(place.path().join("victim")).expect("read"), "mine");
        assert!(std::fs::symlink_metadata(dir.join("f")).expect("stat").is_file());
        let missing = FileSpec { path: place.path().join("nowhere/f"), content: vec![], mode: 0o600 };
        assert!(runtime.put_files(None, vec![missing]).await.expect_err("no directory").message.contains("nowhere"));
        let climbing = FileSpec { path: place.path().join("x/../f"), content: vec![], mode: 0o600 };
        runtime.put_files(None, vec![climbing]).await.expect_err("..");
    }

    pub async fn usage_and_host_are_plausible(place: &Place, driver: Open) {
        let runtime = open(place, driver);
        assert_eq!(runtime.usage(&id("a")).await.expect_err("not running").kind, Kind::Conflict);
        let busy = place.spec("/usr/bin/timeout", &["1000", "/usr/bin/sha256sum", "/dev/zero"]);
        runtime.ensure(&id("a"), &busy).await.expect("start");
        tokio::time::sleep(Duration::from_millis(800)).await;
        let usage = runtime.usage(&id("a")).await.expect("usage");
        assert!(usage.cpu_seconds > 0.01 && usage.memory_bytes > 100_000, "{usage:?}");
        assert!(usage.open_files.is_some_and(|n| n >= 6), "{usage:?}");
        assert!(usage.disk_read_bytes.is_some() && usage.disk_written_bytes.is_some(), "our own may be looked at: {usage:?}");
        runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
        let host = runtime.host(place.path()).await.expect("host");
        assert!(host.cpus > 0 && host.memory_bytes > 1 << 26 && host.disk_total_bytes >= host.disk_free_bytes && host.boot_id.len() == 36);
        assert_eq!(host.is_root, rustix::process::geteuid().is_root());
        runtime.host(std::path::Path::new("/no/such/place")).await.expect_err("absent");
    }
}
