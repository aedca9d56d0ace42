//! Which PostgreSQL versions this machine has: Debian's layout, and the same layout below every
//! folder into which somebody unpacked packages.

use crate::common::{library_path, os_user, version_key};
use mainstay_drivers::{
    engine::Installed,
    runtime::{Exec, Runtime},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

const OLDEST_MAJOR: u32 = 15;

pub(super) async fn discover(runtime: &dyn Runtime, extra: &[PathBuf]) -> Vec<Installed> {
    let mut found = vec![];
    for root in std::iter::once(Path::new("/")).chain(extra.iter().map(PathBuf::as_path)) {
        let env: BTreeMap<_, _> = match root == Path::new("/") {
            true => BTreeMap::new(),
            false => library_path(root).map(|path| ("LD_LIBRARY_PATH".to_string(), path)).into_iter().collect(),
        };
        for bin_dir in bin_dirs(root) {
            let Some(version) = version_of(runtime, &bin_dir, &env).await else { continue };
            found.push(Installed { version, bin_dir, user: os_user("postgres"), env: env.clone() });
        }
    }
    found.retain(|i| version_key(&i.version).first().is_some_and(|major| *major >= OLDEST_MAJOR));
    found.sort_by_key(|i| std::cmp::Reverse(version_key(&i.version)));
    found.dedup_by(|a, b| a.version == b.version);
    found
}

fn bin_dirs(root: &Path) -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir(root.join("usr/lib/postgresql")) else { return vec![] };
    let mut dirs: Vec<_> = versions.flatten().map(|e| e.path().join("bin")).filter(|bin| bin.join("postgres").is_file()).collect();
    dirs.sort();
    dirs
}

/// Asks the server itself: a folder's name is only somebody's intention.
async fn version_of(runtime: &dyn Runtime, bin_dir: &Path, env: &BTreeMap<String, String>) -> Option<String> {
    let exec = Exec {
        program: bin_dir.join("postgres"),
        args: vec!["--version".into()],
        env: env.clone(),
        working_dir: "/".into(),
        user: None,
        stdin: vec![],
        timeout: Duration::from_secs(10),
        background: false,
    };
    let out = runtime.exec(exec).await.ok().filter(|out| out.status == 0)?;
    parse_version(&String::from_utf8_lossy(&out.stdout))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` -> `15.18`
fn parse_version(text: &str) -> Option<String> {
    let word = text.split("(PostgreSQL)").nth(1)?.split_whitespace().next()?;
    word.starts_with(|c: char| c.is_ascii_digit()).then(|| word.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_names_its_version() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").as_deref(), Some("15.18"));
        assert_eq!(parse_version("postgres (PostgreSQL) 17.2\n").as_deref(), Some("17.2"));
        assert_eq!(parse_version("bash: no such file"), None);
    }
}
