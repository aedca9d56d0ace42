//! Who may do what. The customer's user may use all data and may not touch what Mainstay keeps in
//! order: roles, persistence, accounts, the server's files and settings.
//!
//! Rights are taken away by category, so that a management command of a later version is denied
//! before anybody here has heard of it; what is harmless is given back by name. The lists do not
//! replicate: every node gets its own.

use super::{
    RedisFamily,
    config::files,
    connect::{Session, admin},
};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{AccountKeeper, Node},
};
use mainstay_model::{
    ClusterName, Secret,
    credentials::{Accounts, Credentials},
};
use redis::pipe;
use sha2::{Digest, Sha256};

/// Mainstay's own user.
pub(super) const ADMIN: &str = "mainstay";
/// What replicas log in as, and backups.
pub(super) const REPLICATION: &str = "mainstay-replication";
/// The customer's. Clients that send a password alone mean this one.
const USER: &str = "default";

/// `MIGRATE` opens connections to anywhere and `RESTORE-ASKING` belongs to the cluster protocol;
/// neither counts as administration. `CLIENT KILL` and `CLIENT UNPAUSE`, which do, could end a
/// hand-over's pause; `CONFIG GET` would show the replication password.
const USER_RIGHTS: &str = "~* &* +@all -@admin -migrate -restore-asking -cluster +cluster|info \
                           +role +lastsave +client|list +client|unblock +slowlog +latency";
const ADMIN_RIGHTS: &str = "~* &* +@all";
const REPLICATION_RIGHTS: &str = "resetkeys resetchannels -@all +ping +replconf +psync +sync";

fn users(accounts: &Accounts) -> [(&'static str, &Secret, &'static str); 3] {
    [
        (USER, &accounts.user.password, USER_RIGHTS),
        (ADMIN, &accounts.admin, ADMIN_RIGHTS),
        (REPLICATION, &accounts.replication, REPLICATION_RIGHTS),
    ]
}

/// A password as the lists hold it: nobody who reads them learns it.
fn hashed(password: &Secret) -> String {
    format!("#{}", hex::encode(Sha256::digest(password.reveal())))
}

/// The file the server reads at its start.
pub(super) fn access_list(accounts: &Accounts) -> String {
    users(accounts).map(|(name, password, rights)| format!("user {name} on {} {rights}\n", hashed(password))).concat()
}

/// Tells a running server the same. `reset` and the new rules are one command: no session ever sees
/// the moment between, and sessions that are logged in stay.
async fn tell(session: &mut Session, accounts: &Accounts) -> Result<()> {
    let mut all = pipe();
    for (name, password, rights) in users(accounts) {
        all.cmd("ACL")
            .arg("SETUSER")
            .arg(name)
            .arg("reset")
            .arg("on")
            .arg(hashed(password))
            .arg(rights.split_whitespace().collect::<Vec<_>>());
    }
    let replication = accounts.replication.reveal();
    all.cmd("CONFIG").arg("SET").arg("masteruser").arg(REPLICATION).arg("masterauth").arg(replication);
    session.ask_all::<()>("setting its accounts", &all).await
}

#[async_trait]
impl AccountKeeper for RedisFamily {
    fn credentials_for(&self, _cluster: &ClusterName, password: Secret) -> Credentials {
        Credentials { user: USER.into(), password, database: None }
    }

    /// The files come first: a restart in between must not bring an old password back.
    async fn ensure(&self, node: &Node) -> Result<()> {
        let mut session = admin(node).await?;
        node.runtime.put_files(node.installed.user.as_deref(), files(node)).await?;
        tell(&mut session, &node.plan.accounts).await
    }
}
