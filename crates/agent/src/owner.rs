//! Who a node's files belong to. As root, engines run as their package's user, and everything an
//! engine must read or write is that user's; without root everything is ours anyway.

use mainstay_model::{Error, Result};
use rustix::fs::{Gid, Uid};
use std::{os::unix::fs::MetadataExt, path::Path};

/// An OS user that files are given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    name: String,
    uid: u32,
    gid: u32,
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Owner {
    /// The user named `name`, where this process may give files away; `None` where it may not.
    pub fn of(name: Option<&str>) -> Result<Option<Owner>> {
        let Some(name) = name.filter(|_| is_root()) else { return Ok(None) };
        let users = std::fs::read_to_string("/etc/passwd").map_err(|e| Error::from(e).context("/etc/passwd"))?;
        users.lines().find_map(|line| Owner::parse(line, name)).map(Some).ok_or_else(|| missing(name))
    }

    fn parse(line: &str, name: &str) -> Option<Owner> {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let mut ids = fields.skip(1).map(str::parse::<u32>);
        Some(Owner { name: name.into(), uid: ids.next()?.ok()?, gid: ids.next()?.ok()? })
    }

    pub fn ids(&self) -> (Option<Uid>, Option<Gid>) {
        (Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
    }

    /// Refuses a place this user cannot reach, with the command that mends it. Group rights count
    /// only for the user's own group: a runtime need not give it any other.
    pub fn reaches(&self, place: &Path) -> Result<()> {
        let mut dirs: Vec<_> = place.ancestors().collect();
        dirs.reverse();
        match dirs.into_iter().find(|dir| dir.exists() && !self.enters(dir)) {
            None => Ok(()),
            Some(shut) => Err(self.shut_out(shut)),
        }
    }

    fn enters(&self, dir: &Path) -> bool {
        let Ok(found) = dir.metadata() else { return false };
        let bit = match (found.uid() == self.uid, found.gid() == self.gid) {
            (true, _) => 0o100,
            (_, true) => 0o010,
            _ => 0o001,
        };
        self.uid == 0 || found.mode() & bit != 0
    }

    fn shut_out(&self, dir: &Path) -> Error {
        let who = if dir.metadata().is_ok_and(|m| m.gid() == self.gid) { "g+x" } else { "o+x" };
        let sentence =
            format!("the engine runs as user \"{}\", who cannot enter {}; run: chmod {who} {}", self.name, dir.display(), quoted(dir));
        Error::new(mainstay_model::Kind::Forbidden, "unreachable_directory", sentence)
    }
}

fn missing(name: &str) -> Error {
    let name = mainstay_model::error::shown(name);
    Error::invalid(
        "engine_user",
        format!("this machine has no user \"{name}\"; run: useradd --system {name}, or choose another with --engine-user"),
    )
}

/// A path as a person can paste it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_user_is_read_from_its_line() {
        let line = "postgres:x:105:113:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(Owner::parse(line, "postgres"), Some(Owner { name: "postgres".into(), uid: 105, gid: 113 }));
        assert_eq!(Owner::parse(line, "post"), None);
    }

    #[test]
    fn a_shut_parent_is_named_with_the_command_that_opens_it() {
        let top = tempfile::tempdir().unwrap();
        let (shut, inner) = (top.path().join("it's shut"), top.path().join("it's shut/inner"));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::set_permissions(top.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = Owner { name: "stranger".into(), uid: 4_000_001, gid: 4_000_001 };
        let e = stranger.reaches(&inner).unwrap_err();
        assert!(e.message.ends_with(&format!("run: chmod o+x '{}'", shut.to_string_lossy().replace('\'', "'\\''"))), "{}", e.message);
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o711)).unwrap();
        stranger.reaches(&inner).unwrap();
    }
}
