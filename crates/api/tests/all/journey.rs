//! The main job through the API alone: deploy, look, back up, lose, restore, hand over, delete.

use crate::support::{Served, serve_world};
use mainstay_model::{NodeId, role::Role};
use serde_json::{Value, json};

async fn deploy(s: &Served) -> Value {
    let (status, accepted) = s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "memo", "replicas": 1 })).await;
    assert_eq!((status.as_u16(), &accepted["object"]["kind"]), (202, &json!("cluster")), "{accepted}");
    let made = accepted["object"]["id"].clone();
    let end = s.ends(accepted).await;
    // Operations end only where what an earlier process left was taken over.
    assert_eq!(reqwest::get(format!("{}/readyz", s.url)).await.unwrap().status(), 200);
    assert_eq!(end.status, mainstay_api_types::OperationStatus::Succeeded, "{end:?}");
    let cluster = s.get("/clusters/shop").await;
    assert_eq!((&cluster["id"], &cluster["status"]), (&made, &json!("running")), "{cluster}");
    cluster
}

async fn back_up(s: &Served, body: Value) -> Value {
    let (status, accepted) = s.admin("POST", "/clusters/shop/backups", body).await;
    assert_eq!(status, 202, "{accepted}");
    let made = accepted["object"]["id"].as_str().unwrap().to_string();
    let end = s.ends(accepted).await;
    assert_eq!(end.output["backup"], made.as_str(), "{end:?}");
    s.get(&format!("/backups/{made}")).await
}

fn primary(cluster: &Value) -> NodeId {
    let node = cluster["nodes"].as_array().unwrap().iter().find(|n| n["role"] == "primary").unwrap();
    NodeId::parse(node["id"].as_str().unwrap()).unwrap()
}

fn rows(s: &Served, node: &NodeId) -> Vec<String> {
    s.world.as_ref().unwrap().memo.read(node).unwrap()
}

