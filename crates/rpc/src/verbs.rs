//! Every verb an agent performs, with its arguments and its reply.
//!
//! Verbs that change something are `ensure`-shaped: performed twice they leave what one left. They
//! carry the whole plan of the node, so that an agent needs nobody's memory but its own disk's.

use mainstay_drivers::{
    engine::{Chunking, Configured, NodePlan, Upstream, WritesStopped},
    runtime::{HostFacts, Usage},
    storage::{Depth, FoundRepository, RepositoryKeys, RepositoryRef, SnapshotLabel, StorageReport, StorageSpec, StorageUsage, Stored},
};
use mainstay_model::{
    BackupId, ClusterId, ClusterName, Error, NodeId, Secret, Time,
    assertion::Assertion,
    backup::{Check, Facts},
    engine::EngineEntry,
    node::{Observed, Position},
    route::{ClusterRoute, RouteStatus},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, net::IpAddr};

pub trait Verb: Serialize + DeserializeOwned + Send + Sync + 'static {
    const NAME: &'static str;
    type Reply: Serialize + DeserializeOwned + Send;
}

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident : $ty:ty),* $(,)? } -> $reply:ty;)*) => {
        $($(#[$doc])* #[derive(Debug, Clone, Serialize, Deserialize)]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty),* }
        impl Verb for $name { const NAME: &'static str = stringify!($name); type Reply = $reply; })*
        /// Names of all verbs; an agent's test enumerates them.
        pub const ALL: &[&str] = &[$(stringify!($name)),*];
    };
}

verbs! {
    // ---- the host ----
    /// What this agent is and has.
    Describe {} -> Description;
    /// What the cluster's user and database are called for this engine.
    NameAccounts { engine: String, cluster: ClusterName } -> AccountNames;
    /// The first port from `port` upward that can be listened on at `address`; names the holder
    /// of `port` where it is another one.
    FindPort { address: IpAddr, port: u16 } -> FoundPort;

    // ---- a node's life ----
    /// Directories and identity file. Refuses a directory that belongs to another node.
    PrepareNode { plan: NodePlan } -> Done;
    /// A new, empty primary: data, start, readiness, accounts.
    BootstrapNode { plan: NodePlan } -> Done;
    /// A replica of `upstream`: copy, start, and wait until its link is up and it has caught up once.
    JoinNode { plan: NodePlan, upstream: Upstream } -> Done;
    /// Runs and is ready (as what its data directory says: primary or replica).
    StartNode { plan: NodePlan } -> Done;
    /// Does not run, and will not be started by anything but `StartNode`.
    StopNode { node: NodeId } -> Done;
    /// Killed, not asked, and not started again by anything before its data was replaced: another node takes
    /// its role, and what it holds may be more than that one has.
    FenceNode { node: NodeId } -> Done;
    /// Undoes `FenceNode`, but starts nothing.
    ReleaseFence { node: NodeId } -> Done;
    /// Stops it and removes everything of it from this host.
    RemoveNode { node: NodeId } -> Done;
    /// At the primary: forget `leaving`.
    LeaveNode { primary: NodePlan, leaving: Upstream } -> Done;
    /// Settings of the plan take effect, by reload where that is enough.
    ConfigureNode { plan: NodePlan } -> Configured;
    /// The plan's accounts exist with today's passwords.
    EnsureAccounts { plan: NodePlan } -> Done;

    // ---- hand-over ----
    StopWrites { plan: NodePlan } -> WritesStopped;
    /// Undoes `StopWrites`, starting the node again where that stopped it.
    ResumeWrites { plan: NodePlan } -> Done;
    WaitFor { plan: NodePlan, position: Position, timeout_ms: u64 } -> Done;
    Promote { plan: NodePlan, replicas: Vec<Upstream> } -> Done;
    /// Follows `upstream` and runs; starts a node that was stopped for the hand-over.
    Follow { plan: NodePlan, upstream: Upstream } -> Done;

    // ---- looks ----
    /// Looks at these nodes at once; each answer is bounded in time and never missing.
    Probe { plans: Vec<NodePlan> } -> BTreeMap<String, Observed>;
    NodeUsage { node: NodeId } -> NodeUsageReply;
    /// What these nodes use, at once; one that does not run, or cannot be looked at, is not in the answer.
    Measure { nodes: Vec<NodeId> } -> Measured;
    NodeLogs { node: NodeId, lines: u64 } -> Vec<String>;

    // ---- consoles ----
    /// A console on the running node, for as long as somebody reads: each chunk is one [`ConsoleSaid`] as
    /// JSON. `console` is drawn by the caller and known to nobody else. Whoever stops reading ends it, and
    /// with it what runs in it and its open transaction.
    ///
    /// [`ConsoleSaid`]: mainstay_model::console::ConsoleSaid
    OpenConsole { plan: NodePlan, console: String } -> Done;
    /// One more line. Taken when it is replied to, not yet done.
    TellConsole { console: String, line: String } -> Done;
    /// Ends the statement that runs, in the engine too.
    InterruptConsole { console: String } -> Done;

    // ---- the endpoint ----
    SetRoute { route: ClusterRoute } -> RouteStatus;
    RemoveRoute { cluster: ClusterId } -> Done;
    RouteStatuses {} -> BTreeMap<String, RouteStatus>;

    // ---- backups ----
    CheckStorage { storage: StorageSpec } -> StorageReport;
    /// The storage is held to these limits from now on, what is under way included.
    LimitStorage { storage: StorageSpec } -> Done;
    /// Captures the running node into all these repositories in one pass, and tells of each what
    /// became of it. One that has the backup already is not written again, and where one has it the
    /// others are given that same point.
    /// With a party, its point is decided together with those of the other members' captures.
    /// Giving way, reading pauses while the node is too far behind its primary, and ends with
    /// `source_behind` where that lasts.
    /// With a base only what changed since is read, where storages, node and engine are able to.
    /// A storage that says it has less room than it is expected to take is done without, before the engine is asked.
    Capture {
        plan: NodePlan,
        repositories: Vec<RepositoryRef>,
        label: SnapshotLabel,
        party: Option<Party>,
        #[serde(default)] base: Option<BuildOn>,
        #[serde(default)] giving_way: Option<GivingWay>,
        /// Bytes it is expected to add to each of the repositories, by what earlier ones added there.
        #[serde(default)] expected: Vec<Option<u64>>,
    } -> Vec<Result<Stored, Error>>;
    /// Another copy of a backup: the same point, label and facts, of whatever kinds the two are.
    CopySnapshot { from: RepositoryRef, snapshot: String, to: RepositoryRef, backup: BackupId } -> Stored;
    VerifySnapshot { repository: RepositoryRef, snapshot: String, depth: Depth } -> Verified;
    SnapshotFacts { repository: RepositoryRef, snapshot: String } -> Facts;
    ListSnapshots { repository: RepositoryRef } -> Vec<mainstay_drivers::storage::Snapshot>;
    /// Keeps the snapshot and all it needs from being removed by anybody for so long, by the storage's own
    /// clock; `None` where the storage can do no such thing.
    LockSnapshot { repository: RepositoryRef, snapshot: String, keep_seconds: u64 } -> Locked;
    /// A place that lets nobody delete fails neither of the two: the reply says why it all stays.
    DeleteSnapshots { repository: RepositoryRef, snapshots: Vec<String>, prune: bool } -> Deleted;
    RemoveRepository { repository: RepositoryRef } -> Deleted;
    EnsureKeys { repository: RepositoryRef, keys: RepositoryKeys } -> Done;
    RepositoryUsage { repository: RepositoryRef } -> StorageUsage;
    /// Streams the snapshot as one file (chunks): `.rdb`, or `.tar.zst` of the data directory.
    DownloadSnapshot { engine: String, repository: RepositoryRef, snapshot: String } -> Done;
    /// What a person types to restore without Mainstay.
    ManualCommands { engine: String, version: String, repository: RepositoryRef, snapshot: String } -> Vec<String>;

    // ---- the log ----
    /// The log of the running primary is taken over as it is written, for this line; another line begins
    /// anew. What lies before `trim_before` is removed from the spool, and the oldest of it where it
    /// takes more than `limit_bytes`.
    /// Those of `others` that run hold no log for it.
    KeepLog { plan: NodePlan, others: Vec<NodePlan>, line: String, trim_before: u64, limit_bytes: u64 } -> KeptLog;
    /// Stores what the spool of this line holds after `from` and up to `to`, read back before it counts.
    /// `label.backup` makes it one part however often it is asked for. `garbage` is removed after that, where that can be done.
    StoreLog { plan: NodePlan, line: String, repository: RepositoryRef, label: SnapshotLabel, from: u64, to: Position, until: Time, garbage: Vec<String> } -> StoredLog;
    /// Nothing of the cluster's log is taken over any more and the spool is gone; those of `nodes` that
    /// run hold no log for it.
    ReleaseLog { cluster: ClusterId, nodes: Vec<NodePlan> } -> Done;

    // ---- recovery ----
    /// What lies in the place, asked with nothing but a recovery key.
    DiscoverStorage { storage: StorageSpec, recovery: Secret } -> Vec<FoundRepository>;
    /// Opens the repository with a recovery key, lets its own keys open it from now on (none is
    /// removed), and says what it holds: a backup whose structure is damaged carries an error.
    AdoptRepository { repository: RepositoryRef, recovery: Secret } -> FoundRepository;
    /// Opens the repository anew with its own key, as one would who has nothing else.
    CheckKey { repository: RepositoryRef } -> Done;
    /// What the repository's format has a person keep besides a key, if it does.
    ExportKey { repository: RepositoryRef } -> Option<Secret>;
    /// Stores the copy of the control plane that lies in `control-plane/<backup id>` of this agent's
    /// data directory, and keeps the newest `keep` of the repository as far as the place lets the others go.
    StoreControlPlane { repository: RepositoryRef, label: SnapshotLabel, keep: u64 } -> StoredCopy;

    // ---- restore ----
    /// Before a restore to a node that may be lost: where its directory is gone it is made anew, empty,
    /// and what was known of its data is forgotten. Where it is there nothing is done.
    ReclaimNode { plan: NodePlan } -> Done;
    /// Writes the snapshot beside the live data, below the node's root as `label`, checks it
    /// against its file list, starts it isolated, ends recovery with the plan's accounts and names,
    /// compares counts, stops it. After that the directory is ready to be swapped in. Half done
    /// (an interrupted call) is done again from the start. The live data is not touched.
    /// With a drill, more is asked of it while it runs, and of its log: see [`RestoredBeside::proof`].
    /// With `replay` the log is fetched too, and replayed to its moment before the checks.
    RestoreBeside { plan: NodePlan, repository: RepositoryRef, snapshot: String, label: String, #[serde(default)] drill: Option<Drill>, #[serde(default)] replay: Option<Replay> } -> RestoredBeside;
    /// A user's assertions, asked of the running node: one check each, in their order.
    Assert { plan: NodePlan, assertions: Vec<Assertion> } -> Vec<Check>;
    /// With the node stopped: `data` becomes `aside`, `label` becomes `data`. Done already when
    /// `label` is gone and `aside` is there. With `label` empty only puts `data` aside.
    SwapData { plan: NodePlan, label: String, aside: String } -> Done;
    /// The reverse of `SwapData`: `aside` becomes `data` again, what was `data` becomes `label`.
    SwapBack { plan: NodePlan, label: String, aside: String } -> Done;
    /// Removes a directory that `RestoreBeside` or `SwapData` left under the node's root. Never `data`.
    DropBeside { node: NodeId, label: String } -> Done;
}

/// An earlier good backup that a new one may be built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildOn {
    pub backup: BackupId,
    /// Its snapshot in each of the repositories that are written to, in their order.
    pub snapshots: Vec<Option<String>>,
}

/// When a replica that is read from is left alone for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GivingWay {
    /// What it follows.
    pub primary: NodePlan,
    /// How far it may be behind. It is read from again at half of that.
    pub lag_bytes: u64,
    pub lag_seconds: f64,
    /// How long a pause lasts at most.
    pub wait_seconds: u64,
}

/// Captures that have one point together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    pub id: String,
    /// How many captures there are.
    pub members: usize,
    /// How long the first waits at most for the last to begin.
    pub gather_ms: u64,
    /// How long writes may be held at most.
    pub hold_ms: u64,
}

