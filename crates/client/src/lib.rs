//! A thin client of the REST API: one method a route is not needed where the path says it all, so
//! there are a few typed verbs over paths, and streams for what streams.
//!
//! Errors come back as the [`mainstay_model::Error`] they were on the server, so that the caller's
//! exit code is decided in one place whichever side the error is from.

mod events;
mod problem;
mod terminal;

pub use events::Events;
pub use terminal::Terminal;

use bytes::Bytes;
use futures::Stream;
use mainstay_api_types::{List, Operation};
use mainstay_model::{Error, Result, error::shown};
use reqwest::{Method, RequestBuilder, Response};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Where the API lies below the server's address.
pub const BASE: &str = "/api/v1";

/// A sentence that goes with an answer which is not an error.
const WARNING: &str = "x-mainstay-warning";

/// A server that says nothing for this long, not even that it is alive, is not there.
const SILENCE: Duration = Duration::from_secs(120);

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    token: Option<String>,
    warnings: Arc<Mutex<Vec<String>>>,
}

/// What goes with a request besides its body.
#[derive(Debug, Clone, Default)]
pub struct With {
    pub query: Vec<(String, String)>,
    pub if_match: Option<String>,
    pub idempotency_key: Option<String>,
}

impl With {
    pub fn query(pairs: &[(&str, &str)]) -> Self {
        With { query: pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(), ..With::default() }
    }
}

pub type Download = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

impl Client {
    /// `server` is `http://host:port`.
    pub fn new(server: &str, token: Option<&str>) -> Result<Self> {
        Client::trusting(server, token, None)
    }

    /// `ca` holds certificates to trust beside the system's, PEM.
    pub fn trusting(server: &str, token: Option<&str>, ca: Option<&[u8]>) -> Result<Self> {
        let url = reqwest::Url::parse(server).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        if url.is_none_or(|u| u.query().is_some() || u.fragment().is_some()) {
            return Err(Error::invalid("server", format!("\"{}\" is not an address such as http://127.0.0.1:8420", shown(server))));
        }
        if token.is_some_and(|t| !t.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Error::invalid("token", "a token has no spaces, line breaks or characters beyond ASCII"));
        }
        let mut http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).read_timeout(SILENCE).no_proxy();
        if let Some(pem) = ca {
            let broken = |e| Error::invalid("server_ca", "this holds no certificates in PEM").with_inside(e);
            http = http.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(broken)?);
        }
        let http = http.build().map_err(Error::internal)?;
        Ok(Client { http, server: server.trim_end_matches('/').into(), token: token.map(Into::into), warnings: Arc::default() })
    }

    /// What answers warned of since the last call.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_warnings(&self, response: &Response) {
        let texts = response.headers().get_all(WARNING).iter().map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(texts);
    }

    pub fn server(&self) -> &str {
        &self.server
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str, with: &With) -> Result<T> {
        self.call(Method::GET, path, None::<&()>, with).await
    }
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B, with: &With) -> Result<T> {
        self.call(Method::POST, path, Some(body), with).await
    }
    pub async fn put<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B, with: &With) -> Result<T> {
        self.call(Method::PUT, path, Some(body), with).await
    }
    pub async fn patch<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B, with: &With) -> Result<T> {
        self.call(Method::PATCH, path, Some(body), with).await
    }
    pub async fn delete<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B, with: &With) -> Result<T> {
        self.call(Method::DELETE, path, Some(body), with).await
    }

    /// Every item of a list, page by page.
    pub async fn all<T: DeserializeOwned>(&self, path: &str, with: &With) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut page_with = with.clone();
            page_with.query.push(("limit".into(), "500".into()));
            page_with.query.extend(cursor.take().map(|c| ("cursor".into(), c)));
            let page: List<T> = self.get(path, &page_with).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }

    pub async fn operation(&self, id: &str) -> Result<Operation> {
        self.get(&format!("/operations/{}", segment(id)), &With::default()).await
    }

    /// The operation as it changes, the current state first; ends when it is over.
    pub async fn watch(&self, id: &str) -> Result<Events> {
        let request = self.request(Method::GET, &format!("/operations/{}/events", segment(id)), &With::default());
        let response = problem::check(request.header("Accept", "text/event-stream").send().await.map_err(unreachable)?).await?;
        Ok(Events::new(response))
    }

    /// A file as it comes, and its size where the server knows it.
    pub async fn download(&self, path: &str, with: &With) -> Result<(Download, Option<u64>, Option<String>)> {
        use futures::TryStreamExt;
        let response = problem::check(self.request(Method::GET, path, with).send().await.map_err(unreachable)?).await?;
        let size = response.content_length();
        let name = response.headers().get("content-disposition").and_then(|v| v.to_str().ok()).map(String::from);
        let cut = |e| Error::unavailable("download_cut", "the download broke off before its end").with_inside(e);
        Ok((Box::pin(response.bytes_stream().map_err(cut)), size, name))
    }

    async fn call<B: Serialize + Sync, T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&B>, with: &With) -> Result<T> {
        let mut request = self.request(method, path, with);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = problem::check(request.send().await.map_err(unreachable)?).await?;
        self.note_warnings(&response);
        read(response).await
    }

    fn request(&self, method: Method, path: &str, with: &With) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{BASE}{path}", self.server)).query(&with.query);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(hash) = &with.if_match {
            request = request.header("If-Match", format!("\"{hash}\""));
        }
        if let Some(key) = &with.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        request
    }
}

/// An answer without a body reads as `null`.
async fn read<T: DeserializeOwned>(response: Response) -> Result<T> {
    let bytes = response.bytes().await.map_err(unreachable)?;
    let text: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    serde_json::from_slice(text).map_err(|e| Error::internal(format!("the server's answer does not read: {e}")))
}

fn unreachable(e: reqwest::Error) -> Error {
    let place = e.url().map(|u| format!("{}://{}", u.scheme(), u.authority())).unwrap_or_default();
    // The cause says what a certificate lacks; the sentence of the error itself only that it failed.
    let causes = std::iter::successors(std::error::Error::source(&e), |e| e.source());
    if let Some(why) = causes.map(ToString::to_string).find(|text| text.contains("certificate")) {
        let why =
            format!("{place} is not trusted: {why}; name its CA with --server-ca, after comparing the fingerprint `mainstay up` printed");
        return Error::unavailable("server_not_trusted", why);
    }
    Error::unavailable("server_unreachable", format!("no answer from {place}; is `mainstay up` running there?"))
        .with_inside(e.without_url())
}

/// A path segment made of what a user typed: everything but unreserved characters is escaped.
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(b as char),
            b'.' if text != "." && text != ".." => out.push('.'),
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_names_stay_one_segment() {
        assert_eq!(segment("pg-one"), "pg-one");
        assert_eq!(segment("../x"), "..%2Fx");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(segment("a b?c#d"), "a%20b%3Fc%23d");
    }

    #[test]
    fn a_server_needs_a_scheme() {
        for bad in ["127.0.0.1:8420", "http://", "ftp://a", "http://[", "http://a/?b", ""] {
            assert!(Client::new(bad, None).is_err(), "{bad}");
        }
        assert!(Client::new("http://127.0.0.1:8420", Some("a\nb")).is_err());
        assert!(Client::new("http://127.0.0.1:8420/", None).is_ok_and(|c| c.server() == "http://127.0.0.1:8420"));
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let client = Client::new("http://127.0.0.1:9", None).unwrap();
        let e = client.get::<serde_json::Value>("/engines", &With::default()).await.unwrap_err();
        assert_eq!(e.code, "server_unreachable");
        assert!(e.message.contains("127.0.0.1:9"));
    }
}
