//! Sessions: begun with a password, known by the hash of what the browser shows, ended by time, by
//! hand, and with the person.

use super::{Person, passwords, wrong};
use crate::{Actor, App, tokens};
use mainstay_model::{
    Error, Kind, Result, Role, Secret, SessionId, Time, UserId,
    user::{Session, User},
};
use mainstay_store as store;
use std::net::IpAddr;

const PREFIX: &str = "mss_";
/// Ended when it was not used for this long,
pub const IDLE_SECONDS: i64 = 12 * 3600;
/// and in any case after this.
const DAYS: i64 = 7;
/// The name a browser gives itself, as far as it is kept.
const AGENT_MAX: usize = 200;

/// A session and what the browser is given of it, this once.
pub async fn sign_in(app: &App, name: &str, password: &str, from: IpAddr, agent: &str) -> Result<(User, Session, Secret)> {
    let found = store::users::named(&mut *app.store.read().await?, name).await?;
    let right = passwords::verify(password, found.as_ref().map(|(_, hash)| hash.as_str())).await?;
    let (user, _) = found.filter(|(user, _)| right && user.disabled_at.is_none()).ok_or_else(wrong)?;
    let mut tx = app.store.begin_write().await?;
    let (session, secret) = begin(app, &mut tx, &user.id, from, agent).await?;
    store::commit(tx).await?;
    Ok((user, session, secret))
}

/// In the caller's write.
pub(super) async fn begin(
    app: &App,
    tx: &mut mainstay_operations::Tx,
    user: &UserId,
    from: IpAddr,
    agent: &str,
) -> Result<(Session, Secret)> {
    let secret = tokens::draw(PREFIX);
    let now = app.now();
    let session = Session {
        id: SessionId::new(),
        user: user.clone(),
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus_days(DAYS),
        from: from.to_string(),
        agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX).collect(),
    };
    store::sessions::insert(tx, &session, &tokens::hash(secret.reveal())).await?;
    Ok((session, secret))
}

fn is_good(session: &Session, now: Time) -> bool {
    now < session.expires_at && now < session.last_seen_at.plus_seconds(IDLE_SECONDS)
}

/// Who shows `secret`. The role is that of no project yet: see [`Actor::role_in`].
pub async fn authenticate(app: &App, secret: &str, from: Option<IpAddr>) -> Result<Actor> {
    let ended = || Error::new(Kind::Unauthenticated, "session_ended", "the session has ended; sign in again");
    let mut conn = app.store.read().await?;
    let session = store::sessions::by_hash(&mut conn, &tokens::hash(secret)).await?;
    let session = session.filter(|s| is_good(s, app.now())).ok_or_else(ended)?;
    let user = store::users::get(&mut conn, &session.user).await?;
    if user.disabled_at.is_some() {
        return Err(ended());
    }
    let memberships = store::members::of_user(&mut conn, &user.id).await?;
    Ok(Actor {
        name: format!("user:{}", user.name),
        token: None,
        administrator: user.administrator,
        project: None,
        role: Role::Viewer,
        from,
        person: Some(Box::new(Person { user, session, memberships })),
    })
}

/// Whether what is open on its behalf (a stream, a terminal) may go on: the person with this role
/// in this project still is one, by a session that has not ended.
pub async fn stays(app: &App, actor: &Actor, project: &mainstay_model::ProjectId, needed: Role) -> Result<bool> {
    let mut conn = app.store.read().await?;
    if let Some(token) = &actor.token {
        let all = store::tokens::list(&mut conn).await?;
        let Some(row) = all.iter().find(|row| &row.id == token && row.is_valid(app.now())) else { return Ok(false) };
        let maker = match &row.made_by {
            Some(person) => Some(store::users::get(&mut conn, person).await?),
            None => None,
        };
        return Ok(maker.is_none_or(|user| user.disabled_at.is_none()));
    }
    let Some(person) = &actor.person else { return Ok(false) };
    let Some(session) = store::sessions::get(&mut conn, &person.session.id).await? else { return Ok(false) };
    let user = store::users::get(&mut conn, &session.user).await?;
    let roles = store::members::of_user(&mut conn, &user.id).await?;
    let covers = user.administrator || roles.iter().any(|(p, role)| p == project && role.covers(needed));
    // What is open keeps it alive: only its end counts.
    Ok(user.disabled_at.is_none() && covers && app.now() < session.expires_at)
}

/// Notes that it was used.
pub async fn touch(app: &App, session: &SessionId) -> Result<()> {
    let now = app.now();
    let mut tx = app.store.begin_write().await?;
    if let Some(found) = store::sessions::get(&mut tx, session).await? {
        store::sessions::touch(&mut tx, session, now).await?;
        let user = store::users::get(&mut tx, &found.user).await?;
        store::users::update(&mut tx, &User { last_seen_at: Some(now), ..user }).await?;
    }
    store::commit(tx).await
}

/// Those that are still good, the newest first.
pub async fn sessions(app: &App, user: &UserId) -> Result<Vec<Session>> {
    let all = store::sessions::of_user(&mut *app.store.read().await?, user).await?;
    Ok(all.into_iter().filter(|s| is_good(s, app.now())).collect())
}

/// One of a person's own.
pub async fn end(app: &App, user: &UserId, id: &SessionId) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    match store::sessions::get(&mut tx, id).await? {
        Some(found) if &found.user == user => store::sessions::end(&mut tx, id).await?,
        _ => return Err(Error::not_found("session", id.as_str())),
    }
    store::commit(tx).await
}

pub async fn end_others(app: &App, user: &UserId, kept: Option<&SessionId>) -> Result<u64> {
    let mut tx = app.store.begin_write().await?;
    let ended = store::sessions::end_of_user(&mut tx, user, kept).await?;
    store::commit(tx).await?;
    Ok(ended)
}

/// Rows that let nobody in any more.
pub async fn forget(app: &App) -> Result<()> {
    let now = app.now();
    let mut tx = app.store.begin_write().await?;
    store::sessions::forget_ended(&mut tx, now, now.plus_seconds(-IDLE_SECONDS)).await?;
    store::links::forget_expired(&mut tx, now).await?;
    store::commit(tx).await
}
