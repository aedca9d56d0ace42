//! A runtime whose processes are rows in a table. The table is the machine's, not the agent's: drop
//! the agent, open another on the same runtime, and everything still runs.
//!
//! A program is a function that is asked whether it comes up ([`FakeRuntime::install`]). Files are
//! real: configuration, directories and logs are written where the contract says.

use crate::{Faults, lock, now};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    runtime::{
        Exec, ExecOutput, FileSpec, HostFacts, Instance, InstanceEvent, InstanceId, InstanceSpec, InstanceState, Runtime, StopMode, Usage,
    },
};
use mainstay_model::{Error, Time};
use std::{
    collections::BTreeMap,
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::sync::broadcast;

/// Says whether a program started like this comes up; an error is its last line.
pub type Program = Arc<dyn Fn(&InstanceSpec) -> Result<(), String> + Send + Sync>;

pub struct FakeRuntime {
    faults: Faults,
    machine: Mutex<Machine>,
    events: broadcast::Sender<InstanceEvent>,
}

struct Machine {
    processes: BTreeMap<InstanceId, Process>,
    programs: BTreeMap<PathBuf, Program>,
    next_pid: i32,
    boots: u32,
    disk_free_bytes: u64,
}

/// One row of the table.
#[derive(Clone)]
pub struct Process {
    pub spec: InstanceSpec,
    pub state: InstanceState,
    pub pid: i32,
    pub since: Instant,
    pub restarted: u32,
    /// What a process knows and its disk does not: gone when it ends.
    pub memory: BTreeMap<String, String>,
    started_at: Time,
}

impl Process {
    pub fn runs(&self) -> bool {
        self.state == InstanceState::Running
    }

    /// The value after an argument of this name.
    pub fn argument(&self, name: &str) -> Option<&str> {
        argument(&self.spec, name)
    }
}

/// The value after an argument of this name.
pub fn argument<'a>(spec: &'a InstanceSpec, name: &str) -> Option<&'a str> {
    let at = spec.args.iter().position(|a| a == name)?;
    spec.args.get(at + 1).map(String::as_str)
}

impl FakeRuntime {
    pub fn new(faults: Faults) -> Self {
        let machine =
            Machine { processes: BTreeMap::new(), programs: BTreeMap::new(), next_pid: 1_000, boots: 1, disk_free_bytes: 100 << 30 };
        FakeRuntime { faults, machine: Mutex::new(machine), events: broadcast::channel(64).0 }
    }

    /// Puts a program on the machine.
    pub fn install(&self, path: impl Into<PathBuf>, program: Program) {
        lock(&self.machine).programs.insert(path.into(), program);
    }

    pub fn processes(&self) -> BTreeMap<InstanceId, Process> {
        lock(&self.machine).processes.clone()
    }

    pub(crate) fn put_back(&self, processes: BTreeMap<InstanceId, Process>) {
        lock(&self.machine).processes = processes;
    }

    /// Changes what a running process has in memory.
    pub fn remember(&self, id: &InstanceId, key: &str, value: Option<&str>) {
        if let Some(process) = lock(&self.machine).processes.get_mut(id).filter(|p| p.runs()) {
            match value {
                Some(value) => drop(process.memory.insert(key.into(), value.into())),
                None => drop(process.memory.remove(key)),
            }
        }
    }

    pub fn set_disk_free(&self, bytes: u64) {
        lock(&self.machine).disk_free_bytes = bytes;
    }

    /// kill -9 from outside. It is started again as often as its spec allows.
    pub fn crash(&self, id: &InstanceId) {
        let Some(process) = lock(&self.machine).processes.get(id).filter(|p| p.runs()).cloned() else { return };
        let again = process.restarted < process.spec.restarts;
        let _ = self.events.send(InstanceEvent::Exited { id: id.clone(), detail: "signal 9".into(), will_restart: again });
        if again {
            self.start(id, process.spec, process.restarted + 1);
            let _ = self.events.send(InstanceEvent::Restarted { id: id.clone() });
        } else {
            self.set_state(id, InstanceState::Crashed { detail: "signal 9".into() });
        }
    }

    /// The machine went down and came up again: nothing runs.
    pub fn reboot(&self) {
        let mut machine = lock(&self.machine);
        machine.boots += 1;
        for process in machine.processes.values_mut().filter(|p| p.runs()) {
            process.state = InstanceState::Stopped;
            process.memory.clear();
        }
    }

    fn set_state(&self, id: &InstanceId, state: InstanceState) {
        if let Some(process) = lock(&self.machine).processes.get_mut(id) {
            process.state = state;
            process.memory.clear();
        }
    }

    fn start(&self, id: &InstanceId, spec: InstanceSpec, restarted: u32) {
        let program = lock(&self.machine).programs.get(&spec.program).cloned();
        // Its own former life does not stand in its way.
        self.set_state(id, InstanceState::Stopped);
        let up = program.map_or_else(|| Err(format!("{}: no such program", spec.program.display())), |program| program(&spec));
        let (line, state, restarted) = match up {
            Ok(()) => ("ready".to_string(), InstanceState::Running, restarted),
            Err(why) => (format!("fatal: {why}"), InstanceState::Crashed { detail: "exit status 1".into() }, spec.restarts),
        };
        append(&spec.log_file, &line);
        let mut machine = lock(&self.machine);
        machine.next_pid += 1;
        let pid = machine.next_pid;
        let process = Process { spec, state, pid, since: Instant::now(), restarted, memory: BTreeMap::new(), started_at: now() };
        machine.processes.insert(id.clone(), process);
    }

