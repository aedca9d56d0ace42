//! `mainstay down`: stops `up`, and with `--engines` every database and the gateway as well. What
//! was wanted running stays wanted: the next `up` starts it.

use super::{data_dir, up};
use crate::output::note;
use mainstay_drivers::runtime::{Instance, InstanceState, StopMode};
use mainstay_model::{Error, Result};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::{path::Path, time::Duration};

const PATIENCE: Duration = Duration::from_secs(20);

pub async fn run(data_dir: &Path, engines: bool) -> Result<()> {
    if !data_dir.join("agent").exists() {
        return Err(Error::not_found("data directory", &data_dir.to_string_lossy()));
    }
    let data_dir = data_dir.canonicalize()?;
    match data_dir::holder(&data_dir) {
        Some(pid) => stop_up(&data_dir, pid).await?,
        None => note(format!("mainstay up is not running on {}", data_dir.display())),
    }
    if !engines {
        note(format!("databases and their endpoints go on; `mainstay down --engines --data-dir {}` stops them", data_dir.display()));
        return Ok(());
    }
    let stopped = stop_engines(&data_dir).await?;
    let plural = if stopped.engines == 1 { "" } else { "s" };
    note(format!("{} engine{plural} and the gateway stopped; the next `mainstay up` starts them again", stopped.engines));
    Ok(())
}

/// The pid comes from a lock that is held right now, so it is no stranger's.
async fn stop_up(data_dir: &Path, pid: i32) -> Result<()> {
    let target = Pid::from_raw(pid).ok_or_else(|| Error::internal("a lock without a pid"))?;
    kill_process(target, Signal::TERM).map_err(|e| Error::forbidden(format!("process {pid} cannot be stopped: {e}")))?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while data_dir::holder(data_dir) == Some(pid) && test_kill_process(target).is_ok() {
        if tokio::time::Instant::now() > deadline {
            return Err(Error::timed_out(format!("process {pid} has not stopped after {} s", PATIENCE.as_secs())));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    note(format!("mainstay up (process {pid}) stopped"));
    Ok(())
}

/// What ran and does no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    pub engines: usize,
    pub gateways: usize,
}

/// Engines first, all at once; the gateway last, so that clients see their database end and not
/// only their connection.
pub async fn stop_engines(data_dir: &Path) -> Result<Stopped> {
    let _lock = data_dir::Lock::take(data_dir)?;
    let runtime = up::open_runtime(data_dir)?;
    let all = runtime.list().await?;
    let (gateways, engines): (Vec<_>, Vec<_>) = all.iter().partition(|i| i.id.0 == "gateway");
    futures::future::try_join_all(engines.iter().map(|i| runtime.stop(&i.id, StopMode::Graceful))).await?;
    futures::future::try_join_all(gateways.iter().map(|i| runtime.stop(&i.id, StopMode::Graceful))).await?;
    let running = |list: &[&Instance]| list.iter().filter(|i| i.state == InstanceState::Running).count();
    Ok(Stopped { engines: running(&engines), gateways: running(&gateways) })
}
