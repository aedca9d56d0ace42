//! Looks: they change nothing, need no generation, and always answer.

use crate::{Agent, disk::blocking, dispatch::Act, nodes::served, text::clean, volumes::DATA};
use mainstay_drivers::{engine::NodePlan, runtime::InstanceState};
use mainstay_model::{
    NodeId, Result,
    node::{EngineState, Observed},
};
use mainstay_rpc::verbs::{Measure, Measured, NodeLogs, NodeMeasured, NodeUsage, NodeUsageReply, Probe};
use std::{collections::BTreeMap, path::Path, time::Duration};

/// A probe answers within this even where the runtime itself hangs.
const PROBE: Duration = Duration::from_secs(4);
/// Log lines that fit into one message with room to spare.
const MOST_LINES: u64 = 2_000;

impl Agent {
    pub(crate) async fn probe(&self, verb: Probe, _: &Act) -> Result<BTreeMap<String, Observed>> {
        let looks = verb.plans.iter().map(|plan| async { (plan.id.to_string(), self.probe_one(plan).await) });
        Ok(futures::future::join_all(looks).await.into_iter().collect())
    }

    pub(crate) async fn probe_one(&self, plan: &NodePlan) -> Observed {
        let now = (self.parts.clock)();
        match tokio::time::timeout(PROBE, self.observe(plan)).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(e)) => Observed::unknown(now, clean(&e.message)),
            Err(_) => Observed::unknown(now, format!("looking at {} took longer than {} s", plan.name, PROBE.as_secs())),
        }
    }

    async fn observe(&self, plan: &NodePlan) -> Result<Observed> {
        let now = (self.parts.clock)();
        if self.registry.find(&plan.id)?.is_none() {
            let name = &plan.cluster_name;
            let sentence = format!(
                "is not on this host any more; if its data is lost, `mainstay restore run BACKUP --to {name}` brings it back from a backup"
            );
            return Ok(Observed::unknown(now, sentence));
        }
        let no_process = |state, detail| Observed { state, ..Observed::unknown(now, detail) };
        match self.parts.runtime.inspect(&served(&plan.id)).await?.state {
            InstanceState::Stopped => Ok(no_process(EngineState::Stopped, "it is stopped".into())),
            InstanceState::Crashed { detail } => Ok(no_process(EngineState::Crashed, clean(&detail))),
            InstanceState::Running => {
                let node = self.node(plan).await?;
                Ok(self.look(self.engine(&plan.engine)?.as_ref(), &node).await)
            }
        }
    }

    pub(crate) async fn node_usage(&self, verb: NodeUsage, _: &Act) -> Result<NodeUsageReply> {
        self.registry.get(&verb.node)?;
        let usage = self.parts.runtime.usage(&served(&verb.node)).await.unwrap_or_default();
        let host = self.parts.runtime.host(&self.volumes.root_path(&verb.node)).await?;
        let data = self.volumes.root_path(&verb.node).join(DATA);
        let data_bytes = blocking(move || Ok(tree_bytes(&data))).await?;
        Ok(NodeUsageReply { usage, data_bytes, disk_free_bytes: host.disk_free_bytes, disk_total_bytes: host.disk_total_bytes })
    }

    /// Cheap enough for every few seconds: no directory is walked.
    pub(crate) async fn measure(&self, verb: Measure, _: &Act) -> Result<Measured> {
        let mut nodes = BTreeMap::new();
        for node in &verb.nodes {
            // Of one that cannot be measured nothing is said; the others are measured all the same.
            if let Ok(measured) = self.measure_one(node).await {
                nodes.insert(node.to_string(), measured);
            }
        }
        Ok(Measured { nodes })
    }

    async fn measure_one(&self, node: &NodeId) -> Result<NodeMeasured> {
        self.registry.get(node)?;
        let usage = self.parts.runtime.usage(&served(node)).await?;
        Ok(NodeMeasured { usage, host: self.parts.runtime.host(&self.volumes.root_path(node)).await? })
    }

    pub(crate) async fn node_logs(&self, verb: NodeLogs, _: &Act) -> Result<Vec<String>> {
        self.known(&verb.node)?;
        let lines = self.parts.runtime.logs(&served(&verb.node), verb.lines.min(MOST_LINES) as usize).await?;
        Ok(lines.iter().map(|l| clean(l)).collect())
    }

    fn known(&self, node: &NodeId) -> Result<()> {
        self.registry.get(node).map(drop)
    }
}

/// Bytes on the disk below `dir`. What vanishes meanwhile counts nothing; links are not followed.
pub(crate) fn tree_bytes(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => tree_bytes(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(size).sum()
}
