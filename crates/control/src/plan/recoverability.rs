//! The one sentence: to when can this cluster be brought back, and how is that known.

use mainstay_drivers::storage::SNAPSHOT;
use mainstay_model::{
    StorageId, Time,
    backup::Backup,
    drill::{DrillRecord, DrillResult},
};
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq)]
pub struct Recoverability {
    pub to: Option<Time>,
    pub copies_verified: u32,
    pub copies: u32,
    pub last_drill_at: Option<Time>,
    pub last_drill_seconds: Option<f64>,
    pub sentence: String,
    /// What still misses to three copies, on two kinds of storage, one elsewhere.
    pub three_two_one: String,
}

/// Where a copy lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub storage: StorageId,
    pub kind: String,
    pub region: Option<String>,
}

/// What is known of a cluster's drills.
#[derive(Debug, Clone, Default)]
pub struct Drills {
    /// The newest of all, whatever came of it.
    pub newest: Option<DrillRecord>,
    /// The newest that passed.
    pub passed: Option<DrillRecord>,
}

/// `newest_good` is the newest backup that counts; `storages` those of the project;
/// `moment` the latest its kept log can be restored to.
pub fn recoverability(newest_good: Option<&Backup>, drills: &Drills, storages: &[Kept], moment: Option<Time>) -> Recoverability {
    let good = newest_good.iter().flat_map(|b| &b.copies).filter(|c| c.is_good());
    let places: Vec<&Kept> = good.filter_map(|c| storages.iter().find(|s| s.storage == c.storage)).collect();
    let drill = drills.passed.as_ref();
    let to = newest_good.and_then(recovery_point).max(moment);
    let verified = newest_good.map_or(0, |b| b.copies.iter().filter(|c| c.is_good()).count() as u32);
    let copies = newest_good.map_or(0, |b| b.copies.iter().filter(|c| !c.is_let_go()).count() as u32);
    Recoverability {
        to,
        copies_verified: verified,
        copies,
        last_drill_at: drill.map(|d| d.at),
        last_drill_seconds: drill.and_then(|d| d.seconds),
        three_two_one: three_two_one(&places),
        sentence: sentence(to, verified, copies, drills),
    }
}

/// A backup brings back everything that was acknowledged before it began.
fn recovery_point(backup: &Backup) -> Option<Time> {
    Some(backup.created_at)
}

fn sentence(to: Option<Time>, verified: u32, copies: u32, drills: &Drills) -> String {
    let Some(to) = to else {
        return "Not recoverable: there is no good backup.".into();
    };
    format!("Recoverable to {to}; {verified} of {copies} copies verified; {}.", drilled(drills))
}

/// A drill that passed once says less when the one after it did not.
fn drilled(drills: &Drills) -> String {
    let restored = |d: &DrillRecord| format!("restored in {:.0} s", d.seconds.unwrap_or_default());
    let why = |d: &DrillRecord| d.reason.as_deref().and_then(|r| r.split([':', ';']).next()).unwrap_or("it could not be done").to_string();
    match (&drills.newest, &drills.passed) {
        (Some(n), _) if n.result == DrillResult::Failed => format!("the last drill, at {}, FAILED", n.at),
        (Some(n), Some(p)) if n.result == DrillResult::NotDone => {
            format!("not drilled since {} ({}), that time {}", p.at, why(n), restored(p))
        }
        (Some(n), None) => format!("never drilled ({})", why(n)),
        (_, Some(p)) => format!("last drill {}", restored(p)),
        (None, None) => "never drilled".into(),
    }
}

