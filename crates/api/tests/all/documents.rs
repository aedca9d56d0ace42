//! The document says what is served.

use crate::support::serve;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");

#[test]
fn the_committed_document_is_current() {
    let now = serde_json::to_string_pretty(&mainstay_api::openapi()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(COMMITTED, &now).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(committed == now, "openapi.json is not current; refresh it with: mainstay openapi > openapi.json");
}

#[test]
fn every_operation_has_its_own_id_and_an_answer() {
    let mut ids: Vec<&str> = mainstay_api::endpoints().iter().map(|e| e.id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "two routes share an operation id");
    let document = serde_json::to_value(mainstay_api::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1).map(|r| r.split('"').next().unwrap()) {
        assert!(schemas.contains_key(reference), "{reference} is referred to and not there");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let s = serve().await;
    let page = reqwest::get(format!("{}/api/docs", s.url)).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_string();
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text().await.unwrap();
    assert!(!text.contains("http://") && !text.contains("https://"));
    for path in ["/api/docs/page.js", "/api/docs/page.css", "/api/v1/openapi.json", "/healthz"] {
        assert_eq!(reqwest::get(format!("{}{path}", s.url)).await.unwrap().status(), 200, "{path}");
    }
}
