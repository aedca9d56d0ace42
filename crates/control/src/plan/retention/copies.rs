//! Which copies may go before their backup does.
//!
//! A copy may be told to stay for a shorter time than its backup: a week on this host, say, of what is kept
//! for a quarter elsewhere. Asked are only those whose time is over, of backups that stay, and what speaks
//! for one is the reason it is shown with. No copy goes unless another one of the same backup stays that is
//! good, that nobody has a doubt about, and that is no snapshot on the disk of the data. And each storage
//! keeps for itself what retention keeps of a cluster as a whole: its newest good ones, the last of a schedule
//! that is off, and where the log lies what a window in it begins with, so that it is worth something alone.

use super::{Brake, Clock, Hold, Item, Lane, Pins, Plan, Policy};
use mainstay_model::{BackupId, ScheduleId, StorageId, Time};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
};

/// A copy as far as retention looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyItem {
    pub storage: StorageId,
    /// Read back and checked. One that is announced still is.
    pub good: bool,
    /// Announced: it can be brought back until then.
    pub leaving: Option<Time>,
    /// Without it, it stays as long as its backup.
    pub until: Option<Time>,
    /// Nobody can remove it before.
    pub locked: Option<Time>,
    /// On the disk of the data: it bears no backup alone.
    pub beside: bool,
}

/// One copy: of which backup, in which storage.
pub type Spot = (BackupId, StorageId);

#[derive(Debug, Clone, Default, PartialEq)]
pub struct CopyPlan {
    /// Those that stay though their time is over.
    pub keep: Vec<(Spot, CopyKept)>,
    /// To be announced.
    pub delete: Vec<Spot>,
    /// Announced, and by now to be removed for good.
    pub due: Vec<Spot>,
    /// So much would be announced in this storage at once that a person has to say yes.
    pub brake: Option<(StorageId, Brake)>,
}

/// Why a copy stays though its time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyKept {
    Pinned,
    InUse,
    /// It goes with its backup.
    WithBackup,
    Doubtful,
    Final,
    Bin,
    Locked(Time),
    NewestThere(u32),
    NewestDrilled,
    LastOfIdle(u32),
    Window(Time),
    OnlyOne,
    NeededBy(BackupId),
    Suspended,
    Frozen,
    Clock(&'static str),
}

impl fmt::Display for CopyKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match self {
            CopyKept::Locked(until) => return write!(f, "locked until {until}: its storage lets nobody remove it before"),
            CopyKept::NewestThere(1) => "the newest good one in this storage",
            CopyKept::NewestThere(n) => return write!(f, "one of the newest {n} good in this storage"),
            CopyKept::LastOfIdle(n) => return write!(f, "one of the last {n} in this storage of a schedule that no longer runs"),
            CopyKept::Window(from) => return write!(f, "in this storage lies the log to restore to any moment since {from}"),
            CopyKept::NeededBy(child) => return write!(f, "needed here by {child}"),
            CopyKept::Clock(why) => return write!(f, "nothing is deleted now: {why}"),
            CopyKept::Pinned => "its backup is pinned",
            CopyKept::InUse => "its backup is in use right now",
            CopyKept::WithBackup => "it goes with its backup",
            CopyKept::Doubtful => "its backup does not count, and keeps all it has",
            CopyKept::Final => "its backup is final",
            CopyKept::Bin => "its cluster lies in the recycle bin",
            CopyKept::NewestDrilled => "its backup is the newest that passed a drill",
            CopyKept::OnlyOne => "no other good copy stays elsewhere",
            CopyKept::Suspended => "what its storages hold is not what the catalogue says",
            CopyKept::Frozen => "nothing is deleted until a drill passes: the last one failed",
        };
        f.write_str(plain)
    }
}

