//! A backup: one recovery point of one cluster, with one or more copies.

use crate::{
    BackupId, ClusterId, ClusterName, GroupBackupId, ProjectId, ScheduleId, StorageId, Time,
    node::Position,
    retention::{FAILED_DAYS, Retention},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    Manual,
    Scheduled,
    Promotion,
    Final,
    PreRestore,
}

/// Which node a backup reads from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// A healthy, caught-up replica where there is one.
    #[default]
    Replica,
    Primary,
}

impl ReadFrom {
    pub fn as_str(self) -> &'static str {
        match self {
            ReadFrom::Replica => "replica",
            ReadFrom::Primary => "primary",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupStatus {
    Running,
    /// Uploaded, read back and checked.
    Completed,
    Partial,
    Failed,
    Deleting,
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    None,
    Verified,
    Drilled,
    Suspicious,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Check {
    /// What was looked at: `read_back`, `file_list`, `row_counts`, ...
    pub name: String,
    pub ok: bool,
    /// True where it is good to have and nothing depends on it: with `ok` false it is absent, or
    /// cannot be seen, and that fails nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    pub detail: String,
}

impl Check {
    pub fn new(name: &str, ok: bool, detail: impl Into<String>) -> Self {
        Check { name: name.into(), ok, optional: false, detail: detail.into() }
    }

    /// Something that is not there, or that nobody can tell, and that is not needed.
    pub fn absent(name: &str, detail: impl Into<String>) -> Self {
        Check { name: name.into(), ok: false, optional: true, detail: detail.into() }
    }

    pub fn failed(&self) -> bool {
        !self.ok && !self.optional
    }
}

/// What the latest look at a storage found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LastCheck {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub ok: bool,
    pub rows: Vec<Check>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Drill {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub ok: bool,
    pub seconds: f64,
}

/// A deletion that is announced: until its date it can be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deleting {
    pub until: Time,
    pub reason: String,
    /// What it becomes again when the deletion is undone.
    pub was: BackupStatus,
}

/// What was counted in the source when the backup was made, and is compared after a restore.
/// Estimates and exact numbers are kept apart by their key: `keys.db0`, `rows.public.t`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub engine: String,
    pub engine_version: String,
    /// Identity of the history: system identifier, replication id.
    pub history: String,
    pub start: Option<Position>,
    pub stop: Option<Position>,
    /// Counts that must be equal after a restore at this point.
    pub exact: BTreeMap<String, u64>,
    /// Counts that only serve to notice a suspicious size.
    pub estimates: BTreeMap<String, u64>,
    /// Names the data was known under, so that a restore elsewhere can rename them (database, role).
    pub names: BTreeMap<String, String>,
    pub node: String,
    pub role: Option<crate::node::NodeRole>,
    pub tools: BTreeMap<String, String>,
    /// When it came to its `stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
    /// What the next backup needs to know to read only what changed since; `None` where the engine
    /// reads everything each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured: Option<Captured>,
}

/// How a backup was read, as far as a later one may be built on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    /// On the node's own clock, before the first byte was read.
    pub began_at: Time,
    /// What must be the same for anything to be taken over: directory, history, format. The engine's own.
    pub identity: String,
    /// Names this capture; the node remembers it.
    pub token: String,
    /// The backup this one was built on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BackupId>,
    /// How many backups since everything was read.
    #[serde(default)]
    pub generation: u32,
    /// Bytes that were not read but taken over.
    #[serde(default)]
    pub kept_bytes: u64,
}

