//! Clusters: validation in front of the verbs, and how a cluster looks now.

use crate::{
    Actor, App, app, engines, ops,
    ops::{configure, create_cluster, delete_cluster, restart_cluster, resync, rotate, set_allow_list, start_cluster, stop_cluster},
    plan::{
        self,
        recoverability::{Drills, Kept, Recoverability},
    },
    schedules,
    tasks::observe,
    topology::Topology,
};
use mainstay_model::{
    AllowEntry, ClusterId, ClusterName, Error, Kind, NodeId, OperationId, ProjectId, Result,
    alert::Alert,
    allow_list,
    cluster::{Cluster, ClusterStatus, Mode, SocketAddress, Wanted},
    credentials::{Accounts, Credentials},
    node::{Node, NodeRole, NodeStatus, Observed},
    project::Project,
};
use mainstay_operations::{Lock, Operation};
use mainstay_rpc::verbs::NameAccounts;
use mainstay_store::{self as store, Page, Paging};
use std::{collections::BTreeMap, net::IpAddr};

/// Most replicas a cluster may have.
pub const MAX_REPLICAS: u32 = 7;

/// What `cluster create` was given.
#[derive(Debug, Clone, Default)]
pub struct NewCluster {
    pub name: String,
    pub engine: String,
    pub version: Option<String>,
    pub mode: Option<Mode>,
    pub replicas: Option<u32>,
    pub auto_failover: Option<bool>,
    pub settings: BTreeMap<String, String>,
    pub allow_list: Vec<AllowEntry>,
}

/// A cluster as it looks now.
#[derive(Debug, Clone)]
pub struct ClusterView {
    pub cluster: Cluster,
    pub project: String,
    pub status: ClusterStatus,
    pub status_reason: Option<String>,
    pub nodes: Vec<NodeView>,
    pub url_scheme: String,
    pub recoverability: Recoverability,
    /// To which moments it can be restored.
    pub log: crate::log::View,
    /// Why backups that should go do not.
    pub retention_warnings: Vec<String>,
    /// What is wrong with it right now, newest first.
    pub alerts: Vec<Alert>,
}

#[derive(Debug, Clone)]
pub struct NodeView {
    pub node: Node,
    pub role: NodeRole,
    pub status: NodeStatus,
    pub status_reason: Option<String>,
    pub observed: Observed,
}

/// What was decided before anything was written; also what `--dry-run` shows.
#[derive(Debug, Clone)]
pub struct Deployment {
    pub name: ClusterName,
    pub engine: String,
    pub version: String,
    pub mode: Mode,
    pub replicas: u32,
    pub port: u16,
    pub warnings: Vec<String>,
}

pub async fn plan_create(app: &App, project: &Project, new: &NewCluster) -> Result<Deployment> {
    let name = ClusterName::parse(&new.name)?;
    let replicas = new.replicas.unwrap_or(u32::from(new.mode == Some(Mode::PrimaryReplica)));
    let mode = new.mode.unwrap_or(if replicas > 0 { Mode::PrimaryReplica } else { Mode::Single });
    if replicas > MAX_REPLICAS {
        return Err(Error::invalid("replicas", format!("0 to {MAX_REPLICAS}")));
    }
    if mode == Mode::Single && replicas > 0 {
        return Err(Error::invalid("replicas", "a single cluster has none; use the mode primary-replica"));
    }
    if mode == Mode::PrimaryReplica && replicas == 0 {
        return Err(Error::invalid("replicas", "primary-replica needs at least one"));
    }
    let (entry, version) = engines::choose(app, &new.engine, new.version.as_deref(), mode).await?;
    plan::settings::validate(&entry.parameters, &new.settings)?;
    if store::clusters::by_name(&mut *app.store.read().await?, &project.id, name.as_str()).await.is_ok() {
        return Err(Error::conflict("name_taken", format!("project {} has a cluster {name} already", project.name)));
    }
    let mut warnings = Vec::new();
    if mode != Mode::Single {
        warnings.push("all nodes are on this one host: losing it loses them together".into());
    }
    Ok(Deployment { name, engine: entry.name, version, mode, replicas, port: entry.default_port, warnings })
}

