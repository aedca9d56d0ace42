//! Retention between the catalogue and the planner: what the planner is asked, and what its answer
//! means for people. The decision itself is [`crate::plan::retention`]'s.

use crate::{
    App, backups,
    plan::{
        drill::frozen,
        retention::{self as plan, Bin, Class, Clock, Hold, Item, Kept, Lane, Pins, Plan, Policy, Rules, ScheduleFacts},
    },
};
use mainstay_model::{
    BackupId, ClusterId, Error, Result, StorageId, Time,
    backup::{Backup, BackupKind, BackupStatus, Deleting, Proof},
    cluster::{Cluster, Wanted},
    retention::BackupPolicy,
};
use mainstay_operations::Tx;
use mainstay_store::{self as store, retention::Notes};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How long the deletion of a backup by a policy can be undone.
pub const GRACE_SECONDS: i64 = 72 * 3600;

/// All of one cluster that retention looks at.
pub struct Catalogue {
    pub cluster: Cluster,
    pub policy: BackupPolicy,
    pub backups: Vec<Backup>,
    pub pins: Pins,
    /// Why nothing is deleted, where that is because of a drill.
    pub frozen: Option<String>,
    facts: Policy,
}

impl Catalogue {
    pub async fn load(conn: &mut Tx, id: &ClusterId, now: Time) -> Result<Catalogue> {
        let cluster = store::clusters::get(conn, id).await?;
        let policy = store::retention::policy(conn, id).await?;
        let backups = store::backups::of_cluster(conn, id).await?;
        let mut held: BTreeMap<BackupId, Hold> = BTreeMap::new();
        held.extend(store::restores::in_use(conn).await?.into_iter().map(|b| (b, Hold::InUse)));
        let copied = |b: &&Backup| b.copies.iter().any(|c| c.status == BackupStatus::Running);
        held.extend(backups.iter().filter(copied).map(|b| (b.id.clone(), Hold::InUse)));
        held.extend(backups.iter().filter_map(|b| Some((b.id.clone(), Hold::Locked(b.locked_until(now)?)))));
        held.extend(backups.iter().filter(|b| b.pinned).map(|b| (b.id.clone(), Hold::Pinned)));
        let schedules = store::schedules::of_cluster(conn, id).await?;
        let of = |s: mainstay_model::schedule::Schedule| {
            (s.id, ScheduleFacts { name: s.name.to_string(), time_zone: s.timing.time_zone, enabled: s.enabled })
        };
        let facts = Policy {
            min_keep: policy.min_keep,
            schedules: schedules.into_iter().map(of).collect(),
            window_from: None,
            bin: cluster.bin.as_ref().and_then(|b| b.until).map(|until| Bin(Some(until))),
        };
        let failed = store::drills::failed_since(conn, id).await?;
        let pins = Pins { held, frozen: failed.is_some(), ..Pins::default() };
        Ok(Catalogue { cluster, policy, backups, pins, frozen: failed.as_ref().map(frozen), facts })
    }

    /// While a cluster is being deleted its backups are that operation's business.
    pub fn is_settled(&self) -> bool {
        self.cluster.wanted != Wanted::Deleted || self.cluster.deleted_at.is_some()
    }

    /// Whether something is pinned or in use.
    pub fn is_held(&self) -> bool {
        self.backups.iter().any(|b| self.pins.held.contains_key(&b.id))
    }

    pub fn plan(&self, clock: Clock) -> Plan {
        self.plan_under(&self.policy, clock)
    }

    /// What something else than a lock keeps: no lock is made longer for its own sake.
    pub fn kept_without_locks(&self, now: Time) -> HashSet<BackupId> {
        let held = self.pins.held.iter().filter(|(_, hold)| !matches!(hold, Hold::Locked(_)));
        let pins = Pins { held: held.map(|(id, hold)| (id.clone(), hold.clone())).collect(), ..self.pins.clone() };
        let plan = self.plan_with(&self.policy, &pins, Clock { now, last: Some(now) });
        plan.keep.into_iter().filter(|(_, why)| !matches!(why, Kept::Leaving)).map(|(id, _)| id).collect()
    }

    fn plan_under(&self, policy: &BackupPolicy, clock: Clock) -> Plan {
        self.plan_with(policy, &self.pins, clock)
    }

