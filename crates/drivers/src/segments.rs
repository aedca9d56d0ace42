//! The log an engine writes beside its data, kept outside of it as it is written, and replayed onto a
//! backup up to a moment.
//!
//! The engine knows how its log is taken over and what of it is complete; the agent runs the process
//! that does, stores the pieces, and brings them back. A place in the log is a number that only
//! grows within one history, whatever the engine counts: bytes, or files and bytes in them.

use crate::{
    Result,
    engine::Node,
    runtime::{FileSpec, InstanceSpec},
    storage::{Described, LOG, Snapshot, Storage},
};
use async_trait::async_trait;
use mainstay_model::{BackupId, ClusterId, Time, backup::Check, node::Position};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What lies below the directory of a part in a snapshot and in what was fetched of it.
pub const PIECES: &str = "log";

/// What the facts of a part are called: where it begins, up to when it is everything, its first and last
/// piece, its line, and how many pieces it has.
pub const FROM: &str = "from";
pub const UNTIL: &str = "until";
pub const FIRST: &str = "first";
pub const LAST: &str = "last";
pub const LINE: &str = "line";
pub const COUNT: &str = "pieces";

/// A part of a log, as its snapshot describes itself to somebody who knows nothing else of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundLog {
    pub snapshot: String,
    pub part: BackupId,
    pub line: BackupId,
    pub history: String,
    pub from: u64,
    pub to: u64,
    pub until: Time,
    pub stored_at: Time,
    pub first: String,
    pub last: String,
    pub pieces: u64,
    pub bytes: u64,
}

impl FoundLog {
    /// `None` where it does not say what a part has to say, or says two different things.
    pub fn of(snapshot: &Snapshot, d: &Described, cluster: &ClusterId) -> Option<FoundLog> {
        let names = &d.facts.names;
        let to = d.facts.stop.as_ref()?;
        let believable = d.label == snapshot.label && d.label.kind == LOG && &d.label.cluster == cluster && d.facts.history == to.history;
        let found = FoundLog {
            snapshot: snapshot.id.clone(),
            part: d.label.backup.clone(),
            line: BackupId::parse(names.get(LINE)?)?,
            history: to.history.clone(),
            from: names.get(FROM)?.parse().ok()?,
            to: to.bytes,
            until: Time::parse(names.get(UNTIL)?)?,
            stored_at: d.label.created_at,
            first: names.get(FIRST)?.clone(),
            last: names.get(LAST)?.clone(),
            pieces: *d.facts.exact.get(COUNT)?,
            bytes: d.data_bytes,
        };
        (believable && found.from <= found.to).then_some(found)
    }
}

/// All parts of the cluster's log in its repository. What is no part of it is left out.
pub async fn found_in(storage: &dyn Storage, cluster: &ClusterId) -> Result<Vec<FoundLog>> {
    let mut all = vec![];
    for snapshot in storage.list().await?.into_iter().filter(|s| s.label.kind == LOG) {
        all.extend(FoundLog::of(&snapshot, &storage.describe(&snapshot.id).await?, cluster));
    }
    Ok(all)
}

#[async_trait]
pub trait Segments: Send + Sync {
    /// Makes the running primary hold its log until it is in `spool`, and says what process takes it
    /// over there, for the agent to run; `None` where the engine needs none. Called again and again,
    /// also after another node became primary. With `fresh` nothing of before is gone on with.
    async fn keep(&self, node: &Node, spool: &Path, fresh: bool) -> Result<Option<Keeper>>;

    /// How far the log in `spool` reaches, asked of the running primary and waited for a moment.
    async fn reach(&self, node: &Node, spool: &Path) -> Result<Reach>;

    /// What in `spool` holds anything of the log after `from` and up to `to`, oldest first.
    fn pieces(&self, spool: &Path, from: u64, to: u64) -> Result<Vec<Piece>>;

    /// The running node holds no log for keeping any more. It need not be a primary.
    async fn release(&self, node: &Node) -> Result<()>;

    /// After [`crate::engine::Backups::prepare`], before the isolated instance starts: takes over the
    /// pieces in `fetched` (a directory for each part, `0`, `1`, ..., oldest first, each with what was
    /// stored of it) so that the instance replays all that was acknowledged until `until` and nothing
    /// after, and then ends recovery. Removes `fetched`.
    async fn replay(&self, node: &Node, fetched: &Path, until: Time) -> Result<()>;

    /// With the isolated instance running: waits until it has replayed, and says where it stopped.
    async fn replayed(&self, node: &Node, until: Time) -> Result<Check>;
}

/// What takes the log over.
#[derive(Debug, Clone, PartialEq)]
pub struct Keeper {
    /// Written before the start.
    pub files: Vec<FileSpec>,
    pub spec: InstanceSpec,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Reach {
    /// All of the log up to here is in the spool, on the disk.
    pub position: Position,
    /// Everything acknowledged until then is before `position`; `None` where the spool is behind.
    pub at: Option<Time>,
    /// Why it does not go on from where it was, and never will.
    pub broken: Option<String>,
}

/// One file of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub name: String,
    pub path: PathBuf,
    /// Where it lies when it was completed meanwhile.
    pub completed: Option<PathBuf>,
    /// The part of the log in it; `None` for what goes along with any part, like the file that tells
    /// how histories descend from each other.
    pub range: Option<(u64, u64)>,
    /// How many bytes of the file are log; it is stored in its whole size, the rest as zeros.
    pub valid: u64,
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::SnapshotLabel;
    use mainstay_model::backup::Facts;

    #[test]
    fn a_part_is_believed_when_it_says_all_of_itself_and_nothing_else() {
        let (cluster, line) = (ClusterId::new(), BackupId::new());
        let label = SnapshotLabel {
            backup: BackupId::new(),
            cluster: cluster.clone(),
            cluster_name: "shop".into(),
            kind: LOG.into(),
            description: String::new(),
            created_at: Time(7),
        };
        let stop = Position { history: "sys/1".into(), text: "0/30".into(), bytes: 48 };
        let names = [(FROM, "16"), (UNTIL, "2026-11-30T10:00:00Z"), (FIRST, "a"), (LAST, "b"), (LINE, line.as_str())];
        let facts = Facts {
            history: stop.history.clone(),
            stop: Some(stop),
            exact: [(COUNT.to_string(), 2)].into(),
            names: names.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
            ..Facts::default()
        };
        let snapshot = Snapshot { id: "s".into(), label: label.clone(), time: Time(8) };
        let said = |change: &dyn Fn(&mut Described)| {
            let mut d = Described { label: label.clone(), facts: facts.clone(), data_bytes: 32 };
            change(&mut d);
            FoundLog::of(&snapshot, &d, &cluster)
        };
        let found = said(&|_| {}).unwrap();
        assert_eq!((found.from, found.to, found.pieces, found.bytes, found.line), (16, 48, 2, 32, line));
        let lies: [&dyn Fn(&mut Described); 6] = [
            &|d| d.label.cluster = ClusterId::new(),
            &|d| d.label.kind = "manual".into(),
            &|d| drop(d.facts.names.remove(UNTIL)),
            &|d| drop(d.facts.names.insert(FROM.into(), "49".into())),
            &|d| drop(d.facts.names.insert(LINE.into(), "../x".into())),
            &|d| d.facts.history = "other/1".into(),
        ];
        for (n, lie) in lies.iter().enumerate() {
            assert_eq!(said(lie), None, "{n}");
        }
    }
}
