//! The planned hand-over under writes, its way back, and histories that must not be taken for one.

use crate::{bed::*, load::Load};
use mainstay_drivers::{engine::Node, runtime::StopMode};
use std::time::{Duration, Instant};

const CATCH_UP: Duration = Duration::from_secs(10);

/// As a promotion does: the write path is switched by whoever calls.
async fn hand_over(bed: &Bed, old: &Node, new: &Node, others: &[&Node]) {
    let failover = bed.failover();
    let stopped = failover.stop_writes(old).await.unwrap();
    if stopped.stopped {
        assert_eq!(failover.position(old).await.unwrap(), stopped.position);
    }
    failover.wait_for(new, &stopped.position, CATCH_UP).await.unwrap();
    let replicas: Vec<_> = std::iter::once(old).chain(others.iter().copied()).map(upstream).collect();
    for _ in 0..2 {
        failover.promote(new, &replicas).await.unwrap();
    }
    // The step may run again after the promotion, when its reply was lost.
    failover.wait_for(new, &stopped.position, CATCH_UP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_under_writes_loses_nothing() {
    everywhere(async |bed| {
        let first = bed.primary("handed").await;
        let second = bed.replica(&first, 2).await;
        let third = bed.replica(&first, 3).await;
        let load = Load::on(bed, &first, 4).await;
        load.more(100).await;
        let history = bed.look(&first).await.position.unwrap().history;

        let begun = Instant::now();
        hand_over(bed, &first, &second, &[&third]).await;
        load.lead_to(&second);
        load.more(1).await;
        eprintln!("{}: writes again after {:?}", bed.engine.info().title, begun.elapsed());
        for _ in 0..2 {
            bed.follow(&third, &second).await;
            bed.follow(&first, &second).await;
        }
        let copies = bed.admin(&second).await.full_copies().await.unwrap();
        assert!(copies.is_none_or(|n| n == 0), "data was copied anew: {copies:?}");
        load.more(50).await;

        // And back again, while they go on writing.
        hand_over(bed, &second, &first, &[&third]).await;
        load.lead_to(&first);
        bed.follow(&third, &first).await;
        bed.follow(&second, &first).await;
        load.more(50).await;
        let acknowledged = load.end().await;
        let there = bed.numbers(&first).await;
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "acknowledged and gone: {lost:?}");
        for replica in [&second, &third] {
            bed.same_numbers(replica, &first).await;
        }
        let now = bed.look(&first).await;
        assert_eq!(now.replicas.len(), 2, "{now:?}");
        assert_ne!(now.position.unwrap().history, history);
        for node in [&first, &second, &third] {
            bed.restart(node).await;
        }
        bed.wait(&first, &served(&first), is_primary).await;
        for replica in [&second, &third] {
            bed.wait(replica, &served(replica), is_in_step).await;
            assert!(bed.client(replica).await.write(999_999).await.is_err());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_that_is_given_up_leaves_the_primary_as_it_was() {
    everywhere(async |bed| {
        let primary = bed.primary("kept").await;
        let replica = bed.replica(&primary, 2).await;
        let load = Load::on(bed, &primary, 2).await;
        load.more(20).await;
        let failover = bed.failover();
        let stopped = failover.stop_writes(&primary).await.unwrap();
        let before = load.acknowledged().len();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(load.acknowledged().len(), before, "a write was acknowledged after writes were stopped");
        assert_eq!(failover.stop_writes(&primary).await.unwrap().position, stopped.position, "twice is once");
        // A position that nobody has yet is waited for, and then named.
        let mut beyond = stopped.position.clone();
        beyond.bytes += 12_345_678;
        let e = refused(failover.wait_for(&replica, &beyond, Duration::from_millis(50)).await, "waiting for what is not there");
        assert!(e.is_transient() && e.message.contains("bytes"), "{e:?}");

        bed.run(&primary, is_ready).await;
        failover.resume_writes(&primary).await.unwrap();
        failover.resume_writes(&primary).await.unwrap();
        load.more(20).await;
        bed.wait(&replica, &served(&replica), is_in_step).await;
        let acknowledged = load.end().await;
        assert!(bed.numbers(&primary).await.is_superset(&acknowledged));
        bed.same_numbers(&replica, &primary).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_history_is_told_apart() {
    everywhere(async |bed| {
        let old = bed.primary("apart").await;
        let new = bed.replica(&old, 2).await;
        let mut client = bed.client(&old).await;
        client.set_up().await.unwrap();
        client.write(1).await.unwrap();
        bed.same_numbers(&new, &old).await;
        let failover = bed.failover();
        failover.promote(&new, &[upstream(&old)]).await.unwrap();
        // Both take writes now, and neither knows the other's.
        for n in 100..120 {
            client.write(n).await.unwrap();
        }
        bed.client(&new).await.write(2).await.unwrap();
        eventually("both have moved on", async || {
            let (a, b) = (bed.look(&old).await.position.unwrap(), bed.look(&new).await.position.unwrap());
            a.history != b.history && b.behind(&a).is_none() && a.behind(&b).is_none()
        })
        .await;
        let lost = failover.position(&old).await.unwrap();
        refused(failover.wait_for(&new, &lost, Duration::from_millis(100)).await, "a position of another history");

        // Led to the new primary it gives its own writes up or stays away; it never shows a mixture.
        bed.stop(&old).await;
        if failover.follow(&old, &upstream(&new)).await.is_ok() {
            bed.launch(&old, &served(&old), None).await;
            for _ in 0..40 {
                if follows(&bed.look(&old).await) {
                    bed.same_numbers(&old, &new).await;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        // Seeded anew it is a replica like any other.
        bed.runtime.stop(&served(&old), StopMode::Graceful).await.unwrap();
        std::fs::rename(&old.paths.data, old.paths.root.join("aside")).unwrap();
        bed.join(&old, &new).await;
        bed.same_numbers(&old, &new).await;
        assert_eq!(bed.numbers(&old).await, [1, 2].into());
    })
    .await;
}
