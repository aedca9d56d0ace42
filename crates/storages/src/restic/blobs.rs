//! Reading what the index points to: whole stretches of a pack at once, every blob held against its
//! own hash.

use super::{
    Repo, Site,
    backend::unwrapped,
    nodes,
    seal::{Seal, name_of},
    snapshots,
    window::Windows,
};
use crate::place::Objects;
use bytes::Bytes;
use mainstay_model::{Error, Result};
use rustic_core::{
    DataId, FileType, Id, IndexedFullStatus, PackedId, Repository, TreeId,
    repofile::{Node, NodeType, Tree},
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// At most this much plain data is decoded in one go, unless one blob is larger.
pub const RUN_BYTES: u64 = 4 << 20;
/// A hole up to this size is read over rather than around.
const HOLE: u64 = 64 << 10;

pub struct Blobs {
    pub objects: Arc<dyn Objects>,
    pub seal: Seal,
    site: Arc<Site>,
    windows: Windows,
    index: Repository<IndexedFullStatus>,
}

/// Where a blob lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub id: Id,
    pub pack: Id,
    pub offset: u32,
    pub length: u32,
    /// Size before compression, for a compressed one.
    pub plain: Option<u32>,
}

impl Spot {
    pub fn size(&self) -> u64 {
        self.plain.map_or(u64::from(self.length).saturating_sub(super::seal::OVERHEAD as u64), u64::from)
    }

    fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }
}

/// Blobs of one pack that are read in one request, in the order they are wanted. A blob wanted
/// twice in a row (a file of zeroes) is there once and counted.
pub struct Run {
    pack: Id,
    spots: Vec<(Spot, u32)>,
    size: u64,
}

impl Run {
    pub fn new(spot: Spot) -> Self {
        Run { pack: spot.pack, size: spot.size(), spots: vec![(spot, 1)] }
    }

    /// Takes `spot` in if it follows closely enough.
    pub fn push(&mut self, spot: Spot) -> bool {
        let Some((last, times)) = self.spots.last_mut() else { return false };
        if self.size + spot.size() > RUN_BYTES {
            return false;
        }
        if *last == spot {
            *times += 1;
        } else {
            let start = u64::from(spot.offset);
            if spot.pack != self.pack || start < last.end() || start > last.end() + HOLE {
                return false;
            }
            self.spots.push((spot, 1));
        }
        self.size += spot.size();
        true
    }
}

impl Blobs {
    /// Reads the index as it is in the place now.
    pub fn open(repo: &Repo) -> Result<Self> {
        let index = repo.library()?.to_indexed().map_err(|e| unwrapped("reading the repository's index", e))?;
        Ok(Blobs {
            objects: repo.objects.clone(),
            seal: repo.seal.clone(),
            site: repo.site.clone(),
            windows: Windows::new(repo.objects.clone()),
            index,
        })
    }

    pub fn find<T: PackedId>(&self, id: &T) -> Result<Spot> {
        let blob = (*id).into().into_inner();
        let entry = self.index.get_index_entry(id).map_err(|_| self.lost(&blob))?;
        let at = entry.location;
        Ok(Spot {
            id: blob,
            pack: entry.pack.into_inner(),
            offset: at.offset,
            length: at.length,
            plain: at.uncompressed_length.map(|n| n.get()),
        })
    }

    /// The error for a blob that no sound pack holds, naming the packs that are not.
    fn lost(&self, blob: &Id) -> Error {
        let name = |id: &Id| self.objects.name(FileType::Pack, id);
        let mut unsound: Vec<_> = self.site.damaged().iter().map(|id| format!("{} (damaged)", name(id))).collect();
        unsound.extend(self.missing().iter().map(|id| format!("{} (missing)", name(id))));
        let cause = if unsound.is_empty() { "no index names it".into() } else { unsound.join(", ") };
        Error::integrity(format!(
            "{}: data of the backup is lost: {cause}. Restore from another backup, check the disk, then take a new one: it stores the data again (blob {})",
            self.objects.location(),
            &*blob.to_hex()
        ))
    }

    /// Packs that an index names and that are not there. Only asked for when something is wrong.
    fn missing(&self) -> Vec<Id> {
        let Ok(packs) = self.objects.list(FileType::Pack) else { return Vec::new() };
        let there: HashSet<Id> = packs.into_iter().map(|o| o.id).collect();
        let indexes = self.objects.list(FileType::Index).unwrap_or_default();
        let named = indexes.iter().flat_map(|o| snapshots::index_packs(self.objects.as_ref(), &self.seal, &o.id).unwrap_or_default());
        named.filter(|id| !there.contains(id)).take(8).collect()
    }

