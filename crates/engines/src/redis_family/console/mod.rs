//! The console: commands of a person's own, as the cluster's user.
//!
//! Which commands that user has is in its access list, and the server holds to it. Those that it would
//! refuse are refused here, with the verb that does it instead, and so are the few that would change what
//! the connection itself speaks. The protocol is read here, because an answer may be of any size.

mod guard;
mod reply;
mod words;

use super::{
    RedisFamily,
    config::socket,
    connect::{Session, admin},
};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    console::{Console, Conversation, Interrupter, Listener},
    engine::Node,
};
use mainstay_model::{
    Error,
    console::{ConsoleDone, ConsoleError, ConsoleOpened, ConsolePrompt, ConsoleSaid, ConsoleValue, Language},
    node::NodeRole,
};
use redis::cmd;
use reply::Reader;
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

const LOGIN: Duration = Duration::from_secs(5);

#[async_trait]
impl Console for RedisFamily {
    fn language(&self) -> Language {
        Language::Commands
    }

    async fn open(&self, node: &Node) -> Result<Box<dyn Conversation>> {
        let late = |_| Error::unavailable("engine_unreachable", format!("node {} does not answer", node.plan.name));
        tokio::time::timeout(LOGIN, open(self, node)).await.map_err(late)?
    }
}

async fn open(family: &RedisFamily, node: &Node) -> Result<Box<dyn Conversation>> {
    let info = admin(node).await?.info().await?;
    let mut link = Link::log_in(node).await?;
    let ConsoleValue::Integer(id) = link.ask(&["CLIENT", "ID"]).await? else {
        return Err(Error::failed("engine_refused", format!("node {} does not tell the id of a connection", node.plan.name)));
    };
    let opened = ConsoleOpened {
        node: node.plan.name.clone(),
        engine: node.plan.engine.clone(),
        version: info.text(family.flavour.version_field).unwrap_or(&node.installed.version).to_string(),
        user: node.plan.accounts.user.user.clone(),
        database: None,
        language: Language::Commands,
        writable: info.role() == Some(NodeRole::Primary),
    };
    let handle = Arc::new(Handle { node: node.clone(), id, runs_script: AtomicBool::new(false) });
    let about = guard::About { cluster: node.plan.cluster_name.to_string(), node: node.plan.name.clone() };
    Ok(Box::new(Talk { link, opened, about, handle, database: 0, queues: false }))
}

/// A connection of the cluster's user.
struct Link {
    reader: Reader<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Link {
    async fn log_in(node: &Node) -> Result<Link> {
        let unreachable = |e| Error::unavailable("engine_unreachable", format!("node {} does not answer: {e}", node.plan.name));
        let stream = UnixStream::connect(AsRef::<Path>::as_ref(&socket(node))).await.map_err(unreachable)?;
        let (reader, writer) = stream.into_split();
        let mut link = Link { reader: Reader::new(BufReader::new(reader)), writer };
        let user = &node.plan.accounts.user;
        match link.ask(&["AUTH", &user.user, user.password.reveal()]).await? {
            ConsoleValue::Status(_) => {}
            _ => {
                let why =
                    format!("node {} refused the login of its user; `mainstay cluster rotate` sets the password anew", node.plan.name);
                return Err(Error::failed("engine_login", why));
            }
        }
        link.ask(&["CLIENT", "SETNAME", "mainstay-terminal"]).await?;
        Ok(link)
    }

    async fn ask(&mut self, words: &[&str]) -> Result<ConsoleValue> {
        let words: Vec<Vec<u8>> = words.iter().map(|w| w.as_bytes().to_vec()).collect();
        Ok(self.say(&words).await?.0)
    }

    /// The answer, and a sentence where not all of it is shown.
    async fn say(&mut self, words: &[Vec<u8>]) -> Result<(ConsoleValue, Option<String>)> {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            out.extend(format!("${}\r\n", word.len()).into_bytes());
            out.extend(word);
            out.extend(b"\r\n");
        }
        self.writer.write_all(&out).await.map_err(reply::lost)?;
        self.reader.read().await
    }
}

