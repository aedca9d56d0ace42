//! One lane of one class: the rules, asked from the newest down.

use super::{
    copies::CopyItem,
    words::{Gone, Kept, Period},
};
use jiff::{Timestamp, civil, tz::TimeZone};
use mainstay_model::{
    BackupId, GroupBackupId, ScheduleId, StorageId, Time,
    backup::BackupKind,
    retention::{FAILED_DAYS, Gfs, Retention},
};

/// Backups that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Schedule(ScheduleId),
    Manual,
    /// After a promotion, before a restore: made by operations.
    Promotion,
    PreRestore,
    Final,
    /// Made by a schedule nobody remembers.
    Orphaned,
}

impl Class {
    pub fn of(kind: BackupKind, schedule: Option<&ScheduleId>) -> Class {
        match (kind, schedule) {
            (BackupKind::Scheduled, Some(id)) => Class::Schedule(id.clone()),
            (BackupKind::Scheduled, None) => Class::Orphaned,
            (BackupKind::Manual, _) => Class::Manual,
            (BackupKind::Promotion, _) => Class::Promotion,
            (BackupKind::PreRestore, _) => Class::PreRestore,
            (BackupKind::Final, _) => Class::Final,
        }
    }

    pub fn schedule(&self) -> Option<&ScheduleId> {
        match self {
            Class::Schedule(id) => Some(id),
            _ => None,
        }
    }
}

/// How far a backup is, and what it is worth. Only good ones count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    Good,
    /// It may be restored, but a copy failed or its size is suspicious.
    Doubtful,
    Failed,
    Running,
    /// Being deleted already.
    Leaving,
}

/// What keeps one backup. With nothing set it is kept until it is deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    pub until: Option<Time>,
    pub keep_last: Option<u32>,
    pub gfs: Option<Gfs>,
    pub max_bytes: Option<u64>,
}

impl Rules {
    /// A retention's, for a backup made at `created_at`.
    pub fn of(retention: &Retention, created_at: Time) -> Rules {
        let until = retention.days.map(|d| created_at.plus_days(d));
        Rules { until, keep_last: retention.keep_last, gfs: retention.gfs, max_bytes: retention.max_bytes }
    }

    pub fn until(time: Option<Time>) -> Rules {
        Rules { until: time, ..Rules::default() }
    }

    pub fn is_empty(&self) -> bool {
        *self == Rules::default()
    }
}

/// A backup as far as retention looks at it.
#[derive(Debug, Clone)]
pub struct Item {
    pub id: BackupId,
    pub class: Class,
    pub lane: Lane,
    /// A drill restored it.
    pub drilled: bool,
    pub created_at: Time,
    pub bytes: u64,
    /// The backup without which this one cannot be restored.
    pub parent: Option<BackupId>,
    /// The group backup it is a part of, where that can still be restored as a whole.
    pub group: Option<GroupBackupId>,
    pub rules: Rules,
    /// Those with a snapshot of it.
    pub storages: Vec<StorageId>,
    /// Its copies that are good, or announced as going.
    pub places: Vec<CopyItem>,
}

impl Item {
    pub fn is_full(&self) -> bool {
        self.lane == Lane::Good && self.parent.is_none()
    }

    pub fn is_final(&self) -> bool {
        self.class == Class::Final
    }

    pub(super) fn gone(&self) -> Gone {
        let Rules { until, keep_last, gfs, max_bytes } = self.rules;
        Gone { until, keep_last, gfs: gfs.is_some(), max_bytes, failed: self.lane == Lane::Failed }
    }
}

/// What keeps each of `items`: one lane of one class, newest first. Only what the rules keep is counted
/// in them, so that it makes no difference whether what goes is gone already.
pub(super) fn apply(items: &[&Item], lane: Lane, time_zone: Option<&str>, now: Time) -> Vec<Option<Kept>> {
    let mut zone = Zone::new(time_zone);
    let generations = items.iter().any(|i| i.rules.gfs.is_some());
    let mut buckets = Buckets::default();
    let (mut taken, mut bytes) = (0u32, 0u64);
    let mut kept = Vec::with_capacity(items.len());
    for item in items {
        let (rank, together) = (taken.saturating_add(1), bytes.saturating_add(item.bytes));
        let place = generations.then(|| buckets.place(zone.wall(item.created_at)));
        let why = match lane {
            Lane::Failed => failed(item, rank, now),
            _ => good(item, rank, together, place.as_ref(), now),
        };
        if why.is_some() {
            (taken, bytes) = (rank, together);
            place.into_iter().for_each(|p| buckets.take(&p));
        }
        kept.push(why);
    }
    kept
}

