//! People: how somebody gets in, what they may do, and how that ends.
//!
//! Nothing that lets anybody in is kept as it is: passwords as argon2id, links and sessions as
//! hashes of long random texts. What a person may do is looked up with each request and never
//! remembered in a session, so that a role that is taken away is gone at once.

mod links;
mod members;
mod passwords;
mod sessions;
mod users;

pub use links::{Accept, Looked, accept, ensure_first_link, invitations, invite, look, password_link, withdraw};
pub use members::{add, members, remove, roles, set_role};
pub use sessions::{IDLE_SECONDS, authenticate, end, end_others, forget, sessions, sign_in, stays, touch};
pub use users::{Change, Profile, change, delete, find, list, set_password, set_profile};

use mainstay_model::{Error, Kind, ProjectId, Role, SessionId, UserId, user::Session, user::User};

/// A person behind a request.
#[derive(Debug, Clone)]
pub struct Person {
    pub user: User,
    pub session: Session,
    /// The role in each project, as it is now.
    pub memberships: Vec<(ProjectId, Role)>,
}

impl Person {
    pub fn role_in(&self, project: &ProjectId) -> Option<Role> {
        self.memberships.iter().find(|(p, _)| p == project).map(|(_, role)| *role)
    }
    pub fn session_id(&self) -> &SessionId {
        &self.session.id
    }
    pub fn user_id(&self) -> &UserId {
        &self.user.id
    }
}

/// The same words whether the name, the password or both are wrong.
fn wrong() -> Error {
    Error::new(Kind::Unauthenticated, "wrong_password", "user name or password is wrong")
}