    fn plan_with(&self, policy: &BackupPolicy, pins: &Pins, clock: Clock) -> Plan {
        let items: Vec<Item> = self.backups.iter().map(|b| item(b, policy)).collect();
        let window_from = self.cluster.log.as_ref().map(|k| clock.now.plus_days(-k.keep_days));
        let facts = Policy { min_keep: policy.min_keep, window_from, ..self.facts.clone() };
        plan::plan(&facts, &items, pins, clock)
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

    fn schedule_of(&self, backup: &Backup) -> Option<&str> {
        backup.schedule.as_ref().and_then(|s| self.facts.schedules.get(s)).map(|f| f.name.as_str())
    }

    fn get(&self, id: &BackupId) -> Option<&Backup> {
        self.backups.iter().find(|b| &b.id == id)
    }
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
        rules: rules(b, policy),
        storages: b.copies.iter().filter(|c| c.snapshot.is_some()).map(|c| c.storage.clone()).collect(),
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
fn rules(b: &Backup, policy: &BackupPolicy) -> Rules {
    match (b.kind, &b.retention, b.expires_at, policy.manual_keep_last) {
        (BackupKind::Manual | BackupKind::Scheduled, Some(said), until, _) => Rules { until, ..Rules::of(said, b.created_at) },
        (BackupKind::Manual, None, Some(_), Some(n)) => Rules { keep_last: Some(n), ..Rules::default() },
        (_, _, until, _) => Rules::until(until),
    }
}

// ---- what people are told ----

/// Why a backup is kept, and until when where that is a matter of time.
#[derive(Debug, Clone, Default)]
pub struct Explained {
    pub keep_reason: String,
    pub expires_at: Option<Time>,
    pub deleting_until: Option<Time>,
}

impl Explained {
    /// What is known of a backup without looking at the others.
    pub fn alone(b: &Backup) -> Explained {
        let keep_reason = match (b.pinned, b.expires_at) {
            _ if b.status == BackupStatus::Running => Kept::Running.to_string(),
            _ if b.deleting.is_some() => leaving(b),
            (true, _) => Kept::Pinned.to_string(),
            (false, Some(t)) => format!("kept at least until {t}, unless its cluster's policy says otherwise"),
            (false, None) => "kept as its cluster's rules say".into(),
        };
        Explained { keep_reason, expires_at: b.expires_at, deleting_until: b.deleting.as_ref().map(|d| d.until) }
    }
}

/// Of how many clusters a list is explained exactly. The planner looks at all backups of a cluster to say
/// why one is kept: for a page of a hundred clusters that is ten thousand of them.
const EXPLAINED: usize = 8;

/// In the order of `backups`, by the planner that decides; where they are of many clusters, by what is
/// known of each alone.
pub async fn explain(app: &App, all: &[Backup]) -> Result<Vec<Explained>> {
    let mut conn = app.store.read().await?;
    let mut said: HashMap<BackupId, Explained> = HashMap::new();
    let mut clusters: Vec<&ClusterId> = all.iter().map(|b| &b.cluster).collect();
    clusters.sort();
    clusters.dedup();
    if clusters.len() > EXPLAINED {
        return Ok(all.iter().map(Explained::alone).collect());
    }
    let now = app.now();
    for id in clusters {
        match Catalogue::load(&mut conn, id, now).await {
            Ok(catalogue) => said.extend(explained(&catalogue, now)),
            Err(e) if e.kind == mainstay_model::Kind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    let unknown = |b: &Backup| {
        let found = b.checks.iter().any(|c| c.name == backups::ADOPTED);
        let keep_reason =
            if found { "kept until it is deleted: found in a storage, of a cluster that is not here" } else { "kept until it is deleted" };
        Explained { keep_reason: keep_reason.into(), expires_at: b.expires_at, deleting_until: None }
    };
    Ok(all.iter().map(|b| said.remove(&b.id).unwrap_or_else(|| unknown(b))).collect())
}

fn explained(catalogue: &Catalogue, now: Time) -> Vec<(BackupId, Explained)> {
    let plan = catalogue.plan(Clock { now, last: Some(now) });
    let waits = if plan.brake.is_some() { "a person has to confirm that so much goes at once" } else { "the next run of retention" };
    let kept = plan.keep.iter().map(|(id, why)| (id, kept_words(catalogue, id, why)));
    let gone = plan.delete.iter().map(|(id, why)| (id, format!("to be deleted: {why}; waits for {waits}")));
    kept.chain(gone).filter_map(|(id, keep_reason)| Some((id.clone(), of_backup(catalogue, catalogue.get(id)?, keep_reason)))).collect()
}

fn of_backup(catalogue: &Catalogue, b: &Backup, keep_reason: String) -> Explained {
    let in_bin = catalogue.cluster.bin.as_ref().filter(|_| !catalogue.is_held()).and_then(|bin| bin.until);
    let expires_at = in_bin.or(rules(b, &catalogue.policy).until);
    Explained { keep_reason, expires_at, deleting_until: b.deleting.as_ref().map(|d| d.until) }
}

fn leaving(b: &Backup) -> String {
    let of = |d: &Deleting| format!("being deleted: {}; `backup undelete` brings it back until {}", d.reason, d.until);
    b.deleting.as_ref().map(of).unwrap_or_else(|| Kept::Leaving.to_string())
}

fn kept_words(catalogue: &Catalogue, id: &BackupId, why: &Kept) -> String {
    let Some(backup) = catalogue.get(id) else { return why.to_string() };
    match &backup.deleting {
        Some(_) if why == &Kept::Leaving => leaving(backup),
        _ => why.words(catalogue.schedule_of(backup)),
    }
}

// ---- what a change would do ----

/// What would go, oldest last, with the reason.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    pub deletes: Vec<(Backup, String)>,
    pub of: usize,
}

/// What `policy` would delete in its next run that the policy of today would not wait for.
pub async fn preview(app: &App, cluster: &ClusterId, policy: &BackupPolicy) -> Result<Preview> {
    let catalogue = Catalogue::load(&mut *app.store.read().await?, cluster, app.now()).await?;
    let now = app.now();
    let plan = catalogue.plan_under(policy, Clock { now, last: Some(now) });
    Ok(previewed(&catalogue, plan))
}

fn previewed(catalogue: &Catalogue, plan: Plan) -> Preview {
    let of = catalogue.backups.iter().filter(|b| b.is_good()).count();
    let deletes = plan.delete.iter().filter_map(|(id, why)| Some((catalogue.get(id)?.clone(), why.to_string()))).collect();
    Preview { deletes, of }
}

pub async fn policy(app: &App, cluster: &ClusterId) -> Result<BackupPolicy> {
    store::retention::policy(&mut *app.store.read().await?, cluster).await
}

/// How long a backup by hand is kept where nothing is said.
pub async fn manual_default(app: &App, cluster: &ClusterId) -> Result<String> {
    let days = || format!("{} days", crate::backups::DEFAULT_RETENTION_DAYS);
    Ok(policy(app, cluster).await?.manual_keep_last.map_or_else(days, |n| format!("while it is one of the newest {n}")))
}

pub fn check(policy: &BackupPolicy) -> Result<()> {
    let range = 1..=1000;
    if policy.manual_keep_last.is_some_and(|n| !range.contains(&n)) {
        return Err(Error::invalid("manual_keep_last", "1 to 1000, or nothing"));
    }
    if !range.contains(&policy.min_keep) {
        return Err(Error::invalid("min_keep", "1 to 1000"));
    }
    Ok(())
}

/// Whoever changes a policy was shown what that deletes: the change is the yes to it.
pub async fn set_policy(app: &App, cluster: &Cluster, policy: &BackupPolicy) -> Result<()> {
    check(policy)?;
    let mut tx = app.store.begin_write().await?;
    store::retention::put_policy(&mut tx, &cluster.id, policy).await?;
    store::commit(tx).await?;
    // The hourly look comes to the same where a storage does not answer now.
    if let Err(e) = apply(app, cluster).await {
        tracing::warn!(inside = e.inside, "the backups of {} were not looked through after a change of policy: {e}", cluster.name);
    }
    Ok(())
}

/// Announces what the rules no longer keep, however much it is. Returns how many.
pub async fn apply(app: &App, cluster: &Cluster) -> Result<usize> {
    crate::tasks::expire::confirmed(app, &cluster.id).await
}

/// What would go now.
pub async fn due(app: &App, cluster: &ClusterId) -> Result<Preview> {
    let policy = store::retention::policy(&mut *app.store.read().await?, cluster).await?;
    preview(app, cluster, &policy).await
}

// ---- marking ----

/// Marks what the plan lets go, in one write that decides again: what was pinned, or begun to be
/// restored, a moment ago stays. Returns how many were marked, and the brake where that held all.
pub(crate) async fn mark(
    app: &App,
    cluster: &ClusterId,
    suspended: BTreeMap<StorageId, String>,
    clock: Clock,
    confirmed: bool,
) -> Result<(usize, Option<plan::Brake>)> {
    let mut tx = app.store.begin_write().await?;
    let mut catalogue = Catalogue::load(&mut tx, cluster, app.now()).await?;
    catalogue.pins.suspended = suspended;
    let plan = catalogue.plan(clock);
    if plan.brake.is_some() && !confirmed || !catalogue.is_settled() {
        return Ok((0, plan.brake));
    }
    for (id, why) in &plan.delete {
        let Some(mut backup) = catalogue.get(id).cloned() else { continue };
        let until = clock.now.plus_seconds(GRACE_SECONDS);
        backup.deleting = Some(Deleting { until, reason: why.to_string(), was: backup.status });
        backup.status = BackupStatus::Deleting;
        store::backups::update(&mut tx, &backup).await?;
    }
    store::commit(tx).await?;
    Ok((plan.delete.len(), None))
}

/// Takes back a deletion by a policy. It is pinned then: the policy would only mark it again.
pub async fn undelete(app: &App, backup: &Backup) -> Result<Backup> {
    let mut tx = app.store.begin_write().await?;
    let mut row = store::backups::get(&mut tx, &backup.id).await?;
    let Some(deleting) = row.deleting.take().filter(|d| d.until > app.now()) else {
        let why = if row.status == BackupStatus::Deleting {
            "the time in which its deletion could be undone is over"
        } else {
            "it is not being deleted"
        };
        return Err(Error::conflict("nothing_to_undelete", format!("backup {} cannot be brought back: {why}", row.id)));
    };
    (row.status, row.pinned) = (deleting.was, true);
    store::backups::update(&mut tx, &row).await?;
    store::commit(tx).await?;
    Ok(row)
}

/// Replaces what people are told of a cluster's retention.
pub(crate) async fn note(app: &App, cluster: &ClusterId, warnings: Vec<String>) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    store::retention::put_notes(&mut tx, cluster, &Notes { at: app.now(), warnings }).await?;
    store::commit(tx).await
}