pub async fn create(app: &App, by: &Actor, project: &Project, new: NewCluster) -> Result<(Cluster, OperationId)> {
    let deployment = plan_create(app, project, &new).await?;
    let mut cluster = cluster_row(app, project, &deployment);
    cluster.auto_failover = new.auto_failover.unwrap_or(true);
    (cluster.settings, cluster.allow_list) = (new.settings, new.allow_list);
    let nodes = node_rows(app, &mut cluster, deployment.replicas + 1);
    let accounts = new_accounts(app, &cluster).await?;
    let state = create_cluster::State {
        cluster: cluster.id.clone(),
        default_port: deployment.port,
        placing: Default::default(),
        with_read_only: deployment.replicas > 0,
    };
    let submit = ops::submission::<create_cluster::CreateCluster>(&state, Some(ops::subject(&cluster)), Lock::Exclusive, &by.name)?;
    let mut tx = app.store.begin_write().await?;
    insert_rows(app, &mut tx, &cluster, &nodes, &accounts).await?;
    schedules::insert_default(app, &mut tx, &cluster).await?;
    let operation = app.runner.submit_in(&mut tx, submit).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok((cluster, operation))
}

/// Shared with a restore to a new cluster.
pub(crate) async fn insert_rows(
    app: &App,
    tx: &mut mainstay_operations::Tx,
    cluster: &Cluster,
    nodes: &[Node],
    accounts: &Accounts,
) -> Result<()> {
    store::clusters::insert(tx, cluster).await?;
    for node in nodes {
        store::nodes::insert(tx, node).await?;
    }
    store::accounts::put(tx, app.store.sealer(), &cluster.id, accounts).await
}

pub(crate) fn cluster_row(app: &App, project: &Project, d: &Deployment) -> Cluster {
    Cluster {
        id: ClusterId::new(),
        project: project.id.clone(),
        name: d.name.clone(),
        engine: d.engine.clone(),
        version: d.version.clone(),
        mode: d.mode,
        wanted: Wanted::Running,
        phase: Some(ClusterStatus::Creating),
        phase_reason: Some("being deployed".into()),
        primary: None,
        protected: false,
        auto_failover: true,
        settings: BTreeMap::new(),
        allow_list: vec![],
        read_write: nowhere(d.port),
        read_only: None,
        next_node: 1,
        generation: 0,
        created_at: app.now(),
        deleted_at: None,
        bin: None,
        log: None,
    }
}

fn nowhere(port: u16) -> SocketAddress {
    SocketAddress { host: String::new(), port }
}

/// The first node is the primary.
pub(crate) fn node_rows(app: &App, cluster: &mut Cluster, count: u32) -> Vec<Node> {
    let first = cluster.next_node;
    let nodes: Vec<Node> = (0..i64::from(count))
        .map(|i| Node {
            id: NodeId::new(),
            cluster: cluster.id.clone(),
            name: format!("{}-{}", cluster.name, first + i),
            number: first + i,
            address: nowhere(cluster.read_write.port),
            phase: Some(NodeStatus::Creating),
            created_at: app.now(),
        })
        .collect();
    cluster.next_node += i64::from(count);
    cluster.primary = nodes.first().map(|n| n.id.clone());
    nodes
}

pub(crate) async fn new_accounts(app: &App, cluster: &Cluster) -> Result<Accounts> {
    let names = app.agent.look(&NameAccounts { engine: cluster.engine.clone(), cluster: cluster.name.clone() }).await?;
    let user = Credentials { user: names.user, password: app::new_password(), database: names.database };
    Ok(Accounts { user, admin: app::new_password(), replication: app::new_password() })
}

// ---- looks ----

/// By id or by name in a project. A deleted cluster is found by its id only.
pub async fn resolve(app: &App, project: &ProjectId, id_or_name: &str) -> Result<Cluster> {
    let mut conn = app.store.read().await?;
    let cluster = match ClusterId::parse(id_or_name) {
        Some(id) => store::clusters::get(&mut conn, &id).await,
        None => store::clusters::by_name(&mut conn, project, id_or_name).await,
    };
    match cluster {
        Ok(c) if &c.project == project => Ok(c),
        Ok(_) => Err(Error::not_found("cluster", id_or_name)),
        Err(e) if e.kind == Kind::NotFound => Err(Error::not_found("cluster", id_or_name)),
        Err(e) => Err(e),
    }
}

