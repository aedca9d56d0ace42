//! What is looked at before a backup is begun: how much it is expected to add to a storage, and whether the clock
//! may be believed.

use mainstay_model::{Error, Result, StorageId, Time, backup::Backup};

/// How far behind the newest backup the clock may be: further than hosts that are kept by NTP ever are.
const BEHIND_SECONDS: f64 = 300.0;

/// Bytes, by what earlier ones of the cluster added there; `None` for the first. A half more than the last one
/// took; and where that was the first there, which brought everything, a tenth of it.
pub fn expected(newest_first: &[Backup], storage: &StorageId) -> Option<u64> {
    let copies = newest_first.iter().flat_map(|b| &b.copies).filter(|c| c.storage == *storage && c.is_good());
    let mut added = copies.filter_map(|c| c.added_bytes);
    let last = added.next()?;
    Some(match added.next() {
        Some(_) => last.saturating_add(last / 2),
        None => last / 10,
    })
}

/// A backup that is dated before an older one would be the first to expire, would be passed over by restores of
/// "the newest", and would hide that backups are overdue. So none is made by a clock that says it is earlier
/// than the newest good one was finished.
pub fn clock_is_sane(now: Time, newest: Option<&Backup>) -> Result<()> {
    let Some((newest, finished)) = newest.and_then(|b| Some((b, b.finished_at?))) else { return Ok(()) };
    if finished.seconds_since(now) <= BEHIND_SECONDS {
        return Ok(());
    }
    let sentence = format!(
        "this host's clock says {now}, but backup {} of this cluster was finished at {finished}: set the clock (by NTP) and make the \
         backup again; if it is that backup's time that is wrong, delete it",
        newest.id
    );
    Err(Error::failed("clock_behind", sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::suspicious::tests::{backup, good_copy};
    use mainstay_model::backup::{BackupStatus, Copy, Facts};

    fn stored(copies: &[(&StorageId, Option<u64>, BackupStatus)]) -> Backup {
        let mut made = backup(1, Facts::default());
        let copy = |(storage, added_bytes, status): &(&StorageId, Option<u64>, BackupStatus)| Copy {
            status: *status,
            added_bytes: *added_bytes,
            ..good_copy(storage)
        };
        made.copies = copies.iter().map(copy).collect();
        made
    }

    #[test]
    fn by_what_earlier_ones_added() {
        use BackupStatus::{Completed, Failed};
        let (a, b) = (StorageId::new(), StorageId::new());
        let first = stored(&[(&a, Some(1000), Completed), (&b, Some(900), Completed)]);
        let second = stored(&[(&a, Some(40), Completed), (&b, None, Failed)]);
        let all = [second.clone(), first.clone()];
        assert_eq!((expected(&[], &a), expected(&all, &StorageId::new())), (None, None));
        assert_eq!(expected(std::slice::from_ref(&first), &a), Some(100), "the first brought everything");
        assert_eq!(expected(&all, &a), Some(60));
        assert_eq!(expected(&all, &b), Some(90), "what failed there says nothing");
        let huge = stored(&[(&a, Some(u64::MAX), Completed)]);
        assert_eq!(expected(&[huge, second], &a), Some(u64::MAX));
    }

    #[test]
    fn a_clock_behind_the_newest_backup_is_not_believed() {
        let mut newest = backup(1, Facts::default());
        let finished = Time::parse("2026-11-30T12:00:00Z").unwrap();
        newest.finished_at = Some(finished);
        for (seconds, sane) in [(3600, true), (0, true), (-299, true), (-300, true), (-301, false), (-86_400, false)] {
            let now = finished.plus_seconds(seconds);
            let verdict = clock_is_sane(now, Some(&newest));
            assert_eq!(verdict.is_ok(), sane, "{seconds}");
            if let Err(e) = verdict {
                let told = [now.to_string(), finished.to_string(), newest.id.to_string()].iter().all(|word| e.message.contains(word));
                assert!(told && !e.is_transient(), "{e:?}");
            }
        }
        newest.finished_at = None;
        assert!(clock_is_sane(Time(0), Some(&newest)).is_ok() && clock_is_sane(Time(0), None).is_ok());
    }
}
