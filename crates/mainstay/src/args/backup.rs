//! `mainstay backup …`

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Backup {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    Create(Create),
    /// All backups of the project, or of one cluster
    #[command(after_help = "Examples:\n  mainstay backup list\n  mainstay backup list shop --status failed")]
    List {
        /// The cluster's name or id
        cluster: Option<String>,
        /// Only with this status: running, completed, partial, failed, deleting, expired
        #[arg(long)]
        status: Option<String>,
        /// Only of this kind, such as manual, scheduled, final, pre_restore
        #[arg(long)]
        kind: Option<String>,
    },
    /// One backup: copies, checks, and the commands that restore it without Mainstay
    #[command(after_help = "Example:\n  mainstay backup show bk_…")]
    Show(One),
    /// Read every byte back and compare
    #[command(after_help = "Exits 8 where the backup is damaged.\n\nExample:\n  mainstay backup verify bk_…")]
    Verify(One),
    /// Restore into a throw-away instance and check that
    #[command(after_help = "Example:\n  mainstay backup drill bk_…")]
    Drill(One),
    /// What came of a cluster's drills, and how long each took
    #[command(after_help = "Example:\n  mainstay backup drills shop")]
    Drills {
        /// The cluster's name or id
        cluster: String,
    },
    Download(Download),
    /// Delete a backup and all its copies
    #[command(after_help = "Example:\n  mainstay backup delete bk_…")]
    Delete(One),
    /// Bring back a backup that a policy is deleting; it is pinned then
    #[command(after_help = "\
A backup that no rule keeps is first only announced as deleted: for 72 hours it can be brought back.

Example:
  mainstay backup undelete bk_…")]
    Undelete(One),
    /// Keep a backup whatever its expiry
    #[command(after_help = "Example:\n  mainstay backup pin bk_…")]
    Pin(One),
    Copy(Copy),
    /// Let a backup expire again
    #[command(after_help = "Example:\n  mainstay backup unpin bk_…")]
    Unpin(One),
    /// Mainstay's own backups: into which storages, and how old they are
    #[command(after_help = "\
Made by itself after every change and once a day. With one and the recovery key of the project default,
`mainstay recover --control-plane` brings back what Mainstay remembers. Exits 1 where one failed.

Examples:
  mainstay backup control-plane
  mainstay backup control-plane --now")]
    ControlPlane {
        /// Make one now, and wait for it
        #[arg(long)]
        now: bool,
    },
}

/// Make a backup now; the cluster goes on meanwhile
#[derive(Debug, Args)]
#[command(after_help = "\
The backup is read back and checked before it counts as completed.

Examples:
  mainstay backup create shop
  mainstay backup create shop --description \"before the migration\" --retention-days 30
  mainstay backup create shop --keep --storage local --storage second
  mainstay backup create shop --retention-days 90 --storage local --storage far --copy-retention local=7
  mainstay backup create shop --dual-region")]
pub struct Create {
    /// The cluster's name or id
    pub cluster: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub description: String,
    /// Days to keep it [default: 7]
    #[arg(long, value_name = "N", conflicts_with = "keep", allow_negative_numbers = true)]
    pub retention_days: Option<i64>,
    /// Keep it until it is deleted
    #[arg(long)]
    pub keep: bool,
    /// Where to; may be repeated [default: local]
    #[arg(long = "storage", value_name = "STORAGE")]
    pub storages: Vec<String>,
    /// Into storages of two regions at least: those named, else two that have different labels
    #[arg(long)]
    pub dual_region: bool,
    /// Days to keep the copies in one storage, where that is shorter; may be repeated
    #[arg(long = "copy-retention", value_name = "STORAGE=DAYS", value_parser = copy_days)]
    pub copy_retention: Vec<(String, i64)>,
}

/// `local=7`: a storage, and how many days the copies in it are kept.
pub fn copy_days(text: &str) -> Result<(String, i64), String> {
    const KNOWN: &str = "expected is STORAGE=DAYS, such as local=7";
    let (storage, days) = text.rsplit_once('=').filter(|(storage, _)| !storage.is_empty()).ok_or(KNOWN)?;
    Ok((storage.into(), days.parse().map_err(|_| KNOWN)?))
}

/// Keep a copy of a backup in one storage more
#[derive(Debug, Args)]
#[command(after_help = "\
The copy is the same recovery point; the cluster is not asked and may be gone. It is read from a copy
that is good, checked on the way, and read back. It also completes a backup that ended partial.

Example:
  mainstay backup copy bk_… --storage second")]
pub struct Copy {
    /// The backup's id
    pub backup: String,
    /// The storage's name or id
    #[arg(long, value_name = "STORAGE")]
    pub storage: String,
}

/// Fetch a backup as one plain file
#[derive(Debug, Args)]
#[command(after_help = "\
The file is NOT encrypted. The download is recorded in the audit.

Example:
  mainstay backup download bk_… --file shop.tar.zst")]
pub struct Download {
    /// The backup's id
    pub backup: String,
    /// Where to write it; one that exists is replaced with --yes only
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct One {
    /// The backup's id
    pub backup: String,
}
