//! The agent acts, next to the databases: it makes and starts nodes, hands over, captures and
//! restores, as the control plane orders. It decides nothing about a cluster, and names no engine,
//! runtime or storage: what it has of each comes in [`Parts`].
//!
//! Everything it needs to know after a crash is on its own disk before it acts ([`registry`]), and
//! every verb done twice leaves what one left, so a caller that lost a reply makes the call again.
//! Engines are nobody's children: after a restart the agent finds those that run and touches none
//! of them. What was wanted running and does not run is started by the control plane's order only.

mod backups;
mod brake;
mod consoles;
mod control_plane;
mod copies;
mod disk;
mod dispatch;
mod download;
pub mod endpoint;
mod handover;
mod host;
mod locks;
mod log;
mod looks;
mod markers;
mod meeting;
mod nodes;
mod owner;
mod pipe;
mod proof;
mod pulse;
mod ready;
pub mod recovery;
mod registry;
mod relay;
mod restores;
mod room;
mod sinks;
mod spool;
mod swap;
mod tee;
mod text;
mod volumes;

pub use control_plane::{COPIES, DATABASE, INSTALLATION, KEY};
pub use endpoint::{Endpoint, Gateway, ensure_gateway};
pub use registry::Wanted;

use async_trait::async_trait;
use dispatch::Act;
use host::{Installation, InstalledEngines};
use locks::Locks;
use mainstay_drivers::{
    engine::Engine,
    progress::Progress,
    runtime::{InstanceState, Runtime},
    storage::Storages,
};
use mainstay_model::{NodeId, Result, Time};
use mainstay_rpc::{Call, Out, Performer};
use markers::Markers;
use meeting::Meetings;
use registry::Registry;
use std::{path::PathBuf, sync::Arc};
use volumes::Volumes;

/// What an agent is made of.
pub struct Parts {
    pub data_dir: PathBuf,
    pub engines: Vec<Arc<dyn Engine>>,
    pub runtime: Arc<dyn Runtime>,
    pub storages: Arc<dyn Storages>,
    pub endpoint: Arc<dyn Endpoint>,
    /// `/run/mainstay`, or below `$XDG_RUNTIME_DIR`: short, and empty after a reboot.
    pub sockets_root: PathBuf,
    /// Folders of unpacked packages that engines are looked for in too.
    pub engine_dirs: Vec<PathBuf>,
    /// Run engines as this OS user instead of their package's.
    pub engine_user: Option<String>,
    pub clock: fn() -> Time,
    pub version: String,
}

/// Performs the verbs of `mainstay_rpc`; serve it with [`mainstay_rpc::serve`].
pub struct Agent {
    parts: Parts,
    installation: Installation,
    volumes: Volumes,
    registry: Registry,
    markers: Markers,
    spools: spool::Spools,
    installed: InstalledEngines,
    locks: Locks,
    meetings: Meetings,
    copying: copies::Slots,
    consoles: consoles::Consoles,
}

/// One node as an agent finds it when it opens its data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adopted {
    pub node: NodeId,
    pub name: String,
    pub wanted: Wanted,
    pub state: InstanceState,
}

impl Agent {
    /// Opens the data directory: reads the records, draws what is drawn once, and clears away what
    /// a crash left that nobody will ask for again.
    pub async fn open(parts: Parts) -> Result<Arc<Agent>> {
        let own = parts.data_dir.join("agent");
        disk::own_dir(&parts.data_dir, 0o711)?;
        disk::own_dir(&own, 0o700)?;
        let installation = Installation::open(&own.join("installation.json"))?;
        let volumes = Volumes::open(parts.data_dir.clone(), parts.sockets_root.clone(), installation.id.clone())?;
        let agent = Agent {
            installation,
            volumes,
            registry: Registry::open(own.join("nodes"))?,
            markers: Markers::open(own.join("beside"))?,
            spools: spool::Spools::open(own.join("logs"))?,
            installed: InstalledEngines::default(),
            locks: Locks::default(),
            meetings: Meetings::default(),
            copying: copies::Slots::default(),
            consoles: consoles::Consoles::default(),
            parts,
        };
        agent.end_isolated_of(None).await?;
        agent.sweep();
        Ok(Arc::new(agent))
    }

    /// What runs and what does not, node by node. Nothing is started or stopped.
    pub async fn adopt(&self) -> Result<Vec<Adopted>> {
        let mut found = vec![];
        for record in self.registry.all() {
            let state = self.parts.runtime.inspect(&nodes::served(&record.plan.id)).await?.state;
            found.push(Adopted { node: record.plan.id, name: record.plan.name, wanted: record.wanted, state });
        }
        Ok(found)
    }

    /// Finishes removals that were interrupted. A large one takes a while, and nothing waits for it.
    fn sweep(&self) {
        for remnant in self.volumes.remnants() {
            tokio::task::spawn_blocking(move || {
                if let Err(e) = volumes::remove_tree(&remnant) {
                    tracing::warn!("an interrupted removal could not be finished: {e}");
                }
            });
        }
    }
}

#[async_trait]
impl Performer for Agent {
    async fn perform(&self, call: Call, progress: Progress, out: Out) -> Result<String> {
        let act = Act { generation: call.generation, progress, out };
        let done = dispatch::perform(self, &call, &act).await.map_err(|e| text::fit(e, &call.arguments));
        if let Err(e) = &done {
            let inside = e.inside.as_deref().unwrap_or_default();
            tracing::warn!(verb = call.verb, operation = call.operation, generation = call.generation, inside, "a verb failed: {e}");
        }
        done
    }
}
