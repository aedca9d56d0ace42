//! Consoles of engines, each one call that lasts as long as somebody reads it. Lines and interrupts come
//! by calls of their own and name it by an id that only its opener knows.
//!
//! A console outlives nothing: not its reader, not its node, not its agent. Whatever way it ends, the
//! statement that runs is ended in the engine first and then the connection goes, with its transaction.

use crate::{Agent, dispatch::Act, text::clean};
use async_trait::async_trait;
use mainstay_drivers::console::{Conversation, Interrupter, Listener};
use mainstay_model::{
    Error, Kind, NodeId, Result,
    console::{ConsoleDone, ConsoleEnded, ConsoleSaid, IDLE_SECONDS, SHOWN_BYTES, SHOWN_ROWS, STATEMENT_BYTES, STATEMENT_SECONDS},
};
use mainstay_rpc::{
    Out,
    verbs::{Done, InterruptConsole, OpenConsole, TellConsole},
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc};

/// On one host. The control plane allows fewer; this is for one that has lost count.
const MOST: usize = 200;
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// Lines that wait while a statement runs.
const WAITING: usize = 64;
/// Notices of one statement; a loop makes as many as it likes.
const NOTICE_BYTES: usize = 64 << 10;
/// How long a statement that was interrupted may take to end before its connection is given up.
const ENDS_WITHIN: Duration = Duration::from_secs(15);

#[derive(Default)]
pub(crate) struct Consoles(Mutex<HashMap<String, Open>>);

#[derive(Clone)]
struct Open {
    node: NodeId,
    lines: mpsc::Sender<String>,
    interrupts: Arc<Interrupts>,
    interrupter: Arc<dyn Interrupter>,
}

/// How often it was interrupted. Statements of a line that began before go no further.
#[derive(Default)]
struct Interrupts {
    count: AtomicU64,
    came: Notify,
}

impl Consoles {
    fn all(&self) -> MutexGuard<'_, HashMap<String, Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, id: &str) -> Result<Open> {
        let gone = || Error::new(Kind::NotFound, "console_ended", "the terminal has ended");
        self.all().get(id).cloned().ok_or_else(gone)
    }

    fn insert(&self, id: &str, open: Open) -> Result<Listed<'_>> {
        let mut all = self.all();
        if all.len() >= MOST {
            return Err(Error::new(Kind::TooMany, "too_many_terminals", format!("{MOST} terminals are open on this host; end one first")));
        }
        if all.contains_key(id) {
            return Err(Error::conflict("console_exists", "a terminal of that id is open"));
        }
        all.insert(id.into(), open);
        Ok(Listed { consoles: self, id: id.into() })
    }
}

/// Known for as long as this lives.
struct Listed<'a> {
    consoles: &'a Consoles,
    id: String,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.consoles.all().remove(&self.id);
    }
}

impl Agent {
    pub(crate) async fn open_console(&self, verb: OpenConsole, act: &Act) -> Result<Done> {
        let (plan, engine) = (&verb.plan, self.engine(&verb.plan.engine)?);
        self.registry.get(&plan.id)?;
        if !self.runs(&plan.id).await? {
            return Err(Error::unavailable("node_not_running", format!("{} does not run", plan.name)));
        }
        let none = || Error::conflict("no_terminal", format!("{} has no terminal", engine.info().title));
        let console = engine.console().ok_or_else(none)?;
        let node = self.node(plan).await?;
        let late = |_| Error::unavailable("engine_unreachable", format!("{} does not answer", plan.name));
        let talk = tokio::time::timeout(OPEN_WITHIN, console.open(&node)).await.map_err(late)??;
        let (lines, heard) = mpsc::channel(WAITING);
        let interrupts = Arc::new(Interrupts::default());
        let open = Open { node: plan.id.clone(), lines, interrupts: interrupts.clone(), interrupter: talk.interrupter() };
        let listed = self.consoles.insert(&verb.console, open)?;
        let mut desk = Desk { name: &plan.name, talk, heard, interrupts, out: act.out.clone(), waits: Waits::default() };
        desk.say(ConsoleSaid::Opened(desk.talk.opened())).await?;
        let ended = desk.serve().await;
        drop(listed);
        // Nobody may be left to hear it.
        let _ = desk.say(ConsoleSaid::Ended(ended)).await;
        Ok(Done {})
    }

