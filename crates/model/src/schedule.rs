//! A schedule: when a cluster, or a group of them, is backed up by itself, where to, and how long that is kept.
//!
//! Times are those of a clock on the wall: days and hours in a time zone. What they are in UTC, and
//! what happens where the wall's clock is turned, is decided in one place, by a pure planner.

use crate::{
    BackupId, ClusterId, ClusterName, Error, GroupBackupId, GroupId, Name, ProjectId, Result, ScheduleId, StorageId, Time,
    cluster::Cluster, group::Group, retention::Retention,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Weekday {
    pub const ALL: [Weekday; 7] = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];

    pub fn as_str(self) -> &'static str {
        match self {
            Weekday::Mon => "mon",
            Weekday::Tue => "tue",
            Weekday::Wed => "wed",
            Weekday::Thu => "thu",
            Weekday::Fri => "fri",
            Weekday::Sat => "sat",
            Weekday::Sun => "sun",
        }
    }
}

/// Days and hours on the wall. All seven days are every day, all 24 hours every hour; neither is
/// ever empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    pub days: BTreeSet<Weekday>,
    pub hours: BTreeSet<u8>,
    /// The zone's name in the IANA database.
    pub time_zone: String,
}

impl Timing {
    pub fn new(days: BTreeSet<Weekday>, hours: BTreeSet<u8>, time_zone: &str) -> Result<Timing> {
        if days.is_empty() {
            return Err(Error::invalid("days", "name at least one day, mon to sun, or every day"));
        }
        if hours.is_empty() || hours.iter().any(|h| *h > 23) {
            return Err(Error::invalid("hours", "name at least one hour, 0 to 23, or every hour"));
        }
        Ok(Timing { days, hours, time_zone: time_zone.into() })
    }
    pub fn every_day() -> BTreeSet<Weekday> {
        BTreeSet::from(Weekday::ALL)
    }
    pub fn every_hour() -> BTreeSet<u8> {
        (0..24).collect()
    }
    pub fn is_every_day(&self) -> bool {
        self.days.len() == 7
    }
    pub fn is_every_hour(&self) -> bool {
        self.hours.len() == 24
    }
}

/// `every day at 03:00 (Europe/Berlin)`.
impl std::fmt::Display for Timing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let days: Vec<_> = self.days.iter().map(|d| d.as_str()).collect();
        let hours: Vec<_> = self.hours.iter().map(|h| format!("{h:02}:00")).collect();
        let days = if self.is_every_day() { "every day".into() } else { days.join(", ") };
        let hours = if self.is_every_hour() { "every hour".into() } else { format!("at {}", hours.join(", ")) };
        write!(f, "{days} {hours} ({})", self.time_zone)
    }
}

/// What a schedule backs up: one cluster, or all members of a group at one point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Owner {
    Cluster { cluster: ClusterId, cluster_name: ClusterName },
    Group { group: GroupId, group_name: Name },
}

impl Owner {
    /// Its id, whatever it is: ids of different kinds never look alike.
    pub fn id(&self) -> &str {
        match self {
            Owner::Cluster { cluster, .. } => cluster.as_str(),
            Owner::Group { group, .. } => group.as_str(),
        }
    }
    pub fn name(&self) -> &str {
        match self {
            Owner::Cluster { cluster_name, .. } => cluster_name.as_str(),
            Owner::Group { group_name, .. } => group_name.as_str(),
        }
    }
    pub fn cluster(&self) -> Option<&ClusterId> {
        match self {
            Owner::Cluster { cluster, .. } => Some(cluster),
            Owner::Group { .. } => None,
        }
    }
    pub fn group(&self) -> Option<&GroupId> {
        match self {
            Owner::Cluster { .. } => None,
            Owner::Group { group, .. } => Some(group),
        }
    }
}

impl From<&Cluster> for Owner {
    fn from(c: &Cluster) -> Self {
        Owner::Cluster { cluster: c.id.clone(), cluster_name: c.name.clone() }
    }
}

impl From<&Group> for Owner {
    fn from(g: &Group) -> Self {
        Owner::Group { group: g.id.clone(), group_name: g.name.clone() }
    }
}

/// `cluster shop`, `group store`.
impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = if self.group().is_some() { "group" } else { "cluster" };
        write!(f, "{kind} {}", self.name())
    }
}

