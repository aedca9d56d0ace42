//! Delete one backup: its records in every storage first, its row last. A storage that lets nobody delete
//! keeps its own, which is remembered and said; the backup is given up all the same.

use crate::{
    App,
    app::act,
    backups,
    left_behind::{self, Stays},
};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, Result,
    backup::{BackupStatus, Deleting},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::DeleteSnapshots;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub backup: BackupId,
    pub status_before: BackupStatus,
    /// A deletion by a policy that was announced already.
    #[serde(default)]
    pub deleting_before: Option<Deleting>,
    /// Storages that kept what was to go.
    #[serde(default)]
    pub stays: Stays,
}

pub struct DeleteBackup;

const FORWARD: Undo = Undo::Nothing("past the point of no return");

#[async_trait]
impl Operation for DeleteBackup {
    type World = App;
    type State = State;
    const KIND: &'static str = "delete_backup";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("mark", "Mark the backup as going away", Undo::With),
        Step::effect("remove", "Remove its record from every storage and give back the space", FORWARD).no_return(),
        Step::db("forget", "Forget the backup", FORWARD),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "remove" => remove(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => {
                let before = store::backups::get(tx, &s.backup).await?;
                (s.status_before, s.deleting_before) = (before.status, before.deleting);
                set_status(tx, s, BackupStatus::Deleting, None).await
            }
            "forget" => {
                let backup = store::backups::get(tx, &s.backup).await?;
                left_behind::forget(tx, &backup, &s.stays, cx.world.now()).await
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "mark" => set_status(tx, s, s.status_before, s.deleting_before.clone()).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "backup": s.backup, "stays": s.stays })
    }
}

async fn set_status(tx: &mut Tx, s: &State, status: BackupStatus, deleting: Option<Deleting>) -> Result<()> {
    let mut backup = store::backups::get(tx, &s.backup).await?;
    (backup.status, backup.deleting) = (status, deleting);
    store::backups::update(tx, &backup).await
}

async fn remove(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let backup = backups::get(&cx.world, &s.backup).await?;
    for (copy, snapshot) in backup.copies.iter().filter_map(|c| Some((c, c.snapshot.clone()?))) {
        let Some(repository) = backups::repository_of_there(&cx.world, &backup, &copy.storage).await? else { continue };
        let deleted = act(cx, DeleteSnapshots { repository, snapshots: vec![snapshot], prune: true }).await?;
        left_behind::heard(&mut s.stays, &copy.storage, deleted);
    }
    Ok(())
}
