//! `mainstay node …`

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct Node {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// The nodes of a cluster, with role, status and lag
    #[command(after_help = "Example:\n  mainstay node list shop")]
    List(Of),
    /// Add a replica; a single cluster becomes a primary-replica one
    #[command(after_help = "Example:\n  mainstay node add shop")]
    Add(Of),
    /// Remove a replica and what it left behind
    #[command(after_help = "The primary is not removed: promote another node first.\n\nExample:\n  mainstay node remove shop shop-3")]
    Remove(One),
    /// Make a replica the primary
    #[command(after_help = "\
New connections wait meanwhile; open sessions are closed. A backup of the new primary is made at once.
It is refused where the primary does not answer or the node may lack acknowledged writes. With
--allow-data-loss it is done all the same: the plan says what is known to be lost, and the old primary is
killed and fenced until `cluster resync` seeds it again.

Examples:
  mainstay node promote shop shop-2 --dry-run
  mainstay node promote shop shop-2
  mainstay node promote shop shop-2 --allow-data-loss")]
    Promote {
        #[command(flatten)]
        one: One,
        /// Give up what the node may lack, where there is no other way
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Restart a node
    #[command(after_help = "Example:\n  mainstay node reboot shop shop-2")]
    Reboot(One),
    /// The latest lines of the engine's log
    #[command(after_help = "Example:\n  mainstay node logs shop shop-1 --lines 50")]
    Logs {
        #[command(flatten)]
        one: One,
        /// How many
        #[arg(long, default_value_t = 200)]
        lines: u32,
    },
    /// CPU, memory, disk and connections now
    #[command(after_help = "Example:\n  mainstay node metrics shop shop-1")]
    Metrics(One),
}

#[derive(Debug, Args)]
pub struct Of {
    /// The cluster's name or id
    pub cluster: String,
}

#[derive(Debug, Args)]
pub struct One {
    /// The cluster's name or id
    pub cluster: String,
    /// The node's name or id
    pub node: String,
}
