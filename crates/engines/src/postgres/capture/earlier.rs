//! What an earlier backup spares this one: files that are surely the same.
//!
//! A file is the same if its size and its time of change are those it had then, and that time lies
//! before the earlier backup began by more than the clock's grain: whatever wrote to it since gave it
//! another time. Its checksum is taken over from the earlier list of files, its content from the
//! storage.
//!
//! Of a relation that changed, only the pieces with changed blocks are read where the server can say which
//! these are ([`Changed`]). All else is read.

use super::{
    Begun, MANIFEST,
    changed::{Changed, Shape, Stretch},
    ledger::{Line, Sum},
    manifest, modified,
    pieces::{AllPieces, PIECES, Pieces},
    place,
    walk::Found,
};
use crate::postgres::connect::Session;
use mainstay_drivers::{engine::Node, storage::Known};
use mainstay_model::{Time, backup::Captured};
use std::{collections::HashMap, path::Path, sync::Arc};

/// Two changes closer together than this may bear the same time.
const GRAIN_SECONDS: i64 = 2;
/// Every so many backups all is read, whatever the times say: a disk that lies is found some day.
const LONGEST: u32 = 7;

pub(super) struct Earlier {
    pub known: Arc<Known>,
    pub captured: Captured,
    lines: HashMap<String, Line>,
    pieces: AllPieces,
    changed: Option<Changed>,
}

/// A file of which only some pieces are read.
pub(super) struct Part {
    pub numbers: Vec<u64>,
    pub piece: u64,
    pub old: Pieces,
}

impl Earlier {
    /// The earlier backup, if it may be built on; else why not.
    pub fn fitting(node: &Node, known: Arc<Known>, begun: &Begun, identity: &str, now: Time) -> Result<Earlier, &'static str> {
        let facts = &known.base.facts;
        let captured = facts.captured.clone().ok_or("it does not say how it was read")?;
        let start = facts.start.as_ref().map_or(u64::MAX, |p| p.bytes);
        let wrong = [
            (facts.history != begun.system, "it is of another database system"),
            (captured.identity != identity, "the data directory, its history or its format is another one"),
            (!place::remembers(node, identity, &captured.token), "this node does not remember it"),
            (captured.generation + 1 >= LONGEST, "everything is read again every few backups"),
            (captured.began_at > now, "the clock was set back"),
            // A replica's begins where it last wrote everything down, which may be where the earlier one did.
            (start > begun.start, "it begins after this one"),
        ];
        if let Some((_, why)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
            return Err(why);
        }
        let list = known.base.lists.get(Path::new(MANIFEST)).ok_or("its list of files is missing")?;
        let lines = manifest::parse(list).ok_or("its list of files is not readable")?;
        let pieces = known.base.lists.get(Path::new(PIECES)).and_then(|list| AllPieces::parse(list)).unwrap_or_default();
        let with_pieces = |line: Line| (line.path.clone(), Line { pieces: pieces.files.get(&line.path).cloned(), ..line });
        let lines = lines.into_iter().map(with_pieces).collect();
        Ok(Earlier { known, captured, lines, pieces, changed: None })
    }

    /// Asks the server which blocks changed since. Only worth it where nobody needs the others.
    pub async fn ask(&mut self, session: &Session, begun: &Begun) {
        let from = self.known.base.facts.start.as_ref().map(|p| p.bytes);
        let (Some(from), Some(piece), true) = (from, begun.piece, self.known.everywhere) else { return };
        if self.pieces.piece != piece || !piece.is_multiple_of(begun.block_bytes) {
            return;
        }
        let shape = Shape { block_bytes: begun.block_bytes, segment: begun.segment_blocks, piece: piece / begun.block_bytes };
        let stretch = Stretch { timeline: begun.timeline, from, to: begun.start };
        match Changed::between(session, stretch, shape).await {
            Ok(changed) => self.changed = changed,
            Err(e) => tracing::warn!("changed relations are read whole: {e}"),
        }
        if self.changed.is_none() {
            tracing::info!("changed relations are read whole: the server has no account of its log since the backup before");
        }
    }

    /// The pieces of a file that have to be read, where those are not nearly all.
    pub fn part(&self, found: &Found) -> Option<Part> {
        let (changed, size) = (self.changed.as_ref()?, found.metadata.len());
        let held = self.known.base.files.get(&Path::new("data").join(&found.path))?;
        let old = self.lines.get(found.path.to_str()?)?.pieces.clone()?;
        let piece = self.pieces.piece;
        if held.piece != Some(piece) || old.size != held.size || old.sums.len() as u64 != held.size.div_ceil(piece) {
            return None;
        }
        let numbers: Vec<u64> = changed.pieces(&found.path, size, held.size)?.into_iter().collect();
        (numbers.len() as u64 * 10 <= size.div_ceil(piece) * 9).then_some(Part { numbers, piece, old })
    }

    /// The line of a file that is as it was.
    pub fn same(&self, found: &Found) -> Option<&Line> {
        let held = self.known.base.files.get(&Path::new("data").join(&found.path))?;
        let (size, changed) = (found.metadata.len(), modified(&found.metadata));
        let settled = changed < self.captured.began_at.plus_seconds(-GRAIN_SECONDS);
        let line = self.lines.get(found.path.to_str()?)?;
        (settled && held.size == size && held.mtime == changed && line.size == size && line.sum != Sum::default()).then_some(line)
    }
}
