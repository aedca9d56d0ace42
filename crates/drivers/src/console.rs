//! The console of an engine: a person's own statements on a running node, as the cluster's user.
//!
//! A statement goes over the engine's protocol and nowhere else: no program is started, and nothing is
//! asked with rights that the user's own clients lack. What the engine lets that user do is what a console
//! can do; beyond it an engine refuses what would take the node out of Mainstay's hands, and names the
//! verb that does it instead. That is a courtesy and no border: the border is the user's rights.

use crate::{Result, engine::Node};
use async_trait::async_trait;
use mainstay_model::console::{ConsoleOpened, ConsolePrompt, ConsoleSaid, Language};
use std::sync::Arc;

#[async_trait]
pub trait Console: Send + Sync {
    fn language(&self) -> Language;

    /// Logs in as the cluster's user. One connection for as long as the conversation lives: a transaction
    /// spans statements, and what is dropped takes its open one along.
    async fn open(&self, node: &Node) -> Result<Box<dyn Conversation>>;
}

#[async_trait]
pub trait Conversation: Send {
    fn opened(&self) -> ConsoleOpened;

    fn prompt(&self) -> ConsolePrompt;

    /// Takes one more line: the statements that are whole now, in their order. An error is about the line
    /// alone; what was unfinished before is forgotten with it.
    fn take(&mut self, line: &str) -> Result<Vec<String>>;

    /// Forgets what is unfinished.
    fn clear(&mut self);

    /// Runs one statement and says what comes of it, with one `Done` or `Error` at the end. How much is
    /// shown in all is the listener's to bound; one message, however large the engine makes it, is bounded
    /// here. An error means that the conversation is over.
    async fn run(&mut self, statement: &str, to: &mut dyn Listener) -> Result<()>;

    /// Waits for what the engine says by itself between statements, for ever where it says nothing. An
    /// error is the end of the connection. May be dropped at any moment.
    async fn idle(&mut self) -> Result<ConsoleSaid>;

    fn interrupter(&self) -> Arc<dyn Interrupter>;
}

#[async_trait]
pub trait Listener: Send {
    /// An error where nobody listens any more.
    async fn say(&mut self, said: ConsoleSaid) -> Result<()>;
}

/// Ends the statement that runs, while it runs, by a way of its own into the engine.
#[async_trait]
pub trait Interrupter: Send + Sync {
    /// Asked is not ended: the statement itself says how it ended. Nothing runs is fine.
    async fn interrupt(&self) -> Result<()>;
}