fn in_time(item: &Item, now: Time) -> Option<Kept> {
    item.rules.until.filter(|t| *t > now).map(|until| Kept::Until { until, days: days(item.created_at, until) })
}

/// Whole days, where it is that.
fn days(from: Time, until: Time) -> Option<i64> {
    const DAY: i64 = 86_400_000_000;
    let span = until.micros().saturating_sub(from.micros());
    (span > 0 && span % DAY == 0).then_some(span / DAY)
}

fn newest(item: &Item, rank: u32) -> Option<u32> {
    item.rules.keep_last.filter(|n| rank <= *n)
}

fn good(item: &Item, rank: u32, bytes: u64, place: Option<&Place>, now: Time) -> Option<Kept> {
    if item.rules.is_empty() {
        return Some(Kept::NoRule);
    }
    in_time(item, now)
        .or_else(|| newest(item, rank).map(Kept::KeepLast))
        .or_else(|| item.rules.gfs.zip(place).and_then(|(gfs, place)| generation(gfs, place)))
        .or_else(|| item.rules.max_bytes.filter(|most| bytes <= *most).map(Kept::MaxBytes))
}

/// The longest generation says most.
fn generation(gfs: Gfs, place: &Place) -> Option<Kept> {
    let fits = |(period, bucket): (Period, &Bucket)| bucket.is_new && bucket.ordinal < period.count(gfs);
    let found = Period::ALL.into_iter().zip(&place.0).rev().find(|pair| fits(*pair));
    found.map(|(period, _)| Kept::Generation(period, period.count(gfs)))
}

/// Bytes and generations say nothing of a failure.
fn failed(item: &Item, rank: u32, now: Time) -> Option<Kept> {
    if item.rules.is_empty() {
        return Some(Kept::NoRule);
    }
    let looked_into = || {
        let until = item.created_at.plus_days(FAILED_DAYS);
        let unnamed = item.rules.until.is_none() && item.rules.keep_last.is_none();
        (unnamed && until > now).then_some(Kept::Until { until, days: Some(FAILED_DAYS) })
    };
    in_time(item, now).or_else(|| newest(item, rank).map(Kept::KeepLastFailed)).or_else(looked_into)
}

/// A time zone, looked up when it is first needed. One nobody knows is UTC: the borders of days move,
/// nothing is lost by it.
struct Zone<'a> {
    name: Option<&'a str>,
    zone: Option<TimeZone>,
}

impl<'a> Zone<'a> {
    fn new(name: Option<&'a str>) -> Self {
        Zone { name, zone: None }
    }

    fn wall(&mut self, time: Time) -> civil::DateTime {
        let look_up = || self.name.and_then(|n| TimeZone::get(n).ok()).unwrap_or(TimeZone::UTC);
        let zone = self.zone.get_or_insert_with(look_up);
        zone.to_datetime(Timestamp::from_microsecond(time.micros()).unwrap_or(Timestamp::UNIX_EPOCH))
    }
}

/// For each period the bucket that was taken last. Going down in time a bucket is left for good, so
/// the last is enough to know a new one.
#[derive(Default)]
struct Buckets([Option<Bucket>; 5]);

#[derive(Clone, Copy)]
struct Bucket {
    key: i64,
    /// Which one from the newest.
    ordinal: u32,
    is_new: bool,
}

/// One backup's bucket in each period.
struct Place([Bucket; 5]);

impl Buckets {
    fn place(&self, wall: civil::DateTime) -> Place {
        Place(std::array::from_fn(|at| {
            let key = Period::ALL[at].key(wall);
            match self.0[at] {
                Some(last) if last.key == key => Bucket { is_new: false, ..last },
                last => Bucket { key, ordinal: last.map_or(0, |l| l.ordinal + 1), is_new: true },
            }
        }))
    }

    fn take(&mut self, place: &Place) {
        self.0 = place.0.map(Some);
    }
}
