//! Notices: what people are told of, written in the transaction that makes it so.
//!
//! The outbox is all that is written here. Nothing is sent, so nothing that is told of waits for, or
//! fails with, a mail server; [`crate::tasks::deliver`] sends.

use crate::{
    App, ops,
    plan::notices::{self as words, Draft},
};
use async_trait::async_trait;
use mainstay_model::{
    BackupId, Error, GroupBackupId, Kind, NoticeId, NotifierId, ProjectId, RestoreId, Result, Time, notice::Notice, notice::NoticeKind,
};
use mainstay_operations::{Ended, Listener, Operation, Tx};
use mainstay_store as store;
use sqlx::Connection;

/// Hears of every operation's end.
pub struct Notices;

#[async_trait]
impl Listener<App> for Notices {
    /// What goes wrong in here goes wrong alone: it is taken back by itself, and the end stands.
    async fn ended(&self, ended: &Ended<'_>, app: &App, tx: &mut Tx) -> Result<()> {
        app.something_ended.notify_one();
        let mut inner = tx.begin().await.map_err(store::error)?;
        match told(ended, app, &mut inner).await {
            Ok(()) => inner.commit().await.map_err(store::error),
            // The whole transaction is run again.
            Err(e) if e.is_transient() => Err(e),
            Err(e) => {
                tracing::error!(operation = %ended.id, inside = e.inside, "nobody is told how {} ended: {e}", ended.kind);
                inner.rollback().await.map_err(store::error)
            }
        }
    }
}

async fn told(ended: &Ended<'_>, app: &App, tx: &mut Tx) -> Result<()> {
    let Some(project) = ended.project.and_then(ProjectId::parse) else { return Ok(()) };
    if store::notifiers::list(tx, &project).await?.is_empty() {
        return Ok(());
    }
    match about(ended, tx).await? {
        Some(draft) => post(tx, &notice(&project, draft, app.now()), None).await,
        None => Ok(()),
    }
}

/// What there is to tell of this end: THE LIST of operations that people hear of.
async fn about(ended: &Ended<'_>, tx: &mut Tx) -> Result<Option<Draft>> {
    let (kind, end) = (ended.kind, ended.end);
    let (cluster, id) = (ended.cluster.unwrap_or_default(), ended.key.unwrap_or_default());
    Ok(match kind {
        // A member that failed for the others' sake is told of with its group, which may try again.
        ops::back_up::BackUp::KIND if ended.parent.is_some() && words::met_nobody(end) => None,
        ops::back_up::BackUp::KIND => words::backup(&backup(ended, tx).await?, end),
        ops::restore_in_place::RestoreInPlace::KIND | ops::restore_new::RestoreNew::KIND | ops::undo_restore::UndoRestore::KIND => {
            let restore = store::restores::get(tx, &id_in(ended.state, "restore", ended, RestoreId::parse)?).await?;
            words::restore(&restore, kind == ops::undo_restore::UndoRestore::KIND, end)
        }
        // The other parts of an operation are told of as a whole.
        _ if ended.parent.is_some() => None,
        ops::recover_cluster::RecoverCluster::KIND => {
            let restore = id_in(&ended.state["new"], "restore", ended, RestoreId::parse)?;
            words::restore(&store::restores::get(tx, &restore).await?, false, end)
        }
        ops::back_up_group::BackUpGroup::KIND => {
            let whole = store::groups::backup(tx, &id_in(ended.state, "backup", ended, GroupBackupId::parse)?).await?;
            words::group_backup(cluster, id, &whole, end)
        }
        ops::verify::Verify::KIND => words::verification(&backup(ended, tx).await?, end),
        ops::drill::Drill::KIND => words::drill(&backup(ended, tx).await?, end),
        ops::promote::Promote::KIND | ops::force_promote::ForcePromote::KIND => {
            words::verb(NoticeKind::PromotionDone, cluster, id, &promotion(ended, tx).await?, end)
        }
        ops::resync::Resync::KIND | ops::resync_node::ResyncNode::KIND => words::verb(NoticeKind::ResyncDone, cluster, id, "resync", end),
        _ => None,
    })
}

/// An id that an operation's state, or a part of it, names.
fn id_in<T>(state: &serde_json::Value, field: &str, ended: &Ended<'_>, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    let found = state.get(field).and_then(|v| v.as_str()).and_then(parse);
    found.ok_or_else(|| Error::internal(format!("{} {} has no {field}", ended.kind, ended.id)))
}

async fn backup(ended: &Ended<'_>, tx: &mut Tx) -> Result<mainstay_model::backup::Backup> {
    store::backups::get(tx, &id_in(ended.state, "backup", ended, BackupId::parse)?).await
}

async fn promotion(ended: &Ended<'_>, tx: &mut Tx) -> Result<String> {
    let node = id_in(ended.state, "node", ended, mainstay_model::NodeId::parse)?;
    match store::nodes::get(tx, &node).await {
        Ok(node) => Ok(format!("promotion of {}", node.name)),
        Err(e) if e.kind == Kind::NotFound => Ok("promotion".into()),
        Err(e) => Err(e),
    }
}

pub(crate) fn notice(project: &ProjectId, draft: Draft, at: Time) -> Notice {
    Notice {
        id: NoticeId::new(),
        project: project.clone(),
        kind: draft.kind,
        at,
        cluster: draft.cluster,
        object_kind: draft.object_kind.into(),
        object: draft.object,
        good: draft.good,
        title: draft.title,
        text: draft.text,
    }
}

/// Gives it to every notifier of the project that wants it, but not to the one it is about.
pub(crate) async fn post(tx: &mut Tx, notice: &Notice, except: Option<&NotifierId>) -> Result<()> {
    let all = store::notifiers::list(tx, &notice.project).await?;
    for notifier in all.iter().filter(|n| n.enabled && n.events.wants(notice.kind) && Some(&n.id) != except) {
        store::outbox::add(tx, &notifier.id, notice).await?;
    }
    Ok(())
}
