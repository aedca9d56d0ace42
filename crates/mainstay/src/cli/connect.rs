//! `mainstay cluster connect`: the console of an engine, on a terminal or for a script.

use super::{
    cluster,
    console::{
        keyboard::{Keyboard, Typed},
        paper::Paper,
        statement::Statement,
    },
};
use crate::{
    args::cluster::Connect,
    exit::{Exit, Failure, Outcome},
    output::{self, Format, note},
    session::Session,
};
use mainstay_api_types::{ConsoleAsked, ConsoleEnded, ConsoleError, ConsoleOpened, ConsolePrompt, ConsoleSaid};
use mainstay_client::{Terminal, segment};
use mainstay_model::{Error, Kind, node::NodeRole};
use std::io::IsTerminal;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    signal::unix::{Signal, SignalKind, signal},
};

pub async fn run(s: &Session, a: Connect) -> Outcome {
    if s.is_dry_run() {
        return Err(Failure::usage("--dry-run: a console has no plan; each statement says what it does"));
    }
    if s.format() == Format::Yaml {
        return Err(Failure::usage("--output: table or json"));
    }
    let found = cluster::get(s, &a.name).await?;
    let primary = || found.nodes.iter().find(|n| n.role == NodeRole::Primary).map(|n| n.name.clone());
    let none = || Failure::new(Exit::Conflict, format!("{} has no primary at the moment; name a node with --node", a.name));
    let node = a.node.clone().or_else(primary).ok_or_else(none)?;
    let path = format!("{}/nodes/{}", cluster::path(&a.name), segment(&node));
    let mut terminal = s.client.terminal(&path, &s.with(&[])).await?;
    let ConsoleSaid::Opened(opened) = terminal.next().await?.ok_or_else(cut)? else { return Err(cut().into()) };
    let interrupts = signal(SignalKind::interrupt()).map_err(Error::from)?;
    if s.format() == Format::Table && std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return by_hand(terminal, &opened, interrupts).await;
    }
    script(terminal, s.format(), interrupts).await
}

fn cut() -> Error {
    Error::unavailable("server_unreachable", "the terminal ended before it began")
}

fn line(text: String) -> ConsoleAsked {
    ConsoleAsked::Line { text }
}

/// How it ended, as an exit code. Leaving is no failure, and neither is being sent away for the night.
fn over(ended: &ConsoleEnded) -> Outcome {
    let exit = match ended.code.as_str() {
        "closed" => return Ok(Exit::Done),
        "not_allowed" => Exit::NotAllowed,
        "server_stops" => Exit::Unreachable,
        _ => Exit::Failed,
    };
    Err(Failure::new(exit, ended.reason.clone()))
}

// ---- a person ----

fn greeting(o: &ConsoleOpened) -> String {
    let place = o.database.as_ref().map(|d| format!(", database {d}")).unwrap_or_default();
    let role = if o.writable { "writes go here" } else { "a replica: it takes no writes" };
    format!("{} {} on {} ({role}), as {}{place}. `help` says how; Ctrl-D leaves.", o.engine, o.version, o.node, o.user)
}

async fn by_hand(mut terminal: Terminal, opened: &ConsoleOpened, mut interrupts: Signal) -> Outcome {
    note(greeting(opened));
    let mut keyboard = Keyboard::open()?;
    let mut paper = Paper::default();
    let mut types = false;
    loop {
        tokio::select! {
            said = terminal.next() => match said {
                Ok(Some(ConsoleSaid::Prompt(prompt))) => {
                    if !types {
                        keyboard.ask(prompt.text);
                    }
                    types = true;
                }
                Ok(Some(ConsoleSaid::Ended(ended))) => {
                    keyboard.leave(types);
                    return over(&ended);
                }
                Ok(Some(said)) => output::write_raw(&paper.of(&said))?,
                Ok(None) => {
                    keyboard.leave(types);
                    return Ok(Exit::Done);
                }
                Err(e) => {
                    keyboard.leave(types);
                    return Err(e.into());
                }
            },
            typed = keyboard.typed(), if types => {
                types = false;
                match typed {
                    Typed::Line(text) => terminal.tell(&line(text)).await?,
                    Typed::Interrupted => terminal.tell(&ConsoleAsked::Cancel).await?,
                    Typed::Ended => {
                        keyboard.leave(false);
                        return Ok(Exit::Done);
                    }
                }
            }
            _ = interrupts.recv(), if !types => terminal.tell(&ConsoleAsked::Cancel).await?,
        }
    }
}

