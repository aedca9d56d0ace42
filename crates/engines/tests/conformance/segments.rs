//! The log: taken over as it is written, said how far it is complete, and replayed to a moment.

use crate::bed::{Bed, eventually, everywhere, give, is_ready};
use mainstay_drivers::{
    engine::Node,
    runtime::{InstanceId, StopMode},
    segments::{PIECES, Reach, Segments},
};
use mainstay_model::{Time, backup::Facts};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

fn keeper(node: &Node) -> InstanceId {
    InstanceId(format!("{}-log", node.plan.cluster))
}

async fn keep(bed: &Bed, segments: &dyn Segments, node: &Node, spool: &Path, fresh: bool) {
    if let Some(keeper_of) = segments.keep(node, spool, fresh).await.unwrap() {
        bed.runtime.put_files(bed.installed.user.as_deref(), keeper_of.files).await.unwrap();
        bed.runtime.ensure(&keeper(node), &keeper_of.spec).await.unwrap();
    }
}

fn now() -> Time {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Time::from_micros(since.as_micros() as i64)
}

/// Waits until everything until `at` is in the spool.
async fn reached(segments: &dyn Segments, node: &Node, spool: &Path, at: Time) -> Reach {
    let mut last = None;
    eventually("the log is kept", async || {
        let reach = segments.reach(node, spool).await.unwrap();
        assert_eq!(reach.broken, None);
        last = Some(reach.clone());
        reach.at.is_some_and(|reached| reached >= at)
    })
    .await;
    last.unwrap()
}

/// The pieces as a restore finds them: a copy, below `fetched/0`.
fn lay(bed: &Bed, segments: &dyn Segments, spool: &Path, reach: &Reach, fetched: &Path) {
    let place = fetched.join("0").join(PIECES);
    std::fs::create_dir_all(&place).unwrap();
    for piece in segments.pieces(spool, 0, reach.position.bytes).unwrap() {
        let path = if piece.path.exists() { piece.path } else { piece.completed.unwrap() };
        std::fs::copy(path, place.join(&piece.name)).unwrap();
        give(&place.join(&piece.name), bed.installed.user.as_deref());
    }
}

/// What a node restored from the backup and the log holds.
async fn replayed(bed: &Bed, segments: &dyn Segments, name: &str, snapshot: &str, spool: (&PathBuf, &Reach), until: Time) -> BTreeSet<u64> {
    let node = bed.node(name);
    bed.prepare(&node).await;
    let beside = bed.beside(&node, "restored").await;
    let facts = bed.fetch(&beside, snapshot).await.unwrap();
    bed.backups().prepare(&beside, &facts).await.unwrap();
    let fetched = beside.paths.data.join("fetched");
    lay(bed, segments, spool.0, spool.1, &fetched);
    segments.replay(&beside, &fetched, until).await.unwrap();
    assert!(!fetched.exists());
    let instance = InstanceId(format!("{}.restored", node.plan.id));
    bed.launch(&beside, &instance, Some(0)).await;
    bed.try_wait(&beside, &instance, is_ready).await.unwrap();
    let check = segments.replayed(&beside, until).await.unwrap();
    assert!(check.ok, "{check:?}");
    let uncounted = Facts { exact: Default::default(), estimates: Default::default(), ..facts };
    let checks = bed.backups().check(&beside, &uncounted).await.unwrap();
    assert!(checks.iter().all(|c| c.ok), "{checks:?}");
    bed.runtime.stop(&instance, StopMode::Graceful).await.unwrap();
    bed.runtime.remove(&instance).await.unwrap();
    bed.backups().settle(&beside).await.unwrap();
    bed.swap(&node, "restored", "before-restore");
    bed.start(&node).await;
    bed.keeper().ensure(&node).await.unwrap();
    let numbers = bed.numbers(&node).await;
    bed.stop(&node).await;
    numbers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_is_replayed_and_nothing_after_it() {
    everywhere(async |bed| {
        let Some(segments) = bed.engine.segments() else { return };
        let node = bed.primary("shop").await;
        let spool = node.paths.root.join("spool");
        bed.own_dir(&spool).await;
        keep(bed, segments, &node, &spool, true).await;
        keep(bed, segments, &node, &spool, false).await;
        let mut client = bed.client(&node).await;
        client.set_up().await.unwrap();
        client.write(1).await.unwrap();
        let snapshot = bed.backup(&node).await.snapshot;
        let mut moments = vec![];
        for n in 2..=4 {
            client.write(n).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            moments.push(now());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let end = now();
        let reach = reached(segments, &node, &spool, end).await;
        let of = |n: u64| (1..=n).collect::<BTreeSet<_>>();
        for (n, until) in [(2, moments[0]), (3, moments[1]), (4, end)] {
            let held = replayed(bed, segments, &format!("copy-{n}"), &snapshot, (&spool, &reach), until).await;
            assert_eq!(held, of(n), "as of {until}");
        }
        // Let go: nobody holds log any more, twice is once, and a fresh beginning works.
        bed.runtime.stop(&keeper(&node), StopMode::Graceful).await.unwrap();
        for _ in 0..2 {
            segments.release(&node).await.unwrap();
        }
        let left = bed.admin(&node).await.left_behind().await.unwrap();
        assert!(left.is_empty(), "{left:?}");
        std::fs::remove_dir_all(&spool).unwrap();
        bed.own_dir(&spool).await;
        keep(bed, segments, &node, &spool, true).await;
        reached(segments, &node, &spool, now()).await;
        bed.runtime.stop(&keeper(&node), StopMode::Graceful).await.unwrap();
    })
    .await;
}
