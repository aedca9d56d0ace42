//! What plain processes promise beyond the contract: where they live, how they are found, and who
//! is never touched.

mod common;

use common::{Place, children, exec, id, lives, parent, session, soon, start_ticks, state};
use mainstay_drivers::runtime::*;
use mainstay_runtimes::{Options, ProcessRuntime, Traced};
use serde_json::json;
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::Arc,
    time::{Duration, Instant},
};

fn open(place: &Place) -> Arc<ProcessRuntime> {
    ProcessRuntime::new(place.state(), Options::default()).expect("a runtime")
}

/// A sleeping process that belongs to nobody's instance.
async fn stranger(place: &mut Place) -> i32 {
    let other = Place::new();
    let runtime = ProcessRuntime::new(other.state(), Options::default()).expect("a runtime");
    let pid = runtime.ensure(&id("stranger"), &other.spec("/usr/bin/sleep", &["1000"])).await.expect("start").pid.expect("pid");
    drop(runtime);
    std::fs::remove_dir_all(other.state()).expect("remove"); // from here on `place` minds it
    place.mind(pid)
}

#[tokio::test]
async fn an_instance_is_nobodys_child_in_effect() {
    let place = Place::new();
    let runtime = open(&place);
    let pid = runtime.ensure(&id("a"), &place.spec("/usr/bin/sleep", &["1000"])).await.expect("start").pid.expect("pid");
    assert_eq!(session(pid), Some(pid), "a session, and with it a group, of its own");
    let link = |fd: u32| std::fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("fd");
    assert!(link(1) == place.path().join("out.log") && link(2) == link(1));
    let flags = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/1")).expect("fdinfo");
    let flags = flags.lines().find_map(|l| l.strip_prefix("flags:")).expect("flags").trim();
    assert_ne!(u32::from_str_radix(flags, 8).expect("octal") & 0o2000, 0, "appends");
    assert_eq!(std::fs::read_dir(format!("/proc/{pid}/fd")).expect("fds").count(), 3, "nothing else of ours is open in it");
    let record = std::fs::metadata(place.state().join("a.json")).expect("record");
    assert_eq!((record.mode() & 0o777, std::fs::metadata(place.state()).expect("dir").mode() & 0o777), (0o600, 0o700));
    runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
}

#[tokio::test]
async fn a_stranger_with_a_reused_pid_is_never_signalled() {
    let mut place = Place::new();
    let stranger = stranger(&mut place).await;
    let mut spec = place.spec("/usr/bin/sleep", &["1000"]);
    spec.restarts = 3;
    let forged = |place: &Place, start: u64, phase: &str| {
        place.forge("a", |r| {
            r["main"] = json!({"pid": stranger, "start_ticks": start, "started_at": "2026-01-01T00:00:00Z"});
            r["phase"] = json!(phase);
        });
    };
    let ticks = start_ticks(stranger).expect("ticks");
    for phase in ["running", "stopping", "crashed", "stopped", "starting"] {
        let runtime = open(&place);
        runtime.ensure(&id("a"), &spec).await.expect("start");
        runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
        drop(runtime);
        forged(&place, ticks - 1, phase);
        place.forge("a", |r| r["detail"] = json!("it fell"));
        let runtime = open(&place);
        let seen = runtime.inspect(&id("a")).await.expect("look");
        assert_eq!(seen.pid, None, "{phase}");
        assert_ne!(seen.state, InstanceState::Running, "{phase}");
        assert!(runtime.reload(&id("a")).await.is_err());
        runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
        let started = runtime.ensure(&id("a"), &spec).await.expect("start");
        assert_ne!(started.pid, Some(stranger));
        runtime.remove(&id("a")).await.expect("remove");
        assert!(lives(stranger), "{phase}");
    }
}

#[tokio::test]
async fn a_record_of_before_a_reboot_names_nobody() {
    let mut place = Place::new();
    let runtime = open(&place);
    let spec = place.spec("/usr/bin/sleep", &["1000"]);
    let pid = runtime.ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
    place.mind(pid);
    drop(runtime);
    place.forge("a", |r| r["boot_id"] = json!("00000000-0000-0000-0000-000000000000"));
    let runtime = open(&place);
    let seen = runtime.list().await.expect("list").remove(0);
    assert!(matches!(&seen.state, InstanceState::Crashed { detail } if detail.contains("machine was restarted")), "{seen:?}");
    runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
    assert!(lives(pid));
}

