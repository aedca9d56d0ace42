//! What an earlier backup spares this one: files that are surely the same.
//!
//! A file is the same if its size and its time of change are those it had then, and that time lies
//! before the earlier backup began by more than the clock's grain: whatever wrote to it since gave it
//! another time. Its checksum is taken over from the earlier list of files, its content from the
//! storage. All else is read.

use super::{
    Begun, MANIFEST,
    ledger::{Line, Sum},
    manifest, modified, place,
    walk::Found,
};
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
}

impl Earlier {
    /// The earlier backup, if it may be built on; else why not.
    pub fn fitting(node: &Node, known: Arc<Known>, begun: &Begun, identity: &str, now: Time) -> Result<Earlier, &'static str> {
        let facts = &known.base.facts;
        let captured = facts.captured.clone().ok_or("it does not say how it was read")?;
        let stop = facts.stop.as_ref().map_or(u64::MAX, |p| p.bytes);
        let wrong = [
            (facts.history != begun.system, "it is of another database system"),
            (captured.identity != identity, "the data directory, its history or its format is another one"),
            (!place::remembers(node, identity, &captured.token), "this node does not remember it"),
            (captured.generation + 1 >= LONGEST, "everything is read again every few backups"),
            (captured.began_at > now, "the clock was set back"),
            (stop > begun.start, "it ends after this one begins"),
        ];
        if let Some((_, why)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
            return Err(why);
        }
        let list = known.base.lists.get(Path::new(MANIFEST)).ok_or("its list of files is missing")?;
        let lines = manifest::parse(list).ok_or("its list of files is not readable")?;
        let lines = lines.into_iter().map(|line| (line.path.clone(), line)).collect();
        Ok(Earlier { known, captured, lines })
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
