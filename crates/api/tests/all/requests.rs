//! Bad input gets a clear answer and changes nothing.

use crate::support::serve;
use serde_json::{Value, json};

#[tokio::test]
async fn hostile_names() {
    let s = serve().await;
    let long = "a".repeat(64);
    let names = [
        "",
        " ",
        "a",
        "a;id",
        "$(id)",
        "`id`",
        "a|b",
        "a&&b",
        "a\nb",
        "a\0b",
        "-rf",
        "--help",
        "../x",
        "..",
        "😀abc",
        "a b",
        " abc",
        "abc ",
        "a\u{202e}bc",
        "аbc",
        "Abc",
        "abc-",
        "<script>alert(1)</script>",
        "a\u{1b}[31mb",
        &long,
    ];
    for name in names {
        for (path, body) in [
            ("/clusters", json!({ "name": name, "engine": "ledger" })),
            ("/storages", json!({ "name": name, "kind": "local", "path": "/tmp/x" })),
            ("/tokens", json!({ "name": name, "role": "viewer" })),
        ] {
            let (status, code, problem) = s.problem("POST", path, body).await;
            assert_eq!((status, code.as_str(), problem["field"].as_str()), (422, "invalid_name", Some("name")), "{path} {name:?}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("^[a-z][a-z0-9-]{1,38}[a-z0-9]$"), "{detail}");
            assert!(detail.len() < 700 && !detail.chars().any(|c| c.is_control() || c == '\u{202e}'), "{detail:?}");
        }
        // As a path segment it is nobody, and answered as such.
        let escaped = mainstay_client::segment(name);
        if !escaped.is_empty() {
            let answer = s.send("GET", &format!("/clusters/{escaped}"), Some(&s.admin), None, &[]).await;
            assert_eq!(answer.status(), 404, "{name:?}");
        }
    }
    assert_eq!(s.get("/clusters").await["items"], json!([]));
}

#[tokio::test]
async fn bad_bodies() {
    let s = serve().await;
    let with = |more: Value| {
        let mut body = json!({ "name": "abc", "engine": "ledger" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let cluster = [
        (with(json!({ "engine": "nothing" })), "invalid_field", "engine"),
        (with(json!({ "engine": 7 })), "invalid_field", "engine"),
        (with(json!({ "version": "9" })), "invalid_field", "version"),
        (with(json!({ "mode": "big" })), "invalid_field", "mode"),
        (with(json!({ "replicas": 1000 })), "invalid_field", "replicas"),
        (with(json!({ "replicas": -1 })), "invalid_field", "replicas"),
        (with(json!({ "replicas": 1.5 })), "invalid_field", "replicas"),
        (with(json!({ "replicas": "1;id" })), "invalid_field", "replicas"),
        (with(json!({ "mode": "single", "replicas": 1 })), "invalid_field", "replicas"),
        (with(json!({ "mode": "primary-replica", "replicas": 0 })), "invalid_field", "replicas"),
        (with(json!({ "settings": { "archive_command": "id" } })), "setting_not_allowed", "settings.archive_command"),
        (with(json!({ "settings": { "a": 1 } })), "invalid_field", "settings.a"),
        (with(json!({ "allow_list": [{ "cidr": "::1" }, { "cidr": "10.0.0.1/8" }] })), "invalid_cidr", "allow_list[1]"),
        (with(json!({ "allow_list": ["10.0.0.0/8"] })), "invalid_field", "allow_list[0]"),
        (json!({ "engine": "ledger" }), "invalid_field", "name"),
        (json!([]), "invalid_field", "body"),
    ];
    // What callers must not set by naming it.
    let foreign = ["project_id", "project", "id", "status", "epoch", "generation", "is_admin", "role", "owner_id", "primary", "created_at"];
    let assigned = foreign.map(|field| (with(json!({ field: "x" })), "unknown_field", field));
    for (body, code, field) in cluster.into_iter().chain(assigned) {
        let (status, got, problem) = s.problem("POST", "/clusters", body.clone()).await;
        assert_eq!((status, got.as_str(), problem["field"].as_str()), (422, code, Some(field)), "{body}: {problem}");
    }
    assert_eq!(s.get("/clusters").await["items"], json!([]));
}

#[tokio::test]
async fn bad_bodies_of_verbs() {
    let s = serve().await;
    let many: Vec<Value> = (0..1001).map(|i| json!({ "cidr": format!("10.0.{}.{}", i / 256, i % 256) })).collect();
    assert_eq!(s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await.0, 202);
    let others = [
        ("PATCH", "/clusters/shop", json!({ "wanted": "deleted" }), "unknown_field", "wanted"),
        ("PATCH", "/clusters/shop", json!({ "protected": "yes" }), "invalid_field", "protected"),
        ("POST", "/clusters/shop/stop", json!({ "force": true }), "unknown_field", "force"),
        ("POST", "/clusters/shop/backups", json!({ "retention_days": 0 }), "invalid_field", "retention_days"),
        ("POST", "/clusters/shop/backups", json!({ "retention_days": -1 }), "invalid_field", "retention_days"),
        ("POST", "/clusters/shop/backups", json!({ "retention_days": 1000000000 }), "invalid_field", "retention_days"),
        ("POST", "/clusters/shop/backups", json!({ "retention_days": 3, "keep": true }), "invalid_field", "keep"),
        ("POST", "/clusters/shop/backups", json!({ "description": "a\u{1b}[31m" }), "invalid_field", "description"),
        ("PUT", "/clusters/shop/allow-list", json!({ "allow_list": many }), "invalid_field", "allow_list"),
        ("PUT", "/clusters/shop/allow-list", json!({}), "invalid_field", "allow_list"),
        ("DELETE", "/clusters/shop", json!({ "confirm": "shopp" }), "confirmation_mismatch", "confirm"),
        ("DELETE", "/clusters/shop", json!({}), "confirmation_mismatch", "confirm"),
        ("POST", "/storages", json!({ "name": "abc", "kind": "tape" }), "invalid_field", "kind"),
        ("POST", "/storages", json!({ "name": "abc", "kind": "local" }), "invalid_field", "path"),
        ("POST", "/storages", json!({ "name": "abc", "kind": "local", "path": "../x" }), "invalid_field", "path"),
        ("POST", "/storages", json!({ "name": "abc", "kind": "local", "path": "/x", "region": "a\nb" }), "invalid_field", "region"),
        ("POST", "/tokens", json!({ "name": "abc", "role": "administrator" }), "invalid_field", "role"),
        ("POST", "/tokens", json!({ "name": "abc", "role": "viewer", "expires": 0 }), "invalid_field", "expires"),
        ("POST", "/tokens", json!({ "name": "abc", "role": "viewer", "administrator": true }), "unknown_field", "administrator"),
        ("POST", "/restores/plan", json!({ "backup": "x", "unto": "now" }), "unknown_field", "unto"),
    ];
    for (method, path, body, code, field) in others {
        let (status, got, problem) = s.problem(method, path, body.clone()).await;
        assert_eq!((status, got.as_str(), problem["field"].as_str()), (422, code, Some(field)), "{method} {path} {body}: {problem}");
    }
    for cidr in ["10.0.0.1/8", "1.2.3", "010.0.0.1", "host.example", "", "10.0.0.0/33", "127.0.0.1; DROP"] {
        let (status, code, problem) = s.problem("PUT", "/clusters/shop/allow-list", json!({ "allow_list": [{ "cidr": cidr }] })).await;
        assert_eq!((status, code.as_str(), problem["field"].as_str()), (422, "invalid_cidr", Some("allow_list[0]")), "{cidr}");
    }
}

#[tokio::test]
async fn bad_requests() {
    let s = serve().await;
    let raw = |path: &'static str, body: &'static str, kind: &'static str| {
        let request = reqwest::Client::new().post(format!("{}/api/v1{path}", s.url)).bearer_auth(&s.admin).header("content-type", kind);
        async move { request.body(body).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(raw("/clusters", "{", "application/json").await, 400);
    assert_eq!(raw("/tokens", r#"{"name":"abc","role":"viewer"}{}"#, "application/json; charset=utf-8").await, 400);
    assert_eq!(raw("/clusters", "name=abc", "application/x-www-form-urlencoded").await, 415);
    assert_eq!(raw("/clusters", "{}", "text/plain").await, 415);
    assert_eq!(raw("/clusters/abc/stop", "x", "text/plain").await, 415);
    assert_eq!(raw("/clusters/abc/stop", "[]", "application/json").await, 422);
    let huge = "x".repeat(2 * 1024 * 1024);
    assert_eq!(s.send("POST", "/clusters", Some(&s.admin), Some(json!({ "name": huge })), &[]).await.status(), 413);
    for (method, path, expected, code) in [
        ("GET", "/nothing", 404, "no_such_route"),
        ("GET", "/clusters/", 404, "no_such_route"),
        ("GET", "/clusters/nobody", 404, "not_found"),
        ("GET", "/clusters/%ff", 400, "malformed"),
        ("GET", "/backups/bk_x", 404, "not_found"),
        ("GET", "/operations/op_00000000000000000000000000", 404, "not_found"),
        ("PUT", "/clusters", 405, "method_not_allowed"),
        ("OPTIONS", "/clusters", 405, "method_not_allowed"),
        ("GET", "/clusters?limit=0", 422, "invalid_field"),
        ("GET", "/clusters?limit=501", 422, "invalid_field"),
        ("GET", "/clusters?limit=x", 422, "invalid_field"),
        ("GET", "/clusters?cursor=zzz", 400, "invalid_cursor"),
        ("GET", "/storages?cursor=zzz", 400, "invalid_cursor"),
        ("GET", "/operations?cursor=zzz", 400, "malformed"),
        ("GET", "/backups?status=fine", 422, "invalid_field"),
        ("GET", "/audit?since=yesterday", 422, "invalid_field"),
        ("GET", "/clusters?project=none", 404, "not_found"),
        ("DELETE", "/clusters/abc?dryrun=true", 422, "unknown_parameter"),
        ("DELETE", "/clusters/abc?dry_run=yes", 422, "invalid_field"),
        ("DELETE", "/storages/local?dry_run=true", 422, "unknown_parameter"),
        ("DELETE", "/storages/local", 409, "default_storage"),
    ] {
        let response = s.send(method, path, Some(&s.admin), None, &[]).await;
        let headers = response.headers().clone();
        assert_eq!(response.status(), expected, "{method} {path}");
        assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!((problem["code"].as_str(), &problem["status"]), (Some(code), &json!(expected)), "{method} {path}: {problem}");
        assert_eq!(headers["x-request-id"].to_str().ok(), problem["request_id"].as_str(), "{method} {path}");
        assert_eq!(problem["type"], format!("about:blank#{code}"));
    }
}

#[tokio::test]
async fn every_answer_is_guarded_against_browsers() {
    let s = serve().await;
    for path in ["/api/v1/clusters", "/api/v1/nothing", "/api/docs", "/healthz"] {
        let headers = reqwest::get(format!("{}{path}", s.url)).await.unwrap().headers().clone();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{path}");
        assert_eq!(
            (&headers["x-content-type-options"], &headers["cache-control"]),
            (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
        );
        assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
    }
}

#[tokio::test]
async fn other_sites_and_other_names_are_refused() {
    let s = serve().await;
    let stop = |headers: Vec<(&'static str, &'static str)>| async {
        let headers = headers;
        s.send("POST", "/clusters/abc/stop", Some(&s.admin), None, &headers).await
    };
    assert_eq!(stop(vec![("origin", "https://evil.example")]).await.status(), 403);
    assert_eq!(stop(vec![("origin", "null")]).await.status(), 403);
    assert_eq!(stop(vec![("sec-fetch-site", "cross-site")]).await.status(), 403);
    assert_eq!(stop(vec![("host", "evil.example")]).await.status(), 421);
    assert_eq!(stop(vec![("x-forwarded-for", "10.9.8.7"), ("x-forwarded-host", "evil.example")]).await.status(), 404);
    // The peer is who connected, whatever a header says.
    let rows = s.get("/audit").await.to_string();
    assert!(rows.contains("127.0.0.1") && !rows.contains("10.9.8.7"), "{rows}");
}

#[tokio::test]
async fn a_restore_needs_the_plan_it_confirms() {
    let s = serve().await;
    let body = json!({ "backup": "bk_00000000000000000000000000", "new": "abc" });
    let (status, code, _) = s.problem("POST", "/restores", body.clone()).await;
    assert_eq!((status, code.as_str()), (428, "plan_required"));
    assert_eq!(s.problem("POST", "/restores/plan", body).await.0, 404);
}

#[tokio::test]
async fn a_switch_changed_meanwhile_is_stale() {
    let s = serve().await;
    assert_eq!(s.admin("POST", "/clusters", json!({ "name": "abc", "engine": "ledger" })).await.0, 202);
    let patch = |tag: &str, on: bool| {
        let tag = tag.to_string();
        let body = Some(json!({ "protected": on }));
        let s = &s;
        async move { s.send("PATCH", "/clusters/abc", Some(&s.admin), body, &[("if-match", &tag)]).await }
    };
    let stale = patch("\"old\"", true).await;
    assert_eq!((stale.status().as_u16(), stale.json::<Value>().await.unwrap()["code"].as_str()), (412, Some("stale")));
    let seen = s.send("GET", "/clusters/abc", Some(&s.admin), None, &[]).await;
    let tag = seen.headers()["etag"].to_str().unwrap().to_string();
    assert_eq!(patch(&tag, true).await.status(), 200);
    assert_eq!(patch(&tag, false).await.status(), 412, "the tag is of before");
    let (status, code, _) = s.problem("DELETE", "/clusters/abc", json!({ "confirm": "abc" })).await;
    assert_eq!((status, code.as_str()), (409, "deletion_protected"));
    assert_eq!(s.problem("DELETE", "/clusters/abc?dry_run=true", json!({})).await.1, "deletion_protected");
    assert_eq!(s.problem("POST", "/clusters/abc/stop", json!({})).await.1, "deletion_protected");
    let (status, code, _) = s.problem("POST", "/clusters", json!({ "name": "abc", "engine": "ledger" })).await;
    assert_eq!((status, code.as_str()), (409, "name_taken"));
}

#[tokio::test]
async fn a_held_cluster_names_the_operation_that_holds_it() {
    let s = serve().await;
    let (_, creating) = s.admin("POST", "/clusters", json!({ "name": "abc", "engine": "ledger" })).await;
    assert_eq!(creating["object"]["kind"], "cluster");
    assert_eq!(creating["object"]["id"], s.get("/clusters/abc").await["id"]);
    let (status, _, problem) = s.problem("POST", "/clusters/abc/start", json!({})).await;
    assert_eq!((status, &problem["operation"]), (409, &creating["id"]));
    let (status, plan) = s.admin("POST", "/clusters/abc/start?dry_run=true", json!({})).await;
    assert_eq!(status, 200);
    assert!(plan["warnings"][0].as_str().unwrap().contains(creating["id"].as_str().unwrap()), "{plan}");
}

#[tokio::test]
async fn dry_run_answers_with_the_steps_and_does_nothing() {
    let s = serve().await;
    let (status, plan) = s.admin("POST", "/clusters?dry_run=true", json!({ "name": "abc", "engine": "ledger", "replicas": 2 })).await;
    assert_eq!(status, 200);
    assert!(plan["steps"].as_array().unwrap().len() > 3 && plan["warnings"][0].is_string(), "{plan}");
    assert_eq!(s.get("/operations").await["items"], json!([]));
    assert_eq!(s.get("/audit").await["items"], json!([]));
    let (status, code, _) = s.problem("POST", "/clusters?dry_run=true", json!({ "name": "a;id", "engine": "ledger" })).await;
    assert_eq!((status, code.as_str()), (422, "invalid_name"));
}

#[tokio::test]
async fn short_lists_have_pages_too() {
    let s = serve().await;
    for name in ["one", "two", "three"] {
        assert_eq!(s.admin("POST", "/tokens", json!({ "name": name, "role": "viewer" })).await.0, 201);
    }
    let first = s.get("/tokens?limit=3").await;
    assert_eq!(first["items"].as_array().unwrap().len(), 3);
    let rest = s.get(&format!("/tokens?limit=3&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
}
