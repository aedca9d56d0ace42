//! `Idempotency-Key` on a POST: the same request again gets the same answer, and is done once.

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use mainstay_control::{Actor, App};
use mainstay_model::{Error, Result};
use mainstay_store::{self as store, idempotency::Begin};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Most bytes of an answer that is kept; answers of verbs are a few kilobytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

pub struct Key {
    key: String,
    actor: String,
    fingerprint: String,
}

/// An answer as it is kept. Its status has a column of its own.
#[derive(Serialize, Deserialize)]
struct Kept {
    location: Option<String>,
    body: String,
}

/// The request's key, where it has one.
pub fn key(parts: &Parts, body: &Bytes, actor: &Actor) -> Result<Option<Key>> {
    let Some(value) = parts.headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text.is_empty() || text.len() > 200 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::invalid("Idempotency-Key", "1 to 200 visible ASCII characters"));
    }
    let person = actor.person.as_ref().map(|p| p.user_id().to_string());
    let actor = actor.token.as_ref().map(ToString::to_string).or(person).unwrap_or_else(|| actor.name.clone());
    Ok(Some(Key { key: text.into(), actor, fingerprint: fingerprint(parts, body) }))
}

/// Of all that decides what is done.
fn fingerprint(parts: &Parts, body: &Bytes) -> String {
    let seen = parts.headers.get(header::IF_MATCH).map(|v| v.as_bytes()).unwrap_or_default();
    let mut h = Sha256::new();
    for part in [parts.uri.to_string().as_bytes(), seen, body] {
        h.update((part.len() as u64).to_be_bytes());
        h.update(part);
    }
    hex::encode(h.finalize())
}

impl Key {
    /// The answer of before, or nothing where the request is to be done now.
    pub async fn begin(&self, app: &App) -> Result<Option<Response>> {
        let mut tx = app.store.begin_write().await?;
        let begin = store::idempotency::begin(&mut tx, &self.key, &self.actor, &self.fingerprint, app.now()).await?;
        store::commit(tx).await?;
        match begin {
            Begin::New => Ok(None),
            Begin::Replay { status, body } => {
                let plain = app.store.sealer().open(&self.actor, &self.key, &body)?;
                let kept = serde_json::from_slice(&plain).map_err(|e| Error::internal(format!("a kept answer does not read: {e}")))?;
                Ok(Some(replay(status, kept)))
            }
            Begin::InProgress => {
                Err(Error::conflict("idempotency_in_progress", "a request with this key is being done right now; ask again for its answer"))
            }
            Begin::Mismatch => {
                let why = "this key was used for another request; take a new key for a new request";
                Err(Error::invalid("Idempotency-Key", why).with_code("idempotency_mismatch"))
            }
        }
    }

    /// Keeps the answer, sealed: it may hold a token that is shown this once. What was refused or
    /// failed did nothing, so its key stays free for another try.
    pub async fn finish(&self, app: &App, response: Response) -> Result<Response> {
        if !response.status().is_success() {
            let mut tx = app.store.begin_write().await?;
            store::idempotency::abandon(&mut tx, &self.key, &self.actor).await?;
            store::commit(tx).await?;
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, MAX_ANSWER).await.map_err(Error::internal)?;
        let kept = Kept {
            location: parts.headers.get(header::LOCATION).and_then(|v| v.to_str().ok()).map(String::from),
            body: String::from_utf8_lossy(&bytes).into_owned(),
        };
        let plain = serde_json::to_vec(&kept).map_err(Error::internal)?;
        let sealed = app.store.sealer().seal(&self.actor, &self.key, &plain)?;
        let mut tx = app.store.begin_write().await?;
        store::idempotency::finish(&mut tx, &self.key, &self.actor, i64::from(parts.status.as_u16()), &sealed).await?;
        store::commit(tx).await?;
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }
}

fn replay(status: i64, kept: Kept) -> Response {
    let status = u16::try_from(status).ok().and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or(StatusCode::OK);
    let mut response = (status, kept.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    if let Some(location) = kept.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}