#[tokio::test]
async fn a_process_whose_pid_was_never_recorded_is_found_by_its_mark() {
    let place = Place::new();
    let spec = place.spec("/usr/bin/timeout", &["1000", "/usr/bin/sleep", "1000"]);
    let started = open(&place).ensure(&id("a"), &spec).await.expect("start");
    let intent = |r: &mut serde_json::Value| {
        r["main"] = json!(null);
        r["phase"] = json!("starting");
    };
    place.forge("a", intent);
    let runtime = open(&place);
    let found = runtime.list().await.expect("list").remove(0);
    assert_eq!((found.pid, &found.state), (started.pid, &InstanceState::Running));
    assert_eq!(runtime.ensure(&id("a"), &spec).await.expect("ensure").pid, started.pid);
    assert_eq!(place.record("a")["main"]["pid"].as_i64(), started.pid.map(i64::from), "and it is recorded now");
    runtime.stop(&id("a"), StopMode::Graceful).await.expect("stop");
    assert!(!lives(started.pid.expect("pid")));
    drop(runtime);
    // An intent that came to nothing is a stopped instance.
    place.forge("a", intent);
    assert_eq!(open(&place).list().await.expect("list").remove(0).state, InstanceState::Stopped);
}

#[tokio::test]
async fn a_stop_takes_along_who_left_the_session() {
    let mut place = Place::new();
    let runtime = open(&place);
    // As PostgreSQL's backends: a child in a session of its own, deaf to the signal for the parent.
    let spec = place.spec("/usr/bin/setsid", &["--fork", "--wait", "/usr/bin/sleep", "1000"]);
    for mode in [StopMode::Graceful, StopMode::Kill] {
        let pid = runtime.ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
        let child = soon("the child", || children(pid).first().copied().filter(|c| session(*c) == Some(*c))).await;
        place.mind(child);
        assert!(runtime.usage(&id("a")).await.expect("usage").open_files.is_some_and(|n| n >= 6));
        runtime.stop(&id("a"), mode).await.expect("stop");
        assert!(!lives(child) && !lives(pid), "{mode:?}");
    }
}

#[tokio::test]
async fn what_a_crashed_instance_left_is_ended_before_it_starts_again() {
    let mut place = Place::new();
    let runtime = open(&place);
    let mut spec = place.spec("/usr/bin/setsid", &["--fork", "--wait", "/usr/bin/sleep", "1000"]);
    spec.restarts = 1;
    let mut events = runtime.watch();
    let pid = runtime.ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
    let child = soon("the child", || children(pid).first().copied().filter(|c| session(*c) == Some(*c))).await;
    place.mind(child);
    common::kill(pid);
    assert!(matches!(events.recv().await.expect("event"), InstanceEvent::Exited { will_restart: true, .. }));
    assert!(matches!(events.recv().await.expect("event"), InstanceEvent::Restarted { .. }));
    assert!(!lives(child));
    runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
}

#[tokio::test]
async fn an_instance_that_ran_for_a_while_is_counted_anew() {
    let place = Place::new();
    let options = Options { steady_after: Duration::from_millis(300), ..Options::default() };
    let runtime = ProcessRuntime::new(place.state(), options).expect("a runtime");
    let mut events = runtime.watch();
    let mut spec = place.spec("/usr/bin/sleep", &["0.5"]);
    spec.restarts = 1;
    runtime.ensure(&id("a"), &spec).await.expect("start");
    for _ in 0..3 {
        assert!(matches!(events.recv().await.expect("event"), InstanceEvent::Exited { will_restart: true, .. }));
        assert!(matches!(events.recv().await.expect("event"), InstanceEvent::Restarted { .. }));
        assert_eq!(runtime.inspect(&id("a")).await.expect("look").restarted, 1);
    }
    runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
}