/// What is asked of a throw-away instance beside what every restore is checked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    pub assertions: Vec<Assertion>,
}

/// The log a restore replays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    pub until: Time,
    /// Where the parts lie; it need not be where the backup does.
    pub repository: RepositoryRef,
    /// Their snapshots, oldest first.
    pub parts: Vec<String>,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptLog {
    pub position: Position,
    /// Up to when `position` is everything; `None` where the spool is behind.
    pub at: Option<Time>,
    pub broken: Option<String>,
    pub spool_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredLog {
    pub stored: Stored,
    pub from: u64,
    pub to: Position,
    pub until: Time,
    pub first: String,
    pub last: String,
    pub pieces: u64,
    /// `None` where the garbage is still to be removed.
    #[serde(default)]
    pub garbage: Option<Deleted>,
}

/// What became of a deletion that did not fail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Why what was given up stays where it is: nobody may delete there.
    #[serde(default)]
    pub stays: Option<String>,
}

/// A copy of the control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCopy {
    pub stored: Stored,
    /// Why older ones than are kept stay.
    #[serde(default)]
    pub stays: Option<String>,
}

/// The reply of verbs whose success says it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub version: String,
    pub host_name: String,
    pub host: HostFacts,
    pub engines: Vec<EngineEntry>,
    /// `127.A.B.0`: the block node and endpoint addresses are drawn from.
    pub block: IpAddr,
    pub runtime: String,
    pub storage_kinds: Vec<String>,
    /// By engine name, for every engine in the list, available or not.
    pub facts: BTreeMap<String, EngineFacts>,
}

