//! Restores: a plan first, then exactly that plan.

use crate::{
    Actor, App, app, backups, clusters, engines, log, ops,
    ops::{restore_in_place, restore_new, undo_restore},
    plan::{
        self,
        restore::{Action, RestorePlan},
    },
    projects, schedules, storages,
    topology::Topology,
};
use mainstay_drivers::storage::SNAPSHOT;
use mainstay_model::{
    BackupId, ClusterId, ClusterName, Error, OperationId, ProjectId, RestoreId, Result, Time,
    backup::{Backup, Copy},
    cluster::{Cluster, Mode, Wanted},
    credentials::Accounts,
    log::Keeping,
    node::Node,
    restore::{Restore, RestoreStatus},
};
use mainstay_operations::{Lock, Operation, Submit, Tx};
use mainstay_rpc::verbs::{Describe, SnapshotFacts};
use mainstay_store::{self as store, Page, Paging, restores::RestoreFilter};
use std::time::Duration;

/// A storage that takes longer to say that it has a copy is passed over for one that does not.
const COPY_ANSWERS: Duration = Duration::from_secs(15);

/// What `restore plan|run` was given. Exactly one of `to` and `new`; a backup, a moment, or both.
#[derive(Debug, Clone, Default)]
pub struct RestoreRequest {
    /// May be left out with `until` and `from_cluster`: the newest before that moment is taken.
    pub backup: Option<String>,
    /// The moment whose state is wanted.
    pub until: Option<String>,
    pub from_cluster: Option<String>,
    pub to: Option<String>,
    pub new: Option<String>,
    pub storage: Option<String>,
    pub confirm: Option<String>,
}

/// A plan and the hash that confirms it.
#[derive(Debug, Clone)]
pub struct Planned {
    pub plan: RestorePlan,
    pub hash: String,
    backup: Backup,
    copy_kind: String,
    until: Option<Time>,
    target: Option<Cluster>,
}

pub async fn plan(app: &App, project: &ProjectId, request: &RestoreRequest) -> Result<Planned> {
    let neither_nor_both = || Error::invalid("to", "name either an existing cluster (to) or a new one (new)");
    if request.to.is_some() == request.new.is_some() {
        return Err(neither_nor_both());
    }
    let source = source(app, project, request).await?;
    let copy = choose_copy(app, project, &source.backup, request.storage.as_deref()).await?;
    let planned = match (&request.to, &request.new) {
        (Some(to), None) => plan_into(app, project, source, copy, to).await,
        (None, Some(new)) => plan_new(app, project, source, copy, new).await,
        _ => Err(neither_nor_both()),
    }?;
    // A snapshot shares its blocks with what is restored of it.
    if planned.copy_kind != SNAPSHOT {
        refuse_without_space(app, planned.plan.space_needed_bytes).await?;
    }
    Ok(planned)
}

/// What is restored: a backup, and the log from there to a moment.
struct Source {
    backup: Backup,
    replay: Option<Replayed>,
}

/// What is replayed, and within what it was chosen.
struct Replayed {
    until: Time,
    bytes: u64,
    parts: Vec<String>,
    view: log::View,
}

async fn source(app: &App, project: &ProjectId, request: &RestoreRequest) -> Result<Source> {
    let named = match &request.backup {
        Some(id) => Some(backups::resolve(app, project, id).await?),
        None => None,
    };
    if let Some(backup) = named.as_ref().filter(|b| !b.is_restorable()) {
        return Err(backups::not_restorable(backup));
    }
    let Some(until) = &request.until else {
        let backup = named.ok_or_else(|| Error::invalid("backup", "name a backup, or a moment (until) of a cluster (from_cluster)"))?;
        return Ok(Source { backup, replay: None });
    };
    let until = plan::log::moment(until)?;
    let (cluster, keeping) = from_cluster(app, project, request, named.as_ref()).await?;
    let chosen = log::choose(app, &cluster, named.as_ref(), until).await?;
    let bytes = chosen.parts.iter().map(|p| p.bytes).sum();
    let parts = chosen.parts.iter().map(|p| p.snapshot.clone()).collect();
    let view = log::view_of(app, &cluster, keeping).await?;
    Ok(Source { backup: chosen.base, replay: Some(Replayed { until, bytes, parts, view }) })
}

