//! A gateway in a temporary directory, backends that say who they are, and clients that come
//! from addresses of their choice.

use mainstay_gateway::{Client, Options, run};
use mainstay_model::{
    AllowEntry, ClusterId, Result,
    cluster::SocketAddress,
    route::{ClusterRoute, Route, RouteStatus, Target},
};
use rand::RngExt;
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(10);

/// A loopback address nobody else uses, with a port below the ephemeral range.
pub fn fresh() -> SocketAddress {
    let mut rng = rand::rng();
    let host = Ipv4Addr::new(127, rng.random_range(64..128), rng.random(), rng.random_range(1..255));
    SocketAddress { host: host.to_string(), port: rng.random_range(10_000..30_000) }
}

pub fn addr(at: &SocketAddress) -> SocketAddr {
    at.to_string().parse().unwrap()
}

pub fn allow(list: &[&str]) -> Vec<AllowEntry> {
    list.iter().enumerate().map(|(i, text)| AllowEntry::parse(text, "", i).unwrap()).collect()
}

pub struct World {
    pub dir: TempDir,
    pub client: Client,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<()>>>,
}

impl World {
    pub async fn new() -> Self {
        World::with(tempfile::tempdir().unwrap(), 10_000).await
    }

    pub async fn with(dir: TempDir, max_sessions: usize) -> Self {
        let client = Client::new(dir.path().join("run/gateway.sock"));
        let mut world = World { dir, client, stop: CancellationToken::new(), task: None };
        world.start(max_sessions).await;
        world
    }

    pub fn options(&self, max_sessions: usize) -> Options {
        let dir = self.dir.path();
        Options { socket: dir.join("run/gateway.sock"), state_file: dir.join("state/routes.json"), max_sessions }
    }

    pub async fn start(&mut self, max_sessions: usize) {
        self.stop = CancellationToken::new();
        self.task = Some(tokio::spawn(run(self.options(max_sessions), self.stop.clone())));
        eventually("the gateway answers", async || self.client.ping().await.is_ok()).await;
    }

    pub async fn stop(&mut self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task.take().unwrap()).await.expect("the gateway stops").unwrap().unwrap();
    }

    pub async fn status(&self, route: &ClusterRoute) -> RouteStatus {
        self.client.status().await.unwrap()[&route.cluster].clone()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub fn route(listen: SocketAddress, target: Target) -> ClusterRoute {
    ClusterRoute {
        cluster: ClusterId::new(),
        generation: 1,
        allow_list: vec![],
        read_write: Route { listen, target },
        read_only: None,
        hold_ms: 5_000,
    }
}

pub fn led_to(backend: &Backend) -> Target {
    Target::To(vec![backend.at.clone()])
}

/// Says its name and a newline to each connection, then echoes until the client's half closes,
/// and says `bye` before it closes its own.
pub struct Backend {
    pub at: SocketAddress,
    seen: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Backend {
    pub async fn new(name: &'static str) -> Self {
        Backend::at(name, fresh()).await
    }

    pub async fn at(name: &'static str, at: SocketAddress) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(addr(&at)).unwrap();
        let listener = socket.listen(4096).unwrap();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let task = tokio::spawn(async move { serve(listener, name, &count).await });
        Backend { at, seen, task }
    }

    /// Connections so far.
    pub fn seen(&self) -> usize {
        self.seen.load(SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, name: &'static str, count: &AtomicUsize) {
    let mut sessions = JoinSet::new();
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        count.fetch_add(1, SeqCst);
        sessions.spawn(async move {
            stream.write_all(format!("{name}\n").as_bytes()).await?;
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await?;
            to.write_all(b"bye").await
        });
    }
}

/// Connects from 127.0.0.`last`.
pub async fn connect_from(last: u8, to: &SocketAddress) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
    timeout(PATIENCE, socket.connect(addr(to))).await?
}

/// The line a backend greets with, or `None` where the connection ended without a byte.
pub async fn greeting(stream: &mut TcpStream) -> Option<String> {
    let mut name = Vec::new();
    loop {
        match timeout(PATIENCE, stream.read_u8()).await.expect("a greeting or an end") {
            Ok(b'\n') => return Some(String::from_utf8(name).unwrap()),
            Ok(byte) => name.push(byte),
            Err(_) => {
                assert!(name.is_empty(), "the connection ended in the middle of a greeting");
                return None;
            }
        }
    }
}

/// Connects and says which backend greeted.
pub async fn reached(last: u8, to: &SocketAddress) -> Option<String> {
    greeting(&mut connect_from(last, to).await.ok()?).await
}

/// Writes `text` and reads it back.
pub async fn echoes(stream: &mut TcpStream, text: &str) -> bool {
    let mut back = vec![0; text.len()];
    let exchange = async {
        stream.write_all(text.as_bytes()).await?;
        stream.read_exact(&mut back).await.map(drop)
    };
    timeout(PATIENCE, exchange).await.expect("an echo or an end").is_ok() && back == text.as_bytes()
}

/// Whether the connection was reset already: no waiting, `set` has promised it.
pub async fn is_cut(stream: &mut TcpStream) -> bool {
    let read = timeout(Duration::from_millis(500), stream.read_u8()).await;
    matches!(read, Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionReset)
}

pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if holds().await {
            return;
        }
        sleep(Duration::from_millis(25)).await;
    }
    panic!("not within ten seconds: {what}");
}