/// What the control plane needs to know of an engine and users do not see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineFacts {
    pub chunking: Chunking,
    pub url_scheme: String,
    pub download_extension: String,
    /// Whether its point can be decided together with others'.
    pub consistent: bool,
    /// What a user's question about the data is, for people; nothing where none can be asked.
    #[serde(default)]
    pub questions: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountNames {
    pub user: String,
    pub database: Option<String>,
}

/// Asks the effects of an operation to stop, and returns when they have. Performed by the server of
/// the contract itself, not by the agent behind it; not `ensure`-shaped verbs but the way out of one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cancel {
    pub operation: String,
}

impl Verb for Cancel {
    const NAME: &'static str = "Cancel";
    type Reply = Done;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundPort {
    pub port: u16,
    pub holder: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeUsageReply {
    pub usage: Usage,
    pub data_bytes: u64,
    pub disk_free_bytes: u64,
    pub disk_total_bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub nodes: BTreeMap<String, NodeMeasured>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeMeasured {
    pub usage: Usage,
    /// Of the machine it runs on and of the file system that its data lie on.
    pub host: HostFacts,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Locked {
    pub until: Option<Time>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestoredBeside {
    pub checks: Vec<Check>,
    pub facts: Facts,
    pub bytes: u64,
    pub seconds: f64,
    /// From the start of the isolated engine until it answered.
    pub start_seconds: f64,
    /// Of a drill: what the engine's own tools, its log and the user's assertions say. Those that failed
    /// are among them.
    #[serde(default)]
    pub proof: Vec<Check>,
}
