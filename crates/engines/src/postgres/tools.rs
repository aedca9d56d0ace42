//! PostgreSQL's own programs, run next to the data, and what `pg_controldata` says.

use mainstay_drivers::{
    Result,
    engine::Node,
    runtime::{Exec, ExecOutput},
};
use mainstay_model::{Error, node::Position};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// Two hours: a base backup of a large cluster takes its time, a hung one is killed one day.
pub(super) const LONG: Duration = Duration::from_secs(2 * 3600);
pub(super) const SHORT: Duration = Duration::from_secs(60);

/// One run of a program from the node's own version.
pub(super) struct Tool<'a> {
    pub name: &'a str,
    pub args: Vec<String>,
    pub env: Vec<(&'a str, String)>,
    pub stdin: Vec<u8>,
    pub timeout: Duration,
}

impl Tool<'_> {
    /// Runs it to its end, whatever the end is.
    pub async fn run(self, node: &Node) -> Result<ExecOutput> {
        let program = node.installed.bin_dir.join(self.name);
        if !program.is_file() {
            let sentence =
                format!("{} is missing in {}; install the server package completely", self.name, node.installed.bin_dir.display());
            return Err(Error::failed("tool_missing", sentence));
        }
        let mut env = environment(node);
        env.extend(self.env.into_iter().map(|(k, v)| (k.to_string(), v)));
        let exec = Exec {
            program,
            args: self.args,
            env,
            working_dir: node.paths.root.clone(),
            user: node.installed.user.clone(),
            stdin: self.stdin,
            timeout: self.timeout,
            background: false,
        };
        node.runtime.exec(exec).await
    }

    /// Runs it and turns every end but 0 into an error with the tool's own last words.
    pub async fn succeed(self, node: &Node) -> Result<ExecOutput> {
        let name = self.name.to_string();
        let out = self.run(node).await?;
        if out.status == 0 {
            return Ok(out);
        }
        let said = last_words(&out);
        Err(Error::failed("tool_failed", format!("{name} for node {} ended with {}: {said}", node.plan.name, out.status)))
    }
}

/// Messages are read by code: they must be in English whatever the host speaks.
pub(super) fn environment(node: &Node) -> BTreeMap<String, String> {
    let mut env = node.installed.env.clone();
    env.insert("LC_ALL".into(), "C".into());
    env.insert("TZ".into(), "UTC".into());
    env
}

/// The last three lines a tool said on stderr.
pub(super) fn last_words(out: &ExecOutput) -> String {
    let lines: Vec<_> = out.stderr.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    if lines.is_empty() { "it said nothing".into() } else { lines[lines.len().saturating_sub(3)..].join("; ") }
}

/// A path as an argument. Paths of nodes are ours and UTF-8.
pub(super) fn arg(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}

/// Makes everything written to this file system durable with one call, instead of one fsync a
/// file, which is most of what creating a database directory takes.
pub(super) async fn sync_file_system(dir: &Path) -> Result<()> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || Ok(rustix::fs::syncfs(std::fs::File::open(dir)?).map_err(std::io::Error::from)?))
        .await
        .map_err(Error::internal)?
}

/// Removes a directory if it is there.
pub(super) async fn remove_dir(dir: &Path) -> Result<()> {
    match tokio::fs::remove_dir_all(dir).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::from(e).context(format!("removing {}", dir.display()))),
        _ => Ok(()),
    }
}

/// Removes a file if it is there.
pub(super) async fn remove_file(file: &Path) -> Result<()> {
    match tokio::fs::remove_file(file).await {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::from(e).context(format!("removing {}", file.display()))),
        _ => Ok(()),
    }
}

/// What a stopped data directory says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ControlData {
    pub state: String,
    pub system_identifier: String,
    pub checkpoint: u64,
    pub timeline: u32,
    pub data_checksums: bool,
}

impl ControlData {
    pub async fn read(node: &Node) -> Result<ControlData> {
        let args = vec!["-D".into(), arg(&node.paths.data)];
        let out = Tool { name: "pg_controldata", args, env: vec![], stdin: vec![], timeout: SHORT }.succeed(node).await?;
        ControlData::parse(&String::from_utf8_lossy(&out.stdout))
            .ok_or_else(|| Error::integrity(format!("the control file in {} is not readable", node.paths.data.display())))
    }

    fn parse(text: &str) -> Option<ControlData> {
        let value = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).map(str::trim);
        Some(ControlData {
            state: value("Database cluster state")?.into(),
            system_identifier: value("Database system identifier")?.into(),
            checkpoint: parse_lsn(value("Latest checkpoint location")?)?,
            timeline: value("Latest checkpoint's TimeLineID")?.parse().ok()?,
            data_checksums: value("Data page checksum version")? != "0",
        })
    }

    pub fn is_shut_down(&self) -> bool {
        self.state == "shut down" || self.state == "shut down in recovery"
    }

    /// One past the start of the last checkpoint record: records are replayed whole, so a replica
    /// whose replay position reached this holds the record to its end.
    pub fn position(&self) -> Position {
        position(&self.system_identifier, self.timeline, self.checkpoint + 1)
    }
}

/// `0/6000028` -> bytes since the beginning of the log.
pub(super) fn parse_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.trim().split_once('/')?;
    Some(u64::from(u32::from_str_radix(high, 16).ok()?) << 32 | u64::from(u32::from_str_radix(low, 16).ok()?))
}

pub(super) fn lsn(bytes: u64) -> String {
    format!("{:X}/{:X}", bytes >> 32, bytes & 0xffff_ffff)
}

/// A position's history is system identifier and timeline: after a promotion an old primary's
/// further writes must not compare with those of the new one.
pub(super) fn position(system: &str, timeline: u32, bytes: u64) -> Position {
    Position { history: format!("{system}/{timeline}"), text: lsn(bytes), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_positions_read_back() {
        for (text, bytes) in [("0/6000028", 0x600_0028), ("16/B374D848", 0x16_b374_d848)] {
            assert_eq!(parse_lsn(text), Some(bytes));
            assert_eq!(lsn(bytes), text);
        }
        assert_eq!(parse_lsn("6000028"), None);
    }

    #[test]
    fn control_data_is_read_by_its_keys() {
        let text = "Database system identifier:           7710355847522381633\n\
                    Database cluster state:               shut down\n\
                    Latest checkpoint location:           0/1752D30\n\
                    Latest checkpoint's TimeLineID:       3\n\
                    Data page checksum version:           1\n";
        let c = ControlData::parse(text).unwrap();
        assert!(c.is_shut_down() && c.data_checksums);
        assert_eq!(c.position(), position("7710355847522381633", 3, 0x175_2d31));
        assert_eq!(ControlData::parse("nothing"), None);
    }
}
