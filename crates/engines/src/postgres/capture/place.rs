//! Whether this is still the data directory an earlier backup was taken from.
//!
//! Sizes and times of files mean something only there: a resync, a restore or an undo puts another
//! directory in its place under the same name, and a promotion another history on top. And a machine
//! may be set back as a whole, with its disk: then a directory that looks the same has forgotten what
//! a backup saw. So each capture leaves its name beside the data, and only one that is remembered
//! there can be built on.

use super::Begun;
use crate::{common::version_key, postgres::config::private};
use mainstay_drivers::{Result, engine::Node};
use serde::{Deserialize, Serialize};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Captures that are remembered.
const REMEMBERED: usize = 32;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    /// Oldest first: the identity and the token of each.
    captures: Vec<(String, String)>,
}

/// Below the node's root, beside the directories that are swapped.
fn file(node: &Node) -> PathBuf {
    node.paths.root.join("captures.json")
}

/// All that must be the same. `None` where the file system does not say when a directory was made:
/// there its number may have been another's before.
pub(super) fn identity(data: &Path, begun: &Begun) -> Option<String> {
    let metadata = std::fs::symlink_metadata(data).ok()?;
    let born = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let major = version_key(&begun.version).first().copied().unwrap_or_default();
    Some(format!(
        "directory {}:{}:{born}, timeline {}, version {major}, checksums {}",
        metadata.dev(),
        metadata.ino(),
        begun.timeline,
        begun.checksums
    ))
}

/// Whoever may write there could only have more of the data read than needed, or their own data spoiled.
fn memory(node: &Node) -> Memory {
    std::fs::read(file(node)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

pub(super) fn remembers(node: &Node, identity: &str, token: &str) -> bool {
    memory(node).captures.iter().any(|(i, t)| i == identity && t == token)
}

pub(super) async fn remember(node: &Node, identity: &str, token: &str) -> Result<()> {
    let mut memory = memory(node);
    memory.captures.push((identity.into(), token.into()));
    let past = memory.captures.len().saturating_sub(REMEMBERED);
    memory.captures.drain(..past);
    let content = serde_json::to_string(&memory).map_err(mainstay_model::Error::internal)?;
    node.runtime.put_files(node.installed.user.as_deref(), vec![private(file(node), content)]).await
}
