//! Repositories in a bucket: against restic itself, and against everything a server and the way to it
//! do wrong. What counts is always the same: nothing is called good that is not, and nothing is left.

mod common;

use common::{
    s3::{ACCESS, BUCKET, Fault, S3Server, SECRET, Seen},
    *,
};
use mainstay_drivers::{engine::Chunking, storage::*};
use mainstay_model::{Kind, Secret};
use mainstay_storages::OpenStorages;
use std::{
    fs,
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

const PAGES: Chunking = Chunking::Fixed(64 << 10);

/// Runs restic as `manual_commands` says; `None` where it is not installed.
#[expect(clippy::disallowed_methods, reason = "the test is about what the real restic makes of our repository")]
async fn restic(dir: &Path, location: &str, args: &[&str]) -> Option<Output> {
    let key = dir.join("key");
    fs::write(&key, RECOVERY).unwrap();
    let mut run = std::process::Command::new("restic");
    run.args(["-r", location, "--no-cache", "--password-file"]).arg(&key).args(args);
    run.env("AWS_ACCESS_KEY_ID", ACCESS).env("AWS_SECRET_ACCESS_KEY", SECRET);
    match tokio::task::spawn_blocking(move || run.output()).await.unwrap() {
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

fn location(server: &S3Server, r: &RepositoryRef) -> String {
    format!("s3:http://{}/{BUCKET}/{}/{}", server.address, r.project, r.cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn restic_reads_everything_in_the_bucket() {
    let server = S3Server::start().await;
    let reference = server.reference("", PAGES);
    // Parts so small that packs go up in several.
    let storages = OpenStorages::new().with_parts(5 << 20);
    let storage = storages.open(&reference, true).await.unwrap();
    let (mut steps, mut files) = sample();
    let large = noise(11, 40 << 20);
    steps.push(file("zz-large", large.clone()));
    files.insert("zz-large".into(), large);
    let stored = storage.put(&label(), list(steps), &quiet()).await.unwrap();
    assert!(server.seen().iter().any(|s| s.is("PUT", "partNumber=2")), "a large pack goes up in parts");
    let sink = Collect::default();
    storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap();
    assert!(sink.0.lock().unwrap().files == files, "what came back is not what was stored");
    assert_eq!(storages.discover(&reference.storage).await.unwrap(), [(reference.project.clone(), reference.cluster.clone(), 1)]);

    let at = location(&server, &reference);
    let commands = storage.manual_commands(&stored.snapshot, "key", "out").join("\n");
    assert!(commands.contains(&at) && commands.contains("AWS_SECRET_ACCESS_KEY") && !commands.contains(SECRET), "{commands}");

    let dir = tempfile::tempdir().unwrap();
    let Some(check) = restic(dir.path(), &at, &["check", "--read-data"]).await else { return };
    assert!(check.status.success() && text(&check).contains("no errors were found"), "{}", text(&check));
    let out = dir.path().join("out");
    let restored = restic(dir.path(), &at, &["restore", &stored.snapshot, "--target", out.to_str().unwrap(), "--verify"]).await.unwrap();
    assert!(restored.status.success(), "{}", text(&restored));
    for (path, bytes) in &files {
        assert!(&fs::read(out.join(path)).unwrap() == bytes, "{path} differs");
    }
}

/// Ten thousand round trips would make a restore of small files take an hour.
#[tokio::test(flavor = "multi_thread")]
async fn small_files_are_read_by_the_pack() {
    let server = S3Server::start().await;
    let storage = OpenStorages::new().open(&server.reference("", PAGES), true).await.unwrap();
    let steps = (0..1500).map(|n| file(&format!("f{n:04}"), noise(n, 3000)));
    let stored = storage.put(&label(), list(steps), &quiet()).await.unwrap();
    server.seen();
    let sink = Collect::default();
    storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap();
    assert_eq!(sink.0.lock().unwrap().files.len(), 1500);
    assert!((0..1500).all(|n| sink.0.lock().unwrap().files[&format!("f{n:04}")] == noise(n, 3000)));
    let requests = server.seen().len();
    assert!(requests < 60, "{requests} requests for {} bytes", 1500 * 3000);
}

/// A repository that is there, with a way in that is given up after two seconds.
async fn impatient(server: &S3Server) -> (OpenStorages, RepositoryRef, Arc<dyn Storage>) {
    let storages = OpenStorages::new().with_patience(Duration::from_secs(3));
    let reference = server.reference("", PAGES);
    let storage = storages.open(&reference, true).await.unwrap();
    (storages, reference, storage)
}

fn source() -> Box<dyn Source> {
    list([file("a", noise(21, 900_000)), file("b", noise(22, 1000))])
}

/// Every third request is refused or lost; the backup comes to a good end.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_day_of_the_server_is_sat_out() {
    let server = S3Server::start().await;
    let storages = OpenStorages::new().with_patience(Duration::from_secs(30));
    let storage = storages.open(&server.reference("", PAGES), true).await.unwrap();
    let count = AtomicUsize::new(0);
    server.script(move |_| match count.fetch_add(1, Ordering::SeqCst) % 6 {
        1 => Fault::Answer(503, "<Error><Code>SlowDown</Code></Error>"),
        3 => Fault::LoseReply,
        5 => Fault::Answer(500, ""),
        _ => Fault::None,
    });
    let stored = storage.put(&label(), source(), &quiet()).await.unwrap();
    assert_eq!(storage.list().await.unwrap().len(), 1);
    storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_does_not_answer_is_given_up_in_time() {
    for fault in [Fault::Answer(503, ""), Fault::Hang, Fault::LoseReply] {
        let server = S3Server::start().await;
        let (_storages, _, storage) = impatient(&server).await;
        let bad = fault.clone();
        server.script(move |s| if s.is("PUT", "") { bad.clone() } else { Fault::None });
        let start = Instant::now();
        let error = storage.put(&label(), source(), &quiet()).await.unwrap_err();
        assert!(error.is_transient() && error.message.contains("storage cloud"), "{fault:?}: {error:?}");
        assert!(start.elapsed() < Duration::from_secs(40), "{:?}", start.elapsed());
        server.script(|_| Fault::None);
        assert!(storage.list().await.unwrap().is_empty(), "{fault:?}: nothing is published");
        storage.put(&label(), source(), &quiet()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_the_way_back_is_never_taken_for_data() {
    for fault in [Fault::WrongByte, Fault::Shortened] {
        let server = S3Server::start().await;
        let (storages, reference, storage) = impatient(&server).await;
        let good = storage.put(&label(), source(), &quiet()).await.unwrap();
        let bad = fault.clone();
        server.script(move |s| if s.is("GET", "/data/") { bad.clone() } else { Fault::None });
        let error = storage.put(&label(), list([file("c", noise(5, 70_000))]), &quiet()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Integrity, "{error:?}");
        let storage = storages.open(&reference, false).await.unwrap();
        assert_eq!(storage.list().await.unwrap().len(), 1, "only the good one is there");
        let error = storage.get(&good.snapshot, Arc::new(Collect::default()), &quiet()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Integrity, "{error:?}");
        assert_eq!(storage.verify(&good.snapshot, Depth::Data, &quiet()).await.unwrap_err().kind, Kind::Integrity);
    }
}

/// A list from before the backup shows none of its packs: then it must not be published.
#[tokio::test(flavor = "multi_thread")]
async fn stale_lists_publish_nothing() {
    let server = S3Server::start().await;
    let (_storages, _, storage) = impatient(&server).await;
    const NOTHING: &str = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    server.script(|s| if s.is("GET", "list-type=2") && s.what.contains("data") { Fault::Answer(200, NOTHING) } else { Fault::None });
    storage.put(&label(), source(), &quiet()).await.unwrap_err();
    server.script(|_| Fault::None);
    assert!(storage.list().await.unwrap().is_empty());
}

/// The reply to the record's write is lost for good: the backup failed, so none may be seen, unless
/// the very same backup is asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_write_is_in_doubt_is_taken_back() {
    let server = S3Server::start().await;
    let (_storages, _, storage) = impatient(&server).await;
    server.script(|s| if s.is("PUT", "/snapshots/") { Fault::LoseReply } else { Fault::None });
    let label = label();
    let error = storage.put(&label, source(), &quiet()).await;
    server.script(|_| Fault::None);
    // Written by the first attempt, refused to the second as taken: then it is there, and the same.
    match error {
        Ok(stored) => assert_eq!(storage.list().await.unwrap()[0].id, stored.snapshot),
        Err(e) => {
            assert!(e.is_transient(), "{e:?}");
            assert!(storage.list().await.unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_leaves_no_parts() {
    let server = S3Server::start().await;
    let storages = OpenStorages::new().with_patience(Duration::from_secs(3)).with_parts(5 << 20);
    let storage = storages.open(&server.reference("", PAGES), true).await.unwrap();
    server.script(|s| if s.is("PUT", "partNumber=2") { Fault::Answer(503, "") } else { Fault::None });
    let error = storage.put(&label(), list([file("a", noise(31, 20 << 20))]), &quiet()).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    server.script(|_| Fault::None);
    let parts: Vec<_> = server.left().into_iter().filter(|name| name.contains("upload")).collect();
    assert!(parts.is_empty(), "{parts:?}");
    let seen = server.seen();
    let begun = seen.iter().filter(|s| s.is("POST", "uploads")).count();
    let aborted = seen.iter().filter(|s| s.is("DELETE", "uploadId")).count();
    assert!(begun > 0 && aborted >= begun, "{begun} begun, {aborted} aborted");
}

/// Resets in the middle of bodies, up and down, and bodies that drip: each is sat out, what was cut is asked
/// for again, and what is called a backup is one.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_in_the_middle_are_taken_up_again() {
    let drip = Fault::Drip(Duration::from_millis(40));
    for (what, method, part, fault) in [
        ("half an object on its way back", "GET", "/data/", Fault::ResetHalfway),
        ("half a list", "GET", "list-type=2", Fault::ResetHalfway),
        ("half an object on its way there", "PUT", "/data/", Fault::ResetUpload),
        ("half a record on its way there", "PUT", "/snapshots/", Fault::ResetUpload),
        ("half a part on its way there", "PUT", "partNumber=2", Fault::ResetUpload),
        ("an object that drips", "GET", "/data/", drip.clone()),
        ("an object that stops half way", "GET", "/data/", Fault::Dry),
    ] {
        let server = S3Server::start().await;
        let storages = OpenStorages::new().with_patience(Duration::from_secs(12)).with_parts(5 << 20);
        let storage = storages.open(&server.reference("", PAGES), true).await.unwrap();
        let times = Arc::new(AtomicUsize::new(0));
        let (bad, count) = (fault.clone(), times.clone());
        // Twice, then the line is good again.
        server.script(move |s| match s.is(method, part) && count.fetch_add(1, Ordering::SeqCst) < 2 {
            true => bad.clone(),
            false => Fault::None,
        });
        let large = || list([file("a", noise(21, 12 << 20)), file("b", noise(22, 1000))]);
        let stored = storage.put(&label(), large(), &quiet()).await.unwrap_or_else(|e| panic!("{what}: {e:?}"));
        assert!(times.load(Ordering::SeqCst) >= 2, "{what}: it never happened");
        server.script(|_| Fault::None);
        storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
        let sink = Collect::default();
        storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap();
        assert!(sink.0.lock().unwrap().files["a"] == noise(21, 12 << 20), "{what}");
        assert_eq!(storage.list().await.unwrap().len(), 1, "{what}");
        let parts: Vec<_> = server.left().into_iter().filter(|name| name.contains("upload")).collect();
        assert!(parts.is_empty(), "{what}: {parts:?}");
    }
}

/// A line that breaks every time: the backup fails by the storage's name, and nothing of it counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_always_breaks_publishes_nothing() {
    for (method, part, fault) in
        [("GET", "/data/", Fault::ResetHalfway), ("PUT", "/data/", Fault::ResetUpload), ("GET", "/data/", Fault::Dry)]
    {
        let server = S3Server::start().await;
        let (_storages, _, storage) = impatient(&server).await;
        let bad = fault.clone();
        server.script(move |s| if s.is(method, part) { bad.clone() } else { Fault::None });
        let error = storage.put(&label(), source(), &quiet()).await.unwrap_err();
        assert!(error.is_transient() && error.message.contains("storage cloud"), "{fault:?}: {error:?}");
        server.script(|_| Fault::None);
        assert!(storage.list().await.unwrap().is_empty(), "{fault:?}: something was published");
        let stored = storage.put(&label(), source(), &quiet()).await.unwrap();
        storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    }
}

/// The upload was put together and the connection reset before it said so: the object is there, is held
/// against what was sent, and is not taken for another's.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_end_was_not_heard_of_is_found() {
    for heard in [false, true] {
        let server = S3Server::start().await;
        let storages = OpenStorages::new().with_patience(Duration::from_secs(12)).with_parts(5 << 20);
        let storage = storages.open(&server.reference("", PAGES), true).await.unwrap();
        let once = AtomicUsize::new(0);
        server.script(move |s| match s.is("POST", "uploadId=") && once.fetch_add(1, Ordering::SeqCst) == 0 {
            true if heard => Fault::ResetHalfway,
            true => Fault::LoseReply,
            false => Fault::None,
        });
        let stored = storage.put(&label(), list([file("a", noise(33, 12 << 20))]), &quiet()).await.unwrap();
        let seen = server.seen();
        assert!(seen.iter().filter(|s| s.is("POST", "uploadId=")).count() >= 2, "it was asked again");
        server.script(|_| Fault::None);
        storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
        let parts: Vec<_> = server.left().into_iter().filter(|name| name.contains("upload")).collect();
        assert!(parts.is_empty(), "{parts:?}");
    }
}

/// Without `If-None-Match` the place is asked before it is written to.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_cannot_do_is_done_without_it() {
    let server = S3Server::start().await;
    let storage = OpenStorages::new().open(&server.reference("", PAGES), true).await.unwrap();
    let (steps, _) = sample();
    storage.put(&label(), list(steps), &quiet()).await.unwrap();
    let first: Vec<Seen> = server.seen().into_iter().filter(|s| s.method == "PUT").collect();
    assert!(!first.is_empty());
    let once = AtomicUsize::new(0);
    server.script(move |s| match s.method == "PUT" && once.fetch_add(1, Ordering::SeqCst) == 0 {
        true => Fault::Answer(501, "<Error><Code>NotImplemented</Code></Error>"),
        false => Fault::None,
    });
    let stored = storage.put(&label(), source(), &quiet()).await.unwrap();
    assert!(server.seen().iter().any(|s| s.is("HEAD", "/data/")));
    storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_buckets_are_named() {
    let server = S3Server::start().await;
    let storages = OpenStorages::new().with_patience(Duration::from_secs(3));
    let mut wrong = server.reference("", PAGES);
    wrong.storage.secret = Some(Secret::new("other"));
    let error = storages.open(&wrong, true).await.err().unwrap();
    assert!(error.kind == Kind::Forbidden && !error.message.contains("other"), "{error:?}");
    let mut none = server.reference("", PAGES);
    none.storage.secret = None;
    assert_eq!(storages.open(&none, true).await.err().unwrap().field.as_deref(), Some("secret_key"));
    let mut nowhere = server.reference("", PAGES);
    let Place::S3(place) = &mut nowhere.storage.place else { unreachable!() };
    place.bucket = "no-such-bucket".into();
    let error = storages.open(&nowhere, true).await.err().unwrap();
    assert_eq!(error.code, "no_bucket", "{error:?}");
    let Place::S3(place) = &mut nowhere.storage.place else { unreachable!() };
    place.endpoint = "http://169.254.169.254".into();
    assert_eq!(storages.open(&nowhere, true).await.err().unwrap().code, "address_refused");
}

/// Each wrong answer has its own: it names the storage, ends in time, leaves nothing that looks like a backup,
/// and the next one is fine.
#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_answer_fails_by_name_and_the_next_backup_is_fine() {
    const ROTATED: &str = "<Error><Code>InvalidAccessKeyId</Code></Error>";
    const NO_BUCKET: &str = "<Error><Code>NoSuchBucket</Code></Error>";
    const CUT: &str = "<ListBucketResult><Contents><Key>backups/da";
    let wrong: [(&str, &str, &str, Fault, &str); 6] = [
        ("the key was rotated away", "PUT", "/data/", Fault::Answer(403, ROTATED), "destination_auth"),
        ("the key was rotated away before the record", "PUT", "/snapshots/", Fault::Answer(403, ROTATED), "destination_auth"),
        ("the bucket is gone", "PUT", "", Fault::Answer(404, NO_BUCKET), "no_bucket"),
        ("a list that is cut off", "GET", "list-type=2", Fault::Answer(200, CUT), "storage_protocol"),
        ("a list that is no list", "GET", "list-type=2", Fault::Answer(200, "<html>login</html>"), "storage_protocol"),
        ("no room there", "PUT", "/data/", Fault::Answer(507, ""), "no_space"),
    ];
    for (what, method, part, fault, code) in wrong {
        let server = S3Server::start().await;
        let (_storages, _, storage) = impatient(&server).await;
        server.seen();
        let bad = fault.clone();
        server.script(move |s| if s.is(method, part) { bad.clone() } else { Fault::None });
        let start = Instant::now();
        let error = storage.put(&label(), source(), &quiet()).await.expect_err(what);
        assert!(start.elapsed() < Duration::from_secs(30), "{what}: {:?}", start.elapsed());
        assert_eq!(error.code, code, "{what}: {error:?}");
        let asked = server.seen().iter().filter(|s| s.is(method, part)).count();
        assert!(asked < 20, "{what}: asked {asked} times");
        server.script(|_| Fault::None);
        assert!(storage.list().await.unwrap().is_empty(), "{what}: something was published");
        let stored = storage.put(&label(), source(), &quiet()).await.unwrap_or_else(|e| panic!("after {what}: {e:?}"));
        storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    }
}

async fn looked_at(server: &S3Server) -> StorageReport {
    OpenStorages::new().with_patience(Duration::from_secs(20)).check(&server.spec("backups")).await.unwrap()
}

fn failed(report: &StorageReport) -> Vec<&str> {
    report.rows.iter().filter(|r| r.failed()).map(|r| r.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_all_a_backup_needs_and_leaves_nothing() {
    let server = S3Server::start().await;
    let report = looked_at(&server).await;
    assert_eq!(failed(&report), Vec::<&str>::new(), "{report:#?}");
    let good: Vec<_> = report.rows.iter().filter(|r| r.ok).map(|r| r.name.as_str()).collect();
    for name in
        ["reach", "clock", "write", "read", "ranged_read", "list_after_write", "conditional_put", "checksums", "multipart", "delete"]
    {
        assert!(good.contains(&name), "{name}: {report:#?}");
    }
    // What this server does not know is never shown as good.
    for name in ["versioning", "object_lock", "space"] {
        assert!(report.rows.iter().any(|r| r.name == name && !r.ok && r.optional), "{name}: {report:#?}");
    }
    assert_eq!(server.left(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_wrong() {
    let server = S3Server::start().await;
    let with = |method: &'static str, part: &'static str, fault: Fault| {
        server.script(move |s| if s.is(method, part) { fault.clone() } else { Fault::None });
    };
    server.script(|s| if s.is("GET", "probe") && !s.what.contains('?') { Fault::WrongByte } else { Fault::None });
    assert_eq!(failed(&looked_at(&server).await), ["read", "ranged_read"]);
    with("PUT", "probe", Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>"));
    assert_eq!(failed(&looked_at(&server).await), ["write"]);
    with("GET", "list-type=2", Fault::Answer(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"));
    assert_eq!(failed(&looked_at(&server).await), ["list_after_write"]);
    with(
        "GET",
        "lifecycle",
        Fault::Answer(
            200,
            "<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter/><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>",
        ),
    );
    let report = looked_at(&server).await;
    assert_eq!(failed(&report), ["lifecycle"]);
    assert!(report.rows.iter().any(|r| r.name == "lifecycle" && r.detail.contains("\"old\"")));
    // An append-only storage is a choice, not a fault.
    with("DELETE", "probe", Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>"));
    let report = looked_at(&server).await;
    assert!(report.rows.iter().any(|r| r.name == "delete" && r.optional && r.detail.contains("append-only")), "{report:#?}");
    with("GET", "versioning", Fault::Answer(200, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"));
    assert!(looked_at(&server).await.rows.iter().any(|r| r.name == "versioning" && r.ok));
}
