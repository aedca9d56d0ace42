//! Whether a cluster is due for a drill, of which backup, and whether there is room.

use mainstay_model::{
    Time,
    backup::Backup,
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

/// The newest backup that counts and was left in peace for a while.
pub fn candidate(now: Time, newest_first: &[Backup], rules: Rules) -> Option<&Backup> {
    let rested = |b: &&Backup| b.finished_at.is_some_and(|t| now.seconds_since(t) >= rules.quiet_seconds as f64);
    newest_first.iter().filter(|b| b.is_good()).find(rested)
}

/// Why a drill is due: the first of all, a week since the last, or another version of the engine.
pub fn due(now: Time, backup: &Backup, newest_first: &[DrillRecord], rules: Rules) -> Option<&'static str> {
    if rules.interval_days <= 0 {
        return None;
    }
    // What is dated later than now was dated by a clock that was wrong.
    let Some(last) = newest_first.iter().find(|d| d.at <= now) else { return Some("the first of this cluster") };
    let since = now.seconds_since(last.at);
    if since < rules.again_seconds as f64 {
        return None;
    }
    match last.result {
        DrillResult::NotDone => Some("the last one could not be done"),
        _ if since >= (rules.interval_days * 86_400) as f64 => Some("it is time again"),
        _ if last.engine_version != backup.engine_version => Some("the engine has another version than at the last one"),
        _ => None,
    }
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
