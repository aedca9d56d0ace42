//! The control plane's side.

use crate::{MAX_MESSAGE, Verb, proto};
use bytes::Bytes;
use futures::Stream;
use hyper_util::rt::TokioIo;
use mainstay_drivers::progress::Snapshot;
use mainstay_model::{Error, Result};
use std::{path::PathBuf, pin::Pin, time::Duration};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

/// A connection to one agent. Cheap to clone; reconnects by itself.
#[derive(Clone)]
pub struct Agent {
    inner: proto::agent_client::AgentClient<Channel>,
}

pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

impl Agent {
    /// Connects lazily: an agent that is not there yet is an error of the first call.
    pub fn on_socket(path: PathBuf) -> Result<Self> {
        let connect = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://agent.invalid").connect_timeout(Duration::from_secs(5));
        Ok(Self::over(endpoint.connect_with_connector_lazy(connect)))
    }

    /// Over any channel; tests use one in memory.
    pub fn over(channel: Channel) -> Self {
        let inner =
            proto::agent_client::AgentClient::new(channel).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
        Agent { inner }
    }

    /// Performs a verb that changes something, for `operation` at `generation`, telling `progress`
    /// how far it is. Dropping the future does not stop the agent: an effect runs to its end and
    /// the same call, made again, waits for it or finds it done.
    pub async fn perform<V: Verb>(
        &self,
        operation: &str,
        generation: i64,
        verb: &V,
        mut progress: impl FnMut(Snapshot) + Send,
    ) -> Result<V::Reply> {
        let mut events = self.events(operation, generation, verb).await?;
        while let Some(event) = events.message().await.map_err(lost)? {
            match event.kind {
                Some(proto::event::Kind::Progress(p)) => progress(Snapshot { done: p.done, total: p.total, sentence: p.sentence }),
                Some(proto::event::Kind::Reply(json)) => return read(&json),
                Some(proto::event::Kind::Error(json)) => return Err(read::<Error>(&json)?),
                Some(proto::event::Kind::Chunk(_)) | None => {}
            }
        }
        Err(Error::unavailable("agent_reply_lost", "the agent's reply got lost; the same call may be made again"))
    }

    /// Looks at something; changes nothing.
    pub async fn look<V: Verb>(&self, verb: &V) -> Result<V::Reply> {
        self.perform("", 0, verb, |_| {}).await
    }

    /// A verb that answers with bytes. The stream ends with an error if the verb did.
    pub async fn chunks<V: Verb>(&self, verb: &V) -> Result<Chunks> {
        let events = self.events("", 0, verb).await?;
        Ok(Box::pin(futures::stream::try_unfold(events, |mut events| async move {
            loop {
                let Some(event) = events.message().await.map_err(lost)? else {
                    return Err(Error::unavailable("agent_reply_lost", "the agent stopped sending before the end"));
                };
                match event.kind {
                    Some(proto::event::Kind::Chunk(bytes)) => return Ok(Some((Bytes::from(bytes), events))),
                    Some(proto::event::Kind::Error(json)) => return Err(read::<Error>(&json)?),
                    Some(proto::event::Kind::Reply(_)) => return Ok(None),
                    Some(proto::event::Kind::Progress(_)) | None => {}
                }
            }
        })))
    }

    async fn events<V: Verb>(&self, operation: &str, generation: i64, verb: &V) -> Result<tonic::Streaming<proto::Event>> {
        let request = proto::Request {
            verb: V::NAME.into(),
            arguments: serde_json::to_string(verb).map_err(Error::internal)?,
            operation: operation.into(),
            generation,
        };
        Ok(self.inner.clone().perform(request).await.map_err(lost)?.into_inner())
    }
}

fn read<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| Error::internal(format!("the agent's reply does not read: {e}")))
}

/// Transport trouble says nothing about whether the effect happened.
fn lost(status: tonic::Status) -> Error {
    Error::unavailable("agent_unreachable", "the host's agent does not answer; its databases go on, and this is tried again")
        .with_inside(status)
}