#[tokio::test]
async fn a_stop_goes_on_when_nobody_waits_for_it() {
    let place = Place::new();
    let runtime = open(&place);
    let mut spec = place.spec("/usr/bin/env", &["--ignore-signal=TERM", "/usr/bin/sleep", "1000"]);
    spec.grace = Duration::from_millis(500);
    let pid = runtime.ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
    tokio::time::sleep(Duration::from_millis(100)).await;
    tokio::time::timeout(Duration::from_millis(50), runtime.stop(&id("a"), StopMode::Graceful)).await.expect_err("hung up");
    assert_eq!(place.record("a")["phase"], "stopping");
    let began = Instant::now();
    assert_eq!(runtime.inspect(&id("a")).await.expect("look").pid, Some(pid));
    assert!(began.elapsed() < Duration::from_millis(200), "a look does not wait for a stop");
    soon("the end", || (!lives(pid)).then_some(())).await;
    soon("the record", || (place.record("a")["phase"] == "stopped").then_some(())).await;
}

#[tokio::test]
async fn a_stop_that_we_did_not_live_to_see_is_no_crash() {
    let place = Place::new();
    let spec = place.spec("/usr/bin/sleep", &["1000"]);
    let pid = open(&place).ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
    place.forge("a", |r| r["phase"] = json!("stopping"));
    let runtime = open(&place);
    assert_eq!(runtime.inspect(&id("a")).await.expect("look").pid, Some(pid));
    let again = runtime.ensure(&id("a"), &spec).await.expect("start");
    assert!(again.pid != Some(pid) && !lives(pid), "the stop is finished before the start");
    drop(runtime);
    place.forge("a", |r| r["phase"] = json!("stopping"));
    common::kill(again.pid.expect("pid"));
    soon("the end", || (!lives(again.pid.expect("pid"))).then_some(())).await;
    assert_eq!(open(&place).inspect(&id("a")).await.expect("look").state, InstanceState::Stopped);
}

#[tokio::test]
async fn a_damaged_record_hides_no_other_and_starts_nothing_twice() {
    let place = Place::new();
    let runtime = open(&place);
    let spec = place.spec("/usr/bin/sleep", &["1000"]);
    runtime.ensure(&id("good"), &spec).await.expect("start");
    std::fs::write(place.state().join("bad.json"), "{").expect("write");
    drop(runtime);
    let runtime = open(&place);
    assert_eq!(runtime.list().await.expect("list").len(), 1);
    let error = runtime.ensure(&id("bad"), &spec).await.expect_err("damaged");
    assert!(error.message.contains("bad.json") && error.message.contains("remove the file"), "{error}");
    runtime.stop(&id("good"), StopMode::Kill).await.expect("stop");
}

/// `timeout --foreground` stays in our group and waits for a child of its own.
fn grandchild(seconds: &str) -> Exec {
    exec("/usr/bin/timeout", &["--foreground", "7000", "/usr/bin/setsid", "--fork", "--wait", "/usr/bin/sleep", seconds])
}

fn sleeper(seconds: &str) -> Option<i32> {
    let wanted = format!("/usr/bin/sleep\0{seconds}\0");
    let pids = std::fs::read_dir("/proc").expect("proc").flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    let mut pids = pids.filter(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| c == wanted.as_bytes()));
    pids.find(|pid| session(*pid) == Some(*pid))
}

fn unusual_seconds() -> String {
    format!("{}.{}", 100_000 + std::process::id(), Instant::now().elapsed().as_nanos())
        + &std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").subsec_nanos().to_string()
}

