//! A console of the fake: statements up to a semicolon, over the rows of its database.
//!
//! `rows`, `many N`, `write ROW`, `fail`, `sleep` (until it is interrupted), `begin`, `commit`, `quit`.
//! What was begun and not committed is written by nobody.

use super::FakeEngine;
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    console::{Console, Conversation, Interrupter, Listener},
    engine::Node,
};
use mainstay_model::{
    Error,
    console::{ConsoleColumn, ConsoleDone, ConsoleError, ConsoleOpened, ConsolePlace, ConsolePrompt, ConsoleSaid, Language},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Notify;

#[async_trait]
impl Console for FakeEngine {
    fn language(&self) -> Language {
        Language::Sql
    }

    async fn open(&self, node: &Node) -> Result<Box<dyn Conversation>> {
        self.faults.before("engine.console").await?;
        self.serving(&node.plan.id)?;
        let begun = None;
        Ok(Box::new(Talk { engine: self.clone(), node: node.clone(), text: String::new(), begun, interrupts: Arc::default() }))
    }
}

struct Talk {
    engine: FakeEngine,
    node: Node,
    text: String,
    /// Rows of the open transaction.
    begun: Option<Vec<String>>,
    interrupts: Arc<Interrupts>,
}

#[derive(Default)]
struct Interrupts(Notify);

#[async_trait]
impl Interrupter for Interrupts {
    async fn interrupt(&self) -> Result<()> {
        self.0.notify_waiters();
        Ok(())
    }
}

fn failed(message: &str, statement: &str) -> ConsoleSaid {
    let place = Some(ConsolePlace { line: 1, column: 1, text: statement.into() });
    ConsoleSaid::Error(ConsoleError { message: message.into(), code: Some("42601".into()), place, ..ConsoleError::default() })
}

impl Talk {
    fn done(&self, tag: String, rows: Option<u64>) -> ConsoleSaid {
        ConsoleSaid::Done(ConsoleDone { tag: Some(tag), rows, ..ConsoleDone::default() })
    }

    async fn rows(&self, rows: Vec<String>, to: &mut dyn Listener) -> Result<ConsoleSaid> {
        let columns = vec![ConsoleColumn { name: "row".into(), r#type: Some("text".into()), numeric: false }];
        to.say(ConsoleSaid::Columns { columns }).await?;
        let count = rows.len() as u64;
        for part in rows.chunks(100) {
            to.say(ConsoleSaid::Rows { rows: part.iter().map(|r| vec![Some(r.clone())]).collect() }).await?;
        }
        Ok(self.done(format!("ROWS {count}"), Some(count)))
    }

    fn write(&mut self, row: &str, statement: &str) -> ConsoleSaid {
        if let Some(begun) = &mut self.begun {
            begun.push(row.into());
            return self.done("WRITE 1".into(), None);
        }
        match self.engine.write(&self.node.plan.id, row) {
            Ok(()) => self.done("WRITE 1".into(), None),
            Err(e) => failed(&e.message, statement),
        }
    }

    fn commit(&mut self, statement: &str) -> ConsoleSaid {
        for row in self.begun.take().unwrap_or_default() {
            if let Err(e) = self.engine.write(&self.node.plan.id, &row) {
                return failed(&e.message, statement);
            }
        }
        self.done("COMMIT".into(), None)
    }
}

#[async_trait]
impl Conversation for Talk {
    fn opened(&self) -> ConsoleOpened {
        let user = &self.node.plan.accounts.user;
        let writable = crate::fake_engine::read_db(&self.node.paths.data).is_ok_and(|db| db.upstream.is_none());
        ConsoleOpened {
            node: self.node.plan.name.clone(),
            engine: self.node.plan.engine.clone(),
            version: self.node.plan.version.clone(),
            user: user.user.clone(),
            database: user.database.clone(),
            language: Language::Sql,
            writable,
        }
    }

    fn prompt(&self) -> ConsolePrompt {
        let more = !self.text.trim().is_empty();
        let text = format!("{}{}> ", self.node.plan.name, if more { "-" } else { "=" });
        ConsolePrompt { text, more, in_transaction: self.begun.is_some() }
    }

    fn take(&mut self, line: &str) -> Result<Vec<String>> {
        self.text.push_str(line);
        self.text.push('\n');
        let Some((whole, rest)) = self.text.rsplit_once(';') else { return Ok(vec![]) };
        let all = whole.split(';').map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect();
        self.text = rest.trim().into();
        Ok(all)
    }

    fn clear(&mut self) {
        self.text.clear();
    }

    async fn run(&mut self, statement: &str, to: &mut dyn Listener) -> Result<()> {
        self.engine.serving(&self.node.plan.id)?;
        let (word, rest) = statement.split_once(' ').unwrap_or((statement, ""));
        let end = match word {
            "rows" => self.rows(self.engine.read(&self.node.plan.id)?, to).await?,
            "many" => self.rows((0..rest.parse().unwrap_or(0)).map(|n| format!("{n}")).collect(), to).await?,
            "write" => self.write(rest, statement),
            "begin" => {
                self.begun = Some(vec![]);
                self.done("BEGIN".into(), None)
            }
            "commit" => self.commit(statement),
            "sleep" => {
                let begun = Instant::now();
                self.interrupts.0.notified().await;
                to.say(ConsoleSaid::notice(format!("slept {:?}", begun.elapsed()))).await?;
                failed("it was interrupted", statement)
            }
            "quit" => return Err(Error::conflict("console_quit", "ended")),
            _ => failed("nobody knows that word", statement),
        };
        to.say(end).await
    }

    async fn idle(&mut self) -> Result<ConsoleSaid> {
        loop {
            self.engine.serving(&self.node.plan.id)?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn interrupter(&self) -> Arc<dyn Interrupter> {
        self.interrupts.clone()
    }
}
