//! What a user wants proven of a cluster's data: a question in the engine's own words and what the
//! answer has to be. Asked in every drill, of the restored data.

use crate::{Error, Name, Result};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Most a cluster may have.
pub const MOST: usize = 50;
/// Bytes of a question.
pub const LONGEST_QUERY: usize = 8 << 10;
/// Bytes of an expectation.
pub const LONGEST_EXPECT: usize = 1 << 10;
/// Characters of an answer that are shown.
const SHOWN: usize = 200;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assertion {
    pub name: Name,
    /// One query, or one command with its words.
    pub query: String,
    pub expect: Expect,
}

impl Assertion {
    /// Refuses what could never be asked. Whether the engine understands it only the engine can say.
    pub fn new(name: &str, query: &str, expect: &str) -> Result<Assertion> {
        let name = Name::parse(name)?;
        let query = query.trim();
        if query.is_empty() || query.len() > LONGEST_QUERY {
            return Err(Error::invalid("query", format!("1 to {LONGEST_QUERY} bytes")));
        }
        if query.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Error::invalid("query", "no control characters but tabs and line ends"));
        }
        Ok(Assertion { name, query: query.into(), expect: expect.parse()? })
    }

    /// What its check is called.
    pub fn check(&self) -> String {
        format!("{CHECK}{}", self.name)
    }
}

/// What names of checks that are assertions begin with.
pub const CHECK: &str = "assertion:";

/// What the answer has to be. An answer is text: its rows one a line, the columns of a row apart by a tab.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// The same text, or the same number.
    Equals(String),
    AtLeast(f64),
    AtMost(f64),
    /// A regular expression that is found in it.
    Matches(String),
    NotEmpty,
}

const FORMS: &str = "\"equals TEXT\", \"at least NUMBER\", \"at most NUMBER\", \"matches REGULAR EXPRESSION\" or \"not empty\"";

impl FromStr for Expect {
    type Err = Error;
    fn from_str(text: &str) -> Result<Expect> {
        let text = text.trim();
        if text.len() > LONGEST_EXPECT {
            return Err(Error::invalid("expect", format!("at most {LONGEST_EXPECT} bytes")));
        }
        let number = |rest: &str| {
            let number = rest.parse::<f64>().ok().filter(|n| n.is_finite());
            number.ok_or_else(|| Error::invalid("expect", format!("\"{}\" is not a number", crate::error::shown(rest))))
        };
        if text == "not empty" {
            return Ok(Expect::NotEmpty);
        }
        if text == "equals" {
            return Ok(Expect::Equals(String::new()));
        }
        let after = |word: &str| text.strip_prefix(word).map(str::trim);
        if let Some(of) = after("equals ") {
            return Ok(Expect::Equals(of.into()));
        }
        if let Some(of) = after("at least ") {
            return Ok(Expect::AtLeast(number(of)?));
        }
        if let Some(of) = after("at most ") {
            return Ok(Expect::AtMost(number(of)?));
        }
        if let Some(of) = after("matches ") {
            return regex(of).map(|_| Expect::Matches(of.into()));
        }
        Err(Error::invalid("expect", format!("it has one of the forms {FORMS}")))
    }
}

fn regex(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|e| Error::invalid("expect", format!("not a regular expression: {e}")))
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Equals(text) => write!(f, "equals {text}"),
            Expect::AtLeast(n) => write!(f, "at least {n}"),
            Expect::AtMost(n) => write!(f, "at most {n}"),
            Expect::Matches(text) => write!(f, "matches {text}"),
            Expect::NotEmpty => f.write_str("not empty"),
        }
    }
}

impl Serialize for Expect {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Expect, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Expect {
    /// Whether `answer` is as it has to be, and a sentence that says what it is.
    pub fn judge(&self, answer: &str) -> (bool, String) {
        let text = answer.trim();
        let number = || text.parse::<f64>().ok();
        let ok = match self {
            Expect::Equals(wanted) => text == wanted || number().is_some_and(|n| wanted.parse() == Ok(n)),
            Expect::AtLeast(least) => number().is_some_and(|n| n >= *least),
            Expect::AtMost(most) => number().is_some_and(|n| n <= *most),
            Expect::Matches(pattern) => regex(pattern).is_ok_and(|r| r.is_match(text)),
            Expect::NotEmpty => !text.is_empty(),
        };
        (ok, format!("expected: {self}; the answer is {}", seen(text)))
    }
}

/// An answer as it is shown: short, on one line.
fn seen(text: &str) -> String {
    if text.is_empty() {
        return "empty".into();
    }
    let line: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let more = if text.chars().count() > SHOWN { " …" } else { "" };
    format!("{line}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(expect: &str, answer: &str) -> bool {
        expect.parse::<Expect>().unwrap().judge(answer).0
    }

    #[test]
    fn each_form_holds_and_does_not() {
        assert!(holds("equals 3", "3") && holds("equals 3", "3.0") && holds("equals a b", "a b\n") && !holds("equals 3", "33"));
        assert!(holds("at least 2", "2") && !holds("at least 2", "1.9") && !holds("at least 2", "many") && !holds("at least 2", ""));
        assert!(holds("at most -1", "-1") && !holds("at most -1", "0"));
        assert!(holds("matches ^v\\d+$", "v12") && !holds("matches ^v\\d+$", "w12"));
        assert!(holds("not empty", "0") && !holds("not empty", " \n") && holds("equals", ""));
    }

    #[test]
    fn they_are_written_as_they_are_read() {
        for text in ["equals 3", "at least 1000", "at most 0.5", "matches a|b", "not empty"] {
            let expect: Expect = text.parse().unwrap();
            assert_eq!(expect.to_string(), text);
            assert_eq!(serde_json::from_value::<Expect>(serde_json::to_value(&expect).unwrap()).unwrap(), expect);
        }
    }

    #[test]
    fn what_cannot_be_meant_names_its_field() {
        for bad in ["", "3", "at least", "at least many", "at least NaN", "matches (", "is 3", &"x".repeat(2000)] {
            let e = bad.parse::<Expect>().unwrap_err();
            assert_eq!(e.field.as_deref(), Some("expect"), "{bad}");
        }
        assert_eq!(Assertion::new("one", " ", "not empty").unwrap_err().field.as_deref(), Some("query"));
        assert_eq!(Assertion::new("one", "x\0", "not empty").unwrap_err().field.as_deref(), Some("query"));
        assert_eq!(Assertion::new("a b", "x", "not empty").unwrap_err().field.as_deref(), Some("name"));
    }

    #[test]
    fn an_answer_is_shown_on_one_line() {
        let (_, said) = Expect::NotEmpty.judge(&format!("a\tb\n{}", "x".repeat(500)));
        assert!(said.contains("a b xxx") && said.ends_with(" …") && said.len() < 300, "{said}");
    }
}