#[tokio::test]
async fn a_tool_takes_its_grandchildren_along() {
    let place = Place::new();
    let runtime = open(&place);
    let seconds = unusual_seconds();
    let mut tool = grandchild(&seconds);
    tool.timeout = Duration::from_millis(600);
    let run = tokio::spawn(async move { runtime.exec(tool).await });
    let pid = soon("the grandchild", || sleeper(&seconds)).await;
    run.await.expect("join").expect_err("too slow");
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_tool_nobody_waits_for_is_ended() {
    let place = Place::new();
    let runtime = open(&place);
    let seconds = unusual_seconds();
    let tool = grandchild(&seconds);
    let run = tokio::spawn(async move { runtime.exec(tool).await });
    let pid = soon("the grandchild", || sleeper(&seconds)).await;
    let us = std::process::id().cast_signed();
    let tool = std::iter::successors(Some(pid), |p| parent(*p)).find(|p| parent(*p) == Some(us)).expect("the tool");
    run.abort();
    soon("its end", || (!lives(pid)).then_some(())).await;
    soon("no zombie of it", || state(tool).is_none().then_some(())).await;
}

#[tokio::test]
async fn a_tool_of_a_former_life_is_ended() {
    let place = Place::new();
    let runtime = open(&place);
    let seconds = unusual_seconds();
    let tool = grandchild(&seconds);
    let run = tokio::spawn(async move { runtime.exec(tool).await });
    let pid = soon("the grandchild", || sleeper(&seconds)).await;
    let _again = tokio::task::spawn_blocking({
        let state = place.state();
        move || ProcessRuntime::new(state, Options::default())
    })
    .await
    .expect("join")
    .expect("a runtime");
    assert!(!lives(pid));
    run.abort();
}

#[tokio::test]
async fn logs_are_kept_small_under_a_running_instance() {
    let place = Place::new();
    let options = Options { log_bytes: 1 << 20, rotate_every: Duration::from_millis(50), ..Options::default() };
    let runtime = ProcessRuntime::new(place.state(), options).expect("a runtime");
    runtime.ensure(&id("a"), &place.spec("/usr/bin/timeout", &["2", "/usr/bin/yes"])).await.expect("start");
    soon("two old ones", || place.path().join("out.log.2").exists().then_some(())).await;
    runtime.stop(&id("a"), StopMode::Kill).await.expect("stop");
    soon("a small one", || (std::fs::metadata(place.path().join("out.log")).expect("log").len() <= 1 << 20).then_some(())).await;
    let names = std::fs::read_dir(place.path()).expect("dir").count();
    assert_eq!(names, 4, "the state, the log and two old ones");
    assert_eq!(runtime.logs(&id("a"), 3).await.expect("logs").last().map(String::as_str), Some("y"));
}

#[tokio::test]
async fn the_traced_runtime_is_the_runtime() {
    let place = Place::new();
    let traced = Traced::new(open(&place));
    let started = traced.ensure(&id("a"), &place.spec("/usr/bin/sleep", &["1000"])).await.expect("start");
    assert_eq!(traced.list().await.expect("list"), [started]);
    traced.stop(&id("a"), StopMode::Graceful).await.expect("stop");
    assert_eq!(traced.inspect(&id("a")).await.expect("look").state, InstanceState::Stopped);
}

/// Not a test by itself: the life of a Mainstay that starts an instance and is killed with all of
/// its process group, for [`killing_us_with_all_our_group_stops_nothing`].
#[tokio::test]
async fn a_life_cut_short() {
    let Ok(dir) = std::env::var("TEST_PLACE") else { return };
    let dir = std::path::PathBuf::from(dir);
    let runtime = ProcessRuntime::new(dir.join("state"), Options::default()).expect("a runtime");
    let mut spec = Place::new().spec("/usr/bin/sleep", &["1000"]);
    (spec.working_dir, spec.log_file) = (dir.clone(), dir.join("out.log"));
    runtime.ensure(&id("a"), &spec).await.expect("start");
    rustix::process::kill_current_process_group(rustix::process::Signal::KILL).expect("kill");
}

#[tokio::test]
async fn killing_us_with_all_our_group_stops_nothing() {
    let (outer, place) = (Place::new(), Place::new());
    let us = std::env::current_exe().expect("path");
    let mut life = exec(us.to_str().expect("path"), &["--exact", "a_life_cut_short"]);
    life.env.insert("TEST_PLACE".into(), place.path().to_str().expect("path").into());
    assert_eq!(open(&outer).exec(life).await.expect("run").status, -9);
    let runtime = open(&place);
    let mut events = runtime.watch();
    let found = runtime.list().await.expect("list").remove(0);
    let pid = found.pid.expect("alive");
    assert!(lives(pid) && found.state == InstanceState::Running);
    // It is not our child, and its end is noticed all the same.
    let killed = Instant::now();
    common::kill(pid);
    let event = tokio::time::timeout(Duration::from_secs(2), events.recv()).await.expect("in time").expect("event");
    assert!(killed.elapsed() < Duration::from_millis(200), "{:?}", killed.elapsed());
    assert!(matches!(event, InstanceEvent::Exited { will_restart: false, .. }));
    assert!(matches!(runtime.inspect(&id("a")).await.expect("look").state, InstanceState::Crashed { .. }));
}

/// Root only: whom processes and files are given to. Elsewhere the user in a spec is ignored.
mod as_root {
    use super::*;

    const USER: &str = "postgres";

    fn uid() -> Option<u32> {
        let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
        let line = passwd.lines().find(|l| l.starts_with("postgres:"))?;
        let uid = line.split(':').nth(2)?.parse().ok()?;
        rustix::process::geteuid().is_root().then_some(uid)
    }

    macro_rules! needs {
        () => {
            match uid() {
                Some(uid) => uid,
                None => {
                    mainstay_testkit::skipped(&format!("engines' users: needs root and a user {USER}"));
                    return;
                }
            }
        };
    }

    #[tokio::test]
    async fn instances_and_tools_run_as_their_user() {
        let uid = needs!();
        let place = Place::new();
        let runtime = open(&place);
        let dir = place.path().join("node");
        runtime.put_dir(Some(USER), &dir, 0o700).await.expect("dir");
        let mut spec = place.spec("/usr/bin/sleep", &["1000"]);
        (spec.user, spec.working_dir, spec.log_file) = (Some(USER.into()), dir.clone(), dir.join("node.log"));
        let pid = runtime.ensure(&id("a"), &spec).await.expect("start").pid.expect("pid");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        let line = |key: &str| status.lines().find_map(|l| l.strip_prefix(key)).expect(key).split_whitespace().collect::<Vec<_>>();
        assert_eq!(line("Uid:"), [uid.to_string().as_str(); 4]);
        assert!(line("Groups:").is_empty(), "none of root's groups");
        assert_eq!(std::fs::metadata(&spec.log_file).expect("log").uid(), uid);
        let found = open(&place).inspect(&id("a")).await.expect("look");
        assert_eq!(found.pid, Some(pid));
        runtime.stop(&id("a"), StopMode::Graceful).await.expect("stop");
        let mut whoami = exec("/usr/bin/id", &["-u"]);
        whoami.user = Some(USER.into());
        assert_eq!(runtime.exec(whoami).await.expect("id").stdout, format!("{uid}\n").into_bytes());
        spec.user = Some("no-such-user".into());
        let error = runtime.ensure(&id("b"), &spec).await.expect_err("no user");
        assert!(error.message.contains("no-such-user"), "{error}");
    }

    #[tokio::test]
    async fn files_and_directories_belong_to_their_user() {
        let uid = needs!();
        let place = Place::new();
        let runtime = open(&place);
        let node = place.path().join("nodes/nd_1");
        runtime.put_dir(Some(USER), &node, 0o700).await.expect("dir");
        runtime.put_dir(Some(USER), &node.join("data/deep"), 0o700).await.expect("dir");
        let owner = |path: &str| std::fs::metadata(place.path().join(path)).map(|m| (m.uid(), m.mode() & 0o777)).expect("stat");
        assert_eq!(owner("nodes"), (0, 0o711), "others can pass to what is theirs");
        assert_eq!((owner("nodes/nd_1"), owner("nodes/nd_1/data/deep")), ((uid, 0o700), (uid, 0o700)));
        assert_eq!(owner("nodes/nd_1/data").0, uid);
        let file = FileSpec { path: node.join("f"), content: b"x".into(), mode: 0o600 };
        runtime.put_files(Some(USER), vec![file]).await.expect("write");
        assert_eq!(owner("nodes/nd_1/f"), (uid, 0o600));
    }

    #[tokio::test]
    async fn a_parent_the_user_cannot_enter_is_refused_with_what_mends_it() {
        needs!();
        let place = Place::new();
        let runtime = open(&place);
        let closed = place.path().join("closed");
        std::fs::create_dir(&closed).expect("dir");
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).expect("mode");
        let error = runtime.put_dir(Some(USER), &closed.join("nodes/x"), 0o700).await.expect_err("closed");
        assert!(error.message.contains(&format!("chmod o+x {}", closed.display())), "{error}");
        assert!(!closed.join("nodes").exists());
    }

    #[tokio::test]
    async fn a_link_planted_by_the_user_leads_nowhere() {
        let uid = needs!();
        let place = Place::new();
        let runtime = open(&place);
        let (node, secret) = (place.path().join("node"), place.path().join("secret"));
        runtime.put_dir(Some(USER), &node, 0o700).await.expect("dir");
        std::fs::create_dir(&secret).expect("dir");
        std::os::unix::fs::symlink(&secret, node.join("log")).expect("link");
        std::os::unix::fs::lchown(node.join("log"), Some(uid), None).expect("chown");
        let file = FileSpec { path: node.join("log/f"), content: b"x".into(), mode: 0o600 };
        runtime.put_files(Some(USER), vec![file]).await.expect_err("through a link");
        runtime.put_dir(Some(USER), &node.join("log"), 0o777).await.expect_err("onto a link");
        let mut spec = place.spec("/usr/bin/sleep", &["1"]);
        spec.log_file = node.join("log/out");
        runtime.ensure(&id("a"), &spec).await.expect_err("a log through a link");
        std::os::unix::fs::symlink(secret.join("f"), node.join("out")).expect("link");
        spec.log_file = node.join("out");
        runtime.ensure(&id("a"), &spec).await.expect_err("a log that is a link");
        assert_eq!(std::fs::read_dir(&secret).expect("dir").count(), 0);
        assert_eq!(std::fs::metadata(&secret).expect("stat").uid(), 0);
        // A link of root's own, in a place only root writes to, is how data directories are moved.
        std::os::unix::fs::symlink(&node, place.path().join("moved")).expect("link");
        runtime.put_dir(Some(USER), &place.path().join("moved/data"), 0o700).await.expect("through root's link");
        assert_eq!(std::fs::metadata(node.join("data")).expect("stat").uid(), uid);
    }
}

