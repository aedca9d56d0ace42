//! Every act and every refused one, written before the reply goes out.

use crate::{Endpoint, guard};
use axum::{extract::Request, response::Response};
use mainstay_control::{Actor, App};
use mainstay_model::{AuditEntry, AuditId, AuditResult, Error, Result, error::shown, project::Project};
use serde_json::{Value, json};
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

/// What is acted on, once it is known by its id.
#[derive(Debug, Clone)]
pub struct Object {
    pub kind: &'static str,
    pub id: String,
    pub name: String,
}

/// What a request began: goes with the answer, for the audit.
#[derive(Debug, Clone)]
pub struct Begun {
    pub operation: String,
    /// Kind and id of what it makes.
    pub made: Option<(&'static str, String)>,
}

/// One request, as far as it got.
pub struct Act<'a> {
    pub endpoint: &'a Endpoint,
    pub peer: IpAddr,
    pub actor: Option<Actor>,
    pub project: Option<Project>,
    pub object: Arc<OnceLock<Object>>,
    /// Who a visitor turned out to be.
    pub became: Arc<OnceLock<String>>,
    pub is_dry_run: bool,
    /// The body, without what is secret in it.
    pub asked: Value,
    /// Kind and name by the path, where the object never became known.
    kind: String,
    named: Vec<String>,
}

impl<'a> Act<'a> {
    pub fn new(endpoint: &'a Endpoint, path: &str, peer: IpAddr) -> Self {
        let (kind, named) = named(endpoint.path, path);
        let (object, became) = (Arc::default(), Arc::default());
        Act { endpoint, peer, actor: None, project: None, object, became, is_dry_run: false, asked: Value::Null, kind, named }
    }

    /// What the path names first.
    pub fn named(&self) -> Option<String> {
        self.named.first().cloned()
    }
}

/// How it ended, and what there is to tell about it.
pub struct Outcome {
    result: AuditResult,
    detail: Value,
}

impl Outcome {
    pub fn of(act: &Act<'_>, response: &Response) -> Self {
        Outcome { result: result(response), detail: detail(act, response) }
    }
}

pub async fn write(app: &App, act: &Act<'_>, outcome: Outcome) -> Result<()> {
    let object = known(app, act).await;
    let named = act.named.first().cloned();
    let (kind, id, name) = match object {
        Some(o) => (o.kind.to_string(), Some(o.id), Some(o.name)),
        None => (act.kind.clone(), named.clone(), named),
    };
    let entry = AuditEntry {
        id: AuditId::new(),
        at: app.now(),
        actor: act.actor.as_ref().map(|a| &a.name).or(act.became.get()).map_or("anonymous".into(), Clone::clone),
        action: act.endpoint.id.into(),
        project: act.project.as_ref().map(|p| p.id.clone()),
        object_kind: kind,
        object_id: id,
        object_name: name,
        result: outcome.result,
        from: Some(act.peer.to_string()),
        detail: outcome.detail,
    };
    append(app, &entry).await
}

/// A request that came by a name which is not ours, or from another site's page: no route was asked,
/// and nobody was asked who they are.
pub fn turned_away(app: &App, request: &Request, peer: IpAddr, why: &Error) -> AuditEntry {
    let header = |name: &str| request.headers().get(name).map(|v| shown(&String::from_utf8_lossy(v.as_bytes())));
    let path = without_token(&shown(request.uri().path()));
    let detail = json!({
        "code": why.code, "message": why.message, "method": request.method().as_str(), "path": path,
        "host": header("host"), "origin": header("origin"),
    });
    AuditEntry {
        id: AuditId::new(),
        at: app.now(),
        actor: "anonymous".into(),
        action: "turnedAway".into(),
        project: None,
        object_kind: "request".into(),
        object_id: None,
        object_name: None,
        result: AuditResult::Refused,
        from: Some(peer.to_string()),
        detail,
    }
}

pub async fn append(app: &App, entry: &AuditEntry) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    mainstay_store::audit::append(&mut tx, entry).await?;
    mainstay_store::commit(tx).await
}

/// A refusal may come before anybody looked the object up; its row should be found with the others.
async fn known(app: &App, act: &Act<'_>) -> Option<Object> {
    if let Some(object) = act.object.get() {
        return Some(object.clone());
    }
    let (project, name) = (act.project.as_ref()?, act.named.first()?);
    if act.kind != "cluster" {
        return None;
    }
    let cluster = mainstay_control::clusters::resolve(app, &project.id, name).await.ok()?;
    Some(Object { kind: "cluster", id: cluster.id.to_string(), name: cluster.name.to_string() })
}

fn detail(act: &Act<'_>, response: &Response) -> Value {
    let mut detail = serde_json::Map::new();
    let mut put = |name: &str, value: Value| {
        if !matches!(&value, Value::Null) && value != json!({}) {
            detail.insert(name.into(), value);
        }
    };
    if let Some(e) = guard::fault(response) {
        put("code", json!(e.code));
        put("message", json!(e.message));
    }
    put("node", json!(act.named.get(1)));
    put("asked", act.asked.clone());
    if let Some(begun) = response.extensions().get::<Begun>() {
        put("operation", json!(begun.operation));
        put("made", begun.made.as_ref().map_or(Value::Null, |(kind, id)| json!({ *kind: id })));
    }
    Value::Object(detail)
}

fn result(response: &Response) -> AuditResult {
    match response.status().as_u16() {
        // A connection that now speaks something else was let in.
        101 | 200..=399 => AuditResult::Done,
        400..=499 => AuditResult::Refused,
        _ => AuditResult::Failed,
    }
}

/// The noun of the path and what is named in it, in order.
fn named(template: &str, path: &str) -> (String, Vec<String>) {
    let noun = template.split('/').find(|s| !s.is_empty()).unwrap_or_default();
    let path = path.strip_prefix(crate::BASE).unwrap_or(path);
    let parts = template.split('/').zip(path.split('/')).filter(|(t, _)| t.starts_with('{'));
    (noun.trim_end_matches('s').into(), parts.map(|(_, p)| without_token(&decoded(p))).collect())
}

/// As far as it is text.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%').then(|| tail.get(..2)).flatten().and_then(|h| hex::decode(h).ok());
        match escaped {
            Some(byte) => {
                bytes.extend(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Somebody may take a token for its id.
fn without_token(text: &str) -> String {
    if ["mst_", "mss_", "msl_"].iter().any(|prefix| text.contains(prefix)) { "(a token)".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_object_is_what_the_path_names() {
        let of = |template, path| named(template, path);
        let node = of("/clusters/{id}/nodes/{node}/promote", "/api/v1/clusters/shop/nodes/shop-2/promote");
        assert_eq!(node, ("cluster".into(), vec!["shop".into(), "shop-2".into()]));
        assert_eq!(of("/clusters", "/api/v1/clusters"), ("cluster".into(), vec![]));
        assert_eq!(of("/storages/{id}", "/api/v1/storages/a%20b%"), ("storage".into(), vec!["a b%".into()]));
        assert_eq!(of("/tokens/{id}", "/api/v1/tokens/mst_secret").1, ["(a token)"]);
    }
}
