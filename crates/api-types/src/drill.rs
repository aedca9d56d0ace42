//! Drills.

use mainstay_model::{Time, backup::Check, drill::DrillResult};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One time a backup was restored into a throw-away instance, or could not be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DrillRun {
    pub id: String,
    pub backup: String,
    /// The storage whose copy was restored.
    #[serde(default)]
    pub storage: Option<String>,
    pub engine_version: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// `not_done`: whether the backup restores is not known.
    pub result: DrillResult,
    /// From the first byte asked for to an engine that was checked.
    pub seconds: Option<f64>,
    pub reason: Option<String>,
    /// What was looked at and what was found, the user's assertions (`assertion:NAME`) among it.
    #[serde(default)]
    pub checks: Vec<Check>,
}
