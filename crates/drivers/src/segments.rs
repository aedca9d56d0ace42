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
};
use async_trait::async_trait;
use mainstay_model::{Time, backup::Check, node::Position};
use std::path::{Path, PathBuf};

/// What lies below the directory of a part in a snapshot and in what was fetched of it.
pub const PIECES: &str = "log";

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
