//! Sizes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SizePlan {
    pub name: String,
    pub title: String,
    pub cpus: u64,
    pub memory_bytes: u64,
    pub storage_bytes: u64,
    /// No limits: every node may use what the machine has.
    pub shared: bool,
    /// `null` where nobody set one.
    pub price_per_hour: Option<f64>,
}
