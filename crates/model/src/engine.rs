//! The catalogue entry of an engine as users see it.

use crate::cluster::Mode;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EngineEntry {
    pub name: String,
    pub title: String,
    /// Versions found on this host, newest first.
    pub versions: Vec<String>,
    pub available: bool,
    /// How to get it where it is not available.
    pub install_hint: String,
    pub modes: Vec<Mode>,
    /// What this engine can do here: `backups`, `failover`, `accounts`, ...
    pub capabilities: Vec<String>,
    pub default_port: u16,
    pub parameters: Vec<Parameter>,
}

/// One typed engine parameter a user may set. What is not listed cannot be set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Parameter {
    pub name: String,
    pub kind: ParameterKind,
    pub default: String,
    pub needs_restart: bool,
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ParameterKind {
    Integer {
        min: i64,
        max: i64,
    },
    /// Bytes; written with a unit: `16MB`.
    Size {
        min: u64,
        max: u64,
    },
    /// Milliseconds.
    Duration {
        min: u64,
        max: u64,
    },
    Boolean,
    OneOf {
        values: Vec<String>,
    },
}