fn write(s: &Served, node: &NodeId, row: &str) {
    s.world.as_ref().unwrap().memo.write(node, row).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn from_deploy_to_delete() {
    let s = serve_world().await;
    let cluster = deploy(&s).await;
    looks(&s, &cluster).await;
    let node = primary(&cluster);
    write(&s, &node, "kept");
    let backup = backups(&s).await;
    write(&s, &node, "lost-again");
    restores(&s, &node, backup["id"].as_str().unwrap()).await;
    hand_over(&s).await;
    deletes(&s).await;
}

async fn looks(s: &Served, cluster: &Value) {
    let viewer = s.token("viewer-one", Role::Viewer, &s.project).await;
    assert_eq!(cluster["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(cluster["nodes"][0]["host"].as_str().map(str::is_empty), Some(false));
    assert!(cluster["endpoints"]["read_write"]["url"].as_str().unwrap().contains("://"), "{cluster}");
    assert!(cluster["endpoints"]["read_only"].is_object(), "{cluster}");
    let secret = s.get("/clusters/shop/credentials").await["password"].as_str().unwrap().to_string();
    for path in
        ["/clusters/shop", "/clusters", "/clusters/shop/nodes", "/clusters/shop/settings", "/operations", "/clusters/shop/allow-list"]
    {
        let seen = s.send("GET", path, Some(&viewer), None, &[]).await;
        assert_eq!(seen.status(), 200, "{path}");
        let text = seen.text().await.unwrap();
        assert!(!text.contains("password") && !text.contains(&secret), "{path}: {text}");
    }
    let refused = s.send("GET", "/clusters/shop/credentials", Some(&viewer), None, &[]).await;
    assert_eq!(refused.status(), 403);
    let looks = s.audit("object=shop&action=showCredentials").await;
    assert_eq!((looks[0][2].as_str(), looks[1][2].as_str()), ("refused", "done"), "{looks:?}");
    assert!(!s.get("/audit").await.to_string().contains(&secret));
    for path in ["/clusters/shop/nodes/shop-1", "/clusters/shop/nodes/shop-1/metrics", "/clusters/shop/nodes/shop-2/logs?lines=5"] {
        s.get(path).await;
    }
    assert_eq!(s.problem("GET", "/clusters/shop/nodes/shop-1/logs?lines=0", Value::Null).await.0, 422);
    let curves = s.get("/clusters/shop/metrics").await;
    let (times, nodes) = (curves["times"].as_array().unwrap().len(), curves["nodes"].as_array().unwrap());
    assert_eq!((times, curves["step_seconds"].as_i64()), (240, Some(15)));
    assert_eq!(nodes.iter().map(|n| n["role"].as_str().unwrap()).collect::<Vec<_>>(), ["primary", "replica"]);
    assert!(nodes.iter().flat_map(|n| n["series"].as_object().unwrap().values()).all(|v| v.as_array().unwrap().len() == times));
    assert_eq!(s.get("/clusters/shop/metrics?range=15m").await["times"].as_array().unwrap().len(), 180);
    assert_eq!(s.problem("GET", "/clusters/shop/metrics?range=7d", Value::Null).await.0, 422);
}

async fn backups(s: &Served) -> Value {
    let backup = back_up(s, json!({ "description": "<img src=x onerror=alert(1)>", "keep": true })).await;
    assert_eq!((&backup["status"], &backup["proof"], &backup["method"]), (&json!("completed"), &json!("verified"), &json!("Manual local")));
    assert_eq!((&backup["cluster"], &backup["expires_at"]), (&json!("shop"), &Value::Null));
    assert!(backup["position"].is_string() && backup["keep_reason"].as_str().unwrap().contains("kept"), "{backup}");
    assert_eq!(backup["description"], "<img src=x onerror=alert(1)>", "text stays text");
    let id = backup["id"].as_str().unwrap();
    let path = format!("/backups/{id}");
    for query in ["", "?cluster=shop", "?status=completed&kind=manual", "?limit=1"] {
        assert_eq!(s.get(&format!("/backups{query}")).await["items"][0]["id"], id, "{query}");
    }
    assert_eq!(s.get("/backups?status=failed").await["items"], json!([]));
    s.does("POST", &format!("{path}/verify"), Value::Null).await;
    s.does("POST", &format!("{path}/drill"), Value::Null).await;
    assert_eq!(s.get(&path).await["proof"], "drilled");
    let drill = s.get("/clusters/shop/drills").await["items"][0].clone();
    assert_eq!((&drill["backup"], &drill["result"], drill["seconds"].is_number()), (&json!(id), &json!("passed"), true), "{drill}");

    assert_eq!(s.admin("POST", &format!("{path}/pin"), Value::Null).await.1["pinned"], true);
    assert_eq!(s.problem("DELETE", &path, json!({ "confirm": id })).await.1, "backup_pinned");
    assert_eq!(s.problem("DELETE", &path, json!({ "confirm": "shop" })).await.1, "confirmation_mismatch");
    assert_eq!(s.admin("POST", &format!("{path}/unpin"), Value::Null).await.1["pinned"], false);

    let file = s.send("GET", &format!("{path}/download"), Some(&s.admin), None, &[]).await;
    let name = file.headers()["content-disposition"].to_str().unwrap().to_string();
    assert!(name.starts_with(&format!("attachment; filename=\"shop-{id}.")), "{name}");
    assert!(!file.bytes().await.unwrap().is_empty());
    assert_eq!(s.audit(&format!("object={id}&action=downloadBackup")).await.len(), 1);
    assert!(!s.get(&format!("{path}/commands")).await["commands"].as_array().unwrap().is_empty());
    backup
}

async fn restores(s: &Served, node: &NodeId, backup: &str) {
    let into = json!({ "backup": backup, "to": "shop", "confirm": "shop" });
    let plan = s.admin("POST", "/restores/plan", into.clone()).await.1;
    assert_eq!((&plan["action"], plan["loses"].as_array().map(Vec::is_empty)), (&json!("in_place"), Some(false)), "{plan}");
    let hash = plan["hash"].as_str().unwrap();
    let run = |token: String, body: Value, hash: String| async move {
        let answer = s.send("POST", "/restores", Some(&token), Some(body), &[("if-match", &hash)]).await;
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let quoted = format!("\"{hash}\"");
    let operator = s.token("operator-one", Role::Operator, &s.project).await;
    assert_eq!(s.problem("POST", "/restores", into.clone()).await.0, 428);
    assert_eq!(run(s.admin.clone(), into.clone(), "\"other\"".into()).await.0, 412);
    assert_eq!(run(operator.clone(), into.clone(), quoted.clone()).await.0, 403, "in place needs more");
    let unconfirmed = run(s.admin.clone(), json!({ "backup": backup, "to": "shop" }), quoted.clone()).await;
    assert_eq!((unconfirmed.0, &unconfirmed.1["code"]), (422, &json!("confirmation_mismatch")));
    assert_eq!(s.admin("POST", "/restores?dry_run=true", into.clone()).await.1["kind"], "restore_in_place");

    let (status, accepted) = run(s.admin.clone(), into, quoted).await;
    assert_eq!((status, &accepted["object"]["kind"]), (202, &json!("restore")), "{accepted}");
    let path = format!("/restores/{}", accepted["object"]["id"].as_str().unwrap());
    s.ends(accepted).await;
    let restore = s.get(&path).await;
    assert_eq!((&restore["status"], &restore["target_cluster"]), (&json!("completed"), &json!("shop")), "{restore}");
    assert_eq!(rows(s, node), ["kept"]);
    assert_eq!(s.get("/restores?cluster=shop").await["items"][0]["id"], restore["id"]);

    assert_eq!(s.problem("POST", &format!("{path}/undo"), json!({})).await.1, "confirmation_mismatch");
    s.does("POST", &format!("{path}/undo"), json!({ "confirm": "shop" })).await;
    assert_eq!(rows(s, node), ["kept", "lost-again"]);
    assert_eq!(s.get(&path).await["status"], "undone");

    let new = json!({ "backup": backup, "new": "copy" });
    let plan = s.admin("POST", "/restores/plan", new.clone()).await.1;
    let (status, accepted) = run(operator, new, format!("\"{}\"", plan["hash"].as_str().unwrap())).await;
    assert_eq!(status, 202, "an operator restores to new clusters: {accepted}");
    s.ends(accepted).await;
    assert_eq!(s.get("/clusters/copy").await["status"], "running");
}

async fn hand_over(s: &Served) {
    let promote = "/clusters/shop/nodes/shop-2/promote";
    assert_eq!(s.problem("POST", promote, json!({ "confirm": "shop" })).await.1, "confirmation_mismatch");
    assert_eq!(s.problem("POST", "/clusters/shop/nodes/shop-1/promote", json!({ "confirm": "shop-1" })).await.1, "is_primary");
    assert_eq!(s.problem("DELETE", "/clusters/shop/nodes/shop-1?dry_run=true", json!({})).await.1, "is_primary");
    assert_eq!(s.admin("POST", &format!("{promote}?dry_run=true"), json!({})).await.1["kind"], "promote");
    let seen = s.send("GET", "/clusters/shop/nodes/shop-2", Some(&s.admin), None, &[]).await;
    let tag = seen.headers()["etag"].to_str().unwrap().to_string();
    let seen = [("if-match", tag.as_str())];
    let send = || s.send("POST", promote, Some(&s.admin), Some(json!({ "confirm": "shop-2" })), &seen);
    let accepted = send().await;
    assert_eq!(accepted.status(), 202, "the node is as it was seen");
    let end = s.ends(accepted.json().await.unwrap()).await;
    assert!(end.output["backup"].is_string(), "{end:?}");
    assert_eq!(send().await.status(), 412, "it is the primary by now");
    let backup = s.get(&format!("/backups/{}", end.output["backup"].as_str().unwrap())).await;
    assert_eq!((&backup["kind"], &backup["method"]), (&json!("promotion"), &json!("Automated local")));
}

async fn deletes(s: &Served) {
    let list = json!({ "allow_list": [{ "cidr": "10.0.0.0/8", "note": "office" }] });
    let answer = s.send("PUT", "/clusters/shop/allow-list", Some(&s.admin), Some(list), &[]).await;
    assert!(answer.headers()["x-mainstay-warning"].to_str().unwrap().contains("your own address"));
    s.ends(answer.json().await.unwrap()).await;
    assert_eq!(s.get("/clusters/shop/allow-list").await["open"], false);
    let open = json!({ "allow_list": [{ "cidr": "0.0.0.0/0" }] });
    let answer = s.send("PUT", "/clusters/shop/allow-list?dry_run=true", Some(&s.admin), Some(open), &[]).await;
    assert!(answer.headers()["x-mainstay-warning"].to_str().unwrap().contains("open to all"));

    s.does("DELETE", "/clusters/shop/nodes/shop-1", json!({ "confirm": "shop-1" })).await;
    let single = s.get("/clusters/shop").await;
    assert_eq!((single["nodes"].as_array().unwrap().len(), &single["endpoints"]["read_only"]), (1, &Value::Null));
    s.does("POST", "/clusters/shop/stop", Value::Null).await;
    assert_eq!(s.problem("POST", "/clusters/shop/rotate?dry_run=true", Value::Null).await.1, "cluster_stopped");
    s.does("POST", "/clusters/shop/start", Value::Null).await;
    s.does("POST", "/clusters/shop/rotate", Value::Null).await;
    s.does("DELETE", "/clusters/shop", json!({ "confirm": "shop" })).await;
    assert_eq!(s.problem("GET", "/clusters/shop", Value::Null).await.0, 404);
    let deleted = s.get("/clusters?deleted=true").await;
    assert!(deleted["items"].as_array().unwrap().iter().any(|c| c["name"] == "shop" && c["status"] == "deleted"), "{deleted}");
    let (status, verified) = s.admin("POST", "/audit/verify", json!({})).await;
    assert_eq!(status, 200, "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_watched_and_cancelled() {
    let s = serve_world().await;
    let world = s.world.as_ref().unwrap();
    world.faults.hold("engine.bootstrap");
    let (_, accepted) = s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "memo" })).await;
    let id = accepted["id"].as_str().unwrap().to_string();
    world.faults.reached("engine.bootstrap").await;
    assert_eq!(s.get("/operations?active=true&cluster=shop").await["items"][0]["id"], id.as_str());
    let busy = s.problem("DELETE", "/clusters/shop", json!({ "confirm": "shop", "skip_final_backup": true })).await;
    assert_eq!((busy.0, &busy.2["operation"]), (409, &json!(id)));
    assert_eq!(s.admin("POST", &format!("/operations/{id}/cancel"), Value::Null).await.0, 200);
    world.faults.release("engine.bootstrap");
    let end = s.ends(accepted).await;
    assert_eq!(end.status, mainstay_api_types::OperationStatus::Cancelled, "{end:?}");
    assert_eq!(s.problem("POST", &format!("/operations/{id}/retry"), Value::Null).await.1, "not_stuck");
}
