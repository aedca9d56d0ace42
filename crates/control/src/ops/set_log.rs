//! Keeping a cluster's log, or no longer: recorded, begun at the primary, and with a backup for the
//! window to begin with, so that it says at once what does not work.

use crate::{App, app::act, backups, log, tasks::keep_log, topology::Topology};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, ClusterId, Result,
    backup::{BackupKind, ReadFrom},
    log::{Archive, Keeping},
};
use mainstay_operations::{Cx, Operation, Step, Tx, Undo, unknown_step};
use mainstay_rpc::verbs::ReleaseLog;
use mainstay_store as store;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub cluster: ClusterId,
    /// `None` ends it.
    pub keeping: Option<Keeping>,
    pub before: Option<Keeping>,
    /// It was not kept before.
    pub began: bool,
    pub base: Option<BackupId>,
}

pub struct SetLog;

#[async_trait]
impl Operation for SetLog {
    type World = App;
    type State = State;
    const KIND: &'static str = "set_log";
    const VERSION: i64 = 1;
    const STEPS: &'static [Step] = &[
        Step::db("record", "Record where the log is kept", Undo::With),
        Step::effect("apply", "Take over the primary's log, or let go of it", Undo::With),
        Step::effect("base", "Make the backup a window begins with", Undo::Nothing("a good backup stays")),
    ];

    async fn effect(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => apply(cx, s, s.keeping.is_some()).await,
            "base" => base(cx, s).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => {
                s.before = record(cx, tx, s, s.keeping.clone()).await?;
                s.began = s.before.is_none() && s.keeping.is_some();
                Ok(())
            }
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo(&self, step: &str, cx: &Cx<App>, s: &mut State) -> Result<()> {
        match step {
            "apply" => apply(cx, s, s.before.is_some()).await,
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    async fn undo_db(&self, step: &str, cx: &Cx<App>, tx: &mut Tx, s: &mut State) -> Result<()> {
        match step {
            "record" => record(cx, tx, s, s.before.clone()).await.map(drop),
            _ => Err(unknown_step(Self::KIND, step)),
        }
    }

    fn output(&self, s: &State) -> serde_json::Value {
        serde_json::json!({ "cluster": s.cluster, "backup": s.base })
    }
}

/// What was kept before. An archive that is no longer wanted is forgotten by the task, which makes
/// sure that nothing of it goes on.
async fn record(cx: &Cx<App>, tx: &mut Tx, s: &State, keeping: Option<Keeping>) -> Result<Option<Keeping>> {
    let mut cluster = store::clusters::get(tx, &s.cluster).await?;
    if keeping.is_some() {
        let mut archive = store::log::archive(tx, &s.cluster).await?.unwrap_or_default();
        if cluster.log.is_none() {
            archive = Archive { line: Some(log::new_line(cx.world.now())), breaks: archive.breaks, ..Archive::default() };
        }
        store::log::put_archive(tx, &s.cluster, &archive).await?;
    }
    let before = std::mem::replace(&mut cluster.log, keeping);
    store::clusters::update(tx, &cluster).await?;
    Ok(before)
}

async fn apply(cx: &Cx<App>, s: &State, on: bool) -> Result<()> {
    let topology = Topology::load(&cx.world, &s.cluster).await?;
    if on {
        return keep_log::keep(&cx.world, &topology.cluster).await.map(drop);
    }
    act(cx, ReleaseLog { cluster: s.cluster.clone(), nodes: topology.plans()? }).await.map(drop)
}

/// Storages that came to others get theirs by the task that sees to it.
async fn base(cx: &Cx<App>, s: &mut State) -> Result<()> {
    let Some(keeping) = s.keeping.as_ref().filter(|_| s.began) else { return Ok(()) };
    let (description, days) = (backups::BEGINS_WINDOW.to_string(), Some(keeping.keep_days.max(backups::DEFAULT_RETENTION_DAYS)));
    let new = backups::Child { kind: BackupKind::Scheduled, description, days, storages: keeping.storages.clone() };
    s.base = Some(backups::child_into(cx, &s.cluster, "base", new, ReadFrom::Primary).await?);
    Ok(())
}
