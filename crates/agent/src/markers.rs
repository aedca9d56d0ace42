//! How far a restore beside the live data has come, one small file each. It lies with the agent's
//! records: the engine's user must not be able to call a directory checked.
//!
//! A directory beside the data that has no marker is not a half-made restore but somebody's data
//! put aside, and is never removed to make room.

use crate::{
    disk::{blocking, own_dir, read_json, remove_file, write_json},
    volumes::Label,
};
use mainstay_model::{ClusterId, NodeId, Result, Time};
use mainstay_rpc::verbs::RestoredBeside;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Stage {
    Fetching,
    Prepared,
    Checked,
    /// Swap it in; and what the call that made it answered.
    Ready {
        reply: Box<RestoredBeside>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub snapshot: String,
    /// Whose backup it is.
    pub source: ClusterId,
    /// The moment its log is replayed to.
    #[serde(default)]
    pub until: Option<Time>,
    #[serde(flatten)]
    pub stage: Stage,
}

impl Marker {
    pub fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready { .. })
    }
}

pub(crate) struct Markers(PathBuf);

impl Markers {
    pub fn open(dir: PathBuf) -> Result<Markers> {
        own_dir(&dir, 0o700)?;
        Ok(Markers(dir))
    }

    pub fn get(&self, node: &NodeId, label: &Label) -> Result<Option<Marker>> {
        read_json(&self.file(node, label))
    }

    pub async fn put(&self, node: &NodeId, label: &Label, marker: Marker) -> Result<()> {
        let file = self.file(node, label);
        blocking(move || write_json(&file, &marker)).await
    }

    pub async fn remove(&self, node: &NodeId, label: &Label) -> Result<()> {
        let file = self.file(node, label);
        blocking(move || remove_file(&file)).await
    }

    /// Every restore of a node that has a marker.
    pub fn labels(&self, node: &NodeId) -> Result<Vec<Label>> {
        let prefix = format!("{node}.");
        let label = |name: String| Label::parse(name.strip_prefix(&prefix)?.strip_suffix(".json")?).ok();
        Ok(std::fs::read_dir(&self.0)?.flatten().filter_map(|f| label(f.file_name().into_string().ok()?)).collect())
    }

    fn file(&self, node: &NodeId, label: &Label) -> PathBuf {
        self.0.join(format!("{node}.{}.json", label.as_str()))
    }
}
