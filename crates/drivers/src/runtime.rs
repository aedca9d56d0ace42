//! Where engines run: plain processes, later containers.
//!
//! An instance outlives whoever started it: the runtime starts it detached, records what is
//! needed to know it again (pid, start time), and after a restart of the agent finds it by that
//! record, never by pid alone.

use crate::Result;
use async_trait::async_trait;
use mainstay_model::Time;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};
use tokio::sync::broadcast;

/// Names one instance: a node's id, or a node's id and a purpose (`nd_….check`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstanceId(pub String);

impl std::fmt::Display for InstanceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to run. `program` is an absolute path that an engine's discovery found; user text never
/// becomes one, nor a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    pub program: PathBuf,
    pub args: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    pub working_dir: PathBuf,
    /// The OS user to run as where the agent is root; ignored where it is not.
    pub user: Option<String>,
    /// Engine output is appended here and rotated by copy and truncate.
    pub log_file: PathBuf,
    pub stop_signal: Signal,
    /// How long a graceful stop may take before the instance is killed.
    pub grace: Duration,
    /// How often in a row a crashed instance is started again; 0 for throw-away instances.
    pub restarts: u32,
    /// In a network of its own that leads nowhere, as far as the system lets us (as root).
    #[serde(default)]
    pub offline: bool,
    /// Last in line for the processor, and the first to go when memory runs out: nobody waits for it.
    #[serde(default)]
    pub background: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    Term,
    Int,
    Quit,
    Kill,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    Running,
    /// Ended by itself; `restarts` attempts were used up or none were allowed.
    Crashed {
        detail: String,
    },
    /// Stopped on request, or never started.
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: InstanceId,
    pub state: InstanceState,
    pub pid: Option<i32>,
    pub started_at: Option<Time>,
    /// Restarts since it last ran for a while.
    pub restarted: u32,
    /// Whether it runs in a network of its own that leads nowhere.
    #[serde(default)]
    pub is_offline: bool,
}

/// Told at once, by the kernel, not by polling.
#[derive(Debug, Clone)]
pub enum InstanceEvent {
    Exited { id: InstanceId, detail: String, will_restart: bool },
    Restarted { id: InstanceId },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopMode {
    /// The spec's signal, its grace, then kill.
    Graceful,
    /// Kill the whole process group at once.
    Kill,
}

/// One run of a tool to its end, in a process group of its own that is killed when the future is
/// dropped or the timeout passes.
#[derive(Debug, Clone)]
pub struct Exec {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub working_dir: PathBuf,
    pub user: Option<String>,
    /// Written to standard input, then closed. Secrets go here or into a 0600 file, never into `args`.
    pub stdin: Vec<u8>,
    pub timeout: Duration,
    /// As for instances: it comes last, with all it starts.
    pub background: bool,
}

#[derive(Debug, Clone)]
pub struct ExecOutput {
    /// Exit code, or -signal.
    pub status: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// A file to be written atomically, owned by `user` (where root), with `mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    pub path: PathBuf,
    pub content: Vec<u8>,
    pub mode: u32,
}

/// Memory and disk in bytes, CPU in seconds since start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub memory_bytes: u64,
    pub open_files: Option<u64>,
    /// From the disk and to it since it started; `None` where nobody may look.
    #[serde(default)]
    pub disk_read_bytes: Option<u64>,
    #[serde(default)]
    pub disk_written_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    pub cpus: u32,
    pub memory_bytes: u64,
    pub disk_total_bytes: u64,
    pub disk_free_bytes: u64,
    pub boot_id: String,
    pub is_root: bool,
}

#[async_trait]
pub trait Runtime: Send + Sync {
    fn name(&self) -> &'static str;

    /// Makes the instance run. One that runs with the same spec is left alone; a recorded one that
    /// still lives is adopted; a pid that now belongs to somebody else is never touched.
    async fn ensure(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<Instance>;

    /// Makes the instance not run and returns when the last process of its group is gone.
    /// An instance that is unknown or stopped is a success.
    async fn stop(&self, id: &InstanceId, mode: StopMode) -> Result<()>;

    /// Sends the instance's main process a reload (SIGHUP).
    async fn reload(&self, id: &InstanceId) -> Result<()>;

    /// Stops it and forgets its record. Data is not the runtime's to remove.
    async fn remove(&self, id: &InstanceId) -> Result<()>;

    /// What is known of it now, looked up afresh.
    async fn inspect(&self, id: &InstanceId) -> Result<Instance>;

    /// Every recorded instance; called at start to adopt.
    async fn list(&self) -> Result<Vec<Instance>>;

    fn watch(&self) -> broadcast::Receiver<InstanceEvent>;

    /// Runs a tool to its end. `Ok` says only that it ran: look at `status`.
    async fn exec(&self, exec: Exec) -> Result<ExecOutput>;

    /// Writes files atomically (tmp, fsync, rename) as `user`.
    async fn put_files(&self, user: Option<&str>, files: Vec<FileSpec>) -> Result<()>;

    /// Makes a directory (and its parents) with `mode`, owned by `user`.
    async fn put_dir(&self, user: Option<&str>, path: &std::path::Path, mode: u32) -> Result<()>;

    /// The last `lines` lines of the instance's log file; control bytes are the caller's to strip.
    async fn logs(&self, id: &InstanceId, lines: usize) -> Result<Vec<String>>;

    async fn usage(&self, id: &InstanceId) -> Result<Usage>;

    /// `data_dir` names the file system whose space is asked for.
    async fn host(&self, data_dir: &std::path::Path) -> Result<HostFacts>;
}
