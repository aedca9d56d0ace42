//! What the nodes of a cluster used lately.

use super::clusters::find;
use crate::{
    Shared,
    auth::Caller,
    body::Query,
    endpoint::{Endpoint, Method::*, Noun, VIEWER},
    problem::Answer,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::measures::{self, Range};
use mainstay_model::node::NodeRole;

pub fn routes() -> Noun {
    Noun::new("metrics").route(
        Endpoint::new(Get, "/clusters/{id}/metrics", "showCurves", "What its nodes used in the last hour", VIEWER)
            .reply::<dto::Curves>()
            .query(&[("range", "15m in pieces of 5 s, or 1h in pieces of 15 s; 1h where absent")]),
        show,
    )
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let cluster = find(&s, &c, &id).await?;
    let range = Range::parse(q.get("range").unwrap_or("1h"))?;
    let found = measures::of_cluster(&s.app, &cluster, range).await?;
    let node = |n: measures::NodeCurves| dto::NodeCurves {
        id: n.node.to_string(),
        name: n.name,
        role: if n.is_primary { NodeRole::Primary } else { NodeRole::Replica },
        series: n.series.into_iter().map(|(name, values)| (name.to_owned(), values)).collect(),
        days_to_full: n.days_to_full,
    };
    let nodes = found.nodes.into_iter().map(node).collect();
    Ok(Json(dto::Curves { step_seconds: found.step_seconds, times: found.times, nodes }).into_response())
}
