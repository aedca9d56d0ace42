//! What is told of as it changes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// One more than the change before it in this project; a gap means that something was missed. `null`
    /// for measurements.
    pub seq: Option<u64>,
    /// cluster (with its nodes), backup, schedule, restore, storage, group, operation, alert, member, notifier.
    pub noun: String,
    pub id: String,
    /// `put` or `remove`.
    pub action: String,
    /// As the noun's own route answers it; `null` where it was removed.
    #[schema(value_type = Object)]
    pub object: serde_json::Value,
}
