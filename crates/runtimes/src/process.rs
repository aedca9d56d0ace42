//! Engines as plain processes, children of nobody.
//!
//! An instance runs in a session of its own, reads nothing, and writes into its log file without a
//! pipe in between: nothing ties it to us, and killing us, even with all our group, does not touch
//! it. We tie ourselves to it instead. A record on disk names its pid *and* start time, a pidfd
//! tells of its end at once and aims every signal, and a mark it carries finds it when the record
//! is incomplete (see `mark`, `record`, `held`, `family`).

mod doing;
mod exec;
mod family;
mod files;
mod held;
mod host;
mod instances;
mod logs;
mod mark;
mod owner;
mod procs;
mod record;
mod slot;
mod spawn;
mod supervise;
mod usage;

use async_trait::async_trait;
use doing::{Doing, blocking};
use instances::Core;
use mainstay_drivers::runtime::*;
use mainstay_model::{Error, Result};
use record::{Phase, Records};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::broadcast, task::AbortHandle};

/// What may be set about supervision; the defaults are for production.
#[derive(Debug, Clone)]
pub struct Options {
    /// An instance that ran this long has its restarts counted anew.
    pub steady_after: Duration,
    /// The wait before the first restart in a row; each further one waits twice as long.
    pub first_backoff: Duration,
    pub longest_backoff: Duration,
    /// How long killed processes may take to disappear before a stop fails.
    pub kill_within: Duration,
    /// A log file bigger than this is moved aside; two such are kept.
    pub log_bytes: u64,
    pub rotate_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            steady_after: Duration::from_secs(60),
            first_backoff: Duration::from_millis(100),
            longest_backoff: Duration::from_secs(5),
            kill_within: Duration::from_secs(30),
            log_bytes: 16 << 20,
            rotate_every: Duration::from_secs(30),
        }
    }
}

pub struct ProcessRuntime {
    core: Arc<Core>,
    rotation: AbortHandle,
}

impl ProcessRuntime {
    /// Opens the directory of records, making it if need be, and ends tools that a former life
    /// left behind. One runtime only may be open on a directory: take the data directory's lock
    /// first. Must be called within a Tokio runtime.
    ///
    /// Descriptors that our own parent left open in us are kept from all our children: a database
    /// that holds the pipe of whoever called us would keep them waiting for as long as it runs.
    pub fn new(state_dir: PathBuf, options: Options) -> Result<Arc<Self>> {
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let tokio = tokio::runtime::Handle::try_current().map_err(Error::internal)?;
        let named = state_dir.display().to_string();
        std::fs::create_dir_all(&state_dir).doing(|| format!("could not make the directory {named}"))?;
        let state_dir = state_dir.canonicalize().doing(|| format!("could not open the directory {named}"))?;
        files::put_dir(&state_dir, 0o700, None)?;
        exec::end_leftovers(&state_dir);
        let core = Arc::new(Core::new(Records::new(state_dir), options)?);
        let rotation = tokio.spawn(logs::keep_small(Arc::downgrade(&core))).abort_handle();
        Ok(Arc::new(ProcessRuntime { core, rotation }))
    }
}

impl Drop for ProcessRuntime {
    fn drop(&mut self) {
        self.rotation.abort();
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn name(&self) -> &'static str {
        "process"
    }

    /// A running instance is never restarted for a changed spec: the new one is kept for its next
    /// start. As [`Runtime::ensure`] for the rest.
    async fn ensure(&self, id: &InstanceId, spec: &InstanceSpec) -> Result<Instance> {
        self.core.ensure(id, spec).await
    }

    async fn stop(&self, id: &InstanceId, mode: StopMode) -> Result<()> {
        self.core.stop(id, mode).await
    }

    async fn reload(&self, id: &InstanceId) -> Result<()> {
        let slot = self.core.known(id).await?;
        let held = slot.held().filter(|held| !held.is_over()).ok_or_else(|| not_running(id))?;
        held.signal(rustix::process::Signal::HUP)
    }

    async fn remove(&self, id: &InstanceId) -> Result<()> {
        self.core.remove(id).await
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Instance> {
        self.core.inspect(id).await
    }

    async fn list(&self) -> Result<Vec<Instance>> {
        self.core.list().await
    }

    fn watch(&self) -> broadcast::Receiver<InstanceEvent> {
        self.core.events.subscribe()
    }

    async fn exec(&self, exec: Exec) -> Result<ExecOutput> {
        exec::run(self.core.records.dir().to_owned(), exec).await
    }

    async fn put_files(&self, user: Option<&str>, files: Vec<FileSpec>) -> Result<()> {
        let user = user.map(str::to_owned);
        blocking(move || {
            let owner = owner::resolve(user.as_deref())?;
            files.iter().try_for_each(|file| files::write(&file.path, &file.content, file.mode, owner.as_ref()))
        })
        .await
    }

    async fn put_dir(&self, user: Option<&str>, path: &Path, mode: u32) -> Result<()> {
        let (user, path) = (user.map(str::to_owned), path.to_owned());
        blocking(move || files::put_dir(&path, mode, owner::resolve(user.as_deref())?.as_ref())).await
    }

    async fn logs(&self, id: &InstanceId, lines: usize) -> Result<Vec<String>> {
        let record = self.core.known(id).await?.record().ok_or_else(|| Error::not_found("instance", &id.0))?;
        blocking(move || logs::tail(&record.spec.log_file, lines)).await
    }

    async fn usage(&self, id: &InstanceId) -> Result<Usage> {
        let record = self.core.known(id).await?.record();
        let running = record.filter(|r| matches!(r.phase, Phase::Running | Phase::Stopping)).ok_or_else(|| not_running(id))?;
        blocking(move || Ok(usage::of(&running.family()))).await
    }

    async fn host(&self, data_dir: &Path) -> Result<HostFacts> {
        let data_dir = data_dir.to_owned();
        blocking(move || host::look(&data_dir)).await
    }
}

fn not_running(id: &InstanceId) -> Error {
    Error::conflict("not_running", format!("{id} is not running; start it first"))
}
