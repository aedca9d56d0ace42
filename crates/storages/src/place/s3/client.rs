//! One signed request to an S3 server, and what is done when it does not come to a good end.
//!
//! Refusals that mean "later" (429, 5xx), timeouts, resets and bodies that are cut short are tried again
//! with growing, random pauses, for as long as the storage's patience lasts from the moment it went
//! quiet. Then the storage is given up with a transient error; calls that follow try only briefly
//! until one succeeds, so that cleaning up behind a dead storage does not take hours. Time is
//! counted without progress: a slow upload that moves is no silence.

use super::{
    begun::Begun,
    place::{Door, Target},
    sign::{EMPTY, Signed, Signer, encoded},
    xml,
};
use crate::pace::{PIECE, Pace};
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use mainstay_drivers::storage::S3Place;
use mainstay_model::{Error, Kind, Result, Secret, error::shown};
use reqwest::{Method, header::HeaderMap};
use sha2::{Digest, Sha256};
use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::{OnceCell, Semaphore},
    time::Instant,
};

/// How long, how much, how many.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a storage may be without a good answer.
    pub patience: Duration,
    /// Objects larger than this go up in parts of this size.
    pub part: usize,
    pub requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { patience: Duration::from_secs(60), part: 32 << 20, requests: 8 }
    }
}

pub struct Client {
    /// The storage's name, for people.
    pub name: String,
    pub place: S3Place,
    pub limits: Limits,
    /// All that is sent and received passes it.
    pub pace: Arc<Pace>,
    /// Where uploads in parts are noted before they begin.
    pub begun: Option<Begun>,
    secret: Secret,
    http: reqwest::Client,
    handle: Handle,
    gate: Semaphore,
    door: OnceCell<Door>,
    /// Whether the server knows `If-None-Match` on writes, as far as is known.
    conditional: AtomicBool,
    /// Since when nothing succeeds, once the storage was given up.
    given_up: Mutex<Option<Instant>>,
}

/// A request to the bucket (empty key) or to an object in it.
#[derive(Clone, Default)]
pub struct Ask {
    pub method: Method,
    pub key: String,
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<Bytes>,
    /// The body's SHA-256 in hex, where it is known already.
    pub hash: Option<String>,
    /// More than this is not taken as an answer.
    pub most: usize,
}

pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// How often it was asked: more than once means an earlier answer may have been lost.
    pub attempts: u32,
}

/// An attempt that came to nothing.
struct Miss {
    quiet_since: Instant,
    why: String,
    pause: Option<Duration>,
    /// Asking again would not help.
    last_word: Option<Error>,
}

/// Answers other than objects are small.
const SMALL: usize = 32 << 20;

impl Ask {
    pub fn new(method: Method, key: impl Into<String>) -> Self {
        Ask { method, key: key.into(), most: SMALL, ..Ask::default() }
    }
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
    pub fn body(mut self, pieces: &[Bytes]) -> Self {
        self.body = pieces.to_vec();
        self
    }

    fn size(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }

    fn payload(&self) -> String {
        if let Some(hash) = &self.hash {
            return hash.clone();
        }
        if self.body.is_empty() {
            return EMPTY.into();
        }
        let mut hash = Sha256::new();
        self.body.iter().for_each(|piece| hash.update(piece));
        hex::encode(hash.finalize())
    }

    fn query_text(&self) -> String {
        let mut pairs: Vec<_> = self.query.iter().map(|(n, v)| (encoded(n, false), encoded(v, false))).collect();
        pairs.sort();
        pairs.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<_>>().join("&")
    }
}

impl Reply {
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
    /// The code an S3 server gives its refusal, empty where it gave none.
    pub fn code(&self) -> String {
        xml::fault(&self.body).0
    }
}

/// The last moment something moved.
#[derive(Clone)]
struct Beat(Arc<Mutex<Instant>>);

