//! Whether a storage has room for a backup, looked at before the engine is asked for anything: a backup that
//! fills its storage half way has cost the database's readers their time and leaves the storage full for all.
//!
//! What a backup will add is a guess. It is meant to be low rather than high: a storage that turns out to be
//! too small is noticed when it refuses a write, and one that was refused wrongly would be without backups.

use mainstay_model::{Error, Kind};

/// What has to be free whatever is expected: the repository's own records, and what others write meanwhile.
const FLOOR: u64 = 64 << 20;

/// `expected` is what earlier backups there let one expect, `data` the size of what will be read. Of the first
/// backup half of the data, for it is compressed; where files are kept by sharing their blocks, nothing.
pub(crate) fn needed(expected: Option<u64>, data: u64, keeps_files: bool) -> u64 {
    let first = if keeps_files { 0 } else { data / 2 };
    expected.unwrap_or(first).saturating_add(FLOOR)
}

pub(crate) fn full(storage: &str, free: u64, needed: u64) -> Error {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let sentence = format!(
        "storage {storage} has {} MiB free, and about {} MiB are needed: nothing was written there; delete backups there, \
         make it larger, or choose another storage",
        free >> 20,
        mib(needed)
    );
    Error::new(Kind::NoSpace, "no_room", sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backup_needs() {
        const MIB: u64 = 1 << 20;
        for (expected, data, keeps_files, wanted) in [
            (None, 0, false, 64),
            (None, 1000, false, 564),
            (None, 1000, true, 64),
            (Some(0), 1000, false, 64),
            (Some(10), 1000, false, 74),
            (Some(10), 1000, true, 74),
        ] {
            assert_eq!(needed(expected.map(|n| n * MIB), data * MIB, keeps_files), wanted * MIB, "{expected:?} {data} {keeps_files}");
        }
        assert_eq!(needed(Some(u64::MAX), 0, false), u64::MAX);
    }

    #[test]
    fn it_says_which_storage_what_it_has_and_what_to_do() {
        let e = full("cloud", 10 << 20, (70 << 20) + 1);
        assert!(!e.is_transient() && e.kind == Kind::NoSpace);
        assert!(e.message.starts_with("storage cloud has 10 MiB free, and about 71 MiB are needed"), "{}", e.message);
    }
}