/// The backup's, or the one that was named, or that into which is restored.
async fn from_cluster(
    app: &App,
    project: &ProjectId,
    request: &RestoreRequest,
    named: Option<&Backup>,
) -> Result<(ClusterId, Option<Keeping>)> {
    if let Some(backup) = named {
        let name = &backup.cluster_name;
        if request.from_cluster.as_deref().is_some_and(|c| c != name.as_str() && c != backup.cluster.as_str()) {
            return Err(Error::invalid("from_cluster", format!("backup {} is one of {name}", backup.id)));
        }
        // What was recovered from a storage may be of a cluster that is not here.
        return match store::clusters::get(&mut *app.store.read().await?, &backup.cluster).await {
            Ok(cluster) => Ok((cluster.id, cluster.log)),
            Err(e) if e.kind == mainstay_model::Kind::NotFound => Ok((backup.cluster.clone(), None)),
            Err(e) => Err(e),
        };
    }
    let name = request.from_cluster.as_deref().or(request.to.as_deref());
    let missing = || Error::invalid("from_cluster", "say whose moment it is: a backup, or the cluster's name");
    let cluster = clusters::resolve(app, project, name.ok_or_else(missing)?).await.map_err(|e| e.with_field("from_cluster"))?;
    Ok((cluster.id, cluster.log))
}

async fn choose_copy(app: &App, project: &ProjectId, backup: &Backup, storage: Option<&str>) -> Result<Copy> {
    let wanted = match storage {
        Some(name) => Some(storages::resolve(app, project, name).await.map_err(|e| e.with_field("storage"))?.id),
        None => None,
    };
    let fits = |c: &&Copy| c.is_good() && wanted.as_ref().is_none_or(|s| &c.storage == s);
    let mut copies: Vec<&Copy> = backup.copies.iter().filter(fits).collect();
    // Unless one was named: a snapshot is there at once.
    copies.sort_by_key(|c| c.kind != SNAPSHOT);
    let (mut slow, mut unreadable) = (None, Vec::new());
    for copy in copies {
        match readable(app, backup, copy).await {
            Ok(true) => return Ok(copy.clone()),
            Ok(false) => slow = slow.or_else(|| Some(copy.clone())),
            Err(e) => unreadable.push(format!("storage {}: {}", copy.storage_name, e.message)),
        }
    }
    // What only takes long may well be what there is to restore from.
    if let Some(copy) = slow {
        return Ok(copy);
    }
    Err(match storage {
        _ if !unreadable.is_empty() => {
            let why = format!("no copy of backup {} can be read now: {}", backup.id, unreadable.join("; "));
            Error::unavailable("no_readable_copy", format!("{why}; `storage check` says more, or choose another backup"))
        }
        Some(name) => {
            let let_go = |c: &Copy| wanted.as_ref() == Some(&c.storage) && c.is_let_go();
            let why = if backup.copies.iter().any(let_go) { ": its time there was over" } else { "" };
            Error::invalid("storage", format!("backup {} has no good copy in storage {name}{why}", backup.id))
        }
        None => backups::not_restorable(backup),
    })
}

/// Whether the storage answers in time, and says that it still has the copy: a plan that cannot be carried out is
/// none.
async fn readable(app: &App, backup: &Backup, copy: &Copy) -> Result<bool> {
    let (repository, snapshot) = backups::good_copy(app, backup, Some(&copy.storage)).await?;
    let look = SnapshotFacts { repository, snapshot };
    match tokio::time::timeout(COPY_ANSWERS, app.agent.look(&look)).await {
        Ok(found) => found.map(|_| true),
        Err(_) => Ok(false),
    }
}

/// The restored data come beside what is there, with a tenth to spare, as the agent wants it.
async fn refuse_without_space(app: &App, bytes: u64) -> Result<()> {
    let free = app.agent.look(&Describe {}).await?.host.disk_free_bytes;
    let needed = bytes.saturating_add(bytes / 10);
    if free >= needed {
        return Ok(());
    }
    let mib = |n: u64| format!("{} MiB", n.div_ceil(1 << 20));
    let why =
        format!("the restore needs {} beside what is there, and {} are free; free {} first", mib(needed), mib(free), mib(needed - free));
    Err(Error::new(mainstay_model::Kind::NoSpace, "no_space", why))
}