/// Counts the live data as one copy, on this host's own disks. A storage of kind `local` is on this
/// host too, whatever its label: what takes the host may take it as well. Snapshots are on the very
/// disk of the data and count as no copy besides it.
fn three_two_one(all: &[&Kept]) -> String {
    const HERE: &str = "local";
    let copies: Vec<&Kept> = all.iter().copied().filter(|c| c.kind != SNAPSHOT).collect();
    let elsewhere: Vec<&&Kept> = copies.iter().filter(|c| c.kind != HERE).collect();
    if copies.is_empty() && !all.is_empty() {
        return "Not 3-2-1: there are only snapshots on the disk of the data; that is not a disaster copy. Add a storage elsewhere.".into();
    }
    if copies.is_empty() {
        return "Not 3-2-1: there is no good copy besides the data itself.".into();
    }
    if elsewhere.is_empty() {
        return "Not 3-2-1: every copy is on this host; that is not a disaster copy. Add a storage elsewhere.".into();
    }
    let far = elsewhere.iter().find_map(|c| c.region.as_deref());
    let (count, kinds) = (copies.len() + 1, copies.iter().map(|c| c.kind.as_str()).chain([HERE]).collect::<BTreeSet<_>>());
    let missing = [
        (count < 3).then_some("one more copy"),
        far.is_none().then_some("a region label on the storage elsewhere (`storage add --region`)"),
    ];
    let missing: Vec<&str> = missing.into_iter().flatten().collect();
    let has = format!("{count} copies with the data itself, on {} ({})", kinds_of(kinds.len()), Vec::from_iter(kinds).join(", "));
    match far.filter(|_| missing.is_empty()) {
        Some(region) => format!("3-2-1: {has}, one in {region}."),
        None => format!("Not 3-2-1: {has}; what misses is {}.", missing.join(" and ")),
    }
}

fn kinds_of(count: usize) -> String {
    if count == 1 { "1 kind of storage".into() } else { format!("{count} kinds of storage") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_model::{BackupId, ClusterId, DrillId, ProjectId};

    #[test]
    fn without_a_good_backup_nothing_sounds_good() {
        let r = recoverability(None, &Drills::default(), &[], None);
        assert_eq!((r.to, r.copies), (None, 0));
        assert!(r.sentence.starts_with("Not recoverable"));
    }

    #[test]
    fn the_sentence_names_copies_and_drill() {
        let drill = |result, seconds, reason: Option<&str>| DrillRecord {
            storage: None,
            id: DrillId::new(),
            project: ProjectId::new(),
            cluster: ClusterId::new(),
            backup: BackupId::new(),
            engine_version: "15".into(),
            at: Time(0),
            result,
            seconds,
            reason: reason.map(Into::into),
            checks: vec![],
        };
        let said = |newest: Option<DrillRecord>, passed: Option<DrillRecord>| sentence(Some(Time(0)), 1, 2, &Drills { newest, passed });
        let passed = Some(drill(DrillResult::Passed, Some(41.2), None));
        let s = said(passed.clone(), passed.clone());
        assert!(s.contains("1 of 2 copies verified") && s.ends_with("last drill restored in 41 s."), "{s}");
        assert!(said(None, None).contains("never drilled"));
        let full = Some(drill(DrillResult::NotDone, None, Some("no room on the host: 9 bytes are needed")));
        assert!(said(full.clone(), None).contains("never drilled (no room on the host)"));
        let s = said(full, passed.clone());
        assert!(s.contains("not drilled since") && s.contains("(no room on the host), that time restored in 41 s"), "{s}");
        assert!(said(Some(drill(DrillResult::Failed, None, Some("rows"))), passed).contains("FAILED"));
    }

    #[test]
    fn three_copies_two_kinds_one_elsewhere() {
        let at = |kind: &str, region: Option<&str>| Kept { storage: StorageId::new(), kind: kind.into(), region: region.map(Into::into) };
        let (here, labelled, far, nowhere) = (at("local", None), at("local", Some("moon")), at("s3", Some("eu")), at("s3", None));
        assert!(three_two_one(&[]).contains("no good copy"));
        assert!(three_two_one(&[&here, &labelled]).contains("not a disaster copy"));
        let beside = at(SNAPSHOT, Some("eu"));
        assert!(three_two_one(&[&beside]).contains("only snapshots on the disk of the data"));
        assert!(three_two_one(&[&beside, &here]).contains("every copy is on this host"));
        assert!(three_two_one(&[&beside, &far]).contains("misses is one more copy."), "a snapshot is no copy of its own");
        assert!(three_two_one(&[&far]).contains("misses is one more copy."));
        assert!(three_two_one(&[&here, &nowhere]).contains("misses is a region label"));
        let whole = three_two_one(&[&here, &far]);
        assert_eq!(whole, "3-2-1: 3 copies with the data itself, on 2 kinds of storage (local, s3), one in eu.");
    }
}
