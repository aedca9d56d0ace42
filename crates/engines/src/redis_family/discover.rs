//! Which versions this machine has: where packages put the server, and the same places below every
//! folder into which somebody unpacked one.

use super::Flavour;
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

const PLACES: [&str; 2] = ["usr/bin", "usr/local/bin"];

pub(super) async fn discover(flavour: &Flavour, runtime: &dyn Runtime, extra: &[PathBuf]) -> Vec<Installed> {
    let mut found = vec![];
    for root in std::iter::once(Path::new("/")).chain(extra.iter().map(PathBuf::as_path)) {
        let env = environment(root);
        for bin_dir in PLACES.map(|place| root.join(place)) {
            let Some(version) = version_of(flavour, runtime, &bin_dir, &env).await else { continue };
            let user = flavour.users.iter().find_map(|name| os_user(name));
            found.push(Installed { version, bin_dir, user, env: env.clone() });
        }
    }
    found.retain(|i| version_key(&i.version) >= flavour.oldest.to_vec());
    found.sort_by_key(|i| std::cmp::Reverse(version_key(&i.version)));
    found.dedup_by(|a, b| a.version == b.version);
    found
}

fn environment(root: &Path) -> BTreeMap<String, String> {
    let libraries = (root != Path::new("/")).then(|| library_path(root)).flatten();
    libraries.map(|path| ("LD_LIBRARY_PATH".to_string(), path)).into_iter().collect()
}

/// Asks the server itself. A name says little: packages for compatibility call Valkey `redis-server`.
async fn version_of(flavour: &Flavour, runtime: &dyn Runtime, bin_dir: &Path, env: &BTreeMap<String, String>) -> Option<String> {
    let program = bin_dir.join(format!("{}-server", flavour.name));
    if !program.is_file() {
        return None;
    }
    let exec = Exec {
        program,
        args: vec!["--version".into()],
        env: env.clone(),
        working_dir: "/".into(),
        user: None,
        stdin: vec![],
        timeout: Duration::from_secs(10),
        background: false,
    };
    let out = runtime.exec(exec).await.ok().filter(|out| out.status == 0)?;
    parse_version(flavour.title, &String::from_utf8_lossy(&out.stdout))
}

/// `Redis server v=7.0.15 sha=00000000:0 …` -> `7.0.15`
fn parse_version(title: &str, text: &str) -> Option<String> {
    let word = text.strip_prefix(title)?.split("v=").nth(1)?.split_whitespace().next()?;
    word.starts_with(|c: char| c.is_ascii_digit()).then(|| word.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_names_itself_and_its_version() {
        assert_eq!(parse_version("Redis", "Redis server v=7.0.15 sha=0:0 malloc=x bits=64\n").as_deref(), Some("7.0.15"));
        assert_eq!(parse_version("Valkey", "Valkey server v=8.0.1 sha=0:0\n").as_deref(), Some("8.0.1"));
        assert_eq!(parse_version("Redis", "Valkey server v=8.0.1 sha=0:0\n"), None);
        assert_eq!(parse_version("Redis", "redis: not found"), None);
    }
}
