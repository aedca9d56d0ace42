//! The machine: processors, memory, space.

use super::{doing::Doing, owner, procs};
use mainstay_drivers::runtime::HostFacts;
use mainstay_model::{Error, Result};
use procfs::{FromRead, Meminfo};
use std::path::Path;

pub(crate) fn look(data_dir: &Path) -> Result<HostFacts> {
    let space = rustix::fs::statvfs(data_dir).doing(|| format!("could not look at the file system of {}", data_dir.display()))?;
    let memory = Meminfo::from_file("/proc/meminfo").map_err(|e| Error::failed("proc", format!("could not read /proc/meminfo: {e}")))?;
    let cpus = std::thread::available_parallelism().map_or(1, |n| n.get());
    Ok(HostFacts {
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_bytes: memory.mem_total,
        disk_total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
        disk_free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        boot_id: procs::boot_id()?,
        is_root: owner::is_root(),
    })
}
