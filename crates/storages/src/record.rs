//! `mainstay.json`, the last file of every snapshot: what a catalogue needs to know about a backup,
//! readable by anyone who restored it with another tool.

use mainstay_drivers::storage::{SnapshotEntry, SnapshotLabel};
use mainstay_model::{
    Error, Result,
    backup::{Check, Facts},
};
use serde::{Deserialize, Serialize};

/// Its name at the top of the snapshot. No source may use it.
pub const NAME: &str = "mainstay.json";
/// Beside it where the format of the repository cannot hold all that a source says of its files.
pub const LIST: &str = "mainstay.files";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub version: u32,
    pub label: SnapshotLabel,
    pub facts: Facts,
    /// Bytes and files of the source, without this file.
    pub data_bytes: u64,
    pub files: u64,
    /// What was checked before this file was written; the read-back comes after it.
    pub checks: Vec<Check>,
}

impl Record {
    pub fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(Error::internal)
    }

    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|e| Error::integrity(format!("{NAME} of the snapshot is not readable: {e}")))
    }
}

/// One line of `mainstay.files`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Listed {
    #[serde(flatten)]
    pub entry: SnapshotEntry,
    /// Of a file's content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

pub fn to_lines(files: &[Listed]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for file in files {
        serde_json::to_writer(&mut out, file).map_err(Error::internal)?;
        out.push(b'\n');
    }
    Ok(out)
}

pub fn from_lines(bytes: &[u8], snapshot: &str) -> Result<Vec<Listed>> {
    let parse =
        |line| serde_json::from_slice(line).map_err(|e| Error::integrity(format!("{LIST} of snapshot {snapshot} is not readable: {e}")));
    bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(parse).collect()
}