fn base(source: &Source, copy: &Copy, target: &str, action: Action, steps: &[mainstay_operations::Step]) -> RestorePlan {
    let (backup, replay) = (&source.backup, source.replay.as_ref());
    let suspicious = backup.proof == mainstay_model::backup::Proof::Suspicious;
    RestorePlan {
        backup: backup.id.clone(),
        storage: copy.storage.clone(),
        storage_name: copy.storage_name.clone(),
        snapshot: copy.snapshot.clone().unwrap_or_default(),
        engine: backup.engine.clone(),
        engine_version: backup.engine_version.clone(),
        target: target.into(),
        action,
        loses: vec![],
        steps: steps.iter().map(|s| s.title.to_string()).collect(),
        recovery_point: replay.map_or(backup.created_at, |r| r.until),
        position: backup.facts.as_ref().and_then(|f| f.stop.clone()).filter(|_| replay.is_none()),
        until: replay.map(|r| r.until),
        window: replay.and_then(|r| r.view.window()),
        gaps: replay.map(|r| r.view.gaps()).unwrap_or_default(),
        log_parts: replay.map(|r| r.parts.clone()).unwrap_or_default(),
        space_needed_bytes: backup.data_bytes.unwrap_or(0) + replay.map_or(0, |r| r.bytes),
        warnings: if suspicious { vec!["this backup is suspicious: it differs much from the one before it".into()] } else { vec![] },
    }
}

async fn plan_into(app: &App, project: &ProjectId, source: Source, copy: Copy, to: &str) -> Result<Planned> {
    let backup = &source.backup;
    let target = clusters::resolve(app, project, to).await?;
    clusters::alive(&target)?;
    same_engine(backup, &target.engine, &target.version)?;
    let topology = Topology::load(app, &target.id).await?;
    let action = if target.id == backup.cluster { Action::InPlace } else { Action::OtherCluster };
    let mut plan = base(&source, &copy, target.name.as_str(), action, restore_in_place::RestoreInPlace::STEPS);
    plan.loses.push(format!("everything written to {} since {} is replaced", target.name, plan.recovery_point));
    if action == Action::OtherCluster {
        plan.loses.push(format!("all data of {} is replaced by that of {}", target.name, backup.cluster_name));
    }
    if topology.replicas().next().is_some() {
        plan.loses.push("every replica is seeded again from the restored primary".into());
    }
    let is_stopped = target.wanted == Wanted::Stopped;
    if is_stopped {
        // The way out where its data is so damaged that it does not start any more.
        plan.warnings.push(format!("{} is stopped: no safety backup of it can be made first, and it runs afterwards", target.name));
    }
    plan.warnings.push(format!("the old data stands aside for {} days; `restore undo` brings it back", app.options.previous_days));
    let basis = format!("{:?}/{is_stopped}/{:?}", target.primary, topology.nodes.iter().map(|n| &n.id).collect::<Vec<_>>());
    let until = source.replay.map(|r| r.until);
    Ok(Planned { hash: plan.hash(&basis), plan, until, copy_kind: copy.kind, backup: source.backup, target: Some(target) })
}

async fn plan_new(app: &App, project: &ProjectId, source: Source, copy: Copy, new: &str) -> Result<Planned> {
    let name = ClusterName::parse(new).map_err(|e| e.with_field("new"))?;
    if store::clusters::by_name(&mut *app.store.read().await?, project, name.as_str()).await.is_ok() {
        return Err(Error::conflict("name_taken", format!("there is a cluster {name} already; restore to it with --to")).with_field("new"));
    }
    let major = source.backup.engine_version.split('.').next().unwrap_or_default();
    let (_, version) = engines::choose(app, &source.backup.engine, Some(major), Mode::Single).await?;
    same_engine(&source.backup, &source.backup.engine, &version)?;
    let plan = base(&source, &copy, name.as_str(), Action::NewCluster, restore_new::RestoreNew::STEPS);
    let until = source.replay.map(|r| r.until);
    Ok(Planned { hash: plan.hash("new"), plan, until, copy_kind: copy.kind, backup: source.backup, target: None })
}

