//! Notifiers.

use super::{etag, part, still, with_etag};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{Endpoint, Method::*, Noun, OPERATOR, OWNER, VIEWER},
    problem::Answer,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::notifiers::{self, Changes, NewNotifier, NotifierView};
use mainstay_drivers::notifier::{Channel, Email, Webhook};
use mainstay_model::{Error, Kind, Result, Secret, error::shown, notice::Events};
use mainstay_store::{
    notifiers::NotifierRow,
    outbox::{Delivery, DeliveryStatus},
};

pub fn routes() -> Noun {
    Noun::new("notifiers")
        .route(Endpoint::new(Get, "/notifiers", "listNotifiers", "Who is told of what", VIEWER).list::<dto::Notifier>(), list)
        .route(
            Endpoint::new(Post, "/notifiers", "addNotifier", "Add a notifier", OWNER).body::<dto::AddNotifier>().created::<dto::Notifier>(),
            add,
        )
        .route(
            Endpoint::new(Get, "/notifiers/{id}", "showNotifier", "One notifier, and what did not arrive", VIEWER).reply::<dto::Notifier>(),
            show,
        )
        .route(
            Endpoint::new(Patch, "/notifiers/{id}", "setNotifier", "Change what it passes on, or its secret", OWNER)
                .body::<dto::PatchNotifier>()
                .reply::<dto::Notifier>()
                .guarded(),
            set,
        )
        .route(
            Endpoint::new(Delete, "/notifiers/{id}", "removeNotifier", "Remove it, and what it has not sent yet", OWNER)
                .status(204)
                .guarded(),
            remove,
        )
        .route(
            Endpoint::new(Post, "/notifiers/{id}/test", "testNotifier", "Send a message now, and say what came of it", OPERATOR)
                .reply::<dto::NotifierTest>(),
            test,
        )
}

pub(crate) fn view(v: NotifierView) -> dto::Notifier {
    let (failing_since, error) = v.row.failing.map_or((None, None), |f| (Some(f.since), Some(f.error)));
    dto::Notifier {
        id: v.row.id.to_string(),
        name: v.row.name.to_string(),
        kind: v.row.kind,
        target: v.row.target,
        events: v.row.events.names(),
        enabled: v.row.enabled,
        created_at: v.row.created_at,
        last_delivered_at: v.row.delivered_at,
        failing_since,
        error,
        pending: v.counts.pending,
        dead: v.counts.dead,
        undelivered: v.undelivered.into_iter().map(undelivered).collect(),
    }
}

fn undelivered(d: Delivery) -> dto::Undelivered {
    dto::Undelivered {
        delivery: d.notice.id.to_string(),
        event: d.notice.kind.as_str().into(),
        title: d.notice.title,
        at: d.notice.at,
        status: if d.status == DeliveryStatus::Dead { "dead".into() } else { "pending".into() },
        tries: d.tries,
        error: d.error,
    }
}

/// Of what a person decides about, not of what deliveries count.
fn tag(row: &NotifierRow) -> String {
    etag(&(&row.id, &row.events, row.enabled))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let all = notifiers::list(&s.app, &c.project.id).await?;
    Ok(part(&q, all.into_iter().map(view).collect(), |n: &dto::Notifier| &n.id)?.into_response())
}

fn channel(b: &dto::AddNotifier) -> Result<Channel> {
    let needs = |field: &str| Error::invalid(field, format!("a notifier of the kind {} needs it", shown(&b.kind)));
    let foreign = |given: &[(&str, bool)]| match given.iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(Error::invalid(field, format!("a notifier of the kind {} does not take it", shown(&b.kind)))),
        None => Ok(()),
    };
    match b.kind.as_str() {
        "webhook" => {
            foreign(&[
                ("smtp", b.smtp.is_some()),
                ("from", b.from.is_some()),
                ("to", !b.to.is_empty()),
                ("username", b.username.is_some()),
                ("password", b.password.is_some()),
            ])?;
            Ok(Channel::Webhook(Webhook { url: b.url.clone().ok_or_else(|| needs("url"))?, ca: b.ca.clone() }))
        }
        "email" => {
            foreign(&[("url", b.url.is_some()), ("secret", b.secret.is_some())])?;
            Ok(Channel::Email(Email {
                smtp: b.smtp.clone().ok_or_else(|| needs("smtp"))?,
                from: b.from.clone().ok_or_else(|| needs("from"))?,
                to: b.to.clone(),
                username: b.username.clone(),
                ca: b.ca.clone(),
            }))
        }
        other => Err(Error::invalid("kind", format!("\"{}\" is not a kind of notifier; email and webhook are", shown(other)))),
    }
}

async fn add(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::AddNotifier>) -> Answer {
    let events = b.events.as_deref().map(Events::parse).transpose()?.unwrap_or_default();
    let new = NewNotifier { channel: channel(&b)?, name: b.name, secret: b.secret.or(b.password).map(Secret::new), events };
    let row = notifiers::add(&s.app, &c.project.id, new).await?;
    c.on("notifier", row.id.as_str(), row.name.as_str());
    let tag = tag(&row);
    let shown = view(notifiers::view(&s.app, row).await?);
    Ok((StatusCode::CREATED, with_etag(&tag, Json(shown))).into_response())
}

async fn get(s: &Shared, c: &Caller, id: &str) -> Result<NotifierRow> {
    let row = notifiers::resolve(&s.app, &c.project.id, id).await?;
    c.on("notifier", row.id.as_str(), row.name.as_str());
    Ok(row)
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let row = get(&s, &c, &id).await?;
    Ok(with_etag(&tag(&row), Json(view(notifiers::view(&s.app, row).await?))))
}

async fn set(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(b): Body<dto::PatchNotifier>,
) -> Answer {
    let row = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&row)])?;
    let (own, other) = if row.kind == "email" { (b.password, ("secret", b.secret)) } else { (b.secret, ("password", b.password)) };
    if other.1.is_some() {
        return Err(Error::invalid(other.0, format!("a notifier of the kind {} does not take it", row.kind)).into());
    }
    let events = b.events.as_deref().map(Events::parse).transpose()?;
    let changes = Changes { events, enabled: b.enabled, secret: own.map(Secret::new) };
    let row = notifiers::set(&s.app, &row, changes).await?;
    Ok(with_etag(&tag(&row), Json(view(notifiers::view(&s.app, row).await?))))
}

async fn remove(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let row = get(&s, &c, &id).await?;
    still(&headers, &[&tag(&row)])?;
    notifiers::remove(&s.app, &row).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// That the other side said no is the answer that was asked for.
async fn test(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let row = get(&s, &c, &id).await?;
    let (ok, said) = match notifiers::test(&s.app, &row).await {
        Ok(said) => (true, said),
        Err(e) if matches!(e.kind, Kind::Unavailable | Kind::TimedOut | Kind::Failed | Kind::Invalid) => (false, e.message),
        Err(e) => return Err(e.into()),
    };
    Ok(Json(dto::NotifierTest { notifier: row.name.to_string(), ok, said }).into_response())
}
