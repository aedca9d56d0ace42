//! Clusters.

use super::{accepted, dry_run, etag, page, still, with_etag};
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
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use mainstay_api_types as dto;
use mainstay_control::clusters::{self, Deletion, NewCluster};
use mainstay_model::{AllowEntry, OperationId, Result, cluster::Cluster};

const DRY: (&str, &str) = ("dry_run", "`true` answers with the plan and does nothing.");

pub fn routes() -> Noun {
    let verb = |path, id, summary, need| Endpoint::new(Post, path, id, summary, need).operation().query(&[DRY]);
    Noun::new("clusters")
        .route(
            Endpoint::new(Get, "/clusters", "listClusters", "Clusters of a project", VIEWER).list::<dto::Cluster>().query(&[
                ("deleted", "`true` lists deleted ones too."),
                ("limit", "1 to 500"),
                ("cursor", "`next` of the page before"),
            ]),
            list,
        )
        .route(verb("/clusters", "createCluster", "Deploy a cluster", ADMIN).body::<dto::CreateCluster>(), create)
        .route(Endpoint::new(Get, "/clusters/{id}", "showCluster", "One cluster as it is now", VIEWER).reply::<dto::Cluster>(), show)
        .route(
            Endpoint::new(Patch, "/clusters/{id}", "patchCluster", "Switches: termination protection, failover", ADMIN)
                .body::<dto::PatchCluster>()
                .reply::<dto::Cluster>(),
            patch,
        )
        .route(
            Endpoint::new(Delete, "/clusters/{id}", "deleteCluster", "Delete a cluster, after a final backup", OWNER)
                .body::<dto::DeleteCluster>()
                .operation()
                .query(&[DRY]),
            delete,
        )
        .route(verb("/clusters/{id}/stop", "stopCluster", "Stop every node", ADMIN), stop)
        .route(verb("/clusters/{id}/start", "startCluster", "Start every node", OPERATOR), start)
        .route(verb("/clusters/{id}/restart", "restartCluster", "Restart in order, with a hand-over", OPERATOR), restart)
        .route(verb("/clusters/{id}/rotate", "rotateCredentials", "A new password; open sessions stay", ADMIN), rotate)
        .route(verb("/clusters/{id}/resync", "resyncCluster", "Seed replicas again from the primary", ADMIN).body::<dto::Resync>(), resync)
        .route(
            Endpoint::new(Get, "/clusters/{id}/settings", "showSettings", "What is set and what can be", VIEWER).reply::<dto::Settings>(),
            settings,
        )
        .route(
            Endpoint::new(Patch, "/clusters/{id}/settings", "patchSettings", "Change engine parameters", ADMIN)
                .body::<dto::PatchSettings>()
                .operation()
                .query(&[DRY]),
            patch_settings,
        )
        .route(
            Endpoint::new(Get, "/clusters/{id}/allow-list", "showAllowList", "Who may connect", VIEWER).reply::<dto::AllowList>(),
            allow_list,
        )
        .route(
            Endpoint::new(Put, "/clusters/{id}/allow-list", "setAllowList", "Say who may connect", ADMIN)
                .body::<dto::SetAllowList>()
                .operation()
                .query(&[DRY]),
            set_allow_list,
        )
        .route(
            Endpoint::new(Get, "/clusters/{id}/credentials", "showCredentials", "User, password, endpoint; the look is audited", ADMIN)
                .reply::<dto::Credentials>()
                .audited(),
            credentials,
        )
}

pub(super) async fn find(s: &Shared, c: &Caller, id: &str) -> Result<Cluster> {
    clusters::resolve(&s.app, &c.project.id, id).await
}

pub(super) fn tag(cluster: &Cluster) -> String {
    etag(cluster)
}

async fn host(s: &Shared) -> Result<String> {
    Ok(s.app.description().await?.host_name)
}

async fn shown(s: &Shared, cluster: &Cluster) -> Answer {
    let view = clusters::show(&s.app, cluster).await?;
    let host = host(s).await?;
    Ok(with_etag(&tag(cluster), Json(views::cluster(view, &host))))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let found = clusters::list(&s.app, &c.project.id, q.is_true("deleted"), &q.paging()?).await?;
    let host = host(&s).await?;
    Ok(page(found, |v| views::cluster(v, &host)).into_response())
}

