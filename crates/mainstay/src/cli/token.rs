//! `mainstay token …`

use crate::{
    args::nouns::TokenVerb,
    exit::{Exit, Failure, Outcome},
    output::{Row, Show, card, local, note, or_dash, yes_no},
    session::{Ask, Session, nothing},
};
use mainstay_api_types::{CreateToken, Token, TokenCreated};
use mainstay_client::segment;
use mainstay_model::role::Role;

pub async fn run(s: &Session, verb: TokenVerb) -> Outcome {
    match verb {
        TokenVerb::Create { name, role, expires } => create(s, name, &role, expires).await?,
        TokenVerb::List => s.show(&s.list::<Token>("/tokens", &[]).await?)?,
        TokenVerb::Revoke { id } => revoke(s, &id).await?,
    }
    Ok(Exit::Done)
}

async fn create(s: &Session, name: String, role: &str, expires: Option<i64>) -> Outcome<()> {
    let role = Role::parse(role).ok_or_else(|| Failure::usage(format!("no role {role}")))?;
    let would = format!("make token {name} with the role {}", role.as_str());
    let body = CreateToken { name, role, project: s.common.project.clone(), expires };
    if let Some(created) = s.at_once::<TokenCreated>(Ask::post("/tokens", &body), &would).await? {
        s.show(&created)?;
        note("this is the only time the token is shown; use it with MAINSTAY_TOKEN or --token");
    }
    Ok(())
}

async fn revoke(s: &Session, id: &str) -> Outcome<()> {
    let ask = Ask::delete(format!("/tokens/{}", segment(id)), &nothing());
    if s.at_once::<serde_json::Value>(ask, &format!("revoke token {id}")).await?.is_none() {
        return Ok(());
    }
    if let Some(token) = s.list::<Token>("/tokens", &[]).await?.into_iter().find(|t| t.id == id) {
        s.show(&token)?;
    }
    note(format!("token {id} is revoked"));
    Ok(())
}

impl Row for Token {
    const NONE: &'static str = "no tokens";
    const HEADER: &'static [&'static str] = &["id", "name", "role", "project", "created", "expires", "last used", "revoked"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.id.clone(),
            self.name.clone(),
            if self.administrator { "administrator".into() } else { self.role.as_str().into() },
            self.project.clone().unwrap_or_else(|| "all".into()),
            local(self.created_at),
            or_dash(self.expires_at, local),
            or_dash(self.last_used_at, local),
            or_dash(self.revoked_at, local),
        ]
    }
}

impl Show for Token {
    fn people(&self) -> String {
        card(&[
            ("id", self.id.clone()),
            ("name", self.name.clone()),
            ("role", self.role.as_str().into()),
            ("project", self.project.clone().unwrap_or_else(|| "all".into())),
            ("administrator", yes_no(self.administrator)),
            ("expires", or_dash(self.expires_at, local)),
            ("revoked", or_dash(self.revoked_at, local)),
        ])
    }
}

impl Show for TokenCreated {
    fn people(&self) -> String {
        card(&[("id", self.id.clone()), ("token", self.token.clone())])
    }
}
