//! Backups.

use super::{accepted, clusters::find, dry_run, etag, page, still, with_etag};
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
    body::Body as Stream,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::backups::{self, DEFAULT_RETENTION_DAYS, NewBackup};
use mainstay_model::{ClusterId, Error, Result, backup::Backup};
use mainstay_store::backups::BackupFilter;

const DRY: (&str, &str) = ("dry_run", "`true` answers with the plan and does nothing.");
const LIST: &[(&str, &str)] = &[
    ("cluster", "Only of this cluster."),
    ("status", "Only with this status."),
    ("kind", "Only of this kind."),
    ("limit", "1 to 500"),
    ("cursor", "`next` of the page before"),
];

pub fn routes() -> Noun {
    let verb = |path, id, summary, need| Endpoint::new(Post, path, id, summary, need).operation().query(&[DRY]);
    let pin = |path, id, summary| Endpoint::new(Post, path, id, summary, OPERATOR).reply::<dto::Backup>();
    Noun::new("backups")
        .route(
            Endpoint::new(Get, "/backups", "listBackups", "Backups of a project, newest first", VIEWER).list::<dto::Backup>().query(LIST),
            list,
        )
        .route(
            Endpoint::new(Get, "/clusters/{id}/backups", "listClusterBackups", "Backups of a cluster, newest first", VIEWER)
                .list::<dto::Backup>()
                .query(LIST),
            of_cluster,
        )
        .route(verb("/clusters/{id}/backups", "createBackup", "Back up now", OPERATOR).body::<dto::CreateBackup>(), create)
        .route(Endpoint::new(Get, "/backups/{id}", "showBackup", "One backup", VIEWER).reply::<dto::Backup>(), show)
        .route(
            Endpoint::new(Delete, "/backups/{id}", "deleteBackup", "Delete a backup", ADMIN)
                .body::<dto::Confirm>()
                .operation()
                .query(&[DRY]),
            delete,
        )
        .route(verb("/backups/{id}/verify", "verifyBackup", "Read every byte again", OPERATOR), verify)
        .route(verb("/backups/{id}/drill", "drillBackup", "Restore into a throw-away instance and check it", OPERATOR), drill)
        .route(pin("/backups/{id}/pin", "pinBackup", "Never delete it by policy"), pin_it)
        .route(pin("/backups/{id}/unpin", "unpinBackup", "Let policies delete it again"), unpin)
        .route(
            Endpoint::new(Get, "/backups/{id}/download", "downloadBackup", "The data as one file, not encrypted", ADMIN).audited(),
            download,
        )
        .route(
            Endpoint::new(Get, "/backups/{id}/commands", "showCommands", "How to restore without Mainstay", VIEWER)
                .reply::<dto::Commands>(),
            commands,
        )
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<Backup> {
    backups::resolve(&s.app, &c.project.id, id).await
}

async fn filtered(s: &Shared, c: &Caller, q: &Query, cluster: Option<ClusterId>) -> Answer {
    let filter = BackupFilter {
        project: Some(c.project.id.clone()),
        cluster,
        status: q.word("status")?,
        kind: q.word("kind")?,
        ..Default::default()
    };
    Ok(page(backups::list(&s.app, &filter, &q.paging()?).await?, views::backup).into_response())
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

async fn create(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    Body(b): Body<dto::CreateBackup>,
) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    if b.keep && b.retention_days.is_some() {
        return Err(Error::invalid("keep", "either keep or retention_days").into());
    }
    if let Some(answer) = dry_run(&s, &q, "back_up", vec![format!("{} is backed up", cluster.name)], vec![])? {
        return Ok(answer);
    }
    let retention_days = if b.keep { None } else { Some(b.retention_days.unwrap_or(DEFAULT_RETENTION_DAYS)) };
    let new = NewBackup { description: b.description, retention_days, storages: b.storages };
    let (_, operation) = backups::create(&s.app, &c.actor, &cluster, new).await?;
    accepted(&s, &operation).await
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let backup = get(&s, &c, &id).await?;
    Ok(with_etag(&etag(&backup), Json(views::backup(backup))))
}

async fn delete(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    h: HeaderMap,
    Body(b): Body<dto::Confirm>,
) -> Answer {
    let backup = get(&s, &c, &id).await?;
    still(&h, &etag(&backup))?;
    if let Some(answer) =
        dry_run(&s, &q, "delete_backup", vec![format!("backup {} of {} is removed", backup.id, backup.cluster_name)], vec![])?
    {
        return Ok(answer);
    }
    if b.confirm.as_deref() != Some(backup.id.as_str()) {
        return Err(Error::invalid("confirm", format!("type the id \"{}\" to confirm", backup.id))
            .with_code("confirmation_mismatch")
            .into());
    }
    accepted(&s, &backups::delete(&s.app, &c.actor, &backup).await?).await
}

async fn verify(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let backup = get(&s, &c, &id).await?;
    if let Some(answer) = dry_run(&s, &q, "verify", vec![format!("every byte of backup {} is read", backup.id)], vec![])? {
        return Ok(answer);
    }
    accepted(&s, &backups::verify(&s.app, &c.actor, &backup).await?).await
}

async fn drill(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let backup = get(&s, &c, &id).await?;
    if let Some(answer) = dry_run(&s, &q, "drill", vec![format!("backup {} is restored into a throw-away instance", backup.id)], vec![])? {
        return Ok(answer);
    }
    accepted(&s, &backups::drill(&s.app, &c.actor, &backup).await?).await
}

async fn pin_it(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let backup = get(&s, &c, &id).await?;
    Ok(Json(views::backup(backups::set_pinned(&s.app, &backup, true).await?)).into_response())
}

async fn unpin(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let backup = get(&s, &c, &id).await?;
    Ok(Json(views::backup(backups::set_pinned(&s.app, &backup, false).await?)).into_response())
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
    let commands = backups::commands(&s.app, &backup).await?;
    Ok(Json(dto::Commands { backup: backup.id.to_string(), commands }).into_response())
}