    pub(crate) async fn tell_console(&self, verb: TellConsole, _: &Act) -> Result<Done> {
        let open = self.consoles.get(&verb.console)?;
        open.lines.try_send(verb.line).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Error::new(Kind::TooMany, "too_fast", "too many lines wait already"),
            mpsc::error::TrySendError::Closed(_) => Error::new(Kind::NotFound, "console_ended", "the terminal has ended"),
        })?;
        Ok(Done {})
    }

    pub(crate) async fn interrupt_console(&self, verb: InterruptConsole, _: &Act) -> Result<Done> {
        let open = self.consoles.get(&verb.console)?;
        open.interrupts.count.fetch_add(1, Ordering::AcqRel);
        open.interrupts.came.notify_one();
        open.interrupter.interrupt().await.map_err(|e| e.context(format!("interrupting on {}", open.node)))?;
        Ok(Done {})
    }
}

/// One console at work.
struct Desk<'a> {
    name: &'a str,
    talk: Box<dyn Conversation>,
    heard: mpsc::Receiver<String>,
    interrupts: Arc<Interrupts>,
    out: Out,
    waits: Waits,
}

/// How long something is waited for.
#[derive(Debug, Clone, Copy)]
struct Waits {
    input: Duration,
    statement: Duration,
    /// After it was interrupted.
    end: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        let (input, statement) = (Duration::from_secs(IDLE_SECONDS), Duration::from_secs(STATEMENT_SECONDS));
        Waits { input, statement, end: ENDS_WITHIN }
    }
}

/// What comes next while no statement runs.
enum Next {
    Line(Option<String>),
    Interrupted,
    Said(Result<ConsoleSaid>),
    Idle,
    Gone,
}

