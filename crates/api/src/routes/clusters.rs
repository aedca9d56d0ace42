//! Clusters.

use super::{Would, accepted, etag, page, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, OPERATOR, OWNER, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{
    clusters::{self, Deletion, NewCluster, alive, running, unprotected},
    counts,
    ops::{create_cluster, delete_cluster, restart_cluster, resync, rotate, start_cluster, stop_cluster},
};
use mainstay_model::{AllowEntry, Error, OperationId, Result, cluster::Cluster};
use mainstay_operations::Operation;

pub fn routes() -> Noun {
    let verb = |path, id, summary, need| Endpoint::new(Post, path, id, summary, need).operation().dry().guarded();
    Noun::new("clusters")
        .route(
            Endpoint::new(Get, "/clusters", "listClusters", "Clusters of a project", VIEWER)
                .list::<dto::Cluster>()
                .query(&[("deleted", "`true` lists deleted ones too.")]),
            list,
        )
        .route(
            Endpoint::new(Post, "/clusters", "createCluster", "Deploy a cluster", ADMIN).body::<dto::CreateCluster>().operation().dry(),
            create,
        )
        .route(Endpoint::new(Get, "/clusters/{id}", "showCluster", "One cluster as it is now", VIEWER).reply::<dto::Cluster>(), show)
        .route(
            Endpoint::new(Patch, "/clusters/{id}", "patchCluster", "Switches: termination protection, failover", ADMIN)
                .body::<dto::PatchCluster>()
                .reply::<dto::Cluster>()
                .guarded(),
            patch,
        )
        .route(
            Endpoint::new(Delete, "/clusters/{id}", "deleteCluster", "Delete a cluster, after a final backup", OWNER)
                .body::<dto::DeleteCluster>()
                .operation()
                .dry()
                .guarded(),
            delete,
        )
        .route(verb("/clusters/{id}/stop", "stopCluster", "Stop every node", ADMIN), stop)
        .route(verb("/clusters/{id}/start", "startCluster", "Start every node", OPERATOR), start)
        .route(verb("/clusters/{id}/restart", "restartCluster", "Restart in order, with a hand-over", OPERATOR), restart)
        .route(verb("/clusters/{id}/rotate", "rotateCredentials", "A new password; open sessions stay", ADMIN), rotate)
        .route(verb("/clusters/{id}/resync", "resyncCluster", "Seed replicas again from the primary", ADMIN).body::<dto::Resync>(), resync)
        .route(
            Endpoint::new(Get, "/clusters/{id}/credentials", "showCredentials", "User, password, endpoint; the look is audited", ADMIN)
                .reply::<dto::Credentials>()
                .audited(),
            credentials,
        )
}

pub(super) async fn find(s: &Shared, c: &Caller, id: &str) -> Result<Cluster> {
    let cluster = clusters::resolve(&s.app, &c.project.id, id).await?;
    c.on("cluster", cluster.id.as_str(), cluster.name.as_str());
    Ok(cluster)
}

/// Of what a decision about a cluster rests on; not of what operations count in it.
pub(super) fn tag(c: &Cluster) -> String {
    let shape = (&c.id, &c.version, c.mode, c.wanted, &c.primary, c.next_node);
    etag(&(shape, c.protected, c.auto_failover, &c.settings, &c.allow_list))
}

/// A host whose agent does not answer has no known name, and its clusters are shown all the same.
pub(crate) async fn host(s: &Shared) -> String {
    s.app.description().await.map_or_else(|_| "unknown".into(), |d| d.host_name)
}

async fn shown(s: &Shared, cluster: &Cluster) -> Answer {
    let view = clusters::show(&s.app, cluster).await?;
    Ok(with_etag(&tag(cluster), Json(views::cluster(view, &host(s).await))))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let found = clusters::list(&s.app, &c.project.id, q.is_true("deleted"), &q.paging()?).await?;
    let host = host(&s).await;
    Ok(page(found, |v| views::cluster(v, &host)).into_response())
}

pub(super) fn entries(list: Vec<dto::AllowListEntry>) -> Result<Vec<AllowEntry>> {
    list.iter().enumerate().map(|(i, e)| AllowEntry::parse(&e.cidr, &e.note, i)).collect()
}

async fn create(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query, Body(b): Body<dto::CreateCluster>) -> Answer {
    let new = NewCluster {
        name: b.name,
        engine: b.engine,
        version: b.version,
        mode: b.mode,
        replicas: b.replicas,
        auto_failover: b.auto_failover,
        settings: b.settings,
        allow_list: entries(b.allow_list)?,
    };
    if q.is_true("dry_run") {
        let p = clusters::plan_create(&s.app, &c.project, &new).await?;
        let summary = format!("{} {} named {}, {}, with {} replicas", p.engine, p.version, p.name, p.mode.as_str(), p.replicas);
        let backups = mainstay_control::schedules::default_sentence();
        return Would::of::<create_cluster::CreateCluster>(summary).also(backups).warning(p.warnings).planned(&s).await;
    }
    let (cluster, operation) = clusters::create(&s.app, &c.actor, &c.project, new).await?;
    c.on("cluster", cluster.id.as_str(), cluster.name.as_str());
    accepted(&s, &operation, Some(("cluster", cluster.id.as_str()))).await
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    shown(&s, &cluster).await
}

async fn patch(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(b): Body<dto::PatchCluster>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    still(&headers, &[&tag(&cluster)])?;
    let changed = clusters::set_switch(&s.app, &cluster, |row| {
        row.protected = b.protected.unwrap_or(row.protected);
        row.auto_failover = b.auto_failover.unwrap_or(row.auto_failover);
    });
    let changed = changed.await?;
    shown(&s, &changed).await
}

async fn delete(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::DeleteCluster>,
) -> Answer {
    if b.now {
        return super::retention::purge(&s, &c, &id, &q, &headers, b).await;
    }
    let cluster = find(&s, &c, &id).await?;
    still(&headers, &[&tag(&cluster)])?;
    if q.is_true("dry_run") {
        alive(&cluster)?;
        unprotected(&cluster, "deleted")?;
        let would = Would::of::<delete_cluster::DeleteCluster>(format!("cluster {} and all its nodes are removed", cluster.name));
        let there = counts::restorable(&s.app, &cluster.id).await?;
        let (left, removed) = match (b.skip_final_backup, b.keep_backups) {
            (false, _) => (there + 1, 0),
            (true, true) => (there, 0),
            (true, false) => (0, there),
        };
        return would
            .also(what_stays(&b))
            .number("connections_cut", counts::sessions(&s.app, &cluster.id, false).await)
            .number("backups_left", Some(left))
            .number("backups_removed", Some(removed))
            .locking(cluster.id.as_str())
            .planned(&s)
            .await;
    }
    let how = Deletion { skip_final_backup: b.skip_final_backup, keep_backups: b.keep_backups, confirm: b.confirm };
    accepted(&s, &clusters::delete(&s.app, &c.actor, &cluster, how).await?, None).await
}

fn what_stays(b: &dto::DeleteCluster) -> &'static str {
    match (b.skip_final_backup, b.keep_backups) {
        (false, _) => {
            "a final backup is made, read back and kept 15 days with the earlier ones; until then `cluster undelete` brings it back"
        }
        (true, true) => "no final backup is made; earlier backups stay",
        (true, false) => "no final backup is made, and every backup of the cluster is removed",
    }
}

