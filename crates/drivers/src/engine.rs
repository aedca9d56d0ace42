//! The engine contract: how one kind of database is set up, watched, handed over, captured and
//! brought back. An engine runs inside the agent, next to the processes it speaks of.
//!
//! An engine decides nothing about a cluster: the control plane names the verbs and their order.

use crate::{
    Result,
    gate::Gate,
    progress::Progress,
    runtime::{FileSpec, InstanceSpec, Runtime},
    storage::{Known, Source},
};
use async_trait::async_trait;
use mainstay_model::{
    ClusterId, ClusterName, NodeId, Time,
    backup::{Check, Facts},
    cluster::Mode,
    credentials::{Accounts, Credentials},
    engine::Parameter,
    node::{Observed, Position},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// What does not change about an engine.
#[derive(Debug, Clone)]
pub struct Info {
    /// As written in `--engine`.
    pub name: &'static str,
    pub title: &'static str,
    pub default_port: u16,
    pub modes: &'static [Mode],
    /// One line: how to get it on a machine that lacks it.
    pub install_hint: &'static str,
    /// How the storage should cut this engine's data.
    pub chunking: Chunking,
    /// URL scheme of `cluster credentials`: `postgresql`, `redis`.
    pub url_scheme: &'static str,
    /// Extension of `backup download`, `tar.zst` for a data directory.
    pub download_extension: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Chunking {
    /// Cut at every `n` bytes: for page files and streams without insertions.
    Fixed(u32),
    /// Content-defined, about 1 MiB: for dumps.
    ContentDefined,
}

/// One installed version of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Full version as the server itself says it: `15.18`, `7.0.15`.
    pub version: String,
    pub bin_dir: PathBuf,
    /// The package's OS user, where there is one.
    pub user: Option<String>,
    /// Extra variables its programs need (`LD_LIBRARY_PATH` of an unpacked package).
    pub env: BTreeMap<String, String>,
}

/// All that is wanted of one node; the control plane writes it, the agent keeps a copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePlan {
    pub id: NodeId,
    /// `<cluster>-<number>`.
    pub name: String,
    pub cluster: ClusterId,
    pub cluster_name: ClusterName,
    pub engine: String,
    /// As chosen at deploy; matched against [`Installed::version`] by prefix.
    pub version: String,
    pub address: IpAddr,
    pub port: u16,
    pub settings: BTreeMap<String, String>,
    pub accounts: Accounts,
    /// Whether its log is kept: who becomes the primary holds it from the first byte on.
    #[serde(default)]
    pub keeps_log: bool,
}

/// A peer to replicate from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    pub node: NodeId,
    pub name: String,
    pub address: IpAddr,
    pub port: u16,
}

/// Where a node's files are. All below `root`, which is 0700 and owned by the engine's user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    pub root: PathBuf,
    /// The data directory this look at the node means: `root/data`, or a sibling while a restore
    /// is being checked beside the live one.
    pub data: PathBuf,
    pub run: PathBuf,
    pub log: PathBuf,
    /// Short enough for Unix sockets (at most 90 bytes with the socket's own name), private to the user.
    pub sockets: PathBuf,
}

/// How reachable a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// On the node's address and port.
    Served,
    /// On a Unix socket in `paths.sockets` only: no TCP, no archiving, no replication, no jobs.
    Isolated,
}

/// One node as an engine sees it: plan, places, programs, and the runtime to run tools with.
#[derive(Clone)]
pub struct Node {
    pub plan: NodePlan,
    pub paths: Paths,
    pub installed: Installed,
    pub exposure: Exposure,
    pub runtime: Arc<dyn Runtime>,
}

/// What the agent must start for a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Written before the start.
    pub files: Vec<FileSpec>,
    pub spec: InstanceSpec,
    /// How long from start until `probe` says ready, when nothing needs recovery.
    pub ready_within: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Configured {
    Unchanged,
    Reloaded,
    /// Written; takes effect at the next start.
    RestartNeeded,
}

#[async_trait]
pub trait Engine: Send + Sync {
    fn info(&self) -> Info;

    /// Versions on this machine, newest first. Looks at well-known places and at the folders in
    /// `extra` (unpacked packages). An empty list is not an error.
    async fn discover(&self, runtime: &dyn Runtime, extra: &[PathBuf]) -> Vec<Installed>;

    /// What a user may set for `version`. What is not listed is refused.
    fn parameters(&self, version: &str) -> Vec<Parameter>;

    /// Files to write and the process to run, from the plan alone. Pure. Does not say whether the
    /// node is primary or replica: that lives in the data directory, which survives restarts.
    fn service(&self, node: &Node) -> Service;

