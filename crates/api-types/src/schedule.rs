//! Schedules.

use mainstay_model::{
    Time,
    backup::BackupStatus,
    retention::Retention,
    schedule::{Overlap, RunStatus, Weekday},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    pub id: String,
    pub name: String,
    /// Absent where it backs up a group.
    pub cluster: Option<String>,
    /// The group whose members it backs up at one point.
    pub group: Option<String>,
    pub enabled: bool,
    /// All seven where `every_day` is true.
    pub days: Vec<Weekday>,
    /// 0 to 23, in the schedule's zone; all where `every_hour` is true.
    pub hours: Vec<u8>,
    pub every_day: bool,
    pub every_hour: bool,
    /// The zone's name in the IANA database.
    pub time_zone: String,
    pub retention: Retention,
    pub storages: Vec<String>,
    /// Days the copies in some of the storages are kept, by the storages' names, where that is shorter than the
    /// backups are. In the others copies stay as long as their backup.
    #[serde(default)]
    pub copy_retention: BTreeMap<String, i64>,
    /// What becomes of a time that comes while the backup of the time before is still being made.
    pub overlap: Overlap,
    /// The next five; none while it is paused.
    #[schema(value_type = Vec<String>, format = DateTime)]
    pub next_runs: Vec<Time>,
    /// The latest ten, newest first, those that were missed or left out as well.
    pub last_runs: Vec<ScheduleRun>,
    /// Why a run that is due has not begun yet.
    pub waiting: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
}

/// One time at which a schedule was due, and what came of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ScheduleRun {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// `started`: the backup was begun, and says itself how that went.
    pub status: RunStatus,
    /// Why it was missed or skipped.
    pub reason: Option<String>,
    pub backup: Option<String>,
    /// What a group's schedule began.
    pub group_backup: Option<String>,
    /// Absent where the backup was deleted since.
    pub backup_status: Option<BackupStatus>,
}

/// Makes the schedule of that name, or changes it. What is absent stays; a new one is for every day
/// at 03:00, kept 7 days, in the storage `local`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSchedule {
    /// `default` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Weekday>>,
    /// In place of `days`.
    #[serde(default)]
    pub every_day: bool,
    /// 0 to 23.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Vec<u8>>,
    /// In place of `hours`.
    #[serde(default)]
    pub every_hour: bool,
    /// A name of the IANA database; the zone of the server's machine where a new one names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The whole retention; `retention_days` and `keep_last` set only that part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<i64>,
    /// The newest so many are kept, however old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u32>,
    /// Names or ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storages: Option<Vec<String>>,
    /// Days the copies in some of the storages are kept, by name or id: all of it, and none where it is empty. It only
    /// shortens, and in one storage at least copies stay as long as their backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_retention: Option<BTreeMap<String, i64>>,
    /// What becomes of a time that comes while the backup of the time before is still being made; a new one
    /// leaves it out (`skip`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
}

/// When a schedule would run. Nothing is set.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SchedulePreview {
    pub name: String,
    pub cluster: Option<String>,
    pub group: Option<String>,
    /// In words.
    pub sentence: String,
    pub time_zone: String,
    #[schema(value_type = Vec<String>, format = DateTime)]
    pub next_runs: Vec<Time>,
    /// The same as the wall's clock in the zone shows them.
    pub on_the_wall: Vec<String>,
}
