//! What a client needs to log in, and the accounts Mainstay itself uses on a node.

use crate::Secret;
use serde::{Deserialize, Serialize};

/// The cluster's own user, the one `cluster credentials` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub user: String,
    pub password: Secret,
    /// `None` for engines without named databases.
    pub database: Option<String>,
}

/// Every account on a cluster's nodes. `admin` and `replication` never leave Mainstay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    pub user: Credentials,
    pub admin: Secret,
    pub replication: Secret,
}
