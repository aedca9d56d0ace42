//! Restoring to any moment: whether a cluster's log is kept, and what window that gives.

use super::{
    clusters::{On, find, tag},
    with_etag,
};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{ADMIN, Endpoint, Method::*, Noun, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
};
use mainstay_api_types as dto;
use mainstay_control::{log, ops};
use mainstay_model::cluster::Cluster;

pub fn routes() -> Noun {
    Noun::new("point-in-time")
        .route(
            Endpoint::new(Get, "/clusters/{id}/point-in-time", "showPointInTime", "To which moments it can be restored", VIEWER)
                .reply::<dto::PointInTime>(),
            show,
        )
        .route(
            Endpoint::new(Put, "/clusters/{id}/point-in-time", "setPointInTime", "Keep the log, or no longer", ADMIN)
                .body::<dto::SetPointInTime>()
                .operation()
                .dry()
                .guarded(),
            set,
        )
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    Ok(with_etag(&tag(&cluster), Json(views::point_in_time(log::view(&s.app, &cluster).await?))))
}

async fn set(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    q: Query,
    headers: HeaderMap,
    Body(b): Body<dto::SetPointInTime>,
) -> Answer {
    let on = On { s: &s, c: &c, id: &id, q: &q, headers: &headers };
    let summary = match b.on {
        true => "its log is kept as it is written; a backup begins the window in which any moment can be restored",
        false => "its log is no longer kept; moments from now on can be restored only as backups are made",
    };
    let wanted = log::Wanted { on: b.on, storages: b.storages, keep_days: b.keep_days };
    let check = async |cluster: &Cluster| log::wanted(&s.app, cluster, &wanted).await.map(drop);
    let act = async |cluster: &Cluster| log::set(&s.app, &c.actor, cluster, &wanted).await;
    on.run::<ops::set_log::SetLog, _, _>(summary, check, act).await
}
