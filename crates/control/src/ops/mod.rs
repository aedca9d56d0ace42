//! The verbs, one file each: parameters, steps, step functions.
//!
//! THE LIST is [`registry`]: an operation that is not in it does not exist, and one that is has to
//! pass the fault loops, which enumerate it.

pub mod add_node;
pub mod back_up;
pub mod back_up_group;
pub mod configure;
pub mod copy_backup;
pub mod create_cluster;
pub mod delete_backup;
pub mod delete_cluster;
pub mod drill;
pub mod expire_backups;
pub mod force_promote;
mod placing;
pub mod promote;
pub mod purge_cluster;
pub mod recover_cluster;
pub mod rekey_storage;
pub mod remove_node;
pub mod restart_cluster;
pub mod restart_node;
pub mod restore_group;
pub mod restore_in_place;
pub mod restore_new;
pub mod resync;
pub mod resync_node;
pub mod rotate;
mod serving;
pub mod set_allow_list;
pub mod set_log;
pub mod set_recovery_keys;
pub mod start_cluster;
pub mod stop_cluster;
mod together;
pub mod undelete_cluster;
pub mod undo_restore;
pub mod verify;

use crate::App;
use mainstay_model::{ProjectId, Result, cluster::Cluster};
use mainstay_operations::{Lock, Operation, Registry, Subject, Submit};

pub fn registry() -> Registry<App> {
    Registry::default()
        .with(add_node::AddNode)
        .with(back_up::BackUp)
        .with(back_up_group::BackUpGroup)
        .with(configure::Configure)
        .with(copy_backup::CopyBackup)
        .with(create_cluster::CreateCluster)
        .with(delete_backup::DeleteBackup)
        .with(delete_cluster::DeleteCluster)
        .with(drill::Drill)
        .with(expire_backups::ExpireBackups)
        .with(force_promote::ForcePromote)
        .with(promote::Promote)
        .with(purge_cluster::PurgeCluster)
        .with(recover_cluster::RecoverCluster)
        .with(rekey_storage::RekeyStorage)
        .with(remove_node::RemoveNode)
        .with(restart_cluster::RestartCluster)
        .with(restart_node::RestartNode)
        .with(restore_group::RestoreGroup)
        .with(restore_in_place::RestoreInPlace)
        .with(restore_new::RestoreNew)
        .with(resync::Resync)
        .with(resync_node::ResyncNode)
        .with(rotate::Rotate)
        .with(set_allow_list::SetAllowList)
        .with(set_log::SetLog)
        .with(set_recovery_keys::SetRecoveryKeys)
        .with(start_cluster::StartCluster)
        .with(stop_cluster::StopCluster)
        .with(undelete_cluster::UndeleteCluster)
        .with(undo_restore::UndoRestore)
        .with(verify::Verify)
}

/// What is locked and shown for a cluster's operation.
pub fn subject(cluster: &Cluster) -> Subject {
    subject_of(&cluster.project, cluster.name.as_str(), cluster.id.as_str())
}

pub fn subject_of(project: &ProjectId, name: &str, key: &str) -> Subject {
    Subject { project: project.as_str().into(), cluster: name.into(), key: key.into() }
}

/// A submission of `O` with its own state type, so that no caller builds JSON by hand.
pub fn submission<O: Operation>(state: &O::State, subject: Option<Subject>, lock: Lock, by: &str) -> Result<Submit> {
    let state = serde_json::to_value(state).map_err(mainstay_model::Error::internal)?;
    Ok(Submit { kind: O::KIND, state, subject, lock, requested_by: by.into() })
}

/// Runs `O` as a child, with its own state type.
pub(crate) async fn child<O: Operation>(cx: &mainstay_operations::Cx<App>, key: &str, state: &O::State) -> Result<serde_json::Value> {
    let state = serde_json::to_value(state).map_err(mainstay_model::Error::internal)?;
    cx.child(key, O::KIND, state).await
}

/// A label for a directory beside a node's data, made of an operation's id so that a second run
/// finds it again.
pub(crate) fn label(what: &str, operation: &mainstay_model::OperationId) -> String {
    format!("{what}-{operation}")
}
