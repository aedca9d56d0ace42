//! All of one cluster that retention looks at, and the clusters with the other parts of its group backups:
//! those stay or go together.

use crate::{
    groups,
    plan::{
        drill::frozen,
        retention::{
            self as plan, Asked, Bin, Class, Clock, CopyItem, CopyPlan, Hold, Item, Kept, Lane, Pins, Plan, Policy, Rules, ScheduleFacts,
        },
    },
};
use mainstay_drivers::storage::SNAPSHOT;
use mainstay_model::{
    BackupId, ClusterId, GroupBackupId, Kind, Result, StorageId, Time,
    backup::{Backup, BackupKind, BackupStatus, Copy, Proof},
    cluster::{Cluster, Wanted},
    retention::BackupPolicy,
    schedule::Schedule,
};
use mainstay_operations::Tx;
use mainstay_store as store;
use std::collections::{BTreeMap, BTreeSet, HashSet};

pub struct Catalogue {
    pub cluster: Cluster,
    pub policy: BackupPolicy,
    pub backups: Vec<Backup>,
    pub pins: Pins,
    /// Why nothing is deleted, where that is because of a drill.
    pub frozen: Option<String>,
    facts: Policy,
    /// The group backups its backups are parts of, as far as those can be restored as wholes.
    groups: BTreeMap<BackupId, GroupBackupId>,
    /// The clusters with the other parts of those; they know of no others.
    others: Vec<Catalogue>,
}

impl Catalogue {
    pub async fn load(conn: &mut Tx, id: &ClusterId, now: Time) -> Result<Catalogue> {
        let mut own = Catalogue::alone(conn, id, now).await?;
        let wanted: BTreeSet<GroupBackupId> = own.backups.iter().filter_map(|b| b.part_of.clone()).collect();
        let (mut parts, mut clusters) = (BTreeMap::new(), BTreeSet::new());
        for group in wanted {
            let Some(view) = groups::find_backup(conn, &group).await? else { continue };
            if view.parts.iter().all(|(_, b)| b.as_ref().is_some_and(counts)) {
                clusters.extend(view.parts.iter().map(|(part, _)| part.cluster.clone()).filter(|c| c != id));
                parts.extend(view.parts.into_iter().map(|(part, _)| (part.backup, group.clone())));
            }
        }
        for other in clusters {
            own.others.push(Catalogue::alone(conn, &other, now).await?);
        }
        own.take_parts(&parts);
        own.others.iter_mut().for_each(|other| other.take_parts(&parts));
        Ok(own)
    }

    async fn alone(conn: &mut Tx, id: &ClusterId, now: Time) -> Result<Catalogue> {
        let cluster = store::clusters::get(conn, id).await?;
        let policy = store::retention::policy(conn, id).await?;
        let backups = store::backups::of_cluster(conn, id).await?;
        let mut held: BTreeMap<BackupId, Hold> = BTreeMap::new();
        held.extend(backups.iter().filter_map(|b| Some((b.id.clone(), Hold::Locked(b.locked_until(now)?)))));
        // What is in use holds every copy, a lock only its own.
        held.extend(store::restores::in_use(conn).await?.into_iter().map(|b| (b, Hold::InUse)));
        let copied = |b: &&Backup| b.copies.iter().any(|c| c.status == BackupStatus::Running);
        held.extend(backups.iter().filter(copied).map(|b| (b.id.clone(), Hold::InUse)));
        held.extend(backups.iter().filter(|b| b.pinned).map(|b| (b.id.clone(), Hold::Pinned)));
        let facts = Policy {
            min_keep: policy.min_keep,
            schedules: schedules(conn, id, &backups).await?,
            window_from: None,
            log_storages: cluster.log.iter().flat_map(|k| k.storages.iter().cloned()).collect(),
            bin: cluster.bin.as_ref().and_then(|b| b.until).map(|until| Bin(Some(until))),
        };
        let failed = store::drills::failed_since(conn, id).await?;
        let pins = Pins { held, frozen: failed.is_some(), ..Pins::default() };
        let frozen = failed.as_ref().map(frozen);
        Ok(Catalogue { cluster, policy, backups, pins, frozen, facts, groups: BTreeMap::new(), others: vec![] })
    }