/// The same engine, and a server of the same major version and not older than the backup's.
fn same_engine(backup: &Backup, engine: &str, version: &str) -> Result<()> {
    if backup.engine != engine {
        return Err(
            Error::invalid("to", format!("the backup is of {}, the cluster is of {engine}", backup.engine)).with_code("wrong_engine")
        );
    }
    if !compatible(&backup.engine_version, version) {
        let why = format!("the backup was made by version {}, which version {version} does not read", backup.engine_version);
        return Err(Error::invalid("to", why).with_code("wrong_version"));
    }
    Ok(())
}

/// Physical data is read by servers of the same major version (one number, as engines here count
/// them), not older in the second.
fn compatible(made_by: &str, read_by: &str) -> bool {
    let parts = |v: &str| -> Vec<u32> { v.split('.').map_while(|p| p.parse().ok()).collect() };
    let (made, read) = (parts(made_by), parts(read_by));
    !made.is_empty() && made.first() == read.first()
}

/// Runs the plan that was confirmed: `hash` must be that of the plan as it would be made now.
pub async fn run(app: &App, by: &Actor, project: &ProjectId, request: &RestoreRequest, hash: &str) -> Result<(Restore, OperationId)> {
    let planned = plan(app, project, request).await?;
    if planned.hash != hash {
        return Err(Error::new(
            mainstay_model::Kind::Stale,
            "stale",
            "the plan has changed since it was shown; look at the new one and confirm that",
        ));
    }
    if let Some(target) = &planned.target {
        app::confirmed(request.confirm.as_deref(), target.name.as_str())?;
    }
    let prepared = prepare(app, by, project, planned, None).await?;
    let row = prepared.row.clone();
    let mut tx = app.store.begin_write().await?;
    let operation = prepared.write(app, &mut tx).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok((row, operation))
}

/// A restore that only has to be written down to begin.
pub(crate) struct Prepared {
    pub row: Restore,
    submit: Submit,
    target: Target,
}

enum Target {
    Existing(Box<Cluster>),
    New { cluster: Box<Cluster>, nodes: Vec<Node>, accounts: Accounts },
}

impl Prepared {
    /// Within the caller's write; the caller wakes the runner after its commit.
    pub async fn write(self, app: &App, tx: &mut Tx) -> Result<OperationId> {
        match &self.target {
            Target::Existing(cluster) => clusters::unchanged(tx, cluster).await?,
            Target::New { cluster, nodes, accounts } => {
                clusters::insert_rows(app, tx, cluster, nodes, accounts).await?;
                let source = store::backups::get(tx, &self.row.backup).await?.cluster;
                schedules::insert_copies(app, tx, &source, cluster).await?;
            }
        }
        store::restores::insert(tx, &self.row).await?;
        app.runner.submit_in(tx, self.submit).await
    }
}

/// With a party, it keeps step with the other restores of that name.
pub(crate) async fn prepare(app: &App, by: &Actor, project: &ProjectId, planned: Planned, party: Option<&str>) -> Result<Prepared> {
    match planned.target.clone() {
        Some(target) => prepare_into(app, by, planned, target, party),
        None => prepare_new(app, by, project, planned, party).await,
    }
}

/// The row of a restore that begins now.
pub(crate) fn begun(app: &App, backup: &BackupId, target: &Cluster, in_place: bool) -> Restore {
    Restore {
        id: RestoreId::new(),
        project: target.project.clone(),
        backup: backup.clone(),
        target: target.id.clone(),
        target_name: target.name.to_string(),
        in_place,
        status: RestoreStatus::Running,
        started_at: app.now(),
        finished_at: None,
        previous_label: None,
        previous_node: None,
        previous_until: None,
        safety_backup: None,
        error: None,
        until: None,
    }
}

fn prepare_into(app: &App, by: &Actor, planned: Planned, target: Cluster, party: Option<&str>) -> Result<Prepared> {
    let row = Restore { until: planned.until, ..begun(app, &planned.backup.id, &target, true) };
    let state = restore_in_place::State {
        cluster: target.id.clone(),
        restore: row.id.clone(),
        backup: planned.backup.id.clone(),
        storage: planned.plan.storage.clone(),
        until: planned.until,
        node: target.primary.clone().ok_or_else(|| Error::conflict("no_primary", "the cluster has no primary"))?,
        safety: None,
        party: party.map(Into::into),
        away_from: None,
        away_until: None,
        was_stopped: false,
    };
    let submit = ops::submission::<restore_in_place::RestoreInPlace>(&state, Some(ops::subject(&target)), Lock::Exclusive, &by.name)?;
    Ok(Prepared { row, submit, target: Target::Existing(Box::new(target)) })
}

