//! Log files: their last lines, and keeping them small.
//!
//! The engine holds its log open for as long as it runs and knows nothing of us, so a log cannot be
//! renamed away: its end is copied aside and the file is cut to nothing. Lines written between
//! the two are lost; that is the price of an output that no pipe of ours can block.

use super::{
    doing::{Doing, blocking},
    files,
    instances::Core,
    owner::Owner,
};
use mainstay_model::Result;
use rustix::fs::{self as rfs, AtFlags, OFlags};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::fd::{AsFd, OwnedFd},
    os::unix::fs::FileExt,
    path::Path,
    sync::Weak,
};

/// However long the lines are, no more than this is read.
const MOST_BYTES: u64 = 1 << 20;
const BLOCK: u64 = 64 << 10;

/// The last lines, reaching back into the file rotated away last where the current one is short.
pub(crate) fn tail(path: &Path, lines: usize) -> Result<Vec<String>> {
    let (dir, name) = files::place(path)?;
    let read = |name: &OsStr, lines: usize| match files::open_plain(&dir, name, OFlags::RDONLY)? {
        Some(file) => last_lines(&file, lines),
        None => Ok(vec![]),
    };
    let both = || {
        let newer = read(name, lines)?;
        let mut all = read(&older(name, 1), lines - newer.len())?;
        all.extend(newer);
        io::Result::Ok(all)
    };
    both().doing(|| format!("could not read the log file {}", path.display()))
}

/// Reads backwards, block by block, until enough lines are in hand.
fn last_lines(file: &File, lines: usize) -> io::Result<Vec<String>> {
    if lines == 0 {
        return Ok(vec![]);
    }
    let end = file.metadata()?.len();
    let (mut from, mut bytes) = (end, Vec::new());
    let enough = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count() > lines;
    while from > 0 && end - from < MOST_BYTES && !enough(&bytes) {
        let length = BLOCK.min(from);
        from -= length;
        let mut block = vec![0; length as usize];
        let read = read_at(file, &mut block, from)?;
        block.truncate(read);
        block.append(&mut bytes);
        bytes = block;
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
    Ok(all.split_off(all.len().saturating_sub(lines)))
}

/// A file that was cut while being read is shorter than it was, not an error.
fn read_at(file: &File, block: &mut [u8], from: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < block.len() {
        match file.read_at(&mut block[got..], from + got as u64)? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

fn older(name: &OsStr, age: u32) -> OsString {
    let mut older = name.to_owned();
    older.push(format!(".{age}"));
    older
}

/// Keeps the logs of all known instances small for as long as their runtime lives.
pub(crate) async fn keep_small(core: Weak<Core>) {
    loop {
        let Some(options) = core.upgrade().map(|core| core.options.clone()) else { return };
        tokio::time::sleep(options.rotate_every).await;
        let Some(logs) = core.upgrade().map(|core| core.logs()) else { return };
        for (path, owner) in logs {
            let rotated = blocking(move || rotate(&path, options.log_bytes, owner.as_ref())).await;
            if let Err(e) = rotated {
                tracing::warn!("a log file grows on: {e}");
            }
        }
    }
}

/// Moves a log that has grown over `limit` bytes aside, keeping two old ones of that size.
pub(crate) fn rotate(path: &Path, limit: u64, owner: Option<&Owner>) -> Result<()> {
    let (dir, name) = files::place(path)?;
    let work = || {
        let Some(log) = files::open_plain(&dir, name, OFlags::RDWR)? else { return Ok(()) };
        if log.metadata()?.len() <= limit { Ok(()) } else { move_aside(&dir, name, &log, limit, owner) }
    };
    work().doing(|| format!("could not rotate {}", path.display()))
}

fn move_aside(dir: &OwnedFd, name: &OsStr, log: &File, limit: u64, owner: Option<&Owner>) -> io::Result<()> {
    let beside = files::beside(name);
    let copied = copy_end(dir, &beside, log, limit, owner);
    if copied.is_err() {
        let _ = rfs::unlinkat(dir, &beside, AtFlags::empty()); // the first error is the one to tell
        return copied;
    }
    match rfs::renameat(dir, older(name, 1), dir, older(name, 2)) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(e) => return Err(e.into()),
    }
    rfs::renameat(dir, &beside, dir, older(name, 1))?;
    log.set_len(0)
}

fn copy_end(dir: &OwnedFd, beside: &OsStr, mut log: &File, limit: u64, owner: Option<&Owner>) -> io::Result<()> {
    let mut copy = files::create(dir, beside)?;
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
    // Twice the limit at most: a log that grows faster than it is copied must not keep us here.
    io::copy(&mut log.take(limit.saturating_mul(2)), &mut copy)?;
    files::give(copy.as_fd(), 0o600, owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, io::Write};

    #[test]
    fn the_last_lines_come_in_order_and_reach_into_the_older_file() {
        let dir = tempfile::tempdir().expect("dir");
        let log = dir.path().join("x.log");
        assert!(tail(&log, 5).expect("absent").is_empty());
        fs::write(&log, "d\ne\nf").expect("write");
        fs::write(dir.path().join("x.log.1"), "a\nb\nc\n").expect("write");
        assert_eq!(tail(&log, 2).expect("tail"), ["e", "f"]);
        assert_eq!(tail(&log, 5).expect("tail"), ["b", "c", "d", "e", "f"]);
        assert_eq!(tail(&log, 50).expect("tail").len(), 6);
        assert!(tail(&log, 0).expect("tail").is_empty());
    }

    #[test]
    fn a_huge_line_is_bounded_and_broken_text_is_shown() {
        let dir = tempfile::tempdir().expect("dir");
        let log = dir.path().join("x.log");
        fs::write(&log, vec![0xff; 3 << 20]).expect("write");
        let lines = tail(&log, 10).expect("tail");
        assert!(lines.iter().map(|l| l.chars().count() as u64).sum::<u64>() <= MOST_BYTES);
        let many: String = (0..100_000).map(|i| format!("line {i}\n")).collect();
        fs::write(&log, many).expect("write");
        let lines = tail(&log, 20_000).expect("tail");
        assert_eq!((lines.len(), lines[0].as_str(), lines[19_999].as_str()), (20_000, "line 80000", "line 99999"));
    }

    #[test]
    fn a_grown_log_is_moved_aside_under_its_writer() {
        let dir = tempfile::tempdir().expect("dir");
        let log = dir.path().join("x.log");
        let mut writer = files::append(&log, None).expect("open");
        for round in 0..4 {
            writer.write_all(format!("{round}").repeat(150).as_bytes()).expect("write");
            rotate(&log, 100, None).expect("rotate");
            assert_eq!(fs::metadata(&log).expect("log").len(), 0);
        }
        writer.write_all(b"now").expect("write");
        rotate(&log, 100, None).expect("rotate");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("read");
        assert_eq!((read("x.log"), read("x.log.1"), read("x.log.2")), ("now".into(), "3".repeat(100), "2".repeat(100)));
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 3);
    }
}
