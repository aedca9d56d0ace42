//! How long backups are kept, what brings them back, and the recycle bin.

use crate::support::{Served, serve_world};
use serde_json::{Value, json};

async fn shop(s: &Served) {
    s.does("POST", "/clusters", json!({ "name": "shop", "engine": "memo", "replicas": 1 })).await;
}

async fn back_up(s: &Served, body: Value) -> String {
    s.does("POST", "/clusters/shop/backups", body).await.output["backup"].as_str().unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_policy_is_shown_then_announced_and_can_be_undone() {
    let s = serve_world().await;
    shop(&s).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(back_up(&s, json!({})).await);
    }
    let kept = back_up(&s, json!({ "keep": true })).await;
    let policy = "/clusters/shop/backup-policy";
    let today = s.get(policy).await;
    assert_eq!(today, json!({ "cluster": "shop", "manual_keep_last": null, "manual_limit": false, "min_keep": 2, "from": "replica" }));
    let reason = |b: &Value| b["keep_reason"].as_str().unwrap().to_string();
    let first = s.get(&format!("/backups/{}", made[0])).await;
    assert!(reason(&first).starts_with("7 days, until ") && first["expires_at"].is_string(), "{first}");
    let asked = s.get(&format!("/backups/{kept}")).await;
    assert_eq!((reason(&asked), &asked["expires_at"]), ("kept until it is deleted".into(), &Value::Null));

    let change = json!({ "manual_keep_last": 2, "min_keep": 1 });
    let (status, plan) = s.admin("PUT", &format!("{policy}?dry_run=true"), change.clone()).await;
    assert_eq!(status, 200, "{plan}");
    let said = plan["summary"].to_string();
    assert!(said.contains("2 backups go, 2 of the 4 good ones") && said.contains(&made[0]) && said.contains(&made[1]), "{said}");
    assert_eq!(s.get(policy).await, today);
    // Two of them would go, and nobody typed the name.
    assert_eq!(s.problem("PUT", policy, change.clone()).await.1, "confirmation_mismatch");
    let change = json!({ "manual_keep_last": 2, "min_keep": 1, "confirm": "shop" });
    assert_eq!(s.admin("PUT", policy, change).await.0, 200);

    let gone = s.get(&format!("/backups/{}", made[0])).await;
    assert_eq!(gone["status"], "deleting");
    assert!(gone["deleting_until"].is_string() && reason(&gone).contains("it is not one of the newest 2"), "{gone}");
    assert_eq!(reason(&s.get(&format!("/backups/{}", made[2])).await), "one of the newest 2");
    assert_eq!(s.problem("POST", "/restores/plan", json!({ "backup": made[0], "new": "copy" })).await.1, "backup_not_restorable");
    let (status, back) = s.admin("POST", &format!("/backups/{}/undelete", made[0]), json!({})).await;
    assert_eq!((status.as_u16(), &back["status"], &back["pinned"]), (200, &json!("completed"), &json!(true)), "{back}");
    assert_eq!(s.problem("POST", &format!("/backups/{}/undelete", made[0]), json!({})).await.1, "nothing_to_undelete");
    for (field, body) in [("manual_keep_last", json!({ "manual_keep_last": 0 })), ("min_keep", json!({ "min_keep": 0 }))] {
        assert_eq!(s.problem("PUT", policy, body).await.2["field"], field);
    }
    // A word of a person announces what is due, which is nothing by now.
    let (_, announced) = s.admin("POST", &format!("{policy}/apply"), json!({ "confirm": "shop" })).await;
    assert_eq!(announced, json!({ "cluster": "shop", "backups": 0, "copies": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_by_hand_an_hour() {
    let s = serve_world().await;
    shop(&s).await;
    s.admin("PUT", "/clusters/shop/backup-policy", json!({ "manual_limit": true })).await;
    let first = back_up(&s, json!({})).await;
    let refused = s.send("POST", "/clusters/shop/backups", Some(&s.admin), Some(json!({})), &[]).await;
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((3000..=3600).contains(&wait), "{wait}");
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["code"] == "manual_limit" && problem["detail"].to_string().contains(&first), "{problem}");
    // It is lifted by deleting the one, which is the last good one, and says so.
    let plan = s.admin("DELETE", &format!("/backups/{first}?dry_run=true"), json!({})).await.1;
    assert!(plan["warnings"].to_string().contains("last good backup of shop"), "{plan}");
    s.does("DELETE", &format!("/backups/{first}"), json!({ "confirm": first })).await;
    back_up(&s, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_cluster_comes_back_from_the_bin() {
    let s = serve_world().await;
    shop(&s).await;
    s.does("PUT", "/clusters/shop/allow-list", json!({ "allow_list": [{ "cidr": "127.0.0.0/8" }] })).await;
    let before = s.get("/clusters/shop").await;
    let secret = s.get("/clusters/shop/credentials").await["password"].clone();
    let schedule = s.get("/clusters/shop/schedules").await["items"][0]["id"].clone();
    s.does("DELETE", "/clusters/shop", json!({ "confirm": "shop" })).await;
    let deleted = s.get("/clusters?deleted=true").await["items"][0].clone();
    assert!(deleted["deleted_until"].is_string() && deleted["status"] == "deleted", "{deleted}");
    let last = s.get("/backups?kind=final").await["items"][0].clone();
    assert!(last["keep_reason"].as_str().unwrap().starts_with("final, until "), "{last}");
    assert_eq!(last["expires_at"], deleted["deleted_until"]);

    // Its name is taken for a while.
    s.does("POST", "/clusters", json!({ "name": "shop", "engine": "memo" })).await;
    let (status, code, problem) = s.problem("POST", &format!("/clusters/{}/undelete", before["id"].as_str().unwrap()), json!({})).await;
    assert_eq!((status, code.as_str()), (409, "name_taken"));
    assert!(problem["detail"].as_str().unwrap().contains("--as"), "{problem}");
    s.does("DELETE", "/clusters/shop", json!({ "confirm": "shop", "skip_final_backup": true })).await;

    s.does("POST", "/clusters/shop/undelete", json!({})).await;
    let back = s.get("/clusters/shop").await;
    for field in ["id", "name", "mode", "allow_list", "auto_failover", "status"] {
        assert_eq!(back[field], before[field], "{field}");
    }
    assert_eq!(back["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(s.get("/clusters/shop/credentials").await["password"], secret);
    let schedules = s.get("/clusters/shop/schedules").await["items"].clone();
    assert_eq!(schedules[0]["id"], schedule);
    assert_eq!(schedules[0]["next_runs"].as_array().unwrap().len(), 5);
    assert_eq!(s.problem("POST", "/clusters/shop/undelete", json!({})).await.1, "not_in_bin");

    // And under another name, and for good.
    s.does("DELETE", "/clusters/shop", json!({ "confirm": "shop" })).await;
    s.does("POST", "/clusters/shop/undelete", json!({ "as": "store" })).await;
    assert_eq!(s.get("/clusters/store/backups").await["items"][0]["cluster"], "store");
    assert_eq!(s.problem("DELETE", "/clusters/store", json!({ "now": true, "confirm": "store" })).await.1, "not_in_bin");
    s.does("DELETE", "/clusters/store", json!({ "confirm": "store" })).await;
    assert_eq!(s.problem("DELETE", "/clusters/store", json!({ "now": true })).await.1, "confirmation_mismatch");
    s.does("DELETE", "/clusters/store", json!({ "now": true, "confirm": "store" })).await;
    assert_eq!(s.get("/backups").await["items"], json!([]));
    assert!(s.world.as_ref().unwrap().storages.published().is_empty());
    assert_eq!(s.problem("POST", &format!("/clusters/{}/undelete", before["id"].as_str().unwrap()), json!({})).await.0, 409);
}
