//! Retention between the catalogue and the planner: what the planner is asked, and what its answer
//! means for people. The decision itself is [`crate::plan::retention`]'s.

mod catalogue;
mod copies;

pub use catalogue::Catalogue;

use crate::{
    App, backups, groups,
    plan::retention::{self as plan, Clock, CopyPlan, Kept, Plan},
};
use catalogue::rules;
use mainstay_model::{
    BackupId, ClusterId, Error, GroupBackupId, Kind, Result, StorageId, Time,
    backup::{Backup, BackupStatus, Copy, Deleting},
    cluster::Cluster,
    retention::BackupPolicy,
};
use mainstay_operations::Tx;
use mainstay_store::{self as store, retention::Notes};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long the deletion of a backup by a policy can be undone.
pub const GRACE_SECONDS: i64 = 72 * 3600;

// ---- what people are told ----

/// Why a backup is kept, and until when where that is a matter of time.
#[derive(Debug, Clone, Default)]
pub struct Explained {
    pub keep_reason: String,
    pub expires_at: Option<Time>,
    pub deleting_until: Option<Time>,
    /// Of copies whose own time is over, by storage: why they are still there, or that they went.
    pub copies: BTreeMap<StorageId, String>,
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
        let deleting_until = b.deleting.as_ref().map(|d| d.until);
        Explained { keep_reason, expires_at: b.expires_at, deleting_until, copies: copies::explained(b, None) }
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
            Err(e) if e.kind == Kind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    let unknown = |b: &Backup| {
        let found = b.checks.iter().any(|c| c.name == backups::ADOPTED);
        let keep_reason =
            if found { "kept until it is deleted: found in a storage, of a cluster that is not here" } else { "kept until it is deleted" };
        Explained { keep_reason: keep_reason.into(), expires_at: b.expires_at, deleting_until: None, copies: BTreeMap::new() }
    };
    Ok(all.iter().map(|b| said.remove(&b.id).unwrap_or_else(|| unknown(b))).collect())
}

fn explained(catalogue: &Catalogue, now: Time) -> Vec<(BackupId, Explained)> {
    let plan = catalogue.plan(Clock { now, last: Some(now) });
    let copies = catalogue.copies(&catalogue.policy, &plan, Clock { now, last: Some(now) });
    let waits = if plan.brake.is_some() { "a person has to confirm that so much goes at once" } else { "the next run of retention" };
    let kept = plan.keep.iter().map(|(id, why)| (id, kept_words(catalogue, id, why)));
    let gone = plan.delete.iter().map(|(id, why)| (id, format!("to be deleted: {why}; waits for {waits}")));
    let of = |(id, keep_reason): (&BackupId, String)| Some((id.clone(), of_backup(catalogue, catalogue.get(id)?, keep_reason, &copies)));
    kept.chain(gone).filter_map(of).collect()
}

fn of_backup(catalogue: &Catalogue, b: &Backup, keep_reason: String, going: &CopyPlan) -> Explained {
    let in_bin = catalogue.cluster.bin.as_ref().filter(|_| !catalogue.is_held()).and_then(|bin| bin.until);
    let expires_at = in_bin.or(rules(b, &catalogue.policy).until);
    let deleting_until = b.deleting.as_ref().map(|d| d.until);
    Explained { keep_reason, expires_at, deleting_until, copies: copies::explained(b, Some(going)) }
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
    /// Single copies that would go of backups that stay.
    pub copies: Vec<(Backup, Copy)>,
}

impl Preview {
    pub fn is_empty(&self) -> bool {
        self.deletes.is_empty() && self.copies.is_empty()
    }
}

/// What `policy` would delete in its next run that the policy of today would not wait for.
pub async fn preview(app: &App, cluster: &ClusterId, policy: &BackupPolicy) -> Result<Preview> {
    let catalogue = Catalogue::load(&mut *app.store.read().await?, cluster, app.now()).await?;
    let now = app.now();
    let plan = catalogue.plan_under(policy, Clock { now, last: Some(now) });
    let copies = catalogue.copies(policy, &plan, Clock { now, last: Some(now) });
    Ok(previewed(&catalogue, plan, copies))
}

fn previewed(catalogue: &Catalogue, plan: Plan, copies: CopyPlan) -> Preview {
    let of = catalogue.backups.iter().filter(|b| b.is_good()).count();
    let deletes = plan.delete.iter().filter_map(|(id, why)| Some((catalogue.get(id)?.clone(), why.to_string()))).collect();
    let copy = |(id, storage): &plan::Spot| {
        let backup = catalogue.get(id)?;
        Some((backup.clone(), backup.copies.iter().find(|c| &c.storage == storage)?.clone()))
    };
    Preview { deletes, of, copies: copies.delete.iter().filter_map(copy).collect() }
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

/// Announces what the rules no longer keep, however much it is.
pub async fn apply(app: &App, cluster: &Cluster) -> Result<Marked> {
    crate::tasks::expire::confirmed(app, &cluster.id).await
}

/// What would go now.
pub async fn due(app: &App, cluster: &ClusterId) -> Result<Preview> {
    let policy = store::retention::policy(&mut *app.store.read().await?, cluster).await?;
    preview(app, cluster, &policy).await
}

// ---- marking ----

/// What was announced as going, of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    pub backups: usize,
    /// Single copies of backups that stay.
    pub copies: usize,
    /// Where that held all.
    pub brake: Option<plan::Brake>,
    /// Where that held all copies.
    pub copies_brake: Option<(StorageId, plan::Brake)>,
}

