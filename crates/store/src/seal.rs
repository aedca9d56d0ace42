//! Sealing: secrets at rest are only ever stored encrypted, with a key that is not in the store.
//!
//! AES-256-GCM-SIV, because a nonce that repeats by accident then reveals no more than that two
//! secrets are equal. What a secret belongs to is authenticated with it, so that a sealed text
//! copied to another row, to be shown or used there, does not open.

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use mainstay_model::{Error, Result};
use std::sync::Arc;

/// Says which algorithm sealed a text, should there ever be a second one.
const VERSION: &str = "1.";

#[derive(Clone)]
pub struct Sealer(Arc<Inner>);

struct Inner {
    bytes: [u8; 32],
    key: RandomizedNonceKey,
}

impl Sealer {
    pub fn from_key(bytes: [u8; 32]) -> Self {
        // The only error is a length the algorithm does not take, and this array has it.
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes).expect("32 bytes are an AES-256 key");
        Sealer(Arc::new(Inner { bytes, key }))
    }

    /// With a new key; keep [`Sealer::reveal_key`] or lose what it seals.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| Error::internal("the system gave no random bytes"))?;
        Ok(Sealer::from_key(bytes))
    }

    /// The key itself, to be written to the key file and nowhere else.
    pub fn reveal_key(&self) -> &[u8; 32] {
        &self.0.bytes
    }

    /// Seals `plain` for one place, named by `owner` and `kind`.
    pub fn seal(&self, owner: &str, kind: &str, plain: &[u8]) -> Result<String> {
        let mut text = plain.to_vec();
        let nonce = self.0.key.seal_in_place_append_tag(place(owner, kind), &mut text);
        let nonce = nonce.map_err(|_| Error::internal("sealing failed"))?;
        let whole = [nonce.as_ref().as_slice(), &text].concat();
        Ok(format!("{VERSION}{}", STANDARD_NO_PAD.encode(whole)))
    }

    /// Opens what was sealed for the same place with the same key.
    pub fn open(&self, owner: &str, kind: &str, sealed: &str) -> Result<Vec<u8>> {
        let closed = || {
            Error::integrity(format!(
                "the {kind} of {owner} does not open: it was changed, belongs elsewhere, or was sealed with another key file"
            ))
        };
        let body = sealed.strip_prefix(VERSION).ok_or_else(closed)?;
        let mut whole = STANDARD_NO_PAD.decode(body).map_err(|_| closed())?;
        let (nonce, text) = whole.split_at_mut_checked(NONCE_LEN).ok_or_else(closed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| closed())?;
        let plain = self.0.key.open_in_place(nonce, place(owner, kind), text).map_err(|_| closed())?;
        Ok(plain.to_vec())
    }
}

/// The owner's length in front keeps `a` + `bc` and `ab` + `c` apart.
fn place(owner: &str, kind: &str) -> Aad<String> {
    Aad::from(format!("{}:{owner}:{kind}", owner.len()))
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(•••)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_in_its_place_with_its_key() {
        let sealer = Sealer::generate().unwrap();
        let sealed = sealer.seal("cl_1", "accounts", b"hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_eq!(Sealer::from_key(*sealer.reveal_key()).open("cl_1", "accounts", &sealed).unwrap(), b"hunter2");
        assert!(sealer.open("cl_2", "accounts", &sealed).is_err());
        assert!(sealer.open("cl_1", "account", &sealed).is_err());
        assert!(sealer.open("cl_1a", "ccounts", &sealed).is_err());
        assert!(Sealer::generate().unwrap().open("cl_1", "accounts", &sealed).is_err());
        assert_ne!(sealed, sealer.seal("cl_1", "accounts", b"hunter2").unwrap());
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let sealer = Sealer::from_key([7; 32]);
        let sealed = sealer.seal("o", "k", b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open("o", "k", std::str::from_utf8(&other).unwrap()).is_err(), "{at}");
        }
        for bad in ["", "1.", "1.AAAA", "2.AAAA", "no"] {
            assert!(sealer.open("o", "k", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", Sealer::from_key([7; 32])), "Sealer(•••)");
    }
}
