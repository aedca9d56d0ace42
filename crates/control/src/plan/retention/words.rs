//! Why a backup stays or goes, as data and as the words people read.

use jiff::civil;
use mainstay_model::{BackupId, GroupBackupId, StorageId, Time, retention::Gfs};
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    Running,
    Leaving,
    Bin(Option<Time>),
    Pinned,
    InUse,
    Final(Option<Time>),
    Until {
        until: Time,
        days: Option<i64>,
    },
    KeepLast(u32),
    KeepLastFailed(u32),
    Generation(Period, u32),
    MaxBytes(u64),
    NoRule,
    NewestGood,
    NewestDrilled,
    NewestDoubtful,
    MinKeep(u32),
    /// Of a schedule that is off, or gone.
    LastOfIdle(u32),
    Window(Time),
    Locked(Time),
    NeededBy(BackupId),
    /// Another part of it stays.
    PartOf(GroupBackupId),
    Suspended(StorageId),
    /// A drill failed.
    Frozen,
    Clock(&'static str),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(None))
    }
}

impl Kept {
    /// The reason as people read it, naming the schedule whose rule it is.
    pub fn words(&self, schedule: Option<&str>) -> String {
        let of = schedule.map(|name| format!(" of schedule {name}")).unwrap_or_default();
        match self {
            Kept::Until { until, days: Some(1) } => format!("1 day{of}, until {until}"),
            Kept::Until { until, days: Some(days) } => format!("{days} days{of}, until {until}"),
            Kept::Until { until, days: None } => format!("kept until {until}"),
            Kept::KeepLast(n) => format!("one of the newest {n}{of}"),
            Kept::KeepLastFailed(n) => format!("one of the newest {n} failed{of}: kept so that the failure can be looked into"),
            Kept::Generation(period, n) => format!("newest of its {}{of}, for {n} of them", period.noun()),
            Kept::MaxBytes(n) => format!("within the newest {n} bytes{of}"),
            Kept::Bin(Some(until)) => format!("in the recycle bin, until {until}"),
            Kept::Final(Some(until)) => format!("final, until {until}"),
            Kept::MinKeep(n) => format!("one of the newest {n} good, which always stay"),
            Kept::LastOfIdle(n) => format!("one of the last {n} of a schedule that no longer runs"),
            Kept::Window(from) => format!("the base for restoring to any moment since {from}"),
            Kept::Locked(until) => format!("kept because locked until {until}: its storage lets nobody remove it before"),
            Kept::NeededBy(child) => format!("needed by {child}"),
            Kept::PartOf(group) => format!("part of group backup {group}, which is kept as a whole"),
            Kept::Clock(why) => format!("nothing is deleted now: {why}"),
            plain => plain.plain().into(),
        }
    }

    /// Those without a number or a name in them.
    fn plain(&self) -> &'static str {
        match self {
            Kept::Running => "being made",
            Kept::Leaving => "being deleted",
            Kept::Bin(_) => "in the recycle bin, until it is deleted",
            Kept::Pinned => "pinned: kept until it is unpinned",
            Kept::InUse => "in use right now",
            Kept::Final(_) => "final: kept until it is deleted",
            Kept::NewestGood => "newest good",
            Kept::NewestDrilled => "newest that passed a drill",
            Kept::NewestDoubtful => "newest that can be restored, though in doubt",
            Kept::Frozen => "nothing is deleted until a drill passes: the last one failed",
            Kept::Suspended(_) => "deletions are suspended: its storage does not hold what the catalogue says",
            _ => "kept until it is deleted",
        }
    }

    /// For how long, where that is a matter of time.
    pub fn until(&self) -> Option<Time> {
        match self {
            Kept::Until { until, .. } | Kept::Locked(until) => Some(*until),
            Kept::Bin(until) | Kept::Final(until) => *until,
            _ => None,
        }
    }
}

/// Every rule that had a say, and named it no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    pub until: Option<Time>,
    pub keep_last: Option<u32>,
    pub gfs: bool,
    pub max_bytes: Option<u64>,
    pub failed: bool,
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.failed { " failed" } else { "" };
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.until.map(|t| format!("its time ended {t}")));
        parts.extend(self.keep_last.map(|n| format!("it is not one of the newest {n}{what}")));
        if self.gfs && !self.failed {
            parts.push("no hour, day, week, month or year keeps it".into());
        }
        parts.extend(self.max_bytes.filter(|_| !self.failed).map(|n| format!("it is outside of the newest {n} bytes")));
        if parts.is_empty() {
            parts.push("there was time to look into the failure".into());
        }
        f.write_str(&parts.join(", and "))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    pub const ALL: [Period; 5] = [Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year];

    pub fn noun(self) -> &'static str {
        match self {
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Week => "week",
            Period::Month => "month",
            Period::Year => "year",
        }
    }

    pub fn count(self, gfs: Gfs) -> u32 {
        match self {
            Period::Hour => gfs.hourly,
            Period::Day => gfs.daily,
            Period::Week => gfs.weekly,
            Period::Month => gfs.monthly,
            Period::Year => gfs.yearly,
        }
    }

    /// The same for two times in one bucket; weeks are ISO's, beginning on Monday.
    pub(super) fn key(self, wall: civil::DateTime) -> i64 {
        let date = wall.date();
        let (year, month, day) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        match self {
            Period::Hour => ((year * 100 + month) * 100 + day) * 100 + i64::from(wall.hour()),
            Period::Day => (year * 100 + month) * 100 + day,
            Period::Week => {
                let week = date.iso_week_date();
                i64::from(week.year()) * 100 + i64::from(week.week())
            }
            Period::Month => year * 100 + month,
            Period::Year => year,
        }
    }
}
