//! How somebody gets in and out.

use super::me;
use crate::{
    Shared,
    auth::{self, Visitor},
    body::Json as Body,
    cookies,
    endpoint::{Endpoint, Method::*, Need, Noun},
    problem::Answer,
    rate::counted,
};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::people::{self, Accept};
use mainstay_model::{
    Kind, Result, Secret,
    user::{Session, User, key},
};

pub fn routes() -> Noun {
    let open = |path, id, summary| Endpoint::new(Post, path, id, summary, Need::Open).discreet();
    Noun::new("session")
        .route(
            open("/session", "signIn", "Sign in; the answer sets the session's cookie").body::<dto::SignIn>().reply::<dto::Me>(),
            sign_in,
        )
        .route(Endpoint::new(Delete, "/session", "signOut", "Sign out", Need::Known).status(204), sign_out)
        .route(
            open("/welcome/look", "lookAtLink", "What a link of `/welcome#token=…` is for")
                .body::<dto::LookAtLink>()
                .reply::<dto::LinkShown>()
                .silent(),
            look,
        )
        .route(
            open("/welcome", "acceptLink", "Use such a link: become the first administrator, accept an invitation, set a new password")
                .body::<dto::AcceptLink>()
                .created::<dto::Me>(),
            accept,
        )
}

/// Counted before the password is looked at, so that many at once are as slow as one after another.
async fn counting<T>(s: &Shared, v: &Visitor, name: &str, work: impl Future<Output = Result<T>>) -> Answer<T> {
    let (address, name) = (counted(v.peer), key(name));
    if let Some(wait) = s.tries.note(address).or(s.tries_for.note(name.clone())) {
        return Err(auth::too_many(wait).into());
    }
    let done = work.await;
    if !done.as_ref().is_err_and(|e| e.kind == Kind::Unauthenticated || e.kind == Kind::NotFound) {
        s.tries.forgive(&address);
        s.tries_for.forgive(&name);
    }
    Ok(done?)
}

fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

async fn sign_in(State(s): State<Shared>, Extension(v): Extension<Visitor>, headers: HeaderMap, Body(b): Body<dto::SignIn>) -> Answer {
    if let Ok(user) = people::find(&s.app, &b.user).await {
        v.on("user", user.id.as_str(), &user.name);
    }
    let begun = people::sign_in(&s.app, &b.user, &b.password, v.peer, agent(&headers));
    let begun = counting(&s, &v, &b.user, begun).await?;
    entered(&s, &v, StatusCode::OK, begun).await
}

async fn entered(s: &Shared, v: &Visitor, status: StatusCode, (user, session, secret): (User, Session, Secret)) -> Answer {
    let _ = v.became.set(format!("user:{}", user.name));
    v.on("user", user.id.as_str(), &user.name);
    let seconds = (session.expires_at.micros() - s.app.now().micros()) / 1_000_000;
    let actor = people::authenticate(&s.app, secret.reveal(), Some(v.peer)).await?;
    let cookie = cookies::begun(&secret, seconds, s.secure);
    Ok((status, [(header::SET_COOKIE, cookie)], Json(me::view(s, &actor, v.peer).await?)).into_response())
}

async fn sign_out(State(s): State<Shared>, Extension(v): Extension<Visitor>) -> Answer {
    let person = v.person()?;
    v.on("user", person.user_id().as_str(), &person.user.name);
    people::end(&s.app, person.user_id(), person.session_id()).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookies::ended(s.secure))]).into_response())
}

async fn look(State(s): State<Shared>, Extension(v): Extension<Visitor>, Body(b): Body<dto::LookAtLink>) -> Answer {
    let looked = counting(&s, &v, &v.peer.to_string(), people::look(&s.app, &b.token)).await?;
    let host = s.app.description().await.map_or_else(|_| "this machine".into(), |d| d.host_name);
    let (kind, project, role, email, known) = (looked.kind, looked.project, looked.role, looked.email, looked.known);
    Ok(Json(dto::LinkShown { kind, host, project, role, email, known }).into_response())
}

async fn accept(State(s): State<Shared>, Extension(v): Extension<Visitor>, headers: HeaderMap, Body(b): Body<dto::AcceptLink>) -> Answer {
    let answer = Accept { name: b.name.as_deref(), email: b.email.as_deref(), password: &b.password, from: v.peer, agent: agent(&headers) };
    let begun = counting(&s, &v, &v.peer.to_string(), people::accept(&s.app, &b.token, answer)).await?;
    entered(&s, &v, StatusCode::CREATED, begun).await
}
