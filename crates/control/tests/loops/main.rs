//! Every operation, with something going wrong at every place there is: real control plane, real
//! agent, real store; a fake outside that is compared as a whole, and clients that write all along.

mod backups;
mod clusters;
mod nodes;
mod restores;
mod scene;
mod settings;

use clusters::Backups;
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
    add_node_to_pair: nodes::Add(LEDGERS);
    add_node_to_single: nodes::Add(MEMO);
    back_up_pair: backups::BackUp(MEMOS);
    back_up_single: backups::BackUp(LEDGER);
    configure: settings::Configure(MEMOS);
    create_pair: clusters::Create(LEDGERS);
    create_single: clusters::Create(MEMO);
    delete_backup: backups::Delete(MEMO);
    delete_cluster_and_backups: clusters::Delete(LEDGER, Backups::GivenUp);
    delete_cluster_but_backups: clusters::Delete(MEMOS, Backups::Kept);
    delete_cluster_with_final_backup: clusters::Delete(LEDGERS, Backups::Final);
    drill: backups::Drill(LEDGER);
    promote_halting: nodes::Promote(LEDGERS);
    promote_pausing: nodes::Promote(MEMOS);
    remove_node: nodes::Remove(MEMOS);
    restart_cluster_pair: clusters::Restart(LEDGERS);
    restart_cluster_single: clusters::Restart(MEMO);
    restart_node_primary: nodes::Restart(LEDGERS, "shop-1");
    restart_node_replica: nodes::Restart(MEMOS, "shop-2");
    restore_in_place_of_another: restores::InPlace(LEDGER, "other");
    restore_in_place_pair: restores::InPlace(MEMOS, "shop");
    restore_new: restores::New(LEDGERS);
    resync: nodes::Resync(MEMOS);
    resync_node: nodes::ResyncNode(LEDGERS);
    rotate_halting: settings::Rotate(LEDGERS, Default::default());
    rotate_pausing: settings::Rotate(MEMOS, Default::default());
    set_allow_list_running: settings::SetAllowList(MEMO, false);
    set_allow_list_stopped: settings::SetAllowList(LEDGER, true);
    start_cluster: clusters::Start(MEMOS);
    stop_cluster: clusters::Stop(LEDGERS);
    undo_restore: restores::Undo(MEMOS);
    verify: backups::Verify(LEDGER);
}

#[test]
fn every_operation_has_its_story() {
    let told: BTreeSet<_> = kinds().into_iter().collect();
    let registry = mainstay_control::ops::registry();
    assert_eq!(told, registry.kinds().collect::<BTreeSet<_>>());
}
