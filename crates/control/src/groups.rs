//! Groups: clusters that are backed up and restored as a whole.

use crate::{
    Actor, App,
    backups::{self, NewBackup},
    clusters, copies,
    ops::{self, back_up_group, restore_group},
    plan::overdue::GroupFound,
    restores::{self, Planned, RestoreRequest},
};
use mainstay_model::{
    ClusterId, Error, GroupBackupId, GroupId, Kind, Name, OperationId, ProjectId, RestoreId, Result, StorageId,
    backup::{Backup, BackupKind, BackupStatus},
    cluster::Cluster,
    group::{Group, GroupBackup, GroupBackupStatus, MOST_MEMBERS, Part},
    schedule::Schedule,
};
use mainstay_operations::{Lock, Tx};
use mainstay_rpc::verbs::Party;
use mainstay_store::{self as store, Page, Paging};

/// How long writes are held at most. Holds take milliseconds; this bounds what an accident costs.
const HOLD_MS: u64 = 10_000;

/// A group and its members as they are now.
#[derive(Debug, Clone)]
pub struct GroupView {
    pub group: Group,
    /// Members that were deleted are left out.
    pub members: Vec<Cluster>,
    pub newest: Option<GroupBackupView>,
}

/// A group's backup and its parts as they are now.
#[derive(Debug, Clone)]
pub struct GroupBackupView {
    /// Its status and what is wrong with it are those of its parts.
    pub whole: GroupBackup,
    /// `None` where a part was deleted since.
    pub parts: Vec<(Part, Option<Backup>)>,
}

impl GroupBackupView {
    /// Whether all parts are there, read back, and of one point.
    pub fn is_restorable(&self) -> bool {
        matches!(self.whole.status, GroupBackupStatus::Completed | GroupBackupStatus::Partial)
            && self.parts.iter().all(|(_, backup)| backup.as_ref().is_some_and(Backup::is_restorable))
    }

    /// Its status in the words of a cluster's backup.
    pub(crate) fn as_backup(&self) -> BackupStatus {
        match self.whole.status {
            GroupBackupStatus::Running => BackupStatus::Running,
            GroupBackupStatus::Completed => BackupStatus::Completed,
            GroupBackupStatus::Partial => BackupStatus::Partial,
            GroupBackupStatus::Failed => BackupStatus::Failed,
        }
    }
}

pub async fn create(app: &App, project: &ProjectId, name: &str, members: &[String]) -> Result<GroupView> {
    let name = Name::parse(name)?;
    let members = chosen(app, project, members).await?;
    let group = Group { id: GroupId::new(), project: project.clone(), name, members, created_at: app.now() };
    let mut tx = app.store.begin_write().await?;
    store::groups::insert(&mut tx, &group).await?;
    store::commit(tx).await?;
    view(app, group).await
}

/// Other members from the next backup on. What was made of those before stays what it is: its parts are
/// named in it.
pub async fn set_members(app: &App, group: &Group, members: &[String]) -> Result<GroupView> {
    let members = chosen(app, &group.project, members).await?;
    let mut tx = app.store.begin_write().await?;
    let group = Group { members, ..store::groups::get(&mut tx, &group.id).await? };
    store::groups::update(&mut tx, &group).await?;
    store::commit(tx).await?;
    view(app, group).await
}

/// The clusters that were named, if they can be members together.
async fn chosen(app: &App, project: &ProjectId, members: &[String]) -> Result<Vec<ClusterId>> {
    if !(2..=MOST_MEMBERS).contains(&members.len()) {
        return Err(Error::invalid("members", format!("a group has 2 to {MOST_MEMBERS} members")));
    }
    let mut ids: Vec<ClusterId> = vec![];
    for member in members {
        let cluster = clusters::resolve(app, project, member).await.map_err(|e| e.with_field("members"))?;
        clusters::alive(&cluster).map_err(|e| e.with_field("members"))?;
        if ids.contains(&cluster.id) {
            return Err(Error::invalid("members", format!("cluster {} is named twice", cluster.name)));
        }
        able(app, &cluster).await?;
        ids.push(cluster.id);
    }
    Ok(ids)
}

/// Whether its engine can decide its point together with others.
async fn able(app: &App, cluster: &Cluster) -> Result<()> {
    if app.description().await?.facts.get(&cluster.engine).is_some_and(|f| f.consistent) {
        return Ok(());
    }
    let why = format!("{} is of engine {}, which cannot be backed up at one point with others", cluster.name, cluster.engine);
    Err(Error::invalid("members", why).with_code("no_group"))
}

