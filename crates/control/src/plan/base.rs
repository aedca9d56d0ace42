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

fn snapshot_in(backup: &Backup, storage: &StorageId) -> Option<String> {
    backup.copies.iter().find(|c| c.storage == *storage && c.is_good()).and_then(|c| c.snapshot.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::suspicious::tests::backup;
    use mainstay_model::{
        Time,
        backup::{BackupStatus, Captured, Copy, Facts, Proof},
    };

    fn made(node: &str, storages: &[&StorageId]) -> Backup {
        let captured = Captured { began_at: Time(0), identity: "i".into(), token: "t".into(), base: None, generation: 0, kept_bytes: 0 };
        let mut made = backup(1, Facts { node: node.into(), captured: Some(captured), ..Facts::default() });
        let copy = |storage: &&StorageId| Copy {
            storage: (*storage).clone(),
            storage_name: "s".into(),
            kind: "local".into(),
            status: BackupStatus::Completed,
            snapshot: Some(format!("{}", made.id)),
            added_bytes: None,
            verified_at: Some(Time(1)),
            error: None,
            tries: 0,
            tried_at: None,
            lock: None,
        };
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
