//! What a console says, as text for people: rows in the shape of a table, replies as the family's own
//! command line shows them. Whatever a value holds, no byte of it steers the terminal.

use crate::output;
use mainstay_api_types::{ConsoleColumn, ConsoleError, ConsoleSaid, ConsoleValue};
use unicode_width::UnicodeWidthStr;

/// Columns are not made wider than this by what is in them.
const WIDEST: usize = 60;
const NULL: &str = "NULL";

/// Remembers the table that is being drawn: rows come in parts.
#[derive(Default)]
pub struct Paper {
    columns: Vec<ConsoleColumn>,
    /// Of each column, once the head is drawn.
    widths: Vec<usize>,
}

impl Paper {
    /// With its line end; empty where there is nothing to show.
    pub fn of(&mut self, said: &ConsoleSaid) -> String {
        match said {
            ConsoleSaid::Columns { columns } => {
                (self.columns, self.widths) = (columns.clone(), vec![]);
                String::new()
            }
            ConsoleSaid::Rows { rows } => self.rows(rows),
            ConsoleSaid::Reply { value } => format!("{}\n", reply(value, "")),
            ConsoleSaid::Text { text } => format!("{}\n", output::clean(text)),
            ConsoleSaid::Notice { text } => format!("{}\n", output::clean(text)),
            ConsoleSaid::Error(e) => {
                *self = Paper::default();
                error(e)
            }
            ConsoleSaid::Done(done) => {
                let head = if self.columns.is_empty() || !self.widths.is_empty() { String::new() } else { self.rows(&[]) };
                let count = done.rows.map(|n| format!("({n} {})", if n == 1 { "row" } else { "rows" }));
                let last = count.filter(|_| !self.columns.is_empty()).or(done.tag.clone()).unwrap_or_default();
                *self = Paper::default();
                let lines = [Some(last), done.cut.clone()].into_iter().flatten().filter(|l| !l.is_empty());
                head + &lines.map(|l| format!("{}\n", output::clean(&l))).collect::<String>()
            }
            ConsoleSaid::Opened(_) | ConsoleSaid::Prompt(_) | ConsoleSaid::Ended(_) => String::new(),
        }
    }

    /// The first ones say how wide a column is, and come after its head.
    fn rows(&mut self, rows: &[Vec<Option<String>>]) -> String {
        let shown: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|v| v.as_deref().map_or(NULL.into(), cell)).collect()).collect();
        let mut out = String::new();
        if self.widths.is_empty() {
            let names: Vec<String> = self.columns.iter().map(|c| cell(&c.name)).collect();
            let widest = |at: usize| shown.iter().filter_map(|r| r.get(at)).map(|v| v.width().min(WIDEST)).max().unwrap_or(0);
            self.widths = names.iter().enumerate().map(|(at, name)| name.width().max(widest(at))).collect();
            out = format!("{}\n{}\n", self.line(&names, false), rule(&self.widths));
        }
        shown.iter().fold(out, |out, row| format!("{out}{}\n", self.line(row, true)))
    }

    fn line(&self, cells: &[String], values: bool) -> String {
        let one = |(at, text): (usize, &String)| {
            let room = " ".repeat(self.widths.get(at).copied().unwrap_or(0).saturating_sub(text.width()));
            let right = values && self.columns.get(at).is_some_and(|c| c.numeric);
            if right { format!(" {room}{text} ") } else { format!(" {text}{room} ") }
        };
        cells.iter().enumerate().map(one).collect::<Vec<_>>().join("|").trim_end().to_string()
    }
}

fn rule(widths: &[usize]) -> String {
    widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("+")
}

