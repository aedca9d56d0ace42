//! Whether a cluster is due for a drill, of which backup, and whether there is room.

use mainstay_model::{
    Time,
    backup::{Backup, BackupStatus, Copy, Proof},
    drill::{DrillRecord, DrillResult},
};

#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// 0 makes none by itself.
    pub interval_days: i64,
    /// How old a backup is at least: who just made it may want it for himself.
    pub quiet_seconds: i64,
    /// How long after one that could not be done the next is tried.
    pub again_seconds: i64,
}

/// The newest suspicious backup where none that counts is newer: all that come after it are measured by the
/// one before it, so nothing but a drill ends the doubt. Else the newest one that counts and was left in
/// peace for a while.
pub fn candidate(now: Time, newest_first: &[Backup], rules: Rules) -> Option<&Backup> {
    let rested = |b: &&Backup| b.finished_at.is_some_and(|t| now.seconds_since(t) >= rules.quiet_seconds as f64);
    let newest = newest_first.iter().find(|b| b.is_good() || is_doubtful(b));
    newest.filter(|b| is_doubtful(b)).or_else(|| newest_first.iter().filter(|b| b.is_good()).find(rested))
}

/// Whether only a drill that passes makes it count.
pub fn is_doubtful(backup: &Backup) -> bool {
    backup.is_restorable() && backup.proof == Proof::Suspicious
}

/// Why a drill is due: a doubt, the first of all, a week since the last, another version of the engine, other
/// keys, or one that failed: until one passes nobody knows whether anything of the cluster restores.
pub fn due(now: Time, backup: &Backup, newest_first: &[DrillRecord], keys_changed: Option<Time>, rules: Rules) -> Option<&'static str> {
    if rules.interval_days <= 0 {
        return None;
    }
    if is_doubtful(backup) {
        let tried = newest_first.iter().find(|d| d.backup == backup.id && d.at <= now);
        let waits = tried.is_some_and(|d| now.seconds_since(d.at) < rules.again_seconds as f64);
        return (!waits).then_some("it is so unlike the one before that it counts only once it restores");
    }
    // What is dated later than now was dated by a clock that was wrong.
    let Some(last) = newest_first.iter().find(|d| d.at <= now) else { return Some("the first of this cluster") };
    let since = now.seconds_since(last.at);
    if keys_changed.is_some_and(|t| last.at < t && t <= now) && last.result == DrillResult::Passed {
        return Some("the keys of its repositories changed since the last one");
    }
    if since < rules.again_seconds as f64 {
        return None;
    }
    match last.result {
        DrillResult::NotDone => Some("the last one could not be done"),
        DrillResult::Failed => Some("the last one failed"),
        _ if since >= (rules.interval_days * 86_400) as f64 => Some("it is time again"),
        _ if last.engine_version != backup.engine_version => Some("the engine has another version than at the last one"),
        _ => None,
    }
}

/// Whose turn it is among the good copies of a backup: that in the storage whose copy was tried the longest ago.
pub fn turn<'a>(backup: &'a Backup, newest_first: &[DrillRecord]) -> Option<&'a Copy> {
    let last = |copy: &Copy| newest_first.iter().position(|d| d.storage.as_ref().is_some_and(|(storage, _)| *storage == copy.storage));
    // The first of those that are equal, so `min` over how recent.
    backup.copies.iter().filter(|c| c.is_good()).min_by_key(|c| last(c).map_or(0, |n| usize::MAX - n))
}

/// Why nothing of a cluster is deleted, where its newest drill that came to an end failed.
pub fn frozen(failed: &DrillRecord) -> String {
    let why = failed.reason.as_deref().unwrap_or("it did not say why");
    format!(
        "nothing of this cluster is deleted until a drill passes: the one of backup {} at {} failed ({why}); `mainstay backup drill` tries another",
        failed.backup, failed.at
    )
}

/// Whether a cluster whose drill failed needs a new backup by itself: none was made since that is good
/// or being made, and the last attempt is a while ago.
pub fn needs_another(now: Time, failed: &DrillRecord, newest_first: &[Backup]) -> bool {
    const AGAIN_SECONDS: f64 = 3600.0;
    let mut since = newest_first.iter().take_while(|b| b.created_at >= failed.at);
    since.all(|b| b.status != BackupStatus::Running && !b.is_good() && now.seconds_since(b.created_at) >= AGAIN_SECONDS)
}

/// Space that a drill leaves free on the host.
const SPARE: u64 = 512 << 20;

/// `None` where there is room for the data once more; else a sentence that says so, and how long ago
/// a drill last passed.
pub fn no_room(now: Time, backup: &Backup, free: u64, newest_first: &[DrillRecord]) -> Option<String> {
    let data = backup.data_bytes.unwrap_or_default();
    let needed = data.saturating_add(data / 10).saturating_add(SPARE);
    if free >= needed {
        return None;
    }
    let passed = newest_first.iter().find(|d| d.result == DrillResult::Passed && d.at <= now);
    let age = passed.map_or("no drill of this cluster has passed yet".into(), |d| {
        format!("the last drill that passed was {} days ago", now.seconds_since(d.at) as i64 / 86_400)
    });
    Some(format!("no room on the host: {needed} bytes are needed and {free} are free; {age}"))
}
