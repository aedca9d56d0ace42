//! Nodes of a cluster.

use super::{
    accepted,
    clusters::{find, tag},
    dry_run, still, whole,
};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, OPERATOR, VIEWER},
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
use mainstay_control::nodes;

const DRY: (&str, &str) = ("dry_run", "`true` answers with the plan and does nothing.");

pub fn routes() -> Noun {
    let verb = |path, id, summary, need| Endpoint::new(Post, path, id, summary, need).operation().query(&[DRY]);
    Noun::new("nodes")
        .route(Endpoint::new(Get, "/clusters/{id}/nodes", "listNodes", "Nodes as they are now", VIEWER).list::<dto::Node>(), list)
        .route(verb("/clusters/{id}/nodes", "addNode", "Add a replica", ADMIN), add)
        .route(Endpoint::new(Get, "/clusters/{id}/nodes/{node}", "showNode", "One node", VIEWER).reply::<dto::Node>(), show)
        .route(
            Endpoint::new(Delete, "/clusters/{id}/nodes/{node}", "removeNode", "Remove a replica", ADMIN)
                .body::<dto::Confirm>()
                .operation()
                .query(&[DRY]),
            remove,
        )
        .route(
            verb("/clusters/{id}/nodes/{node}/promote", "promoteNode", "Make a replica the primary", ADMIN).body::<dto::Confirm>(),
            promote,
        )
        .route(verb("/clusters/{id}/nodes/{node}/reboot", "rebootNode", "Stop and start a node", OPERATOR).body::<dto::Confirm>(), reboot)
        .route(
            Endpoint::new(Get, "/clusters/{id}/nodes/{node}/logs", "showLogs", "The engine's latest log lines", VIEWER)
                .reply::<dto::Logs>()
                .query(&[("lines", "1 to 5000; 100 where absent")]),
            logs,
        )
        .route(
            Endpoint::new(Get, "/clusters/{id}/nodes/{node}/metrics", "showMetrics", "CPU, memory, disk, connections", VIEWER)
                .reply::<dto::NodeMetrics>(),
            metrics,
        )
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let host = s.app.description().await?.host_name;
    let found = nodes::list(&s.app, &cluster).await?;
    Ok(whole(found.into_iter().map(|n| views::node(n, &host)).collect()).into_response())
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, node)): Path<(String, String)>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let host = s.app.description().await?.host_name;
    Ok(Json(views::node(nodes::show(&s.app, &cluster, &node).await?, &host)).into_response())
}

async fn add(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, h: HeaderMap) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    still(&h, &tag(&cluster))?;
    if let Some(answer) = dry_run(&s, &q, "add_node", vec![format!("{} gets a replica", cluster.name)], vec![])? {
        return Ok(answer);
    }
    let (_, operation) = nodes::add(&s.app, &c.actor, &cluster).await?;
    accepted(&s, &operation).await
}

type Named = Path<(String, String)>;

async fn remove(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path((id, node)): Named,
    q: Query,
    h: HeaderMap,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    still(&h, &tag(&cluster))?;
    if let Some(answer) = dry_run(&s, &q, "remove_node", vec![format!("{node} and its data are removed")], vec![])? {
        return Ok(answer);
    }
    accepted(&s, &nodes::remove(&s.app, &c.actor, &cluster, &node, b.confirm.as_deref()).await?).await
}

async fn promote(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path((id, node)): Named,
    q: Query,
    h: HeaderMap,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    still(&h, &tag(&cluster))?;
    let summary = vec![format!("{node} becomes the primary of {}", cluster.name), "new connections wait, open sessions end".into()];
    if let Some(answer) = dry_run(&s, &q, "promote", summary, vec![])? {
        return Ok(answer);
    }
    accepted(&s, &nodes::promote(&s.app, &c.actor, &cluster, &node, b.confirm.as_deref()).await?).await
}

async fn reboot(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path((id, node)): Named,
    q: Query,
    h: HeaderMap,
    Body(_): Body<dto::Confirm>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    still(&h, &tag(&cluster))?;
    if let Some(answer) = dry_run(&s, &q, "restart_node", vec![format!("{node} stops and starts")], vec![])? {
        return Ok(answer);
    }
    accepted(&s, &nodes::reboot(&s.app, &c.actor, &cluster, &node).await?).await
}

async fn logs(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, node)): Named, q: Query) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let lines = nodes::logs(&s.app, &cluster, &node, q.number("lines")?.unwrap_or(100)).await?;
    Ok(Json(dto::Logs { node, lines }).into_response())
}

async fn metrics(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, node)): Named) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let seen = nodes::show(&s.app, &cluster, &node).await?;
    let u = nodes::usage(&s.app, &cluster, &node).await?;
    let metrics = dto::NodeMetrics {
        node: seen.node.name,
        cpu_seconds: u.usage.cpu_seconds,
        memory_bytes: u.usage.memory_bytes,
        open_files: u.usage.open_files,
        data_bytes: u.data_bytes,
        disk_free_bytes: u.disk_free_bytes,
        disk_total_bytes: u.disk_total_bytes,
        connections: seen.observed.connections,
    };
    Ok(Json(metrics).into_response())
}
