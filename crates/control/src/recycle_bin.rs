//! The recycle bin: deleted clusters whose backups are still there.

use crate::{
    Actor, App, app, backups, clusters, engines,
    ops::{self, create_cluster, purge_cluster, restore_new, undelete_cluster},
    restores,
};
use mainstay_model::{
    ClusterId, ClusterName, Error, Kind, OperationId, ProjectId, Result,
    backup::{Backup, BackupKind},
    cluster::{Cluster, ClusterStatus, Wanted},
};
use mainstay_operations::Lock;
use mainstay_store as store;

/// By id, or by the name it had.
pub async fn resolve(app: &App, project: &ProjectId, id_or_name: &str) -> Result<Cluster> {
    let mut conn = app.store.read().await?;
    let mut found = match ClusterId::parse(id_or_name) {
        Some(id) => match store::clusters::get(&mut conn, &id).await {
            Ok(c) if &c.project == project => vec![c],
            Ok(_) => vec![],
            Err(e) if e.kind == Kind::NotFound => vec![],
            Err(e) => return Err(e),
        },
        None => store::clusters::deleted_by_name(&mut conn, project, id_or_name).await?.into_iter().filter(|c| c.bin.is_some()).collect(),
    };
    if found.len() > 1 {
        let ids: Vec<_> = found.iter().map(|c| c.id.to_string()).collect();
        let why = format!("{} deleted clusters were named {id_or_name}; name one by its id: {}", found.len(), ids.join(", "));
        return Err(Error::conflict("ambiguous_name", why));
    }
    match found.pop() {
        Some(c) if c.deleted_at.is_some() => Ok(c),
        Some(c) => Err(purge_cluster::not_in_bin(&c)),
        None if store::clusters::by_name(&mut conn, project, id_or_name).await.is_ok() => Err(Error::conflict(
            "not_in_bin",
            format!("cluster {id_or_name} is not in the recycle bin; `cluster list --deleted` shows what is"),
        )),
        None => Err(Error::not_found("deleted cluster", id_or_name)),
    }
}

/// What brings it back: the final backup, else the newest good one.
pub async fn source(app: &App, cluster: &Cluster) -> Result<Backup> {
    let all = store::backups::of_cluster(&mut *app.store.read().await?, &cluster.id).await?;
    let last = all.iter().filter(|b| b.kind == BackupKind::Final).find(|b| b.is_restorable());
    let found = last.or_else(|| all.iter().find(|b| b.is_good())).or_else(|| all.iter().find(|b| b.is_restorable()));
    found.cloned().ok_or_else(|| {
        Error::conflict(
            "nothing_to_bring_back",
            format!("cluster {} has no backup any more that it could be brought back from", cluster.name),
        )
    })
}

/// The name it comes back under.
pub async fn name(app: &App, cluster: &Cluster, wanted: Option<&str>) -> Result<ClusterName> {
    let name = match wanted {
        Some(name) => ClusterName::parse(name).map_err(|e| e.with_field("as"))?,
        None => cluster.name.clone(),
    };
    match store::clusters::by_name(&mut *app.store.read().await?, &cluster.project, name.as_str()).await {
        Ok(_) => Err(name_taken(&name)),
        Err(e) if e.kind == Kind::NotFound => Ok(name),
        Err(e) => Err(e),
    }
}

fn name_taken(name: &ClusterName) -> Error {
    let why = format!("there is another cluster {name} by now; choose another name for the one that is brought back with `--as`");
    Error::conflict("name_taken", why).with_field("as")
}

pub async fn undelete(app: &App, by: &Actor, deleted: &Cluster, wanted: Option<&str>) -> Result<(Cluster, OperationId)> {
    let name = name(app, deleted, wanted).await?;
    let backup = source(app, deleted).await?;
    let copy = backup.copies.iter().find(|c| c.is_good()).ok_or_else(|| backups::not_restorable(&backup))?;
    let major = deleted.version.split('.').next().unwrap_or_default();
    let (entry, version) = engines::choose(app, &deleted.engine, Some(major), deleted.mode).await?;
    let count = deleted.bin.as_ref().map_or(1, |b| b.nodes.max(1));
    let mut cluster = Cluster { name, version, wanted: Wanted::Running, deleted_at: None, bin: None, ..deleted.clone() };
    (cluster.phase, cluster.phase_reason) = (Some(ClusterStatus::Restoring), Some("being brought back from the recycle bin".into()));
    cluster.read_write.port = entry.default_port;
    cluster.read_only = None;
    let nodes = clusters::node_rows(app, &mut cluster, count);
    let restore = restores::begun(app, &backup.id, &cluster, false);
    let create = create_cluster::State {
        cluster: cluster.id.clone(),
        default_port: entry.default_port,
        placing: Default::default(),
        with_read_only: count > 1,
    };
    let data = restore_new::State {
        until: None,
        create,
        restore: restore.id.clone(),
        backup: backup.id.clone(),
        storage: copy.storage.clone(),
        node: nodes[0].id.clone(),
        party: None,
    };
    let state = undelete_cluster::State { restore: data, was: Box::new(deleted.clone()) };
    let submit = ops::submission::<undelete_cluster::UndeleteCluster>(&state, Some(ops::subject(&cluster)), Lock::Exclusive, &by.name)?;
    let mut tx = app.store.begin_write().await?;
    let operation = app.runner.submit_in(&mut tx, submit).await?;
    if store::clusters::get(&mut tx, &deleted.id).await? != *deleted {
        return Err(Error::conflict(
            "cluster_changed",
            format!("cluster {} was changed in this moment; look at it and try again", deleted.name),
        ));
    }
    let taken = |e: Error| if e.code == "name_taken" { name_taken(&cluster.name) } else { e };
    store::clusters::update(&mut tx, &cluster).await.map_err(taken)?;
    for node in &nodes {
        store::nodes::insert(&mut tx, node).await?;
    }
    store::restores::insert(&mut tx, &restore).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok((cluster, operation))
}

/// Deletes it for good, with its backups.
pub async fn purge(app: &App, by: &Actor, deleted: &Cluster, confirm: Option<&str>) -> Result<OperationId> {
    app::confirmed(confirm, deleted.name.as_str())?;
    let state = purge_cluster::State { cluster: deleted.id.clone(), due_only: false, bin: None, stays: Default::default() };
    clusters::submit::<purge_cluster::PurgeCluster>(app, by, deleted, &state).await
}
