//! Schedules of groups: each time is one backup of all members, or of none.

use crate::{
    plan::{at, timing},
    world::{World, wish},
};
use mainstay_control::{groups, ops, schedules};
use mainstay_model::{
    GroupId, Name,
    alert::AlertKind,
    backup::{BackupKind, BackupStatus},
    cluster::{Cluster, Wanted},
    group::{Group, GroupBackupStatus},
    schedule::{Overlap, RunStatus, Schedule, ScheduleRun},
};
use mainstay_operations::Lock;
use mainstay_store::{self as store, Paging};

struct Scene {
    world: World,
    members: Vec<Cluster>,
    group: Group,
    schedule: Schedule,
}

async fn scene() -> Scene {
    let world = World::at(at("2026-11-20T12:00:00Z")).await;
    let members = vec![world.cluster("shop").await, world.cluster("store").await];
    let ids = members.iter().map(|c| c.id.clone()).collect();
    let (project, name) = (members[0].project.clone(), Name::parse("both").unwrap());
    let group = Group { id: GroupId::new(), project, name, members: ids, created_at: world.app.now() };
    let mut tx = world.app.store.begin_write().await.unwrap();
    store::groups::insert(&mut tx, &group).await.unwrap();
    store::commit(tx).await.unwrap();
    let daily = wish("nightly", &timing(&[], &[3], "UTC"));
    let schedule = schedules::set(&world.app, &group, daily).await.unwrap().schedule;
    Scene { world, members, group, schedule }
}

impl Scene {
    async fn at(&self, time: &str) {
        self.world.set(at(time));
        self.world.tick().await;
    }

    /// Newest first.
    async fn runs(&self) -> Vec<ScheduleRun> {
        store::schedules::runs(&mut self.world.app.store.read().await.unwrap(), &self.schedule.id, 500).await.unwrap()
    }

    async fn wholes(&self) -> Vec<groups::GroupBackupView> {
        groups::backups(&self.world.app, &self.group.project, None, &Paging::default()).await.unwrap().items
    }

    /// All that is being made ends well, and all parts came to one point.
    async fn end(&self) {
        self.world.end_well().await;
        let mut tx = self.world.app.store.begin_write().await.unwrap();
        for view in self.wholes().await.into_iter().filter(|v| v.whole.status == GroupBackupStatus::Running) {
            let mut whole = view.whole;
            (whole.status, whole.met) = (GroupBackupStatus::Completed, true);
            store::groups::update_backup(&mut tx, &whole).await.unwrap();
        }
        store::commit(tx).await.unwrap();
    }
}

#[tokio::test]
async fn each_time_is_one_backup_of_all_members() {
    let mut s = scene().await;
    s.at("2026-11-21T03:00:01Z").await;
    for _ in 0..2 {
        s.world.restart().await;
        s.at("2026-11-21T03:00:02Z").await;
    }
    let (runs, wholes) = (s.runs().await, s.wholes().await);
    assert_eq!((runs.len(), wholes.len()), (1, 1));
    let whole = &wholes[0].whole;
    assert_eq!((runs[0].status, &runs[0].group_backup, &runs[0].backup), (RunStatus::Started, &Some(whole.id.clone()), &None));
    assert_eq!((whole.schedule.as_ref(), whole.parts.len()), (Some(&s.schedule.id), 2));
    for member in &s.members {
        let all = s.world.backups(member).await;
        assert_eq!(all.len(), 1, "the same point is not made twice");
        let (of, by) = (all[0].part_of.as_ref(), all[0].schedule.as_ref());
        assert_eq!(
            (all[0].kind, of, by, all[0].retention.as_ref()),
            (BackupKind::Scheduled, Some(&whole.id), Some(&s.schedule.id), Some(&s.schedule.retention))
        );
    }
    // Still being made, it is not overtaken; ended, the next time is used.
    s.at("2026-11-22T03:00:00Z").await;
    let skipped = s.runs().await.remove(0);
    assert!(skipped.status == RunStatus::Skipped && skipped.reason.as_ref().unwrap().contains(whole.id.as_str()), "{skipped:?}");
    // Ended, but nobody has let go of the group yet: the next time waits, and says for whom.
    s.end().await;
    s.at("2026-11-23T03:00:00Z").await;
    assert_eq!(s.runs().await.len(), 2);
    let shown = schedules::resolve(&s.world.app, &s.group.project, s.schedule.id.as_str()).await.unwrap();
    assert!(shown.waiting.as_ref().unwrap().contains("op_"), "{shown:?}");
    let shown = schedules::view(&s.world.app, shown).await.unwrap();
    let became: Vec<_> = shown.last_runs.iter().map(|(_, became)| *became).collect();
    assert_eq!(became, [None, Some(BackupStatus::Completed)]);
}

