//! Where a repository's objects lie. The one seam between the repository format and the outside: a
//! second kind of place is a second implementation of [`Objects`] and nothing else.
//!
//! The contract is small because the format is: objects are written once under the hash of their
//! content and never changed, so "write" means durable and never replacing, and there is no lock,
//! no append and no rename to ask a place for.

pub mod check;
pub mod local;
mod outgoing;
pub mod s3;
pub mod sftp;

use bytes::Bytes;
use jiff::Timestamp;
use mainstay_model::Result;
use rustic_core::{FileType, Id};
use std::time::{Duration, SystemTime};

pub use local::Local;
pub use s3::S3;
pub use sftp::Sftp;

/// One stored object as a listing shows it.
#[derive(Debug, Clone, Copy)]
pub struct Object {
    pub id: Id,
    pub size: u64,
    pub modified: SystemTime,
}

pub trait Objects: Send + Sync + 'static {
    /// The place as `restic -r` takes it.
    fn location(&self) -> String;
    /// A single object as a person finds it.
    fn name(&self, kind: FileType, id: &Id) -> String;
    /// Makes the empty layout. Done already is done.
    fn create(&self) -> Result<()>;
    fn list(&self, kind: FileType) -> Result<Vec<Object>>;
    fn read(&self, kind: FileType, id: &Id) -> Result<Bytes>;
    /// Exactly `length` bytes from `offset`; fewer are an integrity error.
    fn read_at(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> Result<Bytes>;
    /// At most `length` bytes from `offset`: fewer where the object ends.
    fn read_some(&self, kind: FileType, id: &Id, offset: u64, length: usize) -> Result<Bytes> {
        self.read_at(kind, id, offset, length)
    }
    /// Returns when the object is durable under its name. An object that is there already must be
    /// the same one. On an error nothing of it is left.
    fn write(&self, kind: FileType, id: &Id, content: &[Bytes]) -> Result<()>;
    /// Absent is done.
    fn remove(&self, kind: FileType, id: &Id) -> Result<()>;
    /// Removes what interrupted writes left behind and is older than `age`.
    fn sweep(&self, age: Duration) -> Result<()>;
    /// Removes everything. What is interrupted never looks like a repository. Absent is done.
    fn destroy(&self) -> Result<()>;
    /// What time it is there, where objects can be locked for a while; `None` where they cannot.
    fn lock_clock(&self) -> Result<Option<Timestamp>> {
        Ok(None)
    }
    /// Nobody removes the object before `until`. A longer lock stays.
    fn lock(&self, kind: FileType, id: &Id, until: Timestamp) -> Result<()> {
        let _ = (kind, id, until);
        Ok(())
    }
    /// Bytes that may still be written there; `None` where the place does not say.
    fn free(&self) -> Result<Option<u64>> {
        Ok(None)
    }
    /// Bytes that went to and from the storage so far.
    fn moved(&self) -> u64 {
        0
    }
    /// Whether each request takes a while to come and go, so that few large ones are better than many
    /// small ones.
    fn is_far(&self) -> bool {
        false
    }
    /// What a person needs to get in with restic.
    fn manual(&self) -> Manual {
        Manual::default()
    }
}

/// For a person at a shell, before `restic` and behind it. Never a secret.
#[derive(Debug, Default)]
pub struct Manual {
    pub before: Vec<String>,
    /// Begins with a space where it is not empty.
    pub options: String,
}

/// Where restic keeps an object, below the repository.
fn path_of(kind: FileType, id: &Id) -> String {
    let hex = id.to_hex();
    match kind {
        FileType::Config => "config".into(),
        FileType::Pack => format!("data/{}/{}", &hex[..2], &*hex),
        other => format!("{}/{}", other.dirname(), &*hex),
    }
}

/// A word as a person can paste it into a shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
