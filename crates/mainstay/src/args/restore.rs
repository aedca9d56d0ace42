//! `mainstay restore …`

use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Args)]
pub struct Restore {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what a restore would do: what is lost, how old the data will be, what space it needs
    #[command(
        after_help = "Examples:\n  mainstay restore plan bk_… --to shop\n  mainstay restore plan bk_… --new shop-copy\n  mainstay restore plan --until '2026-11-30 14:05:00 Europe/Berlin' --to shop"
    )]
    Plan(Wanted),
    /// Bring a backup back, into a cluster or as a new one
    #[command(after_help = "\
Into a cluster: a safety backup is made, the data is restored beside the live data, checked, and
swapped in; the old data stays aside for some days and `mainstay restore undo` brings it back.

With --until the log that is kept (`mainstay cluster pitr`) is replayed up to that moment; without a
backup the newest before it is taken.

Examples:
  mainstay restore run bk_… --to shop
  mainstay restore run bk_… --new shop-copy
  mainstay restore run --until 2026-11-30T14:05:00Z --to shop
  mainstay restore run --until 2026-11-30T14:05:00Z --from-cluster shop --new shop-before")]
    Run(Wanted),
    /// All restores, or those of one cluster
    #[command(after_help = "Examples:\n  mainstay restore list\n  mainstay restore list shop")]
    List {
        /// The cluster's name or id
        cluster: Option<String>,
    },
    /// One restore
    #[command(after_help = "Example:\n  mainstay restore show rs_…")]
    Show(One),
    /// Put back the data that a restore into a cluster replaced
    #[command(after_help = "What was written since the restore is lost.\n\nExample:\n  mainstay restore undo rs_…")]
    Undo(One),
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true))]
pub struct Wanted {
    /// The backup's id [default: the newest before --until]
    #[arg(required_unless_present = "until")]
    pub backup: Option<String>,
    /// Bring back this moment: RFC 3339, or a local time with the name of its zone
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Whose moment it is, where no backup is named [default: the cluster of --to]
    #[arg(long, value_name = "CLUSTER", requires = "until")]
    pub from_cluster: Option<String>,
    /// Replace the data of this cluster
    #[arg(long, value_name = "CLUSTER", group = "target")]
    pub to: Option<String>,
    /// Make a new cluster of this name
    #[arg(long, value_name = "NAME", group = "target")]
    pub new: Option<String>,
    /// Take the copy in this storage [default: any good one]
    #[arg(long)]
    pub storage: Option<String>,
}

#[derive(Debug, Args)]
pub struct One {
    /// The restore's id
    pub restore: String,
}
