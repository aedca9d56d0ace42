//! A terminal: the WebSocket of a node's console.

use crate::{Client, With, problem, unreachable};
use futures::{SinkExt, StreamExt};
use mainstay_api_types::{ConsoleAsked, ConsoleSaid};
use mainstay_model::{Error, Result};
use reqwest::{Method, Upgraded, Version};
use std::time::Duration;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::Role,
    },
};

const PROTOCOL: &str = "mainstay.terminal.v1";
/// The server says at least that it is there, every twenty seconds.
const SILENCE: Duration = Duration::from_secs(75);

pub struct Terminal {
    socket: WebSocketStream<Upgraded>,
}

impl Client {
    /// `path` is that of the node. An error is what the server had against it.
    pub async fn terminal(&self, path: &str, with: &With) -> Result<Terminal> {
        let key = generate_key();
        let request = self.request(Method::GET, &format!("{path}/terminal"), with).version(Version::HTTP_11);
        let request = request.header("Connection", "Upgrade").header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13");
        let request = request.header("Sec-WebSocket-Key", &key).header("Sec-WebSocket-Protocol", PROTOCOL);
        let response = request.send().await.map_err(unreachable)?;
        if response.status().as_u16() != 101 {
            problem::check(response).await?;
            return Err(strange());
        }
        let accepted =
            response.headers().get("sec-websocket-accept").is_some_and(|v| v.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes());
        if !accepted {
            return Err(strange());
        }
        let upgraded = response.upgrade().await.map_err(unreachable)?;
        Ok(Terminal { socket: WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await })
    }
}

fn strange() -> Error {
    Error::unavailable("unexpected_answer", "the server does not answer as a terminal does; is it Mainstay?")
}

fn cut() -> Error {
    Error::unavailable("server_unreachable", "the connection to Mainstay broke off; databases go on, an open transaction was rolled back")
}

impl Terminal {
    pub async fn tell(&mut self, asked: &ConsoleAsked) -> Result<()> {
        let text = serde_json::to_string(asked).map_err(Error::internal)?;
        self.socket.send(Message::text(text)).await.map_err(|_| cut())
    }

    /// What it says next; `None` after its last word. May be dropped while it waits.
    pub async fn next(&mut self) -> Result<Option<ConsoleSaid>> {
        loop {
            match tokio::time::timeout(SILENCE, self.socket.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => {
                    let unread = |e| Error::internal(format!("what the terminal said does not read: {e}"));
                    return serde_json::from_str(&text).map(Some).map_err(unread);
                }
                Ok(Some(Ok(Message::Close(_))) | None) => return Ok(None),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(_))) | Err(_) => return Err(cut()),
            }
        }
    }
}
