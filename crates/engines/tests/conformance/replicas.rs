//! Replicas: seeded empty and with data, behind and in step, cut off, and gone for good.

use crate::{bed::*, load::Load};
use mainstay_model::node::{EngineState, NodeRole};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_join_empty_and_full_and_under_load_and_leave() {
    everywhere(async |bed| {
        let primary = bed.primary("joined").await;
        let first = bed.replica(&primary, 2).await;
        bed.client(&primary).await.set_up().await.unwrap();
        bed.client(&primary).await.fill(8).await.unwrap();
        let load = Load::on(bed, &primary, 2).await;
        load.more(20).await;
        let second = bed.replica(&primary, 3).await;
        load.more(20).await;
        let written = load.end().await;
        for replica in [&first, &second] {
            bed.same_numbers(replica, &primary).await;
            eventually("it is in step", async || {
                let (p, r) = (bed.look(&primary).await.position, bed.look(replica).await.position);
                p.zip(r).is_some_and(|(p, r)| r.behind(&p) == Some(0))
            })
            .await;
            let seen = bed.look(replica).await;
            assert_eq!((seen.state, seen.role, seen.link_up, seen.detail), (EngineState::Ready, Some(NodeRole::Replica), Some(true), None));
            assert!(seen.lag_bytes.is_none_or(|b| b == 0) && seen.lag_seconds.is_none_or(|s| s < 1.0));
        }
        assert!(bed.numbers(&primary).await.is_superset(&written));
        eventually("both are seen", async || bed.look(&primary).await.replicas.len() == 2).await;

        // Removed as the control plane removes: the node first, then what it left on the primary.
        bed.stop(&second).await;
        for _ in 0..2 {
            bed.engine.leave(&primary, &upstream(&second)).await.unwrap();
        }
        eventually("the primary forgot it", async || bed.look(&primary).await.replicas.len() == 1).await;
        eventually("nothing of it is kept", async || bed.admin(&primary).await.left_behind().await.unwrap().len() == 1).await;
        // A node of the same name may come again.
        let again = bed.replica(&primary, 3).await;
        bed.same_numbers(&again, &primary).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_cut_off_says_so_and_catches_up() {
    everywhere(async |bed| {
        let primary = bed.primary("cut").await;
        let replica = bed.replica(&primary, 2).await;
        bed.client(&primary).await.set_up().await.unwrap();
        bed.client(&primary).await.write(1).await.unwrap();
        bed.same_numbers(&replica, &primary).await;

        // It stands still while its primary goes on.
        bed.signal(&replica, rustix::process::Signal::STOP).await;
        let mut client = bed.client(&primary).await;
        for n in 2..50 {
            client.write(n).await.expect("a primary does not wait for its replica");
        }
        bed.signal(&replica, rustix::process::Signal::CONT).await;
        bed.same_numbers(&replica, &primary).await;

        bed.stop(&primary).await;
        eventually("it notices", async || bed.look(&replica).await.link_up == Some(false)).await;
        let alone = bed.look(&replica).await;
        assert_eq!((alone.state, alone.role), (EngineState::Ready, Some(NodeRole::Replica)), "it has all data and may be promoted");
        assert!(alone.detail.is_some() && alone.lag_bytes.is_none());
        assert_eq!(bed.numbers(&replica).await.len(), 49);
        let held = bed.failover().position(&replica).await.unwrap();
        bed.run(&primary, is_primary).await;
        bed.wait(&replica, &served(&replica), is_in_step).await;
        bed.failover().wait_for(&primary, &held, Duration::ZERO).await.ok();

        // Away for a while, and back.
        bed.stop(&replica).await;
        for n in 50..80 {
            bed.client(&primary).await.write(n).await.unwrap();
        }
        bed.run(&replica, is_in_step).await;
        bed.same_numbers(&replica, &primary).await;
    })
    .await;
}
