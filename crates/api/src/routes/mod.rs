//! The routes, one file a noun. THE LIST is [`all`].

mod alerts;
mod assertions;
mod audit;
mod audit_export;
mod backups;
mod clusters;
mod drills;
mod engines;
mod events;
mod groups;
mod log;
mod me;
mod members;
mod metrics;
mod nodes;
mod notifiers;
mod operations;
mod plans;
mod projects;
mod recovery;
mod restores;
mod retention;
mod schedules;
mod session;
mod settings;
mod storages;
mod terminal;
mod tokens;
mod users;

pub(crate) use clusters::host;
pub(crate) use members::view as member;
pub(crate) use notifiers::view as notifier;
pub(crate) use schedules::view as schedule;
pub use storages::new_storage;

use crate::{
    Shared,
    audit::Begun,
    body::Query,
    endpoint::Noun,
    problem::{Answer, Fault},
    views,
};
use axum::{
    Json,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use mainstay_api_types as dto;
use mainstay_model::{Error, Kind, OperationId};
use mainstay_operations::{Operation, Step};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

pub fn all() -> Vec<Noun> {
    vec![
        session::routes(),
        me::routes(),
        projects::routes(),
        members::routes(),
        users::routes(),
        engines::routes(),
        plans::routes(),
        clusters::routes(),
        settings::routes(),
        log::routes(),
        nodes::routes(),
        metrics::routes(),
        terminal::routes(),
        backups::routes(),
        drills::routes(),
        assertions::routes(),
        restores::routes(),
        retention::routes(),
        groups::routes(),
        recovery::routes(),
        recovery::system(),
        schedules::routes(),
        storages::routes(),
        operations::routes(),
        events::routes(),
        tokens::routes(),
        notifiers::routes(),
        alerts::routes(),
        audit::routes(),
    ]
}

/// What is begun: the kind and id of what an operation makes.
type Made<'a> = Option<(&'static str, &'a str)>;

/// 202: the operation as it stands, where to look at it, and what it makes.
async fn accepted(shared: &Shared, id: &OperationId, made: Made<'_>) -> Answer {
    let mut view = views::operation(shared.app.runner.get(id).await?);
    view.object = made.map(|(kind, id)| dto::ObjectRef { kind: kind.into(), id: id.into() });
    let location = format!("{}/operations/{id}", crate::BASE);
    let mut answer = (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view)).into_response();
    answer.extensions_mut().insert(Begun { operation: id.to_string(), made: made.map(|(kind, id)| (kind, id.to_string())) });
    Ok(answer)
}

/// What a verb would do.
struct Would<'a> {
    kind: &'static str,
    steps: &'static [Step],
    /// Whose lock it takes: a cluster's or a backup's id.
    locks: Option<&'a str>,
    summary: Vec<String>,
    warnings: Vec<String>,
    numbers: BTreeMap<String, Option<u64>>,
}

