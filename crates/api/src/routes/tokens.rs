//! API tokens.

use super::part;
use crate::{
    Shared,
    auth::{self, Caller},
    body::{Json as Body, Query},
    endpoint::{Endpoint, Method::*, Noun, OWNER},
    problem::Answer,
    views,
};
use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
    response::IntoResponse,
};
use mainstay_api_types as dto;
use mainstay_control::tokens::{self, NewToken};
use mainstay_model::{Error, Kind, Role, TokenId};
use mainstay_store::tokens::TokenRow;

pub fn routes() -> Noun {
    Noun::new("tokens")
        .route(Endpoint::new(Get, "/tokens", "listTokens", "Tokens, never their secret", OWNER).list::<dto::Token>(), list)
        .route(
            Endpoint::new(Post, "/tokens", "createToken", "A new token, shown this once", OWNER)
                .body::<dto::CreateToken>()
                .created::<dto::TokenCreated>(),
            create,
        )
        .route(Endpoint::new(Delete, "/tokens/{id}", "revokeToken", "Revoke a token", OWNER).status(204), revoke)
}

/// An owner sees and revokes the tokens of the own project; the administrator all.
fn sees(c: &Caller, row: &TokenRow) -> bool {
    c.actor.administrator || (!row.is_administrator && row.project.as_ref() == Some(&c.project.id))
}

async fn list(State(s): State<Shared>, Extension(c): Extension<Caller>, q: Query) -> Answer {
    let rows = tokens::list(&s.app).await?;
    let items = rows.into_iter().filter(|r| sees(&c, r)).map(views::token).collect();
    Ok(part(&q, items, |t: &dto::Token| &t.id)?.into_response())
}

async fn create(State(s): State<Shared>, Extension(c): Extension<Caller>, Body(b): Body<dto::CreateToken>) -> Answer {
    let project = match &b.project {
        Some(name) => auth::seen(&s.app, &c.actor, name).await.map_err(|e| e.with_field("project"))?,
        None => c.project.clone(),
    };
    // Owner here is not owner there.
    if !c.actor.role_in(&project.id).is_some_and(|role| role.covers(Role::Owner)) {
        return Err(Error::forbidden(format!("this needs the role owner in {}", project.name)).into());
    }
    let made_by = c.actor.person.as_ref().map(|p| p.user_id().clone());
    let new = NewToken { name: b.name, role: b.role, project: Some(project.id), expires_days: b.expires, made_by };
    let (row, secret) = tokens::create(&s.app, new).await?;
    c.on("token", row.id.as_str(), &row.name);
    Ok((StatusCode::CREATED, Json(dto::TokenCreated { id: row.id.to_string(), token: secret.reveal().into() })).into_response())
}

async fn revoke(State(s): State<Shared>, Extension(c): Extension<Caller>, Path(id): Path<String>) -> Answer {
    // What was typed is not quoted: it may be a token and not its id.
    let missing = || Error::new(Kind::NotFound, "not_found", "no token with that id here; `token list` shows them");
    let id = TokenId::parse(&id).ok_or_else(missing)?;
    let row = tokens::list(&s.app).await?.into_iter().find(|r| r.id == id && sees(&c, r)).ok_or_else(missing)?;
    c.on("token", row.id.as_str(), &row.name);
    if row.is_administrator {
        return Err(Error::conflict(
            "last_admin",
            "the administrator's token is revoked by replacing admin.token: remove the file and restart `mainstay up`",
        )
        .into());
    }
    tokens::revoke(&s.app, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
