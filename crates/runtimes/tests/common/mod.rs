//! Places and processes of a test, cleaned up also when it fails: by the pids that the records
//! name, and by nothing else.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use mainstay_drivers::runtime::*;
use rustix::process::{Pid, Signal as Sig, kill_process, kill_process_group};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub struct Place {
    dir: tempfile::TempDir,
    pids: Vec<i32>,
}

impl Place {
    pub fn new() -> Self {
        let place = Place { dir: tempfile::tempdir().expect("a directory"), pids: vec![] };
        // Engines of other users must get through to what is theirs in it.
        std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("mode");
        place
    }
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("out.log")).unwrap_or_default()
    }
    /// A process that no record names but that must not survive the test.
    pub fn mind(&mut self, pid: i32) -> i32 {
        self.pids.push(pid);
        pid
    }
    pub fn spec(&self, program: &str, args: &[&str]) -> InstanceSpec {
        InstanceSpec {
            program: program.into(),
            args: args.iter().map(|a| (*a).into()).collect(),
            env: BTreeMap::from([("COLOUR".into(), "blue".into())]),
            working_dir: self.path().into(),
            user: None,
            log_file: self.path().join("out.log"),
            stop_signal: Signal::Term,
            grace: Duration::from_secs(10),
            restarts: 0,
            offline: false,
            background: false,
        }
    }
    /// What the record of an instance says now.
    pub fn record(&self, id: &str) -> serde_json::Value {
        let text = std::fs::read(self.state().join(format!("{id}.json"))).expect("a record");
        serde_json::from_slice(&text).expect("JSON")
    }
    pub fn forge(&self, id: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let mut record = self.record(id);
        change(&mut record);
        std::fs::write(self.state().join(format!("{id}.json")), record.to_string()).expect("write");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let records = std::fs::read_dir(self.state()).into_iter().flatten().flatten();
        for record in records.filter_map(|e| serde_json::from_slice::<serde_json::Value>(&std::fs::read(e.path()).ok()?).ok()) {
            let (pid, ticks) = (record["main"]["pid"].as_i64(), record["main"]["start_ticks"].as_u64());
            if let Some(pid) = pid.filter(|pid| ticks.is_some() && start_ticks(*pid as i32) == ticks) {
                kill_process_group(Pid::from_raw(pid as i32).expect("pid"), Sig::KILL).ok();
            }
        }
        for pid in &self.pids {
            kill_process(Pid::from_raw(*pid).expect("pid"), Sig::KILL).ok();
        }
    }
}

pub fn id(name: &str) -> InstanceId {
    InstanceId(name.into())
}

/// The state letter of a process, `None` when there is none.
pub fn state(pid: i32) -> Option<char> {
    fields(pid)?.first()?.chars().next()
}

pub fn start_ticks(pid: i32) -> Option<u64> {
    fields(pid)?.get(19)?.parse().ok()
}

pub fn session(pid: i32) -> Option<i32> {
    fields(pid)?.get(3)?.parse().ok()
}

pub fn parent(pid: i32) -> Option<i32> {
    fields(pid)?.get(1)?.parse().ok()
}

fn fields(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

pub fn lives(pid: i32) -> bool {
    !matches!(state(pid), None | Some('Z'))
}

pub fn children(pid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|p| p.parse().ok()).collect()
}

pub fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("pid"), Sig::KILL).expect("kill");
}

/// Waits until `look` finds something.
pub async fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn exec(program: &str, args: &[&str]) -> Exec {
    Exec {
        program: program.into(),
        args: args.iter().map(|a| (*a).into()).collect(),
        env: BTreeMap::new(),
        working_dir: "/".into(),
        user: None,
        stdin: vec![],
        timeout: Duration::from_secs(10),
        background: false,
    }
}