impl Desk<'_> {
    async fn say(&mut self, said: ConsoleSaid) -> Result<()> {
        say(&self.out, &said).await
    }

    /// Until it ends, and why.
    async fn serve(&mut self) -> ConsoleEnded {
        loop {
            if self.say(ConsoleSaid::Prompt(self.talk.prompt())).await.is_err() {
                return left();
            }
            if let Some(ended) = self.one_line().await {
                return ended;
            }
        }
    }

    /// One line, with all its statements. `None` goes on.
    async fn one_line(&mut self) -> Option<ConsoleEnded> {
        let since = Instant::now();
        let line = loop {
            let left_of = self.waits.input.saturating_sub(since.elapsed());
            match self.next(left_of).await {
                Next::Line(Some(line)) => break line,
                Next::Line(None) | Next::Gone => return Some(left()),
                Next::Interrupted => {
                    self.talk.clear();
                    return None;
                }
                Next::Idle => return Some(ConsoleEnded::new("idle", format!("ended after {} min without input", IDLE_SECONDS / 60))),
                Next::Said(Ok(said)) => drop(self.say(said).await),
                Next::Said(Err(e)) => return Some(self.gone(&e)),
            }
        };
        self.perform(&line).await
    }

    async fn next(&mut self, patience: Duration) -> Next {
        tokio::select! {
            biased;
            () = self.out.gone() => Next::Gone,
            () = self.interrupts.came.notified() => Next::Interrupted,
            line = self.heard.recv() => Next::Line(line),
            said = self.talk.idle() => Next::Said(said),
            () = tokio::time::sleep(patience) => Next::Idle,
        }
    }

    async fn perform(&mut self, line: &str) -> Option<ConsoleEnded> {
        let ended = self.statements(line).await;
        self.forget_interrupts();
        ended
    }

    /// What was meant for a statement that has ended is not about the next one.
    fn forget_interrupts(&self) {
        while futures::FutureExt::now_or_never(self.interrupts.came.notified()).is_some() {}
    }

    async fn statements(&mut self, line: &str) -> Option<ConsoleEnded> {
        let taken = if line.len() > STATEMENT_BYTES { Err(too_long()) } else { self.talk.take(line) };
        let statements = match taken {
            Ok(statements) => statements,
            Err(e) => {
                self.talk.clear();
                return self.say(ConsoleSaid::refused(e.message)).await.err().map(|_| left());
            }
        };
        let (before, all) = (self.interrupts.count.load(Ordering::Acquire), statements.len());
        for (at, statement) in statements.iter().enumerate() {
            let ran = self.run(statement).await;
            match ran {
                Err(ended) => return Some(ended),
                Ok(good) if at + 1 < all && (!good || self.interrupts.count.load(Ordering::Acquire) != before) => {
                    let rest = all - at - 1;
                    let text = format!("{rest} more of this line {} not run", if rest == 1 { "was" } else { "were" });
                    return self.say(ConsoleSaid::notice(text)).await.err().map(|_| left());
                }
                Ok(_) => {}
            }
        }
        None
    }

    /// Whether it ended well; an error is the end of the console.
    async fn run(&mut self, statement: &str) -> Result<bool, ConsoleEnded> {
        let interrupter = self.talk.interrupter();
        let mut shown = Shown::new(self.out.clone());
        let gone = self.out.clone();
        let mut interrupted = None;
        let end = {
            let running = self.talk.run(statement, &mut shown);
            tokio::pin!(running);
            let limit = tokio::time::sleep(self.waits.statement);
            tokio::pin!(limit);
            loop {
                tokio::select! {
                    end = &mut running => break end,
                    () = gone.gone(), if interrupted.is_none() => {
                        interrupted = Some(Why::Left);
                        limit.as_mut().reset(tokio::time::Instant::now() + self.waits.end);
                        let _ = interrupter.interrupt().await;
                    }
                    () = &mut limit => {
                        if interrupted.is_some() {
                            break Err(Error::timed_out("the statement did not end when it was interrupted"));
                        }
                        interrupted = Some(Why::Long);
                        limit.as_mut().reset(tokio::time::Instant::now() + self.waits.end);
                        let _ = interrupter.interrupt().await;
                    }
                }
            }
        };
        match (end, interrupted) {
            (_, Some(Why::Left)) => Err(left()),
            (Err(e), _) => Err(self.gone(&e)),
            (Ok(()), Some(Why::Long)) => {
                let text = format!("a statement is ended after {} min", STATEMENT_SECONDS / 60);
                self.say(ConsoleSaid::notice(text)).await.map_err(|_| left())?;
                Ok(false)
            }
            (Ok(()), None) => Ok(shown.is_good),
        }
    }

    fn gone(&self, e: &Error) -> ConsoleEnded {
        if e.code == "reader_gone" {
            return left();
        }
        if e.code == "console_quit" {
            return ConsoleEnded::new("closed", "ended");
        }
        ConsoleEnded::new("node_gone", format!("{} is no longer reachable: {}", self.name, clean(&e.message)))
    }
}

/// Why a statement was ended.
#[derive(Clone, Copy)]
enum Why {
    Left,
    Long,
}

fn left() -> ConsoleEnded {
    ConsoleEnded::new("closed", "ended")
}

fn too_long() -> Error {
    Error::new(Kind::TooLarge, "too_large", format!("a line has at most {} KiB", STATEMENT_BYTES >> 10))
}

async fn say(out: &Out, said: &ConsoleSaid) -> Result<()> {
    out.chunk(serde_json::to_vec(said).map_err(Error::internal)?).await
}

/// Passes on as much of a statement's result as is shown, counts the rest, and says so at its end.
struct Shown {
    out: Out,
    rows_left: usize,
    bytes_left: usize,
    notices_left: usize,
    shown: u64,
    seen: u64,
    cut: bool,
    is_good: bool,
}

impl Shown {
    fn new(out: Out) -> Self {
        Shown {
            out,
            rows_left: SHOWN_ROWS,
            bytes_left: SHOWN_BYTES,
            notices_left: NOTICE_BYTES,
            shown: 0,
            seen: 0,
            cut: false,
            is_good: false,
        }
    }