impl Beat {
    fn new() -> Self {
        Beat(Arc::new(Mutex::new(Instant::now())))
    }
    fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Ends when nothing has moved for `quiet`.
    async fn stalled(&self, quiet: Duration) {
        loop {
            let until = self.last() + quiet;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

impl Client {
    /// To be called on the runtime that will carry the requests.
    pub fn new(name: &str, place: &S3Place, secret: Option<&Secret>, limits: Limits, pace: Arc<Pace>) -> Result<Self> {
        let secret = secret.cloned().ok_or_else(|| {
            Error::invalid("secret_key", format!("storage {name} has no secret access key; remove it and add it again with one"))
        })?;
        Ok(Client {
            name: name.to_owned(),
            http: super::place::http(place, limits.patience / 6)?,
            place: place.clone(),
            limits,
            pace,
            begun: None,
            secret,
            handle: Handle::current(),
            gate: Semaphore::new(limits.requests),
            door: OnceCell::new(),
            conditional: AtomicBool::new(true),
            given_up: Mutex::default(),
        })
    }

    pub fn noting(self, begun: Option<Begun>) -> Self {
        Client { begun, ..self }
    }

    /// Waits for `work` on a thread that may block: one of the storages' own, never a worker of the
    /// runtime (there it panics).
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    pub fn is_conditional(&self) -> bool {
        self.conditional.load(Ordering::Relaxed)
    }

    pub fn forget_conditional(&self) {
        self.conditional.store(false, Ordering::Relaxed);
    }

    pub async fn door(&self) -> Result<&Door> {
        self.door.get_or_try_init(|| super::place::find_door(self)).await
    }

    /// The answer, whatever it says, as long as it is one.
    pub async fn send(&self, ask: &Ask) -> Result<Reply> {
        let door = self.door().await?;
        self.send_to(door, ask, self.patience()).await
    }

    /// Without trying again.
    pub async fn once(&self, ask: &Ask) -> Result<Reply> {
        self.send_to(self.door().await?, ask, Duration::ZERO).await
    }

    /// The same as `send`, where anything but success is an error.
    pub async fn must(&self, doing: &str, ask: &Ask) -> Result<Reply> {
        let reply = self.send(ask).await?;
        if reply.is_good() { Ok(reply) } else { Err(self.refusal(doing, &ask.key, &reply)) }
    }

    pub async fn send_to(&self, door: &Door, ask: &Ask, patience: Duration) -> Result<Reply> {
        let payload = ask.payload();
        let mut quiet_since: Option<Instant> = None;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let miss = match self.attempt(door, ask, &payload).await {
                Ok(reply) => {
                    self.note(true);
                    return Ok(Reply { attempts, ..reply });
                }
                Err(miss) => miss,
            };
            if let Some(e) = miss.last_word {
                return Err(e.context(format!("storage {}", self.name)));
            }
            let since = *quiet_since.get_or_insert(miss.quiet_since);
            let pause = miss.pause.unwrap_or_else(|| self.pause(attempts));
            if since.elapsed() + pause >= patience {
                self.note(false);
                return Err(self.gone(&door.host, since.elapsed(), &miss.why));
            }
            tracing::debug!("storage {}: {}; asking again", self.name, miss.why);
            tokio::time::sleep(pause).await;
        }
    }

    fn note(&self, good: bool) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        *given_up = if good { None } else { Some(Instant::now()) };
    }

    fn patience(&self) -> Duration {
        let given_up = *self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        match given_up {
            Some(at) if at.elapsed() < self.limits.patience => self.limits.patience / 20,
            _ => self.limits.patience,
        }
    }

    /// Doubling from a 600th of the patience to a tenth, half of it random.
    fn pause(&self, attempts: u32) -> Duration {
        let whole = (self.limits.patience / 600) * 2u32.pow(attempts.min(6));
        whole.mul_f64(0.5 + rand::random::<f64>() / 2.0)
    }

    async fn attempt(&self, door: &Door, ask: &Ask, payload: &str) -> Result<Reply, Miss> {
        let _turn = self.gate.acquire().await;
        let beat = Beat::new();
        let missed = |why: String| Miss { quiet_since: beat.last(), why, pause: None, last_word: None };
        let answer = tokio::select! {
            answer = self.exchange(door, ask, payload, &beat) => {
                answer.map_err(|(why, last_word)| Miss { last_word, ..missed(why) })?
            }
            () = beat.stalled(self.limits.patience / 3) => return Err(missed("no answer".into())),
        };
        match later(&answer) {
            None => Ok(answer),
            Some(why) => {
                let asked = answer.header("retry-after").and_then(|v| v.parse().ok()).map(Duration::from_secs);
                Err(Miss { pause: asked.map(|d| d.min(self.limits.patience / 6)), ..missed(why) })
            }
        }
    }

    async fn exchange(&self, door: &Door, ask: &Ask, payload: &str, beat: &Beat) -> Result<Reply, (String, Option<Error>)> {
        let Target { url, path } = door.target(&ask.key, &ask.query_text()).map_err(|e| (e.message.clone(), Some(e)))?;
        let signer = Signer { access_key: &self.place.access_key, secret: &self.secret, region: &door.region };
        let query = ask.query_text();
        let what = Signed { method: ask.method.as_str(), host: &door.host, path: &path, query: &query, headers: &ask.headers, payload };
        let signed = signer.headers(&what, jiff::Timestamp::now());
        let mut request = self.http.request(ask.method.clone(), url);
        for (name, value) in ask.headers.iter().chain(&signed) {
            request = request.header(*name, value);
        }
        if matches!(ask.method, Method::PUT | Method::POST) {
            request = request.header("content-length", ask.size()).body(moving(&ask.body, beat, &self.pace));
        }
        let mut response = request.send().await.map_err(plain)?;
        beat.touch();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(plain)? {
            beat.touch();
            self.pace.pass(piece.len(), || beat.touch()).await;
            beat.touch();
            if body.len() + piece.len() > ask.most.max(64 << 10) {
                return Err((format!("it answered with more than {} bytes", ask.most), None));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Reply { status, headers, body: body.freeze(), attempts: 0 })
    }

    fn gone(&self, host: &str, quiet: Duration, why: &str) -> Error {
        let message = format!(
            "storage {} gave no good answer for {} s ({host}: {}); look whether it runs and can be reached from here",
            self.name,
            quiet.as_secs(),
            shown(why)
        );
        Error::unavailable("storage_unreachable", message)
    }

    /// What a refusal means and what to do about it.
    pub fn refusal(&self, doing: &str, key: &str, reply: &Reply) -> Error {
        let (code, said) = xml::fault(&reply.body);
        let (bucket, name) = (&self.place.bucket, &self.name);
        let what = if key.is_empty() { format!("bucket {bucket}") } else { format!("{bucket}/{key}") };
        let head = format!("{doing} {what} in storage {name}");
        match (reply.status, code.as_str()) {
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidSecurity") | (401, _) => Error::forbidden(format!(
                "{head}: the server does not take the access key or its secret ({code}); add the storage with good ones"
            ))
            .with_code("destination_auth"),
            (_, "RequestTimeTooSkewed") => {
                Error::failed("clock_skew", format!("{head}: this machine's clock and the server's are too far apart; set both by NTP"))
            }
            (_, "NoSuchBucket") => Error::failed("no_bucket", format!("{head}: there is no such bucket; create it, or name another")),
            (507, _) | (_, "QuotaExceeded" | "XMinioStorageFull" | "InsufficientStorage") => {
                Error::new(Kind::NoSpace, "no_space", format!("{head}: no space left there; free some, or raise the quota"))
            }
            (404 | 416, _) => Error::integrity(format!(
                "{head}: it is not there as it was stored ({}); the backups that need it are damaged",
                reply.status
            )),
            (403, _) => Error::forbidden(format!(
                "{head}: the access key may not do this ({code}); give it the right to list, read, write and delete there"
            )),
            (status, _) => {
                Error::failed("storage_refused", format!("{head}: the server answered {status} {} {}", shown(&code), shown(&said)))
            }
        }
    }
}

