//! The REST contract as data: what the server answers and takes, shared by server, client and the
//! OpenAPI document. Field names are the product's contract with scripts; they only ever grow.
//!
//! Times are RFC 3339 in UTC, sizes bytes, durations seconds. Requests refuse unknown fields.

pub mod alert;
pub mod assertion;
pub mod audit;
pub mod backup;
pub mod cluster;
pub mod drill;
pub mod event;
pub mod group;
pub mod log;
pub mod node;
pub mod notifier;
pub mod operation;
pub mod people;
pub mod problem;
pub mod recovery;
pub mod restore;
pub mod schedule;
pub mod size_plan;
pub mod storage;
pub mod token;

pub use alert::*;
pub use assertion::*;
pub use audit::*;
pub use backup::*;
pub use cluster::*;
pub use drill::*;
pub use event::*;
pub use group::*;
pub use log::*;
pub use mainstay_model::console::*;
pub use mainstay_model::engine::EngineEntry as Engine;
pub use node::*;
pub use notifier::*;
pub use operation::*;
pub use people::*;
pub use problem::*;
pub use recovery::*;
pub use restore::*;
pub use schedule::*;
pub use size_plan::*;
pub use storage::*;
pub use token::*;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One page of a list. `next` goes back as `?cursor=`; absent on the last page.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    pub next: Option<String>,
}

/// What a verb would do, asked for with `?dry_run=true`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    pub kind: String,
    pub summary: Vec<String>,
    pub steps: Vec<PlannedStep>,
    pub warnings: Vec<String>,
    /// What it comes to in numbers, as far as they are known; null where one is not, absent where it says
    /// nothing of this verb: `connections_cut`, `bytes_to_copy`, `replicas_left`, `backups_left`, `backups_removed`,
    /// `bytes_lost`, `seconds_unseen`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub numbers: BTreeMap<String, Option<u64>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PlannedStep {
    pub name: String,
    pub title: String,
    /// From this step on the operation only goes forward.
    pub point_of_no_return: bool,
}

/// A typed name, for acts that lose something.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    #[serde(default)]
    pub confirm: Option<String>,
}
