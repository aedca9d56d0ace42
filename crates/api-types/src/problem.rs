//! Errors as `application/problem+json` (RFC 9457).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `about:blank#<code>`: the code says it all.
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// A stable word scripts may match on.
    pub code: String,
    pub request_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The operation that holds the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
}