/// Decides about the copies of one cluster whose own time is over. `plan` is what was decided of its backups.
pub fn copies(policy: &Policy, catalogue: &[Item], pins: &Pins, plan: &Plan, clock: Clock) -> CopyPlan {
    let mut items: Vec<&Item> = catalogue.iter().collect();
    items.sort_unstable_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    let mut out = CopyPlan::default();
    if !items.iter().any(|i| i.places.iter().any(|p| p.is_over(clock.now))) {
        return out;
    }
    let desk = Desk { pins, clock, policy, floors: floors(policy, &items), going: plan.going() };
    let mut going: BTreeSet<Spot> = BTreeSet::new();
    for item in &items {
        for place in item.places.iter().filter(|p| p.is_over(clock.now)) {
            let spot = (item.id.clone(), place.storage.clone());
            match desk.kept(item, place) {
                Some(why) => out.keep.push((spot, why)),
                None => drop(going.insert(spot)),
            }
        }
    }
    needed(&items, &desk.going, &mut going, &mut out.keep);
    for item in &items {
        for place in &item.places {
            let spot = (item.id.clone(), place.storage.clone());
            match place.leaving {
                _ if !going.contains(&spot) => {}
                None => out.delete.push(spot),
                Some(until) if until <= clock.now => out.due.push(spot),
                Some(_) => {}
            }
        }
    }
    out.brake = brake(&items, &out.delete);
    out
}

struct Desk<'a> {
    policy: &'a Policy,
    pins: &'a Pins,
    clock: Clock,
    floors: HashMap<(&'a BackupId, &'a StorageId), CopyKept>,
    /// Backups that are to go as a whole.
    going: HashSet<&'a BackupId>,
}

impl Desk<'_> {
    fn kept(&self, item: &Item, place: &CopyItem) -> Option<CopyKept> {
        let held = match self.pins.held.get(&item.id) {
            Some(Hold::Pinned) => Some(CopyKept::Pinned),
            Some(Hold::InUse) => Some(CopyKept::InUse),
            // By a lock of any of its copies: which of them, each says itself.
            Some(Hold::Locked(_)) | None => None,
        };
        let now = self.clock.now;
        held.or_else(|| (self.going.contains(&item.id) || item.lane == Lane::Leaving).then_some(CopyKept::WithBackup))
            .or_else(|| (item.lane != Lane::Good || !place.good).then_some(CopyKept::Doubtful))
            .or_else(|| item.is_final().then_some(CopyKept::Final))
            .or_else(|| self.policy.bin.map(|_| CopyKept::Bin))
            .or_else(|| place.locked.filter(|t| *t > now).map(CopyKept::Locked))
            .or_else(|| self.floors.get(&(&item.id, &place.storage)).cloned())
            .or_else(|| self.clock.doubt().map(CopyKept::Clock))
            .or_else(|| self.pins.frozen.then_some(CopyKept::Frozen))
            .or_else(|| self.pins.suspended.contains_key(&place.storage).then_some(CopyKept::Suspended))
            .or_else(|| (!self.bears_without(item, place)).then_some(CopyKept::OnlyOne))
    }

    /// Whether another copy stays that is as good as this one, in a storage nobody has a doubt about.
    fn bears_without(&self, item: &Item, place: &CopyItem) -> bool {
        let doubted = |s: &StorageId| self.pins.suspended.contains_key(s) || self.pins.silent.contains(s);
        let stays = |p: &&CopyItem| p.good && !p.beside && p.leaving.is_none() && p.until.is_none_or(|t| t > self.clock.now);
        item.places.iter().filter(stays).any(|p| p.storage != place.storage && !doubted(&p.storage))
    }
}

