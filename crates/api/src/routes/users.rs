//! Users of the whole installation, for its administrators.

use super::part;
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{Endpoint, Method::*, Need, Noun},
    problem::{Answer, Fault},
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::people::{self, Change};
use mainstay_model::{Error, Result, Secret, Time, user::User};

pub fn routes() -> Noun {
    let row = |method, path, id, summary| Endpoint::new(method, path, id, summary, Need::Administrator);
    Noun::new("users")
        .route(row(Get, "/users", "listUsers", "Everybody who can sign in, and their roles").list::<dto::User>(), list)
        .route(row(Get, "/users/{id}", "showUser", "One user, by id, name or e-mail address").reply::<dto::User>(), show)
        .route(
            row(Patch, "/users/{id}", "patchUser", "Make somebody an administrator or not, let them in or not")
                .body::<dto::PatchUser>()
                .reply::<dto::User>(),
            patch,
        )
        .route(
            row(Delete, "/users/{id}", "deleteUser", "Remove a user with sessions, memberships and tokens")
                .body::<dto::Confirm>()
                .status(204),
            delete,
        )
        .route(
            row(Post, "/users/{id}/password-link", "createPasswordLink", "A link that sets a new password, shown this once")
                .created::<dto::LinkMade>(),
            password_link,
        )
        .route(
            row(Post, "/users/first-link", "createFirstLink", "A new link for the first administrator, while there is nobody")
                .created::<dto::LinkMade>(),
            first_link,
        )
}

async fn view(s: &Shared, user: User) -> Result<dto::User> {
    let roles = people::roles(&s.app, &user.id).await?;
    let role = |(project, role): (mainstay_model::Project, _)| dto::ProjectRole {
        project_id: project.id.to_string(),
        project: project.name.to_string(),
        role,
    };
    Ok(dto::User {
        id: user.id.to_string(),
        name: user.name,
        email: user.email,
        administrator: user.administrator,
        created_at: user.created_at,
        disabled_at: user.disabled_at,
        last_seen_at: user.last_seen_at,
        roles: roles.into_iter().map(role).collect(),
    })
}

async fn list(State(s): State<Shared>, q: Query) -> Answer {
    let mut items = Vec::new();
    for user in people::list(&s.app).await? {
        items.push(view(&s, user).await?);
    }
    Ok(part(&q, items, |u: &dto::User| &u.id)?.into_response())
}

async fn found(s: &Shared, c: &Caller, id: &str) -> Result<User> {
    let user = people::find(&s.app, id).await?;
    c.on("user", user.id.as_str(), &user.name);
    Ok(user)
}

async fn show(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    let user = found(&s, &c, &id).await?;
    Ok(Json(view(&s, user).await?).into_response())
}

async fn patch(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, Body(b): Body<dto::PatchUser>) -> Answer {
    let user = found(&s, &c, &id).await?;
    let change = Change { administrator: b.administrator, disabled: b.disabled };
    let user = people::change(&s.app, &user.id, change).await?;
    Ok(Json(view(&s, user).await?).into_response())
}

async fn delete(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, Body(b): Body<dto::Confirm>) -> Answer {
    let user = found(&s, &c, &id).await?;
    if b.confirm.as_deref() != Some(&user.name) {
        let why = format!("type the name \"{}\" to confirm", user.name);
        return Err(Fault(Error::invalid("confirm", why).with_code("confirmation_mismatch")));
    }
    people::delete(&s.app, &user.id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The secret is in the fragment, which no browser sends to a server and no proxy writes down.
pub(super) fn made(s: &Shared, headers: &HeaderMap, id: Option<&str>, secret: &Secret, expires_at: Option<Time>) -> dto::LinkMade {
    let path = format!("/welcome#token={}", secret.reveal());
    let url = format!("{}{path}", s.hosts.base(headers, s.secure));
    dto::LinkMade { id: id.map(Into::into), path, url, expires_at }
}

async fn password_link(State(s): State<Shared>, Extension(c): Extension<Caller>, headers: HeaderMap, Path(id): Path<String>) -> Answer {
    let user = found(&s, &c, &id).await?;
    let (link, secret) = people::password_link(&s.app, &c.actor, &user).await?;
    Ok((StatusCode::CREATED, Json(made(&s, &headers, Some(link.id.as_str()), &secret, Some(link.expires_at)))).into_response())
}

async fn first_link(State(s): State<Shared>, headers: HeaderMap) -> Answer {
    let taken = || Error::conflict("users_exist", "somebody is there already: an administrator invites others, or sets a new password");
    let secret = people::ensure_first_link(&s.app).await?.ok_or_else(taken)?;
    Ok((StatusCode::CREATED, Json(made(&s, &headers, None, &secret, None))).into_response())
}
