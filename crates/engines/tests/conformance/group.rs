//! Holds on writes, and a capture whose point is decided during one: what groups are made of.

use crate::{bed::*, load::Load};
use mainstay_drivers::{gate::Gate, progress::Progress};
use mainstay_model::{Error, Result};
use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// Longer than anything below takes.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_held_nothing_is_written_and_nobody_gets_an_error() {
    everywhere(async |bed| {
        let Some(consistency) = bed.engine.consistency() else { return };
        let primary = bed.primary("held").await;
        let load = Load::on(bed, &primary, 4).await;
        load.more(50).await;

        let mut held = consistency.hold(&primary, LONG).await.unwrap();
        let found = bed.numbers(&primary).await;
        assert!(found.is_superset(&load.acknowledged()), "readers go on and see all that was acknowledged");
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(bed.numbers(&primary).await, found);
        held.confirm().await.unwrap();
        let sent = load.not_sent();
        held.release().await.unwrap();
        load.more(20).await;
        // Who had waited was answered: each number up to there was acknowledged.
        let acknowledged = load.acknowledged();
        let lost: Vec<_> = (0..sent).filter(|n| !acknowledged.contains(n)).collect();
        assert!(lost.is_empty(), "a writer got an error: {lost:?}");

        load.end().await;
        bed.stop(&primary).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_nobody_releases_ends_by_itself() {
    everywhere(async |bed| {
        let Some(consistency) = bed.engine.consistency() else { return };
        let primary = bed.primary("forgotten").await;
        let load = Load::on(bed, &primary, 2).await;
        load.more(20).await;
        let mut held = consistency.hold(&primary, Duration::from_millis(700)).await.unwrap();
        held.confirm().await.unwrap();
        load.more(20).await;
        assert_eq!(held.confirm().await.unwrap_err().code, "hold_lost");
        drop(held);
        // Another finds nothing in its way.
        let again = consistency.hold(&primary, LONG).await.unwrap();
        again.release().await.unwrap();
        load.more(20).await;
        load.end().await;
        bed.stop(&primary).await;
    })
    .await;
}

/// One capture's way through.
#[derive(Default)]
struct Way {
    came: Notify,
    open: (Mutex<bool>, Condvar),
    passed: Notify,
}

impl Way {
    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

impl Gate for Way {
    fn pass(&self) -> Result<()> {
        self.came.notify_one();
        let (_open, waited) = self.open.1.wait_timeout_while(self.open.0.lock().unwrap(), LONG, |open| !*open).unwrap();
        if waited.timed_out() { Err(Error::timed_out("nobody opened")) } else { Ok(()) }
    }
    fn passed(&self) {
        self.passed.notify_one();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_captured_during_a_hold_is_what_was_there_then() {
    everywhere(async |bed| {
        let Some(consistency) = bed.engine.consistency() else { return };
        let primary = bed.primary("met").await;
        let load = Load::on(bed, &primary, 3).await;
        bed.client(&primary).await.fill(8).await.unwrap();
        load.more(50).await;
        let way = Arc::new(Way::default());
        let progress = Progress::default();
        let source = consistency.capture_at(&primary, way.clone(), &progress).await.unwrap();
        let meeting = async {
            way.came.notified().await;
            // All that comes before the gate is done while clients write.
            load.more(50).await;
            let mut held = consistency.hold(&primary, LONG).await.unwrap();
            let found = bed.numbers(&primary).await;
            way.open();
            way.passed.notified().await;
            held.confirm().await.unwrap();
            held.release().await.unwrap();
            load.more(50).await;
            found
        };
        let (stored, found) = tokio::join!(bed.put(&primary, source, &progress), meeting);
        let copy = bed.restored("met-again", &stored.unwrap().snapshot).await;
        assert_eq!(bed.numbers(&copy).await, found);
        load.end().await;
        for node in [&copy, &primary] {
            bed.stop(node).await;
        }
    })
    .await;
}
