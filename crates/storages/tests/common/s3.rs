//! A real S3 server in the test's own process, that checks signatures, honours conditions and knows
//! uploads in parts; and in front of it a script of what goes wrong.

use super::{OWN, RECOVERY};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::Response,
};
use mainstay_drivers::{engine::Chunking, storage::*};
use mainstay_model::{ClusterId, ProjectId, Secret, StorageId};
use s3s::{
    S3, S3Request, S3Response, S3Result,
    auth::SimpleAuth,
    dto,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tower::ServiceExt;

pub const ACCESS: &str = "AKIATEST";
pub const SECRET: &str = "a secret access key/of+the=test";
/// Short, and nothing may lie deep below it: the server keeps an upload's bucket and key in one file name.
pub const BUCKET: &str = "bak";

pub struct S3Server {
    pub dir: tempfile::TempDir,
    pub address: SocketAddr,
    inside: Arc<Inside>,
    task: tokio::task::JoinHandle<()>,
}

struct Inside {
    service: S3Service,
    script: Mutex<Arc<Script>>,
    seen: Mutex<Vec<Seen>>,
}

/// Decides what becomes of a request.
pub type Script = dyn Fn(&Seen) -> Fault + Send + Sync;

#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Below the bucket, with the query.
    pub what: String,
    pub bytes: usize,
}

impl Seen {
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.what.contains(part)
    }
}

#[derive(Debug, Clone)]
pub enum Fault {
    None,
    /// This instead of doing it.
    Answer(u16, &'static str),
    Hang,
    /// Done, and the answer lost on the way.
    LoseReply,
    /// A byte of the answer is another one.
    WrongByte,
    /// The answer ends early and its length says so: it looks whole.
    Shortened,
    /// The connection is reset half way through the answer, which says how long it would have been.
    ResetHalfway,
    /// The connection is reset half way through the request's body; nothing was done.
    ResetUpload,
    /// The answer comes in sixteen pieces, each of them after a pause.
    Drip(Duration),
    /// The answer begins, and then nothing more of it comes.
    Dry,
}

impl S3Server {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(Disk(FileSystem::new(dir.path()).unwrap()));
        builder.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
        let inside = Inside { service: builder.build(), script: Mutex::new(Arc::new(|_| Fault::None)), seen: Mutex::default() };
        let inside = Arc::new(inside);
        let router = Router::new().fallback(serve).with_state(inside.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        S3Server { dir, address, inside, task }
    }

    pub fn script(&self, script: impl Fn(&Seen) -> Fault + Send + Sync + 'static) {
        *self.inside.script.lock().unwrap() = Arc::new(script);
    }

    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.inside.seen.lock().unwrap())
    }

    pub fn spec(&self, prefix: &str) -> StorageSpec {
        StorageSpec {
            id: StorageId::new(),
            name: "cloud".into(),
            place: Place::S3(S3Place {
                endpoint: format!("http://{}", self.address),
                bucket: BUCKET.into(),
                prefix: prefix.into(),
                s3_region: None,
                path_style: PathStyle::Auto,
                access_key: ACCESS.into(),
                ca: None,
            }),
            secret: Some(Secret::new(SECRET)),
            limits: Default::default(),
            edition: 1,
        }
    }

    pub fn reference(&self, prefix: &str, chunking: Chunking) -> RepositoryRef {
        RepositoryRef {
            storage: self.spec(prefix),
            project: ProjectId::new(),
            cluster: ClusterId::new(),
            chunking,
            keys: RepositoryKeys { own: Secret::new(OWN), recovery: vec![Secret::new(RECOVERY)] },
        }
    }

    /// The objects in the bucket, and parts of uploads nobody finished.
    pub fn left(&self) -> Vec<String> {
        let mut found = Vec::new();
        files(self.dir.path(), &mut found);
        let interesting = |p: &PathBuf| {
            let name = p.file_name().unwrap().to_string_lossy();
            p.starts_with(self.dir.path().join(BUCKET)) || name.contains("upload")
        };
        found.retain(interesting);
        let mut names: Vec<String> =
            found.iter().map(|p| p.strip_prefix(self.dir.path()).unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// The server's own disk, where an empty delimiter (restic sends one) is none.
struct Disk(FileSystem);

macro_rules! passes_on {
    ($($name:ident: $input:ident -> $output:ident,)*) => {
        #[async_trait::async_trait]
        impl S3 for Disk {
            async fn list_objects_v2(&self, mut r: S3Request<dto::ListObjectsV2Input>) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
                r.input.delimiter = r.input.delimiter.filter(|d| !d.is_empty());
                self.0.list_objects_v2(r).await
            }
            $(async fn $name(&self, r: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> { self.0.$name(r).await })*
        }
    };
}

passes_on! {
    get_bucket_location: GetBucketLocationInput -> GetBucketLocationOutput,
    head_bucket: HeadBucketInput -> HeadBucketOutput,
    get_object: GetObjectInput -> GetObjectOutput,
    head_object: HeadObjectInput -> HeadObjectOutput,
    put_object: PutObjectInput -> PutObjectOutput,
    delete_object: DeleteObjectInput -> DeleteObjectOutput,
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput,
    upload_part: UploadPartInput -> UploadPartOutput,
    list_parts: ListPartsInput -> ListPartsOutput,
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput,
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput,
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn files(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), into);
        } else {
            into.push(entry.path());
        }
    }
}

