//! The audit.

use mainstay_model::Time;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    pub id: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub actor: String,
    pub action: String,
    pub project: Option<String>,
    pub object_kind: String,
    pub object_id: Option<String>,
    pub object_name: Option<String>,
    /// `done`, `refused` or `failed`.
    pub result: String,
    pub from: Option<String>,
    pub detail: String,
}

/// Every row's hash fits the one before it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditVerified {
    pub rows: u64,
}
