//! What is said on the control socket: one JSON document a line, a request and its reply.
//!
//! An agent may be newer than the gateway it finds running, because the gateway outlives
//! upgrades. So every line carries a version, and unknown fields are passed over.

use mainstay_model::{ClusterId, Error, Result, route::ClusterRoute};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub(crate) const VERSION: u32 = 1;
/// A full allow-list with long notes is about 1 MiB.
pub(crate) const MAX_REQUEST_BYTES: u64 = 4 << 20;
/// The statuses of some tens of thousands of clusters.
pub(crate) const MAX_REPLY_BYTES: u64 = 32 << 20;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    Set(ClusterRoute),
    Remove(ClusterId),
    Status,
    Ping,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Ok(serde_json::Value),
    Error(Error),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Message<T> {
    version: u32,
    body: T,
}

pub(crate) async fn send<T: Serialize>(to: &mut (impl AsyncWrite + Unpin), body: T) -> Result<()> {
    let mut line = serde_json::to_vec(&Message { version: VERSION, body }).map_err(Error::internal)?;
    line.push(b'\n');
    to.write_all(&line).await?;
    Ok(())
}

/// The next message, or `None` where the other side is done.
pub(crate) async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncBufRead + Unpin), limit: u64) -> Result<Option<T>> {
    let mut line = Vec::new();
    let read = from.take(limit).read_until(b'\n', &mut line).await?;
    if read == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        return Err(Error::malformed(format!("a line of the gateway's protocol is complete and at most {limit} bytes long")));
    }
    // The version first: what another version says need not be readable.
    let unreadable = |e: serde_json::Error| Error::malformed(format!("not a line of the gateway's protocol: {e}"));
    let message: Message<serde_json::Value> = serde_json::from_slice(&line).map_err(unreadable)?;
    if message.version != VERSION {
        let text = format!("this side speaks version {VERSION} of the gateway's protocol, the other {}", message.version);
        return Err(Error::failed("gateway_version", text + "; restart the gateway with the newer program"));
    }
    serde_json::from_value(message.body).map(Some).map_err(unreadable)
}
