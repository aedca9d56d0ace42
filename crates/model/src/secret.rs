//! Secrets: never printed, wiped when dropped is left to the owner of the process memory, and
//! generated from an alphabet without characters people confuse.

use serde::{Deserialize, Serialize};

/// A secret text. `Debug` and `Display` show dots; serialising shows it, because the sealed
/// columns and the agent's contract must carry it: never serialise one into a log or a reply.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Letters and digits without `0 O o 1 l I`: read aloud and typed without mistakes, and safe
/// unquoted in every engine's configuration language.
pub const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }
    /// The text itself. Each call site is a place a secret may leak from: keep them few.
    pub fn reveal(&self) -> &str {
        &self.0
    }
    /// `len` characters drawn from `random` bytes without bias; `random` is called for one byte
    /// at a time so that this crate needs no source of randomness of its own.
    pub fn generate(len: usize, mut random: impl FnMut() -> u8) -> Self {
        let limit = 256 - 256 % ALPHABET.len();
        let mut pick = || loop {
            let b = random() as usize;
            if b < limit {
                return ALPHABET[b % ALPHABET.len()] as char;
            }
        };
        Secret((0..len).map(|_| pick()).collect())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(•••)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert!(!format!("{:?}", Secret::new("hunter2")).contains("hunter2"));
    }

    #[test]
    fn generated_secrets_use_the_clear_alphabet() {
        let mut n = 0u8;
        let s = Secret::generate(64, || {
            n = n.wrapping_add(41);
            n
        });
        assert_eq!(s.reveal().len(), 64);
        assert!(s.reveal().bytes().all(|b| ALPHABET.contains(&b)));
        assert!(!s.reveal().contains(['0', 'O', 'o', '1', 'l', 'I']));
    }
}
