//! The one table from a verb's name to what performs it.

use crate::Agent;
use mainstay_drivers::progress::Progress;
use mainstay_model::{Error, Result};
use mainstay_rpc::{
    Call, Out,
    verbs::{self, Verb},
};

/// What comes with a call besides its arguments.
pub(crate) struct Act {
    pub generation: i64,
    pub progress: Progress,
    pub out: Out,
}

/// A verb's reply as it is sent.
fn reply<V: Verb>(done: Result<V::Reply>) -> Result<String> {
    serde_json::to_string(&done?).map_err(Error::internal)
}

macro_rules! table {
    ($($verb:ident => $method:ident,)*) => {
        /// The verbs this agent performs.
        #[cfg(test)]
        const PERFORMED: &[&str] = &[$(verbs::$verb::NAME),*];

        pub(crate) async fn perform(agent: &Agent, call: &Call, act: &Act) -> Result<String> {
            match call.verb.as_str() {
                // Boxed: the largest of these futures would else be part of every call.
                $(verbs::$verb::NAME => reply::<verbs::$verb>(Box::pin(agent.$method(call.read()?, act)).await),)*
                other => Err(Error::malformed(format!("this agent knows no verb \"{}\"", mainstay_model::error::shown(other)))),
            }
        }
    };
}

table! {
    Describe => describe,
    NameAccounts => name_accounts,
    FindPort => find_port,
    PrepareNode => prepare_node,
    BootstrapNode => bootstrap_node,
    JoinNode => join_node,
    StartNode => start_node,
    StopNode => stop_node,
    FenceNode => fence_node,
    ReleaseFence => release_fence,
    RemoveNode => remove_node,
    LeaveNode => leave_node,
    ConfigureNode => configure_node,
    EnsureAccounts => ensure_accounts,
    StopWrites => stop_writes,
    ResumeWrites => resume_writes,
    WaitFor => wait_for,
    Promote => promote,
    Follow => follow,
    Probe => probe,
    NodeUsage => node_usage,
    Measure => measure,
    NodeLogs => node_logs,
    OpenConsole => open_console,
    TellConsole => tell_console,
    InterruptConsole => interrupt_console,
    SetRoute => set_route,
    RemoveRoute => remove_route,
    RouteStatuses => route_statuses,
    CheckStorage => check_storage,
    LimitStorage => limit_storage,
    Capture => capture,
    CopySnapshot => copy_snapshot,
    VerifySnapshot => verify_snapshot,
    LockSnapshot => lock_snapshot,
    SnapshotFacts => snapshot_facts,
    ListSnapshots => list_snapshots,
    DeleteSnapshots => delete_snapshots,
    RemoveRepository => remove_repository,
    EnsureKeys => ensure_keys,
    RepositoryUsage => repository_usage,
    DiscoverStorage => discover_storage,
    AdoptRepository => adopt_repository,
    CheckKey => check_key,
    ExportKey => export_key,
    StoreControlPlane => store_control_plane,
    ReclaimNode => reclaim_node,
    DownloadSnapshot => download_snapshot,
    ManualCommands => manual_commands,
    RestoreBeside => restore_beside,
    Assert => assert_all,
    SwapData => swap_data,
    SwapBack => swap_back,
    DropBeside => drop_beside,
    KeepLog => keep_log,
    StoreLog => store_log,
    ReleaseLog => release_log,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_of_the_contract_is_performed() {
        let (mut performed, mut all) = (PERFORMED.to_vec(), verbs::ALL.to_vec());
        performed.sort_unstable();
        all.sort_unstable();
        assert_eq!(performed, all);
    }
}
