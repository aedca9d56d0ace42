//! The four roles in a project. Each includes what the ones below it may do.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads, no secrets.
    Viewer,
    /// Day-to-day work: backups, restores to new clusters, reboots.
    Operator,
    /// Everything on clusters.
    Admin,
    /// Members, deletion, keys.
    Owner,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Operator, Role::Admin, Role::Owner];
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }
    pub fn parse(s: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|r| r.as_str() == s)
    }
    /// Whether somebody with this role may do what needs `needed`.
    pub fn covers(self, needed: Role) -> bool {
        self >= needed
    }
}