/// What each storage keeps for itself, storage by storage. `items` are newest first.
fn floors<'a>(policy: &Policy, items: &[&'a Item]) -> HashMap<(&'a BackupId, &'a StorageId), CopyKept> {
    let mut floors = HashMap::new();
    let mut there: BTreeMap<&StorageId, Vec<&Item>> = BTreeMap::new();
    for item in items.iter().copied().filter(|i| i.is_full()) {
        for place in item.places.iter().filter(|p| p.good) {
            there.entry(&place.storage).or_default().push(item);
        }
    }
    let drilled = items.iter().find(|i| i.lane == Lane::Good && i.drilled).map(|i| &i.id);
    for (storage, newest_first) in there {
        let min_keep = policy.min_keep.max(1);
        let mut idle: BTreeMap<&ScheduleId, u32> = BTreeMap::new();
        let window = window(policy, storage, &newest_first);
        for (at, item) in newest_first.iter().enumerate() {
            let last_of_idle = idle_schedule(policy, item).is_some_and(|schedule| {
                let taken = idle.entry(schedule).or_default();
                *taken += 1;
                *taken <= min_keep
            });
            let why = match () {
                () if at < min_keep as usize => CopyKept::NewestThere(min_keep),
                () if drilled == Some(&item.id) => CopyKept::NewestDrilled,
                () if last_of_idle => CopyKept::LastOfIdle(min_keep),
                () => match window {
                    Some((from, oldest)) if item.created_at >= oldest => CopyKept::Window(from),
                    _ => continue,
                },
            };
            floors.insert((&item.id, storage), why);
        }
    }
    floors
}

/// The schedule that made it, where that is off or gone.
fn idle_schedule<'a>(policy: &Policy, item: &'a Item) -> Option<&'a ScheduleId> {
    item.class.schedule().filter(|s| !policy.schedules.get(*s).is_some_and(|f| f.enabled))
}

/// Where the log lies: from when on it shall be restorable to any moment, and how old the oldest copy is
/// that this takes. Newer ones stay as well, for a promotion may have ended the line that one begins.
fn window(policy: &Policy, storage: &StorageId, newest_first: &[&Item]) -> Option<(Time, Time)> {
    let from = policy.window_from.filter(|_| policy.log_storages.contains(storage))?;
    let base = newest_first.iter().find(|i| i.created_at <= from).or(newest_first.last())?;
    Some((from, base.created_at))
}

/// What a copy that stays needs in its own storage stays there too, all the way down.
fn needed(items: &[&Item], whole: &HashSet<&BackupId>, going: &mut BTreeSet<Spot>, keep: &mut Vec<(Spot, CopyKept)>) {
    let children: Vec<(&Item, &BackupId)> = items.iter().filter_map(|i| Some((*i, i.parent.as_ref()?))).collect();
    let mut changed = !children.is_empty();
    while std::mem::take(&mut changed) {
        for (child, parent) in children.iter().filter(|(c, _)| !whole.contains(&c.id)) {
            for place in &child.places {
                let spot = ((*parent).clone(), place.storage.clone());
                if !going.contains(&(child.id.clone(), place.storage.clone())) && going.remove(&spot) {
                    keep.push((spot, CopyKept::NeededBy(child.id.clone())));
                    changed = true;
                }
            }
        }
    }
}

/// Storage by storage: the one in which the most would go, where that is much.
fn brake(items: &[&Item], going: &[Spot]) -> Option<(StorageId, Brake)> {
    let mut counts: BTreeMap<&StorageId, (usize, usize)> = BTreeMap::new();
    for place in items.iter().filter(|i| i.lane == Lane::Good).flat_map(|i| &i.places) {
        counts.entry(&place.storage).or_default().1 += usize::from(place.good && place.leaving.is_none());
    }
    for (_, storage) in going {
        counts.entry(storage).or_default().0 += 1;
    }
    let much = counts.into_iter().filter_map(|(storage, (going, of))| Some((storage.clone(), Brake::of(going, of)?)));
    much.max_by_key(|(_, brake)| brake.going)
}

impl CopyItem {
    fn is_over(&self, now: Time) -> bool {
        self.leaving.is_some() || self.until.is_some_and(|t| t <= now)
    }
}
