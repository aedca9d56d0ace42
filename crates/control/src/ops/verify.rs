//! Verify: read every byte of every copy of a backup again.
//!
//! What is found is recorded, whatever becomes of the operation: a damaged copy stops counting the moment
//! it is known, also where another one cannot be read today. Of that one nothing is known, and the operation
//! says so in the end.

use super::back_up;
use crate::{App, app::act, backups};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, Error, Kind, Result, StorageId, Time,
    backup::{Backup, BackupStatus, Check, Copy, Proof},
    reading::Reading,
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::VerifySnapshot;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub backup: BackupId,
    /// One for each copy; of one that could not be read the error that says why.
    pub results: Vec<(StorageId, Result<u64, Error>, Time)>,
    /// How often it was tried.
    #[serde(default)]
    pub tries: u32,
    /// The copies in these storages, of which it is remembered when they were read; all where it is empty.
    #[serde(default)]
    pub only: Vec<StorageId>,
}

impl State {
    pub fn new(backup: &BackupId, only: Vec<StorageId>) -> State {
        State { backup: backup.clone(), results: vec![], tries: 0, only }
    }

    fn asks_for(&self, copy: &Copy) -> bool {
        self.only.is_empty() || self.only.contains(&copy.storage)
    }
}

/// How often a storage that does not answer is tried before the others are recorded without it.
const TRIES: u32 = 3;

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
    s.tries += 1;
    // What an earlier try read is not read again for the sake of the others.
    s.results.retain(|(_, result, _)| says_something(result));
    for (copy, snapshot) in backup.copies.iter().filter(|c| !c.is_let_go()).filter_map(|c| Some((c, c.snapshot.clone()?))) {
        if !s.asks_for(copy) || s.results.iter().any(|(storage, ..)| *storage == copy.storage) {
            continue;
        }
        let result = one(cx, &backup, copy, snapshot).await;
        if let Some(e) = result.as_ref().err().filter(|e| e.code == "cancelled") {
            return Err(e.clone());
        }
        s.results.push((copy.storage.clone(), result, cx.world.now()));
    }
    let waits = s.results.iter().filter_map(|(_, r, _)| r.as_ref().err()).find(|e| e.is_transient());
    waits.filter(|_| s.tries < TRIES).map_or(Ok(()), |e| Err(e.clone()))
}

async fn one(cx: &Cx<App>, backup: &Backup, copy: &Copy, snapshot: String) -> Result<u64> {
    let repository = backups::repository_of(&cx.world, backup, &copy.storage).await.map_err(|e| match e.kind {
        // The storage is no longer in the list: that says nothing about what lies in it.
        Kind::NotFound => Error::conflict("storage_removed", format!("storage {} is not among the storages any more", copy.storage_name)),
        _ => e,
    })?;
    Ok(act(cx, VerifySnapshot { repository, snapshot, depth: back_up::DEPTH }).await?.bytes)
}

fn says_something(result: &Result<u64, Error>) -> bool {
    result.as_ref().err().is_none_or(condemns)
}

/// Whether the error says that the copy is bad or gone. One that only says that it could not be
/// read today says nothing about it.
pub(super) fn condemns(e: &Error) -> bool {
    matches!(e.kind, Kind::Integrity | Kind::NotFound)
}

async fn record(tx: &mut Tx, s: &State) -> Result<()> {
    let mut backup = store::backups::get(tx, &s.backup).await?;
    let storages: Vec<&str> = backup.copies.iter().filter(|c| s.asks_for(c)).map(|c| c.storage_name.as_str()).collect();
    let of_these = |detail: &str| storages.iter().any(|name| detail.strip_prefix(name).is_some_and(|rest| rest.starts_with(": ")));
    let other = |c: &&Check| c.name != "verify" || !s.only.is_empty() && !of_these(&c.detail);
    let stays: Vec<Check> = backup.checks.iter().filter(other).cloned().collect();
    backup.checks = stays;
    for (storage, result, at) in &s.results {
        // One that was let go meanwhile is judged no more.
        let Some(copy) = backup.copies.iter_mut().find(|c| &c.storage == storage && !c.is_let_go()) else { continue };
        if !says_something(result) {
            let why = result.as_ref().err().map(|e| e.message.clone()).unwrap_or_default();
            backup.checks.push(Check::absent("verify", format!("{}: it could not be read: {why}", copy.storage_name)));
            continue;
        }
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
    let read = s.results.iter().all(|(_, result, _)| result.is_ok());
    if backup.proof == Proof::None && backup.status == BackupStatus::Completed && read {
        backup.proof = Proof::Verified;
    }
    backups::update(tx, &backup).await?;
    remember(tx, s, &backup).await
}

/// When the data in these storages was read, for the next time it is due.
async fn remember(tx: &mut Tx, s: &State, backup: &Backup) -> Result<()> {
    for (storage, result, at) in s.results.iter().filter(|(storage, ..)| s.only.contains(storage)) {
        let Some(copy) = backup.copies.iter().find(|c| &c.storage == storage) else { continue };
        let before = store::readings::get(tx, &backup.cluster, storage).await?.and_then(|r| r.good_at);
        let reading = Reading {
            project: backup.project.clone(),
            cluster: backup.cluster.clone(),
            cluster_name: backup.cluster_name.to_string(),
            storage: storage.clone(),
            storage_name: copy.storage_name.clone(),
            backup: backup.id.clone(),
            at: *at,
            good_at: if result.is_ok() { Some(*at) } else { before },
            error: result.as_ref().err().map(|e| e.message.clone()),
        };
        store::readings::put(tx, &reading).await?;
    }
    Ok(())
}

fn conclude(s: &State) -> Result<()> {
    if s.results.is_empty() {
        return Err(Error::conflict("no_copy", "the backup has no stored copy to verify"));
    }
    let errors = || s.results.iter().filter_map(|(_, r, _)| r.as_ref().err());
    match errors().find(|e| condemns(e)) {
        Some(bad) => Err(Error { kind: Kind::Integrity, ..bad.clone() }),
        // It was tried often enough; trying to say so again would not help.
        None => errors()
            .next()
            .map_or(Ok(()), |e| Err(Error::failed("copy_unreadable", format!("a copy could not be read, and is as it was: {e}")))),
    }
}