/// Looks at the nodes now.
pub async fn show(app: &App, cluster: &Cluster) -> Result<ClusterView> {
    if cluster.deleted_at.is_none() && cluster.wanted != Wanted::Deleted {
        let topology = Topology::load(app, &cluster.id).await?;
        observe::look(app, &topology).await?;
    }
    view(app, cluster.clone()).await
}

pub async fn list(app: &App, project: &ProjectId, deleted: bool, paging: &Paging) -> Result<Page<ClusterView>> {
    let page = store::clusters::list(&mut *app.store.read().await?, project, deleted, paging).await?;
    let shared = Shared::of(app, project).await?;
    let mut items = Vec::with_capacity(page.items.len());
    for cluster in page.items {
        items.push(view_with(app, cluster, &shared).await?);
    }
    Ok(Page { items, next: page.next })
}

/// What all clusters of a project have in common, read once for all of a list.
struct Shared {
    project: String,
    kept: Vec<Kept>,
    url_schemes: BTreeMap<String, String>,
}

impl Shared {
    async fn of(app: &App, project: &ProjectId) -> Result<Shared> {
        let mut conn = app.store.read().await?;
        let storages = store::storages::list(&mut conn, project).await?;
        let facts = app.description().await.ok().map(|d| d.facts).unwrap_or_default();
        Ok(Shared {
            project: store::projects::get(&mut conn, project).await?.name.to_string(),
            kept: storages.into_iter().map(|s| Kept { storage: s.id, kind: s.kind, region: s.region }).collect(),
            url_schemes: facts.into_iter().map(|(engine, f)| (engine, f.url_scheme)).collect(),
        })
    }
}

/// Without a new look at the nodes.
pub async fn as_last_seen(app: &App, cluster: Cluster) -> Result<ClusterView> {
    view(app, cluster).await
}

/// From the latest looks.
async fn view(app: &App, cluster: Cluster) -> Result<ClusterView> {
    let shared = Shared::of(app, &cluster.project).await?;
    view_with(app, cluster, &shared).await
}

/// From the latest looks.
async fn view_with(app: &App, cluster: Cluster, shared: &Shared) -> Result<ClusterView> {
    let open = store::alerts::AlertFilter { cluster: Some(cluster.id.clone()), open: Some(true), ..Default::default() };
    let (nodes, good, drills, retention, alerts) = {
        let mut conn = app.store.read().await?;
        (
            store::nodes::of_cluster(&mut conn, &cluster.id).await?,
            store::backups::last_good(&mut conn, &cluster.id).await?,
            Drills {
                newest: store::drills::list(&mut conn, &cluster.id, &Paging { limit: 1, cursor: None }).await?.items.pop(),
                passed: store::drills::last_passed(&mut conn, &cluster.id).await?,
            },
            store::retention::notes(&mut conn, &cluster.id).await?.warnings,
            store::alerts::list(&mut conn, &open, &Paging::default()).await?.items,
        )
    };
    let nodes: Vec<NodeView> = nodes.into_iter().map(|n| node_view(app, &cluster, n)).collect();
    let rows: Vec<_> = nodes.iter().map(|n| (n.node.name.clone(), n.role, n.status, n.status_reason.clone())).collect();
    let (status, status_reason) = plan::status::cluster_status(&cluster, &rows);
    let url_scheme = shared.url_schemes.get(&cluster.engine).cloned().unwrap_or_default();
    let log = crate::log::view(app, &cluster).await?;
    let moment = log.window().map(|w| w.to);
    let recoverability = plan::recoverability::recoverability(good.as_ref(), &drills, &shared.kept, moment);
    Ok(ClusterView {
        cluster,
        project: shared.project.clone(),
        status,
        status_reason,
        nodes,
        url_scheme,
        recoverability,
        log,
        retention_warnings: retention,
        alerts,
    })
}

pub(crate) fn node_view(app: &App, cluster: &Cluster, node: Node) -> NodeView {
    let role = if cluster.primary.as_ref() == Some(&node.id) { NodeRole::Primary } else { NodeRole::Replica };
    let observed = app.observed(&node.id);
    let (status, status_reason) = plan::status::node_status(&node, role, cluster.wanted, &observed, app.now());
    NodeView { node, role, status, status_reason, observed }
}

