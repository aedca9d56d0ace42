//! Storages.

use super::{etag, part, still, with_etag};
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
use mainstay_control::storages::{self, NewStorage};
use mainstay_drivers::storage::Place;
use mainstay_model::{Error, Result, error::shown};
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

fn place(b: &dto::AddStorage) -> Result<Place> {
    if b.kind != "local" {
        return Err(Error::invalid("kind", format!("\"{}\" is not a kind of storage here; local is", shown(&b.kind))));
    }
    let path = b.path.clone().ok_or_else(|| Error::invalid("path", "a local storage needs an absolute directory"))?;
    Ok(Place::Local { path: path.into() })
}

fn region(region: Option<String>) -> Result<Option<String>> {
    let fits = |r: &String| (1..=64).contains(&r.chars().count()) && !r.chars().any(char::is_control);
    match region {
        Some(r) if !fits(&r) => Err(Error::invalid("region", "1 to 64 characters, no control characters")),
        region => Ok(region),
    }
}

async fn add(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::AddStorage>) -> Answer {
    let new = NewStorage { place: place(&b)?, name: b.name, region: region(b.region)? };
    let (row, _) = storages::add(&s.app, &c.project.id, new).await?;
    c.on("storage", row.id.as_str(), row.name.as_str());
    Ok((StatusCode::CREATED, with_etag(&etag(&row), Json(views::storage(&row)))).into_response())
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<StorageRow> {
    let row = storages::resolve(&s.app, &c.project.id, id).await?;
    c.on("storage", row.id.as_str(), row.name.as_str());
    Ok(row)
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let row = get(&s, &c, &id).await?;
    Ok(with_etag(&etag(&row), Json(views::storage(&row))))
}

async fn remove(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let row = get(&s, &c, &id).await?;
    still(&headers, &[&etag(&row)])?;
    storages::remove(&s.app, &row).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn check(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let row = get(&s, &c, &id).await?;
    let report = storages::check(&s.app, &row).await?;
    let shown = dto::StorageCheck {
        storage: row.name.to_string(),
        ok: report.rows.iter().all(|r| r.ok),
        rows: report.rows,
        free_bytes: report.free_bytes,
        total_bytes: report.total_bytes,
    };
    Ok(Json(shown).into_response())
}
