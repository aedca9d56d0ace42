//! The format's cryptography: AES-256-CTR with Poly1305-AES under the repository's master key, and
//! SHA-256 as every object's and every blob's name.
//!
//! The library has all of this inside, but hands out neither raw blobs to a reader that wants whole
//! stretches of a pack nor a way to write a corrected tree.

use aes256ctr_poly1305aes::{
    Aes256CtrPoly1305Aes, Key, Nonce,
    aead::{Aead, AeadInPlace},
};
use mainstay_model::{Error, Result};
use rand::Rng;
use rustic_core::{Id, repofile::MasterKey};
use sha2::{Digest, Sha256};

/// Bytes of nonce before and of tag after every sealed text.
pub const OVERHEAD: usize = 32;
const NONCE: usize = 16;
const LEVEL: i32 = 1;

#[derive(Clone)]
pub struct Seal {
    key: Key,
    master: MasterKey,
}

impl Seal {
    pub fn new(master: MasterKey) -> Self {
        let mut key = Key::default();
        key[..32].copy_from_slice(&master.encrypt);
        key[32..48].copy_from_slice(&master.mac.k);
        key[48..].copy_from_slice(&master.mac.r);
        Seal { key, master }
    }

    pub fn master(&self) -> MasterKey {
        self.master.clone()
    }

    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let broken = || Error::integrity("it does not decrypt: the bytes are not those that were written");
        let (nonce, text) = sealed.split_at_checked(NONCE).ok_or_else(broken)?;
        Aes256CtrPoly1305Aes::new(&self.key).decrypt(Nonce::from_slice(nonce), text).map_err(|_| broken())
    }

    pub fn close(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut nonce = Nonce::default();
        rand::rng().fill_bytes(&mut nonce);
        let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag =
            Aes256CtrPoly1305Aes::new(&self.key).encrypt_in_place_detached(&nonce, &[], &mut out[NONCE..]).map_err(Error::internal)?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    /// Opens a blob and holds it against its name.
    pub fn open_blob(&self, sealed: &[u8], plain: Option<u32>, id: &Id) -> Result<Vec<u8>> {
        let mut bytes = self.open(sealed)?;
        if let Some(length) = plain {
            bytes = zstd::bulk::decompress(&bytes, length as usize)
                .map_err(|e| Error::integrity(format!("it does not decompress to {length} bytes: {e}")))?;
        }
        match name_of(&bytes) == *id {
            true => Ok(bytes),
            false => Err(Error::integrity("its content does not have the hash it was stored under")),
        }
    }

    /// Seals a blob compressed.
    pub fn close_blob(&self, plain: &[u8]) -> Result<Vec<u8>> {
        self.close(&zstd::bulk::compress(plain, LEVEL).map_err(Error::internal)?)
    }

    /// Opens a whole object: an index, a snapshot record.
    pub fn open_object(&self, sealed: &[u8]) -> Result<Vec<u8>> {
        let bytes = self.open(sealed)?;
        match bytes.first() {
            Some(b'{' | b'[') => Ok(bytes),
            Some(2) => zstd::decode_all(&bytes[1..]).map_err(|e| Error::integrity(format!("it does not decompress: {e}"))),
            _ => Err(Error::integrity("it is of no known format")),
        }
    }

    pub fn close_object(&self, plain: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = vec![2];
        zstd::stream::copy_encode(plain, &mut bytes, LEVEL).map_err(Error::internal)?;
        self.close(&bytes)
    }

    /// A short name for a password that says nothing about it to anyone without the master key.
    pub fn fingerprint(&self, password: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(b"mainstay key fingerprint 1");
        hash.update(self.key);
        hash.update(password);
        hex::encode(&hash.finalize()[..12])
    }
}

pub fn name_of(bytes: &[u8]) -> Id {
    Id::new(Sha256::digest(bytes).into())
}

/// The 32 bytes behind an id.
pub fn raw(id: &Id) -> Vec<u8> {
    hex::decode(&*id.to_hex()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_a_changed_byte_does_not() {
        let seal = Seal::new(MasterKey::new());
        let plain = vec![7; 100_000];
        let mut sealed = seal.close_blob(&plain).unwrap();
        assert_eq!(seal.open_blob(&sealed, Some(100_000), &name_of(&plain)).unwrap(), plain);
        assert!(seal.open_blob(&sealed, Some(100_000), &name_of(b"other")).is_err());
        assert_eq!(seal.open_object(&seal.close_object(b"{}").unwrap()).unwrap(), b"{}");
        sealed[20] ^= 1;
        assert!(seal.open(&sealed).is_err());
        assert!(seal.open(&[0; 5]).is_err());
    }

    #[test]
    fn a_fingerprint_depends_on_the_repository() {
        let (a, b) = (Seal::new(MasterKey::new()), Seal::new(MasterKey::new()));
        assert_eq!(a.fingerprint("x"), a.fingerprint("x"));
        assert_ne!(a.fingerprint("x"), a.fingerprint("y"));
        assert_ne!(a.fingerprint("x"), b.fingerprint("x"));
    }
}
