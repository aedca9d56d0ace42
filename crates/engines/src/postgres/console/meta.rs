//! What a terminal answers itself: how to leave it, and that it is not `psql`.

use mainstay_drivers::{Result, console::Listener};
use mainstay_model::{
    Error,
    console::{ConsoleDone, ConsoleSaid},
};

const HELP: &str = "\
Statements end with a semicolon and may take any number of lines.
  BEGIN; … COMMIT;   one transaction; an open one ends with the terminal
  Ctrl-C             ends the statement that runs, or forgets what is typed
  exit, quit, \\q     ends the terminal
Tables:    SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema');
Columns:   SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = 'NAME';";

/// A line of its own that is no SQL.
pub(super) fn is_one(line: &str) -> bool {
    let word = line.trim().trim_end_matches(';').trim();
    word.starts_with('\\') || ["exit", "quit", "help"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

pub(super) async fn answer(line: &str, to: &mut dyn Listener) -> Result<()> {
    let word = line.trim().trim_end_matches(';').trim().to_ascii_lowercase();
    match word.as_str() {
        "exit" | "quit" | "\\q" => Err(Error::conflict("console_quit", "ended")),
        "help" | "\\?" | "\\h" => {
            to.say(ConsoleSaid::Text { text: HELP.into() }).await?;
            to.say(ConsoleSaid::Done(ConsoleDone::default())).await
        }
        other => {
            let shown = mainstay_model::error::shown(other.split_whitespace().next().unwrap_or_default());
            to.say(ConsoleSaid::refused(format!(
                "{shown} is a command of psql; a terminal takes SQL alone: `help` says how to look at tables"
            )))
            .await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_one;

    #[test]
    fn commands_stand_alone_on_their_line() {
        for one in ["\\d", " \\! id", "exit", "QUIT;", "help", "\\q"] {
            assert!(is_one(one), "{one}");
        }
        for none in ["select 1; \\q", "exits", "select '\\d';", "", "help me"] {
            assert!(!is_one(none), "{none}");
        }
    }
}
