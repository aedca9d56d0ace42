//! Another S3 server, of another make, that knows versions and object lock; a child of the test. It checks
//! no signatures: what those are good for is tried elsewhere.
#![allow(clippy::disallowed_methods, reason = "the server is a program that scripts/setup.sh test fetches")]

use super::{OWN, RECOVERY};
use mainstay_drivers::{engine::Chunking, storage::*};
use mainstay_model::{ClusterId, ProjectId, Secret, StorageId};
use reqwest::{Method, Response};
use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

pub struct Moto {
    child: Child,
    pub address: SocketAddr,
}

impl Moto {
    /// `None`, with a line that says so, where it is not installed.
    pub async fn start() -> Option<Moto> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.deps/moto/bin/moto_server");
        if !program.exists() {
            mainstay_testkit::skipped("object lock: scripts/setup.sh test fetches a server that has it");
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &address.port().to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moto = Moto { child, address };
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return Some(moto);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server does not listen at {address}");
    }

    pub async fn ask(&self, method: Method, path: &str, header: Option<(&str, &str)>) -> Response {
        let mut ask = reqwest::Client::new().request(method, format!("http://{}/{path}", self.address)).header("authorization", SIGNED);
        if let Some((name, value)) = header {
            ask = ask.header(name, value);
        }
        ask.send().await.unwrap()
    }

    pub async fn bucket(&self, name: &str, locks: bool) {
        let header = locks.then_some(("x-amz-bucket-object-lock-enabled", "true"));
        let made = self.ask(Method::PUT, name, header).await;
        assert!(made.status().is_success(), "{made:?}");
    }

    /// Key and version of everything that is or was in the bucket, without the marks of removals.
    pub async fn versions(&self, bucket: &str) -> Vec<(String, String)> {
        let said = self.ask(Method::GET, &format!("{bucket}?versions"), None).await.text().await.unwrap();
        let inside = |text: &str, tag: &str| {
            let rest = text.split_once(&format!("<{tag}>")).unwrap_or_else(|| panic!("{tag}: {text}")).1;
            rest.split_once(&format!("</{tag}>")).unwrap().0.to_owned()
        };
        said.split("<Version>").skip(1).map(|v| (inside(v, "Key"), inside(v, "VersionId"))).collect()
    }

    pub fn reference(&self, bucket: &str) -> RepositoryRef {
        let place = S3Place {
            endpoint: format!("http://{}", self.address),
            bucket: bucket.into(),
            prefix: "backups".into(),
            s3_region: None,
            path_style: PathStyle::Auto,
            access_key: "AKIATEST".into(),
            ca: None,
        };
        let storage = StorageSpec {
            id: StorageId::new(),
            name: "vault".into(),
            place: Place::S3(place),
            secret: Some(Secret::new("secret")),
            limits: Default::default(),
            edition: 1,
        };
        RepositoryRef {
            storage,
            project: ProjectId::new(),
            cluster: ClusterId::new(),
            chunking: Chunking::Fixed(64 << 10),
            keys: RepositoryKeys { own: Secret::new(OWN), recovery: vec![Secret::new(RECOVERY)] },
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
