//! Whether a node is primary or replica, written down where it shares the data's fate: in a file
//! inside the directory of the append-only log, which the configuration includes.
//!
//! A server whose log directory was emptied or lies on a volume that is not mounted finds no role
//! and refuses to start. Without that it would come up empty, as a primary, and its replicas would
//! throw their data away to copy the emptiness.

use super::{config::private, info::Info};
use mainstay_drivers::{
    Result,
    engine::{Node, Upstream},
};
use std::path::{Path, PathBuf};

/// The directory of the append-only log, inside the data directory.
pub(super) const LOG_DIR: &str = "appendonlydir";

pub(super) enum Role<'a> {
    Primary,
    ReplicaOf(&'a Upstream),
}

impl Role<'_> {
    fn text(&self) -> String {
        match self {
            Role::Primary => "# primary\n".into(),
            Role::ReplicaOf(upstream) => format!("replicaof {} {}\n", upstream.address, upstream.port),
        }
    }
}

pub(super) fn file(data: &Path) -> PathBuf {
    data.join(LOG_DIR).join("role.conf")
}

/// Whether a server that has just been filled still writes its first log. Until that is done its data
/// is in memory only: were it a primary by then, a restart would bring it up empty. The part that
/// grows meanwhile has a name of its own, which the usual rewriting of a log never uses.
pub(super) fn writes_first_log(node: &Node, info: &Info) -> bool {
    let part = node.paths.data.join(LOG_DIR).join("temp-appendonly.aof.incr");
    info.is("aof_rewrite_scheduled", "1") || (info.is("aof_rewrite_in_progress", "1") && part.exists())
}

/// Written before the running server is told, so that a crash in between comes back in the role
/// that was decided.
pub(super) async fn write(node: &Node, role: Role<'_>) -> Result<()> {
    put(node, role.text()).await
}

/// What the file says now; given to [`put`] it undoes a [`write`].
pub(super) async fn read(node: &Node) -> Result<String> {
    let path = file(&node.paths.data);
    tokio::fs::read_to_string(&path).await.map_err(|e| mainstay_model::Error::from(e).context(format!("reading {}", path.display())))
}

pub(super) async fn put(node: &Node, text: String) -> Result<()> {
    node.runtime.put_files(node.installed.user.as_deref(), vec![private(file(&node.paths.data), text)]).await
}
