//! What changes, as it changes.

use crate::{
    Shared,
    auth::Caller,
    endpoint::{Endpoint, Method::*, Noun, VIEWER},
    feed::Told,
    problem::Answer,
};
use axum::{
    Extension,
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse,
        sse::{Event, Sse},
    },
};
use futures::StreamExt;
use mainstay_api_types as dto;
use mainstay_control::people;
use mainstay_model::{Error, Kind, Role};
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Interval, interval},
};

const HEARTBEAT: Duration = Duration::from_secs(15);
/// All together: one for each browser, not for each tab.
const LISTENERS: usize = 1_000;

pub fn routes() -> Noun {
    Noun::new("events").route(
        Endpoint::new(
            Get,
            "/events",
            "followChanges",
            "What changes in the project, as it changes: events `message` with a change, `reset` (look at everything anew), `hello` and \
             `heartbeat`. `Last-Event-ID` goes on where a listener was",
            VIEWER,
        )
        .reply::<dto::Change>()
        .media("text/event-stream"),
        follow,
    )
}

struct Listener {
    s: Shared,
    caller: Caller,
    ready: VecDeque<Event>,
    live: Receiver<Told>,
    heart: Interval,
}

async fn follow(State(s): State<Shared>, Extension(c): Extension<Caller>, headers: HeaderMap) -> Answer {
    if s.feed.listeners() >= LISTENERS {
        return Err(Error::new(Kind::Unavailable, "too_many_listeners", "too many listen already; try again later").into());
    }
    let last = headers.get("last-event-id").map(|v| v.to_str().unwrap_or("?"));
    let from = s.feed.subscribe(&c.project.id, last);
    // Before the answer: what is looked at after it must not change unseen.
    s.feed.followed().await;
    let hello = json!({ "seq": from.at, "server_time": s.app.now() });
    let mut ready = VecDeque::from([Event::default().id(s.feed.id(from.at)).event("hello").data(hello.to_string())]);
    if from.is_reset {
        ready.push_back(reset());
    }
    ready.extend(from.missed.into_iter().map(|told| event(&s, &told)));
    let mut heart = interval(HEARTBEAT);
    heart.reset();
    let shutdown = s.shutdown.clone();
    let start = Listener { s, caller: c, ready, live: from.live, heart };
    let events = futures::stream::unfold(start, |mut l| async move { next(&mut l).await.map(|event| (Ok::<_, Infallible>(event), l)) });
    let stream = events.take_until(shutdown.cancelled_owned());
    // Proxies that gather an answer before they pass it on are told not to.
    Ok(([("x-accel-buffering", "no")], Sse::new(stream)).into_response())
}

fn reset() -> Event {
    Event::default().event("reset").data("{}")
}

fn event(s: &Shared, told: &Told) -> Event {
    let event = Event::default().data(&*told.data);
    match told.seq {
        Some(seq) => event.id(s.feed.id(seq)),
        None => event,
    }
}

/// Ends with the right to listen.
async fn next(l: &mut Listener) -> Option<Event> {
    if let Some(event) = l.ready.pop_front() {
        return Some(event);
    }
    tokio::select! {
        told = l.live.recv() => match told {
            Ok(told) => Some(event(&l.s, &told)),
            // Slower than what happens: what was dropped is not told one by one.
            Err(RecvError::Lagged(_)) => {
                l.live = l.live.resubscribe();
                Some(reset())
            }
            Err(RecvError::Closed) => None,
        },
        _ = l.heart.tick() => {
            let stays = people::stays(&l.s.app, &l.caller.actor, &l.caller.project.id, Role::Viewer).await;
            stays.unwrap_or(true).then(|| Event::default().event("heartbeat").data(json!({ "server_time": l.s.app.now() }).to_string()))
        }
    }
}