    /// Remembers that a pack's bytes are wrong. `false` when that was known.
    pub fn note_damaged(&self, pack: Id) -> bool {
        self.site.note_damaged(pack)
    }

    pub fn has<T: PackedId>(&self, id: &T) -> bool {
        self.index.get_index_entry(id).is_ok()
    }

    /// The plain blobs of a run, in order, each checked.
    pub fn read(&self, run: &Run) -> Result<Vec<Bytes>> {
        let (Some((first, _)), Some((last, _))) = (run.spots.first(), run.spots.last()) else { return Ok(Vec::new()) };
        let start = u64::from(first.offset);
        let raw = self.windows.read(&run.pack, start, (last.end() - start) as usize)?;
        let mut plain = Vec::with_capacity(run.spots.len());
        for (spot, times) in &run.spots {
            let from = (u64::from(spot.offset) - start) as usize;
            let blob = self.open_blob(&raw[from..from + spot.length as usize], spot)?;
            plain.extend(std::iter::repeat_n(blob, *times as usize));
        }
        Ok(plain)
    }

    pub fn open_blob(&self, sealed: &[u8], spot: &Spot) -> Result<Bytes> {
        let opened = self.seal.open_blob(sealed, spot.plain, &spot.id);
        opened.map(Bytes::from).map_err(|e| {
            self.note_damaged(spot.pack);
            damaged(&self.objects.name(FileType::Pack, &spot.pack), &e.message)
        })
    }

    pub fn tree(&self, id: &TreeId) -> Result<Tree> {
        let spot = self.find(id)?;
        let bytes = self.read(&Run::new(spot))?.concat();
        let tree: Tree = serde_json::from_slice(&bytes)
            .map_err(|e| Error::integrity(format!("{}: directory {} is not readable: {e}", self.objects.location(), &*spot.id.to_hex())))?;
        match tree.nodes.iter().find(|n| !nodes::is_plain_name(Path::new(&n.name()))) {
            None => Ok(tree),
            Some(n) => Err(Error::integrity(format!("a directory of the snapshot holds the impossible name {:?}", n.name))),
        }
    }

    /// Where the pieces of a file lie.
    pub fn pieces<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = Result<Spot>> + 'a {
        node.content.iter().flatten().map(|id: &DataId| self.find(id))
    }

    /// A small file's content.
    pub fn content(&self, node: &Node) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for spot in self.pieces(node) {
            self.read(&Run::new(spot?))?.iter().for_each(|b| out.extend_from_slice(b));
        }
        Ok(out)
    }

    /// Every node below `root` in path order, directories before what they hold. Iterative, so that
    /// no tree is too deep.
    pub fn walk(&self, root: &TreeId, mut visit: impl FnMut(PathBuf, &Node) -> Result<()>) -> Result<()> {
        let mut open = vec![(PathBuf::new(), self.tree(root)?.nodes.into_iter())];
        while let Some((dir, nodes)) = open.last_mut() {
            let Some(node) = nodes.next() else {
                open.pop();
                continue;
            };
            let path = dir.join(node.name());
            visit(path.clone(), &node)?;
            if node.node_type == NodeType::Dir {
                let subtree =
                    node.subtree.ok_or_else(|| Error::integrity(format!("directory {} of the snapshot has no content", path.display())))?;
                let nodes = self.tree(&subtree)?.nodes.into_iter();
                open.push((path, nodes));
            }
        }
        Ok(())
    }
}

/// The error for a pack whose bytes are wrong.
pub fn damaged(name: &str, why: &str) -> Error {
    Error::integrity(format!(
        "{name} is damaged: {why}. Backups that need it cannot be trusted: restore from another one, check the disk, then take a new one: it stores the data again"
    ))
}

/// Reads an object from its place and holds it against the name it was stored under, in slices.
pub fn check_object(objects: &dyn Objects, kind: FileType, id: &Id, size: u64) -> Result<()> {
    use sha2::{Digest, Sha256};
    const SLICE: u64 = 4 << 20;
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < size {
        let length = SLICE.min(size - at);
        hash.update(objects.read_at(kind, id, at, length as usize)?);
        at += length;
    }
    match Id::new(hash.finalize().into()) == *id {
        true => Ok(()),
        false => Err(damaged(&objects.name(kind, id), "its content does not have the hash it is named by")),
    }
}

/// Reads a whole small object and checks it.
pub fn read_object(objects: &dyn Objects, kind: FileType, id: &Id) -> Result<Bytes> {
    let bytes = objects.read(kind, id)?;
    match name_of(&bytes) == *id {
        true => Ok(bytes),
        false => Err(damaged(&objects.name(kind, id), "its content does not have the hash it is named by")),
    }
}
