//! Puts the trees right that the archiver wrote.
//!
//! It stores the size a file had when it was listed. A stream has none, a relation file grows while
//! it is read, and a reader that trusts the number (restic itself restores a file of size 0 as an
//! empty one) would lose data. And our own file comes last in time but not in name, while readers
//! search directories by name. So every tree is read back, corrected where needed, and what
//! changed goes into one more pack with an index of its own.

use super::{
    backend::Ledger,
    base::Splices,
    blobs::Blobs,
    seal::{name_of, raw},
};
use mainstay_model::{Error, Result};
use rustic_core::{
    FileType, Id, TreeId,
    repofile::{Node, NodeType, Tree},
};
use serde_json::json;
use std::{collections::HashSet, path::Path};

/// The root of the corrected trees; `root` itself when nothing was wrong. What was not read but kept
/// gets its pieces here.
pub fn settle(blobs: &Blobs, root: &TreeId, splices: &Splices, ledger: &Ledger) -> Result<TreeId> {
    let mut mender = Mender { blobs, ledger, splices, pack: Pack::default(), made: HashSet::new() };
    let settled = mender.tree(root, Path::new(""), splices.root())?;
    mender.flush()?;
    Ok(settled)
}

struct Mender<'a> {
    blobs: &'a Blobs,
    ledger: &'a Ledger,
    splices: &'a Splices,
    pack: Pack,
    made: HashSet<Id>,
}

#[derive(Default)]
struct Pack {
    bytes: Vec<u8>,
    blobs: Vec<PackBlob>,
}

struct PackBlob {
    id: Id,
    offset: u32,
    length: u32,
    plain: u32,
}

const PACK_BYTES: usize = 16 << 20;

impl Mender<'_> {
    /// `base` is the same directory in the snapshot that is built on. One that cannot be read holds
    /// nothing: whoever needs it says so.
    fn tree(&mut self, id: &TreeId, path: &Path, base: Option<TreeId>) -> Result<TreeId> {
        let mut tree = self.blobs.tree(id)?;
        let base = base.and_then(|id| self.blobs.tree(&id).ok());
        let mut changed = false;
        for node in &mut tree.nodes {
            let at = path.join(node.name());
            changed |= self.node(node, &at, base.as_ref())?;
        }
        if !tree.nodes.is_sorted_by(|a, b| a.name < b.name) {
            tree.nodes.sort_by(|a, b| a.name.cmp(&b.name));
            changed = true;
        }
        if changed { self.store(&tree) } else { Ok(*id) }
    }

    fn node(&mut self, node: &mut Node, path: &Path, base: Option<&Tree>) -> Result<bool> {
        match node.node_type {
            NodeType::Dir => {
                let old = node.subtree.ok_or_else(|| Error::integrity("a directory was stored without content"))?;
                let below = base.and_then(|tree| tree.nodes.iter().find(|n| n.name == node.name)?.subtree);
                let new = self.tree(&old, path, below)?;
                node.subtree = Some(new);
                Ok(new != old)
            }
            NodeType::File => {
                let stored = node.content.clone();
                self.splices.fill(self.blobs, path, node, base)?;
                let size = self.blobs.pieces(node).try_fold(0, |sum, spot| Ok::<_, Error>(sum + spot?.size()))?;
                Ok(std::mem::replace(&mut node.meta.size, size) != size || node.content != stored)
            }
            _ => Ok(false),
        }
    }

    fn store(&mut self, tree: &Tree) -> Result<TreeId> {
        let (plain, id) = tree.serialize().map_err(Error::internal)?;
        let blob = id.into_inner();
        if self.blobs.has(&id) || !self.made.insert(blob) {
            return Ok(id);
        }
        let sealed = self.blobs.seal.close_blob(&plain)?;
        self.pack.blobs.push(PackBlob {
            id: blob,
            offset: self.pack.bytes.len() as u32,
            length: sealed.len() as u32,
            plain: u32::try_from(plain.len()).map_err(|_| Error::failed("too_large", "a directory has too many entries to be stored"))?,
        });
        self.pack.bytes.extend_from_slice(&sealed);
        if self.pack.bytes.len() >= PACK_BYTES {
            self.flush()?;
        }
        Ok(id)
    }

    /// Writes the pack, and only then the index that names it.
    fn flush(&mut self) -> Result<()> {
        let mut pack = std::mem::take(&mut self.pack);
        if pack.blobs.is_empty() {
            return Ok(());
        }
        let header = self.blobs.seal.close(&pack.header())?;
        pack.bytes.extend_from_slice(&header);
        pack.bytes.extend_from_slice(&(header.len() as u32).to_le_bytes());
        let id = self.write(FileType::Pack, std::mem::take(&mut pack.bytes))?;
        let index = serde_json::to_vec(&pack.index(&id)).map_err(Error::internal)?;
        self.write(FileType::Index, self.blobs.seal.close_object(&index)?)?;
        Ok(())
    }

    fn write(&self, kind: FileType, bytes: Vec<u8>) -> Result<Id> {
        let (id, size) = (name_of(&bytes), bytes.len() as u64);
        self.blobs.objects.write(kind, &id, &[bytes.into()])?;
        self.ledger.note(kind, id, size);
        Ok(id)
    }
}

impl Pack {
    /// Type 3, a compressed tree blob; its stored and its plain length; its id.
    fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for blob in &self.blobs {
            out.push(3);
            out.extend_from_slice(&blob.length.to_le_bytes());
            out.extend_from_slice(&blob.plain.to_le_bytes());
            out.extend_from_slice(&raw(&blob.id));
        }
        out
    }

    fn index(&self, id: &Id) -> serde_json::Value {
        let blob = |b: &PackBlob| {
            json!({
                "id": &*b.id.to_hex(), "type": "tree", "offset": b.offset, "length": b.length, "uncompressed_length": b.plain,
            })
        };
        let blobs: Vec<_> = self.blobs.iter().map(blob).collect();
        json!({ "packs": [{ "id": &*id.to_hex(), "blobs": blobs, "time": jiff::Timestamp::now().to_string() }] })
    }
}
