//! Links that let somebody in once: the first administrator, an invitation, a new password.

use super::{passwords, sessions, wrong};
use crate::{Actor, App, tokens};
use mainstay_model::{
    Error, Kind, LinkId, Result, Role, Secret, UserId,
    project::Project,
    user::{self, Link, LinkKind, Session, User},
};
use mainstay_operations::Tx;
use mainstay_store as store;
use std::net::IpAddr;

const PREFIX: &str = "msl_";
/// Whoever started Mainstay sits before it.
const FIRST_SECONDS: i64 = 3600;
const PASSWORD_SECONDS: i64 = 24 * 3600;
const INVITATION_DAYS: i64 = 7;

/// What whoever holds a link is told of it.
#[derive(Debug, Clone)]
pub struct Looked {
    pub kind: LinkKind,
    pub project: Option<String>,
    pub role: Option<Role>,
    pub email: Option<String>,
    /// The person is there already: the password asked for is theirs of today.
    pub known: bool,
}

/// How a link is answered.
#[derive(Debug, Clone)]
pub struct Accept<'a> {
    pub name: Option<&'a str>,
    pub email: Option<&'a str>,
    pub password: &'a str,
    pub from: IpAddr,
    pub agent: &'a str,
}

fn used() -> Error {
    let why = "this link was used or has expired; ask whoever gave it to you for a new one. \
               The first administrator's is printed by `mainstay up` on the machine";
    Error::new(Kind::NotFound, "link_used", why)
}

async fn put(tx: &mut Tx, link: &Link) -> Result<Secret> {
    let secret = tokens::draw(PREFIX);
    store::links::insert(tx, link, &tokens::hash(secret.reveal())).await?;
    Ok(secret)
}

fn new(app: &App, kind: LinkKind, seconds: i64, made_by: &str) -> Link {
    let now = app.now();
    Link {
        id: LinkId::new(),
        kind,
        project: None,
        role: None,
        email: None,
        user: None,
        created_at: now,
        expires_at: now.plus_seconds(seconds),
        made_by: made_by.into(),
    }
}

/// The first administrator's, while nobody is there. The one before it opens nothing any more.
pub async fn ensure_first_link(app: &App) -> Result<Option<Secret>> {
    let mut tx = app.store.begin_write().await?;
    if store::users::count(&mut tx).await? > 0 {
        return Ok(None);
    }
    for old in store::links::of_nobody(&mut tx).await?.iter().filter(|l| l.kind == LinkKind::First) {
        store::links::remove(&mut tx, &old.id).await?;
    }
    let secret = put(&mut tx, &new(app, LinkKind::First, FIRST_SECONDS, "mainstay")).await?;
    store::commit(tx).await?;
    Ok(Some(secret))
}

pub async fn invite(app: &App, actor: &Actor, project: &Project, email: &str, role: Role, days: Option<i64>) -> Result<(Link, Secret)> {
    let days = days.unwrap_or(INVITATION_DAYS);
    if !(1..=30).contains(&days) {
        return Err(Error::invalid("expires", "1 to 30 days"));
    }
    let link = Link {
        project: Some(project.id.clone()),
        role: Some(role),
        email: Some(user::email(email)?),
        ..new(app, LinkKind::Invitation, days * 86_400, &actor.name)
    };
    let mut tx = app.store.begin_write().await?;
    // A second invitation of somebody replaces the first.
    for old in store::links::of_project(&mut tx, &project.id, app.now()).await? {
        if old.email.as_deref().map(user::key) == link.email.as_deref().map(user::key) {
            store::links::remove(&mut tx, &old.id).await?;
        }
    }
    let secret = put(&mut tx, &link).await?;
    store::commit(tx).await?;
    Ok((link, secret))
}

/// Those of a project that were not used yet.
pub async fn invitations(app: &App, project: &Project) -> Result<Vec<Link>> {
    store::links::of_project(&mut *app.store.read().await?, &project.id, app.now()).await
}

pub async fn withdraw(app: &App, project: &Project, id: &str) -> Result<Link> {
    let missing = || Error::not_found("invitation", id);
    let id = LinkId::parse(id).ok_or_else(missing)?;
    let mut tx = app.store.begin_write().await?;
    let found = store::links::of_project(&mut tx, &project.id, app.now()).await?.into_iter().find(|l| l.id == id).ok_or_else(missing)?;
    store::links::remove(&mut tx, &id).await?;
    store::commit(tx).await?;
    Ok(found)
}

