//! How long backups are kept, and the recycle bin.

use super::{
    Would, accepted,
    backups::confirmed,
    clusters::{find, tag},
    etag, still, with_etag,
};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, OWNER, VIEWER},
    problem::Answer,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{
    ops::{purge_cluster::PurgeCluster, undelete_cluster::UndeleteCluster},
    recycle_bin,
    retention::{self, Preview},
};
use mainstay_model::{Result, cluster::Cluster, retention::BackupPolicy};

pub fn routes() -> Noun {
    Noun::new("retention")
        .route(
            Endpoint::new(Get, "/clusters/{id}/backup-policy", "showBackupPolicy", "How long backups of a cluster are kept", VIEWER)
                .reply::<dto::BackupPolicy>(),
            show,
        )
        .route(
            Endpoint::new(Put, "/clusters/{id}/backup-policy", "setBackupPolicy", "Say how long backups of a cluster are kept", ADMIN)
                .body::<dto::SetBackupPolicy>()
                .reply::<dto::BackupPolicy>()
                .dry()
                .guarded(),
            set,
        )
        .route(
            Endpoint::new(
                Post,
                "/clusters/{id}/backup-policy/apply",
                "applyBackupPolicy",
                "Announce now what the rules no longer keep, however much it is",
                ADMIN,
            )
            .body::<dto::Confirm>()
            .reply::<dto::Announced>()
            .dry(),
            apply,
        )
        .route(
            Endpoint::new(Post, "/clusters/{id}/undelete", "undeleteCluster", "Bring a deleted cluster back", OWNER)
                .body::<dto::UndeleteCluster>()
                .operation()
                .dry(),
            undelete,
        )
}

fn seen(cluster: &Cluster, p: &BackupPolicy) -> dto::BackupPolicy {
    dto::BackupPolicy {
        cluster: cluster.name.to_string(),
        manual_keep_last: p.manual_keep_last,
        manual_limit: p.manual_limit,
        min_keep: p.min_keep,
        from: p.from,
    }
}

fn policy_tag(p: &BackupPolicy) -> String {
    etag(&(p.manual_keep_last, p.manual_limit, p.min_keep, p.from))
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let policy = retention::policy(&s.app, &cluster.id).await?;
    Ok(with_etag(&policy_tag(&policy), Json(seen(&cluster, &policy))))
}

/// The plan of what has no steps: backups that go, one sentence each.
fn planned(summary: String, preview: &Preview) -> Answer {
    let going = preview.deletes.iter().map(|(b, why)| format!("{} of {} goes: {why}", b.id, b.created_at));
    let copies = preview.copies.iter().map(|(b, c)| {
        let over = c.expires_at.map(|t| format!(" {t}")).unwrap_or_default();
        format!("the copy of {} in storage {} goes: its time there ended{over}; the backup stays elsewhere", b.id, c.storage_name)
    });
    let summary = std::iter::once(summary).chain(going).chain(copies).collect();
    let warnings = if preview.is_empty() { vec![] } else { vec!["each can be brought back for 72 hours, with `backup undelete`".into()] };
    Ok(Json(dto::Plan { kind: "backup_policy".into(), summary, steps: vec![], warnings, numbers: Default::default() }).into_response())
}

fn how_many(preview: &Preview) -> String {
    let good = preview.deletes.iter().filter(|(b, _)| b.is_good()).count();
    let copies = match preview.copies.len() {
        0 => String::new(),
        1 => ", and 1 copy of another one".into(),
        n => format!(", and {n} copies of others"),
    };
    format!("{} backups go, {good} of the {} good ones{copies}", preview.deletes.len(), preview.of)
}

async fn set(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::SetBackupPolicy>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let today = retention::policy(&s.app, &cluster.id).await?;
    still(&headers, &[&policy_tag(&today)])?;
    let defaults = BackupPolicy::default();
    let min_keep = b.min_keep.unwrap_or(defaults.min_keep);
    let policy = BackupPolicy { manual_keep_last: b.manual_keep_last, manual_limit: b.manual_limit, min_keep, from: b.from };
    retention::check(&policy)?;
    let preview = retention::preview(&s.app, &cluster.id, &policy).await?;
    if q.is_true("dry_run") {
        return planned(format!("{}: with this {}", cluster.name, how_many(&preview)), &preview);
    }
    if !preview.is_empty() {
        confirmed(b.confirm.as_deref(), "name", cluster.name.as_str())?;
    }
    retention::set_policy(&s.app, &cluster, &policy).await?;
    Ok(with_etag(&policy_tag(&policy), Json(seen(&cluster, &policy))))
}

async fn apply(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    if q.is_true("dry_run") {
        let preview = retention::due(&s.app, &cluster.id).await?;
        return planned(format!("{}: {}", cluster.name, how_many(&preview)), &preview);
    }
    confirmed(b.confirm.as_deref(), "name", cluster.name.as_str())?;
    let marked = retention::apply(&s.app, &cluster).await?;
    let (backups, copies) = (marked.backups as u64, marked.copies as u64);
    Ok(Json(dto::Announced { cluster: cluster.name.to_string(), backups, copies }).into_response())
}

async fn deleted(s: &Shared, c: &Caller, id: &str) -> Result<Cluster> {
    let cluster = recycle_bin::resolve(&s.app, &c.project.id, id).await?;
    c.on("cluster", cluster.id.as_str(), cluster.name.as_str());
    Ok(cluster)
}

async fn undelete(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::UndeleteCluster>,
) -> Answer {
    let cluster = deleted(&s, &c, &id).await?;
    if q.is_true("dry_run") {
        let name = recycle_bin::name(&s.app, &cluster, b.r#as.as_deref()).await?;
        let backup = recycle_bin::source(&s.app, &cluster).await?;
        let summary = format!("cluster {name} is brought back with the data of backup {} of {}", backup.id, backup.created_at);
        return Would::of::<UndeleteCluster>(summary).locking(cluster.id.as_str()).planned(&s).await;
    }
    let (cluster, operation) = recycle_bin::undelete(&s.app, &c.actor, &cluster, b.r#as.as_deref()).await?;
    accepted(&s, &operation, Some(("cluster", cluster.id.as_str()))).await
}

/// `DELETE /clusters/{id}` of one that is in the recycle bin already.
pub(super) async fn purge(s: &Shared, c: &Caller, id: &str, q: &Query, headers: &HeaderMap, b: dto::DeleteCluster) -> Answer {
    let cluster = deleted(s, c, id).await?;
    still(headers, &[&tag(&cluster)])?;
    if q.is_true("dry_run") {
        let would = Would::of::<PurgeCluster>(format!("cluster {} goes for good, with every backup of it", cluster.name));
        return would.locking(cluster.id.as_str()).planned(s).await;
    }
    accepted(s, &recycle_bin::purge(&s.app, &c.actor, &cluster, b.confirm.as_deref()).await?, None).await
}