#[tokio::test]
async fn what_is_offline_reaches_nobody_and_what_is_in_the_background_comes_last() {
    let place = Place::new();
    let runtime = open(&place);
    let ear = std::net::TcpListener::bind("127.0.0.1:0").expect("an ear");
    ear.set_nonblocking(true).expect("not waiting");
    let port = ear.local_addr().expect("its address").port().to_string();
    let mut spec = place.spec("/usr/bin/redis-cli", &["-h", "127.0.0.1", "-p", &port, "PING"]);
    runtime.ensure(&id("a"), &spec).await.expect("start");
    soon("somebody calls", || ear.accept().ok()).await;
    runtime.remove(&id("a")).await.expect("remove");

    if rustix::process::geteuid().is_root() {
        spec.offline = true;
        runtime.ensure(&id("b"), &spec).await.expect("start");
        soon("it says why not", || place.log().contains("Could not connect").then_some(())).await;
        assert!(ear.accept().is_err(), "it reached this host");
        runtime.remove(&id("b")).await.expect("remove");
    }

    let mut spec = place.spec("/usr/bin/sleep", &["1000"]);
    (spec.offline, spec.background) = (true, true);
    let seen = runtime.ensure(&id("c"), &spec).await.expect("start");
    let pid = seen.pid.expect("pid");
    assert_eq!(seen.is_offline, rustix::process::geteuid().is_root());
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    assert_eq!(of("oom_score_adj").trim(), "1000");
    let stat = of("stat");
    let nice = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(16)).expect("its nice value");
    assert_eq!(nice, "19");
    runtime.stop(&id("c"), StopMode::Kill).await.expect("stop");
    let fresh = runtime.ensure(&id("d"), &place.spec("/usr/bin/sleep", &["1000"])).await.expect("start");
    assert!(!fresh.is_offline, "only the child leaves our network, never we");
    runtime.stop(&id("d"), StopMode::Kill).await.expect("stop");
}
