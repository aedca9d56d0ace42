//! What goes between a person and the console of a node's engine: a line at a time in, events out.
//!
//! Every statement ends with exactly one `done` or `error`, and every line with one `prompt`, so that a
//! script knows where it is. Values come as text, exact, with the type the engine gives them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest line, and longest statement of several lines, in bytes.
pub const STATEMENT_BYTES: usize = 64 << 10;
/// Rows, or elements of a reply, that one statement shows.
pub const SHOWN_ROWS: usize = 1_000;
/// Bytes of values that one statement shows.
pub const SHOWN_BYTES: usize = 1 << 20;
/// Characters of one value that are shown.
pub const SHOWN_VALUE: usize = 8 << 10;
/// Ended after so long without a line.
pub const IDLE_SECONDS: u64 = 15 * 60;
/// One statement is ended after so long.
pub const STATEMENT_SECONDS: u64 = 10 * 60;

/// What is typed into a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Statements over any number of lines, each up to a semicolon.
    Sql,
    /// A command is a line.
    Commands,
}

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum ConsoleAsked {
    /// One line. What it leaves unfinished goes on with the next one.
    Line { text: String },
    /// Ends the statement that runs, in the engine too; else forgets what was typed of an unfinished one.
    Cancel,
}

/// What the console says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ConsoleSaid {
    /// First of all.
    Opened(ConsoleOpened),
    /// The columns of what follows as rows.
    Columns { columns: Vec<ConsoleColumn> },
    /// Some rows; `null` is null.
    Rows { rows: Vec<Vec<Option<String>>> },
    /// The whole reply of a command.
    Reply { value: ConsoleValue },
    /// Text as it comes, of `COPY … TO STDOUT` for example.
    Text { text: String },
    /// What the engine, or Mainstay, says beside.
    Notice { text: String },
    /// How a statement ended that did not do what it should.
    Error(ConsoleError),
    /// How a statement ended that did.
    Done(ConsoleDone),
    /// Waits for a line.
    Prompt(ConsolePrompt),
    /// Last of all.
    Ended(ConsoleEnded),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleOpened {
    pub node: String,
    pub engine: String,
    pub version: String,
    pub user: String,
    pub database: Option<String>,
    pub language: Language,
    /// Whether writes are taken here: `false` on a replica.
    pub writable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleColumn {
    pub name: String,
    /// The engine's name of the type; `null` where it has none that is known here.
    pub r#type: Option<String>,
    /// Stands at the right of its column.
    pub numeric: bool,
}

/// One value of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
#[schema(no_recursion)]
pub enum ConsoleValue {
    Nil,
    /// A word of the engine's own: `OK`.
    Status(String),
    Integer(i64),
    Text(String),
    /// What is no text, with `\x` escapes.
    Bytes(String),
    Error(String),
    List(Vec<ConsoleValue>),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleError {
    pub message: String,
    /// The engine's own code, or `refused` where it was never asked.
    pub code: Option<String>,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where in the statement, where the engine knows it.
    pub place: Option<ConsolePlace>,
}

/// A line of the statement, and the character in it that is meant; both count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsolePlace {
    pub line: u32,
    pub column: u32,
    pub text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleDone {
    /// `INSERT 0 1`.
    pub tag: Option<String>,
    /// Rows there were, shown or not.
    pub rows: Option<u64>,
    /// A sentence where not everything was shown.
    pub cut: Option<String>,
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsolePrompt {
    pub text: String,
    /// A statement is unfinished.
    pub more: bool,
    /// A transaction is open; it ends with the terminal.
    pub in_transaction: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConsoleEnded {
    /// `closed`, `idle`, `not_allowed`, `node_gone`, `server_stops`, `too_large`, `failed`.
    pub code: String,
    pub reason: String,
}

impl ConsoleEnded {
    pub fn new(code: &str, reason: impl Into<String>) -> Self {
        ConsoleEnded { code: code.into(), reason: reason.into() }
    }
}

impl ConsoleSaid {
    pub fn notice(text: impl Into<String>) -> Self {
        ConsoleSaid::Notice { text: text.into() }
    }

    /// What is not asked of the engine, and what to do instead.
    pub fn refused(message: impl Into<String>) -> Self {
        ConsoleSaid::Error(ConsoleError { message: message.into(), code: Some("refused".into()), ..ConsoleError::default() })
    }

    /// Whether a statement has ended with it.
    pub fn ends_statement(&self) -> bool {
        matches!(self, ConsoleSaid::Done(_) | ConsoleSaid::Error(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Scripts and the page read these.
    #[test]
    fn what_goes_over_the_wire_has_a_type() {
        let of = |said: &ConsoleSaid| serde_json::to_value(said).unwrap();
        assert_eq!(of(&ConsoleSaid::Rows { rows: vec![vec![None, Some("a".into())]] }), json!({ "type": "rows", "rows": [[null, "a"]] }));
        let value = ConsoleValue::List(vec![ConsoleValue::Integer(1), ConsoleValue::Nil]);
        let wire = json!({ "type": "reply", "value": { "kind": "list", "value": [{ "kind": "integer", "value": 1 }, { "kind": "nil" }] } });
        assert_eq!(of(&ConsoleSaid::Reply { value }), wire);
        assert_eq!(of(&ConsoleSaid::refused("no"))["code"], "refused");
        assert_eq!(serde_json::from_value::<ConsoleAsked>(json!({ "type": "cancel" })).unwrap(), ConsoleAsked::Cancel);
        for bad in [json!({ "type": "line" }), json!({ "type": "line", "text": "a", "as": "root" }), json!({ "type": "shell" }), json!([])]
        {
            assert!(serde_json::from_value::<ConsoleAsked>(bad.clone()).is_err(), "{bad}");
        }
    }
}
