//! Who is it, and may they.

use crate::{Endpoint, Need, problem::Answer};
use axum::http::{HeaderMap, header};
use mainstay_control::{Actor, App, tokens};
use mainstay_model::{Error, Kind, Result, project::Project, role::Role};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Who calls, and in which project. Handlers take it as an extension.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    pub project: Project,
}

impl Caller {
    /// For acts whose need depends on what is asked for.
    pub fn require(&self, role: Role) -> Answer<()> {
        Ok(permitted(&self.actor, Need::Role(role))?)
    }
}

pub fn permitted(actor: &Actor, need: Need) -> Result<()> {
    let may = match need {
        Need::Role(role) => actor.administrator || actor.role.covers(role),
        Need::Administrator => actor.administrator,
    };
    let what = match need {
        Need::Role(role) => format!("the role {}", role.as_str()),
        Need::Administrator => "the administrator's token".into(),
    };
    if may { Ok(()) } else { Err(Error::forbidden(format!("this needs {what}; yours is {}", actor.role.as_str()))) }
}

pub async fn actor(app: &App, headers: &HeaderMap, peer: IpAddr) -> Result<Actor> {
    let unknown = || Error::new(Kind::Unauthenticated, "unauthenticated", "send a token as `Authorization: Bearer …`");
    let text = headers.get(header::AUTHORIZATION).ok_or_else(unknown)?.to_str().map_err(|_| unknown())?;
    let token = text.strip_prefix("Bearer ").filter(|t| !t.is_empty() && t.len() <= 256).ok_or_else(unknown)?;
    tokens::authenticate(app, token, Some(peer)).await
}

/// The project that is meant. One the token is not for is not there.
pub async fn project(app: &App, actor: &Actor, named: Option<&str>, endpoint: &Endpoint) -> Result<Project> {
    permitted(actor, endpoint.need)?;
    let name = match (named, &actor.project) {
        (Some(n), _) => n.to_string(),
        (None, Some(own)) => own.to_string(),
        (None, None) => mainstay_control::projects::DEFAULT.to_string(),
    };
    let missing = || Error::not_found("project", &name);
    let project = mainstay_control::projects::resolve(app, &name).await?;
    match &actor.project {
        Some(own) if own != &project.id => Err(missing()),
        _ => Ok(project),
    }
}

/// Failed attempts by peer: guessing is slow, and telling is not louder than a 429.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<IpAddr, (u32, Instant)>>);

const ALLOWED: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
const REMEMBERED: usize = 10_000;

impl Failures {
    pub fn check(&self, peer: IpAddr) -> Result<()> {
        let map = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match map.get(&peer) {
            Some((n, since)) if *n >= ALLOWED && since.elapsed() < WINDOW => {
                Err(Error::new(Kind::TooMany, "too_many_failures", "too many failed attempts from this address; wait a minute"))
            }
            _ => Ok(()),
        }
    }
    pub fn note(&self, peer: IpAddr) {
        let mut map = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if map.len() >= REMEMBERED {
            map.retain(|_, (_, since)| since.elapsed() < WINDOW);
        }
        let entry = map.entry(peer).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 += 1;
    }
}
