//! New nodes. A primary starts with an empty log; a replica starts with nothing but the address of
//! its primary, and the server itself fetches the data.

use super::role::{self, LOG_DIR, Role};
use mainstay_drivers::{
    Result,
    engine::{Node, Upstream},
};

pub(super) async fn bootstrap(node: &Node) -> Result<()> {
    make_directories(node).await?;
    if role::file(&node.paths.data).is_file() {
        return Ok(());
    }
    role::write(node, Role::Primary).await
}

/// A first synchronisation replaces whatever the directory holds, so half a copy needs no clearing.
pub(super) async fn join(node: &Node, upstream: &Upstream) -> Result<()> {
    make_directories(node).await?;
    role::write(node, Role::ReplicaOf(upstream)).await
}

pub(super) async fn make_directories(node: &Node) -> Result<()> {
    let user = node.installed.user.as_deref();
    for dir in [&node.paths.run, &node.paths.data, &node.paths.data.join(LOG_DIR)] {
        node.runtime.put_dir(user, dir, 0o700).await?;
    }
    Ok(())
}
