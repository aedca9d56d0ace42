//! Bring a cluster back from a storage that this installation knows nothing of: take the repository
//! in, its history with it, then restore its newest good backup to a new cluster.
//!
//! The repository is opened with the recovery key alone. The installation's own key is added, none is
//! removed: whoever made the repository may be alive elsewhere. What was taken in stays, also where
//! the restore fails, so that another backup can be tried without the key.

use super::restore_new::{self, RestoreNew};
use crate::{App, app::act, backups, log, plan::suspicious, projects, recovery, storages};
use async_trait::async_trait;

use mainstay_drivers::{
    engine::Chunking,
    storage::{FoundBackup, FoundRepository, RepositoryKeys, RepositoryRef},
};
use mainstay_model::{
    ClusterId, ClusterName, Error, Kind, ProjectId, Result, StorageId,
    backup::{BackupKind, Check, Proof},
    cluster::Cluster,
};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::AdoptRepository;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub new: restore_new::State,
    pub storage: StorageId,
    /// Where the repository lies: the ids are those of the installation that made it.
    pub project: ProjectId,
    pub cluster: ClusterId,
    /// Exactly the backup of `new`, not the newest good one.
    pub exactly: bool,
    pub found: Option<FoundRepository>,
}

pub struct RecoverCluster;

const FIRST: [Step; 2] = [
    Step::effect("adopt", "Open the repository with the recovery key and look at its backups", Undo::Nothing("a key more harms nobody")),
    Step::db("catalogue", "List its backups", Undo::Nothing("what was found stays listed")),
];
const THEN: &[Step] = RestoreNew::STEPS;
const ALL: [Step; FIRST.len() + THEN.len()] = {
    let mut all = [FIRST[0]; FIRST.len() + THEN.len()];
    all[1] = FIRST[1];
    let mut i = 0;
    while i < THEN.len() {
        all[FIRST.len() + i] = THEN[i];
        i += 1;
    }
    all
};

#[async_trait]
impl Operation for RecoverCluster {
    type World = App;
    type State = State;
    const KIND: &'static str = "recover_cluster";
    const VERSION: i64 = 2;
    const STEPS: &'static [Step] = &ALL;

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "adopt" => adopt(cx, s).await,
            _ => RestoreNew.effect(step, cx, &mut s.new).await,
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "catalogue" => catalogue(cx, tx, s).await,
            _ => RestoreNew.db(step, cx, tx, &mut s.new).await,
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "adopt" | "catalogue" => Err(unknown_step(Self::KIND, step)),
            _ => RestoreNew.undo(step, cx, &mut s.new).await,
        }
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        if !matches!(end, End::Stuck(_)) {
            store::secrets::delete_owner(tx, &recovery::key_owner(&s.new.restore)).await?;
        }
        RestoreNew.finished(end, cx, tx, &mut s.new).await
    }

    fn output(&self, s: &State) -> serde_json::Value {
        let mut output = RestoreNew.output(&s.new);
        let passed_over = s.found.as_ref().filter(|_| !s.exactly).and_then(|f| suspicious::newest_sound(&f.backups));
        if let Some((_, passed_over)) = passed_over.filter(|(_, all)| !all.is_empty()) {
            let told = passed_over.into_iter().map(|(id, why)| serde_json::json!({ "backup": id, "doubt": why }));
            output["passed_over"] = told.collect();
        }
        output
    }
}

async fn adopt(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let verb = AdoptRepository { repository: repository(cx, s).await?, recovery: recovery::key(&cx.world, &s.new.restore).await? };
    let found = act(cx, verb).await?;
    if let Some(why) = &found.error {
        return Err(Error::integrity(format!("the repository was opened, but what it holds cannot be listed: {why}")));
    }
    s.new.backup = choose(&found, s)?.backup.clone();
    s.found = Some(found);
    Ok(())
}

async fn repository(cx: &Cx<App>, s: &State) -> Result<RepositoryRef> {
    let app = &cx.world;
    let row = store::storages::get(&mut *app.store.read().await?, &s.storage).await?;
    let keys =
        RepositoryKeys { own: backups::own_key(app, &s.cluster).await?, recovery: projects::recovery_keys(app, &row.project).await? };
    Ok(RepositoryRef {
        storage: storages::spec(&app.store, &row).await?,
        project: s.project.clone(),
        cluster: s.cluster.clone(),
        // Chosen when it was made, and read from there.
        chunking: Chunking::ContentDefined,
        keys,
    })
}

/// The one that was named, or the newest that is whole and did not shrink: what its installation knew of
/// suspicious backups and failed drills lies nowhere here.
fn choose<'a>(found: &'a FoundRepository, s: &State) -> Result<&'a FoundBackup> {
    if !s.exactly {
        let none = || Error::integrity("no backup in the repository is whole; try another storage");
        return suspicious::newest_sound(&found.backups).map(|(sound, _)| sound).ok_or_else(none);
    }
    let named = found.backups.iter().find(|b| b.backup == s.new.backup);
    let named = named.ok_or_else(|| Error::not_found("backup", s.new.backup.as_str()))?;
    match &named.error {
        None => Ok(named),
        Some(why) => Err(Error::integrity(format!("backup {} is not whole: {why}; choose another one", named.backup))),
    }
}

async fn catalogue(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    let (storage, new) = (store::storages::get(tx, &s.storage).await?, store::clusters::get(tx, &s.new.create.cluster).await?);
    let found = s.found.as_ref().ok_or_else(|| Error::internal("nothing was found and it is to be listed"))?;
    let source = Cluster { id: s.cluster.clone(), name: ClusterName::parse(&found.name)?, ..new };
    let mut doubts = suspicious::doubts(&found.backups);
    for backup in found.backups.iter().filter(|b| b.error.is_none()) {
        let Ok(kind) = serde_json::from_value::<BackupKind>(backup.kind.clone().into()) else { continue };
        let mut row = backups::adopted(&cx.world, &source, kind, backup, &storage);
        if let Some(why) = doubts.remove(&row.id) {
            row.proof = Proof::Suspicious;
            row.checks.push(Check::new("plausible", false, why));
        }
        match store::backups::get(tx, &row.id).await {
            Err(e) if e.kind == Kind::NotFound => store::backups::insert(tx, &row).await?,
            Err(e) => return Err(e),
            // Known already; at most that it lies here too is news. What was let go here is none that came back.
            Ok(known) if known.copies.iter().any(|c| c.storage == storage.id && (c.is_good() || c.is_let_go())) => {}
            Ok(mut known) => {
                known.copies.retain(|c| c.storage != storage.id);
                known.copies.extend(row.copies);
                super::back_up::settle(&mut known);
                store::backups::update(tx, &known).await?;
            }
        }
    }
    log::take_found(tx, &s.cluster, &s.storage, found.log.clone()).await?;
    store::kv::put(tx, &backups::path_of(&s.cluster), s.project.as_str()).await?;
    let mut restore = store::restores::get(tx, &s.new.restore).await?;
    restore.backup = s.new.backup.clone();
    store::restores::update(tx, &restore).await
}
