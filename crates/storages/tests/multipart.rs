//! kill -9 in the middle of a large upload: nothing of it is left once Mainstay runs again.
#![allow(clippy::disallowed_methods, reason = "the process that is killed is this test's own program")]

mod common;

use common::{moto::Moto, *};
use mainstay_drivers::storage::*;
use mainstay_model::limits::Limits;
use mainstay_storages::OpenStorages;
use reqwest::Method;
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Says to this program, started once more, what it is to upload, and where it notes that.
const TASK: &str = "MAINSTAY_TEST_UPLOAD";

fn storages(notes: &Path) -> OpenStorages {
    OpenStorages::new().with_parts(5 << 20).with_uploads(notes.into())
}

fn large() -> Box<dyn Source> {
    list([file("a", noise(41, 40 << 20))])
}

/// The process that is killed. It does nothing where it is run as a test.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_until_it_is_killed() {
    let Ok(task) = std::env::var(TASK) else { return };
    let (notes, reference): (PathBuf, RepositoryRef) = serde_json::from_str(&task).unwrap();
    let storage = storages(&notes).open(&reference, true).await.unwrap();
    storage.put(&label(), large(), &quiet()).await.unwrap();
}

fn start(notes: &Path, reference: &RepositoryRef) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["uploads_until_it_is_killed", "--exact", "--nocapture"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    child.env(TASK, serde_json::to_string(&(notes, reference)).unwrap()).spawn().unwrap()
}

/// Keys and ids of the uploads that were begun and have not ended.
async fn unfinished(server: &Moto) -> Vec<(String, String)> {
    let said = server.ask(Method::GET, "parts?uploads", None).await.text().await.unwrap();
    let inside = |text: &str, tag: &str| text.split_once(&format!("<{tag}>")).unwrap().1.split_once('<').unwrap().0.to_owned();
    said.split("<Upload>").skip(1).map(|u| (inside(u, "Key"), inside(u, "UploadId"))).collect()
}

/// Until a part of an upload lies there and the upload has not ended.
async fn in_the_middle(server: &Moto, child: &mut Child) {
    for _ in 0..3000 {
        assert!(child.try_wait().unwrap().is_none(), "it came to its end");
        for (key, id) in unfinished(server).await {
            let parts = server.ask(Method::GET, &format!("parts/{key}?uploadId={id}"), None).await.text().await.unwrap();
            if parts.contains("<PartNumber>") {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no part was ever uploaded");
}

struct Stand {
    server: Moto,
    notes: tempfile::TempDir,
    reference: RepositoryRef,
}

/// A process was killed in the middle, and parts of its upload are left.
async fn killed() -> Option<Stand> {
    let server = Moto::start().await?;
    server.bucket("parts", false).await;
    let notes = tempfile::tempdir().unwrap();
    let reference = server.reference("parts");
    // Slowly, so that there is a middle.
    let limits = Limits { bandwidth: Some(6_000_000), parallel: None };
    let slow = RepositoryRef { storage: StorageSpec { limits, ..reference.storage.clone() }, ..reference.clone() };
    let mut child = start(notes.path(), &slow);
    in_the_middle(&server, &mut child).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!unfinished(&server).await.is_empty(), "nothing was left to be taken back");
    Some(Stand { server, notes, reference })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_takes_it_back_and_makes_the_backup() {
    let Some(s) = killed().await else { return };
    let storage = storages(s.notes.path()).open(&s.reference, true).await.unwrap();
    assert_eq!(unfinished(&s.server).await, []);
    assert!(storage.list().await.unwrap().is_empty(), "half a backup is none");
    let stored = storage.put(&label(), large(), &quiet()).await.unwrap();
    storage.verify(&stored.snapshot, Depth::Data, &quiet()).await.unwrap();
    assert_eq!(unfinished(&s.server).await, []);
    let left: Vec<_> = walk(s.notes.path());
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_a_look_at_the_storage() {
    let Some(s) = killed().await else { return };
    let report = storages(s.notes.path()).check(&s.reference.storage).await.unwrap();
    assert!(!report.rows.iter().any(|r| r.failed()), "{report:#?}");
    assert_eq!(unfinished(&s.server).await, []);
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(walk(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}
