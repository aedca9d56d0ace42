//! What an instance uses, summed over its family.
//!
//! Memory is every member's private pages plus the largest part that any one shares: PostgreSQL's
//! backends all map the same buffers, and counting them once each would say several times the
//! truth. The exact figure (PSS) makes the kernel walk every page table, too dear to ask for often.

use super::{family::Family, procs};
use mainstay_drivers::runtime::Usage;
use procfs::{
    FromRead,
    process::{Io, Stat, StatM},
};

pub(crate) fn of(family: &Family) -> Usage {
    let members = family.near();
    let memory: Vec<StatM> = members.iter().filter_map(|p| StatM::from_file(format!("/proc/{}/statm", p.pid)).ok()).collect();
    let private: u64 = memory.iter().map(|m| m.resident.saturating_sub(m.shared)).sum();
    let io: Vec<_> = members.iter().map(disk).collect();
    let shared = memory.iter().map(|m| m.shared).max().unwrap_or(0);
    Usage {
        cpu_seconds: members.iter().map(ticks).sum::<u64>() as f64 / procfs::ticks_per_second().max(1) as f64,
        memory_bytes: (private + shared) * procfs::page_size(),
        open_files: members.iter().map(open_files).sum(),
        disk_read_bytes: io.iter().map(|io| io.map(|(read, _)| read)).sum(),
        disk_written_bytes: io.iter().map(|io| io.map(|(_, written)| written)).sum(),
    }
}

/// What came from the disk and what went to it, with the figures of children that were waited for, which the
/// kernel adds to their parent's. `None` where nobody may look; a member that ended meanwhile did neither.
fn disk(p: &Stat) -> Option<(u64, u64)> {
    match Io::from_file(format!("/proc/{}/io", p.pid)) {
        Ok(io) => Some((io.read_bytes, io.write_bytes.saturating_sub(io.cancelled_write_bytes))),
        Err(_) if procs::look(p.pid).is_none_or(|p| !procs::lives(&p)) => Some((0, 0)),
        Err(_) => None,
    }
}

/// With the time of children that ended and were waited for, so that the sum never falls when a
/// backend ends.
fn ticks(p: &Stat) -> u64 {
    p.utime + p.stime + p.cutime.unsigned_abs() + p.cstime.unsigned_abs()
}

/// `None` where we may not look; a member that ended meanwhile has none.
fn open_files(p: &Stat) -> Option<u64> {
    match std::fs::read_dir(format!("/proc/{}/fd", p.pid)) {
        Ok(entries) => Some(entries.count() as u64),
        Err(_) if procs::look(p.pid).is_none_or(|p| !procs::lives(&p)) => Some(0),
        Err(_) => None,
    }
}
