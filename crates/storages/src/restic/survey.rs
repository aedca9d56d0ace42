//! What a snapshot consists of, seen as a reader sees it: trees through the index, files through
//! their pieces, pieces through their packs.

use super::{Repo, backend::unwrapped, blobs::Blobs, blobs::damaged};
use mainstay_model::{Error, Result};
use rustic_core::{
    FileType, Id, TreeId,
    repofile::{IndexFile, NodeType},
};
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub struct Survey {
    pub files: u64,
    pub links: u64,
    pub bytes: u64,
    pub tree_bytes: u64,
    /// Packs the snapshot needs.
    pub packs: HashSet<Id>,
}

/// Walks the whole snapshot; every tree is read and hashed, every piece of every file is in the
/// index and the pieces add up to the file's size.
pub fn take(repo: &Repo, root: &TreeId) -> Result<Survey> {
    let blobs = Blobs::open(repo)?;
    let mut survey = Survey::default();
    survey.tree(&blobs, root)?;
    blobs.walk(root, |path, node| {
        match node.node_type {
            NodeType::File => {
                let mut size = 0;
                for spot in blobs.pieces(node) {
                    let spot = spot?;
                    size += spot.size();
                    survey.packs.insert(spot.pack);
                }
                if size != node.meta.size {
                    let recorded = node.meta.size;
                    return Err(Error::integrity(format!(
                        "{} of the snapshot should have {recorded} bytes and its pieces have {size}",
                        path.display()
                    )));
                }
                survey.files += 1;
                survey.bytes += size;
            }
            NodeType::Dir => {
                if let Some(id) = &node.subtree {
                    survey.tree(&blobs, id)?;
                }
            }
            _ => survey.links += 1,
        }
        Ok(())
    })?;
    Ok(survey)
}

impl Survey {
    fn tree(&mut self, blobs: &Blobs, id: &TreeId) -> Result<()> {
        let spot = blobs.find(id)?;
        self.packs.insert(spot.pack);
        self.tree_bytes += spot.size();
        Ok(())
    }

    /// That every pack is there and as long as the index says. Returns them with their sizes.
    pub fn check_presence(&self, repo: &Repo) -> Result<HashMap<Id, u64>> {
        let there: HashMap<Id, u64> = repo.objects.list(FileType::Pack)?.into_iter().map(|o| (o.id, o.size)).collect();
        let mut seen = HashMap::new();
        self.each_pack(repo, |pack| {
            let (id, expected) = (pack.id.into_inner(), u64::from(pack.pack_size()));
            let name = || repo.objects.name(FileType::Pack, &id);
            match there.get(&id) {
                _ if seen.insert(id, expected).is_some() => Ok(()),
                Some(size) if *size == expected => Ok(()),
                Some(size) => {
                    repo.site.note_damaged(id);
                    Err(damaged(&name(), &format!("it has {size} bytes instead of {expected}")))
                }
                None => Err(damaged(&name(), "it is missing")),
            }
        })?;
        match self.packs.iter().find(|id| !seen.contains_key(id)) {
            None => Ok(seen),
            Some(id) => Err(damaged(&repo.objects.name(FileType::Pack, id), "no index describes it")),
        }
    }

    /// Calls `visit` with the index's description of each needed pack, an index file at a time.
    pub fn each_pack(&self, repo: &Repo, mut visit: impl FnMut(rustic_core::repofile::IndexPack) -> Result<()>) -> Result<()> {
        let doing = "reading the repository's index";
        let library = repo.library()?;
        for file in library.stream_files::<IndexFile>().map_err(|e| unwrapped(doing, e))? {
            let (_, file) = file.map_err(|e| unwrapped(doing, e))?;
            for pack in file.packs {
                if self.packs.contains(&pack.id.into_inner()) {
                    visit(pack)?;
                }
            }
        }
        Ok(())
    }
}
