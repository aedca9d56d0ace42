//! Remove backups whose announced deletion was not undone: their records in every storage first, their
//! rows last. Several at once, so that each repository is pruned once.
//!
//! What is removed is named by the catalogue: nothing is looked for by age or by what a storage lists. Where
//! a storage lets nobody delete they are given up all the same, and what stays of them is remembered.
//!
//! The same for single copies whose own time is over: their backups stay, each with another good copy, and
//! remember that this one went.

use crate::{
    App,
    app::act,
    backups,
    left_behind::{self, Stays},
    ops::back_up::settle,
};
use async_trait::async_trait;
use mainstay_drivers::storage::SNAPSHOT;
use mainstay_model::{
    BackupId, ClusterId, Kind, Result, StorageId, Time,
    backup::{Backup, BackupStatus, Copy, Deleting},
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
    /// Single copies of backups that stay.
    #[serde(default)]
    pub copies: Vec<(BackupId, StorageId)>,
    /// Those taken, and what they had been announced with.
    #[serde(default)]
    pub taken: Vec<(BackupId, Deleting)>,
    #[serde(default)]
    pub copies_taken: Vec<(BackupId, StorageId, Time)>,
    /// Storages that kept what was to go.
    #[serde(default)]
    pub stays: Stays,
}

impl State {
    pub fn of(cluster: &ClusterId) -> State {
        State { cluster: cluster.clone(), backups: vec![], copies: vec![], taken: vec![], copies_taken: vec![], stays: Stays::new() }
    }
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
        let copies: Vec<_> = s.copies_taken.iter().map(|(id, storage, _)| (id, storage)).collect();
        serde_json::json!({ "backups": s.taken.iter().map(|(id, _)| id).collect::<Vec<_>>(), "copies": copies, "stays": s.stays })
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
    take_copies(cx, tx, s).await
}

/// Only while another good copy of the backup stays, and nobody reads or holds it.
async fn take_copies(cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
    s.copies_taken.clear();
    let (now, in_use) = (cx.world.now(), store::restores::in_use(tx).await?);
    for (id, storage) in &s.copies {
        let Some(mut backup) = still_there(tx, id).await? else { continue };
        let read = in_use.contains(id) || backup.copies.iter().any(|c| c.status == BackupStatus::Running);
        let bears = |c: &Copy| c.storage != *storage && c.is_good() && c.kind != SNAPSHOT;
        if read || backup.pinned || !backup.is_good() || !backup.copies.iter().any(bears) {
            continue;
        }
        let free = |c: &Copy| c.lock.as_ref().and_then(|l| l.until).is_none_or(|t| t <= now);
        let Some(copy) = backup.copies.iter_mut().find(|c| c.storage == *storage && free(c)) else { continue };
        let Some(until) = copy.deleting_until.take_if(|t| *t <= now) else { continue };
        s.copies_taken.push((backup.id.clone(), storage.clone(), until));
        store::backups::update(tx, &backup).await?;
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
    for (id, storage, until) in &s.copies_taken {
        let Some(mut backup) = still_there(tx, id).await? else { continue };
        for copy in backup.copies.iter_mut().filter(|c| c.storage == *storage && c.status == BackupStatus::Deleting) {
            copy.deleting_until = Some(*until);
        }
        store::backups::update(tx, &backup).await?;
    }
    Ok(())
}

async fn remove(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let mut places: BTreeMap<StorageId, (Backup, Vec<String>)> = BTreeMap::new();
    let whole = s.taken.iter().map(|(id, _)| (id, None));
    let single = s.copies_taken.iter().map(|(id, storage, _)| (id, Some(storage)));
    for (id, only) in whole.chain(single) {
        let backup = match backups::get(&cx.world, id).await {
            Ok(backup) => backup,
            // Somebody deleted it since, with all its copies.
            Err(e) if e.kind == Kind::NotFound && only.is_some() => continue,
            Err(e) => return Err(e),
        };
        for copy in backup.copies.iter().filter(|c| only.is_none_or(|s| *s == c.storage)) {
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
    for (id, storage, _) in &s.copies_taken {
        let Some(mut backup) = still_there(tx, id).await? else { continue };
        left_behind::forget_copy(tx, &mut backup, storage, &s.stays, cx.world.now()).await?;
        settle(&mut backup);
        backups::update(tx, &backup).await?;
    }
    Ok(())
}
