//! Events of operations: they come, they end, and they hold up nobody.

use crate::support::{Served, serve};
use serde_json::json;
use std::time::{Duration, Instant};

/// An operation that waits for ever: nothing runs here.
async fn waiting(s: &Served) -> String {
    let (status, operation) = s.admin("POST", "/clusters", json!({ "name": "shop", "engine": "ledger" })).await;
    assert_eq!(status, 202);
    operation["id"].as_str().unwrap().into()
}

#[tokio::test]
async fn a_stream_ends_with_the_server() {
    let mut s = serve().await;
    let id = waiting(&s).await;
    let mut events = s.client().watch(&id).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().id, id);
    let since = Instant::now();
    s.stop.cancel();
    assert!(events.next().await.unwrap().is_none());
    tokio::time::timeout(Duration::from_secs(4), &mut s.ended).await.expect("the server ends").unwrap().unwrap();
    assert!(since.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_stream_is_what_it_says() {
    let s = serve().await;
    let id = waiting(&s).await;
    let response = s.send("GET", &format!("/operations/{id}/events"), Some(&s.admin), None, &[]).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert!(response.headers().contains_key("x-request-id"));
    let missing = s.send("GET", "/operations/op_00000000000000000000000000/events", Some(&s.admin), None, &[]).await;
    assert_eq!((missing.status().as_u16(), missing.headers()["content-type"].to_str().unwrap()), (404, "application/problem+json"));
}
