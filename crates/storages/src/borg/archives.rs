//! What archives there are. A backup is one whose name is a backup's id; its comment is its label.

use super::{Repo, child::QUICK};
use mainstay_drivers::{
    runtime::ExecOutput,
    storage::{Snapshot, SnapshotLabel},
};
use mainstay_model::{BackupId, Error, Result, Time};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Archive {
    pub name: String,
    #[serde(default)]
    comment: String,
    end: String,
}

#[derive(Deserialize)]
struct Archives {
    archives: Vec<Archive>,
}

const PENDING: &str = "pending-";

/// The name an archive has until it was read back.
pub fn pending(backup: &BackupId) -> String {
    format!("{PENDING}{backup}")
}

impl Archive {
    pub fn time(&self) -> Result<Time> {
        parse_time(&self.end)
    }

    pub fn is_pending(&self) -> bool {
        self.name.starts_with(PENDING)
    }

    /// `None` for one that is nobody's backup.
    pub fn backup(&self) -> Option<BackupId> {
        BackupId::parse(&self.name)
    }
}

/// Borg tells local times, and for our runs UTC is local.
fn parse_time(text: &str) -> Result<Time> {
    let civil: jiff::civil::DateTime = text.parse().map_err(Error::internal)?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(Error::internal)?;
    Ok(zoned.timestamp().into())
}

/// The comment an archive is made with. Borg fills in what stands in braces there, unless they are
/// doubled.
pub fn comment(label: &SnapshotLabel) -> Result<String> {
    let json = serde_json::to_string(label).map_err(Error::internal)?;
    Ok(json.replace('{', "{{").replace('}', "}}"))
}

/// Oldest first. An archive with a backup's name and no label fails the whole list: one that leaves
/// it out would look complete.
pub fn published(all: &[Archive]) -> Result<Vec<Snapshot>> {
    let mut list = Vec::new();
    for archive in all {
        let Some(backup) = archive.backup() else { continue };
        let label: SnapshotLabel = serde_json::from_str(&archive.comment)
            .ok()
            .filter(|label: &SnapshotLabel| label.backup == backup)
            .ok_or_else(|| Error::integrity(format!("the comment of archive {} is not the one Mainstay gave it", archive.name)))?;
        list.push(Snapshot { id: archive.name.clone(), label, time: archive.time()? });
    }
    list.sort_by(|a, b| (a.label.created_at, &a.label.backup).cmp(&(b.label.created_at, &b.label.backup)));
    Ok(list)
}

/// How Borg is asked which archives there are.
pub const LIST: [&str; 4] = ["list", "--json", "--format", "{comment}{end}"];

pub fn all_of(out: &ExecOutput) -> Result<Vec<Archive>> {
    let said: Archives = serde_json::from_slice(&out.stdout).map_err(Error::internal)?;
    Ok(said.archives)
}

impl Repo {
    pub async fn archives(&self) -> Result<Vec<Archive>> {
        all_of(&self.run(&LIST, std::slice::from_ref(&self.url), QUICK).await?)
    }

    /// Fails with `NotFound` for what is no published backup.
    pub async fn published(&self, snapshot: &str) -> Result<Archive> {
        let all = self.archives().await?;
        let found = all.into_iter().find(|a| a.name == snapshot && a.backup().is_some());
        found.ok_or_else(|| Error::not_found("snapshot", snapshot))
    }
}
