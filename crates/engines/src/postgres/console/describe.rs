//! What the server sends, as it is said to people.

use fallible_iterator::FallibleIterator;
use mainstay_model::console::{ConsoleColumn, ConsoleError, ConsolePlace, SHOWN_VALUE};
use postgres_protocol::message::backend::{DataRowBody, ErrorFields, RowDescriptionBody};
use std::io;
use tokio_postgres::types::{Kind, Type};

/// Characters of a line that are shown around a place in it.
const EXCERPT: usize = 200;

pub(super) fn columns(body: &RowDescriptionBody) -> io::Result<Vec<ConsoleColumn>> {
    body.fields()
        .map(|field| {
            let known = Type::from_oid(field.type_oid());
            let numeric = known.as_ref().is_some_and(is_numeric);
            Ok(ConsoleColumn { name: field.name().into(), r#type: known.map(|t| named(&t)), numeric })
        })
        .collect()
}

fn is_numeric(of: &Type) -> bool {
    [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT4, Type::FLOAT8, Type::NUMERIC, Type::OID, Type::MONEY].contains(of)
}

/// `_int4` is what the catalogue calls `int4[]`.
fn named(of: &Type) -> String {
    match of.kind() {
        Kind::Array(inner) => format!("{}[]", inner.name()),
        _ => of.name().into(),
    }
}

pub(super) fn values(body: &DataRowBody) -> io::Result<Vec<Option<String>>> {
    body.ranges().map(|range| Ok(range.map(|r| short(&String::from_utf8_lossy(&body.buffer()[r]))))).collect()
}

/// What is longer says that it is.
fn short(value: &str) -> String {
    if value.len() <= SHOWN_VALUE {
        return value.into();
    }
    let mut cut: String = value.chars().take(SHOWN_VALUE).collect();
    if cut.len() < value.len() {
        cut.push_str(&format!("… ({} bytes in all)", value.len()));
    }
    cut
}

/// The texts of a report by their letter.
fn texts(mut fields: ErrorFields<'_>) -> impl Fn(u8) -> Option<String> {
    let mut all = Vec::new();
    while let Ok(Some(field)) = fields.next() {
        all.push((field.type_(), short(&String::from_utf8_lossy(field.value_bytes()))));
    }
    move |letter| all.iter().find(|(l, _)| *l == letter).map(|(_, text)| text.clone())
}

pub(super) fn failure(fields: ErrorFields<'_>, statement: &str) -> ConsoleError {
    let of = texts(fields);
    let position = of(b'P').and_then(|p| p.parse().ok());
    ConsoleError {
        message: of(b'M').unwrap_or_else(|| "the server reported an error without a message".into()),
        code: of(b'C'),
        detail: of(b'D'),
        hint: of(b'H'),
        place: position.and_then(|p| place(statement, p)),
    }
}

pub(super) fn notice(fields: ErrorFields<'_>) -> String {
    let of = texts(fields);
    let more = [of(b'D'), of(b'H')].into_iter().flatten().map(|t| format!("; {t}")).collect::<String>();
    format!("{}: {}{more}", of(b'S').unwrap_or_else(|| "NOTICE".into()), of(b'M').unwrap_or_default())
}

/// The line of the character that the server means, counted from 1 in the whole statement.
pub(super) fn place(statement: &str, position: usize) -> Option<ConsolePlace> {
    let mut before = position.checked_sub(1)?;
    for (at, line) in statement.split('\n').enumerate() {
        let length = line.chars().count();
        if before <= length {
            let first = before.saturating_sub(EXCERPT / 2);
            let text = line.chars().skip(first).take(EXCERPT).collect();
            return Some(ConsolePlace { line: at as u32 + 1, column: (before - first) as u32 + 1, text });
        }
        before -= length + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_a_line_and_a_column_in_characters() {
        let statement = "SELECT 'ä'\n  FORM x;";
        let of = |position| place(statement, position).map(|p| (p.line, p.column, p.text));
        assert_eq!(of(1), Some((1, 1, "SELECT 'ä'".into())));
        assert_eq!(of(14), Some((2, 3, "  FORM x;".into())));
        assert_eq!((of(0), of(99)), (None, None));
        let long = format!("SELECT {} x", "1,".repeat(300));
        let p = place(&long, 608).unwrap();
        assert!(p.text.chars().count() <= EXCERPT && p.text.chars().nth(p.column as usize - 1) == Some(' '), "{p:?}");
    }

    #[test]
    fn a_long_value_is_cut_and_says_so() {
        assert_eq!(short("ä"), "ä");
        let cut = short(&"ä".repeat(SHOWN_VALUE + 1));
        assert!(cut.ends_with(&format!("… ({} bytes in all)", 2 * (SHOWN_VALUE + 1))), "{}", &cut[cut.len() - 60..]);
    }
}
