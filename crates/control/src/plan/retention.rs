//! What is kept and what goes: one pure function over all backups of one cluster.
//!
//! Rules keep, nothing else: a backup goes only when no rule, no floor, no hold and no doubt speaks
//! for it, and the first thing that does is the reason it is shown with. So a reason is never made up
//! beside the decision, it is the decision.
//!
//! Three lanes run beside each other: backups that are proven good, those in doubt (a copy failed, or
//! a suspicious size), and failures. The same rules are asked in each, and no lane is counted in
//! another: a week of failures never pushes out the last good backup, and a suspicious one never an
//! older, better one. All selections are made from the newest down, therefore a new backup can only
//! ever push out an older one, and a plan that was half carried out is continued by planning again.
//!
//! The parts of a group backup stay or go together ([`together`]): where one of them stays in its cluster,
//! the others stay in theirs.

mod copies;
mod rules;
mod together;
mod words;

pub use copies::{CopyItem, CopyKept, CopyPlan, Spot, copies};
pub use rules::{Class, Item, Lane, Rules};
pub use together::{Asked, together};
pub use words::{Gone, Kept, Period};

use mainstay_model::{BackupId, GroupBackupId, ScheduleId, StorageId, Time};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What counts for the whole cluster.
#[derive(Debug, Clone)]
pub struct Policy {
    /// So many of the newest good full backups stay, whatever the rules say; at least one.
    pub min_keep: u32,
    pub schedules: BTreeMap<ScheduleId, ScheduleFacts>,
    /// Everything from here on shall be restorable to at any moment: the newest good full backup that is
    /// not younger stays, and where all are younger the oldest, for the window to grow.
    pub window_from: Option<Time>,
    /// Where the log for that lies.
    pub log_storages: BTreeSet<StorageId>,
    /// The cluster lies in the recycle bin until then.
    pub bin: Option<Bin>,
}

/// How long the recycle bin keeps; `None` for as long as nobody empties it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bin(pub Option<Time>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleFacts {
    pub name: String,
    pub time_zone: String,
    pub enabled: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { min_keep: MIN_KEEP, schedules: BTreeMap::new(), window_from: None, log_storages: BTreeSet::new(), bin: None }
    }
}

pub const MIN_KEEP: u32 = 2;

/// What must not go now, whatever the rules say.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    pub held: BTreeMap<BackupId, Hold>,
    /// Storages whose contents are not what the catalogue says, and why.
    pub suspended: BTreeMap<StorageId, String>,
    /// Storages that did not say what they hold: nothing relies on what lies there.
    pub silent: BTreeSet<StorageId>,
    /// The newest drill of the cluster failed: older backups may be all that restores.
    pub frozen: bool,
    /// Group backups of which a part stays in another cluster.
    pub groups: BTreeSet<GroupBackupId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Pinned,
    /// Something reads it right now.
    InUse,
    /// A storage lets nobody remove it before.
    Locked(Time),
}

/// This moment, and that of the run before.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub now: Time,
    pub last: Option<Time>,
}

/// A clock that moved further than this since the last run is not trusted in this one.
pub const LEAP_SECONDS: i64 = 48 * 3600;

impl Clock {
    /// Why nothing may be deleted by this clock.
    pub fn doubt(&self) -> Option<&'static str> {
        match self.last {
            None => Some("this is the first look since the start"),
            Some(last) if self.now < last => Some("the clock went back since the last look"),
            Some(last) if self.now > last.plus_seconds(LEAP_SECONDS) => Some("the clock is more than 48 hours after the last look"),
            Some(_) => None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub keep: Vec<(BackupId, Kept)>,
    pub delete: Vec<(BackupId, Gone)>,
    /// Logs from here on belong to backups that are kept.
    pub log_from: Option<Time>,
    /// So much would go at once that a person has to say yes.
    pub brake: Option<Brake>,
}

/// Good backups that would go, of all good ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brake {
    pub going: usize,
    pub of: usize,
}

