//! Files written whole or not at all, in places that others may write to as well.
//!
//! A node's directory belongs to its engine's user, and we may be root. So no path is handed to the
//! kernel whole: directories are entered one by one, and a symbolic link is followed only inside
//! a directory that nobody but root and us can change. An engine's user who plants a link gets
//! nothing written or owned through it. Work then happens relative to the directory that was
//! reached, which nobody can swap any more.

use super::{doing::Doing, owner::Owner};
use mainstay_model::{Error, Result};
use rustix::{
    fs::{self as rfs, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
    process::{Gid, Uid, geteuid},
};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

const ENTER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Replaces `path` by a file of this content: beside it, to disk, renamed over it. What was there,
/// a link included, is replaced and never written through.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32, owner: Option<&Owner>) -> Result<()> {
    let (dir, name) = place(path)?;
    let beside = beside(name);
    let done = fill(&dir, &beside, content, mode, owner).and_then(|()| rfs::renameat(&dir, &beside, &dir, name).map_err(io::Error::from));
    if done.is_err() {
        let _ = rfs::unlinkat(&dir, &beside, AtFlags::empty()); // the first error is the one to tell
    }
    done.and_then(|()| Ok(rfs::fsync(&dir)?)).doing(|| format!("could not write {}", path.display()))
}

fn fill(dir: &OwnedFd, name: &OsStr, content: &[u8], mode: u32, owner: Option<&Owner>) -> io::Result<()> {
    let mut file = create(dir, name)?;
    file.write_all(content)?;
    give(file.as_fd(), mode, owner)?;
    file.sync_all()
}

/// A new file that only we can read until it is given away.
pub(crate) fn create(dir: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rfs::openat(dir, name, flags, Mode::from_raw_mode(0o600))?.into())
}

/// A name for a file on its way to being `name`.
pub(crate) fn beside(name: &OsStr) -> OsString {
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{:016x}", rand::random::<u64>()));
    beside
}

pub(crate) fn give(fd: BorrowedFd<'_>, mode: u32, owner: Option<&Owner>) -> io::Result<()> {
    if let Some(owner) = owner {
        rfs::fchown(fd, Some(Uid::from_raw(owner.uid)), Some(Gid::from_raw(owner.gid)))?;
    }
    Ok(rfs::fchmod(fd, Mode::from_raw_mode(mode & 0o7777))?)
}

/// Removes a file. Absent is done.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let (dir, name) = place(path)?;
    match rfs::unlinkat(&dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => rfs::fsync(&dir).doing(|| format!("could not remove {}", path.display())),
        Err(e) => Err(e).doing(|| format!("could not remove {}", path.display())),
    }
}

/// An ordinary file by one name only, as whatever `flags` say, or `None` if there is none.
pub(crate) fn open_plain(dir: &OwnedFd, name: &OsStr, flags: OFlags) -> io::Result<Option<File>> {
    // Without NONBLOCK a planted FIFO would hold us for ever; an ordinary file does not care.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rfs::openat(dir, name, flags, Mode::from_raw_mode(0o600)) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let stat = rfs::fstat(&file)?;
    let plain = FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_nlink == 1;
    plain.then(|| Some(file.into())).ok_or_else(|| io::Error::other("it is no ordinary file of one name"))
}

/// The log file, opened so that every write goes to its end, also after it was truncated.
pub(crate) fn append(path: &Path, owner: Option<&Owner>) -> Result<File> {
    let (dir, name) = place(path)?;
    let open = || {
        let file = open_plain(&dir, name, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE)?.ok_or(Errno::NOENT)?;
        give(file.as_fd(), 0o600, owner)?;
        io::Result::Ok(file)
    };
    open().doing(|| format!("could not open the log file {}", path.display()))
}

/// The directory of `path`, reached safely, and its last name.
pub(crate) fn place(path: &Path) -> Result<(OwnedFd, &OsStr)> {
    let parts = path.parent().zip(path.file_name());
    let (parent, name) = parts.ok_or_else(|| Error::invalid("path", format!("{} names no file", path.display())))?;
    Ok((open_dir(parent)?, name))
}

