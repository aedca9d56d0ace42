//! Sizes there are to choose from. Nodes are plain processes so far, which share the machine: the one
//! plan there is says what it has.

use super::part;
use crate::{
    Shared,
    body::Query,
    endpoint::{Endpoint, Method::*, Noun, VIEWER},
    problem::Answer,
};
use axum::{extract::State, response::IntoResponse};
use mainstay_api_types as dto;

pub fn routes() -> Noun {
    Noun::new("plans").route(Endpoint::new(Get, "/plans", "listPlans", "Sizes to choose from", VIEWER).list::<dto::SizePlan>(), list)
}

async fn list(State(s): State<Shared>, q: Query) -> Answer {
    let host = s.app.description().await?.host;
    let plan = dto::SizePlan {
        name: "this-machine".into(),
        title: "This machine".into(),
        cpus: host.cpus.into(),
        memory_bytes: host.memory_bytes,
        storage_bytes: host.disk_total_bytes,
        shared: true,
        price_per_hour: None,
    };
    Ok(part(&q, vec![plan], |p| &p.name)?.into_response())
}
