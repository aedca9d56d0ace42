//! A storage's bandwidth, where bytes really move. What is compared is bytes the limiter counted with the
//! least time they may take: a slow machine is never too fast.

mod common;

use common::{borg, moto::Moto, sftp::SftpServer, *};
use mainstay_drivers::{engine::Chunking, storage::*};
use mainstay_model::limits::Limits;
use mainstay_storages::OpenStorages;
use std::{sync::Arc, time::Instant};

const PAGES: Chunking = Chunking::Fixed(64 << 10);
const RATE: u64 = 2_000_000;
const BYTES: usize = 2_500_000;

fn held(reference: RepositoryRef) -> RepositoryRef {
    let limits = Limits { bandwidth: Some(RATE), parallel: None };
    RepositoryRef { storage: StorageSpec { limits, ..reference.storage }, ..reference }
}

fn source(seed: u64) -> Box<dyn Source> {
    list([file("a", noise(seed, BYTES)), file("b", noise(seed + 1, 1000))])
}

/// Does `work`; how many bytes it moved, and that they took their time. The tenth is what a pause before
/// it leaves over.
async fn in_time<T>(storage: &Arc<dyn Storage>, work: impl Future<Output = T>) -> (T, u64) {
    let (before, begun) = (storage.moved(), Instant::now());
    let done = work.await;
    let (moved, seconds) = (storage.moved() - before, begun.elapsed().as_secs_f64());
    let least = (moved as f64 - 2.0 * 65_536.0) / RATE as f64 - 0.2;
    assert!(seconds >= least, "{moved} bytes in {seconds} s, at {RATE} bytes a second {least} s at least");
    (done, moved)
}

/// Up, down, and two at once, which share it.
async fn keeps_to_its_rate(storages: &OpenStorages, reference: RepositoryRef) {
    let reference = held(reference);
    let storage = storages.open(&reference, true).await.unwrap();
    let (stored, up) = in_time(&storage, storage.put(&label(), source(1), &quiet())).await;
    let stored = stored.unwrap();
    // What was written was read back.
    assert!(up as usize >= 2 * BYTES, "{up}");
    let sink = Collect::default();
    let (got, down) = in_time(&storage, storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet())).await;
    got.unwrap();
    assert!(down as usize >= BYTES && sink.0.lock().unwrap().files["a"] == noise(1, BYTES), "{down}");

    let other = storages.open(&RepositoryRef { cluster: mainstay_model::ClusterId::new(), ..reference.clone() }, true).await.unwrap();
    let (reading, writing) = (quiet(), quiet());
    let both = async {
        let put = async { other.put(&label(), source(3), &writing).await };
        let (one, two) = tokio::join!(storage.verify(&stored.snapshot, Depth::Data, &reading), put);
        one.unwrap();
        two.unwrap();
    };
    let ((), shared) = in_time(&storage, both).await;
    assert!(shared as usize >= 3 * BYTES, "{shared}");

    // Another rate needs no other handle, and none at all is none.
    let free = StorageSpec { limits: Limits::default(), ..reference.storage.clone() };
    storages.limit(&free);
    storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    let again = storages.open(&RepositoryRef { storage: free, ..reference }, false).await.unwrap();
    assert!(again.moved() > shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory() {
    let dir = tempfile::tempdir().unwrap();
    keeps_to_its_rate(&OpenStorages::new(), reference(&dir.path().join("place"), PAGES)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket() {
    let Some(server) = Moto::start().await else { return };
    server.bucket("slow", false).await;
    keeps_to_its_rate(&OpenStorages::new(), server.reference("slow")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_another_machine() {
    let Some(server) = SftpServer::start() else { return };
    keeps_to_its_rate(&OpenStorages::new(), server.reference(PAGES)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_borg_repository() {
    if !borg::is_installed("borg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    keeps_to_its_rate(&borg::storages(dir.path()), borg::in_directory(&dir.path().join("repositories"), PAGES)).await;
}

/// Over ssh it is Borg's own limit that holds what it sends: the run has to come to a good end with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_borg_repository_of_another_machine() {
    let Some(server) = borg::Sshd::start(false) else { return };
    let dir = tempfile::tempdir().unwrap();
    let storages = borg::storages(dir.path());
    let storage = storages.open(&held(server.reference(PAGES)), true).await.unwrap();
    let begun = Instant::now();
    let stored = storage.put(&label(), source(1), &quiet()).await.unwrap();
    assert!(begun.elapsed().as_secs_f64() >= BYTES as f64 / RATE as f64 - 0.2, "{:?}", begun.elapsed());
    let (got, _) = in_time(&storage, storage.verify(&stored.snapshot, Depth::Data, &quiet())).await;
    got.unwrap();
}
