//! Made, stopped, started again: twice, and interrupted.

use crate::bed::*;
use mainstay_drivers::{progress::Progress, runtime::StopMode};
use std::{
    path::Path,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_is_deployed() {
    everywhere(async |bed| {
        let begun = Instant::now();
        let primary = bed.primary("pair").await;
        let single = begun.elapsed();
        let replica = bed.replica(&primary, 2).await;
        eprintln!("{} {}: primary {single:?}, pair {:?}", bed.engine.info().title, bed.installed.version, begun.elapsed());
        bed.client(&primary).await.set_up().await.unwrap();
        bed.client(&primary).await.write(1).await.unwrap();
        eventually("the replica shows it", async || bed.client(&replica).await.numbers().await.is_ok_and(|n| n.len() == 1)).await;
        assert!(bed.client(&replica).await.write(2).await.is_err(), "a replica takes no writes");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_and_roles_outlive_stops_and_crashes() {
    everywhere(async |bed| {
        let primary = bed.primary("lasting").await;
        let replica = bed.replica(&primary, 2).await;
        let mut client = bed.client(&primary).await;
        client.set_up().await.unwrap();
        for n in 0..20 {
            client.write(n).await.unwrap();
        }
        drop(client);
        bed.same_numbers(&replica, &primary).await;

        // What is complete already is left alone.
        bed.engine.bootstrap(&primary).await.unwrap();
        bed.stop(&primary).await;
        bed.stop(&primary).await;
        bed.engine.bootstrap(&primary).await.unwrap();
        bed.run(&primary, is_primary).await;
        bed.stop(&replica).await;
        bed.engine.join(&replica, &upstream(&primary), &Progress::default()).await.unwrap();
        bed.run(&replica, is_in_step).await;
        assert_eq!((bed.numbers(&primary).await.len(), bed.numbers(&replica).await.len()), (20, 20));

        // Both at once, as when the host fails; the primary comes back last.
        let mut client = bed.client(&primary).await;
        for n in 20..40 {
            client.write(n).await.unwrap();
        }
        tokio::time::sleep(DURABLE_AFTER).await;
        for node in [&primary, &replica] {
            bed.runtime.stop(&served(node), StopMode::Kill).await.unwrap();
        }
        bed.launch(&replica, &served(&replica), None).await;
        bed.run(&primary, is_primary).await;
        bed.run(&replica, is_in_step).await;
        assert_eq!(bed.numbers(&primary).await.len(), 40, "an acknowledged write is gone after a crash");
        bed.same_numbers(&replica, &primary).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_beginning_is_begun_again() {
    everywhere(async |bed| {
        let primary = bed.node("begun");
        bed.prepare(&primary).await;
        for millis in [1, 40, 200, 600] {
            let _ = tokio::time::timeout(Duration::from_millis(millis), bed.engine.bootstrap(&primary)).await;
        }
        bed.bootstrap(&primary).await;
        let mut client = bed.client(&primary).await;
        client.set_up().await.unwrap();
        client.fill(4).await.unwrap();
        client.write(7).await.unwrap();

        let replica = bed.sibling(&primary, 2);
        for millis in [1, 60, 300] {
            bed.prepare(&replica).await;
            let (upstream, progress) = (upstream(&primary), Progress::default());
            let joining = bed.engine.join(&replica, &upstream, &progress);
            let _ = tokio::time::timeout(Duration::from_millis(millis), joining).await;
            // As the agent does with a copy that is not known to be whole. What was copying is killed with its
            // caller, and may write for a moment yet.
            let removed = async || !is_filled(&replica.paths.data) || std::fs::remove_dir_all(&replica.paths.data).is_ok();
            eventually("what was copied is removed", removed).await;
        }
        bed.join(&replica, &primary).await;
        bed.same_numbers(&replica, &primary).await;
        eventually("the primary sees one replica", async || bed.look(&primary).await.replicas.len() == 1).await;
    })
    .await;
}

fn is_filled(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some())
}
