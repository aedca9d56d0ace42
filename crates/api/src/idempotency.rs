//! `Idempotency-Key` on a POST: the same request again gets the same answer, and is done once.

use crate::Shared;
use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mainstay_control::Actor;
use mainstay_model::{Error, Result};
use mainstay_store::{self as store, idempotency::Begin};
use sha2::{Digest, Sha256};

/// Most bytes of an answer that is kept; answers of verbs are a few kilobytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

pub struct Key {
    key: String,
    actor: String,
}

/// The request's key, where it has one.
pub fn key(headers: &HeaderMap, actor: &Actor) -> Result<Option<Key>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > 200 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid("Idempotency-Key", "1 to 200 visible ASCII characters"));
    }
    let actor = actor.token.as_ref().map_or_else(|| actor.name.clone(), ToString::to_string);
    Ok(Some(Key { key: text.into(), actor }))
}

pub fn fingerprint(target: &str, body: &Bytes) -> String {
    let mut h = Sha256::new();
    h.update((target.len() as u64).to_be_bytes());
    h.update(target.as_bytes());
    h.update(body);
    hex::encode(h.finalize())
}

impl Key {
    /// The answer of before, or nothing where the request is to be done now.
    pub async fn begin(&self, shared: &Shared, fingerprint: &str) -> Result<Option<Response>> {
        let app = &shared.app;
        let mut tx = app.store.begin_write().await?;
        let begin = store::idempotency::begin(&mut tx, &self.key, &self.actor, fingerprint, app.now()).await?;
        store::commit(tx).await?;
        match begin {
            Begin::New => Ok(None),
            Begin::Replay { status, body } => {
                let plain = app.store.sealer().open(&self.actor, &self.key, &body)?;
                Ok(Some(replay(status, plain)))
            }
            Begin::InProgress => Err(Error::conflict("idempotency_in_progress", "a request with this key is being done right now")),
            Begin::Mismatch => {
                Err(Error::invalid("Idempotency-Key", "this key was used for another request").with_code("idempotency_mismatch"))
            }
        }
    }

    /// Keeps the answer, sealed: it may hold a token that is shown this once. What failed on our
    /// side is not an answer, and the key stays free for another try.
    pub async fn finish(&self, shared: &Shared, response: Response) -> Result<Response> {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, MAX_ANSWER).await.map_err(Error::internal)?;
        let app = &shared.app;
        let mut tx = app.store.begin_write().await?;
        if parts.status.is_server_error() {
            store::idempotency::abandon(&mut tx, &self.key, &self.actor).await?;
        } else {
            let sealed = app.store.sealer().seal(&self.actor, &self.key, &bytes)?;
            store::idempotency::finish(&mut tx, &self.key, &self.actor, i64::from(parts.status.as_u16()), &sealed).await?;
        }
        store::commit(tx).await?;
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }
}

fn replay(status: i64, body: Vec<u8>) -> Response {
    let status = u16::try_from(status).ok().and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let kind = if status.is_client_error() { "application/problem+json" } else { "application/json" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}
