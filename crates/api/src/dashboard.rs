//! The dashboard's files, out of the binary: no internet needed, and nothing of the disk is served. A
//! debug build reads them from `web/dist` instead.

use crate::{Shared, problem::Fault};
use axum::{
    Router,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use flate2::{Compression, write::GzEncoder};
use mainstay_model::{Error, Kind};
use rust_embed::{EmbeddedFile, RustEmbed};
use std::{
    collections::HashMap,
    io::Write,
    sync::{Arc, LazyLock, Mutex},
};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../web/dist"]
#[allow_missing = true]
struct Files;

/// Its components write style elements; scripts come from files alone.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const INDEX: &str = "index.html";
const NOT_BUILT: &str = include_str!("dashboard/not-built.html");

/// Everything that is no route of the API: a file of the dashboard, or the page itself, which knows
/// what to show at its addresses.
pub fn router() -> Router<Shared> {
    Router::new().fallback(page)
}

async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    let is_api = path == "/api" || path.starts_with("/api/");
    if is_api || !matches!(method, Method::GET | Method::HEAD) {
        return missing();
    }
    let name = path.trim_start_matches('/');
    match Files::get(name).filter(|_| !name.is_empty()) {
        Some(file) => served(name, &file, &headers),
        // What looks like a file and is none must not be answered with a page.
        None if name.rsplit('/').next().is_some_and(|last| last.contains('.')) => missing(),
        None => match Files::get(INDEX) {
            Some(file) => served(INDEX, &file, &headers),
            None => (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], NOT_BUILT).into_response(),
        },
    }
}

fn missing() -> Response {
    Fault(Error::new(Kind::NotFound, "no_such_route", "there is nothing at this address; see /api/docs")).into_response()
}

fn served(name: &str, file: &EmbeddedFile, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..12]));
    let mut headers = HeaderMap::new();
    let mut put = |name: header::HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(header::ETAG, &tag);
    put(header::CACHE_CONTROL, kept(name));
    put(header::VARY, "accept-encoding");
    put(header::CONTENT_SECURITY_POLICY, POLICY);
    let has = |name, what: &str| asked.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains(what));
    if has(header::IF_NONE_MATCH, &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let kind = kind(name);
    put(header::CONTENT_TYPE, kind);
    let zipped = is_text(kind) && has(header::ACCEPT_ENCODING, "gzip");
    let body = if zipped { zipped_of(&tag, &file.data) } else { Arc::new(file.data.to_vec()) };
    if zipped {
        put(header::CONTENT_ENCODING, "gzip");
    }
    (headers, body.as_ref().clone()).into_response()
}

/// A file whose name holds a hash of what is in it never changes.
fn kept(name: &str) -> &'static str {
    if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, end)| end) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || kind.contains("json") || kind.contains("svg")
}

/// Each once: there are a few dozen files, and they do not change while the process lives.
fn zipped_of(tag: &str, data: &[u8]) -> Arc<Vec<u8>> {
    static ZIPPED: LazyLock<Mutex<HashMap<String, Arc<Vec<u8>>>>> = LazyLock::new(Mutex::default);
    let mut known = crate::rate::lock(&ZIPPED);
    if let Some(zipped) = known.get(tag) {
        return zipped.clone();
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 3), Compression::default());
    let zipped = encoder.write_all(data).and_then(|()| encoder.finish()).map(Arc::new).unwrap_or_default();
    known.insert(tag.into(), zipped.clone());
    zipped
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &str) -> Response {
        page(Method::GET, path.parse().unwrap(), HeaderMap::new()).await
    }

    #[tokio::test]
    async fn pages_have_addresses_and_files_do_not_fall_back_to_them() {
        for ok in ["/", "/sign-in", "/p/default/clusters/shop", "/welcome"] {
            let answer = get(ok).await;
            assert_eq!(answer.status(), 200, "{ok}");
            assert!(answer.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"), "{ok}");
        }
        for none in ["/api", "/api/v1/nothing", "/assets/none.js", "/../Cargo.toml", "/..%2f..%2fCargo.toml", "/%2e%2e/Cargo.toml", "/.env"]
        {
            assert_eq!(get(none).await.status(), 404, "{none}");
        }
        assert_eq!(page(Method::POST, Uri::from_static("/sign-in"), HeaderMap::new()).await.status(), 404);
    }

    #[test]
    fn what_has_its_hash_in_its_name_is_kept_and_the_page_is_not() {
        assert!(kept("assets/index-3f2a.js").contains("immutable"));
        assert_eq!([kept("index.html"), kept("theme.js")], ["no-cache"; 2]);
        assert_eq!(kind("assets/a.b.js"), "text/javascript; charset=utf-8");
        assert!(POLICY.contains("script-src 'self';") && POLICY.matches("unsafe").count() == 1);
    }

    #[test]
    fn what_is_zipped_comes_out_the_same() {
        let data = "main ".repeat(1000).into_bytes();
        let zipped = zipped_of("\"x\"", &data);
        let mut out = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(zipped.as_slice()), &mut out).unwrap();
        assert!(zipped.len() < 200 && out == data);
    }
}
