//! One connection: its login, and its messages one at a time. A message that is larger than anything that
//! would be shown is passed over as it comes.

use async_trait::async_trait;
use bytes::{Buf, BytesMut};
use fallible_iterator::FallibleIterator;
use mainstay_drivers::{Result, console::Interrupter};
use mainstay_model::{Error, Secret};
use postgres_protocol::{
    authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    message::{
        backend::{Header, Message},
        frontend,
    },
};
use std::{collections::HashMap, io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The largest message that is held.
const HELD: usize = 2 << 20;
const CONNECT: Duration = Duration::from_secs(5);

pub(super) struct Login<'a> {
    pub address: SocketAddr,
    pub user: &'a str,
    pub database: &'a str,
    pub password: &'a Secret,
    pub whom: &'a str,
}

pub(super) struct Wire {
    stream: TcpStream,
    buffer: BytesMut,
    /// Bytes of a message that are still to be passed over.
    over: usize,
    status: u8,
    settings: HashMap<String, String>,
}

pub(super) enum Came {
    Message(Message),
    /// A message of so many bytes went by.
    TooLong(usize),
}

/// Both time-outs are of the session: a user may set others, and Mainstay's own limits hold all the same. With
/// the last the server itself ends what runs for somebody who is gone, however that came.
const OPTIONS: &str = "-c statement_timeout=600000 -c idle_in_transaction_session_timeout=900000 -c client_connection_check_interval=5000";

pub(super) async fn connect(login: &Login<'_>) -> Result<(Wire, Cancel)> {
    let unreachable = |e: io::Error| Error::unavailable("engine_unreachable", format!("node {} does not answer: {e}", login.whom));
    let late = |_| unreachable(io::ErrorKind::TimedOut.into());
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(login.address)).await.map_err(late)?.map_err(unreachable)?;
    let _ = stream.set_nodelay(true);
    let mut wire = Wire { stream, buffer: BytesMut::new(), over: 0, status: b'I', settings: HashMap::new() };
    let start = [
        ("user", login.user),
        ("database", login.database),
        ("client_encoding", "UTF8"),
        ("application_name", "mainstay terminal"),
        ("options", OPTIONS),
    ];
    wire.send(|out| frontend::startup_message(start, out)).await?;
    wire.log_in(login).await?;
    let cancel = wire.ready(login).await?;
    Ok((wire, cancel))
}

impl Wire {
    pub async fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<()> {
        let mut out = BytesMut::new();
        write(&mut out).map_err(Error::internal)?;
        self.stream.write_all(&out).await.map_err(lost)
    }

    /// The next message. May be dropped while it waits.
    pub async fn next(&mut self) -> Result<Came> {
        loop {
            let over = self.over.min(self.buffer.len());
            self.buffer.advance(over);
            self.over -= over;
            if self.over == 0
                && let Some(came) = self.whole()?
            {
                return Ok(came);
            }
            self.buffer.reserve(16 << 10);
            if self.stream.read_buf(&mut self.buffer).await.map_err(lost)? == 0 {
                return Err(lost(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn whole(&mut self) -> Result<Option<Came>> {
        let Some(header) = Header::parse(&self.buffer).map_err(lost)? else { return Ok(None) };
        let length = header.len() as usize + 1;
        if length > HELD {
            self.over = length;
            return Ok(Some(Came::TooLong(length)));
        }
        let Some(message) = Message::parse(&mut self.buffer).map_err(lost)? else { return Ok(None) };
        match &message {
            Message::ReadyForQuery(ready) => self.status = ready.status(),
            Message::ParameterStatus(set) => {
                let (name, value) = (set.name().map_err(lost)?, set.value().map_err(lost)?);
                self.settings.insert(name.into(), value.into());
            }
            _ => {}
        }
        Ok(Some(Came::Message(message)))
    }

    /// `I`, `T` in a transaction, `E` in one that failed.
    pub fn status(&self) -> u8 {
        self.status
    }

    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// A password in the clear or hashed the old way is never sent.
    async fn log_in(&mut self, login: &Login<'_>) -> Result<()> {
        let mut scram = None;
        loop {
            let Came::Message(message) = self.next().await? else { return Err(unexpected()) };
            match message {
                Message::AuthenticationOk => return Ok(()),
                Message::AuthenticationSasl(body) => {
                    let offered: Vec<String> = body.mechanisms().map(|m| Ok(m.to_string())).collect().map_err(lost)?;
                    if !offered.iter().any(|m| m == SCRAM_SHA_256) {
                        return Err(unexpected());
                    }
                    let begun = ScramSha256::new(login.password.reveal().as_bytes(), ChannelBinding::unsupported());
                    self.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), out)).await?;
                    scram = Some(begun);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let scram = scram.as_mut().ok_or_else(unexpected)?;
                    // Thousands of rounds of hashing, once for each terminal.
                    scram.update(body.data()).map_err(|_| unexpected())?;
                    self.send(|out| frontend::sasl_response(scram.message(), out)).await?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    scram.as_mut().ok_or_else(unexpected)?.finish(body.data()).map_err(|_| unexpected())?;
                }
                Message::ErrorResponse(body) => return Err(refused(login.whom, &super::describe::failure(body.fields(), ""))),
                Message::NoticeResponse(_) => {}
                _ => return Err(unexpected()),
            }
        }
    }

    async fn ready(&mut self, login: &Login<'_>) -> Result<Cancel> {
        let mut cancel = Cancel { address: login.address, process: 0, secret: 0 };
        loop {
            match self.next().await? {
                Came::Message(Message::BackendKeyData(key)) => (cancel.process, cancel.secret) = (key.process_id(), key.secret_key()),
                Came::Message(Message::ReadyForQuery(_)) => return Ok(cancel),
                Came::Message(Message::ErrorResponse(body)) => {
                    return Err(refused(login.whom, &super::describe::failure(body.fields(), "")));
                }
                _ => {}
            }
        }
    }
}

fn refused(whom: &str, said: &mainstay_model::console::ConsoleError) -> Error {
    let text = format!("node {whom} lets nobody in: {}", said.message);
    match said.code.as_deref() {
        // Starting, stopping, or full.
        Some("57P03" | "57P01" | "53300") => Error::unavailable("engine_busy", text),
        _ => Error::failed("engine_login", format!("{text}; `mainstay cluster rotate` sets the password anew")),
    }
}

fn unexpected() -> Error {
    Error::failed("engine_login", "the server asks for a login that Mainstay does not do")
}

fn lost(e: io::Error) -> Error {
    let why = if e.kind() == io::ErrorKind::UnexpectedEof { "the connection was closed".into() } else { e.to_string() };
    Error::unavailable("engine_lost", why)
}

/// What a running statement is ended with, over a connection of its own.
pub(super) struct Cancel {
    address: SocketAddr,
    process: i32,
    secret: i32,
}

#[async_trait]
impl Interrupter for Cancel {
    async fn interrupt(&self) -> Result<()> {
        let asking = async {
            let mut stream = TcpStream::connect(self.address).await?;
            let mut out = BytesMut::new();
            frontend::cancel_request(self.process, self.secret, &mut out);
            stream.write_all(&out).await?;
            // Closed when it was passed on: what is asked after this is not hit by it.
            stream.read_to_end(&mut Vec::new()).await.map(drop)
        };
        match tokio::time::timeout(CONNECT, asking).await {
            Ok(asked) => asked.map_err(lost),
            Err(_) => Err(Error::timed_out("the server did not take the interrupt")),
        }
    }
}