impl<'a> Would<'a> {
    fn of<O: Operation>(summary: impl Into<String>) -> Self {
        Would { kind: O::KIND, steps: O::STEPS, locks: None, summary: vec![summary.into()], warnings: vec![], numbers: BTreeMap::new() }
    }
    fn locking(self, key: &'a str) -> Self {
        Would { locks: Some(key), ..self }
    }
    fn also(mut self, sentence: impl Into<String>) -> Self {
        self.summary.push(sentence.into());
        self
    }
    fn warning(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// What it comes to; `None` is not known.
    fn number(mut self, name: &str, value: Option<u64>) -> Self {
        self.numbers.insert(name.into(), value);
        self
    }

    /// The answer to `?dry_run=true`.
    async fn planned(mut self, shared: &Shared) -> Answer {
        let holder = match self.locks {
            Some(key) => shared.app.runner.holder(key).await?,
            None => None,
        };
        self.warnings.extend(holder.map(|h| format!("{} ({}) is under way; until it ends this is refused", h.kind, h.id)));
        let step = |s: &Step| dto::PlannedStep { name: s.name.into(), title: s.title.into(), point_of_no_return: s.point_of_no_return };
        let steps = self.steps.iter().map(step).collect();
        let Would { kind, summary, warnings, numbers, .. } = self;
        Ok(Json(dto::Plan { kind: kind.into(), summary, steps, warnings, numbers }).into_response())
    }
}

fn page<T, U>(page: mainstay_store::Page<T>, view: impl Fn(T) -> U) -> Json<dto::List<U>> {
    Json(dto::List { items: page.items.into_iter().map(view).collect(), next: page.next })
}

/// A page of a list that is short enough to be read whole. The cursor is the key of the last item.
fn part<T>(q: &Query, items: Vec<T>, key: impl Fn(&T) -> &str) -> Answer<Json<dto::List<T>>> {
    let paging = q.paging()?;
    let limit = paging.limit as usize;
    let start = match &paging.cursor {
        None => 0,
        Some(cursor) => match items.iter().position(|item| key(item) == cursor) {
            Some(last) => last + 1,
            None => {
                let why = "the cursor is none that this list gave out, or its item is gone; start without one";
                return Err(Error::malformed(why).with_code("invalid_cursor").into());
            }
        },
    };
    let more = items.len() > start + limit;
    let items: Vec<T> = items.into_iter().skip(start).take(limit).collect();
    let next = items.last().filter(|_| more).map(|last| key(last).to_string());
    Ok(Json(dto::List { items, next }))
}

/// A short hash of what matters for a decision about an object.
fn etag(of: &impl serde::Serialize) -> String {
    let text = serde_json::to_vec(of).unwrap_or_default();
    hex::encode(&Sha256::digest(&text)[..12])
}

fn with_etag(tag: &str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Ok(value) = format!("\"{tag}\"").parse() {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// The tags of `If-Match`, without their quotes. A weak one matches nothing.
fn if_match(headers: &HeaderMap) -> Option<Vec<&str>> {
    let text = headers.get(header::IF_MATCH)?.to_str().unwrap_or("?");
    Some(text.split(',').map(|tag| tag.trim().trim_matches('"')).collect())
}

/// Refuses an act on something that is no longer what the caller saw; `tags` are those of what the
/// caller may have looked at.
fn still(headers: &HeaderMap, tags: &[&str]) -> Answer<()> {
    let Some(seen) = if_match(headers) else { return Ok(()) };
    if seen.iter().any(|tag| *tag == "*" || tags.contains(tag)) {
        return Ok(());
    }
    Err(Fault(Error::new(Kind::Stale, "stale", "it has changed since you looked at it; look again and decide anew")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::IF_MATCH, header::HeaderValue::from_static(value))])
    }

    #[test]
    fn tags_of_before_are_stale() {
        assert!(still(&HeaderMap::new(), &["a"]).is_ok());
        for ok in ["\"a\"", "a", "*", "\"x\", \"b\""] {
            assert!(still(&seen(ok), &["a", "b"]).is_ok(), "{ok}");
        }
        for stale in ["\"x\"", "", "W/\"a\"", "\"ab\""] {
            assert_eq!(still(&seen(stale), &["a", "b"]).unwrap_err().0.kind, Kind::Stale, "{stale}");
        }
    }

    #[test]
    fn a_short_list_is_leafed_through() {
        let read = |query: &str| {
            let q = Query::read(&format!("/x?{query}").parse().unwrap()).unwrap();
            part(&q, vec!["a", "b", "c"], |t| t).map(|Json(list)| (list.items, list.next))
        };
        assert_eq!(read("").unwrap(), (vec!["a", "b", "c"], None));
        assert_eq!(read("limit=2").unwrap(), (vec!["a", "b"], Some("b".into())));
        assert_eq!(read("limit=2&cursor=b").unwrap(), (vec!["c"], None));
        assert_eq!(read("cursor=x").unwrap_err().0.kind, Kind::Malformed);
        assert_eq!(read("limit=0").unwrap_err().0.field.as_deref(), Some("limit"));
    }
}