    fn take_parts(&mut self, parts: &BTreeMap<BackupId, GroupBackupId>) {
        self.groups = self.backups.iter().filter_map(|b| Some((b.id.clone(), parts.get(&b.id)?.clone()))).collect();
    }

    /// While a cluster is being deleted its backups are that operation's business.
    pub fn is_settled(&self) -> bool {
        self.cluster.wanted != Wanted::Deleted || self.cluster.deleted_at.is_some()
    }

    /// Whether something is pinned or in use.
    pub fn is_held(&self) -> bool {
        self.backups.iter().any(|b| self.pins.held.contains_key(&b.id))
    }

    /// Notes which storages hold something else than the catalogue says, by cluster.
    pub fn suspend(&mut self, suspended: &BTreeMap<ClusterId, BTreeMap<StorageId, String>>) {
        let of = |id: &ClusterId| suspended.get(id).cloned().unwrap_or_default();
        self.pins.suspended.extend(of(&self.cluster.id));
        for other in &mut self.others {
            other.pins.suspended.extend(of(&other.cluster.id));
        }
    }

    /// Notes which storages did not answer.
    pub fn silence(&mut self, silent: impl IntoIterator<Item = StorageId>) {
        self.pins.silent.extend(silent);
    }

    pub fn plan(&self, clock: Clock) -> Plan {
        self.plan_under(&self.policy, clock)
    }

    /// What something else than a lock keeps: no lock is made longer for its own sake.
    pub fn kept_without_locks(&self, now: Time) -> HashSet<BackupId> {
        let plan = self.planned(&self.policy, Clock { now, last: Some(now) }, false, true).swap_remove(0);
        plan.keep.into_iter().filter(|(_, why)| !matches!(why, Kept::Leaving)).map(|(id, _)| id).collect()
    }

    /// The same, where a person said yes to however much goes.
    pub fn plan_confirmed(&self, clock: Clock) -> Plan {
        self.plans(&self.policy, clock, true).swap_remove(0)
    }

    pub fn plan_under(&self, policy: &BackupPolicy, clock: Clock) -> Plan {
        self.plans(policy, clock, false).swap_remove(0)
    }

    /// What goes of single copies, where `plan` says what goes as a whole.
    pub fn copies(&self, policy: &BackupPolicy, plan: &Plan, clock: Clock) -> CopyPlan {
        let (facts, items, pins) = self.desk(policy, clock);
        plan::copies(&facts, &items, &pins, plan, clock)
    }

    /// Its own plan, and those of the clusters it shares group backups with.
    fn plans(&self, policy: &BackupPolicy, clock: Clock, confirmed: bool) -> Vec<Plan> {
        self.planned(policy, clock, confirmed, false)
    }

    fn planned(&self, policy: &BackupPolicy, clock: Clock, confirmed: bool, without_locks: bool) -> Vec<Plan> {
        let mut desks = vec![self.desk(policy, clock)];
        desks.extend(self.others.iter().map(|other| other.desk(&other.policy, clock)));
        for (.., pins) in desks.iter_mut().filter(|_| without_locks) {
            pins.held.retain(|_, hold| !matches!(hold, Hold::Locked(_)));
        }
        if self.others.is_empty() {
            let (facts, items, pins) = desks.remove(0);
            return vec![plan::plan(&facts, &items, &pins, clock)];
        }
        // What a cluster that is being deleted has is not let go beside that.
        let unsettled = self.others.iter().filter(|o| !o.is_settled()).flat_map(|o| o.groups.values().cloned());
        desks[0].2.groups.extend(unsettled);
        let asked: Vec<Asked> = desks.iter().map(|(policy, catalogue, pins)| Asked { policy, catalogue, pins, confirmed }).collect();
        plan::together(&asked, clock)
    }

