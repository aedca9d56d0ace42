//! Rekey a storage: new backups go to new repositories beside the old ones.
//!
//! The place is tried first, as when a storage is added. Then everything changes in one write: before it
//! all backups go where they went, after it all new ones go to repositories that have a master key of
//! their own from the moment the first of them makes it. Nothing in the place is touched.

use crate::{App, app::act, storages};
use async_trait::async_trait;
use mainstay_model::{Error, Result, StorageId, backup::Check};
use mainstay_operations::{Cx, End, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::CheckStorage;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub old: StorageId,
    pub new: StorageId,
    pub edition: u32,
    /// How many go on into the new repositories.
    pub clusters: u64,
}

pub struct RekeyStorage;

#[async_trait]
impl Operation for RekeyStorage {
    type World = App;
    type State = State;
    const KIND: &'static str = "rekey_storage";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("look", "See that the storage can be written to", Undo::Nothing("only looks")),
        Step::db(
            "switch",
            "Let new backups go to new repositories, and keep the old ones beside them",
            Undo::Nothing("it is the last step"),
        ),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "look" => look(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "switch" => {
                s.clusters = storages::switch(&cx.world, tx, &s.old, &s.new).await?;
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn finished(&self, end: End<'_>, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        if matches!(end, End::Succeeded) {
            // Limits that hold for those that wait now.
            cx.world.turns.limit(&store::storages::get(tx, &s.new).await?);
            cx.world.control_plane_changed.notify_one();
        }
        Ok(())
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "storage": s.new, "before": s.old, "clusters": s.clusters })
    }
}

async fn look(cx: &Cx<App>, s: &State) -> Result<()> {
    let storage = storages::new_spec(&cx.world, s).await?;
    let name = storage.name.clone();
    let report = act(cx, CheckStorage { storage }).await?;
    match report.rows.iter().find(|row| Check::failed(row)) {
        None => Ok(()),
        Some(bad) => Err(Error::failed("storage_unwell", format!("storage {name} fails its check \"{}\": {}", bad.name, bad.detail))),
    }
}
