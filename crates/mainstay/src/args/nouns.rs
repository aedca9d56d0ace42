//! The nouns with few verbs: engine, storage, operation, project, token, audit.

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use mainstay_model::role::Role;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Engine {
    #[command(subcommand)]
    pub verb: EngineVerb,
}

#[derive(Debug, Subcommand)]
pub enum EngineVerb {
    /// All engines, and whether they are installed here
    #[command(after_help = "Example:\n  mainstay engine list")]
    List,
    /// One engine: versions, modes, parameters
    #[command(after_help = "Example:\n  mainstay engine show ENGINE")]
    Show {
        /// As `mainstay engine list` names it
        engine: String,
    },
}

#[derive(Debug, Args)]
pub struct Storage {
    #[command(subcommand)]
    pub verb: StorageVerb,
}

#[derive(Debug, Subcommand)]
pub enum StorageVerb {
    /// Add a place for backups; it is looked at first
    #[command(after_help = "Example:\n  mainstay storage add second --kind local --path /mnt/disk2/backups --region basement")]
    Add {
        /// 3 to 40 lower-case letters, digits and dashes
        name: String,
        /// local: a directory on the server's machine
        #[arg(long)]
        kind: String,
        /// The directory, absolute
        #[arg(long, value_name = "DIR")]
        path: Option<String>,
        /// A label for where it is
        #[arg(long, value_name = "LABEL")]
        region: Option<String>,
    },
    /// All storages of the project
    #[command(after_help = "Example:\n  mainstay storage list")]
    List,
    /// One storage
    #[command(after_help = "Example:\n  mainstay storage show local")]
    Show(OneStorage),
    /// Look whether it can be reached, written and read
    #[command(after_help = "Exits 1 where something is wrong.\n\nExample:\n  mainstay storage check local")]
    Check(OneStorage),
    /// Forget a storage that holds no backup
    #[command(after_help = "Example:\n  mainstay storage remove second")]
    Remove(OneStorage),
}

#[derive(Debug, Args)]
pub struct OneStorage {
    /// The storage's name or id
    pub storage: String,
}

#[derive(Debug, Args)]
pub struct Operation {
    #[command(subcommand)]
    pub verb: OperationVerb,
}

#[derive(Debug, Subcommand)]
pub enum OperationVerb {
    /// All operations, the newest first
    #[command(after_help = "Example:\n  mainstay operation list")]
    List,
    /// One operation and its steps
    #[command(after_help = "Example:\n  mainstay operation show op_…")]
    Show(OneOperation),
    /// Follow an operation to its end
    #[command(after_help = "Example:\n  mainstay operation watch op_…")]
    Watch(OneOperation),
    /// Stop it and undo what it did, before its point of no return
    #[command(after_help = "Example:\n  mainstay operation cancel op_…")]
    Cancel(OneOperation),
    /// Try the step again that it is stuck at
    #[command(after_help = "Example:\n  mainstay operation retry op_…")]
    Retry(OneOperation),
    /// Go on without the step that it is stuck at
    #[command(after_help = "Example:\n  mainstay operation skip op_…")]
    Skip(OneOperation),
    /// End it where it is, and let go of the cluster
    #[command(after_help = "Example:\n  mainstay operation abandon op_…")]
    Abandon(OneOperation),
}

#[derive(Debug, Args)]
pub struct OneOperation {
    /// The operation's id
    pub operation: String,
}

#[derive(Debug, Args)]
pub struct Project {
    #[command(subcommand)]
    pub verb: ProjectVerb,
}

#[derive(Debug, Subcommand)]
pub enum ProjectVerb {
    /// All projects
    #[command(after_help = "Example:\n  mainstay project list")]
    List,
    /// One project
    #[command(after_help = "Example:\n  mainstay project show default")]
    Show {
        /// The project's name or id
        name: String,
    },
    /// Write the key that opens every backup of the project without Mainstay
    #[command(after_help = "\
Keep the file away from this machine: with it and a storage everything can be restored with restic,
without it nothing can, should this machine be lost.

Example:
  mainstay project recovery-key default --file recovery.key")]
    RecoveryKey {
        /// The project's name or id
        name: String,
        /// Where to write it (mode 0600); an existing file is not overwritten
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Token {
    #[command(subcommand)]
    pub verb: TokenVerb,
}

fn roles() -> PossibleValuesParser {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str))
}

#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token; it is shown this once
    #[command(after_help = "Example:\n  mainstay token create nightly --role operator --expires 90")]
    Create {
        /// 3 to 40 lower-case letters, digits and dashes
        name: String,
        /// What it may do: each role includes the ones before it
        #[arg(long, value_parser = roles())]
        role: String,
        /// Days it is good for [default: for ever]
        #[arg(long, value_name = "DAYS", allow_negative_numbers = true)]
        expires: Option<i64>,
    },
    /// All tokens, without the secrets
    #[command(after_help = "Example:\n  mainstay token list")]
    List,
    /// Take a token back at once
    #[command(after_help = "Example:\n  mainstay token revoke tk_…")]
    Revoke {
        /// The token's id
        id: String,
    },
}

#[derive(Debug, Args)]
pub struct Audit {
    #[command(subcommand)]
    pub verb: AuditVerb,
}

#[derive(Debug, Subcommand)]
pub enum AuditVerb {
    /// Every act and every refused one, the newest first
    #[command(after_help = "Example:\n  mainstay audit list --output json")]
    List,
    /// Check that no entry was changed or taken out
    #[command(after_help = "Exits 8 where one was.\n\nExample:\n  mainstay audit verify")]
    Verify,
}