impl Brake {
    /// So few go without a question, whatever part they are: an hourly run of a few rules.
    pub const FEW: usize = 3;
    /// So many never do.
    pub const MANY: usize = 50;

    fn of(going: usize, of: usize) -> Option<Brake> {
        let much = going > Brake::FEW && going * 4 > of || going > Brake::MANY;
        much.then_some(Brake { going, of })
    }
}

/// Decides about every backup of one cluster.
pub fn plan(policy: &Policy, catalogue: &[Item], pins: &Pins, clock: Clock) -> Plan {
    let mut desk = Desk::new(policy, catalogue, clock.now);
    desk.stages();
    desk.holds(pins);
    desk.bin();
    desk.rules();
    desk.newest_good();
    desk.floors();
    desk.windows();
    desk.doubts(pins, clock);
    desk.groups(pins);
    desk.parents();
    desk.decided()
}

/// The backups newest first, and what speaks for each.
struct Desk<'a> {
    policy: &'a Policy,
    now: Time,
    items: Vec<&'a Item>,
    kept: Vec<Option<Kept>>,
}

impl<'a> Desk<'a> {
    fn new(policy: &'a Policy, catalogue: &'a [Item], now: Time) -> Self {
        let mut items: Vec<&Item> = catalogue.iter().collect();
        items.sort_unstable_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        Desk { policy, now, kept: vec![None; items.len()], items }
    }

    /// The first reason stays.
    fn keep(&mut self, at: usize, why: Kept) {
        self.kept[at].get_or_insert(why);
    }

    fn keep_where(&mut self, why: impl Fn(&Item) -> Option<Kept>) {
        for at in 0..self.items.len() {
            if let Some(why) = why(self.items[at]) {
                self.keep(at, why);
            }
        }
    }

    fn stages(&mut self) {
        self.keep_where(|i| match i.lane {
            Lane::Running => Some(Kept::Running),
            Lane::Leaving => Some(Kept::Leaving),
            _ => None,
        });
    }

    fn bin(&mut self) {
        let bin = self.policy.bin;
        self.keep_where(|_| bin.map(|Bin(until)| Kept::Bin(until)));
    }

    fn holds(&mut self, pins: &Pins) {
        let now = self.now;
        self.keep_where(|i| match pins.held.get(&i.id) {
            Some(Hold::Pinned) => Some(Kept::Pinned),
            Some(Hold::InUse) => Some(Kept::InUse),
            Some(Hold::Locked(until)) => Some(Kept::Locked(*until)),
            None if i.is_final() && i.rules.until.is_none_or(|t| t > now) => Some(Kept::Final(i.rules.until)),
            None => None,
        });
    }

    /// Each class and lane by itself.
    fn rules(&mut self) {
        let mut lanes: HashMap<(&Class, Lane), Vec<usize>> = HashMap::new();
        for (at, item) in self.items.iter().enumerate() {
            lanes.entry((&item.class, item.lane)).or_default().push(at);
        }
        for ((class, lane), at) in lanes {
            let items: Vec<&Item> = at.iter().map(|at| self.items[*at]).collect();
            let facts = class.schedule().and_then(|s| self.policy.schedules.get(s));
            let kept = rules::apply(&items, lane, facts.map(|f| f.time_zone.as_str()), self.now);
            for (at, why) in at.into_iter().zip(kept) {
                if let Some(why) = why {
                    self.keep(at, why);
                }
            }
        }
    }

    /// The newest good one, the newest that a drill restored, and a newer one in doubt that is better
    /// than nothing.
    fn newest_good(&mut self) {
        let first = |of: &dyn Fn(&Item) -> bool| self.items.iter().position(|i| of(i));
        let good = first(&|i| i.lane == Lane::Good);
        let drilled = first(&|i| i.lane == Lane::Good && i.drilled);
        let doubtful = first(&|i| i.lane == Lane::Doubtful).filter(|d| good.is_none_or(|g| *d < g));
        for (at, why) in [(good, Kept::NewestGood), (drilled, Kept::NewestDrilled), (doubtful, Kept::NewestDoubtful)] {
            if let Some(at) = at {
                self.keep(at, why);
            }
        }
    }

