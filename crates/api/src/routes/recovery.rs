//! Recovering from a storage with a recovery key, and the control plane's own backups.

use super::{Would, accepted, storages};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{Endpoint, Method::*, Need, Noun, OWNER},
    problem::Answer,
    views,
};
use axum::{Extension, Json, extract::State, response::IntoResponse};
use mainstay_api_types as dto;
use mainstay_control::{
    ops::recover_cluster::RecoverCluster,
    recovery::{self, From, Request},
    tasks::self_backup,
};
use mainstay_model::{Error, Result, Secret};

pub fn routes() -> Noun {
    Noun::new("recoveries")
        .route(
            Endpoint::new(Post, "/recoveries/look", "lookForBackups", "What a storage holds for whoever has a recovery key", OWNER)
                .body::<dto::LookForBackups>()
                .reply::<dto::WhatIsThere>(),
            look,
        )
        .route(
            Endpoint::new(
                Post,
                "/recoveries",
                "recoverCluster",
                "Bring a cluster back from a storage with a recovery key, as a new cluster, and its history with it",
                OWNER,
            )
            .body::<dto::Recover>()
            .operation()
            .dry(),
            recover,
        )
}

pub fn system() -> Noun {
    Noun::new("system")
        .route(
            Endpoint::new(
                Get,
                "/system/backups",
                "listControlPlaneBackups",
                "Where the control plane keeps copies of itself, and how old they are",
                Need::Administrator,
            )
            .reply::<dto::ControlPlaneBackups>(),
            copies,
        )
        .route(
            Endpoint::new(
                Post,
                "/system/backups",
                "backUpControlPlane",
                "Have the control plane back itself up now; the list says when it has",
                Need::Administrator,
            )
            .reply::<dto::ControlPlaneBackups>(),
            copy_now,
        )
}

async fn from(s: &Shared, c: &Caller, storage: Option<String>, place: Option<dto::AddStorage>) -> Result<From> {
    match (storage, place) {
        (Some(name), None) => {
            let row = mainstay_control::storages::resolve(&s.app, &c.project.id, &name).await.map_err(|e| e.with_field("storage"))?;
            Ok(From::Storage(Box::new(row)))
        }
        (None, Some(b)) => Ok(From::Place(Box::new(storages::new_storage(b)?))),
        _ => Err(Error::invalid("storage", "name either a storage of the project (storage) or a place (place)")),
    }
}

/// The text of a key file, as people paste it.
fn key(text: &str) -> Result<Secret> {
    match text.trim() {
        "" => Err(Error::invalid("key", "the recovery key is empty")),
        key => Ok(Secret::new(key)),
    }
}

async fn look(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::LookForBackups>) -> Answer {
    let from = from(&s, &c, b.storage, b.place).await?;
    let found = recovery::look(&s.app, &from, &key(&b.key)?).await?;
    Ok(Json(dto::WhatIsThere { items: found.into_iter().map(views::found).collect() }).into_response())
}

async fn recover(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query, Body(b): Body<dto::Recover>) -> Answer {
    let request =
        Request { from: from(&s, &c, b.storage, b.place).await?, key: key(&b.key)?, cluster: b.cluster, backup: b.backup, name: b.name };
    if q.is_true("dry_run") {
        let found = recovery::look(&s.app, &request.from, &request.key).await?;
        let (repository, backup) = recovery::choose(&found, &request.cluster, request.backup.as_deref())?;
        let name = request.name.unwrap_or_else(|| repository.name.clone());
        let summary =
            format!("backup {} of {}, made {}, is restored to a new cluster {name}", backup.backup, repository.name, backup.created_at);
        let also = format!("{} backups of it are listed from then on", repository.backups.iter().filter(|b| b.error.is_none()).count());
        return Would::of::<RecoverCluster>(summary).also(also).planned(&s).await;
    }
    let (restore, operation) = recovery::recover(&s.app, &c.actor, &c.project.id, request).await?;
    c.on("cluster", restore.target.as_str(), &restore.target_name);
    accepted(&s, &operation, Some(("restore", restore.id.as_str()))).await
}

async fn copies(State(s): State<Shared>) -> Answer {
    Ok(Json(dto::ControlPlaneBackups { items: self_backup::list(&s.app).await?.into_iter().map(copy).collect() }).into_response())
}

async fn copy_now(State(s): State<Shared>) -> Answer {
    s.app.control_plane_changed.notify_one();
    copies(State(s)).await
}

fn copy(c: self_backup::CopyView) -> dto::ControlPlaneBackup {
    dto::ControlPlaneBackup {
        storage: c.storage_name,
        late: c.late,
        last_at: c.last.as_ref().map(|l| l.at),
        snapshot: c.last.as_ref().map(|l| l.snapshot.clone()),
        data_bytes: c.last.as_ref().map(|l| l.data_bytes),
        tried_at: c.tried_at,
        error: c.error,
    }
}
