//! The agent's side.

use crate::{MAX_MESSAGE, Verb, proto, verbs::Cancel};
use async_trait::async_trait;
use futures::Stream;
use mainstay_drivers::progress::Progress;
use mainstay_model::{Error, Result};
use std::{
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::UnixListener,
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status};

/// One call as it came in.
#[derive(Debug, Clone)]
pub struct Call {
    pub verb: String,
    pub arguments: String,
    pub operation: String,
    pub generation: i64,
}

impl Call {
    /// The arguments as the verb they must be.
    pub fn read<V: Verb>(&self) -> Result<V> {
        serde_json::from_str(&self.arguments).map_err(|e| Error::malformed(format!("arguments of {} do not read: {e}", V::NAME)))
    }
}

/// Where a performer puts bytes. Slow readers slow it down; a reader that went away is an error.
#[derive(Clone)]
pub struct Out(mpsc::Sender<Result<proto::Event, Status>>);

/// Where a performer's bytes come out, without a transport in between.
pub struct Heard(mpsc::Receiver<Result<proto::Event, Status>>);

impl Heard {
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(proto::event::Kind::Chunk(bytes)) = self.0.recv().await?.ok()?.kind {
                return Some(bytes);
            }
        }
    }
}

impl Out {
    /// One that is read by whoever has the other half.
    pub fn pair() -> (Out, Heard) {
        let (tx, rx) = mpsc::channel(8);
        (Out(tx), Heard(rx))
    }
    pub async fn chunk(&self, bytes: Vec<u8>) -> Result<()> {
        let event = proto::Event { kind: Some(proto::event::Kind::Chunk(bytes)) };
        self.0.send(Ok(event)).await.map_err(|_| Error::unavailable("reader_gone", "the reader went away"))
    }
    /// Waits until nobody reads any more.
    pub async fn gone(&self) {
        self.0.closed().await;
    }
    pub fn blocking_chunk(&self, bytes: Vec<u8>) -> Result<()> {
        let event = proto::Event { kind: Some(proto::event::Kind::Chunk(bytes)) };
        self.0.blocking_send(Ok(event)).map_err(|_| Error::unavailable("reader_gone", "the reader went away"))
    }
}

/// Performs verbs. The returned text is the verb's reply as JSON.
#[async_trait]
pub trait Performer: Send + Sync + 'static {
    async fn perform(&self, call: Call, progress: Progress, out: Out) -> Result<String>;
}

struct Service {
    performer: Arc<dyn Performer>,
    running: Arc<Running>,
}

/// Effects under way, so that they can be asked to stop.
#[derive(Default)]
struct Running(Mutex<Vec<(String, Progress, watch::Receiver<bool>)>>);

impl Running {
    fn begin(&self, operation: &str, progress: &Progress) -> watch::Sender<bool> {
        let (done, receiver) = watch::channel(false);
        let mut all = self.0.lock().unwrap_or_else(|e| e.into_inner());
        all.retain(|(_, _, r)| !*r.borrow() && r.has_changed().is_ok());
        all.push((operation.into(), progress.clone(), receiver));
        done
    }

    /// Asks all effects of `operation` to stop and waits until they ended, however they did.
    async fn cancel(&self, operation: &str) {
        let mine: Vec<_> = {
            let all = self.0.lock().unwrap_or_else(|e| e.into_inner());
            all.iter().filter(|(o, _, _)| o == operation).cloned().collect()
        };
        for (_, progress, mut done) in mine {
            progress.cancel();
            let _ = done.wait_for(|ended| *ended).await;
        }
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<proto::Event, Status>> + Send>>;

#[async_trait]
impl proto::agent_server::Agent for Service {
    type PerformStream = Events;

    async fn perform(&self, request: Request<proto::Request>) -> Result<Response<Events>, Status> {
        let r = request.into_inner();
        let call = Call { verb: r.verb, arguments: r.arguments, operation: r.operation, generation: r.generation };
        let (tx, rx) = mpsc::channel(8);
        // A task of its own: an effect goes on to its end although the caller went away.
        tokio::spawn(run(self.performer.clone(), self.running.clone(), call, tx));
        Ok(Response::new(Box::pin(ReceiverStream::new(rx))))
    }
}

async fn run(performer: Arc<dyn Performer>, running: Arc<Running>, call: Call, tx: mpsc::Sender<Result<proto::Event, Status>>) {
    let progress = Progress::default();
    let work = tokio::spawn({
        let (progress, out) = (progress.clone(), Out(tx.clone()));
        async move {
            if call.verb == Cancel::NAME {
                running.cancel(&call.read::<Cancel>()?.operation).await;
                return Ok("{}".into());
            }
            let done = running.begin(&call.operation, &progress);
            let end = performer.perform(call, progress, out).await;
            let _ = done.send(true);
            end
        }
    });
    tokio::pin!(work);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let mut said = None;
    let end = loop {
        tokio::select! {
            end = &mut work => break end,
            _ = tick.tick() => {
                let now = progress.look();
                if said.as_ref() != Some(&now) {
                    let p = proto::Progress { done: now.done, total: now.total, sentence: now.sentence.clone() };
                    let _ = tx.try_send(Ok(proto::Event { kind: Some(proto::event::Kind::Progress(p)) }));
                    said = Some(now);
                }
            }
        }
    };
    let end = end.unwrap_or_else(|panic| Err(Error::internal(format!("an agent verb panicked: {panic}"))));
    let kind = match end {
        Ok(json) => proto::event::Kind::Reply(json),
        Err(e) => proto::event::Kind::Error(serde_json::to_string(&e).unwrap_or_default()),
    };
    let _ = tx.send(Ok(proto::Event { kind: Some(kind) })).await;
}

/// Serves `performer` on a Unix socket (0600) until `shutdown` resolves. Calls under way go on to
/// their end in the background; the process decides how long it waits for them.
pub async fn serve(socket: &Path, performer: Arc<dyn Performer>, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    let service = proto::agent_server::AgentServer::new(Service { performer, running: Arc::default() })
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    tokio::select! {
        served = tonic::transport::Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener)) => {
            served.map_err(|e| Error::failed("agent_socket", format!("the agent's socket {} failed: {e}", socket.display())))
        }
        () = shutdown => Ok(()),
    }
}
