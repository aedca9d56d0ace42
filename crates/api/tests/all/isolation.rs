//! What belongs to another project is not there: every route, with the real ids of real objects.

use crate::{
    access::body,
    support::{Served, serve_world},
};
use mainstay_api::Endpoint;
use mainstay_model::role::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What the path's `{id}` is an id of.
fn noun(endpoint: &Endpoint) -> &str {
    endpoint.path.split('/').nth(1).unwrap_or_default()
}

/// One object of every noun in the project `default`, by its noun; and a node.
async fn objects(s: &Served) -> (BTreeMap<&'static str, String>, String) {
    let create = s.does("POST", "/clusters", json!({ "name": "shop", "engine": "memo", "replicas": 1 })).await;
    let backup = s.does("POST", "/clusters/shop/backups", json!({})).await.output["backup"].as_str().unwrap().to_string();
    let request = json!({ "backup": backup, "new": "copy" });
    let hash = s.admin("POST", "/restores/plan", request.clone()).await.1["hash"].as_str().unwrap().to_string();
    let accepted = s.send("POST", "/restores", Some(&s.admin), Some(request), &[("if-match", &hash)]).await;
    let restore = s.ends(accepted.json().await.unwrap()).await.output["restore"].as_str().unwrap().to_string();
    let token = s.admin("POST", "/tokens", json!({ "name": "theirs", "role": "owner" })).await.1;
    let cluster = s.get("/clusters/shop").await;
    let text = |v: &Value| v.as_str().unwrap().to_string();
    let hook = json!({ "name": "ops", "kind": "webhook", "url": "ok", "secret": "0123456789abcdef" });
    let notifier = s.admin("POST", "/notifiers", hook).await.1;
    let group = s.admin("POST", "/groups", json!({ "name": "both", "members": ["shop", "copy"] })).await.1;
    let whole = s.does("POST", "/groups/both/backups", json!({})).await.output["group_backup"].as_str().unwrap().to_string();
    let ids = BTreeMap::from([
        ("groups", text(&group["id"])),
        ("group-backups", whole),
        ("notifiers", text(&notifier["id"])),
        ("alerts", crate::notices::raised(s).await),
        ("projects", s.project.id.to_string()),
        ("clusters", text(&cluster["id"])),
        ("backups", backup),
        ("restores", restore),
        ("schedules", text(&s.get("/clusters/shop/schedules").await["items"][0]["id"])),
        ("storages", text(&s.get("/storages/local").await["id"])),
        ("operations", create.id),
        ("tokens", text(&token["id"])),
    ]);
    (ids, text(&cluster["nodes"][1]["id"]))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_of_another_project() {
    let s = serve_world().await;
    let (ids, node) = objects(&s).await;
    let backup = &ids["backups"];
    let other = s.other_project().await;
    let stranger = s.token("stranger", Role::Owner, &other).await;
    let mut tried = 0;
    for endpoint in mainstay_api::endpoints() {
        let own = ids.get(noun(&endpoint)).map(|id| endpoint.path.replace("{id}", id).replace("{node}", &node));
        let content = (endpoint.method.as_str() != "GET").then(|| body(&endpoint));
        let send = |path: String, content: Option<Value>| {
            let (s, stranger, method) = (&s, &stranger, endpoint.method.as_str());
            async move {
                let answer = s.send(method, &path, Some(stranger), content, &[]).await;
                (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
            }
        };
        if let Some(path) = own.filter(|_| endpoint.path.contains("{id}")) {
            let (status, problem) = send(path.clone(), content.clone()).await;
            assert_eq!((status, problem["code"].as_str()), (404, Some("not_found")), "{} {path}: {problem}", endpoint.id);
            // Told apart from what never was by nothing but what was typed.
            let nobody = path.replace(&ids[noun(&endpoint)], "nobody");
            let (_, unknown) = send(nobody, content.clone()).await;
            assert_eq!(unknown["code"], problem["code"], "{}", endpoint.id);
            tried += 1;
        }
        // What belongs to no project is not another one's.
        if matches!(endpoint.need, mainstay_api::Need::Open | mainstay_api::Need::Known) {
            continue;
        }
        // Naming the other project does not help either.
        let path = endpoint.path.replace("{id}", "shop").replace("{node}", &node).replace("{name}", "memo");
        let (status, _) = send(format!("{path}?project=default"), content).await;
        let administrators = endpoint.need == mainstay_api::Need::Administrator;
        assert!(status == 404 || (administrators && status == 403), "{} {path}: {status}", endpoint.id);
    }
    assert!(tried > 35, "{tried}");

    // Nor do references in bodies.
    for (path, body) in [
        ("/restores/plan", json!({ "backup": backup, "new": "abc" })),
        ("/tokens", json!({ "name": "abc", "role": "viewer", "project": "default" })),
    ] {
        assert_eq!(s.send("POST", path, Some(&stranger), Some(body), &[]).await.status(), 404, "{path}");
    }
    let seen: Value = s.send("GET", "/projects", Some(&stranger), None, &[]).await.json().await.unwrap();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    for list in ["/notifiers", "/alerts?state=all", "/clusters?deleted=true", "/backups", "/restores", "/schedules", "/operations"] {
        let seen: Value = s.send("GET", list, Some(&stranger), None, &[]).await.json().await.unwrap();
        assert_eq!(seen["items"], json!([]), "{list}");
    }
    // Its own audit tells of what it tried, and of nothing else.
    let audit: Value = s.send("GET", "/audit?limit=500", Some(&stranger), None, &[]).await.json().await.unwrap();
    assert!(audit["items"].as_array().unwrap().iter().all(|r| r["actor"] == "token:stranger"), "{audit}");
    assert_eq!(s.get("/clusters/shop").await["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_found_in_its_own_cluster_only() {
    let s = serve_world().await;
    for name in ["one", "two"] {
        s.does("POST", "/clusters", json!({ "name": name, "engine": "memo", "replicas": 1 })).await;
    }
    let node = s.get("/clusters/two").await["nodes"][1]["id"].as_str().unwrap().to_string();
    for (method, path) in [("GET", ""), ("GET", "/logs"), ("GET", "/metrics"), ("POST", "/promote"), ("POST", "/reboot"), ("DELETE", "")] {
        for name in [node.as_str(), "two-2"] {
            let (status, _, problem) = s.problem(method, &format!("/clusters/one/nodes/{name}{path}"), Value::Null).await;
            assert_eq!(status, 404, "{method} {path}: {problem}");
        }
    }
}
