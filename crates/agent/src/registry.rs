//! What the agent remembers of its nodes, one file each. A record is written, and on the disk,
//! before the agent acts on it: after any crash the disk knows at least as much as was done.
//!
//! Records hold the plan with its passwords: they are the agent's own (0600 in a 0700 directory),
//! never below a node's root, which belongs to the engine's user.

use crate::disk::{blocking, own_dir, read_json, remove_file, write_json};
use mainstay_drivers::engine::NodePlan;
use mainstay_model::{Error, NodeId, Result, node::NodeRole};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    Running,
    Stopped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub plan: NodePlan,
    /// The highest generation that acted on this node; lower ones are refused.
    pub generation: i64,
    /// Whether `data` holds a complete database. From then on an empty one is a loss, never a
    /// reason to make a new one.
    pub initialised: bool,
    pub wanted: Wanted,
    /// What it was when last looked at after an act. A hint for people, nothing decides by it.
    pub role: Option<NodeRole>,
    /// Directories put aside, and whether each holds a complete database.
    #[serde(default)]
    pub asides: BTreeMap<String, bool>,
    /// `data` is that of a primary which lost its role: it is not started, only replaced.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fenced: bool,
    /// Those of the directories put aside that hold such data.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fenced_asides: BTreeSet<String>,
}

impl Record {
    /// Before `data` goes aside: what it is goes with it, however often this is noted.
    pub fn note_aside(&mut self, aside: &str) {
        self.asides.entry(aside.into()).or_insert(self.initialised);
        if self.fenced {
            self.fenced_asides.insert(aside.into());
        }
    }
}

pub(crate) struct Registry {
    dir: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    records: BTreeMap<NodeId, Record>,
    /// Their files are there and do not read. Acting on them could undo a fence.
    damaged: BTreeSet<NodeId>,
}

impl Registry {
    pub fn open(dir: PathBuf) -> Result<Registry> {
        own_dir(&dir, 0o700)?;
        let mut known = Known::default();
        for file in std::fs::read_dir(&dir)?.flatten() {
            let name = file.file_name();
            let Some(id) = name.to_str().and_then(|n| n.strip_suffix(".json")).and_then(NodeId::parse) else { continue };
            match read_json::<Record>(&file.path()) {
                Ok(Some(record)) => drop(known.records.insert(id, record)),
                Ok(None) => {}
                Err(e) => {
                    tracing::error!(node = %id, "the record of a node does not read and the node is left alone: {e}");
                    known.damaged.insert(id);
                }
            }
        }
        Ok(Registry { dir, known: Mutex::new(known) })
    }

    /// The node's record; `None` where this agent has no such node.
    pub fn find(&self, id: &NodeId) -> Result<Option<Record>> {
        let known = self.known();
        match known.damaged.contains(id) {
            false => Ok(known.records.get(id).cloned()),
            true => Err(Error::integrity(format!(
                "the agent's record of node {id} is damaged and it acts on nothing of it; put back {} from a copy",
                file(&self.dir, id).display()
            ))),
        }
    }

    pub fn get(&self, id: &NodeId) -> Result<Record> {
        self.find(id)?.ok_or_else(|| Error::not_found("node", id.as_str()))
    }

    pub fn all(&self) -> Vec<Record> {
        self.known().records.values().cloned().collect()
    }

    /// Stores the record; on the disk when this returns.
    pub async fn put(&self, record: Record) -> Result<()> {
        let id = record.plan.id.clone();
        if self.known().records.get(&id) == Some(&record) {
            return Ok(());
        }
        let (path, copy) = (file(&self.dir, &id), record.clone());
        blocking(move || write_json(&path, &copy)).await?;
        self.known().records.insert(id, record);
        Ok(())
    }

    /// Changes a record there is.
    pub async fn change(&self, id: &NodeId, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut record = self.get(id)?;
        change(&mut record);
        self.put(record).await
    }

    pub async fn remove(&self, id: &NodeId) -> Result<()> {
        let path = file(&self.dir, id);
        blocking(move || remove_file(&path)).await?;
        self.known().records.remove(id);
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(dir: &Path, id: &NodeId) -> PathBuf {
    dir.join(format!("{id}.json"))
}
