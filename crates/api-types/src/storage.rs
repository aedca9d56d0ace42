//! Storages.

use mainstay_model::{
    Secret, Time,
    backup::{Check, LastCheck},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Storage {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub region: Option<String>,
    /// Where it is, without secrets.
    pub location: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    /// Which of the repositories that lie beside each other in the place are meant, counted from 1.
    pub edition: u32,
    /// New backups go to others beside these: it only keeps what it has.
    pub rekeyed: bool,
    /// Bytes a second to and from it, for all backups, copies and restores together; `null` is no limit.
    pub bandwidth: Option<u64>,
    /// Backups and copies written to it at a time; `null` is no limit of its own.
    pub parallel: Option<u32>,
    /// What the latest look at it found, of the day's or of one that was asked for.
    pub last_check: Option<LastCheck>,
}

/// Each kind takes its own fields; one of another kind is refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddStorage {
    pub name: String,
    /// `local`, `s3`, `sftp`, `borg`, `snapshot`
    pub kind: String,
    /// A label for where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// local: an absolute directory on the host. sftp: one on the other machine. snapshot: one in the
    /// file system of the databases, in the data directory where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// s3: `http(s)://host[:port]`, without bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// s3: it must be there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// s3: what all objects' names begin with, without slashes at its ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// s3
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    /// s3: the secret access key. Kept sealed, never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only)]
    pub secret_key: Option<Secret>,
    /// s3: what requests are signed for; asked of the server where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_region: Option<String>,
    /// s3: `auto`, `on` (the bucket in the path) or `off` (in the host's name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<String>,
    /// s3: certificates to trust beside the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// sftp
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// sftp: 22 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// sftp
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// borg: `ssh://user@host[:port]/path`, or an absolute directory on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// sftp, and borg over ssh: the host's public key as `known_hosts` has it; any other is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// sftp, and borg over ssh: the private key that logs in (OpenSSH, PEM). Kept sealed, never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only)]
    pub ssh_key: Option<Secret>,
    /// Bytes a second to and from it together, 100000 at least; no limit where absent. Not for `snapshot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u64>,
    /// Backups and copies written to it at a time, the others wait for their turn; no limit where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
}

/// What is absent stays as it is; `null` takes a limit away.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchStorage {
    /// Bytes a second to and from it together, 100000 at least.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    pub bandwidth: Option<Option<u64>>,
    /// Backups and copies written to it at a time.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub parallel: Option<Option<u32>>,
    /// Of `s3`, with the `secret_key` that belongs to it. What logs in is tried before it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only)]
    pub secret_key: Option<Secret>,
    /// Of `s3`: certificates to trust beside the system's, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Of `sftp`, and of `borg` over ssh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, write_only)]
    pub ssh_key: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
}

/// Tells `null` from absence.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// What a look at the storage found, row by row.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StorageCheck {
    pub storage: String,
    pub ok: bool,
    pub rows: Vec<Check>,
    pub free_bytes: Option<u64>,
    pub total_bytes: Option<u64>,
}
