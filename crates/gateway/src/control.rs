//! The control socket: who may speak to the gateway, and the calls it answers.

use crate::{
    hub::Hub,
    saved::private_parent,
    wire::{self, Call, MAX_REQUEST_BYTES, Outcome},
};
use mainstay_model::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::BufReader,
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

/// The agent needs one; more are people who look.
const MAX_CALLERS: usize = 32;
/// A caller that says nothing for so long is let go.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// The bound socket. The lock beside it is what makes a gateway the only one: a socket file
/// alone cannot tell a dead owner from one about to start.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
    _lock: File,
}

impl Control {
    pub(crate) async fn bind(path: &Path) -> Result<Self> {
        private_parent(path)?;
        let lock = lock_beside(path)?;
        if UnixStream::connect(path).await.is_ok() {
            return Err(taken(path, "another process"));
        }
        match fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(unusable(path, e)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(|e| unusable(path, e))?;
        // Until here the peer's identity, checked for each caller, keeps others out.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(|e| unusable(path, e))?;
        Ok(Control { listener, path: path.into(), _lock: lock })
    }

    /// Answers callers for as long as it is polled.
    pub(crate) async fn serve(&self, hub: Arc<Hub>) {
        let room = Arc::new(Semaphore::new(MAX_CALLERS));
        loop {
            let caller = match self.listener.accept().await {
                Ok((caller, _)) => caller,
                Err(e) => {
                    tracing::warn!("the control socket cannot accept: {e}");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            if !is_trusted(&caller) {
                tracing::warn!("a process of another user was kept from the control socket");
                continue;
            }
            // The semaphore is never closed; without room the caller is hung up on.
            let Ok(place) = room.clone().try_acquire_owned() else { continue };
            let hub = hub.clone();
            tokio::spawn(async move {
                let _place = place;
                converse(caller, &hub).await;
            });
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn lock_beside(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&name);
    let mut lock = open.map_err(|e| unusable(Path::new(&name), e))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = lock.read_to_string(&mut pid);
        return Err(taken(path, &format!("process {}", pid.trim())));
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(|e| unusable(Path::new(&name), e))?;
    Ok(lock)
}

fn taken(path: &Path, by: &str) -> Error {
    Error::conflict("gateway_running", format!("{by} serves as the gateway at {} already; stop it first", path.display()))
}

fn unusable(path: &Path, e: std::io::Error) -> Error {
    Error::from(e).context(format!("{} cannot be used for the gateway's control socket", path.display()))
}

fn is_trusted(caller: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    caller.peer_cred().is_ok_and(|c| c.uid() == 0 || c.uid() == ours)
}

async fn converse(caller: UnixStream, hub: &Hub) {
    let (from, mut to) = caller.into_split();
    let mut from = BufReader::new(from);
    loop {
        let call = match timeout(IDLE_LIMIT, wire::receive::<Call>(&mut from, MAX_REQUEST_BYTES)).await {
            Ok(Ok(Some(call))) => call,
            Ok(Err(error)) => {
                let _ = wire::send(&mut to, Outcome::Error(error)).await;
                return;
            }
            Ok(Ok(None)) | Err(_) => return,
        };
        let outcome = answer(call, hub).await.unwrap_or_else(Outcome::Error);
        if !matches!(timeout(IDLE_LIMIT, wire::send(&mut to, outcome)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn answer(call: Call, hub: &Hub) -> Result<Outcome> {
    match call {
        Call::Set(route) => ok(hub.set(route).await?),
        Call::Remove(cluster) => ok(hub.remove(&cluster).await?),
        Call::Status => ok(hub.status()),
        Call::Ping => ok(()),
    }
}

fn ok(value: impl Serialize) -> Result<Outcome> {
    serde_json::to_value(value).map(Outcome::Ok).map_err(Error::internal)
}
