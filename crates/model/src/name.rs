//! Names people choose. A name that parsed is safe as a file name, a label and an SQL identifier
//! after `-` became `_`; the check is here and nowhere else.

use crate::{Error, Result, error::shown};
use serde::{Deserialize, Serialize};

/// What every name looks like.
pub const PATTERN: &str = "^[a-z][a-z0-9-]{1,38}[a-z0-9]$";

fn check(field: &str, s: &str) -> Result<()> {
    let b = s.as_bytes();
    let inner = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-';
    let fits = (3..=40).contains(&b.len()) && b[0].is_ascii_lowercase() && b.iter().all(inner) && b[b.len() - 1] != b'-';
    if fits {
        return Ok(());
    }
    Err(Error::invalid(
        field,
        format!("\"{}\" is not a name: 3 to 40 lower-case letters, digits and dashes, a letter first, no dash last ({PATTERN})", shown(s)),
    )
    .with_code("invalid_name"))
}

macro_rules! name {
    ($name:ident, $field:literal) => {
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);
        impl $name {
            pub fn parse(s: &str) -> Result<Self> {
                check($field, s)?;
                Ok(Self(s.into()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// The name as an SQL identifier that needs no quotes: `-` becomes `_`.
            pub fn identifier(&self) -> String {
                self.0.replace('-', "_")
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(s: String) -> Result<Self> {
                Self::parse(&s)
            }
        }
        impl From<$name> for String {
            fn from(v: $name) -> String {
                v.0
            }
        }
    };
}

name!(ClusterName, "name");
// A project's, a storage's, a token's name.
name!(Name, "name");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names() {
        for n in ["abc", "a-1", "pg-one", &format!("a{}9", "b".repeat(38))] {
            assert!(ClusterName::parse(n).is_ok(), "{n}");
        }
        assert_eq!(ClusterName::parse("pg-one").unwrap().identifier(), "pg_one");
    }

    #[test]
    fn hostile_names() {
        let long = "a".repeat(41);
        for n in [
            "",
            "a",
            "ab",
            "-rf",
            "--help",
            "../x",
            "a;id",
            "$(id)",
            "`id`",
            "a|b",
            "a&&b",
            "a\nb",
            "a\0b",
            "Abc",
            "ab-",
            "a b",
            " abc",
            "abc ",
            "1abc",
            "naïve",
            "😀abc",
            "a\u{202e}bc",
            "аbc",
            &long,
        ] {
            let e = ClusterName::parse(n).expect_err(n);
            assert_eq!(e.code, "invalid_name");
            assert!(e.message.contains(PATTERN));
        }
    }
}
