//! The catalogue.

use super::part;
use crate::{
    Shared,
    body::Query,
    endpoint::{Endpoint, Method::*, Noun, VIEWER},
    problem::Answer,
};
use axum::{
    Json,
    extract::{Path, State},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::engines;

pub fn routes() -> Noun {
    Noun::new("engines")
        .route(
            Endpoint::new(Get, "/engines", "listEngines", "Engines, what is installed and how to get the rest", VIEWER)
                .list::<dto::Engine>(),
            list,
        )
        .route(Endpoint::new(Get, "/engines/{name}", "showEngine", "One engine with its parameters", VIEWER).reply::<dto::Engine>(), show)
}

async fn list(State(s): State<Shared>, q: Query) -> Answer {
    Ok(part(&q, engines::list(&s.app).await?, |e| &e.name)?.into_response())
}

async fn show(State(s): State<Shared>, Path(name): Path<String>) -> Answer {
    Ok(Json(engines::get(&s.app, &name).await?).into_response())
}