    fn instance(&self, id: &InstanceId) -> Instance {
        match lock(&self.machine).processes.get(id) {
            Some(p) => Instance {
                id: id.clone(),
                state: p.state.clone(),
                pid: p.runs().then_some(p.pid),
                started_at: p.runs().then_some(p.started_at),
                restarted: p.restarted,
                is_offline: p.runs() && p.spec.offline,
            },
            None => {
                Instance { id: id.clone(), state: InstanceState::Stopped, pid: None, started_at: None, restarted: 0, is_offline: false }
            }
        }
    }
}

fn append(file: &Path, line: &str) {
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
    if let Ok(mut log) = opened {
        let _ = writeln!(log, "{line}");
    }
}

#[async_trait]
impl Runtime for FakeRuntime {
    fn name(&self) -> &'static str {
        "fake"
    }

    async fn ensure(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<Instance> {
        self.faults.before("runtime.ensure").await?;
        let same = lock(&self.machine).processes.get(id).is_some_and(|p| p.runs() && p.spec == *spec);
        if !same {
            self.start(id, spec.clone(), 0);
        }
        self.faults.after("runtime.ensure")?;
        Ok(self.instance(id))
    }

    async fn stop(&self, id: &InstanceId, mode: StopMode) -> Result<()> {
        self.faults.before("runtime.stop").await?;
        let running = lock(&self.machine).processes.get(id).cloned();
        if let Some(process) = running {
            if process.runs() && mode == StopMode::Graceful {
                append(&process.spec.log_file, "stopped");
            }
            self.set_state(id, InstanceState::Stopped);
        }
        self.faults.after("runtime.stop")
    }

    async fn reload(&self, id: &InstanceId) -> Result<()> {
        self.faults.before("runtime.reload").await?;
        match self.instance(id).state {
            InstanceState::Running => Ok(()),
            _ => Err(Error::conflict("not_running", format!("{id} does not run"))),
        }
    }

    async fn remove(&self, id: &InstanceId) -> Result<()> {
        self.faults.before("runtime.remove").await?;
        lock(&self.machine).processes.remove(id);
        self.faults.after("runtime.remove")
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Instance> {
        self.faults.before("runtime.inspect").await?;
        Ok(self.instance(id))
    }

    async fn list(&self) -> Result<Vec<Instance>> {
        self.faults.before("runtime.list").await?;
        let ids: Vec<_> = lock(&self.machine).processes.keys().cloned().collect();
        Ok(ids.iter().map(|id| self.instance(id)).collect())
    }

    fn watch(&self) -> broadcast::Receiver<InstanceEvent> {
        self.events.subscribe()
    }

    /// This machine has no tools.
    async fn exec(&self, exec: Exec) -> Result<ExecOutput> {
        self.faults.before("runtime.exec").await?;
        Ok(ExecOutput { status: 127, stdout: vec![], stderr: format!("{}: no such program", exec.program.display()) })
    }

    async fn put_files(&self, _user: Option<&str>, files: Vec<FileSpec>) -> Result<()> {
        self.faults.before("runtime.put_files").await?;
        for file in files {
            let fresh = file.path.with_extension("new");
            std::fs::write(&fresh, &file.content)?;
            std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(file.mode))?;
            std::fs::rename(&fresh, &file.path)?;
        }
        self.faults.after("runtime.put_files")
    }

    async fn put_dir(&self, _user: Option<&str>, path: &Path, mode: u32) -> Result<()> {
        self.faults.before("runtime.put_dir").await?;
        std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
        self.faults.after("runtime.put_dir")
    }

    async fn logs(&self, id: &InstanceId, lines: usize) -> Result<Vec<String>> {
        let file = lock(&self.machine).processes.get(id).map(|p| p.spec.log_file.clone());
        let text = file.and_then(|f| std::fs::read_to_string(f).ok()).unwrap_or_default();
        let all: Vec<_> = text.lines().map(String::from).collect();
        Ok(all[all.len().saturating_sub(lines)..].to_vec())
    }

    async fn usage(&self, id: &InstanceId) -> Result<Usage> {
        let running = self.instance(id).state == InstanceState::Running;
        Ok(if running {
            Usage { cpu_seconds: 0.5, memory_bytes: 1 << 20, open_files: Some(8), ..Usage::default() }
        } else {
            Usage::default()
        })
    }

    async fn host(&self, _data_dir: &Path) -> Result<HostFacts> {
        let machine = lock(&self.machine);
        Ok(HostFacts {
            cpus: 2,
            memory_bytes: 4 << 30,
            disk_total_bytes: 200 << 30,
            disk_free_bytes: machine.disk_free_bytes,
            boot_id: format!("boot-{}", machine.boots),
            is_root: false,
        })
    }
}
