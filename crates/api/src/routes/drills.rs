//! What came of a cluster's drills. They are begun with a backup: [`super::backups`].

use super::{clusters::find, page};
use crate::{
    Shared,
    auth::Caller,
    body::Query,
    endpoint::{Endpoint, Method::*, Noun, VIEWER},
    problem::Answer,
};
use axum::{
    Extension,
    extract::{Path, State},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::drills;
use mainstay_model::drill::DrillRecord;

pub fn routes() -> Noun {
    Noun::new("drills").route(
        Endpoint::new(Get, "/clusters/{id}/drills", "listDrills", "Drills of a cluster with how long each took, newest first", VIEWER)
            .list::<dto::DrillRun>(),
        list,
    )
}

fn view(d: DrillRecord) -> dto::DrillRun {
    dto::DrillRun {
        id: d.id.to_string(),
        backup: d.backup.to_string(),
        storage: d.storage.map(|(_, name)| name),
        engine_version: d.engine_version,
        at: d.at,
        result: d.result,
        seconds: d.seconds,
        reason: d.reason,
        checks: d.checks,
    }
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    Ok(page(drills::list(&s.app, &cluster, &q.paging()?).await?, view).into_response())
}
