//! The services every verb has at hand.

use crate::plan::candidate::LastKnown;
use async_trait::async_trait;
use mainstay_drivers::notifier::Notifiers;
use mainstay_model::{ClusterId, Error, NodeId, ProjectId, Result, Secret, Time, TokenId, node::Observed, role::Role};
use mainstay_operations::{Clock, Cx, Database, Journal, Registry, Runner, RunnerOptions};
use mainstay_rpc::{Agent, Verb, verbs::Description};
use mainstay_store::Store;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

/// Numbers a user may want otherwise. Seconds and days as named.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long new connections wait at the endpoint while no primary is writable.
    pub hold_ms: u64,
    /// How far a node may be behind and still be promoted, in bytes.
    pub promote_max_lag_bytes: u64,
    /// How long a hand-over waits for the last bytes to arrive.
    pub catch_up_ms: u64,
    /// How long the data a restore replaced stands aside.
    pub previous_days: i64,
    pub final_backup_days: i64,
    /// How far a replica may fall behind while it is read for a backup: then reading pauses.
    pub backup_lag_bytes: u64,
    pub backup_lag_seconds: f64,
    /// How long such a pause lasts at most; then the primary is read instead.
    pub backup_pause_seconds: u64,
    /// How long after each other the members of a group may begin their backups.
    pub group_gather_ms: u64,
    /// How long after its time a scheduled backup is still made: after a downtime, once.
    pub schedule_catch_up_seconds: i64,
    /// Over how long scheduled backups of the same hour are spread.
    pub schedule_jitter_seconds: i64,
    /// How often each cluster's newest good backup is tried by itself; 0 is never.
    pub drill_interval_days: i64,
    /// How old a backup is at least when it is tried by itself.
    pub drill_quiet_seconds: i64,
    /// How often what is stored is read again; 0 is never.
    pub reread_interval_days: i64,
    /// How long after its failure a copy is tried again for the first time.
    pub copy_again_seconds: i64,
    /// How often the logs of clusters are stored.
    pub log_seconds: u64,
    /// How much of a log waits on its host for a storage that is away; beyond it the oldest goes.
    pub log_spool_bytes: u64,
    /// Where endpoints listen instead of the loopback block, for clients on other machines.
    pub endpoint_address: Option<IpAddr>,
    /// Below the agent's data directory: where copies of the control plane are laid for the agent to
    /// store. Without it the control plane does not back itself up.
    pub control_plane_copies: Option<std::path::PathBuf>,
    /// How long it has to be quiet after a change before the control plane backs itself up.
    pub control_plane_quiet_seconds: f64,
    /// Where the control plane listens itself: nothing is sent there.
    pub own_addresses: Vec<SocketAddr>,
    /// Where the storage named `local` lies.
    pub default_storage: std::path::PathBuf,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            hold_ms: 8_000,
            promote_max_lag_bytes: 64 * 1024 * 1024,
            catch_up_ms: 30_000,
            previous_days: 3,
            final_backup_days: 15,
            backup_lag_bytes: 256 << 20,
            backup_lag_seconds: 60.0,
            backup_pause_seconds: 600,
            group_gather_ms: 60_000,
            schedule_catch_up_seconds: 6 * 3600,
            schedule_jitter_seconds: 30,
            drill_interval_days: 7,
            drill_quiet_seconds: 3600,
            reread_interval_days: 7,
            copy_again_seconds: 600,
            log_seconds: 10,
            log_spool_bytes: 4 << 30,
            endpoint_address: None,
            own_addresses: vec![],
            control_plane_copies: None,
            control_plane_quiet_seconds: 30.0,
            default_storage: "/var/lib/mainstay/storages/local".into(),
        }
    }
}

pub struct Parts {
    pub store: Store,
    pub agent: Agent,
    pub clock: Arc<dyn Clock>,
    pub options: Options,
    pub runner_options: RunnerOptions,
    pub notifiers: Arc<dyn Notifiers>,
}

pub struct App {
    pub store: Store,
    pub runner: Runner<App>,
    pub agent: Agent,
    pub clock: Arc<dyn Clock>,
    pub options: Options,
    pub notifiers: Arc<dyn Notifiers>,
    /// Woken when a schedule was made, changed or resumed.
    pub schedules_changed: tokio::sync::Notify,
    /// Woken when the control plane should back itself up now.
    pub control_plane_changed: tokio::sync::Notify,
    /// Woken when a drill ended: what comes of it is not put off, and the next cluster has its turn.
    pub drill_ended: tokio::sync::Notify,
    /// Woken when an operation ended: what holds now may be another thing.
    pub something_ended: tokio::sync::Notify,
    /// Clusters whose backups changed, for retention to look at.
    pub nudges: crate::tasks::expire::Nudges,
    /// Clusters that a look has shown otherwise than the one before.
    pub looks: tokio::sync::broadcast::Sender<(ClusterId, ProjectId)>,
    /// Storages that take a part of a log right now.
    pub storing_logs: crate::tasks::keep_log::Busy,
    /// What nodes used in the last hour.
    pub measures: crate::measures::Measures,
    /// Who writes to which storage, and who waits for that.
    pub turns: crate::turns::Turns,
    pub terminals: crate::terminals::Terminals,
    observed: Mutex<HashMap<NodeId, Observed>>,
    /// Where each node was when that was last known: all that is known of one that does not answer.
    positions: Mutex<HashMap<NodeId, LastKnown>>,
    description: Mutex<Option<Description>>,
}

