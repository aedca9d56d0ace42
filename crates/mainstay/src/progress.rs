//! How an operation's course is shown while a command waits: a bar on a terminal, a line a step
//! otherwise, always on standard error.

use crate::output::{clean, note};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use mainstay_api_types::Operation;
use std::{io::IsTerminal, time::Duration};

pub enum Progress {
    Bar(ProgressBar),
    Lines { last: Option<String> },
}

impl Progress {
    pub fn new() -> Self {
        if std::io::stderr().is_terminal() {
            Progress::Bar(bar("{spinner} {bar:24} {percent:>3}%  {wide_msg} {elapsed}", 100))
        } else {
            Progress::Lines { last: None }
        }
    }

    pub fn show(&mut self, o: &Operation) {
        match self {
            Progress::Bar(bar) => {
                bar.set_position(u64::from(o.percent));
                bar.set_message(clean(&words(o)));
            }
            Progress::Lines { last } => {
                let line = step_line(o);
                if line.is_some() && *last != line {
                    note(line.as_deref().unwrap_or_default());
                    *last = line;
                }
            }
        }
    }

    /// Said in between without tearing the bar.
    pub fn say(&self, text: &str) {
        match self {
            Progress::Bar(bar) => bar.suspend(|| note(text)),
            Progress::Lines { .. } => note(text),
        }
    }
}

/// A bar for bytes; `None` where nobody looks.
pub fn byte_bar(total: Option<u64>) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    Some(match total {
        Some(total) => bar("{bar:32} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left", total),
        None => bar("{spinner} {bytes}, {bytes_per_sec}", 0),
    })
}

fn bar(template: &str, len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(len).with_style(style).with_finish(ProgressFinish::AndClear);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn words(o: &Operation) -> String {
    if o.sentence.is_empty() { step_line(o).unwrap_or_default() } else { o.sentence.clone() }
}

/// "3/9 start the engine".
fn step_line(o: &Operation) -> Option<String> {
    let name = o.step.as_deref()?;
    let at = o.steps.iter().position(|s| s.name == name)?;
    let undoing = if o.status == mainstay_api_types::OperationStatus::Unwinding { " (undoing)" } else { "" };
    Some(format!("{}/{} {}{undoing}", at + 1, o.steps.len(), o.steps[at].title))
}
