//! Whether blocks can be shared between the databases' files and the place, by doing it.

use crate::place::{check, local::trouble};
use mainstay_drivers::storage::StorageReport;
use mainstay_model::{Error, Result, backup::Check};
use rustix::{
    fs::{ioctl_ficlone, statfs},
    io::Errno,
};
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const CAN: &str = "Btrfs, and XFS made with reflink (its default since 2019), can";

/// `nodes` is where the databases' files lie, where that is known.
pub fn check(path: &Path, nodes: Option<&Path>) -> StorageReport {
    let mut report = check::check(path);
    if report.rows.iter().any(Check::failed) {
        return report;
    }
    let shared = share(nodes.unwrap_or(path), path);
    report.rows.push(match shared {
        Ok(()) => {
            Check::new("reflink", true, format!("{} shares blocks between the databases' files and {}", kind_of(path), path.display()))
        }
        Err(e) => Check::new("reflink", false, e.message),
    });
    report.rows.push(Check::absent("encryption", "snapshots are not encrypted: whoever can read the disk can read them"));
    report.rows.push(Check::absent(
        "disaster_copy",
        "snapshots lie on the disk of the databases and are gone with it: they count as no copy of their own; keep backups elsewhere too",
    ));
    report
}

/// A file of the databases' directory, kept here and read back.
fn share(from: &Path, to: &Path) -> Result<()> {
    let (source, target) = (probe(from), probe(to));
    let outcome = exercise(&source, &target, from, to);
    for left in [&source, &target] {
        let _ = fs::remove_file(left);
    }
    outcome
}

fn probe(dir: &Path) -> PathBuf {
    dir.join(format!(".probe-{:016x}", rand::random::<u64>()))
}

fn exercise(source: &Path, target: &Path, from: &Path, to: &Path) -> Result<()> {
    let content: Vec<u8> = (0..256 << 10).map(|_| rand::random()).collect();
    let new = |path: &Path| -> Result<File> {
        let opened = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
        opened.map_err(|e| trouble("creating", path, e))
    };
    let mut original = new(source)?;
    original.write_all(&content).map_err(|e| trouble("writing", source, e))?;
    let mut copy = new(target)?;
    ioctl_ficlone(&copy, &original).map_err(|e| refused(e, from, to))?;
    let mut there = Vec::new();
    copy.read_to_end(&mut there).map_err(|e| trouble("reading", target, e))?;
    match there == content {
        true => Ok(()),
        false => Err(Error::integrity(format!("{} does not give back what it shares; check the disk", to.display()))),
    }
}

fn refused(e: Errno, from: &Path, to: &Path) -> Error {
    let (here, there) = (kind_of(to), kind_of(from));
    let why = match e {
        Errno::XDEV => format!(
            "the databases lie in another file system ({there}, at {}) than {} ({here}); choose a directory in theirs",
            from.display(),
            to.display()
        ),
        Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS => format!(
            "{here} cannot share blocks between files; {CAN}. Put the data directory on one of these, or use a storage of another kind"
        ),
        Errno::INVAL => format!(
            "{here} does not share these blocks (on XFS: made without reflink; on Btrfs: one of the directories has chattr +C); {CAN}"
        ),
        other => format!("{here} does not share blocks between files: {other}; {CAN}"),
    };
    Error::failed("not_shared", why)
}

/// As people call it.
fn kind_of(path: &Path) -> String {
    let Ok(found) = statfs(path) else { return "the file system".into() };
    let known = [
        (0xEF53, "ext4"),
        (0x9123_683E, "Btrfs"),
        (0x5846_5342, "XFS"),
        (0x0102_1994, "tmpfs"),
        (0x794C_7630, "overlayfs"),
        (0x2FC1_2FC1, "ZFS"),
        (0x6969, "NFS"),
        (0xF2F5_2010, "F2FS"),
        (0xCA45_1A4E, "bcachefs"),
    ];
    let magic = u64::from_ne_bytes(found.f_type.to_ne_bytes()) & 0xFFFF_FFFF;
    known.iter().find(|(number, _)| *number == magic).map_or_else(|| format!("this file system ({magic:#x})"), |(_, name)| (*name).into())
}
