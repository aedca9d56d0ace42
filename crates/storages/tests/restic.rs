//! The local repository against restic itself, against damage, and against interruption.

mod common;

use common::*;
use mainstay_drivers::{engine::Chunking, progress::Progress, storage::*};
use mainstay_model::{Kind, Secret};
use mainstay_storages::OpenStorages;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Output,
    sync::{Arc, mpsc},
    time::Duration,
};

const PAGES: Chunking = Chunking::Fixed(64 << 10);

/// Runs restic with the recovery key; `None` where it is not installed.
#[expect(clippy::disallowed_methods, reason = "the test is about what the real restic makes of our repository")]
fn restic(place: &Place1, password: &str, args: &[&str]) -> Option<Output> {
    let key = place.dir.path().join("key");
    fs::write(&key, password).unwrap();
    let run = std::process::Command::new("restic")
        .args(["-r", place.repository().to_str().unwrap(), "--no-cache", "--password-file"])
        .arg(&key)
        .args(args)
        .output();
    match run {
        Ok(output) => Some(output),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            mainstay_testkit::skipped("the look by restic: it is not installed");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn restic_reads_everything_with_the_recovery_key() {
    for chunking in [PAGES, Chunking::ContentDefined] {
        let place = local(chunking).await;
        let (steps, files) = sample();
        let label = label();
        let stored = place.storage.put(&label, list(steps), &quiet()).await.unwrap();
        let Some(check) = restic(&place, RECOVERY, &["check", "--read-data"]) else { return };
        assert!(check.status.success() && text(&check).contains("no errors were found"), "{}", text(&check));

        let listed = restic(&place, RECOVERY, &["snapshots", "--json"]).unwrap();
        let listed = text(&listed);
        for part in [&stored.snapshot, label.backup.as_str(), label.cluster.as_str(), "kind=manual", "\"hostname\":\"mainstay\""] {
            assert!(listed.contains(part), "{part} in {listed}");
        }

        let target = place.dir.path().join("out");
        let out = target.to_str().unwrap();
        let restored = restic(&place, RECOVERY, &["restore", &stored.snapshot, "--target", out, "--verify"]).unwrap();
        assert!(restored.status.success(), "{}", text(&restored));
        for (path, bytes) in &files {
            assert!(&fs::read(target.join(path)).unwrap() == bytes, "{path} differs");
        }
        assert_eq!(fs::read_link(target.join("a/link")).unwrap(), Path::new("exact"));
        let meta = target.join("z/last").metadata().unwrap();
        assert_eq!((meta.permissions().mode() & 0o7777, meta.mtime(), meta.mtime_nsec()), (0o640, 1_700_000_000, 123_456_000));
        assert_eq!(target.join("z").metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        let record = mainstay_storages::Record::from_json(&fs::read(target.join("mainstay.json")).unwrap()).unwrap();
        assert_eq!((record.label, record.facts), (label, facts()));

        // By name, which needs directories that are sorted.
        for path in ["/mainstay.json", "/z/last", "/big"] {
            let dump = restic(&place, OWN, &["dump", &stored.snapshot, path]).unwrap();
            assert!(dump.status.success() && !dump.stdout.is_empty(), "{path}: {}", text(&dump));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_commands_work() {
    let place = local(PAGES).await;
    let stored = place.storage.put(&label(), list([file("a", vec![1; 5000])]), &quiet()).await.unwrap();
    let target = place.dir.path().join("out");
    let key = place.dir.path().join("key");
    fs::write(&key, RECOVERY).unwrap();
    let commands = place.storage.manual_commands(&stored.snapshot, key.to_str().unwrap(), target.to_str().unwrap());
    assert_eq!(commands.len(), 3);
    for command in commands {
        let words: Vec<_> = command.split(' ').skip(5).map(str::to_owned).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        assert!(command.starts_with("restic -r /") && command.contains(" --password-file "));
        let Some(output) = restic(&place, RECOVERY, &words) else { return };
        assert!(output.status.success(), "{command}: {}", text(&output));
    }
    assert_eq!(fs::read(target.join("a")).unwrap(), vec![1; 5000]);
}

/// A relation file grows or shrinks between its listing and its reading; restic must restore what
/// was read.
#[tokio::test(flavor = "multi_thread")]
async fn files_whose_size_changed_are_stored_as_they_were_read() {
    let place = local(PAGES).await;
    let lies = |path: &str, said: u64, len: usize| {
        let bytes = noise(11, len);
        file_with(path, Some(said), false, Box::new(move || Ok(Box::new(std::io::Cursor::new(bytes)))))
    };
    let steps =
        [dir("d"), lies("d/grew", 8192, 200_000), lies("d/new", 0, 70_000), lies("d/shrank", 1 << 20, 100), lies("d/void", 4096, 0)];
    let stored = place.storage.put(&label(), list(steps), &quiet()).await.unwrap();
    let sizes: Vec<_> = place.storage.entries(&stored.snapshot).await.unwrap().into_iter().map(|e| e.kind).collect();
    let file = |size| SnapshotEntryKind::File { size };
    assert_eq!(sizes, [SnapshotEntryKind::Dir, file(200_000), file(70_000), file(100), file(0)]);
    let target = place.dir.path().join("out");
    let Some(out) = restic(&place, RECOVERY, &["restore", "latest", "--target", target.to_str().unwrap()]) else { return };
    assert!(out.status.success(), "{}", text(&out));
    for (name, len) in [("grew", 200_000), ("new", 70_000), ("shrank", 100), ("void", 0)] {
        assert_eq!(fs::read(target.join("d").join(name)).unwrap(), noise(11, len), "{name}");
    }
    let check = restic(&place, RECOVERY, &["check", "--read-data"]).unwrap();
    assert!(check.status.success(), "{}", text(&check));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_byte_is_found_and_named() {
    let place = local(PAGES).await;
    let stored = place.storage.put(&label(), list([file("a", noise(1, 20 << 20))]), &quiet()).await.unwrap();
    let pack = place.packs().remove(0);
    let mut bytes = fs::read(&pack).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&pack, bytes).unwrap();
    place.storage.verify(&stored.snapshot, Depth::Structure, &quiet()).await.unwrap();
    let name = pack.file_name().unwrap().to_str().unwrap();
    let found = place.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap_err();
    assert!(found.kind == Kind::Integrity && found.message.contains(name), "{found}");
    let sink = Collect::default();
    let found = place.storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap_err();
    assert!(found.kind == Kind::Integrity && found.message.contains(name), "{found}");
    assert_eq!(sink.0.lock().unwrap().finished, 0);

    // The next backup does not build on the damaged pack, and what it stores mends the old one.
    let again = place.storage.put(&label(), list([file("a", noise(1, 20 << 20))]), &quiet()).await.unwrap();
    assert!(again.added_bytes > 16 << 20);
    for snapshot in [&stored.snapshot, &again.snapshot] {
        place.storage.get(snapshot, Arc::new(Collect::default()), &quiet()).await.unwrap();
        place.storage.verify(snapshot, Depth::Data, &quiet()).await.unwrap();
        // A process that has not found the damage yet finds its way, too.
        let fresh = OpenStorages::new().open(&place.reference, false).await.unwrap();
        fresh.verify(snapshot, Depth::Data, &quiet()).await.unwrap();
        fresh.get(snapshot, Arc::new(Collect::default()), &quiet()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_shortened_packs_are_found_without_reading() {
    let place = local(PAGES).await;
    let stored = place.storage.put(&label(), list([file("a", noise(1, 20 << 20))]), &quiet()).await.unwrap();
    let pack = place.packs().remove(0);
    let name = pack.file_name().unwrap().to_str().unwrap().to_owned();
    let bytes = fs::read(&pack).unwrap();
    fs::write(&pack, &bytes[..1000]).unwrap();
    let found = place.storage.verify(&stored.snapshot, Depth::Structure, &quiet()).await.unwrap_err();
    assert!(found.kind == Kind::Integrity && found.message.contains(&name), "{found}");
    fs::remove_file(&pack).unwrap();
    let found = place.storage.verify(&stored.snapshot, Depth::Structure, &quiet()).await.unwrap_err();
    assert!(found.kind == Kind::Integrity && found.message.contains(&name), "{found}");
    let found = place.storage.get(&stored.snapshot, Arc::new(Collect::default()), &quiet()).await.unwrap_err();
    assert!(found.kind == Kind::Integrity && found.message.contains(&name), "{found}");
    // A backup does not build on what is lost; and what it stores mends the old one.
    let fresh = OpenStorages::new().open(&place.reference, false).await.unwrap();
    let again = fresh.put(&label(), list([file("b", noise(1, 20 << 20))]), &quiet()).await.unwrap();
    assert!(again.added_bytes > 16 << 20);
    for snapshot in [stored.snapshot, again.snapshot] {
        fresh.verify(&snapshot, Depth::Data, &quiet()).await.unwrap();
    }
    fresh.prune().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_fails_the_list() {
    let place = local(PAGES).await;
    let stored = place.storage.put(&label(), list([file("a", vec![1])]), &quiet()).await.unwrap();
    let record = place.repository().join("snapshots").join(&stored.snapshot);
    fs::write(&record, "nonsense").unwrap();
    let found = place.storage.list().await.unwrap_err();
    assert!(found.kind == Kind::Integrity && found.message.contains(&stored.snapshot), "{found}");
    // It stands in nobody's way but the list's and the prune's.
    place.storage.put(&label(), list([file("a", vec![2])]), &quiet()).await.unwrap();
    assert!(place.storage.prune().await.is_err());
    place.storage.delete(&[stored.snapshot]).await.unwrap();
    assert_eq!(place.storage.list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_backup_leaves_nothing_behind() {
    let place = local(PAGES).await;
    let breaks = file_with("b", None, false, Box::new(|| Ok(Box::new(Breaks(Noise { state: 5, left: 40 << 20 })))));
    place.storage.put(&label(), list([file("a", noise(1, 100_000)), breaks]), &quiet()).await.unwrap_err();
    assert_eq!((place.packs().len(), place.count("snapshots"), place.count("index"), place.count("tmp")), (0, 0, 0, 0));
    if let Some(out) = restic(&place, RECOVERY, &["snapshots", "--json"]) {
        assert!(matches!(text(&out).trim(), "[]" | "null"), "{}", text(&out));
    }
}

/// The caller goes away in the middle; the same backup is taken again later.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_backup_is_invisible_and_can_be_taken_again() {
    let place = local(PAGES).await;
    let label = label();
    let (reached, wait) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let step = Step::Wait(Box::new(move || {
        reached.send(()).unwrap();
        let _ = released.recv_timeout(Duration::from_secs(20));
    }));
    let source = list([file("a", noise(1, 20 << 20)), step, file("b", noise(2, 1000))]);
    let (storage, taken) = (place.storage.clone(), label.clone());
    let task = tokio::spawn(async move { storage.put(&taken, source, &Progress::default()).await });
    tokio::task::spawn_blocking(move || wait.recv().unwrap()).await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    drop(release);
    // Exclusive: returns when the abandoned work is really over.
    place.storage.delete(&[]).await.unwrap();
    assert!(place.storage.list().await.unwrap().is_empty());
    assert_eq!(place.count("snapshots"), 0);
    let stored = place.storage.put(&label, list([file("a", noise(1, 20 << 20))]), &quiet()).await.unwrap();
    place.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
}

/// What a killed process leaves: packs without an index, packs in an index without a record, and
/// half-written files.
#[tokio::test(flavor = "multi_thread")]
async fn remnants_of_a_crash_are_collected() {
    let place = local_keeping(PAGES, Duration::ZERO).await;
    let kept = place.storage.put(&label(), list([file("keep", noise(1, 2 << 20))]), &quiet()).await.unwrap();
    let before = place.storage.usage().await.unwrap().repository_bytes;
    let lost = place.storage.put(&label(), list([file("lost", noise(2, 8 << 20))]), &quiet()).await.unwrap();
    fs::remove_file(place.repository().join("snapshots").join(&lost.snapshot)).unwrap();
    let stray = place.repository().join("data/ab").join("ab".repeat(32));
    fs::write(&stray, noise(3, 1000)).unwrap();

    let mut freed = 0;
    for _ in 0..3 {
        freed += place.storage.prune().await.unwrap();
    }
    assert!(freed >= 8 << 20, "{freed}");
    assert!(!stray.exists());
    assert!(place.storage.usage().await.unwrap().repository_bytes < before + 20_000);
    place.storage.verify(&kept.snapshot, Depth::Data, &quiet()).await.unwrap();
    if let Some(check) = restic(&place, RECOVERY, &["check", "--read-data"]) {
        assert!(check.status.success(), "{}", text(&check));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn space_that_may_be_in_use_is_not_freed_at_once() {
    let place = local(PAGES).await;
    place.storage.put(&label(), list([file("keep", noise(1, 1 << 20))]), &quiet()).await.unwrap();
    let stored = place.storage.put(&label(), list([file("a", noise(2, 8 << 20))]), &quiet()).await.unwrap();
    place.storage.delete(&[stored.snapshot]).await.unwrap();
    for _ in 0..3 {
        place.storage.prune().await.unwrap();
    }
    assert!(place.storage.usage().await.unwrap().repository_bytes > 9 << 20);
    // And a backup that needs it finds it.
    let again = place.storage.put(&label(), list([file("a", noise(2, 8 << 20))]), &quiet()).await.unwrap();
    place.storage.prune().await.unwrap();
    place.storage.verify(&again.snapshot, Depth::Data, &quiet()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_not_stored_again() {
    let place = local(PAGES).await;
    let mut data = noise(1, 16 << 20);
    let first = place.storage.put(&label(), list([file("a", data.clone())]), &quiet()).await.unwrap();
    assert!(first.added_bytes > 16 << 20);
    data[5 << 20] ^= 1;
    let second = place.storage.put(&label(), list([file("a", data)]), &quiet()).await.unwrap();
    assert!(second.added_bytes < 200_000, "{}", second.added_bytes);
    assert_eq!(second.data_bytes, 16 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_backups_at_once() {
    let place = local(PAGES).await;
    let put = |seed| {
        let storage = place.storage.clone();
        async move { storage.put(&label(), list([file("a", noise(seed, 10 << 20)), file("b", noise(0, 5 << 20))]), &quiet()).await }
    };
    let (a, b) = tokio::join!(put(1), put(2));
    for stored in [a.unwrap(), b.unwrap()] {
        place.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    }
    // The same backup twice at once is one backup.
    let twice = label();
    let put = || async { place.storage.put(&twice, list([file("c", noise(7, 1 << 20))]), &quiet()).await };
    let (a, b) = tokio::join!(put(), put());
    assert_eq!(a.unwrap().snapshot, b.unwrap().snapshot);
    assert_eq!(place.storage.list().await.unwrap().len(), 3);
    if let Some(check) = restic(&place, RECOVERY, &["check", "--read-data"]) {
        assert!(check.status.success(), "{}", text(&check));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go() {
    let place = local(PAGES).await;
    let stored = place.storage.put(&label(), list([file("a", vec![1; 100])]), &quiet()).await.unwrap();
    let opens = |key: &str| {
        let reference = RepositoryRef { keys: RepositoryKeys { own: Secret::new(key), recovery: vec![] }, ..place.reference.clone() };
        // A new process: nothing is remembered.
        async move { OpenStorages::new().open(&reference, false).await }
    };
    let wrong = opens("another").await.err().unwrap();
    assert_eq!((wrong.kind, wrong.code.as_str()), (Kind::Forbidden, "wrong_key"));
    assert!(!format!("{wrong:?}").contains("another\""));
    opens(RECOVERY).await.unwrap().facts(&stored.snapshot).await.unwrap();

    let keys = |own: &str, recovery: &[&str]| RepositoryKeys {
        own: Secret::new(own),
        recovery: recovery.iter().map(|k| Secret::new(*k)).collect(),
    };
    place.storage.ensure_keys(&keys(OWN, &["second"])).await.unwrap();
    place.storage.ensure_keys(&keys(OWN, &["second"])).await.unwrap();
    assert_eq!(place.count("keys"), 2);
    assert!(opens(RECOVERY).await.is_err());
    opens("second").await.unwrap();

    // Own key changed: the open handle goes on, the old key opens nothing any more.
    place.storage.ensure_keys(&keys("own-2", &[])).await.unwrap();
    assert_eq!(place.count("keys"), 1);
    place.storage.list().await.unwrap();
    assert!(opens(OWN).await.is_err());
    opens("own-2").await.unwrap().verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_creation_is_done_again() {
    let place = local(PAGES).await;
    fs::remove_file(place.repository().join("config")).unwrap();
    assert_eq!(place.storages.open(&place.reference, false).await.err().unwrap().kind, Kind::NotFound);
    let storage = place.storages.open(&place.reference, true).await.unwrap();
    assert_eq!(place.count("keys"), 2);
    storage.put(&label(), list([file("a", vec![1])]), &quiet()).await.unwrap();
    if let Some(check) = restic(&place, RECOVERY, &["check", "--read-data"]) {
        assert!(check.status.success(), "{}", text(&check));
    }
    // With data in it, a repository without its config is not made anew.
    fs::remove_file(place.repository().join("config")).unwrap();
    assert_eq!(place.storages.open(&place.reference, true).await.err().unwrap().kind, Kind::Integrity);
    assert_eq!(place.count("keys"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_look() {
    let place = local(PAGES).await;
    let (steps, _) = sample();
    place.storage.put(&label(), list(steps), &quiet()).await.unwrap();
    let mut open = vec![place.dir.path().join("place")];
    let mut seen = 0;
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let expected = if meta.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(meta.permissions().mode() & 0o777, expected, "{}", path.display());
        seen += 1;
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
    }
    assert!(seen > 260);
    assert_eq!(place.count("tmp"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_followed_out_of_the_place() {
    let place = local(PAGES).await;
    let elsewhere = place.dir.path().join("precious");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), "x").unwrap();
    let repository = place.repository();
    fs::remove_dir_all(&repository).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &repository).unwrap();
    assert_eq!(place.storages.open(&place.reference, true).await.err().unwrap().kind, Kind::Forbidden);
    assert_eq!(place.storages.remove(&place.reference).await.unwrap_err().kind, Kind::Forbidden);
    assert!(elsewhere.join("file").exists());
    fs::remove_file(&repository).unwrap();
    place.storages.open(&place.reference, true).await.unwrap();
    std::os::unix::fs::symlink(&elsewhere, repository.join("data/link")).unwrap();
    place.storages.remove(&place.reference).await.unwrap();
    assert!(elsewhere.join("file").exists() && !repository.exists() && !repository.parent().unwrap().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_half_written_files_are_swept() {
    let place = local(PAGES).await;
    let (old, young) = (place.repository().join("tmp/old"), place.repository().join("tmp/young"));
    for path in [&old, &young] {
        fs::write(path, "x").unwrap();
    }
    let past = std::time::SystemTime::now() - Duration::from_secs(48 * 3600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
    OpenStorages::new().open(&place.reference, false).await.unwrap();
    assert!(!old.exists() && young.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_looked_at_before_it_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let look = |path: &Path| {
        let spec = StorageSpec { place: Place::Local { path: path.into() }, ..reference(path, PAGES).storage };
        async move { OpenStorages::new().check(&spec).await.unwrap() }
    };
    let failed = |report: &StorageReport| report.rows.iter().filter(|r| !r.ok).map(|r| r.name.clone()).collect::<Vec<_>>();

    let good = look(&dir.path().join("new/place")).await;
    assert_eq!(failed(&good), Vec::<String>::new(), "{good:?}");
    assert!(good.free_bytes.unwrap() > 0 && good.total_bytes.unwrap() >= good.free_bytes.unwrap());
    assert_eq!(fs::read_dir(dir.path().join("new/place")).unwrap().count(), 0);

    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).unwrap();
    let report = look(&open).await;
    assert_eq!(failed(&report), ["permissions"]);
    assert!(report.rows.iter().any(|r| r.detail.contains("chmod 700")), "{report:?}");

    let node = dir.path().join("nodes/nd_1");
    fs::create_dir_all(&node).unwrap();
    fs::write(node.join("identity.json"), "{}").unwrap();
    assert_eq!(failed(&look(&node.join("backups")).await), ["placement"]);
    assert_eq!(failed(&look(Path::new("relative/path")).await), ["path"]);

    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(failed(&look(&file).await).contains(&"writable".to_owned()));
}

/// On a small file system of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mount = dir.path().join("small");
    fs::create_dir(&mount).unwrap();
    let Some(_mounted) = Mounted::new(&mount, "size=24m,mode=0700") else {
        mainstay_testkit::skipped("a full disk: no right to mount a tmpfs");
        return;
    };
    let reference = reference(&mount, PAGES);
    let storage = OpenStorages::new().open(&reference, true).await.unwrap();
    assert!(storage.free().await.unwrap().is_some_and(|free| (16 << 20..=24 << 20).contains(&free)));
    let small = storage.put(&label(), list([file("a", noise(1, 1 << 20))]), &quiet()).await.unwrap();
    let error = storage.put(&label(), list([file("b", noise(2, 60 << 20)), file("c", noise(3, 1 << 20))]), &quiet()).await.unwrap_err();
    assert!(error.kind == Kind::NoSpace && error.message.contains(mount.to_str().unwrap()), "{error:?}");
    let repository = repository_path(&reference);
    assert_eq!(fs::read_dir(repository.join("tmp")).unwrap().count(), 0);
    // What the failed one wrote is given back, and the place goes on working.
    assert!(storage.usage().await.unwrap().repository_bytes < 2 << 20);
    storage.put(&label(), list([file("c", noise(3, 1 << 20))]), &quiet()).await.unwrap();
    storage.verify(&small.snapshot, Depth::Data, &quiet()).await.unwrap();
}

struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(path: &Path, options: &str) -> Option<Self> {
        run("mount", &["-t", "tmpfs", "-o", options, "tmpfs", path.to_str()?]).then(|| Mounted(path.into()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.to_str().unwrap()]);
    }
}

#[expect(clippy::disallowed_methods, reason = "only the test mounts something")]
fn run(program: &str, args: &[&str]) -> bool {
    std::process::Command::new(program).args(args).output().is_ok_and(|o| o.status.success())
}

/// Two repositories of one cluster beside each other: what opens one says nothing of the other's master key.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the test asks the real restic for the master keys")]
async fn another_edition_is_another_repository_with_another_master_key() {
    let place = local(PAGES).await;
    let next = RepositoryRef { storage: StorageSpec { edition: 2, ..place.reference.storage.clone() }, ..place.reference.clone() };
    assert!(place.storages.open(&next, false).await.is_err(), "it is not there before it is made");
    let beside = place.storages.open(&next, true).await.unwrap();
    let one = place.storage.put(&label(), list([file("a", noise(1, 300_000))]), &quiet()).await.unwrap();
    let two = beside.put(&label(), list([file("a", noise(1, 300_000))]), &quiet()).await.unwrap();
    assert!(two.added_bytes > 300_000, "nothing is shared: {}", two.added_bytes);
    let (project, cluster) = (next.project.clone(), next.cluster.clone());
    let found = place.storages.discover(&next.storage).await.unwrap();
    assert_eq!(found, [(project.clone(), cluster.clone(), 1), (project, cluster, 2)]);
    for (storage, snapshot, other) in [(&place.storage, &one.snapshot, &two.snapshot), (&beside, &two.snapshot, &one.snapshot)] {
        storage.verify(snapshot, Depth::Data, &quiet()).await.unwrap();
        assert!(storage.verify(other, Depth::Data, &quiet()).await.is_err());
    }
    let commands = beside.manual_commands(&two.snapshot, "key", "out").join(" ");
    assert!(commands.contains(&format!("{}.2", next.cluster)), "{commands}");

    let key = place.dir.path().join("key");
    std::fs::write(&key, RECOVERY).unwrap();
    let mut masters = vec![];
    for directory in [place.repository(), place.repository().with_file_name(format!("{}.2", next.cluster))] {
        let mut run = std::process::Command::new("restic");
        run.args(["--no-cache", "cat", "masterkey", "--password-file"]).arg(&key).arg("-r").arg(&directory);
        let Ok(said) = run.output() else { return mainstay_testkit::skipped("the look by restic: it is not installed") };
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        masters.push(said.stdout);
    }
    assert!(masters[0] != masters[1] && masters.iter().all(|m| !m.is_empty()));
    place.storages.remove(&place.reference).await.unwrap();
    beside.verify(&two.snapshot, Depth::Data, &quiet()).await.unwrap();
}