/// What the storages said that matters for what may go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doubts {
    /// By cluster.
    pub suspended: BTreeMap<ClusterId, BTreeMap<StorageId, String>>,
    pub silent: BTreeSet<StorageId>,
}

/// Marks what the plan lets go, and with parts of group backups the others, in one write that decides
/// again: what was pinned, or begun to be restored, a moment ago stays.
pub(crate) async fn mark(app: &App, cluster: &ClusterId, doubts: &Doubts, clock: Clock, confirmed: bool) -> Result<Marked> {
    let mut tx = app.store.begin_write().await?;
    let mut catalogue = Catalogue::load(&mut tx, cluster, app.now()).await?;
    catalogue.suspend(&doubts.suspended);
    catalogue.silence(doubts.silent.iter().cloned());
    if !catalogue.is_settled() {
        return Ok(Marked::default());
    }
    let going = match catalogue.going(clock, confirmed) {
        Ok(going) => going,
        Err(brake) => return Ok(Marked { brake: Some(brake), ..Marked::default() }),
    };
    let (copies, copies_brake) = copies::mark(&mut tx, &catalogue, clock, confirmed).await?;
    let own = going.iter().filter(|(b, _)| &b.cluster == cluster).count();
    for (mut backup, reason) in going {
        let until = clock.now.plus_seconds(GRACE_SECONDS);
        backup.deleting = Some(Deleting { until, reason, was: backup.status });
        backup.status = BackupStatus::Deleting;
        store::backups::update(&mut tx, &backup).await?;
    }
    store::commit(tx).await?;
    Ok(Marked { backups: own, copies, brake: None, copies_brake })
}

/// Takes back a deletion by a policy, of a part of a group backup with the other parts. It is pinned then:
/// the policy would only mark it again. Of a backup that stays the copies that were announced: those stay as
/// long as it does then.
pub async fn undelete(app: &App, backup: &Backup) -> Result<Backup> {
    let mut tx = app.store.begin_write().await?;
    let row = store::backups::get(&mut tx, &backup.id).await?;
    let Some(row) = take_back(app, &mut tx, row.clone()).await? else {
        if let Some(row) = copies::take_back(app, &mut tx, row.clone()).await? {
            store::commit(tx).await?;
            return Ok(row);
        }
        let why = if row.status == BackupStatus::Deleting {
            "the time in which its deletion could be undone is over"
        } else {
            "it is not being deleted"
        };
        return Err(Error::conflict("nothing_to_undelete", format!("backup {} cannot be brought back: {why}", row.id)));
    };
    for other in other_parts(&mut tx, &row).await? {
        take_back(app, &mut tx, other).await?;
    }
    store::commit(tx).await?;
    Ok(row)
}

async fn take_back(app: &App, tx: &mut Tx, mut row: Backup) -> Result<Option<Backup>> {
    let Some(deleting) = row.deleting.take().filter(|d| d.until > app.now()) else { return Ok(None) };
    (row.status, row.pinned) = (deleting.was, true);
    row.bring_copies_back();
    store::backups::update(tx, &row).await?;
    Ok(Some(row))
}

/// The group backup that a backup is a part of, as long as that can be restored as a whole.
pub async fn whole_of(app: &App, backup: &Backup) -> Result<Option<GroupBackupId>> {
    let Some(id) = &backup.part_of else { return Ok(None) };
    let whole = groups::find_backup(&mut *app.store.read().await?, id).await?;
    let is_part = |v: &groups::GroupBackupView| v.is_restorable() && v.parts.iter().any(|(part, _)| part.backup == backup.id);
    Ok(whole.filter(is_part).map(|v| v.whole.id))
}

/// The other parts of the group backup that this is still a part of.
async fn other_parts(tx: &mut Tx, backup: &Backup) -> Result<Vec<Backup>> {
    let Some(id) = &backup.part_of else { return Ok(vec![]) };
    let parts = groups::find_backup(tx, id).await?.map(|v| v.parts).unwrap_or_default();
    let is_part = parts.iter().any(|(part, _)| part.backup == backup.id);
    Ok(parts.into_iter().filter_map(|(_, b)| b).filter(|b| is_part && b.id != backup.id).collect())
}

/// Replaces what people are told of a cluster's retention.
pub(crate) async fn note(app: &App, cluster: &ClusterId, warnings: Vec<String>) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    store::retention::put_notes(&mut tx, cluster, &Notes { at: app.now(), warnings }).await?;
    store::commit(tx).await
}
