//! The console: statements of a person's own, as the cluster's user in the cluster's database, over the
//! network as any client of it comes in. The private socket is the administrator's and never used here.
//!
//! The protocol is spoken here, statement by statement, instead of through the library that Mainstay's own
//! sessions use: a person's rows may be of any number and size, and what is too large to be shown has to
//! be passed over as it comes instead of being held.

mod describe;
mod guard;
mod meta;
mod split;
mod wire;

use super::{Postgres, config::port};
use async_trait::async_trait;
use bytes::Bytes;
use describe::{columns, failure, notice, values};
use mainstay_drivers::{
    Result,
    console::{Console, Conversation, Interrupter, Listener},
    engine::Node,
};
use mainstay_model::{
    Error, Kind,
    console::{ConsoleDone, ConsoleOpened, ConsolePrompt, ConsoleSaid, Language, STATEMENT_BYTES},
};
use postgres_protocol::message::{backend::Message, frontend};
use split::Splitter;
use std::{sync::Arc, time::Instant};
use wire::{Came, Cancel, Wire};

/// Rows and bytes that are passed on together.
const BATCH_ROWS: usize = 100;
const BATCH_BYTES: usize = 64 << 10;

#[async_trait]
impl Console for Postgres {
    fn language(&self) -> Language {
        Language::Sql
    }

    async fn open(&self, node: &Node) -> Result<Box<dyn Conversation>> {
        let user = &node.plan.accounts.user;
        let database = user.database.clone().unwrap_or_else(|| user.user.clone());
        let login = wire::Login {
            address: (node.plan.address, port(node)).into(),
            user: &user.user,
            database: &database,
            password: &user.password,
            whom: &node.plan.name,
        };
        let (wire, cancel) = wire::connect(&login).await?;
        let writable = wire.setting("in_hot_standby").is_none_or(|v| v == "off");
        let opened = ConsoleOpened {
            node: node.plan.name.clone(),
            engine: node.plan.engine.clone(),
            version: wire.setting("server_version").unwrap_or_default().into(),
            user: user.user.clone(),
            database: Some(database),
            language: Language::Sql,
            writable,
        };
        let about = guard::About { cluster: node.plan.cluster_name.to_string(), user: user.user.clone() };
        Ok(Box::new(Talk { wire, opened, about, cancel: Arc::new(cancel), splitter: Splitter::default() }))
    }
}

struct Talk {
    wire: Wire,
    opened: ConsoleOpened,
    about: guard::About,
    cancel: Arc<Cancel>,
    splitter: Splitter,
}

#[async_trait]
impl Conversation for Talk {
    fn opened(&self) -> ConsoleOpened {
        self.opened.clone()
    }

    fn prompt(&self) -> ConsolePrompt {
        let more = self.splitter.is_unfinished();
        let mark = match self.wire.status() {
            b'T' => "*",
            b'E' => "!",
            _ => "",
        };
        let turn = if more { "-" } else { "=" };
        let database = self.opened.database.as_deref().unwrap_or_default();
        ConsolePrompt { text: format!("{database}{turn}{mark}> "), more, in_transaction: self.wire.status() != b'I' }
    }

    fn take(&mut self, line: &str) -> Result<Vec<String>> {
        if !self.splitter.is_unfinished() && meta::is_one(line) {
            return Ok(vec![line.trim().to_string()]);
        }
        if self.splitter.len() + line.len() > STATEMENT_BYTES {
            let why = format!("a statement has at most {} KiB; load data with COPY from a client of your own", STATEMENT_BYTES >> 10);
            return Err(Error::new(Kind::TooLarge, "too_large", why));
        }
        Ok(self.splitter.line(line))
    }

    fn clear(&mut self) {
        self.splitter = Splitter::default();
    }

    async fn run(&mut self, statement: &str, to: &mut dyn Listener) -> Result<()> {
        if meta::is_one(statement) {
            return meta::answer(statement, to).await;
        }
        if let Some(why) = guard::refuses(&self.about, statement) {
            return to.say(ConsoleSaid::refused(why)).await;
        }
        if statement.contains('\0') {
            return to.say(ConsoleSaid::refused("a statement holds no zero bytes")).await;
        }
        let begun = Instant::now();
        self.wire.send(|out| frontend::query(statement, out)).await?;
        let mut answer = Answer::new(statement, to, begun);
        loop {
            let came = match self.wire.next().await {
                Ok(came) => came,
                Err(e) => return Err(answer.broken(e).await),
            };
            match came {
                Came::Message(Message::ReadyForQuery(_)) => break,
                Came::Message(Message::CopyInResponse(_)) => {
                    self.wire.send(|out| frontend::copy_fail("data is not taken from a terminal", out)).await?;
                }
                Came::Message(message) => answer.heard(message).await?,
                Came::TooLong(length) => answer.too_long(length),
            }
        }
        answer.end().await
    }

