//! Three storages and one source: whichever of them fails, stalls or dies.

use super::*;
use mainstay_drivers::{
    engine::Chunking,
    storage::{Entry, EntryKind, Keep, Place, RepositoryKeys, SnapshotEntryKind, StorageSpec},
};
use mainstay_model::{BackupId, ClusterId, ProjectId, Secret, StorageId, Time, backup::Facts};
use mainstay_testkit::{FakeStorages, Faults};
use std::{
    io::{self, Read},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Files of a few hundred kilobytes, more than lies in between at once.
const FILES: usize = 60;
const BYTES: usize = 300_000;

#[derive(Clone, Copy, PartialEq)]
enum Dies {
    Never,
    Reading,
    Listing,
    Finishing,
}

struct Numbers {
    next: usize,
    dies: Dies,
    point: u64,
    opened: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk went bad"))
    }
}

fn content(n: usize) -> Vec<u8> {
    vec![n as u8; if n.is_multiple_of(7) { 0 } else { BYTES }]
}

impl Source for Numbers {
    fn next(&mut self) -> Option<Result<Entry>> {
        let n = self.next;
        self.next += 1;
        if n == FILES / 2 && self.dies == Dies::Listing {
            return Some(Err(Error::failed("source_died", "the engine went away")));
        }
        let bad = n == FILES / 2 && self.dies == Dies::Reading;
        let opened = self.opened.clone();
        let open = Box::new(move || {
            opened.fetch_add(1, Ordering::SeqCst);
            let bytes: Box<dyn Read + Send> = if bad { Box::new(Broken) } else { Box::new(io::Cursor::new(content(n))) };
            if n == 3 { Err(io::ErrorKind::NotFound.into()) } else { Ok(bytes) }
        });
        let kind = EntryKind::File { size: None, may_vanish: n == 3, open, keep: Keep::Nothing };
        (n < FILES).then(|| Ok(Entry { path: format!("f{n:03}").into(), mode: 0o600, mtime: Time(0), kind }))
    }
    fn finish(&mut self) -> Result<Facts> {
        match self.dies {
            Dies::Finishing => Err(Error::failed("source_died", "the footer is missing")),
            _ => Ok(Facts { engine: "memo".into(), exact: [("rows".into(), self.point)].into(), ..Facts::default() }),
        }
    }
    fn expected_bytes(&self) -> Option<u64> {
        Some(7)
    }
}

impl Drop for Numbers {
    fn drop(&mut self) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

struct Bench {
    faults: Faults,
    storages: FakeStorages,
    repositories: Vec<RepositoryRef>,
    label: SnapshotLabel,
    progress: Progress,
    opened: Arc<AtomicUsize>,
    gone: Arc<AtomicUsize>,
}

impl Bench {
    fn new() -> Bench {
        let (faults, project, cluster) = (Faults::default(), ProjectId::new(), ClusterId::new());
        let repository = |name: &str| RepositoryRef {
            storage: StorageSpec {
                id: StorageId::new(),
                name: name.into(),
                place: Place::Local { path: "/x".into() },
                secret: None,
                limits: Default::default(),
                edition: 1,
            },
            project: project.clone(),
            cluster: cluster.clone(),
            chunking: Chunking::Fixed(1 << 18),
            keys: RepositoryKeys { own: Secret::new("own"), recovery: vec![] },
        };
        let repositories = ["a", "b", "c"].map(repository).to_vec();
        let label = SnapshotLabel {
            backup: BackupId::new(),
            cluster: cluster.clone(),
            cluster_name: "shop".into(),
            kind: "manual".into(),
            description: String::new(),
            created_at: Time(5),
        };
        let storages = FakeStorages::new(faults.clone());
        let (opened, gone) = Default::default();
        Bench { faults, storages, repositories, label, progress: Progress::default(), opened, gone }
    }

