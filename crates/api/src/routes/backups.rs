//! Backups.

use super::{Would, accepted, clusters::find, etag, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, OPERATOR, VIEWER},
    kit,
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    body::Body as Stream,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{
    backups::{self, DEFAULT_RETENTION_DAYS, NewBackup},
    clusters::running,
    copies,
    ops::{back_up, copy_backup, delete_backup, drill, verify},
    retention,
};
use mainstay_model::{ClusterId, Error, Result, backup::Backup};
use mainstay_store::backups::BackupFilter;

const FILTERS: &[(&str, &str)] = &[("status", "Only with this status."), ("kind", "Only of this kind.")];

pub fn routes() -> Noun {
    let verb = |path, id, summary, need| Endpoint::new(Post, path, id, summary, need).operation().dry().guarded();
    let pin = |path, id, summary| Endpoint::new(Post, path, id, summary, OPERATOR).reply::<dto::Backup>();
    Noun::new("backups")
        .route(
            Endpoint::new(Get, "/backups", "listBackups", "Backups of a project, newest first", VIEWER)
                .list::<dto::Backup>()
                .query(FILTERS)
                .query(&[("cluster", "Only of this cluster.")]),
            list,
        )
        .route(
            Endpoint::new(Get, "/clusters/{id}/backups", "listClusterBackups", "Backups of a cluster, newest first", VIEWER)
                .list::<dto::Backup>()
                .query(FILTERS),
            of_cluster,
        )
        .route(
            Endpoint::new(Post, "/clusters/{id}/backups", "createBackup", "Back up now", OPERATOR)
                .body::<dto::CreateBackup>()
                .operation()
                .dry(),
            create,
        )
        .route(Endpoint::new(Get, "/backups/{id}", "showBackup", "One backup", VIEWER).reply::<dto::Backup>(), show)
        .route(
            Endpoint::new(Delete, "/backups/{id}", "deleteBackup", "Delete a backup", ADMIN)
                .body::<dto::Confirm>()
                .operation()
                .dry()
                .guarded(),
            delete,
        )
        .route(
            Endpoint::new(Post, "/backups/{id}/copies", "copyBackup", "Keep a copy in one storage more", OPERATOR)
                .body::<dto::CopyBackup>()
                .operation()
                .dry(),
            copy,
        )
        .route(verb("/backups/{id}/verify", "verifyBackup", "Read every byte again", OPERATOR), verify)
        .route(verb("/backups/{id}/drill", "drillBackup", "Restore into a throw-away instance and check it", OPERATOR), drill)
        .route(pin("/backups/{id}/undelete", "undeleteBackup", "Take back its deletion by a policy; it is pinned then"), undelete)
        .route(pin("/backups/{id}/pin", "pinBackup", "Never delete it by policy"), pin_it)
        .route(pin("/backups/{id}/unpin", "unpinBackup", "Let policies delete it again"), unpin)
        .route(
            Endpoint::new(Get, "/backups/{id}/download", "downloadBackup", "The data as one file, not encrypted", ADMIN)
                .media("application/octet-stream")
                .audited(),
            download,
        )
        .route(
            Endpoint::new(Get, "/backups/{id}/commands", "showCommands", "How to restore without Mainstay", VIEWER)
                .reply::<dto::Commands>(),
            commands,
        )
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<Backup> {
    let backup = backups::resolve(&s.app, &c.project.id, id).await?;
    c.on("backup", backup.id.as_str(), &format!("{} {}", backup.cluster_name, backup.created_at));
    Ok(backup)
}

/// Of what a decision about a backup rests on.
fn tag(b: &Backup) -> String {
    let copies: Vec<_> = b.copies.iter().map(|c| (&c.storage, c.status, &c.snapshot, c.expires_at)).collect();
    etag(&(&b.id, b.status, b.proof, b.pinned, b.expires_at, copies))
}

async fn filtered(s: &Shared, c: &Caller, q: &Query, cluster: Option<ClusterId>) -> Answer {
    let filter = BackupFilter {
        project: Some(c.project.id.clone()),
        cluster,
        status: q.word("status")?,
        kind: q.word("kind")?,
        ..Default::default()
    };
    let found = backups::list(&s.app, &filter, &q.paging()?).await?;
    let why = retention::explain(&s.app, &found.items).await?;
    let items = found.items.into_iter().zip(why).map(|(b, why)| views::backup(b, why)).collect();
    Ok(Json(dto::List { items, next: found.next }).into_response())
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let cluster = match q.get("cluster") {
        Some(name) => Some(find(&s, &c, name).await?.id),
        None => None,
    };
    filtered(&s, &c, &q, cluster).await
}

async fn of_cluster(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    filtered(&s, &c, &q, Some(cluster.id)).await
}

pub(super) fn new_backup(b: dto::CreateBackup) -> Result<NewBackup> {
    if b.keep && b.retention_days.is_some() {
        return Err(Error::invalid("keep", "either keep or retention_days"));
    }
    let by_policy = !b.keep && b.retention_days.is_none();
    let retention_days = if b.keep { None } else { Some(b.retention_days.unwrap_or(DEFAULT_RETENTION_DAYS)) };
    let (description, storages, dual_region, copy_retention) = (b.description, b.storages, b.dual_region, b.copy_retention);
    Ok(NewBackup { description, retention_days, by_policy, storages, dual_region, copy_retention })
}

async fn create(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::CreateBackup>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let new = new_backup(b)?;
    let retention_days = new.retention_days;
    if q.is_true("dry_run") {
        running(&cluster)?;
        let kept = match new.by_policy {
            true => retention::manual_default(&s.app, &cluster.id).await?,
            false => retention_days.map_or("until it is deleted".into(), |days| format!("{days} days")),
        };
        return Would::of::<back_up::BackUp>(format!("{} is backed up, kept {kept}", cluster.name)).planned(&s).await;
    }
    let (backup, operation) = backups::create(&s.app, &c.actor, &cluster, new).await?;
    accepted(&s, &operation, Some(("backup", backup.id.as_str()))).await
}

async fn copy(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::CopyBackup>,
) -> Answer {
    let backup = get(&s, &c, &id).await?;
    if q.is_true("dry_run") {
        let storage = copies::wanted(&s.app, &backup, &b.storage).await?;
        let summary = format!("backup {} of {} is copied to storage {}", backup.id, backup.cluster_name, storage.name);
        return Would::of::<copy_backup::CopyBackup>(summary).locking(backup.id.as_str()).planned(&s).await;
    }
    accepted(&s, &copies::add(&s.app, &c.actor, &backup, &b.storage).await?, Some(("backup", backup.id.as_str()))).await
}

async fn shown(s: &Shared, backup: Backup) -> Answer {
    let why = retention::explain(&s.app, std::slice::from_ref(&backup)).await?.pop().unwrap_or_default();
    Ok(with_etag(&tag(&backup), Json(views::backup(backup, why))))
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let backup = get(&s, &c, &id).await?;
    shown(&s, backup).await
}

async fn delete(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let backup = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&backup)])?;
    if q.is_true("dry_run") {
        let would = Would::of::<delete_backup::DeleteBackup>(format!("backup {} of {} is removed", backup.id, backup.cluster_name));
        let last = backups::is_last_good(&s.app, &backup).await?.then(|| backups::last_good_warning(&backup));
        let part = retention::whole_of(&s.app, &backup)
            .await?
            .map(|group| format!("it is a part of group backup {group}, which cannot be restored as a whole without it"));
        return would.warning(last.into_iter().chain(part).collect()).locking(backup.id.as_str()).planned(&s).await;
    }
    confirmed(b.confirm.as_deref(), "id", backup.id.as_str())?;
    let last = backups::is_last_good(&s.app, &backup).await?;
    let mut answer = accepted(&s, &backups::delete(&s.app, &c.actor, &backup).await?, None).await?;
    if last && let Ok(warning) = backups::last_good_warning(&backup).parse() {
        answer.headers_mut().append("x-mainstay-warning", warning);
    }
    Ok(answer)
}

