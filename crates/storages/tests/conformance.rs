//! What every storage must do, run over each of them.

mod common;

use common::{borg, s3::S3Server, *};
use mainstay_drivers::{engine::Chunking, progress::Progress, storage::*};
use mainstay_model::{Error, Kind};
use mainstay_storages::{MemoryStorages, OpenStorages};
use mainstay_testkit::Disk;
use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

async fn conforms(storages: &dyn Storages, chunking: Chunking) {
    let dir = tempfile::tempdir().unwrap();
    conforms_at(storages, reference(&dir.path().join("place"), chunking)).await;
}

async fn conforms_at(storages: &dyn Storages, reference: RepositoryRef) {
    let missing = storages.open(&reference, false).await.err().expect("not there yet");
    assert_eq!(missing.kind, Kind::NotFound, "{missing}");
    let storage = storages.open(&reference, true).await.unwrap();
    assert!(storage.list().await.unwrap().is_empty());

    puts_and_gets(&*storage).await;
    is_idempotent(&*storage).await;
    refuses_bad_sources(&*storage).await;
    waits_for_late_entries(&*storage).await;
    builds_on_an_earlier_one(&*storage).await;
    cancels(&*storage).await;
    deletes(&*storage).await;
    storages.remove(&reference).await.unwrap();
    storages.remove(&reference).await.unwrap();
    assert_eq!(storages.open(&reference, false).await.err().unwrap().kind, Kind::NotFound);
}

async fn puts_and_gets(storage: &dyn Storage) {
    let (steps, files) = sample();
    let label = label();
    let progress = Progress::default();
    let stored = storage.put(&label, list(steps), &progress).await.unwrap();
    assert_eq!(stored.data_bytes, files.values().map(|b| b.len() as u64).sum::<u64>());
    assert_eq!(stored.files, files.len() as u64);
    assert_eq!(stored.facts, facts());
    assert!(stored.checks.iter().all(|c| c.ok) && stored.checks.iter().any(|c| c.name == "read_back"), "{:?}", stored.checks);
    assert!(stored.added_bytes > 0);

    let listed = storage.list().await.unwrap();
    assert_eq!((listed[0].id.as_str(), &listed[0].label), (stored.snapshot.as_str(), &label));
    assert_eq!(storage.facts(&stored.snapshot).await.unwrap(), (label, facts()));

    let entries = storage.entries(&stored.snapshot).await.unwrap();
    let paths: Vec<_> = entries.iter().map(|e| e.path.to_str().unwrap()).collect();
    let expected = ["a", "a/empty", "a/exact", "a/link", "a/zeroes", "a-b", "a-b/with space", "big", "q\"uote\\d", "z", "z/last"];
    assert_eq!(paths, expected);
    assert!(entries.iter().all(|e| e.mtime == MTIME));
    assert_eq!((entries[0].mode, entries[1].mode), (0o700, 0o640));

    let sink = Collect::default();
    storage.get(&stored.snapshot, Arc::new(sink.clone()), &progress).await.unwrap();
    let got = std::mem::take(&mut *sink.0.lock().unwrap());
    assert_eq!(got.files, files);
    assert_eq!(got.links["a/link"].to_str(), Some("exact"));
    assert_eq!((&got.order, got.finished), (&entries, files.len()));

    assert!(storage.verify(&stored.snapshot, Depth::Structure, &progress).await.is_ok());
    assert!(storage.verify(&stored.snapshot, Depth::Data, &progress).await.unwrap() > 0);
    let unknown = storage.facts(&"ab".repeat(32)).await.unwrap_err();
    assert_eq!(unknown.kind, Kind::NotFound);
}

async fn is_idempotent(storage: &dyn Storage) {
    let label = SnapshotLabel { created_at: mainstay_model::Time(1_790_000_001_000_000), ..label() };
    let first = storage.put(&label, list([file("x", noise(9, 70_000))]), &quiet()).await.unwrap();
    let never = file_with("y", None, false, Box::new(|| panic!("a published backup is not read again")));
    let again = storage.put(&label, list([never]), &quiet()).await.unwrap();
    assert_eq!(again.snapshot, first.snapshot);
    assert_eq!((again.data_bytes, again.added_bytes, again.files), (first.data_bytes, first.added_bytes, first.files));
    assert_eq!(again.facts, first.facts);
    let count = storage.list().await.unwrap().iter().filter(|s| s.label.backup == label.backup).count();
    assert_eq!(count, 1);
}

