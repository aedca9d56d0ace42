//! Schedules: the one a cluster is born with, set, shown, paused, removed; and what is refused.

use crate::support::{serve, serve_world};
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
        "last_runs": [], "waiting": null, "overlap": "skip" });
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
    let (_, changed) =
        s.admin("POST", "/clusters/shop/schedules", json!({ "name": "office", "every_hour": true, "overlap": "queue" })).await;
    let kept = (&changed["id"], &changed["days"], &changed["every_hour"], &changed["retention"], &changed["overlap"]);
    assert_eq!(kept, (&made["id"], &json!(["mon", "wed"]), &json!(true), &made["retention"], &json!("queue")));
    let (status, _) = s.admin("POST", "/clusters/shop/schedules", json!({ "name": "office", "overlap": "twice" })).await;
    assert!(status == 400 || status == 422, "{status}");
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
    assert_eq!(s.audit("action=setSchedule").await.len(), 3, "what was refused is written down too");
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
        (json!({ "copy_retention": { "local": 3 } }), "copy_retention"),
        (json!({ "copy_retention": { "nowhere": 3 } }), "copy_retention"),
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

#[tokio::test(flavor = "multi_thread")]
async fn copies_with_a_time_of_their_own() {
    let s = serve_world().await;
    s.does("POST", "/clusters", json!({ "name": "shop", "engine": "memo" })).await;
    assert_eq!(s.admin("POST", "/storages", json!({ "name": "second", "kind": "local", "path": "/srv/second" })).await.0, 201);
    let both = json!({ "storages": ["local", "second"], "retention_days": 90, "copy_retention": { "local": 7 } });
    let (status, made) = s.admin("POST", "/clusters/shop/schedules", both.clone()).await;
    assert_eq!((status.as_u16(), &made["storages"], &made["copy_retention"]), (200, &json!(["local", "second"]), &json!({ "local": 7 })));
    let (_, same) = s.admin("POST", "/clusters/shop/schedules", json!({ "hours": [4] })).await;
    assert_eq!(same["copy_retention"], json!({ "local": 7 }));
    let (_, none) = s.admin("POST", "/clusters/shop/schedules", json!({ "copy_retention": {} })).await;
    assert_eq!(none["copy_retention"], json!({}));

    s.does("POST", "/clusters/shop/backups", both.clone()).await;
    let backup = s.get("/clusters/shop/backups").await["items"][0].clone();
    let day = |t: &Value| Time::parse(t.as_str().unwrap()).unwrap();
    let copies = &backup["copies"];
    assert_eq!(day(&copies[0]["expires_at"]), day(&backup["created_at"]).plus_days(7), "{backup}");
    let open = [&copies[1]["expires_at"], &copies[0]["deleting_until"], &copies[0]["keep_reason"]];
    assert!(open.iter().all(|v| v.is_null()), "{backup}");
    let longer = json!({ "storages": ["local", "second"], "retention_days": 5, "copy_retention": { "local": 7 } });
    let refused = s.problem("POST", "/clusters/shop/backups", longer).await;
    assert_eq!((refused.0, refused.2["field"].as_str()), (422, Some("copy_retention")));
    let everywhere = json!({ "storages": ["local", "second"], "copy_retention": { "local": 3, "second": 3 } });
    assert_eq!(s.problem("POST", "/clusters/shop/backups", everywhere).await.2["field"], "copy_retention");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_schedule_and_its_members() {
    let s = serve_world().await;
    for name in ["shop", "cache", "search"] {
        s.does("POST", "/clusters", json!({ "name": name, "engine": "memo" })).await;
    }
    s.admin("POST", "/groups", json!({ "name": "both", "members": ["shop", "cache"] })).await;
    let (status, made) = s.admin("POST", "/groups/both/schedules", json!({ "hours": [2], "retention_days": 14 })).await;
    assert_eq!((status.as_u16(), &made["group"], &made["cluster"]), (200, &json!("both"), &json!(null)), "{made}");
    assert_eq!(s.get("/groups/both/schedules").await["items"], json!([made]));
    assert_eq!(s.get("/schedules?group=both").await["items"], json!([made]));
    assert_eq!(s.get("/schedules").await["items"].as_array().unwrap().len(), 4, "the members keep their own");
    let both = s.problem("GET", "/schedules?group=both&cluster=shop", Value::Null).await;
    assert_eq!((both.0, both.2["field"].as_str()), (422, Some("group")));
    let (_, seen) = s.admin("POST", "/groups/both/schedules/preview", json!({ "every_hour": true })).await;
    assert_eq!((&seen["group"], seen["next_runs"].as_array().unwrap().len()), (&json!("both"), 5));
    let path = format!("/schedules/{}", made["id"].as_str().unwrap());
    assert_eq!(s.admin("POST", &format!("{path}/pause"), Value::Null).await.1["enabled"], json!(false));

    // The members as they are to be; a tag of what they were is stale.
    let answer = s.send("GET", "/groups/both", Some(&s.admin), None, &[]).await;
    let tag = answer.headers()["etag"].to_str().unwrap().to_string();
    let (status, group) = s.admin("PATCH", "/groups/both", json!({ "members": ["shop", "search"] })).await;
    assert_eq!((status.as_u16(), &group["members"]), (200, &json!(["shop", "search"])));
    let stale = s.send("PATCH", "/groups/both", Some(&s.admin), Some(json!({ "members": ["shop", "cache"] })), &[("if-match", &tag)]).await;
    assert_eq!(stale.status(), 412);
    for (members, why) in [(json!(["shop"]), "2 to"), (json!(["shop", "shop"]), "twice"), (json!(["shop", "nobody"]), "nobody")] {
        let (_, _, problem) = s.problem("PATCH", "/groups/both", json!({ "members": members })).await;
        assert!(problem["field"] == "members" && problem["detail"].as_str().unwrap().contains(why), "{problem}");
    }
    let made = s.does("POST", "/groups/both/backups", json!({})).await.output["group_backup"].as_str().unwrap().to_string();
    let (_, pinned) = s.admin("POST", &format!("/group-backups/{made}/pin"), Value::Null).await;
    assert!(pinned["pinned"] == json!(true) && pinned["parts"].as_array().unwrap().iter().all(|p| p["backup"]["pinned"] == json!(true)));
    let part = pinned["parts"][0]["backup_id"].as_str().unwrap().to_string();
    assert_eq!(pinned["parts"][0]["backup"]["group_backup"], json!(made));
    let (_, plan) = s.admin("DELETE", &format!("/backups/{part}?dry_run=true"), json!({})).await;
    assert!(plan["warnings"].to_string().contains(&made), "{plan}");
    assert_eq!(s.send("DELETE", "/groups/both", Some(&s.admin), None, &[]).await.status(), 204);
    assert_eq!(s.problem("GET", &path, Value::Null).await.0, 404, "its schedules go with it");
}
