//! A receiver of webhooks, as good or bad as a test wants it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

pub struct Receiver {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
enum Does {
    Answer(String),
    Close,
    Hang,
}

impl Receiver {
    pub async fn answering(status: &str) -> Receiver {
        Receiver::start(Does::Answer(status.into())).await
    }
    pub async fn closing() -> Receiver {
        Receiver::start(Does::Close).await
    }
    pub async fn hanging() -> Receiver {
        Receiver::start(Does::Hang).await
    }

    async fn start(does: Does) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, got) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(vec![])));
        let seen = got.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, does.clone(), seen.clone()));
            }
        });
        Receiver { address, got, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn got(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }

    /// The address of a receiver that is no more.
    pub async fn gone(mut self) -> String {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.url("/token-in-path")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, does: Does, got: Arc<Mutex<Vec<Request>>>) {
    let Some(request) = read(&mut stream).await else { return };
    match does {
        Does::Close => {}
        Does::Hang => std::future::pending().await,
        Does::Answer(status) => {
            got.lock().unwrap().push(request);
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 13\r\nConnection: close\r\n\r\nprivate words");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = vec![];
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let line = lines.next()?.to_string();
    let headers: Vec<(String, String)> =
        lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_string())).collect();
    let length: usize = headers.iter().find(|(n, _)| n == "content-length")?.1.parse().ok()?;
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Request { line, headers, body })
}
