//! What people are told when an operation has ended, in words.
//!
//! Titles are one line, texts a few sentences that name the thing, say what is so now and what can
//! be done. Reasons are the errors' outside messages: they may hold what users and tools wrote, and
//! are text to whoever passes them on.

use mainstay_model::{
    Error,
    backup::{Backup, BackupStatus, Proof},
    group::{GroupBackup, GroupBackupStatus},
    notice::NoticeKind,
    restore::Restore,
};
use mainstay_operations::End;

/// A notice before it is one: without its id, time and project.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub kind: NoticeKind,
    pub cluster: Option<String>,
    pub object_kind: &'static str,
    pub object: String,
    pub good: bool,
    pub title: String,
    pub text: String,
}

/// Whether the end is one that people are told of: what somebody cancelled or gave up they know.
fn reason<'a>(end: End<'a>) -> Option<Result<(), (&'static str, &'a Error)>> {
    match end {
        End::Succeeded => Some(Ok(())),
        End::Failed(e) => Some(Err(("failed", e))),
        End::Stuck(e) => Some(Err(("is stuck", e))),
        End::Cancelled | End::Abandoned => None,
    }
}

/// Of the backup as it stands after its operation.
pub fn backup(b: &Backup, end: End<'_>) -> Option<Draft> {
    let ended = reason(end)?;
    let name = &b.cluster_name;
    let good = b.copies.iter().filter(|c| c.is_good()).count();
    let copies = format!("{good} of {} copies stored and read back", b.copies.iter().filter(|c| !c.is_let_go()).count());
    let missing = || {
        b.copies
            .iter()
            .filter(|c| !c.is_good() && !c.is_let_go())
            .map(|c| format!("\n{}: {}", c.storage_name, c.error.as_deref().unwrap_or("not stored")))
    };
    let (kind, fine, title, text) = match (ended, b.status) {
        (Ok(()), BackupStatus::Completed) if b.proof == Proof::Suspicious => {
            let why = b.checks.iter().rev().find(|c| !c.ok).map(|c| c.detail.clone()).unwrap_or_default();
            let text = format!("Backup {} of {name}: {copies}, but it does not count until a drill passes: {why}.", b.id);
            (NoticeKind::BackupSucceeded, false, format!("{name}: the backup looks suspicious"), text)
        }
        (Ok(()), BackupStatus::Completed) => {
            (NoticeKind::BackupSucceeded, true, format!("{name}: the backup is complete"), format!("Backup {} of {name}: {copies}.", b.id))
        }
        (Ok(()), BackupStatus::Partial) => {
            let text = format!("Backup {} of {name}: {copies}. Missing:{}", b.id, missing().collect::<String>());
            (NoticeKind::BackupPartial, false, format!("{name}: the backup is partial"), text)
        }
        (ended, _) => {
            let why = ended.err().map(|(_, e)| e.message.clone()).or(b.error.clone()).unwrap_or_else(|| "no copy was stored".into());
            let text = format!("Backup {} of {name} failed, and nothing of it counts: {why}", b.id);
            (NoticeKind::BackupFailed, false, format!("{name}: the backup failed"), text)
        }
    };
    Some(about_backup(b, kind, fine, title, text))
}

/// Whether a member of a group was right itself, and only its group was not: how such a part ends.
pub fn met_nobody(end: End<'_>) -> bool {
    match end {
        End::Failed(e) | End::Stuck(e) => matches!(e.code.as_str(), "group_incomplete" | "group_broken" | "hold_lost"),
        _ => false,
    }
}

/// Of all members at one point.
pub fn group_backup(group: &str, id: &str, whole: &GroupBackup, end: End<'_>) -> Option<Draft> {
    let ended = reason(end)?;
    let lacks = whole.error.as_deref().filter(|_| ended.is_ok() && whole.status != GroupBackupStatus::Completed);
    let (kind, title, text) = match &ended {
        Ok(()) if let Some(why) = lacks => {
            let text = format!("The backup of group {group} is of one point and can be restored, but not every copy is there: {why}");
            (NoticeKind::BackupPartial, format!("{group}: the group's backup is partial"), text)
        }
        Ok(()) => {
            let text = format!("The backup of group {group} is complete: all its members at one point.");
            (NoticeKind::BackupSucceeded, format!("{group}: the group's backup is complete"), text)
        }
        Err((how, e)) => {
            let text = format!("The backup of group {group} {how}, and nothing of it counts as the group's: {}", e.message);
            (NoticeKind::BackupFailed, format!("{group}: the group's backup {how}"), text)
        }
    };
    Some(Draft { kind, cluster: None, object_kind: "group", object: id.into(), good: ended.is_ok() && lacks.is_none(), title, text })
}