    fn desk(&self, policy: &BackupPolicy, clock: Clock) -> (Policy, Vec<Item>, Pins) {
        let items = self.backups.iter().map(|b| Item { group: self.groups.get(&b.id).cloned(), ..item(b, policy) }).collect();
        let window_from = self.cluster.log.as_ref().map(|k| clock.now.plus_days(-k.keep_days));
        (Policy { min_keep: policy.min_keep, window_from, ..self.facts.clone() }, items, self.pins.clone())
    }

    /// What goes of this cluster, and with each part of a group backup its other parts. `None` where a person
    /// has to say yes first.
    pub fn going(&self, clock: Clock, confirmed: bool) -> Result<Vec<(Backup, String)>, plan::Brake> {
        let mut plans = self.plans(&self.policy, clock, confirmed);
        if let Some(brake) = plans[0].brake.filter(|_| !confirmed) {
            return Err(brake);
        }
        let own = std::mem::take(&mut plans[0].delete);
        let groups: BTreeSet<&GroupBackupId> = own.iter().filter_map(|(id, _)| self.groups.get(id)).collect();
        let mut going: Vec<(Backup, String)> = own.iter().filter_map(|(id, why)| Some((self.get(id)?.clone(), why.to_string()))).collect();
        for (other, plan) in self.others.iter().zip(&plans[1..]) {
            let with = plan.delete.iter().filter(|(id, _)| other.groups.get(id).is_some_and(|g| groups.contains(g)));
            going.extend(with.filter_map(|(id, why)| Some((other.get(id)?.clone(), why.to_string()))));
        }
        Ok(going)
    }

    /// The other clusters that parts would go of with what this plan lets go.
    pub fn touched(&self, plan: &Plan) -> Vec<&Catalogue> {
        let groups: BTreeSet<&GroupBackupId> = plan.delete.iter().filter_map(|(id, _)| self.groups.get(id)).collect();
        self.others.iter().filter(|o| o.groups.values().any(|g| groups.contains(g))).collect()
    }

    /// Whether nothing keeps the other parts of the group backup that `backup`, whose time is over, belongs
    /// to: one that was announced with the others is not removed while another one is held.
    pub fn others_let_go(&self, backup: &BackupId) -> bool {
        let Some(group) = self.groups.get(backup) else { return true };
        let free = |other: &Catalogue, b: &Backup| {
            b.status == BackupStatus::Deleting && !other.pins.held.contains_key(&b.id) && other.frozen.is_none()
        };
        let part = |other: &Catalogue, b: &Backup| other.groups.get(&b.id) == Some(group);
        self.others.iter().all(|other| other.backups.iter().filter(|b| part(other, b)).all(|b| free(other, b)))
    }

    /// Log from before then is of no use to any backup that is kept, or may be brought back. Without a
    /// backup that counts it is kept as long as the window is meant to be.
    pub fn log_from(&self, now: Time) -> Option<Time> {
        let kept = self.plan(Clock { now, last: Some(now) }).log_from;
        let leaving = self.backups.iter().filter(|b| b.deleting.is_some()).map(|b| b.created_at).min();
        let days = self.cluster.log.as_ref().map(|k| k.keep_days);
        match (kept, leaving) {
            (Some(kept), Some(leaving)) => Some(kept.min(leaving)),
            (Some(from), None) | (None, Some(from)) => Some(from),
            (None, None) => days.map(|d| now.plus_days(-d)),
        }
    }

    pub fn schedule_of(&self, backup: &Backup) -> Option<&str> {
        backup.schedule.as_ref().and_then(|s| self.facts.schedules.get(s)).map(|f| f.name.as_str())
    }

