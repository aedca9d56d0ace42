//! Repositories on another machine over SFTP, against a real OpenSSH server.

mod common;

use common::{sftp::SftpServer, *};
use mainstay_drivers::{engine::Chunking, storage::*};
use mainstay_model::Kind;
use mainstay_storages::OpenStorages;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::Arc,
    time::{Duration, Instant},
};

const PAGES: Chunking = Chunking::Fixed(64 << 10);

fn repository(server: &SftpServer, r: &RepositoryRef) -> std::path::PathBuf {
    server.path().join(r.project.as_str()).join(r.cluster.as_str())
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the test is about what the real restic makes of our repository")]
async fn restic_reads_what_lies_there() {
    let Some(server) = SftpServer::start() else { return };
    let reference = server.reference(PAGES);
    let storages = OpenStorages::new();
    let storage = storages.open(&reference, true).await.unwrap();
    let (mut steps, mut files) = sample();
    files.insert("zz-large".into(), noise(12, 20 << 20));
    steps.push(file("zz-large", files["zz-large"].clone()));
    let stored = storage.put(&label(), list(steps), &quiet()).await.unwrap();
    let sink = Collect::default();
    storage.get(&stored.snapshot, Arc::new(sink.clone()), &quiet()).await.unwrap();
    assert!(sink.0.lock().unwrap().files == files, "what came back is not what was stored");
    assert_eq!(storages.discover(&reference.storage).await.unwrap(), [(reference.project.clone(), reference.cluster.clone(), 1)]);
    let commands = storage.manual_commands(&stored.snapshot, "key", "out").join("\n");
    assert!(commands.contains("sftp://") && !commands.contains("PRIVATE KEY"), "{commands}");

    let at = repository(&server, &reference);
    assert_eq!(at.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(at.join("tmp")).unwrap().count(), 0, "nothing half-written is left");
    let key = server.dir.path().join("key");
    fs::write(&key, RECOVERY).unwrap();
    // The printed way in, with the key of this server and a host nobody has to say yes to.
    let printed = commands.lines().next().and_then(|l| l.split("sftp.command='").nth(1)?.split('\'').next()).unwrap();
    let own = format!("-i {} -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no", server.dir.path().join("user").display());
    let ssh = printed.replace("-i SSH_KEY_FILE", &own);
    let location = commands.split_whitespace().find(|w| w.starts_with("sftp://")).unwrap();
    let mut run = std::process::Command::new("restic");
    run.args(["-r", location, "-o", &format!("sftp.command={ssh}"), "--no-cache", "check", "--read-data", "--password-file"]).arg(&key);
    let Ok(check) = tokio::task::spawn_blocking(move || run.output()).await.unwrap() else {
        return mainstay_testkit::skipped("the look by restic: it is not installed");
    };
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_not_spoken_to() {
    let Some(server) = SftpServer::start() else { return };
    let storages = OpenStorages::new().with_patience(Duration::from_secs(10));
    let mut other = server.reference(PAGES);
    let Place::Sftp(place) = &mut other.storage.place else { unreachable!() };
    let real = place.host_key.clone();
    place.host_key = fs::read_to_string(server.dir.path().join("other.pub")).unwrap().trim().into();
    let error = storages.open(&other, true).await.err().unwrap();
    assert_eq!(error.code, "host_key_changed", "{error:?}");
    assert_eq!(error.message.matches("SHA256:").count(), 2, "both fingerprints: {error}");
    let Place::Sftp(place) = &mut other.storage.place else { unreachable!() };
    place.host_key = real;
    other.storage.secret = Some(server.key("other"));
    let error = storages.open(&other, true).await.err().unwrap();
    assert!(error.kind == Kind::Forbidden && error.message.contains("authorized_keys"), "{error:?}");
    other.storage.secret = Some(mainstay_model::Secret::new("nonsense"));
    assert_eq!(storages.open(&other, true).await.err().unwrap().field.as_deref(), Some("ssh_key"));
    let Place::Sftp(place) = &mut other.storage.place else { unreachable!() };
    place.host = "169.254.169.254".into();
    other.storage.secret = Some(server.key("user"));
    assert_eq!(storages.open(&other, true).await.err().unwrap().code, "address_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_made_again_and_a_dead_server_given_up() {
    let Some(mut server) = SftpServer::start() else { return };
    let storages = OpenStorages::new().with_patience(Duration::from_secs(20));
    let reference = server.reference(PAGES);
    let storage = storages.open(&reference, true).await.unwrap();
    let stored = storage.put(&label(), list([file("a", noise(4, 900_000))]), &quiet()).await.unwrap();
    server.stop();
    assert!(server.listen());
    storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    server.stop();
    let start = Instant::now();
    let error = storage.put(&label(), list([file("b", noise(5, 1000))]), &quiet()).await.unwrap_err();
    assert!(error.is_transient() && error.message.contains("storage far"), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(120), "{:?}", start.elapsed());
    assert!(server.listen());
    assert_eq!(storage.list().await.unwrap().len(), 1);
    storage.put(&label(), list([file("b", noise(5, 1000))]), &quiet()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_named() {
    let Some(server) = SftpServer::start() else { return };
    let reference = server.reference(PAGES);
    let storage = OpenStorages::new().open(&reference, true).await.unwrap();
    let stored = storage.put(&label(), list([file("a", noise(6, 500_000))]), &quiet()).await.unwrap();
    let data = repository(&server, &reference).join("data");
    let packs = fs::read_dir(data).unwrap().flatten().flat_map(|d| fs::read_dir(d.path()).unwrap().flatten());
    let pack = packs.map(|e| e.path()).max_by_key(|p| p.metadata().unwrap().len()).unwrap();
    let whole = fs::read(&pack).unwrap();
    let mut changed = whole.clone();
    changed[1000] ^= 1;
    for bytes in [&changed[..], &whole[..whole.len() / 2]] {
        fs::write(&pack, bytes).unwrap();
        let error = storage.get(&stored.snapshot, Arc::new(Collect::default()), &quiet()).await.unwrap_err();
        assert_eq!(error.kind, Kind::Integrity, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tries_all_a_backup_needs_and_leaves_nothing() {
    let Some(mut server) = SftpServer::start() else { return };
    let storages = OpenStorages::new().with_patience(Duration::from_secs(12));
    let report = storages.check(&server.spec()).await.unwrap();
    let failed: Vec<_> = report.rows.iter().filter(|r| r.failed()).collect();
    // The machine's disk may well be full.
    assert!(failed.iter().all(|r| r.name == "space"), "{report:#?}");
    for name in ["reach", "directory", "write", "read", "ranged_read", "list_after_write", "conditional_put", "delete", "sync"] {
        assert!(report.rows.iter().any(|r| r.name == name && r.ok), "{name}: {report:#?}");
    }
    assert!(report.free_bytes.is_some());
    assert_eq!(fs::read_dir(server.path()).unwrap().count(), 0);
    server.stop();
    let report = storages.check(&server.spec()).await.unwrap();
    assert_eq!(report.rows.iter().filter(|r| r.failed()).map(|r| r.name.as_str()).collect::<Vec<_>>(), ["reach"]);
}
