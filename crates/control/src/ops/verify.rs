//! Verify: read every byte of every copy of a backup again.
//!
//! What is found bad is recorded at once, whatever becomes of the operation: a damaged copy stops
//! counting the moment it is known.

use super::back_up;
use crate::{App, app::act, backups};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, Error, Kind, Result, StorageId, Time,
    backup::{BackupStatus, Check, Proof},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::VerifySnapshot;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub backup: BackupId,
    pub results: Vec<(StorageId, Result<u64, Error>, Time)>,
}

pub struct Verify;

#[async_trait]
impl Operation for Verify {
    type World = App;
    type State = State;
    const KIND: &'static str = "verify";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("read_back", "Read every byte of every copy", Undo::Nothing("only reads")),
        Step::db("record", "Record what was found", Undo::Nothing("what was found stays found")),
        Step::effect("conclude", "Say whether the backup is good", Undo::Nothing("changes nothing")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "read_back" => read_back(cx, s).await,
            "conclude" => conclude(s),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, _cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => record(tx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "backup": s.backup })
    }
}

async fn read_back(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let backup = backups::get(&cx.world, &s.backup).await?;
    s.results.clear();
    for (copy, snapshot) in backup.copies.iter().filter_map(|c| Some((c, c.snapshot.clone()?))) {
        let repository = backups::repository_of(&cx.world, &backup, &copy.storage).await?;
        let result = act(cx, VerifySnapshot { repository, snapshot, depth: back_up::DEPTH }).await.map(|v| v.bytes);
        if let Some(e) = result.as_ref().err().filter(|e| !condemns(e)) {
            return Err(e.clone());
        }
        s.results.push((copy.storage.clone(), result, cx.world.now()));
    }
    Ok(())
}

/// Whether the error says that the copy is bad or gone. One that only says that it could not be
/// read today says nothing about it.
pub(super) fn condemns(e: &Error) -> bool {
    matches!(e.kind, Kind::Integrity | Kind::NotFound)
}

async fn record(tx: &mut Tx, s: &State) -> Result<()> {
    let mut backup = store::backups::get(tx, &s.backup).await?;
    backup.checks.retain(|c| c.name != "verify");
    for (storage, result, at) in &s.results {
        let Some(copy) = backup.copies.iter_mut().find(|c| &c.storage == storage) else { continue };
        let detail = match result {
            Ok(bytes) => {
                (copy.verified_at, copy.status, copy.error) = (Some(*at), BackupStatus::Completed, None);
                format!("{}: {bytes} bytes read and good", copy.storage_name)
            }
            Err(e) => {
                (copy.verified_at, copy.status, copy.error) = (None, BackupStatus::Failed, Some(e.message.clone()));
                format!("{}: {}", copy.storage_name, e.message)
            }
        };
        backup.checks.push(Check::new("verify", result.is_ok(), detail));
    }
    back_up::settle(&mut backup);
    if backup.proof == Proof::None && backup.status == BackupStatus::Completed {
        backup.proof = Proof::Verified;
    }
    backups::update(tx, &backup).await
}

fn conclude(s: &State) -> Result<()> {
    if s.results.is_empty() {
        return Err(Error::conflict("no_copy", "the backup has no stored copy to verify"));
    }
    match s.results.iter().find_map(|(_, r, _)| r.as_ref().err()) {
        None => Ok(()),
        Some(e) => Err(Error { kind: Kind::Integrity, ..e.clone() }),
    }
}
