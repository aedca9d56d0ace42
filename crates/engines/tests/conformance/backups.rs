//! A backup of a busy cluster, from its primary and from a replica, and the way back: into a new
//! cluster under other names, and in place.

use crate::{bed::*, load::Load};
use mainstay_drivers::engine::Node;
use mainstay_model::node::NodeRole;
use std::collections::BTreeSet;

/// Writes that were acknowledged before the backup began, and the first that was not sent when it ended.
struct Window {
    before: BTreeSet<u64>,
    after: u64,
}

impl Window {
    fn fits(&self, found: &BTreeSet<u64>) {
        let missing: Vec<_> = self.before.difference(found).collect();
        assert!(missing.is_empty(), "acknowledged before the backup and not in it: {missing:?}");
        let last = *found.last().expect("something was written");
        assert!(last < self.after, "{last} was written after the backup, which ended before {}", self.after);
        assert_eq!(found.len() as u64, last + 1, "not one moment: a number is missing before {last}");
    }
}

async fn captured(bed: &Bed, node: &Node, load: &Load, role: NodeRole) -> (String, Window) {
    let before = load.acknowledged();
    eventually("the node holds what was acknowledged", async || bed.numbers(node).await.is_superset(&before)).await;
    let stored = bed.backup(node).await;
    let after = load.not_sent();
    assert_eq!(stored.facts.role, Some(role));
    let (start, stop) = (stored.facts.start.unwrap(), stored.facts.stop.unwrap());
    assert_eq!(start.history, stop.history);
    assert!(start.bytes <= stop.bytes && !stored.facts.history.is_empty());
    (stored.snapshot, Window { before, after })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_under_load_come_back_as_one_moment() {
    everywhere(async |bed| {
        let primary = bed.primary("busy").await;
        let replica = bed.replica(&primary, 2).await;
        bed.client(&primary).await.set_up().await.unwrap();
        bed.client(&primary).await.fill(8).await.unwrap();
        let load = Load::on(bed, &primary, 1).await;
        load.more(50).await;
        let (from_primary, first) = captured(bed, &primary, &load, NodeRole::Primary).await;
        load.more(50).await;
        let (from_replica, second) = captured(bed, &replica, &load, NodeRole::Replica).await;
        load.more(50).await;
        let listed: Vec<_> = bed.storage.list().await.unwrap().into_iter().map(|s| s.id).collect();
        assert_eq!(listed, [from_primary.clone(), from_replica.clone()]);

        into_a_new_cluster(bed, &primary, &from_primary, &first).await;
        in_place(bed, &primary, &replica, &from_replica, &second, load).await;
    })
    .await;
}

async fn into_a_new_cluster(bed: &Bed, source: &Node, snapshot: &str, window: &Window) {
    let node = bed.restored("copied-to", snapshot).await;
    assert!(is_primary(&bed.look(&node).await));
    assert_ne!(node.plan.accounts.user.password, source.plan.accounts.user.password);
    assert!(bed.probe.login(&node, &source.plan.accounts.user).await.is_err(), "the old cluster's password opens the new one");
    window.fits(&bed.numbers(&node).await);
    let before = bed.numbers(&node).await;
    bed.client(&node).await.write(1_000_000).await.unwrap();
    bed.restart(&node).await;
    assert!(is_primary(&bed.look(&node).await));
    let mut now = bed.numbers(&node).await;
    assert!(now.remove(&1_000_000));
    assert_eq!(now, before, "a restart changed what was restored");
    // It is a cluster like any other: replicas join it and it is backed up.
    let replica = bed.replica(&node, 2).await;
    bed.same_numbers(&replica, &node).await;
    let again = bed.backup(&node).await;
    let copy = bed.restored("copy-of-copy", &again.snapshot).await;
    assert_eq!(bed.numbers(&copy).await, bed.numbers(&node).await);
    for node in [&copy, &replica, &node] {
        bed.stop(node).await;
    }
}

async fn in_place(bed: &Bed, primary: &Node, replica: &Node, snapshot: &str, window: &Window, load: Load) {
    bed.restore_beside(primary, snapshot, "restored").await.unwrap();
    load.more(10).await;
    let acknowledged = load.end().await;
    assert!(bed.numbers(primary).await.is_superset(&acknowledged), "the live data was disturbed");
    bed.same_numbers(replica, primary).await;

    bed.stop(replica).await;
    bed.stop(primary).await;
    bed.swap(primary, "restored", "previous");
    bed.start(primary).await;
    bed.keeper().ensure(primary).await.unwrap();
    window.fits(&bed.numbers(primary).await);
    std::fs::rename(&replica.paths.data, replica.paths.root.join("old")).unwrap();
    bed.join(replica, primary).await;
    bed.same_numbers(replica, primary).await;
    bed.restart(primary).await;
    window.fits(&bed.numbers(primary).await);

    // What was put aside is a database still.
    bed.stop(primary).await;
    bed.swap(primary, "previous", "given-up");
    bed.run(primary, is_primary).await;
    assert!(bed.numbers(primary).await.is_superset(&acknowledged));
}
