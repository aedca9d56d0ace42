//! Who is it, and may they.

use crate::{
    Need, Shared,
    audit::Object,
    cookies,
    hosts::is_handshake,
    problem::Answer,
    rate::{counted, lock},
};
use axum::http::{HeaderMap, Method, header};
use mainstay_control::{Actor, App, people, tokens};
use mainstay_model::{Error, Kind, Result, Time, project::Project, role::Role};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, OnceLock},
};

/// Who calls, and in which project. Handlers take it as an extension.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub project: Project,
    pub(crate) object: Arc<OnceLock<Object>>,
}

impl Caller {
    /// For acts whose need depends on what is asked for.
    pub fn require(&self, role: Role) -> Answer<()> {
        Ok(permitted(&self.actor, Need::Role(role))?)
    }

    /// Names what is acted on, for the audit. The first name counts: a node's act is its cluster's.
    pub fn on(&self, kind: &'static str, id: &str, name: &str) {
        let _ = self.object.set(Object { kind, id: id.into(), name: name.into() });
    }
}

/// Who calls where no project is meant: somebody who is known, or nobody yet.
#[derive(Debug, Clone)]
pub struct Visitor {
    pub actor: Option<Actor>,
    pub peer: IpAddr,
    pub(crate) object: Arc<OnceLock<Object>>,
    /// Who it turned out to be, for the audit.
    pub(crate) became: Arc<OnceLock<String>>,
}

impl Visitor {
    pub fn known(&self) -> Answer<&Actor> {
        Ok(self.actor.as_ref().ok_or_else(unknown)?)
    }

    /// The person, where it is one and not a token.
    pub fn person(&self) -> Answer<&people::Person> {
        let why = "a token has no profile, no password and no sessions: sign in as a person";
        Ok(self.known()?.person.as_deref().ok_or_else(|| Error::conflict("no_profile", why))?)
    }

    pub fn on(&self, kind: &'static str, id: &str, name: &str) {
        let _ = self.object.set(Object { kind, id: id.into(), name: name.into() });
    }
}

pub fn permitted(actor: &Actor, need: Need) -> Result<()> {
    let may = match need {
        Need::Role(role) => actor.administrator || actor.role.covers(role),
        Need::Administrator => actor.administrator,
        Need::Known | Need::Open => true,
    };
    let what = match need {
        Need::Role(role) => format!("the role {}", role.as_str()),
        _ => "an administrator of the installation".into(),
    };
    if may { Ok(()) } else { Err(Error::forbidden(format!("this needs {what}; yours is {}", actor.role.as_str()))) }
}

/// A valid token always gets in, however much somebody else guesses from the same address: two on
/// one machine share it, and a token cannot be guessed.
pub async fn authenticated(shared: &Shared, method: &Method, headers: &HeaderMap, peer: IpAddr) -> Result<Actor> {
    match actor(shared, method, headers, peer).await {
        Ok(actor) => {
            shared.touched.note(&shared.app, &actor);
            Ok(actor)
        }
        // A missing token is no guess.
        Err(e) if e.kind == Kind::Unauthenticated && headers.contains_key(header::AUTHORIZATION) => {
            match shared.failures.note(counted(peer)) {
                Some(wait) => Err(too_many(wait)),
                None => Err(e),
            }
        }
        Err(e) => Err(e),
    }
}

pub fn too_many(wait: u64) -> Error {
    let why = format!("too many failed attempts; try again in {wait} s");
    Error::new(Kind::TooMany, "too_many_failures", why).with_retry_after(wait)
}

pub fn too_many_openings(wait: u64) -> Error {
    let why = format!("too many terminals opened in a minute; try again in {wait} s");
    Error::new(Kind::TooMany, "too_many_terminals", why).with_retry_after(wait)
}

fn unknown() -> Error {
    Error::new(Kind::Unauthenticated, "unauthenticated", "sign in, or send a token as `Authorization: Bearer …`")
}

