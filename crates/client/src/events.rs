//! Server-sent events of an operation.

use futures::StreamExt;
use mainstay_api_types::Operation;
use mainstay_model::{Error, Result};
use reqwest::Response;
use std::pin::Pin;

/// Longest event taken; an operation is a few kilobytes.
const MAX_EVENT: usize = 1024 * 1024;

pub struct Events {
    bytes: Pin<Box<dyn futures::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    buffer: Vec<u8>,
}

impl Events {
    pub(crate) fn new(response: Response) -> Self {
        Events { bytes: Box::pin(response.bytes_stream()), buffer: Vec::new() }
    }

    /// The next state, or `None` when the stream ended (which says nothing about the operation: look
    /// at the last state, and watch again if it was not over).
    pub async fn next(&mut self) -> Result<Option<Operation>> {
        loop {
            while let Some(event) = self.take_event() {
                if let Some(data) = data_of(&event) {
                    return serde_json::from_str(&data).map(Some).map_err(|e| Error::internal(format!("an event does not read: {e}")));
                }
            }
            if self.buffer.len() > MAX_EVENT {
                return Err(Error::internal("an event is too long"));
            }
            match self.bytes.next().await {
                Some(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }

    fn take_event(&mut self) -> Option<String> {
        let end = self.buffer.windows(2).position(|w| w == b"\n\n")?;
        let event: Vec<u8> = self.buffer.drain(..end + 2).collect();
        Some(String::from_utf8_lossy(&event).into_owned())
    }
}

/// Comments (keep-alives) have no data.
fn data_of(event: &str) -> Option<String> {
    let lines: Vec<&str> = event.lines().filter_map(|l| l.strip_prefix("data:")).map(|l| l.strip_prefix(' ').unwrap_or(l)).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::data_of;

    #[test]
    fn data_lines_are_joined_and_comments_skipped() {
        assert_eq!(data_of(": keep-alive\n\n"), None);
        assert_eq!(data_of("event: x\ndata: {\"a\":\ndata: 1}\n\n").as_deref(), Some("{\"a\":\n1}"));
    }
}