    async fn idle(&mut self) -> Result<ConsoleSaid> {
        loop {
            match self.wire.next().await? {
                Came::Message(Message::NotificationResponse(n)) => {
                    let channel = n.channel().unwrap_or_default();
                    return Ok(ConsoleSaid::notice(format!("notification on \"{channel}\": {}", n.message().unwrap_or_default())));
                }
                Came::Message(Message::NoticeResponse(n)) => return Ok(ConsoleSaid::notice(notice(n.fields()))),
                // The last word of a server that stops, or that was told to end this session.
                Came::Message(Message::ErrorResponse(e)) => {
                    return Err(Error::unavailable("engine_lost", failure(e.fields(), "").message));
                }
                Came::Message(_) | Came::TooLong(_) => {}
            }
        }
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        self.cancel.clone()
    }
}

/// What one statement says, as it comes. It ends with one word, although the server may say several.
struct Answer<'a> {
    statement: &'a str,
    to: &'a mut dyn Listener,
    begun: Instant,
    rows: Vec<Vec<Option<String>>>,
    bytes: usize,
    counted: u64,
    has_rows: bool,
    /// Rows or lines that were too large to be held.
    passed_over: Option<usize>,
    end: Option<ConsoleSaid>,
}

impl<'a> Answer<'a> {
    fn new(statement: &'a str, to: &'a mut dyn Listener, begun: Instant) -> Self {
        Answer { statement, to, begun, rows: vec![], bytes: 0, counted: 0, has_rows: false, passed_over: None, end: None }
    }

    async fn heard(&mut self, message: Message) -> Result<()> {
        match message {
            Message::RowDescription(body) => {
                self.has_rows = true;
                let columns = columns(&body)?;
                self.to.say(ConsoleSaid::Columns { columns }).await
            }
            Message::DataRow(body) => {
                self.counted += 1;
                let row = values(&body)?;
                self.bytes += row.iter().flatten().map(String::len).sum::<usize>();
                self.rows.push(row);
                if self.rows.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES { self.flush().await } else { Ok(()) }
            }
            Message::CopyData(body) => self.copied(body.into_bytes()).await,
            Message::CommandComplete(body) => {
                self.flush().await?;
                let tag = body.tag()?.to_string();
                self.end = Some(ConsoleSaid::Done(ConsoleDone { tag: Some(tag), ..ConsoleDone::default() }));
                Ok(())
            }
            Message::EmptyQueryResponse => {
                self.end = Some(ConsoleSaid::Done(ConsoleDone::default()));
                Ok(())
            }
            Message::ErrorResponse(body) => {
                self.flush().await?;
                self.end = Some(ConsoleSaid::Error(failure(body.fields(), self.statement)));
                Ok(())
            }
            Message::NoticeResponse(body) => self.to.say(ConsoleSaid::notice(notice(body.fields()))).await,
            _ => Ok(()),
        }
    }

    async fn copied(&mut self, bytes: Bytes) -> Result<()> {
        let text = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_string();
        self.to.say(ConsoleSaid::Text { text }).await
    }

    /// The connection went. What the server said last tells more than that.
    async fn broken(mut self, e: Error) -> Error {
        match self.end.take() {
            Some(ConsoleSaid::Error(said)) => {
                let why = said.message.clone();
                let _ = self.to.say(ConsoleSaid::Error(said)).await;
                Error::unavailable("engine_lost", why)
            }
            _ => e,
        }
    }

    /// A row is counted although it is not held.
    fn too_long(&mut self, length: usize) {
        self.counted += u64::from(self.has_rows);
        self.passed_over = Some(self.passed_over.unwrap_or(0).max(length));
    }

    async fn flush(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        self.to.say(ConsoleSaid::Rows { rows: std::mem::take(&mut self.rows) }).await
    }

    async fn end(mut self) -> Result<()> {
        self.flush().await?;
        let end = match self.end.take() {
            Some(ConsoleSaid::Done(done)) => ConsoleSaid::Done(ConsoleDone {
                rows: self.has_rows.then_some(self.counted),
                cut: self.passed_over.map(|n| format!("cut off: a row of {} MiB is too large to be shown; ask for a part of it", n >> 20)),
                seconds: self.begun.elapsed().as_secs_f64(),
                ..done
            }),
            Some(error) => error,
            None => ConsoleSaid::Done(ConsoleDone { seconds: self.begun.elapsed().as_secs_f64(), ..ConsoleDone::default() }),
        };
        self.to.say(end).await
    }
}