fn about_backup(b: &Backup, kind: NoticeKind, good: bool, title: String, text: String) -> Draft {
    Draft { kind, cluster: Some(b.cluster_name.to_string()), object_kind: "backup", object: b.id.to_string(), good, title, text }
}

/// A backup that was read again.
pub fn verification(b: &Backup, end: End<'_>) -> Option<Draft> {
    let Err((_, e)) = reason(end)? else { return None };
    if e.kind != mainstay_model::Kind::Integrity {
        return None;
    }
    let title = format!("{}: a backup was found damaged", b.cluster_name);
    let text = format!(
        "Reading backup {} of {} again found: {}\nDamaged copies no longer count; make a new backup.",
        b.id, b.cluster_name, e.message
    );
    Some(about_backup(b, NoticeKind::BackupFailed, false, title, text))
}

pub fn drill(b: &Backup, end: End<'_>) -> Option<Draft> {
    let Err((_, e)) = reason(end)? else { return None };
    let name = &b.cluster_name;
    let (title, means) = match e.kind {
        mainstay_model::Kind::Integrity => (
            format!("{name}: the drill failed"),
            "The backup does not restore, and no longer counts; a new one is made now, and nothing of the cluster is deleted until a drill passes.",
        ),
        _ => (format!("{name}: the drill could not be done"), "Whether the backup restores is not known."),
    };
    Some(about_backup(b, NoticeKind::DrillFailed, false, title, format!("Drill of backup {} of {name}: {}\n{means}", b.id, e.message)))
}

pub fn restore(r: &Restore, undo: bool, end: End<'_>) -> Option<Draft> {
    let ended = reason(end)?;
    let name = &r.target_name;
    let what = match (undo, r.in_place) {
        (true, _) => format!("Undoing restore {} of {name}", r.id),
        (false, true) => format!("The restore of backup {} into {name}", r.backup),
        (false, false) => format!("The restore of backup {} as the new cluster {name}", r.backup),
    };
    let short = if undo { "undoing the restore" } else { "the restore" };
    let (title, text) = match &ended {
        Ok(()) => (format!("{name}: {short} is done"), format!("{what} is done; {name} serves its clients.")),
        Err((how, e)) => (format!("{name}: {short} {how}"), format!("{what} {how}: {}{}", e.message, stands(end))),
    };
    let (cluster, object) = (Some(name.clone()), r.id.to_string());
    Some(Draft { kind: NoticeKind::RestoreDone, cluster, object_kind: "restore", object, good: ended.is_ok(), title, text })
}

