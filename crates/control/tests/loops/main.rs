//! Every operation, with something going wrong at every place there is: real control plane, real
//! agent, real store; a fake outside that is compared as a whole, and clients that write all along.

mod backups;
mod bin;
mod clusters;
mod copies;
mod groups;
mod locks;
mod logs;
mod mends;
mod months;
mod nodes;
mod rekey;
mod restores;
mod scene;
mod settings;
mod short_copies;
mod soak;
mod turns;
mod year;

use clusters::{Backups, Is};
use scene::{Shop, survives};
use std::collections::BTreeSet;

/// A test for each story, and the list of all of them.
macro_rules! loops {
    ($($name:ident: $story:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            survives($story).await;
        })*
        fn kinds() -> Vec<&'static str> {
            vec![$(scene::Story::kind(&$story)),*]
        }
    };
}

/// One whose writes pause for a hand-over, and one that stops for it.
const MEMO: Shop = Shop { engine: "memo", replicas: 0 };
const LEDGER: Shop = Shop { engine: "ledger", replicas: 0 };
const MEMOS: Shop = Shop { engine: "memo", replicas: 1 };
const LEDGERS: Shop = Shop { engine: "ledger", replicas: 1 };

loops! {
    cluster_restart_pair: clusters::Restart(LEDGERS);
    cluster_restart_single: clusters::Restart(MEMO);
    cluster_create_pair: clusters::Create(LEDGERS);
    cluster_create_single: clusters::Create(MEMO);
    cluster_delete_and_backups: clusters::Delete(LEDGER, Is::Running, Backups::GivenUp);
    cluster_delete_but_backups: clusters::Delete(MEMOS, Is::Stopped, Backups::Kept);
    cluster_delete_with_final_backup: clusters::Delete(LEDGERS, Is::Running, Backups::Final);
    cluster_purge: bin::Purge(LEDGER);
    cluster_undelete_pair: bin::Undelete(MEMOS);
    cluster_undelete_single: bin::Undelete(LEDGER);
    cluster_start: clusters::Start(MEMOS, Is::Stopped);
    cluster_start_running: clusters::Start(LEDGERS, Is::Running);
    cluster_stop: clusters::Stop(LEDGERS, Is::Running);
    cluster_stop_stopped: clusters::Stop(MEMOS, Is::Stopped);
    backup_copy: copies::Copy(MEMO);
    backup_create_pair: backups::BackUp(MEMOS);
    backup_create_single: backups::BackUp(LEDGER);
    backup_delete: backups::Delete(MEMO);
    backup_expire: backups::Expire(MEMO);
    backup_expire_copies: short_copies::Expire(MEMO);
    backup_drill: backups::Drill(LEDGER);
    backup_verify: backups::Verify(LEDGER);
    group_backup: groups::BackUp;
    group_restore: groups::Restore;
    log_off: logs::Off(LEDGER);
    log_on: logs::On(LEDGER);
    log_on_pair: logs::On(LEDGERS);
    moment_in_place: logs::Moment::in_place(LEDGER);
    moment_new: logs::Moment::new_cluster(LEDGER);
    node_add_to_pair: nodes::Add(LEDGERS);
    node_add_to_single: nodes::Add(MEMO);
    node_force_promote_pair: nodes::Force(LEDGERS);
    node_force_promote_three: nodes::Force(Shop { engine: "memo", replicas: 2 });
    node_promote_halting: nodes::Promote(LEDGERS);
    node_promote_pausing: nodes::Promote(MEMOS);
    node_remove: nodes::Remove(MEMOS);
    node_restart_primary: nodes::Restart(LEDGERS, "shop-1");
    node_restart_replica: nodes::Restart(MEMOS, "shop-2");
    node_resync: nodes::ResyncNode(LEDGERS);
    nodes_resync: nodes::Resync(MEMOS);
    recover_from_storage: restores::Recover(LEDGER);
    restore_in_place_of_another: restores::InPlace(LEDGER, "other");
    restore_in_place_stopped: restores::InPlaceStopped(LEDGERS);
    restore_in_place_pair: restores::InPlace(MEMOS, "shop");
    restore_new: restores::New(LEDGERS);
    restore_undo: restores::Undo(MEMOS);
    storage_rekey: rekey::Rekey(MEMO);
    set_allow_list: settings::SetAllowList(MEMO, Is::Running);
    set_allow_list_stopped: settings::SetAllowList(LEDGER, Is::Stopped);
    set_password_halting: settings::Rotate(LEDGERS, Default::default());
    set_password_pausing: settings::Rotate(MEMOS, Default::default());
    set_recovery_keys: settings::Keys(MEMO);
    set_settings: settings::Configure(MEMOS);
}

#[test]
fn every_operation_has_its_story() {
    let told: BTreeSet<_> = kinds().into_iter().collect();
    let registry = mainstay_control::ops::registry();
    assert_eq!(told, registry.kinds().collect::<BTreeSet<_>>());
}
