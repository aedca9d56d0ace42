//! Where storages lie, as configured.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Place {
    /// An absolute directory on the agent's host.
    Local {
        path: PathBuf,
    },
    S3(S3Place),
    Sftp(SftpPlace),
    Borg(BorgPlace),
    /// An absolute directory on the agent's host, in the file system of the databases' own files:
    /// files are kept by sharing their blocks.
    Snapshot {
        path: PathBuf,
    },
}

/// A bucket of any S3-compatible server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct S3Place {
    /// `http(s)://host[:port]`, without bucket.
    pub endpoint: String,
    pub bucket: String,
    /// Without slashes at its ends; empty for the bucket's top.
    #[serde(default)]
    pub prefix: String,
    /// What requests are signed with; asked of the server where it is not given, else `us-east-1`.
    #[serde(default)]
    pub s3_region: Option<String>,
    #[serde(default)]
    pub path_style: PathStyle,
    pub access_key: String,
    /// PEM certificates to trust beside the system's.
    #[serde(default)]
    pub ca: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathStyle {
    /// Virtual-host style where the endpoint's host is a name that answers so, else path style.
    #[default]
    Auto,
    On,
    Off,
}

/// A directory reached over SFTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SftpPlace {
    pub host: String,
    pub port: u16,
    pub user: String,
    /// Absolute, on that host.
    pub path: String,
    /// The host's public key as `known_hosts` has it (`ssh-ed25519 AAAA…`): any other is refused.
    pub host_key: String,
}

/// Where Borg repositories lie, one for each cluster below it, written by the real `borg`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BorgPlace {
    /// `ssh://user@host[:port]/path`, or an absolute directory.
    pub repository: String,
    /// The host's public key as `known_hosts` has it, for `ssh://`.
    #[serde(default)]
    pub host_key: Option<String>,
}

/// The kind that is not encrypted and lies on the disk of the databases: what is kept there brings back
/// quickly, and counts as no copy of its own.
pub const SNAPSHOT: &str = "snapshot";

impl Place {
    pub fn kind(&self) -> &'static str {
        match self {
            Place::Local { .. } => "local",
            Place::S3(_) => "s3",
            Place::Sftp(_) => "sftp",
            Place::Borg(_) => "borg",
            Place::Snapshot { .. } => SNAPSHOT,
        }
    }
}