    /// Makes `paths.data` hold a new, empty, primary database with the plan's accounts' admin set
    /// up. Runs before the first start. A directory that an interrupted call left half done is
    /// done again; one that is complete is left alone.
    async fn bootstrap(&self, node: &Node) -> Result<()>;

    /// Makes `paths.data` (empty or absent) ready to start as a replica of `upstream`, copying
    /// what must be copied before the start. Half done is done again from the start.
    async fn join(&self, node: &Node, upstream: &Upstream, progress: &Progress) -> Result<()>;

    /// On the primary `node`: removes what `leaving` left behind (slots, ACLs). Absent is done.
    async fn leave(&self, node: &Node, leaving: &Upstream) -> Result<()>;

    /// Looks at the running instance. Never fails: what cannot be seen is unknown. Bounded to 3 s.
    async fn probe(&self, node: &Node, now: Time) -> Observed;

    /// Brings the running instance's settings to `node.plan.settings` (already validated).
    async fn configure(&self, node: &Node) -> Result<Configured>;

    /// Runs right after a start became ready, on primaries and replicas alike, and brings
    /// run-time-only state in line (a Redis replica's `masterauth`, say). Most need nothing.
    async fn started(&self, _node: &Node) -> Result<()> {
        Ok(())
    }

    fn failover(&self) -> Option<&dyn Failover> {
        None
    }
    fn backups(&self) -> Option<&dyn Backups> {
        None
    }
    fn accounts(&self) -> Option<&dyn AccountKeeper> {
        None
    }
    fn incremental(&self) -> Option<&dyn Incremental> {
        None
    }
    fn consistency(&self) -> Option<&dyn Consistency> {
        None
    }
    fn questions(&self) -> Option<&dyn Questions> {
        None
    }
    fn segments(&self) -> Option<&dyn crate::segments::Segments> {
        None
    }
    fn console(&self) -> Option<&dyn crate::console::Console> {
        None
    }
}

/// The verbs of a planned hand-over, in the order the control plane calls them:
/// `stop_writes(old)`, `position(old)`, `wait_for(new, position)`, `promote(new)`, `follow(…)`.
#[async_trait]
pub trait Failover: Send + Sync {
    async fn position(&self, node: &Node) -> Result<Position>;
    /// After this returns no write is acknowledged by `node` until `resume_writes`, a restart or
    /// `follow`. For PostgreSQL a fast stop, after which `position` reads the shutdown checkpoint;
    /// `stopped` says whether the process is gone now. Sessions of clients end here at the latest.
    async fn stop_writes(&self, node: &Node) -> Result<WritesStopped>;
    /// Undoes `stop_writes` on a node that still runs. (A stopped one is started by the agent.)
    async fn resume_writes(&self, node: &Node) -> Result<()>;
    /// Returns when the replica holds `position`; an error names what is missing, in bytes.
    async fn wait_for(&self, node: &Node, position: &Position, timeout: Duration) -> Result<()>;
    /// Makes the replica a writable primary. `replicas` are the nodes that will follow it, so that
    /// slots exist before they come. Already primary is done.
    async fn promote(&self, node: &Node, replicas: &[Upstream]) -> Result<()>;
    /// Makes the node replicate from `upstream`, keeping its data where histories allow. Works on
    /// a running replica, a running ex-primary (Redis family) and a cleanly stopped ex-primary
    /// (PostgreSQL: writes the files; the agent starts it after). Already following is done.
    async fn follow(&self, node: &Node, upstream: &Upstream) -> Result<()>;
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WritesStopped {
    /// The last position of the old primary: whoever takes over must hold it.
    pub position: Position,
    /// Whether the engine is stopped now (and `follow` means write files, then start).
    pub stopped: bool,
}

/// Capture and restore. Capture happens next to a running engine without stopping it.
#[async_trait]
pub trait Backups: Send + Sync {
    /// A source that reads the running `node` at one consistent point. Entries come in path order.
    /// Late entries (WAL, label) may wait until earlier ones have been read to their end.
    /// Dropping the source releases everything it holds on the engine.
    async fn capture(&self, node: &Node, progress: &Progress) -> Result<Box<dyn Source>>;

