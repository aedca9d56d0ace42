//! A notice: something that happened and that people want to be told of, and who wants to hear what.

use crate::{Error, NoticeId, ProjectId, Result, Time, error::shown};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a notice is about. Each is a switch of every notifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    BackupFailed,
    BackupPartial,
    BackupOverdue,
    BackupSucceeded,
    DrillFailed,
    /// A restore, or its undoing, has ended, one way or the other.
    RestoreDone,
    PromotionDone,
    ResyncDone,
    MigrationDone,
    Failover,
    AlertRaised,
    AlertCleared,
    StorageUnwell,
    /// Asked for with the test button; always sent.
    Test,
}

impl NoticeKind {
    /// All that can be switched.
    pub const SWITCHES: [NoticeKind; 13] = [
        NoticeKind::BackupFailed,
        NoticeKind::BackupPartial,
        NoticeKind::BackupOverdue,
        NoticeKind::BackupSucceeded,
        NoticeKind::DrillFailed,
        NoticeKind::RestoreDone,
        NoticeKind::PromotionDone,
        NoticeKind::ResyncDone,
        NoticeKind::MigrationDone,
        NoticeKind::Failover,
        NoticeKind::AlertRaised,
        NoticeKind::AlertCleared,
        NoticeKind::StorageUnwell,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            NoticeKind::BackupFailed => "backup_failed",
            NoticeKind::BackupPartial => "backup_partial",
            NoticeKind::BackupOverdue => "backup_overdue",
            NoticeKind::BackupSucceeded => "backup_succeeded",
            NoticeKind::DrillFailed => "drill_failed",
            NoticeKind::RestoreDone => "restore_done",
            NoticeKind::PromotionDone => "promotion_done",
            NoticeKind::ResyncDone => "resync_done",
            NoticeKind::MigrationDone => "migration_done",
            NoticeKind::Failover => "failover",
            NoticeKind::AlertRaised => "alert_raised",
            NoticeKind::AlertCleared => "alert_cleared",
            NoticeKind::StorageUnwell => "storage_unwell",
            NoticeKind::Test => "test",
        }
    }
}

/// Which notices a notifier passes on. `all` includes kinds that are yet to come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Events {
    #[default]
    All,
    Only(BTreeSet<NoticeKind>),
}

const ALL: &str = "all";

impl Events {
    pub fn parse(names: &[String]) -> Result<Events> {
        if names.is_empty() {
            return Err(Error::invalid("events", format!("name at least one event, or \"{ALL}\"")));
        }
        if names.iter().any(|n| n == ALL) {
            return Ok(Events::All);
        }
        let kind = |name: &String| {
            NoticeKind::SWITCHES.into_iter().find(|k| k.as_str() == name).ok_or_else(|| {
                let known: Vec<_> = NoticeKind::SWITCHES.iter().map(|k| k.as_str()).collect();
                Error::invalid("events", format!("\"{}\" is not an event; there are {ALL}, {}", shown(name), known.join(", ")))
            })
        };
        names.iter().map(kind).collect::<Result<_>>().map(Events::Only)
    }

    pub fn names(&self) -> Vec<String> {
        match self {
            Events::All => vec![ALL.into()],
            Events::Only(kinds) => kinds.iter().map(|k| k.as_str().into()).collect(),
        }
    }

    pub fn wants(&self, kind: NoticeKind) -> bool {
        match self {
            Events::All => true,
            Events::Only(kinds) => kind == NoticeKind::Test || kinds.contains(&kind),
        }
    }
}

/// One thing to tell. Its id stays the same however often it is sent, and to whomever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    pub id: NoticeId,
    pub project: ProjectId,
    pub kind: NoticeKind,
    pub at: Time,
    /// The cluster's name, where it is about one.
    pub cluster: Option<String>,
    /// What it is about: `backup`, `restore`, `cluster`, `storage`, ... and its id.
    pub object_kind: String,
    pub object: String,
    /// Nobody has to do anything about it.
    pub good: bool,
    /// One line.
    pub title: String,
    /// A few sentences. Plain text, whatever names and messages are in it.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_reads_back() {
        for kind in NoticeKind::SWITCHES {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            let only = Events::parse(&[kind.as_str().to_string()]).unwrap();
            assert!(only.wants(kind) && only.wants(NoticeKind::Test), "{kind:?}");
            assert_eq!(only.names(), [kind.as_str()]);
            assert_eq!(NoticeKind::SWITCHES.iter().filter(|k| only.wants(**k)).count(), 1);
        }
    }

    #[test]
    fn all_is_all_and_nothing_is_refused() {
        assert_eq!(Events::parse(&["all".into(), "failover".into()]), Ok(Events::All));
        for bad in [vec![], vec!["test".to_string()], vec!["Backup_failed".to_string()], vec![String::new()]] {
            assert_eq!(Events::parse(&bad).unwrap_err().field.as_deref(), Some("events"), "{bad:?}");
        }
    }
}
