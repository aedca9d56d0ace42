//! A project: what holds clusters and storages; every other object belongs to exactly one.

use crate::{Name, ProjectId, Time};
use serde::{Deserialize, Serialize};

/// The project that exists from the start and is meant where none is named.
pub const DEFAULT: &str = "default";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Project {
    #[schema(value_type = String)]
    pub id: ProjectId,
    #[schema(value_type = String)]
    pub name: Name,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
}