fn entries(list: Vec<dto::AllowListEntry>) -> Result<Vec<AllowEntry>> {
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
    let plan = clusters::plan_create(&s.app, &c.project, &new).await?;
    let summary =
        vec![format!("{} {} named {}, {} with {} replicas", plan.engine, plan.version, plan.name, plan.mode.as_str(), plan.replicas)];
    if let Some(answer) = dry_run(&s, &q, "create_cluster", summary, plan.warnings)? {
        return Ok(answer);
    }
    let (_, operation) = clusters::create(&s.app, &c.actor, &c.project, new).await?;
    accepted(&s, &operation).await
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
    still(&headers, &tag(&cluster))?;
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
    let cluster = find(&s, &c, &id).await?;
    still(&headers, &tag(&cluster))?;
    let summary = match (b.skip_final_backup, b.keep_backups) {
        (false, _) => "a final backup is made, read back and kept 15 days; earlier backups stay",
        (true, true) => "no final backup is made; earlier backups stay",
        (true, false) => "no final backup is made, and every backup of the cluster is removed",
    };
    if let Some(answer) =
        dry_run(&s, &q, "delete_cluster", vec![format!("cluster {} and all its nodes are removed", cluster.name), summary.into()], vec![])?
    {
        return Ok(answer);
    }
    let how = Deletion { skip_final_backup: b.skip_final_backup, keep_backups: b.keep_backups, confirm: b.confirm };
    accepted(&s, &clusters::delete(&s.app, &c.actor, &cluster, how).await?).await
}

/// The four verbs that take a cluster and nothing else.
async fn simple<F>(s: &Shared, c: &Caller, id: &str, q: &Query, headers: &HeaderMap, kind: &str, act: F) -> Answer<Response>
where
    F: AsyncFnOnce(&Cluster) -> Result<OperationId>,
{
    let cluster = find(s, c, id).await?;
    still(headers, &tag(&cluster))?;
    if let Some(answer) = dry_run(s, q, kind, vec![format!("on cluster {}", cluster.name)], vec![])? {
        return Ok(answer);
    }
    let operation = act(&cluster).await?;
    accepted(s, &operation).await
}

async fn stop(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, h: HeaderMap) -> Answer {
    simple(&s, &c, &id, &q, &h, "stop_cluster", async |cluster| clusters::stop(&s.app, &c.actor, cluster).await).await
}

async fn start(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, h: HeaderMap) -> Answer {
    simple(&s, &c, &id, &q, &h, "start_cluster", async |cluster| clusters::start(&s.app, &c.actor, cluster).await).await
}

async fn restart(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, h: HeaderMap) -> Answer {
    simple(&s, &c, &id, &q, &h, "restart_cluster", async |cluster| clusters::restart(&s.app, &c.actor, cluster).await).await
}

async fn rotate(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, h: HeaderMap) -> Answer {
    simple(&s, &c, &id, &q, &h, "rotate_credentials", async |cluster| clusters::rotate(&s.app, &c.actor, cluster).await).await
}

async fn resync(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    h: HeaderMap,
    Body(b): Body<dto::Resync>,
) -> Answer {
    let act = async |cluster: &Cluster| clusters::resync(&s.app, &c.actor, cluster, &b.nodes, b.confirm.as_deref()).await;
    simple(&s, &c, &id, &q, &h, "resync", act).await
}

async fn settings(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let entry = mainstay_control::engines::get(&s.app, &cluster.engine).await?;
    Ok(with_etag(&tag(&cluster), Json(dto::Settings { settings: cluster.settings.clone(), parameters: entry.parameters })))
}

async fn patch_settings(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    h: HeaderMap,
    Body(b): Body<dto::PatchSettings>,
) -> Answer {
    let act = async |cluster: &Cluster| clusters::configure(&s.app, &c.actor, cluster, b.settings.clone()).await;
    simple(&s, &c, &id, &q, &h, "configure", act).await
}

async fn allow_list(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let open = cluster.allow_list.is_empty();
    Ok(with_etag(&tag(&cluster), Json(dto::AllowList { allow_list: cluster.allow_list, open })))
}

async fn set_allow_list(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    h: HeaderMap,
    Body(b): Body<dto::SetAllowList>,
) -> Answer {
    let list = entries(b.allow_list)?;
    let out = clusters::locks_out(&list, c.actor.from);
    let act = async |cluster: &Cluster| clusters::set_allow_list(&s.app, &c.actor, cluster, list.clone()).await;
    let mut answer = simple(&s, &c, &id, &q, &h, "set_allow_list", act).await?;
    if out {
        let warning = HeaderValue::from_static("your own address is not on this list: you can no longer connect to the cluster from here");
        answer.headers_mut().insert("x-mainstay-warning", warning);
    }
    Ok(answer)
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