#[tokio::test]
async fn a_groups_time_waits_too_where_it_is_set_to() {
    let s = scene().await;
    let queue = schedules::SetSchedule { overlap: Some(Overlap::Queue), ..wish("nightly", &timing(&[], &[3], "UTC")) };
    schedules::set(&s.world.app, &s.group, queue).await.unwrap();
    s.at("2026-11-21T03:00:00Z").await;
    s.at("2026-11-22T03:00:00Z").await;
    let shown = schedules::resolve(&s.world.app, &s.group.project, s.schedule.id.as_str()).await.unwrap();
    let whole = s.wholes().await.remove(0).whole.id;
    assert!(shown.waiting.is_some_and(|why| why.contains(whole.as_str())) && s.runs().await.len() == 1);
}

#[tokio::test]
async fn after_a_downtime_one_is_made_and_the_others_are_written_down() {
    let mut s = scene().await;
    s.world.restart().await;
    s.at("2026-11-24T08:00:00Z").await;
    let status: Vec<_> = s.runs().await.into_iter().map(|r| r.status).collect();
    assert_eq!(status, [RunStatus::Started, RunStatus::Missed, RunStatus::Missed, RunStatus::Missed]);
    assert_eq!(s.wholes().await.len(), 1);
}

#[tokio::test]
async fn a_member_that_is_held_is_waited_for_and_nothing_of_the_others_is_begun() {
    let s = scene().await;
    let held = &s.members[1];
    let state = ops::start_cluster::State { cluster: held.id.clone(), wanted_before: None };
    let hold = ops::submission::<ops::start_cluster::StartCluster>(&state, Some(ops::subject(held)), Lock::Exclusive, "test").unwrap();
    let holder = s.world.app.runner.submit(hold).await.unwrap();
    s.at("2026-11-21T03:00:00Z").await;
    assert!(s.runs().await.is_empty() && s.wholes().await.is_empty());
    for member in &s.members {
        assert!(s.world.backups(member).await.is_empty(), "one write, or none");
    }
    let waiting = schedules::resolve(&s.world.app, &s.group.project, s.schedule.id.as_str()).await.unwrap().waiting.unwrap();
    assert!(waiting.contains(holder.as_str()), "{waiting}");
    s.at("2026-11-21T09:30:00Z").await;
    let missed = s.runs().await.remove(0);
    assert!(missed.status == RunStatus::Missed && missed.reason.unwrap().contains(holder.as_str()));
}

#[tokio::test]
async fn a_member_that_is_stopped_or_gone_is_named() {
    let s = scene().await;
    for (day, wanted, said) in [(21, Wanted::Stopped, "member store is stopped"), (22, Wanted::Deleted, "member store is deleted")] {
        s.world.want(&s.members[1], wanted).await;
        s.at(&format!("2026-11-{day}T03:00:00Z")).await;
        let run = s.runs().await.remove(0);
        assert!(run.status == RunStatus::Skipped && run.reason.as_ref().unwrap().starts_with(said), "{run:?}");
    }
    assert!(s.wholes().await.is_empty());
}

#[tokio::test]
async fn a_group_without_a_good_backup_is_overdue_and_its_members_have_their_own_watch() {
    let s = scene().await;
    s.at("2026-11-21T03:00:01Z").await;
    s.end().await;
    assert_eq!(s.world.watchdog().await, []);
    // Dead: nothing ticks.
    s.world.set(at("2026-11-23T03:00:02Z"));
    assert_eq!(s.world.watchdog().await, [AlertKind::BackupOverdue]);
    // A whole that lost a part is no good one.
    s.world.set(at("2026-11-21T04:00:00Z"));
    assert_eq!(s.world.watchdog().await, []);
    let part = s.world.backups(&s.members[0]).await.remove(0);
    let mut tx = s.world.app.store.begin_write().await.unwrap();
    store::backups::delete(&mut tx, &part.id).await.unwrap();
    store::commit(tx).await.unwrap();
    assert_eq!(s.world.watchdog().await, [AlertKind::BackupFailed]);
    let wholes = s.wholes().await;
    assert_eq!((wholes[0].whole.status, wholes[0].whole.error.as_deref()), (GroupBackupStatus::Failed, Some("shop: it was deleted")));
}

#[tokio::test]
async fn schedules_go_with_their_group_and_new_members_come_with_the_next_backup() {
    let s = scene().await;
    let third = s.world.cluster("search").await;
    let mut group = s.group.clone();
    group.members = vec![s.members[0].id.clone(), third.id.clone()];
    let mut tx = s.world.app.store.begin_write().await.unwrap();
    store::groups::update(&mut tx, &group).await.unwrap();
    store::commit(tx).await.unwrap();
    s.at("2026-11-21T03:00:00Z").await;
    let made = s.wholes().await.remove(0);
    assert_eq!(made.whole.parts.iter().map(|p| p.cluster_name.as_str()).collect::<Vec<_>>(), ["shop", "search"]);
    assert!(s.world.backups(&s.members[1]).await.is_empty());

    groups::delete(&s.world.app, &group).await.unwrap();
    let gone = schedules::resolve(&s.world.app, &group.project, s.schedule.id.as_str()).await.unwrap_err();
    assert_eq!(gone.kind, mainstay_model::Kind::NotFound);
    s.at("2026-11-22T03:00:00Z").await;
    assert_eq!(s.wholes().await.len(), 1, "and nothing makes more");
}
