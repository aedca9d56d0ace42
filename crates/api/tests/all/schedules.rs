//! Schedules: the one a cluster is born with, set, shown, paused, removed; and what is refused.

use crate::support::serve;
use mainstay_model::Time;
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_cluster_has_one() {
    let s = serve().await;
    let (_, plan) = s.admin("POST", "/clusters?dry_run=true", json!({ "name": "shop", "engine": "ledger" })).await;
    assert!(plan["summary"].to_string().contains("backed up every day at 03:00"), "{plan}");
    assert_eq!(s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await.0, 202);
    let one = s.get("/clusters/shop/schedules").await["items"][0].clone();
    let expected = json!({ "name": "default", "cluster": "shop", "enabled": true, "every_day": true, "every_hour": false, "hours": [3],
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "retention": { "days": 7 }, "storages": ["local"],
        "last_runs": [], "waiting": null });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&one[field], value, "{field}");
    }
    assert_eq!(one["next_runs"].as_array().unwrap().len(), 5);
    assert!(one["time_zone"].is_string());
    assert_eq!(s.get(&format!("/schedules/{}", one["id"].as_str().unwrap())).await, one);
}

#[tokio::test]
async fn set_shown_paused_and_removed() {
    let s = serve().await;
    for name in ["shop", "other"] {
        s.admin("POST", "/clusters", json!({ "name": name, "engine": "ledger" })).await;
    }
    let office = json!({ "name": "office", "days": ["wed", "mon"], "hours": [15, 3], "time_zone": "Europe/Berlin", "retention_days": 2, "keep_last": 4 });
    let (status, made) = s.admin("POST", "/clusters/shop/schedules", office).await;
    assert_eq!(status, 200, "{made}");
    let kept = (&made["days"], &made["hours"], &made["retention"]);
    assert_eq!(kept, (&json!(["mon", "wed"]), &json!([3, 15]), &json!({ "days": 2, "keep_last": 4 })));
    // Changed by its name; what is left out stays.
    let (_, changed) = s.admin("POST", "/clusters/shop/schedules", json!({ "name": "office", "every_hour": true })).await;
    let kept = (&changed["id"], &changed["days"], &changed["every_hour"], &changed["retention"]);
    assert_eq!(kept, (&made["id"], &json!(["mon", "wed"]), &json!(true), &made["retention"]));
    let names =
        |list: &Value| list["items"].as_array().unwrap().iter().map(|i| i["name"].as_str().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(names(&s.get("/clusters/shop/schedules").await), ["default", "office"]);
    assert_eq!(names(&s.get("/schedules").await), ["default", "default", "office"]);
    assert_eq!(names(&s.get("/schedules?cluster=shop").await), ["default", "office"]);
    let first = s.get("/schedules?limit=2").await;
    assert_eq!(names(&s.get(&format!("/schedules?limit=2&cursor={}", first["next"].as_str().unwrap())).await), ["office"]);

    let path = format!("/schedules/{}", made["id"].as_str().unwrap());
    let (_, paused) = s.admin("POST", &format!("{path}/pause"), Value::Null).await;
    assert_eq!((&paused["enabled"], &paused["next_runs"]), (&json!(false), &json!([])));
    let seen = s.send("GET", &path, Some(&s.admin), None, &[]).await;
    let tag = seen.headers()["etag"].to_str().unwrap().to_string();
    let (_, resumed) = s.admin("POST", &format!("{path}/resume"), Value::Null).await;
    assert_eq!(resumed["next_runs"].as_array().unwrap().len(), 5);
    assert_eq!(s.send("DELETE", &path, Some(&s.admin), None, &[("if-match", &tag)]).await.status(), 412, "it was resumed since");
    assert_eq!(s.send("DELETE", &path, Some(&s.admin), None, &[]).await.status(), 204);
    assert_eq!(s.problem("GET", &path, Value::Null).await.0, 404);
    assert_eq!(s.audit("action=setSchedule").await.len(), 2);
}

#[tokio::test]
async fn a_preview_sets_nothing() {
    let s = serve().await;
    s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await;
    let before = s.get("/clusters/shop/schedules").await;
    let ask = json!({ "hours": [3], "time_zone": "Asia/Kolkata" });
    let (status, preview) = s.admin("POST", "/clusters/shop/schedules/preview?count=3", ask).await;
    assert_eq!(status, 200, "{preview}");
    assert_eq!((&preview["sentence"], &preview["cluster"]), (&json!("every day at 03:00 (Asia/Kolkata)"), &json!("shop")));
    let runs: Vec<Time> = serde_json::from_value(preview["next_runs"].clone()).unwrap();
    assert!(runs.len() == 3 && runs.iter().all(|t| t.to_string().contains("T21:30:00")), "{runs:?}");
    assert!(preview["on_the_wall"][0].as_str().unwrap().ends_with("03:00 +05:30"), "{preview}");
    assert_eq!(s.problem("POST", "/clusters/shop/schedules/preview?count=0", json!({})).await.2["field"], "count");
    assert_eq!(s.get("/clusters/shop/schedules").await, before);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let s = serve().await;
    s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await;
    let before = s.get("/clusters/shop/schedules").await;
    let bad = [
        (json!({ "days": ["monday"] }), "days[0]"),
        (json!({ "days": [] }), "days"),
        (json!({ "hours": [24] }), "hours"),
        (json!({ "hours": [-1] }), "hours[0]"),
        (json!({ "days": ["mon"], "every_day": true }), "every_day"),
        (json!({ "hours": [1], "every_hour": true }), "every_hour"),
        (json!({ "time_zone": "Mars/Olympus" }), "time_zone"),
        (json!({ "time_zone": "../../etc/passwd" }), "time_zone"),
        (json!({ "retention_days": 0 }), "retention_days"),
        (json!({ "retention_days": 1, "retention": { "days": 1 } }), "retention"),
        (json!({ "keep_last": 0 }), "keep_last"),
        (json!({ "storages": ["nowhere"] }), "storages"),
        (json!({ "storages": [] }), "storages"),
        (json!({ "name": "A b" }), "name"),
        (json!({ "enabled": false }), "enabled"),
        (json!({ "cluster": "other" }), "cluster"),
    ];
    for (body, field) in bad {
        let (status, _, problem) = s.problem("POST", "/clusters/shop/schedules", body.clone()).await;
        assert!((400..500).contains(&status) && problem["field"] == field, "{body}: {problem}");
    }
    assert_eq!(s.get("/clusters/shop/schedules").await, before);
}
