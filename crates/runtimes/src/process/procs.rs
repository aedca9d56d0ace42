//! What `/proc` says: who lives, since when, and who belongs to whom.

use super::{doing::Doing, record::Main};
use mainstay_drivers::background::LAST;
use mainstay_model::{Result, Time};
use procfs::{FromRead, process::Stat};
use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// One process, also when it is a zombie.
pub(crate) fn look(pid: i32) -> Option<Stat> {
    Stat::from_file(format!("/proc/{pid}/stat")).ok()
}

pub(crate) fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return vec![] };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

/// Neither a zombie nor being buried.
pub(crate) fn lives(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X' | 'x')
}

pub(crate) fn is(stat: &Stat, main: &Main) -> bool {
    stat.pid == main.pid && stat.starttime == main.start_ticks
}

/// Changes with every start of the machine; pids and start times mean nothing across it.
pub(crate) fn boot_id() -> Result<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").doing(|| "could not read the machine's boot id")?;
    Ok(text.trim().into())
}

/// How long ago a process with this start time was started; no clock of the wall in it.
pub(crate) fn age(start_ticks: u64) -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32);
    let per_second = procfs::ticks_per_second().max(1);
    now.saturating_sub(Duration::from_millis(start_ticks.saturating_mul(1000) / per_second))
}

/// Whether it has another network than we have. One that nobody may look at is taken for one that has ours.
pub(crate) fn is_offline(pid: i32) -> bool {
    let network = |of: &str| fs::read_link(format!("/proc/{of}/ns/net")).ok();
    network(&pid.to_string()).is_some_and(|its| network("self").is_some_and(|ours| ours != its))
}

/// Puts a process, and what it starts from now on, behind all others: in its own session nice values mean
/// nothing to other sessions where the kernel groups by session, so the session is told as well. That
/// something of it is not allowed here costs speed elsewhere, and is no reason not to run.
pub(crate) fn put_behind(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _ = rustix::process::setpriority_process(Some(pid), LAST);
    }
    // A tenth of what other sessions have: with the very last place nothing would move on a busy machine, and
    // what does not move is taken to hang.
    for (file, value) in [("autogroup", "10"), ("oom_score_adj", "1000")] {
        let _ = fs::write(format!("/proc/{pid}/{file}"), value);
    }
}

/// How often the kernel has killed for want of memory since it was started.
pub(crate) fn oom_kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_is_young() {
        let me = look(std::process::id().cast_signed()).expect("our own stat");
        assert!(lives(&me));
        assert!(age(me.starttime) < Duration::from_secs(3600));
        assert!(all().iter().any(|p| p.pid == me.pid));
        assert_eq!(boot_id().expect("boot id").len(), 36);
    }
}
