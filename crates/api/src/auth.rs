//! Who is it, and may they.

use crate::{Need, Shared, audit::Object, problem::Answer};
use axum::http::{HeaderMap, header};
use mainstay_control::{Actor, App, tokens};
use mainstay_model::{Error, Kind, Result, Time, TokenId, project::Project, role::Role};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
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

/// A valid token always gets in, however much somebody else guesses from the same address: two on
/// one machine share it, and a token cannot be guessed.
pub async fn authenticated(shared: &Shared, headers: &HeaderMap, peer: IpAddr) -> Result<Actor> {
    match actor(&shared.app, headers, peer).await {
        Ok(actor) => {
            shared.touched.note(&shared.app, actor.token.as_ref());
            Ok(actor)
        }
        // A missing token is no guess.
        Err(e) if e.kind == Kind::Unauthenticated && headers.contains_key(header::AUTHORIZATION) && !shared.failures.note(peer) => {
            Err(Error::new(Kind::TooMany, "too_many_failures", "too many failed attempts from this address; wait a minute"))
        }
        Err(e) => Err(e),
    }
}

async fn actor(app: &App, headers: &HeaderMap, peer: IpAddr) -> Result<Actor> {
    let unknown = || Error::new(Kind::Unauthenticated, "unauthenticated", "send a token as `Authorization: Bearer …`");
    let text = headers.get(header::AUTHORIZATION).ok_or_else(unknown)?.to_str().map_err(|_| unknown())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(unknown)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > 256 {
        return Err(unknown());
    }
    tokens::authenticate(app, token, Some(peer)).await
}

/// The project that is meant. One the token is not for is not there.
pub async fn project(app: &App, actor: &Actor, named: Option<&str>) -> Result<Project> {
    let name = match (named, &actor.project) {
        (Some(n), _) => n.to_string(),
        (None, Some(own)) => own.to_string(),
        (None, None) => mainstay_control::projects::DEFAULT.to_string(),
    };
    seen(app, actor, &name).await
}

/// A project by id or name, as `actor` sees it.
pub async fn seen(app: &App, actor: &Actor, name: &str) -> Result<Project> {
    let missing = || Error::not_found("project", name);
    match mainstay_control::projects::resolve(app, name).await {
        Ok(project) if actor.project.as_ref().is_none_or(|own| own == &project.id) => Ok(project),
        Ok(_) => Err(missing()),
        Err(e) if e.kind == Kind::NotFound => Err(missing()),
        Err(e) => Err(e),
    }
}

/// How often something may happen for one address in a minute.
pub struct Rate {
    allowed: u32,
    seen: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

const WINDOW: Duration = Duration::from_secs(60);
/// More addresses than any honest minute has.
const REMEMBERED: usize = 10_000;

impl Rate {
    pub fn new(allowed: u32) -> Self {
        Rate { allowed, seen: Mutex::default() }
    }

    /// Counts one, and says whether it is still within what is allowed.
    pub fn note(&self, peer: IpAddr) -> bool {
        let mut seen = lock(&self.seen);
        if seen.len() >= REMEMBERED && !seen.contains_key(&peer) {
            seen.retain(|_, (_, since)| since.elapsed() < WINDOW);
            if seen.len() >= REMEMBERED {
                return false;
            }
        }
        let entry = seen.entry(peer).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 = entry.0.saturating_add(1);
        entry.0 <= self.allowed
    }
}

/// When each token was last noted as used: exact to a minute, so that not every look is a write.
#[derive(Default)]
pub struct Touched(Mutex<HashMap<TokenId, Time>>);

const TOUCH_SECONDS: i64 = 60;

impl Touched {
    /// Written beside the request: nobody waits for it, and a full disk keeps nobody out.
    fn note(&self, app: &Arc<App>, token: Option<&TokenId>) {
        let Some(token) = token.cloned() else { return };
        let now = app.now();
        if lock(&self.0).get(&token).is_some_and(|last| now < last.plus_seconds(TOUCH_SECONDS)) {
            return;
        }
        lock(&self.0).insert(token.clone(), now);
        let app = app.clone();
        tokio::spawn(async move {
            if let Err(e) = write_touch(&app, &token, now).await {
                tracing::debug!("the use of token {token} could not be noted: {e}");
            }
        });
    }
}

async fn write_touch(app: &App, token: &TokenId, now: Time) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    mainstay_store::tokens::touch(&mut tx, token, now).await?;
    mainstay_store::commit(tx).await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_use_up_anothers() {
        let rate = Rate::new(2);
        let [a, b]: [IpAddr; 2] = ["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()];
        assert_eq!([rate.note(a), rate.note(a), rate.note(a), rate.note(b)], [true, true, false, true]);
    }
}