async fn prepare_new(app: &App, by: &Actor, project: &ProjectId, planned: Planned, party: Option<&str>) -> Result<Prepared> {
    let project = projects::resolve(app, project.as_str()).await?;
    let major = planned.backup.engine_version.split('.').next().unwrap_or_default().to_string();
    let (entry, version) = engines::choose(app, &planned.backup.engine, Some(&major), Mode::Single).await?;
    let deployment = clusters::Deployment {
        name: ClusterName::parse(&planned.plan.target)?,
        engine: entry.name,
        version,
        mode: Mode::Single,
        replicas: 0,
        port: entry.default_port,
        warnings: vec![],
    };
    let mut cluster = clusters::cluster_row(app, &project, &deployment);
    cluster.phase_reason = Some("being restored from a backup".into());
    let nodes = clusters::node_rows(app, &mut cluster, 1);
    let accounts = clusters::new_accounts(app, &cluster).await?;
    let row = Restore { until: planned.until, ..begun(app, &planned.backup.id, &cluster, false) };
    let node = nodes[0].id.clone();
    let new = restore_new::State::new(
        cluster.id.clone(),
        node,
        deployment.port,
        row.id.clone(),
        planned.backup.id.clone(),
        planned.plan.storage.clone(),
    )
    .until(planned.until);
    let state = restore_new::State { party: party.map(Into::into), ..new };
    let submit = ops::submission::<restore_new::RestoreNew>(&state, Some(ops::subject(&cluster)), Lock::Exclusive, &by.name)?;
    Ok(Prepared { row, submit, target: Target::New { cluster: Box::new(cluster), nodes, accounts } })
}

pub async fn resolve(app: &App, project: &ProjectId, id: &str) -> Result<Restore> {
    let missing = || Error::not_found("restore", id);
    let id = RestoreId::parse(id).ok_or_else(missing)?;
    let row = store::restores::get(&mut *app.store.read().await?, &id).await?;
    if &row.project == project { Ok(row) } else { Err(missing()) }
}

pub async fn list(app: &App, filter: &RestoreFilter, paging: &Paging) -> Result<Page<Restore>> {
    store::restores::list(&mut *app.store.read().await?, filter, paging).await
}

/// Brings back the data that the restore replaced.
pub async fn undo(app: &App, by: &Actor, restore: &Restore) -> Result<OperationId> {
    let gone = || {
        let why =
            if restore.in_place { "the data it replaced is no longer kept aside" } else { "it made a new cluster; delete that instead" };
        Error::conflict("nothing_to_undo", format!("restore {} cannot be undone: {why}", restore.id))
    };
    if restore.status != RestoreStatus::Completed || !restore.in_place {
        return Err(gone());
    }
    let (Some(aside), Some(node)) = (restore.previous_label.clone(), restore.previous_node.clone()) else { return Err(gone()) };
    let cluster = store::clusters::get(&mut *app.store.read().await?, &restore.target).await?;
    clusters::running(&cluster)?;
    if cluster.primary.as_ref() != Some(&node) {
        return Err(Error::conflict("primary_changed", "another node was promoted since; promote the node that was restored first"));
    }
    let state = undo_restore::State { cluster: cluster.id.clone(), restore: restore.id.clone(), node, aside };
    clusters::submit::<undo_restore::UndoRestore>(app, by, &cluster, &state).await
}

#[cfg(test)]
mod tests {
    use super::compatible;

    #[test]
    fn versions_that_read_each_other() {
        for (made, read, ok) in
            [("15.18", "15.20", true), ("15.18", "16.1", false), ("7.0.15", "7.0.15", true), ("8.0.1", "7.0.15", false), ("", "", false)]
        {
            assert_eq!(compatible(made, read), ok, "{made} {read}");
        }
    }
}
