//! All processes of one instance or tool: the main one and whatever came of it, near or far.
//!
//! While the main process exists, be it as a zombie, its pid cannot be given away, so its session,
//! its group and its descendants are its family. Once it is gone the number proves nothing any
//! more, and only the mark does; the session is believed where marks are hidden from us and no
//! process has taken the number.

use super::{
    doing::blocking,
    held,
    mark::{Mark, Sight},
    procs,
    record::Main,
};
use mainstay_model::{Error, Result};
use procfs::process::Stat;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

#[derive(Debug, Clone)]
pub(crate) struct Family {
    pub mark: Mark,
    pub main: Option<Main>,
}

impl Family {
    /// Every living member, the main process first.
    pub fn members(&self) -> Vec<Main> {
        let all = procs::all();
        let near = self.near_in(&all);
        let leader = self.main.as_ref().map_or(0, |m| m.pid);
        let number_is_free = !all.iter().any(|p| p.pid == leader);
        let belongs = |p: &&Stat| {
            near.contains(&p.pid)
                || match self.mark.on(p.pid) {
                    Sight::Marked => true,
                    Sight::Unmarked => false,
                    Sight::Hidden => number_is_free && leader > 0 && (p.session == leader || p.pgrp == leader),
                }
        };
        let mut members: Vec<_> = all.iter().filter(|p| self.may_belong(p)).filter(belongs).map(Main::of).collect();
        members.sort_by_key(|m| (m.pid != leader, m.start_ticks));
        members
    }

    /// The members that can be told from the process table alone, while the main process lives:
    /// cheap enough to be asked every few seconds.
    pub fn near(&self) -> Vec<Stat> {
        let all = procs::all();
        let near = self.near_in(&all);
        all.into_iter().filter(|p| near.contains(&p.pid) && self.may_belong(p)).collect()
    }

    /// Ourselves and the machine's first process are nobody's family, nor is who was there before.
    fn may_belong(&self, p: &Stat) -> bool {
        let since = self.main.as_ref().map_or(0, |m| m.start_ticks);
        procs::lives(p) && p.pid > 1 && p.pid != std::process::id().cast_signed() && p.starttime >= since
    }

    fn near_in(&self, all: &[Stat]) -> BTreeSet<i32> {
        let Some(main) = self.main.as_ref().filter(|main| all.iter().any(|p| procs::is(p, main))) else { return BTreeSet::new() };
        let mut near: BTreeSet<i32> =
            all.iter().filter(|p| p.pid == main.pid || p.session == main.pid || p.pgrp == main.pid).map(|p| p.pid).collect();
        loop {
            let children: Vec<i32> = all.iter().filter(|p| near.contains(&p.ppid) && !near.contains(&p.pid)).map(|p| p.pid).collect();
            if children.is_empty() {
                return near;
            }
            near.extend(children);
        }
    }

    /// Kills until nobody is left. Members may fork while they are being killed, hence the loop.
    pub async fn end(&self, within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        let mut pause = Duration::from_millis(2);
        loop {
            let family = self.clone();
            let members = blocking(move || {
                let members = family.members();
                members.iter().for_each(held::kill);
                Ok(members)
            })
            .await?;
            if members.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(unkillable(&members));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

fn unkillable(members: &[Main]) -> Error {
    let pids: Vec<String> = members.iter().take(8).map(|m| m.pid.to_string()).collect();
    Error::timed_out(format!(
        "process {} did not go away after being killed; it is frozen or waits for a disk that does not answer: look at /proc/{}/stack",
        pids.join(", "),
        pids[0]
    ))
}
