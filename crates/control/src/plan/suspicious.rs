//! Is a backup so unlike the one before that it must not count until a drill passed.

use mainstay_drivers::storage::{CONTROL_PLANE, FoundBackup, LOG};
use mainstay_model::{
    BackupId,
    backup::{Backup, Facts},
};
use std::collections::BTreeMap;

/// The reason, where it is. `previous` is the newest good backup before this one.
pub fn suspicious(data_bytes: u64, facts: &Facts, previous: Option<&Backup>) -> Option<String> {
    let previous = previous?;
    let smaller = previous.data_bytes.and_then(|before| fewer_bytes(data_bytes, before));
    let was = previous.facts.as_ref();
    let other = || {
        let was = was.filter(|was| was.engine_version != facts.engine_version)?;
        Some(format!("made by version {}, the one before by {}", facts.engine_version, was.engine_version))
    };
    smaller.or_else(other).or_else(|| fewer_rows(facts, was?))
}

fn fewer_bytes(bytes: u64, before: u64) -> Option<String> {
    let much = bytes.saturating_mul(2) < before;
    much.then(|| format!("{bytes} bytes, less than half of the {before} bytes of the backup before"))
}

fn fewer_rows(facts: &Facts, was: &Facts) -> Option<String> {
    let (before, rows) = (total(was), total(facts));
    let much = before > 0 && rows.saturating_mul(2) < before;
    much.then(|| format!("about {rows} rows or keys, less than half of the {before} of the backup before"))
}

/// Of the backups found in a storage, oldest first, those that are so much smaller than the last one before
/// them that is not: what its installation found out about them is not there. Another version of the engine
/// is no reason here, for no drill could have ended that doubt.
pub fn doubts(found: &[FoundBackup]) -> BTreeMap<BackupId, String> {
    let mut doubts = BTreeMap::new();
    let mut measure: Option<&FoundBackup> = None;
    for backup in found.iter().filter(|b| is_a_clusters(b)) {
        let less = measure.and_then(|m| fewer_bytes(backup.data_bytes, m.data_bytes).or_else(|| fewer_rows(&backup.facts, &m.facts)));
        match less {
            Some(why) => drop(doubts.insert(backup.backup.clone(), why)),
            None => measure = Some(backup),
        }
    }
    doubts
}

fn is_a_clusters(backup: &FoundBackup) -> bool {
    backup.error.is_none() && backup.kind != CONTROL_PLANE && backup.kind != LOG
}

/// The newest whole one that is not in doubt, and those newer ones that are, with the reason.
pub fn newest_sound(found: &[FoundBackup]) -> Option<(&FoundBackup, Vec<(BackupId, String)>)> {
    let mut doubts = doubts(found);
    let mut passed_over = vec![];
    for backup in found.iter().rev().filter(|b| is_a_clusters(b)) {
        match doubts.remove(&backup.backup) {
            Some(why) => passed_over.push((backup.backup.clone(), why)),
            None => return Some((backup, passed_over)),
        }
    }
    None
}

fn total(facts: &Facts) -> u64 {
    let counted = |k: &&String| k.starts_with("rows.") || k.starts_with("keys.");
    let sum = |m: &std::collections::BTreeMap<String, u64>| m.iter().filter(|(k, _)| counted(k)).map(|(_, v)| v).sum::<u64>();
    sum(&facts.exact) + sum(&facts.estimates)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use mainstay_model::*;

    fn facts(version: &str, keys: u64) -> Facts {
        Facts { engine_version: version.into(), exact: [("keys.db0".into(), keys)].into(), ..Facts::default() }
    }

    pub fn backup(bytes: u64, facts: Facts) -> Backup {
        Backup {
            id: BackupId::new(),
            project: ProjectId::new(),
            cluster: ClusterId::new(),
            cluster_name: ClusterName::parse("abc").unwrap(),
            kind: backup::BackupKind::Manual,
            schedule: None,
            part_of: None,
            status: backup::BackupStatus::Completed,
            proof: backup::Proof::Verified,
            description: String::new(),
            engine: "e".into(),
            engine_version: facts.engine_version.clone(),
            created_at: Time(0),
            finished_at: None,
            expires_at: None,
            retention: None,
            pinned: false,
            deleting: None,
            data_bytes: Some(bytes),
            facts: Some(facts),
            checks: vec![],
            drill: None,
            error: None,
            copies: vec![],
        }
    }

    /// One that was read back.
    pub fn good_copy(storage: &StorageId) -> backup::Copy {
        backup::Copy {
            storage: storage.clone(),
            storage_name: "s".into(),
            kind: "local".into(),
            status: backup::BackupStatus::Completed,
            snapshot: Some("s".into()),
            added_bytes: None,
            verified_at: Some(Time(1)),
            error: None,
            tries: 0,
            tried_at: None,
            lock: None,
            expires_at: None,
            deleting_until: None,
        }
    }

    #[test]
    fn half_the_size_half_the_keys_or_another_version() {
        let before = backup(1000, facts("7.0", 100));
        assert_eq!(suspicious(900, &facts("7.0", 90), Some(&before)), None);
        assert!(suspicious(400, &facts("7.0", 90), Some(&before)).is_some());
        assert!(suspicious(900, &facts("7.0", 0), Some(&before)).is_some());
        assert!(suspicious(900, &facts("7.2", 100), Some(&before)).is_some());
        assert_eq!(suspicious(1, &facts("7.0", 0), None), None);
    }

    fn found(bytes: u64, version: &str, error: Option<&str>) -> FoundBackup {
        FoundBackup {
            snapshot: "s".into(),
            backup: BackupId::new(),
            kind: "scheduled".into(),
            description: String::new(),
            created_at: Time(0),
            data_bytes: bytes,
            facts: facts(version, 0),
            error: error.map(Into::into),
        }
    }

    #[test]
    fn of_what_is_found_the_last_that_did_not_shrink() {
        let control_plane = FoundBackup { kind: CONTROL_PLANE.into(), ..found(1, "1", None) };
        let all = [
            found(1000, "7.0", None),
            found(900, "7.2", None),
            found(2000, "7.2", Some("torn")),
            found(300, "7.2", None),
            found(350, "7.2", None),
            control_plane,
        ];
        let (chosen, passed_over) = newest_sound(&all).unwrap();
        assert_eq!(chosen.backup, all[1].backup);
        assert_eq!(passed_over.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&all[4].backup, &all[3].backup]);
        assert!(passed_over[0].1.contains("less than half of the 900 bytes"), "{passed_over:?}");
        assert_eq!(doubts(&all).len(), 2);
        let (only, none) = newest_sound(&all[3..]).unwrap();
        assert_eq!((&only.backup, none.len()), (&all[4].backup, 0), "nothing to measure them by");
        assert!(newest_sound(&[]).is_none());
    }
}