fn open_dir(path: &Path) -> Result<OwnedFd> {
    let walk = || {
        let mut at = root()?;
        for name in names(path)? {
            at = enter(&at, name)?;
        }
        io::Result::Ok(rfs::openat(&at, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    };
    walk().doing(|| format!("could not open the directory {}", path.display()))
}

/// Makes `path` a directory with this mode and owner. A missing parent goes to `owner` if the
/// directory it is made in is theirs; else it stays ours and lets others pass but not look
/// around, so that the first engine does not lock out the second.
pub(crate) fn put_dir(path: &Path, mode: u32, owner: Option<&Owner>) -> Result<()> {
    let names = names(path).doing(|| format!("could not make the directory {}", path.display()))?;
    let mut at = root().doing(|| "could not open /")?;
    let mut here = PathBuf::from("/");
    for (i, name) in names.iter().enumerate() {
        let last = i + 1 == names.len();
        passable(&at, &here, owner)?;
        here.push(name);
        at = descend(&at, name, last.then_some(mode), owner).doing(|| format!("could not make the directory {}", here.display()))?;
    }
    Ok(())
}

/// One step down, making what is missing. `mode` is given for the directory wanted, not for those
/// on the way.
fn descend(at: &OwnedFd, name: &OsStr, mode: Option<u32>, owner: Option<&Owner>) -> io::Result<OwnedFd> {
    let made = match rfs::mkdirat(at, name, Mode::from_raw_mode(0o700)) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        // A read-only or foreign directory on the way: what matters is whether one can enter.
        Err(e) => return enter(at, name).map_err(|_| e.into()),
    };
    let dir = enter(at, name)?;
    let theirs = owner.filter(|o| mode.is_some() || rfs::fstat(at).is_ok_and(|s| s.st_uid == o.uid));
    if mode.is_some() || made {
        let opened = rfs::openat(&dir, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        give(opened.as_fd(), mode.unwrap_or(0o711), theirs)?;
    }
    if made {
        rfs::fsync(rfs::openat(at, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)?;
    }
    Ok(dir)
}

/// Says before anything is built below it that the user would never get there.
fn passable(dir: &OwnedFd, path: &Path, owner: Option<&Owner>) -> Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let stat = rfs::fstat(dir).doing(|| format!("could not look at {}", path.display()))?;
    if may_enter(&stat, owner) {
        return Ok(());
    }
    let sentence = format!(
        "the user \"{}\" cannot enter {1}, so nothing below it can be theirs; run: chmod o+x {1}  (or choose another data directory)",
        owner.name,
        path.display()
    );
    Err(Error::failed("parent_not_enterable", sentence))
}

fn may_enter(stat: &Stat, owner: &Owner) -> bool {
    let bit = match () {
        () if owner.uid == 0 => return true,
        () if stat.st_uid == owner.uid => 0o100,
        () if stat.st_gid == owner.gid => 0o010,
        () => 0o001,
    };
    stat.st_mode & bit != 0
}

fn root() -> io::Result<OwnedFd> {
    Ok(rfs::open("/", ENTER, Mode::empty())?)
}

fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut components = path.components();
    let name = |c| match c {
        Component::Normal(name) => Ok(name),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the path holds \"..\"")),
    };
    match components.next() {
        Some(Component::RootDir) => components.map(name).collect(),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute")),
    }
}

fn enter(at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    match rfs::openat(at, name, ENTER | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::LOOP | Errno::NOTDIR) if trusted_link(at, name)? => Ok(rfs::openat(at, name, ENTER, Mode::empty())?),
        other => Ok(other?),
    }
}

/// A link that root or we made, where nobody else could have put it or can replace it.
fn trusted_link(at: &OwnedFd, name: &OsStr) -> io::Result<bool> {
    let link = rfs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let dir = rfs::fstat(at)?;
    let ours = |stat: &Stat| stat.st_uid == 0 || stat.st_uid == geteuid().as_raw();
    let guarded = dir.st_mode & 0o022 == 0 || dir.st_mode & 0o1000 != 0;
    Ok(FileType::from_raw_mode(link.st_mode).is_symlink() && ours(&link) && ours(&dir) && guarded)
}