/// For somebody who forgot theirs. The old password goes on until the link is used.
pub async fn password_link(app: &App, actor: &Actor, of: &User) -> Result<(Link, Secret)> {
    let link =
        Link { user: Some(of.id.clone()), email: Some(of.email.clone()), ..new(app, LinkKind::Password, PASSWORD_SECONDS, &actor.name) };
    let mut tx = app.store.begin_write().await?;
    for old in store::links::of_nobody(&mut tx).await?.iter().filter(|l| l.user.as_ref() == Some(&of.id)) {
        store::links::remove(&mut tx, &old.id).await?;
    }
    let secret = put(&mut tx, &link).await?;
    store::commit(tx).await?;
    Ok((link, secret))
}

pub async fn look(app: &App, token: &str) -> Result<Looked> {
    let mut conn = app.store.read().await?;
    let link = store::links::by_hash(&mut conn, &tokens::hash(token), app.now()).await?.ok_or_else(used)?;
    let project = match &link.project {
        Some(id) => Some(store::projects::get(&mut conn, id).await?.name.to_string()),
        None => None,
    };
    let known = match (&link.kind, &link.email) {
        (LinkKind::Invitation, Some(email)) => store::users::named(&mut conn, email).await?.is_some(),
        _ => false,
    };
    Ok(Looked { kind: link.kind, project, role: link.role, email: link.email, known })
}

/// What the link is for is done, and a session is begun.
pub async fn accept(app: &App, token: &str, answer: Accept<'_>) -> Result<(User, Session, Secret)> {
    let link = store::links::by_hash(&mut *app.store.read().await?, &tokens::hash(token), app.now()).await?.ok_or_else(used)?;
    let known = match (&link.kind, &link.email) {
        (LinkKind::Invitation, Some(email)) => store::users::named(&mut *app.store.read().await?, email).await?,
        _ => None,
    };
    if let Some((user, hash)) = &known {
        if !passwords::verify(answer.password, Some(hash)).await? || user.disabled_at.is_some() {
            return Err(wrong());
        }
    } else {
        user::password(answer.password)?;
    }
    let hash = if known.is_some() { String::new() } else { passwords::hash(answer.password).await? };
    let mut tx = app.store.begin_write().await?;
    // Two that come at once: the second finds it gone.
    if !store::links::remove(&mut tx, &link.id).await? {
        return Err(used());
    }
    let user = match (link.kind, known) {
        (LinkKind::Invitation, Some((user, _))) => user,
        (LinkKind::Password, _) => renewed(&mut tx, &link, &hash).await?,
        _ => newcomer(app, &mut tx, &link, &answer, &hash).await?,
    };
    join(app, &mut tx, &link, &user).await?;
    let (session, secret) = sessions::begin(app, &mut tx, &user.id, answer.from, answer.agent).await?;
    store::commit(tx).await?;
    Ok((user, session, secret))
}

async fn newcomer(app: &App, tx: &mut Tx, link: &Link, answer: &Accept<'_>, hash: &str) -> Result<User> {
    let needed = |field: &str| Error::invalid(field, "this field is needed");
    if link.kind == LinkKind::First && store::users::count(tx).await? > 0 {
        return Err(used());
    }
    // An invitation is for one address.
    let email = match &link.email {
        Some(email) => email.clone(),
        None => user::email(answer.email.ok_or_else(|| needed("email"))?)?,
    };
    let user = User {
        id: UserId::new(),
        name: user::name(answer.name.ok_or_else(|| needed("name"))?)?,
        email,
        administrator: link.kind == LinkKind::First,
        created_at: app.now(),
        disabled_at: None,
        last_seen_at: Some(app.now()),
        preferences: Default::default(),
    };
    store::users::insert(tx, &user, hash).await?;
    Ok(user)
}

async fn renewed(tx: &mut Tx, link: &Link, hash: &str) -> Result<User> {
    let id = link.user.as_ref().ok_or_else(used)?;
    let user = store::users::get(tx, id).await?;
    if user.disabled_at.is_some() {
        return Err(used());
    }
    store::users::set_password(tx, id, hash).await?;
    store::sessions::end_of_user(tx, id, None).await?;
    Ok(user)
}

/// The first administrator owns the first project; nobody loses rights by an invitation.
async fn join(app: &App, tx: &mut Tx, link: &Link, user: &User) -> Result<()> {
    let (project, role) = match (link.kind, &link.project, link.role) {
        (LinkKind::First, ..) => (store::projects::by_name(tx, crate::projects::DEFAULT).await?.id, Role::Owner),
        (LinkKind::Invitation, Some(project), Some(role)) => (project.clone(), role),
        _ => return Ok(()),
    };
    let held = store::members::of_user(tx, &user.id).await?.into_iter().find(|(p, _)| p == &project).map(|(_, role)| role);
    store::members::put(tx, &project, &user.id, held.map_or(role, |held| held.max(role)), app.now()).await
}