/// Refuses what does not match what had to be typed.
pub(super) fn confirmed(typed: Option<&str>, what: &str, name: &str) -> Result<()> {
    if typed == Some(name) {
        return Ok(());
    }
    Err(Error::invalid("confirm", format!("type the {what} \"{name}\" to confirm")).with_code("confirmation_mismatch"))
}

async fn verify(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let backup = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&backup)])?;
    if q.is_true("dry_run") {
        let would = Would::of::<verify::Verify>(format!("every byte of backup {} is read", backup.id));
        return would.locking(backup.id.as_str()).planned(&s).await;
    }
    accepted(&s, &backups::verify(&s.app, &c.actor, &backup).await?, None).await
}

async fn drill(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let backup = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&backup)])?;
    if q.is_true("dry_run") {
        let would = Would::of::<drill::Drill>(format!("backup {} is restored into a throw-away instance", backup.id));
        return would.locking(backup.id.as_str()).planned(&s).await;
    }
    accepted(&s, &backups::drill(&s.app, &c.actor, &backup).await?, None).await
}

async fn undelete(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let backup = retention::undelete(&s.app, &get(&s, &c, &id).await?).await?;
    shown(&s, backup).await
}

async fn pin_it(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    pinned(&s, &c, &id, true).await
}

async fn unpin(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    pinned(&s, &c, &id, false).await
}

async fn pinned(s: &Shared, c: &Caller, id: &str, pinned: bool) -> Answer {
    let backup = backups::set_pinned(&s.app, &get(s, c, id).await?, pinned).await?;
    shown(s, backup).await
}

/// The file's name is made of a cluster's name and an id: nothing in it needs escaping.
async fn download(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let backup = get(&s, &c, &id).await?;
    let name = backups::file_name(&s.app, &backup).await?;
    let chunks = backups::download(&s.app, &backup).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, Stream::from_stream(chunks)).into_response())
}

async fn commands(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let backup = get(&s, &c, &id).await?;
    let copies: Vec<_> = backups::commands(&s.app, &backup).await?.into_iter().map(kit::commands).collect();
    let commands = copies.iter().find(|c| c.error.is_none()).map(|c| c.commands.clone()).unwrap_or_default();
    Ok(Json(dto::Commands { backup: backup.id.to_string(), commands, copies }).into_response())
}
