//! Storages of every kind: what each takes, and that what logs in goes in and never comes out.

use crate::support::{serve, serve_world};
use mainstay_control::{storages, tasks::doctor};
use mainstay_model::Error;
use mainstay_store as store;
use serde_json::{Value, json};

const KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n";

fn bucket() -> Value {
    json!({
        "name": "cloud", "kind": "s3", "endpoint": "https://127.9.9.9:9000/", "bucket": "backups", "prefix": "shop",
        "access_key": "AKIA", "secret_key": "very-secret-indeed", "region": "north",
    })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field);
    body
}

#[tokio::test]
async fn a_secret_goes_in_and_never_comes_out() {
    let s = serve().await;
    let vault = json!({
        "name": "vault", "kind": "borg", "repository": "ssh://backup@127.9.9.9/srv/borg",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1", "ssh_key": KEY,
    });
    let attic = json!({
        "name": "attic", "kind": "sftp", "host": "127.9.9.9", "user": "backup", "path": "/srv/b",
        "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1", "ssh_key": KEY,
    });
    for (body, location, secret) in [
        (attic, "sftp://backup@127.9.9.9:22//srv/b", KEY),
        (bucket(), "s3:https://127.9.9.9:9000/backups/shop", "very-secret-indeed"),
        (vault, "ssh://backup@127.9.9.9/srv/borg", KEY),
    ] {
        let (status, added) = s.admin("POST", "/storages", body.clone()).await;
        assert_eq!((status.as_u16(), added["location"].as_str()), (201, Some(location)), "{added}");
        assert_eq!(added["last_check"]["ok"], true);
        let name = body["name"].as_str().unwrap();
        let row = storages::resolve(&s.app, &s.project.id, name).await.unwrap();
        // The agent gets it; the row, the replies and the audit do not.
        assert_eq!(storages::spec(&s.app.store, &row).await.unwrap().secret.unwrap().reveal(), secret);
        let seen = [
            added.to_string(),
            s.get("/storages").await.to_string(),
            s.get(&format!("/storages/{name}")).await.to_string(),
            s.get("/audit").await.to_string(),
            serde_json::to_string(&row).unwrap(),
        ];
        assert!(!seen.concat().contains("secret-indeed") && !seen.concat().contains("c2VjcmV0"), "{seen:?}");
        let (status, _) = s.admin("DELETE", &format!("/storages/{name}"), Value::Null).await;
        assert_eq!(status, 204);
        let kept =
            store::secrets::get(&mut s.app.store.read().await.unwrap(), s.app.store.sealer(), row.id.as_str(), "storage_login").await;
        assert!(kept.unwrap().is_none(), "a secret goes with its storage");
    }
}

#[tokio::test]
async fn what_a_kind_does_not_take_is_refused_by_name() {
    let s = serve().await;
    let local = json!({ "name": "disk", "kind": "local", "path": "/srv/x" });
    let borg = json!({ "name": "vault", "kind": "borg", "repository": "/srv/borg" });
    for (body, field) in [
        (without(bucket(), "endpoint"), "endpoint"),
        (without(bucket(), "bucket"), "bucket"),
        (without(bucket(), "access_key"), "access_key"),
        (without(bucket(), "secret_key"), "secret_key"),
        (with(bucket(), "path", json!("/x")), "path"),
        (with(bucket(), "path_style", json!("sideways")), "path_style"),
        (with(bucket(), "endpoint", json!("https://h/bucket")), "endpoint"),
        (with(bucket(), "endpoint", json!("http://169.254.169.254")), "endpoint"),
        (with(bucket(), "prefix", json!("../up")), "prefix"),
        (with(local.clone(), "bucket", json!("b")), "bucket"),
        (with(local, "secret_key", json!("s")), "secret_key"),
        (without(borg.clone(), "repository"), "repository"),
        (with(borg.clone(), "host_key", json!("ssh-ed25519 AAAA")), "host_key"),
        (with(borg.clone(), "repository", json!("ssh://u@h/p")), "host_key"),
        (json!({ "name": "attic", "kind": "sftp", "user": "u", "path": "/x" }), "host"),
        (with(borg, "endpoint", json!("https://h")), "endpoint"),
        (with(bucket(), "colour", json!("red")), "colour"),
    ] {
        let (status, code, problem) = s.problem("POST", "/storages", body.clone()).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{code}: {body} {problem}");
    }
}

#[tokio::test]
async fn the_daily_look_is_remembered_and_changes_no_tag() {
    let s = serve().await;
    let tag = |r: reqwest::Response| r.headers()["etag"].to_str().unwrap().to_owned();
    let before = tag(s.send("GET", "/storages/local", Some(&s.admin), None, &[]).await);
    assert_eq!(s.get("/storages/local").await["last_check"], Value::Null);
    doctor::all(&s.app).await.unwrap();
    let seen = s.get("/storages/local").await["last_check"].clone();
    assert_eq!(seen["ok"], true);
    doctor::all(&s.app).await.unwrap();
    assert_eq!(s.get("/storages/local").await["last_check"], seen, "once a day is enough");
    assert_eq!(tag(s.send("GET", "/storages/local", Some(&s.admin), None, &[]).await), before);
}

