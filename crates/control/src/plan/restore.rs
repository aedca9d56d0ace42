//! What a restore will do, before it does it. The hash of a plan covers what was decided, not
//! numbers that move by themselves, so that confirming it means something.

use super::log::Span;
use mainstay_model::{BackupId, StorageId, Time, node::Position};
use serde::Serialize;
use sha2::{Digest, Sha256};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestorePlan {
    pub backup: BackupId,
    pub storage: StorageId,
    pub storage_name: String,
    pub snapshot: String,
    pub engine: String,
    pub engine_version: String,
    pub target: String,
    pub action: Action,
    /// What is lost, one sentence each; empty for a new cluster.
    pub loses: Vec<String>,
    pub steps: Vec<String>,
    pub recovery_point: Time,
    pub position: Option<Position>,
    /// The moment the log is replayed to, out of what, and with which parts of it.
    pub until: Option<Time>,
    pub window: Option<Span>,
    pub gaps: Vec<Span>,
    pub log_parts: Vec<String>,
    /// Bytes the restored data will take, beside what is there.
    pub space_needed_bytes: u64,
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    NewCluster,
    InPlace,
    /// Into another existing cluster, whose data is replaced.
    OtherCluster,
}

impl RestorePlan {
    /// `basis` names the state of the target the plan was made for (its nodes and primary).
    pub fn hash(&self, basis: &str) -> String {
        let mut h = Sha256::new();
        let until = self.until.map(|t| t.to_string()).unwrap_or_default();
        for part in
            [self.backup.as_str(), self.storage.as_str(), &self.snapshot, &self.target, &format!("{:?}", self.action), basis, &until]
        {
            h.update((part.len() as u64).to_be_bytes());
            h.update(part.as_bytes());
        }
        hex::encode(h.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> RestorePlan {
        RestorePlan {
            backup: BackupId::new(),
            storage: StorageId::new(),
            storage_name: "local".into(),
            snapshot: "s".into(),
            engine: "e".into(),
            engine_version: "1".into(),
            target: "abc".into(),
            action: Action::InPlace,
            loses: vec![],
            steps: vec![],
            recovery_point: Time(0),
            position: None,
            until: None,
            window: None,
            gaps: vec![],
            log_parts: vec![],
            space_needed_bytes: 1,
            warnings: vec![],
        }
    }

    #[test]
    fn the_hash_covers_decisions_and_not_moving_numbers() {
        let a = plan();
        let moved = RestorePlan { space_needed_bytes: 2, ..a.clone() };
        assert_eq!(a.hash("n1"), moved.hash("n1"));
        assert_ne!(a.hash("n1"), a.hash("n2"));
        assert_ne!(a.hash("n1"), RestorePlan { action: Action::OtherCluster, ..a.clone() }.hash("n1"));
        assert_ne!(a.hash("n1"), RestorePlan { until: Some(Time(1)), ..a.clone() }.hash("n1"));
        assert_ne!(a.hash("n1"), RestorePlan { target: "abd".into(), ..a.clone() }.hash("n1"));
    }
}