    /// Turns `paths.data`, into which a snapshot's entries were written as they were captured,
    /// into a directory that the isolated instance can start from, and checks it against the file
    /// list in the snapshot where there is one. `node.exposure` is `Isolated`.
    async fn prepare(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>>;

    /// With the isolated instance running and ready: ends recovery, sets `accounts`' passwords,
    /// renames database and role from `facts.names` to those of the plan, runs the engine's own
    /// integrity checks and compares counts, where `facts` has any. Errors mean the check could not be done; a check that
    /// was done and failed is in the list with `ok: false`.
    async fn check(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>>;

    /// In a throw-away instance only, after [`Self::check`]: whatever more the engine's own tools can say
    /// of the data. They may write into it; it is thrown away. A tool that is not installed is an absent
    /// check, not an error. `facts` as in [`Self::check`].
    async fn prove(&self, _node: &Node, _facts: &Facts) -> Result<Vec<Check>> {
        Ok(vec![])
    }

    /// Whether the server says with this line of its log that its data is damaged, or that it broke down.
    fn is_alarm(&self, _line: &str) -> bool {
        false
    }

    /// After the isolated instance stopped cleanly: removes what must not be there for a normal
    /// start (recovery settings, isolated configuration), so that a normal start is a primary.
    async fn settle(&self, node: &Node) -> Result<()>;

    /// Where, inside the snapshot, the file lies that is downloaded alone; `None` downloads a tar
    /// of `restored_layout` paths.
    fn download_file(&self) -> Option<&'static str> {
        None
    }

    /// Where a captured path belongs in the data directory of a plain copy made without Mainstay;
    /// `None` leaves it out. `late/backup_label` -> `backup_label`.
    fn restored_path(&self, captured: &Path) -> Option<PathBuf>;

    /// Commands for a person with `restic` alone, after `restic restore … --target DIR` ran.
    fn manual_steps(&self, version: &str) -> Vec<String>;
}

/// Questions of a user's own about the data of a running node, served or isolated.
#[async_trait]
pub trait Questions: Send + Sync {
    /// What a question is here, for people: `one SELECT, with or without WITH`.
    fn form(&self) -> &'static str;

    /// The answer as text: rows one a line, columns apart by a tab, nothing for what is null; at most
    /// [`ANSWER_BYTES`]. Asked as the cluster's user, with what that user may see, and in a way that
    /// changes nothing. The engine itself gives up after `within`, whatever becomes of us. What it will
    /// not answer is an error of the kind `Failed` or `Invalid`; one that took too long is `TimedOut`.
    async fn ask(&self, node: &Node, question: &str, within: Duration) -> Result<String>;
}

/// A longer answer is refused: assertions are about a value, not about all the data.
pub const ANSWER_BYTES: usize = 64 << 10;

/// Captures that read only what changed since an earlier one. The result is a backup like any other:
/// nothing but the storage's own pieces is shared with the earlier one.
#[async_trait]
pub trait Incremental: Send + Sync {
    /// Files of the earlier snapshot whose content the engine needs, as they were captured.
    fn lists(&self) -> &'static [&'static str];

    /// [`Backups::capture`] (with a gate, [`Consistency::capture_at`]), where `known` may be built on.
    /// The engine looks for itself whether it may: whatever does not fit costs a full read.
    async fn capture_on(&self, node: &Node, known: Arc<Known>, gate: Option<Arc<dyn Gate>>, progress: &Progress)
    -> Result<Box<dyn Source>>;
}

/// What a member of a group can do beside being captured: have its point decided together with others'.
#[async_trait]
pub trait Consistency: Send + Sync {
    /// Whether a hold waits for transactions under way. Those that do are held first, so that a
    /// client in the middle of one can still finish it with the others.
    fn waits_for_transactions(&self) -> bool;

    /// From when this returns until the hold is released or dropped, or `at_most` is over, the running
    /// primary `node` acknowledges no write; writers wait and get no error. The engine itself ends the
    /// hold when its time is over or the session that asked for it is gone: nobody else may be alive.
    async fn hold(&self, node: &Node, at_most: Duration) -> Result<Box<dyn Held>>;

    /// [`Backups::capture`], with its point decided between `gate.pass()` and `gate.passed()`.
    async fn capture_at(&self, node: &Node, gate: Arc<dyn Gate>, progress: &Progress) -> Result<Box<dyn Source>>;
}

/// A hold on writes. One that is dropped ends by itself, at the latest when its time is over.
#[async_trait]
pub trait Held: Send {
    /// An error unless no write was acknowledged since the hold began.
    async fn confirm(&mut self) -> Result<()>;
    /// Writers go on.
    async fn release(self: Box<Self>) -> Result<()>;
}

/// The accounts of a cluster.
#[async_trait]
pub trait AccountKeeper: Send + Sync {
    /// The user and database a new cluster of that name gets.
    fn credentials_for(&self, cluster: &ClusterName, password: mainstay_model::Secret) -> Credentials;
    /// Makes the plan's accounts exist with these passwords and privileges, on a running primary
    /// (and on replicas for engines that do not replicate accounts). Existing sessions stay.
    async fn ensure(&self, node: &Node) -> Result<()>;
}
