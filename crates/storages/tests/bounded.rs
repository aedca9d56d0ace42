//! Memory does not grow with the backup. Alone in its process, because the peak is the process's.

mod common;

use common::*;
use mainstay_drivers::{engine::Chunking, storage::*};
use std::sync::{Arc, atomic::Ordering};

/// Peak resident memory in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_stream_goes_through_little_memory() {
    const BYTES: u64 = 300 << 20;
    let place = local(Chunking::Fixed(1 << 20)).await;
    let open: Opener = Box::new(|| Ok(Box::new(Noise { state: 1, left: BYTES })));
    let stored = place.storage.put(&label(), list([file_with("dump", None, false, open)]), &quiet()).await.unwrap();
    assert_eq!(stored.data_bytes, BYTES);
    let written = peak();
    let sink = Void::default();
    place.storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap();
    assert_eq!(sink.0.load(Ordering::Relaxed), BYTES);
    place.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    let all = peak();
    eprintln!("peak after the backup {written} MiB, after restore and verification {all} MiB");
    assert!(all < 320, "{written} MiB after the backup, {all} MiB in all");
}