/// The body in small pieces, at the storage's pace, each of them a sign of life when it is taken.
fn moving(pieces: &[Bytes], beat: &Beat, pace: &Arc<Pace>) -> reqwest::Body {
    let mut small = Vec::new();
    for piece in pieces {
        let mut rest = piece.clone();
        while !rest.is_empty() {
            small.push(rest.split_to(rest.len().min(PIECE)));
        }
    }
    let (beat, pace) = (beat.clone(), pace.clone());
    reqwest::Body::wrap_stream(stream::iter(small).then(move |piece| {
        let (beat, pace) = (beat.clone(), pace.clone());
        async move {
            pace.pass(piece.len(), || beat.touch()).await;
            beat.touch();
            Ok::<_, Infallible>(piece)
        }
    }))
}

/// Why the same may be asked again, for answers that say so.
fn later(reply: &Reply) -> Option<String> {
    let again = match reply.status {
        408 | 429 | 500 | 502 | 503 | 504 => true,
        400 | 409 => matches!(reply.code().as_str(), "RequestTimeout" | "OperationAborted" | "ConditionalRequestConflict"),
        _ => false,
    };
    again.then(|| format!("it answered {} {}", reply.status, reply.code()).trim_end().to_owned())
}

/// The innermost cause: the outer ones only repeat the URL. And our own word, where it is a refusal.
fn plain(e: reqwest::Error) -> (String, Option<Error>) {
    let mut cause: &(dyn std::error::Error + 'static) = &e;
    let mut own = None;
    loop {
        own = own.or_else(|| cause.downcast_ref::<Error>().filter(|e| !e.is_transient()).cloned());
        match cause.source() {
            Some(inner) => cause = inner,
            None => return (cause.to_string(), own),
        }
    }
}