    /// The rows there is room for.
    fn fitting(&mut self, rows: Vec<Vec<Option<String>>>) -> Vec<Vec<Option<String>>> {
        self.seen += rows.len() as u64;
        let mut fits = Vec::new();
        for row in rows {
            let bytes: usize = row.iter().map(|v| v.as_ref().map_or(4, String::len) + 1).sum();
            if self.cut || self.rows_left == 0 || bytes > self.bytes_left {
                self.cut = true;
                break;
            }
            self.rows_left -= 1;
            self.bytes_left -= bytes;
            fits.push(row);
        }
        self.shown += fits.len() as u64;
        fits
    }

    fn text(&mut self, text: String) -> Option<String> {
        if self.cut || text.len() > self.bytes_left {
            self.cut = true;
            return None;
        }
        self.bytes_left -= text.len();
        Some(text)
    }

    fn done(&self, done: ConsoleDone) -> ConsoleDone {
        let of_rows = || format!("cut off: the first {} of {} rows are shown; ask for fewer with LIMIT", self.shown, self.seen);
        let cut = match (self.cut, self.seen) {
            (false, _) => done.cut,
            (true, 0) => Some(format!("cut off: the first {} KiB are shown", SHOWN_BYTES >> 10)),
            (true, _) => Some(of_rows()),
        };
        ConsoleDone { cut, ..done }
    }
}

