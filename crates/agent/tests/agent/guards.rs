//! What the agent refuses: orders of the past, directories that are not the node's, names that are
//! paths.

use crate::{host::Host, life::pair};
use mainstay_drivers::engine::NodePlan;
use mainstay_model::{ClusterId, Error, Kind, NodeId};
use mainstay_rpc::verbs::*;
use std::{os::unix::fs::MetadataExt, os::unix::fs::PermissionsExt, path::PathBuf};

fn root(host: &Host, plan: &NodePlan) -> PathBuf {
    host.world.data_dir().join("nodes").join(plan.id.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_the_past_is_refused_also_after_a_crash() {
    let mut host = Host::new().await;
    let (one, two) = pair(&host, "memo").await;
    host.does_at(5, StartNode { plan: one.clone() }).await.unwrap();
    for restart in [false, true] {
        if restart {
            host.kill().await;
            host.open().await.unwrap();
        }
        let before = host.world.snapshot();
        let stale = |e: Error| assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "stale_generation"));
        stale(host.does_at(4, StopNode { node: one.id.clone() }).await.unwrap_err());
        stale(host.does_at(4, RemoveNode { node: one.id.clone() }).await.unwrap_err());
        stale(host.does_at(0, Promote { plan: one.clone(), replicas: vec![] }).await.unwrap_err());
        stale(host.does_at(4, DropBeside { node: one.id.clone(), label: "x".into() }).await.unwrap_err());
        stale(host.does_at(4, Follow { plan: one.clone(), upstream: host.world.upstream(&two) }).await.unwrap_err());
        assert_eq!(host.world.snapshot(), before);
        assert_eq!(host.does_at(0, Probe { plans: vec![one.clone()] }).await.unwrap().len(), 1);
    }
    host.does_at(5, StopNode { node: one.id.clone() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_is_refused() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    let other = NodePlan { cluster: ClusterId::new(), ..one.clone() };
    assert_eq!(host.fails(StartNode { plan: other }).await.code, "other_cluster");
    let e = host.fails(StartNode { plan: NodePlan { id: NodeId::new(), ..one } }).await;
    assert_eq!(e.kind, Kind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_the_nodes_is_never_started_nor_removed() {
    let host = Host::new().await;
    let (one, two) = pair(&host, "ledger").await;
    for node in [&one, &two] {
        host.does(StopNode { node: node.id.clone() }).await.unwrap();
    }
    let identity = |plan: &NodePlan| root(&host, plan).join("identity.json");
    let own = std::fs::read(identity(&one)).unwrap();

    std::fs::copy(identity(&two), identity(&one)).unwrap();
    let e = host.fails(StartNode { plan: one.clone() }).await;
    assert_eq!((e.kind, e.code.as_str()), (Kind::Integrity, "foreign_directory"));
    assert!(e.message.contains(two.id.as_str()), "{e}");
    assert_eq!(host.fails(RemoveNode { node: one.id.clone() }).await.code, "foreign_directory");
    let swap = SwapData { plan: one.clone(), label: String::new(), aside: "old".into() };
    assert_eq!(host.fails(swap).await.code, "foreign_directory");

    std::fs::remove_file(identity(&one)).unwrap();
    for e in [host.fails(StartNode { plan: one.clone() }).await, host.fails(BootstrapNode { plan: one.clone() }).await] {
        assert_eq!(e.code, "foreign_directory");
    }
    assert!(root(&host, &one).join("data/db.json").exists());

    std::fs::write(identity(&one), own).unwrap();
    host.does(StartNode { plan: one.clone() }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_gone_is_never_made_anew() {
    let host = Host::new().await;
    let (one, two) = pair(&host, "memo").await;
    let gone = |e: Error| assert_eq!((e.kind, e.code.as_str()), (Kind::Integrity, "data_missing"));
    for plan in [&one, &two] {
        host.does(StopNode { node: plan.id.clone() }).await.unwrap();
        let (data, kept) = (root(&host, plan).join("data"), root(&host, plan).join("kept"));
        std::fs::rename(&data, &kept).unwrap();
        for empty in [false, true] {
            if empty {
                // An unmounted volume, or one with a fresh file system on it.
                std::fs::create_dir_all(data.join("lost+found")).unwrap();
            }
            gone(host.fails(StartNode { plan: plan.clone() }).await);
            gone(host.fails(BootstrapNode { plan: plan.clone() }).await);
            gone(host.fails(JoinNode { plan: plan.clone(), upstream: host.world.upstream(&one) }).await);
            gone(host.fails(ResumeWrites { plan: plan.clone() }).await);
        }
        assert!(!data.join("db.json").exists());
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(&kept, &data).unwrap();
        host.does(StartNode { plan: plan.clone() }).await.unwrap();
    }
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    std::fs::rename(root(&host, &one), host.world.scratch().join("elsewhere")).unwrap();
    assert_eq!(host.fails(StartNode { plan: one.clone() }).await.code, "foreign_directory");
    assert_eq!(host.fails(BootstrapNode { plan: one.clone() }).await.code, "foreign_directory");
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_records_are_made_again_from_the_identity_of_the_directory() {
    let mut host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    host.kill().await;
    let record = host.world.data_dir().join(format!("agent/nodes/{}.json", one.id));
    std::fs::write(&record, "{").unwrap();
    host.open().await.unwrap();
    let e = host.fails(StartNode { plan: one.clone() }).await;
    assert_eq!(e.kind, Kind::Integrity, "{e}");
    host.kill().await;
    std::fs::remove_file(record).unwrap();
    host.open().await.unwrap();
    host.does(StartNode { plan: one.clone() }).await.unwrap();
    assert_eq!(host.world.memo.read(&one.id).unwrap(), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_names_and_never_paths() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    let before = host.world.snapshot();
    let long = "x".repeat(82);
    for bad in ["../x", "..", ".", "/etc", "a/b", "data", "run", "log", "identity.json", ".hidden", "A", "a\0b", "a b", "-x", &long] {
        let repository = host.world.repository(&host.cluster);
        let restore = RestoreBeside { plan: one.clone(), repository, snapshot: "s".into(), label: bad.into(), drill: None, replay: None };
        for e in [
            host.fails(restore).await,
            host.fails(SwapData { plan: one.clone(), label: bad.into(), aside: "old".into() }).await,
            host.fails(SwapData { plan: one.clone(), label: String::new(), aside: bad.into() }).await,
            host.fails(SwapBack { plan: one.clone(), label: "new".into(), aside: bad.into() }).await,
            host.fails(DropBeside { node: one.id.clone(), label: bad.into() }).await,
        ] {
            assert_eq!((e.kind, e.code.as_str()), (Kind::Invalid, "invalid_label"), "{bad:?}: {e}");
        }
    }
    let same = SwapData { plan: one.clone(), label: "x".into(), aside: "x".into() };
    assert_eq!(host.fails(same).await.kind, Kind::Invalid);
    assert_eq!(host.world.snapshot(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_the_place_of_a_directory_is_not_followed() {
    let host = Host::new().await;
    let (one, _) = pair(&host, "memo").await;
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    let outside = host.world.scratch().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("precious"), "x").unwrap();
    std::os::unix::fs::symlink(&outside, root(&host, &one).join("new")).unwrap();
    let e = host.fails(SwapData { plan: one.clone(), label: "new".into(), aside: "old".into() }).await;
    assert_eq!(e.kind, Kind::Integrity, "{e}");
    // Dropping removes the link, and the link only.
    host.does(DropBeside { node: one.id.clone(), label: "new".into() }).await.unwrap();
    assert!(!root(&host, &one).join("new").exists() && outside.join("precious").exists());
    let data = root(&host, &one).join("data");
    std::fs::rename(&data, root(&host, &one).join("kept")).unwrap();
    std::os::unix::fs::symlink(&outside, &data).unwrap();
    assert_eq!(host.fails(StartNode { plan: one.clone() }).await.kind, Kind::Integrity);
    host.does(RemoveNode { node: one.id.clone() }).await.unwrap();
    assert!(outside.join("precious").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_says_why_and_no_secret_leaves() {
    let host = Host::new().await;
    let (one, two) = pair(&host, "memo").await;
    let squatter = NodePlan { port: one.port, address: one.address, ..host.world.plan("memo", &host.cluster, 3) };
    let e = host.fails(BootstrapNode { plan: squatter.clone() }).await;
    assert_eq!(e.code, "start_failed");
    assert!(e.message.contains("fatal: address 127.99.0.1:7000 is in use"), "{e}");
    host.does(RemoveNode { node: squatter.id }).await.unwrap();
    let said = Error::failed("sql", "ALTER ROLE app PASSWORD 'users-password' \x1b[31mfailed").with_inside("admins-password");
    host.world.faults.fail("engine.accounts", 1, said);
    let e = host.fails(EnsureAccounts { plan: two }).await;
    assert_eq!(e.message, "ALTER ROLE app PASSWORD '•••' failed");
    assert_eq!(e.inside.as_deref(), Some("•••"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_belong_to_the_engines_user_and_shut_parents_are_named() {
    if !rustix::process::geteuid().is_root() {
        mainstay_testkit::skipped("owners of files: only root may give files away");
        return;
    }
    let mut host = Host::stopped();
    host.engine_user = Some("nobody".into());
    host.open().await.unwrap();
    let plan = host.world.plan("memo", &host.cluster, 1);
    let shut = host.world.scratch();
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o700)).unwrap();
    let e = host.fails(PrepareNode { plan: plan.clone() }).await;
    assert_eq!(e.code, "unreachable_directory");
    assert!(e.message.ends_with(&format!("run: chmod o+x {}", shut.display())), "{e}");
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o711)).unwrap();
    host.does(PrepareNode { plan: plan.clone() }).await.unwrap();
    let nobody = std::fs::read_to_string("/etc/passwd")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("nobody:"))
        .unwrap()
        .split(':')
        .nth(2)
        .unwrap()
        .to_string();
    for name in ["", "data", "run", "log"] {
        let found = root(&host, &plan).join(name).metadata().unwrap();
        assert_eq!((found.uid().to_string(), found.mode() & 0o7777), (nobody.clone(), 0o700), "{name}");
    }
    let record = host.world.data_dir().join(format!("agent/nodes/{}.json", plan.id)).metadata().unwrap();
    assert_eq!((record.uid(), record.mode() & 0o7777), (0, 0o600));
    assert_eq!(host.world.data_dir().join("nodes").metadata().unwrap().mode() & 0o7777, 0o711);
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_removals_are_finished_at_the_next_start() {
    let mut host = Host::new().await;
    host.kill().await;
    let remnant = host.world.data_dir().join("tmp/removed-0123");
    std::fs::create_dir_all(remnant.join("deep")).unwrap();
    std::fs::create_dir_all(host.world.data_dir().join("tmp/upload")).unwrap();
    host.open().await.unwrap();
    for _ in 0..500 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        if !remnant.exists() {
            assert!(host.world.data_dir().join("tmp/upload").exists(), "what is not the agent's is left alone");
            return;
        }
    }
    panic!("{} is still there", remnant.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_node_is_started_by_nothing_until_its_data_was_replaced() {
    let mut host = Host::new().await;
    let (one, two) = pair(&host, "ledger").await;
    host.does(FenceNode { node: one.id.clone() }).await.unwrap();
    host.does(Promote { plan: two.clone(), replicas: vec![] }).await.unwrap();
    let upstream = host.world.upstream(&two);
    for restart in [false, true] {
        if restart {
            host.kill().await;
            host.open().await.unwrap();
        }
        for e in [
            host.fails(StartNode { plan: one.clone() }).await,
            host.fails(ResumeWrites { plan: one.clone() }).await,
            host.fails(Follow { plan: one.clone(), upstream: upstream.clone() }).await,
            host.fails(JoinNode { plan: one.clone(), upstream: upstream.clone() }).await,
            host.fails(BootstrapNode { plan: one.clone() }).await,
        ] {
            assert_eq!((e.kind, e.code.as_str()), (Kind::Conflict, "fenced"), "{e}");
        }
    }
    // A new copy that is given up brings back the old data, which stays fenced.
    let aside = SwapData { plan: one.clone(), label: String::new(), aside: "old".into() };
    let back = SwapBack { plan: one.clone(), label: String::new(), aside: "old".into() };
    for _ in 0..2 {
        host.does(aside.clone()).await.unwrap();
        host.does(JoinNode { plan: one.clone(), upstream: upstream.clone() }).await.unwrap();
        host.does(StopNode { node: one.id.clone() }).await.unwrap();
        host.does(back.clone()).await.unwrap();
        assert_eq!(host.fails(StartNode { plan: one.clone() }).await.code, "fenced");
    }
    host.does(aside).await.unwrap();
    host.does(JoinNode { plan: one.clone(), upstream }).await.unwrap();
    host.does(DropBeside { node: one.id.clone(), label: "old".into() }).await.unwrap();
    host.does(StopNode { node: one.id.clone() }).await.unwrap();
    host.does(StartNode { plan: one.clone() }).await.unwrap();
    // And a fence that is taken back starts nothing, and lets it start.
    host.does(FenceNode { node: two.id.clone() }).await.unwrap();
    host.does(ReleaseFence { node: two.id.clone() }).await.unwrap();
    host.does(StartNode { plan: two }).await.unwrap();
}