// ---- a script ----

/// What one line, or the end of the input, came to.
enum Came {
    Prompt(ConsolePrompt),
    Failed(ConsoleError),
    Ended(ConsoleEnded),
}

async fn script(mut terminal: Terminal, format: Format, mut interrupts: Signal) -> Outcome {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut out = Out { format, paper: Paper::default(), statement: Statement::default() };
    let mut at = match out.until_prompt(&mut terminal, &mut interrupts).await? {
        Came::Prompt(prompt) => prompt,
        Came::Failed(e) => return Err(failed(&e)),
        Came::Ended(ended) => return over(&ended),
    };
    let unread = |e: std::io::Error| Failure::usage(format!("standard input does not read as text: {e}"));
    loop {
        let next = tokio::select! {
            next = lines.next_line() => next.map_err(unread)?,
            _ = interrupts.recv() => return Err(Failure::new(Exit::Interrupted, "interrupted")),
        };
        let text = match next {
            Some(text) => text,
            // What has no semicolon at its end is meant all the same.
            None if at.more => ";".into(),
            None => return Ok(Exit::Done),
        };
        let was_end = text == ";" && at.more;
        terminal.tell(&line(text)).await?;
        match out.until_prompt(&mut terminal, &mut interrupts).await? {
            Came::Prompt(prompt) if was_end && prompt.more => {
                return Err(Failure::usage("the last statement has no end: a quote, a comment or a parenthesis is open"));
            }
            Came::Prompt(prompt) => at = prompt,
            Came::Failed(e) => return Err(failed(&e)),
            Came::Ended(ended) => return over(&ended),
        }
    }
}

fn failed(e: &ConsoleError) -> Failure {
    let exit = if e.code.as_deref() == Some("refused") { Exit::of(&Error::new(Kind::Conflict, "refused", "")) } else { Exit::Failed };
    Failure::new(exit, String::new())
}

struct Out {
    format: Format,
    paper: Paper,
    statement: Statement,
}

impl Out {
    async fn until_prompt(&mut self, terminal: &mut Terminal, interrupts: &mut Signal) -> Outcome<Came> {
        let mut error = None;
        loop {
            let said = tokio::select! {
                said = terminal.next() => said?,
                _ = interrupts.recv() => {
                    terminal.tell(&ConsoleAsked::Cancel).await?;
                    continue;
                }
            };
            match said {
                Some(ConsoleSaid::Prompt(prompt)) => return Ok(error.map_or(Came::Prompt(prompt), Came::Failed)),
                Some(ConsoleSaid::Ended(ended)) => return Ok(Came::Ended(ended)),
                None => return Ok(Came::Ended(ConsoleEnded::new("closed", "ended"))),
                Some(said) => {
                    if let ConsoleSaid::Error(e) = &said {
                        error.get_or_insert(e.clone());
                    }
                    self.print(said)?;
                }
            }
        }
    }

    /// Results on standard output; what went wrong, and what is said beside, on standard error.
    fn print(&mut self, said: ConsoleSaid) -> Outcome<()> {
        if self.format == Format::Table {
            let text = self.paper.of(&said);
            return match said {
                ConsoleSaid::Error(_) | ConsoleSaid::Notice { .. } => {
                    note(text.trim_end());
                    Ok(())
                }
                _ => output::write_raw(&text),
            };
        }
        if let ConsoleSaid::Error(_) = &said {
            note(self.paper.of(&said).trim_end());
        }
        match self.statement.hear(said) {
            Some(whole) => output::write(&whole.to_string()),
            None => Ok(()),
        }
    }
}
