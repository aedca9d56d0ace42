//! Operations: look, watch, choose.

use super::{clusters::find, etag, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::Query,
    endpoint::{ADMIN, Endpoint, Method::*, Noun, OPERATOR, VIEWER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{
        IntoResponse, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::{Stream, StreamExt};
use mainstay_api_types as dto;
use mainstay_model::{Error, OperationId, Result};
use mainstay_operations::{Filter, Status, View};
use std::{convert::Infallible, time::Duration};

pub fn routes() -> Noun {
    let choice = |path, id, summary, need| Endpoint::new(Post, path, id, summary, need).reply::<dto::Operation>().guarded();
    Noun::new("operations")
        .route(
            Endpoint::new(Get, "/operations", "listOperations", "Operations, newest first", VIEWER).list::<dto::Operation>().query(&[
                ("cluster", "Only on this cluster."),
                ("status", "Only with this status."),
                ("kind", "Only of this kind."),
                ("active", "`true`: only those that have not ended."),
            ]),
            list,
        )
        .route(
            Endpoint::new(Get, "/operations/{id}", "showOperation", "One operation with its steps", VIEWER).reply::<dto::Operation>(),
            show,
        )
        .route(
            Endpoint::new(Get, "/operations/{id}/events", "watchOperation", "Its states as server-sent events, until it is over", VIEWER)
                .reply::<dto::Operation>()
                .media("text/event-stream"),
            events,
        )
        .route(choice("/operations/{id}/cancel", "cancelOperation", "Undo it, where it can still be undone", OPERATOR), cancel)
        .route(choice("/operations/{id}/retry", "retryOperation", "Try the step it is stuck at again", OPERATOR), retry)
        .route(choice("/operations/{id}/skip", "skipOperation", "Go on without the step it is stuck at", ADMIN), skip)
        .route(choice("/operations/{id}/abandon", "abandonOperation", "Give it up as it is and release its lock", ADMIN), abandon)
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<View> {
    let missing = || Error::not_found("operation", id);
    let view = s.app.runner.get(&OperationId::parse(id).ok_or_else(missing)?).await?;
    let is_here = match &view.project {
        Some(project) => project == c.project.id.as_str(),
        None => c.actor.administrator,
    };
    if !is_here {
        return Err(missing());
    }
    c.on("operation", view.id.as_str(), &view.kind);
    Ok(view)
}

/// Of what a choice about it rests on: where it stands, not how far its step is.
fn tag(v: &View) -> String {
    etag(&(&v.id, v.status, v.steps.iter().map(|s| s.status).collect::<Vec<_>>()))
}

fn shown(view: View) -> Answer {
    Ok(with_etag(&tag(&view), Json(views::operation(view))))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let cluster_key = match q.get("cluster") {
        Some(name) => Some(find(&s, &c, name).await?.id.to_string()),
        None => None,
    };
    let filter = Filter {
        project: Some(c.project.id.to_string()),
        cluster_key,
        kind: q.get("kind").map(String::from),
        status: q.word::<Status>("status")?,
        active_only: q.is_true("active"),
    };
    let paging = q.paging()?;
    let found = s.app.runner.list(filter, paging.cursor.as_deref(), paging.limit as usize).await?;
    Ok(Json(dto::List { items: found.items.into_iter().map(views::operation).collect(), next: found.next }).into_response())
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    shown(get(&s, &c, &id).await?)
}

async fn events(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let view = get(&s, &c, &id).await?;
    let stream = until_over(s.app.runner.watch(&view.id)).take_until(s.shutdown.clone().cancelled_owned());
    let events = stream.map(|v| Ok::<_, Infallible>(Event::default().json_data(views::operation(v)).unwrap_or_default()));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response())
}

/// The last state is sent too, whether it is an end or a stop that waits for a person.
fn until_over(stream: impl Stream<Item = View> + Send + 'static) -> impl Stream<Item = View> + Send {
    let stream = Box::pin(stream);
    futures::stream::unfold(Some(stream), |state| async move {
        let mut stream = state?;
        let view = stream.next().await?;
        let over = view.status.is_final() || view.status == Status::Stuck;
        Some((view, if over { None } else { Some(stream) }))
    })
}

/// The operation to choose about, where it still stands as the caller saw it.
async fn chosen(s: &Shared, c: &Caller, id: &str, headers: &HeaderMap) -> Answer<OperationId> {
    let view = get(s, c, id).await?;
    still(headers, &[&tag(&view)])?;
    Ok(view.id)
}

async fn cancel(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let id = chosen(&s, &c, &id, &headers).await?;
    shown(s.app.runner.cancel(&id, &c.actor.name).await?)
}

async fn retry(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let id = chosen(&s, &c, &id, &headers).await?;
    shown(s.app.runner.retry(&id, &c.actor.name).await?)
}

async fn skip(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let id = chosen(&s, &c, &id, &headers).await?;
    shown(s.app.runner.skip(&id, &c.actor.name).await?)
}

async fn abandon(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let id = chosen(&s, &c, &id, &headers).await?;
    shown(s.app.runner.abandon(&id, &c.actor.name).await?)
}