async fn view(app: &App, group: Group) -> Result<GroupView> {
    let mut conn = app.store.read().await?;
    let mut members = vec![];
    for id in &group.members {
        members.extend(store::clusters::get(&mut conn, id).await.ok().filter(|c| clusters::alive(c).is_ok()));
    }
    let one = Paging { limit: 1, ..Paging::default() };
    let newest = store::groups::backups(&mut conn, &group.project, Some(&group.id), &one).await?.items.pop();
    drop(conn);
    let newest = match newest {
        Some(whole) => Some(backup_view(app, whole).await?),
        None => None,
    };
    Ok(GroupView { group, members, newest })
}

pub async fn resolve(app: &App, project: &ProjectId, id_or_name: &str) -> Result<Group> {
    let mut conn = app.store.read().await?;
    let group = match GroupId::parse(id_or_name) {
        Some(id) => store::groups::get(&mut conn, &id).await?,
        None => store::groups::by_name(&mut conn, project, id_or_name).await?,
    };
    if &group.project == project { Ok(group) } else { Err(Error::not_found("group", id_or_name)) }
}

pub async fn show(app: &App, project: &ProjectId, id_or_name: &str) -> Result<GroupView> {
    view(app, resolve(app, project, id_or_name).await?).await
}

pub async fn list(app: &App, project: &ProjectId) -> Result<Vec<GroupView>> {
    let groups = store::groups::list(&mut *app.store.read().await?, project).await?;
    let mut views = vec![];
    for group in groups {
        views.push(view(app, group).await?);
    }
    Ok(views)
}

/// Forgets the group and its schedules. Its backups stay: with their clusters, and as wholes.
pub async fn delete(app: &App, group: &Group) -> Result<()> {
    let mut tx = app.store.begin_write().await?;
    store::schedules::delete_of_group(&mut tx, &group.id).await?;
    store::groups::delete(&mut tx, &group.id).await?;
    store::commit(tx).await
}

/// Backs up all members at one point. All are taken at once, or the one that is busy is named.
pub async fn back_up(app: &App, by: &Actor, group: &Group, new: NewBackup) -> Result<(GroupBackup, OperationId)> {
    let mut whole = row(app, group, new.description);
    (whole.retention_days, whole.storages, whole.copy_retention) = (new.retention_days, new.storages, new.copy_retention);
    let rows = rows(app, group, &whole).await?;
    let mut tx = app.store.begin_write().await?;
    let operation = begin(app, &mut tx, &mut whole, rows, &by.name).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok((whole, operation))
}

/// A backup that a schedule asks for, within the write that marks its time as used.
pub(crate) async fn begin_scheduled(app: &App, tx: &mut Tx, group: &GroupId, schedule: &Schedule) -> Result<GroupBackupId> {
    let group = store::groups::get(tx, group).await?;
    let mut whole = row(app, &group, format!("schedule {}", schedule.name));
    (whole.schedule, whole.retention) = (Some(schedule.id.clone()), Some(schedule.retention.clone()));
    (whole.retention_days, whole.storages) = (schedule.retention.days, schedule.storages.iter().map(ToString::to_string).collect());
    whole.copy_retention = schedule.copy_retention.iter().map(|(id, days)| (id.to_string(), *days)).collect();
    let mut rows = vec![];
    for cluster in members(tx, &group).await? {
        let backup = backups::scheduled(app, tx, &cluster, schedule).await?;
        rows.push((cluster, backup));
    }
    begin(app, tx, &mut whole, rows, &format!("schedule {}", schedule.name)).await?;
    Ok(whole.id)
}

fn row(app: &App, group: &Group, description: String) -> GroupBackup {
    GroupBackup {
        id: GroupBackupId::new(),
        project: group.project.clone(),
        group: group.id.clone(),
        group_name: group.name.clone(),
        status: GroupBackupStatus::Running,
        description,
        created_at: app.now(),
        finished_at: None,
        parts: vec![],
        round: 0,
        retention_days: None,
        retention: None,
        schedule: None,
        storages: vec![],
        copy_retention: Default::default(),
        met: false,
        error: None,
    }
}

/// The parts and the operation that brings them together, born in one write.
async fn begin(app: &App, tx: &mut Tx, whole: &mut GroupBackup, rows: Vec<(Cluster, Backup)>, by: &str) -> Result<OperationId> {
    begin_parts(app, tx, whole, rows, by).await?;
    store::groups::insert_backup(tx, whole).await?;
    let state = back_up_group::State { backup: whole.id.clone() };
    let subject = ops::subject_of(&whole.project, whole.group_name.as_str(), whole.group.as_str());
    let submit = ops::submission::<back_up_group::BackUpGroup>(&state, Some(subject), Lock::Exclusive, by)?;
    app.runner.submit_in(tx, submit).await
}