struct Talk {
    link: Link,
    opened: ConsoleOpened,
    about: guard::About,
    handle: Arc<Handle>,
    database: u32,
    /// Between `MULTI` and `EXEC`.
    queues: bool,
}

#[async_trait]
impl Conversation for Talk {
    fn opened(&self) -> ConsoleOpened {
        self.opened.clone()
    }

    fn prompt(&self) -> ConsolePrompt {
        let database = if self.database == 0 { String::new() } else { format!("[{}]", self.database) };
        let queues = if self.queues { "(TX)" } else { "" };
        ConsolePrompt { text: format!("{}{database}{queues}> ", self.opened.node), more: false, in_transaction: self.queues }
    }

    fn take(&mut self, line: &str) -> Result<Vec<String>> {
        Ok(if line.trim().is_empty() { vec![] } else { vec![line.trim().to_string()] })
    }

    fn clear(&mut self) {}

    async fn run(&mut self, statement: &str, to: &mut dyn Listener) -> Result<()> {
        let words = match words::split(statement) {
            Ok(words) => words,
            Err(why) => return to.say(ConsoleSaid::refused(why)).await,
        };
        let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
        match name.as_str() {
            "exit" | "quit" => return Err(Error::conflict("console_quit", "ended")),
            "help" if words.len() == 1 => return guard::help(to).await,
            _ => {}
        }
        if let Some(why) = guard::refuses(&self.about, &words) {
            return to.say(ConsoleSaid::refused(why)).await;
        }
        let begun = Instant::now();
        self.handle.runs_script.store(guard::is_script(&name), Ordering::Release);
        let said = self.link.say(&words).await;
        self.handle.runs_script.store(false, Ordering::Release);
        let (value, cut) = said?;
        self.note(&name, &words, &value);
        if let ConsoleValue::Error(message) = value {
            let code = message.split_whitespace().next().map(String::from);
            return to.say(ConsoleSaid::Error(ConsoleError { message, code, ..ConsoleError::default() })).await;
        }
        to.say(ConsoleSaid::Reply { value }).await?;
        to.say(ConsoleSaid::Done(ConsoleDone { cut, seconds: begun.elapsed().as_secs_f64(), ..ConsoleDone::default() })).await
    }

    /// A server says nothing between commands to one that did not subscribe.
    async fn idle(&mut self) -> Result<ConsoleSaid> {
        self.link.reader.closed().await
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        self.handle.clone()
    }
}

impl Talk {
    /// What the prompt shows.
    fn note(&mut self, name: &str, words: &[Vec<u8>], value: &ConsoleValue) {
        let good = !matches!(value, ConsoleValue::Error(_));
        match name {
            "multi" if good => self.queues = true,
            // An `EXEC` that fails has ended the transaction too.
            "exec" | "discard" => self.queues = false,
            "select" if good && !self.queues => {
                self.database = words.get(1).and_then(|w| String::from_utf8_lossy(w).parse().ok()).unwrap_or(self.database);
            }
            _ => {}
        }
    }
}

/// A way to the command that runs.
struct Handle {
    node: Node,
    id: i64,
    runs_script: AtomicBool,
}

#[async_trait]
impl Interrupter for Handle {
    /// One that waits (`BLPOP`, `WAIT`) is let go; a script is killed as its user may do, where it has not
    /// written. Everything else is over before anybody could ask.
    async fn interrupt(&self) -> Result<()> {
        if self.runs_script.load(Ordering::Acquire) {
            return self.kill_script().await;
        }
        let mut session: Session = admin(&self.node).await?;
        let mut unblock = cmd("CLIENT");
        unblock.arg("UNBLOCK").arg(self.id).arg("ERROR");
        session.ask::<i64>("letting a command go", &unblock).await.map(drop)
    }
}

impl Handle {
    async fn kill_script(&self) -> Result<()> {
        let asking = async {
            let mut link = Link::log_in(&self.node).await?;
            // A server that runs a script listens only when it has run for a while.
            for kind in ["SCRIPT", "FUNCTION"] {
                link.ask(&[kind, "KILL"]).await?;
            }
            Ok(())
        };
        let late = |_| Error::timed_out("the server does not listen while the script runs");
        tokio::time::timeout(Duration::from_secs(10), asking).await.map_err(late)?
    }
}
