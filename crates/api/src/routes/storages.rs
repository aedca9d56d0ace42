//! Storages.

use super::{Would, accepted, etag, part, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{Endpoint, Method::*, Noun, OPERATOR, OWNER, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{
    ops::rekey_storage::RekeyStorage,
    storages::{self, Login, NewStorage},
};
use mainstay_drivers::storage::{BorgPlace, PathStyle, Place, S3Place, SftpPlace};
use mainstay_model::{Error, Result, backup::Check, error::shown, limits::Limits};
use mainstay_store::storages::StorageRow;

pub fn routes() -> Noun {
    Noun::new("storages")
        .route(Endpoint::new(Get, "/storages", "listStorages", "Where backups can go", VIEWER).list::<dto::Storage>(), list)
        .route(
            Endpoint::new(Post, "/storages", "addStorage", "Add a storage, after it was checked", OWNER)
                .body::<dto::AddStorage>()
                .created::<dto::Storage>(),
            add,
        )
        .route(Endpoint::new(Get, "/storages/{id}", "showStorage", "One storage", VIEWER).reply::<dto::Storage>(), show)
        .route(
            Endpoint::new(Patch, "/storages/{id}", "setStorage", "How much of it backups may take, and what logs in there", OWNER)
                .body::<dto::PatchStorage>()
                .reply::<dto::Storage>(),
            set,
        )
        .route(
            Endpoint::new(
                Post,
                "/storages/{id}/rekey",
                "rekeyStorage",
                "Begin new repositories, with other master keys, beside the old ones",
                OWNER,
            )
            .operation()
            .dry()
            .guarded(),
            rekey,
        )
        .route(
            Endpoint::new(Delete, "/storages/{id}", "removeStorage", "Forget a storage that holds no living backup", OWNER)
                .status(204)
                .guarded(),
            remove,
        )
        .route(Endpoint::new(Post, "/storages/{id}/check", "checkStorage", "Look at it now", OPERATOR).reply::<dto::StorageCheck>(), check)
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let rows = storages::list(&s.app, &c.project.id).await?;
    Ok(part(&q, rows.iter().map(views::storage).collect(), |r: &dto::Storage| &r.id)?.into_response())
}

/// What was asked for, as its kind takes it. A field that its kind knows nothing of is a mistake that
/// should not pass in silence.
pub fn new_storage(b: dto::AddStorage) -> Result<NewStorage> {
    let takes: &[&str] = match b.kind.as_str() {
        "local" => &["path"],
        "s3" => &["endpoint", "bucket", "prefix", "access_key", "secret_key", "s3_region", "path_style", "ca"],
        "sftp" => &["host", "port", "user", "path", "host_key", "ssh_key"],
        "borg" => &["repository", "host_key", "ssh_key"],
        "snapshot" => &["path"],
        other => {
            return Err(Error::invalid(
                "kind",
                format!("\"{}\" is not a kind of storage here; local, s3, sftp, borg and snapshot are", shown(other)),
            ));
        }
    };
    let given = serde_json::to_value(&b).map_err(Error::internal)?;
    let fields = given.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(odd) = fields.filter(|f| !["name", "kind", "region", "bandwidth", "parallel"].contains(f)).find(|f| !takes.contains(f)) {
        return Err(Error::invalid(odd, format!("a storage of kind {} takes no {odd}; it takes {}", b.kind, takes.join(", "))));
    }
    let region = region(b.region.clone())?;
    let secret = b.secret_key.clone().or_else(|| b.ssh_key.clone());
    let limits = Limits { bandwidth: b.bandwidth, parallel: b.parallel };
    Ok(NewStorage { place: place(&b)?, name: b.name, region, secret, limits })
}

fn place(b: &dto::AddStorage) -> Result<Place> {
    let need = |field: &str, value: &Option<String>, what: &str| {
        value.clone().ok_or_else(|| Error::invalid(field, format!("a storage of kind {} needs {what}", b.kind)))
    };
    Ok(match b.kind.as_str() {
        "s3" => Place::S3(S3Place {
            endpoint: need("endpoint", &b.endpoint, "the server's address")?.trim_end_matches('/').into(),
            bucket: need("bucket", &b.bucket, "a bucket")?,
            prefix: b.prefix.clone().unwrap_or_default(),
            s3_region: b.s3_region.clone(),
            path_style: path_style(b.path_style.as_deref())?,
            access_key: need("access_key", &b.access_key, "an access key")?,
            ca: b.ca.clone(),
        }),
        "sftp" => Place::Sftp(SftpPlace {
            host: need("host", &b.host, "a host")?,
            port: b.port.unwrap_or(22),
            user: need("user", &b.user, "a user")?,
            path: need("path", &b.path, "an absolute directory there")?,
            host_key: need("host_key", &b.host_key, "the host's public key")?,
        }),
        "borg" => Place::Borg(BorgPlace { repository: need("repository", &b.repository, "a repository")?, host_key: b.host_key.clone() }),
        // Without a path it lies in the data directory.
        "snapshot" => Place::Snapshot { path: b.path.clone().unwrap_or_default().into() },
        _ => Place::Local { path: need("path", &b.path, "an absolute directory")?.into() },
    })
}

fn path_style(text: Option<&str>) -> Result<PathStyle> {
    match text {
        None | Some("auto") => Ok(PathStyle::Auto),
        Some("on") => Ok(PathStyle::On),
        Some("off") => Ok(PathStyle::Off),
        Some(other) => Err(Error::invalid("path_style", format!("\"{}\" is none of auto, on and off", shown(other)))),
    }
}

/// Looks that come and go are no change of the storage.
fn tag(row: &StorageRow) -> String {
    etag(&StorageRow { last_check: None, ..row.clone() })
}

fn region(region: Option<String>) -> Result<Option<String>> {
    let fits = |r: &String| (1..=64).contains(&r.chars().count()) && !r.chars().any(char::is_control);
    match region {
        Some(r) if !fits(&r) => Err(Error::invalid("region", "1 to 64 characters, no control characters")),
        region => Ok(region),
    }
}

async fn add(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::AddStorage>) -> Answer {
    let (row, _) = storages::add(&s.app, &c.project.id, new_storage(b)?).await?;
    c.on("storage", row.id.as_str(), row.name.as_str());
    Ok((StatusCode::CREATED, with_etag(&tag(&row), Json(views::storage(&row)))).into_response())
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<StorageRow> {
    let row = storages::resolve(&s.app, &c.project.id, id).await?;
    c.on("storage", row.id.as_str(), row.name.as_str());
    Ok(row)
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let row = get(&s, &c, &id).await?;
    Ok(with_etag(&tag(&row), Json(views::storage(&row))))
}

async fn set(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(b): Body<dto::PatchStorage>,
) -> Answer {
    let row = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&row)])?;
    if b.secret_key.is_some() && b.ssh_key.is_some() {
        return Err(Error::invalid("ssh_key", "either secret_key or ssh_key").into());
    }
    let is_login = b.access_key.is_some() || b.secret_key.is_some() || b.ssh_key.is_some() || b.ca.is_some() || b.host_key.is_some();
    let login = Login { access_key: b.access_key, secret: b.secret_key.or(b.ssh_key), ca: b.ca, host_key: b.host_key };
    let row = if is_login { storages::set_login(&s.app, &row, login).await? } else { row };
    let change = |now: Limits| Limits { bandwidth: b.bandwidth.unwrap_or(now.bandwidth), parallel: b.parallel.unwrap_or(now.parallel) };
    let row = storages::set_limits(&s.app, &row, change).await?;
    Ok(with_etag(&tag(&row), Json(views::storage(&row))))
}

async fn rekey(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query, headers: HeaderMap) -> Answer {
    let row = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&row)])?;
    if q.is_true("dry_run") {
        let plan = storages::rekey_plan(&s.app, &row).await?;
        return Would::of::<RekeyStorage>(plan.does).warning(plan.warnings).locking(row.id.as_str()).planned(&s).await;
    }
    accepted(&s, &storages::rekey(&s.app, &c.actor, &row).await?, None).await
}

async fn remove(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let row = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&row)])?;
    storages::remove(&s.app, &row).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn check(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let row = get(&s, &c, &id).await?;
    let report = storages::check(&s.app, &row).await?;
    let shown = dto::StorageCheck {
        storage: row.name.to_string(),
        ok: !report.rows.iter().any(Check::failed),
        rows: report.rows,
        free_bytes: report.free_bytes,
        total_bytes: report.total_bytes,
    };
    Ok(Json(shown).into_response())
}
