//! What users want proven of a cluster's data.

use mainstay_model::backup::Check;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asked in every drill of the cluster, of the restored data, as the cluster's user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    pub name: String,
    /// One query or one command that only reads; `form` of the list says which.
    pub query: String,
    /// `equals TEXT`, `at least NUMBER`, `at most NUMBER`, `matches REGULAR EXPRESSION` or `not empty`.
    pub expect: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Assertions {
    pub cluster: String,
    /// What a question is on this engine, for people.
    pub form: String,
    pub assertions: Vec<Assertion>,
}

/// The whole list, at most 50.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAssertions {
    pub assertions: Vec<Assertion>,
}

/// Those to be tried; without any, those that are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TryAssertions {
    #[serde(default)]
    pub assertions: Option<Vec<Assertion>>,
}

/// What they say of the data that is live, in their order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TriedAssertions {
    pub cluster: String,
    pub ok: bool,
    pub checks: Vec<Check>,
}
