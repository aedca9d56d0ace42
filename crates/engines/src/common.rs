//! What every engine needs and none owns.

use mainstay_drivers::{Result, engine::Node, runtime::InstanceId};
use mainstay_model::Error;
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The instance that serves a node. (An isolated one has a name only its starter knows.)
pub(crate) fn served_instance(node: &Node) -> InstanceId {
    InstanceId(node.plan.id.to_string())
}

/// Numbers of a version, so that `9.6 < 15.2 < 15.18` sorts as people mean it.
pub(crate) fn version_key(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)).collect()
}

/// Whether the package's user exists here, by the file every Linux has.
pub(crate) fn os_user(name: &str) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().any(|line| line.split(':').next() == Some(name)).then(|| name.to_string())
}

/// Makes everything below `dir` belong to the OS user, where the agent may do that and has not yet.
pub(crate) async fn give_to(user: Option<&str>, dir: &Path) -> Result<()> {
    let Some((uid, gid)) = user.filter(|_| rustix::process::geteuid().is_root()).and_then(ids) else { return Ok(()) };
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || Ok(give(&dir, uid, gid)?)).await.map_err(Error::internal)?
}

fn ids(user: &str) -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
    let mut numbers = line.split(':').skip(2);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Links are given, never followed.
fn give(path: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.uid() != uid || metadata.gid() != gid {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

/// Where the shared libraries of an unpacked package lie (`<root>/usr/lib/<triplet>`), as
/// `LD_LIBRARY_PATH` wants it.
pub(crate) fn library_path(root: &Path) -> Option<String> {
    let lib = root.join("usr/lib");
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(&lib).ok()?.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    dirs.retain(|p| p.file_name().is_some_and(|n| n.to_string_lossy().contains("-linux-")));
    dirs.sort();
    (!dirs.is_empty()).then(|| dirs.iter().map(|p| p.to_string_lossy()).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_by_number() {
        let mut v = vec!["9.6.1", "15.18", "7.0.15", "15.2"];
        v.sort_by_key(|v| std::cmp::Reverse(version_key(v)));
        assert_eq!(v, ["15.18", "15.2", "9.6.1", "7.0.15"]);
    }
}