    fn source(&self, dies: Dies, point: u64) -> Box<dyn Source> {
        Box::new(Numbers { next: 0, dies, point, opened: self.opened.clone(), gone: self.gone.clone() })
    }

    /// What `Capture` does, and when the source was let go.
    async fn capture(&self, dies: Dies, point: u64) -> Result<Vec<Result<Stored>>> {
        let mut copies = Copies::find(&self.storages, &self.repositories, &self.label, &self.progress).await;
        copies.patience = Duration::from_secs(1);
        if !copies.complete_from_a_good_one(&self.label, &self.progress).await && copies.has_open() {
            copies.read_once(&self.label, self.source(dies, point), &self.progress).await?;
        }
        Ok(copies.results())
    }

    /// What each storage holds: the files' names and sizes, or nothing.
    async fn held(&self) -> Vec<Option<Vec<(String, u64)>>> {
        let mut all = vec![];
        for repository in &self.repositories {
            let Ok(storage) = self.storages.open(repository, false).await else {
                all.push(None);
                continue;
            };
            let Some(snapshot) = storage.list().await.unwrap().pop() else {
                all.push(None);
                continue;
            };
            let size = |k: &SnapshotEntryKind| if let SnapshotEntryKind::File { size } = k { *size } else { 0 };
            let entries = storage.entries(&snapshot.id).await.unwrap();
            all.push(Some(entries.iter().map(|e| (e.path.to_string_lossy().into_owned(), size(&e.kind))).collect()));
        }
        all
    }
}

fn whole() -> Vec<(String, u64)> {
    (0..FILES).filter(|n| *n != 3).map(|n| (format!("f{n:03}"), content(n).len() as u64)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pass_fills_three_storages_with_one_point() {
    let bench = Bench::new();
    let results = bench.capture(Dies::Never, 1).await.unwrap();
    let points: Vec<_> = results.into_iter().map(|r| r.unwrap().facts.exact["rows"]).collect();
    assert_eq!(points, [1, 1, 1]);
    assert_eq!(bench.held().await, vec![Some(whole()); 3]);
    assert_eq!((bench.opened.load(Ordering::SeqCst), bench.gone.load(Ordering::SeqCst)), (FILES, 1), "every file was read once");
    let again = bench.capture(Dies::Never, 2).await.unwrap();
    assert!(again.iter().all(|r| r.as_ref().unwrap().facts.exact["rows"] == 1), "what is stored is not taken anew");
    assert_eq!(bench.opened.load(Ordering::SeqCst), FILES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_dies_leaves_nothing_anywhere() {
    for dies in [Dies::Reading, Dies::Listing, Dies::Finishing] {
        let bench = Bench::new();
        let e = bench.capture(dies, 1).await.unwrap_err();
        assert!(["source_died", "source_unreadable"].contains(&e.code.as_str()), "{e:?}");
        assert_eq!(bench.held().await, vec![None; 3]);
        assert_eq!(bench.gone.load(Ordering::SeqCst), 1, "the source was put away");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_breaks_or_stalls_or_is_gone_costs_its_own_copy_only() {
    for (how, code) in [("breaks", "storage_broken"), ("stalls", "storage_stalled"), ("gone", "storage_gone")] {
        let bench = Bench::new();
        bench.faults.switch(&format!("storage.{how}.b"), true);
        let results = bench.capture(Dies::Never, 1).await.unwrap();
        assert!(results[0].is_ok() && results[2].is_ok(), "{how}");
        assert_eq!(results[1].as_ref().unwrap_err().code, code);
        assert_eq!(bench.held().await, vec![Some(whole()), None, Some(whole())], "{how}");
        // Well again, it is given the same point, and the engine is not asked.
        bench.faults.switch(&format!("storage.{how}.b"), false);
        let later = bench.capture(Dies::Listing, 2).await.unwrap();
        assert_eq!(later[1].as_ref().unwrap().facts.exact["rows"], 1);
        assert_eq!(bench.held().await, vec![Some(whole()); 3], "{how}");
        assert_eq!(bench.opened.load(Ordering::SeqCst), FILES);
    }
}

#[test]
fn what_moves_nothing_for_a_quarter_of_an_hour_is_stuck_and_what_crawls_is_not() {
    let (progress, start) = (Progress::default(), Instant::now());
    let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
    let mut stillness = Stillness::new(progress.look(), start);
    // A byte every fourteen minutes, for two days.
    for n in 1..200 {
        progress.add(1);
        assert!(!stillness.is_stuck(progress.look(), at(14 * n)));
    }
    let last = 14 * 199;
    assert!(!stillness.is_stuck(progress.look(), at(last + 14)) && stillness.is_stuck(progress.look(), at(last + 15)));
    // Another phase, or a word about what is waited for, is a sign of life too.
    progress.say("reading back");
    assert!(!stillness.is_stuck(progress.look(), at(last + 16)));
    progress.set_note(Some("paused".into()));
    assert!(!stillness.is_stuck(progress.look(), at(last + 30)) && stillness.is_stuck(progress.look(), at(last + 46)));
}

/// One storage reads the source itself; that it hangs is known all the same, and a late one publishes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_only_storage_is_given_up_too_when_it_takes_nothing() {
    let mut bench = Bench::new();
    bench.repositories.truncate(1);
    bench.faults.switch("storage.stalls.a", true);
    let (begun, results) = (Instant::now(), bench.capture(Dies::Never, 1).await.unwrap());
    let e = results[0].as_ref().unwrap_err();
    assert!(e.code == "storage_stalled" && !e.is_transient() && e.message.contains("storage a took nothing for 1 s"), "{e:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    bench.faults.switch("storage.stalls.a", false);
    while bench.gone.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.held().await, vec![None]);

    // One that only crawls is waited for.
    ["stalls", "crawls"].iter().for_each(|how| bench.faults.switch(&format!("storage.{how}.a"), true));
    let well_again = async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        bench.faults.switch("storage.stalls.a", false);
    };
    let (results, ()) = tokio::join!(bench.capture(Dies::Never, 1), well_again);
    assert!(results.unwrap()[0].is_ok());
    assert_eq!(bench.held().await, vec![Some(whole())]);
}

/// What it was given may take longer to move than the patience lasts, over a slow line or at a bandwidth.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_moves_is_waited_for() {
    let bench = Bench::new();
    ["stalls", "crawls"].iter().for_each(|how| bench.faults.switch(&format!("storage.{how}.b"), true));
    let well_again = async {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        bench.faults.switch("storage.stalls.b", false);
    };
    let (results, ()) = tokio::join!(bench.capture(Dies::Never, 1), well_again);
    assert!(results.unwrap().iter().all(Result::is_ok));
    assert_eq!(bench.held().await, vec![Some(whole()); 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_storages_fail_the_source_is_let_go() {
    let bench = Bench::new();
    ["a", "b", "c"].iter().for_each(|name| bench.faults.switch(&format!("storage.breaks.{name}"), true));
    let results = bench.capture(Dies::Never, 1).await.unwrap();
    assert!(results.iter().all(|r| r.as_ref().unwrap_err().code == "storage_broken"));
    assert_eq!(bench.gone.load(Ordering::SeqCst), 1);
    assert!(bench.opened.load(Ordering::SeqCst) < FILES, "it was not read for nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_all_of_it_ends() {
    let bench = Bench::new();
    ["a", "b"].iter().for_each(|name| bench.faults.switch(&format!("storage.stalls.{name}"), true));
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bench.progress.cancel();
    };
    let (results, ()) = tokio::join!(bench.capture(Dies::Never, 1), cancel);
    assert!(results.unwrap().iter().all(Result::is_err));
    assert_eq!((bench.held().await, bench.gone.load(Ordering::SeqCst)), (vec![None; 3], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_point_under_the_same_backup_makes_room() {
    let bench = Bench::new();
    let open = |n: usize| bench.storages.open(&bench.repositories[n], true);
    let (a, b) = (open(0).await.unwrap(), open(1).await.unwrap());
    let one = a.put(&bench.label, bench.source(Dies::Never, 1), &bench.progress).await.unwrap();
    b.put(&bench.label, bench.source(Dies::Never, 2), &bench.progress).await.unwrap();
    let copied = relay::copy(&a, &one.snapshot, &b, &bench.label.backup, &bench.progress).await.unwrap();
    assert_eq!(copied.facts, one.facts);
    assert_eq!(b.list().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_damaged_bytes_is_refused() {
    let bench = Bench::new();
    let open = |n: usize| bench.storages.open(&bench.repositories[n], true);
    let (a, b) = (open(0).await.unwrap(), open(1).await.unwrap());
    let one = a.put(&bench.label, bench.source(Dies::Never, 1), &bench.progress).await.unwrap();
    let copy = || relay::copy(&a, &one.snapshot, &b, &bench.label.backup, &bench.progress);
    bench.faults.fail("storage.get.half", 1, Error::unavailable("lost", "the connection broke"));
    assert_eq!(copy().await.unwrap_err().code, "lost");
    bench.faults.switch("storage.breaks.b", true);
    assert_eq!(copy().await.unwrap_err().code, "storage_broken");
    bench.faults.switch("storage.breaks.b", false);
    bench.storages.damage(&one.snapshot);
    assert_eq!(copy().await.unwrap_err().kind, mainstay_model::Kind::Integrity);
    assert!(b.list().await.unwrap().is_empty(), "nothing of it is visible");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_bounded_and_the_same() {
    let bench = Bench::new();
    let open = |n: usize| bench.storages.open(&bench.repositories[n], true);
    let (a, b) = (open(0).await.unwrap(), open(1).await.unwrap());
    let one = a.put(&bench.label, bench.source(Dies::Never, 1), &bench.progress).await.unwrap();
    let copied = relay::copy(&a, &one.snapshot, &b, &bench.label.backup, &bench.progress).await.unwrap();
    assert_eq!((copied.data_bytes, copied.files, &copied.facts), (one.data_bytes, one.files, &one.facts));
    assert_eq!(bench.held().await[..2], vec![Some(whole()); 2]);
    let label = b.facts(&copied.snapshot).await.unwrap().0;
    assert_eq!(label, bench.label);
    let again = relay::copy(&a, &one.snapshot, &b, &bench.label.backup, &bench.progress).await.unwrap();
    assert_eq!(again.snapshot, copied.snapshot);
}

/// A source of one file, most of which an earlier backup has.
struct Once(Option<Entry>);

impl Source for Once {
    fn next(&mut self) -> Option<Result<Entry>> {
        self.0.take().map(Ok)
    }
    fn finish(&mut self) -> Result<Facts> {
        Ok(Facts::default())
    }
    fn expected_bytes(&self) -> Option<u64> {
        None
    }
}

/// What each of the storages with these bases is given of a file of a million bytes.
fn passed_on(bases: &[bool], keep: &Keep, read: Vec<u8>) -> Vec<(Keep, Vec<u8>)> {
    let open = Box::new(move || Ok(Box::new(io::Cursor::new(read)) as Box<dyn Read + Send>));
    let kind = EntryKind::File { size: Some(1_000_000), may_vanish: false, open, keep: keep.clone() };
    let source = Once(Some(Entry { path: "f".into(), mode: 0o600, mtime: Time(0), kind }));
    let storing = |has: &bool| Storing { keeps_files: false, base: has.then(|| "snapshot".to_string()) };
    let (_tee, views) = Tee::start(Box::new(source), bases.iter().map(storing).collect(), &Progress::default()).unwrap();
    let readers = views.into_iter().map(|mut view| {
        std::thread::spawn(move || {
            let Some(Ok(Entry { kind: EntryKind::File { open, keep, .. }, .. })) = view.next() else { panic!("no file") };
            let mut bytes = vec![];
            open().unwrap().read_to_end(&mut bytes).unwrap();
            assert!(view.next().is_none() && view.finish().is_ok());
            (keep, bytes)
        })
    });
    readers.collect::<Vec<_>>().into_iter().map(|t| t.join().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_is_given_what_it_lacks() {
    let all: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    let changed = vec![65_536..131_072, 900_000..1_000_000];
    let fresh: Vec<u8> = changed.iter().flat_map(|r| all[r.start as usize..r.end as usize].to_vec()).collect();
    let part = Keep::Except(changed);
    let mixed = passed_on(&[true, false], &part, all.clone());
    assert!(mixed.iter().all(|given| *given == (Keep::Nothing, all.clone())), "a part that others read is read for all");
    let mixed = passed_on(&[false, true], &Keep::Whole, all.clone());
    assert!(mixed[0] == (Keep::Nothing, all.clone()) && mixed[1] == (Keep::Whole, vec![]));
    let everywhere = passed_on(&[true, true], &part, fresh.clone());
    assert!(everywhere.iter().all(|(keep, bytes)| *keep == part && *bytes == fresh));
}

/// One backup after another, into storages of which only some hold the earlier one.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_is_spoiled_costs_a_full_read() {
    let bench = Bench::new();
    let open = |n: usize| bench.storages.open(&bench.repositories[n], true);
    let (a, b) = (open(0).await.unwrap(), open(1).await.unwrap());
    let early = SnapshotLabel { backup: BackupId::new(), ..bench.label.clone() };
    let first = a.put(&early, bench.source(Dies::Never, 1), &bench.progress).await.unwrap();
    let mut copies = Copies::find(&bench.storages, &bench.repositories[..2], &bench.label, &bench.progress).await;
    let on = BuildOn { backup: early.backup.clone(), snapshots: vec![Some(first.snapshot.clone()), None] };
    let known = copies.known(&on, &["f001"]).await.unwrap();
    assert_eq!((known.everywhere, known.base.lists.len(), known.base.files.len()), (false, 1, FILES - 1));
    // It goes away between the look at it and its use.
    a.delete(&[first.snapshot]).await.unwrap();
    copies.read_once(&bench.label, bench.source(Dies::Never, 2), &bench.progress).await.unwrap();
    assert!(!copies.has_open(), "b had what a lacked");
    assert!(copies.results().iter().all(Result::is_ok));
    assert_eq!((a.list().await.unwrap().len(), b.list().await.unwrap().len()), (1, 1));

    let alone = SnapshotLabel { backup: BackupId::new(), ..bench.label.clone() };
    let mut copies = Copies::find(&bench.storages, &bench.repositories[..1], &alone, &bench.progress).await;
    let held = a.list().await.unwrap()[0].clone();
    let on = BuildOn { backup: held.label.backup, snapshots: vec![Some(held.id.clone())] };
    assert!(copies.known(&on, &[]).await.unwrap().everywhere);
    a.delete(&[held.id]).await.unwrap();
    copies.read_once(&alone, bench.source(Dies::Never, 3), &bench.progress).await.unwrap();
    assert!(copies.has_open(), "to be read again");
    copies.forget_bases();
    copies.read_once(&alone, bench.source(Dies::Never, 3), &bench.progress).await.unwrap();
    assert!(copies.results()[0].is_ok());

    // One that cannot even be looked at.
    let mut copies = Copies::find(&bench.storages, &bench.repositories[..1], &bench.label, &bench.progress).await;
    assert!(copies.known(&BuildOn { backup: alone.backup, snapshots: vec![Some("nothing".into())] }, &[]).await.is_none());
}
