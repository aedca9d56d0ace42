//! Backups, restores beside the live data, swaps and downloads.

use crate::{host::Host, life::pair};
use futures::StreamExt;
use mainstay_drivers::{
    engine::NodePlan,
    storage::{CONTROL_PLANE, Depth, SnapshotEntry, SnapshotEntryKind, SnapshotLabel, Stored},
};
use mainstay_model::{Error, Kind, Time};
use mainstay_rpc::verbs::*;
use std::{collections::BTreeMap, io::Read, path::Path};

pub async fn backed_up(host: &Host, plan: &NodePlan) -> Stored {
    let repositories = vec![host.world.repository(&plan.cluster)];
    let capture = Capture {
        plan: plan.clone(),
        repositories,
        label: host.world.label(&plan.cluster),
        party: None,
        base: None,
        giving_way: None,
        expected: vec![],
    };
    stored(host.does(capture).await.unwrap()).unwrap()
}

/// The result of the only copy.
pub fn stored(mut results: Vec<Result<Stored, Error>>) -> Result<Stored, Error> {
    results.pop().expect("one for each repository")
}

pub fn beside(host: &Host, plan: &NodePlan, stored: &Stored) -> RestoreBeside {
    let repository = host.world.repository(&host.cluster);
    RestoreBeside { plan: plan.clone(), repository, snapshot: stored.snapshot.clone(), label: "new".into(), drill: None, replay: None }
}

fn swap(plan: &NodePlan) -> SwapData {
    SwapData { plan: plan.clone(), label: "new".into(), aside: "old".into() }
}

