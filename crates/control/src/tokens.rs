//! API tokens: shown once, kept as a hash.

use crate::{Actor, App};
use mainstay_model::{Error, Name, ProjectId, Result, Secret, TokenId, UserId, role::Role};
use mainstay_store::{self as store, tokens::TokenRow};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Says what it is to people and to scanners that look for leaked secrets.
const PREFIX: &str = "mst_";
/// The one that lies in a file of the data directory.
pub(crate) const FILE: &str = "administrator";

pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[derive(Debug, Clone)]
pub struct NewToken {
    pub name: String,
    pub role: Role,
    pub project: Option<ProjectId>,
    pub expires_days: Option<i64>,
    /// The person who asks for it, where it is one.
    pub made_by: Option<UserId>,
}

pub async fn create(app: &App, new: NewToken) -> Result<(TokenRow, Secret)> {
    let name = Name::parse(&new.name)?;
    if new.expires_days.is_some_and(|d| !(1..=3650).contains(&d)) {
        return Err(Error::invalid("expires", "1 to 3650 days"));
    }
    let secret = draw(PREFIX);
    let row = TokenRow {
        id: TokenId::new(),
        name: name.as_str().into(),
        project: new.project,
        role: new.role,
        is_administrator: false,
        hash: hash(secret.reveal()),
        created_at: app.now(),
        expires_at: new.expires_days.map(|d| app.now().plus_days(d)),
        last_used_at: None,
        revoked_at: None,
        made_by: new.made_by,
    };
    insert(app, &row).await?;
    Ok((row, secret))
}

/// 43 characters that nobody guesses, behind what says what they are.
pub(crate) fn draw(prefix: &str) -> Secret {
    Secret::new(format!("{prefix}{}", Secret::generate(43, rand::random::<u8>).reveal()))
}

async fn insert(app: &App, row: &TokenRow) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    store::tokens::insert(&mut tx, row).await?;
    store::commit(tx).await
}

/// The administrator's token of this installation: `existing` is what the file holds. A token that
/// the store does not know (the file was lost, or is of another store) is replaced.
pub async fn ensure_administrator(app: &App, existing: Option<&str>) -> Result<Option<Secret>> {
    if let Some(token) = existing
        && authenticate(app, token, None).await.is_ok_and(|a| a.administrator)
    {
        return Ok(None);
    }
    let secret = draw(PREFIX);
    let row = TokenRow {
        id: TokenId::new(),
        name: FILE.into(),
        project: None,
        role: Role::Owner,
        is_administrator: true,
        hash: hash(secret.reveal()),
        created_at: app.now(),
        expires_at: None,
        last_used_at: None,
        revoked_at: None,
        made_by: None,
    };
    insert(app, &row).await?;
    Ok(Some(secret))
}

/// Looked up by hash: equal work whatever the token, and nothing to compare byte by byte.
pub async fn authenticate(app: &App, token: &str, from: Option<IpAddr>) -> Result<Actor> {
    let refused =
        || Error::new(mainstay_model::Kind::Unauthenticated, "unauthenticated", "the token is not known, was revoked or has expired");
    let mut conn = app.store.read().await?;
    let row = store::tokens::by_hash(&mut conn, &hash(token)).await?.ok_or_else(refused)?;
    if row.revoked_at.is_some() || row.expires_at.is_some_and(|t| t <= app.now()) {
        return Err(refused());
    }
    if let Some(person) = &row.made_by
        && store::users::get(&mut conn, person).await?.disabled_at.is_some()
    {
        return Err(refused());
    }
    Ok(Actor {
        name: format!("token:{}", row.name),
        token: Some(row.id),
        administrator: row.is_administrator,
        project: row.project,
        role: row.role,
        from,
        person: None,
    })
}

pub async fn list(app: &App) -> Result<Vec<TokenRow>> {
    store::tokens::list(&mut *app.store.read().await?).await
}

pub async fn revoke(app: &App, id: &TokenId) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    store::tokens::revoke(&mut tx, id, app.now()).await?;
    store::commit(tx).await
}
