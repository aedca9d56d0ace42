//! Remove backups whose announced deletion was not undone: their records in every storage first, their
//! rows last. Several at once, so that each repository is pruned once.
//!
//! What is removed is named by the catalogue: nothing is looked for by age or by what a storage lists. Where
//! a storage lets nobody delete they are given up all the same, and what stays of them is remembered.

use crate::{
    App,
    app::act,
    backups,
    left_behind::{self, Stays},
};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, ClusterId, Kind, Result, StorageId,
    backup::{Backup, BackupStatus, Deleting},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::DeleteSnapshots;
use mainstay_store as store;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    pub backups: Vec<BackupId>,
    /// Those taken, and what they had been announced with.
    #[serde(default)]
    pub taken: Vec<(BackupId, Deleting)>,
    /// Storages that kept what was to go.
    #[serde(default)]
    pub stays: Stays,
}

pub struct ExpireBackups;

const FORWARD: Undo = Undo::Nothing("past the point of no return");

#[async_trait]
impl Operation for ExpireBackups {
    type World = App;
    type State = State;
    const KIND: &'static str = "expire_backups";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("take", "Take the backups whose time to be brought back is over", Undo::With),
        Step::effect("remove", "Remove their records from every storage and give back the space", FORWARD).no_return(),
        Step::db("forget", "Forget the backups", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "remove" => remove(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "take" => take(cx, tx, s).await,
            "forget" => forget(cx, tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "take" => give_back(tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "backups": s.taken.iter().map(|(id, _)| id).collect::<Vec<_>>(), "stays": s.stays })
    }
}

/// From here on they cannot be brought back. Those that were, a moment ago, are left alone.
async fn take(cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
    s.taken.clear();
    for id in &s.backups {
        let Some(mut backup) = still_there(tx, id).await? else { continue };
        let free = !backup.pinned && backup.locked_until(cx.world.now()).is_none();
        let due = free && backup.status == BackupStatus::Deleting;
        let Some(deleting) = backup.deleting.take().filter(|d| due && d.until <= cx.world.now()) else { continue };
        store::backups::update(tx, &backup).await?;
        s.taken.push((backup.id, deleting));
    }
    Ok(())
}

async fn still_there(tx: &mut Tx, id: &BackupId) -> Result<Option<Backup>> {
    match store::backups::get(tx, id).await {
        Ok(backup) => Ok(Some(backup)),
        Err(e) if e.kind == Kind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

async fn give_back(tx: &mut Tx, s: &State) -> Result<()> {
    for (id, deleting) in &s.taken {
        if let Some(mut backup) = still_there(tx, id).await? {
            backup.deleting = Some(deleting.clone());
            store::backups::update(tx, &backup).await?;
        }
    }
    Ok(())
}

async fn remove(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let mut places: BTreeMap<StorageId, (Backup, Vec<String>)> = BTreeMap::new();
    for (id, _) in &s.taken {
        let backup = backups::get(&cx.world, id).await?;
        for copy in &backup.copies {
            let Some(snapshot) = copy.snapshot.clone() else { continue };
            places.entry(copy.storage.clone()).or_insert_with(|| (backup.clone(), vec![])).1.push(snapshot);
        }
    }
    for (storage, (of, snapshots)) in places {
        let Some(repository) = backups::repository_of_there(&cx.world, &of, &storage).await? else { continue };
        let deleted = act(cx, DeleteSnapshots { repository, snapshots, prune: true }).await?;
        left_behind::heard(&mut s.stays, &storage, deleted);
    }
    Ok(())
}

async fn forget(cx: &Cx<App>, tx: &mut Tx, s: &State) -> Result<()> {
    for (id, _) in &s.taken {
        if let Some(backup) = still_there(tx, id).await? {
            left_behind::forget(tx, &backup, &s.stays, cx.world.now()).await?;
        }
    }
    Ok(())
}
