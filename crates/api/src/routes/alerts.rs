//! Alerts.

use super::page;
use crate::{
    Shared,
    auth::Caller,
    body::Query,
    endpoint::{Endpoint, Method::*, Noun, OPERATOR, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{alerts, clusters};
use mainstay_model::{Error, Result, alert::Alert, error::shown};
use mainstay_store::alerts::AlertFilter;

pub fn routes() -> Noun {
    Noun::new("alerts")
        .route(
            Endpoint::new(Get, "/alerts", "listAlerts", "Conditions that hold, or held, newest first", VIEWER)
                .query(&[("state", "`open` (where absent), `cleared` or `all`."), ("cluster", "A cluster's name or id.")])
                .list::<dto::Alert>(),
            list,
        )
        .route(Endpoint::new(Get, "/alerts/{id}", "showAlert", "One alert", VIEWER).reply::<dto::Alert>(), show)
        .route(
            Endpoint::new(Post, "/alerts/{id}/acknowledge", "acknowledgeAlert", "Say that it was seen; it stays while it holds", OPERATOR)
                .reply::<dto::Alert>(),
            acknowledge,
        )
}

fn open(q: &Query) -> Result<Option<bool>> {
    match q.get("state") {
        None | Some("open") => Ok(Some(true)),
        Some("cleared") => Ok(Some(false)),
        Some("all") => Ok(None),
        Some(other) => Err(Error::invalid("state", format!("\"{}\" is none of open, cleared, all", shown(other)))),
    }
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let cluster = match q.get("cluster") {
        Some(name) => Some(clusters::resolve(&s.app, &c.project.id, name).await.map_err(|e| e.with_field("cluster"))?.id),
        None => None,
    };
    let filter = AlertFilter { project: Some(c.project.id.clone()), cluster, open: open(&q)? };
    Ok(page(alerts::list(&s.app, &filter, &q.paging()?).await?, views::alert).into_response())
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<Alert> {
    let alert = alerts::resolve(&s.app, &c.project.id, id).await?;
    c.on("alert", alert.id.as_str(), alert.condition.kind.as_str());
    Ok(alert)
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    Ok(Json(views::alert(get(&s, &c, &id).await?)).into_response())
}

async fn acknowledge(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let alert = get(&s, &c, &id).await?;
    Ok(Json(views::alert(alerts::acknowledge(&s.app, &c.actor, &alert).await?)).into_response())
}
