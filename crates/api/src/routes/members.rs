//! Who may do what in a project.

use super::{part, projects::seen, users::made};
use crate::{
    Shared,
    auth::Caller,
    body::{Json as Body, Query},
    endpoint::{Endpoint, Method::*, Need, Noun, OWNER, VIEWER},
    problem::Answer,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::people;
use mainstay_model::{Project, user::Link};
use mainstay_store::members::Member;

pub fn routes() -> Noun {
    Noun::new("members")
        .route(Endpoint::new(Get, "/projects/{id}/members", "listMembers", "Members and their roles", VIEWER).list::<dto::Member>(), list)
        .route(
            Endpoint::new(Post, "/projects/{id}/members", "addMember", "Make a user a member", Need::Administrator)
                .body::<dto::AddMember>()
                .created::<dto::Member>(),
            add,
        )
        .route(
            Endpoint::new(Patch, "/projects/{id}/members/{user}", "setMemberRole", "Another role", OWNER)
                .body::<dto::SetRole>()
                .reply::<dto::Member>(),
            set_role,
        )
        .route(
            Endpoint::new(Delete, "/projects/{id}/members/{user}", "removeMember", "Take a member out of the project", OWNER).status(204),
            remove,
        )
        .route(
            Endpoint::new(Get, "/projects/{id}/invitations", "listInvitations", "Invitations that were not used yet", OWNER)
                .list::<dto::Invitation>(),
            invitations,
        )
        .route(
            Endpoint::new(Post, "/projects/{id}/invitations", "inviteMember", "A link that makes a member, shown this once", OWNER)
                .body::<dto::Invite>()
                .created::<dto::LinkMade>(),
            invite,
        )
        .route(
            Endpoint::new(Delete, "/projects/{id}/invitations/{invitation}", "withdrawInvitation", "Make a link useless", OWNER)
                .status(204),
            withdraw,
        )
}

pub(crate) fn view(m: Member) -> dto::Member {
    dto::Member {
        id: m.user.id.to_string(),
        name: m.user.name,
        email: m.user.email,
        role: m.role,
        administrator: m.user.administrator,
        disabled: m.user.disabled_at.is_some(),
        added_at: m.added_at,
        last_seen_at: m.user.last_seen_at,
    }
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let project = seen(&s, &c, &id).await?;
    let items = people::members(&s.app, &project.id).await?.into_iter().map(view).collect();
    Ok(part(&q, items, |m: &dto::Member| &m.id)?.into_response())
}

async fn add(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, Body(b): Body<dto::AddMember>) -> Answer {
    let project = seen(&s, &c, &id).await?;
    let user = people::find(&s.app, &b.user).await.map_err(|e| e.with_field("user"))?;
    let member = people::add(&s.app, &project, &user, b.role).await?;
    Ok((StatusCode::CREATED, Json(view(member))).into_response())
}

async fn set_role(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    Path((id, user)): Path<(String, String)>,
    Body(b): Body<dto::SetRole>,
) -> Answer {
    let project = seen(&s, &c, &id).await?;
    Ok(Json(view(people::set_role(&s.app, &project, &user, b.role).await?)).into_response())
}

async fn remove(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, user)): Path<(String, String)>) -> Answer {
    let project = seen(&s, &c, &id).await?;
    people::remove(&s.app, &project, &user).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn invitation(l: Link) -> Option<dto::Invitation> {
    let (email, role) = (l.email?, l.role?);
    Some(dto::Invitation { id: l.id.to_string(), email, role, made_by: l.made_by, created_at: l.created_at, expires_at: l.expires_at })
}

async fn invitations(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>, q: Query) -> Answer {
    let project = seen(&s, &c, &id).await?;
    let items = people::invitations(&s.app, &project).await?.into_iter().filter_map(invitation).collect();
    Ok(part(&q, items, |i: &dto::Invitation| &i.id)?.into_response())
}

async fn invite(
    State(s): State<Shared>,
    Extension(c): Extension<Caller>,
    headers: HeaderMap,
    Path(id): Path<String>,
    Body(b): Body<dto::Invite>,
) -> Answer {
    let project: Project = seen(&s, &c, &id).await?;
    let (link, secret) = people::invite(&s.app, &c.actor, &project, &b.email, b.role, b.expires).await?;
    Ok((StatusCode::CREATED, Json(made(&s, &headers, Some(link.id.as_str()), &secret, Some(link.expires_at)))).into_response())
}

async fn withdraw(State(s): State<Shared>, Extension(c): Extension<Caller>, Path((id, invitation)): Path<(String, String)>) -> Answer {
    let project = seen(&s, &c, &id).await?;
    people::withdraw(&s.app, &project, &invitation).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
