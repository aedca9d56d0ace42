//! Customers that write all the time, each number once, and remember which were acknowledged. They
//! go where the write path leads, are cut off when it turns, and come again.

use crate::{bed::Bed, probes::Probe};
use mainstay_drivers::engine::Node;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

pub struct Load {
    shared: Arc<Shared>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

struct Shared {
    probe: &'static Probe,
    target: watch::Sender<Node>,
    stop: AtomicBool,
    next: AtomicU64,
    acknowledged: Mutex<BTreeSet<u64>>,
}

impl Load {
    /// With one writer the numbers that exist are at every moment all up to some number.
    pub async fn on(bed: &Bed, node: &Node, writers: usize) -> Load {
        bed.client(node).await.set_up().await.unwrap();
        let shared = Arc::new(Shared {
            probe: bed.probe,
            target: watch::Sender::new(node.clone()),
            stop: AtomicBool::new(false),
            next: AtomicU64::new(0),
            acknowledged: Mutex::default(),
        });
        let tasks = (0..writers).map(|_| tokio::spawn(shared.clone().write())).collect();
        Load { shared, tasks }
    }

    /// Where the write path leads from now on.
    pub fn lead_to(&self, node: &Node) {
        self.shared.target.send_replace(node.clone());
    }

    pub fn acknowledged(&self) -> BTreeSet<u64> {
        self.shared.acknowledged.lock().unwrap().clone()
    }

    /// Numbers from this one on were not even sent yet.
    pub fn not_sent(&self) -> u64 {
        self.shared.next.load(Ordering::SeqCst)
    }

    pub async fn more(&self, writes: usize) {
        let wanted = self.shared.acknowledged.lock().unwrap().len() + writes;
        crate::bed::eventually("writes go on", async || self.shared.acknowledged.lock().unwrap().len() >= wanted).await;
    }

    pub async fn end(self) -> BTreeSet<u64> {
        self.shared.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        self.shared.acknowledged.lock().unwrap().clone()
    }
}

impl Shared {
    async fn write(self: Arc<Self>) {
        let mut target = self.target.subscribe();
        while !self.stop.load(Ordering::SeqCst) {
            let node = target.borrow_and_update().clone();
            tokio::select! {
                () = self.write_to(&node) => tokio::time::sleep(Duration::from_millis(20)).await,
                _ = target.changed() => {}
            }
        }
    }

    /// One session, to its end.
    async fn write_to(&self, node: &Node) {
        let Ok(mut session) = self.probe.login(node, &node.plan.accounts.user).await else { return };
        while !self.stop.load(Ordering::SeqCst) {
            let n = self.next.fetch_add(1, Ordering::SeqCst);
            if session.write(n).await.is_err() {
                return;
            }
            self.acknowledged.lock().unwrap().insert(n);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
