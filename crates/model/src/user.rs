//! People, their sessions, and the links that let somebody in once.

use crate::{Error, LinkId, ProjectId, Result, Role, SessionId, Time, UserId, error::shown};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub const PASSWORD_MIN: usize = 12;
/// Longer ones only cost time.
pub const PASSWORD_MAX: usize = 1024;
const NAME_MAX: usize = 64;
const EMAIL_MAX: usize = 254;
/// Bytes of a person's preferences as JSON.
const PREFERENCES_MAX: usize = 8 * 1024;

/// The password is not part of it: see the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub name: String,
    pub email: String,
    /// Of the whole installation: sees and may do everything.
    pub administrator: bool,
    pub created_at: Time,
    #[serde(default)]
    pub disabled_at: Option<Time>,
    #[serde(default)]
    pub last_seen_at: Option<Time>,
    /// What the dashboard keeps for the person; Mainstay itself reads nothing of it.
    #[serde(default)]
    pub preferences: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub created_at: Time,
    pub last_seen_at: Time,
    pub expires_at: Time,
    /// Address it was begun from.
    pub from: String,
    /// How the browser calls itself.
    pub agent: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Makes the first administrator.
    First,
    /// Makes a member of a project.
    Invitation,
    /// Sets a new password.
    Password,
}

/// Used once, and then gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub id: LinkId,
    pub kind: LinkKind,
    pub project: Option<ProjectId>,
    pub role: Option<Role>,
    pub email: Option<String>,
    pub user: Option<UserId>,
    pub created_at: Time,
    pub expires_at: Time,
    pub made_by: String,
}

/// A name as people write theirs. No `@`, so that it is nobody's e-mail address.
pub fn name(text: &str) -> Result<String> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= NAME_MAX && !text.contains('@') && is_plain(text);
    if fits { Ok(text.into()) } else { Err(Error::invalid("name", format!("1 to {NAME_MAX} characters, no @ and no control characters"))) }
}

pub fn email(text: &str) -> Result<String> {
    let text = text.trim();
    let parts = text.split_once('@').filter(|(user, host)| !user.is_empty() && host.len() >= 3 && !host.contains('@'));
    let fits = parts.is_some() && text.len() <= EMAIL_MAX && is_plain(text) && !text.contains(char::is_whitespace);
    if fits { Ok(text.into()) } else { Err(Error::invalid("email", format!("\"{}\" is not an e-mail address", shown(text)))) }
}

/// Never quoted back.
pub fn password(text: &str) -> Result<()> {
    let length = text.chars().count();
    if (PASSWORD_MIN..=PASSWORD_MAX).contains(&length) {
        return Ok(());
    }
    Err(Error::invalid("password", format!("{PASSWORD_MIN} characters or more, and at most {PASSWORD_MAX}")))
}

pub fn preferences(map: Map<String, Value>) -> Result<Map<String, Value>> {
    let bytes = serde_json::to_vec(&map).map_err(Error::internal)?.len();
    if bytes > PREFERENCES_MAX {
        return Err(Error::invalid("preferences", format!("{bytes} bytes; at most {PREFERENCES_MAX}")));
    }
    Ok(map)
}

/// How a name or an address is compared.
pub fn key(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Nothing that steers a terminal or turns the direction of a line.
fn is_plain(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart() {
        assert_eq!(name(" Ada Lovelace "), Ok("Ada Lovelace".into()));
        for bad in ["", "  ", "a@b.example", "a\nb", "a\u{202e}b", &"x".repeat(65)] {
            assert_eq!(name(bad).unwrap_err().field.as_deref(), Some("name"), "{bad:?}");
        }
        assert_eq!(email("ada@db.example"), Ok("ada@db.example".into()));
        for bad in ["", "ada", "@db.example", "ada@", "a b@db.example", "a@b@c.example", "a@db.example\n\0"] {
            assert_eq!(email(bad).unwrap_err().field.as_deref(), Some("email"), "{bad:?}");
        }
    }

    #[test]
    fn passwords_are_long_enough_and_never_quoted() {
        assert!(password("correct horse").is_ok() && password(&"é".repeat(12)).is_ok());
        let e = password("hunter2").unwrap_err();
        assert!(!format!("{e:?}").contains("hunter2"), "{e:?}");
        assert!(password(&"x".repeat(1025)).is_err());
    }
}
