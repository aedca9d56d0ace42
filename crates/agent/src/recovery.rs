//! What a storage holds, asked with nothing but a recovery key, for those who have lost all else.
//!
//! Whoever can write to the place may have put anything there, and whoever ever held a key may have
//! written any label. So nothing found is believed: a backup is offered only when its label agrees
//! with where it lies and every word in it is one that Mainstay would have written, and the rest is
//! shown with what is wrong with it rather than left out.

use crate::{Agent, dispatch::Act, text::clean};
use mainstay_drivers::{
    engine::Chunking,
    progress::Progress,
    segments,
    storage::{
        CONTROL_PLANE, Depth, Described, FoundBackup, FoundRepository, Holds, LOG, RepositoryKeys, RepositoryRef, Snapshot, Storage,
        StorageSpec, Storages,
    },
};
use mainstay_model::{ClusterId, ClusterName, Error, Kind, ProjectId, Result, Secret, Time, backup::BackupKind};
use mainstay_rpc::verbs::{AdoptRepository, CheckKey, DiscoverStorage, Done, ExportKey};

/// Clocks differ; a backup of tomorrow is none.
const AHEAD_SECONDS: f64 = 86_400.0;

/// Everything the place holds, as far as `key` opens it.
pub async fn survey(storages: &dyn Storages, spec: &StorageSpec, key: &Secret, now: Time) -> Result<Vec<FoundRepository>> {
    let mut found = Vec::new();
    for (project, cluster, edition) in storages.discover(spec).await? {
        let spec = StorageSpec { edition, ..spec.clone() };
        found.push(look(storages, &reference(&spec, &project, &cluster, key), now).await);
    }
    found.sort_by(|a, b| (&a.name, &a.cluster, a.edition).cmp(&(&b.name, &b.cluster, b.edition)));
    Ok(found)
}

/// The repository as one who has nothing but a recovery key opens it.
pub fn reference(spec: &StorageSpec, project: &ProjectId, cluster: &ClusterId, key: &Secret) -> RepositoryRef {
    RepositoryRef {
        storage: spec.clone(),
        project: project.clone(),
        cluster: cluster.clone(),
        // Chosen when it was made, and read from there.
        chunking: Chunking::ContentDefined,
        keys: RepositoryKeys { own: key.clone(), recovery: vec![] },
    }
}

async fn look(storages: &dyn Storages, repository: &RepositoryRef, now: Time) -> FoundRepository {
    let mut found = FoundRepository {
        project: repository.project.clone(),
        cluster: repository.cluster.clone(),
        edition: repository.storage.edition,
        opens: false,
        holds: Holds::Nothing,
        name: String::new(),
        backups: vec![],
        log: vec![],
        error: None,
    };
    match storages.open(repository, false).await {
        Ok(storage) => {
            found.opens = true;
            match backups(storage.as_ref(), &repository.cluster, now).await {
                Ok(backups) => name(&mut found, backups),
                Err(e) => found.error = Some(clean(&e.message)),
            }
        }
        Err(e) if e.code == "wrong_key" => found.error = Some("this key does not open it".into()),
        Err(e) => found.error = Some(clean(&e.message)),
    }
    found
}

/// The newest backup says what the cluster is called.
fn name(found: &mut FoundRepository, backups: Vec<(String, FoundBackup)>) {
    let newest = backups.iter().rev().find(|(_, b)| b.error.is_none());
    if let Some((called, backup)) = newest {
        found.name.clone_from(called);
        found.holds = if backup.kind == CONTROL_PLANE { Holds::ControlPlane } else { Holds::Cluster };
    }
    found.backups = backups.into_iter().map(|(_, b)| b).collect();
}

/// Oldest first, each with the name its cluster had.
async fn backups(storage: &dyn Storage, cluster: &ClusterId, now: Time) -> Result<Vec<(String, FoundBackup)>> {
    let mut all = Vec::new();
    for snapshot in storage.list().await?.into_iter().filter(|s| s.label.kind != LOG) {
        let described = storage.describe(&snapshot.id).await;
        let name = shown(&snapshot.label.cluster_name);
        all.push((name, backup(&snapshot, described, cluster, now)));
    }
    Ok(all)
}

fn backup(snapshot: &Snapshot, described: Result<Described>, cluster: &ClusterId, now: Time) -> FoundBackup {
    let label = &snapshot.label;
    let mut found = FoundBackup {
        snapshot: snapshot.id.clone(),
        backup: label.backup.clone(),
        kind: shown(&label.kind),
        description: clean(&label.description).chars().take(500).collect(),
        created_at: label.created_at,
        data_bytes: 0,
        facts: Default::default(),
        error: None,
    };
    match described.and_then(|d| believable(snapshot, d, cluster, now)) {
        Ok(described) => (found.data_bytes, found.facts) = (described.data_bytes, described.facts),
        Err(e) => found.error = Some(clean(&e.message)),
    }
    found
}

fn shown(text: &str) -> String {
    clean(&mainstay_model::error::shown(text))
}

