//! Every route with every role: who may, who may not, and who must not even learn that it is there.

use crate::support::{Served, serve};
use mainstay_api::{Endpoint, Need};
use mainstay_model::role::Role;
use serde_json::json;

/// The path with names that nobody has, so that nothing is done to anything.
fn concrete(endpoint: &Endpoint) -> String {
    endpoint.path.replace("{id}", "nobody").replace("{node}", "nobody-1").replace("{name}", "nothing")
}

/// A body that reads, for routes that refuse an empty one before they look further.
fn body(endpoint: &Endpoint) -> serde_json::Value {
    match endpoint.id {
        "createCluster" => json!({ "name": "x", "engine": "nothing" }),
        "planRestore" | "runRestore" => json!({ "backup": "nobody", "new": "abc" }),
        "addStorage" => json!({ "name": "x", "kind": "tape" }),
        "createToken" => json!({ "name": "x", "role": "viewer" }),
        "setAllowList" => json!({ "allow_list": [] }),
        "patchSettings" => json!({ "settings": {} }),
        _ => json!({}),
    }
}

async fn status(s: &Served, endpoint: &Endpoint, token: Option<&str>) -> u16 {
    let content = (endpoint.method.as_str() != "GET").then(|| body(endpoint));
    s.send(endpoint.method.as_str(), &concrete(endpoint), token, content, &[]).await.status().as_u16()
}

#[tokio::test]
async fn every_route_by_every_role() {
    let s = serve().await;
    let mut rows = 0;
    for endpoint in mainstay_api::endpoints() {
        assert_eq!(status(&s, &endpoint, None).await, 401, "{} without a token", endpoint.id);
        for role in Role::ALL {
            let token = s.token(&format!("{}-{rows}", role.as_str()), role, &s.project).await;
            let may = matches!(endpoint.need, Need::Role(needed) if role.covers(needed));
            let got = status(&s, &endpoint, Some(&token)).await;
            assert_eq!(got != 403, may, "{} as {}: {got}", endpoint.id, role.as_str());
            assert!(got < 500 && got != 401, "{} as {}: {got}", endpoint.id, role.as_str());
            rows += 1;
        }
        let got = status(&s, &endpoint, Some(&s.admin)).await;
        assert!(got != 403 && got != 401 && got < 500, "{} as administrator: {got}", endpoint.id);
    }
    assert!(rows > 200, "the table has shrunk: {rows}");
}

#[tokio::test]
async fn another_project_is_not_there() {
    let s = serve().await;
    let other = s.other_project().await;
    let stranger = s.token("stranger", Role::Owner, &other).await;
    let storage = mainstay_control::storages::resolve(&s.app, &s.project.id, "local").await.unwrap();
    for path in [
        format!("/storages/{}", storage.id),
        format!("/projects/{}", s.project.id),
        "/projects/default".into(),
        "/clusters?project=default".into(),
        format!("/backups?project={}", s.project.id),
    ] {
        let response = s.send("GET", &path, Some(&stranger), None, &[]).await;
        assert_eq!(response.status(), 404, "{path}");
    }
    assert_eq!(s.send("POST", "/projects/default/recovery-key", Some(&stranger), None, &[]).await.status(), 404);
    let listed: serde_json::Value = s.send("GET", "/projects", Some(&stranger), None, &[]).await.json().await.unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn refused_acts_are_in_the_audit_and_the_chain_holds() {
    let s = serve().await;
    let viewer = s.token("viewer-one", Role::Viewer, &s.project).await;
    assert_eq!(s.send("POST", "/clusters/shop/stop", Some(&viewer), None, &[]).await.status(), 403);
    assert_eq!(s.send("POST", "/clusters/shop/stop", None, None, &[]).await.status(), 401);
    s.send("POST", "/projects/default/recovery-key", Some(&s.admin), None, &[]).await;
    let (_, audit) = s.admin("GET", "/audit", json!({})).await;
    let rows: Vec<(String, String, String)> = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["actor"].as_str().unwrap().into(), r["action"].as_str().unwrap().into(), r["result"].as_str().unwrap().into()))
        .collect();
    let has = |actor: &str, action: &str, result: &str| rows.contains(&(actor.into(), action.into(), result.into()));
    assert!(has("token:viewer-one", "stopCluster", "refused") && has("anonymous", "stopCluster", "refused"), "{rows:?}");
    assert!(has("token:administrator", "exportRecoveryKey", "done"), "{rows:?}");
    let key = mainstay_control::projects::recovery_key(&s.app, &s.project.id).await.unwrap();
    assert!(!audit.to_string().contains(key.reveal()), "a secret in the audit");
    let (status, verified) = s.admin("POST", "/audit/verify", json!({})).await;
    assert!(status == 200 && verified["rows"].as_u64().unwrap() >= 3, "{verified}");
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_and_guessing_is_slow() {
    let s = serve().await;
    let (_, made) = s.admin("POST", "/tokens", json!({ "name": "short", "role": "viewer" })).await;
    let token = made["token"].as_str().unwrap().to_string();
    assert_eq!(s.send("GET", "/clusters", Some(&token), None, &[]).await.status(), 200);
    let id = made["id"].as_str().unwrap();
    assert_eq!(s.send("DELETE", &format!("/tokens/{id}"), Some(&s.admin), None, &[]).await.status(), 204);
    assert_eq!(s.send("GET", "/clusters", Some(&token), None, &[]).await.status(), 401);
    let mut last = 0;
    for _ in 0..40 {
        last = s.send("GET", "/clusters", Some("mst_guess"), None, &[]).await.status().as_u16();
    }
    assert_eq!(last, 429);
}