/// Names and values of a plan's numbers.
pub(super) type Numbers = Vec<(&'static str, Option<u64>)>;

/// What came in with a verb on a cluster.
pub(super) struct On<'a> {
    pub s: &'a Shared,
    pub c: &'a Caller,
    pub id: &'a str,
    pub q: &'a Query,
    pub headers: &'a HeaderMap,
}

impl On<'_> {
    /// `check` refuses what the verb itself would refuse, for a plan as well.
    pub async fn run<O, C, A>(self, summary: &str, check: C, act: A) -> Answer
    where
        O: Operation,
        C: AsyncFnOnce(&Cluster) -> Result<()>,
        A: AsyncFnOnce(&Cluster) -> Result<OperationId>,
    {
        self.counted::<O, _, _>(summary, async |cluster: &Cluster| check(cluster).await.map(|()| Numbers::new()), act).await
    }

    /// The same where the plan has numbers: `check` says them.
    pub async fn counted<O, C, A>(self, summary: &str, check: C, act: A) -> Answer
    where
        O: Operation,
        C: AsyncFnOnce(&Cluster) -> Result<Numbers>,
        A: AsyncFnOnce(&Cluster) -> Result<OperationId>,
    {
        let cluster = find(self.s, self.c, self.id).await?;
        still(self.headers, &[&tag(&cluster)])?;
        let numbers = check(&cluster).await?;
        if self.q.is_true("dry_run") {
            let would = Would::of::<O>(format!("{}: {summary}", cluster.name)).locking(cluster.id.as_str());
            return numbers.into_iter().fold(would, |would, (name, value)| would.number(name, value)).planned(self.s).await;
        }
        accepted(self.s, &act(&cluster).await?, None).await
    }
}

