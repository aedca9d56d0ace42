//! Who writes a backup comes last in line, with every thread and child there is in it; who restores one does not.

mod common;

use common::{borg, *};
use mainstay_drivers::{background::LAST, engine::Chunking, storage::*};
use std::{
    collections::BTreeMap,
    fs, io,
    sync::{Arc, Mutex},
};

const PAGES: Chunking = Chunking::Fixed(64 << 10);

/// By id: the name and nice value of every thread of this process and of its children.
fn nice_values() -> BTreeMap<u32, (String, i32)> {
    let of = |task: &std::path::Path| {
        let stat = fs::read_to_string(task.join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        let (id, name) = head.split_once(" (")?;
        Some((id.parse().ok()?, (name.to_owned(), rest.split(' ').nth(16)?.parse().ok()?)))
    };
    fs::read_dir("/proc/self/task").unwrap().flatten().filter_map(|t| of(&t.path())).collect()
}

fn mine() -> i32 {
    rustix::process::getpriority_process(None).unwrap()
}

/// What a reader in the middle of a backup sees.
#[derive(Default, Clone)]
struct Seen(Arc<Mutex<Vec<i32>>>, Arc<Mutex<BTreeMap<u32, (String, i32)>>>);

struct Looking(Seen, io::Cursor<Vec<u8>>);

impl io::Read for Looking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap().push(mine());
        self.0.1.lock().unwrap().extend(nice_values());
        self.1.read(buf)
    }
}

fn looking(seen: &Seen) -> Box<dyn Source> {
    let seen = seen.clone();
    let open: Opener = Box::new(move || Ok(Box::new(Looking(seen, io::Cursor::new(noise(5, 3_000_000))))));
    let kind = EntryKind::File { size: None, may_vanish: false, open, keep: Keep::Nothing };
    list([Step::Entry(Entry { path: "a".into(), mode: 0o600, mtime: mainstay_model::Time(0), kind })])
}

struct Listening(Arc<Mutex<Vec<i32>>>);

impl Sink for Listening {
    fn dir(&self, _: &SnapshotEntry) -> io::Result<()> {
        Ok(())
    }
    fn symlink(&self, _: &SnapshotEntry, _: &std::path::Path) -> io::Result<()> {
        Ok(())
    }
    fn file(&self, _: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        self.0.lock().unwrap().push(mine());
        Ok(Box::new(Void::default()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_comes_last_and_a_restore_does_not() {
    let normal = mine();
    let place = local(PAGES).await;
    let before: Vec<u32> = nice_values().into_keys().collect();
    let seen = Seen::default();
    let stored = place.storage.put(&label(), looking(&seen), &quiet()).await.unwrap();
    assert!(seen.0.lock().unwrap().iter().all(|nice| *nice == LAST), "the reader: {:?}", seen.0.lock().unwrap());
    let threads = seen.1.lock().unwrap().clone();
    let begun: Vec<_> = threads.iter().filter(|(id, (name, _))| !before.contains(id) && !name.starts_with("tokio")).collect();
    assert!(begun.len() >= 3 && begun.iter().all(|(_, (_, nice))| *nice == LAST), "{begun:?}");

    let restored = Arc::new(Mutex::new(vec![]));
    place.storage.get(&stored.snapshot, Arc::new(Listening(restored.clone())), &quiet()).await.unwrap();
    assert_eq!(*restored.lock().unwrap(), [normal]);
    let left = nice_values();
    assert!(left.values().all(|(name, nice)| *nice == normal || name.starts_with("backup")), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_does_borg() {
    if !borg::is_installed("borg") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let storage = borg::storages(dir.path()).open(&borg::in_directory(&dir.path().join("r"), PAGES), true).await.unwrap();
    let children = Arc::new(Mutex::new(vec![]));
    let (found, at) = (children.clone(), dir.path().to_str().unwrap().to_owned());
    let open: Opener = Box::new(move || {
        for (pid, line) in borg::processes_with(&at).into_iter().filter(|(_, line)| line.contains(" create ")) {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            found.lock().unwrap().push((line, stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().to_owned()));
        }
        Ok(Box::new(io::Cursor::new(vec![1; 1000])))
    });
    let kind = EntryKind::File { size: None, may_vanish: false, open, keep: Keep::Nothing };
    let source = list([Step::Entry(Entry { path: "a".into(), mode: 0o600, mtime: mainstay_model::Time(0), kind })]);
    storage.put(&label(), source, &quiet()).await.unwrap();
    let children = children.lock().unwrap();
    assert!(!children.is_empty() && children.iter().all(|(_, nice)| nice == "19"), "{children:?}");
}
