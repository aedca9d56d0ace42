//! Bring a project's recovery keys to every repository of it: those that are wanted open it, no others.
//!
//! A storage that does not answer keeps none of the others from it. It fails the operation, which names
//! it, and is tried again by itself until it has taken the keys.

use crate::{App, app::act, recovery_keys};
use async_trait::async_trait;
use mainstay_model::{Error, Kind, ProjectId, Result};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::EnsureKeys;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub project: ProjectId,
    /// Which keys were brought there.
    pub mark: String,
    pub repositories: u64,
}

pub struct SetRecoveryKeys;

#[async_trait]
impl Operation for SetRecoveryKeys {
    type World = App;
    type State = State;
    const KIND: &'static str = "set_recovery_keys";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::effect("bring", "Let every repository take the keys", Undo::Nothing("what is wanted stays wanted")),
        Step::db("record", "Record that they are in place", Undo::Nothing("they are")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "bring" => bring(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => recovery_keys::note_applied(tx, &s.project, &s.mark, cx.world.now()).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "project": s.project, "repositories": s.repositories })
    }
}

async fn bring(cx: &Cx<App>, s: &mut State) -> Result<()> {
    s.mark = recovery_keys::current_mark(&cx.world, &s.project).await?;
    s.repositories = 0;
    let mut failed: Vec<(String, Error)> = Vec::new();
    for repository in recovery_keys::repositories(&cx.world, &s.project).await? {
        let (storage, keys) = (repository.storage.name.clone(), repository.keys.clone());
        match act(cx, EnsureKeys { repository, keys }).await {
            Ok(_) => s.repositories += 1,
            // Given up with its backups; there is nothing left to open.
            Err(e) if e.kind == Kind::NotFound => {}
            Err(e) => failed.push((storage, e)),
        }
    }
    let Some((storage, first)) = failed.first() else { return Ok(()) };
    let others = if failed.len() > 1 { format!(" ({} repositories in all)", failed.len()) } else { String::new() };
    Err(first.clone().context(format!("storage {storage} has not taken the recovery keys yet and is tried again{others}")))
}