/// One line, whatever is in it.
fn cell(text: &str) -> String {
    output::clean(&text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

fn error(e: &ConsoleError) -> String {
    let code = e.code.as_deref().filter(|c| !e.message.starts_with(c)).map(|c| format!(" ({c})")).unwrap_or_default();
    let mut out = format!("error: {}{code}\n", e.message);
    if let Some(place) = &e.place {
        let head = format!("line {}: ", place.line);
        let before: String = place.text.chars().take(place.column.saturating_sub(1) as usize).collect();
        let room = " ".repeat(head.width() + cell(&before).width());
        out.push_str(&format!("{head}{}\n{room}^\n", cell(&place.text)));
    }
    out.extend(e.detail.iter().map(|d| format!("detail: {d}\n")));
    out.extend(e.hint.iter().map(|h| format!("hint: {h}\n")));
    output::clean(&out)
}

/// As `redis-cli` shows it. `indent` stands before every line but the first.
fn reply(value: &ConsoleValue, indent: &str) -> String {
    match value {
        ConsoleValue::Nil => "(nil)".into(),
        ConsoleValue::Status(text) => output::clean(text),
        ConsoleValue::Integer(n) => format!("(integer) {n}"),
        ConsoleValue::Text(text) => format!("\"{}\"", quoted(text)),
        ConsoleValue::Bytes(text) => format!("\"{}\"", output::clean(text)),
        ConsoleValue::Error(text) => format!("(error) {}", output::clean(text)),
        ConsoleValue::List(items) if items.is_empty() => "(empty array)".into(),
        ConsoleValue::List(items) => {
            let width = items.len().to_string().len();
            let line = |(at, item): (usize, &ConsoleValue)| {
                let number = format!("{:>width$}) ", at + 1);
                let inner = format!("{indent}{}", " ".repeat(number.len()));
                format!("{}{number}{}", if at == 0 { "" } else { indent }, reply(item, &inner))
            };
            items.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
        }
    }
}

fn quoted(text: &str) -> String {
    let one = |c: char| match c {
        '\\' | '"' => format!("\\{c}"),
        '\n' => "\\n".into(),
        '\r' => "\\r".into(),
        '\t' => "\\t".into(),
        c if c.is_control() => format!("\\x{:02x}", c as u32),
        c => c.into(),
    };
    output::clean(&text.chars().map(one).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_api_types::{ConsoleDone, ConsolePlace};

    fn column(name: &str, numeric: bool) -> ConsoleColumn {
        ConsoleColumn { name: name.into(), r#type: None, numeric }
    }

    fn done(rows: Option<u64>, cut: Option<&str>) -> ConsoleSaid {
        ConsoleSaid::Done(ConsoleDone { tag: Some("SELECT".into()), rows, cut: cut.map(Into::into), seconds: 0.0 })
    }

    #[test]
    fn rows_stand_in_columns_also_when_they_come_in_parts() {
        let mut paper = Paper::default();
        let row = |a: &str, b: Option<&str>| vec![Some(a.to_string()), b.map(String::from)];
        let mut text = paper.of(&ConsoleSaid::Columns { columns: vec![column("id", true), column("näme", false)] });
        text += &paper.of(&ConsoleSaid::Rows { rows: vec![row("7", Some("ada")), row("123", None)] });
        text += &paper.of(&ConsoleSaid::Rows { rows: vec![row("8", Some("a longer one\nthan before"))] });
        text += &paper.of(&done(Some(3), Some("cut off: x")));
        let wanted = " id  | näme\n-----+------\n   7 | ada\n 123 | NULL\n   8 | a longer one\\nthan before\n(3 rows)\ncut off: x\n";
        assert_eq!(text, wanted);
        paper.of(&ConsoleSaid::Columns { columns: vec![column("a", false)] });
        assert_eq!(paper.of(&done(Some(0), None)), " a\n---\n(0 rows)\n");
        assert_eq!(paper.of(&done(None, None)), "SELECT\n");
    }

    #[test]
    fn replies_look_as_people_know_them() {
        use ConsoleValue::*;
        let list = List(vec![Text("a\n\"".into()), List(vec![Integer(1), Nil]), Status("OK".into()), List(vec![]), Error("E".into())]);
        let wanted = "1) \"a\\n\\\"\"\n2) 1) (integer) 1\n   2) (nil)\n3) OK\n4) (empty array)\n5) (error) E";
        assert_eq!(reply(&list, ""), wanted);
        let ten = List((0..10).map(Integer).collect());
        assert!(reply(&ten, "").starts_with(" 1) (integer) 0\n 2) "), "{}", reply(&ten, ""));
    }

    #[test]
    fn an_error_points_at_its_place() {
        let place = Some(ConsolePlace { line: 2, column: 3, text: "  FORM x".into() });
        let e = ConsoleError {
            message: "syntax error".into(),
            code: Some("42601".into()),
            hint: Some("try".into()),
            place,
            ..ConsoleError::default()
        };
        assert_eq!(Paper::default().of(&ConsoleSaid::Error(e)), "error: syntax error (42601)\nline 2:   FORM x\n          ^\nhint: try\n");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let hostile = "\x1b]52;c;aGk=\x07\u{9b}2J\u{202e}x";
        let mut paper = Paper::default();
        paper.of(&ConsoleSaid::Columns { columns: vec![column(hostile, false)] });
        for said in [
            ConsoleSaid::Rows { rows: vec![vec![Some(hostile.into())]] },
            ConsoleSaid::Reply {
                value: ConsoleValue::List(vec![ConsoleValue::Text(hostile.into()), ConsoleValue::Status(hostile.into())]),
            },
            ConsoleSaid::Text { text: hostile.into() },
            ConsoleSaid::notice(hostile),
            ConsoleSaid::refused(hostile),
        ] {
            let text = paper.of(&said);
            assert!(!text.chars().any(|c| c != '\n' && c.is_control()) && !text.contains('\u{202e}'), "{text:?}");
        }
    }
}