async fn stop(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    let check = async |cluster: &Cluster| alive(cluster).and_then(|()| unprotected(cluster, "stopped"));
    on.run::<stop_cluster::StopCluster, _, _>("every node stops, clients are cut", check, async |cluster| {
        clusters::stop(&s.app, &c.actor, cluster).await
    })
    .await
}

async fn start(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    let act = async |cluster: &Cluster| clusters::start(&s.app, &c.actor, cluster).await;
    on.run::<start_cluster::StartCluster, _, _>("every node starts", async |cluster| alive(cluster), act).await
}

async fn restart(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    let act = async |cluster: &Cluster| clusters::restart(&s.app, &c.actor, cluster).await;
    on.run::<restart_cluster::RestartCluster, _, _>(
        "every node stops and starts, one after the other",
        async |cluster| running(cluster),
        act,
    )
    .await
}

async fn rotate(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    let act = async |cluster: &Cluster| clusters::rotate(&s.app, &c.actor, cluster).await;
    on.run::<rotate::Rotate, _, _>("a new password; the old one no longer lets anybody in", async |cluster| running(cluster), act).await
}

async fn resync(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::Resync>,
) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    let act = async |cluster: &Cluster| clusters::resync(&s.app, &c.actor, cluster, &b.nodes, b.confirm.as_deref()).await;
    let check = async |cluster: &Cluster| {
        running(cluster)?;
        let topology = super::nodes::topology(&s, cluster).await?;
        let named = b.nodes.iter().map(|node| Ok(super::nodes::replica(&topology, node)?.id.clone())).collect::<Result<Vec<_>>>()?;
        if !q.is_true("dry_run") {
            return Ok(Numbers::new());
        }
        let chosen = if named.is_empty() { topology.beside_primary().map(|n| n.id.clone()).collect() } else { named };
        let clients = counts::clients(&s.app, &topology, &chosen).await;
        Ok::<Numbers, Error>(vec![
            ("bytes_to_copy", counts::seed_bytes(&s.app, &topology, chosen.len()).await),
            ("connections_cut", clients),
        ])
    };
    on.counted::<resync::Resync, _, _>("the data of the chosen replicas is erased and copied anew from the primary", check, act).await
}

async fn credentials(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let (user, endpoint, url) = clusters::credentials(&s.app, &cluster).await?;
    let shown = dto::Credentials {
        user: user.user,
        password: user.password.reveal().into(),
        database: user.database,
        host: endpoint.host,
        port: endpoint.port,
        url,
    };
    Ok(Json(shown).into_response())
}
