//! Capture, and what a restore asks of an engine.

use super::{
    FakeEngine, RECOVERY, Style, VERSION, accounts_of,
    database::{position_of, read_db, read_log},
};
use crate::{Faults, lock};
use async_trait::async_trait;
use mainstay_drivers::{
    Result,
    engine::{Backups, Consistency, Exposure, Incremental, Node},
    gate::Gate,
    progress::Progress,
    storage::{Entry, EntryKind, Keep, Known, Source},
};
use mainstay_model::{
    Error, Time,
    backup::{Captured as How, Check, Facts},
    node::NodeRole,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The number of rows, captured late, as a check of the whole.
const MARK: &str = "mark";
const LOG: &str = "data/log";

/// A capture: all of it read at one moment.
pub(super) struct Captured {
    faults: Faults,
    entries: std::vec::IntoIter<(&'static str, Option<Vec<u8>>)>,
    /// The rows are those of an earlier backup: whether they need not be read by anybody.
    same_rows: Option<bool>,
    facts: Facts,
    at: Time,
    bytes: u64,
}

/// Reads well for a while, then fails: a disk that goes bad during a backup.
struct Failing(io::Cursor<Vec<u8>>);

impl io::Read for Failing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("the disk went bad")),
            n => Ok(n),
        }
    }
}

impl Source for Captured {
    fn next(&mut self) -> Option<Result<Entry>> {
        let (path, content) = self.entries.next()?;
        if let Err(e) = self.faults.before_blocking("source.next") {
            return Some(Err(e));
        }
        let bad = self.faults.is_on("source.fails");
        let kind = match content {
            None => EntryKind::Dir,
            Some(bytes) if path == LOG && self.same_rows.is_some() => {
                let everywhere = self.same_rows == Some(true);
                let read = if everywhere { vec![] } else { bytes.clone() };
                let open = Box::new(move || Ok(Box::new(io::Cursor::new(read)) as Box<dyn io::Read + Send>));
                EntryKind::File { size: Some(bytes.len() as u64), may_vanish: false, open, keep: Keep::Whole }
            }
            Some(bytes) => EntryKind::File {
                size: Some(bytes.len() as u64),
                may_vanish: false,
                open: Box::new(move || {
                    let bytes = io::Cursor::new(bytes);
                    Ok(if bad { Box::new(Failing(bytes)) as Box<dyn io::Read + Send> } else { Box::new(bytes) })
                }),
                keep: Keep::Nothing,
            },
        };
        Some(Ok(Entry { path: path.into(), mode: 0o700, mtime: self.at, kind }))
    }
    fn finish(&mut self) -> Result<Facts> {
        self.faults.before_blocking("source.finish")?;
        Ok(self.facts.clone())
    }
    fn expected_bytes(&self) -> Option<u64> {
        Some(self.bytes)
    }
}

impl FakeEngine {
    /// All of it as it is now.
    pub(super) fn take(&self, node: &Node) -> Result<Captured> {
        let _world = lock(&self.world);
        self.replicate()?;
        let (db, rows) = (read_db(&node.paths.data)?, read_log(&node.paths.data));
        let position = position_of(&db, rows.len());
        let facts = Facts {
            engine: self.name().into(),
            engine_version: VERSION.into(),
            history: db.history.clone(),
            start: Some(position.clone()),
            stop: Some(position),
            exact: [("rows".to_string(), rows.len() as u64)].into(),
            names: db.name.iter().map(|n| ("database".to_string(), n.clone())).collect(),
            node: node.plan.name.clone(),
            captured: Some(How {
                began_at: crate::now(),
                identity: db.history.clone(),
                token: String::new(),
                base: None,
                generation: 0,
                kept_bytes: 0,
            }),
            stopped_at: Some(crate::now()),
            role: Some(if db.upstream.is_some() { NodeRole::Replica } else { NodeRole::Primary }),
            ..Facts::default()
        };
        let log = std::fs::read(node.paths.data.join("log"))?;
        let entries = vec![
            ("data", None),
            ("data/db.json", Some(serde_json::to_vec(&db).map_err(Error::internal)?)),
            (LOG, Some(log.clone())),
            ("late", None),
            ("late/mark", Some(rows.len().to_string().into_bytes())),
        ];
        let (faults, bytes) = (self.faults.clone(), log.len() as u64);
        Ok(Captured { faults, entries: entries.into_iter(), same_rows: None, facts, at: crate::now(), bytes })
    }
}