/// Who asks. Resolved by the API from a token or a session; roles were checked there.
#[derive(Debug, Clone)]
pub struct Actor {
    /// `token:admin`, for the audit and the operation's `requested_by`.
    pub name: String,
    pub token: Option<TokenId>,
    pub administrator: bool,
    /// The project a token is bound to; `None` sees all.
    pub project: Option<mainstay_model::ProjectId>,
    /// In the project that was asked for, once that is known.
    pub role: Role,
    pub from: Option<IpAddr>,
    /// Where it is a person with a session, and no token.
    pub person: Option<Box<crate::people::Person>>,
}

impl Actor {
    /// What Mainstay does by itself.
    pub fn mainstay() -> Self {
        Actor { name: "mainstay".into(), token: None, administrator: true, project: None, role: Role::Owner, from: None, person: None }
    }

    /// `None` where the project is not there for them.
    pub fn role_in(&self, project: &mainstay_model::ProjectId) -> Option<Role> {
        match &self.person {
            _ if self.administrator => Some(Role::Owner),
            Some(person) => person.role_in(project),
            None => self.project.as_ref().is_none_or(|own| own == project).then_some(self.role),
        }
    }

    pub fn sees(&self, project: &mainstay_model::ProjectId) -> bool {
        self.role_in(project).is_some()
    }
}

/// Lets the journal use the store's pool and its way of starting a write.
pub(crate) struct StoreDatabase(pub(crate) Store);

#[async_trait]
impl Database for StoreDatabase {
    fn pool(&self) -> &sqlx::AnyPool {
        self.0.pool()
    }
    async fn begin_write(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>> {
        self.0.begin_write().await
    }
}

impl App {
    /// Opens the journal and puts the services together. Nothing runs before `runner.start`.
    pub async fn open(parts: Parts) -> Result<Arc<App>> {
        let journal = Journal::open(Arc::new(StoreDatabase(parts.store.clone()))).await?;
        let registry: Registry<App> = crate::ops::registry().heard_by(crate::notices::Notices);
        let runner = Runner::new(journal, registry, parts.clock.clone(), parts.runner_options).await?;
        let app = Arc::new(App {
            store: parts.store,
            runner: runner.clone(),
            agent: parts.agent,
            clock: parts.clock,
            options: parts.options,
            notifiers: parts.notifiers,
            schedules_changed: tokio::sync::Notify::new(),
            control_plane_changed: tokio::sync::Notify::new(),
            drill_ended: tokio::sync::Notify::new(),
            something_ended: tokio::sync::Notify::new(),
            nudges: crate::tasks::expire::Nudges::default(),
            looks: tokio::sync::broadcast::channel(1024).0,
            storing_logs: crate::tasks::keep_log::Busy::default(),
            measures: crate::measures::Measures::default(),
            turns: crate::turns::Turns::default(),
            terminals: crate::terminals::Terminals::default(),
            observed: Mutex::default(),
            positions: Mutex::default(),
            description: Mutex::default(),
        });
        runner.set_world(Arc::downgrade(&app));
        crate::projects::ensure_default(&app).await?;
        crate::storages::ensure_default(&app).await?;
        Ok(app)
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// What the host has, asked once and kept until [`App::forget_description`].
    pub async fn description(&self) -> Result<Description> {
        if let Some(d) = lock(&self.description).clone() {
            return Ok(d);
        }
        let fresh = self.agent.look(&mainstay_rpc::verbs::Describe {}).await?;
        *lock(&self.description) = Some(fresh.clone());
        Ok(fresh)
    }

    /// Engines may have been installed since: the next look asks the agent again.
    pub fn forget_description(&self) {
        *lock(&self.description) = None;
    }

    /// The latest look at a node, or unknown.
    pub fn observed(&self, node: &NodeId) -> Observed {
        lock(&self.observed).get(node).cloned().unwrap_or_else(|| Observed::unknown(self.now(), "not looked at yet"))
    }

    /// Whether it is another one than before, but for its moment.
    pub fn note_observed(&self, node: NodeId, observed: Observed) -> bool {
        let at = observed.at;
        if let Some(position) = &observed.position {
            lock(&self.positions).insert(node.clone(), (position.clone(), at));
        }
        let before = lock(&self.observed).insert(node, observed.clone());
        before.is_none_or(|before| Observed { at, ..before } != observed)
    }

    /// A node's position when it was last known, and when that was.
    pub fn last_position(&self, node: &NodeId) -> Option<LastKnown> {
        lock(&self.positions).get(node).cloned()
    }

    pub fn forget_observed(&self, keep: impl Fn(&NodeId) -> bool) {
        lock(&self.observed).retain(|n, _| keep(n));
        lock(&self.positions).retain(|n, _| keep(n));
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(|e| e.into_inner())
}

/// Performs a verb for a step: carries the operation and its generation, passes progress on.
pub(crate) async fn act<V: Verb>(cx: &Cx<App>, verb: V) -> Result<V::Reply> {
    let note = |p: mainstay_drivers::progress::Snapshot| {
        let part = (p.total > 0).then(|| p.done as f64 / p.total as f64);
        cx.progress(part.map(|p| p.min(1.0)), &p.sentence);
    };
    cx.world.agent.perform(cx.operation.as_str(), cx.generation, &verb, note).await
}

/// A password people can read aloud: 28 characters of the clear alphabet.
pub fn new_password() -> Secret {
    Secret::generate(28, rand::random::<u8>)
}

/// Refuses what does not match the name that had to be typed.
pub(crate) fn confirmed(typed: Option<&str>, name: &str) -> Result<()> {
    if typed == Some(name) {
        return Ok(());
    }
    Err(Error::invalid("confirm", format!("type the name \"{name}\" to confirm")).with_code("confirmation_mismatch"))
}