/// Every way a source can go wrong, and that nothing of it is visible after.
async fn refuses_bad_sources(storage: &dyn Storage) {
    let good = || file("b/good", noise(5, 300_000));
    let breaks = |at: u64| file_with("c", None, false, Box::new(move || Ok(Box::new(Breaks(Noise { state: 7, left: at })))));
    let gone = |may: bool| file_with("c", Some(8192), may, Box::new(|| Err(io::Error::from(io::ErrorKind::NotFound))));
    let denied = file_with("c", Some(1), true, Box::new(|| Err(io::Error::from(io::ErrorKind::PermissionDenied))));
    let before = storage.list().await.unwrap();
    let mut bad: Vec<(&str, Box<dyn Source>)> = vec![
        ("error from next", list([dir("b"), good(), Step::Error(Error::failed("engine_gone", "the engine is gone"))])),
        ("a vanished file that may not", list([good(), gone(false)])),
        ("a refused file", list([good(), denied])),
        ("out of order", list([file("c", vec![1]), file("a", vec![2])])),
        ("twice", list([file("c", vec![1]), file("c", vec![2])])),
        ("our own name", list([file("mainstay.json", vec![1])])),
        ("a way out", list([file("../c", vec![1])])),
        (
            "error from finish",
            Box::new(List { entries: VecDeque::from([good()]), finish: Some(Error::failed("dump_failed", "status 1")), base: None }),
        ),
    ];
    for at in [0, 1, 65_536, 1_000_000] {
        bad.push(("a reader that breaks", list([good(), breaks(at), file("d", noise(6, 10))])));
    }
    for (what, source) in bad {
        let error = storage.put(&label(), source, &quiet()).await.err().unwrap_or_else(|| panic!("{what} was accepted"));
        assert!(!error.message.is_empty() && error.kind != Kind::Internal, "{what}: {error:?}");
    }
    assert_eq!(storage.list().await.unwrap(), before);

    let stored = storage.put(&label(), list([good(), gone(true), file("d", noise(6, 10))]), &quiet()).await.unwrap();
    assert_eq!(stored.files, 2);
    let paths: Vec<_> = storage.entries(&stored.snapshot).await.unwrap().into_iter().map(|e| e.path).collect();
    assert!(!paths.contains(&"c".into()) && paths.contains(&"d".into()));
}

/// What is said to be as it was is taken over, and is a backup's own from then on.
async fn builds_on_an_earlier_one(storage: &dyn Storage) {
    const PIECE: usize = 64 << 10;
    let old = noise(31, 5 * PIECE + 17);
    let small = noise(32, 1000);
    let first = storage.put(&label(), list([dir("d"), file("d/big", old.clone()), file("d/same", small.clone())]), &quiet()).await.unwrap();
    let none = storage.put(&label(), list([kept("d", 1000, Keep::Whole, vec![])]), &quiet()).await;
    assert!(none.is_err(), "kept from nowhere");
    let Some(base) = storage.base(&first.snapshot, &["d/same"]).await.unwrap() else { return };
    assert_eq!(base.facts, facts());
    assert_eq!(base.lists[std::path::Path::new("d/same")], small);
    let held = base.files[std::path::Path::new("d/big")];
    assert_eq!((held.size, held.mtime), (old.len() as u64, MTIME));
    let same = |size| kept("d/same", size, Keep::Whole, vec![]);

    // The second and the last piece are new, and the file has grown; where pieces are not all alike it is read.
    let mut new = old.clone();
    new.truncate(5 * PIECE);
    new[PIECE..2 * PIECE].copy_from_slice(&noise(33, PIECE));
    new.extend(noise(34, PIECE + 5));
    let (changed, size) = (PIECE as u64..2 * PIECE as u64, new.len() as u64);
    let big = match held.piece {
        Some(piece) => {
            assert_eq!(piece, PIECE as u64);
            let fresh = [&new[PIECE..2 * PIECE], &new[5 * PIECE..]].concat();
            kept("d/big", size, Keep::Except(vec![changed.clone(), 5 * PIECE as u64..size]), fresh)
        }
        None => file("d/big", new.clone()),
    };
    let second = storage.put(&label(), on(&first.snapshot, [dir("d"), big, same(1000)]), &quiet()).await.unwrap();
    assert_eq!((second.data_bytes, second.files), (size + 1000, 2));
    for (what, step) in [
        ("of another size", same(999)),
        ("that was not there", kept("d/other", 1000, Keep::Whole, vec![])),
        (
            "with too little that is new",
            kept("d/big", size, Keep::Except(vec![changed.clone(), 5 * PIECE as u64..size]), new[..PIECE].to_vec()),
        ),
    ] {
        let wrong = storage.put(&label(), on(&first.snapshot, [dir("d"), step]), &quiet()).await;
        assert!(wrong.is_err(), "a file {what} was taken over");
    }
    storage.delete(&[first.snapshot]).await.unwrap();
    storage.prune().await.unwrap();
    let sink = Collect::default();
    storage.get(&second.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap();
    let got = std::mem::take(&mut *sink.0.lock().unwrap());
    assert!(got.files["d/big"] == new && got.files["d/same"] == small, "it is not what it should be");
    storage.verify(&second.snapshot, Depth::Data, &quiet()).await.unwrap();
    storage.delete(&[second.snapshot]).await.unwrap();
}

/// A late entry may wait until all before it were read and dropped.
async fn waits_for_late_entries(storage: &dyn Storage) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let mut steps = vec![dir("base")];
    for n in 0..2000 {
        let told = dropped.clone();
        let open: Opener = Box::new(move || Ok(Box::new(Told(Noise { state: n + 1, left: 100 }, told))));
        steps.push(file_with(&format!("base/{n:04}"), Some(100), false, open));
    }
    let wait = |count: usize| {
        let dropped = dropped.clone();
        Step::Wait(Box::new(move || {
            let start = Instant::now();
            while dropped.load(Ordering::SeqCst) < count {
                assert!(start.elapsed() < Duration::from_secs(60), "only {} of {count} were dropped", dropped.load(Ordering::SeqCst));
                std::thread::sleep(Duration::from_millis(1));
            }
        }))
    };
    let told = dropped.clone();
    steps.push(wait(2000));
    steps.push(dir("late"));
    steps.push(file_with("late/one", None, false, Box::new(move || Ok(Box::new(Told(Noise { state: 3, left: 10 }, told))))));
    steps.push(wait(2001));
    steps.push(file("late/two", vec![1]));
    let stored = storage.put(&label(), list(steps), &quiet()).await.unwrap();
    assert_eq!(stored.files, 2002);
    assert_eq!(storage.entries(&stored.snapshot).await.unwrap().len(), 2004);
}

