//! The connection to an SFTP server: one for a storage, opened when it is needed, thrown away when it
//! breaks. The host must show the key that was pinned when the storage was added; whoever shows another
//! is not spoken to.

use crate::{pace::Pace, place::outgoing};
use mainstay_drivers::storage::SftpPlace;
use mainstay_model::{Error, Result, Secret};
use russh::{
    client::{self, AuthResult, Handler},
    keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, decode_secret_key},
};
use russh_sftp::client::{Config, RawSftpSession, error::Error as Fault};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpStream, runtime::Handle, time::Instant};

pub struct Link {
    pub name: String,
    pub place: SftpPlace,
    pub pace: Arc<Pace>,
    secret: Secret,
    handle: Handle,
    patience: Duration,
    session: tokio::sync::Mutex<Option<Arc<Session>>>,
    given_up: Mutex<Option<Instant>>,
}

/// An open connection.
pub struct Session {
    pub sftp: RawSftpSession,
    pub pace: Arc<Pace>,
    extensions: HashMap<String, String>,
    /// Dropped, it closes the connection.
    _ssh: client::Handle<Pinned>,
}

impl Session {
    pub fn has(&self, extension: &str) -> bool {
        self.extensions.contains_key(extension)
    }
}

/// What became of one request.
pub type Outcome<T> = std::result::Result<T, Fault>;

impl Link {
    /// To be called on the runtime that will carry the requests.
    pub fn new(name: &str, place: &SftpPlace, secret: Option<&Secret>, patience: Duration, pace: Arc<Pace>) -> Result<Self> {
        let missing = || Error::invalid("ssh_key", format!("storage {name} has no private key; remove it and add it again with one"));
        Ok(Link {
            name: name.to_owned(),
            place: place.clone(),
            pace,
            secret: secret.cloned().ok_or_else(missing)?,
            handle: Handle::current(),
            patience,
            session: tokio::sync::Mutex::default(),
            given_up: Mutex::default(),
        })
    }