/// User, password, endpoint. The look is the caller's to audit.
pub async fn credentials(app: &App, cluster: &Cluster) -> Result<(Credentials, SocketAddress, String)> {
    let accounts = store::accounts::get(&mut *app.store.read().await?, app.store.sealer(), &cluster.id).await?;
    let facts = app.description().await?.facts;
    let scheme = facts.get(&cluster.engine).map(|f| f.url_scheme.clone()).unwrap_or_default();
    let c = &accounts.user;
    let path = c.database.as_ref().map(|d| format!("/{d}")).unwrap_or_default();
    let url = format!("{scheme}://{}:{}@{}{path}", c.user, c.password.reveal(), cluster.read_write);
    Ok((accounts.user, cluster.read_write.clone(), url))
}

// ---- verbs ----

/// Submits what was decided by `cluster` as it was read. Until the lock is held others may change it.
pub(crate) async fn submit<O: Operation>(app: &App, by: &Actor, cluster: &Cluster, state: &O::State) -> Result<OperationId> {
    let submit = ops::submission::<O>(state, Some(ops::subject(cluster)), Lock::Exclusive, &by.name)?;
    let mut tx = app.store.begin_write().await?;
    let operation = app.runner.submit_in(&mut tx, submit).await?;
    unchanged(&mut tx, cluster).await?;
    tx.commit().await.map_err(Error::internal)?;
    app.runner.wake();
    Ok(operation)
}

/// Refuses where what verbs decide by is no longer as it was read.
pub(crate) async fn unchanged(tx: &mut mainstay_operations::Tx, cluster: &Cluster) -> Result<()> {
    let now = store::clusters::get(tx, &cluster.id).await?;
    let decisive = |c: &Cluster| (c.wanted, c.primary.clone(), c.protected);
    if decisive(&now) == decisive(cluster) {
        return Ok(());
    }
    Err(Error::conflict("cluster_changed", format!("cluster {} was changed in this moment; look at it and try again", cluster.name)))
}

/// Nothing is done to a cluster that is gone or going.
pub fn alive(cluster: &Cluster) -> Result<()> {
    if cluster.wanted == Wanted::Deleted {
        return Err(Error::conflict("cluster_deleted", format!("cluster {} was deleted", cluster.name)));
    }
    Ok(())
}

pub fn running(cluster: &Cluster) -> Result<()> {
    alive(cluster)?;
    if cluster.wanted == Wanted::Stopped {
        return Err(Error::conflict("cluster_stopped", format!("cluster {} is stopped; start it first", cluster.name)));
    }
    Ok(())
}

pub async fn stop(app: &App, by: &Actor, cluster: &Cluster) -> Result<OperationId> {
    alive(cluster)?;
    unprotected(cluster, "stopped")?;
    submit::<stop_cluster::StopCluster>(app, by, cluster, &stop_cluster::State { cluster: cluster.id.clone(), wanted_before: None }).await
}

pub async fn start(app: &App, by: &Actor, cluster: &Cluster) -> Result<OperationId> {
    alive(cluster)?;
    submit::<start_cluster::StartCluster>(app, by, cluster, &start_cluster::State { cluster: cluster.id.clone(), wanted_before: None })
        .await
}

pub async fn restart(app: &App, by: &Actor, cluster: &Cluster) -> Result<OperationId> {
    running(cluster)?;
    submit::<restart_cluster::RestartCluster>(
        app,
        by,
        cluster,
        &restart_cluster::State { cluster: cluster.id.clone(), primary: None, next: None },
    )
    .await
}

#[derive(Debug, Clone, Default)]
pub struct Deletion {
    pub skip_final_backup: bool,
    pub keep_backups: bool,
    /// The typed name.
    pub confirm: Option<String>,
}

pub async fn delete(app: &App, by: &Actor, cluster: &Cluster, how: Deletion) -> Result<OperationId> {
    alive(cluster)?;
    unprotected(cluster, "deleted")?;
    app::confirmed(how.confirm.as_deref(), cluster.name.as_str())?;
    if !how.skip_final_backup && cluster.wanted == Wanted::Stopped {
        return Err(Error::conflict(
            "cluster_stopped",
            format!("cluster {} is stopped, so no final backup can be made; start it, or skip the final backup", cluster.name),
        ));
    }
    let state = delete_cluster::State {
        cluster: cluster.id.clone(),
        final_backup: !how.skip_final_backup,
        keep_backups: how.keep_backups || !how.skip_final_backup,
        wanted_before: None,
        nodes: vec![],
        backup: None,
        stays: Default::default(),
    };
    submit::<delete_cluster::DeleteCluster>(app, by, cluster, &state).await
}

