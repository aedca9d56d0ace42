//! What a command says: results on standard output in the form that was asked for, everything else
//! on standard error. Nothing here panics when the reader has gone, and no byte that would steer a
//! terminal gets out, wherever the text came from.

use crate::exit::{Failure, Outcome};
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use mainstay_model::{Error, Time};
use serde::Serialize;
use std::io::{ErrorKind, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people; times in the local zone
    #[default]
    Table,
    /// For scripts; times in UTC
    Json,
    Yaml,
}

/// Something that can be shown to people as well as to scripts.
pub trait Show: Serialize {
    fn people(&self) -> String;
}

/// One line of a list.
pub trait Row: Serialize {
    /// What an empty list says.
    const NONE: &'static str;
    const HEADER: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
}

impl<T: Row> Show for Vec<T> {
    fn people(&self) -> String {
        if self.is_empty() {
            note(T::NONE);
            return String::new();
        }
        grid(T::HEADER, self.iter().map(Row::cells))
    }
}

pub fn show<T: Show>(value: &T, format: Format) -> Outcome<()> {
    let text = match format {
        Format::Table => value.people(),
        Format::Json => json(value)?,
        Format::Yaml => clean(&serde_saphyr::to_string(value).map_err(Error::internal)?),
    };
    write(&text)
}

/// Control characters can only be inside a string there, where JSON has a way to write them.
fn json<T: Serialize>(value: &T) -> Outcome<String> {
    let text = serde_json::to_string_pretty(value).map_err(Error::internal)?;
    Ok(text.chars().map(|c| if steers(c) { format!("\\u{:04x}", c as u32) } else { c.to_string() }).collect())
}

/// To standard output, with a line end.
pub fn write(text: &str) -> Outcome<()> {
    if text.is_empty() {
        return Ok(());
    }
    write_raw(&format!("{}\n", text.trim_end()))
}

/// To standard output as it is; it has been made fit for a terminal.
pub fn write_raw(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|e| match e.kind() {
        ErrorKind::BrokenPipe => Failure::nobody_reads(),
        _ => Error::from(e).context("standard output").into(),
    })
}

/// A message for people, on standard error.
pub fn note(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", clean(text.as_ref()));
}

/// Text without what steers a terminal; lines stay.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

fn steers(c: char) -> bool {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    reorders || (c.is_control() && c != '\n')
}

/// One line, for a cell.
fn cell(text: &str) -> String {
    clean(text).replace('\n', " ")
}

pub fn grid(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // Never broken into the terminal's width: an id in two pieces cannot be copied.
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|c| cell(c)));
    }
    trimmed(&table)
}

/// One object, a field a line.
pub fn card(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("{name:width$}  {}", cell(value)).trim_end().to_string();
    fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn trimmed(table: &Table) -> String {
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(|l| l.strip_prefix(' ').unwrap_or(l).trim_end()).collect();
    lines.join("\n")
}

/// In the zone of this machine, to the second.
pub fn local(time: Time) -> String {
    match jiff::Timestamp::from_microsecond(time.micros()) {
        Ok(t) => t.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

pub fn bytes(n: u64) -> String {
    bytesize::ByteSize(n).display().iec().to_string()
}

pub fn seconds(s: f64) -> String {
    if s < 10.0 { format!("{s:.2} s") } else { format!("{s:.1} s") }
}

/// Unknown is shown as such, never as a good-looking zero.
pub fn or_dash<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".into(), show)
}

/// A word of an enum as it is written in JSON.
pub fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(s)) => s,
        _ => String::new(),
    }
}

pub fn yes_no(value: bool) -> String {
    if value { "yes".into() } else { "no".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Named {
        name: &'static str,
    }
    impl Row for Named {
        const NONE: &'static str = "none";
        const HEADER: &'static [&'static str] = &["name"];
        fn cells(&self) -> Vec<String> {
            vec![self.name.into()]
        }
    }

    const HOSTILE: &str = "a\x1b[31mb\u{9b}c\u{202e}d\ne";

    #[test]
    fn nothing_steers_the_terminal() {
        let list = vec![Named { name: HOSTILE }];
        for text in
            [list.people(), json(&list).unwrap(), clean(&serde_saphyr::to_string(&list).unwrap()), card(&[("name", HOSTILE.into())])]
        {
            assert!(!text.chars().any(steers), "{text:?}");
        }
        assert_eq!(list.people().lines().count(), 2, "a line end in a cell makes no new row");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let back: serde_json::Value = serde_json::from_str(&json(&Named { name: HOSTILE }).unwrap()).unwrap();
        assert_eq!(back["name"], HOSTILE);
    }

    #[test]
    fn sizes_and_durations_read_well() {
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(seconds(1.234), "1.23 s");
        assert_eq!(or_dash(None::<u64>, bytes), "-");
    }
}
