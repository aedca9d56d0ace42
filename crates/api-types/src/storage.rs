//! Storages.

use mainstay_model::{Time, backup::Check};
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
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddStorage {
    pub name: String,
    /// `local`
    pub kind: String,
    /// An absolute directory on the host.
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
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