/// A token that is sent counts before a cookie, which browsers send by themselves.
async fn actor(shared: &Shared, method: &Method, headers: &HeaderMap, peer: IpAddr) -> Result<Actor> {
    let Some(sent) = headers.get(header::AUTHORIZATION) else {
        let secret = cookies::session(headers, shared.secure).ok_or_else(unknown)?;
        let actor = people::authenticate(&shared.app, secret.reveal(), Some(peer)).await?;
        no_forgery(method, headers)?;
        return Ok(actor);
    };
    let (scheme, token) = sent.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(unknown)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > 256 {
        return Err(unknown());
    }
    tokens::authenticate(&shared.app, token, Some(peer)).await
}

/// What a browser sends by itself must not change anything: the page has to say that it is ours.
/// A WebSocket cannot carry a header of the page's own; there the browser itself says whose page asks, and
/// whether that is ours was looked at before ([`crate::hosts`]).
pub fn no_forgery(method: &Method, headers: &HeaderMap) -> Result<()> {
    if is_handshake(headers) {
        let why = "a terminal by a session needs the header Origin, which browsers send";
        return if headers.contains_key(header::ORIGIN) { Ok(()) } else { Err(Error::forbidden(why).with_code("csrf")) };
    }
    if matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(cookies::CSRF) {
        return Ok(());
    }
    Err(Error::forbidden(format!("a change by a session needs the header {}", cookies::CSRF)).with_code("csrf"))
}

/// The project that is meant. One that is not the caller's is not there.
pub async fn project(app: &App, actor: &Actor, named: Option<&str>) -> Result<Project> {
    let name = match (named, &actor.project, &actor.person) {
        (Some(n), ..) => n.to_string(),
        (None, Some(own), _) => own.to_string(),
        (None, None, Some(person)) if !actor.administrator => of_person(app, person).await?,
        _ => mainstay_control::projects::DEFAULT.to_string(),
    };
    seen(app, actor, &name).await
}

/// `default` where they are a member of it, else the oldest of their projects.
async fn of_person(app: &App, person: &people::Person) -> Result<String> {
    let default = mainstay_control::projects::resolve(app, mainstay_control::projects::DEFAULT).await?;
    if person.role_in(&default.id).is_some() {
        return Ok(default.id.to_string());
    }
    let first = person.memberships.first().map(|(project, _)| project.to_string());
    first.ok_or_else(|| Error::forbidden("you are a member of no project; an owner of one can invite you").with_code("no_project"))
}

/// A project by id or name, as `actor` sees it.
pub async fn seen(app: &App, actor: &Actor, name: &str) -> Result<Project> {
    let missing = || Error::not_found("project", name);
    match mainstay_control::projects::resolve(app, name).await {
        Ok(project) if actor.sees(&project.id) => Ok(project),
        Ok(_) => Err(missing()),
        Err(e) if e.kind == Kind::NotFound => Err(missing()),
        Err(e) => Err(e),
    }
}

/// When each token and session was last noted as used: exact to a minute, so that not every look is a
/// write.
#[derive(Default)]
pub struct Touched(Mutex<HashMap<String, Time>>);

const TOUCH_SECONDS: i64 = 60;

impl Touched {
    /// Written beside the request: nobody waits for it, and a full disk keeps nobody out.
    fn note(&self, app: &Arc<App>, actor: &Actor) {
        let session = actor.person.as_ref().map(|p| p.session.id.to_string());
        let Some(key) = actor.token.as_ref().map(ToString::to_string).or(session) else { return };
        let now = app.now();
        if lock(&self.0).get(&key).is_some_and(|last| now < last.plus_seconds(TOUCH_SECONDS)) {
            return;
        }
        lock(&self.0).insert(key.clone(), now);
        let (app, actor) = (app.clone(), actor.clone());
        tokio::spawn(async move {
            if let Err(e) = write_touch(&app, &actor, now).await {
                tracing::debug!("the use of {key} could not be noted: {e}");
            }
        });
    }
}

async fn write_touch(app: &App, actor: &Actor, now: Time) -> Result<()> {
    if let Some(person) = &actor.person {
        return people::touch(app, person.session_id()).await;
    }
    let Some(token) = &actor.token else { return Ok(()) };
    let mut tx = app.store.begin_write().await?;
    mainstay_store::tokens::touch(&mut tx, token, now).await?;
    mainstay_store::commit(tx).await
}