async fn cancels(storage: &dyn Storage) {
    let progress = Progress::default();
    let cancel = progress.clone();
    let before = storage.list().await.unwrap();
    let step = Step::Wait(Box::new(move || cancel.cancel()));
    let error = storage.put(&label(), list([file("a", noise(4, 100_000)), step, file("b", vec![1])]), &progress).await.unwrap_err();
    assert_eq!(error.code, "cancelled");
    assert_eq!(storage.list().await.unwrap(), before);
    let error = storage.get(&before[0].id, Arc::new(Collect::default()), &progress).await.unwrap_err();
    assert_eq!(error.code, "cancelled");
}

async fn deletes(storage: &dyn Storage) {
    let all = storage.list().await.unwrap();
    let ids: Vec<_> = all.iter().map(|s| s.id.clone()).collect();
    assert_eq!(storage.usage().await.unwrap().snapshots, ids.len() as u64);
    assert!(storage.free().await.unwrap().is_none_or(|bytes| bytes > 0), "it says how much room there is, or nothing");
    storage.delete(&ids[..1]).await.unwrap();
    storage.delete(&ids[..1]).await.unwrap();
    assert_eq!(storage.list().await.unwrap(), all[1..]);
    storage.prune().await.unwrap();
    storage.verify(&ids[1], Depth::Data, &quiet()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn local_with_fixed_chunks() {
    conforms(&OpenStorages::new(), Chunking::Fixed(64 << 10)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local_with_content_defined_chunks() {
    conforms(&OpenStorages::new(), Chunking::ContentDefined).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s3() {
    for (chunking, prefix) in [(Chunking::Fixed(64 << 10), "deep/below"), (Chunking::ContentDefined, "")] {
        let server = S3Server::start().await;
        conforms_at(&OpenStorages::new(), server.reference(prefix, chunking)).await;
        assert_eq!(server.left(), Vec::<String>::new(), "a removed repository leaves nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn borg_in_a_directory() {
    if !borg::is_installed("borg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let reference = borg::in_directory(&dir.path().join("place"), Chunking::Fixed(64 << 10));
    conforms_at(&borg::storages(dir.path()), reference).await;
    assert!(std::fs::read_dir(dir.path().join("place")).unwrap().next().is_none(), "a removed repository leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn borg_over_ssh() {
    let Some(sshd) = borg::Sshd::start(false) else { return };
    let reference = sshd.reference(Chunking::ContentDefined);
    conforms_at(&borg::storages(sshd.dir.path()), reference).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sftp() {
    let Some(server) = common::sftp::SftpServer::start() else { return };
    for chunking in [Chunking::Fixed(64 << 10), Chunking::ContentDefined] {
        conforms_at(&OpenStorages::new(), server.reference(chunking)).await;
    }
    assert_eq!(std::fs::read_dir(server.path()).unwrap().count(), 0, "a removed repository leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots() {
    for kind in ["btrfs", "xfs", "here"] {
        let here = tempfile::tempdir().unwrap();
        let disk = (kind != "here").then(|| Disk::mount(kind, 400));
        let place = match &disk {
            None => here.path().join("place"),
            Some(Some(disk)) => disk.path().join("place"),
            Some(None) => continue,
        };
        let mut reference = reference(&place, Chunking::ContentDefined);
        reference.storage.place = Place::Snapshot { path: place.clone() };
        conforms_at(&OpenStorages::new(), reference).await;
        assert!(std::fs::read_dir(&place).unwrap().next().is_none(), "a removed repository leaves nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    conforms(&MemoryStorages::default(), Chunking::Fixed(64 << 10)).await;
}