/// Refuses what Mainstay would not have written.
fn believable(snapshot: &Snapshot, d: Described, cluster: &ClusterId, now: Time) -> Result<Described> {
    let word = |w: &str, more: &str| (1..=64).contains(&w.len()) && w.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    let kind = serde_json::from_value::<BackupKind>(d.label.kind.clone().into());
    let why = if d.label != snapshot.label {
        "its record and its label say different things"
    } else if &d.label.cluster != cluster {
        "it says that it is of another cluster than the one it lies with"
    } else if ClusterName::parse(&d.label.cluster_name).is_err() {
        "the name of its cluster is none"
    } else if kind.is_err() && d.label.kind != CONTROL_PLANE {
        "it is of a kind that this version does not know"
    } else if d.label.created_at.seconds_since(now) > AHEAD_SECONDS {
        "it says that it was made in the future"
    } else if !word(&d.facts.engine, "-_") || !word(&d.facts.engine_version, ".-+_") {
        "it does not say what engine made it"
    } else {
        return Ok(d);
    };
    Err(Error::integrity(why))
}

impl Agent {
    pub(crate) async fn discover_storage(&self, verb: DiscoverStorage, _: &Act) -> Result<Vec<FoundRepository>> {
        survey(self.parts.storages.as_ref(), &verb.storage, &verb.recovery, (self.parts.clock)()).await
    }

    /// Keys are only added: whoever made the repository may be alive and well elsewhere.
    pub(crate) async fn adopt_repository(&self, verb: AdoptRepository, act: &Act) -> Result<FoundRepository> {
        let r = &verb.repository;
        let by_recovery = reference(&r.storage, &r.project, &r.cluster, &verb.recovery);
        let storage = self.parts.storages.open(&by_recovery, false).await?;
        storage.add_keys(&r.keys).await?;
        let mut found = look(self.parts.storages.as_ref(), r, (self.parts.clock)()).await;
        for backup in found.backups.iter_mut().filter(|b| b.error.is_none()) {
            backup.error = damage(storage.as_ref(), &backup.snapshot, &act.progress).await?;
        }
        found.log = segments::found_in(storage.as_ref(), &r.cluster).await?;
        Ok(found)
    }
}

impl Agent {
    pub(crate) async fn check_key(&self, verb: CheckKey, _: &Act) -> Result<Done> {
        self.opened(&verb.repository).await?.try_key(&verb.repository.keys.own).await.map(|()| Done {})
    }
}

impl Agent {
    pub(crate) async fn export_key(&self, verb: ExportKey, _: &Act) -> Result<Option<Secret>> {
        self.opened(&verb.repository).await?.key_export().await
    }
}

/// What is wrong with the snapshot's structure. That it could not be looked at is an error, not a
/// finding.
async fn damage(storage: &dyn Storage, snapshot: &str, progress: &Progress) -> Result<Option<String>> {
    match storage.verify(snapshot, Depth::Structure, progress).await {
        Ok(_) => Ok(None),
        Err(e) if matches!(e.kind, Kind::Integrity | Kind::NotFound) => Ok(Some(clean(&e.message))),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_drivers::storage::SnapshotLabel;
    use mainstay_model::{BackupId, backup::Facts};

    fn snapshot(cluster: &ClusterId) -> Snapshot {
        let label = SnapshotLabel {
            backup: BackupId::new(),
            cluster: cluster.clone(),
            cluster_name: "shop".into(),
            kind: "manual".into(),
            description: "a\u{1b}[2Jb".into(),
            created_at: Time(0),
        };
        Snapshot { id: "s".into(), label, time: Time(0) }
    }

    fn described(label: &SnapshotLabel) -> Described {
        let facts = Facts { engine: "memo".into(), engine_version: "1.2".into(), ..Facts::default() };
        Described { label: label.clone(), facts, data_bytes: 7 }
    }

    #[test]
    fn what_mainstay_would_not_have_written_is_shown_with_the_reason() {
        let cluster = ClusterId::new();
        let good = snapshot(&cluster);
        let found = backup(&good, Ok(described(&good.label)), &cluster, Time(0));
        assert_eq!((found.error, found.data_bytes, found.description.as_str()), (None, 7, "ab"));
        let bad = |change: &dyn Fn(&mut Snapshot, &mut Facts), part: &str| {
            let mut s = snapshot(&cluster);
            let mut d = described(&s.label);
            change(&mut s, &mut d.facts);
            d.label = s.label.clone();
            let why = backup(&s, Ok(d), &cluster, Time(0)).error.expect(part);
            assert!(why.contains(part), "{why}");
        };
        bad(&|s, _| s.label.cluster = ClusterId::new(), "another cluster");
        bad(&|s, _| s.label.cluster_name = "../etc".into(), "name of its cluster");
        bad(&|s, _| s.label.kind = "rm".into(), "kind");
        bad(&|s, _| s.label.created_at = Time(0).plus_days(3), "future");
        bad(&|_, f| f.engine = "a b".into(), "engine");
        bad(&|_, f| f.engine_version = "1;id".into(), "engine");
        let mut lying = described(&good.label);
        lying.label.cluster_name = "other".into();
        assert!(backup(&good, Ok(lying), &cluster, Time(0)).error.unwrap().contains("different things"));
        let gone = backup(&good, Err(Error::integrity("torn")), &cluster, Time(0));
        assert_eq!(gone.error.as_deref(), Some("torn"));
    }
}
