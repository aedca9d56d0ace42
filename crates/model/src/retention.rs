//! How long backups are kept. What the rules mean together is decided in one place, by a pure planner.

use crate::backup::ReadFrom;
use serde::{Deserialize, Serialize};

/// What keeps a backup: any rule that names it is enough. With no rule it is kept until it is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Days since it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
    /// The newest so many completed ones (and, of a schedule, as many failed ones to be looked into).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// The newest of each hour, day, week, month and year, for so many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gfs: Option<Gfs>,
    /// The newest ones that together have at most so many bytes of data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// Failures stay so long to be looked into where no rule names them.
pub const FAILED_DAYS: i64 = 7;

/// Grandfather, father, son.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gfs {
    pub hourly: u32,
    pub daily: u32,
    pub weekly: u32,
    pub monthly: u32,
    pub yearly: u32,
}

impl Retention {
    pub fn days(days: i64) -> Self {
        Retention { days: Some(days), ..Retention::default() }
    }
}

/// What holds for all backups of one cluster, apart from its schedules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupPolicy {
    /// The newest so many completed ones of those made by hand, instead of seven days; those of which
    /// somebody said how long they are kept follow that.
    pub manual_keep_last: Option<u32>,
    /// At most one backup by hand in an hour.
    pub manual_limit: bool,
    /// So many of the newest good ones stay, whatever else is said.
    pub min_keep: u32,
    /// Where they are taken from.
    pub from: ReadFrom,
}

impl Default for BackupPolicy {
    fn default() -> Self {
        BackupPolicy { manual_keep_last: None, manual_limit: false, min_keep: 2, from: ReadFrom::Replica }
    }
}