/// What becomes of a time that comes while the backup of the time before is still being made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out, and written down as that.
    #[default]
    Skip,
    /// It waits, and is used when that backup has ended, if that is soon enough. Of several that came meanwhile
    /// only the newest waits.
    Queue,
}

impl Overlap {
    pub fn as_str(self) -> &'static str {
        match self {
            Overlap::Skip => "skip",
            Overlap::Queue => "queue",
        }
    }
}

/// The stored schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub project: ProjectId,
    #[serde(flatten)]
    pub owner: Owner,
    pub name: Name,
    pub enabled: bool,
    pub timing: Timing,
    pub retention: Retention,
    /// Never empty.
    pub storages: Vec<StorageId>,
    /// Days the copies in some of them are kept, where that is shorter than the backups are. In one of them at
    /// least they stay as long.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub copy_retention: BTreeMap<StorageId, i64>,
    #[serde(default)]
    pub overlap: Overlap,
    /// Every run up to this instant was made, or written down as missed or skipped.
    pub done_until: Time,
    /// When to look at it again; `None` while it is paused.
    pub next_at: Option<Time>,
    /// Why a run that is due has not begun yet.
    #[serde(default)]
    pub waiting: Option<String>,
    pub created_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Its backup was begun; how that went, the backup says.
    Started,
    /// Its time passed while it could not be made.
    Missed,
    /// Left out on purpose.
    Skipped,
}

/// One time at which a schedule was due, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRun {
    pub schedule: ScheduleId,
    /// The instant the schedule names, in UTC; with the schedule's id it is the run's identity.
    pub nominal: Time,
    pub status: RunStatus,
    pub reason: Option<String>,
    pub backup: Option<BackupId>,
    /// What a group's schedule began: its parts are backups of the members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_backup: Option<GroupBackupId>,
    pub recorded_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_means() {
        let daily = Timing::new(Timing::every_day(), [3].into(), "UTC").unwrap();
        assert_eq!(daily.to_string(), "every day at 03:00 (UTC)");
        let some = Timing::new([Weekday::Wed, Weekday::Mon].into(), Timing::every_hour(), "Asia/Kolkata").unwrap();
        assert_eq!(some.to_string(), "mon, wed every hour (Asia/Kolkata)");
    }

    #[test]
    fn an_owner_lies_flat_in_the_document() {
        let mut doc = serde_json::json!({
            "id": ScheduleId::new(), "project": ProjectId::new(), "name": "nightly", "enabled": true, "retention": {},
            "timing": {"days": ["mon"], "hours": [3], "time_zone": "UTC"}, "storages": [StorageId::new()], "done_until": "2026-01-01T00:00:00Z",
            "next_at": null, "created_at": "2026-01-01T00:00:00Z", "waiting": null, "cluster": ClusterId::new(), "cluster_name": "shop",
        });
        let of_cluster: Schedule = serde_json::from_value(doc.clone()).unwrap();
        assert_eq!(of_cluster.owner.to_string(), "cluster shop");
        let shorter = Schedule { copy_retention: [(of_cluster.storages[0].clone(), 7)].into(), ..of_cluster.clone() };
        assert_eq!(serde_json::from_value::<Schedule>(serde_json::to_value(&shorter).unwrap()).unwrap(), shorter);
        assert_eq!(serde_json::to_value(&of_cluster).unwrap()["cluster"], doc["cluster"]);
        let fields = doc.as_object_mut().unwrap();
        fields.retain(|name, _| !name.starts_with("cluster"));
        fields.extend([("group".into(), serde_json::json!(GroupId::new())), ("group_name".into(), serde_json::json!("store"))]);
        let of_group: Schedule = serde_json::from_value(doc.clone()).unwrap();
        assert!(of_group.owner.to_string() == "group store" && of_group.owner.cluster().is_none());
        assert_eq!(serde_json::to_value(&of_group).unwrap()["group"], doc["group"]);
    }

    #[test]
    fn empty_or_impossible_times_are_refused() {
        let refused = |days, hours| Timing::new(days, hours, "UTC").unwrap_err().field;
        assert_eq!(refused([].into(), [3].into()).as_deref(), Some("days"));
        assert_eq!(refused(Timing::every_day(), [].into()).as_deref(), Some("hours"));
        assert_eq!(refused(Timing::every_day(), [24].into()).as_deref(), Some("hours"));
    }
}