/// What is begun for each member.
async fn rows(app: &App, group: &Group, whole: &GroupBackup) -> Result<Vec<(Cluster, Backup)>> {
    let storages = whole.storages.clone();
    let mut new =
        NewBackup { description: whole.description.clone(), retention_days: whole.retention_days, storages, ..NewBackup::default() };
    // What a schedule says was looked at against all of its retention, when it was set.
    if whole.schedule.is_none() {
        new.copy_retention.clone_from(&whole.copy_retention);
    }
    let members = members(&mut *app.store.read().await?, group).await?;
    let mut rows = vec![];
    for cluster in members {
        let backup = backups::wanted(app, &cluster, &new).await?;
        rows.push((cluster, backup));
    }
    Ok(rows)
}

async fn begin_parts(app: &App, tx: &mut Tx, whole: &mut GroupBackup, rows: Vec<(Cluster, Backup)>, by: &str) -> Result<()> {
    let id = format!("{}/{}", whole.id, whole.round);
    let party = Party { id, members: rows.len(), gather_ms: app.options.group_gather_ms, hold_ms: HOLD_MS };
    whole.parts.clear();
    for (cluster, mut backup) in rows {
        backup.part_of = Some(whole.id.clone());
        let operation = backups::begin_in_party(app, tx, &cluster, &backup, by, party.clone()).await?;
        whole.parts.push(Part { cluster: cluster.id, cluster_name: cluster.name.to_string(), backup: backup.id, operation });
    }
    Ok(())
}

/// All members once more, where they did not meet. What was made of the round before stays, each as
/// its cluster's own backup.
pub(crate) async fn begin_anew(app: &App, whole: &GroupBackup, by: &str) -> Result<GroupBackup> {
    let group = store::groups::get(&mut *app.store.read().await?, &whole.group).await?;
    let mut rows = rows(app, &group, whole).await?;
    let by_storage = whole.copy_retention.iter().filter_map(|(id, days)| Some((StorageId::parse(id)?, *days))).collect();
    for (_, backup) in rows.iter_mut().filter(|_| whole.schedule.is_some()) {
        (backup.kind, backup.schedule) = (BackupKind::Scheduled, whole.schedule.clone());
        backup.retention.clone_from(&whole.retention);
        copies::lapse(backup, &by_storage);
    }
    let mut whole = GroupBackup { round: whole.round + 1, ..whole.clone() };
    let mut tx = app.store.begin_write().await?;
    begin_parts(app, &mut tx, &mut whole, rows, by).await?;
    store::groups::update_backup(&mut tx, &whole).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok(whole)
}

/// The members, all of them running.
async fn members(conn: &mut Tx, group: &Group) -> Result<Vec<Cluster>> {
    let mut members = vec![];
    for id in &group.members {
        let cluster = store::clusters::get(conn, id).await?;
        clusters::running(&cluster).map_err(|e| e.context(format!("group {}", group.name)))?;
        members.push(cluster);
    }
    Ok(members)
}

pub async fn resolve_backup(app: &App, project: &ProjectId, id: &str) -> Result<GroupBackupView> {
    let missing = || Error::not_found("group backup", id);
    let id = GroupBackupId::parse(id).ok_or_else(missing)?;
    let whole = store::groups::backup(&mut *app.store.read().await?, &id).await?;
    if &whole.project == project { backup_view(app, whole).await } else { Err(missing()) }
}

async fn backup_view(app: &App, whole: GroupBackup) -> Result<GroupBackupView> {
    judged(&mut *app.store.read().await?, whole).await
}

/// With its parts, and its status as they make it.
pub(crate) async fn judged(conn: &mut Tx, mut whole: GroupBackup) -> Result<GroupBackupView> {
    let mut parts = vec![];
    for part in whole.parts.clone() {
        let backup = match store::backups::get(conn, &part.backup).await {
            Ok(backup) => Some(backup),
            Err(e) if e.kind == Kind::NotFound => None,
            Err(e) => return Err(e),
        };
        parts.push((part, backup));
    }
    (whole.status, whole.error) = whole.judged(parts.iter().map(|(_, b)| b.as_ref()));
    Ok(GroupBackupView { whole, parts })
}

