//! What a storage holds against what the catalogue says it holds.

use mainstay_model::BackupId;
use std::collections::BTreeSet;

/// A snapshot's id and the backup it is of.
pub type Held = (String, BackupId);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// In the storage, of a backup nobody knows.
    pub unknown: Vec<String>,
    /// In the catalogue, and gone from the storage.
    pub missing: Vec<BackupId>,
}

impl Drift {
    pub fn is_none(&self) -> bool {
        self.unknown.is_empty() && self.missing.is_empty()
    }
}

/// `expected` was read before the storage was asked and `known` after it: what is published or deleted
/// in between is neither missing nor unknown.
pub fn drift(expected: &[Held], found: &[Held], known: &BTreeSet<BackupId>) -> Drift {
    let there: BTreeSet<&str> = found.iter().map(|(snapshot, _)| snapshot.as_str()).collect();
    let unknown = found.iter().filter(|(_, backup)| !known.contains(backup)).map(|(snapshot, _)| snapshot.clone());
    let missing = expected.iter().filter(|(snapshot, backup)| !there.contains(snapshot.as_str()) && known.contains(backup));
    Drift { unknown: unknown.collect(), missing: missing.map(|(_, backup)| backup.clone()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_and_neither() {
        let (a, b, c) = (BackupId::new(), BackupId::new(), BackupId::new());
        let held = |snapshot: &str, backup: &BackupId| (snapshot.to_string(), backup.clone());
        let known = BTreeSet::from([a.clone(), b.clone()]);
        let expected = [held("1", &a), held("2", &b)];
        let found = [held("1", &a), held("3", &c)];
        assert_eq!(drift(&expected, &found, &known), Drift { unknown: vec!["3".into()], missing: vec![b.clone()] });
        assert!(drift(&expected, &expected, &known).is_none());
        // Deleted by hand while the storage was asked, and published after it was read.
        assert!(drift(&[held("9", &c)], &[], &known).is_none());
        assert!(drift(&[], &[held("2", &b)], &known).is_none());
    }
}
