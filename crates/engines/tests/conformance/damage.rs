//! What must never become a backup, and what must never be served from one.

use crate::bed::*;
use mainstay_drivers::{
    engine::Exposure,
    progress::Progress,
    storage::{Depth, Entry, EntryKind, Source},
};
use mainstay_model::{Kind, Result, backup::Facts};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Kills the engine once something of a large file was read.
struct Killing {
    inner: Box<dyn Source>,
    pid: Pid,
}

struct KillingReader {
    inner: Box<dyn Read + Send>,
    read: usize,
    pid: Pid,
}

impl Source for Killing {
    fn next(&mut self) -> Option<Result<Entry>> {
        let mut entry = self.inner.next()?;
        if let Ok(Entry { kind: EntryKind::File { open, .. }, .. }) = &mut entry {
            let pid = self.pid;
            let inner = std::mem::replace(open, Box::new(|| Err(io::Error::other("replaced"))));
            *open = Box::new(move || Ok(Box::new(KillingReader { inner: inner()?, read: 0, pid })));
        }
        Some(entry)
    }
    fn finish(&mut self) -> Result<Facts> {
        self.inner.finish()
    }
    fn expected_bytes(&self) -> Option<u64> {
        self.inner.expected_bytes()
    }
}

impl Read for KillingReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        let before = self.read;
        self.read += n;
        if before < 500_000 && self.read >= 500_000 {
            // Not there any more is as good.
            let _ = kill_process(self.pid, Signal::KILL);
        }
        Ok(n)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_dies_while_it_is_captured_leaves_no_backup() {
    everywhere(async |bed| {
        let node = bed.primary("dies").await;
        bed.client(&node).await.fill(24).await.unwrap();
        bed.stop(&node).await;
        bed.launch(&node, &served(&node), Some(0)).await;
        bed.wait(&node, &served(&node), is_ready).await;
        let pid = bed.runtime.inspect(&served(&node)).await.unwrap().pid.and_then(Pid::from_raw).unwrap();
        let progress = Progress::default();
        let inner = bed.backups().capture(&node, &progress).await.unwrap();
        refused(bed.put(&node, Box::new(Killing { inner, pid }), &progress).await, "a capture whose engine died");
        assert!(bed.storage.list().await.unwrap().is_empty(), "half a backup can be seen");
        refused(bed.capture(&node).await, "a capture of an engine that is not there");

        // Given up half way, and then made again.
        bed.stop(&node).await;
        bed.start(&node).await;
        let cancelled = Progress::default();
        let source = bed.backups().capture(&node, &cancelled).await.unwrap();
        cancelled.cancel();
        refused(bed.put(&node, source, &cancelled).await, "a capture that was cancelled");
        drop(bed.backups().capture(&node, &progress).await.unwrap());
        assert!(bed.storage.list().await.unwrap().is_empty());
        eventually("the engine holds nothing for a backup that was given up", async || {
            bed.admin(&node).await.left_behind().await.unwrap().is_empty()
        })
        .await;
        bed.backup(&node).await;
        assert_eq!(bed.storage.list().await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_are_never_served() {
    everywhere(async |bed| {
        let node = bed.primary("damaged").await;
        bed.client(&node).await.set_up().await.unwrap();
        bed.client(&node).await.fill(2).await.unwrap();
        bed.client(&node).await.write(1).await.unwrap();
        let stored = bed.backup(&node).await;
        let ways: [(&str, Damage); 4] = [("flipped", flip), ("truncated", truncate), ("missing", remove), ("emptied", empty)];
        for (label, alter) in ways {
            let outcome = bed.restore_altered(&node, &stored.snapshot, label, alter).await;
            let e = refused(outcome, label);
            assert!(matches!(e.kind, Kind::Integrity | Kind::Failed), "{label}: {e:?}");
        }
        bed.restore_beside(&node, &stored.snapshot, "whole").await.unwrap();
        assert_eq!(bed.numbers(&node).await.len(), 1, "the live data is as it was");

        // Now in the storage itself.
        flip(&bed.dir.path().join("backups"));
        let e = refused(bed.storage.verify(&stored.snapshot, Depth::Data, &Progress::default()).await, "a damaged repository");
        assert_eq!(e.kind, Kind::Integrity, "{e:?}");
        refused(bed.restore_beside(&node, &stored.snapshot, "rotten").await, "a restore of what is damaged");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_major_version_is_refused_in_words() {
    everywhere(async |bed| {
        let node = bed.primary("major").await;
        let stored = bed.backup(&node).await;
        let mine = major(&bed.installed.version);
        for other in bed.versions.iter().filter(|v| major(&v.version) != mine) {
            let mut elsewhere = bed.node("elsewhere");
            elsewhere.installed = other.clone();
            elsewhere.plan.version = other.version.clone();
            bed.prepare(&elsewhere).await;
            // A newer server may know how to read it; an older one never does.
            if let Err(e) = bed.restore_beside(&elsewhere, &stored.snapshot, "restored").await {
                assert!(e.message.contains(&other.version), "{e:?}");
            } else {
                assert!(major(&other.version) > mine);
            }
        }
        // The same for a version that is not here, which must fail before any server is started.
        let mut beside = bed.beside(&node, "old").await;
        let facts = bed.fetch(&beside, &stored.snapshot).await.unwrap();
        beside.installed.version = "1.0".into();
        assert_eq!(beside.exposure, Exposure::Isolated);
        let e = refused(bed.backups().prepare(&beside, &facts).await, "a server of an older major version");
        assert!(e.message.contains("1.0") && e.message.contains(&bed.installed.version), "{e:?}");
    })
    .await;
}

fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|n| n.parse().ok()).expect("a version begins with a number")
}

type Damage = fn(&Path);

/// The largest file below a directory: where the data is.
fn largest(dir: &Path) -> PathBuf {
    fn walk(dir: &Path, found: &mut Vec<(u64, PathBuf)>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { walk(&entry.path(), found) } else { found.push((metadata.len(), entry.path())) }
        }
    }
    let mut found = vec![];
    walk(dir, &mut found);
    // Log segments are as long as they are whatever is in them.
    found.retain(|(_, path)| !path.to_string_lossy().contains("pg_wal"));
    found.into_iter().max().expect("files").1
}

fn flip(dir: &Path) {
    let file = largest(dir);
    let file = std::fs::File::options().read(true).write(true).open(file).unwrap();
    let (at, mut byte) = (file.metadata().unwrap().len() / 2, [0]);
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn truncate(dir: &Path) {
    let file = std::fs::File::options().write(true).open(largest(dir)).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

fn remove(dir: &Path) {
    std::fs::remove_file(largest(dir)).unwrap();
}

fn empty(dir: &Path) {
    std::fs::File::options().write(true).truncate(true).open(largest(dir)).unwrap();
}
