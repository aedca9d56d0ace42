//! Entries of a source and nodes of a tree, one into the other. Modes in trees are Go's file modes,
//! which keep the type and the set-id bits elsewhere than Unix does.

use mainstay_drivers::storage::{Entry, EntryKind, SnapshotEntry, SnapshotEntryKind};
use mainstay_model::Time;
use rustic_core::{
    jiff::Timestamp,
    repofile::{Metadata, Node, NodeType},
};
use std::path::{Path, PathBuf};

const GO_DIR: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;
const SPECIAL: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];

fn go_mode(mode: u32, kind: u32) -> u32 {
    SPECIAL.iter().filter(|(unix, _)| mode & unix != 0).fold(mode & 0o777 | kind, |m, (_, go)| m | go)
}

fn unix_mode(mode: u32) -> u32 {
    SPECIAL.iter().filter(|(_, go)| mode & go != 0).fold(mode & 0o777, |m, (unix, _)| m | unix)
}

/// The node of an entry. A size that is not known yet is a large one: the library takes it as an
/// upper bound for its buffers, and the true one is set before the snapshot is published.
pub fn node(entry: &Entry) -> Node {
    let (kind, bits, size) = match &entry.kind {
        EntryKind::Dir => (NodeType::Dir, GO_DIR, 0),
        EntryKind::Symlink { target } => (NodeType::from_link(target), GO_SYMLINK, 0),
        EntryKind::File { size, .. } => (NodeType::File, 0, size.unwrap_or(i64::MAX as u64)),
    };
    let mtime = Timestamp::from_microsecond(entry.mtime.micros()).ok();
    let meta = Metadata { mode: Some(go_mode(entry.mode, bits)), mtime, atime: mtime, ctime: mtime, size, ..Default::default() };
    Node::new_node(entry.path.file_name().unwrap_or_default(), kind, meta)
}

/// `None` for kinds of nodes no source of ours yields.
pub fn entry(path: PathBuf, node: &Node) -> Option<SnapshotEntry> {
    let kind = match &node.node_type {
        NodeType::Dir => SnapshotEntryKind::Dir,
        NodeType::Symlink { .. } => SnapshotEntryKind::Symlink { target: node.node_type.to_link().to_path_buf() },
        NodeType::File => SnapshotEntryKind::File { size: node.meta.size },
        _ => return None,
    };
    let mode = unix_mode(node.meta.mode.unwrap_or(0o600));
    let mtime = node.meta.mtime.map_or(Time::default(), Time::from);
    Some(SnapshotEntry { path, mode, mtime, kind })
}

/// Whether a name from a tree may become part of a path: trees come from a place others may write to.
pub fn is_plain_name(name: &Path) -> bool {
    let mut parts = name.components();
    matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(n)), None) if n == name.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_come_back() {
        for mode in [0o600, 0o755, 0o4755, 0o2770, 0o1777] {
            for kind in [0, GO_DIR, GO_SYMLINK] {
                assert_eq!(unix_mode(go_mode(mode, kind)), mode);
            }
        }
        assert_eq!(go_mode(0o040_700, GO_DIR), GO_DIR | 0o700);
    }

    #[test]
    fn names_with_a_path_in_them_are_not_plain() {
        for bad in ["", ".", "..", "/", "a/b", "/a", "a/"] {
            assert!(!is_plain_name(Path::new(bad)), "{bad}");
        }
        assert!(is_plain_name(Path::new("a b")));
    }
}