#[async_trait]
impl Listener for Shown {
    async fn say(&mut self, said: ConsoleSaid) -> Result<()> {
        let said = match said {
            ConsoleSaid::Rows { rows } => match self.fitting(rows) {
                rows if rows.is_empty() => return Ok(()),
                rows => ConsoleSaid::Rows { rows },
            },
            ConsoleSaid::Text { text } => match self.text(text) {
                Some(text) => ConsoleSaid::Text { text },
                None => return Ok(()),
            },
            ConsoleSaid::Notice { text } if text.len() > self.notices_left => return Ok(()),
            ConsoleSaid::Notice { text } => {
                self.notices_left -= text.len();
                ConsoleSaid::Notice { text }
            }
            ConsoleSaid::Done(done) => {
                self.is_good = true;
                ConsoleSaid::Done(self.done(done))
            }
            other => other,
        };
        say(&self.out, &said).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::console::{ConsoleError, ConsoleOpened, ConsolePrompt, Language};
    use mainstay_rpc::Heard;

    /// Answers `rows N`, runs `sleep` until it is interrupted, and does not end `stuck` at all.
    struct Toy(Arc<Toys>);

    #[derive(Default)]
    struct Toys {
        interrupted: AtomicU64,
        came: Notify,
    }

    #[async_trait]
    impl Interrupter for Toys {
        async fn interrupt(&self) -> Result<()> {
            self.interrupted.fetch_add(1, Ordering::AcqRel);
            self.came.notify_one();
            Ok(())
        }
    }

    #[async_trait]
    impl Conversation for Toy {
        fn opened(&self) -> ConsoleOpened {
            let text = String::new;
            ConsoleOpened {
                node: text(),
                engine: text(),
                version: text(),
                user: text(),
                database: None,
                language: Language::Commands,
                writable: true,
            }
        }
        fn prompt(&self) -> ConsolePrompt {
            ConsolePrompt { text: "> ".into(), more: false, in_transaction: false }
        }
        fn take(&mut self, line: &str) -> Result<Vec<String>> {
            Ok(line.split(';').map(String::from).collect())
        }
        fn clear(&mut self) {}
        async fn run(&mut self, statement: &str, to: &mut dyn Listener) -> Result<()> {
            match statement.split_once(' ') {
                Some(("rows", n)) => {
                    let rows = vec![vec![Some("x".repeat(100))]; n.parse().unwrap()];
                    to.say(ConsoleSaid::Rows { rows }).await?;
                    to.say(ConsoleSaid::Done(ConsoleDone::default())).await
                }
                _ if statement == "sleep" => {
                    self.0.came.notified().await;
                    to.say(ConsoleSaid::Error(ConsoleError::default())).await
                }
                _ if statement == "stuck" => std::future::pending().await,
                _ => to.say(ConsoleSaid::Done(ConsoleDone::default())).await,
            }
        }
        async fn idle(&mut self) -> Result<ConsoleSaid> {
            std::future::pending().await
        }
        fn interrupter(&self) -> Arc<dyn Interrupter> {
            self.0.clone()
        }
    }

    struct Room {
        toys: Arc<Toys>,
        lines: mpsc::Sender<String>,
        heard: Heard,
        serving: tokio::task::JoinHandle<ConsoleEnded>,
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const HOUR: Duration = Duration::from_secs(3600);

    fn room(waits: Waits) -> Room {
        let (toys, (lines, inbox), (out, heard)) = (Arc::new(Toys::default()), mpsc::channel(8), Out::pair());
        let talk = Box::new(Toy(toys.clone()));
        let serving = tokio::spawn(async move {
            let mut desk = Desk { name: "shop-1", talk, heard: inbox, interrupts: Arc::default(), out, waits };
            desk.serve().await
        });
        Room { toys, lines, heard, serving }
    }

    impl Room {
        async fn said(&mut self) -> ConsoleSaid {
            serde_json::from_slice(&self.heard.next().await.expect("it goes on")).unwrap()
        }
        async fn until_prompt(&mut self) -> Vec<ConsoleSaid> {
            let mut all = Vec::new();
            loop {
                match self.said().await {
                    ConsoleSaid::Prompt(_) => return all,
                    said => all.push(said),
                }
            }
        }
    }

    #[tokio::test]
    async fn nobody_types_for_too_long() {
        let mut room = room(Waits { input: MS(20), ..Waits::default() });
        room.until_prompt().await;
        assert_eq!(room.serving.await.unwrap().code, "idle");
    }

    #[tokio::test]
    async fn a_statement_is_ended_after_its_time_and_one_that_does_not_end_takes_its_connection_along() {
        let mut room = room(Waits { input: HOUR, statement: MS(20), end: MS(20) });
        room.until_prompt().await;
        room.lines.send("sleep".into()).await.unwrap();
        let said = room.until_prompt().await;
        assert!(matches!(&said[..], [ConsoleSaid::Error(_), ConsoleSaid::Notice { text }] if text.contains("10 min")), "{said:?}");
        assert_eq!(room.toys.interrupted.load(Ordering::Acquire), 1);
        room.lines.send("stuck".into()).await.unwrap();
        assert_eq!(room.serving.await.unwrap().code, "node_gone");
    }

    #[tokio::test]
    async fn whoever_leaves_ends_what_runs() {
        let mut room = room(Waits::default());
        room.until_prompt().await;
        room.lines.send("sleep".into()).await.unwrap();
        tokio::task::yield_now().await;
        drop(room.heard);
        assert_eq!(room.serving.await.unwrap().code, "closed");
        assert_eq!(room.toys.interrupted.load(Ordering::Acquire), 1);
    }

    #[tokio::test]
    async fn so_much_is_shown_and_the_rest_is_counted() {
        let mut room = room(Waits::default());
        room.until_prompt().await;
        room.lines.send("rows 7".into()).await.unwrap();
        let said = room.until_prompt().await;
        assert!(matches!(&said[1], ConsoleSaid::Done(done) if done.cut.is_none()), "{said:?}");
        room.lines.send(format!("rows {}", SHOWN_ROWS + 5)).await.unwrap();
        let said = room.until_prompt().await;
        let ConsoleSaid::Rows { rows } = &said[0] else { panic!("{said:?}") };
        let ConsoleSaid::Done(done) = &said[1] else { panic!("{said:?}") };
        assert_eq!(
            (rows.len(), done.cut.as_deref()),
            (SHOWN_ROWS, Some("cut off: the first 1000 of 1005 rows are shown; ask for fewer with LIMIT"))
        );
        room.lines.send("x".repeat(STATEMENT_BYTES + 1)).await.unwrap();
        let said = room.until_prompt().await;
        assert!(matches!(&said[..], [ConsoleSaid::Error(e)] if e.message.contains("64 KiB")), "{said:?}");
    }
}
