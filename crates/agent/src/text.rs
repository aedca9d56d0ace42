//! What engines say, made fit to be shown: a log line may carry terminal commands, and an error of a
//! database may quote the statement that set a password.

use mainstay_model::Error;
use serde_json::Value;

/// Longest line that is passed on.
const LINE_CHARS: usize = 2_000;

/// One line without terminal commands, control characters and characters that reorder text.
pub(crate) fn clean(line: &str) -> String {
    let mut out = String::with_capacity(line.len().min(LINE_CHARS));
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_command(&mut chars),
            '\t' | '\n' => out.push(' '),
            c if c.is_control() || reorders(c) => {}
            c => out.push(c),
        }
        if out.len() >= LINE_CHARS {
            out.push('…');
            break;
        }
    }
    out
}

/// Skips what belongs to an escape: `[ … letter`, `] … BEL`, or one character.
fn skip_command(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| ('\x40'..='\x7e').contains(c));
        }
        Some(']' | 'P' | '^' | '_') => {
            chars.find(|c| matches!(c, '\x07' | '\\'));
        }
        _ => {}
    }
}

fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The fields of a verb's arguments that hold secrets.
const SECRET_FIELDS: [&str; 7] = ["password", "admin", "replication", "own", "recovery", "secret", "key"];

/// An error as it may leave the agent: cleaned, and without any secret that came with the call.
pub(crate) fn fit(mut error: Error, arguments: &str) -> Error {
    let arguments = serde_json::from_str(arguments).unwrap_or(Value::Null);
    let mut secrets = vec![];
    collect(&arguments, false, &mut secrets);
    error.message = hide(&error.message, &secrets);
    error.inside = error.inside.map(|inside| hide(&inside, &secrets));
    error
}

fn hide(text: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(clean(text), |text, secret| text.replace(secret, "•••"))
}

fn collect<'a>(value: &'a Value, secret: bool, found: &mut Vec<&'a str>) {
    match value {
        // Shorter ones would black out half the text, and are nobody's generated password.
        Value::String(s) if secret && s.len() >= 6 => found.push(s),
        Value::Array(items) => items.iter().for_each(|v| collect(v, secret, found)),
        Value::Object(fields) => fields.iter().for_each(|(k, v)| collect(v, SECRET_FIELDS.contains(&k.as_str()), found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::storage::RepositoryKeys;
    use mainstay_model::{
        Secret,
        credentials::{Accounts, Credentials},
    };

    #[test]
    fn terminal_commands_and_control_bytes_are_gone() {
        assert_eq!(clean("a\x1b[31mred\x1b[0m\tb\x07\x00\u{202e}c\r"), "ared bc");
        assert_eq!(clean("\x1b]52;c;aGk=\x07after"), "after");
        assert!(clean(&"x".repeat(1_000_000)).len() < LINE_CHARS + 10);
    }

    #[test]
    fn every_secret_of_a_call_is_taken_out_of_its_error() {
        let user = Credentials { user: "app".into(), password: Secret::new("user-secret"), database: None };
        let accounts = Accounts { user, admin: Secret::new("admin-secret"), replication: Secret::new("link-secret") };
        let keys = RepositoryKeys { own: Secret::new("own-secret"), recovery: vec![Secret::new("recovery-secret")] };
        let arguments =
            serde_json::json!({"plan": {"accounts": accounts}, "repository": {"keys": keys, "storage": {"secret": "storage-secret"}}})
                .to_string();
        let said = "user-secret admin-secret link-secret own-secret recovery-secret storage-secret";
        let shown = fit(Error::failed("x", said).with_inside(said), &arguments);
        assert!(!shown.message.contains("secret") && !shown.inside.unwrap().contains("secret"), "{}", shown.message);
    }
}