/// What there is after an operation that did not succeed.
fn stands(end: End<'_>) -> &'static str {
    match end {
        End::Failed(_) => "\nWhat it had done was undone: everything is as it was before.",
        End::Stuck(_) => "\nIt needs a person: `mainstay operation show` says where it stands, then retry, skip or abandon it.",
        _ => "",
    }
}

/// A verb of a whole cluster: `promotion of shop-2`, `resync`.
pub fn verb(kind: NoticeKind, cluster: &str, id: &str, what: &str, end: End<'_>) -> Option<Draft> {
    let ended = reason(end)?;
    let (title, text) = match &ended {
        Ok(()) => (format!("{cluster}: the {what} is done"), format!("The {what} of cluster {cluster} is done.")),
        Err((how, e)) => {
            (format!("{cluster}: the {what} {how}"), format!("The {what} of cluster {cluster} {how}: {}{}", e.message, stands(end)))
        }
    };
    Some(Draft { kind, cluster: Some(cluster.into()), object_kind: "cluster", object: id.into(), good: ended.is_ok(), title, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{BackupId, StorageId, Time, backup::Copy};

    fn made(statuses: &[BackupStatus]) -> Backup {
        let copy = |s: &BackupStatus| Copy {
            storage: StorageId::new(),
            storage_name: "far".into(),
            kind: "s3".into(),
            status: *s,
            snapshot: Some("s".into()),
            added_bytes: None,
            verified_at: Some(Time::default()),
            error: (*s == BackupStatus::Failed).then(|| "far\r\nis away".into()),
            tries: 0,
            tried_at: None,
            lock: None,
            expires_at: None,
            deleting_until: None,
        };
        let text = serde_json::json!({
            "id": BackupId::new(), "project": mainstay_model::ProjectId::new(), "cluster": mainstay_model::ClusterId::new(),
            "cluster_name": "shop", "kind": "manual", "status": "running", "proof": "verified", "description": "", "engine": "memo",
            "engine_version": "1", "created_at": Time::default(), "finished_at": null, "expires_at": null, "pinned": false,
            "data_bytes": null, "facts": null, "checks": [], "drill": null, "error": null, "copies": [],
        });
        let mut b: Backup = serde_json::from_value(text).unwrap();
        b.copies = statuses.iter().map(copy).collect();
        let good = b.copies.iter().filter(|c| c.is_good()).count();
        b.status = if good == b.copies.len() { BackupStatus::Completed } else { BackupStatus::Partial };
        b
    }

    #[test]
    fn every_end_of_a_backup_has_its_kind() {
        use BackupStatus::{Completed, Failed};
        let e = Error::failed("x", "no space");
        let of = |b: &Backup, end| backup(b, end).map(|d| (d.kind, d.good));
        assert_eq!(of(&made(&[Completed]), End::Succeeded), Some((NoticeKind::BackupSucceeded, true)));
        assert_eq!(of(&made(&[Completed, Failed]), End::Succeeded), Some((NoticeKind::BackupPartial, false)));
        let doubtful = Backup { proof: Proof::Suspicious, ..made(&[Completed]) };
        assert_eq!(of(&doubtful, End::Succeeded), Some((NoticeKind::BackupSucceeded, false)));
        let none = Backup { status: Failed, ..made(&[Failed]) };
        for end in [End::Failed(&e), End::Stuck(&e), End::Succeeded] {
            assert_eq!(of(&none, end), Some((NoticeKind::BackupFailed, false)), "{end:?}");
        }
        assert_eq!((of(&none, End::Cancelled), of(&none, End::Abandoned)), (None, None));
        assert!(backup(&made(&[Completed, Failed]), End::Succeeded).unwrap().text.contains("far: far\r\nis away"));
    }

    #[test]
    fn a_drill_that_could_not_be_done_is_not_one_that_failed() {
        let b = made(&[BackupStatus::Completed]);
        let (bad, away) = (Error::integrity("rows differ"), Error::unavailable("x", "no room"));
        assert!(drill(&b, End::Failed(&bad)).unwrap().title.contains("failed"));
        assert!(drill(&b, End::Failed(&away)).unwrap().text.contains("not known"));
        assert_eq!(drill(&b, End::Succeeded), None);
        assert_eq!(verification(&b, End::Failed(&away)), None);
        assert_eq!(verification(&b, End::Failed(&bad)).unwrap().kind, NoticeKind::BackupFailed);
    }

    #[test]
    fn a_group_is_told_of_as_a_whole() {
        let e = Error::failed("group_incomplete", "billing did not come");
        assert!(met_nobody(End::Failed(&e)) && !met_nobody(End::Failed(&Error::failed("x", "y"))) && !met_nobody(End::Succeeded));
        let whole = |status, error: Option<&str>| GroupBackup {
            id: mainstay_model::GroupBackupId::new(),
            project: mainstay_model::ProjectId::new(),
            group: mainstay_model::GroupId::new(),
            group_name: mainstay_model::Name::parse("suite").unwrap(),
            status,
            description: String::new(),
            created_at: mainstay_model::Time(0),
            finished_at: None,
            parts: vec![],
            round: 0,
            retention_days: None,
            retention: None,
            schedule: None,
            storages: vec![],
            copy_retention: Default::default(),
            met: true,
            error: error.map(Into::into),
        };
        let (done, partial) = (whole(GroupBackupStatus::Completed, None), whole(GroupBackupStatus::Partial, Some("shop: far: full")));
        let of = |end| group_backup("suite", "gr_1", &done, end).map(|d| (d.kind, d.good));
        let lacking = group_backup("suite", "gr_1", &partial, End::Succeeded).unwrap();
        assert!(lacking.kind == NoticeKind::BackupPartial && !lacking.good && lacking.text.contains("shop: far: full"));
        assert_eq!(of(End::Succeeded), Some((NoticeKind::BackupSucceeded, true)));
        assert_eq!(of(End::Failed(&e)), Some((NoticeKind::BackupFailed, false)));
        assert_eq!(of(End::Cancelled), None);
    }

    #[test]
    fn a_verb_says_what_stands() {
        let e = Error::failed("x", "it broke");
        let of = |end| verb(NoticeKind::PromotionDone, "shop", "cl_1", "promotion of shop-2", end).map(|d| (d.good, d.text));
        assert_eq!(of(End::Succeeded).unwrap(), (true, "The promotion of shop-2 of cluster shop is done.".into()));
        assert!(of(End::Failed(&e)).unwrap().1.contains("undone"));
        assert!(of(End::Stuck(&e)).unwrap().1.contains("needs a person"));
        assert_eq!(of(End::Cancelled), None);
    }
}
