//! Copy a backup: the same recovery point in one storage more, or again in one where it failed.
//!
//! What is copied is what a good copy holds; the engine is not asked, and may be gone. A copy that
//! does not come about leaves the backup as it was: the operation says why.

use super::{
    back_up::{self, record_copy, settle},
    verify::condemns,
};
use crate::{Actor, App, app::act, backups, copies, left_behind, turns};
use async_trait::async_trait;
use mainstay_drivers::storage::{RepositoryRef, Stored};
use mainstay_model::{
    BackupId, Error, Kind, Result, StorageId,
    backup::{Backup, BackupStatus, Copy},
};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::{Cancel, CopySnapshot, DeleteSnapshots, Deleted, ListSnapshots, VerifySnapshot};
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub backup: BackupId,
    pub storage: StorageId,
    /// The failed copy that this one takes the place of.
    pub before: Option<Copy>,
    pub stored: Option<Stored>,
}

pub struct CopyBackup;

#[async_trait]
impl Operation for CopyBackup {
    type World = App;
    type State = State;
    const KIND: &'static str = "copy_backup";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("reserve", "Note that a copy is being made", Undo::Nothing("its row says how it ended")),
        Step::effect("copy", "Copy it from a good one, and read it back", Undo::With),
        Step::db("record", "Record the copy", Undo::Nothing("its row says how it ended")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "copy" => copy(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "reserve" => reserve(cx, tx, s).await,
            "record" => record(tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "copy" => take_back(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    /// Without a success the copies are what they were.
    async fn finished(&self, end: End<'_>, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        if matches!(end, End::Succeeded) {
            return Ok(());
        }
        let mut backup = store::backups::get(tx, &s.backup).await?;
        if let Some(at) = backup.copies.iter().position(|c| c.storage == s.storage && c.status == BackupStatus::Running) {
            match s.before.clone() {
                Some(before) => backup.copies[at] = before,
                None => drop(backup.copies.remove(at)),
            }
        }
        backups::update(tx, &backup).await
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "backup": s.backup })
    }
}

async fn reserve(cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
    let mut backup = store::backups::get(tx, &s.backup).await?;
    let row = store::storages::get(tx, &s.storage).await?;
    copies::may_add(&backup, &row)?;
    let mut running = backups::copy(&row);
    // What makes good for one that failed lapses as that would have. One that was let go and is asked for
    // again stays as long as its backup.
    let failed = backup.copies.iter().find(|c| c.storage == s.storage && c.status == BackupStatus::Failed);
    running.expires_at = failed.and_then(|c| c.expires_at).filter(|t| *t > cx.world.now());
    match backup.copies.iter_mut().find(|c| c.storage == s.storage) {
        Some(old) => s.before = Some(std::mem::replace(old, running)),
        None => backup.copies.push(running),
    }
    backups::update(tx, &backup).await
}

async fn copy(cx: &Cx<App>, s: &mut State) -> Result<()> {
    // What is made good for by itself comes after what somebody waits for.
    let _turn = turns::take(cx, cx.requested_by == Actor::mainstay().name, None, std::slice::from_ref(&s.storage)).await?;
    let backup = backups::get(&cx.world, &s.backup).await?;
    let to = backups::repository_of(&cx.world, &backup, &s.storage).await?;
    let damaged = s.before.as_ref().and_then(|b| b.snapshot.clone());
    if let Some(old) = &damaged {
        make_room(cx, &to, old).await?;
    }
    let stored = from_any(cx, &backup, &to).await?;
    if damaged.is_some() {
        // It shares what it can with what lies there, and there something was bad.
        let verb = VerifySnapshot { repository: to, snapshot: stored.snapshot.clone(), depth: back_up::DEPTH };
        act(cx, verb).await?;
    }
    s.stored = Some(stored);
    Ok(())
}

/// The copy that was found bad is read once more: what is good after all stays, and of what is not
/// the storage learns what nothing may be built on.
async fn make_room(cx: &Cx<App>, to: &RepositoryRef, old: &str) -> Result<()> {
    match act(cx, VerifySnapshot { repository: to.clone(), snapshot: old.into(), depth: back_up::DEPTH }).await {
        Ok(_) => return Ok(()),
        Err(e) if !condemns(&e) => return Err(e),
        Err(_) => {}
    }
    match act(cx, DeleteSnapshots { repository: to.clone(), snapshots: vec![old.into()], prune: false }).await {
        Err(e) if e.kind != Kind::NotFound => Err(e),
        // Nothing can take its place: the new copy would have the same name.
        Ok(Deleted { stays: Some(why) }) => {
            Err(Error::conflict("append_only", format!("the damaged copy cannot be replaced, for it cannot be removed: {why}")))
        }
        _ => Ok(()),
    }
}

/// From the first good copy that can be read.
async fn from_any(cx: &Cx<App>, backup: &Backup, to: &RepositoryRef) -> Result<Stored> {
    let mut last = backups::not_restorable(backup);
    for (good, snapshot) in backup.copies.iter().filter(|c| c.is_good()).filter_map(|c| Some((c, c.snapshot.clone()?))) {
        let from = backups::repository_of(&cx.world, backup, &good.storage).await?;
        let verb = CopySnapshot { from, snapshot, to: to.clone(), backup: backup.id.clone() };
        let copied = tokio::select! {
            copied = act(cx, verb) => copied,
            () = cx.cancelled() => return Err(Error::conflict("cancelled", "cancelled")),
        };
        match copied {
            Ok(stored) => return Ok(stored),
            Err(e) => last = e.context(format!("copying from {} to {}", good.storage_name, to.storage.name)),
        }
    }
    Err(last)
}

/// Stops what still runs and removes what was published. A storage that does not answer and never
/// said that it had it has nothing that counts.
async fn take_back(cx: &Cx<App>, s: &State) -> Result<()> {
    act(cx, Cancel { operation: cx.operation.to_string() }).await?;
    let backup = backups::get(&cx.world, &s.backup).await?;
    let repository = backups::repository_of(&cx.world, &backup, &s.storage).await?;
    let published = match act(cx, ListSnapshots { repository: repository.clone() }).await {
        Ok(all) => all.into_iter().filter(|p| p.label.backup == s.backup).map(|p| p.id).collect::<Vec<_>>(),
        Err(e) if s.stored.is_some() && e.kind != Kind::NotFound => return Err(e),
        Err(_) => return Ok(()),
    };
    if published.is_empty() {
        return Ok(());
    }
    let deleted = act(cx, DeleteSnapshots { repository, snapshots: published.clone(), prune: false }).await?;
    left_behind::note_published(&cx.world, &backup, &s.storage, &published, deleted).await
}

async fn record(tx: &mut Tx, s: &State) -> Result<()> {
    let mut backup = store::backups::get(tx, &s.backup).await?;
    let stored = s.stored.clone().ok_or_else(|| Error::internal("recording a copy that was not made"))?;
    if let Some(copy) = backup.copies.iter_mut().find(|c| c.storage == s.storage) {
        record_copy(copy, &Ok(stored));
        (copy.tries, copy.tried_at) = (0, None);
    }
    if matches!(backup.status, BackupStatus::Completed | BackupStatus::Partial | BackupStatus::Failed) {
        settle(&mut backup);
    }
    backups::update(tx, &backup).await
}
