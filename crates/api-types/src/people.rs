//! People: signing in, one's own profile, users, members and invitations.

use mainstay_model::{Role, Time, user::LinkKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Name or e-mail address.
    pub user: String,
    pub password: String,
}

/// Who asks, and what they may do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// `user` or `token`. A token has no profile, no password and no sessions.
    pub kind: String,
    pub id: String,
    pub name: String,
    pub email: Option<String>,
    /// Of the whole installation.
    pub administrator: bool,
    /// One for each project that is seen.
    pub roles: Vec<ProjectRole>,
    pub preferences: Map<String, Value>,
    pub session: Option<Session>,
    /// The address this was asked from.
    pub address: String,
    /// What the server's clock says.
    #[schema(value_type = String, format = DateTime)]
    pub server_time: Time,
    /// Of Mainstay.
    pub version: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProjectRole {
    pub project_id: String,
    pub project: String,
    pub role: Role,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    pub id: String,
    /// The one this was asked with.
    pub current: bool,
    /// The address it was begun from.
    pub address: String,
    /// How the browser calls itself.
    pub browser: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    pub last_seen_at: Time,
    /// In any case.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Time,
    /// Where it is not used before.
    #[schema(value_type = String, format = DateTime)]
    pub idle_until: Time,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchMe {
    #[serde(default)]
    pub name: Option<String>,
    /// Changing it needs `password`.
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub password: Option<String>,
    /// In place of those there are; at most 8 KiB.
    #[serde(default)]
    pub preferences: Option<Map<String, Value>>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    pub current: String,
    pub new: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionsEnded {
    pub ended: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookAtLink {
    /// What stands behind `#token=`.
    pub token: String,
}

/// What a link is for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkShown {
    pub kind: LinkKind,
    /// The machine that Mainstay runs on.
    pub host: String,
    pub project: Option<String>,
    pub role: Option<Role>,
    pub email: Option<String>,
    /// Somebody with this e-mail address is there already: `password` is theirs of today, and there is
    /// no `name` to choose.
    pub known: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptLink {
    pub token: String,
    #[serde(default)]
    pub name: Option<String>,
    /// Only the first administrator chooses one.
    #[serde(default)]
    pub email: Option<String>,
    pub password: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct User {
    pub id: String,
    pub name: String,
    pub email: String,
    pub administrator: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<Time>,
    pub roles: Vec<ProjectRole>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchUser {
    #[serde(default)]
    pub administrator: Option<bool>,
    #[serde(default)]
    pub disabled: Option<bool>,
}

/// A link is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LinkMade {
    pub id: Option<String>,
    /// Below the server's address.
    pub path: String,
    /// The whole of it, by the name the request was for.
    pub url: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    pub name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The user's id.
    pub id: String,
    pub name: String,
    pub email: String,
    pub role: Role,
    /// Of the whole installation: may everything, whatever the role here.
    pub administrator: bool,
    pub disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    pub added_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_seen_at: Option<Time>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// Name, e-mail address or id of somebody who is a user already.
    pub user: String,
    pub role: Role,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRole {
    pub role: Role,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    pub email: String,
    pub role: Role,
    /// Days the link is good for: 1 to 30, 7 where absent.
    #[serde(default)]
    pub expires: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    pub id: String,
    pub email: String,
    pub role: Role,
    pub made_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Time,
}
