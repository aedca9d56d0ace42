//! Work that comes after all others: nobody should feel that a backup runs.

/// The lowest there is. Linux derives the priority of reads and writes from it: the lowest of those that are
/// served at all, so that a busy disk makes a backup slow and never stops it.
pub const LAST: i32 = 19;

/// The calling thread, and every thread and process it starts from now on, comes last in line for the
/// processor and the disk, and leaves one processor to the others where there are several. There is no way
/// back without privileges: it is for threads that do nothing else. Where the system refuses, work goes on
/// as it is.
pub fn come_last() {
    let _ = rustix::process::setpriority_process(None, LAST);
    if let Ok(mut allowed) = rustix::thread::sched_getaffinity(None)
        && allowed.count() > 1
        && let Some(first) = (0..rustix::thread::CpuSet::MAX_CPU).find(|n| allowed.is_set(*n))
    {
        allowed.unset(first);
        let _ = rustix::thread::sched_setaffinity(None, &allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> (i32, u32) {
        (rustix::process::getpriority_process(None).unwrap(), rustix::thread::sched_getaffinity(None).unwrap().count())
    }

    #[test]
    fn a_thread_and_what_it_starts_come_last_and_nobody_else() {
        let before = now();
        let of_a_child = std::thread::spawn(|| {
            come_last();
            std::thread::spawn(now).join().unwrap()
        });
        assert_eq!(of_a_child.join().unwrap(), (LAST, before.1.saturating_sub(1).max(1)));
        assert_eq!(now(), before);
    }
}
