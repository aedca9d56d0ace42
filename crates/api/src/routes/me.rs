//! What somebody sees and changes of their own.

use super::part;
use crate::{
    Shared,
    auth::{self, Visitor},
    body::{Json as Body, Query},
    endpoint::{Endpoint, Method::*, Need, Noun},
    problem::Answer,
    rate::counted,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::{
    Actor,
    people::{self, IDLE_SECONDS, Person, Profile},
    projects,
};
use mainstay_model::{Error, Kind, Result, SessionId, user::Session};
use std::net::IpAddr;

pub fn routes() -> Noun {
    let row = |method, path, id, summary| Endpoint::new(method, path, id, summary, Need::Known);
    Noun::new("me")
        .route(row(Get, "/me", "showMe", "Who asks, and the role in each project").reply::<dto::Me>(), show)
        .route(row(Patch, "/me", "patchMe", "Change name, e-mail address or preferences").body::<dto::PatchMe>().reply::<dto::Me>(), patch)
        .route(
            row(Post, "/me/password", "changePassword", "A new password; all other sessions end")
                .body::<dto::ChangePassword>()
                .reply::<dto::SessionsEnded>()
                .discreet(),
            password,
        )
        .route(row(Get, "/me/sessions", "listSessions", "One's own sessions, the newest first").list::<dto::Session>(), sessions)
        .route(row(Delete, "/me/sessions", "endOtherSessions", "End all but this one").reply::<dto::SessionsEnded>(), end_others)
        .route(row(Delete, "/me/sessions/{id}", "endSession", "End one of them").status(204), end)
}

pub async fn view(s: &Shared, actor: &Actor, peer: IpAddr) -> Result<dto::Me> {
    let mut roles = Vec::new();
    for project in projects::list(&s.app).await? {
        if let Some(role) = actor.role_in(&project.id) {
            roles.push(dto::ProjectRole { project_id: project.id.to_string(), project: project.name.to_string(), role });
        }
    }
    let person = actor.person.as_deref();
    let token = actor.token.as_ref().map(ToString::to_string).unwrap_or_default();
    Ok(dto::Me {
        kind: if person.is_some() { "user" } else { "token" }.into(),
        id: person.map_or(token, |p| p.user.id.to_string()),
        name: person.map_or_else(|| actor.name.trim_start_matches("token:").into(), |p| p.user.name.clone()),
        email: person.map(|p| p.user.email.clone()),
        administrator: actor.administrator,
        roles,
        preferences: person.map(|p| p.user.preferences.clone()).unwrap_or_default(),
        session: person.map(|p| session(&p.session, p)),
        address: peer.to_string(),
        server_time: s.app.now(),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

fn session(of: &Session, person: &Person) -> dto::Session {
    dto::Session {
        id: of.id.to_string(),
        current: of.id == person.session.id,
        address: of.from.clone(),
        browser: of.agent.clone(),
        created_at: of.created_at,
        last_seen_at: of.last_seen_at,
        expires_at: of.expires_at,
        idle_until: of.last_seen_at.plus_seconds(IDLE_SECONDS),
    }
}

async fn show(State(s): State<Shared>, Extension(v): Extension<Visitor>) -> Answer {
    Ok(Json(view(&s, v.known()?, v.peer).await?).into_response())
}

fn on(v: &Visitor, person: &Person) {
    v.on("user", person.user_id().as_str(), &person.user.name);
}

/// Somebody at an open browser may guess no faster than somebody who signs in.
async fn counting<T>(s: &Shared, v: &Visitor, work: impl Future<Output = Result<T>>) -> Answer<T> {
    let address = counted(v.peer);
    if let Some(wait) = s.tries.note(address) {
        return Err(auth::too_many(wait).into());
    }
    let done = work.await;
    if !done.as_ref().is_err_and(|e| e.kind == Kind::Unauthenticated) {
        s.tries.forgive(&address);
    }
    // Who is asked for the password again is signed in all the same: no 401, which ends a session.
    Ok(done.map_err(|e| if e.code == "wrong_password" { Error::invalid("password", "this is not your password") } else { e })?)
}

async fn patch(State(s): State<Shared>, Extension(v): Extension<Visitor>, Body(b): Body<dto::PatchMe>) -> Answer {
    let person = v.person()?;
    on(&v, person);
    let new = Profile { name: b.name, email: b.email, password: b.password, preferences: b.preferences };
    let user = counting(&s, &v, people::set_profile(&s.app, person.user_id(), new)).await?;
    let mut actor = v.known()?.clone();
    if let Some(person) = &mut actor.person {
        person.user = user;
    }
    Ok(Json(view(&s, &actor, v.peer).await?).into_response())
}

async fn password(State(s): State<Shared>, Extension(v): Extension<Visitor>, Body(b): Body<dto::ChangePassword>) -> Answer {
    let person = v.person()?;
    on(&v, person);
    let set = people::set_password(&s.app, person.user_id(), person.session_id(), &b.current, &b.new);
    let ended = counting(&s, &v, set).await.map_err(|e| match e.0.field.as_deref() {
        Some("password") => e.0.with_field("current").into(),
        _ => e,
    })?;
    Ok(Json(dto::SessionsEnded { ended }).into_response())
}

async fn sessions(State(s): State<Shared>, Extension(v): Extension<Visitor>, q: Query) -> Answer {
    let person = v.person()?;
    let all = people::sessions(&s.app, person.user_id()).await?;
    let items = all.iter().map(|of| session(of, person)).collect();
    Ok(part(&q, items, |s: &dto::Session| &s.id)?.into_response())
}

async fn end_others(State(s): State<Shared>, Extension(v): Extension<Visitor>) -> Answer {
    let person = v.person()?;
    on(&v, person);
    let ended = people::end_others(&s.app, person.user_id(), Some(person.session_id())).await?;
    Ok(Json(dto::SessionsEnded { ended }).into_response())
}

async fn end(State(s): State<Shared>, Extension(v): Extension<Visitor>, Path(id): Path<String>) -> Answer {
    let person = v.person()?;
    on(&v, person);
    let id = SessionId::parse(&id).ok_or_else(|| Error::not_found("session", &id))?;
    people::end(&s.app, person.user_id(), &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
