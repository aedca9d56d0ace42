//! Borg repositories against Borg itself, against damage, and against interruption.

mod common;

use common::{borg::*, *};
use mainstay_drivers::{engine::Chunking, progress::Progress, storage::*};
use mainstay_model::{BackupId, Error, Kind, Secret};
use mainstay_storages::OpenStorages;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

const PAGES: Chunking = Chunking::Fixed(64 << 10);

struct Bed {
    dir: tempfile::TempDir,
    storages: OpenStorages,
    reference: RepositoryRef,
    storage: Arc<dyn Storage>,
}

async fn bed() -> Option<Bed> {
    if !is_installed("borg") {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let storages = storages(dir.path());
    let reference = in_directory(&dir.path().join("place"), PAGES);
    let storage = storages.open(&reference, true).await.unwrap();
    Some(Bed { dir, storages, reference, storage })
}

impl Bed {
    fn url(&self) -> PathBuf {
        directory_of(&self.reference)
    }

    fn stock(&self, args: &[&str]) -> std::process::Output {
        let url = self.url();
        let args: Vec<_> = args.iter().map(|a| a.replace("REPO", url.to_str().unwrap())).collect();
        stock(self.dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Nothing lies about between runs.
    fn is_tidy(&self) -> bool {
        fs::read_dir(self.dir.path().join("borg/runs")).unwrap().next().is_none()
    }
}

async fn eventually(what: &str, mut seen: impl FnMut() -> bool) {
    let start = Instant::now();
    while !seen() {
        assert!(start.elapsed() < Duration::from_secs(120), "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_borg_gives_equal_bytes_by_the_printed_commands() {
    let Some(bed) = bed().await else { return };
    let (steps, files) = sample();
    let label = label();
    let stored = bed.storage.put(&label, list(steps), &quiet()).await.unwrap();
    assert_eq!(stored.snapshot, label.backup.as_str());
    let (key, target) = (bed.dir.path().join("the key"), bed.dir.path().join("out"));
    fs::write(&key, format!("{RECOVERY}\n")).unwrap();
    let commands = bed.storage.manual_commands(&stored.snapshot, key.to_str().unwrap(), target.to_str().unwrap());
    // A person's shell.
    let ran = command("sh").args(["-ec", &commands.join("\n")]).env("BORG_BASE_DIR", bed.dir.path().join("person")).output().unwrap();
    assert!(ran.status.success(), "{commands:?}: {}", text(&ran));
    for (path, bytes) in &files {
        assert!(&fs::read(target.join(path)).unwrap() == bytes, "{path} differs");
    }
    assert_eq!(fs::read_link(target.join("a/link")).unwrap(), Path::new("exact"));
    assert_eq!((mode_of(&target.join("z/last")), mode_of(&target.join("z"))), (0o640, 0o700));
    let record = mainstay_storages::Record::from_json(&fs::read(target.join("mainstay.json")).unwrap()).unwrap();
    assert_eq!((record.label, record.facts), (label, facts()));
    let config = fs::read_to_string(bed.url().join("config")).unwrap();
    assert!(config.contains("key = "), "the key is in the repository: {config}");
    assert!(bed.is_tidy());
}

/// S49: not in arguments, not in any environment.
#[tokio::test(flavor = "multi_thread")]
async fn no_process_shows_the_passphrase() {
    let Some(bed) = bed().await else { return };
    let seen = Arc::new(AtomicBool::new(false));
    let (flag, part) = (seen.clone(), bed.url().to_str().unwrap().to_owned());
    let look = Step::Wait(Box::new(move || {
        let ours = processes_with(&part);
        for (pid, line) in &ours {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            assert!(!line.contains(OWN) && !String::from_utf8_lossy(&environ).contains(OWN), "{line}");
        }
        flag.store(ours.iter().any(|(_, line)| line.contains(" create ")), Ordering::SeqCst);
    }));
    bed.storage.put(&label(), list([file("a", noise(1, 1000)), look, file("b", vec![1])]), &quiet()).await.unwrap();
    assert!(seen.load(Ordering::SeqCst), "borg was not seen at work");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_fails_verification_and_borgs_own_check() {
    let Some(bed) = bed().await else { return };
    let stored = bed.storage.put(&label(), list([file("big", noise(3, 4 << 20))]), &quiet()).await.unwrap();
    bed.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    assert!(bed.stock(&["check", "--verify-data", "REPO"]).status.success());
    let mut segments: Vec<PathBuf> = fs::read_dir(bed.url().join("data/0")).unwrap().flatten().map(|e| e.path()).collect();
    segments.sort_by_key(|p| p.metadata().unwrap().len());
    let largest = segments.pop().unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&largest, bytes).unwrap();
    let error = bed.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Integrity, "{error:?}");
    let segment = largest.file_name().unwrap().to_str().unwrap();
    assert!(error.message.contains(&format!("segment {segment}")), "{error:?}");
    let error = bed.storage.get(&stored.snapshot, Arc::new(Void::default()), &quiet()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Integrity, "{error:?}");
    assert!(!bed.stock(&["check", "REPO"]).status.success());
}

/// Borg's own "repair" puts zeroes where data was, and then calls the archive whole.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_not_what_was_fed_fails_verification() {
    let Some(bed) = bed().await else { return };
    let stored = bed.storage.put(&label(), list([file("a", noise(3, 100_000)), file("b", vec![1; 10])]), &quiet()).await.unwrap();
    let recreated = bed.stock(&["recreate", "--exclude", "sh:**/a", "--exclude", "a", &format!("REPO::{}", stored.snapshot)]);
    assert!(recreated.status.success(), "{}", text(&recreated));
    let error = bed.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Integrity);
    assert!(error.message.contains("a in archive"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_leaves_no_archive() {
    let Some(bed) = bed().await else { return };
    let breaks = file_with("c", None, false, Box::new(|| Ok(Box::new(Breaks(Noise { state: 7, left: 3 << 20 })))));
    let error = bed.storage.put(&label(), list([file("b", noise(5, 300_000)), breaks]), &quiet()).await.unwrap_err();
    assert_eq!(error.code, "source_unreadable", "{error:?}");
    let device = tempfile::tempdir().unwrap();
    symlink("/dev/zero", device.path().join("endless")).unwrap();
    let target = device.path().join("endless");
    let error = bed.storage.put(&label(), list([link("l", target.to_str().unwrap())]), &quiet()).await.unwrap_err();
    assert_eq!(error.code, "source_invalid", "{error:?}");
    assert!(bed.storage.list().await.unwrap().is_empty());
    let stock = text(&bed.stock(&["list", "--short", "REPO"]));
    assert!(stock.lines().all(|name| name.starts_with("key-")), "{stock}");
    assert!(bed.stock(&["check", "REPO"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_borg_leaves_nothing_visible_and_the_next_backup_works() {
    let Some(bed) = bed().await else { return };
    let part = bed.url().to_str().unwrap().to_owned();
    let kill = Step::Wait(Box::new(move || {
        let borg = processes_with(&part).into_iter().find(|(_, line)| line.contains(" create ")).expect("borg at work").0;
        rustix::process::kill_process(rustix::process::Pid::from_raw(borg).unwrap(), rustix::process::Signal::KILL).unwrap();
    }));
    let label = label();
    let error =
        bed.storage.put(&label, list([file("a", noise(1, 1 << 20)), kill, file("b", noise(2, 8 << 20))]), &quiet()).await.unwrap_err();
    assert_eq!(error.code, "borg_killed", "{error:?}");
    assert!(bed.storage.list().await.unwrap().is_empty());
    let stored = bed.storage.put(&label, list([file("a", noise(1, 1 << 20))]), &quiet()).await.unwrap();
    assert_eq!(bed.storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap() >> 20, 1);
    assert!(bed.stock(&["check", "--verify-data", "REPO"]).status.success());
    assert!(bed.is_tidy());
}

#[tokio::test(flavor = "multi_thread")]
async fn borg_does_not_outlive_its_caller() {
    let Some(bed) = bed().await else { return };
    let (storage, part) = (bed.storage.clone(), bed.url().to_str().unwrap().to_owned());
    let (begun, has_begun) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let step = Step::Wait(Box::new(move || {
        begun.send(()).unwrap();
        let _ = held.recv_timeout(Duration::from_secs(120));
    }));
    let put = tokio::spawn(async move { storage.put(&label(), list([file("a", noise(1, 1000)), step]), &quiet()).await });
    tokio::task::spawn_blocking(move || has_begun.recv_timeout(Duration::from_secs(120)).unwrap()).await.unwrap();
    assert!(!processes_with(&part).is_empty());
    put.abort();
    let _ = put.await;
    eventually("the end of borg", || processes_with(&part).is_empty()).await;
    release.send(()).unwrap();
    bed.storage.put(&label(), list([file("a", vec![1])]), &quiet()).await.unwrap();
    assert_eq!(bed.storage.list().await.unwrap().len(), 1);
}

/// A run that ended between storing and renaming, and somebody's own archive.
#[tokio::test(flavor = "multi_thread")]
async fn only_published_archives_are_backups() {
    let Some(bed) = bed().await else { return };
    let label = label();
    fs::write(bed.dir.path().join("half"), "half").unwrap();
    let half = bed.dir.path().join("half");
    for name in [format!("pending-{}", label.backup), format!("pending-{}", BackupId::new()), "mine".into()] {
        let made = bed.stock(&["create", &format!("REPO::{name}"), half.to_str().unwrap()]);
        assert!(made.status.success(), "{}", text(&made));
    }
    assert!(bed.storage.list().await.unwrap().is_empty());
    assert_eq!(bed.storage.facts("mine").await.unwrap_err().kind, Kind::NotFound);
    let stored = bed.storage.put(&label, list([file("a", vec![1; 100])]), &quiet()).await.unwrap();
    bed.storage.delete(&["mine".into()]).await.unwrap();
    bed.storage.prune().await.unwrap();
    let names = text(&bed.stock(&["list", "--short", "REPO"]));
    assert!(names.contains("mine") && names.contains(&stored.snapshot), "{names}");
    assert!(!names.contains(&format!("pending-{}", label.backup)), "{names}");
    // Under a backup's name but without its label it is damage, not absence.
    let made = bed.stock(&["create", &format!("REPO::{}", BackupId::new()), half.to_str().unwrap()]);
    assert!(made.status.success());
    assert_eq!(bed.storage.list().await.unwrap_err().kind, Kind::Integrity);
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_pages_are_stored_once_and_space_comes_back() {
    let Some(bed) = bed().await else { return };
    let mut data = noise(1, 8 << 20);
    let first = bed.storage.put(&label(), list([file("a", data.clone())]), &quiet()).await.unwrap();
    data[4 << 20] ^= 1;
    let second = bed.storage.put(&label(), list([file("a", data)]), &quiet()).await.unwrap();
    assert!(second.added_bytes < 2 << 20, "{}", second.added_bytes);
    assert!(bed.storage.usage().await.unwrap().repository_bytes > 8 << 20);
    bed.storage.delete(&[first.snapshot, second.snapshot]).await.unwrap();
    assert!(bed.storage.prune().await.unwrap() > 8 << 20);
    assert_eq!(bed.storage.usage().await.unwrap().snapshots, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_does_not_open_it() {
    let Some(bed) = bed().await else { return };
    let keys = RepositoryKeys { own: Secret::new("another"), recovery: vec![] };
    let error = bed.storages.open(&RepositoryRef { keys, ..bed.reference.clone() }, true).await.err().unwrap();
    assert_eq!((error.kind, error.code.as_str()), (Kind::Forbidden, "wrong_key"));
    assert!(!format!("{error:?}").contains("another\""));
}

/// Over ssh, where nothing can be listed: a recovery key alone opens it, others come and go.
#[tokio::test(flavor = "multi_thread")]
async fn recovery_keys_come_and_go() {
    let Some(sshd) = Sshd::start(false) else { return };
    let reference = sshd.reference(PAGES);
    let agent = storages(sshd.dir.path());
    let storage = agent.open(&reference, true).await.unwrap();
    let stored = storage.put(&label(), list([file("a", vec![1; 100])]), &quiet()).await.unwrap();
    let by = |key: &str| RepositoryRef { keys: RepositoryKeys { own: Secret::new(key), recovery: vec![] }, ..reference.clone() };
    // Another process on another machine, with the recovery key and nothing else.
    let far = tempfile::tempdir().unwrap();
    let opened = borg::storages(far.path()).open(&by(RECOVERY), false).await.unwrap();
    assert_eq!(opened.facts(&stored.snapshot).await.unwrap().1, facts());
    storage.try_key(&Secret::new(RECOVERY)).await.unwrap();

    let keys = RepositoryKeys { own: Secret::new(OWN), recovery: vec![Secret::new("the next one")] };
    storage.ensure_keys(&keys).await.unwrap();
    storage.ensure_keys(&keys).await.unwrap();
    assert_eq!(agent.open(&by(RECOVERY), false).await.err().unwrap().code, "wrong_key");
    assert_eq!(storage.try_key(&Secret::new(RECOVERY)).await.unwrap_err().code, "wrong_key");
    storage.try_key(&Secret::new("the next one")).await.unwrap();
    agent.open(&by("the next one"), false).await.unwrap().verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    assert_eq!(storage.list().await.unwrap().len(), 1, "keys are no backups");
    agent.remove(&reference).await.unwrap();
    let project = sshd.dir.path().join("repositories").join(reference.project.as_str());
    assert!(fs::read_dir(project).unwrap().next().is_none(), "a removed repository leaves no key");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_only_directory_says_that_nothing_is_deleted() {
    let Some(bed) = bed().await else { return };
    let stored = bed.storage.put(&label(), list([file("a", vec![1; 100])]), &quiet()).await.unwrap();
    assert!(bed.stock(&["config", "REPO", "append_only", "1"]).status.success());
    keeps_everything(&*bed.storage, &stored.snapshot).await;
    assert_eq!(bed.storages.remove(&bed.reference).await.unwrap_err().code, "append_only");
    bed.storage.put(&label(), list([file("a", vec![2; 100])]), &quiet()).await.unwrap();
    assert_eq!(bed.storage.list().await.unwrap().len(), 2);
}

async fn keeps_everything(storage: &dyn Storage, snapshot: &str) {
    for error in [storage.delete(&[snapshot.to_owned()]).await.unwrap_err(), storage.prune().await.unwrap_err()] {
        assert_eq!((error.kind, error.code.as_str()), (Kind::Conflict, "append_only"), "{error:?}");
        assert!(error.message.contains("borg compact"));
    }
    assert_eq!(storage.list().await.unwrap()[0].id, snapshot);
    storage.delete(&[BackupId::new().to_string()]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_an_append_only_host_says_that_nothing_is_deleted() {
    let Some(sshd) = Sshd::start(true) else { return };
    let storages = storages(sshd.dir.path());
    let reference = sshd.reference(PAGES);
    let storage = storages.open(&reference, true).await.unwrap();
    let stored = storage.put(&label(), list([file("a", vec![1; 100])]), &quiet()).await.unwrap();
    keeps_everything(&*storage, &stored.snapshot).await;
    assert_eq!(storages.remove(&reference).await.unwrap_err().code, "append_only");
    // Twice: the first probe could not be removed.
    for _ in 0..2 {
        let report = storages.check(&reference.storage).await.unwrap();
        assert!(report.rows.iter().all(|row| row.ok), "{:?}", report.rows);
        assert!(report.rows.iter().any(|row| row.name == "deletion" && row.detail.contains("append-only")), "{:?}", report.rows);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_another_key_and_a_key_that_is_not_let_in_are_refused() {
    let Some(sshd) = Sshd::start(false) else { return };
    let storages = storages(sshd.dir.path());
    let wrong_host = reference_to(sshd.place("other"), Some(sshd.key("user")), PAGES);
    let error = storages.open(&wrong_host, true).await.err().unwrap();
    assert_eq!((error.kind, error.code.as_str()), (Kind::Forbidden, "host_key_mismatch"), "{error:?}");
    let wrong_key = reference_to(sshd.place("host"), Some(sshd.key("other")), PAGES);
    let error = storages.open(&wrong_key, true).await.err().unwrap();
    assert_eq!((error.kind, error.code.as_str()), (Kind::Forbidden, "login_refused"), "{error:?}");
    let report = storages.check(&wrong_key.storage).await.unwrap();
    assert!(report.rows.iter().any(|row| !row.ok && row.detail.contains("authorized_keys")), "{:?}", report.rows);
    let without = reference_to(sshd.place("host"), None, PAGES);
    assert_eq!(storages.open(&without, true).await.err().unwrap().kind, Kind::Invalid);
    let mut elsewhere = sshd.reference(PAGES);
    let Place::Borg(place) = &mut elsewhere.storage.place else { unreachable!() };
    place.repository = place.repository.replace("/repositories", "/elsewhere");
    let error = storages.open(&elsewhere, true).await.err().unwrap();
    assert_eq!(error.kind, Kind::Forbidden, "{error:?}");
}

/// `borg serve` lists nothing, so a list is kept beside the repositories, and whoever has lost everything
/// else finds them by it.
#[tokio::test(flavor = "multi_thread")]
async fn repositories_on_another_host_are_found_without_a_catalogue() {
    let Some(sshd) = Sshd::start(false) else { return };
    let storages = storages(sshd.dir.path());
    let one = sshd.reference(PAGES);
    assert_eq!(storages.discover(&one.storage).await.unwrap_err().code, "not_listable");
    let other = RepositoryRef { cluster: mainstay_model::ClusterId::new(), ..one.clone() };
    let (first, second) = tokio::join!(storages.open(&one, true), storages.open(&other, true));
    first.unwrap();
    second.unwrap();
    storages.open(&one, true).await.unwrap();
    // Another process on another machine.
    let far = tempfile::tempdir().unwrap();
    let stranger = borg::storages(far.path());
    let mut found = stranger.discover(&one.storage).await.unwrap();
    let mut there = vec![(one.project.clone(), one.cluster.clone(), 1), (other.project.clone(), other.cluster.clone(), 1)];
    found.sort();
    there.sort();
    assert_eq!(found, there);
    let report = stranger.check(&one.storage).await.unwrap();
    assert!(report.rows.iter().any(|r| r.name == "index" && r.ok && r.detail.starts_with("2 ")), "{:?}", report.rows);
    storages.remove(&other).await.unwrap();
    assert_eq!(stranger.discover(&one.storage).await.unwrap(), [(one.project.clone(), one.cluster.clone(), 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_tried_before_it_is_used() {
    let Some(bed) = bed().await else { return };
    let report = bed.storages.check(&bed.reference.storage).await.unwrap();
    assert!(report.rows.iter().all(|row| row.ok), "{:?}", report.rows);
    for name in ["borg", "reachable", "writable", "deletion"] {
        assert!(report.rows.iter().any(|row| row.name == name), "{name} in {:?}", report.rows);
    }
    assert!(report.free_bytes.is_some());
    assert!(!bed.dir.path().join("place/mainstay-probe").exists());
    assert!(bed.is_tidy());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_borg_the_kind_is_not_offered() {
    let dir = tempfile::tempdir().unwrap();
    let storages = OpenStorages::new().with_borg(agent(dir.path()).with_program(None));
    assert!(!storages.kinds().contains(&"borg"));
    let reference = in_directory(&dir.path().join("place"), PAGES);
    let error: Error = storages.open(&reference, true).await.err().unwrap();
    assert_eq!(error.code, "borg_missing");
    assert!(error.message.contains("apt-get install borgbackup"));
    let report = storages.check(&reference.storage).await.unwrap();
    assert!(report.rows.iter().any(|row| !row.ok && row.detail.contains("apt-get install borgbackup")), "{:?}", report.rows);
    if is_installed("borg") {
        let other = tempfile::tempdir().unwrap();
        assert!(common::borg::storages(other.path()).kinds().contains(&"borg"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_ends_borg_at_once() {
    let Some(bed) = bed().await else { return };
    let progress = Progress::default();
    let cancel = progress.clone();
    let endless = file_with("endless", None, false, Box::new(|| Ok(Box::new(Noise { state: 1, left: u64::MAX }))));
    let label = label();
    let put = bed.storage.put(&label, list([endless]), &progress);
    let stop = async {
        eventually("some progress", || cancel.look().done > 1 << 20).await;
        cancel.cancel();
    };
    let (put, ()) = tokio::join!(put, stop);
    assert_eq!(put.unwrap_err().code, "cancelled");
    assert!(bed.storage.list().await.unwrap().is_empty());
}
