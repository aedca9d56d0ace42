//! A process held by a pidfd: the kernel says at once when it ends, and a signal sent through it
//! can never reach a stranger who was given the same pid.

use super::{doing::Doing, procs, record::Main};
use mainstay_model::{Error, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid},
};
use std::{
    fmt,
    os::fd::{AsFd, OwnedFd},
    sync::OnceLock,
};
use tokio::io::{Interest, unix::AsyncFd};

pub(crate) struct Held {
    pub main: Main,
    fd: AsyncFd<OwnedFd>,
    exit: OnceLock<Exit>,
    oom_kills: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal {
        number: i32,
        /// The kernel killed somebody for want of memory while this process lived.
        oom: bool,
    },
    /// It was not our child; its parent got the status.
    Unseen,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "ended by itself with exit code {code}"),
            Exit::Signal { number: 9, oom: true } => {
                f.write_str("was killed (signal 9), by the kernel because memory ran out (OOM) as far as can be told")
            }
            Exit::Signal { number, .. } => write!(f, "was ended by signal {number}"),
            Exit::Unseen => f.write_str("ended by itself; its exit code went to another process"),
        }
    }
}

/// A pidfd of exactly this process, or `None` when it is gone or its pid is another's now. The
/// start time is compared after the pidfd was opened, so nothing can slip in between.
pub(crate) fn open(main: &Main) -> Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(main.pid) else { return Ok(None) };
    let fd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
        Err(Errno::NOSYS) => return Err(Error::failed("old_kernel", "this kernel has no pidfd_open; Mainstay needs Linux 5.3 or newer")),
        Err(e) => return Err(e).doing(|| format!("could not watch process {}", main.pid)),
    };
    let same = procs::look(main.pid).is_some_and(|stat| procs::is(&stat, main));
    Ok(same.then_some(fd))
}

/// Kills one process if it is still the one meant.
pub(crate) fn kill(main: &Main) {
    if let Ok(Some(fd)) = open(main) {
        let _ = pidfd_send_signal(fd, Signal::KILL); // gone meanwhile, or not ours to kill: the next look tells
    }
}

impl Held {
    /// Must be called within a Tokio runtime. `None` as in [`open`]. What is already over is held
    /// all the same as long as it is not reaped.
    pub fn new(main: &Main) -> Result<Option<Held>> {
        let Some(fd) = open(main)? else { return Ok(None) };
        #[allow(deprecated, reason = "its successor is unsafe for types whose descriptor may change; an OwnedFd's cannot")]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE).doing(|| format!("could not watch process {}", main.pid))?;
        Ok(Some(Held { main: main.clone(), fd, exit: OnceLock::new(), oom_kills: procs::oom_kills() }))
    }

    pub fn is_over(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.get_ref(), PollFlags::IN)];
        self.exit.get().is_some() || matches!(poll(&mut fds, Some(&Timespec::default())), Ok(n) if n > 0)
    }

    pub async fn over(&self) {
        while !self.is_over() {
            match self.fd.readable().await {
                Ok(mut guard) if !self.is_over() => guard.clear_ready(),
                Ok(_) => return,
                // Only when the Tokio runtime is going down, and we with it.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// One that is over already is told nothing.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match pidfd_send_signal(self.fd.get_ref(), signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(e) => Err(e).doing(|| format!("could not signal process {}", self.main.pid)),
        }
    }

    /// How it ended, taking the zombie off the kernel's list where we are the parent. Only for
    /// what is over.
    pub fn reap(&self) -> Exit {
        *self.exit.get_or_init(|| {
            let status = waitid(WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            let Ok(Some(status)) = status else { return Exit::Unseen };
            match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (_, Some(number)) => Exit::Signal { number, oom: procs::oom_kills() > self.oom_kills },
                _ => Exit::Unseen,
            }
        })
    }
}
