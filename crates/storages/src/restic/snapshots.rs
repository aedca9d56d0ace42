//! Snapshot records: the only definition of what backups there are.

use super::{
    Repo,
    blobs::{Blobs, damaged, read_object},
    seal::Seal,
};
use crate::{
    place::Objects,
    record::{self, Record},
};
use mainstay_drivers::storage::{Snapshot, SnapshotLabel};
use mainstay_model::{BackupId, ClusterId, Error, Result, Time};
use rustic_core::{
    FileType, Id,
    repofile::{IndexFile, SnapshotFile},
};

pub struct Found {
    pub id: Id,
    pub file: SnapshotFile,
    /// `None` for one that somebody else made with another tool.
    pub label: Option<SnapshotLabel>,
}

/// The tags of a snapshot. Together with its label, description and time they are the whole
/// [`SnapshotLabel`], so that a list needs nothing but the records.
pub fn tags(label: &SnapshotLabel) -> String {
    format!("backup={},cluster={},kind={}", label.backup, label.cluster, label.kind)
}

fn label(file: &SnapshotFile) -> Option<SnapshotLabel> {
    let tag = |key: &str| file.tags.iter().find_map(|t| t.strip_prefix(key)?.strip_prefix('='));
    Some(SnapshotLabel {
        backup: BackupId::parse(tag("backup")?)?,
        cluster: ClusterId::parse(tag("cluster")?)?,
        cluster_name: file.label.clone(),
        kind: tag("kind")?.to_owned(),
        description: file.description.clone().unwrap_or_default(),
        created_at: Time::from(file.time.timestamp()),
    })
}

fn read(repo: &Repo, id: &Id) -> Result<Found> {
    let sealed = read_object(repo.objects.as_ref(), FileType::Snapshot, id)?;
    let name = || repo.objects.name(FileType::Snapshot, id);
    let plain = repo.seal.open_object(&sealed).map_err(|e| damaged(&name(), &e.message))?;
    let file: SnapshotFile = serde_json::from_slice(&plain).map_err(|e| damaged(&name(), &e.to_string()))?;
    Ok(Found { id: *id, label: label(&file), file })
}

fn each(repo: &Repo) -> Result<Vec<Result<Found>>> {
    let mut found = Vec::new();
    for object in repo.objects.list(FileType::Snapshot)? {
        let one = read(repo, &object.id);
        let gone = one.is_err() && !repo.objects.list(FileType::Snapshot)?.iter().any(|o| o.id == object.id);
        if !gone {
            found.push(one);
        }
    }
    Ok(found)
}

/// The records that can be read: enough to look for one of them.
pub fn readable(repo: &Repo) -> Result<Vec<Found>> {
    Ok(each(repo)?.into_iter().flatten().collect())
}

/// Ours, oldest first. A record that is damaged fails the whole list: one that leaves it out would
/// look complete.
pub fn list(repo: &Repo) -> Result<Vec<Snapshot>> {
    let all = each(repo)?.into_iter().collect::<Result<Vec<_>>>()?;
    let ours = all.into_iter().filter_map(|found| {
        let label = found.label?;
        let time = found.file.summary.map_or(label.created_at, |s| s.backup_end.timestamp().into());
        Some(Snapshot { id: found.id.to_hex().to_string(), label, time })
    });
    let mut list: Vec<_> = ours.collect();
    list.sort_by(|a, b| (a.label.created_at, &a.label.backup).cmp(&(b.label.created_at, &b.label.backup)));
    Ok(list)
}

pub fn parse_id(snapshot: &str) -> Result<Id> {
    match snapshot.len() == 64 {
        true => snapshot.parse().map_err(|_| Error::not_found("snapshot", snapshot)),
        false => Err(Error::not_found("snapshot", snapshot)),
    }
}

pub fn get(repo: &Repo, snapshot: &str) -> Result<Found> {
    let id = parse_id(snapshot)?;
    if !repo.objects.list(FileType::Snapshot)?.iter().any(|o| o.id == id) {
        return Err(Error::not_found("snapshot", snapshot));
    }
    read(repo, &id)
}

/// Our own file in the snapshot.
pub fn record(blobs: &Blobs, found: &Found) -> Result<Record> {
    let root = blobs.tree(&found.file.tree)?;
    let node = root.nodes.iter().find(|n| n.name == record::NAME).ok_or_else(|| {
        Error::integrity(format!("snapshot {} holds no {}: Mainstay did not make it", &found.id.to_hex()[..8], record::NAME))
    })?;
    Record::from_json(&blobs.content(node)?)
}

/// The packs an index file names.
pub fn index_packs(objects: &dyn Objects, seal: &Seal, id: &Id) -> Result<Vec<Id>> {
    let plain = seal.open_object(&read_object(objects, FileType::Index, id)?)?;
    let file: IndexFile = serde_json::from_slice(&plain).map_err(Error::internal)?;
    Ok(file.packs.iter().chain(&file.packs_to_delete).map(|p| p.id.into_inner()).collect())
}