#[async_trait]
impl Incremental for FakeEngine {
    fn lists(&self) -> &'static [&'static str] {
        &["late/mark"]
    }

    /// The rows are kept where the position is still that of the earlier backup.
    async fn capture_on(
        &self,
        node: &Node,
        known: Arc<Known>,
        gate: Option<Arc<dyn Gate>>,
        progress: &Progress,
    ) -> Result<Box<dyn Source>> {
        if let Some(gate) = gate {
            return self.capture_at(node, gate, progress).await;
        }
        self.faults.before("engine.capture").await?;
        progress.say("reading");
        let mut taken = self.take(node)?;
        let before = &known.base.facts;
        let same = before.start == taken.facts.start && before.exact == taken.facts.exact && before.history == taken.facts.history;
        let held = known.base.files.get(Path::new(LOG)).is_some_and(|held| held.size == taken.bytes);
        if same && held && known.base.lists.len() == self.lists().len() {
            taken.same_rows = Some(known.everywhere);
            taken.facts.captured = taken.facts.captured.map(|how| How { base: Some(known.backup.clone()), kept_bytes: taken.bytes, ..how });
        }
        Ok(Box::new(taken))
    }
}

#[async_trait]
impl Backups for FakeEngine {
    async fn capture(&self, node: &Node, progress: &Progress) -> Result<Box<dyn Source>> {
        self.faults.before("engine.capture").await?;
        progress.say("reading");
        Ok(Box::new(self.take(node)?))
    }

    async fn prepare(&self, node: &Node, _: &Facts) -> Result<Vec<Check>> {
        self.faults.before("engine.prepare").await?;
        assert_eq!(node.exposure, Exposure::Isolated, "a restore is prepared for an isolated start only");
        let mark = std::fs::read_to_string(node.paths.data.join(MARK))?;
        let rows = read_log(&node.paths.data).len();
        std::fs::write(node.paths.data.join(RECOVERY), "")?;
        self.faults.after("engine.prepare")?;
        Ok(vec![Check::new("file_list", mark == rows.to_string(), format!("{rows} of {mark} rows"))])
    }

    async fn check(&self, node: &Node, facts: &Facts) -> Result<Vec<Check>> {
        self.faults.before("engine.check").await?;
        let server =
            self.server_on(&node.paths.data).ok_or_else(|| Error::unavailable("connect", "the isolated server does not answer"))?;
        let rows = read_log(&server.data).len() as u64;
        self.change(&server.data, |db| {
            db.upstream = None;
            db.timeline += 1;
            db.slots.clear();
            db.accounts = accounts_of(node);
            db.name = node.plan.accounts.user.database.clone();
        })?;
        self.faults.after("engine.check")?;
        let Some(wanted) = facts.exact.get("rows").copied() else { return Ok(vec![]) };
        let equal = rows == wanted && !self.faults.is_on("engine.check_finds_loss");
        Ok(vec![Check::new("row_counts", equal, format!("{rows} rows, {wanted} were captured"))])
    }

    async fn settle(&self, node: &Node) -> Result<()> {
        self.faults.before("engine.settle").await?;
        if self.server_on(&node.paths.data).is_some() {
            return Err(Error::conflict("running", "the isolated server still runs"));
        }
        for name in [RECOVERY, MARK] {
            let _ = std::fs::remove_file(node.paths.data.join(name));
        }
        self.faults.after("engine.settle")
    }

    fn download_file(&self) -> Option<&'static str> {
        (self.style == Style::Pausing).then_some("data/log")
    }

    fn restored_path(&self, captured: &Path) -> Option<PathBuf> {
        let inside = captured.strip_prefix("data").or_else(|_| captured.strip_prefix("late")).ok()?;
        (inside != Path::new("")).then(|| inside.to_owned())
    }

    fn manual_steps(&self, version: &str) -> Vec<String> {
        vec![format!("{} {version} --data RESTORED", self.name())]
    }
}
