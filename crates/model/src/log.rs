//! The log of a cluster, kept as it is written, so that a restore can stop at any moment.
//!
//! What is kept lies in parts, one snapshot each, in every storage of the archive. Parts of one
//! [`Line`] belong to one history of the data: a promotion goes on with it, while a restore, or log
//! that was lost at its source, begins a new one. Within a line parts follow each other by their
//! place in the log, and where one does not begin where the one before it ended there is a gap.

use crate::{BackupId, ClusterId, StorageId, Time, backup::CopyLock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the owner wants: the log of this cluster is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeping {
    pub storages: Vec<StorageId>,
    /// How far back any moment can be restored to, at least.
    pub keep_days: i64,
}

/// One history of the data, from the moment its log began to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub id: String,
    pub started_at: Time,
}

/// How keeping stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    /// `None` until the next look begins a new one.
    pub line: Option<Line>,
    /// What the host of the primary has of the log, and the moment up to which that is all of it.
    pub reached: Option<Reached>,
    /// Why the last look did not get so far.
    pub trouble: Option<Trouble>,
    pub places: BTreeMap<StorageId, Place>,
    /// When a backup for a window to begin with was asked for last.
    pub base_asked_at: Option<Time>,
    /// Why lines ended, newest last.
    #[serde(default)]
    pub breaks: Vec<Break>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    pub bytes: u64,
    pub at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub since: Time,
    pub sentence: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    pub at: Time,
    pub sentence: String,
}

/// One storage of the archive.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The part that is being stored, so that a lost reply is recognised.
    pub pending: Option<BackupId>,
    /// Snapshots whose log a newer part has as well.
    #[serde(default)]
    pub garbage: Vec<Outdated>,
    pub trouble: Option<Trouble>,
}

/// A part that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outdated {
    pub part: BackupId,
    pub snapshot: String,
}

/// A stretch of the log in one storage: one snapshot, read back before it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub id: BackupId,
    pub cluster: ClusterId,
    pub storage: StorageId,
    pub snapshot: String,
    pub line: String,
    pub line_started_at: Time,
    /// The history at its end, as positions name it.
    pub history: String,
    pub from: u64,
    pub to: u64,
    /// Everything acknowledged until then is in this part or the ones before it.
    pub until: Time,
    pub stored_at: Time,
    /// The names of its first and last piece.
    pub first: String,
    pub last: String,
    pub pieces: u64,
    /// Bytes it takes when it is fetched.
    pub bytes: u64,
    /// How it is locked, where its storage can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<CopyLock>,
}

impl Part {
    /// Whether its storage keeps it from being removed.
    pub fn is_locked(&self, now: Time) -> bool {
        self.lock.as_ref().and_then(|l| l.until).is_some_and(|t| t > now)
    }
}
