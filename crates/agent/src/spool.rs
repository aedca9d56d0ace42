//! Where the logs of clusters are taken over, one directory a cluster, and what is known of each. The
//! directory is the engine user's; what is known lies with the agent's own records.

use crate::{
    disk::{blocking, own_dir, read_json, remove_file, write_json},
    owner::Owner,
    volumes::{Root, Stands},
};
use mainstay_model::{ClusterId, NodeId, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a spool holds: the log of this line, taken over from this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spooled {
    pub line: String,
    pub node: NodeId,
}

pub(crate) struct Spools(PathBuf);

impl Spools {
    pub fn open(dir: PathBuf) -> Result<Spools> {
        own_dir(&dir, 0o700)?;
        Ok(Spools(dir))
    }

    pub fn get(&self, cluster: &ClusterId) -> Result<Option<Spooled>> {
        read_json(&self.file(cluster))
    }

    pub async fn put(&self, cluster: &ClusterId, spooled: Spooled) -> Result<()> {
        let file = self.file(cluster);
        blocking(move || write_json(&file, &spooled)).await
    }

    pub async fn remove(&self, cluster: &ClusterId) -> Result<()> {
        let file = self.file(cluster);
        blocking(move || remove_file(&file)).await
    }

    fn file(&self, cluster: &ClusterId) -> PathBuf {
        self.0.join(format!("{cluster}.json"))
    }
}

/// The spool's directory, there and empty or as it was left.
pub(crate) async fn ensure(spools: Root, cluster: &ClusterId, owner: Option<Owner>) -> Result<PathBuf> {
    let name = cluster.to_string();
    let path = spools.path().join(&name);
    blocking(move || spools.ensure_dir(&name, owner.as_ref())).await?;
    Ok(path)
}

/// The spool's directory, or `None` where there is none.
pub(crate) fn path(spools: &Root, cluster: &ClusterId) -> Result<Option<PathBuf>> {
    let there = spools.stands(cluster.as_str())? != Stands::Nothing;
    Ok(there.then(|| spools.path().join(cluster.as_str())))
}

pub(crate) async fn clear(spools: Root, cluster: &ClusterId) -> Result<()> {
    let name = cluster.to_string();
    blocking(move || spools.discard(&name)).await
}