    /// Full ones only: what needs another backup is none by itself.
    fn floors(&mut self) {
        let min_keep = self.policy.min_keep.max(1);
        let full: Vec<usize> = (0..self.items.len()).filter(|at| self.items[*at].is_full()).collect();
        for at in full.iter().take(min_keep as usize) {
            self.keep(*at, Kept::MinKeep(min_keep));
        }
        let mut idle: BTreeMap<&ScheduleId, u32> = BTreeMap::new();
        for at in full {
            let Some(schedule) = self.items[at].class.schedule() else { continue };
            if self.policy.schedules.get(schedule).is_some_and(|f| f.enabled) {
                continue;
            }
            let taken = idle.entry(schedule).or_default();
            *taken += 1;
            if *taken <= min_keep {
                self.keep(at, Kept::LastOfIdle(min_keep));
            }
        }
    }

    fn windows(&mut self) {
        let Some(from) = self.policy.window_from else { return };
        let base = self.items.iter().position(|i| i.is_full() && i.created_at <= from);
        let base = base.or_else(|| self.items.iter().rposition(|i| i.is_full()));
        if let Some(at) = base {
            self.keep(at, Kept::Window(from));
        }
    }

    /// What would go, and must not go now.
    fn doubts(&mut self, pins: &Pins, clock: Clock) {
        let doubt = clock.doubt();
        let frozen = pins.frozen.then_some(Kept::Frozen);
        self.keep_where(|i| doubt.map(Kept::Clock).or_else(|| frozen.clone()).or_else(|| pins.suspended_for(i).map(Kept::Suspended)));
    }

    /// Without this part the group backup it belongs to could not be restored as a whole.
    fn groups(&mut self, pins: &Pins) {
        self.keep_where(|i| i.group.as_ref().filter(|g| pins.groups.contains(g)).cloned().map(Kept::PartOf));
    }

    /// What a kept one needs is kept, all the way down.
    fn parents(&mut self) {
        if self.items.iter().all(|i| i.parent.is_none()) {
            return;
        }
        let places: HashMap<&BackupId, usize> = self.items.iter().enumerate().map(|(at, i)| (&i.id, at)).collect();
        let mut todo: Vec<usize> = (0..self.items.len()).filter(|at| self.kept[*at].is_some()).collect();
        while let Some(child) = todo.pop() {
            let parent = self.items[child].parent.as_ref().and_then(|p| places.get(p)).copied();
            if let Some(parent) = parent.filter(|p| self.kept[*p].is_none()) {
                self.keep(parent, Kept::NeededBy(self.items[child].id.clone()));
                todo.push(parent);
            }
        }
    }

    fn decided(self) -> Plan {
        let mut plan = Plan::default();
        let (mut going, mut good) = (0, 0);
        for (item, kept) in self.items.into_iter().zip(self.kept) {
            good += usize::from(item.lane == Lane::Good);
            match kept {
                Some(why) => {
                    if item.is_full() {
                        plan.log_from = Some(item.created_at);
                    }
                    plan.keep.push((item.id.clone(), why));
                }
                None => {
                    going += usize::from(item.lane == Lane::Good);
                    plan.delete.push((item.id.clone(), item.gone()));
                }
            }
        }
        plan.brake = Brake::of(going, good);
        plan
    }
}

impl Pins {
    fn suspended_for(&self, item: &Item) -> Option<StorageId> {
        if self.suspended.is_empty() {
            return None;
        }
        item.storages.iter().find(|s| self.suspended.contains_key(s)).cloned()
    }
}

/// The ids of what goes.
impl Plan {
    pub fn going(&self) -> HashSet<&BackupId> {
        self.delete.iter().map(|(id, _)| id).collect()
    }
    pub fn kept(&self) -> BTreeSet<&BackupId> {
        self.keep.iter().map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod copies_tests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tables;