fn swap_back(plan: &NodePlan) -> SwapBack {
    SwapBack { plan: plan.clone(), label: "new".into(), aside: "old".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_in_place_and_its_undo() {
    for name in ["memo", "ledger"] {
        let host = Host::new().await;
        let (one, _) = pair(&host, name).await;
        let stored = backed_up(&host, &one).await;
        let engine = host.world.engine(name);
        engine.write(&one.id, "mistake").unwrap();

        let first = host.does(beside(&host, &one, &stored)).await.unwrap();
        assert!(first.checks.iter().all(|c| c.ok) && first.checks.len() == 2);
        assert_eq!(engine.read(&one.id).unwrap(), ["a", "b", "mistake"], "the live data goes on");
        assert!(host.isolated().is_empty());
        let fetched = host.world.faults.visits("storage.get");
        assert_eq!(host.does(beside(&host, &one, &stored)).await.unwrap(), first, "a lost reply is given again");
        assert_eq!(host.world.faults.visits("storage.get"), fetched);

        assert_eq!(host.fails(swap(&one)).await.code, "node_running");
        host.does(StopNode { node: one.id.clone() }).await.unwrap();
        for _ in 0..2 {
            host.does(swap(&one)).await.unwrap();
        }
        host.does(StartNode { plan: one.clone() }).await.unwrap();
        assert_eq!(engine.read(&one.id).unwrap(), ["a", "b"]);
        assert!(engine.log_in(&one.id, "app", "users-password").unwrap());

        host.does(StopNode { node: one.id.clone() }).await.unwrap();
        for _ in 0..2 {
            host.does(swap_back(&one)).await.unwrap();
        }
        host.does(StartNode { plan: one.clone() }).await.unwrap();
        assert_eq!(engine.read(&one.id).unwrap(), ["a", "b", "mistake"]);
        let e = host.fails(beside(&host, &one, &stored)).await;
        assert_eq!(e.code, "directory_exists", "what was put aside is not taken for a half-made restore");
        for _ in 0..2 {
            host.does(DropBeside { node: one.id.clone(), label: "new".into() }).await.unwrap();
        }
        host.does(beside(&host, &one, &stored)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_to_a_new_node() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "ledger").await;
    let stored = backed_up(&host, &one).await;
    let new = NodePlan { cluster: mainstay_model::ClusterId::new(), ..host.world.plan("ledger", &host.cluster, 9) };
    host.does(PrepareNode { plan: new.clone() }).await.unwrap();
    assert_eq!(host.fails(StartNode { plan: new.clone() }).await.code, "not_initialised");
    host.does(beside(&host, &new, &stored)).await.unwrap();
    host.does(swap(&new)).await.unwrap();
    host.does(StartNode { plan: new.clone() }).await.unwrap();
    assert_eq!(host.world.ledger.read(&new.id).unwrap(), ["a", "b"]);
    host.does(StopNode { node: new.id.clone() }).await.unwrap();
    host.does(swap_back(&new)).await.unwrap();
    assert_eq!(host.fails(StartNode { plan: new.clone() }).await.code, "not_initialised");
    host.does(RemoveNode { node: new.id.clone() }).await.unwrap();
}

/// A crash may leave a swap at any of its renames; whichever verb comes then finishes its own way.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_was_interrupted_goes_either_way() {
    for renames in 0..=2 {
        for back in [false, true] {
            let mut host = Host::new().await;
            let (one, _) = pair(&host, "memo").await;
            let stored = backed_up(&host, &one).await;
            host.world.memo.write(&one.id, "later").unwrap();
            host.does(beside(&host, &one, &stored)).await.unwrap();
            host.does(StopNode { node: one.id.clone() }).await.unwrap();
            host.kill().await;
            let root = host.world.data_dir().join("nodes").join(one.id.as_str());
            for (from, to) in [("data", "old"), ("new", "data")].iter().take(renames) {
                std::fs::rename(root.join(from), root.join(to)).unwrap();
            }
            host.open().await.unwrap();
            if back {
                host.does(swap_back(&one)).await.unwrap();
                host.does(DropBeside { node: one.id.clone(), label: "new".into() }).await.unwrap();
            } else {
                host.does(swap(&one)).await.unwrap();
            }
            host.does(StartNode { plan: one.clone() }).await.unwrap();
            let wanted: &[&str] = if back { &["a", "b", "later"] } else { &["a", "b"] };
            assert_eq!(host.world.memo.read(&one.id).unwrap(), wanted, "{renames} renames, back {back}");
            assert_eq!(root.join("old").exists(), !back);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_put_aside_for_a_new_copy_and_taken_back() {
    let host = Host::new().await;
    let (one, two) = pair(&host, "memo").await;
    let (aside, back) = (
        SwapData { plan: two.clone(), label: String::new(), aside: "old".into() },
        SwapBack { plan: two.clone(), label: String::new(), aside: "old".into() },
    );
    host.does(StopNode { node: two.id.clone() }).await.unwrap();
    for _ in 0..2 {
        host.does(aside.clone()).await.unwrap();
    }
    assert_eq!(host.fails(StartNode { plan: two.clone() }).await.code, "not_initialised");
    for _ in 0..2 {
        host.does(back.clone()).await.unwrap();
    }
    host.does(StartNode { plan: two.clone() }).await.unwrap();

    host.does(StopNode { node: two.id.clone() }).await.unwrap();
    host.does(aside).await.unwrap();
    host.does(JoinNode { plan: two.clone(), upstream: host.world.upstream(&one) }).await.unwrap();
    assert_eq!(host.world.memo.read(&two.id).unwrap(), ["a", "b"]);
    host.does(StopNode { node: two.id.clone() }).await.unwrap();
    host.does(back).await.unwrap();
    host.does(StartNode { plan: two.clone() }).await.unwrap();
    assert_eq!(host.world.memo.read(&two.id).unwrap(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_data_is_restored_too() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    let stored = backed_up(&host, &one).await;
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    std::fs::remove_dir_all(host.world.data_dir().join(format!("nodes/{}/data", one.id))).unwrap();
    host.does(beside(&host, &one, &stored)).await.unwrap();
    host.does(swap(&one)).await.unwrap();
    host.does(StartNode { plan: one.clone() }).await.unwrap();
    assert_eq!(host.world.memo.read(&one.id).unwrap(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_leaves_nothing_and_touches_nothing() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "ledger").await;
    let stored = backed_up(&host, &one).await;
    let before = host.world.snapshot();
    let faults = &host.world.faults;

    faults.switch("engine.check_finds_loss", true);
    let e = host.fails(beside(&host, &one, &stored)).await;
    assert_eq!(e.kind, Kind::Integrity);
    assert!(e.message.contains("row_counts"), "{e}");
    assert_eq!(host.world.snapshot(), before);
    faults.clear();

    host.world.runtime.set_disk_free(10);
    let e = host.fails(beside(&host, &one, &stored)).await;
    assert_eq!(e.kind, Kind::NoSpace);
    assert!(e.message.contains("(10 bytes) free"), "{e}");
    assert_eq!(host.world.snapshot(), before);
    host.world.runtime.set_disk_free(1 << 40);

    for point in ["storage.get", "engine.prepare", "runtime.put_files", "runtime.ensure", "engine.check", "runtime.stop", "engine.settle"] {
        let nth = usize::from(point == "runtime.stop");
        // The first stop makes sure that nothing is left over; the next ends what was started.
        if nth == 0 {
            faults.fail(point, 1, mainstay_model::Error::failed("fault", "a fault"));
            host.fails(beside(&host, &one, &stored)).await;
            assert_eq!(host.world.snapshot(), before, "{point}");
        }
    }
    let mut wrong = beside(&host, &one, &stored);
    wrong.plan = NodePlan { engine: "memo".into(), ..host.world.plan("memo", &host.cluster, 7) };
    host.does(PrepareNode { plan: wrong.plan.clone() }).await.unwrap();
    assert_eq!(host.fails(wrong.clone()).await.code, "other_engine");
    host.does(RemoveNode { node: wrong.plan.id }).await.unwrap();

    host.world.storages.damage(&stored.snapshot);
    assert_eq!(host.fails(beside(&host, &one, &stored)).await.kind, Kind::Integrity);
    assert_eq!(host.world.snapshot(), before);
    let verify = VerifySnapshot { repository: host.world.repository(&host.cluster), snapshot: stored.snapshot, depth: Depth::Data };
    assert_eq!(host.fails(verify).await.kind, Kind::Integrity);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smuggled_entry_is_refused_by_name() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "ledger").await;
    let stored = backed_up(&host, &one).await;
    let before = host.world.snapshot();
    let kind = SnapshotEntryKind::File { size: 4 };
    let entry = SnapshotEntry { path: "data/../../../evil".into(), mode: 0o6777, mtime: Time::default(), kind };
    host.world.storages.smuggle(&stored.snapshot, entry, b"evil");
    let e = host.fails(beside(&host, &one, &stored)).await;
    assert_eq!((e.kind, e.code.as_str()), (Kind::Invalid, "unsafe_archive"));
    assert!(e.message.contains("evil"), "{e}");
    assert_eq!(host.world.snapshot(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_instance_does_not_outlive_its_agent() {
    let mut host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    let stored = backed_up(&host, &one).await;
    host.world.faults.hold("engine.check");
    let (client, verb) = (host.client(), beside(&host, &one, &stored));
    tokio::spawn(async move { client.perform("op", 1, &verb, |_| {}).await.map(drop) });
    host.world.faults.reached("engine.check").await;
    assert_eq!(host.isolated().len(), 1);
    let isolated = host
        .world
        .runtime
        .processes()
        .into_values()
        .find(|p| p.argument("--isolated").is_some() || p.spec.args.contains(&"--isolated".into()))
        .unwrap();
    assert!(isolated.argument("--listen").is_none() && isolated.spec.restarts == 0);
    host.kill().await;
    assert_eq!(host.isolated().len(), 1);
    host.world.faults.clear();
    host.open().await.unwrap();
    assert!(host.isolated().is_empty());
    assert!(host.runs(&one.id));
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    assert_eq!(host.fails(swap(&one)).await.code, "restore_unfinished");
    host.does(beside(&host, &one, &stored)).await.unwrap();
    host.does(swap(&one)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_once_and_a_failed_one_is_invisible() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "ledger").await;
    let repository = host.world.repository(&host.cluster);
    let capture = Capture {
        plan: one.clone(),
        repositories: vec![repository.clone()],
        label: host.world.label(&host.cluster),
        party: None,
        base: None,
        giving_way: None,
        expected: vec![],
    };
    host.world.faults.switch("source.fails", true);
    stored(host.does(capture.clone()).await.unwrap()).unwrap_err();
    host.world.faults.switch("source.fails", false);
    assert!(host.client().look(&ListSnapshots { repository: repository.clone() }).await.unwrap().is_empty());

    host.world.faults.lose_reply("storage.publish");
    stored(host.does(capture.clone()).await.unwrap()).unwrap_err();
    // The engine may be gone by the time its reply is asked for again.
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    let captures = host.world.faults.visits("engine.capture");
    let stored = stored(host.does(capture.clone()).await.unwrap()).unwrap();
    assert_eq!(host.world.faults.visits("engine.capture"), captures);
    assert_eq!(stored.facts.exact["rows"], 2);
    let fresh = Capture { label: host.world.label(&host.cluster), ..capture };
    assert_eq!(host.fails(fresh).await.code, "node_not_running");

    let usage = host.client().look(&RepositoryUsage { repository: repository.clone() }).await.unwrap();
    assert_eq!(usage.snapshots, 1);
    let facts = host.client().look(&SnapshotFacts { repository: repository.clone(), snapshot: stored.snapshot.clone() }).await.unwrap();
    assert_eq!(facts, stored.facts);
    let commands = ManualCommands {
        engine: "ledger".into(),
        version: "3.1".into(),
        repository: repository.clone(),
        snapshot: stored.snapshot.clone(),
    };
    let lines = host.client().look(&commands).await.unwrap();
    assert!(lines.len() == 2 && lines.iter().all(|l| !l.contains("repository-key")), "{lines:?}");
    let delete = DeleteSnapshots { repository: repository.clone(), snapshots: vec![stored.snapshot], prune: true };
    host.does(delete).await.unwrap();
    host.does(RemoveRepository { repository: repository.clone() }).await.unwrap();
    assert_eq!(host.client().look(&ListSnapshots { repository }).await.unwrap_err().kind, Kind::NotFound);
}

async fn download(host: &Host, engine: &str, snapshot: &str) -> mainstay_model::Result<Vec<u8>> {
    let verb = DownloadSnapshot { engine: engine.into(), repository: host.world.repository(&host.cluster), snapshot: snapshot.into() };
    let mut chunks = host.client().chunks(&verb).await?;
    let mut all = vec![];
    while let Some(chunk) = chunks.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

fn unpacked(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(zstd::Decoder::new(bytes).unwrap());
    let content = |e: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = e.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = vec![];
        entry.read_to_end(&mut bytes).unwrap();
        (path, bytes)
    };
    archive.entries().unwrap().map(content).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_is_downloaded_as_a_tar_and_a_dump_as_it_is() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "ledger").await;
    for n in 0..20_000 {
        if n % 4_000 == 0 {
            host.world.ledger.write(&one.id, &format!("{n}{}", "x".repeat(200_000))).unwrap();
        }
    }
    let stored = backed_up(&host, &one).await;
    let long = format!("data/{}/{}", "d".repeat(120), "f".repeat(140));
    let add = |path: &str, kind, bytes: &[u8]| {
        host.world.storages.smuggle(&stored.snapshot, SnapshotEntry { path: path.into(), mode: 0o644, mtime: Time::default(), kind }, bytes)
    };
    add(&long, SnapshotEntryKind::File { size: 3 }, b"abc");
    add("data/link", SnapshotEntryKind::Symlink { target: "log".into() }, b"");
    add("data/empty", SnapshotEntryKind::File { size: 0 }, b"");
    let files = unpacked(&download(&host, "ledger", &stored.snapshot).await.unwrap());
    let live = host.world.data_dir().join(format!("nodes/{}/data", one.id));
    assert_eq!(files["log"], std::fs::read(live.join("log")).unwrap());
    assert_eq!(files["mark"], b"7");
    assert_eq!(files[long.strip_prefix("data/").unwrap()], b"abc");
    assert!(files.contains_key("db.json") && files.contains_key("link") && files.contains_key("empty") && !files.contains_key("data"));

    host.world.storages.damage(&stored.snapshot);
    assert_eq!(download(&host, "ledger", &stored.snapshot).await.unwrap_err().kind, Kind::Integrity);

    let memo = host.world.plan("memo", &host.cluster, 5);
    host.does(BootstrapNode { plan: memo.clone() }).await.unwrap();
    host.world.memo.write(&memo.id, "x").unwrap();
    let stored = backed_up(&host, &memo).await;
    assert_eq!(download(&host, "memo", &stored.snapshot).await.unwrap(), b"x\n");
    assert_eq!(download(&host, "memo", "nothing").await.unwrap_err().kind, Kind::NotFound);
    assert!(Path::new(&live).exists());
}

/// The copy that was just stored counts, whatever becomes of the older ones.
#[tokio::test(flavor = "multi_thread")]
async fn the_control_planes_copies_go_on_where_nobody_may_delete() {
    let host = Host::new().await;
    let repository = host.world.repository(&host.cluster);
    std::fs::write(host.world.data_dir().join("agent/installation.json"), "{}").unwrap();
    let copy = async |keep| {
        let label = SnapshotLabel { kind: CONTROL_PLANE.into(), ..host.world.label(&host.cluster) };
        let dir = host.world.data_dir().join("control-plane").join(label.backup.as_str());
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["key", "mainstay.db"] {
            std::fs::write(dir.join(name), name).unwrap();
        }
        host.does(StoreControlPlane { repository: repository.clone(), label, keep }).await
    };
    let held = async || host.client().look(&ListSnapshots { repository: repository.clone() }).await.unwrap().len();
    copy(1).await.unwrap();
    let append_only = format!("storage.append_only.{}", repository.storage.name);
    host.world.faults.switch(&append_only, true);
    let stored = copy(1).await.unwrap();
    assert!(stored.stays.is_some_and(|why| why.contains("append-only")));
    assert_eq!(held().await, 2);
    host.world.faults.switch(&append_only, false);
    host.world.faults.fail("storage.delete", 1, Error::unavailable("away", "it does not answer"));
    assert!(copy(1).await.is_ok());
    assert_eq!((copy(1).await.unwrap().stays, held().await), (None, 1));
}

/// What is read from falls behind: reading stops until it has caught up, and ends where it does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_gives_way_to_the_replica_it_reads_from() {
    let host = Host::new().await;
    let (one, two) = pair(&host, "ledger").await;
    let way = GivingWay { primary: one.clone(), lag_bytes: 0, lag_seconds: 60.0, wait_seconds: 600 };
    let capture = Capture {
        plan: two.clone(),
        repositories: vec![host.world.repository(&host.cluster)],
        label: host.world.label(&host.cluster),
        party: None,
        base: None,
        giving_way: Some(way.clone()),
        expected: vec![],
    };
    host.world.faults.switch("engine.replication_stopped", true);
    host.world.ledger.write(&one.id, "c").unwrap();
    let given_up = Capture { giving_way: Some(GivingWay { wait_seconds: 0, ..way }), ..capture.clone() };
    let e = host.fails(given_up).await;
    assert!(e.code == "source_behind" && e.is_transient(), "{e:?}");

    let said = std::sync::Mutex::new(vec![]);
    let client = host.client();
    let made = client.perform("op", 1, &capture, |p| {
        said.lock().unwrap().push(p.sentence.clone());
        if p.sentence.starts_with("pauses: ") {
            host.world.faults.switch("engine.replication_stopped", false);
        }
    });
    let stored = stored(made.await.unwrap()).unwrap();
    assert!(said.lock().unwrap().iter().any(|s| s.starts_with("pauses: ")), "{said:?}");
    assert_eq!(stored.facts.exact["rows"], 2, "it was begun before");
}
