//! Building on an earlier snapshot: what of it is there to be taken over, and putting it in its place.
//!
//! The library is given only the bytes that are new. It stores a file that was kept whole as an empty
//! one, and of a file that was kept in part the pieces that changed. When the trees are put right (see
//! [`super::trees`]), the pieces of the earlier snapshot go between those: a piece is named by the hash
//! of its content, so nothing is believed here but what the engine says of the file as a whole.

use super::{Repo, blobs::Blobs, nodes, snapshots};
use mainstay_drivers::storage::{Base, Held, Keep, SnapshotEntryKind};
use mainstay_model::{Error, Result};
use rustic_core::{
    DataId, TreeId,
    repofile::{Node, NodeType, Tree},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What is wrong when something that was there a moment ago is gone: read it all.
pub const LOST: &str = "base_lost";

/// Every file whose pieces are all there. Of one that lacks a piece nothing is said, so it is read.
pub fn base(repo: &Repo, snapshot: &str, lists: &[String]) -> Result<Base> {
    let found = snapshots::get(repo, snapshot)?;
    let blobs = Blobs::open(repo)?;
    let record = snapshots::record(&blobs, &found)?;
    let mut base = Base { facts: record.facts, files: HashMap::new(), lists: HashMap::new() };
    blobs.walk(&found.file.tree, |path, node| {
        let Some(entry) = nodes::entry(path, node) else { return Ok(()) };
        let SnapshotEntryKind::File { size } = entry.kind else { return Ok(()) };
        if lists.iter().any(|list| Path::new(list) == entry.path) {
            base.lists.insert(entry.path.clone(), blobs.content(node)?);
        }
        if let Some(piece) = whole(&blobs, node, size) {
            base.files.insert(entry.path, Held { size, mtime: entry.mtime, piece });
        }
        Ok(())
    })?;
    Ok(base)
}

/// `Some` for a file that is there from its beginning to its end, with the size of its pieces where
/// they are all alike.
fn whole(blobs: &Blobs, node: &Node, size: u64) -> Option<Option<u64>> {
    let sizes = blobs.pieces(node).map(|spot| spot.map(|s| s.size())).collect::<Result<Vec<u64>>>().ok()?;
    if sizes.iter().sum::<u64>() != size {
        return None;
    }
    let Some((last, alike)) = sizes.split_last() else { return Some(None) };
    let piece = alike.first().copied().filter(|first| alike.iter().all(|s| s == first) && last <= first);
    Some(piece)
}

/// What is to be taken over into the snapshot that is being made.
#[derive(Default)]
pub struct Splices {
    root: Option<TreeId>,
    files: Mutex<HashMap<PathBuf, (Keep, u64)>>,
}

impl Splices {
    pub fn on(repo: &Repo, base: Option<&str>) -> Result<Splices> {
        let lost = |e: Error| Error::failed(LOST, format!("the backup to build on is gone: {}", e.message));
        let root = base.map(|id| snapshots::get(repo, id).map(|found| found.file.tree)).transpose().map_err(lost)?;
        Ok(Splices { root, ..Splices::default() })
    }

    pub fn root(&self) -> Option<TreeId> {
        self.root
    }

    pub fn add(&self, path: &Path, keep: Keep, size: u64) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), (keep, size));
    }

    fn take(&self, path: &Path) -> Option<(Keep, u64)> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(path)
    }

    /// Puts the kept pieces of `node`, a file at `path`, in their places. `base` is the directory it lay in.
    pub fn fill(&self, blobs: &Blobs, path: &Path, node: &mut Node, base: Option<&Tree>) -> Result<()> {
        let Some((keep, size)) = self.take(path) else { return Ok(()) };
        let lost = || Error::failed(LOST, format!("{} is gone from the backup to build on", path.display()));
        let old = base.and_then(|tree| tree.nodes.iter().find(|n| n.node_type == NodeType::File && n.name == node.name));
        let old = old.ok_or_else(lost)?.content.clone().unwrap_or_default();
        let fresh = node.content.take().unwrap_or_default();
        let content = match &keep {
            Keep::Nothing => fresh,
            Keep::Whole => old,
            Keep::Except(_) => woven(blobs, &old, fresh, &keep, size).ok_or_else(lost)?,
        };
        let total = content.iter().try_fold(0, |sum, id| blobs.find(id).map(|spot| sum + spot.size()));
        if total.map_err(|_| lost())? != size {
            return Err(Error::integrity(format!("{} does not add up to the {size} bytes it has", path.display())).with_code(LOST));
        }
        node.content = Some(content);
        Ok(())
    }
}

/// Old and new pieces of a file in their order; `None` when they do not fit together.
fn woven(blobs: &Blobs, old: &[DataId], fresh: Vec<DataId>, keep: &Keep, size: u64) -> Option<Vec<DataId>> {
    let Keep::Except(changed) = keep else { return None };
    let piece = blobs.find(old.first()?).ok()?.size();
    let fits = |id: &DataId, length: u64| blobs.find(id).is_ok_and(|spot| spot.size() == length);
    let (mut fresh, mut content, mut changed) = (fresh.into_iter(), vec![], changed.iter().peekable());
    for number in 0..size.div_ceil(piece) {
        let (start, end) = (number * piece, size.min((number + 1) * piece));
        while changed.peek().is_some_and(|r| r.end <= start) {
            changed.next();
        }
        let is_new = changed.peek().is_some_and(|r| r.start <= start && end <= r.end);
        let id = if is_new { fresh.next()? } else { *old.get(usize::try_from(number).ok()?)? };
        content.push(id);
        if !fits(&id, end - start) {
            return None;
        }
    }
    fresh.next().is_none().then_some(content)
}
