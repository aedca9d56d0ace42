//! Notifiers and alerts: what each takes, and that what is secret goes in and never comes out.

use crate::support::{Served, serve};
use mainstay_control::{alerts, notifiers};
use mainstay_model::{
    alert::{AlertKind, Condition},
    role::Role,
};
use mainstay_store as store;
use serde_json::{Value, json};

const SECRET: &str = "0123456789-very-secret";

/// The fake does what its address says.
fn hook(name: &str, url: &str) -> Value {
    json!({ "name": name, "kind": "webhook", "url": url, "secret": SECRET, "events": ["backup_failed", "alert_raised"] })
}

#[tokio::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let s = serve().await;
    let (status, added) = s.admin("POST", "/notifiers", hook("ops", "ok")).await;
    assert_eq!(status, 201, "{added}");
    assert_eq!(added["events"], json!(["backup_failed", "alert_raised"]));
    assert_eq!((&added["enabled"], &added["pending"], &added["undelivered"]), (&json!(true), &json!(0), &json!([])));
    let path = format!("/notifiers/{}", added["id"].as_str().unwrap());
    let changed = json!({ "events": ["all"], "enabled": false, "secret": "another-very-secret-one" });
    let (status, set) = s.admin("PATCH", &path, changed).await;
    assert_eq!((status.as_u16(), &set["events"], &set["enabled"]), (200, &json!(["all"]), &json!(false)));
    let (status, said) = s.admin("POST", "/notifiers/ops/test", json!({})).await;
    assert_eq!((status.as_u16(), said), (200, json!({ "notifier": "ops", "ok": true, "said": "taken" })));
    let seen = [added.to_string(), set.to_string(), s.get("/notifiers").await.to_string(), s.get(&path).await.to_string()];
    let all = format!("{}{}", seen.concat(), s.get("/audit").await);
    assert!(!all.contains("very-secret"), "{all}");
    // The address of a webhook is one too.
    assert!(!s.get("/audit").await.to_string().contains(r#"\"url\":\"ok\""#));
    let row = notifiers::resolve(&s.app, &s.project.id, "ops").await.unwrap();
    assert!(!serde_json::to_string(&row).unwrap().contains("very-secret"));
    assert_eq!(s.admin("DELETE", "/notifiers/ops", Value::Null).await.0, 204);
    assert_eq!(s.admin("GET", "/notifiers/ops", Value::Null).await.0, 404);
    let gone = store::notifiers::spec(&mut s.app.store.read().await.unwrap(), s.app.store.sealer(), &row.id).await;
    assert!(gone.is_err(), "a secret goes with its notifier");
}

#[tokio::test]
async fn what_does_not_fit_is_named() {
    let s = serve().await;
    let with = |field: &str, value: Value| {
        let mut body = hook("abc", "ok");
        body[field] = value;
        body
    };
    let mail = json!({ "name": "mail", "kind": "email", "smtp": "smtps://a", "from": "a@b.c", "to": ["d@e.f"] });
    for (body, field) in [
        (with("kind", json!("pigeon")), "kind"),
        (with("events", json!([])), "events"),
        (with("events", json!(["backup_failed", "nothing"])), "events"),
        (with("name", json!("A B")), "name"),
        (with("url", Value::Null), "url"),
        (with("smtp", json!("smtps://a")), "smtp"),
        (with("password", json!("x")), "password"),
        (json!({ "name": "mail", "kind": "email", "from": "a@b.c", "to": ["d@e.f"] }), "smtp"),
        (
            {
                let mut m = mail.clone();
                m["secret"] = json!(SECRET);
                m
            },
            "secret",
        ),
    ] {
        let (status, problem) = s.admin("POST", "/notifiers", body.clone()).await;
        assert_eq!((status.as_u16(), problem["field"].as_str()), (422, Some(field)), "{body}: {problem}");
        assert!(!problem.to_string().contains(SECRET));
    }
    assert_eq!(s.admin("POST", "/notifiers", hook("ops", "ok")).await.0, 201);
    assert_eq!(s.admin("POST", "/notifiers", hook("ops", "ok")).await.0, 409);
    let (status, problem) = s.admin("PATCH", "/notifiers/ops", json!({ "password": "x" })).await;
    assert_eq!((status.as_u16(), problem["field"].as_str()), (422, Some("password")), "{problem}");
    let (status, _) = s.admin("PATCH", "/notifiers/ops", json!({ "url": "http://elsewhere" })).await;
    assert_eq!(status, 422, "another address is another notifier");
}

#[tokio::test]
async fn a_test_that_is_refused_says_so() {
    let s = serve().await;
    s.admin("POST", "/notifiers", hook("proud", "refuses")).await;
    let (status, said) = s.admin("POST", "/notifiers/proud/test", json!({})).await;
    assert_eq!((status.as_u16(), said), (200, json!({ "notifier": "proud", "ok": false, "said": "it does not want that" })));
}

#[tokio::test]
async fn a_change_decided_by_what_is_no_longer_so_is_stale() {
    let s = serve().await;
    s.admin("POST", "/notifiers", hook("ops", "ok")).await;
    let looked = s.send("GET", "/notifiers/ops", Some(&s.admin), None, &[]).await;
    let tag = looked.headers()["etag"].to_str().unwrap().to_string();
    for (enabled, expected) in [(false, 200), (true, 412)] {
        let body = Some(json!({ "enabled": enabled }));
        let answer = s.send("PATCH", "/notifiers/ops", Some(&s.admin), body, &[("if-match", &tag)]).await;
        assert_eq!(answer.status(), expected);
    }
}

/// An alert of the project `default`.
pub async fn raised(s: &Served) -> String {
    let condition = Condition {
        project: s.project.id.clone(),
        kind: AlertKind::StorageUnwell,
        object_kind: "storage".into(),
        object: "st_1".into(),
        object_name: "far".into(),
        cluster: None,
        cluster_name: None,
        sentence: "storage far is full".into(),
    };
    alerts::settle(&s.app, &[AlertKind::StorageUnwell], &[condition]).await.unwrap();
    s.get("/alerts").await["items"][0]["id"].as_str().unwrap().to_string()
}

#[tokio::test]
async fn an_alert_is_seen_acknowledged_and_cleared() {
    let s = serve().await;
    let id = raised(&s).await;
    let viewer = s.token("viewer", Role::Viewer, &s.project).await;
    let acknowledge = format!("/alerts/{id}/acknowledge");
    assert_eq!(s.send("POST", &acknowledge, Some(&viewer), Some(json!({})), &[]).await.status(), 403);
    let (status, seen) = s.admin("POST", &acknowledge, json!({})).await;
    assert_eq!((status.as_u16(), seen["acknowledged_by"].as_str()), (200, Some("token:administrator")), "{seen}");
    assert_eq!(s.get(&format!("/alerts/{id}")).await, seen);
    let states =
        |list: &Value| list["items"].as_array().unwrap().iter().map(|a| a["state"].as_str().unwrap().to_string()).collect::<Vec<_>>();
    assert_eq!(states(&s.get("/alerts?state=open").await), ["open"]);
    alerts::settle(&s.app, &[AlertKind::StorageUnwell], &[]).await.unwrap();
    assert_eq!(states(&s.get("/alerts").await), Vec::<String>::new());
    assert_eq!(states(&s.get("/alerts?state=cleared").await), ["cleared"]);
    assert_eq!(states(&s.get("/alerts?state=all").await), ["cleared"]);
    assert_eq!(s.admin("GET", "/alerts?state=some", Value::Null).await.0, 422);
    assert_eq!(s.admin("GET", "/alerts?cluster=none", Value::Null).await.0, 404);
    assert_eq!(s.admin("GET", "/alerts/al_x", Value::Null).await.0, 404);
}