    /// Waits for `work` on a thread that may block.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.handle.block_on(work)
    }

    /// Does `work`, again on a new connection where the one it had broke. What the server itself says
    /// of the request is an answer, good or bad.
    pub async fn with<T>(&self, work: impl AsyncFn(&Session) -> Outcome<T>) -> Result<Outcome<T>> {
        let (patience, mut failing) = (self.patience(), None);
        let mut pause = self.patience / 200;
        loop {
            let begun = Instant::now();
            let why = match self.session().await {
                Err(e) if !e.is_transient() => return Err(e),
                Err(e) => e.message,
                Ok(session) => match work(&session).await {
                    Ok(done) => {
                        self.note(true);
                        return Ok(Ok(done));
                    }
                    Err(fault @ Fault::Status(_)) if !is_lost(&fault) => {
                        self.note(true);
                        return Ok(Err(fault));
                    }
                    Err(fault) => {
                        self.drop_session(&session).await;
                        fault.to_string()
                    }
                },
            };
            // A request is given up after a third of the patience; before that it moved, however long it took.
            let quiet = *failing.get_or_insert_with(|| Instant::now().checked_sub(self.patience / 3).map_or(begun, |t| t.max(begun)));
            if quiet.elapsed() + pause >= patience {
                self.note(false);
                return Err(self.gone(quiet.elapsed(), &why));
            }
            tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            pause = (pause * 2).min(self.patience / 10);
        }
    }

    fn note(&self, good: bool) {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = if good { None } else { Some(Instant::now()) };
    }

    /// After it was given up, a storage is only tried briefly.
    fn patience(&self) -> Duration {
        let given_up = *self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        match given_up {
            Some(at) if at.elapsed() < self.patience => self.patience / 20,
            _ => self.patience,
        }
    }

    fn gone(&self, quiet: Duration, why: &str) -> Error {
        let SftpPlace { host, port, .. } = &self.place;
        let message = format!(
            "storage {} gave no good answer for {} s ({host}:{port}: {why}); look whether it runs and can be reached from here",
            self.name,
            quiet.as_secs()
        );
        Error::unavailable("storage_unreachable", message)
    }

    async fn session(&self) -> Result<Arc<Session>> {
        let mut held = self.session.lock().await;
        if let Some(session) = &*held {
            return Ok(session.clone());
        }
        let opened = tokio::time::timeout(self.patience / 3, self.open()).await;
        let slow = |_| Error::unavailable("storage_unreachable", "it does not answer");
        let session = Arc::new(opened.map_err(slow)??);
        Ok(held.insert(session).clone())
    }

    async fn drop_session(&self, broken: &Arc<Session>) {
        let mut held = self.session.lock().await;
        if held.as_ref().is_some_and(|s| Arc::ptr_eq(s, broken)) {
            *held = None;
        }
    }

    async fn open(&self) -> Result<Session> {
        let SftpPlace { host, port, user, host_key, .. } = &self.place;
        let pinned = PublicKey::from_openssh(host_key).map_err(|e| Error::invalid("host_key", format!("it is no public key: {e}")))?;
        let key = decode_secret_key(self.secret.reveal(), None).map_err(|_| {
            Error::invalid("ssh_key", "the private key cannot be read; it must be in OpenSSH or PEM form and have no passphrase")
        })?;
        let found = outgoing::resolve(host, *port).await?;
        let stream = TcpStream::connect(found.as_slice()).await.map_err(transient)?;
        stream.set_nodelay(true).map_err(transient)?;
        let shown = Arc::new(Mutex::new(None));
        let handler = Pinned { pinned: pinned.clone(), shown: shown.clone() };
        let mut ssh = match client::connect_stream(Arc::new(self.config(&pinned)), stream, handler).await {
            Ok(ssh) => ssh,
            Err(e) => return Err(self.stranger(&pinned, &shown).unwrap_or_else(|| transient(e))),
        };
        self.sign_in(&mut ssh, user, key).await?;
        let channel = ssh.channel_open_session().await.map_err(transient)?;
        channel.request_subsystem(true, "sftp").await.map_err(transient)?;
        let config = Config { request_timeout_secs: (self.patience / 3).as_secs().max(1), ..Config::default() };
        let sftp = RawSftpSession::new_with_config(channel.into_stream(), config);
        let version = sftp.init().await.map_err(transient)?;
        Ok(Session { sftp, pace: self.pace.clone(), extensions: version.extensions, _ssh: ssh })
    }

    /// The pinned kind of key first, so that a host with several shows that one.
    fn config(&self, pinned: &PublicKey) -> client::Config {
        let mut config = client::Config { keepalive_interval: Some(self.patience / 4), ..client::Config::default() };
        let mut kinds = config.preferred.key.to_vec();
        kinds.sort_by_key(|kind| !(*kind == pinned.algorithm() || kind.clone().is_rsa() && pinned.algorithm().is_rsa()));
        config.preferred.key = kinds.into();
        config
    }

    fn stranger(&self, pinned: &PublicKey, shown: &Mutex<Option<String>>) -> Option<Error> {
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let message = format!(
            "storage {}: {} shows another key than the one that was pinned: {shown}, not {}. If its key was changed on purpose, add the storage again with the new one; else somebody stands in between",
            self.name,
            self.place.host,
            pinned.fingerprint(HashAlg::Sha256)
        );
        Some(Error::forbidden(message).with_code("host_key_changed"))
    }

    async fn sign_in(&self, ssh: &mut client::Handle<Pinned>, user: &str, key: PrivateKey) -> Result<()> {
        let hash = match key.algorithm().is_rsa() {
            true => ssh.best_supported_rsa_hash().await.map_err(transient)?.flatten(),
            false => None,
        };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        match ssh.authenticate_publickey(user, key).await.map_err(transient)? {
            AuthResult::Success => Ok(()),
            AuthResult::Failure { .. } => Err(Error::forbidden(format!(
                "storage {}: {} does not let {user} in with this key; put its public half into the user's authorized_keys there",
                self.name, self.place.host
            ))),
        }
    }
}

/// Lets one key pass, and tells which one was shown.
struct Pinned {
    pinned: PublicKey,
    shown: Arc<Mutex<Option<String>>>,
}

impl Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else { return Ok(false) };
        let known = key.key_data() == self.pinned.key_data();
        if !known {
            *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.fingerprint(HashAlg::Sha256).to_string());
        }
        Ok(known)
    }
}

fn transient(e: impl std::fmt::Display) -> Error {
    Error::unavailable("storage_unreachable", e.to_string())
}

/// What a server says of a request it did not do, by the protocol's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    End,
    NoSuchFile,
    Denied,
    NoConnection,
    Other,
}

/// `None` where it is no answer of the server's.
pub fn said(fault: &Fault) -> Option<Said> {
    let Fault::Status(status) = fault else { return None };
    Some(match status.status_code as u32 {
        1 => Said::End,
        2 => Said::NoSuchFile,
        3 => Said::Denied,
        6 | 7 => Said::NoConnection,
        _ => Said::Other,
    })
}

fn is_lost(fault: &Fault) -> bool {
    said(fault) == Some(Said::NoConnection)
}
