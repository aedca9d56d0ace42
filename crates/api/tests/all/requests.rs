//! Bad input gets a clear answer and changes nothing; the same request twice is done once.

use crate::support::serve;
use serde_json::json;

#[tokio::test]
async fn bad_bodies() {
    let s = serve().await;
    let cases = [
        (json!({ "name": "a;id", "engine": "ledger" }), "invalid_name", "name"),
        (json!({ "name": "../x", "engine": "ledger" }), "invalid_name", "name"),
        (json!({ "name": "-rf", "engine": "ledger" }), "invalid_name", "name"),
        (json!({ "name": "abc", "engine": "nothing" }), "invalid_field", "engine"),
        (json!({ "name": "abc", "engine": "ledger", "version": "9" }), "invalid_field", "version"),
        (json!({ "name": "abc", "engine": "ledger", "replicas": 1000 }), "invalid_field", "replicas"),
        (json!({ "name": "abc", "engine": "ledger", "mode": "single", "replicas": 1 }), "invalid_field", "replicas"),
        (json!({ "name": "abc", "engine": "ledger", "project_id": "x" }), "unknown_field", "project_id"),
        (json!({ "name": "abc", "engine": "ledger", "epoch": 9 }), "unknown_field", "epoch"),
        (
            json!({ "name": "abc", "engine": "ledger", "settings": { "archive_command": "id" } }),
            "setting_not_allowed",
            "settings.archive_command",
        ),
        (json!({ "name": "abc", "engine": "ledger", "allow_list": [{ "cidr": "10.0.0.1/8" }] }), "invalid_cidr", "allow_list[0]"),
        (json!({ "engine": "ledger" }), "invalid_field", "name"),
    ];
    for (body, code, field) in cases {
        let (status, got, problem) = s.problem("POST", "/clusters", body.clone()).await;
        assert_eq!((status, got.as_str(), problem["field"].as_str()), (422, code, Some(field)), "{body}: {problem}");
    }
    let (_, listed) = s.admin("GET", "/clusters", json!({})).await;
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn bad_requests() {
    let s = serve().await;
    let raw = |body: &'static str, kind: &'static str| {
        let request = reqwest::Client::new().post(format!("{}/api/v1/clusters", s.url)).bearer_auth(&s.admin).header("content-type", kind);
        async move { request.body(body).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(raw("{", "application/json").await, 400);
    assert_eq!(raw("name=abc", "application/x-www-form-urlencoded").await, 415);
    assert_eq!(raw("{}", "text/plain").await, 415);
    let huge = "x".repeat(2 * 1024 * 1024);
    assert_eq!(s.send("POST", "/clusters", Some(&s.admin), Some(json!({ "name": huge })), &[]).await.status(), 413);
    for (method, path, expected) in [
        ("GET", "/nothing", 404),
        ("GET", "/clusters/nobody", 404),
        ("GET", "/backups/bk_x", 404),
        ("GET", "/operations/op_00000000000000000000000000", 404),
        ("PUT", "/clusters", 405),
        ("GET", "/clusters?limit=0", 422),
        ("GET", "/clusters?limit=x", 422),
        ("GET", "/clusters?cursor=zzz", 400),
        ("GET", "/backups?status=fine", 422),
        ("GET", "/clusters?project=none", 404),
    ] {
        let response = s.send(method, path, Some(&s.admin), None, &[]).await;
        assert_eq!(response.status(), expected, "{method} {path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{method} {path}");
        assert!(response.headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn other_sites_and_other_names_are_refused() {
    let s = serve().await;
    let stop = |headers: &'static [(&'static str, &'static str)]| s.send("POST", "/clusters/abc/stop", Some(&s.admin), None, headers);
    assert_eq!(stop(&[("origin", "https://evil.example")]).await.status(), 403);
    assert_eq!(stop(&[("sec-fetch-site", "cross-site")]).await.status(), 403);
    assert_eq!(stop(&[("host", "evil.example")]).await.status(), 421);
    assert_eq!(stop(&[("x-forwarded-for", "127.0.0.1")]).await.status(), 404);
}

#[tokio::test]
async fn a_restore_needs_the_plan_it_confirms() {
    let s = serve().await;
    let body = json!({ "backup": "bk_00000000000000000000000000", "new": "abc" });
    assert_eq!(s.problem("POST", "/restores", body.clone()).await.0, 428);
    assert_eq!(s.problem("POST", "/restores/plan", body).await.0, 404);
}

#[tokio::test]
async fn a_key_makes_a_post_happen_once() {
    let s = serve().await;
    let make = |name: &'static str, key: &'static str| s.send_json(name, key);
    let first = make("one", "k1").await;
    assert_eq!(first.0, 201);
    assert_eq!(make("one", "k1").await, first, "the same answer again");
    let other = make("two", "k1").await;
    assert_eq!((other.0, other.1["code"].as_str()), (422, Some("idempotency_mismatch")));
    let (_, tokens) = s.admin("GET", "/tokens", json!({})).await;
    let made = tokens["items"].as_array().unwrap().iter().filter(|t| t["name"] == "one").count();
    assert_eq!(made, 1);
    // The kept answer holds the token, sealed.
    let (_, listed) = s.admin("GET", "/audit", json!({})).await;
    assert!(!listed.to_string().contains(first.1["token"].as_str().unwrap()));
}

impl crate::support::Served {
    async fn send_json(&self, name: &str, key: &str) -> (u16, serde_json::Value) {
        let body = json!({ "name": name, "role": "viewer" });
        let response = self.send("POST", "/tokens", Some(&self.admin), Some(body), &[("idempotency-key", key)]).await;
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

#[tokio::test]
async fn a_switch_changed_meanwhile_is_stale() {
    let s = serve().await;
    let (status, _) = s.admin("POST", "/clusters", json!({ "name": "abc", "engine": "ledger" })).await;
    assert_eq!(status, 202);
    let response = s.send("PATCH", "/clusters/abc", Some(&s.admin), Some(json!({ "protected": true })), &[("if-match", "\"old\"")]).await;
    assert_eq!(response.status(), 412);
    let seen = s.send("GET", "/clusters/abc", Some(&s.admin), None, &[]).await;
    let tag = seen.headers()["etag"].to_str().unwrap().to_string();
    let response = s.send("PATCH", "/clusters/abc", Some(&s.admin), Some(json!({ "protected": true })), &[("if-match", &tag)]).await;
    assert_eq!(response.status(), 200);
    let (status, code, _) = s.problem("DELETE", "/clusters/abc", json!({ "confirm": "abc" })).await;
    assert_eq!((status, code.as_str()), (409, "deletion_protected"));
    let (status, code, _) = s.problem("POST", "/clusters", json!({ "name": "abc", "engine": "ledger" })).await;
    assert_eq!((status, code.as_str()), (409, "name_taken"));
}

#[tokio::test]
async fn dry_run_answers_with_the_steps_and_does_nothing() {
    let s = serve().await;
    let (status, plan) = s.admin("POST", "/clusters?dry_run=true", json!({ "name": "abc", "engine": "ledger", "replicas": 2 })).await;
    assert_eq!(status, 200);
    assert!(plan["steps"].as_array().unwrap().len() > 3 && plan["warnings"][0].is_string(), "{plan}");
    let (_, listed) = s.admin("GET", "/operations", json!({})).await;
    assert_eq!(listed["items"], json!([]));
}
