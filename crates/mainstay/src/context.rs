//! Which server a command talks to, and as whom.
//!
//! Flags come first, then `MAINSTAY_SERVER` and `MAINSTAY_TOKEN`, then the Mainstay of this machine
//! as its data directory tells, then the saved context. A token that was found in a file is sent to
//! the server of that file and to no other.

use crate::{args::Common, process::data_dir};
use mainstay_model::{Error, Result, Secret};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Target {
    pub server: String,
    pub token: Option<Secret>,
    /// Of certificates to trust beside the system's.
    pub server_ca: Option<PathBuf>,
}

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub server: Option<String>,
    pub token: Option<String>,
    pub context_file: Option<PathBuf>,
    pub server_ca: Option<PathBuf>,
}

/// A server and its token, as files know them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    server: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    ca: Option<PathBuf>,
    /// Of the process that wrote it; for people.
    #[serde(default, rename = "pid")]
    _pid: Option<u32>,
}

impl Environment {
    pub fn read() -> Self {
        let text = |name: &str| std::env::var(name).ok().map(|v| v.trim().to_string()).filter(|v| !v.is_empty());
        let dir = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let config = dir("XDG_CONFIG_HOME").or_else(|| Some(dir("HOME")?.join(".config")));
        Environment {
            server: text("MAINSTAY_SERVER"),
            token: text("MAINSTAY_TOKEN"),
            server_ca: text("MAINSTAY_SERVER_CA").map(PathBuf::from),
            context_file: config.map(|c| c.join("mainstay/context.json")),
        }
    }
}

pub fn resolve(common: &Common, environment: &Environment) -> Result<Target> {
    let here = of_data_dir(common)?;
    let saved = match &environment.context_file {
        Some(file) => read_known(file)?,
        None => None,
    };
    // A data directory that was named is a flag like any other.
    let named = here.as_ref().filter(|_| common.data_dir.is_some()).map(|k| k.server.clone());
    let files: Vec<&Known> = here.iter().chain(saved.iter()).collect();
    let first = || files.first().map(|k| k.server.clone());
    let server = common.server.clone().or(named).or_else(|| environment.server.clone()).or_else(first).ok_or_else(unknown)?;
    let fits = |k: &&&Known| plain(&k.server) == plain(&server);
    let filed = || files.iter().find(&fits).and_then(|k| k.token.clone());
    let token = common.token.clone().or_else(|| environment.token.clone()).or_else(filed);
    let ca =
        common.server_ca.clone().or_else(|| environment.server_ca.clone()).or_else(|| files.iter().find(&fits).and_then(|k| k.ca.clone()));
    Ok(Target { server, token: token.map(Secret::new), server_ca: ca })
}

fn plain(server: &str) -> &str {
    server.trim_end_matches('/')
}

fn unknown() -> Error {
    let why = "no server is known: start one here with `mainstay up`, or name one with --server or MAINSTAY_SERVER";
    Error::invalid("server", why).with_code("no_server")
}

/// What `up` left on this machine. One that belongs to another user is none of ours.
fn of_data_dir(common: &Common) -> Result<Option<Known>> {
    let dir = common.data_dir.clone().unwrap_or_else(data_dir::default_path);
    let file = dir.join("server.json");
    let known = match read_known(&file) {
        Err(e) if common.data_dir.is_some() => return Err(e),
        other => other.unwrap_or_default(),
    };
    if known.is_none() && common.data_dir.is_some() {
        let why = format!("{} is not there: no `mainstay up` has run on that data directory", file.display());
        return Err(Error::invalid("data_dir", why));
    }
    let token = std::fs::read_to_string(dir.join("admin.token")).ok().map(|t| t.trim().to_string());
    Ok(known.map(|k| Known { token, ..k }))
}

fn read_known(file: &Path) -> Result<Option<Known>> {
    match std::fs::read(file) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| {
            let why =
                format!(r#"{} does not read: {e}; it looks like {{"server": "http://127.0.0.1:8420", "token": "…"}}"#, file.display());
            Error::invalid("context", why)
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::from(e).context(file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        dir: tempfile::TempDir,
        common: Common,
        environment: Environment,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let common = Common { data_dir: None, ..Common::default() };
            let environment = Environment { context_file: Some(dir.path().join("context.json")), ..Environment::default() };
            World { dir, common, environment }
        }
        fn data(mut self, server: &str, token: &str) -> Self {
            std::fs::write(self.dir.path().join("server.json"), format!(r#"{{"server":"{server}","pid":7}}"#)).unwrap();
            std::fs::write(self.dir.path().join("admin.token"), format!("{token}\n")).unwrap();
            self.common.data_dir = Some(self.dir.path().into());
            self
        }
        fn saved(self, text: &str) -> Self {
            std::fs::write(self.dir.path().join("context.json"), text).unwrap();
            self
        }
        fn resolved(&self) -> (String, Option<String>) {
            let t = resolve(&self.common, &self.environment).unwrap();
            (t.server, t.token.map(|t| t.reveal().into()))
        }
    }

    fn pair(server: &str, token: Option<&str>) -> (String, Option<String>) {
        (server.into(), token.map(Into::into))
    }

    #[test]
    fn flags_come_before_the_environment_and_that_before_files() {
        let mut w = World::new().data("http://here", "t-here");
        assert_eq!(w.resolved(), pair("http://here", Some("t-here")));
        w.common.data_dir = None;
        w.environment.server = Some("http://env".into());
        w.environment.token = Some("t-env".into());
        assert_eq!(w.resolved(), pair("http://env", Some("t-env")));
        w.common.server = Some("http://flag".into());
        w.common.token = Some("t-flag".into());
        assert_eq!(w.resolved(), pair("http://flag", Some("t-flag")));
    }

    #[test]
    fn a_token_from_a_file_goes_to_no_other_server() {
        let mut w = World::new().data("http://here", "t-here");
        w.common.server = Some("http://elsewhere".into());
        assert_eq!(w.resolved(), pair("http://elsewhere", None));
        w.common.server = Some("http://here/".into());
        assert_eq!(w.resolved(), pair("http://here/", Some("t-here")));
    }

    #[test]
    fn the_saved_context_reads_and_unknown_keys_are_refused() {
        let mut w = World::new().saved(r#"{"server": "http://saved", "token": "t-saved"}"#);
        w.common.server = Some("http://saved".into());
        assert_eq!(w.resolved(), pair("http://saved", Some("t-saved")));
        let w = World::new().saved(r#"{"server": "http://saved", "tokn": "t"}"#);
        assert_eq!(resolve(&w.common, &w.environment).unwrap_err().kind, mainstay_model::Kind::Invalid);
    }
}
