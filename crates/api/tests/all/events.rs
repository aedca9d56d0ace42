//! A second listener sees what each verb changes within a second, as the routes answer it, and nothing else.

use crate::support::{Served, serve, serve_world};
use futures::StreamExt;
use mainstay_model::role::Role;
use reqwest::Response;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What "within a second" is, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);

struct Heard {
    event: String,
    id: Option<String>,
    data: Value,
}

struct Ear {
    stream: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
    /// Changes that nobody asked for yet.
    heard: Vec<Value>,
}

impl Ear {
    async fn open(s: &Served, token: &str, last: Option<&str>) -> Ear {
        let headers: Vec<(&str, &str)> = last.map(|id| ("last-event-id", id)).into_iter().collect();
        Ear::of(s.send("GET", "/events", Some(token), None, &headers).await)
    }

    fn of(answer: Response) -> Ear {
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Ear { stream: Box::pin(answer.bytes_stream()), text: String::new(), heard: vec![] }
    }

    /// `None` at the stream's end.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            if let Some((one, rest)) = self.text.split_once("\n\n").map(|(a, b)| (a.to_string(), b.to_string())) {
                self.text = rest;
                let field = |name: &str| one.lines().find_map(|l| l.strip_prefix(&format!("{name}: "))).map(String::from);
                let data = field("data").and_then(|d| serde_json::from_str(&d).ok()).unwrap_or_default();
                return Some(Heard { event: field("event").unwrap_or("message".into()), id: field("id"), data });
            }
            let bytes = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("something is heard")?.ok()?;
            self.text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    /// The change of this noun that fits, whether it was heard already or comes within a second.
    async fn hears(&mut self, noun: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            if let Some(i) = self.heard.iter().position(|change| change["noun"] == noun && fits(change)) {
                assert!(since.elapsed() < SOON * 3, "{noun} took {:?}", since.elapsed());
                return self.heard.remove(i);
            }
            assert!(since.elapsed() < PATIENCE, "no such {noun} was heard: {:#?}", self.heard);
            let heard = self.next().await.expect("the stream goes on");
            if heard.event == "message" {
                self.heard.push(heard.data);
            }
        }
    }
}

fn is(action: &'static str) -> impl Fn(&Value) -> bool {
    move |change| change["action"] == action
}

#[tokio::test(flavor = "multi_thread")]
async fn each_verbs_change_is_heard_as_its_route_answers_it() {
    let s = serve_world().await;
    let viewer = s.token("ear", Role::Viewer, &s.project).await;
    let mut ear = Ear::open(&s, &viewer, None).await;
    assert_eq!(ear.next().await.unwrap().event, "hello");

    let (_, begun) = s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "memo", "replicas": 1 })).await;
    let operation = begun["id"].clone();
    s.ends(begun).await;
    let heard = ear.hears("operation", |c| c["id"] == operation && c["object"]["status"] == "succeeded").await;
    assert_eq!(heard["object"], s.get(&format!("/operations/{}", operation.as_str().unwrap())).await);
    ear.hears("cluster", |c| c["object"]["status"] == "running" && c["object"]["nodes"].as_array().is_some_and(|n| n.len() == 2)).await;
    let schedule = s.get("/clusters/shop/schedules").await["items"][0].clone();
    s.admin("POST", &format!("/schedules/{}/pause", schedule["id"].as_str().unwrap()), json!({})).await;
    let heard = ear.hears("schedule", |c| c["object"]["enabled"] == false).await;
    assert_eq!(heard["object"], s.get(&format!("/schedules/{}", schedule["id"].as_str().unwrap())).await);

    let (_, begun) = s.admin("POST", "/clusters/shop/backups", json!({ "description": "one" })).await;
    s.ends(begun).await;
    let done = ear.hears("backup", |c| c["object"]["status"] == "completed").await;
    let backup = done["id"].as_str().unwrap().to_string();
    ear.hears("cluster", |c| c["object"]["recoverability"]["copies_verified"] == 1).await;
    s.admin("POST", &format!("/backups/{backup}/pin"), json!({})).await;
    let heard = ear.hears("backup", |c| c["object"]["pinned"] == true).await;
    assert_eq!(heard["object"], s.get(&format!("/backups/{backup}")).await);

    s.admin("PATCH", "/clusters/shop", json!({ "protected": true })).await;
    ear.hears("cluster", |c| c["object"]["protected"] == true).await;
    s.does("POST", "/clusters", json!({ "name": "cache", "engine": "memo" })).await;
    ear.hears("cluster", |c| c["object"]["name"] == "cache" && c["object"]["status"] == "running").await;

    let (_, group) = s.admin("POST", "/groups", json!({ "name": "both", "members": ["shop", "cache"] })).await;
    let heard = ear.hears("group", is("put")).await;
    assert_eq!(heard["object"], group);
    s.admin("DELETE", &format!("/groups/{}", group["id"].as_str().unwrap()), Value::Null).await;
    assert_eq!(ear.hears("group", is("remove")).await["id"], group["id"]);

    let hook = json!({ "name": "ops", "kind": "webhook", "url": "ok", "secret": "0123456789abcdef" });
    let (_, notifier) = s.admin("POST", "/notifiers", hook).await;
    let heard = ear.hears("notifier", is("put")).await;
    assert!(heard["object"]["id"] == notifier["id"] && !heard.to_string().contains("0123456789abcdef"), "{heard}");
    crate::notices::raised(&s).await;
    ear.hears("alert", is("put")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_back_hears_what_was_missed_and_strangers_nothing() {
    let s = serve().await;
    let other = s.other_project().await;
    let stranger = s.token("stranger", Role::Owner, &other).await;
    let (mut ear, mut theirs) = (Ear::open(&s, &s.admin, None).await, Ear::open(&s, &stranger, None).await);
    ear.next().await;
    theirs.next().await;
    let dir = tempfile::tempdir().unwrap();
    let add = |name: &'static str| {
        let (s, path) = (&s, dir.path().join(name));
        async move { s.admin("POST", "/storages", json!({ "name": name, "kind": "local", "path": path })).await }
    };
    assert_eq!(add("one").await.0, 201);
    ear.hears("storage", is("put")).await;
    let hello = Ear::open(&s, &s.admin, None).await.next().await.unwrap();
    let (last, seq) = (hello.id.unwrap(), hello.data["seq"].as_u64().unwrap());
    assert_eq!(add("two").await.0, 201);
    ear.hears("storage", is("put")).await;

    let mut back = Ear::open(&s, &s.admin, Some(&last)).await;
    assert_eq!(back.next().await.unwrap().event, "hello");
    let missed = back.next().await.unwrap();
    assert_eq!((missed.data["seq"].as_u64(), missed.data["object"]["name"].as_str()), (Some(seq + 1), Some("two")));
    for unknown in ["x", "other-1"] {
        let mut back = Ear::open(&s, &s.admin, Some(unknown)).await;
        back.next().await;
        assert_eq!(back.next().await.unwrap().event, "reset", "{unknown}");
    }
    // The other project's listener has heard nothing, and hears its own.
    let body = json!({ "name": "own", "kind": "local", "path": dir.path().join("own") });
    assert_eq!(s.send("POST", "/storages", Some(&stranger), Some(body), &[]).await.status(), 201);
    let heard = theirs.next().await.unwrap();
    assert_eq!(heard.data["object"]["name"], "own", "{}", heard.data);
    assert_eq!(s.send("GET", "/events?project=default", Some(&stranger), None, &[]).await.status(), 404);
}
