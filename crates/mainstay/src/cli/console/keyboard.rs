//! Typing on a terminal: lines that can be edited, with those of before at hand for as long as this runs
//! and nowhere after it. The library waits for keys on a thread of its own.

use crate::exit::Outcome;
use mainstay_model::Error;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{Config, Editor, error::ReadlineError, history::MemHistory};
use tokio::sync::mpsc;

pub enum Typed {
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D on an empty line, or no terminal any more.
    Ended,
}

pub struct Keyboard {
    ask: std::sync::mpsc::Sender<String>,
    typed: mpsc::UnboundedReceiver<Typed>,
    /// How the terminal was set before.
    before: Option<Termios>,
}

const REMEMBERED: usize = 500;

impl Keyboard {
    pub fn open() -> Outcome<Keyboard> {
        let before = tcgetattr(std::io::stdin()).ok();
        let (ask, asked) = std::sync::mpsc::channel::<String>();
        let (say, typed) = mpsc::unbounded_channel();
        let unusable = |e: ReadlineError| Error::failed("terminal", format!("this terminal cannot be typed on: {e}"));
        let config = Config::builder().max_history_size(REMEMBERED).map_err(unusable)?.auto_add_history(false).build();
        let mut editor = Editor::<(), MemHistory>::with_history(config, MemHistory::new()).map_err(unusable)?;
        std::thread::spawn(move || {
            for prompt in asked {
                let typed = match editor.readline(&prompt) {
                    Ok(line) => {
                        let _ = editor.add_history_entry(&line);
                        Typed::Line(line)
                    }
                    Err(ReadlineError::Interrupted) => Typed::Interrupted,
                    Err(_) => Typed::Ended,
                };
                if say.send(typed).is_err() {
                    return;
                }
            }
        });
        Ok(Keyboard { ask, typed, before })
    }

    pub fn ask(&self, prompt: String) {
        let _ = self.ask.send(prompt);
    }

    /// The answer to what was asked. May be dropped while it waits.
    pub async fn typed(&mut self) -> Typed {
        self.typed.recv().await.unwrap_or(Typed::Ended)
    }

    /// The thread may still wait for keys, with the terminal set for it: set back as it was.
    pub fn leave(&self, types: bool) {
        if types {
            if let Some(before) = &self.before {
                let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
            }
            eprintln!();
        }
    }
}
