//! Every act and every refused one, written before the reply goes out.

use crate::Endpoint;
use axum::http::StatusCode;
use mainstay_control::{Actor, App};
use mainstay_model::{AuditEntry, AuditId, AuditResult, Error, ProjectId, Result};
use std::net::IpAddr;

pub struct Act<'a> {
    pub endpoint: &'a Endpoint,
    pub path: &'a str,
    pub actor: Option<&'a Actor>,
    pub project: Option<&'a ProjectId>,
    pub peer: IpAddr,
    pub status: StatusCode,
    pub error: Option<&'a Error>,
}

pub async fn write(app: &App, act: Act<'_>) -> Result<()> {
    let (kind, object) = object(act.endpoint.path, act.path);
    let entry = AuditEntry {
        id: AuditId::new(),
        at: app.now(),
        actor: act.actor.map_or("anonymous".into(), |a| a.name.clone()),
        action: act.endpoint.id.into(),
        project: act.project.cloned(),
        object_kind: kind.into(),
        object_id: object.clone(),
        object_name: object,
        result: result(act.status),
        from: Some(act.peer.to_string()),
        detail: act.error.map_or(serde_json::Value::Null, |e| serde_json::json!({ "code": e.code, "message": e.message })),
    };
    let mut tx = app.store.begin_write().await?;
    mainstay_store::audit::append(&mut tx, &entry).await?;
    mainstay_store::commit(tx).await
}

fn result(status: StatusCode) -> AuditResult {
    match status.as_u16() {
        200..=399 => AuditResult::Done,
        400..=499 => AuditResult::Refused,
        _ => AuditResult::Failed,
    }
}

/// The noun of the path and the first thing named in it.
fn object<'t>(template: &'t str, path: &str) -> (&'t str, Option<String>) {
    let noun = template.split('/').find(|s| !s.is_empty()).unwrap_or_default();
    let path = path.strip_prefix(crate::BASE).unwrap_or(path);
    let named = template.split('/').zip(path.split('/')).find(|(t, _)| t.starts_with('{')).map(|(_, p)| p.to_string());
    (noun, named)
}

#[cfg(test)]
mod tests {
    use super::object;

    #[test]
    fn the_object_is_what_the_path_names() {
        assert_eq!(
            object("/clusters/{id}/nodes/{node}/promote", "/api/v1/clusters/shop/nodes/shop-2/promote"),
            ("clusters", Some("shop".into()))
        );
        assert_eq!(object("/clusters", "/api/v1/clusters"), ("clusters", None));
    }
}