    pub fn get(&self, id: &BackupId) -> Option<&Backup> {
        self.backups.iter().find(|b| &b.id == id)
    }
}

/// Those of the cluster, and those of groups that made some of its backups. A group's counts as running for
/// as long as the cluster is a member.
async fn schedules(conn: &mut Tx, id: &ClusterId, backups: &[Backup]) -> Result<BTreeMap<mainstay_model::ScheduleId, ScheduleFacts>> {
    let facts = |s: &Schedule, enabled| ScheduleFacts { name: s.name.to_string(), time_zone: s.timing.time_zone.clone(), enabled };
    let own = store::schedules::of_cluster(conn, id).await?;
    let mut all: BTreeMap<_, _> = own.iter().map(|s| (s.id.clone(), facts(s, s.enabled))).collect();
    let asked: BTreeSet<_> = backups.iter().filter(|b| b.part_of.is_some()).filter_map(|b| b.schedule.clone()).collect();
    for schedule in asked.into_iter().filter(|s| !own.iter().any(|o| &o.id == s)) {
        let schedule = match store::schedules::get(conn, &schedule).await {
            Ok(schedule) => schedule,
            Err(e) if e.kind == Kind::NotFound => continue,
            Err(e) => return Err(e),
        };
        let Some(group) = schedule.owner.group() else { continue };
        let is_member = store::groups::get(conn, group).await?.members.contains(id);
        all.insert(schedule.id.clone(), facts(&schedule, schedule.enabled && is_member));
    }
    Ok(all)
}

/// Whether a group backup may be held together for the sake of this part of it.
fn counts(part: &Backup) -> bool {
    let was = part.deleting.as_ref().map_or(part.status, |d| d.was);
    matches!(was, BackupStatus::Completed | BackupStatus::Partial) && part.copies.iter().any(Copy::is_good)
}

fn item(b: &Backup, policy: &BackupPolicy) -> Item {
    Item {
        id: b.id.clone(),
        class: Class::of(b.kind, b.schedule.as_ref()),
        lane: lane(b),
        drilled: b.proof == Proof::Drilled || b.drill.as_ref().is_some_and(|d| d.ok),
        created_at: b.created_at,
        bytes: b.data_bytes.unwrap_or(0),
        parent: None,
        group: None,
        rules: rules(b, policy),
        storages: b.copies.iter().filter(|c| c.snapshot.is_some()).map(|c| c.storage.clone()).collect(),
        places: b.copies.iter().filter(|c| c.is_good() || c.deleting_until.is_some()).map(place).collect(),
    }
}

fn place(c: &Copy) -> CopyItem {
    CopyItem {
        storage: c.storage.clone(),
        good: c.snapshot.is_some() && c.verified_at.is_some(),
        leaving: c.deleting_until,
        until: c.expires_at,
        locked: c.lock.as_ref().and_then(|l| l.until),
        beside: c.kind == SNAPSHOT,
    }
}

fn lane(b: &Backup) -> Lane {
    match b.status {
        BackupStatus::Running => Lane::Running,
        BackupStatus::Deleting | BackupStatus::Expired => Lane::Leaving,
        BackupStatus::Completed if b.is_good() => Lane::Good,
        _ if b.is_restorable() => Lane::Doubtful,
        _ => Lane::Failed,
    }
}

/// What was said when it was made, else what its cluster's policy says of its kind.
pub(super) fn rules(b: &Backup, policy: &BackupPolicy) -> Rules {
    match (b.kind, &b.retention, b.expires_at, policy.manual_keep_last) {
        (BackupKind::Manual | BackupKind::Scheduled, Some(said), until, _) => Rules { until, ..Rules::of(said, b.created_at) },
        (BackupKind::Manual, None, Some(_), Some(n)) => Rules { keep_last: Some(n), ..Rules::default() },
        (_, _, until, _) => Rules::until(until),
    }
}
