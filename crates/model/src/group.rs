//! A group: clusters that are backed up and restored as a whole, at one consistent point.

use crate::{
    BackupId, ClusterId, GroupBackupId, GroupId, Name, OperationId, ProjectId, ScheduleId, Time,
    backup::{Backup, BackupStatus},
    retention::Retention,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most members of a group: each is a backup that runs beside the others and waits for them.
pub const MOST_MEMBERS: usize = 8;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub project: ProjectId,
    pub name: Name,
    /// At least two, in the order in which they were named.
    pub members: Vec<ClusterId>,
    pub created_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBackupStatus {
    Running,
    /// Every part was read back, and all parts are of one point.
    Completed,
    /// All parts are of one point and can be restored, but not every copy of them is there.
    Partial,
    /// Not all parts are there: nothing of it is restored as a whole.
    Failed,
}

/// One recovery point of all members. Its parts are backups like any other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupBackup {
    pub id: GroupBackupId,
    pub project: ProjectId,
    pub group: GroupId,
    pub group_name: Name,
    pub status: GroupBackupStatus,
    pub description: String,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    pub parts: Vec<Part>,
    /// How often all members were begun anew, because they did not meet at one point.
    pub round: u32,
    /// What each part is made with.
    pub retention_days: Option<i64>,
    /// The whole of it, where a schedule makes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleId>,
    /// Names or ids.
    pub storages: Vec<String>,
    /// Days the copies in some of those are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copy_retention: BTreeMap<String, i64>,
    /// All parts came to one point. What each of them is worth may still change: a copy is made good for, a
    /// drill fails.
    #[serde(default)]
    pub met: bool,
    pub error: Option<String>,
}

impl GroupBackup {
    /// Its status as its parts are now, and what is wrong with it; `None` stands for a part that was deleted.
    pub fn judged<'a>(&self, parts: impl IntoIterator<Item = Option<&'a Backup>>) -> (GroupBackupStatus, Option<String>) {
        let met = self.met || self.status == GroupBackupStatus::Completed;
        if self.status == GroupBackupStatus::Running || !met {
            return (self.status, self.error.clone());
        }
        let (mut status, mut lacking) = (GroupBackupStatus::Completed, vec![]);
        for (part, backup) in self.parts.iter().zip(parts) {
            if let Some((worse, why)) = lack(backup) {
                lacking.push(format!("{}: {why}", part.cluster_name));
                status = if status == GroupBackupStatus::Failed { status } else { worse };
            }
        }
        (status, (!lacking.is_empty()).then(|| lacking.join("; ")))
    }
}

/// What one part takes from the whole.
fn lack(part: Option<&Backup>) -> Option<(GroupBackupStatus, String)> {
    let Some(part) = part else { return Some((GroupBackupStatus::Failed, "it was deleted".into())) };
    let why = || part.error.clone().unwrap_or_else(|| "it is not complete".into());
    match part.status {
        BackupStatus::Completed => None,
        BackupStatus::Partial if part.is_restorable() => Some((GroupBackupStatus::Partial, why())),
        BackupStatus::Deleting => Some((GroupBackupStatus::Failed, "it is being deleted".into())),
        _ => Some((GroupBackupStatus::Failed, why())),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub cluster: ClusterId,
    pub cluster_name: String,
    pub backup: BackupId,
    /// What makes it.
    pub operation: OperationId,
}
