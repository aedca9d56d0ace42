//! The data directory as a sequence of entries in path order, without what a backup must not hold:
//! what the server rebuilds at start, what belongs to sessions, and what belongs to this node alone.
//!
//! The rules are those of PostgreSQL's own base backup. Directories whose contents are left out are
//! entries all the same, for the server does not make them.

use mainstay_drivers::Result;
use mainstay_model::Error;
use std::{
    collections::HashSet,
    ffi::OsString,
    fs::Metadata,
    io,
    path::{Path, PathBuf},
    vec::IntoIter,
};

/// Directories captured empty. The log comes later and only as far as it is needed.
const EMPTIED: [&str; 8] = ["pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "pg_wal"];

/// Files at the top that are of this process, of this node's role, or of an earlier backup.
const LEFT_OUT: [&str; 12] = [
    "postmaster.pid",
    "postmaster.opts",
    "backup_label",
    "backup_label.old",
    "backup_manifest",
    "tablespace_map",
    "tablespace_map.old",
    "standby.signal",
    "recovery.signal",
    "current_logfiles",
    "current_logfiles.tmp",
    "postgresql.auto.conf.tmp",
];

/// Read last of all, when it covers everything read before.
pub(super) const CONTROL: &str = "global/pg_control";

pub(super) struct Found {
    /// Relative to the data directory.
    pub path: PathBuf,
    pub metadata: Metadata,
}

impl Found {
    /// Whether the log repairs the absence of this file: relations and transaction state may be
    /// removed while the backup runs, a map or a configuration file may not.
    pub fn may_vanish(&self) -> bool {
        self.path.components().count() > 1 && self.path != Path::new("global/pg_filenode.map")
    }
}

pub(super) struct Walk {
    data: PathBuf,
    /// Open directories from the top down: where they are, and the names still to come.
    open: Vec<(PathBuf, IntoIter<OsString>)>,
}

impl Walk {
    pub fn new(data: &Path) -> Result<Walk> {
        let names = names_in(data, Path::new(""))?;
        Ok(Walk { data: data.to_owned(), open: vec![(PathBuf::new(), names.into_iter())] })
    }

    fn visit(&mut self, path: PathBuf) -> Result<Option<Found>> {
        let full = self.data.join(&path);
        let metadata = match std::fs::symlink_metadata(&full) {
            Ok(m) => m,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::from(e).context(full.display())),
        };
        if !metadata.is_dir() && !metadata.is_file() {
            let sentence = format!("{} is neither a file nor a directory; such a data directory cannot be backed up", full.display());
            return Err(Error::failed("odd_file", sentence));
        }
        if metadata.is_dir() {
            let emptied = path.parent() == Some(Path::new("")) && EMPTIED.iter().any(|name| path == Path::new(name));
            let names = if emptied { vec![] } else { names_in(&self.data, &path)? };
            self.open.push((path.clone(), names.into_iter()));
        }
        Ok(Some(Found { path, metadata }))
    }
}

impl Iterator for Walk {
    type Item = Result<Found>;
    fn next(&mut self) -> Option<Result<Found>> {
        loop {
            let (dir, names) = self.open.last_mut()?;
            let Some(name) = names.next() else {
                self.open.pop();
                continue;
            };
            let path = dir.join(name);
            if let Some(found) = self.visit(path).transpose() {
                return Some(found);
            }
        }
    }
}

/// Names in one directory that belong into a backup, in byte order. A directory that is gone (its
/// database was dropped) is an empty one.
fn names_in(data: &Path, dir: &Path) -> Result<Vec<OsString>> {
    let listed = match std::fs::read_dir(data.join(dir)) {
        Ok(entries) => entries.map(|e| e.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => vec![],
        Err(e) => return Err(Error::from(e).context(data.join(dir).display())),
    };
    let unlogged = unlogged(&listed);
    let mut names: Vec<_> = listed.into_iter().filter(|name| belongs(dir, &name.to_string_lossy(), &unlogged)).collect();
    names.sort();
    Ok(names)
}

fn belongs(dir: &Path, name: &str, unlogged: &HashSet<String>) -> bool {
    if name.starts_with("pgsql_tmp") || name.starts_with("pg_internal.init") {
        return false;
    }
    if dir == Path::new("") {
        return !LEFT_OUT.contains(&name);
    }
    if !(dir.starts_with("base") || dir == Path::new("global")) {
        return true;
    }
    let rewritten = unlogged.contains(relation(name)) && !name.ends_with("_init");
    !rewritten && !is_temporary(name) && dir.join(name) != Path::new(CONTROL)
}

/// Relations with an init fork: at the end of recovery the server makes them anew from it.
fn unlogged(names: &[OsString]) -> HashSet<String> {
    names.iter().filter_map(|n| n.to_str()?.strip_suffix("_init")).map(String::from).collect()
}

/// `16384_fsm.1` -> `16384`
fn relation(name: &str) -> &str {
    name.split(['_', '.']).next().unwrap_or(name)
}

/// A session's temporary relation: `t<backend>_<relation>`.
fn is_temporary(name: &str) -> bool {
    let parts = name.strip_prefix('t').and_then(|rest| rest.split_once('_'));
    parts.is_some_and(|(backend, rest)| {
        !backend.is_empty() && backend.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_order_and_what_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let full = dir.path().join(path);
            std::fs::create_dir_all(full.parent().unwrap()).unwrap();
            std::fs::write(full, "x").unwrap();
        };
        for path in [
            "PG_VERSION",
            "postmaster.pid",
            "base/1/112",
            "base/1/20_init",
            "base/1/20",
            "base/1/20.1",
            "base/1/20_fsm",
            "base/1/t3_99",
            "base/1/pg_internal.init",
            "base/pgsql_tmp/pgsql_tmp1.0",
            "base.d/x",
            "global/pg_control",
            "global/1260",
            "pg_wal/000000010000000000000001",
            "pg_replslot/a/state",
            "standby.signal",
        ] {
            put(path);
        }
        let seen: Vec<_> = Walk::new(dir.path()).unwrap().map(|f| f.unwrap().path.to_string_lossy().into_owned()).collect();
        let wanted = [
            "PG_VERSION",
            "base",
            "base/1",
            "base/1/112",
            "base/1/20_init",
            "base.d",
            "base.d/x",
            "global",
            "global/1260",
            "pg_replslot",
            "pg_wal",
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("x")).unwrap();
        assert!(Walk::new(dir.path()).unwrap().next().unwrap().is_err());
    }
}
