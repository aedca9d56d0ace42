//! The same request twice is done once, also where the caller hung up.

use crate::support::{Served, serve};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

async fn make(s: &Served, name: &str, key: &str) -> (u16, Value) {
    let body = json!({ "name": name, "role": "viewer" });
    let response = s.send("POST", "/tokens", Some(&s.admin), Some(body), &[("idempotency-key", key)]).await;
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn made(s: &Served, name: &str) -> usize {
    s.get("/tokens").await["items"].as_array().unwrap().iter().filter(|t| t["name"] == name).count()
}

#[tokio::test]
async fn the_same_answer_again() {
    let s = serve().await;
    let first = make(&s, "one", "k1").await;
    assert_eq!(first.0, 201);
    assert_eq!(make(&s, "one", "k1").await, first, "the same answer again");
    let other = make(&s, "two", "k1").await;
    assert_eq!((other.0, other.1["code"].as_str()), (422, Some("idempotency_mismatch")));
    assert_eq!((made(&s, "one").await, made(&s, "two").await), (1, 0));
    // The kept answer holds the token, sealed.
    assert!(!s.get("/audit").await.to_string().contains(first.1["token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_replayed_verb_says_where_its_operation_is() {
    let s = serve().await;
    let body = json!({ "name": "shop", "engine": "ledger" });
    let send = || s.send("POST", "/clusters", Some(&s.admin), Some(body.clone()), &[("idempotency-key", "k")]);
    let (first, again) = (send().await, send().await);
    assert_eq!((first.status(), again.status()), (reqwest::StatusCode::ACCEPTED, reqwest::StatusCode::ACCEPTED));
    assert_eq!(first.headers()["location"], again.headers()["location"]);
    assert!(again.headers().contains_key("idempotency-replayed") && !first.headers().contains_key("idempotency-replayed"));
    assert_eq!(first.json::<Value>().await.unwrap(), again.json::<Value>().await.unwrap());
}

#[tokio::test]
async fn what_was_refused_may_be_tried_again_with_its_key() {
    let s = serve().await;
    let stop = || s.send("POST", "/clusters/shop/stop", Some(&s.admin), None, &[("idempotency-key", "k")]);
    assert_eq!(stop().await.status(), 404);
    s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await;
    // Held by its own creation now, no longer missing.
    assert_eq!(stop().await.status(), 409);
}

#[tokio::test]
async fn many_at_once_are_one() {
    let s = serve().await;
    let answers = futures::future::join_all((0..12).map(|_| make(&s, "many", "k"))).await;
    assert!(answers.iter().all(|(status, _)| [201, 409].contains(status)), "{answers:?}");
    assert!(answers.iter().any(|(status, _)| *status == 201));
    assert_eq!(made(&s, "many").await, 1);
}

#[tokio::test]
async fn keys_that_are_none_are_refused() {
    let s = serve().await;
    for key in ["", " ", "a b", &"x".repeat(201)] {
        assert_eq!(make(&s, "one", key).await.0, 422, "{key:?}");
    }
}

/// An act whose caller went away is finished, recorded, and its key is answered.
#[tokio::test]
async fn a_caller_that_hangs_up_leaves_nothing_half_done() {
    let s = serve().await;
    for i in 0..20 {
        let (name, key) = (format!("gone-{i}"), format!("g{i}"));
        let body = json!({ "name": name, "role": "viewer" }).to_string();
        let host = s.url.trim_start_matches("http://");
        let request = format!(
            "POST /api/v1/tokens HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             idempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            s.admin,
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(i)).await;
        drop(stream);
        let mut last = (0, Value::Null);
        for _ in 0..100 {
            last = make(&s, &name, &key).await;
            if last.0 == 201 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!((last.0, made(&s, &name).await), (201, 1), "{last:?}");
    }
}
