//! Backups as an agent makes and restores them, and the sink it writes through.

use crate::bed::{Bed, give, is_ready, served};
use mainstay_drivers::{
    engine::{Exposure, Node, Paths},
    progress::Progress,
    runtime::{InstanceId, StopMode},
    storage::{Depth, FileSink, Sink, SnapshotEntry, SnapshotLabel, Source, Stored},
};
use mainstay_model::{
    BackupId, Error, Result, Time,
    backup::{Check, Facts},
};
use std::{
    fs::File,
    io::{self, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
};

impl Bed {
    pub async fn capture(&self, node: &Node) -> Result<Stored> {
        let progress = Progress::default();
        let source = self.backups().capture(node, &progress).await?;
        self.put(node, source, &progress).await
    }

    pub async fn put(&self, node: &Node, source: Box<dyn Source>, progress: &Progress) -> Result<Stored> {
        let label = SnapshotLabel {
            backup: BackupId::new(),
            cluster: self.repository.cluster.clone(),
            cluster_name: node.plan.cluster_name.to_string(),
            kind: "manual".into(),
            description: String::new(),
            created_at: Time::from_micros(1_700_000_000_000_000),
        };
        self.storage.put(&label, source, progress).await
    }

    /// A backup that was read back in full.
    pub async fn backup(&self, node: &Node) -> Stored {
        let stored = self.capture(node).await.unwrap();
        assert!(stored.checks.iter().all(|c| c.ok), "{:?}", stored.checks);
        assert_eq!(stored.facts.engine, self.engine.info().name);
        assert_eq!(stored.facts.engine_version, self.installed.version);
        assert_eq!(stored.facts.node, node.plan.name);
        self.storage.verify(&stored.snapshot, Depth::Data, &Progress::default()).await.unwrap();
        stored
    }

    /// The node as it is while a restore is checked beside its live data. It shares no file with it.
    pub async fn beside(&self, node: &Node, label: &str) -> Node {
        let own = format!("beside-{label}");
        let paths = Paths {
            root: node.paths.root.clone(),
            data: node.paths.root.join(label),
            run: node.paths.run.join(&own),
            log: node.paths.log.join(&own),
            sockets: self.new_sockets(),
        };
        for dir in [&paths.run, &paths.log, &paths.sockets, &paths.data] {
            self.own_dir(dir).await;
        }
        Node { paths, exposure: Exposure::Isolated, ..node.clone() }
    }

    pub async fn fetch(&self, beside: &Node, snapshot: &str) -> Result<Facts> {
        let (_, facts) = self.storage.facts(snapshot).await?;
        let (engine, user) = (self.engine.clone(), self.installed.user.clone());
        let place = Box::new(move |captured: &Path| engine.backups()?.restored_path(captured));
        let sink = Arc::new(Plain { root: beside.paths.data.clone(), user, place });
        self.storage.get(snapshot, sink, &Progress::default()).await?;
        Ok(facts)
    }

    /// Restores beside the live data and checks; nothing isolated outlives this.
    pub async fn restore_beside(&self, node: &Node, snapshot: &str, label: &str) -> Result<Vec<Check>> {
        self.restore_altered(node, snapshot, label, |_| ()).await
    }

    /// As [`Self::restore_beside`], with something happening to the files before they are looked at.
    pub async fn restore_altered(&self, node: &Node, snapshot: &str, label: &str, alter: impl Fn(&Path)) -> Result<Vec<Check>> {
        let beside = self.beside(node, label).await;
        let facts = self.fetch(&beside, snapshot).await?;
        alter(&beside.paths.data);
        let mut checks = good(self.backups().prepare(&beside, &facts).await?)?;
        let instance = InstanceId(format!("{}.{label}", node.plan.id));
        let checked = self.check_running(&beside, &instance, &facts, node).await;
        self.runtime.stop(&instance, StopMode::Kill).await?;
        self.runtime.remove(&instance).await?;
        checks.extend(checked?);
        self.backups().settle(&beside).await?;
        Ok(checks)
    }

    async fn check_running(&self, beside: &Node, instance: &InstanceId, facts: &Facts, node: &Node) -> Result<Vec<Check>> {
        let listened = TcpStream::connect((node.plan.address, node.plan.port)).is_ok();
        self.launch(beside, instance, Some(0)).await;
        self.try_wait(beside, instance, is_ready).await.map_err(|e| Error::failed("start_failed", e))?;
        if !listened {
            assert!(TcpStream::connect((node.plan.address, node.plan.port)).is_err(), "an isolated instance can be reached");
        }
        let checks = good(self.backups().check(beside, facts).await?)?;
        self.runtime.stop(instance, StopMode::Graceful).await?;
        Ok(checks)
    }

    /// Puts the restored directory in the place of the data of a stopped node.
    pub fn swap(&self, node: &Node, label: &str, aside: &str) {
        std::fs::rename(&node.paths.data, node.paths.root.join(aside)).unwrap();
        std::fs::rename(node.paths.root.join(label), &node.paths.data).unwrap();
    }

    /// A new cluster from a backup, running.
    pub async fn restored(&self, cluster: &str, snapshot: &str) -> Node {
        let node = self.node(cluster);
        self.prepare(&node).await;
        let checks = self.restore_beside(&node, snapshot, "restored").await.unwrap();
        assert!(checks.len() >= 2, "{checks:?}");
        self.swap(&node, "restored", "before-restore");
        self.start(&node).await;
        self.keeper().ensure(&node).await.unwrap();
        node
    }

    /// Stops the instance and starts it from what is on disk.
    pub async fn restart(&self, node: &Node) {
        self.runtime.stop(&served(node), StopMode::Graceful).await.unwrap();
        self.start(node).await;
    }
}

/// The checks if all are good, as an agent sees them.
fn good(checks: Vec<Check>) -> Result<Vec<Check>> {
    assert!(!checks.is_empty(), "nothing was checked");
    match checks.iter().find(|c| !c.ok) {
        None => Ok(checks),
        Some(bad) => Err(Error::integrity(format!("{}: {}", bad.name, bad.detail))),
    }
}

/// Where a captured path belongs; `None` leaves it out.
type Place = Box<dyn Fn(&Path) -> Option<PathBuf> + Send + Sync>;

struct Plain {
    root: PathBuf,
    user: Option<String>,
    place: Place,
}

impl Plain {
    fn at(&self, entry: &SnapshotEntry) -> PathBuf {
        self.root.join((self.place)(&entry.path).expect("only what is wanted comes"))
    }
}

impl Sink for Plain {
    fn wants(&self, entry: &SnapshotEntry) -> bool {
        (self.place)(&entry.path).is_some()
    }

    fn dir(&self, entry: &SnapshotEntry) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let path = self.at(entry);
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
            _ => {
                give(&path, self.user.as_deref());
                Ok(())
            }
        }
    }

    fn symlink(&self, entry: &SnapshotEntry, _target: &Path) -> io::Result<()> {
        Err(io::Error::other(format!("{} is a link", entry.path.display())))
    }

    fn file(&self, entry: &SnapshotEntry) -> io::Result<Box<dyn FileSink>> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.at(entry);
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        give(&path, self.user.as_deref());
        Ok(Box::new(Written(file)))
    }
}

struct Written(File);

impl FileSink for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}