#[tokio::test]
async fn limits_are_set_changed_and_taken_away() {
    let s = serve().await;
    let disk = json!({ "name": "disk", "kind": "local", "path": "/srv/x", "bandwidth": 20_000_000, "parallel": 2 });
    let (status, added) = s.admin("POST", "/storages", disk).await;
    assert_eq!((status.as_u16(), &added["bandwidth"], &added["parallel"]), (201, &json!(20_000_000), &json!(2)), "{added}");
    assert_eq!(s.get("/storages/local").await["bandwidth"], Value::Null);
    for (body, bandwidth, parallel) in [
        (json!({}), json!(20_000_000), json!(2)),
        (json!({ "parallel": 5 }), json!(20_000_000), json!(5)),
        (json!({ "bandwidth": null }), Value::Null, json!(5)),
        (json!({ "bandwidth": 100_000, "parallel": null }), json!(100_000), Value::Null),
    ] {
        let (status, now) = s.admin("PATCH", "/storages/disk", body.clone()).await;
        assert_eq!((status.as_u16(), &now["bandwidth"], &now["parallel"]), (200, &bandwidth, &parallel), "{body} {now}");
        assert_eq!(s.get("/storages/disk").await, now);
    }
    for (body, field) in [
        (json!({ "bandwidth": 99_999 }), "bandwidth"),
        (json!({ "bandwidth": -1 }), "bandwidth"),
        (json!({ "parallel": 0 }), "parallel"),
        (json!({ "parallel": 1001 }), "parallel"),
        (json!({ "path": "/elsewhere" }), "path"),
    ] {
        let (status, code, problem) = s.problem("PATCH", "/storages/disk", body.clone()).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{code}: {body} {problem}");
    }
    let quick = json!({ "name": "quick", "kind": "snapshot", "path": "/srv/q", "bandwidth": 1_000_000 });
    let (status, _, problem) = s.problem("POST", "/storages", quick).await;
    assert_eq!((status, problem["field"].as_str()), (422, Some("bandwidth")), "{problem}");
    let stale = s.send("PATCH", "/storages/disk", Some(&s.admin), Some(json!({ "parallel": 3 })), &[("if-match", "\"old\"")]).await;
    assert_eq!(stale.status(), 412);
    assert!(s.audit("action=setStorage").await.iter().any(|r| r[3] == "disk"), "who changed it is known");
}

#[tokio::test]
async fn what_logs_in_is_changed_and_tried_first() {
    let s = serve_world().await;
    let place = json!({ "endpoint": "https://192.0.2.7:9000", "bucket": "backups", "access_key": "old", "secret_key": "old-secret" });
    let mut add = place.clone();
    (add["name"], add["kind"]) = (json!("cloud"), json!("s3"));
    let (status, added) = s.admin("POST", "/storages", add).await;
    assert_eq!(status.as_u16(), 201, "{added}");
    let (status, code, problem) = s.problem("PATCH", "/storages/cloud", json!({ "access_key": "new" })).await;
    assert_eq!((status, code.as_str(), problem["field"].as_str()), (422, "secret_required", Some("secret_key")));
    for (storage, body, field) in [
        ("cloud", json!({ "host_key": "ssh-ed25519 AAAA" }), "host_key"),
        ("local", json!({ "secret_key": "x" }), "ssh_key"),
        ("local", json!({ "access_key": "x", "secret_key": "x" }), "access_key"),
        ("cloud", json!({ "endpoint": "https://192.0.2.8:9000" }), "endpoint"),
    ] {
        let (status, _, problem) = s.problem("PATCH", &format!("/storages/{storage}"), body.clone()).await;
        assert_eq!((status, problem["field"].as_str()), (422, Some(field)), "{body} {problem}");
    }
    let new = json!({ "access_key": "new", "secret_key": "new-secret", "parallel": 3 });
    s.world.as_ref().unwrap().faults.fail("storage.check", 1, Error::unavailable("away", "it refuses this key"));
    let (status, _, problem) = s.problem("PATCH", "/storages/cloud", new.clone()).await;
    assert!(status == 503 && problem["detail"].as_str().unwrap().contains("refuses this key"), "{problem}");
    let login = async || {
        let row = storages::resolve(&s.app, &s.project.id, "cloud").await.unwrap();
        let spec = storages::spec(&s.app.store, &row).await.unwrap();
        (serde_json::to_value(&spec.place).unwrap()["access_key"].clone(), spec.secret.unwrap().reveal().to_string())
    };
    assert_eq!(login().await, (json!("old"), "old-secret".into()), "the old one stays");
    let (status, now) = s.admin("PATCH", "/storages/cloud", new).await;
    assert_eq!((status.as_u16(), &now["parallel"]), (200, &json!(3)), "{now}");
    assert_eq!(login().await, (json!("new"), "new-secret".into()));
    assert!(!now.to_string().contains("new-secret"), "{now}");
    assert!(!s.get("/audit").await.to_string().contains("new-secret"));
}

#[tokio::test]
async fn a_rekeyed_storage_is_two() {
    let s = serve_world().await;
    let (status, plan) = s.admin("POST", "/storages/local/rekey?dry_run=true", json!({})).await;
    assert_eq!(status.as_u16(), 200, "{plan}");
    assert!(plan["summary"][0].as_str().unwrap().contains("local-edition-1"), "{plan}");
    assert!(plan["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains("full one")), "{plan}");
    assert_eq!(plan["steps"].as_array().unwrap().len(), 2);
    assert_eq!(s.get("/storages").await["items"].as_array().unwrap().len(), 1, "nothing was done");

    s.does("POST", "/storages/local/rekey", json!({})).await;
    let (new, old) = (s.get("/storages/local").await, s.get("/storages/local-edition-1").await);
    assert_eq!((&new["edition"], &new["rekeyed"], &old["edition"], &old["rekeyed"]), (&json!(2), &json!(false), &json!(1), &json!(true)));
    assert_eq!(new["location"], old["location"]);
    assert!(s.audit("action=rekeyStorage").await.iter().any(|r| r[3] == "local"));
    let (status, code, _) = s.problem("POST", "/storages/local-edition-1/rekey", json!({})).await;
    assert_eq!((status, code.as_str()), (409, "storage_rekeyed"));
}
