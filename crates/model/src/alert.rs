//! An alert: a condition that holds now. It is raised once, whoever sees it and however often, and
//! cleared when it no longer holds.

use crate::{AlertId, ClusterId, ProjectId, Time, notice::NoticeKind};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// No good backup for twice the time in which one is made, or it is not known whether there is one.
    BackupOverdue,
    /// A cluster's newest backup failed.
    BackupFailed,
    /// A storage did not take its copy of the newest backup of some clusters.
    BackupPartial,
    /// A cluster's newest drill failed.
    DrillFailed,
    /// No drill has passed for too long, or ever.
    DrillOverdue,
    /// A schedule's newest run passed without a backup.
    RunMissed,
    /// A look at a storage found something wrong.
    StorageUnwell,
    /// Data that is stored could not be read again, or is damaged.
    CopyUnreadable,
    /// The log of a cluster is not kept up to now, or no backup begins a window in it.
    LogBehind,
    /// A notifier's messages do not arrive.
    NotifierUnwell,
    /// Mainstay's own backup in a storage is older than it may be.
    ControlPlaneLate,
}

impl AlertKind {
    pub fn as_str(self) -> &'static str {
        match self {
            AlertKind::BackupOverdue => "backup_overdue",
            AlertKind::BackupFailed => "backup_failed",
            AlertKind::BackupPartial => "backup_partial",
            AlertKind::DrillFailed => "drill_failed",
            AlertKind::DrillOverdue => "drill_overdue",
            AlertKind::RunMissed => "run_missed",
            AlertKind::StorageUnwell => "storage_unwell",
            AlertKind::CopyUnreadable => "copy_unreadable",
            AlertKind::LogBehind => "log_behind",
            AlertKind::NotifierUnwell => "notifier_unwell",
            AlertKind::ControlPlaneLate => "control_plane_late",
        }
    }

    /// What people are told when it is raised: some have a switch of their own.
    pub fn notice(self) -> NoticeKind {
        match self {
            AlertKind::BackupOverdue | AlertKind::ControlPlaneLate => NoticeKind::BackupOverdue,
            AlertKind::StorageUnwell => NoticeKind::StorageUnwell,
            _ => NoticeKind::AlertRaised,
        }
    }
}

/// The condition itself; its kind and object are its identity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    pub project: ProjectId,
    pub kind: AlertKind,
    /// `cluster`, `storage`, `schedule`, `notifier`.
    pub object_kind: String,
    pub object: String,
    pub object_name: String,
    pub cluster: Option<ClusterId>,
    pub cluster_name: Option<String>,
    /// What is wrong and since when, without numbers that change by themselves.
    pub sentence: String,
}

/// The stored alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    pub id: AlertId,
    #[serde(flatten)]
    pub condition: Condition,
    pub raised_at: Time,
    pub acknowledged_at: Option<Time>,
    pub acknowledged_by: Option<String>,
    pub cleared_at: Option<Time>,
}

impl Condition {
    pub fn is(&self, kind: AlertKind, object: &str) -> bool {
        self.kind == kind && self.object == object
    }
}