async fn serve(State(inside): State<Arc<Inside>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let length = parts.headers.get("content-length").and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
    let what = parts.uri.path_and_query().map_or("", |p| p.as_str());
    let what = what.strip_prefix(&format!("/{BUCKET}")).unwrap_or(what).to_owned();
    let seen = Seen { method: parts.method.to_string(), what, bytes: length };
    let script = inside.script.lock().unwrap().clone();
    inside.seen.lock().unwrap().push(seen.clone());
    let fault = script(&seen);
    if matches!(fault, Fault::ResetUpload) {
        let mut body = body.into_data_stream();
        let mut taken = 0;
        while taken < length / 2 {
            let Some(Ok(piece)) = futures::StreamExt::next(&mut body).await else { break };
            taken += piece.len();
        }
        return broken(vec![], "100");
    }
    // Taken in first: a client that is refused half way through its body sees a reset, not the answer.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let pass = || async { inside.service.clone().oneshot(Request::from_parts(parts, Body::from(body))).await.unwrap().map(Body::new) };
    match fault {
        Fault::None => pass().await,
        Fault::Answer(status, text) => Response::builder().status(status).body(Body::from(text)).unwrap(),
        Fault::Hang => std::future::pending().await,
        Fault::LoseReply => {
            pass().await;
            broken(vec![], "100")
        }
        Fault::ResetUpload => unreachable!("it was answered"),
        Fault::ResetHalfway => {
            let (parts, bytes) = whole(pass().await).await;
            let half = bytes.slice(..bytes.len() / 2);
            let broken = broken(vec![half], &bytes.len().to_string());
            Response::from_parts(parts, broken.into_body())
        }
        Fault::Drip(pause) => {
            let (parts, bytes) = whole(pass().await).await;
            let pieces: Vec<Bytes> = bytes.chunks(bytes.len().div_ceil(16).max(1)).map(Bytes::copy_from_slice).collect();
            let drops = futures::StreamExt::then(futures::stream::iter(pieces), move |piece| async move {
                tokio::time::sleep(pause).await;
                Ok::<_, std::io::Error>(piece)
            });
            Response::from_parts(parts, Body::from_stream(drops))
        }
        Fault::Dry => {
            let (parts, bytes) = whole(pass().await).await;
            let first = futures::stream::once(std::future::ready(Ok::<_, std::io::Error>(bytes.slice(..bytes.len() / 2))));
            let then = futures::StreamExt::chain(first, futures::stream::pending());
            Response::from_parts(parts, Body::from_stream(then))
        }
        Fault::WrongByte => changed(pass().await, |bytes| bytes[0] ^= 1).await,
        Fault::Shortened => changed(pass().await, |bytes| bytes.truncate(bytes.len() / 2)).await,
    }
}

/// Says that `length` bytes come, gives these and resets the connection.
fn broken(pieces: Vec<Bytes>, length: &str) -> Response<Body> {
    let gone = std::iter::once(Err::<Bytes, _>(std::io::Error::other("gone")));
    let all = futures::stream::iter(pieces.into_iter().map(Ok).chain(gone));
    Response::builder().header("content-length", length).body(Body::from_stream(all)).unwrap()
}

async fn whole(response: Response<Body>) -> (axum::http::response::Parts, Bytes) {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    parts.headers.insert("content-length", bytes.len().into());
    (parts, bytes)
}

async fn changed(response: Response<Body>, change: impl FnOnce(&mut Vec<u8>)) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    if !bytes.is_empty() {
        change(&mut bytes);
    }
    parts.headers.insert("content-length", bytes.len().into());
    Response::from_parts(parts, Body::from(bytes))
}
