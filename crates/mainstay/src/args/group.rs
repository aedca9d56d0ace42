//! `mainstay group …`

use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Args)]
pub struct Group {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Name clusters that are backed up and restored as a whole
    #[command(after_help = "Example:\n  mainstay group create store shop cache")]
    Create {
        /// 3 to 40 lower-case letters, digits and dashes
        name: String,
        /// Names or ids of the clusters, two at least
        #[arg(value_name = "CLUSTER", required = true, num_args = 2..)]
        members: Vec<String>,
    },
    /// Add members or take some out, from the next backup on
    #[command(after_help = "\
Backups made before stay what they are, and are restored with the members they had.

Example:
  mainstay group set store --add search --remove cache")]
    Set(Set),
    /// All groups of the project
    #[command(after_help = "Example:\n  mainstay group list")]
    List,
    /// One group with its newest backup, or one group backup
    #[command(after_help = "Examples:\n  mainstay group show store\n  mainstay group show gb_…")]
    Show {
        /// The group's name or id, or a group backup's id
        group: String,
    },
    /// A group's backups
    #[command(after_help = "Example:\n  mainstay group backups store")]
    Backups {
        /// The group's name or id
        group: String,
    },
    /// Back up all members at one point
    #[command(after_help = "\
All members do what takes long while clients write. Then writes wait for a moment on all of them,
each decides its point, and writes go on. It is complete only when each part is.

Example:
  mainstay group backup store --description \"before the migration\"")]
    Backup(Backup),
    /// Restore all members together
    #[command(after_help = "\
In place, when one member cannot be restored, the others get the data back that they had.

Examples:
  mainstay group restore gb_… --in-place
  mainstay group restore gb_… --new-suffix -copy")]
    Restore(Restore),
    /// Never delete any part of a group backup by policy
    #[command(after_help = "Example:\n  mainstay group pin gb_…")]
    Pin {
        /// The group backup's id
        backup: String,
    },
    /// Let policies delete it again, as a whole
    #[command(after_help = "Example:\n  mainstay group unpin gb_…")]
    Unpin {
        /// The group backup's id
        backup: String,
    },
    /// Forget a group and its schedules; its backups stay with their clusters
    #[command(after_help = "Example:\n  mainstay group delete store")]
    Delete {
        /// The group's name or id
        group: String,
    },
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct Set {
    /// The group's name or id
    pub name: String,
    /// A cluster to add; may be repeated
    #[arg(long, value_name = "CLUSTER", group = "change")]
    pub add: Vec<String>,
    /// A member to take out; may be repeated
    #[arg(long, value_name = "CLUSTER", group = "change")]
    pub remove: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Backup {
    /// The group's name or id
    pub group: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub description: String,
    /// Days to keep its parts [default: 7]
    #[arg(long, value_name = "N", conflicts_with = "keep", allow_negative_numbers = true)]
    pub retention_days: Option<i64>,
    /// Keep them until they are deleted
    #[arg(long)]
    pub keep: bool,
    /// Where to; may be repeated [default: local]
    #[arg(long = "storage", value_name = "STORAGE")]
    pub storages: Vec<String>,
    /// Days to keep the copies in one storage, where that is shorter; may be repeated
    #[arg(long = "copy-retention", value_name = "STORAGE=DAYS", value_parser = super::backup::copy_days)]
    pub copy_retention: Vec<(String, i64)>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("target").required(true))]
pub struct Restore {
    /// The group backup's id
    pub backup: String,
    /// Replace the data of every member
    #[arg(long, group = "target")]
    pub in_place: bool,
    /// Make new clusters, named as the members with this behind
    #[arg(long, value_name = "SUFFIX", group = "target", allow_hyphen_values = true)]
    pub new_suffix: Option<String>,
}