/// A protected cluster can be neither stopped nor deleted.
pub fn unprotected(cluster: &Cluster, what: &str) -> Result<()> {
    if cluster.protected {
        let why = format!("cluster {} is protected and cannot be {what}; `cluster protect {} off` lifts that", cluster.name, cluster.name);
        return Err(Error::conflict("deletion_protected", why));
    }
    Ok(())
}

pub async fn rotate(app: &App, by: &Actor, cluster: &Cluster) -> Result<OperationId> {
    running(cluster)?;
    submit::<rotate::Rotate>(app, by, cluster, &rotate::State { cluster: cluster.id.clone() }).await
}

/// `changes` with `None` go back to their default.
pub async fn configure(app: &App, by: &Actor, cluster: &Cluster, changes: BTreeMap<String, Option<String>>) -> Result<OperationId> {
    running(cluster)?;
    let entry = engines::get(app, &cluster.engine).await?;
    let set = changes.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?))).collect();
    plan::settings::validate(&entry.parameters, &set)?;
    let mut settings = cluster.settings.clone();
    for (name, value) in changes {
        match value {
            Some(v) => settings.insert(name, v),
            None => settings.remove(&name),
        };
    }
    let state = configure::State { cluster: cluster.id.clone(), settings, before: BTreeMap::new(), restart_needed: false };
    submit::<configure::Configure>(app, by, cluster, &state).await
}

/// Whether `caller`, an address a client of the endpoint comes from, would be locked out.
pub fn locks_out(list: &[AllowEntry], caller: Option<IpAddr>) -> bool {
    caller.is_some_and(|c| !allow_list::allows(list, c))
}

pub async fn set_allow_list(app: &App, by: &Actor, cluster: &Cluster, list: Vec<AllowEntry>) -> Result<OperationId> {
    alive(cluster)?;
    if list.len() > allow_list::MAX_ENTRIES {
        return Err(Error::invalid("allow_list", format!("at most {} entries", allow_list::MAX_ENTRIES)));
    }
    let mut unique: Vec<AllowEntry> = Vec::new();
    for entry in list {
        if !unique.iter().any(|e| e.cidr == entry.cidr) {
            unique.push(entry);
        }
    }
    let state = set_allow_list::State { cluster: cluster.id.clone(), allow_list: unique, before: vec![] };
    submit::<set_allow_list::SetAllowList>(app, by, cluster, &state).await
}

pub async fn set_switch(app: &App, cluster: &Cluster, change: impl FnOnce(&mut Cluster)) -> Result<Cluster> {
    alive(cluster)?;
    let mut tx = app.store.begin_write().await?;
    let mut row = store::clusters::get(&mut tx, &cluster.id).await?;
    change(&mut row);
    store::clusters::update(&mut tx, &row).await?;
    store::commit(tx).await?;
    Ok(row)
}

/// `nodes` by id or name; empty means every replica.
pub async fn resync(app: &App, by: &Actor, cluster: &Cluster, nodes: &[String], confirm: Option<&str>) -> Result<OperationId> {
    running(cluster)?;
    app::confirmed(confirm, cluster.name.as_str())?;
    let topology = Topology::load(app, &cluster.id).await?;
    if topology.beside_primary().next().is_none() {
        return Err(Error::conflict("no_replica", format!("cluster {} has no replica to seed again", cluster.name)));
    }
    let mut chosen = Vec::new();
    for name in nodes {
        let node = crate::nodes::find(&topology, name)?;
        if topology.is_primary(node) {
            return Err(Error::conflict("is_primary", format!("{} is the primary: its data is the one that counts", node.name)));
        }
        chosen.push(node.id.clone());
    }
    if chosen.is_empty() {
        chosen = topology.beside_primary().map(|n| n.id.clone()).collect();
    }
    submit::<resync::Resync>(app, by, cluster, &resync::State { cluster: cluster.id.clone(), nodes: chosen }).await
}
