//! Small reads of a far place, gathered into large ones. A restore of ten thousand small files reads
//! their packs from front to end; asked for one by one they would take ten thousand round trips.

use crate::place::Objects;
use bytes::Bytes;
use mainstay_model::Result;
use rustic_core::{FileType, Id};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// What is fetched in one go; larger reads are not gathered.
const WINDOW: u64 = 4 << 20;
const SMALL: u64 = 1 << 20;
/// Kept, least recently used first out.
const KEPT: usize = 8;

type Stretch = Arc<Mutex<Option<Bytes>>>;

pub struct Windows {
    objects: Arc<dyn Objects>,
    kept: Mutex<VecDeque<((Id, u64), Stretch)>>,
}

impl Windows {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Windows { objects, kept: Mutex::default() }
    }

    /// Exactly `length` bytes of a pack from `offset`.
    pub fn read(&self, pack: &Id, offset: u64, length: usize) -> Result<Bytes> {
        let (first, end) = (offset / WINDOW, offset + length as u64);
        let gathered = self.objects.is_far() && (length as u64) < SMALL && length > 0 && (end - 1) / WINDOW == first;
        if gathered {
            let stretch = self.stretch((*pack, first))?;
            let from = (offset - first * WINDOW) as usize;
            if stretch.len() >= from + length {
                return Ok(stretch.slice(from..from + length));
            }
        }
        self.objects.read_at(FileType::Pack, pack, offset, length)
    }

    fn stretch(&self, at: (Id, u64)) -> Result<Bytes> {
        let slot = self.slot(at);
        // Whoever comes second waits for the first instead of asking again.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*slot {
            return Ok(bytes.clone());
        }
        let bytes = self.objects.read_some(FileType::Pack, &at.0, at.1 * WINDOW, WINDOW as usize)?;
        Ok(slot.insert(bytes).clone())
    }

    fn slot(&self, at: (Id, u64)) -> Stretch {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(k, _)| *k == at).and_then(|n| kept.remove(n));
        let entry = known.unwrap_or_else(|| (at, Stretch::default()));
        let slot = entry.1.clone();
        kept.push_back(entry);
        if kept.len() > KEPT {
            kept.pop_front();
        }
        slot
    }
}
