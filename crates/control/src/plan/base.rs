//! Which earlier backup a new one may be built on.
//!
//! Only a good one: read back, not suspicious, not going away, and with a copy that is good in a storage
//! that is written to now. One that more of these storages hold is better than a newer one, for where
//! one of them lacks it everything has to be read. Whether the data is still of the same history and in
//! the same directory is for the engine to find out.

use mainstay_model::{BackupId, StorageId, backup::Backup};

/// How far back is looked: what is older has little in common with today.
const LOOKED_AT: usize = 20;

#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    pub backup: BackupId,
    /// Its snapshot in each of the storages, in their order.
    pub snapshots: Vec<Option<String>>,
}

/// `backups` are the cluster's, newest first; `node` is the name of the one that is read.
pub fn choose(backups: &[Backup], storages: &[StorageId], node: &str) -> Option<Choice> {
    let of_the_node = |b: &&Backup| b.facts.as_ref().is_some_and(|f| f.captured.is_some() && f.node == node);
    let good = backups.iter().take(LOOKED_AT).filter(|b| b.is_good()).filter(of_the_node);
    let mut best: Option<(usize, Choice)> = None;
    for backup in good {
        let snapshots: Vec<_> = storages.iter().map(|storage| snapshot_in(backup, storage)).collect();
        let held = snapshots.iter().flatten().count();
        if held > best.as_ref().map_or(0, |(most, _)| *most) {
            best = Some((held, Choice { backup: backup.id.clone(), snapshots }));
        }
    }
    best.map(|(_, choice)| choice)
}

/// The backups that took content over from `from`, by however many steps. One whose own base nobody remembers
/// is counted among them where that was made after it: it may have been one of them.
pub fn built_on(backups: &[Backup], from: &BackupId) -> Vec<BackupId> {
    let mut tainted = vec![from.clone()];
    let mut oldest_first: Vec<&Backup> = backups.iter().filter(|b| b.id != *from).collect();
    oldest_first.sort_by(|a, b| a.id.cmp(&b.id));
    for backup in oldest_first {
        let Some(base) = backup.facts.as_ref().and_then(|f| f.captured.as_ref()).and_then(|c| c.base.as_ref()) else { continue };
        let forgotten = base > from && backups.iter().all(|b| b.id != *base);
        if tainted.contains(base) || forgotten {
            tainted.push(backup.id.clone());
        }
    }
    tainted.split_off(1)
}

fn snapshot_in(backup: &Backup, storage: &StorageId) -> Option<String> {
    backup.copies.iter().find(|c| c.storage == *storage && c.is_good()).and_then(|c| c.snapshot.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::suspicious::tests::{backup, good_copy};
    use mainstay_model::{
        Time,
        backup::{BackupStatus, Captured, Copy, Facts, Proof},
    };

    fn made(node: &str, storages: &[&StorageId]) -> Backup {
        let captured = Captured { began_at: Time(0), identity: "i".into(), token: "t".into(), base: None, generation: 0, kept_bytes: 0 };
        let mut made = backup(1, Facts { node: node.into(), captured: Some(captured), ..Facts::default() });
        let copy = |storage: &&StorageId| Copy { snapshot: Some(made.id.to_string()), ..good_copy(storage) };
        made.copies = storages.iter().map(copy).collect();
        made
    }

    #[test]
    fn the_newest_that_most_storages_hold() {
        let (a, b) = (StorageId::new(), StorageId::new());
        let (new, older, oldest) = (made("x-1", &[&a]), made("x-1", &[&a, &b]), made("x-1", &[&a, &b]));
        let all = [new.clone(), older.clone(), oldest];
        let both = choose(&all, &[a.clone(), b.clone()], "x-1").unwrap();
        assert_eq!((both.backup, both.snapshots.iter().flatten().count()), (older.id, 2));
        let one = choose(&all, std::slice::from_ref(&a), "x-1").unwrap();
        assert_eq!((&one.backup, one.snapshots), (&new.id, vec![Some(new.id.to_string())]));
        assert_eq!(choose(&all, &[StorageId::new()], "x-1"), None, "a storage that holds none");
        assert_eq!(choose(&all, &[a], "x-2"), None, "another node's");
    }

    #[test]
    fn what_was_taken_over_is_followed() {
        let on = |base: Option<&Backup>| {
            let mut made = made("x-1", &[]);
            made.facts.as_mut().unwrap().captured.as_mut().unwrap().base = base.map(|b| b.id.clone());
            std::thread::sleep(std::time::Duration::from_millis(2));
            made
        };
        let before = on(None);
        let bad = on(Some(&before));
        let (first, full) = (on(Some(&bad)), on(None));
        let (second, other, gone) = (on(Some(&first)), on(Some(&full)), on(Some(&first)));
        let lost = on(Some(&gone));
        let all = [&lost, &other, &second, &full, &first, &bad, &before].map(Clone::clone);
        assert_eq!(built_on(&all, &bad.id), [first.id.clone(), second.id, lost.id.clone()]);
        assert_eq!(built_on(&all, &other.id), std::slice::from_ref(&lost.id), "whose base nobody remembers, and was made later");
        assert!(built_on(&all, &lost.id).is_empty() && built_on(&all, &BackupId::new()).is_empty());
    }

    #[test]
    fn nothing_that_is_not_good() {
        let a = StorageId::new();
        let good = made("x-1", &[&a]);
        let spoil: [fn(&mut Backup); 6] = [
            |b| b.proof = Proof::Suspicious,
            |b| b.proof = Proof::None,
            |b| b.status = BackupStatus::Deleting,
            |b| b.copies[0].status = BackupStatus::Failed,
            |b| b.copies[0].verified_at = None,
            |b| b.facts.as_mut().unwrap().captured = None,
        ];
        assert!(choose(std::slice::from_ref(&good), std::slice::from_ref(&a), "x-1").is_some());
        for spoil in spoil {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert_eq!(choose(&[bad], std::slice::from_ref(&a), "x-1"), None);
        }
    }
}
