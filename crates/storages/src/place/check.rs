//! Looks at a directory before backups depend on it, by doing what backups will do.

use super::local::{make_dir, sync_dir, trouble};
use mainstay_drivers::storage::StorageReport;
use mainstay_model::{Error, Result, backup::Check};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path},
};

/// Below this a place is called full.
const LITTLE: u64 = 1 << 30;

pub fn check(path: &Path) -> StorageReport {
    let mut rows = vec![address(path), outside_of_nodes(path)];
    if rows.iter().any(|row| !row.ok) {
        return StorageReport { rows, free_bytes: None, total_bytes: None };
    }
    rows.push(directory(path));
    rows.push(permissions(path));
    rows.push(row("writable", probe(path), "wrote, synced, renamed, read back and removed a file"));
    let space = rustix::fs::statvfs(path).ok();
    let free_bytes = space.as_ref().map(|s| s.f_bavail * s.f_frsize);
    rows.extend(free_bytes.map(|free| room(path, free)));
    StorageReport { rows, free_bytes, total_bytes: space.map(|s| s.f_blocks * s.f_frsize) }
}

fn row(name: &str, outcome: Result<()>, good: &str) -> Check {
    match outcome {
        Ok(()) => Check::new(name, true, good),
        Err(e) => Check::new(name, false, e.message),
    }
}

fn address(path: &Path) -> Check {
    let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let ok = path.is_absolute() && plain && path != Path::new("/");
    let shown = path.display();
    Check::new(
        "path",
        ok,
        if ok { format!("{shown} is an absolute path") } else { format!("{shown} must be an absolute path below /, without . and ..") },
    )
}

/// A node's directory is replaced by a restore and removed with its node; the backups would go with it.
fn outside_of_nodes(path: &Path) -> Check {
    let marks = ["identity.json", "PG_VERSION"];
    let inside = path.ancestors().find(|dir| marks.iter().any(|mark| dir.join(mark).exists()));
    match inside {
        None => Check::new("placement", true, "not inside the directory of a database"),
        Some(dir) => Check::new(
            "placement",
            false,
            format!("it lies inside {}, the directory of a database, and would be lost with it; choose another directory", dir.display()),
        ),
    }
}

fn directory(path: &Path) -> Check {
    let there = path.is_dir();
    let good = if there { "the directory is there" } else { "the directory was created" };
    row("directory", make_dir(path), good)
}

fn permissions(path: &Path) -> Check {
    let outcome = fs::symlink_metadata(path).map_err(|e| trouble("looking at", path, e)).and_then(|meta| {
        let mode = meta.permissions().mode() & 0o777;
        match (meta.is_dir(), mode & 0o077) {
            (true, 0) => Ok(()),
            (true, _) => Err(Error::forbidden(format!("others may look into it (mode {mode:o}); run: chmod 700 {}", path.display()))),
            (false, _) => {
                Err(Error::forbidden(format!("{} is not a directory of its own; name the directory it points to", path.display())))
            }
        }
    });
    row("permissions", outcome, "only its owner can enter it")
}

fn probe(path: &Path) -> Result<()> {
    let name = format!(".probe-{:016x}", rand::random::<u64>());
    let (first, second) = (path.join(&name), path.join(format!("{name}.done")));
    let outcome = exercise(path, &first, &second);
    let _ = fs::remove_file(&first);
    outcome.and(match fs::remove_file(&second) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(trouble("removing", &second, e)),
        _ => Ok(()),
    })
}

fn exercise(dir: &Path, first: &Path, second: &Path) -> Result<()> {
    let content: Vec<u8> = (0..1 << 20).map(|_| rand::random()).collect();
    let named = |e| trouble("writing", first, e);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(first).map_err(named)?;
    file.write_all(&content).and_then(|()| file.sync_all()).map_err(named)?;
    fs::rename(first, second).map_err(|e| trouble("renaming", first, e))?;
    sync_dir(dir)?;
    match fs::read(second).map_err(|e| trouble("reading", second, e))? == content {
        true => Ok(()),
        false => Err(Error::integrity(format!("{} does not give back what was written; check the disk", dir.display()))),
    }
}

fn room(path: &Path, free: u64) -> Check {
    let mib = free >> 20;
    match free >= LITTLE {
        true => Check::new("space", true, format!("{mib} MiB free")),
        false => {
            Check::new("space", false, format!("only {mib} MiB free on the disk of {}; free some or choose a larger disk", path.display()))
        }
    }
}
