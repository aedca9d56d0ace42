//! Nodes of a cluster.

use super::{
    Would, accepted,
    clusters::{find, host, tag},
    etag, part, still, with_etag,
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
use mainstay_control::{
    clusters::running,
    counts,
    nodes::{self, Promotion},
    ops,
    plan::candidate::Loss,
    topology::Topology,
};
use mainstay_model::{Error, Result, cluster::Cluster, node::Node};

pub fn routes() -> Noun {
    let verb = |path, id, summary, need| Endpoint::new(Post, path, id, summary, need).operation().dry().guarded();
    Noun::new("nodes")
        .route(Endpoint::new(Get, "/clusters/{id}/nodes", "listNodes", "Nodes as they are now", VIEWER).list::<dto::Node>(), list)
        .route(verb("/clusters/{id}/nodes", "addNode", "Add a replica", ADMIN), add)
        .route(Endpoint::new(Get, "/clusters/{id}/nodes/{node}", "showNode", "One node", VIEWER).reply::<dto::Node>(), show)
        .route(
            Endpoint::new(Delete, "/clusters/{id}/nodes/{node}", "removeNode", "Remove a replica", ADMIN)
                .body::<dto::Confirm>()
                .operation()
                .dry()
                .guarded(),
            remove,
        )
        .route(
            verb("/clusters/{id}/nodes/{node}/promote", "promoteNode", "Make a replica the primary", ADMIN).body::<dto::PromoteNode>(),
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

pub(super) async fn topology(s: &Shared, cluster: &Cluster) -> Result<Topology> {
    Topology::load(&s.app, &cluster.id).await
}

/// A node of the cluster that is not its primary.
pub(super) fn replica<'a>(topology: &'a Topology, name: &str) -> Result<&'a Node> {
    let node = nodes::find(topology, name)?;
    match topology.is_primary(node) {
        true => Err(Error::conflict("is_primary", format!("{} is the primary; promote another node first", node.name))),
        false => Ok(node),
    }
}

/// Of the node, its place in the cluster, and the cluster it is in.
fn node_tag(topology: &Topology, node: &Node) -> String {
    etag(&(&node.id, topology.is_primary(node), tag(&topology.cluster)))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let host = host(&s).await;
    let found = nodes::list(&s.app, &cluster).await?;
    let items: Vec<dto::Node> = found.into_iter().map(|n| views::node(n, &host)).collect();
    Ok(part(&q, items, |n| &n.id)?.into_response())
}

type Named = Path<(String, String)>;

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, node)): Named) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let topology = topology(&s, &cluster).await?;
    let tag = node_tag(&topology, nodes::find(&topology, &node)?);
    let view = nodes::show(&s.app, &cluster, &node).await?;
    Ok(with_etag(&tag, Json(views::node(view, &host(&s).await))))
}

async fn add(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    still(&headers, &[&tag(&cluster)])?;
    if q.is_true("dry_run") {
        running(&cluster)?;
        let would = Would::of::<ops::add_node::AddNode>(format!("{} gets a replica, seeded from the cluster", cluster.name));
        return would.locking(cluster.id.as_str()).planned(&s).await;
    }
    let (node, operation) = nodes::add(&s.app, &c.actor, &cluster).await?;
    accepted(&s, &operation, Some(("node", node.as_str()))).await
}

/// The cluster and its nodes for a verb on `node`, where they are still what the caller saw.
async fn seen(s: &Shared, c: &Caller, id: &str, node: &str, headers: &HeaderMap) -> Answer<(Cluster, Topology)> {
    let cluster = find(s, c, id).await?;
    let topology = topology(s, &cluster).await?;
    let tags = [tag(&cluster), node_tag(&topology, nodes::find(&topology, node)?)];
    still(headers, &[&tags[0], &tags[1]])?;
    Ok((cluster, topology))
}

async fn remove(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path((id, node)): Named,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let (cluster, topology) = seen(&s, &c, &id, &node, &headers).await?;
    if q.is_true("dry_run") {
        running(&cluster)?;
        let node = replica(&topology, &node)?;
        let left = counts::replicas_without(&topology, &node.id);
        let clients = counts::clients(&s.app, &topology, std::slice::from_ref(&node.id)).await;
        return Would::of::<ops::remove_node::RemoveNode>(format!("{} and its data are removed", node.name))
            .number("connections_cut", clients)
            .number("replicas_left", Some(left))
            .number("backups_left", Some(counts::restorable(&s.app, &cluster.id).await?))
            .locking(cluster.id.as_str())
            .planned(&s)
            .await;
    }
    accepted(&s, &nodes::remove(&s.app, &c.actor, &cluster, &node, b.confirm.as_deref()).await?, None).await
}

async fn promote(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path((id, node)): Named,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::PromoteNode>,
) -> Answer {
    let (cluster, topology) = seen(&s, &c, &id, &node, &headers).await?;
    if q.is_true("dry_run") {
        running(&cluster)?;
        let node = replica(&topology, &node)?;
        let would = match nodes::promotion(&s.app, &topology, node, b.allow_data_loss).await? {
            Promotion::Planned(lag) => handed_over(&cluster, node, lag),
            Promotion::Forced(loss) => forced(&topology, node, &loss)?,
        };
        let would = would
            .number("connections_cut", counts::sessions(&s.app, &cluster.id, true).await)
            .number("replicas_left", Some(counts::replicas_without(&topology, &node.id)));
        return would.locking(cluster.id.as_str()).planned(&s).await;
    }
    let operation = nodes::promote(&s.app, &c.actor, &cluster, &node, b.allow_data_loss, b.confirm.as_deref()).await?;
    accepted(&s, &operation, None).await
}

fn handed_over(cluster: &Cluster, node: &Node, lag: u64) -> Would<'static> {
    let summary =
        format!("{} becomes the primary of {}; it is {lag} bytes behind, and waits for them: nothing is lost", node.name, cluster.name);
    Would::of::<ops::promote::Promote>(summary).also("new connections wait, open sessions are closed").number("bytes_lost", Some(0))
}

fn forced(topology: &Topology, node: &Node, loss: &Loss) -> Result<Would<'static>> {
    let old = &topology.primary()?.name;
    let summary = format!("{} becomes the primary of {} without a hand-over", node.name, topology.cluster.name);
    let unseen = loss.seconds.map(|s| s.round() as u64);
    Ok(Would::of::<ops::force_promote::ForcePromote>(summary)
        .also(format!("{old} is killed and fenced: it is let back by `cluster resync` only, which erases what it holds"))
        .warning(vec![loss.sentence(&node.name)])
        .number("bytes_lost", loss.bytes)
        .number("seconds_unseen", unseen))
}

async fn reboot(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path((id, node)): Named,
    q: Query,
    headers: HeaderMap,
    Body(_): Body<dto::Confirm>,
) -> Answer {
    let (cluster, topology) = seen(&s, &c, &id, &node, &headers).await?;
    if q.is_true("dry_run") {
        running(&cluster)?;
        let node = nodes::find(&topology, &node)?;
        return Would::of::<ops::restart_node::RestartNode>(format!("{} stops and starts", node.name))
            .locking(cluster.id.as_str())
            .planned(&s)
            .await;
    }
    accepted(&s, &nodes::reboot(&s.app, &c.actor, &cluster, &node).await?, None).await
}

async fn logs(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, node)): Named, q: Query) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let name = nodes::find(&topology(&s, &cluster).await?, &node)?.name.clone();
    let lines = nodes::logs(&s.app, &cluster, &node, q.number("lines")?.unwrap_or(100)).await?;
    Ok(Json(dto::Logs { node: name, lines }).into_response())
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