/// The stored backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backup {
    pub id: BackupId,
    pub project: ProjectId,
    pub cluster: ClusterId,
    pub cluster_name: ClusterName,
    pub kind: BackupKind,
    /// The schedule that made it.
    #[serde(default)]
    pub schedule: Option<ScheduleId>,
    /// The group backup it was begun as a part of. Whether it still is one, that one's parts say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<GroupBackupId>,
    pub status: BackupStatus,
    pub proof: Proof,
    pub description: String,
    pub engine: String,
    pub engine_version: String,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    pub expires_at: Option<Time>,
    /// What its schedule kept when it was made (editing the schedule changes nothing already made), or
    /// what was asked for when it was made by hand. Where nothing was said its cluster's policy decides.
    #[serde(default)]
    pub retention: Option<Retention>,
    pub pinned: bool,
    /// While a policy's deletion of it can still be undone. A backup that is `deleting` without this is
    /// past that.
    #[serde(default)]
    pub deleting: Option<Deleting>,
    pub data_bytes: Option<u64>,
    pub facts: Option<Facts>,
    pub checks: Vec<Check>,
    pub drill: Option<Drill>,
    pub error: Option<String>,
    pub copies: Vec<Copy>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    pub storage: StorageId,
    pub storage_name: String,
    /// The storage's kind; empty where the copy is from before it was noted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub status: BackupStatus,
    /// The snapshot's id in the repository, once published.
    pub snapshot: Option<String>,
    pub added_bytes: Option<u64>,
    pub verified_at: Option<Time>,
    pub error: Option<String>,
    /// How often Mainstay tried by itself to make good for a copy that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Time>,
    /// How it is locked, where its storage can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<CopyLock>,
    /// From when on it may go though its backup stays; without it, it stays as long as that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// While its removal can still be undone. A copy that is `deleting` without this is past that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleting_until: Option<Time>,
}

/// A copy in a storage with object lock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyLock {
    /// Nobody can remove it before; not yet locked without it.
    pub until: Option<Time>,
    /// What the lock was made for: the backup's time may be set anew.
    pub wanted: Time,
    pub tried_at: Time,
    pub error: Option<String>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Backup {
    /// Until when a storage keeps it from being removed, as far as that is still to come.
    pub fn locked_until(&self, now: Time) -> Option<Time> {
        self.copies.iter().filter_map(|c| c.lock.as_ref()?.until).filter(|t| *t > now).max()
    }
    /// Whether a restore may start from it: read back and checked, or drilled, and not going away.
    pub fn is_restorable(&self) -> bool {
        matches!(self.status, BackupStatus::Completed | BackupStatus::Partial) && self.copies.iter().any(Copy::is_good)
    }
    /// From when on nothing but other backups keeps it: what its rules say by time is over then. `None`
    /// where time alone never lets it go. Retention decides; this only says when it is worth asking.
    pub fn lapses_at(&self) -> Option<Time> {
        if let Some(deleting) = &self.deleting {
            return Some(deleting.until);
        }
        if self.pinned || matches!(self.status, BackupStatus::Running | BackupStatus::Deleting) {
            return None;
        }
        let said = self.retention.as_ref().and_then(|r| r.days).map(|d| self.created_at.plus_days(d));
        let failed = (self.status == BackupStatus::Failed).then(|| self.created_at.plus_days(FAILED_DAYS));
        let own = [said, self.expires_at].into_iter().flatten().min().or(failed);
        self.copies.iter().filter_map(Copy::lapses_at).chain(own).min()
    }
    /// Brings back the copies whose removal was only announced; whether there were any.
    pub fn bring_copies_back(&mut self) -> bool {
        let mut any = false;
        for copy in self.copies.iter_mut().filter(|c| c.deleting_until.is_some()) {
            (copy.status, copy.deleting_until, any) = (BackupStatus::Completed, None, true);
        }
        any
    }
    /// Whether it counts as "last good": restorable and not suspicious.
    pub fn is_good(&self) -> bool {
        self.is_restorable() && matches!(self.proof, Proof::Verified | Proof::Drilled)
    }
}

impl Copy {
    pub fn is_good(&self) -> bool {
        self.status == BackupStatus::Completed && self.snapshot.is_some() && self.verified_at.is_some()
    }
    /// Whether it was let go, or is being: that it is not there says nothing against its backup.
    pub fn is_let_go(&self) -> bool {
        matches!(self.status, BackupStatus::Deleting | BackupStatus::Expired)
    }
    /// When it is worth asking whether it may go.
    fn lapses_at(&self) -> Option<Time> {
        self.deleting_until.or(self.expires_at.filter(|_| self.is_good()))
    }
}