/// One that is still known of.
pub(crate) async fn find_backup(conn: &mut Tx, id: &GroupBackupId) -> Result<Option<GroupBackupView>> {
    match store::groups::backup(conn, id).await {
        Ok(whole) => judged(conn, whole).await.map(Some),
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes down what became of the group backup that a changed backup is a part of, where that is news:
/// with a copy made good for, a partial whole is complete.
pub(crate) async fn part_changed(tx: &mut Tx, part: &Backup) -> Result<()> {
    let Some(id) = &part.part_of else { return Ok(()) };
    let was = match store::groups::backup(tx, id).await {
        Ok(was) => was,
        Err(e) if e.kind == Kind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    let now = judged(tx, was.clone()).await?.whole;
    if now != was { store::groups::update_backup(tx, &now).await } else { Ok(()) }
}

/// How far the watchdog looks back for a whole that can be restored.
const LOOKS_BACK: u32 = 50;

/// What the watchdog wants to know of a group.
pub(crate) async fn found(conn: &mut Tx, group: &Group) -> Result<GroupFound> {
    let some = Paging { limit: LOOKS_BACK, ..Paging::default() };
    let (mut found, mut is_newest) = (GroupFound::default(), true);
    for whole in store::groups::backups(conn, &group.project, Some(&group.id), &some).await?.items {
        let view = judged(conn, whole).await?;
        if view.is_restorable() {
            found.last_good = Some(view.whole.created_at);
            break;
        }
        if is_newest && view.whole.status == GroupBackupStatus::Failed {
            let why = view.whole.error.unwrap_or_else(|| "not every part is there".into());
            found.failed = (!matches!(why.as_str(), "cancelled" | "abandoned")).then_some((view.whole.id, why));
        }
        is_newest = is_newest && view.whole.status == GroupBackupStatus::Running;
    }
    Ok(found)
}

/// Pins every part, or none: a whole lacks what one part lacks.
pub async fn set_pinned(app: &App, whole: &GroupBackupView, pinned: bool) -> Result<GroupBackupView> {
    let mut tx = app.store.begin_write().await?;
    for (part, _) in &whole.parts {
        match store::backups::get(&mut tx, &part.backup).await {
            Ok(backup) => backups::pin_in(&mut tx, backup, pinned).await.map(drop)?,
            Err(e) if e.kind == Kind::NotFound && !pinned => {}
            Err(e) => return Err(e),
        }
    }
    store::commit(tx).await?;
    backup_view(app, whole.whole.clone()).await
}

pub async fn backups(app: &App, project: &ProjectId, group: Option<&GroupId>, paging: &Paging) -> Result<Page<GroupBackupView>> {
    let page = store::groups::backups(&mut *app.store.read().await?, project, group, paging).await?;
    let mut items = vec![];
    for whole in page.items {
        items.push(backup_view(app, whole).await?);
    }
    Ok(Page { items, next: page.next })
}

/// Where a group's backup is restored to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Into {
    /// The members themselves, whose data is replaced.
    Members,
    /// New clusters, each named as the member with this behind it.
    New { suffix: String },
}

/// What would be done, member by member; refused unless all parts are of one point and good.
pub async fn plan_restore(app: &App, project: &ProjectId, from: &GroupBackupView, into: &Into) -> Result<Vec<Planned>> {
    if !from.is_restorable() {
        let why = from.whole.error.clone().unwrap_or_else(|| "one of its parts was deleted or is damaged".into());
        let sentence = format!("group backup {} cannot be restored as a whole: {why}; its parts can be restored one by one", from.whole.id);
        return Err(Error::conflict("not_restorable", sentence));
    }
    let mut plans = vec![];
    for (part, _) in &from.parts {
        let mut request = RestoreRequest { backup: Some(part.backup.to_string()), ..RestoreRequest::default() };
        match into {
            Into::Members => request.to = Some(part.cluster.to_string()),
            Into::New { suffix } => request.new = Some(format!("{}{suffix}", part.cluster_name)),
        }
        plans.push(restores::plan(app, project, &request).await.map_err(|e| e.context(part.cluster_name.clone()))?);
    }
    Ok(plans)
}

/// Restores all members together. All are taken at once, or the one that is busy is named.
pub async fn restore(app: &App, by: &Actor, from: &GroupBackupView, plans: Vec<Planned>) -> Result<OperationId> {
    let (mut prepared, party) = (vec![], RestoreId::new().to_string());
    for planned in plans {
        prepared.push(restores::prepare(app, by, &from.whole.project, planned, Some(&party)).await?);
    }
    let mut tx = app.store.begin_write().await?;
    let mut all = vec![];
    for one in prepared {
        let (restore, target) = (one.row.id.clone(), one.row.target_name.clone());
        all.push(restore_group::One { restore, target, operation: one.write(app, &mut tx).await? });
    }
    let state = restore_group::State { backup: from.whole.id.clone(), party, restores: all };
    let subject = ops::subject_of(&from.whole.project, from.whole.group_name.as_str(), from.whole.group.as_str());
    let submit = ops::submission::<restore_group::RestoreGroup>(&state, Some(subject), Lock::Exclusive, &by.name)?;
    let operation = app.runner.submit_in(&mut tx, submit).await?;
    store::commit(tx).await?;
    app.runner.wake();
    Ok(operation)
}
